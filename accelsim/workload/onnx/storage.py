"""Tensors of the graph as the file stores them."""

from __future__ import annotations

from accelsim.numerics import FORMATS
from accelsim.workload.graph import Role, Tensor
from accelsim.workload.onnx.model import ELEMENTS

__all__ = ["FLOATS", "stored_tensor"]

FLOATS: dict[tuple[float, ...], str] = {
    (2, 1): "fp4_e2m1", (2, 3): "fp6_e2m3", (3, 2): "fp6_e3m2", (4, 3): "fp8_e4m3", (5, 2): "fp8_e5m2",
    (5, 10): "fp16", (8, 7): "bf16", (8, 10): "tf32", (8, 23): "fp32",
}  # fmt: skip
"""Formats by their bits of exponent and mantissa."""


def stored_tensor(
    name: str, shape: tuple[int, ...], role: Role, element: int | None = None, bits: int | str | None = None
) -> Tensor:
    """A tensor of an element type of ONNX (a key of `ELEMENTS`), or of integers of some ``bits`` or a format by name.

    What accelsim has no arithmetic for has its width and no format: indices, truth values, sums of 32 bits.
    """
    if isinstance(bits, str):
        return Tensor(name, shape, role, bits)
    if bits is not None:
        format_name = f"int{bits}"
        return (
            Tensor(name, shape, role, format_name)
            if format_name in FORMATS
            else Tensor(name, shape, role, stored_bits=bits)
        )
    kind = ELEMENTS[element or 1]
    width = None if kind.format or kind.name == "float32" else kind.bits or None
    return Tensor(name, shape, role, kind.format, stored_bits=width)

"""Tensors of the graph as the file stores them."""

from __future__ import annotations

from accelsim.numerics import FORMATS
from accelsim.workload.graph import Role, Tensor
from accelsim.workload.onnx.model import ELEMENTS

__all__ = ["stored_tensor"]


def stored_tensor(
    name: str, shape: tuple[int, ...], role: Role, element: int | None = None, bits: int | None = None
) -> Tensor:
    """A tensor of an element type of ONNX (a key of `ELEMENTS`), or of integers of some ``bits``.

    What accelsim has no arithmetic for has its width and no format: indices, truth values, sums of 32 bits.
    """
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

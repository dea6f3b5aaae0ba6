"""Quantisers of QONNX: Quant (IntQuant), BipolarQuant and Trunc, of any number of bits.

The arithmetic is that of the reference implementation (qonnx 1.0.0), in float32. Products of two quantised operands
multiply the whole numbers that the quantisers find, and scale the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.expansion import Expansion
from accelsim.engine.functional.matrix import Arranged, arranged
from accelsim.engine.functional.program import Integers, MatrixStep
from accelsim.errors import UnknownNameError
from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.contrib import QONNX_DOMAINS
from accelsim.workload.onnx.model import Node
from accelsim.workload.ops import Conv

__all__ = ["QuantizedTensor", "qonnx_function", "quantized_product", "quantized_tensors"]

Array = NDArray[Any]
Whole = Callable[..., tuple[Array, Array]]
"""Arrays of a node's inputs to whole numbers, less their zero point, and the scale that they are multiplied by."""


def _toward(direction: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """A rounding of magnitudes."""
    return lambda x: np.sign(x) * direction(np.abs(x))


_ROUNDINGS: dict[str, Callable[[Array], Array]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": _toward(np.ceil),
    "DOWN": np.trunc,
    "HALF_UP": _toward(lambda x: np.floor(x + x.dtype.type(0.5))),
    "HALF_DOWN": _toward(lambda x: np.ceil(x - x.dtype.type(0.5))),
}


@dataclass(frozen=True, slots=True)
class _Range:
    """Whole numbers of so many bits."""

    signed: bool
    narrow: bool

    def clipped(self, x: Array, bits: Array) -> Array:
        magnitudes = bits.astype(np.float64) - self.signed
        high = np.exp2(magnitudes) - (1 if self.signed or not self.narrow else 2)
        low = -np.exp2(magnitudes) + self.narrow if self.signed else np.zeros_like(high)
        made: Array = np.clip(x, low.astype(x.dtype), high.astype(x.dtype))
        return made


def qonnx_function(node: Node, file: str) -> Callable[[Sequence[Array | None]], list[Array]] | None:
    """What a quantiser makes of its inputs; None for any other node.

    Raises:
        UnknownNameError: a rounding mode that QONNX does not define.
    """
    whole = _whole(node, file)
    if whole is None:
        return None

    def compute(inputs: Sequence[Array | None]) -> list[Array]:
        codes, scale = whole(*inputs)
        return [codes * scale]

    return compute


def _whole(node: Node, file: str) -> Whole | None:
    if node.domain not in QONNX_DOMAINS or node.op_type not in ("Quant", "IntQuant", "BipolarQuant", "Trunc"):
        return None
    if node.op_type == "BipolarQuant":
        return _bipolar
    attributes, truncates = Attributes(node.proto), node.op_type == "Trunc"
    mode = attributes.string("rounding_mode", "FLOOR" if truncates else "ROUND").upper()
    if mode not in _ROUNDINGS:
        raise UnknownNameError("rounding mode", mode, _ROUNDINGS, file=file, field=str(node))
    limits = _Range(bool(attributes.integer("signed", 1)), bool(attributes.integer("narrow", 0)))
    if truncates:
        return _truncation(limits, _ROUNDINGS[mode])
    return _quantisation(limits, _ROUNDINGS[mode])


def _bipolar(x: Array, scale: Array) -> tuple[Array, Array]:
    return np.where(x >= 0, x.dtype.type(1), x.dtype.type(-1)), scale


def _quantisation(limits: _Range, rounded: Callable[[Array], Array]) -> Whole:
    def quantise(x: Array, scale: Array, zero_point: Array, bits: Array) -> tuple[Array, Array]:
        shifted = x / scale + zero_point
        if limits.signed and bits.size == 1 and bits.item() == 1:  # a sign, as BipolarQuant has it
            return np.where(shifted >= 0, x.dtype.type(1), x.dtype.type(-1)) - zero_point, scale
        return rounded(limits.clipped(shifted, bits)) - zero_point, scale

    return quantise


def _truncation(limits: _Range, rounded: Callable[[Array], Array]) -> Whole:
    """Without and with the scale of its output, as versions 1 and 2 of the operator have it."""

    def first(x: Array, scale: Array, zero_point: Array, bits: Array, kept: Array) -> tuple[Array, Array]:
        dropped = np.exp2(bits.astype(np.float64) - kept).astype(x.dtype)
        return rounded(np.rint(x / scale + zero_point) / dropped) - zero_point, scale

    def truncate(
        x: Array, scale: Array, zero_point: Array, bits: Array, *rest: Array
    ) -> tuple[Array, Array]:  # fmt: skip
        if len(rest) == 1:
            return first(x, scale, zero_point, bits, rest[0])
        made, kept = rest
        ratio = np.exp2(np.rint(np.log2(made / scale)))  # a power of two, whatever rounding made of the two scales
        codes = rounded(limits.clipped(np.rint(x / scale + zero_point) / ratio, kept))
        return codes - zero_point / ratio, made

    return truncate


# Products


@dataclass(frozen=True, slots=True)
class QuantizedTensor:
    """A tensor that a quantiser made, then transposed by ``turns`` in that order."""

    quantiser: Node
    turns: tuple[tuple[int, ...] | None, ...] = ()

    def turned(self, x: Array) -> Array:
        for turn in self.turns:
            x = x.transpose(turn)
        return np.ascontiguousarray(x)


def quantized_tensors(nodes: Sequence[Node]) -> dict[str, QuantizedTensor]:
    """By name, what quantisers make and what is a transposition of it."""
    found: dict[str, QuantizedTensor] = {}
    for node in nodes:
        if _whole(node, "") is not None:
            found[node.outputs[0]] = QuantizedTensor(node)
        elif node.key == ("", "Transpose") and node.inputs[0] in found:
            source = found[node.inputs[0]]
            turn = Attributes(node.proto).integers("perm") or None
            found[node.outputs[0]] = QuantizedTensor(source.quantiser, (*source.turns, turn))
    return found


def quantized_product(this: Expansion, quantized: Mapping[str, QuantizedTensor]) -> MatrixStep | None:
    """Matrix work on two quantised operands: the unit multiplies their whole numbers, sums are scaled in float32.

    None where bits, scales or zero points are no constants, zero points are not whole, or a scale of the left operand,
    or of the right one along k, has more than one value.
    """
    node = this.node
    sources = [quantized[name] for name in node.inputs[:2]]
    if not all(_is_constant(this, each.quantiser) for each in sources) or _overlaps(this):
        return None
    left, right = (_scale(this, each) for each in sources)
    rows = isinstance(this.op, Conv) or (node.op_type == "Gemm" and this.attributes.integer("transB", 0))
    if left.size != 1 or not _of_filters(right, rows=bool(rows)):
        return None
    bits = max(_bits(this, each.quantiser) for each in sources)
    a, b = (this.compute(part, each.quantiser.inputs, _codes(each, this.file))
            for part, each in zip("ab", sources, strict=True))  # fmt: skip
    groups = this.op.groups if isinstance(this.op, Conv) and right.size > 1 else 1
    scale = (left.reshape(()) * right).astype(np.float32).reshape(groups, 1, -1)
    inputs = (*node.inputs[:2], this.input(2), a, b)
    arrange: Callable[..., Arranged] = lambda left, right: arranged(node, this.op, left, right)  # noqa: E731
    return MatrixStep(this.op.name, node.op_type, inputs, node.outputs, arrange, integers=Integers(a, b, bits, scale))


def _overlaps(this: Expansion) -> bool:
    return isinstance(this.op, Conv) and this.op.transposed


def _is_constant(this: Expansion, quantiser: Node) -> bool:
    names = quantiser.inputs[1:]
    if not all(name in this.values for name in names):
        return False
    if quantiser.op_type == "BipolarQuant":
        return True
    zero = this.values[names[1]]
    shifted = bool(zero.any())
    return bool((zero == np.rint(zero)).all()) and not (quantiser.op_type == "Trunc" and shifted)


def _bits(this: Expansion, quantiser: Node) -> int:
    if quantiser.op_type == "BipolarQuant":
        return 1
    place = {"Trunc": len(quantiser.inputs) - 1}.get(quantiser.op_type, 3)
    return int(this.values[quantiser.inputs[place]].max())


def _scale(this: Expansion, tensor: QuantizedTensor) -> Array:
    node = tensor.quantiser
    made_new = node.op_type == "Trunc" and len(node.inputs) > 5
    scale = this.values[node.inputs[4 if made_new else 1]]
    return tensor.turned(scale) if scale.size > 1 and tensor.turns else scale


def _of_filters(scale: Array, *, rows: bool) -> bool:
    """One value, or one a filter: along the first axis of a tensor of ``rows``, else along the last."""
    if scale.size == 1:
        return True
    return scale.ndim > 1 and scale.shape[0] == scale.size if rows else scale.shape[-1] == scale.size


def _codes(tensor: QuantizedTensor, file: str) -> Callable[..., Array]:
    whole = _whole(tensor.quantiser, file)
    assert whole is not None
    return lambda *inputs: tensor.turned(whole(*inputs)[0])

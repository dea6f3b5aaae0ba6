"""Matrix operators of quantised and optimised ONNX models, as steps around one product.

Zero points are taken off by steps that need no hardware of their own, whole numbers are multiplied, and sums are scaled
in float32 as ONNX Runtime does. What the file has quantised is not quantised again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.expansion import Expansion
from accelsim.engine.functional.integers import dynamic_uint8, requantized
from accelsim.engine.functional.matrix import Arranged, arranged, arranged_gemm, arranged_matmul
from accelsim.engine.functional.program import Integers, MatrixStep, RecurrentStep, VectorStep
from accelsim.engine.functional.recurrence import Cell
from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.model import Node
from accelsim.workload.ops import Conv

__all__ = ["EXPANSIONS", "dequantized_product", "quantized_lstm"]

Array = NDArray[Any]
MS = "com.microsoft"
_BITS = 8


def _by_filter(values: Array, rank: int) -> Array:
    """One value a filter along axis 1 of (batch, filters, ...), or one for all."""
    return values.reshape(1, -1, *(1,) * (rank - 2)) if values.size > 1 else values.reshape(())


# Operators


def _integer(places: tuple[int, int, int, int]) -> Callable[[Expansion], None]:
    """MatMulInteger and ConvInteger: a, b, and their zero points."""
    a, b, zero_a, zero_b = places

    def expand(this: Expansion) -> None:
        sums = this.product(this.whole("a", a, zero_a), this.whole("b", b, zero_b))
        this.compute("y", (sums,), lambda x: x, this.node.outputs[0])

    return expand


def _qlinear(this: Expansion) -> None:
    """QLinearConv and QLinearMatMul: a, scale, zero point, b, scale, zero point, y's scale, zero point, bias."""
    sums = this.product(this.whole("a", 0, 2), this.whole("b", 3, 5))
    convolved = isinstance(this.op, Conv)

    def finish(x: Array, a: Array, b: Array, y: Array, zero: Array | None, bias: Array | None) -> Array:
        scale = a.astype(np.float32) * b.astype(np.float32) / y.astype(np.float32)
        if convolved:
            scale = _by_filter(scale, x.ndim)
            x = x if bias is None else x + _by_filter(bias, x.ndim)
        return requantized(x, scale, zero, np.uint8 if zero is None else zero.dtype)

    names = (sums, *(this.input(place) for place in (1, 4, 6, 7, 8)))
    this.compute("y", names, finish, this.node.outputs[0])


def _qgemm(this: Expansion) -> None:
    """A, scale, zero point, B, scale, zero point, C (int32), and y's scale and zero point or none: then it is float."""
    gemm = arranged_gemm(this.attributes, scaled=False)
    sums = this.multiply(this.whole("a", 0, 2), this.whole("b", 3, 5), lambda *_: gemm)
    alpha = np.float32(this.attributes.real("alpha", 1.0))

    def finish(
        x: Array, a: Array, b: Array, bias: Array | None, y: Array | None, zero: Array | None
    ) -> Array:  # fmt: skip
        scale = alpha * a.astype(np.float32) * b.astype(np.float32)
        total = x if bias is None else x + bias
        if y is None:
            return total.astype(np.float32) * scale
        return requantized(total, scale / y, zero, np.uint8 if zero is None else zero.dtype)

    names = (sums, *(this.input(place) for place in (1, 4, 6, 7, 8)))
    this.compute("y", names, finish, this.node.outputs[0])


def _to_float(this: Expansion) -> None:
    """MatMulIntegerToFloat: A, B, their scales, their zero points, bias."""
    sums = this.product(this.whole("a", 0, 4), this.whole("b", 1, 5))
    names = (sums, *(this.input(place) for place in (2, 3, 6)))
    this.compute("y", names, _scaled, this.node.outputs[0])


def _scaled(x: Array, a: Array, b: Array, bias: Array | None) -> Array:
    made = x.astype(np.float32) * (a.astype(np.float32) * b.astype(np.float32))
    return made if bias is None else made + bias


def _dynamic(this: Expansion) -> None:
    """DynamicQuantizeMatMul: A in float, B, its scale, its zero point, bias."""
    codes, scale = f"{this.node.name}:codes", f"{this.node.name}:scale"
    this.steps.append(VectorStep("", "", (this.input(0),), (codes, scale), lambda inputs: _codes(inputs[0])))
    sums = this.product(codes, this.whole("b", 1, 3))
    this.compute("y", (sums, scale, this.input(2), this.input(4)), _scaled, this.node.outputs[0])


def _codes(x: Array | None) -> list[Array]:
    assert x is not None
    codes, scale = dynamic_uint8(x)
    return [codes, np.asarray(scale)]


def _fused_matmul(this: Expansion) -> None:
    """FusedMatMul: operands transposed, of which the first axis may be the last but one, and a factor."""
    names = []
    for place, side in enumerate("AB"):
        turn, rolled = (this.attributes.integer(f"{key}{side}", 0) for key in ("trans", "transBatch"))

        def turned(x: Array, turn: int = turn, rolled: int = rolled) -> Array:
            x = np.moveaxis(x, 0, -2) if rolled else x
            return np.ascontiguousarray(x.swapaxes(-1, -2)) if turn and x.ndim > 1 else x

        names.append(this.compute(side, (this.input(place),), turned) if turn or rolled else this.input(place))
    alpha = np.float32(this.attributes.real("alpha", 1.0))
    product = f"{this.node.name}:product"
    this.multiply_floats(names[0], names[1], arranged_matmul, "", product)
    this.compute("y", (product,), lambda x: x * alpha, this.node.outputs[0])


def _few_bits(this: Expansion) -> None:
    """MatMulNBits: weights packed in blocks of k, dequantised (codes less zero point, times scale), then a product."""
    bits, block = (this.attributes.integer(key, default) for key, default in (("bits", 4), ("block_size", 32)))
    rows, length = this.attributes.integer("N", 0), this.attributes.integer("K", 0)

    def unpacked(packed: Array, count: int) -> Array:
        """(N, count) codes, the first of a byte in its lowest bits; each row of bytes begins a row of codes."""
        places = np.arange(0, 8, bits, dtype=np.uint8)
        wide = packed.reshape(rows, -1, 1) >> places & np.uint8((1 << bits) - 1)
        return wide.reshape(rows, -1)[:, :count].astype(np.float32)

    def dequantized(packed: Array, scales: Array, zero_points: Array | None) -> Array:
        blocks = -(-length // block)
        zero: Array = np.full((rows, blocks), 2.0 ** (bits - 1), np.float32)
        if zero_points is not None:
            floats = zero_points.dtype.kind == "f"
            zero = zero_points.reshape(rows, -1).astype(np.float32) if floats else unpacked(zero_points, blocks)
        codes = unpacked(packed, blocks * block).reshape(rows, blocks, block)
        values = (codes - zero[..., np.newaxis]) * scales.reshape(rows, blocks, 1).astype(np.float32)
        return np.ascontiguousarray(values.reshape(rows, -1)[:, :length].T)

    weight = this.compute("weight", tuple(this.input(place) for place in (1, 2, 3)), dequantized)
    this.multiply_floats(this.input(0), weight, arranged_matmul, this.input(5), this.node.outputs[0])


EXPANSIONS: dict[tuple[str, str], Callable[[Expansion], None]] = {
    ("", "ConvInteger"): _integer((0, 1, 2, 3)),
    ("", "MatMulInteger"): _integer((0, 1, 2, 3)),
    ("", "QLinearConv"): _qlinear,
    ("", "QLinearMatMul"): _qlinear,
    (MS, "QGemm"): _qgemm,
    (MS, "MatMulIntegerToFloat"): _to_float,
    (MS, "DynamicQuantizeMatMul"): _dynamic,
    (MS, "FusedMatMul"): _fused_matmul,
    (MS, "MatMulNBits"): _few_bits,
    (MS, "TransposeMatMul"): _fused_matmul,
}
"""Operators that are expanded, by domain and type."""


def dequantized_product(this: Expansion, dequantized: Mapping[str, Node]) -> MatrixStep | None:
    """Matrix work whose operands a QDQ model dequantises: the unit multiplies the whole numbers and scales the sums.

    None where they do not have 8 bits and constant scales, one a tensor, or one a filter or column of the right one.
    """
    node, turned = this.node, this.node.op_type == "Gemm" and not this.attributes.integer("transB", 0)
    sources = [dequantized[name] for name in node.inputs[:2] if name in dequantized]
    scales = [this.values[each.inputs[1]] for each in sources if each.inputs[1] in this.values]
    if len(scales) != 2 or scales[0].size != 1 or (isinstance(this.op, Conv) and this.op.transposed):
        return None
    filters = 1 if turned or node.op_type == "MatMul" else 0
    right = this.values.get(sources[1].inputs[0])
    axis = Attributes(sources[1].proto).integer("axis", 1)
    if scales[1].size > 1 and (right is None or right.ndim <= filters or axis % right.ndim != filters):
        return None
    a, b = (this.taken_off(part, source) for part, source in zip("ab", sources, strict=True))
    groups = this.op.groups if isinstance(this.op, Conv) and scales[1].size > 1 else 1
    scale = (scales[0].reshape(()) * scales[1]).astype(np.float32).reshape(groups, 1, -1)
    inputs = (*node.inputs[:2], this.input(2), a, b)
    arrange: Callable[..., Arranged] = lambda left, right: arranged(node, this.op, left, right)  # noqa: E731
    return MatrixStep(this.op.name, node.op_type, inputs, node.outputs, arrange, integers=Integers(a, b, _BITS, scale))


def quantized_lstm(this: Expansion, cell: Cell) -> RecurrentStep:
    """DynamicQuantizeLSTM, whose weights lie transposed, (D, input, 4 H), with a scale a direction or a column."""
    names = ["", *(f"{this.node.name}:{part}" for part in ("w", "r"))]
    scales = []
    for place, scale, zero in ((1, 8, 9), (2, 10, 11)):
        weight, factor = (this.values[this.input(each)] for each in (place, scale))
        shift = this.values.get(this.input(zero))
        whole = weight.astype(np.int32)
        if shift is not None:
            whole = whole - shift.astype(np.int32).reshape(len(weight), 1, -1)
        this.values[names[place]] = np.ascontiguousarray(whole.swapaxes(1, 2))
        scales.append(factor.astype(np.float32).reshape(len(weight), -1))
    inputs = (this.input(0), names[1], names[2], *(this.input(place) for place in range(3, 8)))
    return RecurrentStep(this.op.name, this.node.op_type, inputs, this.node.outputs, cell, (scales[0], scales[1]))

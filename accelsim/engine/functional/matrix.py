"""Convolutions and matrix products of a model as products of (groups, m, k) by (groups, n, k), and back.

A convolution is an implicit matrix product: k runs over channels, then the kernel's axes, as the mapper counts it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product as every
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.model import Node
from accelsim.workload.ops import Conv, MatMul, Op

__all__ = ["MATRIX_OPERATORS", "Arranged", "arranged", "arranged_convolution", "arranged_gemm", "arranged_groups",
           "arranged_matmul"]  # fmt: skip

FloatArray = NDArray[np.float32]
Arrange = Callable[[FloatArray], FloatArray]

MATRIX_OPERATORS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Of the standard domain."""


@dataclass(frozen=True, slots=True)
class Arranged:
    """How a node's operands become those of a product, and the products its output.

    Attributes:
        left, right: tensors to (groups, m, k) and (groups, n, k); values only change place, and padding is zeros.
        finish: products (groups, m, n) and the addend, if any, to the output.
    """

    left: Arrange
    right: Arrange
    finish: Callable[[FloatArray, FloatArray | None], FloatArray]


def arranged(node: Node, op: Op, left: tuple[int, ...], right: tuple[int, ...]) -> Arranged:
    """The product of a node of `MATRIX_OPERATORS` that became ``op``, on operands of these shapes."""
    if isinstance(op, Conv):
        return arranged_convolution(op)
    assert isinstance(op, MatMul)
    return arranged_gemm(Attributes(node.proto)) if node.op_type == "Gemm" else arranged_matmul(left, right)


def arranged_convolution(op: Conv) -> Arranged:
    """The product of a convolution, transposed or not."""
    return _transposed(op) if op.transposed else _convolution(op)


def arranged_groups(
    op: MatMul, left: tuple[int, ...], right: tuple[int, ...], out: tuple[int, ...]
) -> Arranged | None:  # fmt: skip
    """``op.groups`` products of tensors that hold (groups, m, k) and (groups, k, n), or one table (n, k), in C order.

    Or a table (n, groups * k) of which each group has its columns, by rows of as many, into (batch, groups, rows, n).
    None where these shapes do not hold them so: the last axes must be k, and n or k.
    """
    if op.groups > 1 and right == (op.n, op.groups * op.k) and left[-1] == right[-1]:
        return _by_columns(op, out)
    turned = op.groups == 1 and right == (op.n, op.k) != (op.k, op.n)
    if left[-1] != op.k or not _cut(left, op.groups) or not (turned or (right[-2:] == (op.k, op.n))):
        return None

    def columns(b: FloatArray) -> FloatArray:
        if turned:
            return b[np.newaxis]
        return b.reshape(op.groups, op.k, op.n).swapaxes(1, 2)

    def rows(a: FloatArray) -> FloatArray:
        return a.reshape(op.groups, op.m, op.k)

    return Arranged(rows, columns, lambda products, addend: _added(products.reshape(out), addend))


def _by_columns(op: MatMul, out: tuple[int, ...]) -> Arranged:
    """Heads side by side in the last axis of both operands, before the rows in the output."""

    def heads(x: FloatArray) -> FloatArray:
        return np.ascontiguousarray(x.reshape(-1, op.groups, op.k).swapaxes(0, 1))

    def finish(products: FloatArray, addend: FloatArray | None) -> FloatArray:
        each = products.reshape(op.groups, out[0], -1, op.n).swapaxes(0, 1)
        return _added(np.ascontiguousarray(each).reshape(out), addend)

    return Arranged(heads, heads, finish)


def _cut(shape: tuple[int, ...], groups: int) -> bool:
    """Whether the first axes, or a leading part of the last of them, count the groups."""
    before = 1
    for size in shape:
        if groups % before == 0 and size % (groups // before) == 0:
            return True
        before *= size
    return False


def arranged_matmul(left: tuple[int, ...], right: tuple[int, ...]) -> Arranged:
    """ONNX's MatMul, which broadcasts."""
    a_shape = left if len(left) > 1 else (1, *left)
    b_shape = right if len(right) > 1 else (*right, 1)
    batch = np.broadcast_shapes(a_shape[:-2], b_shape[:-2])
    rows, inner, columns = a_shape[-2], a_shape[-1], b_shape[-1]
    one_weight = prod(b_shape[:-2]) == 1  # batch axes of the left become rows
    out = (*batch, *((rows,) if len(left) > 1 else ()), *((columns,) if len(right) > 1 else ()))

    def first(a: FloatArray) -> FloatArray:
        whole = np.broadcast_to(a.reshape(a_shape), (*batch, rows, inner))
        return whole.reshape((1, -1, inner) if one_weight else (-1, rows, inner))

    def second(b: FloatArray) -> FloatArray:
        turned = b.reshape(b_shape).swapaxes(-1, -2)
        if one_weight:
            return turned.reshape(1, columns, inner)
        return np.broadcast_to(turned, (*batch, columns, inner)).reshape(-1, columns, inner)

    return Arranged(first, second, lambda products, addend: _added(products.reshape(out), addend))


def _added(result: FloatArray, addend: FloatArray | None) -> FloatArray:
    return result if addend is None else result + addend


def arranged_gemm(attributes: Attributes, *, scaled: bool = True) -> Arranged:
    """ONNX's Gemm; ``scaled`` says whether its factors are part of it."""
    alpha, beta = (np.float32(attributes.real(name, 1.0)) for name in ("alpha", "beta"))
    turn_a, turn_b = attributes.integer("transA", 0), attributes.integer("transB", 0)

    def finish(products: FloatArray, addend: FloatArray | None) -> FloatArray:
        if not scaled:
            return _added(products[0], addend)
        return _added(products[0] * alpha, None if addend is None else addend * beta)

    return Arranged(lambda a: (a.T if turn_a else a)[np.newaxis], lambda b: (b if turn_b else b.T)[np.newaxis], finish)


def _sides(op: Conv) -> list[tuple[int, int]]:
    """Padding before and after each axis."""
    axes = len(op.kernel)
    given = op.padding or (0,) * axes
    return list(zip(given[:axes], given[-axes:], strict=True))


def _convolution(op: Conv) -> Arranged:
    axes, groups = len(op.kernel), op.groups
    dilation = op.dilation or (1,) * axes
    spans = tuple((size - 1) * step + 1 for size, step in zip(op.kernel, dilation, strict=True))

    def windows(x: FloatArray) -> FloatArray:
        padded = np.pad(x, [(0, 0), (0, 0), *_sides(op)])
        seen = sliding_window_view(padded, spans, axis=tuple(range(2, 2 + axes)))
        moved = tuple(slice(None, (n - 1) * step + 1, step) for n, step in zip(op.output_size, op.stride, strict=True))
        seen = seen[(slice(None), slice(None), *moved, *(slice(None, None, step) for step in dilation))]
        split = seen.reshape(len(x), groups, -1, *seen.shape[2:]) if groups > 1 else seen[:, np.newaxis]
        order = (1, 0, *range(3, 3 + axes), 2, *range(3 + axes, 3 + 2 * axes))
        return np.ascontiguousarray(split.transpose(order)).reshape(groups, len(x) * prod(op.output_size), -1)

    def finish(products: FloatArray, bias: FloatArray | None) -> FloatArray:
        each = products.reshape(groups, op.batch, *op.output_size, -1)
        whole = np.moveaxis(each, (1, 0, -1), (0, 1, 2)).reshape(op.batch, op.out_channels, *op.output_size)
        return _added(whole, _by_channel(bias, axes))

    return Arranged(windows, lambda w: w.reshape(groups, op.out_channels // groups, -1), finish)


def _by_channel(bias: FloatArray | None, axes: int) -> FloatArray | None:
    return None if bias is None else bias.reshape(1, -1, *(1,) * axes)


def _transposed(op: Conv) -> Arranged:
    """Every input pixel times its kernel; products that fall on one output are added in float32, kernel ascending."""
    axes, groups = len(op.kernel), op.groups
    channels = op.in_channels // groups

    def pixels(x: FloatArray) -> FloatArray:
        split = x.reshape(op.batch, groups, channels, prod(op.input_size))
        return np.ascontiguousarray(split.transpose(1, 0, 3, 2)).reshape(groups, -1, channels)

    def kernels(w: FloatArray) -> FloatArray:
        return np.ascontiguousarray(w.reshape(groups, channels, -1).swapaxes(1, 2))

    def finish(products: FloatArray, bias: FloatArray | None) -> FloatArray:
        each = products.reshape(groups, op.batch, *op.input_size, -1, *op.kernel)
        each = np.moveaxis(each, (1, 0, 2 + axes), (0, 1, 2))  # batch, group, channel, pixels, kernel
        return _added(_overlapped(op, each), _by_channel(bias, axes))

    return Arranged(pixels, kernels, finish)


def _overlapped(op: Conv, products: NDArray[Any]) -> FloatArray:
    """Products (batch, groups, channels, *input, *kernel) added where they fall: (batch, out_channels, *output)."""
    axes = len(op.kernel)
    dilation = op.dilation or (1,) * axes
    before = [side for side, _ in _sides(op)]
    reach = [
        (size - 1) * step + (taps - 1) * apart + 1
        for size, step, taps, apart in zip(op.input_size, op.stride, op.kernel, dilation, strict=True)
    ]
    room = [max(whole, first + out) for whole, first, out in zip(reach, before, op.output_size, strict=True)]
    total = np.zeros((*products.shape[:3], *room), np.float32)
    tap: Any
    for tap in every(*map(range, op.kernel)):
        places: Any = tuple(
            slice(at * apart, at * apart + (size - 1) * step + 1, step)
            for at, apart, size, step in zip(tap, dilation, op.input_size, op.stride, strict=True)
        )
        total[..., *places] += products[..., *tap]
    kept: Any = tuple(slice(first, first + out) for first, out in zip(before, op.output_size, strict=True))
    return total[..., *kept].reshape(op.batch, op.out_channels, *op.output_size)

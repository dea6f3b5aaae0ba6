"""Dot and matrix products with a named accumulator, bit for bit."""

from __future__ import annotations

from math import ceil, log2
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError, UnsupportedError
from accelsim.numerics.accumulators import (
    Accumulator,
    AlignTruncate,
    Chunked,
    Exact,
    GroupTruncate,
    IntegerSum,
    Sequential,
    accumulator_named,
)
from accelsim.numerics.elements import Float
from accelsim.numerics.factors import Factor
from accelsim.numerics.formats import FORMATS, Format
from accelsim.numerics.operands import Operand, element_bits, operand_of
from accelsim.numerics.rounding import to_float32
from accelsim.numerics.tensor import QuantizedTensor

__all__ = ["dot", "matmul", "sequential"]

FloatArray = NDArray[np.float32]

_EXACT_BITS = 53
_PAIRS = ([0, 1], [2, 3])


def dot(
    a: ArrayLike | QuantizedTensor,
    b: ArrayLike | QuantizedTensor,
    *,
    accumulator: str | Accumulator = "exact",
    c: float = 0.0,
    operands: str | Format | tuple[str | Format, str | Format] | None = None,
) -> Any:
    """The sum of products of two vectors of one length, and ``c``: one number. As `matmul` otherwise."""
    if isinstance(a, QuantizedTensor) or isinstance(b, QuantizedTensor):
        raise InputError("takes arrays", field="dot", remedy="give matrices to matmul")
    left, right = np.asarray(a), np.asarray(b)
    if left.ndim != 1 or left.shape != right.shape:
        raise InputError("must be vectors of one length", field="a and b", value=(left.shape, right.shape))
    result = matmul(left[np.newaxis], right[:, np.newaxis], accumulator=accumulator, c=[[c]], operands=operands)
    return result[0, 0]


def matmul(
    a: ArrayLike | QuantizedTensor,
    b: ArrayLike | QuantizedTensor,
    *,
    accumulator: str | Accumulator = "exact",
    c: ArrayLike | None = None,
    operands: str | Format | tuple[str | Format, str | Format] | None = None,
    transpose_b: bool = False,
) -> NDArray[Any]:
    """a b + c as the accumulator computes it: (m, n) float32; int64 for whole numbers in an integer accumulator.

    Scales: those of blocks that are powers of two or have 8 bits are exact parts of the products. Those of a row, a
    channel or a tensor multiply the sum in float32, by the float32 product of both operands' scales. Those of groups
    along k
    with more bits divide k: each group is summed by the accumulator, multiplied likewise, and added in float32,
    ascending.

    Args:
        a: (m, k), quantised along axis 1, or an array of numbers as they are.
        b: (k, n), quantised along axis 0; (n, k), along axis 1, with ``transpose_b``.
        accumulator: a name of `ACCUMULATORS`, intN or intN-saturating, or a record.
        c: (m, n) or what broadcasts to it: the addend of the sum, or of the scaled result where scales come after.
        operands: format of the elements of arrays, one or one each. Without it align-and-truncate takes fp16.

    Raises:
        InputError: shapes that do not fit, or numbers that the accumulator does not take.
        UnsupportedError: operands that such a unit does not take.
    """
    rule = accumulator_named(accumulator)
    default = "fp16" if isinstance(rule, AlignTruncate) else None
    pair = operands if isinstance(operands, tuple) else (operands, operands)
    left = operand_of(a, pair[0] or default, "a", columns=False)
    right = operand_of(b, pair[1] or default, "b", columns=not transpose_b)
    if left.values.shape[1] != right.values.shape[1]:
        raise InputError("have different lengths along the sum", field="a and b",
                         value=(left.values.shape[1], right.values.shape[1]))  # fmt: skip
    shape = (len(left.values), len(right.values))
    addend = _addend(c, shape)
    if left.groups is not None or right.groups is not None:
        return _scaled(_by_group(left, right, rule), left, right) + addend
    if (left.after != 1).any() or (right.after != 1).any():
        return _scaled(_summed(left, right, np.zeros(shape, np.float32), rule), left, right) + addend
    return _summed(left, right, addend, rule)


def _addend(c: ArrayLike | None, shape: tuple[int, int]) -> FloatArray:
    if c is None:
        return np.zeros(shape, np.float32)
    given = to_float32(c, once=False)
    try:
        return np.ascontiguousarray(np.broadcast_to(given, shape))
    except ValueError:
        raise InputError(f"must broadcast to {shape}", field="c", value=given.shape) from None


def _scaled(total: NDArray[Any], left: Operand, right: Operand) -> FloatArray:
    with np.errstate(all="ignore"):
        return total.astype(np.float32) * np.multiply.outer(left.after, right.after)


def _by_group(left: Operand, right: Operand, rule: Accumulator) -> FloatArray:
    """Sums of groups, each with its scales, added in float32."""
    length = left.values.shape[1]
    sizes = {each.form.block for each in (left, right) if each.groups is not None and each.form is not None}
    if len(sizes) != 1:
        raise UnsupportedError(
            "have groups of different sizes along the sum", field="a and b", value=sorted(map(str, sizes))
        )
    size = sizes.pop() or length
    total = np.zeros((len(left.values), len(right.values)), np.float32)
    for index, start in enumerate(range(0, length, size)):
        part = slice(start, start + size)
        scales = [np.ones(len(each.values), np.float32) if each.groups is None else each.groups[:, index]
                  for each in (left, right)]  # fmt: skip
        found = _summed(_cut(left, part), _cut(right, part), np.zeros_like(total), rule).astype(np.float32)
        total = total + found * np.multiply.outer(*scales)
    return total


def _cut(operand: Operand, part: slice) -> Operand:
    exponents = None if operand.exponents is None else np.ascontiguousarray(operand.exponents[:, part])
    values, elements = (np.ascontiguousarray(each[:, part]) for each in (operand.values, operand.elements))
    return Operand(values, elements, exponents, operand.form, operand.after)


def _summed(left: Operand, right: Operand, c: FloatArray, rule: Accumulator) -> NDArray[Any]:
    with np.errstate(all="ignore"):
        if isinstance(rule, Exact):
            return _exact(left.values, right.values, c)
        if isinstance(rule, IntegerSum):
            return _integers(left, right, c, rule)
        if isinstance(rule, AlignTruncate):
            return _aligned(left, right, c, rule)
        if isinstance(rule, GroupTruncate):
            return _grouped(left, right, c, rule)
        return _rounded(left.values, right.values, c, rule)


def _exact(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    if not all(np.isfinite(each).all() for each in (a, b, c)):
        return _with_specials(a, b, c)
    (high_a, low_a), (high_b, low_b) = Factor(a).spread, Factor(b).spread
    if high_a - low_a + high_b - low_b + ceil(log2(max(a.shape[1], 1))) + 1 <= _EXACT_BITS:
        total = a.astype(np.float64) @ b.astype(np.float64).T  # every partial sum is exact, in any order
        return total.astype(np.float32) if not c.any() else _odd_added(total, c)
    from accelsim.numerics.sums import exact_sums

    out = np.empty(c.shape, np.float32)
    exact_sums(a, b, c, out)
    return out


def _odd_added(total: NDArray[np.float64], c: FloatArray) -> FloatArray:
    """total + c rounded once to float32."""
    wide = c.astype(np.float64)
    added = total + wide
    back = added - total
    error = (total - (added - back)) + (wide - back)
    bits = added.view(np.int64)
    outward = (error > 0) == (added > 0)
    odd = np.where((error != 0) & (bits & 1 == 0), np.where(outward, bits + 1, bits - 1), bits)
    return odd.view(np.float64).astype(np.float32)


def _with_specials(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    """Outputs that an infinity or NaN reaches by float64, which cannot overflow on its own; the others exactly."""
    finite = [np.where(np.isfinite(each), each, np.float32(0)) for each in (a, b, c)]
    total = np.empty(c.shape, np.float64)
    for row in range(len(a)):
        total[row] = (a[row].astype(np.float64) * b.astype(np.float64)).sum(axis=1) + c[row]
    return np.where(np.isfinite(total), _exact(*finite), total.astype(np.float32))


def _integers(left: Operand, right: Operand, c: FloatArray, rule: IntegerSum) -> NDArray[np.int64]:
    for name, operand in (("a", left), ("b", right)):
        if not operand.integer:
            raise InputError("holds numbers that are not whole, which an integer accumulator does not take", field=name)
    if not (c == np.rint(c)).all():
        raise InputError("must be whole numbers for an integer accumulator", field="c")
    a, b = left.values.astype(np.float64), right.values.astype(np.float64)
    high = 2 ** (rule.bits - 1) - 1
    bound = np.abs(a).max(initial=0) * np.abs(b).max(initial=0) * a.shape[1] + np.abs(c).max(initial=0)
    if bound > 2.0**62:
        raise UnsupportedError("are larger than 64-bit sums hold", field="a and b", value=float(bound))
    inside = bound < 2.0**_EXACT_BITS
    if rule.overflow == "saturate" and bound > high:
        from accelsim.numerics.sums import integer_sums

        out = np.empty(c.shape, np.int64)
        integer_sums(
            a.astype(np.int64), b.astype(np.int64), c.astype(np.int64), np.int64(-high - 1), np.int64(high), out
        )
        return out
    total = (a @ b.T).astype(np.int64) if inside else a.astype(np.int64) @ b.astype(np.int64).T
    total += c.astype(np.int64)
    if bound <= high or rule.bits == 64:
        return total
    span = np.int64(1) << np.int64(rule.bits)
    return ((total + (span >> 1)) & (span - 1)) - (span >> 1)


def _rounded(a: FloatArray, b: FloatArray, c: FloatArray, rule: Sequential | Chunked) -> FloatArray:
    if isinstance(rule, Sequential) and rule.order != "pairwise":
        return sequential(a, Factor(b), rule, c)
    from accelsim.numerics import sums

    out = np.empty(c.shape, np.float32)
    if isinstance(rule, Chunked):
        sums.chunked_sums(a, b, c, rule.chunk, _rounding_rule(rule.inner), _rounding_rule(rule.outer), out)
    else:
        sums.pairwise_sums(a, b, c, _rounding_rule(rule.format), out)
    return out


def sequential(a: FloatArray, b: Factor, rule: Sequential, c: FloatArray | None = None) -> FloatArray:
    """a (m, k) by rows of ``b`` (n, k), plus ``c``, one addition after the other as ``rule`` says: (m, n) float32.

    Arrays are C-contiguous. Whole numbers so small that no addition rounds are multiplied at once, in any order.
    """
    from accelsim.numerics import sums

    shape = (len(a), len(b.values))
    mantissa_bits, least, largest, away, flush = form = _rounding_rule(rule.format)
    bound = _whole_bound(a, b, c)
    if bound <= min(2.0 ** (mantissa_bits + 1), largest):
        total: FloatArray = np.matmul(a, b.values.T)
        return total + np.float32(0) if c is None else total + c  # no minus zero, as sums from zero have none
    addend = np.zeros(shape, np.float32) if c is None else c
    out, descending = np.empty(shape, np.float32), rule.order == "descending"
    if rule.format == "fp32" and _products_fit(a, b):
        sums.sequential_float32(a, b.transposed, addend, descending, out)
    elif away or flush:
        sums.sequential_sums(a, b.values, addend, descending, form, out)
    elif bound <= _WHOLE and least <= 0:
        sums.sequential_whole(a, b.transposed, addend, descending, 23 - mantissa_bits, np.float32(largest), out)
    else:
        sums.sequential_rows(a, b.transposed, addend, descending, form[:3], out)
    return out


_WHOLE = 2.0**23
"""Up to this magnitude a sum of whole numbers and its rounding error are exact in float32."""


def _whole_bound(a: FloatArray, b: Factor, c: FloatArray | None) -> float:
    """What no partial sum of whole numbers exceeds; infinite where some number is not whole."""
    left, addend = Factor(a), Factor(np.zeros(0, np.float32) if c is None else c)
    if not (left.whole and b.whole and addend.whole):
        return float("inf")
    return float(left.largest * b.largest * a.shape[1] + addend.largest)


def _products_fit(a: FloatArray, b: Factor) -> bool:
    """Whether all products are float32 numbers."""
    left = Factor(a)
    if not (left.finite and b.finite):
        return False
    (high_a, low_a), (high_b, low_b) = left.spread, b.spread
    short = left.significant_bits <= 12 and b.significant_bits <= 12
    return short and low_a + low_b >= -149 and high_a + high_b <= 127


def _rounding_rule(name: str) -> tuple[int, int, float, bool, bool]:
    form = FORMATS[name]
    element = form.element
    assert isinstance(element, Float)
    away = form.rounding == "nearest_away"
    return element.mantissa_bits, element.least_exponent, element.largest, away, not element.subnormals


def _aligned(left: Operand, right: Operand, c: FloatArray, rule: AlignTruncate) -> FloatArray:
    for name, operand in (("a", left), ("b", right)):
        _check_format(operand, rule, name)
    bits = max(element_bits(left)[0], element_bits(right)[0])
    out = np.empty(c.shape, np.float32)
    step = 16 if rule.paired else rule.step(bits)
    kept = 10 if rule.output == "fp16" else rule.output_bits
    if not rule.paired:
        return _steps(left, right, c, rule, step, kept, out)
    length = left.values.shape[1]
    order = [k for start in range(0, length, 32) for pair in _PAIRS
             for k in range(start, min(start + 32, length)) if k % 4 in pair]  # fmt: skip
    picked = np.array(order, dtype=np.int64)
    return _steps(_picked(left, picked), _picked(right, picked), np.zeros_like(c), rule, step, kept, out) + c


def _grouped(left: Operand, right: Operand, c: FloatArray, rule: GroupTruncate) -> FloatArray:
    from accelsim.numerics.align import split
    from accelsim.numerics.grouped import SCALE_BITS, grouped_products

    parts: list[list[NDArray[Any]]] = []
    for name, operand in (("a", left), ("b", right)):
        form = operand.form
        if operand.spread is None or form is None or form.element != FORMATS["fp4_e2m1"].element or not form.block \
                or form.block % rule.group:  # fmt: skip
            raise UnsupportedError(f"is no FP4 in blocks of a multiple of {rule.group}, which {rule.name} takes",
                                   field=name, value="an array" if form is None else form.name,
                                   remedy="quantise it to nvfp4 or mxfp4")  # fmt: skip
        missing = -operand.elements.shape[1] % rule.group
        padded = [np.pad(each, [(0, 0), (0, missing)]) for each in (operand.elements, operand.spread)]
        scales = np.ascontiguousarray(padded[1][:, :: rule.group])
        assert form.scale is not None
        least = form.scale.least_exponent if isinstance(form.scale, Float) else -127
        significands, exponents = split(scales, least)
        significands = np.where(np.isfinite(scales), significands >> (23 - SCALE_BITS), -1)
        parts.append([(2 * padded[0]).astype(np.int32), significands.astype(np.int64), exponents.astype(np.int64)])
    out = np.empty(c.shape, np.float32)
    (a, *a_scales), (b, *b_scales) = parts
    each = (rule.group, rule.step // rule.group, rule.fraction_bits)
    grouped_products(a, b, *a_scales, *b_scales, c, *each, out)
    return out


def _picked(operand: Operand, order: NDArray[np.int64]) -> Operand:
    exponents = None if operand.exponents is None else operand.exponents[:, order]
    return Operand(operand.values[:, order], operand.elements[:, order], exponents, operand.form, operand.after)


def _check_format(operand: Operand, rule: AlignTruncate, name: str) -> None:
    form = operand.form
    assert form is not None
    scaled = operand.values is not operand.elements and operand.exponents is None
    if scaled:
        raise UnsupportedError("has block scales that are no powers of two, which this unit does not take", field=name,
                               value=form.name, remedy="use exact or fp32")  # fmt: skip
    element = form.element
    known = [FORMATS[each].element for each in rule.operands]
    if element not in known:
        raise UnsupportedError(f"has elements that {rule.name} does not take", field=name, value=form.name,
                               remedy=f"it takes {', '.join(rule.operands)}")  # fmt: skip


def _steps(
    left: Operand, right: Operand, c: FloatArray, rule: AlignTruncate, step: int, kept: int, out: FloatArray
) -> FloatArray:
    from accelsim.numerics.align import aligned_products, split

    parts: list[NDArray[Any]] = []
    for operand in (left, right):
        significands, exponents = split(operand.elements, element_bits(operand)[1])
        if operand.exponents is not None:
            exponents = exponents + operand.exponents
        parts += [significands, np.ascontiguousarray(exponents, dtype=np.int32)]
    finite = bool(np.isfinite(left.values).all() and np.isfinite(right.values).all())
    values = [np.ascontiguousarray(each.values) for each in (left, right)]
    aligned_products(
        *values, *map(np.ascontiguousarray, parts), c, finite, step, rule.promote, rule.fraction_bits, kept, out
    )
    return out

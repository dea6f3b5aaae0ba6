"""Matrix products as the arrays sum them: operands in their format, partial sums in the order of the mapping.

Order of one output: each core that holds a share of k adds its products one by one, ascending in k, in the format of
the unit's accumulator; products are exact. Tiles of k continue the sum where the tile before left it: partial sums
leave the array in the accumulator's format, so tiles change nothing. The sums of the cores are then added over the
network in ascending order of k, each addition rounded to the same format. Scales of rows and tensors multiply the
total in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.records import OpMapping
from accelsim.mapping.space import shares
from accelsim.numerics import FORMATS, Float, Format, cast, matmul, quantize
from accelsim.numerics.accumulators import Accumulator, Exact, Sequential, accumulator_named
from accelsim.numerics.operands import operand_of

__all__ = ["Read", "SumOrder", "contract", "elementwise", "narrowed", "read", "sum_order"]

FloatArray = NDArray[np.float32]

_SLACK = np.float32(1 + 2.0**-20)
"""Up to this factor, the difference to the largest number is the rounding of its scale."""


@dataclass(frozen=True, slots=True)
class SumOrder:
    """How a unit sums along k: its accumulator, and the shares of k that cores sum on their own, ascending."""

    accumulator: Accumulator
    shares: tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """An operand as the array reads it.

    Attributes:
        values: (groups, rows, k), or any shape before it is arranged; exact in the sum.
        scales: what multiplies the sums of each row, (groups, rows), or () for all.
        saturated, flushed: numbers beyond the range of the format, and numbers that became zero.
    """

    values: FloatArray
    scales: FloatArray
    saturated: int = 0
    flushed: int = 0


def sum_order(mapped: OpMapping, arch: DigitalArchitecture) -> SumOrder:
    """The order in which a mapped matrix op sums.

    Raises:
        UnsupportedError: an accumulator that is no floating-point format.
    """
    assert mapped.problem is not None
    assert mapped.candidate is not None
    name = arch.unit(mapped.precision, op=mapped.op.name).accumulator
    form = FORMATS[name]
    if form.scale is not None or not isinstance(form.element, Float):
        raise UnsupportedError("is no format that partial sums are added in", file=f"architecture {arch.name}",
                               field=f"array.units.{mapped.precision}.accumulator", value=name,
                               remedy="name a float without scales, such as fp32")  # fmt: skip
    share = int(shares(mapped.problem, mapped.candidate)[3])
    length = mapped.problem.k
    cuts = tuple(slice(start, min(start + share, length)) for start in range(0, length, share))
    return SumOrder(accumulator_named(Sequential(name, name)), cuts)


def elementwise(form: Format) -> bool:
    """Whether a number's place in its tensor has no say in what it becomes, so that it may be rearranged after."""
    return form.shared in ("none", "tensor")


def narrowed(x: NDArray[Any], form: Format, op: str) -> tuple[FloatArray, int, int]:
    """The numbers of ``x`` in a format that is `elementwise`, how many saturated, and how many became zero."""
    got = read(x, form, op)
    with np.errstate(all="ignore"):
        return got.values * got.scales, got.saturated, got.flushed


def read(x: NDArray[Any], form: Format, op: str) -> Read:
    """``x`` quantised to a format: of any shape where that is `elementwise`, else (groups, rows, k) along k.

    Raises:
        InputError: NaN or infinities where the format refuses them.
        UnsupportedError: groups along k whose scales are no exact part of a product.
    """
    given = np.ascontiguousarray(x, dtype=np.float32)
    try:
        values, elements, scales = _read(given, form)
    except UnsupportedError:
        raise
    except InputError as error:
        remedy = "change the inputs, or take a unit whose format has the range: an op before it may have overflowed"
        raise InputError(error.rule, file=f"op {op}", field=form.name, value=error.value, remedy=remedy) from error
    with np.errstate(all="ignore"):
        made = values * (scales[..., np.newaxis] if scales.ndim else scales)
        cut = (np.abs(elements) == np.float32(form.element.largest)) & (np.abs(given) > np.abs(made) * _SLACK)
        # A scale from the least and largest number (minmax) leaves nothing beyond.
        beyond = np.isfinite(given) & (np.isinf(made) | (cut & (form.scale_rule != "minmax")))
    return Read(values, scales, int(beyond.sum()), int(((made == 0) & (given != 0)).sum()))


def _read(given: FloatArray, form: Format) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(values, elements without any scale, scales that multiply sums)."""
    one = np.ones((), np.float32)
    if form.scale is None:
        values = given if form.name == "fp32" else cast(given, form)
        return values, values, one
    if form.shared == "tensor":
        operand = operand_of(quantize(given.reshape(1, -1), form), None, "x", columns=False)
        values = operand.values.reshape(given.shape)
        return values, values, operand.after.reshape(())
    groups, rows, length = given.shape
    operand = operand_of(quantize(given.reshape(-1, length), form, axis=1), None, "x", columns=False)
    if operand.groups is not None:
        remedy = "take a scale a tensor or channel, or one of 8 bits"
        raise UnsupportedError("has scales of groups along k that are no part of exact products", field="precision",
                               value=form.name, remedy=remedy)  # fmt: skip
    parts = operand.values.reshape(given.shape), operand.elements.reshape(given.shape)
    return *parts, operand.after.reshape(groups, rows)


def contract(a: Read, b: Read, order: SumOrder) -> FloatArray:
    """(groups, m, n) float32 from (groups, m, k) and (groups, n, k)."""
    rule = _lossless(a, b, order.accumulator)
    out = np.empty((len(a.values), a.values.shape[1], b.values.shape[1]), np.float32)
    for group in range(len(out)):
        left, right = a.values[group], b.values[group]
        sums = [matmul(np.ascontiguousarray(left[:, part]), np.ascontiguousarray(right[:, part]), accumulator=rule,
                       transpose_b=True) for part in order.shares]  # fmt: skip
        out[group] = sums[0] if len(sums) == 1 else _reduced(sums, rule)
    with np.errstate(all="ignore"):
        return out * _rows(a.scales)[..., :, np.newaxis] * _rows(b.scales)[..., np.newaxis, :]


def _rows(scales: FloatArray) -> FloatArray:
    return scales if scales.ndim else scales.reshape(1, 1)


def _reduced(sums: list[NDArray[Any]], rule: Accumulator) -> NDArray[Any]:
    """Partial sums of cores added in ascending order, by the accumulator's own rule."""
    stacked = np.stack([each.reshape(-1) for each in sums], axis=1).astype(np.float32)
    total = matmul(stacked, np.ones((1, len(sums)), np.float32), accumulator=rule, transpose_b=True)
    return total.reshape(sums[0].shape)


def _lossless(a: Read, b: Read, rule: Accumulator) -> Accumulator:
    """`Exact`, which is fast, where whole numbers are so small that no addition of ``rule`` rounds; else ``rule``."""
    if not isinstance(rule, Sequential):
        return rule
    element = FORMATS[rule.format].element
    assert isinstance(element, Float)
    length = a.values.shape[-1]
    bound = float(np.abs(a.values).max(initial=0)) * float(np.abs(b.values).max(initial=0)) * length
    whole = bound <= min(2.0 ** (element.mantissa_bits + 1), element.largest) and all(
        (each.values == np.rint(each.values)).all() for each in (a, b)
    )
    return Exact() if whole else rule

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

from accelsim.engine.functional.scaling import DYNAMIC, Scaling
from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.records import OpMapping
from accelsim.mapping.space import shares
from accelsim.numerics import FORMATS, Float, Format, cast, matmul
from accelsim.numerics.accumulators import Accumulator, Sequential, accumulator_named
from accelsim.numerics.dot import sequential
from accelsim.numerics.factors import Factor
from accelsim.numerics.operands import operand_of

__all__ = ["Read", "Right", "SumOrder", "contract", "elementwise", "held", "narrowed", "read", "sum_order"]

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


@dataclass(frozen=True, slots=True)
class Right:
    """A right operand that many left ones are multiplied with: by group, the share of each core."""

    scales: FloatArray
    shares: tuple[tuple[Factor, ...], ...]
    order: SumOrder


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


def read(x: NDArray[Any], form: Format, op: str, scaling: Scaling = DYNAMIC) -> Read:
    """``x`` quantised to a format: of any shape where that is `elementwise`, else (groups, rows, k) along k.

    Raises:
        InputError: NaN or infinities where the format refuses them.
        UnsupportedError: groups along k whose scales are no exact part of a product.
    """
    given = np.ascontiguousarray(x, dtype=np.float32)
    try:
        values, elements, scales = _read(given, form, scaling)
    except UnsupportedError:
        raise
    except InputError as error:
        remedy = "change the inputs, or take a unit whose format has the range: an op before it may have overflowed"
        raise InputError(error.rule, file=f"op {op}", field=form.name, value=error.value, remedy=remedy) from error
    with np.errstate(all="ignore"):
        made = values * (scales[..., np.newaxis] if scales.ndim else scales)
        codes = np.abs(elements)
        cut = (codes >= _last_code(form)) & (np.abs(given) > np.abs(made) * _SLACK)
        # A scale from the least and largest number (minmax) leaves nothing beyond.
        ranged = form.scale_rule != "minmax" or scaling.calibration is not None or scaling.quantiser is not None
        beyond = np.isfinite(given) & (np.isinf(made) | (cut & ranged))
    return Read(values, scales, int(beyond.sum()), int(((made == 0) & (given != 0)).sum()))


def _last_code(form: Format) -> np.float32:
    return np.float32(form.element.largest)


def _read(given: FloatArray, form: Format, scaling: Scaling) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(values, elements without any scale, scales that multiply sums)."""
    one = np.ones((), np.float32)
    if form.scale is None:
        values = given if form.name == "fp32" else _cast(given, form)
        return values, values, one
    if form.shared == "tensor":
        operand = operand_of(scaling.quantized(given.reshape(1, -1), form), None, "x", columns=False)
        values = operand.values.reshape(given.shape)
        return values, values, operand.after[:1].reshape(())
    groups, rows, length = given.shape
    operand = operand_of(scaling.quantized(given.reshape(-1, length), form), None, "x", columns=False)
    if operand.groups is not None:
        remedy = "take a scale a tensor or channel, or one of 8 bits"
        raise UnsupportedError("has scales of groups along k that are no part of exact products", field="precision",
                               value=form.name, remedy=remedy)  # fmt: skip
    parts = operand.values.reshape(given.shape), operand.elements.reshape(given.shape)
    return *parts, operand.after.reshape(groups, rows)


def _cast(given: FloatArray, form: Format) -> FloatArray:
    if form != FORMATS["fp16"]:
        return cast(given, form)
    with np.errstate(over="ignore"):  # NumPy's own conversion is the same (to nearest even, infinite beyond) and quick
        return given.astype(np.float16).astype(np.float32)


def held(b: Read, order: SumOrder) -> Right:
    """``b`` (groups, n, k), cut into the shares of cores."""
    shares = tuple(tuple(Factor(np.ascontiguousarray(rows[:, part])) for part in order.shares) for rows in b.values)
    return Right(b.scales, shares, order)


def contract(a: Read, b: Right) -> FloatArray:
    """(groups, m, n) float32 from (groups, m, k) and the held (groups, n, k)."""
    rule = b.order.accumulator
    out = np.empty((len(a.values), a.values.shape[1], len(b.shares[0][0].values)), np.float32)
    with np.errstate(all="ignore"):
        for group, factors in enumerate(b.shares):
            left = a.values[group]
            sums = [_sum(np.ascontiguousarray(left[:, part]), factor, rule)
                    for part, factor in zip(b.order.shares, factors, strict=True)]  # fmt: skip
            out[group] = sums[0] if len(sums) == 1 else _reduced(sums, rule)
        return out * _rows(a.scales)[..., :, np.newaxis] * _rows(b.scales)[..., np.newaxis, :]


def _sum(a: FloatArray, b: Factor, rule: Accumulator) -> NDArray[Any]:
    if isinstance(rule, Sequential):
        return sequential(a, b, rule)
    return matmul(a, b.values, accumulator=rule, transpose_b=True)


def _rows(scales: FloatArray) -> FloatArray:
    return scales if scales.ndim else scales.reshape(1, 1)


def _reduced(sums: list[NDArray[Any]], rule: Accumulator) -> NDArray[Any]:
    """Partial sums of cores added in ascending order, by the accumulator's own rule."""
    stacked = np.stack([each.reshape(-1) for each in sums], axis=1).astype(np.float32)
    total = _sum(stacked, Factor(np.ones((1, len(sums)), np.float32)), rule)
    return total.reshape(sums[0].shape)

"""Numbers into a format: codes and scales."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError
from accelsim.numerics.cast import element_codes, random_of
from accelsim.numerics.elements import Float, Integer, PowerOfTwo, code_dtype
from accelsim.numerics.formats import (
    Format,
    Infinity,
    Nan,
    Overflow,
    Rounding,
    ScaleRule,
    format_of,
    overridden,
)
from accelsim.numerics.layout import Axis, Layout, layout_of, normal_axes
from accelsim.numerics.packing import packed, packed_size
from accelsim.numerics.rounding import (
    ROWS,
    RandomBits,
    encoded,
    is_narrow,
    limits,
    nearest_even_codes,
    rounded_magnitudes,
    to_float32,
)
from accelsim.numerics.scales import Scales, choose_scales, stored_scales, tensor_scale_of
from accelsim.numerics.tensor import Engine, QuantizedTensor, compiles

__all__ = ["quantize"]

FloatArray = NDArray[np.float32]

_INFINITE = np.uint32(0x7F800000)
_MAGNITUDE = np.uint32(0x7FFFFFFF)


class _Given(NamedTuple):
    """What the caller has calibrated."""

    tensor_scale: float | None
    scale: ArrayLike | None
    zero_point: ArrayLike | None


def quantize(
    x: ArrayLike,
    format: str | Format,
    *,
    axis: Axis = -1,
    block: int | None = None,
    scale_rule: ScaleRule | None = None,
    rounding: Rounding | None = None,
    overflow: Overflow | None = None,
    nan: Nan | None = None,
    infinity: Infinity | None = None,
    scale_floor: float | None = None,
    random_bits: ArrayLike | None = None,
    random_width: int | None = None,
    tensor_scale: float | None = None,
    scale: ArrayLike | None = None,
    zero_point: ArrayLike | None = None,
    engine: Engine = "auto",
) -> QuantizedTensor:
    """``x`` in a format: codes, scales, and what they stand for.

    Args:
        x: real numbers of any shape. Arithmetic is that of float32; wider numbers are rounded once where scales are
            powers of two, and otherwise to the nearest float32 first.
        format: a name such as mxfp4, a composition such as e2m1/ue5m3@16, or a record.
        axis: the axis along which blocks lie; for one scale a channel the axis or axes that share it. A last block that
            is not whole has the scale of what it holds.
        block, scale_rule, rounding, overflow, nan, infinity, scale_floor: in place of the format's own; see `Format`.
        random_bits, random_width: as in `cast`.
        tensor_scale: a calibrated scale of the whole tensor in place of one from ``x``.
        scale: calibrated scales in place of those from ``x``, of the shape of the result's ``scales``.
        zero_point: integers that zero becomes, likewise, with ``scale``.
        engine: numpy, the reference; numba, compiled where there is compiled code; auto, by size. Results are equal.

    Raises:
        InputError: numbers that the policies of the format refuse, or settings that contradict each other.
    """
    form = format_of(format)
    form = overridden(form, {
        "block": block, "scale_rule": scale_rule, "rounding": rounding, "overflow": overflow, "nan": nan,
        "infinity": infinity, "scale_floor": scale_floor,
    })  # fmt: skip
    if form.quirks:
        raise InputError("has quirks of a program, which have no codes", field="format", value=form.name,
                         remedy="use numerics.library_values")  # fmt: skip
    given = _Given(tensor_scale, scale, zero_point)
    return _made(x, form, axis, (random_bits, random_width), given, engine)


def _made(
    x: ArrayLike, form: Format, axis: Axis, random: tuple[ArrayLike | None, int | None], given: _Given, engine: Engine
) -> QuantizedTensor:
    """`quantize` to a record, by the loop or the reference as the engine and the settings allow."""
    values = to_float32(x, once=form.exact_scale or form.scale is None)
    limits(form.element, form.overflow, form.rounding)
    layout = layout_of(values.shape, form, axis)
    axes = () if form.shared in ("none", "tensor") else normal_axes(axis, values.ndim)
    fast = compiles(engine, values.size)
    if form.scale is None:
        codes = element_codes(x, form, *random)
        return QuantizedTensor(form, values.shape, axes, packed(codes, form.element), np.empty(0, np.uint8))
    drawn = random_of(*random, values.shape, form)
    if fast and drawn is None and all(each is None for each in given):
        made = _compiled(values, form, layout, axes)
        if made is not None:
            return made
    return _quantized(values, form, layout, axes, drawn, given)


def _compiled(values: FloatArray, form: Format, layout: Layout, axes: tuple[int, ...]) -> QuantizedTensor | None:
    """By the compiled loop; None where there is none for the format, or a number is not finite."""
    element, scale = form.element, form.scale
    plain = isinstance(element, Float) and is_narrow(element) and isinstance(scale, PowerOfTwo) and scale.bits == 8
    simple = form.rounding == "nearest_even" and form.overflow == "saturate" and form.zero_sign == "kept"
    if not (plain and simple and layout.direct and element.bits in (4, 8) and not layout.width % 2):
        return None
    assert isinstance(element, Float)
    from accelsim.numerics.kernels import RULES, quantize_blocks

    scales = np.empty(values.size // layout.width, np.uint8)
    data = np.empty(packed_size(values.size, element.bits), np.uint8)
    finite = quantize_blocks(
        values.reshape(-1), layout.width, RULES[form.scale_rule], element.emax, element.significand_bits,
        np.float32(element.largest), np.float32(2.0**element.least_exponent).view(np.uint32),
        np.uint32(element.magnitude_mask + 1), element.bits == 4, scales, data,
    )  # fmt: skip
    return QuantizedTensor(form, values.shape, axes, data, layout.to_grid(scales)) if finite else None


def _quantized(
    values: FloatArray,
    form: Format,
    layout: Layout,
    axes: tuple[int, ...],
    drawn: RandomBits | None,
    given: _Given,
) -> QuantizedTensor:
    """The reference: what every step does to whole arrays."""
    rows = layout.split(values)
    rows, low, high, finite = _extremes(rows, form)
    tensor_scale = _tensor_scale(low, high, form, given)
    if given.scale is None:
        scales = choose_scales(low, high, tensor_scale, form)
    else:
        scales = _given_scales(layout, form, tensor_scale, given)
    random_rows = None if drawn is None else (layout.split(drawn[0]), drawn[1])
    codes = _codes(rows, scales, form, random_rows, finite)
    zeros = None if scales.zero_point is None else layout.to_grid(scales.zero_point)
    data = packed(codes if layout.direct else layout.join(codes), form.element)
    return QuantizedTensor(form, values.shape, axes, data, layout.to_grid(scales.codes), tensor_scale, zeros)


def _extremes(rows: FloatArray, form: Format) -> tuple[FloatArray, FloatArray, FloatArray, bool]:
    """Rows, the least and the largest number of each (NaN where it is to be NaN), and whether all numbers are finite.

    Without zero points the largest magnitude stands for both.
    """
    magnitudes = _largest_magnitudes(rows)
    if not (magnitudes >= _INFINITE).any():
        if form.scale_rule == "minmax":
            return rows, rows.min(axis=1, initial=0), rows.max(axis=1, initial=0), True
        amax = magnitudes.view(np.float32)
        return rows, amax, amax, True
    rows = _screened(rows, form)
    finite = np.where(np.isfinite(rows), rows, np.float32(0))
    low, high = finite.min(axis=1, initial=0), finite.max(axis=1, initial=0)
    infinite, nan = np.isinf(rows).any(axis=1), np.isnan(rows).any(axis=1)
    if form.infinity == "overflow":
        high = np.where(infinite, np.float32(np.inf), high)
    spoiled = (nan if form.nan == "block" else False) | (infinite if form.infinity == "block_nan" else False)
    if np.any(spoiled):
        if isinstance(form.scale, Float) and form.scale.nan_code is None:
            raise InputError(f"holds NaN or infinities, which a scale of {form.name} does not", field="x",
                             remedy='set nan="zero" and infinity="ignore"')  # fmt: skip
        low, high = (np.where(spoiled, np.float32(np.nan), each) for each in (low, high))
    return rows, low, high, False


def _largest_magnitudes(rows: FloatArray) -> NDArray[np.uint32]:
    """Largest pattern without sign of each row; NaN is above infinity, infinity above all numbers."""
    bits = rows.view(np.uint32)
    result = np.empty(len(rows), np.uint32)
    step = max(1, ROWS // rows.shape[1])
    for start in range(0, len(rows), step):
        result[start : start + step] = (bits[start : start + step] & _MAGNITUDE).max(axis=1, initial=0)
    return result


def _screened(rows: FloatArray, form: Format) -> FloatArray:
    """Refuse or replace NaN and infinity as the format says."""
    nan, infinite = np.isnan(rows), np.isinf(rows)
    if nan.any():
        stays = form.nan == "element" and isinstance(form.element, Float) and form.element.nan_code is not None
        if form.nan == "zero":
            rows = np.where(nan, np.float32(0), rows)
        elif form.nan == "refuse" or (form.nan == "element" and not stays):
            raise InputError(
                f"holds NaN, which {form.name} does not", field="x", remedy='set nan="zero" or nan="block"'
            )
    if infinite.any() and form.infinity == "refuse":
        raise InputError(f"holds infinities, which {form.name} does not", field="x",
                         remedy='set infinity="ignore", and they saturate')  # fmt: skip
    return rows


def _tensor_scale(low: FloatArray, high: FloatArray, form: Format, given: _Given) -> np.float32:
    if given.tensor_scale is not None:
        value = np.float32(given.tensor_scale)
        if form.tensor_scale == "none" or not (np.isfinite(value) and value > 0):
            rule = "must be positive" if form.tensor_scale != "none" else f"is not something that {form.name} has"
            raise InputError(rule, field="tensor_scale", value=given.tensor_scale)
        return value
    largest = np.fmax(np.abs(low), np.abs(high)).max(initial=0)
    finite = np.abs(high[np.isfinite(high)]).max(initial=0) if not np.isfinite(largest) else largest
    return tensor_scale_of(np.float32(finite), form)


def _given_scales(layout: Layout, form: Format, tensor_scale: np.float32, given: _Given) -> Scales:
    if form.exact_scale:
        raise InputError(
            "is chosen by a rule of powers of two", field="scale", remedy="give a format with another scale"
        )
    assert given.scale is not None
    wanted = layout.from_grid(np.asarray(given.scale, dtype=np.float32))
    if not (np.isfinite(wanted) & (wanted > 0)).all():
        raise InputError("must be positive", field="scale")
    zero = None if given.zero_point is None else layout.from_grid(np.asarray(given.zero_point, dtype=np.int32))
    if zero is not None and not isinstance(form.element, Integer):
        raise InputError("needs integer elements", field="zero_point")
    return stored_scales(wanted, tensor_scale, form, zero)


def _codes(rows: FloatArray, scales: Scales, form: Format, drawn: RandomBits | None, finite: bool) -> NDArray[Any]:
    """Codes of rows divided by their scales, (n, width)."""
    element = form.element
    codes = np.empty(rows.shape, code_dtype(element))
    step = max(1, ROWS // rows.shape[1])
    quick = form.rounding == "nearest_even" and form.overflow == "saturate" and is_narrow(element)
    quick = quick and finite
    with np.errstate(all="ignore"):
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            some = None if drawn is None else (drawn[0][part], drawn[1])
            codes[part] = _part_codes(rows[part], _part_of(scales, part), form, quick, some)
    if form.zero_sign == "positive" and isinstance(element, Float) and element.signed:
        codes[(codes & element.magnitude_mask) == 0] = 0
    return codes


def _part_of(scales: Scales, part: slice) -> Scales:
    def cut(array: NDArray[Any] | None) -> NDArray[Any] | None:
        return None if array is None else array[part, np.newaxis]

    return Scales(scales.codes[part], scales.exponent[part, np.newaxis], scales.multiplier[part, np.newaxis],
                  cut(scales.divisor), cut(scales.factor), cut(scales.zero_point))  # fmt: skip


def _part_codes(rows: FloatArray, scales: Scales, form: Format, quick: bool, drawn: RandomBits | None) -> NDArray[Any]:
    element = form.element
    if form.exact_scale:
        if quick:
            return nearest_even_codes(rows * np.ldexp(np.float32(1), -scales.exponent).astype(np.float32), element)
        return encoded(rows, scales.exponent, element, form.rounding, form.overflow, drawn)
    if scales.divisor is not None:
        quotient = np.where(scales.divisor == 0, np.copysign(np.float32(0), rows), rows / scales.divisor)
    else:
        assert scales.factor is not None
        quotient = rows * scales.factor
    if isinstance(element, Integer) and scales.zero_point is not None:
        return _shifted_codes(quotient, scales.zero_point, element, form, drawn)
    if quick and np.isfinite(quotient).all():
        return nearest_even_codes(quotient, element)
    return encoded(quotient, np.zeros((), np.int32), element, form.rounding, form.overflow, drawn)


def _shifted_codes(
    quotient: FloatArray, zero_point: NDArray[np.int32], element: Integer, form: Format, drawn: RandomBits | None
) -> NDArray[Any]:
    """Rounded, moved by the zero point, then limited."""
    zero_shift = np.zeros((), np.int32)
    bits = np.ascontiguousarray(quotient).view(np.uint32)
    whole = rounded_magnitudes(bits, zero_shift, Integer(element.bits), form.rounding, drawn).astype(np.int64)
    np.negative(whole, out=whole, where=quotient < 0)
    whole += zero_point
    return whole.clip(element.lowest_code, element.largest_code)

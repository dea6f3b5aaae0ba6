"""How a scale is chosen from the numbers that share it.

To a power of two, with amax the largest magnitude, emax the exponent of the largest element and vmax that element:

- ``floor``: floor(log2 amax) - emax (OCP Microscaling Formats Specification 1.0, 6.3)
- ``ceil``: ceil(log2 amax) - emax
- ``even``: as floor, after half a unit of the element's last mantissa place is added to amax
- ``rceil``: ceil(log2(amax / vmax)), the division in float32

Exponents come from the bits of amax. They are clamped to what the scale holds; all zeros have its smallest code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.elements import Float, Integer, PowerOfTwo
from accelsim.numerics.formats import Format
from accelsim.numerics.rounding import decoded, encoded

__all__ = ["Scales", "ceil_exponent", "choose_scales", "floor_exponent", "scale_exponents", "tensor_scale_of"]

_SMALLEST_INTEGER_SCALE = np.finfo(np.float32).tiny
"""All zeros must not divide by zero."""
_MOST = np.float32(1e10)
_NO_EXPONENT = -(1 << 20)
_INFINITE = np.uint32(0x7F800000)


@dataclass(frozen=True, slots=True)
class Scales:
    """Scales of blocks, in the order of blocks.

    Attributes:
        codes: as stored; float32 where the scale is FP32.
        exponent: log2 of the scale where it is a power of two, else 0.
        divisor, factor: x / divisor (or x * factor where ``divisor`` is None) is the element before it is rounded.
        multiplier: element * multiplier is the result.
        zero_point: integer that zero becomes; None where it is 0.
        nan: blocks that are NaN as a whole.
    """

    codes: NDArray[Any]
    exponent: NDArray[np.int32]
    multiplier: NDArray[np.float32]
    divisor: NDArray[np.float32] | None = None
    factor: NDArray[np.float32] | None = None
    zero_point: NDArray[np.int32] | None = None


def floor_exponent(bits: NDArray[np.uint32]) -> NDArray[np.int32]:
    """floor(log2 x) of positive float32 patterns; 128 for infinity, far below all for zero."""
    tiny = bits < np.uint32(1 << 23)
    with np.errstate(over="ignore", invalid="ignore"):
        normal = (bits.view(np.float32) * np.float32(2.0**24)).view(np.uint32)
    exponent = (np.where(tiny, normal, bits) >> np.uint32(23)).astype(np.int32) - np.where(tiny, 127 + 24, 127)
    return np.where(bits == 0, np.int32(_NO_EXPONENT), exponent).astype(np.int32)


def ceil_exponent(bits: NDArray[np.uint32]) -> NDArray[np.int32]:
    """ceil(log2 x) of positive float32 patterns: one above the floor unless x is a power of two."""
    tiny = bits < np.uint32(1 << 23)
    with np.errstate(over="ignore", invalid="ignore"):
        normal = (bits.view(np.float32) * np.float32(2.0**24)).view(np.uint32)
    fraction = np.where(tiny, normal, bits) & np.uint32(0x7FFFFF)
    exponent = floor_exponent(bits)
    exponent += (fraction != 0) & (bits < _INFINITE)
    return exponent


def scale_exponents(amax: NDArray[np.float32], form: Format) -> NDArray[np.int32]:
    """Exponents of power-of-two scales, not yet clamped to what the scale holds."""
    element = form.element
    bits = np.ascontiguousarray(amax).view(np.uint32)
    if form.scale_rule == "floor":
        return floor_exponent(bits) - np.int32(element.emax)
    if form.scale_rule == "ceil":
        return ceil_exponent(bits) - np.int32(element.emax)
    if form.scale_rule == "even":
        half = np.uint32(1 << (22 - element.significand_bits)) if element.significand_bits < 23 else np.uint32(0)
        return floor_exponent(np.where(bits < _INFINITE, bits + half, bits)) - np.int32(element.emax)
    quotient = np.ascontiguousarray(amax / np.float32(element.largest))
    return ceil_exponent(quotient.view(np.uint32))


def tensor_scale_of(amax: np.float32, form: Format) -> np.float32:
    """The float32 scale of the whole tensor: largest magnitude / (largest scale x largest element), 1 for zeros."""
    one = np.float32(1)
    if form.tensor_scale == "none" or amax == 0 or not np.isfinite(amax):
        return one
    assert isinstance(form.scale, Float)
    span = np.float32(form.scale.largest * form.element.largest)
    if form.tensor_scale == "amax_bounded":
        gain = span / amax
        return one / gain if one <= gain <= _MOST else one
    scale = amax / span
    return scale if scale > 0 else np.finfo(np.float32).smallest_subnormal


def choose_scales(
    low: NDArray[np.float32], high: NDArray[np.float32], tensor_scale: np.float32, form: Format
) -> Scales:
    """Scales of blocks whose numbers lie between ``low`` and ``high``, (n,) each. NaN in ``high`` makes a NaN scale."""
    with np.errstate(all="ignore"):
        if form.scale_rule == "minmax":
            return _asymmetric(low, high, form)
        amax = np.maximum(np.abs(low), np.abs(high))
        if form.exact_scale:
            return _powers(amax, form)
        return _quotients(amax, tensor_scale, form)


def _powers(amax: NDArray[np.float32], form: Format) -> Scales:
    exponent = scale_exponents(amax, form)
    nan = np.isnan(amax)
    if isinstance(form.scale, PowerOfTwo):
        bias = form.scale.bias
        exponent = np.where(nan, 0, np.clip(exponent, -bias, bias)).astype(np.int32)
        codes = np.where(nan, form.scale.nan_code, exponent + bias)
        codes = codes.astype(np.uint8 if form.scale.bits <= 8 else np.uint16)
    else:  # a power of two in a floating-point scale, as far as it holds it
        assert form.scale is not None
        power = np.ldexp(np.float32(1), np.clip(exponent, -149, 127)).astype(np.float32)
        codes = encoded(np.where(nan, np.float32(np.nan), power), np.int32(0), form.scale, "nearest_even", "saturate")  # type: ignore[arg-type]
        exponent = floor_exponent(decoded(codes, form.scale).view(np.uint32))
    multiplier = np.where(nan, np.float32(np.nan), np.ldexp(np.float32(1), exponent)).astype(np.float32)
    return Scales(codes, exponent, multiplier)


def _quotients(amax: NDArray[np.float32], tensor_scale: np.float32, form: Format) -> Scales:
    assert isinstance(form.scale, Float)
    largest = np.float32(form.element.largest)
    wanted = amax * (np.float32(1) / largest) if form.scale_rule == "amax_reciprocal" else amax / largest
    wanted = wanted / tensor_scale
    if form.scale_floor:
        wanted = np.maximum(wanted, np.float32(form.scale_floor))
    elif isinstance(form.element, Integer) and form.scale.bits == 32:
        wanted = np.maximum(wanted, _SMALLEST_INTEGER_SCALE)
    return stored_scales(wanted, tensor_scale, form)


def stored_scales(
    wanted: NDArray[np.float32], tensor_scale: np.float32, form: Format, zero_point: NDArray[np.int32] | None = None
) -> Scales:
    """The scales ``wanted``, (n,), rounded to what the format stores, and how elements are divided by them."""
    scale = form.scale
    assert isinstance(scale, Float)
    codes = encoded(np.ascontiguousarray(wanted), np.int32(0), scale, "nearest_even", "saturate")  # type: ignore[arg-type]
    values = np.where(np.isnan(wanted), np.float32(np.nan), decoded(codes, scale))
    one, exponent = np.float32(1), np.zeros(values.shape, np.int32)
    with np.errstate(all="ignore"):
        multiplier = values * tensor_scale
        stored = values if scale.bits == 32 else codes
        if form.quotient == "divide":
            return Scales(stored, exponent, multiplier, divisor=multiplier, zero_point=zero_point)
        product = form.quotient == "reciprocal_of_product"
        factor = one / multiplier if product else (one / tensor_scale) / values
        factor = np.where(np.isinf(factor), np.finfo(np.float32).max, factor).astype(np.float32)
        return Scales(stored, exponent, multiplier, factor=factor, zero_point=zero_point)


def _asymmetric(low: NDArray[np.float32], high: NDArray[np.float32], form: Format) -> Scales:
    """Zero is always in the range, and has a code of its own."""
    element = form.element
    assert isinstance(element, Integer)
    low, high = np.minimum(low, np.float32(0)), np.maximum(high, np.float32(0))
    wanted = (high - low) / np.float32(element.largest_code - element.lowest_code)
    wanted = np.maximum(wanted, _SMALLEST_INTEGER_SCALE)
    values = stored_scales(wanted, np.float32(1), form).multiplier
    zero = element.lowest_code - np.rint(low / values)
    zero = np.clip(np.nan_to_num(zero), element.lowest_code, element.largest_code).astype(np.int32)
    return stored_scales(wanted, np.float32(1), form, zero)

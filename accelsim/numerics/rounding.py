"""Rounding float32 numbers to the codes of an element type, by their bits: the readable reference, in NumPy.

With significand s and exponent e of x / 2^shift, |x| / 2^shift = s 2^(e - 23), and an element that keeps the place q,
the magnitude is (s + addend) >> drop with drop = q - (e - 23); the rounding mode chooses the addend. A carry runs
into the exponent by itself, since the codes of positive floats are ordered as their values are.

`accelsim.numerics.kernels` computes the same, compiled; tests hold the two equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.numerics.elements import Element, Float, Integer, code_dtype, code_values
from accelsim.numerics.formats import Overflow, Rounding

__all__ = [
    "ROWS",
    "RandomBits",
    "decoded",
    "encoded",
    "is_narrow",
    "limits",
    "nearest_even_codes",
    "places",
    "rounded_magnitudes",
    "to_float32",
]

RandomBits = tuple[NDArray[np.unsignedinteger[Any]], int]
"""Random integers, one an element, and how many bits they have."""

ROWS = 1 << 16
"""Elements that NumPy takes at a time, so that they stay in cache."""

_MANTISSA = 23
_BIAS = 127
_MOST_DROPPED = 25
"""A significand has 24 bits: dropping more than 25 rounds like dropping 25."""
_FAR = 512
"""An exponent above all: places of integers are fixed below it."""


def places(element: Element) -> tuple[int, int, int]:
    """(mantissa bits, exponent below which the last place is fixed, most binades): at exponent e the last place is
    2^(max(e, fixed) - mantissa bits). For an integer that is 2^-fraction_bits everywhere."""  # fmt: skip
    if isinstance(element, Float):
        return element.mantissa_bits, element.least_exponent, (1 << element.exponent_bits) + 1
    return _FAR + element.fraction_bits, _FAR, 0


def limits(element: Element, overflow: Overflow, rounding: Rounding) -> tuple[int, int, int, int]:
    """Magnitude codes: (largest positive, largest negative, what overflow of + becomes, what overflow of - becomes).

    Raises:
        InputError: the element has no code for such an overflow.
    """
    if isinstance(element, Integer):
        if overflow != "saturate":
            raise InputError("needs a code that integers do not have", field="overflow", value=overflow,
                             remedy="use saturate")  # fmt: skip
        return (element.largest_code, -element.lowest_code) * 2
    largest = element.largest_code
    negative = largest if element.signed else 0
    if overflow == "saturate":
        return largest, negative, largest, negative
    code = element.infinity_code if overflow == "infinity" else element.nan_code
    if code is None:
        raise InputError(f"needs a code that {element.name} does not have", field="overflow", value=overflow,
                         remedy="use saturate")  # fmt: skip
    # Rounding towards a finite number stops at the largest one (IEEE 754, 7.4).
    above = largest if rounding in ("toward_zero", "down") else code
    below = largest if rounding in ("toward_zero", "up") else code
    return largest, negative, above, below


def rounded_magnitudes(
    bits: NDArray[np.uint32],
    shift: NDArray[np.int32],
    element: Element,
    rounding: Rounding,
    random_bits: RandomBits | None = None,
) -> NDArray[np.uint32]:
    """Magnitude codes of numbers / 2^shift without upper limit: the code above is the next place, in any binade.

    Args:
        bits: float32 patterns, any shape. Those of infinity and NaN round to something large.
        shift: broadcastable to ``bits``.
    """
    mantissa_bits, fixed, most = places(element)
    magnitude = bits & np.uint32(0x7FFFFFFF)
    tiny = magnitude < np.uint32(1 << _MANTISSA)
    if tiny.any():  # float32 subnormals: normalised, and shifted back
        with np.errstate(over="ignore", invalid="ignore"):
            normal = (magnitude.view(np.float32) * np.float32(2.0**24)).view(np.uint32)
        magnitude, shift = np.where(tiny, normal, magnitude), shift + np.where(tiny, np.int32(24), np.int32(0))
    exponent = (magnitude >> np.uint32(_MANTISSA)).astype(np.int32) - np.int32(_BIAS) - shift
    significand = magnitude & np.uint32((1 << _MANTISSA) - 1)
    np.bitwise_or(significand, np.uint32(1 << _MANTISSA), out=significand, where=magnitude != 0)
    place = np.maximum(exponent, np.int32(fixed))
    drop = place - exponent + np.int32(_MANTISSA - mantissa_bits)
    binade = np.minimum(place - np.int32(fixed), np.int32(most)).astype(np.uint32)
    if rounding == "stochastic":
        kept = _stochastic(significand, drop, random_bits)
    else:
        places_dropped = np.clip(drop, 0, _MOST_DROPPED).astype(np.uint32)
        kept = (significand + _addend(significand, places_dropped, rounding, bits)) >> places_dropped
    kept += binade << np.uint32(mantissa_bits if isinstance(element, Float) else 0)
    return kept


def _addend(
    significand: NDArray[np.uint32], drop: NDArray[np.uint32], rounding: Rounding, bits: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    one = np.uint32(1)
    if rounding == "toward_zero":
        return np.zeros_like(drop)
    if rounding == "nearest_away":
        return (one << drop) >> one
    if rounding == "nearest_even":
        odd = (significand >> drop) & one
        return np.where(drop > 0, ((one << drop) >> one) - one + odd, np.uint32(0))
    outward = (bits >> np.uint32(31)) == (1 if rounding == "down" else 0)
    return np.where(outward, (one << drop) - one, np.uint32(0))


def _stochastic(
    significand: NDArray[np.uint32], drop: NDArray[np.int32], random_bits: RandomBits | None
) -> NDArray[np.uint32]:
    """Away from zero where the fraction that is dropped + random bits 2^-width >= 1."""
    if random_bits is None:
        raise InputError("needs random bits", field="rounding", value="stochastic",
                         remedy="give random_bits, unsigned integers of the shape of x")  # fmt: skip
    drawn, width = random_bits
    places_dropped = np.clip(drop, 0, 62).astype(np.uint64)
    wide, digits = drawn.astype(np.uint64), np.uint64(width)
    left = np.where(places_dropped > digits, places_dropped - digits, np.uint64(0))
    right = np.where(places_dropped > digits, np.uint64(0), digits - places_dropped)
    return ((significand.astype(np.uint64) + ((wide << left) >> right)) >> places_dropped).astype(np.uint32)


def encoded(
    x: NDArray[np.float32],
    shift: NDArray[np.int32],
    element: Element,
    rounding: Rounding,
    overflow: Overflow,
    random_bits: RandomBits | None = None,
) -> NDArray[Any]:
    """Codes of ``x`` / 2^shift, of the shape of ``x``; a NaN becomes the NaN code, or zero where there is none."""
    bits = x.view(np.uint32)
    magnitude = rounded_magnitudes(bits, shift, element, rounding, random_bits)
    if isinstance(element, Float) and not element.subnormals:
        magnitude[magnitude < (1 << element.mantissa_bits)] = 0
    largest, lowest, above, below = (np.uint32(each) for each in limits(element, overflow, rounding))
    negative = bits > np.uint32(0x7FFFFFFF)
    over = magnitude > np.where(negative, lowest, largest)
    magnitude = np.where(over, np.where(negative, below, above), magnitude)
    unusual = (bits & np.uint32(0x7FFFFFFF)) >= np.uint32(0x7F800000)
    if unusual.any():
        magnitude = _with_specials(magnitude, bits, element, overflow)
    return _signed(magnitude, negative, element)


def is_narrow(element: Element) -> bool:
    """Whether `nearest_even_codes` takes the element: few bits, far from the ends of float32."""
    if isinstance(element, Integer):
        return True
    plain = element.signed and element.subnormals and element.specials != "fnuz" and element.bits <= 8
    return plain and element.emax + _MANTISSA - element.mantissa_bits <= _BIAS and element.least_exponent > -_BIAS


def nearest_even_codes(scaled: NDArray[np.float32], element: Element) -> NDArray[Any]:
    """`encoded` of finite numbers to a narrow element, to nearest even and saturating, by float32 addition.

    The sum of x and a number whose last place is that of the element is x rounded to that place, by IEEE 754.
    """
    if isinstance(element, Integer):
        whole = np.rint(scaled * np.float32(2.0**element.fraction_bits) if element.fraction_bits else scaled)
        return np.clip(whole, element.lowest_code, element.largest_code).astype(code_dtype(element))
    shift = _MANTISSA - element.mantissa_bits
    fixed = np.float32(2.0**element.least_exponent).view(np.uint32)
    magnitude = np.abs(scaled)
    np.minimum(magnitude, np.float32(element.largest), out=magnitude)
    binade = magnitude.view(np.uint32) & np.uint32(0x7F800000)
    np.maximum(binade, fixed, out=binade)
    anchor = binade + np.uint32(shift << _MANTISSA)
    magnitude += anchor.view(np.float32)
    code = magnitude.view(np.uint32)
    code -= anchor
    binade -= fixed
    binade >>= np.uint32(shift)
    code += binade
    sign = scaled.view(np.uint32) >> np.uint32(31)
    sign <<= np.uint32(element.bits - 1)
    code |= sign
    return code.astype(np.uint8)


def _with_specials(
    magnitude: NDArray[np.uint32], bits: NDArray[np.uint32], element: Element, overflow: Overflow
) -> NDArray[np.uint32]:
    plain = bits & np.uint32(0x7FFFFFFF)
    infinite, nan = plain == np.uint32(0x7F800000), plain > np.uint32(0x7F800000)
    code = limits(element, overflow, "nearest_even")[2]
    if overflow != "saturate":
        magnitude = np.where(infinite, np.uint32(code), magnitude)
    found = element.nan_code if isinstance(element, Float) else None
    return np.where(nan, np.uint32(found or 0), magnitude)


def _signed(magnitude: NDArray[np.uint32], negative: NDArray[np.bool_], element: Element) -> NDArray[Any]:
    dtype = code_dtype(element)
    if isinstance(element, Integer):
        return np.where(negative, -magnitude.astype(np.int32), magnitude.astype(np.int32)).astype(dtype)
    if not element.signed:
        return np.where(negative, np.uint32(0), magnitude).astype(dtype)
    sign = np.uint32(element.magnitude_mask + 1)
    if element.specials == "fnuz":  # minus zero is NaN
        negative = negative & (magnitude != 0)
    return (magnitude | np.where(negative, sign, np.uint32(0))).astype(dtype)


def decoded(codes: NDArray[Any], element: Element) -> NDArray[np.float32]:
    """Values of codes, of their shape."""
    if isinstance(element, Integer):
        values: NDArray[np.float32] = codes.astype(np.float32)
        values *= np.float32(2.0**-element.fraction_bits)
    elif element.bits <= 16:
        values = code_values(element)[codes]
    else:  # fp32 and tf32: the top bits of a float32
        values = (codes.astype(np.uint32) << np.uint32(_MANTISSA - element.mantissa_bits)).view(np.float32)
    return values


def to_float32(x: Any, *, once: bool = True) -> NDArray[np.float32]:
    """``x`` as C-contiguous float32 in native byte order.

    Numbers that float32 does not hold are rounded to the nearest; with ``once`` to odd, so that rounding them again to
    an element of 21 mantissa bits or fewer gives what rounding once does.

    Raises:
        InputError: no array of real numbers.
    """
    array = np.asarray(x)
    if array.dtype.kind == "f" and array.dtype.itemsize <= 4:
        return np.ascontiguousarray(array, dtype=np.float32).reshape(array.shape)
    if array.dtype.kind in "fiu":
        with np.errstate(over="ignore"):
            return _rounded_to_odd(array.astype(np.float64)) if once else array.astype(np.float32, order="C")
    if array.dtype.kind == "V" and array.dtype.name.startswith(("bfloat", "float")):  # types of ml_dtypes
        return array.astype(np.float32)
    raise InputError("must hold real numbers", field="x", value=array.dtype.name)


def _rounded_to_odd(wide: NDArray[np.float64]) -> NDArray[np.float32]:
    with np.errstate(over="ignore", invalid="ignore"):
        near = wide.astype(np.float32)
        inexact = np.isfinite(wide) & (near.astype(np.float64) != wide)
    if not inexact.any():
        return near
    beyond = np.abs(near.astype(np.float64)) > np.abs(wide)
    bits = np.where(beyond, np.nextafter(near, np.float32(0)), near).view(np.uint32)
    return np.where(inexact, bits | np.uint32(1), bits).view(np.float32)

"""What public programs make of MX formats: their documented choices, and, only when asked for, their quirks.

A library's choices are policies of a `Format`. Its quirks are where it departs from every rule it states, mostly from
float32 arithmetic on the way; they are reproduced value by value. Programs and versions: validation/numerics.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.numerics.elements import Float, Integer
from accelsim.numerics.formats import FORMATS, Format, Rounding, ScaleRule, overridden
from accelsim.numerics.layout import layout_of
from accelsim.numerics.quantize import quantize
from accelsim.numerics.rounding import to_float32
from accelsim.numerics.scales import floor_exponent

__all__ = ["LIBRARIES", "Library", "disagreement_table", "library_format", "library_values"]

FloatArray = NDArray[np.float32]
_Quirky = Callable[[FloatArray, Format], FloatArray]
_F = np.float32


@dataclass(frozen=True, slots=True)
class Library:
    """One program.

    Attributes:
        name: as `library_format` takes it.
        program: its name and version.
        policies: fields of a format that it sets.
        choices: what those mean, for people.
        quirks: what it does beyond, for people; empty where its choices say all.
        values: rows of blocks to the values that it returns, quirks included; None where there are none.
    """

    name: str
    program: str
    policies: Mapping[str, Any]
    choices: str
    quirks: str = ""
    values: _Quirky | None = None


def library_format(library: str, format: str) -> Format:
    """The MX format ``format`` with the choices of a library.

    Raises:
        UnknownNameError: an unknown library or format.
    """
    if library not in LIBRARIES:
        raise UnknownNameError("library", library, LIBRARIES, field="library")
    if format not in FORMATS:
        raise UnknownNameError("format", format, FORMATS, field="format")
    form = FORMATS[format]
    if not form.exact_scale or form.scale is None:
        raise UnsupportedError("is no MX format", field="format", value=format,
                               remedy="use mxfp8_e4m3, mxfp4, mxint8 or the like")  # fmt: skip
    policies: dict[str, Any] = dict(LIBRARIES[library].policies)
    if library == "gfloat":  # NaN has a code only in some elements, and its integers use every code
        if isinstance(form.element, Float) and form.element.nan_code is not None:
            policies["nan"] = "block"
        elif isinstance(form.element, Integer):
            policies["element"] = replace(form.element, symmetric=False)
    return replace(form, name=f"{library}:{format}", **policies)


def library_values(
    x: ArrayLike,
    library: str,
    format: str,
    *,
    quirks: bool = False,
    block: int | None = None,
    scale_rule: ScaleRule | None = None,
    rounding: Rounding | None = None,
    axis: int = -1,
) -> FloatArray:
    """``x`` quantised and dequantised as a library does it: float32 of its shape.

    Args:
        quirks: whether its defects are reproduced too.
        block, scale_rule, rounding: in place of the format's own. Quirks are known for ``floor`` and nearest even.

    Raises:
        UnsupportedError: quirks of a rule that is not known to have them.
        InputError: numbers that the library refuses.
    """
    changes: dict[str, object] = {"block": block, "scale_rule": scale_rule, "rounding": rounding}
    form = overridden(library_format(library, format), changes)
    quirky = LIBRARIES[library].values
    if not quirks or quirky is None:
        return quantize(x, form, axis=axis).dequantize()
    if form.scale_rule != "floor" or form.rounding != "nearest_even":
        raise UnsupportedError("has quirks that are known for floor and nearest_even only", field="library",
                               value=library, remedy="set quirks=False")  # fmt: skip
    values = to_float32(x)
    layout = layout_of(values.shape, form, axis)
    with np.errstate(all="ignore"):
        return layout.join(quirky(layout.split(values), form))


def _amax(rows: FloatArray) -> FloatArray:
    largest: FloatArray = np.abs(rows).max(axis=1, initial=0, keepdims=True)
    return largest


def _power(exponent: NDArray[Any]) -> FloatArray:
    """2^exponent as float32 has it: 0 and infinity beyond its ends, NaN for NaN."""
    found = np.ldexp(1.0, np.nan_to_num(exponent, nan=0, posinf=400, neginf=-400).astype(np.int32)).astype(_F)
    return np.where(np.isnan(exponent), _F(np.nan), found)


def _float_log2_floor(x: FloatArray) -> NDArray[np.float64]:
    """floor of the float32 nearest to log2 x: one too large for the last numbers below a power of two.

    Numbers n places below 2^k round up to k where n < ln 2 x 2^23 x spacing of float32 below k.
    """
    bits = np.ascontiguousarray(x).view(np.uint32)
    floor = floor_exponent(bits).astype(np.float64)
    above = floor + 1
    octave = np.floor(np.log2(np.maximum(np.abs(above), 1)))
    octave -= (above > 0) & (np.exp2(octave) == above)  # below a positive power of two the spacing is half
    reach = np.where(above == 0, 0, np.log(2) * np.exp2(octave))
    places_below = (1 << 23) - (bits & np.uint32(0x7FFFFF)).astype(np.int64)
    found = np.where((places_below < reach) & (bits >= 1 << 23), above, floor)
    return np.where(np.isnan(x), np.nan, np.where(np.isinf(x), np.inf, found))


def _microxcaling_python(rows: FloatArray, form: Format) -> FloatArray:
    """Exponents by a float32 log2, rounding by floor(|x| + 0.5) in float32."""
    element = form.element
    amax = _amax(rows)
    shared = _float_log2_floor(amax + np.finfo(_F).tiny * (amax == 0)) - element.emax
    shared = np.where(shared > 127, np.nan, np.maximum(shared, -127))
    scaled = rows / _power(shared)
    if isinstance(element, Float):
        own = _float_log2_floor(np.abs(scaled) + (scaled == 0).astype(_F))
        place = _power(np.maximum(own, element.least_exponent))
        lifted = scaled / place * _F(2.0**element.mantissa_bits)
    else:
        place, lifted = np.ones_like(scaled), scaled * _F(2.0**element.fraction_bits)
    size = np.abs(lifted)
    tie = (np.mod(size - _F(0.5), _F(2)) == 0).astype(_F)
    whole = np.sign(lifted) * (np.floor(size + _F(0.5)) - tie)
    value = whole / _F(2.0 ** _kept_bits(form)) * place
    value = np.clip(value, -_F(element.largest), _F(element.largest))
    value = np.where(np.isinf(scaled), scaled, value).astype(_F)
    return value * _power(shared)


def _kept_bits(form: Format) -> int:
    element = form.element
    return element.mantissa_bits if isinstance(element, Float) else element.fraction_bits


def _round_to_own_place(scaled: FloatArray, form: Format, largest: float) -> FloatArray:
    """To nearest even at the place of each number's exponent, by float32 multiplication; limited afterwards."""
    element = form.element
    least = element.least_exponent if isinstance(element, Float) else 0
    size = np.abs(scaled)
    exponent = floor_exponent(np.ascontiguousarray(np.where(np.isfinite(size), size, _F(0.5))).view(np.uint32))
    exponent = np.maximum(exponent, least) if isinstance(element, Float) else np.zeros_like(exponent)
    factor = _power((_kept_bits(form) - exponent).astype(np.float64))
    rounded: FloatArray = np.clip(np.rint(scaled * factor) / factor, -_F(largest), _F(largest)).astype(_F)
    return rounded


def _tensorcast(rows: FloatArray, form: Format) -> FloatArray:
    """The shared exponent is the largest of all elements' own: a zero counts as 2^-23, infinity and NaN as 0.5."""
    element = form.element
    size = np.abs(rows)
    seen = np.where(size == 0, np.finfo(_F).eps, np.where(np.isfinite(size), size, _F(0.5)))
    exponent = floor_exponent(np.ascontiguousarray(seen, dtype=_F).view(np.uint32)).max(axis=1, keepdims=True)
    scale = _power((exponent - element.emax).astype(np.float64))
    return _round_to_own_place(rows / scale, form, element.largest) * scale


def _torchao(rows: FloatArray, form: Format) -> FloatArray:
    """A scale byte of 0 divides by 2^-126 and multiplies by 2^-127; an infinity is the largest element."""
    amax = _amax(rows)
    exponent = floor_exponent(np.ascontiguousarray(amax).view(np.uint32)) - form.element.emax
    exponent = np.clip(exponent, -127, 128)
    divisor = _power(np.where(np.isnan(amax), np.nan, np.maximum(exponent, -126)).astype(np.float64))
    scale = np.where(exponent == 128, _F(np.nan), _power(np.where(np.isnan(amax), np.nan, exponent).astype(np.float64)))
    return _round_to_own_place(rows / divisor, form, form.element.largest) * scale


_BREVITAS_LEAST = 1e-10


def _brevitas(rows: FloatArray, form: Format) -> FloatArray:
    """The scale is a threshold / 2^emax, or / 2^(bits - 1): 2^floor(log2 amax) by float32, and at least 1e-10."""
    element = form.element
    amax = _amax(rows)
    threshold = _power(np.where(amax == 0, -400, _float_log2_floor(amax)))
    threshold = np.where(np.isnan(amax), amax, np.maximum(threshold, _F(_BREVITAS_LEAST)))
    if isinstance(element, Integer):
        scale = threshold / _F(2.0 ** (element.bits - 1))
        whole = np.rint(rows / scale + _F(0))
        return np.clip(whole, -element.largest_code - 1, element.largest_code).astype(_F) * scale
    scale = threshold / _F(2.0**element.emax)
    scaled = rows / scale
    own = _float_log2_floor(np.abs(scaled) + np.finfo(_F).tiny)
    place = _power(np.maximum(own, element.least_exponent) - element.mantissa_bits)
    value = np.rint(scaled / place) * place
    return np.clip(value, -_F(element.largest), _F(element.largest)).astype(_F) * scale


LIBRARIES: dict[str, Library] = {
    each.name: each
    for each in (
        Library(
            "microxcaling_python", "microxcaling 1.1.0, PyTorch path", {"nan": "block", "infinity": "block_nan"},
            "a NaN or infinity makes its block NaN; zero results keep the sign",
            "float32 log2 takes numbers just below a power of two for it; 0.5 less one place rounds up; -0 becomes +0; "
            "a scale above 2^127 is NaN", _microxcaling_python,
        ),
        Library(
            "microxcaling_native", "microxcaling 1.1.0, C++ path",
            {"nan": "block", "infinity": "block_nan", "zero_sign": "positive"},
            "a NaN or infinity makes its block NaN; zero results are +0",
        ),
        Library(
            "torchao_floor", "torchao 0.18.0", {"nan": "block", "infinity": "overflow"},
            "a NaN makes its block NaN; an infinity sets the scale to its largest; zero results keep the sign",
            "a scale byte of 0 divides by 2^-126 and multiplies by 2^-127", _torchao,
        ),
        Library(
            "tensorcast", "TensorCast 0.2.3", {"nan": "element", "infinity": "ignore"},
            "a NaN stays one element; an infinity saturates and does not set the scale; zero results keep the sign",
            "a zero counts as 2^-23 when the scale is chosen; scales go down to 2^-149", _tensorcast,
        ),
        Library(
            "gfloat", "gfloat 0.5.2", {"nan": "refuse", "infinity": "overflow"},
            "a NaN makes its block NaN where elements have NaN, else it is refused; an infinity sets the scale to its "
            "largest; zero results keep the sign; MXINT8 has -128/64 too",
        ),
        Library(
            "brevitas", "brevitas 0.13.4", {"nan": "block", "infinity": "block_nan"},
            "a NaN or infinity makes its block NaN; zero results keep the sign",
            "scales are 1e-10 / 2^emax at least; MXINT8 scales are half as large, and elements saturate; float32 log2 "
            "takes numbers just below a power of two for it", _brevitas,
        ),
    )
}  # fmt: skip


_PROBES: tuple[tuple[str, dict[int, float], int], ...] = (
    ("0.25 less one place, amax 4", {0: 4.0, 1: 0.24999999}, 1),
    ("amax 2^40 less one place: amax itself", {0: 1099511562240.0}, 0),
    ("-0, amax 4", {0: 4.0, 1: -0.0}, 1),
    ("-0.1, amax 4", {0: 4.0, 1: -0.1}, 1),
    ("1e-12, the only number", {0: 1e-12}, 0),
    ("2e-38, the only number", {0: 2e-38}, 0),
    ("2e-38 in every place", dict.fromkeys(range(32), 2e-38), 0),
    ("largest float32: itself", {0: 3.4028235e38}, 0),
    ("an infinity: itself", {0: np.inf, 1: 1.0}, 0),
    ("1 beside an infinity", {0: np.inf, 1: 1.0}, 1),
    ("a NaN: itself", {0: np.nan, 1: 1.0}, 0),
    ("1 beside a NaN", {0: np.nan, 1: 1.0}, 1),
)
"""What is asked, the numbers of a block of 32 that are not zero, and whose result is shown."""


def disagreement_table(format: str = "mxfp4") -> str:
    """What each library makes of blocks on which they disagree, as a Markdown table.

    A cell is the value with quirks, which is the program's; where the preset without quirks differs, that follows.
    """
    head = ["number", *LIBRARIES]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for title, numbers, place in _PROBES:
        block = np.zeros((1, 32), _F)
        for index, number in numbers.items():
            block[0, index] = number
        cells = [_told(block, place, name, format) for name in LIBRARIES]
        lines.append(f"| {' | '.join([title, *cells])} |")
    return "\n".join(lines)


def _told(block: FloatArray, place: int, library: str, format: str) -> str:
    found = []
    for quirks in (True, False):
        try:
            value = library_values(block, library, format, quirks=quirks)[0, place]
            found.append(f"{value:.6g}".replace("nan", "NaN"))
        except InputError:
            found.append("refused")
    return found[0] if found[0] == found[1] else f"{found[0]} (preset: {found[1]})"

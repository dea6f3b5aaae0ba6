"""Every code of every small element, and every float16 input through it, against a definition by values alone."""

from fractions import Fraction

import numpy as np
import pytest

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics import Float, Integer, cast, cast_codes, format_of
from accelsim.numerics.elements import PowerOfTwo, code_values
from accelsim.numerics.formats import FORMATS, Format
from accelsim.numerics.rounding import decoded, encoded

FLOATS = {
    **{name: FORMATS[name].element for name in FORMATS if name.startswith(("fp4", "fp6", "fp8", "hfp8"))},
    "e4m3": Float(4, 3),
    "e3m4": Float(3, 4),
    "e5m2 without subnormals": Float(5, 2, subnormals=False),
    "ue4m3": FORMATS["nvfp4"].scale,
    "ue5m3 61440": FORMATS["fp4_ue5m3"].scale,
    "ue5m3 114688": FORMATS["fp4_ue5m3_114688"].scale,
    "ue5m3 122880": FORMATS["fp4_ue5m3_122880"].scale,
    "e2m1 of bias 3": Float(2, 1, bias=3, specials="finite"),
    "e1m2": Float(1, 2, specials="finite"),
}
INTEGERS = {
    "int8": Integer(8), "int4 symmetric": Integer(4, symmetric=True), "uint4": Integer(4, signed=False),
    "int2": Integer(2),
    "mxint8": FORMATS["mxint8"].element, "mxint4": FORMATS["mxint4"].element,
}  # fmt: skip
ROUNDINGS = ("nearest_even", "nearest_away", "toward_zero", "up", "down")
HALVES = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)


def finite_magnitudes(element):
    """Magnitudes in ascending order with their codes, by decoding; nothing of the encoder is used."""
    if isinstance(element, Integer):
        codes = np.arange(element.largest_code + 2)  # one more, for the most negative code
        return codes * 2.0**-element.fraction_bits, codes
    codes = np.arange(element.magnitude_mask + 1)
    values = code_values(element)[codes].astype(np.float64)
    if not element.subnormals:
        codes = codes[(codes == 0) | (codes >> element.mantissa_bits > 0)]
        values = code_values(element)[codes].astype(np.float64)
    keep = np.isfinite(values)
    return values[keep], codes[keep]


def slowly(x, element, rounding):
    """Saturating values of ``x`` by a search among the magnitudes: float64 holds all numbers and midpoints."""
    magnitudes, codes = finite_magnitudes(element)
    result = np.zeros(x.shape)
    for sign in (1.0, -1.0):
        mine = (np.signbit(x) == (sign < 0)) & ~np.isnan(x)
        size = np.abs(x[mine]).astype(np.float64)
        limit = element.largest
        if isinstance(element, Integer) and sign < 0:
            limit = -element.lowest_code * 2.0**-element.fraction_bits
        elif sign < 0 and not element.signed:
            limit = 0.0
        above = np.searchsorted(magnitudes, size)
        above = np.minimum(above, len(magnitudes) - 1)
        below = np.where(magnitudes[above] == size, above, np.maximum(above - 1, 0))
        low, high = magnitudes[below], magnitudes[above]
        middle = (low + high) / 2
        up = {
            "nearest_even": (size > middle) | ((size == middle) & (codes[above] % 2 == 0)),
            "nearest_away": size >= middle,
            "toward_zero": np.zeros(size.shape, bool),
            "up": np.full(size.shape, sign > 0),
            "down": np.full(size.shape, sign < 0),
        }[rounding]
        chosen = np.where(size >= magnitudes[-1], limit, np.where(up, high, low))
        result[mine] = sign * np.minimum(chosen, limit)
    return result


@pytest.mark.parametrize("name", FLOATS)
def test_every_code_round_trips(name):
    element = FLOATS[name]
    codes = np.arange(1 << element.bits)
    values = code_values(element)
    kept = np.isfinite(values)
    if not element.subnormals:
        kept &= (values != 0) | (codes & element.magnitude_mask == 0)
    again = encoded(values[kept], np.int32(0), element, "nearest_even", "saturate")
    assert np.array_equal(again, codes[kept])
    assert values[element.largest_code] == element.largest == values[kept].max()
    assert 2.0**element.emax <= element.largest < 2.0 ** (element.emax + 1)


@pytest.mark.parametrize("name", INTEGERS)
def test_every_integer_round_trips(name):
    element = INTEGERS[name]
    codes = np.arange(element.lowest_code, element.largest_code + 1)
    values = decoded(codes, element)
    assert np.array_equal(encoded(values, np.int32(0), element, "nearest_even", "saturate"), codes)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("name", [name for name in (*FLOATS, *INTEGERS) if "without" not in name])
def test_every_float16_input_by_an_independent_definition(name, rounding):
    element = {**FLOATS, **INTEGERS}[name]
    form = Format(name, element, rounding=rounding, nan="element")
    numbers = HALVES[~np.isnan(HALVES)]
    got = decoded(encoded(numbers, np.int32(0), form.element, rounding, "saturate"), element)
    expected = slowly(numbers, element, rounding)
    assert np.array_equal(got, expected)
    if isinstance(element, Float) and element.signed and element.specials != "fnuz":
        assert np.array_equal(np.signbit(got), np.signbit(numbers))  # zeros keep their sign


@pytest.mark.parametrize("name", ["fp8_e4m3", "fp8_e5m2", "fp6_e3m2", "fp4_e2m1"])
def test_stochastic_rounding_follows_its_definition(name):
    """Away from zero iff the dropped fraction + random / 2^8 >= 1, in exact fractions."""
    element = FORMATS[name].element
    rng = np.random.default_rng(1)
    numbers = (rng.standard_normal(400) * np.exp2(rng.integers(-12, 4, 400))).astype(np.float32)
    bits = rng.integers(0, 256, 400, dtype=np.uint8)
    magnitudes, _ = finite_magnitudes(element)
    exact = [Fraction(float(each)) for each in magnitudes]
    for x, drawn, got in zip(numbers, bits, cast(numbers, name, rounding="stochastic", random_bits=bits), strict=True):
        size = Fraction(abs(float(x)))
        if size >= exact[-1]:
            assert abs(got) == float(exact[-1])
            continue
        above = next(i for i, each in enumerate(exact) if each > size)
        low, high = exact[above - 1], exact[above]
        away = (size - low) / (high - low) + Fraction(int(drawn), 256) >= 1
        assert abs(got) == float(high if away else low)


def test_no_subnormals_means_zero_below_the_smallest_normal():
    element = FLOATS["e5m2 without subnormals"]
    smallest = 2.0**element.least_exponent
    x = np.array([smallest, smallest * 0.5, smallest * 0.999, -smallest * 0.25], np.float32)
    got = decoded(encoded(x, np.int32(0), element, "nearest_even", "saturate"), element)
    assert got.tolist() == [smallest, 0.0, smallest, 0.0]  # 0.999 rounds up to the normal


@pytest.mark.parametrize(
    ("name", "overflow", "rounding", "expected"),
    [
        ("fp8_e4m3", "saturate", "nearest_even", [448, -448, 448]),
        ("fp8_e4m3", "nan", "nearest_even", [np.nan, np.nan, np.nan]),
        ("fp8_e5m2", "infinity", "nearest_even", [np.inf, -np.inf, np.inf]),
        ("fp8_e5m2", "infinity", "toward_zero", [57344, -57344, np.inf]),
        ("fp8_e5m2", "infinity", "up", [np.inf, -57344, np.inf]),
        ("fp8_e5m2", "infinity", "down", [57344, -np.inf, np.inf]),
    ],
)
def test_overflow(name, overflow, rounding, expected):
    """Directed rounding stops at the largest number (IEEE 754, 7.4), infinities do not."""
    got = cast(np.array([1e6, -1e6, np.inf]), name, overflow=overflow, rounding=rounding)
    assert np.array_equal(got, np.array(expected, np.float32), equal_nan=True)


def test_kept_infinities():
    got = cast([np.inf, -np.inf, 1e30], "fp8_e5m2", infinity="kept")
    assert got.tolist() == [np.inf, -np.inf, 57344.0]
    with pytest.raises(InputError, match="infinities"):
        cast([1.0], "fp8_e4m3", infinity="kept")


def test_wider_inputs_are_rounded_once():
    """1 + 2^-4 + 2^-40 is above the tie of E4M3; rounded to float32 first, it would be the tie."""
    x = np.array([1 + 2**-4 + 2**-40, 1 + 2**-4 - 2**-40, 2.0**-200])
    assert cast(x, "fp8_e4m3").tolist() == [1.125, 1.0, 0.0]
    assert cast(x, "fp8_e4m3", rounding="up").tolist() == [1.125, 1.125, 2.0**-9]
    assert cast(np.array([3, 17, 1 << 20]), "fp8_e4m3").tolist() == [3.0, 16.0, 448.0]


def test_codes_of_a_cast():
    assert cast_codes([1.0, -2.0, 0.0, -0.0], "fp8_e4m3").tolist() == [0x38, 0xC0, 0, 0x80]
    assert cast_codes([1.0, -2.0], "int8").tolist() == [1, -2]


def test_nan_without_a_code_is_refused_or_zero():
    with pytest.raises(InputError, match="NaN"):
        cast([np.nan], "fp4_e2m1")
    assert cast([np.nan], "fp4_e2m1", nan="zero").tolist() == [0.0]
    assert np.isnan(cast([np.nan], "fp8_e4m3")).all()


@pytest.mark.parametrize("bits", [8, 4])
def test_powers_of_two_cover_their_range(bits):
    scale = PowerOfTwo(bits)
    values = code_values(scale)
    assert np.isnan(values[-1])
    assert np.array_equal(values[:-1], np.exp2(np.arange(2**bits - 1) - float(scale.bias)).astype(np.float32))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Float(0, 3), "exponent"),
        (lambda: Float(8, 24), "32 bits"),
        (lambda: Float(9, 3), "float32"),
        (lambda: Float(4, 0), "mantissa"),
        (lambda: Integer(17), "16 bits"),
        (lambda: Integer(1), "2 to"),
    ],
)
def test_elements_that_cannot_be(make, rule):
    with pytest.raises(InputError, match=rule):
        make()


def test_specials_suggest_the_closest():
    with pytest.raises(UnknownNameError, match="fnuz"):
        Float(4, 3, specials="fnu")


def test_formats_up_to_sixteen_bits_by_grammar():
    for name in ("e5m10", "e6m9", "e8m7", "e5m9fn", "int16", "int13"):
        element = format_of(name).element
        top = np.array([element.largest, -element.largest], np.float32)
        assert np.array_equal(cast(top, name), top)

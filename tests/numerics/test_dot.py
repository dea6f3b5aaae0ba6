"""Sums of products in every accumulator, against definitions in fractions and in Python loops."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.numerics import ACCUMULATORS, FORMATS, Float, QuantizedTensor, cast, dot, matmul, quantize
from accelsim.numerics.accumulators import AlignTruncate, Chunked, Sequential
from accelsim.numerics.sums import sequential_sums

F = np.float32
UNITS = {name: unit for name, unit in ACCUMULATORS.items() if isinstance(unit, AlignTruncate)}
LEAST = {
    "fp16": -14,
    "bf16": -126,
    "tf32": -126,
    "fp8_e4m3": -6,
    "fp8_e5m2": -14,
    "fp4_e2m1": 0,
    "fp6_e2m3": 0,
    "fp6_e3m2": -2,
}


def numbers(shape, seed, spread=6, form="fp16"):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape) * np.exp2(rng.integers(-spread, spread + 1, shape))
    values[rng.random(shape) < 0.1] = 0
    return cast(values, form)


def nearest_float32(exact: Fraction) -> np.float32:
    near = F(float(exact))
    with np.errstate(over="ignore"):
        around = [near, np.nextafter(near, F(np.inf)), np.nextafter(near, F(-np.inf))]
    around = [each for each in around if np.isfinite(each)]
    return min(around, key=lambda each: (abs(Fraction(float(each)) - exact), int(each.view(np.uint32)) & 1))


def floor_log2(x: Fraction) -> int:
    exponent = x.numerator.bit_length() - x.denominator.bit_length()
    return exponent if x >= Fraction(2) ** exponent else exponent - 1


def truncated(x: Fraction, place: Fraction) -> Fraction:
    steps = abs(x) // place
    return (steps if x >= 0 else -steps) * place


def step_by_definition(a, b, c, least, unit) -> Fraction:
    """Align to the largest exponent, cut each term at F fraction bits, add exactly, convert once."""

    def exponent(x, lowest):
        return -126 if x == 0 else max(floor_log2(abs(Fraction(float(x)))), lowest)

    terms = [
        (Fraction(float(x)) * Fraction(float(y)), exponent(x, least) + exponent(y, least))
        for x, y in zip(a, b, strict=True)
    ]
    terms.append((Fraction(float(c)), exponent(c, -126)))
    largest = max(exponent for _, exponent in terms)
    total = sum(truncated(value, Fraction(2) ** (largest - unit.fraction_bits)) for value, _ in terms)
    if total == 0:
        return Fraction(0)
    if unit.output == "fp16":
        place = Fraction(2) ** (max(floor_log2(abs(total)), -14) - 10)
        return round(total / place) * place  # Python rounds ties to even
    return truncated(total, Fraction(2) ** (max(floor_log2(abs(total)), -126) - unit.output_bits))


def unit_by_definition(a, b, c, form, unit):
    bits = {"fp16": 16, "bf16": 16, "tf32": 32, "fp4_e2m1": 4}.get(form, 8)
    step, running, total = unit.step_bits // bits, F(c), F(0)
    for start in range(0, len(a), step):
        part = slice(start, start + step)
        running = F(float(step_by_definition(a[part], b[part], running, LEAST[form], unit)))
        if unit.promote and (start + step) % unit.promote == 0:
            total, running = F(total + running), F(0)
    return F(total + running) if unit.promote else running


CASES = [
    (name, form)
    for name, unit in UNITS.items()
    if not unit.paired
    for form in unit.operands
    if not form.startswith("fp6")
]


@pytest.mark.parametrize(("name", "form"), CASES)
@pytest.mark.parametrize("spread", [1, 12])
def test_align_and_truncate_by_definition(name, form, spread):
    spread = min(spread, 3) if UNITS[name].output == "fp16" else spread  # no overflow: the definition has none
    a, b = numbers((3, 70), 1, spread, form), numbers((2, 70), 2, spread, form)
    c = numbers((3, 2), 3, spread, "fp16")
    got = matmul(a, b, accumulator=name, c=c, operands=form, transpose_b=True)
    expected = [[unit_by_definition(a[i], b[j], c[i, j], form, UNITS[name]) for j in range(2)] for i in range(3)]
    assert np.array_equal(got, np.array(expected, F))


def test_paired_steps():
    """Two chained fp16 steps over k % 4 in {0, 1} and {2, 3}, the addend in float32 last."""
    a, b, c = numbers((4, 32), 4, 3, "fp8_e4m3"), numbers((4, 32), 5, 3, "fp8_e4m3"), numbers((4, 4), 6)
    first = [k for k in range(32) if k % 4 < 2]
    second = [k for k in range(32) if k % 4 > 1]
    half = matmul(a[:, first], b[:, first], accumulator="hopper", transpose_b=True)
    whole = matmul(a[:, second], b[:, second], accumulator="hopper", c=half, transpose_b=True)
    got = matmul(a, b, accumulator="hopper-fp8-mma", c=c, operands="fp8_e4m3", transpose_b=True)
    assert np.array_equal(got, whole + c)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10000), spread=st.sampled_from([0, 3, 30, 60]), k=st.integers(0, 40))
def test_exact_is_the_sum_in_fractions_rounded_once(seed, spread, k):
    rng = np.random.default_rng(seed)
    a, b, c = ((rng.standard_normal(shape) * np.exp2(rng.integers(-spread, spread + 1, shape))).astype(F)
               for shape in ((2, k), (k, 2), (2, 2)))  # fmt: skip
    got = matmul(a, b, c=c)
    for i in range(2):
        for j in range(2):
            products = (Fraction(float(a[i, n])) * Fraction(float(b[n, j])) for n in range(k))
            assert got[i, j] == nearest_float32(sum(products, Fraction(float(c[i, j]))))


def test_exact_at_the_ends_of_float32():
    tiny, huge = F(2.0**-149), F(3.4028235e38)
    assert dot([tiny, 1], [1, tiny]) == F(2.0**-148)
    assert dot([huge, huge], [1, -1], c=1.0) == 1
    assert dot([huge, huge], [1, 1]) == np.inf
    assert dot([tiny], [0.5]) == 0
    assert dot([tiny, tiny], [0.5, 0.25]) == tiny


@pytest.mark.parametrize(("order", "name"), [(1, "fp32"), (-1, "fp32-descending")])
def test_float32_one_after_the_other(order, name):
    a, b, c = numbers((3, 50), 7), numbers((50, 3), 8), numbers((3, 3), 9)
    got = matmul(a, b, accumulator=name, c=c)
    for i in range(3):
        for j in range(3):
            total = F(c[i, j])
            for k in range(50)[::order]:
                total = F(total + F(a[i, k] * b[k, j]))  # products of fp16 numbers are exact
            assert got[i, j] == total


@pytest.mark.parametrize("format", ["fp16", "bf16", "fp32"])
def test_fused_sums_round_once_a_step(format):
    a, b = numbers((2, 40), 10, 4), numbers((40, 2), 11, 4)
    if format == "fp32":  # products that float32 does not hold
        a, b = (
            np.random.default_rng(seed).standard_normal(shape).astype(F) for seed, shape in ((1, (2, 40)), (2, (40, 2)))
        )
    got = matmul(a, b, accumulator=Sequential("mine", format))
    for i in range(2):
        for j in range(2):
            total = Fraction(0)
            for k in range(40):
                exact = total + Fraction(float(a[i, k])) * Fraction(float(b[k, j]))
                total = Fraction(float(nearest_float32(exact) if format == "fp32" else _nearest(exact, format)))
            assert got[i, j] == float(total)


def _nearest(exact, format):
    if exact == 0:
        return 0.0
    mantissa, lowest = {"fp16": (10, -14), "bf16": (7, -126)}[format]
    place = Fraction(2) ** (max(floor_log2(abs(exact)), lowest) - mantissa)
    return float(round(exact / place) * place)


def test_pairwise_and_chunked():
    a, b = numbers((1, 7), 12, 2), numbers((7, 1), 13, 2)
    p = [F(a[0, k] * b[k, 0]) for k in range(7)]
    pairs = [F(p[0] + p[1]), F(p[2] + p[3]), F(p[4] + p[5]), p[6]]
    assert matmul(a, b, accumulator="fp32-pairwise")[0, 0] == F(F(pairs[0] + pairs[1]) + F(pairs[2] + pairs[3]))
    parts = [matmul(a[:, s], b[s], accumulator="fp16")[0, 0] for s in (slice(0, 3), slice(3, 6), slice(6, 7))]
    got = matmul(a, b, accumulator=Chunked("mine", 3))[0, 0]
    assert got == F(F(parts[0] + parts[1]) + parts[2])


@pytest.mark.parametrize("bits", [8, 12, 16, 32])
def test_integer_accumulators(bits):
    rng = np.random.default_rng(bits)
    a, b = rng.integers(-128, 128, (4, 60)), rng.integers(-128, 128, (60, 4))
    exact, span = a @ b, 1 << bits
    assert np.array_equal(matmul(a, b, accumulator=f"int{bits}"), (exact + span // 2) % span - span // 2)
    saturated = matmul(a, b, accumulator=f"int{bits}-saturating")
    for i in range(4):
        for j in range(4):
            total = 0
            for k in range(60):
                total = max(-span // 2, min(span // 2 - 1, total + int(a[i, k] * b[k, j])))
            assert saturated[i, j] == total


@pytest.mark.parametrize("name", ["exact", "fp32", "hopper"])
def test_infinities_and_nan(name):
    a = np.array([[np.inf, 1], [np.inf, -np.inf], [0, 1], [np.nan, 1], [np.inf, 0]], F)
    b = np.array([[1, 0], [1, 1]], F)
    got = matmul(a, b, accumulator=name)
    assert got[:, 0].tolist()[0] == np.inf
    assert np.isnan(got[[1, 3], 0]).all()
    assert got[2, 0] == 1
    assert np.isnan(got[[0, 3, 4], 1]).all()  # infinity times zero


def test_scales_of_power_two_are_part_of_the_products():
    x, w = numbers((4, 64), 14, 3), numbers((64, 3), 15, 3)
    a, b = quantize(x, "mxfp8_e4m3"), quantize(w, "mxfp8_e4m3", axis=0)
    assert np.array_equal(matmul(a, b), matmul(a.dequantize(), b.dequantize()))
    assert np.abs(matmul(a, b, accumulator="blackwell") / (a.dequantize() @ b.dequantize()) - 1).max() < 1e-4
    turned = quantize(w.T.copy(), "mxfp8_e4m3")
    assert np.array_equal(matmul(a, turned, transpose_b=True), matmul(a, b))


def test_channel_scales_come_after_an_integer_sum():
    x, w = numbers((4, 50), 16, 1), numbers((50, 3), 17, 1)
    a, b = quantize(x, "int8/fp32@channel"), quantize(w, "int4/fp32@channel", axis=0)
    whole = (a.codes.astype(np.int64) @ b.codes.astype(np.int64)).astype(F)
    assert np.array_equal(matmul(a, b, accumulator="int32"), whole * np.multiply.outer(a.scales[:, 0], b.scales[0]))


def test_groups_are_summed_one_by_one():
    x, w = numbers((4, 96), 18, 1), numbers((96, 3), 19, 1)
    a, b = quantize(x, "int8"), quantize(w, "int4/fp32@32", axis=0)
    total = np.zeros((4, 3), F)
    for group in range(3):
        part = slice(32 * group, 32 * group + 32)
        whole = (a.codes[:, part].astype(np.int64) @ b.codes[part].astype(np.int64)).astype(F)
        total = total + whole * b.scales[group]
    assert np.array_equal(matmul(a, b, accumulator="int32"), total * a.scales)


def test_zero_points_are_taken_off_first():
    x = np.random.default_rng(3).random((3, 20)).astype(F)
    a = quantize(x, "int8_asymmetric")
    b = np.random.default_rng(4).integers(-3, 4, (20, 2))
    expected = (a.codes.astype(np.int64) - int(a.zero_points)) @ b
    assert np.array_equal(matmul(a, b, accumulator="int32"), expected.astype(F) * a.scales)


def test_empty_sums():
    assert matmul(np.zeros((2, 0)), np.zeros((0, 3))).tolist() == [[0.0] * 3] * 2
    assert matmul(np.zeros((0, 4)), np.zeros((4, 3)), accumulator="hopper").shape == (0, 3)


def test_what_matmul_refuses():
    eye = np.eye(32, dtype=F)
    nv = quantize(eye, "nvfp4")
    for call, error, rule in (
        (lambda: matmul(eye, np.eye(3)), InputError, "different lengths"),
        (lambda: matmul(np.ones(3), eye), InputError, "two dimensions"),
        (lambda: matmul(eye, eye, c=np.ones(7)), InputError, "broadcast"),
        (lambda: matmul(eye, eye, accumulator="hoper"), UnknownNameError, "hopper"),
        (lambda: matmul(eye * 0.3, eye, accumulator="int32"), InputError, "not whole"),
        (lambda: matmul(eye * F(0.3), eye, accumulator="hopper"), InputError, "does not"),
        (lambda: matmul(eye, eye, accumulator="hopper", operands="fp8_e4m3"), UnsupportedError, "hopper does not take"),
        (lambda: matmul(nv, nv, accumulator="blackwell", transpose_b=True), UnsupportedError, "no powers of two"),
        (lambda: matmul(quantize(eye, "mxfp4", axis=0), eye), InputError, "along the sum"),
        (lambda: matmul(eye, eye, accumulator="int1"), InputError, "2 to 64"),
        (lambda: dot(eye, eye), InputError, "vectors"),
    ):  # fmt: skip
        with pytest.raises(error, match=rule):
            call()


_KINDS = ["whole", "large whole", "normal", "wide", "special", "sparse"]


def _numbers(random: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    if kind.endswith("whole"):
        return random.integers(-7, 8, shape).astype(np.float32) * (97 if kind.startswith("large") else 1)
    x = random.standard_normal(shape).astype(np.float32)
    if kind == "wide":
        x *= np.exp2(random.integers(-24, 12, shape)).astype(np.float32)
    if kind == "special":
        x.flat[random.integers(0, x.size, 2)] = random.choice([np.inf, -np.inf, np.nan], 2)
    return np.where(random.random(shape) < 0.8, np.float32(0), x) if kind == "sparse" else x


@given(st.sampled_from(_KINDS), st.sampled_from(["fp16", "bf16", "fp32"]), st.booleans(), st.booleans(),
       st.integers(0, 10**6))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_sums_of_many_columns_at_once_are_those_of_one(
    kind: str, accumulator: str, with_c: bool, descending: bool, seed: int
) -> None:
    """Every faster path gives the bits of the kernel that adds one number after the other."""
    random = np.random.default_rng(seed)
    m, k, n = random.integers(1, 4), random.integers(1, 90), random.integers(1, 300)
    a, b = _numbers(random, kind, (m, k)), _numbers(random, kind, (k, n))
    c = _numbers(random, kind, (m, n)) if with_c else np.zeros((m, n), np.float32)
    rule = Sequential("rule", accumulator, "descending" if descending else "ascending")
    element = FORMATS[accumulator].element
    assert isinstance(element, Float)
    slow = np.empty((m, n), np.float32)
    limits = (element.mantissa_bits, element.least_exponent, element.largest, False, False)
    sequential_sums(a, np.ascontiguousarray(b.T), c, descending, limits, slow)
    fast = matmul(a, b, accumulator=rule, c=c if with_c else None)
    same = (fast.view(np.uint32) == slow.view(np.uint32)) | (np.isnan(fast) & np.isnan(slow))
    assert same.all(), (fast[~same][:3], slow[~same][:3])


def _by_definition(a, b, c: float, group: int = 16, step: int = 64, bits: int = 35) -> np.float32:
    """One output of the group rule in fractions: operands are quantised rows."""

    def scale_parts(x, index):
        scale = x.scale_values.reshape(-1)[index * group // x.format.block]
        least = x.format.scale.least_exponent if isinstance(x.format.scale, Float) else -127
        exponent = max(int(np.frexp(scale)[1]) - 1, least) if scale else -126
        return Fraction(float(scale)) / Fraction(2) ** exponent, exponent

    elements = [x.dequantize().reshape(-1).astype(np.float64) for x in (a, b)]
    running = Fraction(float(c))
    for start in range(0, elements[0].size, step):
        terms = []
        for first in range(start, min(start + step, elements[0].size), group):
            (sa, ea), (sb, eb) = scale_parts(a, first // group), scale_parts(b, first // group)
            total = Fraction(0)
            for k in range(first, first + group):
                unscaled = [Fraction(float(x[k])) / (s * Fraction(2) ** e) if s else Fraction(0)
                            for x, s, e in zip(elements, (sa, sb), (ea, eb), strict=True)]  # fmt: skip
                total += unscaled[0] * unscaled[1]
            value = total * sa * sb
            terms.append((value, ea + eb if value else -126))
        lead = max(int(np.frexp(float(running))[1]) - 1, -126) if running else -126
        terms.append((running / Fraction(2) ** lead, lead))
        largest = max(exponent for _, exponent in terms)
        total = sum(
            Fraction(int(value * Fraction(2) ** (exponent - largest + bits)), 2**bits) for value, exponent in terms
        )  # int() cuts towards zero
        exact = total * Fraction(2) ** largest
        near = F(float(exact))
        running = Fraction(float(near if abs(Fraction(float(near))) <= abs(exact) else np.nextafter(near, F(0))))
    return F(float(running))


@given(st.sampled_from(["nvfp4", "mxfp4"]), st.integers(0, 10**6), st.integers(0, 30))
@settings(max_examples=30, deadline=None)
def test_groups_of_fp4_against_fractions(form: str, seed: int, spread: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2, 160)) * np.exp2(rng.integers(-spread, spread + 1, (2, 10))).repeat(16, axis=1)
    values[rng.random((2, 160)) < 0.2] = 0
    whole = [quantize(row[np.newaxis].astype(np.float32), form, axis=1) for row in values]
    a, b = (QuantizedTensor(x.format, x.shape, x.axis, x.data, x.scales) for x in whole)  # no scale a tensor
    c = F(rng.standard_normal() * 2.0 ** rng.integers(-spread, spread + 1))
    got = matmul(a, b, accumulator="blackwell-fp4", c=[[c]], transpose_b=True)[0, 0]
    assert got == _by_definition(a, b, c)


def test_groups_of_fp4_are_near_and_refuse_other_operands() -> None:
    rng = np.random.default_rng(3)
    a, b = (quantize(rng.standard_normal((5, 96)).astype(np.float32), "nvfp4", axis=1) for _ in range(2))
    exact = a.dequantize().astype(np.float64) @ b.dequantize().astype(np.float64).T
    got = matmul(a, b, accumulator="blackwell-fp4", transpose_b=True)
    np.testing.assert_allclose(got, exact, rtol=1e-5, atol=1e-5)
    for other in (np.ones((1, 16)), quantize(np.ones((1, 32), np.float32), "mxfp8_e4m3", axis=1)):
        with pytest.raises(UnsupportedError, match="no FP4 in blocks"):
            matmul(other, other, accumulator="blackwell-fp4", transpose_b=True)


def test_a_nan_scale_is_nan() -> None:
    x = np.ones((2, 64), np.float32)
    x[0, 20] = np.nan
    a = quantize(x, "nvfp4", axis=1)
    got = matmul(a, a, accumulator="blackwell-fp4", transpose_b=True)
    np.testing.assert_array_equal(np.isnan(got), [[True, True], [True, False]])

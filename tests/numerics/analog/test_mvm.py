"""The product of a crossbar: equal to its definition written out for one vector, and what must hold of any."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics.analog import CROSSBARS, Converter, Crossbar, CrossbarParameters, Normals, crossbar_named
from accelsim.numerics.analog.draws import standard_normals


def rounded(value, converter):
    """Half to even: Python's own rounding."""
    if converter.resolution is None:
        return value
    return round(value / converter.resolution) * converter.resolution


def clip(value, bound):
    return max(-bound, min(bound, value))


def analog_sum(weights, x, p, ratio):
    """One output before the S-shape, in scalars."""
    n = len(x)
    u = sum(w * v for w, v in zip(weights, x, strict=True))
    if p.ir_drop:
        a = n / ratio * sum(abs(w) * abs(v) for w, v in zip(weights, x, strict=True))
        c = a * (0.5 - 0.2 * a + 0.05 * a * a)
        u -= (
            p.ir_drop * c * sum(w * v * (1 - (1 - j / n) ** 2) for j, (w, v) in enumerate(zip(weights, x, strict=True)))
        )
    r = p.series_resistance
    if r and p.series_reference == 0:
        u = u / (1 + r * abs(u))
    elif r:
        ref = -p.series_reference * sum(x)
        u = (u + ref) / (1 + r * abs(u + ref)) - ref / (1 + r * abs(ref))
    return u


def to_digital(u, p):
    bound = p.adc.bound if math.isfinite(p.adc.bound) else 1.0
    n = p.nonlinearity / bound
    f = (1 + (n + p.series_resistance) * p.slope_calibration * bound) ** 2 if p.slope_calibration else 1.0
    u = f * u / (1 + n * abs(u))
    if u < 0:
        u *= 1 - p.output_asymmetry
    q = rounded(u, p.adc)
    return clip(q, p.adc.bound), abs(q) > p.adc.bound


def one_pass(weights, x, alpha, p, ratio):
    xa = [clip(rounded(v / alpha, p.dac), p.dac.bound) for v in x]
    xa = [v * (1 - p.input_asymmetry) if v < 0 else v for v in xa]
    parts = [xa] if p.sign_handling == "one_pass" else [[min(v, 0) for v in xa], [max(v, 0) for v in xa]]
    y, clipped = [], False
    for row in weights:
        sums = [analog_sum(row, part, p, ratio) for part in parts]
        if p.sign_handling == "pos_neg_separate":
            sums = [sum(sums)]
        ends = [to_digital(u, p) for u in sums]
        y.append(sum(value for value, _ in ends) * alpha * p.output_scale)
        clipped |= any(over for _, over in ends)
    return y, clipped


def defined(weights, x, p, ratio):
    """The definition, one vector at a time."""

    def alpha_of(rule):
        if rule == "none":
            return 1.0
        if rule == "constant":
            return p.noise_threshold or 1.0
        a = max(x) if rule == "max" else max(map(abs, x))
        if p.noise_threshold:
            a = min(a, p.noise_threshold)
        if rule == "abs_max_np_sum":
            s = max(sum(v for v in x if v > 0), -sum(v for v in x if v < 0))
            b = s * 0.6 / (p.adc.bound if math.isfinite(p.adc.bound) else 1.0)
            if p.dac.resolution:
                b = min(b, a / p.dac.resolution * p.largest_resolution_share)
            a = max(a, b)
        return a

    alpha, r, number = alpha_of(p.noise_management), 1, 1
    if alpha <= 0:
        return [0.0] * len(weights), 0
    while True:
        y, clipped = one_pass(weights, x, alpha * r, p, ratio)
        limit = p.largest_resolution_share / p.dac.resolution if p.dac.resolution else math.inf
        if p.bound_management == "none" or not clipped or r > p.largest_reduction or r > limit:
            return y, number
        r, number = 2 * r, number + 1
        if number == 2 and p.bound_management == "iterative_worst_case" and p.noise_management != "abs_max_np_sum":
            r = 1
            if p.noise_management != "none":
                alpha = alpha_of("abs_max_np_sum")


@st.composite
def deterministic(draw):
    share = st.sampled_from([0.0, 0.0, 0.1, 0.5])
    bounded = draw(st.booleans())
    return CrossbarParameters(
        dac=draw(st.sampled_from([Converter(), Converter.of_bits(3), Converter.of_bits(8, 0.7), Converter(2.0, 62.0)])),
        adc=draw(st.sampled_from([Converter(0.4, 100.0), Converter.of_bits(8, 2.0), Converter(1.5)])) if bounded
        else Converter(),
        input_asymmetry=draw(share), output_asymmetry=draw(share),
        noise_management=draw(st.sampled_from(["none", "abs_max", "max", "constant", "abs_max_np_sum"])),
        noise_threshold=draw(st.sampled_from([0.0, 0.6, 2.0])),
        bound_management=draw(st.sampled_from(["none", "iterative", "iterative_worst_case"])) if bounded else "none",
        largest_reduction=draw(st.sampled_from([3.0, 1000.0])),
        sign_handling=draw(st.sampled_from(["one_pass", "pos_neg_separate", "pos_neg_separate_digital_sum"])),
        ir_drop=draw(st.sampled_from([0.0, 1.0, 3.0])), wire_ohm=draw(st.sampled_from([0.35, 100.0])),
        series_resistance=draw(share), series_reference=draw(st.sampled_from([0.0, -1.0])),
        nonlinearity=draw(share), slope_calibration=draw(share),
        output_scale=draw(st.sampled_from([1.0, 1.7])),
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(deterministic(), st.integers(0, 2**32), st.integers(1, 12), st.integers(1, 4))
def test_every_combination_equals_the_definition(parameters, seed, inputs, outputs):
    rng = np.random.default_rng(seed)
    weights, x = rng.uniform(-1, 1, (outputs, inputs)), rng.normal(0, 1, (3, inputs))
    x[2] = -np.abs(x[2])  # a vector without a positive maximum
    found = Crossbar(weights, parameters).product(x)
    for row, vector in enumerate(x):
        y, passes = defined(weights.tolist(), vector.tolist(), parameters, parameters.conductance_ratio(25.0))
        assert found.outputs[row] == pytest.approx(y, rel=1e-9, abs=1e-9)
        assert found.passes[row] == passes


@settings(max_examples=60, deadline=None)
@given(deterministic(), st.integers(0, 2**32))
def test_columns_are_the_product_with_the_identity(parameters, seed):
    crossbar = Crossbar(np.random.default_rng(seed).uniform(-1, 1, (5, 7)), parameters)
    np.testing.assert_allclose(crossbar.columns(), crossbar.product(np.eye(7)).outputs, rtol=1e-12, atol=1e-12)


def test_single_precision_agrees_with_double():
    rng = np.random.default_rng(3)
    weights, x = rng.uniform(-1, 1, (32, 64)), rng.uniform(-1, 1, (16, 64))
    smooth = replace(crossbar_named("rasch-2023"), weight_noise=0.0, output_noise=0.0, dac=Converter(), adc=Converter())
    double = Crossbar(weights, smooth).product(x).outputs
    single = Crossbar(weights.astype(np.float32), smooth).product(x).outputs
    assert (double.dtype, single.dtype) == (np.float64, np.float32)
    np.testing.assert_allclose(single, double, atol=1e-5)


def test_ties_go_to_even():
    parameters = CrossbarParameters(adc=Converter(8.0, 16.0))  # steps of 1
    outputs = Crossbar(np.array([[1.0]]), parameters).product([[0.5], [1.5], [2.5], [-0.5], [-1.5]]).outputs
    assert outputs.ravel().tolist() == [0, 2, 2, 0, -2]


def test_bound_management_repeats_each_vector_for_itself():
    parameters = CrossbarParameters(dac=Converter(1.0, 1024.0), adc=Converter(1.0, 254.0), bound_management="iterative")
    x = np.array([[0.5, 0.2], [1.0, 1.0], [0.0, 0.0]])
    found = Crossbar(np.ones((1, 2)), parameters).product(x)
    assert found.passes.tolist() == [1, 2, 1]
    assert not found.clipped.any()
    assert found.outputs[1, 0] == 2.0


def test_only_the_positive_bound_counts_where_it_says_so():
    parameters = CrossbarParameters(adc=Converter(1.0), bound_management="iterative", clip_negative=False)
    found = Crossbar(np.ones((1, 2)), parameters).product([[1.0, 1.0], [-1.0, -1.0]])
    assert found.passes.tolist() == [2, 1]
    assert found.outputs.ravel().tolist() == [2.0, -1.0]


def test_the_drop_follows_the_device_unless_it_is_the_published_one():
    rng = np.random.default_rng(0)
    weights, x = rng.uniform(-1, 1, (8, 64)), rng.uniform(-1, 1, (4, 64))

    def outputs(name, g_max_us):
        quiet = replace(CROSSBARS[name], weight_noise=0.0, output_noise=0.0, adc=Converter())
        return Crossbar(weights, quiet, g_max_us).product(x).outputs

    assert CROSSBARS["rasch-2023-published"].conductance_ratio(25.0) == pytest.approx(571428.5714285714)
    assert np.array_equal(outputs("rasch-2023", 5.0), outputs("rasch-2023-published", 25.0))
    assert not np.array_equal(outputs("rasch-2023", 5.0), outputs("rasch-2023", 25.0))


class TestRandom:
    """Seeds, normals of the caller, and their statistics."""

    W = np.random.default_rng(1).uniform(-1, 1, (6, 9))
    X = np.random.default_rng(2).uniform(-1, 1, (4, 9))

    def test_a_seed_fixes_everything(self):
        crossbar = Crossbar(self.W, crossbar_named("rasch-2023"))
        first, again, other = (crossbar.product(self.X, seed).outputs for seed in (5, 5, 6))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    def test_normals_of_the_caller(self):
        rng = np.random.default_rng(3)
        z = Normals(rng.normal(size=(4, 9)), rng.normal(size=(4, 6)), rng.normal(size=(4, 6)))
        noisy = CrossbarParameters(input_noise=0.1, weight_noise=0.2, weight_noise_kind="pcm_read", output_noise=0.3)
        x = self.X + 0.1 * z.input
        expected = x @ self.W.T + 0.2 * np.sqrt(x**2 @ np.abs(self.W).T) * z.weight + 0.3 * z.output
        np.testing.assert_allclose(Crossbar(self.W, noisy).product(self.X, normals=z).outputs, expected, rtol=1e-12)
        additive = replace(noisy, weight_noise_kind="additive")
        expected = x @ self.W.T + 0.2 * np.linalg.norm(x, axis=1)[:, None] * z.weight + 0.3 * z.output
        np.testing.assert_allclose(Crossbar(self.W, additive).product(self.X, normals=z).outputs, expected, rtol=1e-12)

    def test_normals_of_signs_handled_separately(self):
        z = Normals(weight=np.random.default_rng(3).normal(size=(2, 4, 6)))
        noisy = CrossbarParameters(weight_noise=0.2, weight_noise_kind="pcm_read", sign_handling="pos_neg_separate")
        spread = [
            np.sqrt(np.square(part) @ np.abs(self.W).T) for part in (np.minimum(self.X, 0), np.maximum(self.X, 0))
        ]
        expected = self.X @ self.W.T + 0.2 * (spread[0] * z.weight[0] + spread[1] * z.weight[1])
        np.testing.assert_allclose(Crossbar(self.W, noisy).product(self.X, normals=z).outputs, expected, rtol=1e-12)

    def test_stochastic_rounding_is_unbiased(self):
        coarse = CrossbarParameters(dac=Converter(1.0, 4.0, stochastic=True))
        outputs = Crossbar(np.eye(1), coarse).product(np.full((20000, 1), 0.2), seed=0).outputs
        assert set(np.round(outputs.ravel(), 12)) == {0.0, 0.5}
        assert outputs.mean() == pytest.approx(0.2, abs=4 * 0.25 / math.sqrt(20000))

    def test_normals_are_normal(self):
        from scipy.stats import kstest

        drawn = standard_normals(np.random.default_rng(0), (199_999,))
        assert drawn.dtype == np.float32
        assert np.isfinite(drawn).all()
        assert kstest(drawn, "norm").pvalue > 1e-3
        halves = drawn[:99_999], drawn[100_000:]  # the two of a pair
        assert abs(np.corrcoef(*halves)[0, 1]) < 0.015
        assert abs(np.corrcoef(*np.square(halves))[0, 1]) < 0.015

    def test_one_seed_serves_every_purpose(self):
        from accelsim.numerics.analog.draws import generator

        first = [generator(0, purpose).standard_normal() for purpose in ("product", "columns", "program", "read")]
        assert len(set(first)) == 4
        crossbar = Crossbar(self.W, crossbar_named("rasch-2023"))
        for seed in (-1, 0.5, True):
            with pytest.raises(InputError, match=r"seed: .* must be a whole number of 0 or more"):
                crossbar.product(self.X, seed)

    def test_a_seed_is_asked_for(self):
        with pytest.raises(InputError, match="seed: is missing"):
            Crossbar(self.W, crossbar_named("rasch-2023")).product(self.X)
        with pytest.raises(InputError, match="beside normals"):
            Crossbar(self.W, crossbar_named("rasch-2023")).product(self.X, 1, Normals())
        with pytest.raises(InputError, match="must be of shape"):
            Crossbar(self.W, CrossbarParameters(output_noise=1.0)).product(
                self.X, normals=Normals(output=np.ones((1, 6)))
            )


@pytest.mark.parametrize("bits", [0, 1, 40, 8.0, True])
def test_bits_of_a_converter(bits):
    with pytest.raises(InputError, match=r"converter.bits: .* must be a whole number of 2 to 24"):
        Converter.of_bits(bits)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Converter(0.0), r"converter.bound: 0.0 must be positive"),
        (lambda: Converter(math.nan), r"converter.bound: nan must be positive"),
        (lambda: Converter(1.0, 0.5), r"converter.steps: 0.5 must be 1 or more"),
        (lambda: Converter(math.inf, 5.0), "needs a finite bound"),
        (lambda: CrossbarParameters(output_noise=-1.0), "output_noise: -1.0 must be 0 or more"),
        (lambda: CrossbarParameters(ir_drop=math.nan), "ir_drop: nan must be a finite number"),
        (lambda: CrossbarParameters(wire_ohm=0.0), "wire_ohm: 0.0 must be positive"),
        (lambda: CrossbarParameters(noise_management="abs-max"), "'abs_max'"),  # type: ignore[arg-type]
        (lambda: CrossbarParameters(bound_management="iterative"), "needs an ADC with a bound"),
        (lambda: Crossbar([[1.5]], CrossbarParameters()), "weights: 1.5 must lie within -1 to 1"),
        (lambda: Crossbar([[math.nan]], CrossbarParameters()), "weights: holds NaN"),
        (lambda: Crossbar([1.0], CrossbarParameters()), "weights: .* must be a matrix"),
        (lambda: Crossbar([[1.0]], CrossbarParameters(), g_max_us=0.0), "g_max_us: 0.0 must be positive"),
        (lambda: Crossbar([[1.0]], CrossbarParameters()).product([[math.nan]]), "inputs: holds NaN"),
        (lambda: Crossbar([[1.0]], CrossbarParameters()).product([[math.inf]]), "inputs: holds NaN or inf"),
        (lambda: Crossbar([[1.0]], CrossbarParameters()).product([[1.0, 2.0]]), "inputs: .* must have 1 columns"),
    ],
)  # fmt: skip
def test_what_is_refused(make, rule):
    with pytest.raises(InputError, match=rule):
        make()


def test_unknown_presets():
    with pytest.raises(UnknownNameError, match="Did you mean 'rasch-2023'"):
        crossbar_named("rasch2023")

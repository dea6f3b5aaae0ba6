"""Slices and shares: the whole-word product bit for bit where converters have bits enough, less with fewer."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError, UnsupportedError
from accelsim.numerics import analog
from accelsim.numerics.analog.array import laid_out

IDEAL = analog.device_named("ideal")
CLEAN = analog.CrossbarParameters()
ENOUGH = 16


def drawn(outputs, inputs, vectors, seed=0):
    random = np.random.default_rng(seed)
    weights = random.standard_normal((outputs, inputs)).astype(np.float32)
    weights /= np.abs(weights).max(axis=1, keepdims=True)
    return weights, random.standard_normal((vectors, inputs)).astype(np.float32)


def read(weights, scheme, device=IDEAL, seed=0, time_s=None):
    programmed = analog.program_array(weights, device, scheme, seed, compensated=time_s is not None)
    return programmed.read_at(time_s, seed)


def full_scheme(layout, shares, rows, bits=ENOUGH):
    unsigned = layout.signs != "pair" and not shares.signed
    converters = tuple(analog.full_range(layout, rows, each, bits, unsigned=unsigned) for each in shares.levels)
    return analog.ReadScheme(CLEAN, layout, shares, converters, full=True)


def whole_words(weights, x, layout, shares):
    """The product of the same whole numbers, scaled back."""
    largest = np.abs(x).max(axis=1)
    rounded = shares.rounded(x / largest[:, None])
    stored = np.rint(weights.astype(np.float64) * layout.whole).astype(np.int64)
    scale = largest.astype(np.float64) / (shares.whole * layout.whole)
    return ((rounded @ stored.T) * scale[:, None]).astype(np.float32)


@st.composite
def words(draw):
    """A layout of slices and shares of inputs of which a sum of 40 products has at most 65,535 counts."""
    slice_bits, slices = draw(st.sampled_from([(1, 2), (1, 8), (2, 2), (2, 4), (2, 8), (3, 2), (4, 2), (4, 4)]))
    signs = draw(st.sampled_from(["pair", "two_lines", "offset"]))
    complemented = signs == "offset" and draw(st.booleans())
    layout = analog.Layout(signs, slices, slice_bits, complemented)
    most = 8 - slice_bits
    bits = tuple(draw(st.lists(st.integers(1, most), min_size=1, max_size=5)))
    signs = draw(st.sampled_from(["first", "apart", "twos_complement"]))
    if sum(bits) < 2 or (bits[0] < 2 and signs == "first"):
        bits = (2, *bits)
    return layout, analog.InputShares(bits, signs == "twos_complement", signs == "apart")


@settings(max_examples=60, deadline=None)
@given(words(), st.integers(0, 1000))
def test_sliced_and_bit_serial_is_the_whole_word_product(word, seed):
    layout, shares = word
    weights, x = drawn(5, 40, 6, seed)
    scheme = full_scheme(layout, shares, 40)
    assert all(each.resolution * levels * layout.levels == pytest.approx(1, rel=1e-12)
               for each, levels in zip(scheme.converters, shares.levels, strict=True)), "bits enough"  # fmt: skip
    found = read(weights, scheme).product(x, 0).outputs
    assert np.array_equal(found, whole_words(weights, x, layout, shares))


@settings(max_examples=60, deadline=None)
@given(words())
def test_shares_add_up_to_the_inputs(word):
    _, shares = word
    numbers = np.unique(np.linspace(-shares.whole, shares.whole, 999).astype(np.int64))
    parts = list(shares.cut(numbers))
    assert np.array_equal(sum(factor * part for factor, part in zip(shares.factors, parts, strict=True)), numbers)
    assert all(np.abs(part).max() <= levels for part, levels in zip(parts, shares.levels, strict=True))
    assert shares.signed or all(part.min() >= 0 for part in parts)


@settings(max_examples=40, deadline=None)
@given(words(), st.integers(0, 1000))
def test_lines_add_up_to_the_weights(word, seed):
    layout, _ = word
    weights, _ = drawn(4, 30, 1, seed)
    lines = laid_out(weights, layout)
    counts = np.rint(lines.cells.astype(np.float64) * layout.levels)
    assert np.allclose(counts / layout.levels, lines.cells, atol=1e-6), "cells have whole levels"
    found = (counts * lines.factors[:, :, None]).sum(axis=0) + lines.constants[:, None]
    assert np.array_equal(found, np.rint(weights.astype(np.float64) * layout.whole))
    assert layout.signs == "pair" or lines.cells.min() >= 0
    if layout.complemented:
        assert counts.sum(axis=2).max() <= layout.levels * 30 / 2


@pytest.mark.parametrize("signs", ["pair", "offset"])
def test_joined_slices_are_the_weight(signs):
    layout = analog.Layout(signs, 4, 2, joined=True)
    shares = analog.InputShares((8,))
    weights, x = drawn(6, 50, 5)
    scheme = analog.ReadScheme(CLEAN, layout, shares, (analog.Converter(),))
    assert np.allclose(read(weights, scheme).product(x, 0).outputs, whole_words(weights, x, layout, shares), rtol=1e-4)


def test_copies_average_the_noise_of_programming():
    weights, x = drawn(200, 256, 16)
    exact = x @ weights.T

    def error(parts, joined=False):
        layout = analog.Layout("two_lines", parts, joined=joined)
        array = read(weights, analog.ReadScheme(CLEAN, layout), analog.device_named("pcm"))
        return float(np.sqrt(np.square(array.product(x, 0).outputs - exact).mean()))

    assert error(4) == pytest.approx(error(1) / 2, rel=0.05)
    assert error(4, joined=True) == pytest.approx(error(4), rel=1e-4)


@pytest.mark.parametrize("layout", [analog.Layout("offset", 4, 2, True), analog.Layout("pair", 4, 2)])
def test_more_bits_of_the_adc_make_less_error(layout):
    """On average over many sums: each bit takes the error down, until nothing is left of it."""
    shares = analog.InputShares((1,) * 8, twos_complement=True)
    weights, x = drawn(32, 128, 64)
    exact = whole_words(weights, x, layout, shares)
    errors = [
        np.square(read(weights, full_scheme(layout, shares, 128, bits)).product(x, 0).outputs - exact).mean()
        for bits in (5, 6, 7, 10)
    ]
    assert all(more > less for more, less in pairwise(errors))
    assert errors[-1] == 0


def test_a_converter_that_clips_counts_what_it_cuts():
    layout, shares = analog.Layout("pair", 2, 2), analog.InputShares((2, 2))
    weights, x = np.ones((1, 100), np.float32), np.ones((3, 100), np.float32)
    converters = (analog.Converter.of_bits(8, 10.0),) * 2
    product = read(weights, analog.ReadScheme(CLEAN, layout, shares, converters)).product(x, 0)
    assert product.clipped == 3 * 2 * 2, "vectors, slices, phases"
    assert product.outputs == pytest.approx(10 * (3 + 12) / 7), "ten units of each slice, where 100 were asked"


def test_drift_is_compensated_before_the_offset_is_taken_off():
    """A drift that all devices share leaves nothing behind it: codes of a quarter of the swing, scaled back."""
    device = replace(analog.device_named("pcm"), programming_scale=0.0, read_scale=0.0,
                     drift_mean=analog.Polynomial((0.1,)), drift_std=analog.Polynomial((0.0,)))  # fmt: skip
    layout, shares = analog.Layout("offset", 4, 2, True), analog.InputShares((1,) * 8, twos_complement=True)
    weights, x = drawn(16, 64, 8)
    scheme = analog.ReadScheme(CLEAN, layout, shares, (analog.Converter(),) * 8)
    array = read(weights, scheme, device, time_s=1e6)
    assert array.compensation == pytest.approx(((1e6 + 20) / 20) ** 0.1, rel=1e-3)
    assert np.allclose(array.product(x, 0).outputs, whole_words(weights, x, layout, shares), atol=2e-3)


def test_chunks_of_vectors_change_nothing(monkeypatch):
    layout, shares = analog.Layout("offset", 4, 2, True), analog.InputShares((1,) * 8, twos_complement=True)
    weights, x = drawn(16, 64, 50)
    array = read(weights, full_scheme(layout, shares, 64))
    whole = array.product(x, 0).outputs
    monkeypatch.setattr("accelsim.numerics.analog.array._MOST_AT_ONCE", 64 * 4 * 8 * 7)
    assert np.array_equal(array.product(x, 0).outputs, whole)


def test_a_vector_of_zeros_gives_zeros():
    layout, shares = analog.Layout("offset", 4, 2, True), analog.InputShares((1,) * 8, twos_complement=True)
    weights, x = drawn(4, 20, 3)
    x[1] = 0
    found = read(weights, full_scheme(layout, shares, 20)).product(x, 0).outputs
    assert not found[1].any()
    assert np.isfinite(found).all()


def test_four_phases_are_four_conversions():
    """Without noise and a converter they are one; each sum of one sign has a range of its own."""
    weights, x = drawn(8, 100, 5)
    one = replace(CLEAN, adc=analog.Converter(2.0))
    four = replace(one, sign_handling="four_phase_digital_sum")
    parts = [(sign, np.maximum(sign * weights, 0), part)
             for sign in (1, -1) for part in (np.minimum(x, 0), np.maximum(x, 0))]  # fmt: skip
    expected = sum(sign * np.clip(part @ w.T, -2, 2) for sign, w, part in parts)
    assert np.allclose(analog.Crossbar(weights, four).product(x).outputs, expected, atol=1e-5)
    free = replace(CLEAN, sign_handling="four_phase_digital_sum")
    assert np.allclose(analog.Crossbar(weights, free).product(x).outputs, x @ weights.T, atol=1e-4)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: analog.InputShares((1, 3)), "holds a sign alone"),
        (lambda: analog.InputShares((1,), True), "two in all"),
        (lambda: analog.Layout("offset"), "slice_bits"),
        (lambda: analog.Layout("pair", 2, 2, complemented=True), "needs an offset"),
        (lambda: analog.ReadScheme(CLEAN, analog.Layout("pair", 2, 2)), "must be given for slices"),
        (lambda: analog.ReadScheme(CLEAN, shares=analog.InputShares((4,))), "one for each share"),
        (lambda: analog.full_range(analog.Layout("pair", 2, 2), 10, 1, 1, unsigned=False), "two or more"),
    ],
)
def test_what_is_refused(make, rule):
    with pytest.raises(InputError, match=rule):
        make()


def test_shares_are_not_repeated():
    managed = analog.crossbar_named("managed-9bit")
    with pytest.raises(UnsupportedError, match="bound_management"):
        analog.ReadScheme(managed, shares=analog.InputShares((4,)), converters=(analog.Converter(),))

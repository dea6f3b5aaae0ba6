"""Calibration of integer formats."""

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.numerics import calibrate, quantize
from accelsim.numerics.quantisers import FixedRange, MaxRange, MseRange, PactRange, PercentileRange, SawbRange

X = np.random.default_rng(0).standard_normal((8, 400)).astype(np.float32)


@pytest.mark.parametrize("format", ["int8", "int4/fp32@channel", "int4/fp32@50", "int8_asymmetric"])
def test_max_is_what_quantize_does_itself(format):
    found, direct = calibrate(X, format, MaxRange()), quantize(X, format)
    assert np.array_equal(found.scale, direct.scales)
    assert np.array_equal(found.quantize(X).data, direct.data)


@pytest.mark.parametrize("format", ["int4", "int4/fp32@channel", "int4/fp32@100", "uint4/fp32@channel"])
def test_mse_is_no_worse_than_any_other(format):
    def error(quantiser):
        return float(np.mean((calibrate(X, format, quantiser).quantize(X).dequantize() - X) ** 2))

    best = error(MseRange())
    assert best < 0.9 * error(MaxRange())
    assert all(best <= error(PercentileRange(percent)) * 1.001 for percent in (95, 99, 99.9, 100))


def test_mse_by_brute_force():
    row = X[:1, :100]
    found = calibrate(row, "int4", MseRange(steps=64))
    errors = {}
    for step in range(1, 65):
        scale = np.float32(np.float64(np.abs(row).max()) * (step / 64) / 7)
        codes = np.clip(np.rint(row / scale), -7, 7)
        errors[float(scale)] = float(np.sum((codes * np.float64(scale) - row) ** 2))
    assert float(found.scale) == pytest.approx(min(errors, key=errors.get), rel=0.02)


def test_percentile():
    found = calibrate(np.arange(-100, 101), "int8", PercentileRange(90))
    assert float(found.scale) == pytest.approx(80 / 127)


@pytest.mark.parametrize(("bits", "expected"), [(2, 3.12 - 2.064 * 0.79788), (4, 12.68 - 12.80 * 0.79788)])
def test_sawb_on_normal_numbers(bits, expected):
    """E|x| is 0.79788 sigma for a normal distribution."""
    x = np.random.default_rng(1).standard_normal(200_000)
    found = calibrate(x, f"int{bits}", SawbRange())
    assert float(found.scale) * (2 ** (bits - 1) - 1) == pytest.approx(expected, rel=0.01)
    with pytest.raises(InputError, match="coefficients"):
        calibrate(x, "int6/fp32@tensor", SawbRange())


def test_pact_and_fixed_ranges():
    unsigned = calibrate(X, "uint4/fp32@tensor", PactRange(3.0))
    assert float(unsigned.scale) == np.float32(3 / 15)
    assert int(unsigned.zero_point) == 0
    values = unsigned.quantize(X).dequantize()
    assert values.min() == 0
    assert values.max() == np.float32(15) * np.float32(3 / 15)
    assert float(calibrate(X, "int8", FixedRange(-1, 1)).scale) == np.float32(1 / 127)


def test_many_samples_are_one():
    parts = [X[:4] * each for each in (1, 3, 0.5)]
    found = calibrate(parts, "int8/fp32@channel", MaxRange())
    assert np.array_equal(found.scale, quantize(X[:4] * 3, "int8/fp32@channel").scales)


def test_padding_of_a_last_block_is_no_sample():
    x = np.full((1, 40), 5.0, np.float32)
    found = calibrate(x, "int4/fp32@32", PercentileRange(60))
    assert np.all(found.scale == np.float32(5 / 7))


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: calibrate(X, "mxfp4", MaxRange()), "integer format"),
        (lambda: calibrate([], "int8", MaxRange()), "no numbers"),
        (lambda: calibrate([X, X[:2]], "int8", MaxRange()), "one shape"),
        (lambda: calibrate(X * np.nan, "int8", MaxRange()), "not finite"),
        (lambda: PercentileRange(50), "above 50"),
        (lambda: PactRange(0), "positive"),
        (lambda: FixedRange(1, -1), "low below high"),
        (lambda: MseRange(0), "1 or more"),
    ],
)
def test_what_calibration_refuses(call, rule):
    with pytest.raises(InputError, match=rule):
        call()

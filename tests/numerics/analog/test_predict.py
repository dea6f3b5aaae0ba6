"""Predicted standard deviations against drawn ones, and where nothing is predicted."""

from dataclasses import replace

import numpy as np
import pytest

from accelsim.errors import UnsupportedError
from accelsim.numerics.analog import CROSSBARS, Converter, Crossbar, CrossbarParameters, predicted_std

RNG = np.random.default_rng(0)
W = RNG.uniform(-1, 1, (24, 48)).astype(np.float32)
X = RNG.uniform(-1, 1, (3, 48)).astype(np.float32)
REPEATS = 6000

NOISY = CrossbarParameters(input_noise=0.03, weight_noise=0.05, weight_noise_kind="pcm_read", output_noise=0.1)
CASES = {
    "analog": NOISY,
    "additive": replace(NOISY, weight_noise_kind="additive"),
    "scaled": replace(NOISY, noise_management="abs_max", output_scale=-2.0),
    "series": replace(NOISY, series_resistance=0.05, series_reference=0.0),
    "s-shape": replace(NOISY, nonlinearity=0.4, slope_calibration=0.5, output_asymmetry=0.2, adc=Converter(5.0)),
    "clipped": replace(NOISY, adc=Converter(2.0)),
    "coarse": replace(NOISY, adc=Converter.of_bits(4, 6.0)),
    "fine": replace(NOISY, adc=Converter.of_bits(16, 3.0)),
    "rasch-2023": CROSSBARS["rasch-2023"],
}


@pytest.mark.parametrize("name", CASES)
def test_predicted_equals_drawn(name):
    crossbar = Crossbar(W, CASES[name])
    drawn = crossbar.product(np.repeat(X, REPEATS, axis=0), seed=1).outputs.reshape(3, REPEATS, -1).std(axis=1)
    predicted = predicted_std(crossbar, X)
    assert np.sqrt((predicted**2).mean()) == pytest.approx(np.sqrt((drawn**2).mean()), rel=0.01)
    largest = drawn.max()
    assert np.abs(predicted - drawn).max() < 0.06 * largest  # six standard errors of a standard deviation


def test_nothing_random_has_no_spread():
    assert not predicted_std(Crossbar(W, CROSSBARS["ideal"]), X).any()
    assert not predicted_std(Crossbar(W, CROSSBARS["rasch-2023-quantised"]), X).any()


@pytest.mark.parametrize(
    "changes",
    [
        {"bound_management": "iterative", "adc": Converter(1.0)},
        {"sign_handling": "pos_neg_separate"},
        {"dac": Converter(1.0, 4.0, stochastic=True)},
        {"input_asymmetry": 0.1},
    ],
)
def test_what_is_not_predicted(changes):
    with pytest.raises(UnsupportedError, match="no predicted standard deviation"):
        predicted_std(Crossbar(W, replace(NOISY, **changes)), X)

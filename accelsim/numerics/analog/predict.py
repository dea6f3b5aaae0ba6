"""Standard deviations of the outputs of a crossbar, predicted without drawing anything.

Input and weight noise propagate linearly to the ADC; there the rounding of a normal is exact: the variance over all
levels that it may reach.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import UnsupportedError
from accelsim.numerics.analog.draws import Draws
from accelsim.numerics.analog.mvm import Crossbar, applied_inputs, checked_matrix, input_scale, s_shape
from accelsim.numerics.analog.parameters import Converter, CrossbarParameters

__all__ = ["predicted_std"]

_REACH = 7.0
"""Standard deviations on each side of the mean that levels are summed over."""


def predicted_std(crossbar: Crossbar, inputs: ArrayLike) -> NDArray[np.float64]:
    """Standard deviation of each output over repeated products, (vectors, outputs).

    Raises:
        UnsupportedError: bound management, separate signs, stochastic rounding, or non-ideal inputs (asymmetry) with
            input noise: nothing linear describes them; draw instead.
    """
    settings = crossbar.parameters
    _check(settings)
    exact = replace(crossbar, weights=crossbar.weights.astype(np.float64))
    x = checked_matrix(inputs, "inputs", exact.weights.shape[1]).astype(np.float64)
    if settings.perfect:
        return np.zeros((len(x), len(exact.weights)))
    scale = input_scale(x, settings, settings.noise_management)
    scale[scale <= 0] = 1
    applied = applied_inputs(x, scale, replace(settings, input_noise=0.0), Draws(None, None))
    sums, spread = exact.sums(applied)
    variance = settings.input_noise**2 * (exact.weights**2).sum(axis=1)[None, :]
    if settings.series_resistance:
        variance = variance / (1 + settings.series_resistance * np.abs(sums)) ** 4
    variance = variance + (0.0 if spread is None else spread)
    mean, slope = _shaped(sums, settings)
    sigma = np.sqrt(slope**2 * variance + settings.output_noise**2)
    found: NDArray[np.float64] = _rounded_std(mean, sigma, settings.adc)
    return found * (scale * abs(settings.output_scale))[:, None]


def _check(settings: CrossbarParameters) -> None:
    refused = {
        "bound_management": settings.bound_management != "none",
        "sign_handling": settings.sign_handling != "one_pass",
        "dac.stochastic": settings.dac.stochastic,
        "adc.stochastic": settings.adc.stochastic,
        "input_asymmetry": settings.input_asymmetry != 0 and settings.input_noise > 0,
    }
    for name, there in refused.items():
        if there:
            raise UnsupportedError("has no predicted standard deviation", field=name, remedy="draw products instead")


def _shaped(u: NDArray[np.float64], settings: CrossbarParameters) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Outputs behind the S-shape, and its slope there."""
    step = 1e-6 * (1 + np.abs(u))
    here, above, below = u.copy(), u + step, u - step
    for each in (here, above, below):
        s_shape(each, settings)
    return here, (above - below) / (2 * step)


def _rounded_std(mean: NDArray[np.float64], sigma: NDArray[np.float64], adc: Converter) -> NDArray[np.float64]:
    """Standard deviation of a normal behind the ADC."""
    from scipy.special import ndtr

    step = adc.resolution
    if step is None:
        return np.array(sigma)
    reach = math.ceil(_REACH * float(sigma.max()) / step) + 1
    centre = np.rint(mean / step)
    first, second = np.zeros_like(mean), np.zeros_like(mean)
    safe = np.maximum(sigma, 1e-12 * step)
    for offset in range(-reach, reach + 1):
        level = centre + offset
        share = ndtr(((level + 0.5) * step - mean) / safe) - ndtr(((level - 0.5) * step - mean) / safe)
        value = np.clip(level * step, -adc.bound, adc.bound) - mean
        first += share * value
        second += share * value**2
    found: NDArray[np.float64] = np.sqrt(np.maximum(second - first**2, 0))
    return found

"""Standard deviations of the outputs of a crossbar, predicted without drawing anything.

Input and weight noise propagate linearly to the ADC; there the rounding of a normal is exact: the variance over all
levels that it may reach.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from accelsim.errors import UnsupportedError
from accelsim.numerics.analog.draws import Draws, Floats
from accelsim.numerics.analog.mvm import Crossbar, applied_inputs, checked_matrix, input_scale, s_shape
from accelsim.numerics.analog.parameters import Converter, CrossbarParameters

__all__ = ["predicted_std"]

_REACH = 7.0
"""Standard deviations on each side of the mean that levels are summed over."""
_MANY_STEPS = 8.0
_LEAST_STD = 1e-12


def predicted_std(crossbar: Crossbar, inputs: ArrayLike) -> Floats:
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
    return _converted_std(mean, sigma, settings.adc) * (scale * abs(settings.output_scale))[:, None]


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


def _shaped(u: Floats, settings: CrossbarParameters) -> tuple[Floats, Floats]:
    """Outputs behind the S-shape, and its slope there."""
    step = 1e-6 * (1 + np.abs(u))
    here, above, below = u.copy(), u + step, u - step
    for each in (here, above, below):
        s_shape(each, settings)
    return here, (above - below) / (2 * step)


def _converted_std(mean: Floats, sigma: Floats, adc: Converter) -> Floats:
    """Standard deviation of a normal behind the ADC, which rounds and clips."""
    step = adc.resolution
    if step is None:
        return _clipped_std(mean, sigma, adc.bound)
    if float(sigma.max()) > _MANY_STEPS * step:  # rounding is noise of its own
        return _clipped_std(mean, np.sqrt(sigma**2 + step**2 / 12), adc.bound)
    return _rounded_std(mean, sigma, step, adc.bound)


def _rounded_std(mean: Floats, sigma: Floats, step: float, bound: float) -> Floats:
    """The sum over all levels that a normal may reach."""
    from scipy.special import ndtr

    reach = math.ceil(_REACH * float(sigma.max()) / step) + 1
    centre = np.rint(mean / step)
    first, second = np.zeros_like(mean), np.zeros_like(mean)
    safe = np.maximum(sigma, _LEAST_STD * step)
    for offset in range(-reach, reach + 1):
        level = centre + offset
        share = ndtr(((level + 0.5) * step - mean) / safe) - ndtr(((level - 0.5) * step - mean) / safe)
        value = np.clip(level * step, -bound, bound) - mean
        first += share * value
        second += share * value**2
    found: Floats = np.sqrt(np.maximum(second - first**2, 0))
    return found


def _clipped_std(mean: Floats, sigma: Floats, bound: float) -> Floats:
    """The censored normal: what lies beyond a bound lies on it."""
    if math.isinf(bound):
        return sigma
    from scipy.special import ndtr

    safe = np.maximum(sigma, _LEAST_STD * bound)
    low, high = (-bound - mean) / safe, (bound - mean) / safe
    density_low, density_high = (np.exp(-(each**2) / 2) / math.sqrt(2 * math.pi) for each in (low, high))
    below, above, slope = ndtr(low), ndtr(-high), density_low - density_high
    inside = 1 - below - above
    shift = -bound - mean, bound - mean  # moments about the mean, so that nothing large cancels
    first = shift[0] * below + shift[1] * above + safe * slope
    second = shift[0] ** 2 * below + shift[1] ** 2 * above
    second += safe**2 * (inside + low * density_low - high * density_high)
    found: Floats = np.sqrt(np.maximum(second - first**2, 0))
    return found

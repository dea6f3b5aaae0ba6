"""Which non-ideality of an analog tile hurts most: each alone over its strength, and as the standard model has it.

A tile of 512 x 512 normal weights, columns scaled to their largest, multiplies activations behind a ReLU, each vector
scaled to its largest. The error is the root mean square of the outputs' deviation over that of the exact outputs.

Strengths are shares of the range of what they disturb, so that they can be compared:

    input noise       standard deviation, of the DAC's bound      output noise    of the ADC's bound
    weight noise      standard deviation, of the largest weight: additive (as programming leaves it), or growing with
                      the root of the weight (short-term read noise)
    DAC, ADC steps    size of a step, of the bound
    S-shape, wires    share that an output at the ADC's bound loses
    asymmetry         share by which negative inputs or outputs are smaller
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics import analog

__all__ = [
    "RANKED_AT", "STRENGTHS", "NonidealityPoint", "NonidealityStudy", "Ranges", "StandardPart", "disturbances",
    "run_study",
]  # fmt: skip

STRENGTHS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
RANKED_AT = 0.01
_SIZE, _VECTORS = 512, 256
_HOUR_S, _YEAR_S = 3600.0, 365.25 * 86400
_ADC_BOUND, _G_MAX_US = 10.0, 25.0

FloatArray = NDArray[np.float32]
Disturbance = Callable[[float], analog.CrossbarParameters]
_CLEAN = analog.CrossbarParameters(
    dac=analog.Converter(1.0), adc=analog.Converter(_ADC_BOUND), noise_management="abs_max"
)


@dataclass(frozen=True, slots=True)
class NonidealityPoint:
    """The error that one non-ideality alone makes at a ``strength``."""

    name: str
    strength: float
    error: float


@dataclass(frozen=True, slots=True)
class StandardPart:
    """The error that one part of the standard model alone makes, at its published strength."""

    name: str
    error: float


@dataclass(frozen=True, slots=True)
class NonidealityStudy:
    """``points`` of each non-ideality over strength; ``standard`` parts of ``rasch-2023`` on ``pcm``; and its sum.

    ``ranking`` is by the error at 1 % of the range, the worst first.
    """

    points: tuple[NonidealityPoint, ...]
    standard: tuple[StandardPart, ...]
    seed: int

    @property
    def ranking(self) -> tuple[str, ...]:
        at = [each for each in self.points if each.strength == RANKED_AT]
        return tuple(each.name for each in sorted(at, key=lambda each: -each.error))


def run_study(seed: int = 0) -> NonidealityStudy:
    """The whole study; everything that is drawn follows from ``seed``."""
    tile = _Layer(seed)
    points = tuple(
        NonidealityPoint(name, strength, tile.error(settings(strength)))
        for name, settings in disturbances(_CLEAN, Ranges(_ADC_BOUND, _SIZE, _G_MAX_US)).items()
        for strength in STRENGTHS
    )
    return NonidealityStudy(points, tuple(_standard(tile)), seed)


class _Layer:
    """The weights and activations, and the exact outputs."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng((seed, 1))
        weights = random.standard_normal((_SIZE, _SIZE), dtype=np.float32)
        self.weights = weights / np.abs(weights).max(axis=1, keepdims=True)
        self.inputs = np.maximum(random.standard_normal((_VECTORS, _SIZE), dtype=np.float32), 0)
        self.exact = self.inputs.astype(np.float64) @ self.weights.T.astype(np.float64)
        self.seed = seed

    def error(
        self, settings: analog.CrossbarParameters, device: str = "ideal", time_s: float | None = None,
        compensated: bool = True,
    ) -> float:  # fmt: skip
        """Relative error of all outputs."""
        random = np.random.default_rng((self.seed, 2))
        tile = analog.program_tile(self.weights, analog.device_named(device), settings, random)
        now = tile.read_at(time_s, random)
        factor = tile.compensation(now, random) if compensated and time_s is not None else 1.0
        return self._error(now.product(self.inputs, random).outputs * np.float32(factor))

    def _error(self, found: FloatArray) -> float:
        return float(np.sqrt(np.square(found - self.exact).sum() / np.square(self.exact).sum()))


@dataclass(frozen=True, slots=True)
class Ranges:
    """What strengths are shares of: the bounds of inputs (1) and of the ADC, rows, and the largest conductance."""

    adc_bound: float
    rows: int
    g_max_us: float


def disturbances(clean: analog.CrossbarParameters, ranges: Ranges) -> Mapping[str, Disturbance]:
    """Non-ideality -> ``clean`` with that one at a strength; converters, where ``clean`` has none, get their bounds."""
    bound = ranges.adc_bound
    wires = ranges.rows * bound / clean.conductance_ratio(ranges.g_max_us)
    return {
        "input noise": lambda s: replace(clean, input_noise=s),
        "output noise": lambda s: replace(clean, output_noise=s * bound),
        "weight noise, additive": lambda s: replace(clean, weight_noise=s, weight_noise_kind="additive"),
        "weight noise, read": lambda s: replace(clean, weight_noise=s, weight_noise_kind="pcm_read"),
        "DAC steps": lambda s: replace(clean, dac=analog.Converter(1.0, 2 / s)),
        "ADC steps": lambda s: replace(clean, adc=analog.Converter(bound, 2 / s)),
        "S-shape": lambda s: replace(clean, nonlinearity=s / bound * _bound(clean)),
        # A drop of s at the ADC's bound: the load there times half, two thirds of it on average over inputs.
        "wires": lambda s: replace(clean, ir_drop=3 * s / wires),
        "input asymmetry": lambda s: replace(clean, input_asymmetry=s),
        "output asymmetry": lambda s: replace(clean, output_asymmetry=s),
    }


def _bound(clean: analog.CrossbarParameters) -> float:
    """What the crossbar counts an S-shape from."""
    bound = clean.adc.bound
    return 1.0 if math.isinf(bound) else bound


def _standard(tile: _Layer) -> Iterator[StandardPart]:
    """Parts of the standard model alone, then together."""
    full = replace(analog.crossbar_named("rasch-2023"), noise_management="abs_max", noise_threshold=0.0)
    for name, settings in {
        "converters": replace(_CLEAN, dac=full.dac, adc=full.adc),
        "output noise": replace(_CLEAN, output_noise=full.output_noise),
        "read noise": replace(_CLEAN, weight_noise=full.weight_noise, weight_noise_kind="pcm_read"),
        "wires": replace(_CLEAN, ir_drop=full.ir_drop),
    }.items():
        yield StandardPart(name, tile.error(settings))
    yield StandardPart("programming", tile.error(_CLEAN, "pcm"))
    yield StandardPart("programming and an hour of drift", tile.error(_CLEAN, "pcm", _HOUR_S))
    yield StandardPart("the same without compensation", tile.error(_CLEAN, "pcm", _HOUR_S, compensated=False))
    yield StandardPart("programming and a year of drift", tile.error(_CLEAN, "pcm", _YEAR_S))
    yield StandardPart("all, after an hour", tile.error(full, "pcm", _HOUR_S))

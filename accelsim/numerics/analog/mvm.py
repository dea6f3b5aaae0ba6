"""The product of a crossbar with vectors, non-idealities included.

One pass is: scale, DAC, clip, input noise; sums of products with the drop along wires, series resistance and the noise
of weights; S-shape, output noise, ADC, clip; scale back. Bound management repeats the vectors that clipped, each for
itself. Formulas and their sources: docs/analog.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError
from accelsim.numerics.analog.draws import Draws, Floats, Normals, Purpose, Seed
from accelsim.numerics.analog.parameters import Converter, CrossbarParameters
from accelsim.numerics.analog.wires import drop_fraction, drop_profile

__all__ = ["Crossbar", "Product", "applied_inputs", "checked_matrix", "input_scale", "s_shape"]

_ASSUMED_WEIGHT = 0.6
"""Weight of every input in the sum that ``abs_max_np_sum`` scales for, as in aihwkit."""
_AT_BOUND = 1 - 1e-6
_TURNS = {"one_pass": 1, "pos_neg_separate": 2, "pos_neg_separate_digital_sum": 2, "four_phase_digital_sum": 4}
"""Integrations of a pass."""


def checked_matrix(values: ArrayLike, field: str, columns: int | None = None, limit: float = math.inf) -> Floats:
    """``values`` as a matrix of finite float32 (float64 stays).

    Raises:
        InputError: not two-dimensional, another number of columns, NaN or infinite, or beyond ``limit``.
    """
    found: NDArray[Any] = np.asarray(values)
    if found.dtype != np.float64:
        found = found.astype(np.float32, copy=False)
    if found.ndim != 2 or 0 in found.shape:
        raise InputError("must be a matrix", field=field, value=found.shape)
    if columns is not None and found.shape[1] != columns:
        raise InputError(f"must have {columns} columns", field=field, value=found.shape)
    largest = max(abs(float(found.max())), abs(float(found.min())))
    if not math.isfinite(largest):
        raise InputError("holds NaN or infinities", field=field)
    if largest > limit:
        raise InputError(f"must lie within -{limit:g} to {limit:g}", field=field, value=largest,
                         remedy="scale the matrix, and the outputs back")  # fmt: skip
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """What a crossbar returned.

    Attributes:
        outputs: (vectors, outputs).
        passes: times that each vector was applied, (vectors,); 0 where a vector asks for none.
        clipped: vectors of which an output lies at the bound even so; all false without bound management.
        at_bound: conversions of each vector that lie at the bound of the ADC, (vectors,).
    """

    outputs: Floats
    passes: NDArray[np.intp]
    clipped: NDArray[np.bool_]
    at_bound: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """What the ADC did to each vector of a pass: whether it clips, and how many conversions lie at the bound."""

    clipped: NDArray[np.bool_]
    at_bound: NDArray[np.intp]

    @classmethod
    def none(cls, rows: int) -> _Cut:
        return cls(np.zeros(rows, np.bool_), np.zeros(rows, np.intp))

    def add(self, other: _Cut, rows: NDArray[np.intp] | slice = slice(None), *, anew: bool = False) -> None:
        """More conversions of the same vectors; ``anew``: those of ``rows`` in place of what was there."""
        self.clipped[rows] = other.clipped if anew else self.clipped[rows] | other.clipped
        self.at_bound[rows] = other.at_bound if anew else self.at_bound[rows] + other.at_bound


@dataclass(frozen=True, eq=False)
class Crossbar:
    """Weights in an array of devices.

    Attributes:
        weights: (outputs, inputs) in units of the largest conductance. float64 computes in float64, else float32.
        parameters: of the crossbar.
        g_max_us: largest conductance of the device in use, which the drop along wires follows.
        weight_limit: largest magnitude of a weight; inf for weights as they were programmed, errors included.

    Raises:
        InputError: weights that are no finite matrix or out of range, or a conductance that is not positive.
    """

    weights: Floats
    parameters: CrossbarParameters
    g_max_us: float = 25.0
    weight_limit: float = 1.0

    def __post_init__(self) -> None:
        weights = checked_matrix(self.weights, "weights", limit=self.weight_limit).copy()
        weights.flags.writeable = False
        object.__setattr__(self, "weights", weights)
        if not 0 < self.g_max_us < math.inf:
            raise InputError("must be positive", field="g_max_us", value=self.g_max_us)

    def product(self, inputs: ArrayLike, seed: Seed | None = None, normals: Normals | None = None) -> Product:
        """The product with each row of ``inputs``.

        Args:
            inputs: (vectors, inputs).
            seed: of what is random, or a generator; not needed where nothing is.
            normals: instead of a seed.

        Raises:
            InputError: inputs that are no finite matrix of so many columns, or no seed where one is needed.
        """
        x = checked_matrix(inputs, "inputs", self.weights.shape[1]).astype(self.weights.dtype, copy=False)
        return self._managed(x, self._draws(seed, normals), diagonal=False)

    def columns(self, seed: Seed | None = None) -> Floats:
        """Outputs for the identity matrix as input, (inputs, outputs): each weight, read through the converters."""
        size = self.weights.shape[1]
        if self.parameters.input_noise > 0 or self.parameters.perfect:  # noise reaches every row
            return self.product(np.eye(size, dtype=self.weights.dtype), seed).outputs
        draws = self._draws(seed, None, "columns")
        return self._managed(np.ones((size, 1), self.weights.dtype), draws, diagonal=True).outputs

    def _draws(self, seed: Seed | None, normals: Normals | None, purpose: Purpose = "product") -> Draws:
        return Draws(seed, normals, purpose, _TURNS[self.parameters.sign_handling])

    @cached_property
    def polarities(self) -> tuple[Crossbar, Crossbar]:
        """The positive weights alone, and the magnitudes of the negative ones."""
        plus, minus = np.maximum(self.weights, 0), np.maximum(-self.weights, 0)
        return replace(self, weights=plus), replace(self, weights=minus)

    @cached_property
    def _transposed(self) -> Floats:
        return np.ascontiguousarray(self.weights.T)

    @cached_property
    def _magnitudes(self) -> Floats:
        found: Floats = np.abs(self._transposed)
        return found

    @cached_property
    def _profile(self) -> Floats:
        found: Floats = drop_profile(self.weights.shape[1]).astype(self.weights.dtype)
        return found

    def _managed(self, x: Floats, draws: Draws, diagonal: bool) -> Product:
        """All passes. ``diagonal``: row i of ``x`` is the only value of vector i, its input i."""
        settings, rows = self.parameters, len(x)
        if settings.perfect:
            ideal = (x @ self._transposed) * x.dtype.type(settings.output_scale)
            return Product(ideal, np.ones(rows, np.intp), np.zeros(rows, np.bool_), np.zeros(rows, np.intp))
        scale = input_scale(x, settings, settings.noise_management)
        idle = scale <= 0
        scale[idle] = 1
        outputs, cut = self._pass(x, scale, draws, None, diagonal)
        clipped = cut.clipped
        passes = np.ones(rows, np.intp)
        if settings.input_noise == 0 and idle.any():
            outputs[idle], passes[idle], clipped[idle], cut.at_bound[idle] = 0, 0, False, 0
        reduction = 1.0
        while clipped.any() and not _exhausted(settings, reduction):
            again = np.flatnonzero(clipped)
            reduction *= 2
            if passes.max() == 1 and _resets(settings):
                reduction = 1.0
                if settings.noise_management != "none":
                    scale[again] = input_scale(x[again], settings, "abs_max_np_sum")
            factor = scale[again] * x.dtype.type(reduction)
            outputs[again], last = self._pass(x[again], factor, draws, again, diagonal)
            cut.add(last, again, anew=True)
            passes[again] += 1
        return Product(outputs, passes, clipped, cut.at_bound)

    def _pass(
        self, x: Floats, scale: Floats, draws: Draws, rows: NDArray[np.intp] | None, diagonal: bool
    ) -> tuple[Floats, _Cut]:
        """Outputs of one pass, and what the ADC cut. ``scale``: (vectors,) divisor of the inputs."""
        settings = self.parameters
        applied = applied_inputs(x, scale, settings, draws, rows)
        where = None if not diagonal else np.arange(len(x)) if rows is None else rows
        if settings.sign_handling == "one_pass":
            y, spread = self.sums(applied, where)
            cut = self._finished(y, spread, draws, rows, 0)
        else:
            y, cut = self._separate(applied, where, draws, rows)
        y *= (scale * x.dtype.type(settings.output_scale))[:, None]
        return y, cut

    def _separate(
        self, applied: Floats, where: NDArray[np.intp] | None, draws: Draws, rows: NDArray[np.intp] | None
    ) -> tuple[Floats, _Cut]:
        """Negative, then positive inputs, in four phases with the positive weights before the negative ones; added
        before the ADC, or converted each and added."""
        handling = self.parameters.sign_handling
        parts = np.minimum(applied, 0), np.maximum(applied, 0)
        turns = [(self, part, 1) for part in parts]
        if handling == "four_phase_digital_sum":
            turns = [(each, part, sign) for each, sign in zip(self.polarities, (1, -1), strict=True) for part in parts]
        total: Floats | None = None
        cut = _Cut.none(len(applied))
        for turn, (crossbar, part, sign) in enumerate(turns):
            y, spread = crossbar.sums(part, where)
            if handling != "pos_neg_separate":
                cut.add(self._finished(y, spread, draws, rows, turn))
            elif spread is not None:
                y += np.sqrt(spread) * draws.normals("weight", y, rows, turn)
            total = y if total is None else (total + y if sign > 0 else total - y)
        assert total is not None
        if handling == "pos_neg_separate":
            cut = self._finished(total, None, draws, rows, 0)
        return total, cut

    def sums(self, x: Floats, where: NDArray[np.intp] | None = None) -> tuple[Floats, Floats | None]:
        """Sums of inputs as they are applied, before weight noise, and the variance of that noise (None for none).

        Both are (vectors, outputs). With ``where``, ``x`` is (vectors, 1), the value of the only input of each.
        """
        settings, kind = self.parameters, x.dtype.type

        def dot(matrix: Floats, values: Floats) -> Floats:
            return values @ matrix if where is None else values * matrix[where]

        u = dot(self._transposed, x)
        if settings.ir_drop > 0:
            currents = dot(self._magnitudes, np.abs(x))
            currents *= kind(self.weights.shape[1] / settings.conductance_ratio(self.g_max_us))
            drop = drop_fraction(currents)
            drop *= kind(settings.ir_drop)
            drop *= dot(self._transposed, x * (self._profile if where is None else self._profile[where, None]))
            u -= drop
        if settings.series_resistance > 0:
            u = _series(u, x, settings)
        if settings.weight_noise == 0 or settings.weight_noise_kind == "none":
            return u, None
        squares = x * x
        if settings.weight_noise_kind == "pcm_read":
            spread = dot(self._magnitudes, squares)
        else:
            spread = np.broadcast_to(squares.sum(axis=1, keepdims=True), u.shape).copy()
        spread *= kind(settings.weight_noise**2)
        return u, spread

    def _finished(
        self, y: Floats, spread: Floats | None, draws: Draws, rows: NDArray[np.intp] | None, turn: int
    ) -> _Cut:
        """Noise, S-shape and ADC, in place; returns what was cut."""
        settings, kind = self.parameters, y.dtype.type
        noisy = settings.output_noise > 0
        linear = not (settings.nonlinearity or settings.slope_calibration or settings.output_asymmetry)
        if spread is not None and noisy and linear and not draws.supplied:
            # The sum of two normals is one normal: half of the draws.
            spread += kind(settings.output_noise**2)
            noisy = False
        if spread is not None:
            np.sqrt(spread, out=spread)
            spread *= draws.normals("weight", y, rows, turn)
            y += spread
        if not linear:
            s_shape(y, settings)
        if noisy:
            y += kind(settings.output_noise) * draws.normals("output", y, rows, turn)
        clipped = converted(y, settings.adc, draws, settings)
        if math.isinf(settings.adc.bound):
            return _Cut(clipped, np.zeros(len(y), np.intp))
        bound = kind(_AT_BOUND * settings.adc.bound)
        return _Cut(clipped, np.count_nonzero(np.abs(y) >= bound, axis=1))


def applied_inputs(
    x: Floats, scale: Floats, settings: CrossbarParameters, draws: Draws, rows: NDArray[np.intp] | None = None
) -> Floats:
    """What the DAC drives, divided by ``scale`` (vectors,); noise included."""
    applied: Floats = x.copy() if settings.noise_management == "none" and rows is None else x / scale[:, None]
    converted(applied, settings.dac, draws)
    if settings.input_noise > 0:
        applied += x.dtype.type(settings.input_noise) * draws.normals("input", applied, rows)
    if settings.input_asymmetry:
        applied[applied < 0] *= x.dtype.type(1 - settings.input_asymmetry)
    return applied


def input_scale(x: Floats, settings: CrossbarParameters, rule: str) -> Floats:
    """Divisor of the inputs of each vector, (vectors,); 0 or less where a vector is not applied."""
    cap, kind = settings.noise_threshold, x.dtype.type
    if rule == "none":
        return np.ones(len(x), x.dtype)
    if rule == "constant":
        return np.full(len(x), cap if cap > 0 else 1.0, x.dtype)
    largest: Floats = x.max(axis=1) if rule == "max" else np.abs(x).max(axis=1)
    if cap > 0:
        largest = np.minimum(largest, kind(cap))
    if rule != "abs_max_np_sum":
        return largest
    bound = settings.adc.bound if math.isfinite(settings.adc.bound) else 1.0
    sums = np.maximum(np.maximum(x, 0).sum(axis=1), -np.minimum(x, 0).sum(axis=1))
    wanted = sums * kind(_ASSUMED_WEIGHT / bound)
    if settings.dac.resolution is not None:
        wanted = np.minimum(wanted, largest * kind(settings.largest_resolution_share / settings.dac.resolution))
    chosen: Floats = np.maximum(largest, wanted)
    return chosen


def _resets(settings: CrossbarParameters) -> bool:
    """Whether the second pass scales for the worst case instead of halving."""
    return settings.bound_management == "iterative_worst_case" and settings.noise_management != "abs_max_np_sum"


def _exhausted(settings: CrossbarParameters, reduction: float) -> bool:
    """Whether a vector that clips at ``reduction`` is left as it is."""
    step = settings.dac.resolution
    return (
        settings.bound_management == "none"
        or reduction > settings.largest_reduction
        or (step is not None and reduction > settings.largest_resolution_share / step)
    )


def converted(
    values: Floats, converter: Converter, draws: Draws, settings: CrossbarParameters | None = None
) -> NDArray[np.bool_]:
    """Round and clip in place; returns the rows that clip where ``settings`` has bound management, else none."""
    step = converter.resolution
    if step is not None:
        values /= values.dtype.type(step)
        if converter.stochastic:
            values += draws.uniforms(values)
            np.floor(values, out=values)
        else:
            np.rint(values, out=values)
        values *= values.dtype.type(step)
    clipped = np.zeros(len(values), np.bool_)
    if math.isfinite(converter.bound):
        bound = values.dtype.type(converter.bound)
        low = values.dtype.type(0) if converter.unsigned else -bound
        if settings is not None and settings.bound_management != "none":
            clipped = values.max(axis=1) > bound
            if settings.clip_negative:
                clipped |= values.min(axis=1) < low
        np.clip(values, low, bound, out=values)
    return clipped


def _series(u: Floats, x: Floats, settings: CrossbarParameters) -> Floats:
    """Outputs behind a series resistance, beside a reference line where there is one."""
    resistance = u.dtype.type(settings.series_resistance)

    def behind(y: Floats) -> Floats:
        reduced: Floats = y / (1 + resistance * np.abs(y))
        return reduced

    if settings.series_reference == 0:
        return behind(u)
    reference = u.dtype.type(-settings.series_reference) * x.sum(axis=1, keepdims=True)
    return behind(u + reference) - behind(reference)


def s_shape(y: Floats, settings: CrossbarParameters) -> None:
    """The S-shape of outputs, their slope made up for, and their asymmetry, in place."""
    bound, kind = settings.adc.bound if math.isfinite(settings.adc.bound) else 1.0, y.dtype.type
    bend = settings.nonlinearity / bound
    slope = 1.0
    if settings.slope_calibration > 0:
        slope = (1 + (bend + settings.series_resistance) * settings.slope_calibration * bound) ** 2
    y *= kind(slope) / (1 + kind(bend) * np.abs(y))
    if settings.output_asymmetry:
        y[y < 0] *= kind(1 - settings.output_asymmetry)

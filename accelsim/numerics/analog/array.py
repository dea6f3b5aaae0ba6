"""Weights on several cells each, read in phases: what is converted apart is shifted and added digitally.

A weight lies on *lines* (columns of a tile): pairs of devices or lines for each sign, slices of its bits or copies of
it. Inputs are applied whole, or share by share. Each line is converted in each phase by itself; codes are whole
numbers, and are added in float64, which holds them exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnsupportedError
from accelsim.numerics.analog.devices import Device
from accelsim.numerics.analog.draws import Floats, Seed, Supplied, generator, within
from accelsim.numerics.analog.mvm import Crossbar, checked_matrix
from accelsim.numerics.analog.parameters import Converter, CrossbarParameters
from accelsim.numerics.analog.tile import ProgrammedWeights, mean_output, program, program_cells
from accelsim.numerics.analog.words import InputShares, Integers, WeightSlices

__all__ = [
    "ArrayProduct", "Layout", "Lines", "ProgrammedArray", "ReadArray", "ReadScheme", "full_range", "laid_out",
    "program_array",
]  # fmt: skip

_MOST_AT_ONCE = 1 << 20
"""Values of one stack of shares: some arrays of this size stay in the caches."""
_WHOLE = 1e-9
_EXACT_SINGLES = 1 << 24

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layout:
    """How a weight lies on lines.

    Attributes:
        signs: a ``pair`` of devices that subtract on one line, ``two_lines``, or an ``offset`` of half of the range.
        parts: slices or copies of a weight.
        slice_bits: of a slice; 0 for copies, whose outputs are averaged.
        complemented: with an offset, columns of a slice whose cells sum to more than half are stored as complements.
        joined: lines add their currents, weighted as their bits count, and are converted once.
    """

    signs: Literal["pair", "two_lines", "offset"] = "pair"
    parts: int = 1
    slice_bits: int = 0
    complemented: bool = False
    joined: bool = False

    def __post_init__(self) -> None:
        if self.signs == "offset" and not self.slice_bits:
            raise InputError("stores whole numbers with an offset", field="slice_bits", value=0)
        if self.complemented and (self.signs != "offset" or self.joined):
            raise InputError("needs an offset, and lines that are not joined", field="complemented", value=True)

    @property
    def slices(self) -> WeightSlices | None:
        return WeightSlices(self.slice_bits, self.parts) if self.slice_bits else None

    @property
    def lines(self) -> int:
        """Lines of a weight."""
        return self.parts * (2 if self.signs == "two_lines" else 1)

    @property
    def whole(self) -> int:
        """Counts of a weight of 1."""
        return self.slices.whole if self.slices else 1

    @property
    def levels(self) -> int:
        """Counts of the largest conductance that is converted."""
        if not self.slices:
            return 1
        if not self.joined:
            return self.slices.levels
        return 2 * self.whole + 1 if self.signs == "offset" else self.whole


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Weights on lines.

    Attributes:
        cells: (lines, outputs, inputs) within -1 .. 1 of the largest conductance; 0 or more where no pair subtracts.
        factors: (lines, outputs), counts of a level of each line with its sign.
        constants: (outputs,), counts to be added for each count of the summed inputs.
    """

    cells: Floats
    factors: Doubles
    constants: Doubles


def laid_out(weights: Floats, layout: Layout) -> Lines:
    """Weights (outputs, inputs) within -1 .. 1 on lines; whole numbers are rounded half to even."""
    slices = layout.slices
    if slices is None:
        parts, counts = [weights] * layout.parts, [1 / layout.parts] * layout.parts
        constants = np.zeros(len(weights))
    else:
        numbers = np.rint(weights.astype(np.float64) * slices.whole).astype(np.int64)
        counts = [float(slices.factor(index)) for index in range(slices.count)]
        if layout.signs == "offset":
            return _offset(numbers, slices, layout)
        parts = [(np.sign(numbers) * each / slices.levels).astype(weights.dtype) for each in slices.cut(abs(numbers))]
        constants = np.zeros(len(weights))
    if layout.signs == "two_lines":
        parts = [np.maximum(sign * each, 0) for each in parts for sign in (1, -1)]
        counts = [sign * each for each in counts for sign in (1, -1)]
    factors = np.repeat(np.array(counts, np.float64)[:, None], len(weights), axis=1)
    return Lines(np.stack(parts), factors, constants)


def _offset(numbers: Integers, slices: WeightSlices, layout: Layout) -> Lines:
    half = slices.whole + 1
    parts = np.stack(list(slices.cut(numbers + half)))
    factors = np.array([float(slices.factor(index)) for index in range(slices.count)])
    factors = np.repeat(factors[:, None], len(numbers), axis=1)
    constants = np.full(len(numbers), -float(half))
    if layout.complemented:
        turned = parts.sum(axis=2) > slices.levels * numbers.shape[1] / 2
        parts = np.where(turned[:, :, None], slices.levels - parts, parts)
        constants += (factors * turned).sum(axis=0) * slices.levels
        factors = np.where(turned, -factors, factors)
    return Lines((parts / slices.levels).astype(np.float32), factors, constants)


@dataclass(frozen=True)
class ReadScheme:
    """How lines are read.

    Attributes:
        crossbar: converters and non-idealities of whole inputs.
        layout: of the weights.
        shares: of the inputs, which are scaled to their largest; None where they are applied whole, as ``crossbar`` has
            it. Slices need shares (one, where inputs are whole), for their sums are whole numbers.
        converters: the ADC of each share.
        full: whether ADCs hold every sum, so that none is cut.
    """

    crossbar: CrossbarParameters
    layout: Layout = Layout()
    shares: InputShares | None = None
    converters: tuple[Converter, ...] = ()
    full: bool = False

    def __post_init__(self) -> None:
        if self.layout.slice_bits and self.shares is None:
            raise InputError("must be given for slices", field="shares")
        if len(self.converters) != (len(self.shares.bits) if self.shares else 0):
            raise InputError("must have one for each share", field="converters", value=len(self.converters))
        if self.shares is not None and self.crossbar.bound_management != "none":
            raise UnsupportedError("repeats whole inputs, not shares of them", field="bound_management",
                                   value=self.crossbar.bound_management)  # fmt: skip

    @cached_property
    def phases(self) -> tuple[tuple[int, ...], ...]:
        """Places of shares that are read alike, in order."""
        if self.shares is None:
            return ((0,),)
        alike = groupby(range(len(self.converters)), key=lambda p: (self._shares.levels[p], self.converters[p]))
        return tuple(tuple(places) for _, places in alike)

    @property
    def _shares(self) -> InputShares:
        assert self.shares is not None
        return self.shares

    def parameters(self, place: int) -> CrossbarParameters:
        """Of the crossbar in the phase of share ``place``."""
        if self.shares is None or self.crossbar.perfect:
            return self.crossbar
        return replace(self.crossbar, dac=Converter(), adc=self.converters[place], noise_management="none",
                       noise_threshold=0.0)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class ProgrammedArray:
    """Lines as they were programmed; ``baseline`` is their mean output for the identity matrix then, 0 if unread."""

    programmed: ProgrammedWeights
    lines: Lines
    scheme: ReadScheme
    baseline: float

    def read_at(self, time_s: float | None, seed: Seed) -> ReadArray:
        """The lines ``time_s`` after programming (None for right after it), and their drift compensation."""
        weights = self.programmed.weights if time_s is None else self.programmed.at(time_s, seed)
        device = self.programmed.device
        crossbars = _crossbars(weights, self.lines, self.scheme, device)
        if not self.baseline:
            return ReadArray(crossbars, self.lines, self.scheme, 1.0)
        now = mean_output(crossbars[0], within(seed, "compensation"))
        return ReadArray(crossbars, self.lines, self.scheme, self.baseline / now)


def program_array(
    weights: Floats, device: Device, scheme: ReadScheme, seed: Seed, *, compensated: bool
) -> ProgrammedArray:
    """Program weights (outputs, inputs) within -1 .. 1, and read a baseline where drift is to be ``compensated``.

    Raises:
        InputError: weights that are no finite matrix, or out of range.
    """
    rng, layout = generator(seed, "program"), scheme.layout
    lines = laid_out(checked_matrix(weights, "weights", limit=1.0), layout)
    flat = lines.cells.reshape(-1, weights.shape[1])
    if layout.signs == "pair" and not layout.slice_bits:
        programmed = program(flat, device, rng)
    else:
        programmed = program_cells(flat, device, rng, pairs=layout.signs == "pair")
    baseline = 0.0
    if compensated:
        first = _crossbars(programmed.weights, lines, scheme, device)[0]
        baseline = mean_output(first, within(rng, "baseline"))
    return ProgrammedArray(programmed, lines, scheme, baseline)


def _crossbars(weights: Floats, lines: Lines, scheme: ReadScheme, device: Device) -> tuple[Crossbar, ...]:
    """A crossbar for each phase that is read in its own way."""
    if scheme.layout.joined:
        each = weights.reshape(lines.cells.shape)
        levels = scheme.layout.slices.levels if scheme.layout.slices else 1
        shares = (lines.factors * (levels / scheme.layout.levels)).astype(weights.dtype)
        weights = (each * shares[:, :, None]).sum(axis=0)
    return tuple(
        Crossbar(weights, scheme.parameters(places[0]), device.g_max_us, weight_limit=math.inf)
        for places in scheme.phases
    )


@dataclass(frozen=True, slots=True, eq=False)
class ArrayProduct:
    """(vectors, outputs), and how many conversions lay at the bound of a converter that is not a full one."""

    outputs: Floats
    clipped: int


@dataclass(frozen=True, slots=True, eq=False)
class ReadArray:
    """Lines at a time; ``compensation`` is the factor of what they return."""

    crossbars: tuple[Crossbar, ...]
    lines: Lines
    scheme: ReadScheme
    compensation: float

    @property
    def _converted(self) -> int:
        return 1 if self.scheme.layout.joined else self.scheme.layout.lines

    @property
    def _factors(self) -> Doubles:
        """(converted lines, outputs) counts of what each returns."""
        return np.ones_like(self.lines.factors[:1]) if self.scheme.layout.joined else self.lines.factors

    def product(self, x: Floats, seed: Seed) -> ArrayProduct:
        """The product with each row of ``x`` (vectors, inputs)."""
        if self.scheme.shares is None:
            return self._whole(x, seed)
        rows = self._rows_at_once(x.shape[1]) if not isinstance(seed, Supplied) else len(x)
        made = [self._in_shares(x[first : first + rows], seed) for first in range(0, len(x), rows)]
        if len(made) == 1:
            return made[0]
        return ArrayProduct(np.concatenate([each.outputs for each in made]), sum(each.clipped for each in made))

    def _rows_at_once(self, inputs: int) -> int:
        widest = max(inputs, self._converted * int(self.lines.factors.shape[1]))
        return max(_MOST_AT_ONCE // (widest * max(len(places) for places in self.scheme.phases)), 1)

    def _whole(self, x: Floats, seed: Seed) -> ArrayProduct:
        product = self.crossbars[0].product(x, seed)
        found, clipped = product.outputs, 0 if self.scheme.full else int(product.at_bound.sum())
        if self._converted > 1:
            each = found.reshape(len(x), self._converted, -1)
            found = np.einsum("vlo,lo->vo", each, self._factors).astype(x.dtype)
        return ArrayProduct(found * x.dtype.type(self.compensation), clipped)

    def _in_shares(self, x: Floats, seed: Seed) -> ArrayProduct:
        """Inputs as whole numbers, share by share."""
        shares = self.scheme.shares
        assert shares is not None
        largest = np.abs(x).max(axis=1)
        if not np.isfinite(largest).all():
            raise InputError("holds NaN or infinities", field="inputs")
        numbers = shares.rounded(x / np.where(largest > 0, largest, 1)[:, None])
        parts = list(shares.cut(numbers))
        total = np.zeros((len(x), self._converted, self.lines.factors.shape[1]))
        clipped = 0
        for turn, (crossbar, places) in enumerate(zip(self.crossbars, self.scheme.phases, strict=True)):
            levels = shares.levels[places[0]]
            stack = np.concatenate([parts[place] for place in places], dtype=x.dtype)
            if levels > 1:
                stack /= x.dtype.type(levels)
            product = crossbar.product(stack, within(seed, f"phases {turn}"))
            found, adc = product.outputs, Converter() if crossbar.parameters.perfect else crossbar.parameters.adc
            clipped += 0 if self.scheme.full else int(product.at_bound.sum())
            unit = _as_codes(found, adc, levels * self.scheme.layout.levels)
            factors = [shares.factors[place] for place in places]
            total += _shifted(found.reshape(len(places), -1), factors, adc).reshape(total.shape) * np.float64(unit)
        sums = np.einsum("vlo,lo->vo", total, self._factors) * self.compensation
        sums += numbers.sum(axis=1, dtype=np.int64)[:, None] * self.lines.constants
        scale = largest.astype(np.float64) / (shares.whole * self.scheme.layout.whole)
        return ArrayProduct((sums * scale[:, None]).astype(x.dtype), clipped)


def _shifted(codes: Floats, factors: list[int], adc: Converter) -> Floats:
    """The sum of codes (shares, ...) times their factors, in single precision where it holds every sum exactly."""
    largest = math.inf if adc.resolution is None else adc.bound / adc.resolution * sum(map(abs, factors))
    kind = np.float32 if largest < _EXACT_SINGLES else np.float64
    found: Floats = np.array(factors, kind) @ codes.astype(kind, copy=False)
    return found


def _as_codes(found: Floats, adc: Converter, counts: int) -> float:
    """Outputs as codes, in place; returns the counts of a code, where an output of 1 is ``counts``."""
    step = adc.resolution
    if step is None:
        return float(counts)
    found *= found.dtype.type(1 / step)
    np.rint(found, out=found)
    unit, nearest = step * counts, round(step * counts)
    return float(nearest) if abs(unit - nearest) < _WHOLE * unit else unit


def full_range(layout: Layout, rows: int, levels: int, bits: int, *, unsigned: bool) -> Converter:
    """The converter of ``bits`` bits that holds the sum of ``rows`` inputs of ``levels`` counts at their largest.

    Where weights are whole numbers, no step is finer than one count.

    Raises:
        InputError: bits that are too few to have a level.
    """
    if not layout.slice_bits:
        return Converter.of_bits(bits, float(rows), unsigned=unsigned)
    largest = rows * levels * layout.levels
    largest = -(-largest // 2) if layout.complemented else largest
    steps = min(2**bits - 1 if unsigned else 2 ** (bits - 1) - 1, largest)
    if steps < 1:
        raise InputError("must be two or more of outputs with a sign", field="bits", value=bits)
    return Converter(largest / (levels * layout.levels), 2.0 * steps, unsigned=unsigned)

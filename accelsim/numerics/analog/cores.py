"""Cores that compute with cells of few levels: pairs of cells or bit slices, digital inputs, converted currents.

Weights are normalised by their largest magnitude, inputs lie within -1 .. 1, rounding is half to even. The
conventions are those of CrossSim (Xiao et al., IEEE Circuits and Systems Magazine 22, 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics.analog.mvm import checked_matrix
from accelsim.numerics.analog.words import WeightSlices

__all__ = ["AdcLevels", "CellCore", "CoreStyle"]

CoreStyle = Literal["one_sided", "two_sided", "bit_sliced"]
AdcLevels = Literal["uniform", "sign_magnitude"]
_MOST_BITS = 24


@dataclass(frozen=True, slots=True)
class CellCore:
    """How weights are cells, and how currents become numbers. 0 bits: nothing is rounded there.

    Attributes:
        style: a pair of cells of which one is at its least, a pair about the middle, or slices of the magnitude.
        weight_bits: of a weight with its sign; with bit slices it must be given.
        cell_bits: of one cell of a pair.
        slices: cells that share the magnitude of a weight, from the lowest bits.
        dac_bits, adc_bits: of the converters.
        adc_ranges: lowest and highest output of the ADC, one pair, or one for each slice.
        adc_levels: 2^bits across the range, or 2^bits - 1 symmetric about 0.
        off_share: conductance of an off cell over that of an on cell; 0 for cells that close.
    """

    style: CoreStyle = "one_sided"
    weight_bits: int = 8
    cell_bits: int = 0
    slices: int = 1
    dac_bits: int = 8
    adc_bits: int = 8
    adc_ranges: tuple[tuple[float, float], ...] = ()
    adc_levels: AdcLevels = "uniform"
    off_share: float = 0.0

    def __post_init__(self) -> None:
        for name, words in (("style", get_args(CoreStyle)), ("adc_levels", get_args(AdcLevels))):
            if getattr(self, name) not in words:
                raise UnknownNameError(name, str(getattr(self, name)), words, field=name)
        for name in ("weight_bits", "cell_bits", "dac_bits", "adc_bits"):
            bits = getattr(self, name)
            least = 2 if name == "dac_bits" or (name, self.adc_levels) == ("adc_bits", "sign_magnitude") else 1
            if isinstance(bits, bool) or not isinstance(bits, int) or not (bits == 0 or least <= bits <= _MOST_BITS):
                raise InputError(f"must be {least} to {_MOST_BITS}, or 0 for none", field=name, value=bits)
        if not 0 <= self.off_share < 1:
            raise InputError("must be 0 or more, and less than 1", field="off_share", value=self.off_share)
        if self.adc_bits and len(self.adc_ranges) != self.slices:
            raise InputError("must have a range for each slice", field="adc_ranges", value=self.adc_ranges)
        if any(not (math.isfinite(low) and math.isfinite(high) and low < high) for low, high in self.adc_ranges):
            raise InputError("must be finite ranges, low before high", field="adc_ranges", value=self.adc_ranges)
        if self.slices < 1 or (self.style != "bit_sliced" and self.slices != 1):
            raise InputError("must be 1, or 1 or more of a bit-sliced core", field="slices", value=self.slices)
        if self.style == "bit_sliced" and (self.weight_bits < 2 or self.weight_bits % self.slices):
            raise InputError("must be a multiple of the slices, 2 or more", field="weight_bits", value=self.weight_bits)

    def product(self, weights: ArrayLike, inputs: ArrayLike) -> NDArray[np.float64]:
        """Outputs, (vectors, outputs), of weights (outputs, inputs) and inputs (vectors, inputs).

        Raises:
            InputError: values that are no finite matrices, or inputs beyond -1 .. 1 of a core with DACs.
        """
        w = checked_matrix(weights, "weights").astype(np.float64)
        limit = 1.0 if self.dac_bits else math.inf
        x = checked_matrix(inputs, "inputs", w.shape[1], limit).astype(np.float64)
        largest = float(np.abs(w).max()) or 1.0
        x = _rounded(x, 2 ** (self.dac_bits - 1) - 1 if self.dac_bits else 0)
        compute = self._sliced if self.style == "bit_sliced" else self._paired
        found: NDArray[np.float64] = compute(w / largest, x) * largest
        return found

    def _paired(self, w: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        levels = 2**self.cell_bits - 1
        if self.style == "two_sided":
            cells = _rounded((1 + w) / 2, levels) - _rounded((1 - w) / 2, levels)
        else:
            cells = _rounded(np.maximum(w, 0), levels) - _rounded(np.maximum(-w, 0), levels)
        return self._read(x @ cells.T, 0)

    def _sliced(self, w: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Slices of the magnitude, each read through its ADC, shifted and added."""
        slices = WeightSlices(self.weight_bits // self.slices, self.slices)
        magnitude, sign = np.rint(np.abs(w) * slices.whole).astype(np.int64), np.sign(w)
        total = np.zeros((len(x), len(w)))
        for index, part in enumerate(slices.cut(magnitude)):
            current = x @ (sign * part / slices.levels).T
            total += self._read(current, index) * float(slices.levels * slices.factor(index))
        found: NDArray[np.float64] = total / slices.whole
        return found

    def _read(self, currents: NDArray[np.float64], index: int) -> NDArray[np.float64]:
        """Through the ADC; cells that do not close leave a smaller swing, which is made up for behind it."""
        if not self.adc_bits:
            return currents
        swing = 1 - self.off_share
        low, high = self.adc_ranges[index]
        if self.adc_levels == "uniform":
            step = (high - low) / (2**self.adc_bits - 1)
            found = np.clip(np.rint((currents * swing - low) / step) * step + low, low, high)
        else:
            step = max(abs(low), abs(high)) / (2 ** (self.adc_bits - 1) - 1)
            found = np.clip(np.rint(currents * swing / step) * step, low, high)
        result: NDArray[np.float64] = found / swing
        return result


def _rounded(values: NDArray[np.float64], levels: int) -> NDArray[np.float64]:
    """To multiples of 1 / levels; 0 levels round nothing."""
    rounded: NDArray[np.float64] = np.rint(values * levels) / levels if levels else values
    return rounded

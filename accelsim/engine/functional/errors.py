"""How far emulated values are from those in FP32."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OpError", "Tally", "sqnr_db"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class OpError:
    """What became of one op's results over all of its executions, errors of all ops before it included.

    Attributes:
        op: its name.
        label: the operator of the model.
        precision: format that it computed in.
        sqnr_db: energy of the FP32 result over that of the error; infinite where they agree, NaN where not finite.
        max_abs_error, mean_abs_error: against FP32.
        saturated: finite numbers beyond the range of the format that they were stored or read in.
        flushed: numbers that became zero.
    """

    op: str
    label: str
    precision: str
    sqnr_db: float
    max_abs_error: float
    mean_abs_error: float
    saturated: int
    flushed: int


def sqnr_db(reference: Array, found: Array) -> float:
    """10 log10 of sum(reference^2) / sum((found - reference)^2); infinite without error, NaN where not finite."""
    signal, noise, _, _ = _sums(reference, found)
    return _decibels(signal, noise)


def _sums(reference: Array, found: Array) -> tuple[float, float, float, float]:
    """Energy of the signal and of the error, its largest magnitude and the sum of magnitudes."""
    with np.errstate(all="ignore"):
        wide = reference.astype(np.float64)
        # Where both hold the same infinity there is no error.
        error = np.where(found == reference, 0.0, found.astype(np.float64) - wide)
        apart = np.abs(error)
        largest = float(apart.max()) if apart.size else 0.0
        return float(np.square(wide).sum()), float(np.square(error).sum()), largest, float(apart.sum())


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if 0 < signal < inf and noise < inf else (-inf if signal == 0 else nan)


@dataclass(slots=True)
class _Sum:
    label: str
    precision: str
    signal: float = 0.0
    noise: float = 0.0
    largest: float = 0.0
    total: float = 0.0
    elements: int = 0
    saturated: int = 0
    flushed: int = 0


class Tally:
    """Errors of ops, added up over their executions, in order of first appearance."""

    def __init__(self) -> None:
        self._sums: dict[str, _Sum] = {}

    def add(
        self, op: str, label: str, precision: str, pair: tuple[Array, Array], counts: tuple[int, int]
    ) -> None:  # fmt: skip
        """One execution: ``pair`` is its result in FP32 and as found, ``counts`` the numbers saturated and flushed."""
        signal, noise, largest, total = _sums(*pair)
        kept = self._sums.setdefault(op, _Sum(label, precision))
        kept.signal += signal
        kept.noise += noise
        kept.largest = float(np.maximum(kept.largest, largest))  # a NaN stays
        kept.total += total
        kept.elements += pair[0].size
        kept.saturated += counts[0]
        kept.flushed += counts[1]

    def errors(self) -> tuple[OpError, ...]:
        return tuple(
            OpError(
                op, each.label, each.precision, _decibels(each.signal, each.noise), each.largest,
                each.total / each.elements if each.elements else 0.0, each.saturated, each.flushed,
            )
            for op, each in self._sums.items()
        )  # fmt: skip

"""How far emulated values are from those in FP32."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OpError", "error_of", "sqnr_db"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class OpError:
    """What became of one op's result, errors of all ops before it included.

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
    with np.errstate(all="ignore"):
        wide = reference.astype(np.float64)
        # Where both hold the same infinity there is no error.
        error = np.where(found == reference, 0.0, found.astype(np.float64) - wide)
        noise, signal = float(np.square(error).sum()), float(np.square(wide).sum())
    if noise == 0:
        return inf
    return 10 * log10(signal / noise) if 0 < signal < inf and noise < inf else (-inf if signal == 0 else nan)


def error_of(
    op: str, label: str, precision: str, reference: Array, found: Array, counts: tuple[int, int]
) -> OpError:  # fmt: skip
    """The record of one op; ``counts`` are numbers saturated and flushed."""
    with np.errstate(all="ignore"):
        wide = np.where(found == reference, 0.0, found.astype(np.float64) - reference.astype(np.float64))
        apart = np.abs(wide)
    largest, mean = (float(apart.max()), float(apart.mean())) if apart.size else (0.0, 0.0)
    return OpError(op, label, precision, sqnr_db(reference, found), largest, mean, *counts)

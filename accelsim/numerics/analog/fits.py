"""Curves that describe devices: functions of the conductance over the largest one, g in 0 .. 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from accelsim.errors import InputError
from accelsim.numerics.analog.draws import Floats

__all__ = ["Curve", "LogThenPolynomial", "Polynomial", "PowerLaw", "Table"]

_LEAST_G = 1e-7
"""Stands for a conductance of 0 in a logarithm, as in the published models."""


@dataclass(frozen=True, slots=True)
class Polynomial:
    """c0 + c1 g + c2 g^2 + ..."""

    coefficients: tuple[float, ...]

    def __call__(self, g: Floats) -> Floats:
        total = np.full_like(g, self.coefficients[-1])
        for each in reversed(self.coefficients[:-1]):
            total *= g
            total += g.dtype.type(each)
        return total


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """min(scale / max(g^exponent, floor), cap)."""

    scale: float
    exponent: float
    floor: float
    cap: float

    def __call__(self, g: Floats) -> Floats:
        kind = g.dtype.type
        found = np.maximum(g, kind(_LEAST_G * _LEAST_G))
        np.log(found, out=found)
        found *= kind(self.exponent)
        np.exp(found, out=found)
        np.maximum(found, kind(self.floor), out=found)
        np.divide(kind(self.scale), found, out=found)
        np.minimum(found, kind(self.cap), out=found)
        return found


@dataclass(frozen=True, slots=True)
class LogThenPolynomial:
    """clip(slope ln g + offset, low, high) below ``threshold``, a polynomial from there on."""

    slope: float
    offset: float
    low: float
    high: float
    threshold: float = math.inf
    beyond: Polynomial | None = None

    def __call__(self, g: Floats) -> Floats:
        kind = g.dtype.type
        found = np.maximum(g, kind(_LEAST_G))
        np.log(found, out=found)
        found *= kind(self.slope)
        found += kind(self.offset)
        np.clip(found, kind(self.low), kind(self.high), out=found)
        return found if self.beyond is None else np.where(g < kind(self.threshold), found, self.beyond(g))


@dataclass(frozen=True, slots=True)
class Table:
    """Values at ascending g, linear between them; beyond the first and the last nothing is known.

    Raises:
        InputError: fewer than two points, not ascending, not finite, or asked beyond its ends.
    """

    g: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.g) < 2 or len(self.g) != len(self.values):
            raise InputError("needs two or more points, each with a value", field="table", value=len(self.g))
        if not all(map(math.isfinite, (*self.g, *self.values))):
            raise InputError("must be finite", field="table")
        if any(a >= b for a, b in zip(self.g, self.g[1:], strict=False)):
            raise InputError("must ascend", field="table.g", value=self.g)

    def __call__(self, g: Floats) -> Floats:
        if g.size and (float(g.min()) < self.g[0] - 1e-6 or float(g.max()) > self.g[-1] + 1e-6):
            raise InputError(f"covers {self.g[0]:g} to {self.g[-1]:g} of the largest conductance", field="table.g",
                             value=[float(g.min()), float(g.max())])  # fmt: skip
        found: Floats = np.interp(g, self.g, self.values).astype(g.dtype)
        return found


Curve = Polynomial | PowerLaw | LogThenPolynomial | Table

"""The error of FP4 blocks with a floating-point scale on normal data, in closed form.

The largest of N magnitudes z = |x| / sigma has density 2N (2 Phi - 1)^(N-1) phi. Its block's scale is that largest / 6,
rounded to a level s of the scale format, so each level has a bin of largest magnitudes. Given the level, the other N
- 1 elements are normal numbers below the largest, rounded to FP4 times s. A block whose scale rounds to zero becomes
zero.

Source: Is Finer Better? The Block-Size Anomaly of Microscaling, arXiv 2601.19026.
"""

from __future__ import annotations

from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.numerics.elements import Float, code_values
from accelsim.numerics.formats import FORMATS

__all__ = ["crossover_sigma", "exact_scale_error", "relative_error"]

Array = NDArray[np.float64]

_LARGEST = 6.0
_POINTS, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_FAR = 10.0
"""Magnitudes beyond so many sigma do not occur."""


def _phi(x: Array) -> Array:
    return np.asarray(np.exp(-0.5 * x * x) / sqrt(2 * np.pi))


def _below(x: Array) -> Array:
    """2 Phi(x) - 1: the probability of a magnitude below x sigma."""
    clipped = np.minimum(np.asarray(x, dtype=np.float64), 40.0)
    return np.vectorize(erf, otypes=[np.float64])(clipped / sqrt(2)) if clipped.size else clipped


def _fp4() -> tuple[Array, Array]:
    """Magnitudes of E2M1 and the edges between them, 0 and the largest included."""
    element = FORMATS["fp4_e2m1"].element
    assert isinstance(element, Float)
    values = np.unique(np.abs(code_values(element).astype(np.float64)))
    return values, np.concatenate([[0.0], (values[:-1] + values[1:]) / 2, [_LARGEST]])


def _others(alpha: Array) -> Array:
    """Mean squared error / sigma^2 of normal numbers within 6 alpha, rounded to FP4 times alpha, (n,)."""
    values, edges = _fp4()
    centre = values * alpha[:, np.newaxis]
    low, high = edges[:-1] * alpha[:, np.newaxis], edges[1:] * alpha[:, np.newaxis]
    mass = _below(high) - _below(low)  # of both signs
    moments = high * _phi(high) - low * _phi(low) - 2 * centre * (_phi(high) - _phi(low))
    return np.asarray(((1 + centre**2) * mass - 2 * moments).sum(axis=1) / _below(_LARGEST * alpha))


def _levels(scale: Float, sigma: float) -> tuple[Array, Array, Array]:
    """Positive levels of the scale / sigma, and the lower and upper edges of what rounds to them."""
    values = code_values(scale).astype(np.float64)
    values = np.unique(values[np.isfinite(values) & (values > 0)])
    edges = np.concatenate([[values[0] / 2], (values[:-1] + values[1:]) / 2, [np.inf]])
    return values / sigma, edges[:-1] / sigma, edges[1:] / sigma


def relative_error(scale: Float, block: int, sigma: float) -> float:
    """Mean squared error / sigma^2 of normal numbers in FP4 blocks whose scale is stored in ``scale``.

    Args:
        scale: of a block, such as UE4M3.
        block: elements that share it, 1 or more.
        sigma: standard deviation of the numbers.
    """
    _check(block, sigma)
    alpha, low, high = _levels(scale, sigma)
    possible = _LARGEST * low < _FAR
    alpha, low, high = alpha[possible], low[possible], np.minimum(high[possible], _FAR)
    mass = _below(_LARGEST * high) ** block - _below(_LARGEST * low) ** block
    total = float((mass * (block - 1) / block * _others(alpha)).sum())
    total += float(_largest(alpha, low, high, block).sum()) / block
    edge = _LARGEST * low[:1]
    inside = _below(edge)
    zeroed = inside**block * (1 - 2 * edge * _phi(edge) / np.maximum(inside, 1e-300))
    return total + float(zeroed[0])


def _largest(alpha: Array, low: Array, high: Array, block: int) -> Array:
    """Squared error / sigma^2 of the largest element of a block times its probability, a level at a time."""
    total = np.zeros(len(alpha))
    values, edges = _fp4()
    edges = np.concatenate([edges[:-1], [np.inf]])  # beyond the largest element it saturates
    for value, start, stop in zip(values, edges[:-1], edges[1:], strict=True):
        first = np.maximum(_LARGEST * low, start * alpha)
        last = np.minimum(_LARGEST * high, stop * alpha)
        half = np.maximum(last - first, 0) / 2
        z = first[:, np.newaxis] + half[:, np.newaxis] * (1 + _POINTS)
        density = 2 * block * _below(z) ** (block - 1) * _phi(z)
        total += half * ((value * alpha[:, np.newaxis] - z) ** 2 * density * _WEIGHTS).sum(axis=1)
    return total


def exact_scale_error(block: int) -> float:
    """The same with a scale that is not rounded: only the elements below the largest have an error."""
    _check(block, 1.0)
    edges = np.linspace(0.0, _FAR, 65)
    half = np.diff(edges) / 2
    z = (edges[:-1, np.newaxis] + half[:, np.newaxis] * (1 + _POINTS)).reshape(-1)
    density = 2 * block * _below(z) ** (block - 1) * _phi(z)
    weights = (half[:, np.newaxis] * _WEIGHTS).reshape(-1)
    return float((weights * density * _others(z / _LARGEST)).sum() * (block - 1) / block)


def crossover_sigma(scale: Float, block: int, low: float = 1e-3, high: float = 0.2) -> float | None:
    """The sigma below which blocks of ``block`` have a larger error than twice as long ones; None without one."""

    def gain(sigma: float) -> float:
        return relative_error(scale, 2 * block, sigma) - relative_error(scale, block, sigma)

    # The error wavers with the levels where most blocks are zero: the crossing that counts is the uppermost.
    grid = np.geomspace(high, low, 60)
    above = float(grid[0])
    if gain(above) <= 0:
        return None
    for below in grid[1:]:
        if gain(float(below)) < 0:
            break
        above = float(below)
    else:
        return None
    under = float(below)
    for _ in range(40):
        middle = sqrt(under * above)
        under, above = (middle, above) if gain(middle) < 0 else (under, middle)
    return sqrt(under * above)


def _check(block: int, sigma: float) -> None:
    if isinstance(block, bool) or not isinstance(block, int | np.integer) or block < 1:
        raise InputError("must be a whole number of 1 or more", field="block", value=block)
    if not 0 < sigma < np.inf:
        raise InputError("must be positive", field="sigma", value=sigma)

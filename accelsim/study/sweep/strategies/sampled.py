"""Designs that are drawn at once: the whole grid, space-filling designs, independent draws."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.strategies.rounds import Grid, Listed, Rounds

__all__ = ["grid", "sampled", "unit_points"]


def grid(sweep: Sweepable) -> Rounds:
    """Every design, in one round."""
    yield Grid(sweep.space)
    return {}


def sampled(sweep: Sweepable) -> Rounds:
    """``budget`` designs of a Latin hypercube, a scrambled Sobol sequence, or independent draws."""
    document = sweep.document
    assert document.budget is not None
    points = unit_points(document.strategy.kind, document.budget, len(sweep.space.axes), document.seed)
    yield Listed(sweep.space.at(points))
    return {}


def unit_points(kind: str, count: int, axes: int, seed: int) -> NDArray[np.float64]:
    """Places in the unit cube, (count, axes). Latin hypercube and Sobol sequence are SciPy's."""
    if kind == "random" or axes == 0:
        return np.random.default_rng(seed).random((count, axes))
    from scipy.stats import qmc

    if kind == "latin_hypercube":
        return np.asarray(qmc.LatinHypercube(axes, rng=np.random.default_rng(seed)).random(count))
    # A Sobol sequence is balanced in powers of two: the next one is drawn, and its first points taken.
    exponent = max(0, math.ceil(math.log2(count)))
    drawn: Any = qmc.Sobol(axes, rng=np.random.default_rng(seed)).random_base2(exponent)
    return np.asarray(drawn[:count])

"""Designs that no other beats: Pareto fronts, kept up to date chunk by chunk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Front", "efficient"]


def efficient(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of the rows of ``points``, (n, objectives) to be minimised, that no other row dominates, ascending.

    A row dominates another that it is nowhere above and somewhere below. Of equal rows the first stands for all; rows
    that are not finite are never efficient.
    """
    candidates = np.flatnonzero(np.isfinite(points).all(axis=1))
    if not candidates.size:
        return candidates
    # The first of equal rows, in an order in which no row is dominated by a later one.
    unique, first = np.unique(points[candidates], axis=0, return_index=True)
    index, left = candidates[first], unique
    if points.shape[1] <= 2:  # in this order what is not below all before it in the last objective is dominated
        least = np.minimum.accumulate(left[:, -1])
        return np.sort(index[np.append(True, left[1:, -1] < least[:-1])])
    kept: list[int] = []
    while len(left):
        kept.append(int(index[0]))
        beaten = (left >= left[0]).all(axis=1)
        index, left = index[~beaten], left[~beaten]
    return np.array(sorted(kept), dtype=np.int64)


class Front:
    """The Pareto front of all designs seen so far: objectives to be minimised and the designs' numbers."""

    def __init__(self, objectives: int) -> None:
        self.points = np.empty((0, objectives))
        self.designs = np.empty(0, dtype=np.int64)

    def add(self, points: NDArray[np.float64], designs: NDArray[np.int64]) -> None:
        """Take in designs, in any order of chunks: equal points are stood for by the design with the least number."""
        own = efficient(points)
        points = np.concatenate([self.points, points[own]])
        designs = np.concatenate([self.designs, designs[own]])
        order = np.argsort(designs, kind="stable")
        points, designs = points[order], designs[order]
        kept = efficient(points)
        self.points, self.designs = points[kept], designs[kept]

    def beats(self, bounds: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n,) whether some design of the front is nowhere above each row of ``bounds``, (n, objectives)."""
        if not len(self.points):
            return np.zeros(len(bounds), dtype=bool)
        met: NDArray[np.bool_] = np.all(self.points[None, :, :] <= bounds[:, None, :], axis=2)
        return np.asarray(np.any(met, axis=1))

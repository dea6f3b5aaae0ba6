"""Successive refinement: a space-filling start, then the neighbours of the designs that nothing beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.pareto import Front
from accelsim.study.sweep.space import Space
from accelsim.study.sweep.spec import RefineStrategy
from accelsim.study.sweep.strategies.rounds import Listed, Rounds
from accelsim.study.sweep.strategies.sampled import unit_points

__all__ = ["refined"]

_FIRST_STEP = 0.25
_SHRINKING = 0.7


def refined(sweep: Sweepable) -> Rounds:
    """Rounds around the front: each takes designs of the front and moves one or two axes by a step that shrinks.

    A design is never evaluated twice; the search ends when the budget is spent or when no neighbour is new.
    """
    document, space = sweep.document, sweep.space
    strategy = document.strategy
    assert isinstance(strategy, RefineStrategy)
    assert document.budget is not None
    draw = np.random.default_rng(document.seed)
    first = min(document.budget, strategy.first or max(2 * strategy.population, 16))
    designs = _distinct(space.at(unit_points("sobol", first, len(space.axes), document.seed)), set())
    front, seen, where = Front(len(document.objectives)), _keys(designs), designs
    rounds, step = 0, _FIRST_STEP
    while len(designs):
        table = yield Listed(designs, wanted=True)
        assert table is not None
        numbers = np.arange(len(where) - len(designs), len(where))
        front.add(table.objectives(document.objectives), numbers)
        rounds += 1
        left = document.budget - len(where)
        parents = where[front.designs] if len(front.designs) else where
        designs = _neighbours(space, parents, min(strategy.population, left), step, draw, seen)
        seen |= _keys(designs)
        where = np.concatenate([where, designs])
        step *= _SHRINKING
    return {"rounds": rounds, "exhausted": len(where) < document.budget}


def _neighbours(
    space: Space, parents: NDArray[np.float64], count: int, step: float, draw: np.random.Generator, seen: set[bytes]
) -> NDArray[np.float64]:
    """Up to ``count`` designs that were not seen, near ``parents``; fewer once a thousand draws in turn are known."""
    found: list[NDArray[np.float64]] = []
    known = set(seen)
    misses = 0
    while len(found) < count and misses < 1000:
        moved = parents[draw.integers(len(parents))].copy()
        for position in draw.choice(
            len(space.axes), size=min(len(space.axes), 1 + int(draw.integers(2))), replace=False
        ):
            moved[position] = _moved(space, int(position), moved[position], step, draw)
        moved = space.masked(_filled(space, moved[None, :], draw))[0]
        key = moved.tobytes()
        if key in known:
            misses += 1
            continue
        known.add(key)
        found.append(moved)
        misses = 0
    return np.array(found) if found else np.empty((0, len(space.axes)))


def _moved(space: Space, position: int, at: float, step: float, draw: np.random.Generator) -> float:
    """A coordinate nearby: at least one value away on a list, any other value where values have no order."""
    axis = space.axes[position]
    if axis.continuous:
        low, high = (np.log(axis.low), np.log(axis.high)) if axis.log else (axis.low, axis.high)
        here = np.log(at) if axis.log else at
        there = float(np.clip(here + (high - low) * step * draw.standard_normal(), low, high))
        return float(np.exp(there)) if axis.log else there
    count = len(axis.values)
    if np.isnan(at) or not axis.numeric:
        return float(draw.integers(count))
    away = max(1, round(abs(draw.standard_normal()) * step * count))
    return float(np.clip(at + (away if draw.random() < 0.5 else -away), 0, count - 1))


def _filled(space: Space, designs: NDArray[np.float64], draw: np.random.Generator) -> NDArray[np.float64]:
    """Coordinates for axes that did not exist and that a moved parent may call into being."""
    fresh = np.stack([axis.coordinates(draw.random(len(designs))) for axis in space.axes], axis=1)
    return np.where(np.isnan(designs), fresh, designs)


def _keys(designs: NDArray[np.float64]) -> set[bytes]:
    return {row.tobytes() for row in designs}


def _distinct(designs: NDArray[np.float64], seen: set[bytes]) -> NDArray[np.float64]:
    """The designs without repetition, in order."""
    kept = []
    for row in designs:
        if row.tobytes() not in seen:
            seen.add(row.tobytes())
            kept.append(row)
    return np.array(kept)

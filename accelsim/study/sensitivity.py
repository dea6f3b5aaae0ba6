"""What assumed constants do to a result: the interval that they span, and which of them moves it most.

Each assumption is put to both ends of its range, one at a time, and everything is mapped and timed anew; that gives
the swings. For the interval of a metric, all assumptions are then put to the ends that lower it, and to those that
raise it. The interval holds every value met on the way; it is exact where the metric is monotone in each constant
and the constants do not interact in sign, and an inner bound otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from accelsim.errors import AccelsimError

__all__ = ["Assumption", "Sensitivity", "Swing", "explore"]

Value = float | str
Setting = Mapping[str, Value]
Measure = Callable[[Setting], Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that nobody has published: its nominal value, the other values it may have, and why those."""

    path: str
    nominal: Value
    others: tuple[Value, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Swing:
    """What one assumption does alone: for each metric its least and greatest value over the assumption's range."""

    assumption: Assumption
    spans: Mapping[str, tuple[float, float]]

    def relative(self, metric: str, nominal: float) -> float:
        """Width of the span over the nominal value."""
        low, high = self.spans[metric]
        return (high - low) / nominal if nominal else 0.0


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Intervals of each metric, swings by falling effect on the first metric, and settings that could not be run."""

    nominal: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]]
    swings: tuple[Swing, ...]
    refused: tuple[str, ...]

    def ranked(self, metric: str) -> list[Swing]:
        """Swings by falling effect on ``metric``."""
        return sorted(self.swings, key=lambda swing: -swing.relative(metric, self.nominal[metric]))


def explore(assumptions: Sequence[Assumption], measure: Measure, nominal: Mapping[str, float]) -> Sensitivity:
    """Run ``measure`` over the ranges of ``assumptions``.

    Args:
        assumptions: what is varied.
        measure: metrics at a setting (path -> value; what is absent is nominal). May raise `AccelsimError`.
        nominal: metrics with everything nominal.
    """
    refused: list[str] = []
    outcomes: dict[str, list[tuple[Value, Mapping[str, float]]]] = {}
    for assumption in assumptions:
        outcomes[assumption.path] = [(assumption.nominal, nominal)]
        for value in assumption.others:
            measured = _attempt(measure, {assumption.path: value}, refused)
            if measured is not None:
                outcomes[assumption.path].append((value, measured))
    spans = {metric: [value] for metric, value in nominal.items()}
    for tried in outcomes.values():
        for _, metrics in tried:
            for metric, value in metrics.items():
                spans[metric].append(value)
    for corner in _corners(nominal, outcomes):
        metrics_there = _attempt(measure, corner, refused)
        for metric, value in (metrics_there or {}).items():
            spans[metric].append(value)
    swings = [
        Swing(assumption, {m: _span([metrics[m] for _, metrics in outcomes[assumption.path]]) for m in nominal})
        for assumption in assumptions
    ]
    first = next(iter(nominal))
    swings.sort(key=lambda swing: -swing.relative(first, nominal[first]))
    return Sensitivity(nominal, {m: _span(values) for m, values in spans.items()}, tuple(swings), tuple(refused))


def _span(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def _corners(
    nominal: Mapping[str, float], outcomes: Mapping[str, list[tuple[Value, Mapping[str, float]]]]
) -> list[dict[str, Value]]:
    """For each metric, all assumptions where they alone make it least, and where they make it greatest."""
    corners: list[dict[str, Value]] = []
    for metric in nominal:
        for choose in (min, max):
            corner = {
                path: choose(tried, key=lambda outcome: outcome[1][metric])[0] for path, tried in outcomes.items()
            }
            if corner not in corners:
                corners.append(corner)
    return corners


def _attempt(measure: Measure, setting: Setting, refused: list[str]) -> Mapping[str, float] | None:
    """The metrics, or None with the reason noted where the setting cannot run (it does not fit, say)."""
    try:
        return measure(setting)
    except AccelsimError as error:
        shown = ", ".join(f"{path}={value}" for path, value in setting.items())
        refused.append(f"{shown if len(setting) < 4 else 'a corner of the ranges'}: {error}")
        return None

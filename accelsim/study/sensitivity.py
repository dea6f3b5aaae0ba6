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
Metrics = Mapping[str, float]
Measure = Callable[[Sequence[Setting]], Sequence[Metrics | AccelsimError]]
"""Metrics at each of several settings (path -> value; what is absent is nominal), or why one cannot be run."""


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
        measure: what is measured, at many settings at once.
        nominal: metrics with everything nominal.
    """
    refused: list[str] = []
    outcomes: dict[str, list[tuple[Value, Metrics]]] = {each.path: [(each.nominal, nominal)] for each in assumptions}
    ends = [(assumption.path, value) for assumption in assumptions for value in assumption.others]
    for (path, value), metrics in zip(ends, _measured(measure, [{path: value} for path, value in ends], refused),
                                      strict=True):  # fmt: skip
        if metrics is not None:
            outcomes[path].append((value, metrics))
    met = [metrics for tried in outcomes.values() for _, metrics in tried]
    met += [metrics for metrics in _measured(measure, _corners(nominal, outcomes), refused) if metrics is not None]
    spans = {metric: [value, *(metrics[metric] for metrics in met)] for metric, value in nominal.items()}
    swings = [
        Swing(assumption, {m: _span([metrics[m] for _, metrics in outcomes[assumption.path]]) for m in nominal})
        for assumption in assumptions
    ]
    first = next(iter(nominal))
    swings.sort(key=lambda swing: -swing.relative(first, nominal[first]))
    return Sensitivity(nominal, {m: _span(values) for m, values in spans.items()}, tuple(swings), tuple(refused))


def _span(values: list[float]) -> tuple[float, float]:
    return min(values), max(values)


def _corners(nominal: Metrics, outcomes: Mapping[str, list[tuple[Value, Metrics]]]) -> list[dict[str, Value]]:
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


def _measured(measure: Measure, settings: Sequence[Setting], refused: list[str]) -> list[Metrics | None]:
    """The metrics of each setting; None, with the reason noted, where it cannot run (it does not fit, say)."""
    found: list[Metrics | None] = []
    for setting, metrics in zip(settings, measure(settings) if settings else (), strict=True):
        if isinstance(metrics, AccelsimError):
            shown = ", ".join(f"{path}={value}" for path, value in setting.items())
            refused.append(f"{shown if len(setting) < 4 else 'a corner of the ranges'}: {metrics}")
        found.append(None if isinstance(metrics, AccelsimError) else metrics)
    return found

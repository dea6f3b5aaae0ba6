"""One evaluation with the interval that its assumptions span."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelsim.errors import AccelsimError
from accelsim.hardware.load import Architecture
from accelsim.mapping.lower import Detail
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline import Engine, Evaluation, evaluate
from accelsim.study.assumptions import Figures, Variations, assumptions_of, notes_on
from accelsim.study.sensitivity import Metrics, Sensitivity, Setting, explore
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionArgument

__all__ = ["Estimate", "estimate", "metric_intervals"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """An evaluation, and how its latency and energy move with what is assumed (None when not asked for)."""

    evaluation: Evaluation
    sensitivity: Sensitivity | None
    notes: tuple[str, ...] = ()

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """{metric: (low, high)} over the assumed constants."""
        return {} if self.sensitivity is None else metric_intervals(self.evaluation, self.sensitivity.intervals)


def metric_intervals(
    evaluation: Evaluation, spans: Mapping[str, tuple[float, float]], suffix: str = ""
) -> dict[str, tuple[float, float]]:
    """Intervals of every metric that follows from latency and energy; each holds the evaluation's own value.

    That of an area that nobody has published is the range of the technology's constants.
    """
    low, high = _with(evaluation.latency_s, spans[f"latency_s{suffix}"])
    intervals = {"latency_s": (low, high)}
    if evaluation.energy_j is not None:
        intervals["energy_j"] = _with(evaluation.energy_j, spans[f"energy_j{suffix}"])
    workload = evaluation.workload
    under_way = evaluation.throughput_per_s * evaluation.latency_s  # the batch, or all that is in a pipeline
    intervals["throughput_per_s"] = _with(evaluation.throughput_per_s, (_rate(under_way, high), _rate(under_way, low)))
    area = evaluation.area
    if area.area_mm2 is not None and area.source != "published":
        intervals["area_mm2"] = (area.area_mm2.low, area.area_mm2.high)
    if workload.audio_s:
        intervals["real_time_factor"] = (low / workload.audio_s, high / workload.audio_s)
    return intervals


def _rate(samples: float, seconds: float) -> float:
    return samples / seconds if seconds > 0 else float("inf")


def _with(value: float, span: tuple[float, float]) -> tuple[float, float]:
    """``span`` widened to hold ``value``: at tile detail the value is not among those explored."""
    return min(value, span[0]), max(value, span[1])


def estimate(
    workload: Graph,
    architecture: Architecture,
    precision: PrecisionArgument | None = None,
    *,
    engine: Engine = "auto",
    detail: Detail = "op",
    intervals: bool = True,
    options: MappingOptions | None = None,
) -> Estimate:
    """Evaluate, and with ``intervals`` evaluate again over the ranges of what is assumed. Arguments as `evaluate`.

    Ranges are explored at op detail, whatever ``detail`` is: they ask for differences, not for a schedule.
    """
    chosen = architecture.description.default_precision if precision is None else precision
    evaluation = evaluate(workload, architecture, chosen, engine=engine, detail=detail, options=options)
    notes = notes_on(evaluation)
    if not intervals:
        return Estimate(evaluation, None, notes)
    nominal = evaluation if detail == "op" else evaluate(workload, architecture, chosen, options=options)
    variations = Variations(workload, architecture, chosen, nominal)

    def measure(settings: Sequence[Setting]) -> list[Metrics | AccelsimError]:
        found = variations.figures(settings)
        return [each if isinstance(each, AccelsimError) else each.metrics() for each in found]

    assumptions = assumptions_of(workload, architecture, (chosen,))
    return Estimate(evaluation, explore(assumptions, measure, Figures.of(nominal).metrics()), notes)

"""Several precisions of one workload on one architecture, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from accelsim.errors import AccelsimError, InputError
from accelsim.hardware.load import Architecture
from accelsim.mapping.lower import Detail
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline import Engine, Evaluation, evaluate
from accelsim.study.assumptions import Figures, Variations, assumptions_of, notes_on
from accelsim.study.estimate import Estimate, metric_intervals
from accelsim.study.sensitivity import Metrics, Sensitivity, Setting, explore
from accelsim.workload.graph import Graph

__all__ = ["PrecisionComparison", "compare_precisions"]


@dataclass(frozen=True, slots=True)
class PrecisionComparison:
    """Evaluations by precision in the order asked for; the first is the baseline, the last what it is compared with."""

    evaluations: Mapping[str, Evaluation]
    sensitivity: Sensitivity | None
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return list(self.evaluations)

    @property
    def speedups(self) -> dict[str, float]:
        """Latency of the first precision over that of each."""
        base = self.evaluations[self.names[0]].latency_s
        return {name: base / each.latency_s for name, each in self.evaluations.items()}

    @property
    def compressions(self) -> dict[str, float]:
        """Weight bytes in FP32 over those at each precision."""
        return {name: Figures.of(each).compression for name, each in self.evaluations.items()}

    @property
    def speedup(self) -> float:
        """Latency of the first precision over that of the last."""
        return self.speedups[self.names[-1]]

    @property
    def compression(self) -> float:
        """Weight bytes in FP32 over those at the last precision."""
        return self.compressions[self.names[-1]]

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Intervals of ``speedup`` and ``compression`` over what is assumed."""
        if self.sensitivity is None:
            return {}
        return {metric: self.sensitivity.intervals[metric] for metric in ("speedup", "compression")}

    def estimate(self, name: str) -> Estimate:
        """The evaluation at one precision with the intervals of its own metrics."""
        if self.sensitivity is None:
            return Estimate(self.evaluations[name], None, self.notes)
        return Estimate(self.evaluations[name], _of_run(self.sensitivity, name), self.notes)

    def run_intervals(self, name: str) -> dict[str, tuple[float, float]]:
        """Intervals of one run's metrics."""
        if self.sensitivity is None:
            return {}
        return metric_intervals(self.evaluations[name], self.sensitivity.intervals, f".{name}")


def _of_run(sensitivity: Sensitivity, name: str) -> Sensitivity:
    """The part of a comparison's sensitivity that speaks of one run."""
    metrics = {
        long: metric for metric in ("latency_s", "energy_j") if (long := f"{metric}.{name}") in sensitivity.nominal
    }
    swings = tuple(
        replace(swing, spans={short: swing.spans[long] for long, short in metrics.items()})
        for swing in sensitivity.swings
    )
    nominal = {short: sensitivity.nominal[long] for long, short in metrics.items()}
    ordered = tuple(sorted(swings, key=lambda swing: -swing.relative("latency_s", nominal["latency_s"])))
    intervals = {short: sensitivity.intervals[long] for long, short in metrics.items()}
    return Sensitivity(nominal, intervals, ordered, sensitivity.refused)


def compare_precisions(
    workload: Graph,
    architecture: Architecture,
    precisions: Sequence[str],
    *,
    engine: Engine = "auto",
    detail: Detail = "op",
    intervals: bool = True,
    options: MappingOptions | None = None,
) -> PrecisionComparison:
    """Evaluate ``workload`` at each of two or more precisions, and the speed-up over the ranges of what is assumed.

    Raises:
        InputError: fewer than two different precisions.
    """
    names = list(dict.fromkeys(precisions))
    if len(names) < 2:
        raise InputError("needs two different precisions", field="precisions", value=list(precisions),
                         remedy="for example fp16 and int4")  # fmt: skip
    runs = {
        name: evaluate(workload, architecture, name, engine=engine, detail=detail, options=options) for name in names
    }
    notes = tuple(dict.fromkeys(note for each in runs.values() for note in notes_on(each)))
    if not intervals:
        return PrecisionComparison(runs, None, notes)
    nominal = runs
    if detail != "op":
        nominal = {name: evaluate(workload, architecture, name, options=options) for name in names}
    variations = {name: Variations(workload, architecture, name, each) for name, each in nominal.items()}

    def measure(settings: Sequence[Setting]) -> list[Metrics | AccelsimError]:
        found = [variations[name].figures(settings) for name in names]
        return [_metrics(dict(zip(names, there, strict=True))) for there in zip(*found, strict=True)]

    assumptions = assumptions_of(workload, architecture, tuple(names))
    figures = _metrics({name: Figures.of(each) for name, each in nominal.items()})
    assert not isinstance(figures, AccelsimError)
    return PrecisionComparison(runs, explore(assumptions, measure, figures), notes)


def _metrics(there: Mapping[str, Figures | AccelsimError]) -> Metrics | AccelsimError:
    """What is explored at one setting, from the figures of each precision; the first error if there is one."""
    found: dict[str, Figures] = {}
    for name, each in there.items():
        if isinstance(each, AccelsimError):
            return each
        found[name] = each
    first, last = next(iter(found.values())), list(found.values())[-1]
    metrics = {"speedup": first.latency_s / last.latency_s, "compression": last.compression}
    for name, figures in found.items():
        metrics |= figures.metrics(f".{name}")
    return metrics

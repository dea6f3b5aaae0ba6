"""The figures of a result in words: what the terminal and the page both put first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from accelsim.pipeline import Evaluation
from accelsim.report.op_figures import bare_resource
from accelsim.report.quantities import interval, percent, plain, quantity
from accelsim.study.assumptions import Figures

__all__ = ["METRICS", "Metric", "assumption_value", "bottleneck_words", "metric_values", "resource_rows"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a result document and how people read it."""

    key: str
    label: str
    text: Callable[[float | None], str]

    def interval(self, intervals: Mapping[str, tuple[float, float]]) -> str:
        """Its interval in words, empty where there is none."""
        ends = intervals.get(self.key)
        return interval(self.text(ends[0]), self.text(ends[1])) if ends else ""


def _unit(unit: str) -> Callable[[float | None], str]:
    return lambda value: quantity(value, unit)


def _bare(unit: str = "") -> Callable[[float | None], str]:
    return lambda value: plain(value, unit)


METRICS = (
    Metric("latency_s", "Latency", _unit("s")),
    Metric("real_time_factor", "Real-time factor", _bare()),
    Metric("throughput_per_s", "Throughput", _bare("/s")),
    Metric("energy_j", "Energy", _unit("J")),
    Metric("power_w", "Average power", _unit("W")),
    Metric("macs", "Work", _unit("MAC")),
    Metric("parameters", "Parameters", _unit("")),
    Metric("weight_bytes", "Weights", _unit("B")),
    Metric("compression", "Compression against FP32", _bare("x")),
    Metric("dram_bytes", "DRAM traffic", _unit("B")),
    Metric("peak_activation_bytes", "Peak activations", _unit("B")),
    Metric("area_mm2", "Chip area", _bare("mm²")),
)
"""In the order in which people ask; bytes count in thousands (1 MB is 10^6 B)."""


def metric_values(run: Evaluation) -> dict[str, float | None]:
    """The value of each of `METRICS`, None where a result has none."""
    return {
        "latency_s": run.latency_s,
        "real_time_factor": run.real_time_factor,
        "throughput_per_s": run.throughput_per_s,
        "energy_j": run.energy_j,
        "power_w": run.power_w,
        "macs": run.macs,
        "parameters": run.workload.parameters,
        "weight_bytes": run.weight_bytes,
        "compression": Figures.of(run).compression if run.weight_bytes > 0 else None,
        "dram_bytes": run.dram_bytes,
        "peak_activation_bytes": run.graph.peak_activation_bytes,
        "area_mm2": run.area_mm2,
    }


def bottleneck_words(run: Evaluation) -> str:
    """What is busiest, and how much of the arrays' peak is used."""
    busy, achieved = percent(run.utilization[run.bottleneck]), percent(run.utilization["macs"])
    return f"{bare_resource(run.bottleneck)}, busy {busy} of the time; MACs reach {achieved} of peak"


def resource_rows(run: Evaluation) -> list[tuple[str, str, str]]:
    """A row a resource: its name, how much is used, and the share of the budget."""
    rows = []
    for name, held in run.resources.items():
        unit, used, budget = ("B" if name.endswith("_bytes") else ""), held["used"], held["budget"]
        words = [quantity(each, unit) if unit else f"{each:,.10g}" for each in (used, budget)]
        share = f"{percent(used / budget)} of " if budget else "of "
        rows.append((_RESOURCES.get(name, name), words[0], share + words[1]))
    return rows


_RESOURCES = {
    "dram_bytes": "DRAM used",
    "scratchpad_bytes": "Scratchpads used",
    "lut": "LUT",
    "lutram": "LUT as memory",
    "ff": "FF",
    "bram18": "BRAM (18 Kb)",
    "uram": "URAM",
    "dsp": "DSP",
}


def assumption_value(value: float | str) -> str:
    """A value of an assumption on one line: 200 G, 0.25, int4."""
    if isinstance(value, str):
        return value
    return plain(value) if 1e-3 <= abs(value) < 1e6 or value == 0 else quantity(value, "")

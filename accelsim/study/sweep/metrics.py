"""The metrics of a design: names, units, and what a sweep may look for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accelsim.errors import InputError, UnknownNameError
from accelsim.study.sweep.spec import LimitDocument, SweepDocument

__all__ = ["ACCURACY", "METRICS", "RESOURCE", "Metric", "check_metrics", "metric_named"]

Sense = Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure of a design. ``better`` is the sense that a reader expects, ``most`` its greatest possible value."""

    name: str
    unit: str
    better: Sense
    words: str
    most: float = float("inf")


METRICS = {
    each.name: each
    for each in (
        Metric("latency_s", "s", "min", "latency"),
        Metric("throughput_per_s", "1/s", "max", "samples a second"),
        Metric("real_time_factor", "", "min", "latency over seconds of audio"),
        Metric("energy_j", "J", "min", "energy of an execution"),
        Metric("power_w", "W", "min", "average power"),
        Metric("energy_delay_js", "Js", "min", "energy times latency"),
        Metric("area_mm2", "mm2", "min", "chip area"),
        Metric("dram_bytes", "B", "min", "bytes that cross the memory interface"),
        Metric("weight_bytes", "B", "min", "stored bytes of the weights"),
        Metric("utilization_macs", "", "max", "achieved over peak MACs", 1.0),
    )
}
"""Metrics that every design has; NaN where one does not apply (no audio, no known area)."""

ACCURACY = Metric("sqnr_db", "dB", "max", "least SQNR of the outputs")
RESOURCE = "resources."
"""``resources.NAME``: what a design uses of a resource of its kind, such as ``resources.lut``."""


def metric_named(name: str) -> Metric:
    """The metric called ``name``.

    Raises:
        UnknownNameError: none is called so.
    """
    if name == ACCURACY.name:
        return ACCURACY
    if name.startswith(RESOURCE):
        return Metric(name, "", "min", f"{name.removeprefix(RESOURCE)} used")
    if name not in METRICS:
        raise UnknownNameError("metric", name, [*METRICS, ACCURACY.name, f"{RESOURCE}<name>"], field="metric")
    return METRICS[name]


def check_metrics(document: SweepDocument, file: str) -> None:
    """Refuse objectives and constraints on what no design has, and limits that no design can keep."""
    for field, names in (("objectives", [*document.objectives]), ("constraints", [*document.constraints])):
        for name in names:
            _check_name(name, document, file, field)
    for name, limit in document.constraints.items():
        _check_possible(metric_named(name), limit, file)


def _check_name(name: str, document: SweepDocument, file: str, field: str) -> None:
    try:
        metric_named(name)
    except UnknownNameError:
        known = [*METRICS, ACCURACY.name, f"{RESOURCE}<name>"]
        raise UnknownNameError("metric", name, known, file=file, field=f"{field}.{name}") from None
    if name == ACCURACY.name and document.accuracy is None:
        raise InputError(
            "needs emulation", file=file, field=f"{field}.{name}", remedy="add `accuracy: {}` to the sweep"
        )


def _check_possible(metric: Metric, limit: LimitDocument, file: str) -> None:
    field = f"constraints.{metric.name}"
    if limit.max is not None and limit.max < 0 and metric is not ACCURACY:
        raise InputError("is a limit that no design keeps: the metric is never negative", file=file,
                         field=f"{field}.max", value=limit.max)  # fmt: skip
    if limit.min is not None and limit.min > metric.most:
        raise InputError(f"is a limit that no design keeps: the metric is at most {metric.most:g}", file=file,
                         field=f"{field}.min", value=limit.min)  # fmt: skip

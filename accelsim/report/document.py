"""Results as plain data: what ``--json`` prints. Absent metrics are null, never missing, and nothing is infinite."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import numpy as np

from accelsim.documents import Constant
from accelsim.pipeline import Evaluation
from accelsim.report.choices import choices_document
from accelsim.report.gaps import gap_document
from accelsim.study.assumptions import Figures
from accelsim.study.compare import PrecisionComparison
from accelsim.study.estimate import Estimate
from accelsim.study.sensitivity import Sensitivity
from accelsim.version import __version__
from accelsim.workload.graph import Graph
from accelsim.workload.rewrite.report import report_document

__all__ = ["comparison_document", "graph_signature", "result_document"]


def result_document(estimate: Estimate) -> dict[str, object]:
    """One result as JSON data, units in the names of the keys.

    ``compression`` is against FP32; ``intervals`` maps metrics to [low, high] over the assumed constants;
    ``sensitivity`` lists those constants by falling effect on the latency, with the [low, high] of each metric.
    """
    run = estimate.evaluation
    document: dict[str, object] = {
        "workload": run.workload.name,
        "architecture": run.architecture.name,
        "precision": run.choice.label,
        "batch": run.workload.batch,
        "audio_s": run.workload.audio_s,
        "latency_s": run.latency_s,
        "real_time_factor": run.real_time_factor,
        "throughput_per_s": run.throughput_per_s,
        "energy_j": run.energy_j,
        "power_w": run.power_w,
        "area_mm2": run.area_mm2,
        "macs": run.macs,
        "parameters": run.workload.parameters,
        "weight_bytes": run.weight_bytes,
        "compression": _compression(run),
        "dram_bytes": run.dram_bytes,
        "peak_activation_bytes": run.graph.peak_activation_bytes,
        "utilization": run.utilization,
        "bottleneck": run.bottleneck,
        "resources": run.resources,
        "intervals": {metric: list(ends) for metric, ends in estimate.intervals.items()},
        "sensitivity": _sensitivity(estimate.sensitivity),
        "refused": list(estimate.sensitivity.refused) if estimate.sensitivity else [],
        "energy_by_component_j": run.energy.by_component_j if run.energy else None,
        "energy_by_level_j": run.energy.by_level_j if run.energy else None,
        "energy_by_op_j": _energy_by_op(run),
        **_area(run),
        **_throttling(run),
        "derived_constants": sorted(run.architecture.derived),
        "mapping": {
            "ops": sum(1 for _ in run.mapping.walk()),
            "candidates_seen": run.mapping.candidates_seen,
            "choices": choices_document(run),
        },
        **gap_document(run),
        "notes": list(estimate.notes),
        "provenance": _provenance(run),
    }
    return {key: _plain(value) for key, value in document.items()}


def _energy_by_op(run: Evaluation) -> list[dict[str, object]]:
    """A row a mapped op: its name and dynamic joules by component, all its executions; none without an energy model."""
    if run.energy is None:
        return []
    rows = run.energy.by_op_component_j.tolist()
    return [
        {"op": op.op.name, **dict(zip(run.energy.components, row, strict=True))}
        for op, row in zip(run.mapping.walk(), rows, strict=True)
    ]


def _area(run: Evaluation) -> dict[str, object]:
    """Where the area comes from, and what structure and node predict; nulls and empty where no technology is stated."""
    area, whole = run.area, run.area.predicted_mm2
    stated = area.stated
    return {
        "area_source": area.source,
        "area_published_mm2": stated.value if stated is not None and not stated.assumed else None,
        "area_predicted_mm2": whole.value if whole else None,
        "area_predicted_interval_mm2": [whole.low, whole.high] if whole else None,
        "area_by_component_mm2": {name: each.value for name, each in area.predicted.items()},
        "area_by_component_interval_mm2": {name: [each.low, each.high] for name, each in area.predicted.items()},
    }


def _throttling(run: Evaluation) -> dict[str, object]:
    """The power limit, the clock that keeps it, and the run without it (null where it was not throttled)."""
    full = run.unthrottled
    figures = None if full is None else {name: getattr(full, name) for name in ("latency_s", "energy_j", "power_w")}
    return {
        "power_limit_w": run.power_limit_w,
        "clock_scale": run.clock_scale,
        "unthrottled": figures,
    }


def comparison_document(comparison: PrecisionComparison) -> dict[str, object]:
    """Several precisions side by side; ``speedup`` and ``compression`` are those of the last against the first."""
    document: dict[str, object] = {
        "runs": {name: result_document(comparison.estimate(name)) for name in comparison.names},
        "baseline": comparison.names[0],
        "speedup": comparison.speedup,
        "speedups": comparison.speedups,
        "compression": _compression(comparison.evaluations[comparison.names[-1]]),
        "compressions": {name: _compression(run) for name, run in comparison.evaluations.items()},
        "intervals": {metric: list(ends) for metric, ends in comparison.intervals.items()},
        "sensitivity": _sensitivity(comparison.sensitivity),
        "refused": list(comparison.sensitivity.refused) if comparison.sensitivity else [],
        "notes": list(comparison.notes),
    }
    return {key: _plain(value) for key, value in document.items()}


def _compression(run: Evaluation) -> float | None:
    return Figures.of(run).compression if run.weight_bytes > 0 else None


def _sensitivity(sensitivity: Sensitivity | None) -> list[dict[str, object]]:
    if sensitivity is None:
        return []
    return [
        {
            "path": swing.assumption.path,
            "nominal": swing.assumption.nominal,
            "tried": list(swing.assumption.others),
            "why": swing.assumption.why,
            "spans": {metric: list(span) for metric, span in swing.spans.items()},
        }
        for swing in sensitivity.swings
    ]


def _provenance(run: Evaluation) -> dict[str, object]:
    """What it takes to get the same result again. No simulation here draws random numbers, so the seed is null."""
    parameters = {
        name: value.value if isinstance(value, Constant) else value
        for name, value in run.workload.parameters_used.items()
    }
    return {
        "version": __version__,
        "architecture_sha256": _sha256(run.architecture.description.model_dump(mode="json")),
        "workload_sha256": _sha256(graph_signature(run.workload)),
        "options": {
            "engine": run.timeline.engine,
            "detail": run.detail,
            "precision": run.choice.label,
            "formats": {"default": run.choice.default, **dict(run.choice.patterns)},
            "overrides": dict(run.architecture.overrides),
            "workload_parameters": parameters,
        },
        "rewrites": [report_document(each) for each in run.workload.rewrites],
        "seed": None,
    }


def graph_signature(graph: Graph) -> dict[str, object]:
    """What a workload computes, as plain data: ops, tensors, inputs and outputs, not where it came from."""
    return {
        "ops": [_signature(op) for op in graph.ops],
        "tensors": [
            [t.name, list(t.shape), t.role, t.format, *([t.sparsity.pattern, t.sparsity.zeros] if t.sparsity else [])]
            for t in graph.tensors.values()
        ],
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "batch": graph.batch,
        "audio_s": graph.audio_s,
    }


def _signature(value: object) -> object:
    if isinstance(value, Graph):
        return graph_signature(value)
    if is_dataclass(value):
        own = {field.name: _signature(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **own}
    if isinstance(value, list | tuple):
        return [_signature(each) for each in value]
    return _plain(value)


def _sha256(data: object) -> str:
    return hashlib.sha256(json.dumps(_plain(data), sort_keys=True).encode()).hexdigest()


def _plain(value: object) -> object:
    """Data that JSON has a form for: no NumPy scalars, no infinities, text keys."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | int):
        return value
    raise TypeError(f"a result holds {value!r}, which JSON has no form for")

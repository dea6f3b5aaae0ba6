"""What users call: the stages composed, with results that know how to show themselves."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from accelsim.errors import CertificateError, InputError, UnknownNameError
from accelsim.hardware.load import Architecture, load_architecture
from accelsim.mapping.lower import Detail
from accelsim.mapping.options import mapping_options
from accelsim.pipeline import Engine, Evaluation
from accelsim.report import document
from accelsim.report.files import write_text_atomically
from accelsim.study.compare import PrecisionComparison, compare_precisions
from accelsim.study.estimate import Estimate, estimate
from accelsim.study.gap import optimality_gap
from accelsim.study.validate import Report, Target
from accelsim.study.validate import validate as compare_with_reference
from accelsim.study.validate.registry import with_models
from accelsim.workload.bundled.parameters import checked_size
from accelsim.workload.graph import Graph
from accelsim.workload.load import load_workload, reloaded
from accelsim.workload.precision import PrecisionArgument
from accelsim.workload.rewrite import rewrite as rewritten

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Comparison", "Result", "Validation", "compare", "from_onnx", "from_torch", "rewrite", "simulate", "validate",
]  # fmt: skip


class Result:
    """One workload on one architecture at one precision.

    Metrics are attributes with their units in the name; ``intervals`` says what they span over the constants that
    nobody has published, ``sensitivity`` which of those matter most.
    """

    def __init__(self, estimated: Estimate) -> None:
        self.estimate = estimated

    @property
    def evaluation(self) -> Evaluation:
        """The mapping, task graph and timeline behind the metrics."""
        return self.estimate.evaluation

    @property
    def latency_s(self) -> float:
        return self.evaluation.latency_s

    @property
    def real_time_factor(self) -> float | None:
        """Latency over seconds of audio; None for workloads without audio."""
        return self.evaluation.real_time_factor

    @property
    def throughput_per_s(self) -> float:
        return self.evaluation.throughput_per_s

    @property
    def energy_j(self) -> float:
        return self.evaluation.energy_j

    @property
    def power_w(self) -> float:
        """Average power over the execution."""
        return self.evaluation.power_w

    @property
    def clock_scale(self) -> float:
        """Share of the stated clocks that the architecture's power limit leaves; 1 where it is kept, or not stated."""
        return self.evaluation.clock_scale

    @property
    def unthrottled(self) -> Result | None:
        """The same mapping at the full clock, without intervals; None where clocks were not throttled."""
        full = self.evaluation.unthrottled
        return None if full is None else Result(Estimate(full, None))

    @property
    def energy_by_component_j(self) -> dict[str, float]:
        """Energy of arrays, vector units, scratchpads, network, DRAM, host link and leakage; they add up."""
        return dict(self.evaluation.energy.by_component_j)

    @property
    def energy_by_level_j(self) -> dict[str, float | None]:
        """Energy by level of data movement: compute, array_local, scratchpad, network, dram, host, leakage."""
        return self.evaluation.energy.by_level_j

    @property
    def area_mm2(self) -> float | None:
        """Chip area: as published where it is, else as assumed or predicted; ``area_source`` says which."""
        return self.evaluation.area_mm2

    @property
    def area_source(self) -> str | None:
        """``published``, ``assumed`` or ``predicted``; None where no area is known."""
        return self.evaluation.area.source

    @property
    def area_by_component_mm2(self) -> dict[str, float]:
        """Predicted area by component, also where an area is published; empty where no technology is stated."""
        return {name: each.value for name, each in self.evaluation.area.predicted.items()}

    @property
    def dram_bytes(self) -> float:
        return self.evaluation.dram_bytes

    @property
    def macs(self) -> int:
        return self.evaluation.macs

    @property
    def weight_bytes(self) -> float:
        """Stored bytes of the weights at this precision."""
        return self.evaluation.weight_bytes

    @property
    def utilization(self) -> dict[str, float]:
        """Busy share of the time by resource; ``macs`` is achieved over peak MACs."""
        return self.evaluation.utilization

    @property
    def bottleneck(self) -> str:
        """The resource that is busy longest."""
        return self.evaluation.bottleneck

    @property
    def optimality_gap(self) -> float | None:
        """Latency over a lower bound for any mapping of these ops, at least 1; None where nothing bounds it."""
        return optimality_gap(self.evaluation).whole

    @property
    def resources(self) -> dict[str, dict[str, float]]:
        """Memory used and available, bytes."""
        return self.evaluation.resources

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """{metric: (low, high)} over assumed constants; empty when they were not asked for."""
        return self.estimate.intervals

    @property
    def sensitivity(self) -> pd.DataFrame:
        """A row an assumed constant, by falling effect on latency: path, nominal, low and high of each metric, why."""
        from accelsim.report.tables import sensitivity_frame

        return sensitivity_frame(self.estimate.sensitivity)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, such as which figures were calibrated."""
        return self.estimate.notes

    @cached_property
    def ops(self) -> pd.DataFrame:
        """A row an op: unit, macs, bytes, start_s, end_s, stall_s, energy_j and its mapping."""
        from accelsim.report.tables import ops_frame

        return ops_frame(self.evaluation)

    def check(self) -> bool:
        """True if every certificate of this result holds.

        Raises:
            CertificateError: naming those that are broken; that is a defect of accelsim.
        """
        broken = self.evaluation.check()
        if broken:
            raise CertificateError(broken)
        return True

    def to_document(self) -> dict[str, Any]:
        """The result as plain data, as the command line's ``--json`` prints it."""
        return document.result_document(self.estimate)

    def to_json(self, path: str | Path | None = None) -> str:
        """The result as JSON text; also written to ``path`` if one is given."""
        return _json(self.to_document(), path)

    def to_frame(self) -> pd.DataFrame:
        """The scalar metrics as a frame of one row."""
        import pandas as pd

        data = self.to_document()
        return pd.DataFrame([{key: value for key, value in data.items() if not isinstance(value, dict | list)}])

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.html import result_html

        write_text_atomically(Path(path), result_html(self.estimate))

    def to_perfetto(self, path: str | Path) -> None:
        """Write the timeline as a trace that Perfetto opens."""
        from accelsim.report.perfetto import write_trace

        write_trace(self.evaluation, Path(path))

    def __repr__(self) -> str:
        run = self.evaluation
        return f"<Result {run.workload.name} on {run.architecture.name} in {run.choice.label}: {self.latency_s:.6g} s>"


class Comparison:
    """Several precisions side by side; the first is the baseline, the last what it is compared with."""

    def __init__(self, comparison: PrecisionComparison) -> None:
        self.comparison = comparison
        self.runs = {name: Result(comparison.estimate(name)) for name in comparison.names}

    @property
    def speedup(self) -> float:
        """Latency of the first precision over that of the last."""
        return self.comparison.speedup

    @property
    def speedups(self) -> dict[str, float]:
        """Latency of the first precision over that of each."""
        return self.comparison.speedups

    @property
    def compression(self) -> float:
        """Weight bytes in FP32 over those at the last precision."""
        return self.comparison.compression

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """Intervals of speedup and compression over assumed constants."""
        return self.comparison.intervals

    @property
    def sensitivity(self) -> pd.DataFrame:
        """A row an assumed constant, by falling effect on the speed-up."""
        from accelsim.report.tables import sensitivity_frame

        return sensitivity_frame(self.comparison.sensitivity)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, such as which figures were calibrated."""
        return self.comparison.notes

    def check(self) -> bool:
        """As `Result.check`, for every run."""
        return all(run.check() for run in self.runs.values())

    def to_document(self) -> dict[str, Any]:
        """The comparison as plain data, as the command line's ``--json`` prints it."""
        return document.comparison_document(self.comparison)

    def to_json(self, path: str | Path | None = None) -> str:
        """The comparison as JSON text; also written to ``path`` if one is given."""
        return _json(self.to_document(), path)

    def to_frame(self) -> pd.DataFrame:
        """The scalar metrics, a row a precision."""
        import pandas as pd

        return pd.concat([run.to_frame() for run in self.runs.values()], ignore_index=True)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.html import comparison_html

        write_text_atomically(Path(path), comparison_html(self.comparison))

    def __repr__(self) -> str:
        names = self.comparison.names
        return (
            f"<Comparison {names[0]} -> {names[-1]}: speed-up {self.speedup:.3g}, compression {self.compression:.3g}>"
        )


class Validation:
    """Predictions against reference figures, by target and family; errors are percentages."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def to_document(self) -> dict[str, Any]:
        """The validation as plain data, as the command line's ``--json`` prints it."""
        from accelsim.report.validation import validation_document

        return validation_document(self.report)

    def to_json(self, path: str | Path | None = None) -> str:
        """The validation as JSON text; also written to ``path`` if one is given."""
        return _json(self.to_document(), path)

    def to_frame(self) -> pd.DataFrame:
        """A row a comparison: target, family, row, metric, predicted, measured, error_pct."""
        from accelsim.report.validation import validation_frame

        return validation_frame(self.report)

    def to_html(self, path: str | Path) -> None:
        """Write a self-contained report."""
        from accelsim.report.validation_page import validation_html

        write_text_atomically(Path(path), validation_html(self.report))

    def __repr__(self) -> str:
        families = [each for target in self.report.targets.values() for each in target.families.values()]
        rows, exact = sum(len(each.rows) for each in families), sum(each.exact for each in families)
        return f"<Validation of {', '.join(self.report.targets)}: {rows} rows, {exact} exact>"


def _json(data: Mapping[str, Any], path: str | Path | None) -> str:
    text = json.dumps(data, indent=2, allow_nan=False)
    if path is not None:
        write_text_atomically(Path(path), text + "\n")
    return text


def _workload(workload: Graph | str | Path, batch: int | None) -> Graph:
    if not isinstance(workload, Graph):
        return load_workload(workload) if batch is None else load_workload(workload, batch=batch)
    if batch is None or checked_size(batch, file=f"workload {workload.name}", field="batch") == workload.batch:
        return workload
    if workload.origin is None:
        raise InputError(
            f"cannot change: this graph was made for {workload.batch}", field="batch", value=batch,
            remedy="load the workload with the batch that you want",
        )  # fmt: skip
    return reloaded(workload, {"batch": batch})


def _architecture(architecture: Architecture | str | Path) -> Architecture:
    return architecture if isinstance(architecture, Architecture) else load_architecture(architecture)


def _check_options(engine: str, detail: str) -> None:
    for field, name, known in (("engine", engine, get_args(Engine)), ("detail", detail, get_args(Detail))):
        if name not in known:
            raise UnknownNameError(field, str(name), known, field=field)


def simulate(
    workload: Graph | str | Path,
    architecture: Architecture | str | Path,
    *,
    precision: PrecisionArgument | None = None,
    batch: int | None = None,
    engine: Engine = "auto",
    detail: Detail = "op",
    intervals: bool = True,
    mapping: Mapping[str, bool] | None = None,
) -> Result:
    """Latency, energy and utilisation of a workload on an architecture.

    Args:
        workload: a graph, a bundled name, or a path to a workload file or model.
        architecture: loaded, a bundled name, or a path.
        precision: a format, a recipe of the workload, or {op-name pattern: format}; None takes the architecture's
            first format.
        batch: samples an execution; None keeps the workload's own.
        engine: ``auto``, ``maxplus`` (compiled) or ``des`` (SimPy, the reference).
        detail: ``op`` for a few tasks an op, ``tile`` for one a tile transfer and tile computation.
        intervals: also evaluate over the ranges of assumed constants (some tens of evaluations).
        mapping: choices of the mapper to switch on or off, such as {"fusion": False}: fusion, pipelining, prefetch,
            resident_cache (on), resident_weights (off).

    Raises:
        AccelsimError: bad input, or a workload that fits nowhere; the message says what to change.
    """
    _check_options(engine, detail)
    return Result(
        estimate(
            _workload(workload, batch), _architecture(architecture), precision,
            engine=engine, detail=detail, intervals=intervals, options=mapping_options(mapping),
        )
    )  # fmt: skip


def compare(
    workload: Graph | str | Path,
    architecture: Architecture | str | Path,
    *,
    precisions: Sequence[str] = ("fp16", "int4"),
    batch: int | None = None,
    engine: Engine = "auto",
    detail: Detail = "op",
    intervals: bool = True,
    mapping: Mapping[str, bool] | None = None,
) -> Comparison:
    """Speed-up and compression between precisions: the first is the baseline. Arguments as `simulate`.

    Precisions are formats or recipes by name. Formats by op-name pattern have no name: make them a recipe.
    """
    if isinstance(precisions, str) or not all(isinstance(each, str) for each in precisions):
        raise InputError(
            "must be a list of formats or recipes, each by its name", field="precisions", value=precisions,
            remedy='write such as ["fp16", "int4"], and patterns as a recipe in the file of the workload',
        )  # fmt: skip
    _check_options(engine, detail)
    return Comparison(
        compare_precisions(
            _workload(workload, batch), _architecture(architecture), precisions,
            engine=engine, detail=detail, intervals=intervals, options=mapping_options(mapping),
        )
    )  # fmt: skip


def validate(
    *targets: str | Target, data: str | Path | None = None, models: str | Path | None = None, fetch: bool = False
) -> Validation:
    """Predictions against reference figures, row by row.

    Args:
        targets: names of targets; none means all, with ``data`` all that it has files for.
        data: a folder in the format of the bundled reference data; None takes the bundled data.
        models: for the target ``workloads``, the folder below which model files lie as PACKAGE/file.
        fetch: let it download the packages of model files that are missing.

    Raises:
        InputError: an unknown target, or a folder or file that is not in the format.
    """
    chosen = with_models(targets, None if models is None else Path(models), fetch=fetch)
    return Validation(compare_with_reference(chosen, None if data is None else Path(data)))


def rewrite(workload: Graph | str | Path, rewrites: str | Sequence[str]) -> Graph:
    """A workload after ``rewrites`` such as ``fuse`` or ``remove-skips:match=layer2.*``, in order.

    What each one changed stands in the graph's ``rewrites`` and in the provenance of every result.

    Raises:
        InputError: an unknown rewrite or parameter, or one that finds nothing to change.
    """
    return rewritten(_workload(workload, None), rewrites)


def from_onnx(
    path: str | Path,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    values: Mapping[str, float] | None = None,
    batch: int | None = None,
    allow_zero_cost: Collection[str] = (),
    branches: Mapping[str, str] | None = None,
    trips: Mapping[str, int] | None = None,
    measure_shapes: bool = False,
) -> Graph:
    """The workload graph of an ONNX model; see `accelsim.workload.onnx.from_onnx`."""
    from accelsim.workload.onnx import from_onnx as read

    return read(
        path, shapes=shapes, values=values, batch=batch, allow_zero_cost=allow_zero_cost, branches=branches,
        trips=trips, measure_shapes=measure_shapes,
    )  # fmt: skip


def from_torch(
    module: Any,
    example_inputs: Any = None,
    *,
    kwargs: Mapping[str, Any] | None = None,
    dynamic_shapes: Any = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    batch: int | None = None,
    name: str | None = None,
    allow_zero_cost: Collection[str] = (),
) -> Graph:
    """The workload graph of a torch module, ExportedProgram or .pt2 file; see `accelsim.workload.torch.from_torch`."""
    from accelsim.workload.torch import from_torch as read

    return read(
        module, example_inputs, kwargs=kwargs, dynamic_shapes=dynamic_shapes, shapes=shapes, batch=batch, name=name,
        allow_zero_cost=allow_zero_cost,
    )  # fmt: skip

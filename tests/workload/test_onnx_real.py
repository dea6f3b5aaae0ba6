"""Real models against counts that were made without accelsim (tests/reference/README.md)."""

from __future__ import annotations

import csv
import json
from collections import Counter
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from accelsim.workload.graph import Graph
from accelsim.workload.onnx import from_onnx
from tests.models import model_file

GOLDEN = Path(__file__).parent.parent / "reference" / "golden_counts.csv"
ROWS = {row["model"]: row for row in csv.DictReader(GOLDEN.open())}
VALUES = {"silero_vad": {"sr": 16000}}  # the other one takes a rate and decides nothing by it
MODELS = pytest.mark.parametrize("model", ROWS)


def _file(model: str) -> Path:
    row = ROWS[model]
    return model_file(row["package"], row["version"], row["file"])


@cache
def _graph(model: str) -> Graph:
    shapes = {name: tuple(shape) for name, shape in json.loads(ROWS[model]["input_shapes"]).items() if shape}
    return from_onnx(_file(model), shapes=shapes, values=VALUES.get(model))


def _golden(model: str, *columns: str) -> dict[str, int]:
    return {column: int(ROWS[model][column]) for column in columns}


@MODELS
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
def test_peak_activation_bytes(model: str) -> None:
    # Counted in the file's types; a graph without a precision counts 4 bytes where `sr`, an int64, has 8.
    wide = {"silero_vad_16k_op15": 4}.get(model, 0)
    assert _graph(model).peak_activation_bytes == int(ROWS[model]["peak_act_bytes"]) - wide


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


def test_two_exports_of_one_network_agree() -> None:
    first, second = _graph("silero_vad"), _graph("silero_vad_16k_op15")
    assert (first.macs, first.parameters) == (second.macs, second.parameters)


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

"""Damaged files: whatever the bytes, the answer is a graph or an AccelsimError, soon."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper

from accelsim.errors import AccelsimError
from accelsim.workload.graph import Graph
from accelsim.workload.onnx import from_onnx
from tests.models import model_file
from tests.workload.onnx_models import branch, model, node, stored, value, weight

SECONDS = 5.0  # loops are written out to 20,000 nodes at most, which takes about 2
LIGHT = "onnx/backend/test/data/light/light_squeezenet.onnx"
CALM = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


NAMES = ("made", "light", "loops", "quantised")


def _loops() -> bytes:
    """A `Loop` in one body, a `Scan`, a loop that is written out, and a sequence."""
    states, flags = [value("h", [2, 4])], [value("i", [], 7), value("k", [], 9)]
    rolled = helper.make_graph(
        [node("Identity", ["k"], ["k_out"]), node("MatMul", ["h", "w"], ["h_out"])], "rolled", [*flags, *states],
        [value("k_out", [], 9), value("h_out", [2, 4]), value("h_out", [2, 4])],
    )  # fmt: skip
    grown = helper.make_graph(
        [node("Identity", ["k"], ["k_out"]), node("Concat", ["h", "x"], ["h_out"], axis=0)], "grown", [*flags, *states],
        [value("k_out", [], 9), value("h_out", [None, 4])],
    )  # fmt: skip
    scanned = helper.make_graph(
        [node("Add", ["h", "s"], ["h_out"]), node("Relu", ["h_out"], ["y"])], "scanned", [*states, value("s", [4])],
        [value("h_out", [2, 4]), value("y", [2, 4])],
    )  # fmt: skip
    nodes = [
        node("Loop", ["n", "on", "x"], ["a", "all"], name="loop", body=rolled),
        node("Loop", ["n", "", "a"], ["b"], name="grow", body=grown),
        node("Scan", ["a", "b"], ["c", "d"], name="scan", body=scanned, num_scan_inputs=1),
        node("SplitToSequence", ["b"], ["s"], axis=0),
        node("SequenceAt", ["s", "at"], ["e"]),
    ]
    stores = [stored("n", 3, "i8"), stored("at", -1, "i8"), stored("on", True, bool), weight("w", 4, 4)]
    made: bytes = model(nodes, {"x": [2, 4]}, ["c", "d", "all", "e"], stores).SerializeToString()
    return made


def _quantised() -> bytes:
    """QDQ and operator form, dynamic quantisation, weights in few bits, fused attention, QONNX."""
    ms, qonnx = "com.microsoft", "qonnx.custom_op.general"
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("QLinearConv", ["q", "s", "z", "w", "s", "z8", "s", "z"], ["c"], pads=[1, 1, 1, 1]),
        node("DequantizeLinear", ["c", "s", "z"], ["d"]),
        node("Quant", ["d", "s", "o", "bits"], ["f"], domain=qonnx),
        node("Reshape", ["f", "shape"], ["r"]),
        node("DynamicQuantizeLinear", ["r"], ["t", "ts", "tz"]),
        node("MatMulInteger", ["t", "m", "tz"], ["p"]),
        node("Cast", ["p"], ["u"], to=1),
        node("Attention", ["u", "a", "ab"], ["v"], domain=ms, num_heads=2),
        node("MatMulNBits", ["v", "n", "ns"], ["y"], domain=ms, K=16, N=3, bits=4, block_size=16),
    ]
    stores = [
        stored("s", 0.1), stored("z", 128, "u1"), stored("z8", 0, "i1"), stored("o", 0.0), stored("bits", 3.0),
        stored("w", np.ones((4, 3, 3, 3)), "i1"), stored("shape", [1, 16, 16], "i8"),
        stored("m", np.ones((16, 16)), "i1"), weight("a", 16, 48), weight("ab", 48),
        stored("n", np.ones((3, 1, 8)), "u1"), weight("ns", 3),
    ]  # fmt: skip
    made: bytes = model(nodes, {"x": [1, 3, 8, 8]}, ["y"], stores, domains={ms: 1, qonnx: 1}).SerializeToString()
    return made


@cache
def _whole(name: str) -> bytes:
    if name == "light":
        return model_file("onnx", "", LIGHT).read_bytes()
    if name != "made":
        return _loops() if name == "loops" else _quantised()
    inputs = [value("x", ["batch", 3, 8, 8]), value("rate", [], 7)]
    nodes = [
        node("Conv", ["x", "w", "b"], ["y"], name="conv", pads=[1, 1, 1, 1]),
        node("Shape", ["y"], ["shape"]),
        node("Gather", ["shape", "zero"], ["size"]),
        node("Concat", ["size", "minus"], ["target"], axis=0),
        node("Reshape", ["y", "target"], ["flat"]),
        node("Equal", ["rate", "hz"], ["same"]),
        node(
            "If", ["same"], ["z"], name="if",
            then_branch=branch("then", [node("MatMul", ["flat", "m"], ["t"])], ["t"]),
            else_branch=branch("else", [node("Relu", ["flat"], ["e"])], ["e"]),
        ),
        node("Unsqueeze", ["z", "zero"], ["steps"]),
        node("LSTM", ["steps", "lw", "lr"], ["out", "h", "c"], name="lstm", hidden_size=2),
    ]  # fmt: skip
    initializers = [
        weight("w", 4, 3, 3, 3), weight("b", 4), weight("m", 256, 5), weight("lw", 1, 8, 5), weight("lr", 1, 8, 2),
        stored("zero", [0], "i8"), stored("minus", [-1], "i8"), stored("hz", 16000, "i8"),
    ]  # fmt: skip
    made: bytes = model(nodes, inputs, ["out", "c"], initializers).SerializeToString()
    return made


def _import(folder: Path, data: bytes, name: str) -> Graph | None:
    path = folder / "fuzzed.onnx"
    path.write_bytes(data)
    shapes, values = ({"x": (1, 3, 8, 8)}, {"rate": 16000}) if name == "made" else ({}, {})
    started = time.process_time()
    try:
        return from_onnx(path, shapes=shapes, values=values)
    except AccelsimError:
        return None
    finally:
        assert time.process_time() - started < SECONDS


@pytest.mark.parametrize("name", NAMES)
def test_undamaged(tmp_path: Path, name: str) -> None:
    graph = _import(tmp_path, _whole(name), name)
    assert graph is not None
    assert graph.macs > 0


@pytest.mark.parametrize("name", NAMES)
@CALM
@given(data=st.data())
def test_truncated(tmp_path: Path, name: str, data: st.DataObject) -> None:
    whole = _whole(name)
    _import(tmp_path, whole[: data.draw(st.integers(0, len(whole) - 1))], name)


@pytest.mark.parametrize("name", NAMES)
@CALM
@given(data=st.data())
def test_mutated(tmp_path: Path, name: str, data: st.DataObject) -> None:
    damaged = bytearray(_whole(name))
    places = st.integers(0, len(damaged) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
        damaged[place] = byte
    _import(tmp_path, bytes(damaged), name)


@pytest.mark.parametrize("name", NAMES)
@CALM
@given(data=st.data())
def test_parts_removed_or_repeated(tmp_path: Path, name: str, data: st.DataObject) -> None:
    whole = _whole(name)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 64)))
    middle = data.draw(st.sampled_from([b"", whole[start:end] * 2, whole[start:end][::-1]]))
    _import(tmp_path, whole[:start] + middle + whole[end:], name)


@CALM
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes(tmp_path: Path, data: bytes) -> None:
    _import(tmp_path, data, "any")

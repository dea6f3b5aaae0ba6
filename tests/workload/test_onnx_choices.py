"""What only a run of the model, or the user, can decide."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.workload.load import load_workload
from accelsim.workload.onnx import from_onnx, measure
from tests.workload.onnx_models import branch, node, run_shapes, save, stored, value, weight

X = {"x": (2, 6)}


def _undecided(folder: Path, name: str = "if") -> Path:
    then = branch("then", [node("MatMul", ["x", "w"], ["t"], name="small")], ["t"])
    other = branch("else", [node("MatMul", ["x", "m"], ["e0"], name="big"), node("MatMul", ["e0", "w"], ["e"])], ["e"])
    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "limit"], ["c"]),
        node("If", ["c"], ["y"], name=name, then_branch=then, else_branch=other),
    ]
    return save(folder, nodes, X, ["y"], [stored("limit", 0.0), weight("w", 6, 3), weight("m", 6, 6)])


@pytest.mark.parametrize(("word", "macs"), [("then", 36), ("else", 72 + 36), ("dearest", 72 + 36)])
@pytest.mark.parametrize("name", ["if", "*"])
def test_the_branch_that_the_user_chose(tmp_path: Path, name: str, word: str, macs: int) -> None:
    graph = from_onnx(_undecided(tmp_path), branches={name: word})
    assert graph.macs == macs
    assert graph.parameters_used["branch taken by if"] == ("else" if word == "dearest" else word)
    assert not any(op.label == "Greater" for op in graph.ops)  # what decided is not part of the plain form


def test_trying_a_branch_leaves_no_trace(tmp_path: Path) -> None:
    path = _undecided(tmp_path)
    tried, said = from_onnx(path, branches={"if": "dearest"}), from_onnx(path, branches={"if": "else"})
    assert (tried.ops, tried.tensors, tried.parameters_used) == (said.ops, said.tensors, said.parameters_used)


def test_choices_that_are_none(tmp_path: Path) -> None:
    path = _undecided(tmp_path)
    with pytest.raises(UnknownNameError, match=r"'iff' is not a known If of this model.*mean 'if'"):
        from_onnx(path, branches={"iff": "then"})
    with pytest.raises(UnknownNameError, match=r"'them' is not a known branch.*mean 'then'"):
        from_onnx(path, branches={"if": "them"})
    with pytest.raises(InputError, match=r"0\.3 weighs a branch.*accelsim\.expect"):
        from_onnx(path, branches={"if": 0.3})


def test_a_constant_condition_is_not_chosen(tmp_path: Path) -> None:
    path = save(
        tmp_path,
        [node("If", ["c"], ["y"], name="if", then_branch=branch("t", [node("Relu", ["x"], ["r"])], ["r"]),
              else_branch=branch("e", [node("Neg", ["x"], ["n"])], ["n"]))],
        X, ["y"], [stored("c", True, bool)],
    )  # fmt: skip
    graph = from_onnx(path, branches={"if": "else"})
    assert graph.ops[0].label == "Relu"


def _data_sized(folder: Path) -> Path:
    nodes = [
        node("NonZero", ["x"], ["places"], name="places"),
        node("Transpose", ["places"], ["rows"], perm=[1, 0]),
        node("Cast", ["rows"], ["f"], to=TensorProto.FLOAT),
        node("MatMul", ["f", "w"], ["y"], name="product"),
    ]
    return save(folder, nodes, X, ["y"], [weight("w", 2, 3)])


def test_shapes_measured_by_a_run(tmp_path: Path) -> None:
    path = _data_sized(tmp_path)
    with pytest.raises(InputError, match="--measure-shapes"):
        from_onnx(path)
    graph = from_onnx(path, measure_shapes=True)
    assert graph.tensors["y"].shape == run_shapes(path)["y"]
    assert graph.macs == graph.tensors["y"].shape[0] * 2 * 3
    how = str(graph.parameters_used["shapes_measured"])
    assert "onnxruntime" in how
    assert "x [2, 6]" in how
    assert load_workload(path, measure_shapes=True).macs == graph.macs


def test_a_model_that_needs_no_run_is_not_run(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("ran"))
    path = save(tmp_path, [node("Relu", ["x"], ["y"])], X, ["y"])
    assert "shapes_measured" not in from_onnx(path, measure_shapes=True).parameters_used


def test_a_run_that_fails_says_why(tmp_path: Path) -> None:
    nodes = [
        node("NonZero", ["x"], ["p"]),
        node("Transpose", ["p"], ["t"]),
        node("Add", ["t", "seven"], ["y"], name="r"),
    ]
    path = save(tmp_path, nodes, X, ["y"], [stored("seven", [7] * 7, "i8")])
    with pytest.raises(InputError, match="measure_shapes: cannot be run in ONNX Runtime"):
        from_onnx(path, measure_shapes=True)


def test_a_run_that_does_not_end_is_stopped(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(measure, "SECONDS", 0.05)
    with pytest.raises(InputError, match="measure_shapes: was stopped after"):
        from_onnx(_data_sized(tmp_path), measure_shapes=True)


def test_without_the_runtime(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(measure, "find_spec", lambda _: None)
    with pytest.raises(UnsupportedError, match=r"needs ONNX Runtime.*accelsim\[runtime\]"):
        from_onnx(_data_sized(tmp_path), measure_shapes=True)


def test_weights_that_do_not_fit_in_memory_are_not_run(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(measure, "MAX_MODEL_BYTES", 10)
    with pytest.raises(UnsupportedError, match="only where its weights fit in memory"):
        from_onnx(_data_sized(tmp_path), measure_shapes=True)


def test_the_share_of_macs_covered(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["h"], name="a"),
        node("Gemm", ["h", "v"], ["g"], name="b"),
        node("Odd", ["g"], ["y"], domain="maker"),
    ]
    whole = save(tmp_path, nodes[:2], X, ["g"], [weight("w", 6, 6), weight("v", 6, 6)])
    assert from_onnx(whole).parameters_used["macs_covered"] == 1.0
    half = from_onnx(whole, allow_zero_cost=["Gemm"]).parameters_used
    assert half["macs_covered"] == 0.5
    assert half["nodes_at_no_cost"] == "1 of 2: Gemm"
    path = save(tmp_path, nodes, X, [value("y", (2, 6))], [weight("w", 6, 6), weight("v", 6, 6)], domains={"maker": 1})
    unknown = from_onnx(path, allow_zero_cost=["Odd"]).parameters_used
    assert "not known" in str(unknown["macs_covered"])

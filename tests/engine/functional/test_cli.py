"""`accelsim emulate` as its users meet it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import accelsim
from accelsim.cli import main
from tests.engine.functional.models import linear, network


def test_text_names_every_op(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", str(network(tmp_path)), "rapid-4core", "--precision", "int4"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name} " in out for name in ("c1", "r1", "c2", "s", "p", "f", "fc"))
    assert "output y: SQNR" in out
    assert "seed 0" in out


def test_json_with_given_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, x = linear(tmp_path, np.eye(2)), np.array([[1.0, 0.3], [0.5, -1.0]], np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    command = ["emulate", str(path), "edge-npu", "--precision", "int4", "--inputs", str(tmp_path / "x.npz"), "--json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    expected = accelsim.emulate(path, "edge-npu", {"x": x}, precision="int4")
    assert document == expected.to_document()
    assert document["ops"][0]["sqnr_db"] == pytest.approx(expected.sqnr_db["y"])


def test_what_has_no_values_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accelsim.from_onnx(linear(tmp_path, np.eye(2))).save(tmp_path / "graph.json")
    assert main(["emulate", str(tmp_path / "graph.json"), "rapid-4core"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "ONNX model" in err


def test_a_bundled_workload(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulate", "mlp", "rapid-4core", "--precision", "int4", "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name} " in out for name in ("layer.0", "relu.0", "layer.1"))
    assert "weights were drawn (seed 3)" in out

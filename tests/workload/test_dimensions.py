"""Named dimensions of a model: bound, remembered and bound again."""

from __future__ import annotations

from pathlib import Path

import pytest

import accelsim
from accelsim.cli import main
from accelsim.errors import InputError, UnknownNameError
from tests.workload.onnx_models import node, save, value, weight


def _model(folder: Path) -> Path:
    nodes = [node("MatMul", ["x", "w"], ["h"]), node("Add", ["h", "mask"], ["y"])]
    inputs = [value("x", ["batch_size", "sequence", 8]), value("mask", ["batch_size", "sequence", 1])]
    return save(folder, nodes, inputs, ["y"], [weight("w", 8, 4)])


def test_an_open_batch_is_one_and_remembered(tmp_path: Path) -> None:
    graph = accelsim.from_onnx(_model(tmp_path), shapes={"sequence": 5})
    assert (graph.tensors["x"].shape, graph.tensors["mask"].shape, graph.batch) == ((1, 5, 8), (1, 5, 1), 1)
    batch, sequence = graph.dimensions["batch_size"], graph.dimensions["sequence"]
    assert (batch.size, batch.axes, batch.batch) == (1, (("x", 0), ("mask", 0)), True)
    assert (sequence.size, sequence.batch) == (5, False)
    assert graph.parameters_used["dimension sequence"] == 5


def test_other_open_dimensions_are_all_listed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'x' \[batch_size, sequence, 8\]; 'mask'.*--shape sequence=16"):
        accelsim.from_onnx(_model(tmp_path))


@pytest.mark.parametrize(
    "given", [{"sequence": 5}, {"x": (1, 5, 8)}, {"x": (1, 5, 8), "mask": (1, 5, 1)}, {"x": (1, 5, 8), "sequence": 5}]
)
def test_binding_again_equals_binding_at_first(tmp_path: Path, given: dict[str, int | tuple[int, ...]]) -> None:
    path = _model(tmp_path)
    again = accelsim.from_onnx(path, shapes=given).rebind(sequence=7, batch=3)
    first = accelsim.from_onnx(path, shapes={"x": (3, 7, 8)})
    assert (again.ops, again.tensors, again.batch) == (first.ops, first.tensors, 3)
    assert again.dimensions == first.dimensions
    assert again.rebind(batch_size=2).macs == 2 * 7 * 8 * 4


def test_a_batch_of_simulate_binds_again(tmp_path: Path) -> None:
    graph = accelsim.from_onnx(_model(tmp_path), shapes={"x": (1, 5, 8)}).rewritten("fuse")
    result = accelsim.simulate(graph, "systolic-32x32", batch=8, intervals=False)
    assert result.macs == 8 * graph.macs
    assert [each.rewrite for each in result.evaluation.workload.rewrites] == ["fuse"]


def test_by_keyword_argument_text_and_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _model(tmp_path)
    assert accelsim.load_workload(path, sequence=6, batch=2).macs == 2 * 6 * 8 * 4
    for words in ([f"{path}:sequence=6"], [str(path), "--shape", "sequence=6"]):
        assert main(["show", *words]) == 0
        assert "dimension sequence" in capsys.readouterr().out


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    path = _model(tmp_path)
    with pytest.raises(InputError, match=r"shapes\.sequence: 6 contradicts the shape of 'x', which fixes it to 5"):
        accelsim.from_onnx(path, shapes={"x": (1, 5, 8), "sequence": 6})
    with pytest.raises(InputError, match="must be one size of 1 or more"):
        accelsim.from_onnx(path, shapes={"sequence": (1, 2)})
    with pytest.raises(UnknownNameError, match="'sequenc' is not a known input or named dimension"):
        accelsim.load_workload(path, sequenc=6)
    graph = accelsim.from_onnx(path, shapes={"sequence": 5})
    with pytest.raises(UnknownNameError, match=r"'sequenc' is not a known dimension of this model.*'sequence'"):
        graph.rebind(sequenc=6)
    with pytest.raises(InputError, match="no model file with named dimensions"):
        accelsim.load_workload("lstm").rebind(sequence=5)


def test_values_follow_the_dimensions(tmp_path: Path) -> None:
    graph = accelsim.from_onnx(_model(tmp_path), shapes={"sequence": 5}).rebind(sequence=7)
    found = accelsim.emulate(graph, "systolic-32x32")
    assert found.outputs["y"].shape == (1, 7, 4)

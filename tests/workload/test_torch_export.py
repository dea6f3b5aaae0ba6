"""A module, its exported program and the file made of it give one graph; what cannot be exported says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from accelsim import from_torch as public_from_torch
from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.graph import Graph
from accelsim.workload.torch import from_torch
from tests.workload.torch_models import Function, Small, torch

nn = torch.nn


def same(left: Graph, right: Graph) -> bool:
    keys = ("ops", "inputs", "outputs", "batch")
    return dict(left.tensors) == dict(right.tensors) and all(getattr(left, key) == getattr(right, key) for key in keys)


@pytest.mark.parametrize("dynamic", [False, True])
def test_module_program_and_file_agree(tmp_path: Path, dynamic: bool) -> None:
    module, x = Small().eval(), torch.zeros(2, 10, 8)
    shapes = {"x": {0: torch.export.Dim("batch", max=64)}} if dynamic else None
    exported = torch.export.export(module, (x,), dynamic_shapes=shapes)
    torch.export.save(exported, tmp_path / "small.pt2")
    graphs = [
        from_torch(module, (x,), dynamic_shapes=shapes), from_torch(exported), from_torch(tmp_path / "small.pt2"),
        public_from_torch(module, x, dynamic_shapes=shapes, name="small"),
    ]  # fmt: skip
    assert [graph.name for graph in graphs] == ["Small", "exported program", "small", "small"]
    assert all(same(graphs[0], graph) for graph in graphs[1:])
    assert graphs[0].batch == (2 if dynamic else 1)


def test_an_open_size_costs_what_an_export_at_that_size_costs() -> None:
    module = nn.Sequential(nn.Conv1d(3, 4, 3, stride=2), nn.ReLU(), nn.Conv1d(4, 5, 3)).eval()
    length = torch.export.Dim("length", min=9, max=512)
    exported = torch.export.export(module, (torch.zeros(1, 3, 32),), dynamic_shapes=({2: length},))
    for size in (9, 64, 301):
        graph = from_torch(exported, shapes={"input": (1, 3, size)})
        fixed = from_torch(module, torch.zeros(1, 3, size))
        assert graph.macs == fixed.macs
        shapes = [[graph_.tensors[name].shape for op in graph_.ops for name in op.outputs] for graph_ in (graph, fixed)]
        assert shapes[0] == shapes[1]


def test_a_module_on_the_meta_device_needs_no_weights() -> None:
    with torch.device("meta"):
        module = Small()
    graph, real = (from_torch(each.eval(), torch.zeros(2, 10, 8)) for each in (module, Small()))
    assert (graph.macs, graph.parameters) == (real.macs, real.parameters)


def test_keyword_inputs() -> None:
    graph = from_torch(
        nn.MultiheadAttention(8, 2), kwargs={name: torch.zeros(5, 1, 8) for name in ("query", "key", "value")}
    )
    assert graph.inputs == ("query", "key", "value")


def test_a_module_in_training_mode_is_refused() -> None:
    for module in (nn.Sequential(nn.Dropout()), nn.BatchNorm1d(4)):
        with pytest.raises(UnsupportedError, match=r"is in training mode. Call module.eval\(\)"):
            from_torch(module.train(), torch.zeros(2, 4))


def test_torchscript_is_refused(tmp_path: Path) -> None:
    scripted = torch.jit.trace(nn.Linear(4, 4), torch.zeros(1, 4))
    with pytest.raises(UnsupportedError, match="is TorchScript, which is not read"):
        from_torch(scripted, torch.zeros(1, 4))
    scripted.save(str(tmp_path / "scripted.pt"))
    torch.save(nn.Linear(4, 4).state_dict(), tmp_path / "weights.pth")
    for name in ("scripted.pt", "weights.pth"):
        with pytest.raises(UnsupportedError, match=r"Save it by torch.export.save"):
            from_torch(tmp_path / name)


@pytest.mark.parametrize("module", [object(), {"weight": 1}, nn.Linear])
def test_what_is_no_module(module: Any) -> None:
    with pytest.raises(UnsupportedError, match=r"neither a torch\.nn.Module, an ExportedProgram nor a path"):
        from_torch(module, ())


def test_a_module_that_torch_cannot_export() -> None:
    with pytest.raises(UnsupportedError, match=r"cannot be exported by torch\.export"):
        from_torch(Function(lambda x: x if x.sum() > 0 else -x), torch.zeros(3))


def test_sizes_and_branches_that_the_data_decides() -> None:
    with pytest.raises(InputError, match="which the data decides at run time"):
        from_torch(Function(lambda x: x[x > 0] * 2), torch.ones(3))
    branches = Function(lambda x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (x,)))
    with pytest.raises(UnsupportedError, match=r"chooses a branch by data.*--branch cond=then"):
        from_torch(branches, torch.ones(3))


def test_packed_sequences_are_refused() -> None:
    class Packed(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 4)

        def forward(self, x: Any) -> Any:
            packed = nn.utils.rnn.PackedSequence(x, torch.tensor([2, 2, 1]))
            return self.lstm(packed)[0].data

    with pytest.raises(UnsupportedError, match=r"packed sequences|cannot be exported"):
        from_torch(Packed(), torch.zeros(5, 3))


def test_random_numbers_are_not_free() -> None:
    with pytest.raises(UnsupportedError, match="aten::rand_like"):
        from_torch(Function(lambda x: x + torch.rand_like(x)), torch.zeros(3))

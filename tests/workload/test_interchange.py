"""Graph files, SCALE-Sim topologies and ZigZag workloads."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.workload import ops
from accelsim.workload.graph import Graph, Sparsity, Tensor
from accelsim.workload.interchange import load_graph, save_graph
from accelsim.workload.interchange.records import KINDS
from accelsim.workload.load import list_workloads, load_workload
from accelsim.workload.ops import Conv, Elementwise, MatMul, Reduce
from tests.workload.graphs import any_graph

ANY_FOLDER = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _round_trip(graph: Graph, path: Path) -> Graph:
    save_graph(graph, path)
    return load_graph(path)


class TestGraphFiles:
    @pytest.mark.parametrize("name", [name for name, _ in list_workloads()])
    @pytest.mark.parametrize("ending", ["json", "yaml"])
    def test_bundled_workloads_come_back_whole(self, name: str, ending: str, tmp_path: Path) -> None:
        graph = load_workload(name)
        assert _round_trip(graph, tmp_path / f"graph.{ending}") == graph

    @ANY_FOLDER
    @given(any_graph(), st.sampled_from(["json", "yaml"]))
    def test_any_graph_comes_back_whole(self, tmp_path: Path, graph: Graph, ending: str) -> None:
        assert _round_trip(graph, tmp_path / f"graph.{ending}") == graph

    def test_rewrites_formats_and_sparsity_come_back(self, tmp_path: Path) -> None:
        graph = load_workload("resnet-20").rewritten("remove-skips", "prune:pattern=2:4", "fuse")
        tensors = {**graph.tensors, "image": Tensor("image", (1, 3, 32, 32), format="int8")}
        graph = graph.with_tensors(tensors)
        assert _round_trip(graph, tmp_path / "graph.json") == graph

    def test_a_saved_graph_is_a_workload(self, tmp_path: Path) -> None:
        graph = load_workload("resnet-20").rewritten("remove-skips")
        graph.save(tmp_path / "plain.json")
        assert load_workload(tmp_path / "plain.json") == graph
        assert load_workload(str(tmp_path / "plain.json"), batch=4).macs == 4 * graph.macs

    def test_every_kind_of_op_has_a_form(self) -> None:
        assert {each.__name__ for each in KINDS.values()} == set(ops.__all__) - {"Contraction", "Op"}

    def test_a_bundled_origin_is_no_path(self, tmp_path: Path) -> None:
        load_workload("gemm").save(tmp_path / "g.json")
        assert json.loads((tmp_path / "g.json").read_text())["origin"] == "bundled:gemm"

    def test_too_large_for_yaml(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"Name it .json"):
            save_graph(_chain(12000), tmp_path / "chain.yaml")
        assert not (tmp_path / "chain.yaml").exists()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"accelsim_graph": 2}, "is no version that this accelsim reads"),
            ({"accelsim_graph": True}, "is no version"),
            ({"extra": 1}, "'extra' is not a known field"),
            ({"name": None}, "name: is missing"),
            ({"batch": "1"}, "batch: '1' must be a whole number"),
            ({"batch": 0}, "batch"),
            ({"ops": {}}, "ops: must be a list"),
            ({"ops": [{"name": "a"}]}, r"ops\[0\]: has no kind"),
            ({"ops": [{"kind": "matmull"}]}, "Did you mean 'matmul'"),
            ({"ops": [{"kind": "matmul", "name": "a", "inputs": ["input"], "outputs": []}]}, r"ops\[0\].m: is missing"),
            ({"ops": [{"kind": "move", "name": "a", "inputs": "x"}]}, r"ops\[0\].inputs: 'x' must be a list"),
            ({"tensors": {"input": {"shape": [1.5]}}}, r"tensors.input.shape\[0\]: 1.5 must be a whole number"),
            ({"tensors": {"input": {"shape": [1], "roll": "x"}}}, "'roll' is not a known field"),
            ({"outputs": ["nothing"]}, "nothing"),
        ],
    )  # fmt: skip
    def test_slips_are_named(self, tmp_path: Path, change: dict[str, object], message: str) -> None:
        save_graph(load_workload("gemm"), tmp_path / "g.json")
        data = {**json.loads((tmp_path / "g.json").read_text()), **change}
        (tmp_path / "g.json").write_text(json.dumps(data))
        with pytest.raises(InputError, match=message):
            load_graph(tmp_path / "g.json")

    @pytest.mark.parametrize(
        "text", ["", "[", "{}", "[1]", '{"accelsim_graph": NaN}', '{"a": 1, "a": 2}', "[" * 100000]
    )
    def test_what_is_no_graph_file(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "g.json").write_text(text)
        with pytest.raises(InputError):
            load_graph(tmp_path / "g.json")

    @ANY_FOLDER
    @given(st.data())
    def test_mutated_files_are_read_or_refused(self, tmp_path: Path, data: st.DataObject) -> None:
        save_graph(load_workload("lstm"), tmp_path / "g.json")
        text = (tmp_path / "g.json").read_text()
        place = data.draw(st.integers(0, len(text) - 1))
        piece = data.draw(st.sampled_from(["", "0", "-", "9" * 20, "[]", "{}", "null", '"x"', "\x00", "1e9", "true"]))
        (tmp_path / "m.json").write_text(text[:place] + piece + text[place + data.draw(st.integers(0, 6)) :])
        with contextlib.suppress(InputError):
            load_graph(tmp_path / "m.json")


def _chain(count: int) -> Graph:
    tensors = {f"t{index}": Tensor(f"t{index}", (1, 8)) for index in range(count + 1)}
    made = tuple(
        Elementwise(name=f"op{i}", inputs=(f"t{i}",), outputs=(f"t{i + 1}",), function="relu", elements=8)
        for i in range(count)
    )
    return Graph("chain", made, tensors, ("t0",), (f"t{count}",))


class TestScaleSim:
    def _read(self, tmp_path: Path, text: str) -> Graph:
        (tmp_path / "net.csv").write_text(text)
        return load_workload(tmp_path / "net.csv")

    def test_convolutions(self, tmp_path: Path) -> None:
        head = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
        graph = self._read(tmp_path, f"{head}Net,\nConv1,224,224,7,7,3,64,2,\nConv2,56,56,3,3,64,64,1,\n")
        first, second = graph.ops
        assert isinstance(first, Conv)
        assert first.output_size == (110, 110)  # the last, partial window counts: (224 - 7) / 2 is not whole
        assert graph.macs == 7 * 7 * 3 * 64 * 110**2 + 3 * 3 * 64 * 64 * 54**2
        assert graph.inputs == ("Conv1.input", "Conv2.input")
        assert second.outputs[0] in graph.outputs

    def test_products_with_sparsity(self, tmp_path: Path) -> None:
        graph = self._read(tmp_path, "Layer,M,N,K,Sparsity\nqkv,128,1536,512,2:4\nqkv,8,8,8,\n")
        assert graph.macs == 128 * 1536 * 512 + 8**3
        assert graph.tensors["qkv.weight"].sparsity == Sparsity("2:4", 1536 * 512 // 2)
        assert [op.name for op in graph.ops] == ["qkv", "qkv#2"]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("Layer,M,N\na,1,2\n", "layout of no topology"),
            ("Layer,M,N,K\na,1,2,x\n", "line 2: k: 'x' must be a whole number"),
            ("Layer,M,N,K\na,1,2,0\n", "must be a whole number from 1"),
            ("Layer,M,N,K,Sparsity\na,1,2,3,4:2\n", "is no N:M"),
            ("", "layout of no topology"),
        ],
    )
    def test_slips_are_named(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            self._read(tmp_path, text)


CONV = """
- id: {id}
  operator_type: Conv
  equation: O[b][k][oy][ox]+=W[k][c][fy][fx]*I[b][c][iy][ix]
  dimension_relations: [ix={stride}*ox+1*fx, iy={stride}*oy+1*fy]
  loop_dims: [B, K, C, OY, OX, FY, FX]
  loop_sizes: [1, {k}, {c}, {o}, {o}, {f}, {f}]
  operand_precision: {{W: 8, I: 8, O: 16, O_final: 8}}
  operand_source: {{I: {source}, W: {id}}}
"""
ADD = """
- id: 9
  operator_type: Add
  equation: O[b][g][oy][ox]=W[b][g][oy][ox]+I[b][g][oy][ox]
  loop_dims: [B, G, OY, OX]
  loop_sizes: [1, 8, 16, 16]
  operand_source: {W: 0, I: 1}
"""


class TestZigZag:
    def _read(self, tmp_path: Path, text: str) -> Graph:
        (tmp_path / "net.yaml").write_text(text)
        return load_workload(tmp_path / "net.yaml")

    def test_layers_are_connected(self, tmp_path: Path) -> None:
        first = CONV.format(id=0, k=8, c=3, o=16, f=3, stride=2, source=0)
        second = CONV.format(id=1, k=8, c=8, o=16, f=3, stride=1, source=0)
        graph = self._read(tmp_path, f"# a comment\n{first}{second}{ADD}")
        assert graph.macs == 9 * 3 * 8 * 256 + 9 * 8 * 8 * 256
        assert graph.inputs == ("0.Conv.i",)
        assert graph.tensors["0.Conv.i"].shape == (1, 3, 33, 33)  # nothing says how much of it is padding
        assert graph.ops[1].padding == (1, 1, 1, 1)  # type: ignore[attr-defined]
        assert [(each.op, each.identity) for each in graph.residuals] == [("9.Add", True)]
        assert graph.tensors["1.Conv.weight"].format == "int8"

    def test_a_product_and_a_pooling(self, tmp_path: Path) -> None:
        gemm = """
- {id: 3, operator_type: Gemm, equation: 'O[b][k]+=I[b][c]*W[c][k]', loop_dims: [B, C, K], loop_sizes: [4, 5, 6],
   operand_source: {I: 3, W: 3}}
- {id: 4, operator_type: Pooling, equation: 'O[b][g][oy][ox]+=W[fx][fy]*I[b][g][iy][ix]',
   loop_dims: [B, G, OY, OX, FX, FY], loop_sizes: [4, 6, 1, 1, 1, 1], operand_source: {I: 3, W: 4}}
"""
        product, pool = self._read(tmp_path, gemm).ops
        assert isinstance(product, MatMul)
        assert isinstance(pool, Reduce)
        assert (product.m, product.n, product.k, product.groups) == (4, 6, 5, 1)
        assert pool.elements == 24

    def test_depthwise_is_a_group(self, tmp_path: Path) -> None:
        text = CONV.format(id=0, k=1, c=1, o=8, f=3, stride=1, source=0)
        text = (
            text.replace("[B, K,", "[B, G, K,").replace("[1, 1, 1,", "[1, 32, 1, 1,").replace("O[b][k]", "O[b][g][k]")
        )
        text = text.replace("W[k]", "W[g][k]").replace("I[b][c]", "I[b][g][c]")
        (conv,) = self._read(tmp_path, text).ops
        assert isinstance(conv, Conv)
        assert (conv.groups, conv.in_channels, conv.out_channels, conv.macs) == (32, 32, 32, 9 * 32 * 64)

    def test_unknown_layers_are_told_at_once(self, tmp_path: Path) -> None:
        text = ADD.replace("Add", "Mul") + ADD.replace("id: 9", "id: 10").replace("Add", "Magic")
        with pytest.raises(UnsupportedError, match=r"9\.Mul.*10\.Magic"):
            self._read(tmp_path, text)

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("source: {I: 0", "source: {I: 7", "is no layer before this one"),
            ("ix=2*ox+1*fx", "ix=2*oz+1*fx", "is no relation"),
            ("loop_sizes: [1,", "loop_sizes: [", "an entry for each"),
            ("loop_sizes: [1,", "loop_sizes: [0,", "must be a whole number"),
            ("id: 0", "name: 0", "id: is missing"),
        ],
    )
    def test_slips_are_named(self, tmp_path: Path, old: str, new: str, message: str) -> None:
        text = CONV.format(id=0, k=8, c=3, o=16, f=3, stride=2, source=0)
        assert old in text
        with pytest.raises(InputError, match=message):
            self._read(tmp_path, text.replace(old, new, 1))


def test_parameters_are_refused(tmp_path: Path) -> None:
    load_workload("gemm").save(tmp_path / "g.json")
    with pytest.raises(UnknownNameError, match="Known: batch"):
        load_workload(tmp_path / "g.json", m=4)
    with pytest.raises(InputError, match="read as it stands"):
        load_workload(tmp_path / "g.json", shapes={"x": (1,)})

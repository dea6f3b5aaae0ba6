"""What a graph knows: lifetimes, critical paths, repeats, zeros; against definitions and counts by hand."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from accelsim.errors import GraphError
from accelsim.workload.expand import expanded
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.insight.critical import critical_path, sequential_steps
from accelsim.workload.insight.facts import facts_of
from accelsim.workload.insight.lifetimes import live_bytes, peak_step
from accelsim.workload.insight.repeats import repeats
from accelsim.workload.insight.zeros import with_counted_zeros
from accelsim.workload.load import list_workloads, load_workload
from accelsim.workload.onnx import from_onnx
from accelsim.workload.ops import Elementwise, Loop, MatMul
from tests.workload.graphs import any_graph, lines


class TestLifetimes:
    @pytest.mark.parametrize("name", [name for name, _ in list_workloads()])
    def test_the_peak_is_the_graph_s(self, name: str) -> None:
        graph = load_workload(name)
        held = live_bytes(graph)
        assert max(held) == graph.peak_activation_bytes
        assert held[peak_step(held)] == max(held)

    @settings(max_examples=150, deadline=None)
    @given(any_graph())
    def test_equal_to_the_definition(self, graph: Graph) -> None:
        """A tensor lives from what makes it to its last use, outputs to the end."""
        made = dict.fromkeys(graph.inputs, 0) | graph.producers
        last = {name: max([made[name], *(i for i, op in enumerate(graph.ops) if name in op.inputs)]) for name in made}
        last |= dict.fromkeys(graph.outputs, len(graph.ops))
        expected = [
            sum(graph.tensors[name].bytes for name in made if made[name] <= step <= last[name])
            for step in range(len(graph.ops))
        ]
        assert live_bytes(graph) == expected

    def test_another_order_may_hold_less(self) -> None:
        graph = lines(
            ("a", "work", "x"), ("b", "work", "x"), ("c", "step", "a"), ("d", "step", "b"), ("e", "add", "cd")
        )
        assert max(live_bytes(graph)) == 4 * 16 - 16
        assert live_bytes(graph, [0, 2, 1, 3, 4]) == [32, 48, 48, 48, 48]

    def test_an_order_against_the_arrows_is_refused(self) -> None:
        graph = lines(("a", "work", "x"), ("b", "work", "a"))
        with pytest.raises(GraphError, match="before what makes its input"):
            live_bytes(graph, [1, 0])
        with pytest.raises(GraphError, match="once"):
            live_bytes(graph, [0, 0])


class TestCriticalPath:
    def test_two_branches(self) -> None:
        graph = lines(("a", "work", "x"), ("b", "work", "a"), ("c", "step", "x"), ("d", "add", "bc"))
        assert critical_path(graph).ops == 3
        assert critical_path(graph).macs == 2 * 16

    @pytest.mark.parametrize(("steps", "layers"), [(2, 1), (7, 1), (100, 3)])
    def test_stacked_lstms(self, steps: int, layers: int) -> None:
        """A layer is its input projection, then product and cell in each step."""
        graph = load_workload("lstm", steps=steps, layers=layers, input_size=8, hidden_size=8)
        assert critical_path(graph).ops == layers * (1 + 2 * steps)
        assert critical_path(graph).macs == graph.macs
        assert sequential_steps(graph) == layers * steps

    def test_one_step_has_no_state_to_wait_for(self) -> None:
        """The projection of the input and the product of the state are side by side."""
        graph = load_workload("lstm", steps=1, layers=1, input_size=8, hidden_size=8)
        assert critical_path(graph).ops == 2
        assert sequential_steps(graph) == 0

    @settings(max_examples=60, deadline=None)
    @given(
        st.integers(1, 5),
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3, unique=True),
        st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=4, max_size=4),
    )
    def test_a_loop_is_its_steps_one_by_one(
        self, steps: int, carried: list[tuple[int, int]], shape: list[tuple[int, bool]]
    ) -> None:
        """Against the same loop written out, copy by copy."""
        loop = _loop(steps, carried, shape)
        assert critical_path(loop).ops == critical_path(_unrolled(loop)).ops

    @pytest.mark.parametrize("name", [name for name, _ in list_workloads()])
    def test_bounds(self, name: str) -> None:
        graph = load_workload(name)
        path = critical_path(graph)
        assert 0 < path.macs <= graph.macs
        assert path.ops <= sum(times for _, times in expanded(graph).walk())


def _loop(steps: int, carried: list[tuple[int, int]], shape: list[tuple[int, bool]]) -> Graph:
    """A body of four ops over four states; (made, read) pairs of ``carried`` tie what op i makes to state j."""
    tensors = {f"s{i}": Tensor(f"s{i}", (1, 4), "state") for i in range(4)}
    ops = []
    for index, (source, double) in enumerate(shape):
        known = [f"s{source % 4}", *([f"m{source % index}"] if double and index else [])]
        tensors[f"m{index}"] = Tensor(f"m{index}", (1, 4))
        ops.append(
            Elementwise(name=f"op{index}", inputs=tuple(known), outputs=(f"m{index}",), function="add", elements=4)
        )
    body = Graph("body", tuple(ops), tensors, (), ("m3",))
    pairs = tuple({read: (f"m{made}", f"s{read}") for made, read in carried}.values())
    loop = Loop(name="loop", inputs=(), outputs=("y",), body=body, steps=steps, carried=pairs)
    return Graph("loop", (loop,), {"y": Tensor("y", (steps, 4))}, (), ("y",))


def _unrolled(graph: Graph) -> Graph:
    (loop,) = graph.ops
    assert isinstance(loop, Loop)
    now = {name: f"{name}.0" for name, each in loop.body.tensors.items() if each.role == "state"}
    tensors = {name: Tensor(name, (1, 4), "state") for name in now.values()}
    ops = []
    for step in range(loop.steps):
        for op in loop.body.ops:
            made = f"{op.outputs[0]}.{step}"
            tensors[made] = Tensor(made, (1, 4))
            read, name = tuple(now[name] for name in op.inputs), f"{op.name}.{step}"
            ops.append(Elementwise(name=name, inputs=read, outputs=(made,), function="add", elements=4))
            now[op.outputs[0]] = made
        now |= {read: f"{made}.{step}" for made, read in loop.carried}
    return Graph("unrolled", tuple(ops), tensors, (), (ops[-1].outputs[0],))


class TestRepeats:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("bert-base", [(12, 19, "layer.0", 1)]),
            ("gpt2-medium", [(24, 19, "layer.0", 1)]),
            ("vit-b-16", [(12, 18, "layer.0", 1)]),
            ("whisper-tiny", [(4, 19, "layer.0", 1)]),
            ("conformer", [(17, 43, "encoder.0", 1)]),
            ("mixtral-8x7b", [(32, 67, "layer.0", 1), (8, 5, "layer.0.feed_forward.expert.0", 2)]),
            ("resnet-110", [(18, 7, "layer1.0", 1), (17, 7, "layer2.1", 1), (17, 7, "layer3.1", 1)]),
            ("gemm", []),
        ],
    )
    def test_layers_of_known_networks(self, name: str, expected: list[tuple[int, int, str, int]]) -> None:
        assert [(each.count, each.ops, each.name, each.inside) for each in repeats(load_workload(name))] == expected

    @settings(max_examples=150, deadline=None)
    @given(any_graph(), st.integers(2, 4))
    def test_blocks_are_isomorphic_and_apart(self, graph: Graph, copies: int) -> None:
        whole = _copied(graph, copies) if not any(isinstance(op, Loop) for op in graph.ops) else graph
        found = [each for each in repeats(whole) if not each.loop]
        for each in found:
            blocks = [whole.ops[each.start + i * each.ops : each.start + (i + 1) * each.ops] for i in range(each.count)]
            first = blocks[0]
            assert all([op.kind for op in block] == [op.kind for op in first] for block in blocks)
            assert {sum(op.macs for op in block) for block in blocks} == {each.macs}
        outer = [(each.start, each.end) for each in found if each.inside == 1]
        assert all(a[1] <= b[0] for a, b in itertools.pairwise(sorted(outer)))

    def test_equal_kinds_wired_apart_are_no_repeat(self) -> None:
        graph = lines(
            ("a", "work", "x"), ("b", "step", "a"), ("c", "work", "b"), ("d", "step", "b"), outputs=("c", "d")
        )
        assert repeats(graph) == ()

    def test_inside_of_loops(self) -> None:
        found = repeats(load_workload("llama3-8b", phase="decode", layers=4, context=8))
        assert [(each.count, each.name, each.loop) for each in found if each.inside == 1] == [(4, "layer.0", "decode")]


def _copied(graph: Graph, copies: int) -> Graph:
    """The graph several times, each on inputs of its own."""
    ops, tensors = [], {}
    for index in range(copies):
        tensors |= {
            f"{name}@{index}": Tensor(f"{name}@{index}", each.shape, each.role) for name, each in graph.tensors.items()
        }
        for op in graph.ops:
            wired = {side: tuple(f"{name}@{index}" for name in getattr(op, side)) for side in ("inputs", "outputs")}
            ops.append(
                type(op)(
                    **{**{f: getattr(op, f) for f in op.__dataclass_fields__}, **wired, "name": f"{op.name}@{index}"}
                )
            )
    names = [[f"{name}@{index}" for index in range(copies) for name in side] for side in (graph.inputs, graph.outputs)]
    return Graph("copies", tuple(ops), tensors, tuple(names[0]), tuple(names[1]))


class TestFacts:
    def test_a_product_by_hand(self) -> None:
        facts = facts_of(load_workload("gemm", m=4, n=5, k=6))
        moved = 4 * (4 * 6 + 6 * 5 + 4 * 5)
        assert facts.intensity == facts.intensity_by_op == 4 * 5 * 6 / moved
        assert facts.weight_bytes == {"unassigned": 4 * 30}
        assert facts.nonzero_parameters is None

    def test_pruned_weights_are_known(self) -> None:
        facts = facts_of(load_workload("resnet-20").rewritten("prune:sparsity=0.5"))
        assert facts.zeros["unstructured"] == facts.parameters - (facts.nonzero_parameters or 0)

    def test_zeros_of_an_onnx_file(self, tmp_path) -> None:
        weight = np.zeros((4, 6), np.float32)
        weight[1, 2:5] = 1
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, size]) for name, size in (("x", 4), ("y", 6))
        ]
        graph = helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "m.onnx")
        plain = from_onnx(tmp_path / "m.onnx")
        assert facts_of(plain).known == 0
        counted = with_counted_zeros(plain, tmp_path / "m.onnx")
        assert counted.nonzero_parameters == 3
        assert with_counted_zeros(plain, tmp_path / "m.onnx", most_bytes=8) == plain

    @settings(max_examples=80, deadline=None)
    @given(any_graph())
    def test_any_graph_has_facts(self, graph: Graph) -> None:
        facts = facts_of(graph)
        assert facts.peak_bytes == graph.peak_activation_bytes
        assert facts.peak_shared_bytes <= facts.peak_bytes
        assert facts.skips == graph.residuals
        assert facts.critical.macs <= graph.macs
        if any(isinstance(op, MatMul) for op, _ in graph.walk()):
            assert facts.intensity is not None

"""Fusing, batch, slicing and pruning: what stays the same stays the same, what changes is counted by hand."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import rewrite as rewrite_workload
from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.load import list_workloads, load_workload, reloaded
from accelsim.workload.ops import Conv, Elementwise, Loop, MatMul
from accelsim.workload.rewrite import REWRITES, list_rewrites
from accelsim.workload.vector_work import element_work
from tests.workload.graphs import any_graph, block, unet

SMALL = ["resnet-18", "mobilenet-v2", "bert-base", "vit-b-16", "whisper-tiny", "conformer", "gpt2-small"]


def _vector_work(graph: Graph) -> tuple[int, int]:
    pairs = [(element_work(op), times) for op, times in graph.walk()]
    return sum(simple * times for (simple, _), times in pairs), sum(special * times for (_, special), times in pairs)


class TestFuse:
    def test_a_norm_becomes_a_bias(self) -> None:
        before, after = block(), block().rewritten("fold-norms")
        assert [op.name for op in after.ops] == ["stem", "conv1", "relu1", "conv2", "join", "last"]
        assert after.tensors["conv1.bias"].shape == (8,)
        # Scale and shift, 8 each, become 8 biases.
        assert before.parameters - after.parameters == 2 * 8
        assert _vector_work(before)[0] - _vector_work(after)[0] == 2 * 2 * 8 * 36
        assert after.macs == before.macs

    def test_a_result_that_others_read_is_not_folded(self) -> None:
        graph = load_workload("resnet-20")
        first = graph.ops[0].outputs[0]
        shared = graph.with_tensors(graph.tensors)
        again = Graph(shared.name, shared.ops, shared.tensors, shared.inputs, (*shared.outputs, first))
        kept = {each.op: each.what for each in again.rewritten("fold-norms").rewrites[0].kept}
        assert kept == {"bn1": "normalises a result that others read as well"}

    def test_an_add_and_its_activation_are_one_pass(self) -> None:
        after = block().rewritten("fuse")
        assert [(op.name, getattr(op, "function", op.kind)) for op in after.ops] == [
            ("stem", "relu"), ("conv1", "conv"), ("relu1", "relu"), ("conv2", "conv"), ("join", "add+relu"),
        ]  # fmt: skip
        assert len(after.residuals) == 1
        assert after.outputs == block().outputs

    @pytest.mark.parametrize("name", SMALL)
    def test_macs_and_vector_work_stay(self, name: str) -> None:
        before = load_workload(name)
        after = before.rewritten("fuse")
        assert after.macs == before.macs
        assert _vector_work(after)[1] == _vector_work(before)[1]
        norms = sum(element_work(op)[0] for op in before.ops if getattr(op, "function", "") == "batch_norm")
        assert _vector_work(before)[0] - _vector_work(after)[0] == norms
        assert after.peak_activation_bytes <= before.peak_activation_bytes
        assert len(after.residuals) == len(before.residuals)

    @pytest.mark.parametrize("name", ["bert-base", "gpt2-small", "whisper-tiny", "llama3-8b", "conformer"])
    def test_attention_does_the_same_work_without_storing_scores(self, name: str) -> None:
        before = load_workload(name)
        after = before.rewritten("fuse-attention:rows=64")
        loops = [op for op in after.ops if isinstance(op, Loop) and op.label == "Attention"]
        assert loops
        assert (after.macs, after.parameters) == (before.macs, before.parameters)
        assert _vector_work(after) == _vector_work(before)
        scores = {op.outputs[0] for op in before.ops if isinstance(op, MatMul) and op.name.endswith(".scores")}
        assert not scores & set(after.tensors)
        assert all(op.body.ops[0].m <= 64 for op in loops)  # type: ignore[attr-defined]

    def test_where_there_is_nothing_to_fuse_the_graph_stays(self) -> None:
        graph = load_workload("gemm")
        after = graph.rewritten("fuse", "fuse-attention")
        assert after.ops == graph.ops
        assert [each.made for each in after.rewrites] == [(), ()]


class TestBatch:
    @pytest.mark.parametrize("name", [*SMALL, "resnet-110", "vgg-16", "lstm", "rnnt", "llama3-8b"])
    def test_equal_to_the_generator(self, name: str) -> None:
        made, scaled = load_workload(name, batch=3), load_workload(name).rewritten("batch:size=3")
        assert (scaled.macs, scaled.parameters, scaled.batch) == (made.macs, made.parameters, 3)
        assert _vector_work(scaled) == _vector_work(made)
        assert scaled.peak_activation_bytes == made.peak_activation_bytes

    def test_there_and_back(self) -> None:
        graph = load_workload("resnet-18")
        back = graph.rewritten("batch:size=6", "batch:size=1")
        assert (back.ops, back.tensors) == (graph.ops, graph.tensors)

    def test_a_weight_on_the_left_is_refused(self) -> None:
        tensors = {"w": Tensor("w", (4, 4), "weight"), "x": Tensor("x", (4, 5)), "y": Tensor("y", (4, 5))}
        op = MatMul(name="left", inputs=("w", "x"), outputs=("y",), m=4, n=5, k=4)
        with pytest.raises(UnsupportedError, match="left"):
            Graph("g", (op,), tensors, ("x",), ("y",)).rewritten("batch:size=2")


class TestLayers:
    def test_two_parts_make_the_whole(self) -> None:
        graph = load_workload("resnet-18")
        names = [op.name for op in graph.ops]
        for cut in (1, 20, 40):
            head = graph.rewritten(f"layers:last={names[cut - 1]}")
            tail = graph.rewritten(f"layers:first={names[cut]}")
            assert head.ops + tail.ops == graph.ops
            assert head.macs + tail.macs == graph.macs
            assert set(tail.inputs) - set(graph.inputs) <= set(head.outputs)

    def test_wrong_names_and_order(self) -> None:
        graph = load_workload("resnet-18")
        with pytest.raises(UnknownNameError, match=r"[Dd]id you mean 'conv1'"):
            graph.rewritten("layers:first=conv11")
        with pytest.raises(InputError, match="stands before"):
            graph.rewritten("layers:first=fc,last=conv1")


class TestPrune:
    def test_unstructured(self) -> None:
        graph = block().rewritten("prune:sparsity=0.25")
        assert graph.tensors["conv1.weight"].sparsity.zeros == 8 * 8 * 9 // 4  # type: ignore[union-attr]
        assert graph.parameters - graph.nonzero_parameters == 2 * (8 * 8 * 9 // 4)
        assert (graph.macs, graph.weight_bytes) == (block().macs, block().weight_bytes)

    def test_n_of_m_along_the_reduction(self) -> None:
        graph = load_workload("resnet-18").rewritten("prune:pattern=2:4")
        report = graph.rewrites[0]
        assert [each.op for each in report.kept] == ["conv1"]  # 3 x 7 x 7 values
        convs = [op for op in graph.ops if isinstance(op, Conv | MatMul) and op.name != "conv1"]
        halves = sum(graph.tensors[op.inputs[1]].elements // 2 for op in convs)
        assert graph.parameters - graph.nonzero_parameters == halves

    def test_weights_inside_of_loops(self) -> None:
        graph = load_workload("llama3-8b", phase="decode", layers=1, context=8).rewritten("prune:sparsity=0.5")
        multiplied = {op.inputs[1] for op, _ in graph.walk() if isinstance(op, MatMul)}
        sizes = [each.elements for each in graph.all_tensors() if each.name in multiplied and each.role == "weight"]
        assert graph.parameters - graph.nonzero_parameters == sum(sizes) // 2

    def test_channels_and_all_that_reads_them(self) -> None:
        graph = block().rewritten("prune-channels:sparsity=0.5")
        first, second = (op for op in graph.ops if isinstance(op, Conv))
        assert (first.out_channels, second.in_channels, second.out_channels) == (4, 4, 8)
        assert graph.tensors["bn1.weight"].shape == (2, 4)
        assert graph.macs == 36 * 9 * (8 * 4 + 4 * 8)
        assert [each.op for each in graph.rewrites[0].kept] == ["conv2"]  # it meets the residual add

    def test_channels_into_a_concat(self) -> None:
        graph = unet().rewritten("prune-channels:sparsity=0.5,match=mid")
        assert graph.tensors["dec.weight"].shape == (5, 8, 3, 3)
        assert graph.tensors["norm.weight"].shape == (2, 8)


class TestRegistry:
    def test_every_rewrite_says_what_it_does(self) -> None:
        assert [name for name, _ in list_rewrites()] == list(REWRITES)
        assert all(len(words) > 20 for _, words in list_rewrites())

    def test_provenance_is_in_order_with_all_parameters(self) -> None:
        graph = rewrite_workload("resnet-20", ["remove-skips:match=layer1.*", "fuse"])
        assert [(each.rewrite, dict(each.parameters)) for each in graph.rewrites] == [
            ("remove-skips", {"match": "layer1.*", "joins": "all"}), ("fuse", {}),
        ]  # fmt: skip

    def test_reloading_applies_them_again(self) -> None:
        graph = load_workload("resnet-20").rewritten("remove-skips", "fuse")
        again = reloaded(graph, {"image_size": 64})
        assert again.residuals == ()
        assert [each.rewrite for each in again.rewrites] == ["remove-skips", "fuse"]
        assert again.macs == 4 * graph.macs - 3 * 64 * 10  # all but the classifier grows

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("remove-skip", "[Dd]id you mean 'remove-skips'"),
            ("remove-skips:mach=x", "[Dd]id you mean 'match'"),
            ("remove-skips:match", "must be key=value"),
            ("remove-skips:match=a,match=b", "stands twice"),
            ("remove-skips:joins=ad", "[Dd]id you mean 'add'"),
            ("prune:sparsity=1.5", "must be at most 1"),
            ("prune:pattern=4:2", "is no pattern"),
            ("batch", "is missing"),
            ("batch:size=0", "must be 1 or more"),
            ("prune:match=nothing", "op, or pattern of ops"),
        ],
    )  # fmt: skip
    def test_slips_are_named(self, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message):
            load_workload("resnet-20").rewritten(text)

    @settings(max_examples=60, deadline=None)
    @given(any_graph(), st.sampled_from(sorted(REWRITES)))
    def test_the_graph_given_is_not_changed(self, graph: Graph, name: str) -> None:
        before = (graph.ops, dict(graph.tensors), graph.rewrites)
        text = f"{name}:size=2" if name == "batch" else name
        with contextlib.suppress(InputError):
            graph.rewritten(text)
        assert (graph.ops, dict(graph.tensors), graph.rewrites) == before


def test_every_bundled_workload_can_be_fused_and_pruned() -> None:
    for name, _ in list_workloads():
        graph = load_workload(name).rewritten("fuse", "prune")
        assert graph.nonzero_parameters < graph.parameters
        assert all(isinstance(op.function, str) for op in graph.ops if isinstance(op, Elementwise))

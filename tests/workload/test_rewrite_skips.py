"""Removing and shortening skip connections: counted by hand, and properties on any graph."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.graph import Graph
from accelsim.workload.load import load_workload
from accelsim.workload.rewrite import Totals, rewrite
from tests.workload.graphs import any_graph, block, lines, unet


def _names(graph: Graph) -> list[str]:
    return [op.name for op in graph.ops]


class TestRemove:
    def test_an_identity_skip_leaves_its_branch(self) -> None:
        graph = block().rewritten("remove-skips")
        assert _names(graph) == ["stem", "conv1", "bn1", "relu1", "conv2", "bn2", "last"]
        assert graph.residuals == ()
        assert graph.outputs == block().outputs

    def test_a_projected_shortcut_goes_with_its_convolution(self) -> None:
        before, after = block(projected=True), block(projected=True).rewritten("remove-skips")
        assert _names(after) == ["stem", "conv1", "bn1", "relu1", "conv2", "bn2", "last"]
        assert before.macs - after.macs == 8 * 8 * 3 * 3
        assert before.parameters - after.parameters == 8 * 8
        report = after.rewrites[0]
        assert report.removed == ("projection", "join")
        assert (report.before, report.after) == (Totals.of(before), Totals.of(after))
        assert report.made[0].what.startswith("removed: projected add skip over 2 ops")

    def test_resnet_18_loses_its_three_projections(self) -> None:
        before = load_workload("resnet-18")
        after = before.rewritten("remove-skips")
        weights = 64 * 128 + 128 * 256 + 256 * 512
        assert before.parameters - after.parameters == weights + 2 * (128 + 256 + 512)
        assert before.macs - after.macs == 64 * 128 * 28**2 + 128 * 256 * 14**2 + 256 * 512 * 7**2
        assert after.residuals == ()

    def test_only_those_that_match(self) -> None:
        graph = load_workload("resnet-20").rewritten("remove-skips:match=layer2.*")
        assert [each.op for each in graph.residuals if each.op.startswith("layer2")] == []
        assert len(graph.residuals) == 6

    def test_what_is_fused_behind_an_add_stays(self) -> None:
        graph = block().rewritten("fuse", "remove-skips")
        assert [(op.name, getattr(op, "function", "")) for op in graph.ops][-1] == ("join", "relu")

    def test_a_concat_skip_narrows_what_reads_it(self) -> None:
        before, after = unet(), unet().rewritten("remove-skips")
        assert "join" not in _names(after)
        decoder = after.ops[-1]
        assert decoder.in_channels == 8  # type: ignore[attr-defined]
        assert after.tensors["dec.weight"].shape == (5, 8, 3, 3)
        assert after.tensors["norm.weight"].shape == (2, 8)
        assert before.macs - after.macs == 4 * 5 * 9 * 64
        assert before.parameters - after.parameters == 4 * 5 * 9 + 2 * 4

    def test_joins_of_one_kind_only(self) -> None:
        with pytest.raises(InputError, match="finds nothing to change"):
            unet().rewritten("remove-skips:joins=add")

    def test_parallel_branches_are_no_shortcut(self) -> None:
        graph = lines(("a", "work", "x"), ("b", "work", "x"), ("c", "concat", "ab"))
        with pytest.raises(InputError, match="parallel branches"):
            graph.rewritten("remove-skips")

    def test_equal_sides_are_no_shortcut(self) -> None:
        graph = lines(("a", "work", "x"), ("b", "work", "x"), ("c", "add", "ab"))
        with pytest.raises(InputError, match="two sides of equal work"):
            graph.rewritten("remove-skips")

    def test_added_attention_scores_are_kept_and_told(self) -> None:
        graph = load_workload("conformer").rewritten("remove-skips")
        kept = {each.op: each.what for each in graph.rewrites[0].kept}
        assert {each.op for each in graph.residuals} == set(kept)
        assert set(kept.values()) == {"adds to attention scores: no skip connection of layers"}

    def test_skips_inside_of_loops(self) -> None:
        before = load_workload("llama3-8b", phase="decode", layers=2, context=8)
        after = before.rewritten("remove-skips")
        assert (len(before.residuals), len(after.residuals)) == (4, 0)
        assert (after.macs, after.parameters) == (before.macs, before.parameters)

    def test_a_wrong_pattern_is_refused(self) -> None:
        with pytest.raises(UnknownNameError, match=r"[Dd]id you mean 'layer2.0.add'"):
            load_workload("resnet-20").rewritten("remove-skips:match=layer2.0.ad")


class TestShorten:
    def test_one_skip_a_layer_before_its_activation(self) -> None:
        graph = block().rewritten("shorten-skips")
        assert _names(graph) == ["stem", "conv1", "bn1", "join.short0", "relu1", "conv2", "bn2", "join", "last"]
        wires = {op.name: op.inputs for op in graph.ops}
        assert wires["join.short0"] == ("bn1.output", "stem.output")
        assert wires["relu1"] == ("join.short0.output",)
        assert wires["join"] == ("bn2.output", "relu1.output")
        assert [each.span_ops for each in graph.residuals] == [3, 3]

    def test_pre_activation(self) -> None:
        graph = block(activation_first=True).rewritten("shorten-skips")
        wires = {op.name: op.inputs for op in graph.ops}
        assert wires["join.short0"] == ("conv1.output", "stem.output")
        assert wires["relu2"] == ("join.short0.output",)
        assert wires["join"] == ("conv2.output", "join.short0.output")

    def test_a_projection_moves_to_the_layer_that_makes_its_shape(self) -> None:
        graph = block(projected=True).rewritten("shorten-skips")
        wires = {op.name: op.inputs for op in graph.ops}
        assert wires["join.short0"] == ("bn1.output", "projection.output")
        assert wires["join"] == ("bn2.output", "relu1.output")
        assert _names(graph).index("projection") < _names(graph).index("join.short0")
        assert graph.macs == block(projected=True).macs

    @pytest.mark.parametrize("name", ["resnet-18", "resnet-20", "resnet-56"])
    def test_basic_blocks_have_two_short_skips(self, name: str) -> None:
        before = load_workload(name)
        after = before.rewritten("shorten-skips")
        assert len(after.residuals) == 2 * len(before.residuals)
        longest = max(each.span_ops for each in before.residuals)
        assert max(each.span_ops for each in after.residuals) < longest
        assert (after.macs, after.parameters) == (before.macs, before.parameters)

    def test_bottlenecks_keep_a_skip_around_the_middle(self) -> None:
        before, after = load_workload("resnet-50"), load_workload("resnet-50").rewritten("shorten-skips")
        report = after.rewrites[0]
        assert [each.op for each in report.kept] == ["layer2.0.add", "layer3.0.add", "layer4.0.add"]
        # The first block's projection has no layer of its shape, so it goes.
        assert before.macs - after.macs == 64 * 256 * 56**2
        assert "layer1.0.downsample.conv" in report.removed

    def test_branches_that_fork_are_kept(self) -> None:
        with pytest.raises(InputError, match="forks"):
            load_workload("bert-base", layers=2).rewritten("shorten-skips:match=*attention*")


@settings(max_examples=150, deadline=None)
@given(any_graph())
def test_removing_from_any_graph(graph: Graph) -> None:
    _changes_only_what_it_tells(graph, "remove-skips")


@settings(max_examples=150, deadline=None)
@given(any_graph())
def test_shortening_in_any_graph(graph: Graph) -> None:
    _changes_only_what_it_tells(graph, "shorten-skips")


def _changes_only_what_it_tells(graph: Graph, name: str) -> None:
    """The graph stays valid, with its ends; every skip is changed or kept with a reason; work only goes."""
    try:
        after = rewrite(graph, name)
    except InputError as error:
        assert "finds nothing to change" in str(error)  # noqa: PT017
        return
    report = after.rewrites[0]
    assert sorted(each.op for each in (*report.made, *report.kept)) == sorted(each.op for each in graph.residuals)
    assert (after.inputs, after.outputs) == (graph.inputs, graph.outputs)
    assert after.macs <= graph.macs
    assert after.parameters <= graph.parameters
    names, old = {op.name for op, _ in after.walk()}, {op.name for op, _ in graph.walk()}
    assert (names - old, old - names) == (set(report.added), set(report.removed))
    if name == "remove-skips":
        # Nothing that was removed ends a skip again where it ended one.
        assert report.added == ()
    used = {each for op in after.ops for each in (*op.inputs, *op.outputs)} | {*after.inputs, *after.outputs}
    assert set(after.tensors) <= used, "a tensor is left that nothing needs"

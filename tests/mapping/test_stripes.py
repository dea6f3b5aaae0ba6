"""Stripes: nothing is lost when ops are cut, and what cannot be cut is left alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.mapping.placement import cached_states, pinned_choices
from accelsim.mapping.stripes import Cut, cuts, halo_bytes, striped_op
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.load import load_workload
from accelsim.workload.ops import Conv, Elementwise, MatMul, Reduce
from accelsim.workload.vector_work import element_work

WORKLOADS = [
    ("resnet-18", 1),
    ("resnet-18", 6),
    ("mobilenet-v2", 4),
    ("bert-base", 2),
    ("vit-b-16", 1),
    ("conformer", 3),
]


@pytest.mark.parametrize(("name", "batch"), WORKLOADS)
def test_the_stripes_of_an_op_are_the_op(name, batch):
    graph = load_workload(name, batch=batch)
    cut_ops = 0
    for cut in cuts(graph):
        for op in graph.ops:
            tensors = {}
            found = striped_op(op, graph, cut, tensors)
            if found is None:
                continue
            cut_ops += 1
            assert found.op.macs * cut.stripes == op.macs
            assert [each * cut.stripes for each in element_work(found.op)] == [*element_work(op)]
            for stripe in found.stripes:
                assert tensors[stripe].elements * cut.stripes == graph.tensors[stripe].elements
            for whole in found.whole:
                assert tensors[whole] == graph.tensors[whole]
    assert cut_ops > 0


def conv(height, kernel, stride):
    out = (height - kernel + 2 * (kernel // 2)) // stride + 1
    tensors = {
        "x": Tensor("x", (1, 8, height, 16)),
        "w": Tensor("w", (4, 8, kernel, kernel), "weight"),
        "y": Tensor("y", (1, 4, out, (16 - kernel + 2 * (kernel // 2)) // stride + 1)),
    }
    op = Conv(
        name="conv", inputs=("x", "w"), outputs=("y",), batch=1, in_channels=8, out_channels=4, input_size=(height, 16),
        output_size=tensors["y"].shape[2:], kernel=(kernel, kernel), stride=(stride, stride),
        padding=(kernel // 2,) * 2,
    )  # fmt: skip
    return Graph("conv", (op,), tensors, ("x",), ("y",))


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 64), st.sampled_from([1, 3, 5]), st.sampled_from([1, 2]), st.sampled_from([2, 4, 7]))
def test_a_map_is_cut_only_where_its_rows_divide(height, kernel, stride, rows):
    graph = conv(height, kernel, stride)
    found = striped_op(graph.ops[0], graph, Cut(1, rows), {})
    assert (found is not None) == (height % rows == 0 and graph.tensors["y"].shape[2] % rows == 0)


def test_a_halo_is_the_rows_that_windows_share():
    for kernel, stride in ((3, 1), (3, 2), (5, 2), (1, 1), (1, 2)):
        graph = conv(16, kernel, stride)
        assert halo_bytes(graph.ops[0], graph) == max(0, kernel - stride) * 8 * 16 * 4


def test_what_mixes_rows_is_not_cut_along_them():
    tensors = {"x": Tensor("x", (1, 8, 16, 16)), "y": Tensor("y", (1, 8)), "s": Tensor("s", (1, 8, 1, 1))}
    tensors |= {"a": Tensor("a", (4, 16, 8)), "b": Tensor("b", (4, 8, 16)), "c": Tensor("c", (4, 16, 16))}
    ops = (
        Reduce(name="pool", inputs=("x",), outputs=("y",), function="reduce_mean", elements=2048),
        Elementwise(name="gate", inputs=("x", "s"), outputs=("z",), function="mul", elements=2048),
    )
    graph = Graph("mix", ops, tensors | {"z": Tensor("z", (1, 8, 16, 16))}, ("x", "s"), ("y", "z"))
    assert all(striped_op(op, graph, Cut(1, 2), {}) is None for op in ops)
    product = MatMul(name="scores", inputs=("a", "b"), outputs=("c",), groups=4, m=16, n=16, k=8)
    found = striped_op(product, Graph("scores", (product,), tensors, ("a", "b"), ("c",)), Cut(1, 2), {})
    assert found is not None
    assert found.whole == ("b",)


@given(st.floats(0, 1e9))
def test_more_room_pins_more_weights(room):
    graph = load_workload("resnet-18")
    tensors = graph.tensors
    sets, more = pinned_choices(graph, room), pinned_choices(graph, 2 * room)
    assert all(sum(tensors[name].bytes for name in each) <= room for each in sets)
    assert set(sets) <= set(more)


def test_caches_are_the_states_that_a_step_extends():
    graph = load_workload("gpt2-small", phase="decode", new_tokens=4)
    caches = cached_states(graph)
    states = {name for op in graph.ops if op.kind == "loop" for _, name in op.carried}
    assert caches & states
    assert cached_states(load_workload("resnet-18")) == frozenset()

"""Operators of the standard domain beyond convolutions and products: shapes against the reference, work by hand."""

from __future__ import annotations

from math import log2
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import numpy as np
import onnx
import onnx.reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.graph import Graph
from accelsim.workload.onnx import from_onnx
from accelsim.workload.vector_work import element_work
from tests.workload.onnx_models import node, run_shapes, save, stored, value, weight

INT64 = TensorProto.INT64


def _reference_shapes(path: Path, **feeds: Any) -> dict[str, tuple[int, ...]]:
    """Output shapes that onnx's reference evaluator makes; it knows operators that no runtime has yet."""
    model = onnx.load(path)
    random = np.random.default_rng(0)
    for each in model.graph.input:
        shape = [axis.dim_value for axis in each.type.tensor_type.shape.dim]
        feeds.setdefault(each.name, random.standard_normal(shape).astype(np.float32))
    names = [each.name for each in model.graph.output]
    found = onnx.reference.ReferenceEvaluator(model).run(names, feeds)
    return dict(zip(names, (np.shape(each) for each in found), strict=True))


def _shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    return {name: graph.tensors[name].shape for name in graph.outputs}


# Attention


def _attention(folder: Path, q: Any, k: Any, v: Any, outputs: int = 1, extra: Any = (), **attributes: Any) -> Path:
    inputs = {"q": q, "k": k, "v": v, **dict(extra)}
    order = ["q", "k", "v", *(name if name in inputs else "" for name in ("mask", "pk", "pv"))]
    while not order[-1]:
        order.pop()
    names = ["y", "present_k", "present_v", "scores"][:outputs]
    return save(folder, [node("Attention", order, names, name="a", **attributes)], inputs, names, opset=23)


@pytest.mark.parametrize("causal", [0, 1])
def test_attention_of_four_axes(tmp_path: Path, causal: int) -> None:
    path = _attention(tmp_path, (2, 6, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4), is_causal=causal)
    graph = from_onnx(path)
    assert graph.macs == 2 * 6 * 5 * 7 * (8 + 4)  # in full, also where a mask hides half of it
    assert _shapes(graph) == _reference_shapes(path)
    assert [op.label for op in graph.ops] == ["Attention"] * len(graph.ops)


def test_attention_of_three_axes_with_a_mask_and_a_cache(tmp_path: Path) -> None:
    extra = {"mask": (5, 10), "pk": (2, 3, 3, 8), "pv": (2, 3, 3, 4)}
    path = _attention(
        tmp_path, (2, 5, 48), (2, 7, 24), (2, 7, 12), 3, extra, q_num_heads=6, kv_num_heads=3, softcap=30.0
    )
    graph = from_onnx(path)
    assert graph.macs == 2 * 6 * 5 * (7 + 3) * (8 + 4)
    assert _shapes(graph) == _reference_shapes(path)


def test_attention_with_heads_that_do_not_divide(tmp_path: Path) -> None:
    path = _attention(tmp_path, (2, 5, 40), (2, 7, 24), (2, 7, 12), q_num_heads=5, kv_num_heads=3)
    with pytest.raises(InputError, match="node 'a'"):
        from_onnx(path)


def test_rotary_embedding(tmp_path: Path) -> None:
    nodes = [node("RotaryEmbedding", ["x", "c", "s"], ["y"], name="r")]
    path = save(tmp_path, nodes, {"x": (2, 3, 5, 8), "c": (2, 5, 4), "s": (2, 5, 4)}, ["y"], opset=23)
    graph = from_onnx(path)
    assert _shapes(graph) == _reference_shapes(path)
    assert element_work(graph.ops[0]) == (3 * 2 * 3 * 5 * 8, 0)


# Einsum

SIZES = dict(zip(ascii_lowercase, (2, 3, 4, 5, 6, 7), strict=False))


def _einsum(folder: Path, equation: str, shapes: list[tuple[int, ...]]) -> tuple[Graph, Path]:
    names = [f"x{index}" for index in range(len(shapes))]
    made = node("Einsum", names, ["y"], name="e", equation=equation)
    path = save(folder, [made], dict(zip(names, shapes, strict=True)), ["y"])
    return from_onnx(path), path


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("ij,jk->ik", [(2, 3), (3, 4)], 2 * 3 * 4),
        ("bhid,bhjd->bhij", [(2, 3, 5, 8), (2, 3, 7, 8)], 2 * 3 * 5 * 7 * 8),
        ("bij,kj->bik", [(2, 3, 4), (5, 4)], 2 * 3 * 4 * 5),
        ("...ij,...jk->...ik", [(2, 6, 3, 4), (2, 1, 4, 5)], 2 * 6 * 3 * 4 * 5),
        ("bij,bjk->bik", [(1, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        ("bij,bjk->bik", [(2, 3, 4), (1, 4, 5)], 2 * 3 * 4 * 5),
        ("bhid,bhjd->bhij", [(1, 1, 3, 8), (4, 2, 7, 8)], 4 * 2 * 3 * 7 * 8),
        ("...ij,...jk->...ik", [(1, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        ("a...i,i...b->a...b", [(1, 6, 4), (4, 6, 5)], 6 * 4 * 5),
        ("bij,bij->bij", [(1, 3, 4), (2, 3, 4)], 0),
        ("ij,jk", [(2, 3), (3, 4)], 2 * 3 * 4),
        ("i,j->ij", [(2,), (3,)], 0),
        ("ij,ij->ij", [(2, 3), (2, 3)], 0),
        ("ij,ij->", [(2, 3), (2, 3)], 6),
        ("ijk->ki", [(2, 3, 4)], 0),
        ("ijk->kij", [(2, 3, 4)], 0),
        ("abc,cd,de->abe", [(2, 3, 4), (4, 5), (5, 6)], 6 * 4 * 5 + 6 * 5 * 6),
        ("ijl,jk->ik", [(2, 3, 9), (3, 4)], 2 * 3 * 4),  # l is summed first
    ],
)
def test_einsum(tmp_path: Path, equation: str, shapes: list[tuple[int, ...]], macs: int) -> None:
    graph, path = _einsum(tmp_path, equation, shapes)
    assert graph.macs == macs
    assert _shapes(graph) == run_shapes(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_einsum_of_two_operands_multiplies_every_index_once(tmp_path_factory: Any, data: st.DataObject) -> None:
    """Where no index belongs to one operand alone and is summed, MACs are the product of all sizes."""
    letters = st.permutations(list("abcdef"))
    first = data.draw(letters)[: data.draw(st.integers(1, 4))]
    second = data.draw(letters)[: data.draw(st.integers(1, 4))]
    both = [each for each in first if each in second]
    summed = set(data.draw(st.lists(st.sampled_from(both), unique=True))) if both else set()
    out = [each for each in dict.fromkeys((*first, *second)) if each not in summed]
    shapes = [tuple(SIZES[each] for each in term) for term in (first, second)]
    equation = f"{''.join(first)},{''.join(second)}->{''.join(out)}"
    graph, path = _einsum(tmp_path_factory.mktemp("einsum"), equation, shapes)
    every = int(np.prod([SIZES[each] for each in {*first, *second}]))
    assert graph.macs == (every if summed else 0)
    assert _shapes(graph) == run_shapes(path)


@pytest.mark.parametrize("equation", ["ij,jk->iz", "ijk,jk->i", "i1,1k->ik", "ij->i"])
def test_einsum_that_does_not_fit_is_refused(tmp_path: Path, equation: str) -> None:
    with pytest.raises(InputError, match="node 'e'"):
        _einsum(tmp_path, equation, [(2, 3), (3, 4)])


# Recurrent layers


@pytest.mark.parametrize("cell", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("extras", [(), ("h",), ("h", "c", "lengths"), ("lengths",), ("b", "p", "h", "c")])
def test_recurrent(tmp_path: Path, cell: str, direction: str, layout: int, extras: tuple[str, ...]) -> None:
    gates, directions = {"LSTM": 4, "GRU": 3, "RNN": 1}[cell], 1 + (direction == "bidirectional")
    steps, batch, width, hidden = 5, 2, 6, 4
    state = (batch, directions, hidden) if layout else (directions, batch, hidden)
    x = (batch, steps, width) if layout else (steps, batch, width)
    extras = tuple(each for each in extras if each not in ("c", "p") or cell == "LSTM")
    shapes = {"x": x, **{each: state for each in ("h", "c") if each in extras}}
    inputs = [value(name, shape) for name, shape in shapes.items()]
    inputs += [value("lengths", (batch,), TensorProto.INT32)] if "lengths" in extras else []
    stores = [weight("w", directions, gates * hidden, width), weight("r", directions, gates * hidden, hidden)]
    stores += [weight("b", directions, 2 * gates * hidden)] if "b" in extras else []
    stores += [weight("p", directions, 3 * hidden)] if "p" in extras else []
    order = ["x", "w", "r", *(each if each in extras else "" for each in ("b", "lengths", "h", "c", "p"))]
    while not order[-1]:
        order.pop()
    outputs = ["y", "y_h", "y_c"][: 3 if cell == "LSTM" else 2]
    nodes = [node(cell, order, outputs, hidden_size=hidden, direction=direction, layout=layout)]
    path = save(tmp_path, nodes, inputs, outputs, stores)
    graph = from_onnx(path)
    assert graph.macs == directions * steps * batch * gates * hidden * (width + hidden)
    stored_elements = sum(int(np.prod(each.dims)) for each in stores)
    assert graph.parameters == stored_elements
    assert {name for name in graph.inputs if graph.tensors[name].role == "state"} == set(extras) & {"h", "c"}
    if layout:
        return  # ONNX Runtime's CPU has batch-first layers only in part
    lengths = {"lengths": np.full(batch, steps, np.int32)} if "lengths" in extras else {}
    assert _shapes(graph) == run_shapes(path, **lengths)


# Others


@pytest.mark.parametrize(
    ("op", "inputs", "shapes", "stores", "attributes", "opset"),
    [
        ("GridSample", ["x", "g"], {"x": (1, 3, 8, 8), "g": (1, 5, 6, 2)}, [], {}, 16),
        ("RoiAlign", ["x", "r", "b"], {"x": (1, 3, 8, 8), "r": (4, 4)}, [stored("b", [0, 0, 0, 0], "i8")],
         {"output_height": 3, "output_width": 2, "sampling_ratio": 2}, 16),
        ("MaxRoiPool", ["x", "r"], {"x": (1, 3, 8, 8)}, [stored("r", [[0, 0, 0, 4, 4]] * 2)],
         {"pooled_shape": [2, 2]}, 17),
        ("Col2Im", ["x", "s", "k"], {"x": (1, 12, 4)}, [stored("s", [4, 4], "i8"), stored("k", [2, 2], "i8")],
         {"strides": [2, 2]}, 18),
        ("AffineGrid", ["t", "s"], {"t": (2, 2, 3)}, [stored("s", [2, 3, 5, 6], "i8")], {}, 20),
        ("DFT", ["x"], {"x": (1, 16, 1)}, [], {"axis": 1}, 17),
        ("STFT", ["x", "n", "w"], {"x": (1, 64, 1)}, [stored("n", 8, "i8"), weight("w", 16)], {}, 17),
        ("RandomNormalLike", ["x"], {"x": (2, 3)}, [], {}, 17),
        ("LpPool", ["x"], {"x": (1, 3, 9)}, [], {"kernel_shape": [3]}, 18),
        ("AveragePool", ["x"], {"x": (1, 3, 8, 8, 8)}, [], {"kernel_shape": [2, 2, 2], "strides": [2, 2, 2]}, 17),
        ("GlobalLpPool", ["x"], {"x": (1, 3, 9, 9)}, [], {}, 17),
        ("ScatterElements", ["x", "i", "u"], {"x": (3, 3), "u": (2, 3)}, [stored("i", [[1, 0, 2], [0, 2, 1]], "i8")],
         {}, 18),
        ("GatherND", ["x", "i"], {"x": (3, 4, 5)}, [stored("i", [[0, 1], [2, 3]], "i8")], {}, 17),
        ("Resize", ["x", "", "f"], {"x": (1, 3, 8, 8)}, [stored("f", [1, 1, 2, 1.5])], {"mode": "cubic"}, 18),
        ("InstanceNormalization", ["x", "a", "b"], {"x": (1, 3, 8)}, [weight("a", 3), weight("b", 3)], {}, 17),
        ("GroupNormalization", ["x", "a", "b"], {"x": (1, 4, 8)}, [weight("a", 4), weight("b", 4)],
         {"num_groups": 2}, 21),
        ("RMSNormalization", ["x", "a"], {"x": (1, 3, 8)}, [weight("a", 8)], {}, 23),
    ],
)  # fmt: skip
def test_shapes(
    tmp_path: Path, op: str, inputs: list[str], shapes: Any, stores: list[Any], attributes: Any, opset: int
) -> None:
    path = save(tmp_path, [node(op, inputs, ["y"], **attributes)], shapes, ["y"], stores, opset=opset)
    graph = from_onnx(path)
    reference = _reference_shapes if op in ("RMSNormalization",) else run_shapes
    assert _shapes(graph) == reference(path)
    assert all(sum(element_work(each)) or each.kind == "move" for each in graph.ops)


def test_a_transform_costs_its_butterflies(tmp_path: Path) -> None:
    nodes = [node("STFT", ["x", "n", "w"], ["y"])]
    graph = from_onnx(save(tmp_path, nodes, {"x": (1, 64, 1)}, ["y"], [stored("n", 8, "i8"), weight("w", 16)]))
    frames = (64 - 16) // 8 + 1
    assert element_work(graph.ops[-1])[0] == 10 * frames * 16 // 2 * log2(16)


def test_deformable_convolution(tmp_path: Path) -> None:
    shapes = {"x": (1, 4, 8, 8), "o": (1, 18, 6, 6), "m": (1, 9, 6, 6)}
    nodes = [node("DeformConv", ["x", "w", "o", "b", "m"], ["y"], name="d", group=2)]
    graph = from_onnx(save(tmp_path, nodes, shapes, ["y"], [weight("w", 6, 2, 3, 3), weight("b", 6)], opset=19))
    assert graph.tensors["y"].shape == (1, 6, 6, 6)
    assert (graph.macs, graph.parameters) == (6 * 36 * 2 * 9, 6 * 2 * 9 + 6)


def test_work_that_is_not_modelled_names_its_operator(tmp_path: Path) -> None:
    path = save(tmp_path, [node("Bernoulli", ["x"], ["y"], name="draw")], {"x": (3, 3)}, ["y"])
    with pytest.raises(UnsupportedError, match=r"1 node is not modelled: draw \(ai.onnx::Bernoulli, opset 17\)"):
        from_onnx(path)

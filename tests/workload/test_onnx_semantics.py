"""What nodes mean: sizes against ONNX Runtime, work against counting by hand."""

from __future__ import annotations

import warnings
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from accelsim.errors import AccelsimError
from accelsim.workload.onnx import from_onnx
from accelsim.workload.ops import Conv, Elementwise, MatMul, Move, Recurrent, Reduce
from tests.workload.onnx_models import node, run_shapes, save, stored, value, weight

CALM = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def _int64(name: str, *values: int) -> Any:
    return stored(name, values, np.int64)


CONVOLUTIONS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 3, 17), (5, 3, 4), {}),
    ((1, 3, 9, 12), (4, 3, 3, 3), {"pads": [1, 1, 1, 1], "strides": [2, 1]}),
    ((1, 3, 9, 12), (4, 3, 3, 2), {"pads": [0, 1, 2, 0]}),
    ((1, 6, 9, 9), (6, 1, 3, 3), {"group": 6, "pads": [1, 1, 1, 1]}),
    ((1, 6, 9, 9), (8, 3, 3, 3), {"group": 2, "dilations": [2, 3]}),
    ((1, 3, 10, 11), (4, 3, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    ((1, 3, 10, 11), (4, 3, 3, 4), {"auto_pad": "SAME_LOWER", "strides": [2, 3]}),
    ((1, 3, 10, 11), (4, 3, 3, 3), {"auto_pad": "VALID", "strides": [2, 2]}),
    ((1, 2, 5, 6, 7), (3, 2, 2, 3, 2), {"strides": [1, 2, 3]}),
]


@pytest.mark.parametrize(("x", "w", "attributes"), CONVOLUTIONS)
def test_convolution(tmp_path: Path, x: tuple[int, ...], w: tuple[int, ...], attributes: dict[str, Any]) -> None:
    nodes = [node("Conv", ["x", "w", "b"], ["y"], name="conv", **attributes)]
    path = save(tmp_path, nodes, {"x": x}, ["y"], [weight("w", *w), weight("b", w[0])])
    graph = from_onnx(path)
    (op,) = graph.ops
    out = run_shapes(path)["y"]
    assert isinstance(op, Conv)
    assert (op.batch, op.out_channels, *op.output_size) == graph.tensors["y"].shape == out
    assert graph.macs == prod(out) * prod(w[1:])
    assert graph.parameters == prod(w) + w[0]
    pads = op.padding * 2 if len(op.padding) == len(op.kernel) else op.padding
    for axis, size in enumerate(op.output_size):
        room = op.input_size[axis] + pads[axis] + pads[axis + len(op.kernel)]
        assert size == (room - op.dilation[axis] * (op.kernel[axis] - 1) - 1) // op.stride[axis] + 1


@pytest.mark.parametrize(
    ("x", "w", "attributes"),
    [
        ((1, 4, 7), (4, 3, 3), {"strides": [2]}),
        ((1, 4, 6, 5), (4, 6, 2, 2), {"strides": [2, 2]}),
        ((1, 4, 6, 5), (4, 3, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
        ((1, 4, 6, 5), (4, 2, 4, 3), {"group": 2, "strides": [2, 3], "auto_pad": "SAME_UPPER"}),
    ],
)
def test_transposed_convolution(
    tmp_path: Path, x: tuple[int, ...], w: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    path = save(tmp_path, [node("ConvTranspose", ["x", "w"], ["y"], **attributes)], {"x": x}, ["y"], [weight("w", *w)])
    graph = from_onnx(path)
    assert graph.tensors["y"].shape == run_shapes(path)["y"]
    assert graph.macs == prod(x) * prod(w[1:])  # every product, those that the border crops included


@pytest.mark.parametrize(("trans_a", "trans_b"), [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("weight_left", [False, True])
def test_gemm(tmp_path: Path, trans_a: int, trans_b: int, weight_left: bool) -> None:
    a, b = ((5, 3) if trans_a else (3, 5)), ((7, 5) if trans_b else (5, 7))
    shape, constant, operands = (b, a, ["w", "x"]) if weight_left else (a, b, ["x", "w"])
    nodes = [node("Gemm", [*operands, "c"], ["y"], transA=trans_a, transB=trans_b)]
    graph = from_onnx(save(tmp_path, nodes, {"x": shape}, ["y"], [weight("w", *constant), weight("c", 7)]))
    (op,) = graph.ops
    assert (graph.macs, graph.parameters, graph.tensors["y"].shape) == (105, prod(constant) + 7, (3, 7))
    assert op.inputs == ("x", "w", "c")  # the weight is on the right, whichever side the file has it on


@CALM
@given(data=st.data())
def test_matmul_broadcasts_like_numpy(tmp_path: Path, data: st.DataObject) -> None:
    """Any batch axes, either side constant or neither; the product costs its output times K."""
    sizes = st.sampled_from([1, 2, 3])
    full = data.draw(st.lists(sizes, max_size=3))
    keeps = st.lists(st.booleans(), min_size=len(full), max_size=len(full))
    k = data.draw(st.integers(1, 4))
    a, b = (
        [size if keep else 1 for size, keep in zip(full, data.draw(keeps), strict=True)][data.draw(st.integers(0, 3)) :]
        for _ in range(2)
    )
    a += [k] if data.draw(st.booleans()) and not a else [data.draw(sizes), k]
    b += [k] if data.draw(st.booleans()) and not b else [k, data.draw(sizes)]
    constant = data.draw(st.sampled_from([None, "a", "b"]))
    inputs = {name: shape for name, shape in (("a", a), ("b", b)) if name != constant}
    initializers = [weight(name, *shape) for name, shape in (("a", a), ("b", b)) if name == constant]
    graph = from_onnx(save(tmp_path, [node("MatMul", ["a", "b"], ["y"])], inputs, ["y"], initializers))
    out = np.matmul(np.zeros(a), np.zeros(b)).shape
    assert graph.tensors["y"].shape == out
    assert graph.macs == prod(out) * k
    assert isinstance(graph.ops[-1], MatMul)
    assert len(graph.ops) == 1 or isinstance(graph.ops[0], Move)


@pytest.mark.parametrize(("op_type", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
def test_recurrent(tmp_path: Path, op_type: str, gates: int, direction: str, layout: int) -> None:
    both = 2 if direction == "bidirectional" else 1
    sizes = [weight("w", both, gates * 4, 3), weight("r", both, gates * 4, 4), weight("b", both, 2 * gates * 4)]
    inputs = {"x": (2, 6, 3) if layout else (6, 2, 3), "h0": (2, both, 4) if layout else (both, 2, 4)}
    operands = ["x", "w", "r", "b", "", "h0"]
    nodes = [node(op_type, operands, ["y", "h"], hidden_size=4, direction=direction, layout=layout)]
    graph = from_onnx(save(tmp_path, nodes, inputs, ["y", "h"], sizes))
    (op,) = graph.ops
    assert isinstance(op, Recurrent)
    assert (op.steps, op.batch, op.directions, op.cell) == (6, 2, both, op_type.lower())
    assert graph.macs == both * 6 * 2 * gates * 4 * (3 + 4)
    assert graph.parameters == sum(prod(each.dims) for each in sizes)
    assert op.inputs == ("x", "w", "r", "b", "h0")
    assert graph.tensors["h0"].role == "state"


def test_recurrent_of_which_only_the_last_state_is_used(tmp_path: Path) -> None:
    nodes = [node("GRU", ["x", "w", "r"], ["", "h"], name="gru", hidden_size=4)]
    graph = from_onnx(save(tmp_path, nodes, {"x": (6, 1, 3)}, ["h"], [weight("w", 1, 12, 3), weight("r", 1, 12, 4)]))
    sequence, last = graph.ops[0].outputs
    assert graph.tensors[sequence].shape == (6, 1, 1, 4)
    assert (last, graph.tensors[last].shape) == ("h", (1, 1, 4))


def test_elements_of_vector_work(tmp_path: Path) -> None:
    nodes = [
        node("Relu", ["x"], ["r"], name="relu"),
        node("Sum", ["r", "x", "row"], ["s"], name="sum"),
        node("MaxPool", ["s"], ["p"], name="pool", kernel_shape=[3, 3], strides=[2, 2]),
        node("Softmax", ["p"], ["q"], name="softmax"),
        node("ReduceMean", ["q"], ["m"], name="mean", axes=[2, 3]),
        node("Clip", ["m", "low"], ["c"], name="clip"),
        node("Transpose", ["c"], ["t"], name="transpose", perm=[1, 0, 2, 3]),
        node("Flatten", ["t"], ["y"], name="flatten"),
    ]
    initializers = [weight("row", 8), stored("low", 0.0)]
    graph = from_onnx(save(tmp_path, nodes, {"x": (2, 3, 8, 8)}, ["y"], initializers, opset=13))
    kinds = {op.name: (type(op), op.function, op.elements) for op in graph.ops
             if isinstance(op, Elementwise | Reduce | Move)}  # fmt: skip
    assert kinds == {
        "relu": (Elementwise, "relu", 384),
        "sum": (Elementwise, "add", 768),
        "pool": (Reduce, "max_pool", 2 * 3 * 9 * 9),
        "softmax": (Reduce, "softmax", 54),
        "mean": (Reduce, "reduce_mean", 54),
        "clip": (Elementwise, "clip", 6),
        "transpose": (Move, "transpose", 6),
        "flatten": (Move, "reshape", 6),
    }
    assert [op.name for op in graph.ops if isinstance(op, Move) and op.view] == ["flatten"]
    assert graph.ops[5].inputs == ("m",)  # bounds steer, they are no data
    assert graph.parameters == 8


def test_a_stored_tensor_counts_once_however_it_is_reached(tmp_path: Path) -> None:
    nodes = [
        node("Gather", ["table", "ids"], ["embedded"]),
        node("Cast", ["embedded"], ["wide"], to=TensorProto.FLOAT),
        node("Transpose", ["table"], ["turned"], perm=[1, 0]),
        node("Cast", ["turned"], ["cast"], to=TensorProto.FLOAT),
        node("MatMul", ["wide", "cast"], ["scores"]),
        node("Mul", ["scores", "two"], ["scaled"]),
        node("Add", ["scaled", "bias"], ["y"]),
    ]
    initializers = [weight("table", 10, 4, dtype=np.float16), stored("two", 2.0), weight("bias", 10)]
    graph = from_onnx(save(tmp_path, nodes, [value("ids", [3], TensorProto.INT64)], ["y"], initializers))
    found = {name: (each.role, each.format) for name, each in graph.tensors.items() if each.role != "activation"}
    assert found == {"table": ("weight", "fp16"), "two": ("constant", None), "bias": ("weight", None)}
    assert (graph.parameters, graph.weight_bytes, graph.macs) == (50, 120, 120)


def test_shape_arithmetic_folds_away(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"]),
        node("Mul", ["batch", "half"], ["other"]),
        node("Concat", ["other", "minus"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["y"], name="reshape"),
        node("Relu", ["x"], ["unused"]),
    ]
    initializers = [_int64("zero", 0), _int64("half", 2), _int64("minus", -1)]
    graph = from_onnx(save(tmp_path, nodes, {"x": ("n", 6)}, ["y"], initializers), batch=4)
    assert [op.name for op in graph.ops] == ["reshape"]
    assert (graph.tensors["y"].shape, graph.batch, graph.ops[0].inputs) == ((8, 3), 4, ("x",))


def test_a_weight_made_by_constants_is_never_computed(tmp_path: Path) -> None:
    """Eight gigabytes, if anything made them."""
    nodes = [node("ConstantOfShape", ["size"], ["w"]), node("MatMul", ["x", "w"], ["y"])]
    graph = from_onnx(save(tmp_path, nodes, {"x": (1, 40000)}, ["y"], [_int64("size", 40000, 50000)]))
    assert (graph.macs, graph.parameters) == (2_000_000_000, 2_000_000_000)


def test_long_chains_of_constants(tmp_path: Path) -> None:
    nodes = [node("Add", [f"c{i}", "one"], [f"c{i + 1}"]) for i in range(3000)]
    nodes.append(node("Reshape", ["x", "c3000"], ["y"]))
    graph = from_onnx(save(tmp_path, nodes, {"x": (50, 60)}, ["y"], [_int64("c0", 0), _int64("one", 1)]))
    assert graph.tensors["y"].shape == (3000,)


def test_a_part_of_size_zero_is_nothing(tmp_path: Path) -> None:
    nodes = [node("Split", ["x", "parts"], ["a", "b"], axis=1), node("Concat", ["b", "a"], ["y"], name="join", axis=1)]
    graph = from_onnx(save(tmp_path, nodes, {"x": (2, 6)}, ["y"], [_int64("parts", 6, 0)]))
    assert [(op.inputs, op.outputs) for op in graph.ops] == [(("x",), ("a",)), (("a",), ("y",))]


def test_every_shape_of_the_onnx_backend_tests(tmp_path: Path) -> None:
    """The conformance cases of the onnx package: whatever is not refused has the outputs' true shapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the cases divide by zero on purpose
        import onnx.backend.test.case.node as cases

        collected = cases.collect_testcases(None)
    path, accepted, seen = tmp_path / "model.onnx", 0, set()
    for case in collected:
        path.write_bytes(case.model.SerializeToString())
        try:
            graph = from_onnx(path)
        except AccelsimError:
            continue
        accepted += 1
        seen.update(op.label for op in graph.ops)
        outputs = case.data_sets[0][1]
        for info, expected in zip(case.model.graph.output, outputs, strict=True):
            shape = tuple(expected.dims) if isinstance(expected, TensorProto) else np.shape(expected)
            assert info.name not in graph.tensors or graph.tensors[info.name].shape == shape, case.name
    assert accepted > 1000
    assert len(seen) > 120

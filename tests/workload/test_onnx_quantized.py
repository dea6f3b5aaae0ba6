"""Quantised models: formats that the file brings, work that quantising does not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from accelsim.errors import UnsupportedError
from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate
from accelsim.workload.graph import Graph
from accelsim.workload.onnx import from_onnx
from accelsim.workload.precision import resolve_precision
from tests.workload.onnx_models import node, save, stored, value, weight

QONNX = "qonnx.custom_op.general"
SCALE, ZERO, BITS = stored("s", 0.1), stored("z", 128, np.uint8), stored("zero", 0.0)


def _qdq(folder: Path, weight_type: Any = np.int8) -> Graph:
    """A product between quantised operands, its result quantised for a second one that is not."""
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        node("Reshape", ["xd", "shape"], ["xr"]),
        node("DequantizeLinear", ["w", "s", "wz"], ["wd"]),
        node("MatMul", ["xr", "wd"], ["h"], name="first"),
        node("MatMul", ["h", "v"], ["y"], name="second"),
    ]
    stores = [
        SCALE, ZERO, stored("w", np.ones((8, 4)), weight_type), stored("wz", 0, weight_type), weight("v", 4, 3),
        stored("shape", [6, 8], "i8"),
    ]  # fmt: skip
    return from_onnx(save(folder, nodes, {"x": (2, 3, 8)}, ["y"], stores))


def test_weights_are_counted_as_stored(tmp_path: Path) -> None:
    graph = _qdq(tmp_path)
    assert (graph.parameters, graph.weight_bytes) == (32 + 12, 32 + 12 * 4)
    assert [op.label for op in graph.ops].count("DequantizeLinear") == 1  # that of the weight costs nothing


def test_the_files_formats_are_a_recipe(tmp_path: Path) -> None:
    graph = _qdq(tmp_path)
    choice = resolve_precision(graph, "file")
    assert {name: choice.of(name) for name in ("first", "second")} == {"first": "int8", "second": "fp32"}


def test_a_float_model_brings_no_recipe(tmp_path: Path) -> None:
    graph = from_onnx(save(tmp_path, [node("MatMul", ["x", "w"], ["y"])], {"x": (2, 8)}, ["y"], [weight("w", 8, 3)]))
    assert graph.recipes == {}


def test_activations_have_the_files_types(tmp_path: Path) -> None:
    graph = _qdq(tmp_path)
    sizes = {name: tensor.bytes / tensor.elements for name, tensor in graph.tensors.items()}
    assert (sizes["xq"], sizes["xd"], sizes["w"]) == (1, 4, 1)


def _qonnx(folder: Path, bits: float = 3, act_bits: float = 4, op: str = "Quant") -> Graph:
    extra = ["b"] if op == "Quant" else []
    quantised = node(op, ["w", "s", "zero", *extra][: 4 if extra else 2], ["wq"], name="qw", domain=QONNX)
    nodes = [
        quantised,
        node("Quant", ["x", "s", "zero", "a"], ["xq"], name="qx", domain=QONNX),
        node("Transpose", ["xq"], ["xt"], perm=[1, 0]),
        node("MatMul", ["xt", "wq"], ["y"], name="product"),
    ]
    stores = [SCALE, BITS, stored("b", bits), stored("a", act_bits), weight("w", 8, 4)]
    return from_onnx(save(folder, nodes, {"x": (8, 2)}, ["y"], stores, domains={QONNX: 1}))


@pytest.mark.parametrize("bits", range(1, 13))
def test_widths_of_qonnx_are_stored_widths(tmp_path: Path, bits: int) -> None:
    graph = _qonnx(tmp_path, bits)
    assert graph.weight_bytes == graph.parameters * bits / 8 == 32 * bits / 8
    assert graph.tensors["xq"].bytes == graph.tensors["xt"].bytes == 16 * 4 / 8  # a move keeps the width
    assert graph.macs == 2 * 8 * 4


@pytest.mark.parametrize(("bits", "act_bits", "format_name"), [(3, 4, "int4"), (5, 3, "int5"), (2, 1, "int2")])
def test_the_recipe_of_qonnx_computes_in_the_wider_operand(
    tmp_path: Path, bits: int, act_bits: int, format_name: str
) -> None:
    graph = _qonnx(tmp_path, bits, act_bits)
    assert resolve_precision(graph, "file").of("product") == format_name


def test_binary_weights(tmp_path: Path) -> None:
    assert _qonnx(tmp_path, op="BipolarQuant").weight_bytes == 32 / 8


@pytest.mark.parametrize("bits", [0, 2.5, 65, float("nan")])
def test_widths_that_are_none_are_refused(tmp_path: Path, bits: float) -> None:
    with pytest.raises(UnsupportedError, match=r"node 'qw'.*needs a constant number of bits from 1 to 64"):
        _qonnx(tmp_path, bits)


def test_a_recipe_runs(tmp_path: Path) -> None:
    graph = _qonnx(tmp_path, 2, 2)
    evaluate(graph, load_architecture("rapid-4core"), "file").check()


def test_integer_products(tmp_path: Path) -> None:
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "qs", "qz"]),
        node("ConvInteger", ["q", "w", "qz", "wz"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        node("Cast", ["c"], ["f"], to=TensorProto.FLOAT),
        node("Mul", ["f", "qs"], ["y"]),
    ]
    stores = [stored("w", np.ones((4, 3, 3, 3)), np.int8), stored("wz", 0, np.int8)]
    graph = from_onnx(save(tmp_path, nodes, {"x": (1, 3, 8, 8)}, ["y"], stores))
    assert (graph.macs, graph.parameters, graph.weight_bytes) == (4 * 64 * 27, 108, 108)
    assert resolve_precision(graph, "file").of("conv") == "int8"
    assert graph.tensors["c"].bytes == 4 * 64 * 4  # sums of 32 bits


def test_operator_form(tmp_path: Path) -> None:
    nodes = [
        node("QLinearConv", ["x", "s", "z", "w", "s", "wz", "s", "z", "b"], ["c"], name="conv", group=3),
        node("Flatten", ["c"], ["flat"]),
        node("QLinearMatMul", ["flat", "s", "z", "v", "s", "wz", "s", "z"], ["y"], name="product"),
    ]
    stores = [
        SCALE, ZERO, stored("wz", 0, np.int8), stored("w", np.ones((6, 1, 3, 3)), np.int8),
        stored("b", np.ones(6), np.int32), stored("v", np.ones((216, 5)), np.int8),
    ]  # fmt: skip
    inputs, outputs = [value("x", (1, 3, 8, 8), TensorProto.UINT8)], [value("y", None, TensorProto.UINT8)]
    graph = from_onnx(save(tmp_path, nodes, inputs, outputs, stores))
    assert graph.macs == 6 * 36 * 9 + 216 * 5
    assert (graph.parameters, graph.weight_bytes) == (54 + 6 + 1080, 54 + 6 * 4 + 1080)
    assert {op.name: resolve_precision(graph, "file").of(op.name) for op in graph.ops if op.macs} == {
        "conv": "int8", "product": "int8",
    }  # fmt: skip

"""Quantisers of QONNX: values by its documents, and products of whole numbers without error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import accelsim
from accelsim.engine.functional.onnx_qonnx import qonnx_function
from accelsim.errors import UnknownNameError
from accelsim.workload.onnx.model import Node

QONNX = "qonnx.custom_op.general"
random = np.random.default_rng(5)

# The table of rounding modes in QONNX's documents (docs/qonnx-custom-ops/intquant_v1.md).
NUMBERS = [5.5, 2.5, 1.6, 1.1, 1.0, -1.0, -1.1, -1.6, -2.5, -5.5]
ROUNDED = {
    "ROUND": [6, 2, 2, 1, 1, -1, -1, -2, -2, -6],
    "CEIL": [6, 3, 2, 2, 1, -1, -1, -1, -2, -5],
    "FLOOR": [5, 2, 1, 1, 1, -1, -2, -2, -3, -6],
    "UP": [6, 3, 2, 2, 1, -1, -2, -2, -3, -6],
    "DOWN": [5, 2, 1, 1, 1, -1, -1, -1, -2, -5],
    "HALF_UP": [6, 3, 2, 1, 1, -1, -1, -2, -3, -6],
    "half_down": [5, 2, 2, 1, 1, -1, -1, -2, -2, -5],
}


def f32(*values: float) -> Any:
    return np.array(values if len(values) > 1 else values[0], np.float32)


def quantised(operator: str, *inputs: Any, **attributes: Any) -> Any:
    names = [f"i{place}" for place in range(len(inputs))]
    proto = helper.make_node(operator, names, ["y"], domain=QONNX, **attributes)
    compute = qonnx_function(Node("q", operator, QONNX, 1, tuple(names), ("y",), (), proto), "model.onnx")
    assert compute is not None
    return compute(inputs)[0]


@pytest.mark.parametrize("mode", ROUNDED)
def test_rounding_modes_are_those_of_the_documents(mode: str) -> None:
    for operator in ("Quant", "IntQuant"):
        got = quantised(operator, f32(*NUMBERS), f32(1), f32(0), f32(8), rounding_mode=mode)
        np.testing.assert_array_equal(got, ROUNDED[mode])


@pytest.mark.parametrize(
    ("signed", "narrow", "low", "high"), [(1, 0, -8, 7), (1, 1, -7, 7), (0, 0, 0, 15), (0, 1, 0, 14)]
)
def test_ranges_of_four_bits(signed: int, narrow: int, low: int, high: int) -> None:
    x = np.arange(-40, 41, dtype=np.float32) / 2
    got = quantised("Quant", x, f32(0.5), f32(0), f32(4), signed=signed, narrow=narrow)
    np.testing.assert_array_equal(got, np.clip(np.arange(-40, 41), low, high) / 2)


def test_zero_points_and_scales_by_channel() -> None:
    x, scale = f32(-1, 0, 1, 9).reshape(2, 2), f32(1, 2).reshape(2, 1)
    got = quantised("Quant", x, scale, f32(1), f32(2), signed=0)
    # Codes [[0, 1], [2, 3]]: 1 / 2 + 1 is a tie and goes to 2, 9 / 2 + 1 is cut to 3.
    np.testing.assert_array_equal(got, [[-1, 0], [2, 4]])


def test_signs() -> None:
    x = f32(-2, -0.1, 0, 3)
    np.testing.assert_array_equal(quantised("BipolarQuant", x, f32(0.25)), f32(-1, -1, 1, 1) / 4)
    np.testing.assert_array_equal(quantised("Quant", x, f32(0.25), f32(0), f32(1)), f32(-1, -1, 1, 1) / 4)


def test_truncation_drops_bits() -> None:
    """From 8 bits to 5: three bits go; version 1 keeps the scale of its input, version 2 has one of its own."""
    codes = np.arange(-128, 128, dtype=np.float32)
    x, scale = codes * f32(0.5), f32(0.5)
    np.testing.assert_array_equal(quantised("Trunc", x, scale, f32(0), f32(8), f32(5)), np.floor(codes / 8) * 0.5)
    got = quantised("Trunc", x, scale, f32(0), f32(8), f32(4), f32(5), rounding_mode="ROUND")
    np.testing.assert_array_equal(got, np.clip(np.rint(codes / 8), -16, 15) * 4)


def test_a_mode_that_is_none() -> None:
    with pytest.raises(UnknownNameError, match=r"model\.onnx: node 'q'.*rounding mode"):
        quantised("Quant", f32(1), f32(1), f32(0), f32(4), rounding_mode="NEAREST")


def model(folder: Path, nodes: list[Any], x: tuple[int, ...], weights: dict[str, Any]) -> Path:
    stored = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()]
    infos = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x)]
    made = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "model", infos, made, stored)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(QONNX, 1)]
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


def quant(source: str, made: str, scale: str, bits: str, **attributes: Any) -> Any:
    return helper.make_node("Quant", [source, scale, "zero", bits], [made], name=made, domain=QONNX, **attributes)


SCALES = {"zero": f32(0), "four": f32(4), "three": f32(3), "sx": f32(0.37)}
COLUMNS = f32(0.11, 0.23, 0.31, 0.07, 0.19)


def product(kind: str) -> tuple[list[Any], tuple[int, ...], dict[str, Any], Any]:
    """A quantised product, its input shape, its weights, and the weight's scales as they multiply the output."""
    if kind == "Conv":
        scale = COLUMNS.reshape(5, 1, 1, 1)
        nodes = [quant("w", "wq", "sw", "three"), helper.make_node("Conv", ["xq", "wq"], ["y"], name="op")]
        return nodes, (1, 4, 6, 6), {"w": random.standard_normal((5, 4, 3, 3)), "sw": scale}, COLUMNS.reshape(5, 1, 1)
    if kind == "turned MatMul":
        turn = helper.make_node("Transpose", ["wq"], ["wt"], name="turn", perm=[1, 0])
        nodes = [quant("w", "wq", "sw", "three"), turn, helper.make_node("MatMul", ["xq", "wt"], ["y"], name="op")]
        return nodes, (3, 40), {"w": random.standard_normal((5, 40)), "sw": COLUMNS.reshape(5, 1)}, COLUMNS
    if kind == "Gemm":
        nodes = [quant("w", "wq", "sw", "three"), helper.make_node("Gemm", ["xq", "wq"], ["y"], name="op", transB=1)]
        return nodes, (3, 40), {"w": random.standard_normal((5, 40)), "sw": COLUMNS.reshape(5, 1)}, COLUMNS
    signs = helper.make_node("BipolarQuant", ["w", "sw"], ["wq"], name="wq", domain=QONNX)
    nodes = [signs, helper.make_node("MatMul", ["xq", "wq"], ["y"], name="op")]
    return nodes, (3, 40), {"w": random.standard_normal((40, 5)), "sw": f32(0.21)}, f32(0.21)


@pytest.mark.parametrize("kind", ["Conv", "turned MatMul", "Gemm", "BipolarQuant"])
def test_products_multiply_the_whole_numbers_of_the_file(kind: str, tmp_path: Path) -> None:
    """Sums of whole numbers are exact in the accumulator: the result is theirs, scaled, and rounded to fp16 once."""
    nodes, shape, weights, columns = product(kind)
    path = model(tmp_path, [quant("x", "xq", "sx", "four", signed=0), *nodes], shape, weights | SCALES)
    x = random.standard_normal(shape).astype(np.float16).astype(np.float32)  # as the hardware stores it
    arch = accelsim.load_architecture("systolic-32x32").override({"array.units.int4.accumulator": "fp32"})
    found = accelsim.emulate(path, arch, {"x": x}, precision="int4")
    (row,) = [each for each in found.op_errors if each.op == "op"]
    assert row.precision == "int4"
    whole = found.reference["y"] / (columns * SCALES["sx"])
    np.testing.assert_allclose(whole, np.rint(whole), atol=1e-3)
    exact = np.rint(whole).astype(np.float32) * (columns * SCALES["sx"])
    np.testing.assert_array_equal(found.outputs["y"], exact.astype(np.float16).astype(np.float32))


def test_what_skips_change_is_known_for_qonnx(tmp_path: Path) -> None:
    """`compare_skips` runs the model's values too: operands that are whole numbers lose nothing by being quantised."""
    nodes = [
        quant("x", "xq", "sx", "four"), quant("w", "wq", "sw", "three"), quant("v", "vq", "sw", "three"),
        helper.make_node("Conv", ["xq", "wq"], ["c"], name="c", pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["r"], name="r"), quant("r", "rq", "sx", "four", signed=0),
        helper.make_node("Conv", ["rq", "vq"], ["d"], name="d", pads=[1] * 4),
        helper.make_node("Add", ["d", "xq"], ["y"], name="add"),
    ]  # fmt: skip
    kernels = np.random.default_rng(1).standard_normal((2, 4, 4, 3, 3))
    weights = {"w": kernels[0], "v": kernels[1], "sw": f32(0.3137)}  # no sum is a tie for the quantiser behind it
    path = model(tmp_path, nodes, (1, 4, 6, 6), weights | SCALES)
    found = accelsim.compare_skips(path, "zcu104", variants=("keep", "remove"), precision="file")
    change = found.comparison.variants["remove"].change
    assert change is not None
    assert change.fp32 > 0.01
    assert change.quantisation < 1e-6

"""Quantised ONNX models: where ONNX Runtime is deterministic, bit for bit what it gives.

Sums of integer operators are exact there and here; results that are scaled in float32 agree where the order of float32
operations is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import accelsim
from tests.engine.functional.test_emulate import in_runtime

MS = "com.microsoft"
U8, I8 = np.uint8, np.int8
FLOAT, KINDS = onnx.TensorProto.FLOAT, {U8: onnx.TensorProto.UINT8, I8: onnx.TensorProto.INT8, np.float32: 1}
random = np.random.default_rng(11)


def f32(*values: float) -> Any:
    return np.array(values if len(values) > 1 else values[0], np.float32)


def built(folder: Path, node: Any, inputs: dict[str, Any], weights: dict[str, Any], output: int) -> Path:
    """A model of one node; ``inputs`` are arrays of the types and shapes that it is given."""
    infos = [helper.make_tensor_value_info(name, KINDS[x.dtype.type], x.shape) for name, x in inputs.items()]
    out = helper.make_tensor_value_info("y", output, None)
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    graph = helper.make_graph([node], "model", infos, [out], stored)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)]
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
    return path


def u8(*shape: int) -> Any:
    return random.integers(0, 256, shape).astype(U8)


def i8(*shape: int) -> Any:
    return random.integers(-127, 128, shape).astype(I8)


CONV = {"pads": [1, 0, 1, 2], "strides": [2, 1]}
CASES: dict[str, tuple[Any, dict[str, Any], dict[str, Any], int]] = {
    "MatMulInteger": (helper.make_node("MatMulInteger", ["x", "w", "zx", "zw"], ["y"], name="op"),
                      {"x": u8(2, 3, 40)}, {"w": i8(40, 6), "zx": U8(117), "zw": i8(6)}, onnx.TensorProto.INT32),
    "ConvInteger": (helper.make_node("ConvInteger", ["x", "w", "zx"], ["y"], name="op", **CONV),
                    {"x": u8(2, 4, 9, 8)}, {"w": i8(6, 4, 3, 3), "zx": U8(30)}, onnx.TensorProto.INT32),
    "QLinearConv": (helper.make_node("QLinearConv", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy", "b"], ["y"],
                                     name="op", group=2, **CONV),
                    {"x": u8(2, 4, 9, 8)},
                    {"sx": f32(0.02), "zx": U8(128), "w": i8(6, 2, 3, 3), "sw": f32(*(0.01 + random.random(6) / 50)),
                     "zw": np.zeros(6, I8), "sy": f32(0.07), "zy": U8(100),
                     "b": random.integers(-999, 999, 6).astype(np.int32)}, onnx.TensorProto.UINT8),
    "QLinearMatMul": (helper.make_node("QLinearMatMul", ["x", "sx", "zx", "w", "sw", "zw", "sy", "zy"], ["y"],
                                       name="op"),
                      {"x": i8(5, 40)}, {"sx": f32(0.02), "zx": I8(-3), "w": i8(40, 6), "sw": f32(0.013), "zw": I8(2),
                                         "sy": f32(0.31), "zy": I8(7)}, onnx.TensorProto.INT8),
    "QGemm": (helper.make_node("QGemm", ["x", "sx", "zx", "w", "sw", "zw", "b", "sy", "zy"], ["y"], name="op",
                               domain=MS, transB=1),
              {"x": u8(5, 40)}, {"sx": f32(0.02), "zx": U8(120), "w": i8(6, 40), "sw": f32(0.013), "zw": I8(0),
                                 "b": random.integers(-999, 999, 6).astype(np.int32), "sy": f32(0.31), "zy": U8(99)},
              onnx.TensorProto.UINT8),
    "MatMulIntegerToFloat": (helper.make_node("MatMulIntegerToFloat", ["x", "w", "sx", "sw", "zx", "zw", "b"], ["y"],
                                              name="op", domain=MS),
                             {"x": u8(5, 40)}, {"w": i8(40, 6), "sx": f32(0.02), "sw": f32(0.013), "zx": U8(120),
                                                "zw": I8(0), "b": random.standard_normal(6).astype(np.float32)}, FLOAT),
    "DynamicQuantizeMatMul": (helper.make_node("DynamicQuantizeMatMul", ["x", "w", "sw", "", "b"], ["y"], name="op",
                                               domain=MS),
                              {"x": random.standard_normal((5, 40)).astype(np.float32)},
                              {"w": i8(40, 6), "sw": f32(0.013), "b": random.standard_normal(6).astype(np.float32)},
                              FLOAT),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_fp32_run_is_onnxruntime(name: str, tmp_path: Path) -> None:
    path = built(tmp_path, *CASES[name])
    found = accelsim.emulate(path, "tpu-v4i", CASES[name][1], precision="int8")
    (expected,) = in_runtime(path, CASES[name][1])
    if expected.dtype == np.float32:
        np.testing.assert_allclose(found.reference["y"], expected, rtol=1e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(found.reference["y"], expected)
    # Sums of so few products of 8 bits fit in the 24 bits that the accumulator holds: the hardware gives the same.
    if expected.dtype != np.float32:
        np.testing.assert_array_equal(found.outputs["y"], expected)
        (row,) = found.op_errors
        assert (row.op, row.precision, row.max_abs_error) == ("op", "int8", 0)


def test_a_narrow_accumulator_rounds_what_int32_holds(tmp_path: Path) -> None:
    """fp16 sums of products up to 127^2 go to infinity, which int32 results saturate at."""
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"], name="op")
    x = np.full((1, 8), 127, I8)
    path = built(tmp_path, node, {"x": x}, {"w": np.full((8, 1), 127, I8)}, onnx.TensorProto.INT32)
    arch = accelsim.load_architecture("tpu-v4i").override({"array.units.int8.accumulator": "fp16"})
    found = accelsim.emulate(path, arch, {"x": x}, precision="int8")
    assert found.reference["y"][0, 0] == 8 * 127 * 127
    assert found.outputs["y"][0, 0] == np.iinfo(np.int32).max


def test_fewer_bits_quantise_again(tmp_path: Path) -> None:
    path = built(tmp_path, *CASES["MatMulInteger"])
    found = accelsim.emulate(path, "systolic-32x32", CASES["MatMulInteger"][1], precision="int4")
    assert 10 < found.sqnr_db["y"] < 40


FLOATS: dict[str, tuple[Any, dict[str, Any], dict[str, Any], int]] = {
    "FusedMatMul": (helper.make_node("FusedMatMul", ["x", "w"], ["y"], name="op", domain=MS, alpha=0.25, transA=1,
                                     transB=1),
                    {"x": random.standard_normal((2, 40, 5)).astype(np.float32)},
                    {"w": random.standard_normal((2, 6, 40)).astype(np.float32)}, FLOAT),
    "FusedMatMul batch": (helper.make_node("FusedMatMul", ["x", "w"], ["y"], name="op", domain=MS, transBatchA=1),
                          {"x": random.standard_normal((5, 2, 40)).astype(np.float32)},
                          {"w": random.standard_normal((2, 40, 6)).astype(np.float32)}, FLOAT),
    "MatMulNBits": (helper.make_node("MatMulNBits", ["x", "w", "s"], ["y"], name="op", domain=MS, K=64, N=6, bits=4,
                                     block_size=16),
                    {"x": random.standard_normal((3, 64)).astype(np.float32)},
                    {"w": u8(6, 4, 8), "s": random.random(24).astype(np.float32)}, FLOAT),
    "MatMulNBits zero": (helper.make_node("MatMulNBits", ["x", "w", "s", "z"], ["y"], name="op", domain=MS, K=64, N=6,
                                          bits=4, block_size=16),
                         {"x": random.standard_normal((3, 64)).astype(np.float32)},
                         {"w": u8(6, 4, 8), "s": random.random(24).astype(np.float32), "z": u8(12)}, FLOAT),
}  # fmt: skip


@pytest.mark.parametrize("name", FLOATS)
def test_fused_and_packed_products_are_those_of_onnxruntime(name: str, tmp_path: Path) -> None:
    path = built(tmp_path, *FLOATS[name])
    found = accelsim.emulate(path, "tpu-v4i", FLOATS[name][1], precision="bf16")
    (expected,) = in_runtime(path, FLOATS[name][1])
    np.testing.assert_allclose(found.reference["y"], expected, rtol=1e-5, atol=1e-4)
    assert found.sqnr_db["y"] > 35


def test_what_a_model_dequantises_is_multiplied_as_it_was_stored(tmp_path: Path) -> None:
    """A QDQ product in int8 is the integer product, scaled: without error but that of the result's own format."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["xq"], name="q"),
        helper.make_node("DequantizeLinear", ["xq", "sx", "zx"], ["xd"], name="dq"),
        helper.make_node("DequantizeLinear", ["w", "sw", "zw"], ["wd"], name="dqw", axis=1),
        helper.make_node("MatMul", ["xd", "wd"], ["y"], name="mm"),
    ]
    x = random.standard_normal((3, 32)).astype(np.float32)
    weights = {"sx": f32(0.03), "zx": U8(121), "w": i8(32, 4), "sw": f32(0.01, 0.02, 0.03, 0.04), "zw": np.zeros(4, I8)}
    infos = [helper.make_tensor_value_info("x", FLOAT, x.shape)]
    graph = helper.make_graph(nodes, "model", infos, [helper.make_tensor_value_info("y", FLOAT, None)],
                              [numpy_helper.from_array(np.asarray(v), n) for n, v in weights.items()])  # fmt: skip
    path = tmp_path / "qdq.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
                     .SerializeToString())  # fmt: skip
    found = accelsim.emulate(path, "systolic-32x32", {"x": x}, precision="int8")
    np.testing.assert_allclose(found.reference["y"], in_runtime(path, {"x": x})[0], rtol=1e-5, atol=1e-6)
    # The input is rounded to fp16 before it is quantised: take the codes of that.
    codes = np.clip(np.rint(x.astype(np.float16).astype(np.float32) / f32(0.03)) + 121, 0, 255) - 121
    expected = (codes @ weights["w"].astype(np.float64)) * (f32(0.03) * weights["sw"])
    np.testing.assert_allclose(found.outputs["y"], expected, rtol=2**-10)

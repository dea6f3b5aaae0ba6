"""Recurrent layers and loops through `accelsim.emulate`: FP32 against ONNX Runtime, the emulated run by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx.reference
import pytest
from onnx import helper

import accelsim
from accelsim.numerics import cast, matmul, quantize
from tests.engine.functional.models import saved
from tests.engine.functional.test_emulate import in_runtime

STEPS, BATCH, INPUT, HIDDEN = 6, 3, 5, 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_FORMS: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
    ("LSTM", {}, ()),
    ("LSTM", {"direction": "reverse"}, ("B", "H", "C")),
    ("LSTM", {"direction": "bidirectional"}, ("B", "H", "C", "P", "lengths")),
    ("LSTM", {"input_forget": 1, "clip": 0.3}, ("B",)),
    ("LSTM", {"activations": ["HardSigmoid", "Softsign", "ScaledTanh"], "activation_alpha": [0.3, 1.5],
              "activation_beta": [0.4, 0.7]}, ("B",)),
    ("GRU", {}, ("B", "H")),
    ("GRU", {"linear_before_reset": 1, "direction": "bidirectional"}, ("B", "H", "lengths")),
    ("GRU", {"direction": "reverse"}, ("B", "lengths")),
    ("RNN", {"direction": "bidirectional", "activations": ["Relu", "Tanh"]}, ("B", "H")),
    ("RNN", {"direction": "reverse", "clip": 0.5}, ("lengths",)),
]  # fmt: skip


def layer(folder: Path, op: str, attributes: dict[str, Any], given: tuple[str, ...], **sizes: int) -> Path:
    """One recurrent node with random weights; ``given`` names the optional inputs that it has."""
    steps, batch, inputs, hidden = (
        sizes.get(each, default) for each, default in
        (("steps", STEPS), ("batch", BATCH), ("inputs", INPUT), ("hidden", HIDDEN))
    )  # fmt: skip
    random, gates = np.random.default_rng(3), GATES[op]
    ways = 2 if attributes.get("direction") == "bidirectional" else 1
    weights: dict[str, Any] = {
        "W": random.standard_normal((ways, gates * hidden, inputs)) / 2,
        "R": random.standard_normal((ways, gates * hidden, hidden)) / 2,
        "B": random.standard_normal((ways, 2 * gates * hidden)) / 2,
        "lengths": np.array([steps, steps - 2, 1][:batch], np.int32),
        "H": random.standard_normal((ways, batch, hidden)),
        "C": random.standard_normal((ways, batch, hidden)),
        "P": random.standard_normal((ways, 3 * hidden)) / 2,
    }
    x = (steps, batch, inputs)
    if attributes.get("layout"):
        x = (batch, steps, inputs)
        weights |= {name: weights[name].swapaxes(0, 1) for name in ("H", "C")}
    names = [each if each in ("W", "R", *given) else "" for each in weights]
    outputs = ["y", "h", "c"][: 3 if op == "LSTM" else 2]
    node = helper.make_node(op, ["x", *(names if op == "LSTM" else names[:5])], outputs, name="cell",
                            hidden_size=hidden, **attributes)  # fmt: skip
    return saved(folder, [node], {"x": x}, outputs, {n: weights[n] for n in names if n})


@pytest.mark.parametrize(("op", "attributes", "given"), _FORMS)
def test_fp32_agrees_with_onnxruntime(tmp_path: Path, op: str, attributes: dict[str, Any], given: Any) -> None:
    path = layer(tmp_path, op, attributes, given)
    x = np.random.default_rng(4).standard_normal((STEPS, BATCH, INPUT)).astype(np.float32)
    found = accelsim.emulate(path, "tpu-v4i", {"x": x}, precision="bf16")
    for (name, got), expected in zip(found.reference.items(), in_runtime(path, {"x": x}), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6, err_msg=name)
    assert {row.op for row in found.op_errors} == {"cell.input", "cell.recurrent", "cell.cell"}
    assert all(value > 25 for value in found.sqnr_db.values())


@pytest.mark.parametrize("op", GATES)
def test_batch_first_is_the_other_layout(tmp_path: Path, op: str) -> None:
    """ONNX Runtime does not take layout 1: the same layer in layout 0 says what it gives."""
    x = np.random.default_rng(4).standard_normal((STEPS, BATCH, INPUT)).astype(np.float32)
    given = ("B", "H", "C")
    made = {}
    for layout in (0, 1):
        (folder := tmp_path / str(layout)).mkdir()
        path = layer(folder, op, {"layout": layout} if layout else {}, given)
        feeds = {"x": x.swapaxes(0, 1) if layout else x}
        made[layout] = accelsim.emulate(path, "tpu-v4i", feeds, precision="bf16").outputs
    np.testing.assert_array_equal(made[1]["y"], made[0]["y"].transpose(2, 0, 1, 3))
    np.testing.assert_array_equal(made[1]["h"], made[0]["h"].swapaxes(0, 1))


def test_an_lstm_in_int4_by_its_parts(tmp_path: Path) -> None:
    """Scales by hand: W and R once, the inputs of all steps together, the state at each step."""
    path = layer(tmp_path, "LSTM", {}, ("B",), batch=1)
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
    x = np.random.default_rng(5).standard_normal((STEPS, 1, INPUT)).astype(np.float32)
    found = accelsim.emulate(path, "systolic-32x32", {"x": x}, precision="int4")

    def fp16(value: Any) -> Any:
        return cast(value, "fp16")

    w, r = (quantize(weights[name][0], "int4") for name in "WR")
    bias = fp16(weights["B"]).reshape(2, -1).sum(axis=0, dtype=np.float32)
    gates = fp16(matmul(quantize(fp16(x[:, 0]), "int4"), w, accumulator="fp32", transpose_b=True) + bias)
    h, c = np.zeros((1, HIDDEN), np.float32), np.zeros((1, HIDDEN), np.float32)
    for step in range(STEPS):
        product = fp16(matmul(quantize(h, "int4"), r, accumulator="fp32", transpose_b=True))
        i, o, f, g = np.split(gates[step] + product, 4, axis=-1)
        c = fp16(c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i)))
        h = fp16(np.tanh(c) / (1 + np.exp(-o)))
        np.testing.assert_allclose(found.outputs["y"][step, 0], h, rtol=2**-10)
    assert 5 < found.sqnr_db["y"] < 30


def test_more_bits_are_nearer(tmp_path: Path) -> None:
    path = layer(tmp_path, "GRU", {}, ("B",), hidden=32, inputs=32)
    sqnr = {p: accelsim.emulate(path, "systolic-32x32", precision=p).sqnr_db["y"] for p in ("fp16", "int8", "int4")}
    assert sqnr["fp16"] > sqnr["int8"] + 10 > sqnr["int4"] + 20


def looped(folder: Path, kind: str) -> Path:
    """y[t] = h[t] = tanh(x[t] W + h[t - 1] R) over the rows of x, as a Scan or a Loop."""
    real, whole, flag = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64, onnx.TensorProto.BOOL
    info = helper.make_tensor_value_info
    work = [
        helper.make_node("MatMul", ["row", "W"], ["a"], name="mm_x"),
        helper.make_node("MatMul", ["h_in", "R"], ["b"], name="mm_h"),
        helper.make_node("Add", ["a", "b"], ["s"], name="add"),
        helper.make_node("Tanh", ["s"], ["h_out"], name="tanh"),
        helper.make_node("Identity", ["h_out"], ["y_row"], name="same"),
    ]
    state = info("h_in", real, (1, HIDDEN))
    made = [info("h_out", real, (1, HIDDEN)), info("y_row", real, (1, HIDDEN))]
    if kind == "Scan":
        body = helper.make_graph(work, "body", [state, info("row", real, (1, INPUT))], made)
        nodes = [helper.make_node("Scan", ["h0", "x"], ["h", "y"], name="loop", body=body, num_scan_inputs=1)]
    else:
        pick = helper.make_node("Gather", ["x", "i"], ["row"], name="pick", axis=0)
        body = helper.make_graph([pick, *work], "body", [info("i", whole, ()), info("on", flag, ()), state],
                                 [info("on", flag, ()), *made])  # fmt: skip
        nodes = [helper.make_node("Loop", ["steps", "", "h0"], ["h", "y"], name="loop", body=body)]
    random = np.random.default_rng(8)
    weights = {"W": random.standard_normal((INPUT, HIDDEN)) / 2, "R": random.standard_normal((HIDDEN, HIDDEN)) / 2,
               "h0": random.standard_normal((1, HIDDEN)), "steps": np.array(STEPS)}  # fmt: skip
    if kind == "Scan":
        del weights["steps"]
    return saved(folder, nodes, {"x": (STEPS, 1, INPUT)}, ["h", "y"], weights)


@pytest.mark.parametrize("kind", ["Scan", "Loop"])
def test_loops_agree_with_onnxruntime(tmp_path: Path, kind: str) -> None:
    path = looped(tmp_path, kind)
    x = np.random.default_rng(9).standard_normal((STEPS, 1, INPUT)).astype(np.float32)
    found = accelsim.emulate(path, "tpu-v4i", {"x": x}, precision="bf16")
    for got, expected in zip(found.reference.values(), in_runtime(path, {"x": x}), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    rows = {row.op: row for row in found.op_errors}
    assert rows.keys() >= {"mm_x", "mm_h", "add", "tanh"}
    assert rows["mm_h"].precision == "bf16"
    assert all(value > 25 for value in found.sqnr_db.values())


def test_a_loop_is_the_layer_that_it_computes(tmp_path: Path) -> None:
    """In a float without scales an RNN and a Scan of the same weights differ only where their additions round."""
    x = np.random.default_rng(9).standard_normal((STEPS, 1, INPUT)).astype(np.float32)
    scan = looped(tmp_path, "Scan")
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in onnx.load(scan).graph.initializer}
    (folder := tmp_path / "rnn").mkdir()
    node = helper.make_node("RNN", ["x", "W", "R", "", "", "H"], ["y"], name="cell", hidden_size=HIDDEN)
    rnn = saved(folder, [node], {"x": (STEPS, 1, INPUT)}, ["y"],
                {"W": weights["W"].T[None], "R": weights["R"].T[None], "H": weights["h0"][None]})  # fmt: skip
    as_loop = accelsim.emulate(scan, "systolic-32x32", {"x": x}, precision="fp16").outputs["y"]
    as_layer = accelsim.emulate(rnn, "systolic-32x32", {"x": x}, precision="fp16").outputs["y"]
    np.testing.assert_allclose(as_loop.reshape(-1), as_layer.reshape(-1), atol=4e-3)

"""Small ONNX models with values, written to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT


def saved(
    folder: Path,
    nodes: list[Any],
    inputs: dict[str, tuple[int | str, ...]],
    outputs: list[str],
    weights: dict[str, Any],
) -> Path:
    """A model of these nodes at ``folder``; weights are stored as float32 unless they are integers."""
    stored = []
    for name, value in weights.items():
        array = np.asarray(value)
        stored.append(numpy_helper.from_array(array.astype(np.float32) if array.dtype.kind == "f" else array, name))
    graph = helper.make_graph(
        nodes, "model", [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs], stored,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def linear(folder: Path, weight: Any, rows: int = 2) -> Path:
    """y = x weight."""
    k = len(weight)
    return saved(folder, [helper.make_node("MatMul", ["x", "w"], ["y"], name="mm")], {"x": (rows, k)}, ["y"],
                 {"w": np.asarray(weight, np.float32)})  # fmt: skip


def convolution(folder: Path, x: tuple[int, ...], w: tuple[int, ...], op: str = "Conv", **attributes: Any) -> Path:
    """One convolution with random weights and a bias."""
    random = np.random.default_rng(1)
    out = w[0] if op == "Conv" else w[1] * attributes.get("group", 1)
    weights = {"w": random.standard_normal(w), "b": random.standard_normal(out)}
    node = helper.make_node(op, ["x", "w", "b"], ["y"], name="conv", **attributes)
    return saved(folder, [node], {"x": x}, ["y"], weights)


def network(folder: Path, batch: int | str = 1) -> Path:
    """Two convolutions, a skip, pooling and a classifier."""
    random = np.random.default_rng(2)
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="c1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"], name="r1"),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], name="c2", pads=[1, 1, 1, 1], group=2),
        helper.make_node("Add", ["c2", "r1"], ["s"], name="s"),
        helper.make_node("GlobalAveragePool", ["s"], ["p"], name="p"),
        helper.make_node("Flatten", ["p"], ["f"], name="f"),
        helper.make_node("Gemm", ["f", "w3", "b3"], ["y"], name="fc", transB=1),
    ]
    weights = {
        "w1": random.standard_normal((8, 3, 3, 3)) / 5, "b1": random.standard_normal(8),
        "w2": random.standard_normal((8, 4, 3, 3)) / 6, "w3": random.standard_normal((10, 8)) / 3,
        "b3": random.standard_normal(10),
    }  # fmt: skip
    return saved(folder, nodes, {"x": (batch, 3, 12, 12)}, ["y"], weights)


def one_node(
    folder: Path, node: Any, inputs: dict[str, Any], weights: dict[str, Any] | None = None, opset: int = 17,
    domain: str = "com.microsoft",
) -> Path:  # fmt: skip
    """A model of one node that is given arrays of the types and shapes of ``inputs``."""
    infos = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in inputs.items()
    ]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    outputs = [helper.make_tensor_value_info(name, FLOAT, None) for name in node.output if name]
    graph = helper.make_graph([node], "model", infos, outputs, stored)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(domain, 1)]
    path = folder / "model.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString())
    return path

"""Operators of ``com.microsoft``: shapes against ONNX Runtime, work against counts by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from accelsim.errors import InputError
from accelsim.workload.graph import Graph
from accelsim.workload.onnx import from_onnx
from accelsim.workload.vector_work import element_work
from tests.workload.onnx_models import node, run_shapes, save, stored, value, weight

MS = "com.microsoft"
U8, I8, I32 = TensorProto.UINT8, TensorProto.INT8, TensorProto.INT32


def u8(name: str, *shape: int) -> Any:
    return stored(name, np.full(shape, 128), np.uint8)


def i8(name: str, *shape: int) -> Any:
    return stored(name, np.full(shape, 3), np.int8)


SCALES = [stored("s", 0.1), stored("s2", 0.2), stored("z", 128, np.uint8), stored("iz", 0, np.int8)]


@dataclass
class Case:
    """One node, its inputs, and what it should cost."""

    op: str
    inputs: list[str]
    shapes: dict[str, tuple[int, ...]]
    macs: int = 0
    params: int = 0
    stores: list[Any] = field(default_factory=list)
    outputs: int = 1
    attributes: dict[str, Any] = field(default_factory=dict)
    types: dict[str, int] = field(default_factory=dict)
    feeds: dict[str, Any] = field(default_factory=dict)
    domain: str = MS
    opset: int = 17

    def save(self, folder: Path) -> Path:
        names = [f"y{index}" for index in range(self.outputs)]
        made = node(self.op, self.inputs, names, name="n", domain=self.domain, **self.attributes)
        inputs = [value(name, shape, self.types.get(name, TensorProto.FLOAT)) for name, shape in self.shapes.items()]
        outputs = [value(name, None, self.types.get(name, TensorProto.FLOAT)) for name in names]
        stores = [*self.stores, *(each for each in SCALES if each.name in self.inputs)]
        return save(folder, [made], inputs, outputs, stores, opset=self.opset, domains={MS: 1})


X = {"x": (2, 5, 8)}
CASES = {
    "Gelu": Case("Gelu", ["x"], X),
    "FastGelu": Case("FastGelu", ["x", "b"], X, params=8, stores=[weight("b", 8)]),
    "BiasGelu": Case("BiasGelu", ["x", "b"], X, params=8, stores=[weight("b", 8)]),
    "QuickGelu": Case("QuickGelu", ["x"], X),
    "FusedMatMul": Case("FusedMatMul", ["x", "w"], X, 2 * 5 * 8 * 3, 24, [weight("w", 3, 8)], attributes={"transB": 1}),
    "FusedMatMul both": Case("FusedMatMul", ["a", "b"], {"a": (2, 8, 5), "b": (2, 3, 8)}, 2 * 5 * 8 * 3,
                             attributes={"transA": 1, "transB": 1}),
    "FusedGemm": Case("FusedGemm", ["a", "w", "b"], {"a": (5, 8)}, 5 * 8 * 3, 27, [weight("w", 8, 3), weight("b", 3)],
                      attributes={"activation": "Relu"}),
    "FusedConv": Case("FusedConv", ["i", "w", "b"], {"i": (1, 3, 8, 8)}, 4 * 64 * 27, 112,
                      [weight("w", 4, 3, 3, 3), weight("b", 4)],
                      attributes={"activation": "Relu", "pads": [1, 1, 1, 1]}),
    "FusedConv skip": Case("FusedConv", ["i", "w", "b", "k"], {"i": (1, 3, 8, 8), "k": (1, 4, 8, 8)}, 4 * 64 * 27, 112,
                           [weight("w", 4, 3, 3, 3), weight("b", 4)],
                           attributes={"activation": "Relu", "pads": [1, 1, 1, 1]}),
    "SkipLayerNormalization": Case("SkipLayerNormalization", ["x", "k", "g", "b", "c"], {**X, "k": (2, 5, 8)}, 0, 24,
                                   [weight("g", 8), weight("b", 8), weight("c", 8)]),
    "SkipSimplified": Case("SkipSimplifiedLayerNormalization", ["x", "k", "g"], {**X, "k": (2, 5, 8)}, 0, 8,
                           [weight("g", 8)]),
    "Simplified": Case("SimplifiedLayerNormalization", ["x", "g"], X, 0, 8, [weight("g", 8)], domain="",
                       attributes={"axis": -1}),
    "EmbedLayerNormalization": Case(
        "EmbedLayerNormalization", ["t", "u", "w", "p", "e", "g", "b"], {"t": (2, 5), "u": (2, 5)}, 0,
        (10 + 7 + 2 + 1 + 1) * 8,
        [weight("w", 10, 8), weight("p", 7, 8), weight("e", 2, 8), weight("g", 8), weight("b", 8)],
        outputs=2, types={"t": I32, "u": I32, "y1": I32},
        feeds={"t": np.ones((2, 5), np.int32), "u": np.ones((2, 5), np.int32)}),
    "RotaryEmbedding": Case("RotaryEmbedding", ["x", "p", "c", "d"], X, stores=[weight("c", 9, 4), weight("d", 9, 4),
                            stored("p", [[0, 1, 2, 3, 4]] * 2, "i8")]),
    "Attention": Case("Attention", ["x", "w", "b"], X, 2 * 5 * 8 * 24 + 2 * 2 * 2 * 5 * 5 * 4, 8 * 24 + 24,
                      [weight("w", 8, 24), weight("b", 24)], attributes={"num_heads": 2}),
    "Attention past": Case("Attention", ["x", "w", "b", "", "past"], {**X, "past": (2, 2, 2, 3, 4)},
                           2 * 5 * 8 * 24 + 2 * 2 * 2 * 5 * 8 * 4, 8 * 24 + 24,
                           [weight("w", 8, 24), weight("b", 24)], 2,
                           {"num_heads": 2, "unidirectional": 1}),
    "MultiHeadAttention": Case("MultiHeadAttention", ["x", "k", "v"], {**X, "k": (2, 7, 8), "v": (2, 7, 16)},
                               2 * 2 * 5 * 7 * (4 + 8), attributes={"num_heads": 2}),
    "MultiHeadAttention past": Case(
        "MultiHeadAttention", ["x", "k", "v", "", "", "", "pk", "pv"],
        {**X, "k": (2, 5, 8), "v": (2, 5, 8), "pk": (2, 2, 3, 4), "pv": (2, 2, 3, 4)}, 2 * 2 * 5 * 8 * 8, outputs=3,
        attributes={"num_heads": 2}),
    "MultiHeadAttention packed": Case("MultiHeadAttention", ["p"], {"p": (2, 5, 2, 3, 4)}, 2 * 2 * 5 * 5 * 8,
                                      attributes={"num_heads": 2}),
    "GroupQueryAttention": Case(
        "GroupQueryAttention", ["q", "k", "v", "pk", "pv", "l", "t"],
        {"q": (1, 1, 64), "k": (1, 1, 32), "v": (1, 1, 32), "pk": (1, 2, 3, 16), "pv": (1, 2, 3, 16)},
        4 * 1 * 4 * (16 + 16), stores=[stored("l", [3], np.int32), stored("t", [4], np.int32)], outputs=3,
        attributes={"num_heads": 4, "kv_num_heads": 2}),
    "GroupQueryAttention packed": Case(
        "GroupQueryAttention", ["q", "", "", "", "", "l", "t", "cos", "sin"], {"q": (1, 5, 128)},
        4 * 5 * 5 * (16 + 16), stores=[stored("l", [4], np.int32), stored("t", [5], np.int32), weight("cos", 9, 8),
                                       weight("sin", 9, 8)], outputs=3,
        attributes={"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1}),
    "MatMulNBits": Case("MatMulNBits", ["x", "w", "ws"], {"x": (2, 5, 32)}, 2 * 5 * 32 * 6, 32 * 6,
                        [u8("w", 6, 1, 16), weight("ws", 6)],
                        attributes={"K": 32, "N": 6, "bits": 4, "block_size": 32}),
    "GatherBlockQuantized": Case(
        "GatherBlockQuantized", ["w", "i", "ws"], {"i": (2, 3)}, 0, 160,
        [u8("w", 10, 16), weight("ws", 10, 2)], types={"i": I32}, feeds={"i": np.ones((2, 3), np.int32)},
        attributes={"bits": 4, "block_size": 16, "gather_axis": 0, "quantize_axis": 1}),
    "DynamicQuantizeMatMul": Case("DynamicQuantizeMatMul", ["x", "w", "s", "iz", "b"], X, 2 * 5 * 8 * 3, 27,
                                  [i8("w", 8, 3), weight("b", 3)]),
    "MatMulIntegerToFloat": Case("MatMulIntegerToFloat", ["q", "w", "s", "s2", "z", "iz"], {"q": (2, 5, 8)},
                                 2 * 5 * 8 * 3, 24, [i8("w", 8, 3)], types={"q": U8},
                                 feeds={"q": np.ones((2, 5, 8), np.uint8)}),
    "QAttention": Case("QAttention", ["q", "w", "b", "s", "s2", "", "z", "iz"], {"q": (2, 5, 8)},
                       2 * 5 * 8 * 24 + 2 * 2 * 2 * 5 * 5 * 4, 8 * 24 + 24, [i8("w", 8, 24), weight("b", 24)],
                       attributes={"num_heads": 2}, types={"q": U8}, feeds={"q": np.ones((2, 5, 8), np.uint8)}),
    "QGemm": Case("QGemm", ["q", "s", "z", "w", "s2", "iz", "b", "s", "z"], {"q": (5, 8)}, 5 * 8 * 3, 27,
                  [i8("w", 8, 3), stored("b", np.ones(3), np.int32)], types={"q": U8, "y0": U8},
                  feeds={"q": np.ones((5, 8), np.uint8)}),
    "QLinearAdd": Case("QLinearAdd", ["q", "s", "z", "r", "s2", "z", "s", "z"], {"q": (2, 5, 8), "r": (5, 1)},
                       types={"q": U8, "r": U8, "y0": U8},
                       feeds={"q": np.ones((2, 5, 8), np.uint8), "r": np.ones((5, 1), np.uint8)}),
    "QLinearSigmoid": Case("QLinearSigmoid", ["q", "s", "z", "s2", "z"], {"q": (2, 5, 8)}, types={"q": U8, "y0": U8},
                           feeds={"q": np.ones((2, 5, 8), np.uint8)}),
    "QLinearConcat": Case("QLinearConcat", ["s", "z", "q", "s", "z", "r", "s2", "z"], {"q": (2, 5), "r": (2, 3)},
                          types={"q": U8, "r": U8, "y0": U8}, attributes={"axis": 1},
                          feeds={"q": np.ones((2, 5), np.uint8), "r": np.ones((2, 3), np.uint8)}),
    "QLinearGlobalAveragePool": Case("QLinearGlobalAveragePool", ["q", "s", "z", "s2", "z"], {"q": (2, 5, 4, 4)},
                                     types={"q": U8, "y0": U8}, feeds={"q": np.ones((2, 5, 4, 4), np.uint8)}),
    "QLinearAveragePool": Case("QLinearAveragePool", ["q", "s", "z", "s2", "z"], {"q": (2, 5, 9, 8)},
                               types={"q": U8, "y0": U8}, feeds={"q": np.ones((2, 5, 9, 8), np.uint8)},
                               attributes={"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0]}),
    "NhwcMaxPool": Case("NhwcMaxPool", ["q"], {"q": (2, 9, 8, 5)}, types={"q": U8, "y0": U8},
                        feeds={"q": np.ones((2, 9, 8, 5), np.uint8)},
                        attributes={"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    "DynamicQuantizeLSTM": Case(
        "DynamicQuantizeLSTM", ["x", "w", "r", "b", "", "", "", "", "ws", "wz", "rs", "rz"], {"x": (5, 2, 8)},
        2 * 5 * 2 * 4 * 3 * (8 + 3), 2 * (8 * 12 + 3 * 12 + 24),
        [i8("w", 2, 8, 12), i8("r", 2, 3, 12), weight("b", 2, 24), weight("ws", 2), weight("rs", 2), i8("wz", 2),
         i8("rz", 2)], 3, {"hidden_size": 3, "direction": "bidirectional"}),
    "DequantizeLinear": Case("DequantizeLinear", ["q", "s", "z"], {"q": (2, 5)}, types={"q": U8},
                             feeds={"q": np.ones((2, 5), np.uint8)}),
    "QuantizeLinear": Case("QuantizeLinear", ["a", "s", "z"], {"a": (2, 5)}, types={"y0": U8}),
}  # fmt: skip


def _graph(folder: Path, name: str) -> tuple[Graph, Path]:
    path = CASES[name].save(folder)
    return from_onnx(path), path


NOT_ON_CPU = {"MultiHeadAttention packed"}


@pytest.mark.parametrize("name", sorted(CASES.keys() - NOT_ON_CPU))
def test_shapes_are_those_that_onnxruntime_makes(tmp_path: Path, name: str) -> None:
    graph, path = _graph(tmp_path, name)
    assert {each: graph.tensors[each].shape for each in graph.outputs} == run_shapes(path, **CASES[name].feeds)


@pytest.mark.parametrize("name", CASES)
def test_work_and_parameters(tmp_path: Path, name: str) -> None:
    graph, _ = _graph(tmp_path, name)
    assert (graph.macs, graph.parameters) == (CASES[name].macs, CASES[name].params)
    assert graph.macs or sum(sum(element_work(op)) for op in graph.ops) or name in ("QLinearConcat",)


def test_a_fused_sum_is_a_skip_connection(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", ["x", "w"], ["h"], name="layer"),
        node("SkipLayerNormalization", ["h", "x", "g", "b"], ["y", "", "", "sum"], name="norm", domain=MS),
    ]
    stores = [weight("w", 8, 8), weight("g", 8), weight("b", 8)]
    graph = from_onnx(save(tmp_path, nodes, {"x": (2, 5, 8)}, ["y", "sum"], stores, domains={MS: 1}))
    (skip,) = graph.residuals
    assert (skip.identity, skip.bytes) == (True, 2 * 5 * 8 * 4)
    assert graph.tensors["sum"].shape == (2, 5, 8)


def test_weights_in_few_bits_take_few_bytes(tmp_path: Path) -> None:
    graph, _ = _graph(tmp_path, "MatMulNBits")
    assert graph.weight_bytes == 32 * 6 / 2


def test_operands_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    case = Case("FusedMatMul", ["x", "w"], X, stores=[weight("w", 3, 7)])
    with pytest.raises(InputError, match=r"node 'n'.*do not fit together"):
        from_onnx(case.save(tmp_path))


def test_an_unknown_activation_is_refused(tmp_path: Path) -> None:
    case = Case("FusedGemm", ["a", "w"], {"a": (5, 8)}, stores=[weight("w", 8, 3)], attributes={"activation": "Odd"})
    with pytest.raises(InputError, match="'Odd' fuses an activation that is not known"):
        from_onnx(case.save(tmp_path))

"""Operators of exporters that are rare: mixtures of experts, channels last, float quantisers, optionals, maps, Det."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.onnx import from_onnx
from accelsim.workload.ops import Conv, MatMul
from tests.workload.onnx_models import model, node, run_shapes, save, stored, value, weight

MS = "com.microsoft"
QONNX = "qonnx.custom_op.general"


def experts(folder: Path, rows: int, chosen: int, gate: bool, count: int = 8, width: int = 6, hidden: int = 10) -> Path:
    names = ["x", "router", "w1", "b1", "w2", "b2", *(["w3"] if gate else [])]
    stores = [weight("w1", count, width, hidden), weight("b1", count, hidden), weight("w2", count, hidden, width),
              weight("b2", count, width), *([weight("w3", count, width, hidden)] if gate else [])]  # fmt: skip
    nodes = [node("MoE", names, ["y"], name="moe", domain=MS, k=chosen, activation_type="silu")]
    inputs = {"x": (1, rows, width), "router": (rows, count)}
    return save(folder, nodes, inputs, [value("y", (1, rows, width))], stores, domains={MS: 1})


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize(("rows", "chosen"), [(1, 2), (3, 2), (4, 2), (5, 2), (50, 3)])
def test_each_visit_computes_one_expert(tmp_path: Path, rows: int, chosen: int, gate: bool) -> None:
    graph = from_onnx(experts(tmp_path, rows, chosen, gate))
    layers = 3 if gate else 2
    assert graph.macs == rows * chosen * layers * 6 * 10
    assert graph.parameters == 8 * (layers * 60 + 10 + 6)
    read = {name for op in graph.ops if isinstance(op, MatMul) for name in op.inputs}
    visited = sum(graph.tensors[name].elements for name in read if graph.tensors[name].role == "weight")
    assert visited == min(8, rows * chosen) * layers * 60
    assert accelsim.simulate(graph, "systolic-32x32", intervals=False).check()


def test_quantised_experts_store_few_bits(tmp_path: Path) -> None:
    count, width, hidden = 4, 16, 32
    stores = [stored("w1", np.zeros((count, 2 * hidden, width // 2)), np.uint8), weight("s1", count, 2 * hidden),
              stored("w2", np.zeros((count, width, hidden // 2)), np.uint8), weight("s2", count, width)]  # fmt: skip
    nodes = [node("QMoE", ["x", "r", "w1", "s1", "", "w2", "s2"], ["y"], domain=MS, k=2, activation_type="swiglu",
                  expert_weight_bits=4)]  # fmt: skip
    inputs = {"x": (5, width), "r": (5, count)}
    graph = from_onnx(save(tmp_path, nodes, inputs, [value("y", (5, width))], stores, domains={MS: 1}))
    assert graph.macs == 5 * 2 * 3 * width * hidden
    assert graph.parameters == count * 3 * width * hidden
    assert {each.format for each in graph.tensors.values() if each.role == "weight"} == {"int4"}


def test_experts_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="the 9 best of 8 experts"):
        from_onnx(experts(tmp_path, 2, 9, gate=False))
    stores = [weight("w1", 4, 6, 10), weight("w2", 4, 9, 6)]
    nodes = [node("MoE", ["x", "r", "w1", "", "w2"], ["y"], domain=MS)]
    path = save(tmp_path, nodes, {"x": (2, 6), "r": (2, 4)}, [value("y", (2, 6))], stores, domains={MS: 1})
    with pytest.raises(InputError, match="do not fit 4 experts of 6"):
        from_onnx(path)


@pytest.mark.parametrize("layout", ["OIHW", "OHWI"])
@pytest.mark.parametrize("op_type", ["NhwcConv", "NhwcFusedConv"])
def test_channels_last_equals_channels_first(tmp_path: Path, layout: str, op_type: str) -> None:
    shape = (8, 2, 3, 5) if layout == "OIHW" else (8, 3, 5, 2)
    attributes: dict[str, Any] = {"group": 3 - 1, "strides": [2, 1], "pads": [1, 2, 1, 2]}
    if op_type == "NhwcFusedConv":
        attributes["activation"] = "Relu"
    last = [node(op_type, ["x", "w"], ["y"], domain=MS, **attributes)]
    (tmp_path / "last").mkdir()
    made = from_onnx(save(tmp_path / "last", last, {"x": (1, 9, 11, 4)}, ["y"], [weight("w", *shape)], domains={MS: 1}))
    plain = [node("Conv", ["x", "w"], ["y"], group=2, strides=[2, 1], pads=[1, 2, 1, 2])]
    first = from_onnx(save(tmp_path, plain, {"x": (1, 4, 9, 11)}, ["y"], [weight("w", 8, 2, 3, 5)]))
    (conv,), (reference,) = ([op for op in graph.ops if isinstance(op, Conv)] for graph in (made, first))
    assert conv.contraction == reference.contraction
    assert (made.macs, made.parameters) == (first.macs, first.parameters)
    batch, *size, channels = made.tensors["y"].shape
    assert (batch, channels, *size) == first.tensors["y"].shape


def test_a_weight_that_fits_no_layout(tmp_path: Path) -> None:
    nodes = [node("NhwcConv", ["x", "w"], ["y"], domain=MS)]
    for shape in ((8, 3, 3, 3), (8, 4, 3, 4)):  # neither has 4 channels alone: none, or two kernels
        path = save(tmp_path, nodes, {"x": (1, 9, 9, 4)}, ["y"], [weight("w", *shape)], domains={MS: 1})
        with pytest.raises(InputError, match="does not tell its kernel"):
            from_onnx(path)


def float_quantised(folder: Path, exponent: int, mantissa: int) -> Path:
    scalars = {"s": 1.0, "e": exponent, "m": mantissa, "b": 7, "top": 448.0}
    quantised = [node("FloatQuant", [each, *scalars], [f"{each}q"], domain=QONNX) for each in ("x", "w")]
    nodes = [*quantised, node("MatMul", ["xq", "wq"], ["y"], name="product")]
    stores = [weight("w", 8, 4), *(stored(name, number) for name, number in scalars.items())]
    return save(folder, nodes, {"x": (2, 8)}, ["y"], stores, domains={QONNX: 1})


@pytest.mark.parametrize(("sizes", "name"), [((4, 3), "fp8_e4m3"), ((5, 2), "fp8_e5m2"), ((2, 1), "fp4_e2m1")])
def test_float_quantisers_set_formats(tmp_path: Path, sizes: tuple[int, int], name: str) -> None:
    graph = from_onnx(float_quantised(tmp_path, *sizes))
    assert (graph.tensors["w"].format, graph.tensors["xq"].format) == (name, name)
    assert graph.recipes["file"].default == name


def test_floats_without_a_format_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"\(exponent, mantissa\) bits \(3\.0, 4\.0\)"):
        from_onnx(float_quantised(tmp_path, 3, 4))


def test_a_determinant_eliminates(tmp_path: Path) -> None:
    graph = from_onnx(save(tmp_path, [node("Det", ["x"], ["y"])], {"x": (5, 4, 4)}, ["y"]))
    (op,) = graph.ops
    assert (op.function, op.elements) == ("lu", 5 * (4 * 15 // 3 + 4))  # type: ignore[attr-defined]
    assert graph.tensors["y"].shape == (5,)


def test_optionals_are_seen_through(tmp_path: Path) -> None:
    nodes = [
        node("Optional", ["x"], ["o"]),
        node("OptionalHasElement", ["o"], ["c"]),
        node("OptionalGetElement", ["o"], ["g"]),
        node("Relu", ["g"], ["y"]),
        node("Cast", ["c"], ["z"], to=1),
    ]
    graph = from_onnx(save(tmp_path, nodes, {"x": (2, 3)}, ["y"], opset=18))
    assert [op.label for op in graph.ops if op.label != "Identity"] == ["Relu"]
    empty = [node("Optional", [], ["o"]), node("OptionalGetElement", ["o"], ["g"]), node("Relu", ["g"], ["y"])]
    with pytest.raises(InputError, match="reads an optional that is empty"):
        from_onnx(save(tmp_path, empty, {"x": (2, 3)}, ["y"], opset=18))


def test_a_map_is_its_body_for_each_element(tmp_path: Path) -> None:
    body = model([node("MatMul", ["e", "w"], ["p"]), node("Add", ["p", "k"], ["r"])],
                 [value("e", None), value("k", None)], ["r"]).graph  # fmt: skip
    nodes = [
        node("SplitToSequence", ["x", "two"], ["parts"], axis=0),
        node("SequenceMap", ["parts", "b"], ["mapped"], name="map", body=body),
        node("ConcatFromSequence", ["mapped"], ["y"], axis=0),
    ]
    stores = [stored("two", 2, np.int64), weight("w", 3, 4)]
    path = save(tmp_path, nodes, {"x": (6, 3), "b": (2, 4)}, ["y"], stores)
    graph = from_onnx(path)
    assert (graph.macs, graph.parameters) == (6 * 3 * 4, 12)
    assert graph.tensors["y"].shape == run_shapes(path)["y"] == (6, 4)
    assert len({op.name for op in graph.ops}) == len(graph.ops)

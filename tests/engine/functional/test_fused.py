"""Fused attention, Einsum and products with activations: the FP32 run against ONNX Runtime, every op with an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import accelsim
from accelsim.errors import UnsupportedError
from tests.engine.functional.models import one_node
from tests.engine.functional.test_emulate import in_runtime

MS = "com.microsoft"
random = np.random.default_rng(3)


def f32(*shape: int) -> Any:
    return random.standard_normal(shape).astype(np.float32)


def i32(*values: Any) -> Any:
    return np.array(values, np.int32)


def some(*shape: int) -> Any:
    """Zeros and ones, the first of a row a one: where all of a row is hidden, programs disagree."""
    made = random.random(shape) > 0.4
    made[..., 0] = True
    return made


def checked(path: Path, inputs: dict[str, Any]) -> Any:
    """FP32 is ONNX Runtime's, few bits are near it, and each op of the mapping has an error."""
    found = accelsim.emulate(path, "tpu-v4i", inputs, precision="bf16")
    for got, wanted in zip(found.reference.values(), in_runtime(path, inputs), strict=True):
        assert np.shape(got) == np.shape(wanted)
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(wanted).max())))
    assert {row.op for row in found.op_errors} == {item.op.name for item in found.evaluation.mapping.walk()}
    assert all(sqnr > 30 for sqnr in found.sqnr_db.values())
    return found


HEADS = {"q": f32(2, 4, 5, 8), "k": f32(2, 4, 7, 8), "v": f32(2, 4, 7, 6)}
PAST = {"q": f32(2, 4, 5, 8), "k": f32(2, 4, 5, 8), "v": f32(2, 4, 5, 6), "pk": f32(2, 4, 3, 8), "pv": f32(2, 4, 3, 6)}
STANDARD: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "by head": ("q k v", HEADS, {}),
    "shared keys, causal": ("q k v", {"q": f32(2, 4, 7, 8), "k": f32(2, 2, 7, 8), "v": f32(2, 2, 7, 6)},
                            {"is_causal": 1}),
    "rows, softcap, scale": ("q k v", {"q": f32(2, 5, 32), "k": f32(2, 7, 16), "v": f32(2, 7, 16)},
                             {"q_num_heads": 4, "kv_num_heads": 2, "softcap": 2.0, "scale": 0.3}),
    "added mask": ("q k v m", HEADS | {"m": f32(5, 7)}, {"softcap": 1.5}),
    "boolean mask": ("q k v m", HEADS | {"m": some(2, 1, 5, 7)}, {}),
    "past": ("q k v - pk pv > y nk nv", PAST, {"is_causal": 1}),
    "lengths": ("q k v - - - n", HEADS | {"n": np.array([6, 7])}, {}),
} | {
    f"scores {mode}": ("q k v m > y - - qk", HEADS | {"m": f32(5, 7)}, {"softcap": 2.0, "qk_matmul_output_mode": mode})
    for mode in range(4)
}  # fmt: skip
X, W = {"x": f32(2, 5, 8)}, {"w": f32(8, 24), "b": f32(24)}
PROJECTED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("x w b", X, {}),
    "causal": ("x w b", X, {"unidirectional": 1}),
    "lengths": ("x w b m", X | {"m": i32(3, 5)}, {}),
    "ends and beginnings": ("x w b m", X | {"m": i32(4, 5, 1, 0)}, {}),
    "mask": ("x w b m", X | {"m": some(2, 5).astype(np.int32)}, {}),
    "mask a row": ("x w b m", X | {"m": some(2, 5, 5).astype(np.int32)}, {}),
    "past": ("x w b - p > y np", X | {"p": f32(2, 2, 2, 3, 4)}, {"unidirectional": 1}),
    "bias of scores": ("x w b - - s", X | {"s": f32(2, 2, 5, 5)}, {"scale": 0.4}),
}
CROSS = {"x": f32(2, 5, 8), "k": f32(2, 7, 8), "v": f32(2, 7, 16)}
OWN = {name: f32(2, 5, 8) for name in "xkv"}
MULTI: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": ("x k v", CROSS, {}),
    "biases": ("x k v b", CROSS | {"b": f32(32)}, {}),
    "lengths": ("x k v - l", CROSS | {"l": i32(3, 6)}, {}),
    "padding": ("x k v - l", CROSS | {"l": some(2, 7).astype(np.int32)}, {"mask_filter_value": -50.0}),
    "bias of scores": ("x k v - - s", CROSS | {"s": f32(1, 2, 5, 7)}, {}),
    "causal": ("x k v", OWN, {"unidirectional": 1}),
    "past": ("x k v - - - pk pv > y nk nv", OWN | {"pk": f32(2, 2, 3, 4), "pv": f32(2, 2, 3, 4)}, {}),
    "keys by head": ("x k v", {"x": f32(2, 5, 8), "k": f32(2, 2, 7, 4), "v": f32(2, 2, 7, 4)}, {}),
}


def named(operator: str, wires: str, domain: str = "", **attributes: Any) -> Any:
    """A node of "inputs > outputs", where - is one left out."""
    given, _, made = wires.partition(" > ")
    names = [[each.replace("-", "") for each in part.split()] for part in (given, made or "y")]
    return helper.make_node(operator, *names, name="op", domain=domain, **attributes)


@pytest.mark.parametrize("case", STANDARD)
def test_attention_of_onnx(case: str, tmp_path: Path) -> None:
    wires, inputs, attributes = STANDARD[case]
    node = named("Attention", wires, **attributes)
    checked(one_node(tmp_path, node, inputs, opset=24 if case == "lengths" else 23), inputs)


@pytest.mark.parametrize("case", PROJECTED)
def test_attention_with_its_projection(case: str, tmp_path: Path) -> None:
    wires, inputs, attributes = PROJECTED[case]
    found = checked(one_node(tmp_path, named("Attention", wires, MS, num_heads=2, **attributes), inputs, W), inputs)
    assert {"op:projection", "op:scores", "op"} <= {row.op for row in found.op_errors if row.precision == "bf16"}


def test_attention_with_values_of_another_width(tmp_path: Path) -> None:
    node = named("Attention", "x w b", MS, num_heads=2, qkv_hidden_sizes=[8, 8, 24])
    checked(one_node(tmp_path, node, X, {"w": f32(8, 40), "b": f32(40)}), X)


@pytest.mark.parametrize("case", MULTI)
def test_multi_head_attention(case: str, tmp_path: Path) -> None:
    wires, inputs, attributes = MULTI[case]
    checked(one_node(tmp_path, named("MultiHeadAttention", wires, MS, num_heads=2, **attributes), inputs), inputs)


def test_packed_queries_are_the_parts_apart(tmp_path: Path) -> None:
    """ONNX Runtime packs them on GPUs only."""
    q, k, v = (f32(2, 5, 2, 4) for _ in range(3))
    apart = {"x": q.reshape(2, 5, 8), "k": k.reshape(2, 5, 8), "v": v.reshape(2, 5, 8)}
    two, three = np.stack([k, v], 3), np.stack([q, k, v], 3)
    made = []
    for wires, inputs in (("x k v", apart), ("x k", {"x": apart["x"], "k": two}), ("x", {"x": three})):
        path = one_node(tmp_path, named("MultiHeadAttention", wires, MS, num_heads=2), inputs)
        made.append(accelsim.emulate(path, "tpu-v4i", inputs, precision="bf16"))
    for other in made[1:]:
        np.testing.assert_array_equal(other.reference["y"], made[0].reference["y"])
        np.testing.assert_array_equal(other.outputs["y"], made[0].outputs["y"])
        assert "op:softmax" in {row.op for row in other.op_errors}


def test_a_row_that_sees_nothing_is_zero(tmp_path: Path) -> None:
    hidden = np.ones((5, 7), bool)
    hidden[2] = False
    inputs = HEADS | {"m": hidden}
    found = accelsim.emulate(one_node(tmp_path, named("Attention", "q k v m"), inputs, opset=23), "tpu-v4i", inputs,
                             precision="bf16")  # fmt: skip
    assert (found.reference["y"][:, :, 2] == 0).all()
    assert (found.outputs["y"][:, :, 2] == 0).all()
    assert (found.outputs["y"][:, :, 3] != 0).all()


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]), ("...ij,...jk", [(2, 3, 4), (2, 4, 5)]),
        ("bhid,bhjd->bhij", [(2, 3, 4, 6), (2, 3, 5, 6)]), ("ij,jk,kl->li", [(3, 4), (4, 5), (5, 2)]),
        ("ij,kj->ik", [(3, 4), (5, 4)]), ("i,j->ij", [(3,), (4,)]), ("bij,j->bi", [(2, 3, 4), (4,)]),
        ("ijk,jl->il", [(2, 3, 4), (3, 5)]), ("ii->i", [(4, 4)]), ("ij->ji", [(3, 4)]), ("abc->b", [(2, 3, 4)]),
        ("bij,bjk->bik", [(1, 3, 4), (2, 4, 5)]), ("...ij,...jk->...ik", [(1, 3, 4), (2, 4, 5)]),
        ("bhid,bhjd->bhij", [(1, 1, 3, 6), (2, 3, 5, 6)]), ("bij,bij->bij", [(1, 3, 4), (2, 3, 4)]),
        ("iij,jk->ik", [(3, 3, 4), (4, 2)]), ("ij,ij->", [(3, 4), (3, 4)]), ("bij,bij->bij", [(2, 3, 4), (2, 3, 4)]),
    ],
)  # fmt: skip
def test_einsum(equation: str, shapes: list[tuple[int, ...]], tmp_path: Path) -> None:
    inputs = {f"x{place}": f32(*shape) for place, shape in enumerate(shapes)}
    checked(one_node(tmp_path, named("Einsum", " ".join(inputs), equation=equation), inputs), inputs)


def test_einsum_has_its_weight_on_the_right(tmp_path: Path) -> None:
    inputs = {"x": f32(2, 3, 4)}
    checked(one_node(tmp_path, named("Einsum", "w x", equation="oj,bij->bio"), inputs, {"w": f32(5, 4)}), inputs)


@pytest.mark.parametrize(
    ("function", "given"),
    [("Relu", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 1.0]), ("HardSigmoid", [0.3, 0.4]), ("Tanh", [])],
)
def test_convolutions_with_activations(function: str, given: list[float], tmp_path: Path) -> None:
    inputs, weights = {"x": f32(1, 4, 7, 6)}, {"w": f32(6, 4, 3, 3), "b": f32(6)}
    more = {"activation_params": given} if given else {}
    checked(one_node(tmp_path, named("FusedConv", "x w b", MS, activation=function, **more), inputs, weights), inputs)


def test_a_convolution_with_a_skip(tmp_path: Path) -> None:
    inputs, weights = {"x": f32(1, 4, 7, 6), "z": f32(1, 6, 5, 4)}, {"w": f32(6, 4, 3, 3), "b": f32(6)}
    checked(one_node(tmp_path, named("FusedConv", "x w b z", MS, activation="Relu"), inputs, weights), inputs)


def test_a_gemm_with_its_activation(tmp_path: Path) -> None:
    inputs, weights = {"x": f32(3, 8)}, {"w": f32(5, 8), "b": f32(5)}
    node = named("FusedGemm", "x w b", MS, activation="LeakyRelu", activation_alpha=0.3, transB=1, alpha=0.5, beta=2.0)
    checked(one_node(tmp_path, node, inputs, weights), inputs)


def test_what_is_refused_says_so(tmp_path: Path) -> None:
    node = named("Attention", "x w b m", MS, num_heads=2)
    inputs = X | {"m": np.ones((2, 1, 9, 9), np.int32)}
    with pytest.raises(UnsupportedError, match=r"model\.onnx: node 'op'.*mask of a form"):
        accelsim.emulate(one_node(tmp_path, node, inputs, W), "tpu-v4i", inputs, precision="bf16")

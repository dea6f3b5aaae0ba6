"""`If`, functions of the model, and op types that the user lets cost nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.onnx import from_onnx
from tests.workload.onnx_models import branch, node, run_shapes, save, stored, value, weight

X = {"x": (2, 6)}


def _if(condition: str, then: Any, other: Any, outputs: tuple[str, ...] = ("y",), name: str = "if") -> Any:
    return node("If", [condition], outputs, name=name, then_branch=then, else_branch=other)


def _bool(name: str, on: bool) -> Any:
    return stored(name, on, np.bool_)


@pytest.mark.parametrize("taken", [True, False])
def test_the_branch_taken_is_inlined(tmp_path: Path, taken: bool) -> None:
    then = branch("then", [node("MatMul", ["x", "w"], ["t"], name="product")], ["t"])
    other = branch("else", [node("Relu", ["x"], ["e"], name="relu")], ["e"])
    path = save(tmp_path, [_if("c", then, other)], X, ["y"], [_bool("c", taken), weight("w", 6, 3)])
    graph = from_onnx(path)
    assert [op.label for op in graph.ops] == ["MatMul" if taken else "Relu", "Identity"]
    assert graph.outputs == ("y",)
    assert graph.tensors["y"].shape == run_shapes(path)["y"]
    assert graph.parameters == (18 if taken else 0)


def test_branches_may_use_a_name_again(tmp_path: Path) -> None:
    def half(source: str, size: int) -> Any:
        nodes = [node("MatMul", [source, "w"], ["t"], name="product"), node("Relu", ["t"], ["u"], name="relu")]
        return branch("branch", nodes, ["u"], [weight("w", size, size)])

    nodes = [
        _if("c", half("x", 6), half("x", 6), ("a",), "first"),
        _if("c", half("a", 6), half("a", 6), ("y",), "second"),
    ]
    graph = from_onnx(save(tmp_path, nodes, X, ["y"], [_bool("c", True)]))
    assert len({op.name for op in graph.ops}) == len(graph.ops) == 6
    assert graph.parameters == 2 * 36  # two tensors that share a name are two tensors
    assert {"product", "second/product"} <= {op.name for op in graph.ops}


def test_nested_with_outer_captures(tmp_path: Path) -> None:
    inner = _if("d", branch("t2", [node("Add", ["outer", "local"], ["u"])], ["u"]),
                branch("e2", [node("Neg", ["local"], ["v"])], ["v"]), ("w",), "inner")  # fmt: skip
    then = branch("then", [node("Sqrt", ["x"], ["local"]), inner], ["w"])
    other = branch("else", [node("Identity", ["outer"], ["z"])], ["z"])
    nodes = [node("Exp", ["x"], ["outer"]), _if("c", then, other)]
    graph = from_onnx(save(tmp_path, nodes, X, ["y"], [_bool("c", True), _bool("d", True)]))
    assert [op.label for op in graph.ops] == ["Exp", "Sqrt", "Add", "Identity", "Identity"]


def test_a_branch_may_hand_on_what_it_did_not_make(tmp_path: Path) -> None:
    nodes = [_if("c", branch("then", [], ["x"]), branch("else", [], ["k"]), ("a", "b")[:1]), node("Relu", ["a"], ["y"])]
    for taken, operand in ((True, "x"), (False, "k")):
        graph = from_onnx(save(tmp_path, nodes, X, ["y", "x"], [_bool("c", taken), weight("k", 2, 6)]))
        assert graph.outputs == ("y", "x")
        labels = [op.label for op in graph.ops]
        assert labels == (["Identity", "Relu"] if operand == "x" else [])  # of constants alone nothing is left


def test_the_condition_may_follow_from_shapes_and_values(tmp_path: Path) -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "zero"], ["rows"]),
        node("Greater", ["rows", "limit"], ["c"]),
        _if("c", branch("t", [node("Relu", ["x"], ["r"])], ["r"]), branch("e", [node("Neg", ["x"], ["n"])], ["n"])),
    ]
    inputs = [value("x", ["rows", 6]), value("limit", [], 7)]
    path = save(tmp_path, nodes, inputs, ["y"], [stored("zero", 0, "i8")])
    for limit, label in ((1, "Relu"), (2, "Neg")):
        graph = from_onnx(path, shapes={"x": (2, 6)}, values={"limit": limit})
        assert [op.label for op in graph.ops] == [label, "Identity"]
        assert graph.inputs == ("x",)


def test_a_condition_that_the_data_decides_is_refused(tmp_path: Path) -> None:
    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "s"], ["c"]),
        _if("c", branch("t", [node("Relu", ["x"], ["r"])], ["r"]), branch("e", [node("Neg", ["x"], ["n"])], ["n"])),
    ]
    path = save(tmp_path, nodes, [value("x", [2, 6]), value("s", [])], ["y"])
    with pytest.raises(UnsupportedError) as caught:
        from_onnx(path)
    assert str(caught.value) == (
        f"{path}: node 'if' (ai.onnx::If): chooses a branch by 'c', which depends on data that is known only at run "
        "time. Say which one with branches (--branch if=then, else, dearest or a probability of then), or give a "
        "scalar input its value (--value s=NUMBER)."
    )


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    opset = [helper.make_opsetid("", 17)]
    body = [node("MatMul", ["a", "b"], ["p"]), node("Relu", ["p"], ["r"])]
    function = helper.make_function("mine", "Layer", ["a", "b"], ["r"], body, opset)
    nodes = [node("Layer", ["x", "w"], ["h"], domain="mine"), node("Layer", ["h", "v"], ["y"], domain="mine")]
    stores = [weight("w", 6, 4), weight("v", 4, 3)]
    graph = from_onnx(save(tmp_path, nodes, X, ["y"], stores, domains={"mine": 1}, functions=[function]))
    assert [op.label for op in graph.ops] == ["MatMul", "Relu"] * 2
    assert (graph.macs, graph.parameters) == (2 * 6 * 4 + 2 * 4 * 3, 36)


@pytest.mark.parametrize(
    ("calls", "message"),
    [
        ({"A": ["A"]}, "function mine::A: calls itself"),
        ({"A": ["B"], "B": ["A"]}, "calls itself"),
        ({f"F{i}": [f"F{i + 1}"] * 10 for i in range(8)}, "functions: expand to 100,000,000 nodes"),
    ],
)
def test_functions_that_never_end_are_refused(tmp_path: Path, calls: dict[str, list[str]], message: str) -> None:
    opset = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    functions = []
    for name, called in calls.items():
        nodes = [node(each, ["a"], [f"t{i}"], domain="mine") for i, each in enumerate(called)]
        functions.append(helper.make_function("mine", name, ["a"], ["t0"], nodes, opset))
    first = next(iter(calls))
    path = save(
        tmp_path, [node(first, ["x"], ["y"], domain="mine")], X, ["y"], domains={"mine": 1}, functions=functions
    )
    with pytest.raises(InputError, match=message):
        from_onnx(path)


def _custom(tmp_path: Path) -> Path:
    nodes = [
        node("Fused", ["x", "w"], ["f"], name="fused", domain="com.maker"),
        node("Relu", ["f"], ["r"], name="relu"),
        node("Sorted", ["r"], ["y"], domain="com.maker"),
        node("Sorted", ["r"], ["unused"], name="dead", domain="com.maker"),
        node("Bernoulli", ["x"], ["d"], name="draw"),
        _if("c", branch("t", [node("Hidden", ["x"], ["h"], name="in", domain="com.maker")], ["h"]),
            branch("e", [node("Relu", ["x"], ["e"])], ["e"]), ("z",)),
    ]  # fmt: skip
    return save(tmp_path, nodes, X, ["y", "d", "z"], [weight("w", 6, 6), _bool("c", False)], domains={"com.maker": 3})


def test_all_unmodelled_nodes_are_listed_at_once(tmp_path: Path) -> None:
    path = _custom(tmp_path)
    with pytest.raises(UnsupportedError) as caught:
        from_onnx(path)
    assert str(caught.value) == (
        f"{path}: 4 nodes are not modelled: fused (com.maker::Fused, opset 3); the maker of y (com.maker::Sorted, "
        "opset 3); draw (ai.onnx::Bernoulli, opset 17); in in then_branch of if (com.maker::Hidden, opset 3). Where "
        "they may count as nothing, pass allow_zero_cost=['Bernoulli', 'Fused', 'Hidden', 'Sorted'] "
        "(--allow-zero-cost Bernoulli --allow-zero-cost Fused --allow-zero-cost Hidden --allow-zero-cost Sorted)."
    )


def test_op_types_that_may_cost_nothing(tmp_path: Path) -> None:
    graph = from_onnx(_custom(tmp_path), allow_zero_cost=["Fused", "com.maker::Sorted", "ai.onnx::Bernoulli"])
    views = [
        (op.name, op.kind, graph.tensors[op.outputs[0]].shape)
        for op in graph.ops
        if op.label not in ("Relu", "Identity")
    ]
    assert views == [("fused", "move", (2, 6)), ("Sorted_2", "move", (2, 6)), ("draw", "move", (2, 6))]
    assert graph.macs == 0  # and the branch that is not taken was never asked about


def test_only_branches_that_are_taken_must_be_modelled(tmp_path: Path) -> None:
    then = branch("t", [node("Hidden", ["x"], ["h"], name="in", domain="com.maker")], ["h"])
    nodes = [_if("c", then, branch("e", [node("Relu", ["x"], ["e"])], ["e"]))]
    allowed = save(tmp_path, nodes, X, ["y"], [_bool("c", False)], domains={"com.maker": 3})
    assert [op.label for op in from_onnx(allowed).ops] == ["Relu", "Identity"]
    refused = save(tmp_path, nodes, X, ["y"], [_bool("c", True)], domains={"com.maker": 3})
    with pytest.raises(UnsupportedError, match="1 node is not modelled: in in then_branch of if"):
        from_onnx(refused)

"""Skip connections of small graphs, counted by hand and by searching all paths."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.workload.graph import Graph, Residual, Tensor
from accelsim.workload.ops import Elementwise, Loop, MatMul, Move, Op
from accelsim.workload.residuals import find_residuals

SIDE = 4


def _op(name: str, kind: str, inputs: Sequence[str], weights: set[str]) -> Op:
    """``work`` is a product with a weight of its own; ``add`` and ``concat`` join; ``step`` is anything else."""
    if kind == "work":
        weights.add(f"{name}.w")
        return MatMul(name=name, inputs=(inputs[0], f"{name}.w"), outputs=(name,), m=1, n=SIDE, k=SIDE)
    if kind == "concat":
        return Move(name=name, inputs=tuple(inputs), outputs=(name,), function="concat", elements=SIDE)
    function = "add" if kind == "add" else "relu"
    return Elementwise(name=name, inputs=tuple(inputs), outputs=(name,), function=function, elements=SIDE)


def _graph(*lines: tuple[str, str, Sequence[str]], inputs: Sequence[str] = ("x",)) -> Graph:
    weights: set[str] = set()
    ops = tuple(_op(name, kind, sources, weights) for name, kind, sources in lines)
    tensors = {name: Tensor(name, (1, SIDE)) for name in (*inputs, *(op.name for op in ops))}
    tensors |= {name: Tensor(name, (SIDE, SIDE), "weight") for name in weights}
    return Graph("test", ops, tensors, tuple(inputs), (ops[-1].name,))


def test_an_identity_skip() -> None:
    graph = _graph(("a", "step", "x"), ("b", "work", "a"), ("c", "step", "b"), ("d", "add", "ca"))
    assert find_residuals(graph) == (Residual("d", "add", True, 3, 16),)
    assert graph.residuals == find_residuals(graph)


def test_a_projected_skip_from_a_graph_input() -> None:
    graph = _graph(("a", "work", "x"), ("b", "work", "x"), ("c", "add", "ab"), ("d", "work", "c"), ("e", "add", "dx"))
    assert find_residuals(graph) == (Residual("c", "add", False, 2, 16), Residual("e", "add", True, 5, 16))


def test_without_work_between_there_is_no_skip() -> None:
    graph = _graph(("a", "work", "x"), ("b", "step", "a"), ("c", "add", "ba"), ("d", "add", "cc"))
    assert find_residuals(graph) == ()


def test_sides_of_different_descent_do_not_join() -> None:
    graph = _graph(("a", "work", "x"), ("b", "work", "y"), ("c", "add", "ab"), inputs="xy")
    assert find_residuals(graph) == ()


def test_only_the_latest_common_ancestor_counts() -> None:
    """Both sides come from x through work, but meet again in u, after which there is none."""
    graph = _graph(("a", "work", "x"), ("u", "step", "a"), ("b", "step", "u"), ("c", "add", "bu"))
    assert find_residuals(graph) == ()


def test_concats_and_adds_of_other_arity() -> None:
    graph = _graph(
        ("a", "work", "x"),
        ("b", "concat", "xa"),
        ("c", "concat", "yb"),  # y is of other descent
        ("d", "concat", ("y", "a", "x")),  # two of the three join
        ("e", "add", ("a", "x", "y")),  # not two operands
        ("f", "add", "ce"),
        inputs="xy",
    )
    found = find_residuals(graph)
    assert [(each.op, each.join, each.span_ops) for each in found] == [("b", "concat", 2), ("d", "concat", 4)]


def test_an_operand_that_is_broadcast_is_no_skip() -> None:
    graph = _graph(("a", "work", "x"), ("b", "add", "ax"))
    small = {**graph.tensors, "b": Tensor("b", (2, SIDE))}
    assert find_residuals(graph.with_tensors(small)) == ()


def test_bodies_of_loops_are_looked_at_by_themselves() -> None:
    body = _graph(("a", "work", "x"), ("b", "add", "ax"))
    loop = Loop(name="loop", inputs=("x",), outputs=("y",), body=body, steps=3)
    join = _op("z", "add", "yx", set())
    tensors = {name: Tensor(name, (1, SIDE)) for name in "xyz"}
    found = find_residuals(Graph("outer", (loop, join), tensors, ("x",), ("z",)))
    assert [(each.op, each.span_ops) for each in found] == [("z", 2), ("b", 2)]


def _by_paths(graph: Graph) -> list[tuple[str, bool]]:
    """The definition, word by word, with sets."""
    order = [*graph.inputs, *(op.name for op in graph.ops)]
    above: dict[str, set[str]] = {name: {name} for name in graph.inputs}
    made = {op.name: op for op in graph.ops}
    for op in graph.ops:
        above[op.name] = {op.name}.union(*(above[name] for name in op.inputs if name in above))

    def work(ancestor: str, side: str) -> bool:
        return any(m != ancestor and m in made and made[m].macs and ancestor in above[m] for m in above[side])

    found = []
    for op in graph.ops:
        add, concat = isinstance(op, Elementwise) and op.function == "add", isinstance(op, Move)
        if not (concat or (add and len(op.inputs) == 2)):
            continue
        pairs = combinations(sorted(op.inputs, key=order.index), 2)
        for first, second in pairs:
            common = above[first] & above[second]
            sides = [work(max(common, key=order.index), side) for side in (first, second)] if common else []
            if any(sides):
                found.append((op.name, not all(sides)))
                break
    return found


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_equal_to_the_definition_on_any_graph(data: st.DataObject) -> None:
    names = ["x", "y"]
    lines = []
    for index in range(data.draw(st.integers(1, 14))):
        kind = data.draw(st.sampled_from(["work", "step", "add", "add", "concat"]))
        count = 1 if kind in ("work", "step") else data.draw(st.integers(2, 3))
        sources = data.draw(st.lists(st.sampled_from(names), min_size=count, max_size=count))
        lines.append((f"t{index}", kind, sources))
        names.append(f"t{index}")
    graph = _graph(*lines, inputs="xy")
    assert [(each.op, each.identity) for each in find_residuals(graph)] == _by_paths(graph)


def test_thousands_of_ops() -> None:
    lines = [("t0", "work", ["x"])]
    for index in range(1, 6000, 3):
        before = f"t{index - 1}"
        lines += [(f"t{index}", "work", [before]), (f"t{index + 1}", "step", [f"t{index}"])]
        lines.append((f"t{index + 2}", "add", [f"t{index + 1}", before]))
    graph = _graph(*lines)
    started = time.process_time()
    assert len(find_residuals(graph)) == 2000
    assert time.process_time() - started < 5

"""How many bytes of activations are alive at each op, in the graph's order or in another."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from accelsim.errors import GraphError
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Move

__all__ = ["live_bytes", "peak_step"]


def live_bytes(graph: Graph, order: Sequence[int] | None = None, *, share_views: bool = False) -> list[float]:
    """Bytes of activations and states alive at each step of ``order`` (indices of ops; None: the graph's own).

    As `Graph.peak_activation_bytes` counts them: graph inputs from the start to their last use, results from their op
    to their last use, graph outputs to the end; what an op reads and makes is alive together. With ``share_views`` a
    view has the storage of what it views, for as long as either is used.

    Raises:
        GraphError: an order in which an op does not run once, or before what makes its inputs.
    """
    steps = range(len(graph.ops)) if order is None else order
    if order is not None:
        _check(graph, order)
    root = _roots(graph) if share_views else {}
    first = {root.get(name, name): 0 for name in graph.inputs}
    last: dict[str, int] = dict.fromkeys(first, 0)
    for step, index in enumerate(steps):
        op = graph.ops[index]
        for name in op.outputs:
            first.setdefault(root.get(name, name), step)
        for name in (*op.inputs, *op.outputs):
            last[root.get(name, name)] = step
    last |= {root.get(name, name): len(graph.ops) for name in graph.outputs}
    changes = [0.0] * (len(graph.ops) + 1)
    for name, start in first.items():
        size = graph.tensors[name].bytes
        changes[start] += size
        end = last.get(name, start) + 1
        if end < len(changes):
            changes[end] -= size
    return list(accumulate(changes))[: len(graph.ops)]


def peak_step(held: Sequence[float]) -> int:
    """The first step at which most is alive."""
    return max(range(len(held)), key=lambda step: (held[step], -step)) if held else 0


def _roots(graph: Graph) -> dict[str, str]:
    """For each result of a view, the activation whose storage it shares."""
    roots: dict[str, str] = {}
    for op in graph.ops:
        if (
            isinstance(op, Move)
            and op.view
            and op.inputs
            and graph.tensors[op.inputs[0]].role in ("activation", "state")
        ):
            roots.update(dict.fromkeys(op.outputs, roots.get(op.inputs[0], op.inputs[0])))
    return roots


def _check(graph: Graph, order: Sequence[int]) -> None:
    place = {index: step for step, index in enumerate(order)}
    where = f"workload {graph.name}"
    if sorted(order) != list(range(len(graph.ops))):
        raise GraphError(f"must hold each of 0 to {len(graph.ops) - 1} once", file=where, field="order")
    for index, op in enumerate(graph.ops):
        for name in op.inputs:
            if name in graph.producers and place[graph.producers[name]] > place[index]:
                raise GraphError("runs before what makes its input", file=where, field="order", value=op.name)

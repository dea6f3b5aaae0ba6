"""A part of a network by itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.graph import Graph
from accelsim.workload.rewrite.report import Change, Changes, Rewriter

__all__ = ["keep_layers"]


def keep_layers(*, first: str = "", last: str = "") -> Rewriter:
    """Keep the ops from ``first`` to ``last``, both included, in the graph's order.

    Tensors that they read and do not make become inputs; those that ops behind them read, or that the graph gives
    out, become outputs.

    Args:
        first: name of an op; empty for the first of all.
        last: name of an op; empty for the last of all.

    Raises:
        UnknownNameError: no op is called so.
        InputError: ``last`` stands before ``first``.
    """

    def apply(graph: Graph) -> Changes:
        places = {op.name: index for index, op in enumerate(graph.ops)}
        for field, name in (("first", first), ("last", last)):
            if name and name not in places:
                raise UnknownNameError("op", name, places, file="rewrite layers", field=field)
        start, end = places.get(first, 0), places.get(last, len(graph.ops) - 1)
        if end < start:
            raise InputError(f"stands before {first!r}", file="rewrite layers", field="last", value=last)
        ops, behind = graph.ops[start : end + 1], graph.ops[end + 1 :]
        if len(ops) == len(graph.ops):
            return Changes(graph, ())
        made = {name for op in ops for name in op.outputs}
        wanted = set(chain(graph.outputs, *(op.inputs for op in behind)))
        used = {name: graph.tensors[name] for op in ops for name in (*op.inputs, *op.outputs)}
        # States and constants come from nowhere; activations that came from ops before are inputs now.
        outside = set(graph.inputs) | graph.producers.keys()
        inputs = tuple(name for name in used if name not in made and name in outside)
        outputs = tuple(name for name in used if name in made and name in wanted)
        kept = replace(graph, ops=ops, tensors=used, inputs=inputs, outputs=outputs)
        what = f"{len(graph.ops) - len(ops)} of {len(graph.ops)} ops left out"
        return Changes(kept, (Change(f"{ops[0].name} to {ops[-1].name}", what),))

    return apply

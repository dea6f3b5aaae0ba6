"""Optional values, which are there or not before anything runs, and maps over sequences of known length."""

from __future__ import annotations

from typing import Any

import numpy as np

from accelsim.errors import UnsupportedError
from accelsim.workload.onnx.branches import node_name
from accelsim.workload.onnx.constants import array_constant
from accelsim.workload.onnx.model import text
from accelsim.workload.onnx.names import Scope
from accelsim.workload.onnx.read import subgraphs
from accelsim.workload.onnx.walk import Walk, controls

__all__: list[str] = []

_EMPTY = "(empty optional)"


@controls("Optional")
def _optional(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    """With an input, that input; without, an optional that is empty."""
    del needed
    name, outer = node_name(proto), text(proto.output[0])
    where = f"node {name!r} (ai.onnx::Optional)"
    if len(proto.input) and text(proto.input[0]):
        walk.alias(walk.names.look_up(text(proto.input[0]), scope, where), outer, scope, prefix, name)
    else:
        walk.sequences[walk.names.declare(outer, scope, prefix)] = (_EMPTY,)


@controls("OptionalHasElement", "OptionalGetElement")
def _element(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    del needed
    name, outer, op_type = node_name(proto), text(proto.output[0]), text(proto.op_type)
    where = f"node {name!r} (ai.onnx::{op_type})"
    given = text(proto.input[0]) if len(proto.input) else ""
    source = walk.names.look_up(given, scope, where) if given else ""
    there = bool(source) and walk.sequences.get(source) != (_EMPTY,)
    if op_type == "OptionalHasElement":
        made = walk.names.declare(outer, scope, prefix)
        walk.add_constant(made, array_constant(made, np.array(there)))
    elif not there:
        raise walk.source.error("reads an optional that is empty", where)
    else:
        walk.alias(source, outer, scope, prefix, name)


@controls("SequenceMap")
def _map(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    """The body once for each element of the first sequence; other sequences go along, tensors are read whole."""
    name = node_name(proto)
    where = f"node {name!r} (ai.onnx::SequenceMap)"
    body = dict(subgraphs(proto)).get("body")
    inputs = [walk.names.look_up(text(each), scope, where) for each in proto.input]
    if body is None or len(body.input) != len(inputs) or len(body.output) != len(proto.output):
        raise walk.source.error("has a body whose inputs or outputs do not fit its own", where)
    if not inputs or inputs[0] not in walk.sequences:
        rule = f"reads {inputs[0] if inputs else ''!r}, which is not a sequence whose length is known"
        raise UnsupportedError(rule, file=walk.source.file, field=where)
    length = len(walk.sequences[inputs[0]])
    if any(len(walk.sequences[each]) != length for each in inputs if each in walk.sequences):
        raise walk.source.error("maps over sequences of different lengths", where)
    wanted = [(text(inner.name), text(outer)) for inner, outer in zip(body.output, proto.output, strict=True)
              if text(outer) in needed]  # fmt: skip
    made: dict[str, list[str]] = {outer: [] for _, outer in wanted}
    for index in range(length):
        walk.budget.spend(len(body.node) + 1, where, walk.source)
        child, path = scope.new_child(), f"{prefix}/{name}/{index}" if prefix else f"{name}/{index}"
        for inner, source in zip(body.input, inputs, strict=True):
            child[text(inner.name)] = walk.sequences[source][index] if source in walk.sequences else source
        walk.graph(body, child, {inner for inner, _ in wanted}, path)
        for inner, outer in wanted:
            made[outer].append(walk.names.look_up(inner, child, where))
    for outer, parts in made.items():
        walk.sequences[walk.names.declare(outer, scope, prefix)] = tuple(parts)

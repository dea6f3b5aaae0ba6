"""From the plain form of a model to the workload graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from accelsim.workload.graph import Graph, Role, Tensor
from accelsim.workload.onnx import ops_matrix, ops_vector  # noqa: F401  (they register their converters)
from accelsim.workload.onnx.model import ELEMENTS, Plain, TensorType
from accelsim.workload.onnx.ops_move import zero_cost as zero_cost_view
from accelsim.workload.onnx.site import CONVERTERS, Site
from accelsim.workload.ops import Move, Op, Recurrent

__all__ = ["CONVERTERS", "convert"]


def convert(plain: Plain, *, name: str, batch: int, zero_cost: Callable[[Any], bool]) -> Graph:
    """One op for each node of a model in plain form.

    Args:
        plain: the model.
        name: of the graph.
        batch: samples that one execution computes.
        zero_cost: whether a NodeProto is to cost nothing.

    Raises:
        InputError: a node breaks a rule of its operator.
        UnsupportedError: a node uses its operator in a way that is not modelled.
    """
    roles: dict[str, Role] = {}
    scratch: dict[str, TensorType] = {}
    ops: list[Op] = []
    for node in plain.nodes:
        site = Site(node, plain, roles, ops)
        ops.append(zero_cost_view(site) if zero_cost(node.proto) else CONVERTERS[node.key](site))
        scratch.update(site.scratch)
    for output in plain.outputs:
        if output in plain.constants:
            roles.setdefault(output, "constant")
    roles.update(dict.fromkeys(_states(ops, plain), "state"))
    tensors = _tensors(ops, plain, scratch, roles)
    return Graph(name, tuple(ops), tensors, plain.inputs, plain.outputs, batch)


def _tensors(ops: list[Op], plain: Plain, scratch: dict[str, TensorType], roles: dict[str, Role]) -> dict[str, Tensor]:
    stored = {constant.root: constant.root_type for constant in plain.constants.values()}
    stored |= {name: plain.types[name] for name in plain.outputs if name in plain.constants}
    tensors = {}
    used = (name for op in ops for name in (*op.inputs, *op.outputs))
    for name in dict.fromkeys((*plain.inputs, *used, *plain.outputs)):
        role = roles.get(name, "activation")
        if role in ("weight", "constant"):
            kind = stored[name]
            tensors[name] = Tensor(name, kind.shape, role, ELEMENTS[kind.element].format)
        else:
            kind = scratch[name] if name in scratch else plain.types[name]
            tensors[name] = Tensor(name, kind.shape, role)
    return tensors


def _states(ops: list[Op], plain: Plain) -> set[str]:
    """Graph inputs that reach the initial state of a recurrent layer without any arithmetic on the way."""
    producers = {output: op for op in ops for output in op.outputs}
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [name for op in ops if isinstance(op, Recurrent) for name in op.inputs[3:]]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        op = producers.get(name)
        if name in plain.inputs:
            found.add(name)
        elif isinstance(op, Move):
            waiting.extend(op.inputs)
    return found

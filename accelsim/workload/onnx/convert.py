"""From the plain form of a model to the workload graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accelsim.workload.graph import Graph, Role, Tensor
from accelsim.workload.onnx import (  # noqa: F401  (they register their converters)
    ops_attention,
    ops_contrib,
    ops_einsum,
    ops_experts,
    ops_matrix,
    ops_other,
    ops_quantized,
    ops_vector,
)
from accelsim.workload.onnx.model import ELEMENTS, Body, Node, Plain, TensorType
from accelsim.workload.onnx.ops_move import zero_cost as zero_cost_view
from accelsim.workload.onnx.recipe import file_recipe, spread_few_bits
from accelsim.workload.onnx.site import CONVERTERS, Site
from accelsim.workload.onnx.storage import stored_tensor
from accelsim.workload.ops import Loop, Op
from accelsim.workload.states import state_inputs

__all__ = ["CONVERTERS", "Converted", "convert", "converted"]

ZeroCost = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Converted:
    """The ops of a model in plain form and the tensors that they name."""

    ops: tuple[Op, ...]
    tensors: dict[str, Tensor]


def convert(plain: Plain, *, name: str, batch: int, zero_cost: ZeroCost) -> Graph:
    """The graph of a model in plain form: an op a node, or several for a node of a fused operator.

    Args:
        plain: the model.
        name: of the graph.
        batch: samples that one execution computes.
        zero_cost: whether a NodeProto is to cost nothing.

    Raises:
        InputError: a node breaks a rule of its operator.
        UnsupportedError: a node uses its operator in a way that is not modelled.
    """
    made = converted(plain, zero_cost)
    recipe = file_recipe(made.ops, made.tensors)
    facts = {"opset": plain.source.opsets.get("", 1), **_covered(plain, zero_cost, made.ops), **plain.facts}
    return Graph(
        name, made.ops, made.tensors, plain.inputs, plain.outputs, batch,
        recipes={recipe.name: recipe} if recipe else {}, parameters_used=facts,
    )  # fmt: skip


def converted(plain: Plain, zero_cost: ZeroCost, roles: dict[str, Role] | None = None) -> Converted:
    """The ops and tensors of a model in plain form (arguments and errors as `convert`'s).

    ``roles`` are those found so far of tensors that several graphs of one model share.
    """
    roles = {} if roles is None else roles
    scratch: dict[str, TensorType] = {}
    packed: dict[str, Tensor] = {}
    ops: list[Op] = []
    for node in plain.nodes:
        if node.name in plain.bodies:
            ops.append(_repeated(node, plain.bodies[node.name], zero_cost, roles))
            continue
        site = Site(node, plain, roles, ops)
        ops.append(zero_cost_view(site) if zero_cost(node.proto) else CONVERTERS[node.key](site))
        scratch.update(site.scratch)
        packed.update(site.packed)
    for output in plain.outputs:
        if output in plain.constants:
            roles.setdefault(output, "constant")
    own = roles | dict.fromkeys(state_inputs(ops, _float_inputs(plain)), "state")
    tensors = _tensors(ops, plain, scratch, own, packed)
    spread_few_bits(ops, tensors, plain.few_bits)
    return Converted(tuple(ops), tensors)


def _repeated(node: Node, body: Body, zero_cost: ZeroCost, roles: dict[str, Role]) -> Loop:
    inner = converted(body.plain, zero_cost, roles)
    tensors = dict(inner.tensors)
    for name in sorted(body.states):
        kind = body.plain.types[name]
        tensors[name] = stored_tensor(name, kind.shape, "state", kind.element)
    graph = Graph(f"{node.name}.step", inner.ops, tensors, body.plain.inputs, body.plain.outputs)
    return Loop(
        name=node.name, inputs=tuple(dict.fromkeys((*body.initial, *node.captured))), outputs=body.outputs,
        label=node.op_type, body=graph, steps=body.steps, carried=body.carried,
    )  # fmt: skip


def _covered(plain: Plain, zero_cost: ZeroCost, ops: tuple[Op, ...]) -> dict[str, float | str]:
    """The share of all MACs that the graph counts. What is free by the user's wish and known is counted for this."""
    free = [node for node in plain.nodes if zero_cost(node.proto)]
    if not free:
        return {"macs_covered": 1.0}
    types = ", ".join(sorted({node.op_type for node in free}))
    listed: dict[str, float | str] = {"nodes_at_no_cost": f"{len(free)} of {len(plain.nodes)}: {types}"}
    if unknown := [node for node in free if node.key not in CONVERTERS]:
        return listed | {"macs_covered": f"not known: {len(unknown)} of them are of operators that are not modelled"}
    counted = sum(op.macs for op in ops)
    left_out = 0
    for node in free:
        site = Site(node, plain, {}, [])
        last = CONVERTERS[node.key](site)
        left_out += last.macs + sum(op.macs for op in site.before)
    return {**listed, "macs_covered": counted / (counted + left_out) if left_out else 1.0}


def _tensors(
    ops: list[Op], plain: Plain, scratch: dict[str, TensorType], roles: dict[str, Role], packed: dict[str, Tensor]
) -> dict[str, Tensor]:
    stored = {constant.root: constant.root_type for constant in plain.constants.values()}
    stored |= dict(each.table for each in plain.constants.values() if each.table)
    stored |= {name: plain.types[name] for name in plain.outputs if name in plain.constants}
    tensors = {}
    used = (name for op in ops for name in (*op.inputs, *op.outputs))
    for name in dict.fromkeys((*plain.inputs, *used, *plain.outputs)):
        if name in packed:
            tensors[name] = packed[name]
            continue
        role = roles.get(name, "activation")
        if role in ("weight", "constant"):
            kind = stored[name]
        else:
            kind = scratch[name] if name in scratch else plain.types[name]
        tensors[name] = stored_tensor(name, kind.shape, role, kind.element, plain.few_bits.get(name))
    return tensors


def _float_inputs(plain: Plain) -> set[str]:
    """Inputs that could be states: indices and truth values are none."""
    kinds = {name: ELEMENTS[plain.types[name].element].name for name in plain.inputs}
    return {name for name, kind in kinds.items() if kind.startswith(("float", "bfloat"))}

"""From the plain form of a program to the workload graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from accelsim.workload.graph import Graph, Role, Tensor
from accelsim.workload.onnx.recipe import file_recipe
from accelsim.workload.ops import Op
from accelsim.workload.states import state_inputs
from accelsim.workload.torch import (  # noqa: F401  (they register their converters)
    ops_attention,
    ops_einsum,
    ops_matrix,
    ops_recurrent,
    ops_transform,
    ops_vector,
)
from accelsim.workload.torch.names import unique
from accelsim.workload.torch.ops_move import zero_cost as zero_cost_view
from accelsim.workload.torch.plain import Plain, PlainCall
from accelsim.workload.torch.program import ELEMENTS, Element, TensorType
from accelsim.workload.torch.site import CONVERTERS, Site
from accelsim.workload.torch.views import VIEWS

__all__ = ["convert"]


def convert(plain: Plain, *, name: str, zero_cost: Callable[[PlainCall], bool]) -> Graph:
    """The ops of each call of a plain program.

    An op bears the path of the module that makes it, followed by the node where the module makes several.

    Raises:
        InputError: a call breaks a rule of its operator.
        UnsupportedError: a call uses its operator in a way that is not modelled.
    """
    roles: dict[str, Role] = {}
    kinds: dict[str, TensorType] = {value.name: value.type for value in plain.inputs}
    ops: list[Op] = []
    for call, op_name in zip(plain.calls, _op_names(plain.calls), strict=True):
        site = Site(call, op_name, plain, roles, kinds, ops)
        try:
            zero_cost_view(site) if zero_cost(call) else CONVERTERS[call.key](site)
        except (ValueError, IndexError, ZeroDivisionError) as error:  # sizes that torch itself would have refused
            sizes = ", ".join(str(list(value.type.shape)) for value in call.tensors())
            raise site.error(f"does not take tensors of sizes {sizes}") from error
    for value in plain.outputs:
        if value.origin != "data":
            roles.setdefault(value.name, "weight" if value.origin == "parameter" else "constant")
            kinds.setdefault(value.name, value.stored)
    inputs = tuple(value.name for value in plain.inputs)
    roles.update(dict.fromkeys(state_inputs(ops, inputs), "state"))
    roles.update(dict.fromkeys((each for each in inputs if each in plain.states), "state"))
    outputs = tuple(dict.fromkeys(value.name for value in plain.outputs))
    used = dict.fromkeys((*inputs, *(each for op in ops for each in (*op.inputs, *op.outputs)), *outputs))
    tensors = {each: _tensor(each, kinds[each], roles.get(each, "activation")) for each in used}
    facts = {**_covered(plain, zero_cost, ops), **plain.facts}
    recipe = file_recipe(ops, tensors)
    return Graph(
        name, tuple(ops), tensors, inputs, outputs, plain.batch, parameters_used=facts,
        recipes={recipe.name: recipe} if recipe else {},
    )  # fmt: skip


def _tensor(name: str, kind: TensorType, role: Role) -> Tensor:
    element = ELEMENTS.get(kind.dtype, Element())
    return Tensor(name, kind.shape, role, element.format, stored_bits=element.bits)


def _covered(plain: Plain, zero_cost: Callable[[PlainCall], bool], ops: list[Op]) -> dict[str, float | str]:
    """The share of all MACs that the graph counts. What is free by the user's wish and known is counted for this."""
    free = [call for call in plain.calls if zero_cost(call)]
    if not free:
        return {"macs_covered": 1.0}
    labels = ", ".join(sorted({call.label for call in free}))
    listed: dict[str, float | str] = {"nodes_at_no_cost": f"{len(free)} of {len(plain.calls)}: {labels}"}
    if unknown := [call for call in free if call.key not in CONVERTERS]:
        return listed | {"macs_covered": f"not known: {len(unknown)} of them are of operators that are not modelled"}
    left_out: list[Op] = []
    for call in free:
        CONVERTERS[call.key](Site(call, call.name, plain, {}, {}, left_out))
    counted, not_counted = sum(op.macs for op in ops), sum(op.macs for op in left_out)
    return {**listed, "macs_covered": counted / (counted + not_counted) if not_counted else 1.0}


def _op_names(calls: tuple[PlainCall, ...]) -> list[str]:
    """A name for the op of each call: the module's where it is a leaf and does nothing else, else with the node's."""
    work = Counter(call.module for call in calls if call.key not in VIEWS)
    parents = {path[:place] for path in work for place, letter in enumerate(path) if letter == "."} | {""}
    taken: dict[str, int] = {}
    names = []
    for call in calls:
        alone = call.module not in parents and call.key not in VIEWS and work[call.module] == 1
        name = call.module if alone else f"{call.module}.{call.name}".lstrip(".")
        names.append(unique(name, taken))
    return names

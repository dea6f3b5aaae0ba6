"""A `torch.nn.Module` or `torch.export.ExportedProgram` to a `Program`. The only module here that needs torch."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import sympy
import torch
from torch.utils import _pytree as pytree

from accelsim.errors import UnsupportedError
from accelsim.workload.torch.program import (
    Argument,
    Body,
    Call,
    InputKind,
    Program,
    ProgramInput,
    Ref,
    Size,
    Source,
    SymbolicTensor,
)
from accelsim.workload.torch.sizes import symbol_of

__all__ = ["export_module", "read_exported"]

_KINDS: Mapping[str, InputKind] = {
    "USER_INPUT": "input",
    "PARAMETER": "parameter",
    "BUFFER": "buffer",
    "CONSTANT_TENSOR": "constant",
}


def export_module(
    module: Any, example_inputs: Any, kwargs: Mapping[str, Any] | None, dynamic_shapes: Any, name: str
) -> Any:
    """The ExportedProgram of a module, before any decomposition.

    Example inputs follow the module to the meta device when all that it stores is there.

    Raises:
        UnsupportedError: TorchScript, something that is no module, or a module that torch.export refuses.
    """
    where = f"module {name}"
    if isinstance(module, torch.jit.ScriptModule):
        remedy = "give the eager module that it was made from, or its torch.export program"
        raise UnsupportedError("is TorchScript, which is not read", file=where, remedy=remedy)
    if not isinstance(module, torch.nn.Module):
        rule = f"is a {type(module).__name__}: neither a torch.nn.Module, an ExportedProgram nor a path to a .pt2 file"
        raise UnsupportedError(rule, file=where)
    inputs = example_inputs if isinstance(example_inputs, tuple | list) else (example_inputs,)
    arguments, keywords = (tuple(inputs) if example_inputs is not None else ()), dict(kwargs or {})
    stored = [*module.parameters(), *module.buffers()]
    if stored and all(each.is_meta for each in stored):
        arguments, keywords = pytree.tree_map_only(torch.Tensor, lambda each: each.to("meta"), (arguments, keywords))
    try:
        with warnings.catch_warnings():
            # nn.LSTM and its kin name their weights a second time while they run; nothing is wrong with that.
            warnings.filterwarnings("ignore", message="The tensor attribute.*assigned during export")
            return torch.export.export(module, arguments, keywords, dynamic_shapes=dynamic_shapes, strict=False)
    except Exception as error:  # torch.export raises whatever tracing meets
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        remedy = "make the module exportable, or export it yourself and give the ExportedProgram"
        raise UnsupportedError(f"cannot be exported by torch.export ({reason})", file=where, remedy=remedy) from error


def read_exported(exported: Any, name: str) -> Program:
    """The records of an ExportedProgram. No weight is read."""
    source = Source(f"torch program {name}")
    signature = exported.graph_signature
    places = {fqn: _place(tensor) for fqn, tensor in exported.state_dict.items()}
    first_of = {place: fqn for fqn, place in reversed(places.items())}
    inputs = []
    for spec in signature.input_specs:
        kind = _KINDS.get(spec.kind.name, "other")
        stored = str(spec.target or "")
        stored = first_of[places[stored]] if stored in places else stored
        inputs.append(ProgramInput(str(getattr(spec.arg, "name", "")), kind, stored))
    body = _body(exported.graph_module, source)
    outputs = tuple(_spec_argument(spec.arg) for spec in signature.output_specs)
    body = Body(tuple(each.name for each in inputs), body.calls, outputs, body.values)
    spans = exported.range_constraints.items()
    ranges = {str(symbol): (_bound(span.lower), _bound(span.upper)) for symbol, span in spans}
    return Program(source, name, tuple(_typed(inputs, body)), body, _hints(exported.graph), ranges)


def _place(tensor: Any) -> tuple[object, ...]:
    """Where a stored tensor lies: tied weights lie at one place."""
    return tensor.untyped_storage()._cdata, tensor.storage_offset(), tuple(tensor.shape)


def _typed(inputs: Iterable[ProgramInput], body: Body) -> Iterable[ProgramInput]:
    """User inputs that are neither tensors nor numbers (None, strings) are no inputs of the graph."""
    for each in inputs:
        open_value = each.name in body.values
        yield each if open_value or each.kind != "input" else ProgramInput(each.name, "other")


def _spec_argument(argument: Any) -> Argument:
    if type(argument).__name__ == "ConstantArgument":
        return None
    return Ref(str(argument.name))


def _bound(value: Any) -> int | None:
    return int(value) if isinstance(value, sympy.Integer) else None


def _hints(graph: Any) -> dict[str, int]:
    """Sizes of the example inputs."""
    hints = {}
    for node in graph.nodes:
        if node.op != "placeholder":
            continue
        value = node.meta.get("val")
        for size in value.shape if isinstance(value, torch.Tensor) else (value,):
            if isinstance(size, torch.SymInt) and isinstance(size.node.hint, int):
                name = symbol_of(_expression(size.node.expr))
                if name is not None:
                    hints[name] = size.node.hint
    return hints


# Bodies


def _body(module: Any, source: Source) -> Body:
    """A GraphModule and those inside it."""
    renamed: dict[str, str] = {}  # a second getitem of one output to the first
    inputs: list[str] = []
    calls: list[Call] = []
    outputs: tuple[Argument, ...] = ()
    values: dict[str, SymbolicTensor | Size | float | None] = {}
    for node in module.graph.nodes:
        if node.op == "placeholder":
            inputs.append(node.name)
        elif node.op == "output":
            returned = node.args[0] if isinstance(node.args[0], tuple | list) else (node.args[0],)
            outputs = tuple(_argument(each, module, renamed, source) for each in returned)
        elif node.op == "call_function" and not _takes_part(node):
            calls.append(_call(node, module, renamed, source))
        if node.op in ("placeholder", "call_function"):
            _record(node, values)
    return Body(tuple(inputs), tuple(calls), outputs, values)


def _takes_part(node: Any) -> bool:
    """Whether a node only names one of several results of another."""
    return node.target is operator.getitem and isinstance(node.args[0].meta.get("val"), tuple | list)


def _record(node: Any, values: dict[str, SymbolicTensor | Size | float | None]) -> None:
    value = node.meta.get("val")
    if not isinstance(value, tuple | list) and (value is not None or node.op == "call_function"):
        values[node.name] = _value(value)


def _value(value: Any) -> SymbolicTensor | Size | float | None:
    if isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            rule = f"is stored as {value.layout}; only dense (torch.strided) tensors are modelled"
            raise UnsupportedError(rule, file="torch program", field="tensor")
        return SymbolicTensor(_dtype(value.dtype), tuple(map(_size, value.shape)), tuple(map(_size, value.stride())))
    if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
        return _expression(value.node.expr)
    return value if isinstance(value, int | float) else None


def _size(size: Any) -> Size:
    return int(size) if isinstance(size, int) else _expression(size.node.expr)


@lru_cache(maxsize=4096)
def _expression(expression: Any) -> str:
    return str(sympy.srepr(expression))


def _dtype(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _call(node: Any, module: Any, renamed: dict[str, str], source: Source) -> Call:
    target, overload, names = _operator(node.target)
    named = dict(zip(names, node.args, strict=False)) if names else {str(i): each for i, each in enumerate(node.args)}
    arguments = {key: _argument(each, module, renamed, source) for key, each in {**named, **node.kwargs}.items()}
    return Call(node.name, target, overload, arguments, _outputs(node, renamed), _module_path(node))


def _operator(target: Any) -> tuple[str, str, tuple[str, ...]]:
    """Name, overload and argument names of what a node calls."""
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name, target._overloadname, tuple(each.name for each in target._schema.arguments)
    if isinstance(target, torch._ops.HigherOrderOperator):
        return f"higher_order::{target.name()}", "", ()
    return f"{target.__module__}.{target.__name__}", "", ()


def _outputs(node: Any, renamed: dict[str, str]) -> tuple[str | None, ...]:
    value = node.meta.get("val")
    if not isinstance(value, tuple | list):
        return (node.name,)
    names: list[str | None] = [None] * len(value)
    for user in node.users:
        if user.target is operator.getitem:
            index = int(user.args[1])
            renamed[user.name] = names[index] = names[index] or user.name
    return tuple(names)


def _module_path(node: Any) -> str:
    stack = [each for each in (node.meta.get("nn_module_stack") or {}).values() if isinstance(each, tuple)]
    return str(stack[-1][0]) if stack else ""


def _argument(value: Any, module: Any, renamed: Mapping[str, str], source: Source) -> Argument:
    if isinstance(value, torch.fx.Node):
        if value.op == "get_attr":
            inner = getattr(module, value.target, None)
            if isinstance(inner, torch.fx.GraphModule):
                return _body(inner, source)
            raise source.unsupported("reads an attribute that is no graph", f"node {value.name}", value=value.target)
        return Ref(renamed.get(value.name, value.name))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_argument(each, module, renamed, source) for each in value)
    if isinstance(value, torch.dtype):
        return _dtype(value)
    if isinstance(value, torch.memory_format):
        return str(value).removeprefix("torch.")
    if isinstance(value, torch.SymInt):
        return str(_size(value))
    return value if isinstance(value, bool | int | float | str) else None

"""A model in plain form: one walk in file order fixes every shape, folds constants and inlines `If` branches.

One walk is enough: once the inputs have sizes, what a node reads is fully known when the node's turn comes, so
shape inference and folding never have to be repeated.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.onnx.bind import Binding, declared_type
from accelsim.workload.onnx.constants import Constant, Fold, array_constant, sparse_constant, stored_constant
from accelsim.workload.onnx.infer import infer_types, known_operator
from accelsim.workload.onnx.model import Node, Plain, Source, TensorType, text
from accelsim.workload.onnx.names import Names, Scope
from accelsim.workload.onnx.read import subgraphs
from accelsim.workload.onnx.support import Support, live_nodes, reads, standard_domain

__all__ = ["resolve"]

# Operators whose output size depends on values, but never exceeds their inputs' (times the rank).
_SIZED_BY_VALUE = frozenset({"Compress", "NonZero"})

# Operators that draw numbers: constant inputs do not make their outputs constant.
_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)

_EVALUATE_EVERY = 100  # depth at which lazy constants are computed, so that their recursion stays shallow


def resolve(graph: Any, source: Source, binding: Binding, support: Support) -> Plain:
    """The plain form of a GraphProto whose inputs are bound.

    Raises:
        InputError: a tensor that nothing makes, a node that breaks its operator's rules, a shape that stays unknown.
        UnsupportedError: an `If` that the data decides, or unmodelled nodes in a branch that is taken.
    """
    walk = _Walk(source, binding, support)
    scope: Scope = ChainMap()
    walk.inputs(scope)
    wanted = [text(each.name) for each in graph.output]
    walk.graph(graph, scope, set(wanted), "")
    outputs = tuple(dict.fromkeys(walk.names.look_up(name, scope, "graph outputs") for name in wanted))
    for name in outputs:
        walk.check_typed(name, "graph outputs")
    return walk.plain(outputs)


class _Walk:
    """What is known so far: the nodes kept, and the type of each tensor, or the node that left it without one."""

    def __init__(self, source: Source, binding: Binding, support: Support) -> None:
        self.source, self.binding, self.support = source, binding, support
        self.names = Names(source)
        self.nodes: list[Node] = []
        self.types: dict[str, TensorType] = {}
        self.constants: dict[str, Constant] = {}
        self.untyped: dict[str, Node] = {}

    def inputs(self, scope: Scope) -> None:
        for name, kind in self.binding.inputs.items():
            self.types[self.names.declare(name, scope, "")] = kind
        for name, value in self.binding.values.items():
            self.add_constant(name, array_constant(self.names.declare(name, scope, ""), value))

    def add_constant(self, name: str, constant: Constant) -> None:
        self.types[name], self.constants[name] = constant.type, constant
        if constant.depth and constant.depth % _EVALUATE_EVERY == 0:
            _ = constant.value

    def check_typed(self, name: str, reader: str) -> None:
        if name not in self.types:
            remedy = "fix the sizes that it depends on with shapes or values, or simplify the model before import"
            rule = f"reads {name!r}, whose shape depends on data that is known only at run time"
            maker = self.untyped.get(name)
            raise self.source.error(rule, f"{maker} -> {reader}" if maker else reader, remedy=remedy)

    # Graphs

    def graph(self, graph: Any, scope: Scope, outputs: set[str], prefix: str) -> None:
        """Walk the part of a GraphProto that its ``outputs`` depend on."""
        live, needed = live_nodes(graph, outputs)
        for stored in graph.initializer:
            if (name := text(stored.name)) in needed:
                unique = self.names.declare(name, scope, prefix)
                self.add_constant(unique, stored_constant(unique, stored, self.source))
        for sparse in graph.sparse_initializer:
            if (name := text(sparse.values.name)) in needed:
                unique = self.names.declare(name, scope, prefix)
                self.add_constant(unique, sparse_constant(unique, sparse, self.source))
        declared = {text(each.name): each for each in (*graph.value_info, *graph.output)}
        for proto in live:
            if standard_domain(proto) not in self.source.opsets and not self.support.zero_cost(proto):
                where = f"node {text(proto.name)!r} ({text(proto.op_type)})"
                raise self.source.error(f"is of domain {text(proto.domain)!r}, which opset_import lacks", where)
            if text(proto.op_type) == "If" and not standard_domain(proto) and not self.support.zero_cost(proto):
                self.branch(proto, scope, needed, prefix)
            else:
                self.node(self.placed(proto, scope, prefix), declared)

    def branch(self, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
        """Walk the branch of an `If` that its constant condition takes; its outputs become views of the branch's."""
        name = text(proto.name) or (text(proto.output[0]) if proto.output else "If")
        where = f"node {name!r} (ai.onnx::If)"
        branch = self.taken(proto, where, scope)
        if len(branch.output) != len(proto.output):
            rule = f"has {len(proto.output)} outputs where the branch taken has {len(branch.output)}"
            raise self.source.error(rule, where)
        pairs = [(text(i.name), text(o)) for i, o in zip(branch.output, proto.output, strict=True) if text(o) in needed]
        child, path = scope.new_child(), f"{prefix}/{name}" if prefix else name
        self.graph(branch, child, {inner for inner, _ in pairs}, path)
        for inner, outer in pairs:
            view = onnx.helper.make_node("Identity", [inner], [outer], name=f"{path}/{inner}")
            made = self.names.look_up(inner, child, where)
            node = Node(
                name=self.names.node(f"{path}/{inner}", "Identity", ""),
                op_type="Identity",
                domain="",
                opset=self.source.opsets[""],
                inputs=(made,),
                outputs=(self.names.declare(outer, scope, prefix),),
                captured=(),
                proto=view,
            )
            self.node(node, {})

    def taken(self, proto: Any, where: str, scope: Scope) -> Any:
        condition = self.names.look_up(text(proto.input[0]) if proto.input else "", scope, where)
        constant = self.constants.get(condition)
        value = constant.value if constant else None
        if value is None or value.size != 1:
            scalars = [each for each, kind in self.binding.inputs.items() if kind.elements == 1]
            hint = "".join(f", or give a scalar input its value (--value {each}=NUMBER)" for each in scalars)
            rule = f"chooses a branch by {condition!r}, which depends on data that is known only at run time"
            remedy = f"export the model with that choice made{hint}"
            raise UnsupportedError(rule, file=self.source.file, field=where, remedy=remedy)
        branches = dict(subgraphs(proto))
        wanted = "then_branch" if bool(value.reshape(-1)[0]) else "else_branch"
        if wanted not in branches:
            raise self.source.error(f"lacks its {wanted}", where)
        return branches[wanted]

    # Nodes

    def placed(self, proto: Any, scope: Scope, prefix: str) -> Node:
        """A NodeProto under unique names, after a check that all it reads exists."""
        domain, op_type = standard_domain(proto), text(proto.op_type)
        name = self.names.node(text(proto.name), op_type, prefix)
        where = f"node {name!r} ({domain or 'ai.onnx'}::{op_type})"
        inputs = tuple(self.names.look_up(text(each), scope, where) for each in proto.input)
        inside = [each for each in dict.fromkeys(reads(proto)) if each not in proto.input]
        captured = tuple(scope[each] for each in inside if each in scope)
        outputs = tuple(self.names.declare(text(each), scope, prefix) for each in proto.output)
        return Node(name, op_type, domain, self.source.opsets.get(domain, 0), inputs, outputs, captured, proto)

    def node(self, node: Node, declared: Mapping[str, Any]) -> None:
        if node.key == ("", "Constant"):
            self.add_constant(node.outputs[0], self.constant_node(node))
        elif node.key in (("", "Shape"), ("", "Size")):
            self.add_constant(node.outputs[0], array_constant(node.outputs[0], self.shape_value(node)))
        elif self.folds(node):
            self.fold(node)
        elif self.support.known(node.proto):
            self.keep(node, declared)
        else:
            raise self.support.error(node.proto)

    def folds(self, node: Node) -> bool:
        present = [name for name in node.inputs if name]
        if not present or node.domain or node.op_type in _RANDOM or any(True for _ in subgraphs(node.proto)):
            return False
        return all(name in self.constants for name in present)

    def fold(self, node: Node) -> None:
        """A node of constants only: its outputs are constants."""
        fold = Fold(node, tuple(self.constants.get(name) for name in node.inputs), self.source.opsets)
        for index, (name, kind) in enumerate(zip(node.outputs, self.infer(node), strict=True)):
            if kind is None and node.op_type in _SIZED_BY_VALUE:
                value = fold.result(index)
                kind = None if value is None else array_constant(name, value).type
            if name and kind is None:
                self.untyped[name] = node
            elif name and kind is not None:
                self.add_constant(name, fold.constant(index, kind))

    def keep(self, node: Node, declared: Mapping[str, Any]) -> None:
        """A node that stays: its outputs get the inferred types, else those that the file declares."""
        zero_cost = self.support.zero_cost(node.proto)
        try:
            types = self.infer(node)
        except InputError:
            if not zero_cost:
                raise
            types = [None] * len(node.outputs)
        for index, name in enumerate(node.outputs):
            kind, info = types[index], declared.get(text(node.proto.output[index]))
            if kind is None and info is not None:
                kind = declared_type(info, self.binding.symbols)
            if kind is None and zero_cost and node.inputs and not known_operator(node):
                kind = self.types.get(node.inputs[0])
            if name and kind is not None:
                self.types[name] = kind
            elif name:
                self.untyped[name] = node
            if kind is not None and name and not kind.elements:  # what holds nothing is known, and takes no work
                self.add_constant(name, Constant(kind, name, kind, lambda: None))
        if any(name not in self.constants for name in filter(None, node.outputs)):
            self.nodes.append(node)

    def infer(self, node: Node) -> list[TensorType | None]:
        for name in filter(None, node.inputs):
            self.check_typed(name, str(node))
        return infer_types(node, self.types, self.constants, self.source)

    def constant_node(self, node: Node) -> Constant:
        """The one attribute of a Constant node."""
        name, attributes = node.outputs[0], node.proto.attribute
        attribute = attributes[0] if len(attributes) == 1 else onnx.AttributeProto()
        if attribute.HasField("t"):
            return stored_constant(name, attribute.t, self.source)
        if attribute.HasField("sparse_tensor"):
            return sparse_constant(name, attribute.sparse_tensor, self.source)
        dtypes = {"value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8"}
        try:
            value = onnx.helper.get_attribute_value(attribute)
            return array_constant(name, np.asarray(value, dtype=dtypes[text(attribute.name)]))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise self.source.error("must hold one number, list of numbers or tensor", str(node)) from error

    def shape_value(self, node: Node) -> np.ndarray[Any, Any]:
        """What Shape or Size give, from the type of their input alone."""
        name = node.inputs[0] if node.inputs else ""
        self.check_typed(name, str(node))
        kind = self.types[name]
        if node.op_type == "Size":
            return np.array(kind.elements, dtype=np.int64)
        ends = {text(each.name): each.i for each in node.proto.attribute}
        return np.array(kind.shape[ends.get("start", 0) : ends.get("end", len(kind.shape))], dtype=np.int64)

    def plain(self, outputs: tuple[str, ...]) -> Plain:
        """What the outputs depend on, now that folding has cut loose what shapes alone needed."""
        needed, live = set(outputs), []
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.outputs):
                live.append(node)
                needed.update((*node.inputs, *node.captured))
        inputs = tuple(name for name in self.binding.inputs if name in needed)
        return Plain(self.source, tuple(live[::-1]), self.types, self.constants, inputs, outputs)

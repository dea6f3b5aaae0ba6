"""The walk over a model in file order: what is known of each tensor when its readers' turn comes."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.onnx.bind import Binding, declared_type
from accelsim.workload.onnx.constants import Constant, Fold, array_constant, sparse_constant, stored_constant
from accelsim.workload.onnx.contrib import QONNX_DOMAINS, known_contrib
from accelsim.workload.onnx.infer import infer_types, known_operator
from accelsim.workload.onnx.model import Body, Node, OpenShapeError, Plain, Source, TensorType, text
from accelsim.workload.onnx.names import Names, Scope
from accelsim.workload.onnx.options import ImportOptions
from accelsim.workload.onnx.read import subgraphs
from accelsim.workload.onnx.storage import FLOATS
from accelsim.workload.onnx.support import Support, live_nodes, reads, standard_domain

__all__ = ["CONTROL", "Budget", "Control", "Walk", "controls"]

# Operators whose output size depends on values, but never exceeds their inputs' (times the rank).
_SIZED_BY_VALUE = frozenset({"Compress", "NonZero"})

# Operators that draw numbers: constant inputs do not make their outputs constant.
_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)

# Quantisers of other domains, which leave a constant the stored tensor that it is.
_QUANTISERS = {("com.microsoft", "DequantizeLinear"), ("com.microsoft", "QuantizeLinear")}
_QONNX_TYPES = ("Quant", "IntQuant", "BipolarQuant", "Trunc", "FloatQuant")
_QONNX = {(domain, op_type) for domain in QONNX_DOMAINS for op_type in _QONNX_TYPES}

_EVALUATE_EVERY = 100  # depth at which lazy constants are computed, so that their recursion stays shallow

MAX_REPEATED_NODES = 20_000

Control = Callable[["Walk", Any, Scope, set[str], str], None]

# Operators of the standard domain that steer the walk rather than compute; `branches`, `loops` and `sequences` fill it.
CONTROL: dict[str, Control] = {}


def controls(*op_types: str) -> Callable[[Control], Control]:
    """Register what the walk does at an op type, given (walk, NodeProto, scope, needed outputs, prefix)."""

    def register(control: Control) -> Control:
        CONTROL.update(dict.fromkeys(op_types, control))
        return control

    return register


@dataclass(slots=True)
class Budget:
    """Nodes that may still be written more often than the file writes them."""

    nodes: int

    def spend(self, count: int, where: str, source: Source) -> None:
        self.check(count, where, source)
        self.nodes -= count

    def check(self, count: int, where: str, source: Source) -> None:
        """Refuse ``count`` more nodes if so many may not be written."""
        if count > self.nodes:
            rule = "unrolls to more nodes than are read, together with the other loops and branches of the model"
            remedy = "export the model with loops whose steps have one shape, or give fewer steps with trips"
            raise UnsupportedError(rule, file=source.file, field=where, remedy=remedy)


class Walk:
    """What is known so far: the nodes kept, and the type of each tensor, or the node that left it without one.

    Args:
        source: where the model came from.
        binding: its inputs, bound.
        support: what can be modelled.
        options: what the user chose.
        measured: types found by running the model, by the file's names.
        outer: the walk in whose node this one stands.
    """

    rolls = True
    """Whether a loop whose steps are alike becomes one body; else all steps are written out."""

    def __init__(
        self, source: Source, binding: Binding, support: Support, options: ImportOptions,
        measured: Mapping[str, TensorType], outer: Walk | None = None,
    ) -> None:  # fmt: skip
        self.source, self.binding, self.support, self.options = source, binding, support, options
        self.measured = measured
        self.reached: list[tuple[Node, bool]] = []  # every node walked over, and whether it was kept
        self.names: Names = outer.names if outer else Names(source)
        self.budget: Budget = outer.budget if outer else Budget(MAX_REPEATED_NODES)
        self.facts: dict[str, int | float | str | bool] = outer.facts if outer else {}
        self.types: MutableMapping[str, TensorType] = _layer(outer and outer.types)
        self.constants: MutableMapping[str, Constant] = _layer(outer and outer.constants)
        self.untyped: MutableMapping[str, Node] = _layer(outer and outer.untyped)
        self.sequences: MutableMapping[str, tuple[str, ...]] = _layer(outer and outer.sequences)
        self.few_bits: MutableMapping[str, int | str] = _layer(outer and outer.few_bits)
        self.bodies: MutableMapping[str, Body] = _layer(outer and outer.bodies)

    def trial(self) -> Walk:
        """A walk over a subgraph that becomes a graph of its own, or that is forgotten; this one stays as it is."""
        inner = Walk(self.source, self.binding, self.support, self.options, {}, self)
        inner.names, inner.facts = self.names.trial(), dict(self.facts)
        return inner

    def inputs(self, scope: Scope) -> None:
        for name, kind in self.binding.inputs.items():
            self.types[self.names.declare(name, scope, "")] = kind
        for name, value in self.binding.values.items():
            self.add_constant(name, array_constant(self.names.declare(name, scope, ""), value))

    def add_constant(self, name: str, constant: Constant) -> None:
        self.types[name], self.constants[name] = constant.type, constant
        if constant.depth and constant.depth % _EVALUATE_EVERY == 0:
            _ = constant.value

    def known_value(self, name: str) -> np.ndarray[Any, Any] | None:
        """The value of a constant that can be read; None for anything else."""
        constant = self.constants.get(name)
        return constant.value if constant else None

    def check_typed(self, name: str, reader: str) -> None:
        if name in self.types:
            return
        if name in self.sequences:
            raise self.source.error(f"reads {name!r}, which is a sequence of tensors", reader)
        remedy = "fix the sizes that it depends on with shapes or values, or let the model run once (measure_shapes, "
        remedy += "--measure-shapes)"
        rule = f"reads {name!r}, whose shape depends on data that is known only at run time"
        maker = self.untyped.get(name)
        field = f"{maker} -> {reader}" if maker else reader
        raise OpenShapeError(rule, file=self.source.file, field=field, remedy=remedy)

    # Graphs

    def graph(self, graph: Any, scope: Scope, outputs: set[str], prefix: str) -> None:
        """Walk the part of a GraphProto that its ``outputs`` depend on."""
        live, needed = live_nodes(graph, outputs)
        self.stored(graph, scope, needed, prefix)
        declared = {text(each.name): each for each in (*graph.value_info, *graph.output)}
        for proto in live:
            domain, zero_cost = standard_domain(proto), self.support.zero_cost(proto)
            if domain not in self.source.opsets and not zero_cost:
                where = f"node {text(proto.name)!r} ({text(proto.op_type)})"
                raise self.source.error(f"is of domain {text(proto.domain)!r}, which opset_import lacks", where)
            control = CONTROL.get(text(proto.op_type)) if not domain and not zero_cost else None
            if control is not None:
                control(self, proto, scope, needed, prefix)
            else:
                self.node(self.placed(proto, scope, prefix), declared, top=not prefix)

    def stored(self, graph: Any, scope: Scope, needed: set[str], prefix: str) -> None:
        for stored in graph.initializer:
            if (name := text(stored.name)) in needed:
                unique = self.names.declare(name, scope, prefix)
                self.add_constant(unique, stored_constant(unique, stored, self.source))
        for sparse in graph.sparse_initializer:
            if (name := text(sparse.values.name)) in needed:
                unique = self.names.declare(name, scope, prefix)
                self.add_constant(unique, sparse_constant(unique, sparse, self.source))

    def alias(self, made: str, outer: str, scope: Scope, prefix: str, name: str) -> None:
        """The tensor or sequence ``made`` under the file's name ``outer``: a view of it."""
        unique = self.names.declare(outer, scope, prefix)
        if made in self.sequences:
            self.sequences[unique] = self.sequences[made]
            return
        view = onnx.helper.make_node("Identity", [made], [unique], name=name)
        node = self.made("Identity", name, (made,), (unique,), view)
        self.node(node, {})

    def made(self, op_type: str, name: str, inputs: Iterable[str], outputs: Iterable[str], proto: Any = None) -> Node:
        """A node of the standard domain that the file does not hold."""
        inputs, outputs = tuple(inputs), tuple(outputs)
        proto = proto or onnx.helper.make_node(op_type, list(inputs), list(outputs), name=name)
        unique = self.names.node(name, op_type, "")
        return Node(unique, op_type, "", self.source.opsets.get("", 1), inputs, outputs, (), proto)

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

    def node(self, node: Node, declared: Mapping[str, Any], *, top: bool = False) -> None:
        if node.key == ("", "Constant"):
            self.add_constant(node.outputs[0], self.constant_node(node))
        elif node.key in (("", "Shape"), ("", "Size")):
            self.add_constant(node.outputs[0], array_constant(node.outputs[0], self.shape_value(node)))
            self.append(node, keep=False)
        elif self.folds(node):
            self.fold(node)
            self.append(node, keep=False)
        elif self.support.known(node.proto):
            self.keep(node, declared, self.measured if top else {})
        else:
            raise self.support.error(node.proto)
        if node.key in _QONNX:
            self.quantised(node)

    def folds(self, node: Node) -> bool:
        present = [name for name in node.inputs if name]
        if not present or node.op_type in _RANDOM or any(True for _ in subgraphs(node.proto)):
            return False
        if node.domain and node.key not in _QUANTISERS | _QONNX:
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

    def quantised(self, node: Node) -> None:
        """Bits or format of a QONNX quantiser's values: those of the stored tensor, where that is what it quantises."""
        if node.op_type == "FloatQuant":
            self.few_bits[self.root_of(node.outputs[0])] = self.float_format(node)
            return
        place = {"BipolarQuant": None, "Trunc": len(node.inputs) - 1}.get(node.op_type, 3)  # last in both versions
        bits = 1.0
        if place is not None:
            found = self.known_value(node.inputs[place]) if place < len(node.inputs) else None
            bits = float(found.reshape(-1)[0]) if found is not None and found.size == 1 else 0.0
        if not (1 <= bits <= 64 and bits == int(bits)):
            raise UnsupportedError(
                "needs a constant number of bits from 1 to 64", file=self.source.file, field=str(node)
            )
        self.few_bits[self.root_of(node.outputs[0])] = int(bits)

    def root_of(self, name: str) -> str:
        """The stored tensor that a constant was made from; any other tensor is itself."""
        constant = self.constants.get(name)
        return constant.root if constant else name

    def float_format(self, node: Node) -> str:
        """The format of a FloatQuant's values, from its bits of exponent and mantissa."""
        found = [self.known_value(name) for name in node.inputs[2:4]]
        sizes = tuple(float(each.reshape(-1)[0]) for each in found if each is not None and each.size == 1)
        if sizes not in FLOATS:
            rule = f"makes floats of (exponent, mantissa) bits {sizes}, and no format is like that"
            remedy = f"use one of {', '.join(sorted(FLOATS.values()))}, with constant widths"
            raise UnsupportedError(rule, file=self.source.file, field=str(node), remedy=remedy)
        return FLOATS[sizes]

    def keep(self, node: Node, declared: Mapping[str, Any], measured: Mapping[str, TensorType]) -> None:
        """A node that stays: its outputs get the inferred types, else those that the file declares or a run found."""
        zero_cost = self.support.zero_cost(node.proto)
        try:
            types = self.infer(node)
        except InputError:
            if not zero_cost:
                raise
            types = [None] * len(node.outputs)
        for index, name in enumerate(node.outputs):
            own, kind = text(node.proto.output[index]), types[index]
            info = declared.get(own)
            if kind is None and info is not None:
                kind = declared_type(info, self.binding.symbols)
            kind = kind or measured.get(own)
            if kind is None and zero_cost and node.inputs and not (known_operator(node) or known_contrib(node)):
                kind = self.types.get(node.inputs[0])
            self.typed(node, name, kind)
        self.append(node, keep=any(name not in self.constants for name in filter(None, node.outputs)))

    def append(self, node: Node, *, keep: bool = True) -> None:
        """Note a node whose outputs are known; without ``keep`` it is no op, but others may run for it."""
        self.reached.append((node, keep))

    def typed(self, node: Node, name: str, kind: TensorType | None) -> None:
        """Note the type of an output, or that it has none."""
        if not name:
            return
        if kind is None:
            self.untyped[name] = node
            return
        self.types[name] = kind
        if not kind.elements:  # what holds nothing is known, and takes no work
            self.add_constant(name, Constant(kind, name, kind, lambda: None))

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

    # The result

    def live(self, outputs: Iterable[str]) -> tuple[list[Node], set[str]]:
        """The nodes that the outputs depend on, and what they read.

        As in the file: a tensor of which only the shape is used is made all the same. What decided a branch that
        has been taken is not.
        """
        needed, live = set(outputs), []
        for node, kept in reversed(self.reached):
            if not needed.isdisjoint(node.outputs):
                needed.update((*node.inputs, *node.captured))
                if kept:
                    live.append(node)
        return live[::-1], needed

    def plain(self, nodes: Iterable[Node], inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Plain:
        return Plain(
            self.source, tuple(nodes), self.types, self.constants, inputs, outputs, self.few_bits, self.bodies,
            self.facts,
        )  # fmt: skip


def _layer(outer: Any) -> Any:
    """What an inner walk adds stays its own; what the outer one knows, it knows too."""
    return {} if outer is None else ChainMap({}, outer)

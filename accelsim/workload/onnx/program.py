"""An ONNX model as nodes to run one by one: the nodes that became a graph's ops, with the values that they read.

The walk is that of the importer, so that a node here bears the name of the op that it became.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import onnx
import onnx.numpy_helper

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.graph import Graph
from accelsim.workload.onnx.bind import bind_inputs
from accelsim.workload.onnx.constants import external_bytes
from accelsim.workload.onnx.model import ELEMENTS, Body, Node, Source, TensorType, text
from accelsim.workload.onnx.names import Scope
from accelsim.workload.onnx.options import ImportOptions
from accelsim.workload.onnx.read import read_model
from accelsim.workload.onnx.support import Support
from accelsim.workload.onnx.walk import Budget, Walk

__all__ = ["MODEL_ENDING", "Program", "read_program"]

MODEL_ENDING = ".onnx"
_MAX_NODES = 500_000
"""Of all steps of loops."""
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Program:
    """A model to run.

    Attributes:
        file: the model, for errors.
        opsets: version of each operator domain.
        nodes: in an order in which each runs after those that it reads, nodes of constants included; steps of loops
            stand one after the other.
        ops: by node name, the name of the op that the node became; nodes of the steps of one loop became one op.
        values: initialisers, and what constants alone decide, by tensor name.
        roots: of constants, the stored tensor that each was made from.
        dequantized: the node of each tensor that a DequantizeLinear makes, constants included.
        elements: of what a DequantizeLinear reads, the ONNX element type by tensor name.
        inputs: types of what a run is given.
        outputs: names of what it gives.
    """

    file: str
    opsets: Mapping[str, int]
    nodes: tuple[Node, ...]
    ops: Mapping[str, str]
    values: Mapping[str, Array]
    roots: Mapping[str, str]
    dequantized: Mapping[str, Node]
    elements: Mapping[str, int]
    inputs: Mapping[str, TensorType]
    outputs: tuple[str, ...]


class _Walk(Walk):
    """A walk that writes out all steps of loops, and keeps the stored tensors at hand, however large they are."""

    rolls = False

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.stored_protos: dict[str, Any] = {}
        self.budget = Budget(_MAX_NODES)

    def stored(self, graph: Any, scope: Scope, needed: set[str], prefix: str) -> None:
        super().stored(graph, scope, needed, prefix)
        for each in graph.initializer:
            if (name := text(each.name)) in needed:
                self.stored_protos[scope[name]] = each

    def constant_node(self, node: Node) -> Any:
        made = super().constant_node(node)
        tensors = [each.t for each in node.proto.attribute if each.HasField("t")]
        self.stored_protos.update((node.outputs[0], each) for each in tensors)
        return made


def read_program(graph: Graph) -> Program:
    """The program of the model that ``graph`` was imported from, with the options of that import.

    Raises:
        UnsupportedError: the graph has no values (it was not imported from ONNX, or was rewritten), or the model has
            shapes that only a run tells.
        InputError: the file is gone or has changed.
    """
    where = f"workload {graph.name}"
    if graph.origin is None or not graph.origin.lower().endswith(MODEL_ENDING):
        raise UnsupportedError("has shapes and no values, so nothing can be computed", file=where,
                               remedy="give the path of an ONNX model, or a bundled workload")  # fmt: skip
    if graph.rewrites:
        raise UnsupportedError("is rewritten, and the values of its ops are those of the model as it was", file=where,
                               remedy="emulate the model without rewrites")  # fmt: skip
    model, source = read_model(graph.origin)
    walk, outputs = _walked(_Walk, model, source, _options(graph))
    nodes, needed = _live(walk, outputs)
    values = {name: value for name in needed if (value := _value(walk, name, source)) is not None}
    roots = {name: each.root for name, each in walk.constants.items()}
    inputs = {name: kind for name, kind in walk.binding.inputs.items() if name in needed}
    left = tuple(node for node in nodes if not all(name in values for name in filter(None, node.outputs)))
    imported, _ = _walked(Walk, model, source, _options(graph))
    ops = _op_names(walk.reached, [*imported.reached, *_inside(imported.bodies)], source)
    elements = {name: kind.element for name, kind in walk.types.items()}
    dequantized = {node.outputs[0]: node for node in nodes if node.op_type == "DequantizeLinear"}
    return Program(source.file, source.opsets, left, ops, values, roots, dequantized, elements, inputs, outputs)


def _inside(bodies: Mapping[str, Body], seen: frozenset[str] = frozenset()) -> list[tuple[Node, bool]]:
    """The nodes of loop bodies, those of loops inside of them included; inner ones know the outer ones, too."""
    found = []
    for name in bodies.keys() - seen:
        plain = bodies[name].plain
        found += [(node, True) for node in plain.nodes]
        found += _inside(plain.bodies, seen | bodies.keys())
    return found


def _op_names(
    written: Sequence[tuple[Node, bool]], imported: Sequence[tuple[Node, bool]], source: Source
) -> dict[str, str]:
    """By the name of each node as written out, that of its op: the node of the importer that has the same proto."""
    names: dict[int, list[str]] = {}
    for node, _ in imported:
        names.setdefault(id(node.proto), []).append(node.name)
    steps: dict[int, list[Node]] = {}
    for node, _ in written:
        if id(node.proto) in names:
            steps.setdefault(id(node.proto), []).append(node)
    found: dict[str, str] = {}
    for key, nodes in steps.items():
        each, rest = divmod(len(nodes), len(names[key]))
        if rest:
            raise UnsupportedError("runs in loops inside of each other whose steps differ, which is not emulated",
                                   file=source.file, field=str(nodes[0]))  # fmt: skip
        found.update((node.name, names[key][place // each]) for place, node in enumerate(nodes))
    return found


def _options(graph: Graph) -> ImportOptions:
    given: dict[str, Any] = dict(graph.overrides)
    given["shapes"] = {name: tuple(shape) for name, shape in given.get("shapes", {}).items()}
    return ImportOptions(**given | {"allow_zero_cost": frozenset(given.get("allow_zero_cost", ()))})


_W = TypeVar("_W", bound=Walk)


def _walked(kind: type[_W], model: Any, source: Source, options: ImportOptions) -> tuple[_W, tuple[str, ...]]:
    if options.measure_shapes:
        raise UnsupportedError("has shapes that only a run tells, which are not emulated", file=source.file,
                               field="measure_shapes", remedy="fix them with shapes or values")  # fmt: skip
    stored = {each.name for each in model.graph.initializer} | set(options.values)
    support = Support(model.graph, source, options.allow_zero_cost, stored)
    binding = bind_inputs(model.graph, source, dict(options.shapes), dict(options.values), options.batch)
    walk = kind(source, binding, support, options, {})
    scope: Scope = ChainMap()
    walk.inputs(scope)
    wanted = [text(each.name) for each in model.graph.output]
    walk.graph(model.graph, scope, set(wanted), "")
    return walk, tuple(dict.fromkeys(walk.names.look_up(name, scope, "graph outputs") for name in wanted))


def _live(walk: Walk, outputs: tuple[str, ...]) -> tuple[list[Node], set[str]]:
    """The nodes that the outputs depend on, those of constants included, and every tensor that they read."""
    needed, live = set(outputs), []
    for node, _ in reversed(walk.reached):
        if not needed.isdisjoint(node.outputs):
            needed.update(filter(None, (*node.inputs, *node.captured)))
            live.append(node)
    return live[::-1], needed


def _value(walk: _Walk, name: str, source: Source) -> Array | None:
    """What a constant holds; None where only running its node tells, or for no constant."""
    if name in walk.stored_protos:
        return _stored(walk.stored_protos[name], name, source)
    return walk.known_value(name)


def _stored(proto: Any, name: str, source: Source) -> Array:
    try:
        if proto.data_location == onnx.TensorProto.EXTERNAL:
            raw = external_bytes(proto, source)
            proto = onnx.TensorProto(dims=proto.dims, data_type=proto.data_type, raw_data=raw)
        return np.asarray(onnx.numpy_helper.to_array(proto))
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        kind = ELEMENTS[proto.data_type].name
        raise InputError(f"cannot be read as {kind} ({error})", file=source.file, field=f"tensor {name}") from error

"""The stages of the ONNX front end, in order."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from accelsim.errors import InputError
from accelsim.workload.graph import Graph
from accelsim.workload.onnx.bind import Binding, bind_inputs
from accelsim.workload.onnx.branches import node_name
from accelsim.workload.onnx.convert import convert
from accelsim.workload.onnx.model import OpenShapeError, Plain, Source, text
from accelsim.workload.onnx.options import ImportOptions, checked_options
from accelsim.workload.onnx.read import read_model, subgraphs
from accelsim.workload.onnx.resolve import resolve
from accelsim.workload.onnx.support import Support

__all__ = ["import_model"]


def import_model(path: str | PathLike[str], options: ImportOptions) -> Graph:
    """`from_onnx` with its options gathered."""
    model, source = read_model(path)
    if options.branches or options.trips:
        checked_options(options, _choosers(model.graph, {}), source.file)
    stored = {each.name for each in model.graph.initializer}
    stored |= {each.values.name for each in model.graph.sparse_initializer}
    support = Support(model.graph, source, options.allow_zero_cost, stored | set(options.values))
    support.check()
    binding = bind_inputs(model.graph, source, dict(options.shapes), dict(options.values), options.batch)
    plain = _resolved(model, source, binding, support, options)
    graph = convert(plain, name=Path(path).stem, batch=binding.batch, zero_cost=support.zero_cost)
    sizes = {f"dimension {name}": each.size for name, each in binding.dimensions.items()}
    return replace(graph, origin=str(path), overrides=options.given(), dimensions=binding.dimensions,
                   parameters_used={**sizes, **graph.parameters_used})  # fmt: skip


def _resolved(model: Any, source: Source, binding: Binding, support: Support, options: ImportOptions) -> Plain:
    """The plain form; where only data tells a shape and the user allows it, after one run of the model."""
    try:
        return resolve(model.graph, source, binding, support, options, {})
    except OpenShapeError as error:
        if not options.measure_shapes:
            raise InputError(error.rule, file=error.file, field=error.field, remedy=error.remedy) from None
    from accelsim.workload.onnx.measure import measured_types

    measured = measured_types(model, source, binding)
    plain = resolve(model.graph, source, binding, support, options, measured.types)
    return Plain(
        plain.source, plain.nodes, plain.types, plain.constants, plain.inputs, plain.outputs, plain.few_bits,
        plain.bodies, {**plain.facts, "shapes_measured": measured.how},
    )  # fmt: skip


def _choosers(graph: Any, found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Names of all `If` and `Loop` nodes, by op type."""
    for node in graph.node:
        if text(node.op_type) in ("If", "Loop"):
            found.setdefault(text(node.op_type), set()).add(node_name(node))
        for _, inner in subgraphs(node):
            _choosers(inner, found)
    return found

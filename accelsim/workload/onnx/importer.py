"""The stages of the ONNX front end, in order."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from accelsim.workload.graph import Graph
from accelsim.workload.onnx.bind import bind_inputs
from accelsim.workload.onnx.convert import convert
from accelsim.workload.onnx.read import read_model
from accelsim.workload.onnx.resolve import resolve
from accelsim.workload.onnx.support import Support

__all__ = ["import_model"]


def import_model(
    path: str | PathLike[str],
    shapes: dict[str, tuple[int, ...]],
    values: dict[str, float | int],
    batch: int | None,
    allowed: frozenset[str],
) -> Graph:
    """`from_onnx` with its defaults filled in."""
    model, source = read_model(path)
    stored = {each.name for each in model.graph.initializer}
    stored |= {each.values.name for each in model.graph.sparse_initializer}
    support = Support(model.graph, source, allowed, stored | set(values))
    support.check()
    binding = bind_inputs(model.graph, source, shapes, values, batch)
    plain = resolve(model.graph, source, binding, support)
    return convert(plain, name=Path(path).stem, batch=binding.batch, zero_cost=support.zero_cost)

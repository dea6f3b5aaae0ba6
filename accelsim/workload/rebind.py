"""Other sizes for the named dimensions of an imported model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.bundled.parameters import checked_size
from accelsim.workload.graph import Graph
from accelsim.workload.load import load_workload
from accelsim.workload.rewrite.registry import reapplied

__all__ = ["rebound"]

_BATCH = "batch"


def rebound(graph: Graph, sizes: Mapping[str, object]) -> Graph:
    """See `Graph.rebind`. What else was said on import stays as it was."""
    where = f"workload {graph.name}"
    if graph.origin is None or not graph.dimensions:
        raise InputError("comes from no model file with named dimensions, so its sizes cannot change", file=where,
                         remedy="load it with the sizes that you want")  # fmt: skip
    batched = [name for name, each in graph.dimensions.items() if each.batch]
    wanted = {name: each.size for name, each in graph.dimensions.items()}
    others: dict[str, Any] = {key: value for key, value in graph.overrides.items() if key not in (_BATCH, "shapes")}
    for name, given in sizes.items():
        if name not in graph.dimensions and name != _BATCH:
            known = {_BATCH, *graph.dimensions}
            raise UnknownNameError("dimension of this model", name, known, file=where)
        size = checked_size(given, file=where, field=name)
        wanted.update(dict.fromkeys([name] if name in graph.dimensions else batched, size))
        if name == _BATCH and not batched:
            others[_BATCH] = size
    return reapplied(load_workload(graph.origin, **others, shapes=_shapes(graph, wanted)), graph)


def _shapes(graph: Graph, wanted: Mapping[str, int]) -> dict[str, list[int]]:
    """The shapes given on import with the wanted sizes in them, and every dimension by its name."""
    before: Any = graph.overrides.get("shapes", {})
    inputs = {name for each in graph.dimensions.values() for name, _ in each.axes}
    shapes = {name: list(shape) for name, shape in before.items() if name not in graph.dimensions or name in inputs}
    for name, size in wanted.items():
        for given, axis in graph.dimensions[name].axes:
            if given in shapes:
                shapes[given][axis] = size
        if name not in inputs:
            shapes[name] = [size]
    return shapes

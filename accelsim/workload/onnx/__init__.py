"""The ONNX front end: a model file becomes a workload graph, with no weight copied and no file trusted.

The stages, each in its own module:

    read      bytes to a ModelProto whose outline holds together
    bind      sizes for the dynamic axes, values for the scalar inputs
    support   every node that accelsim does not model, told at once
    resolve   one walk in file order: shapes, constants, branches, loops, sequences -> the plain form (model.Plain)
    measure   only on demand: one run of the model for the shapes that data decides
    convert   plain nodes to typed ops, one small function an op type (the ``ops_*`` modules)
    recipe    the formats of a quantised model
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike

from accelsim.workload.graph import Graph

__all__ = ["from_onnx"]


def from_onnx(
    path: str | PathLike[str],
    *,
    shapes: Mapping[str, tuple[int, ...] | int] | None = None,
    values: Mapping[str, float | int] | None = None,
    batch: int | None = None,
    allow_zero_cost: Collection[str] = (),
    branches: Mapping[str, str | float] | None = None,
    trips: Mapping[str, int] | None = None,
    measure_shapes: bool = False,
) -> Graph:
    """The workload graph of an ONNX model.

    What depends only on constants and (now fixed) shapes is folded away, every `If` is replaced by the branch
    that its condition takes, and nodes that reach no output are dropped; each node that is left is one op.
    Weights are never read unless a shape depends on them, so external data need not be present.

    Args:
        path: the model file; at most 2 GiB, weights stored outside it not counted.
        shapes: sizes of inputs with dynamic axes, by input name: ``{"input": (1, 3, 224, 224)}``. A named
            dimension that one input fixes is fixed in all of them, and may be given by itself: ``{"sequence": 512}``.
        values: numbers for one-element inputs, which become constants: ``{"sr": 16000}``.
        batch: samples that one execution computes; fixes dimensions called batch, batch_size, N, ..., which are 1 where
            nothing else fixes them.
        allow_zero_cost: op types (``Foo`` or ``domain::Foo``) to treat as views that cost nothing. Their outputs
            take the shapes that the file declares, else the shape of their first input.
        branches: what an `If` that the data decides takes, by node name ("*": every other): ``"then"``, ``"else"``
            or ``"dearest"``, the one with more MACs.
        trips: how often a `Loop` that the data ends runs, by node name ("*": every other).
        measure_shapes: run the model once in ONNX Runtime where a shape depends on data (extra ``runtime``).

    What was decided stands in the graph's ``parameters_used``, and so in every result's provenance: the opset, the
    share of MACs covered, branches taken, steps given, and how shapes were measured. A quantised model brings a
    precision recipe called ``file``, which computes every op in the formats that the file stores.

    Raises:
        InputError: the file cannot be read or is not consistent; a dynamic axis is unbound or bound wrongly.
        UnknownNameError: ``shapes``, ``values``, ``branches``, ``trips`` or ``allow_zero_cost`` name something that
            the model lacks.
        UnsupportedError: nodes that accelsim does not model (all are listed), or an `If` or `Loop` that the data
            decides.
    """
    # Imported here because the onnx package costs 0.1 s that no other front end needs.
    from accelsim.workload.onnx.importer import import_model
    from accelsim.workload.onnx.options import ImportOptions

    allowed = frozenset([allow_zero_cost] if isinstance(allow_zero_cost, str) else allow_zero_cost)
    chosen = dict(branches or {}), dict(trips or {}), measure_shapes
    sizes = {name: (size,) if isinstance(size, int) else size for name, size in (shapes or {}).items()}
    return import_model(path, ImportOptions(sizes, dict(values or {}), batch, allowed, *chosen))

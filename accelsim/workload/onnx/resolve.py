"""A model in plain form: one walk in file order fixes every shape, folds constants and inlines `If` branches.

One walk is enough: once the inputs have sizes, what a node reads is fully known when the node's turn comes, so
shape inference and folding never have to be repeated.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Any

from accelsim.workload.onnx import (  # noqa: F401  (they register what the walk does there)
    branches,
    loops,
    optionals,
    sequences,
)
from accelsim.workload.onnx.bind import Binding
from accelsim.workload.onnx.model import Plain, Source, TensorType, text
from accelsim.workload.onnx.names import Scope
from accelsim.workload.onnx.options import ImportOptions
from accelsim.workload.onnx.support import Support
from accelsim.workload.onnx.walk import Walk

__all__ = ["resolve"]


def resolve(
    graph: Any,
    source: Source,
    binding: Binding,
    support: Support,
    options: ImportOptions,
    measured: Mapping[str, TensorType],
) -> Plain:
    """The plain form of a GraphProto whose inputs are bound.

    Args:
        graph, source, binding, support, options: the model and what is known of it.
        measured: types that a run of the model found, by the file's tensor names.

    Raises:
        OpenShapeError: a shape that stays unknown.
        InputError: a tensor that nothing makes, a node that breaks its operator's rules.
        UnsupportedError: an `If` or `Loop` that the data decides, or unmodelled nodes in a branch that is taken.
    """
    walk = Walk(source, binding, support, options, measured)
    scope: Scope = ChainMap()
    walk.inputs(scope)
    wanted = [text(each.name) for each in graph.output]
    walk.graph(graph, scope, set(wanted), "")
    outputs = tuple(dict.fromkeys(walk.names.look_up(name, scope, "graph outputs") for name in wanted))
    for name in outputs:
        walk.check_typed(name, "graph outputs")
    nodes, needed = walk.live(outputs)
    return walk.plain(nodes, tuple(name for name in binding.inputs if name in needed), outputs)

"""Pruning: weights that become zero, and channels that go.

Pruned weights are recorded as such (`Tensor.sparsity`) and counted (`Graph.nonzero_parameters`); MACs and bytes stay
dense, because whether zeros save anything is up to the architecture's cost model. Pruned channels are gone: MACs,
parameters and activations shrink.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Annotated

from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.bundled.parameters import Bounds
from accelsim.workload.graph import Graph, Sparsity, Tensor
from accelsim.workload.ops import Conv, MatMul, Op, Recurrent
from accelsim.workload.rewrite.draft import CannotChangeError, Draft, in_bodies
from accelsim.workload.rewrite.narrow import narrow_made
from accelsim.workload.rewrite.report import Change, Changes, Rewriter

__all__ = ["prune", "prune_channels"]

Pruned = Annotated[float, Bounds(0, 1, above=True)]


def prune(*, sparsity: Pruned = 0.5, pattern: str = "unstructured", match: str = "*") -> Rewriter:
    """Make a share of each matrix weight zero: unstructured, or N of every M along the reduction axis (2:4).

    The zeros are recorded on the weights and counted; MACs and stored bytes stay dense, and which values become zero
    is not said. Biases, norms and tables that are only gathered from stay.

    Args:
        sparsity: share of zeros, for the pattern ``unstructured``.
        pattern: ``unstructured``, or ``N:M`` for at most N values of every M that are not zero.
        match: pattern of the names of the ops whose weights are pruned.
    """
    kept, group = _pattern(pattern)

    def zeros(op: Op, place: int, weight: Tensor) -> int:
        if group is None:
            return round(sparsity * weight.elements)
        depth = _depth(op, place)
        if depth % group:
            raise CannotChangeError(f"sums over {depth} values, which {group} does not divide")
        return weight.elements // group * (group - kept)

    def apply(graph: Graph) -> Changes:
        tensors = dict(graph.tensors)
        made: list[Change] = []
        left: list[Change] = []
        for op in graph.ops:
            for place in _weights(op) if fnmatchcase(op.name, match) else ():
                weight = graph.tensors[op.inputs[place]]
                if weight.role != "weight":
                    continue
                try:
                    found = Sparsity(pattern, zeros(op, place, weight))
                except CannotChangeError as reason:
                    left.append(Change(op.name, str(reason)))
                    continue
                tensors[weight.name] = replace(weight, sparsity=found)
                made.append(Change(op.name, f"{found.zeros:,} of {weight.elements:,} values of {weight.name} are zero"))
        return Changes(graph.with_tensors(tensors), tuple(made), tuple(left))

    return lambda graph: _matching(graph, match, apply)


def prune_channels(*, sparsity: Pruned = 0.5, match: str = "*") -> Rewriter:
    """Remove a share of the output channels of each convolution of one group, with all that reads them.

    Channels that meet a residual add, a concat's other operands in a view, or an output of the network are bound to
    others and stay: the report names them. At least one channel is left.

    Args:
        sparsity: share of the channels that goes.
        match: pattern of the names of the convolutions.
    """

    def apply(graph: Graph) -> Changes:
        draft = Draft(graph)
        made: list[Change] = []
        left: list[Change] = []
        for each in graph.ops:
            op = draft.ops[each.name]
            if not (isinstance(op, Conv) and fnmatchcase(op.name, match)):
                continue
            channels = max(1, op.out_channels - round(sparsity * op.out_channels))
            try:
                if channels == op.out_channels:
                    raise CannotChangeError("has too few channels to lose that share")
                narrow_made(draft, op, channels)
            except CannotChangeError as reason:
                left.append(Change(op.name, str(reason)))
            else:
                made.append(Change(op.name, f"{op.out_channels} channels become {channels}"))
        return Changes(draft.finish() if made else graph, tuple(made), tuple(left))

    return lambda graph: _matching(graph, match, apply)


def _matching(graph: Graph, match: str, apply: Rewriter) -> Changes:
    names = [op.name for op, _ in graph.walk()]
    if not any(fnmatchcase(name, match) for name in names):
        raise UnknownNameError("op, or pattern of ops,", match, names, file=f"workload {graph.name}")
    return in_bodies(graph, apply)


def _pattern(text: str) -> tuple[int, int | None]:
    """(values kept, group size) of ``N:M``; the group is None for unstructured."""
    if text == "unstructured":
        return 0, None
    match = re.fullmatch(r"(\d{1,4}):(\d{1,4})", text)
    if match is None or not 0 < int(match[1]) < int(match[2]):
        raise InputError("is no pattern of zeros", file="rewrite prune", field="pattern", value=text,
                         remedy="write unstructured, or N:M such as 2:4")  # fmt: skip
    return int(match[1]), int(match[2])


def _weights(op: Op) -> tuple[int, ...]:
    """Which inputs of an op are its matrix weights."""
    return {MatMul: (0, 1), Conv: (1,), Recurrent: (1, 2)}.get(type(op), ())


def _depth(op: Op, place: int) -> int:
    """Values that a weight is summed over."""
    if isinstance(op, Recurrent):
        return op.input_size if place == 1 else op.hidden_size
    assert isinstance(op, MatMul | Conv)
    return op.contraction.k

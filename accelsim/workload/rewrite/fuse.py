"""Folding normalisations into weights, and merging element-wise ops into one pass."""

from __future__ import annotations

from dataclasses import replace

from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, Elementwise, MatMul, Op
from accelsim.workload.rewrite.draft import Draft, in_bodies
from accelsim.workload.rewrite.report import Change, Changes, Rewriter
from accelsim.workload.vector_work import FOLDED, FUSED

__all__ = ["fold_norms", "fuse"]

_NORMS = (FOLDED, "batch_norm")


def fold_norms() -> Rewriter:
    """Fold each inference-time batch normalisation into the weight and bias of the convolution or product before it.

    The op goes, with its scale, shift and statistics; a bias an output channel takes their place. The function stays
    the same up to rounding of the new weights. A result that others read before it is normalised is left alone.
    """
    return lambda graph: in_bodies(graph, _folded)


def fuse() -> Rewriter:
    """Fold batch normalisations and merge element-wise ops, so that a layer is its matrix op and one pass behind it.

    An element-wise op that only one unary op of the same size reads takes that function over: a residual add and its
    ReLU become one ``add+relu``. MACs and vector work stay what they are; the values in between are no longer stored.
    Element-wise work is not hidden in the matrix op: a mapper runs it tile by tile behind that where it can.
    """

    def apply(graph: Graph) -> Changes:
        folded = _folded(graph)
        merged = _merged(folded.graph)
        return Changes(merged.graph, (*folded.made, *merged.made), folded.kept)

    return lambda graph: in_bodies(graph, apply)


def _folded(graph: Graph) -> Changes:
    draft = Draft(graph)
    made: list[Change] = []
    kept: list[Change] = []
    for norm in graph.ops:
        if not (isinstance(norm, Elementwise) and norm.function in _NORMS):
            continue
        source = norm.inputs[0]
        maker = draft.ops.get(draft.maker.get(source, ""))
        reason = _refusal(draft, norm, maker)
        if reason or maker is None:
            kept.append(Change(norm.name, reason or "normalises an input of the graph"))
            continue
        draft.drop(norm.name)
        draft.take_over(norm.outputs[0], source)
        _add_bias(draft, draft.ops[maker.name])
        made.append(Change(norm.name, f"folded into {maker.name}"))
    return Changes(draft.finish() if made else graph, tuple(made), tuple(kept))


def _refusal(draft: Draft, norm: Op, maker: Op | None) -> str:
    if not isinstance(maker, Conv | MatMul):
        return "does not follow a convolution or product"
    if draft.only_reader(norm.inputs[0]) is None:
        return "normalises a result that others read as well"
    if isinstance(maker, MatMul) and maker.groups > 1:
        return "follows a product of several groups"
    if draft.tensors[maker.inputs[1]].role != "weight" or len(draft.readers[maker.inputs[1]]) > 1:
        return "follows a product whose weight is shared or computed"
    return ""


def _add_bias(draft: Draft, op: Op) -> None:
    """Give a matrix op a bias where it has none."""
    assert isinstance(op, Conv | MatMul)
    if len(op.inputs) > 2:
        return
    name = draft.fresh(f"{op.name}.bias")
    channels = op.out_channels if isinstance(op, Conv) else op.n
    draft.tensors[name] = Tensor(name, (channels,), "weight", draft.tensors[op.inputs[1]].format)
    draft.put(replace(op, inputs=(*op.inputs, name)))


def _merged(graph: Graph) -> Changes:
    draft = Draft(graph)
    made: list[Change] = []
    for first in graph.ops:
        head = draft.ops.get(first.name)
        # What is folded anyway costs nothing, and has no pass to merge.
        while isinstance(head, Elementwise) and head.function != FOLDED and len(head.outputs) == 1:
            behind = draft.only_reader(head.outputs[0])
            if not (isinstance(behind, Elementwise) and behind.function != FOLDED and _same(draft, head, behind)):
                break
            draft.drop(behind.name)
            label = f"{head.label}{FUSED}{behind.label}" if head.label and behind.label else head.label
            function = f"{head.function}{FUSED}{behind.function}"
            head = replace(head, outputs=behind.outputs, function=function, label=label)
            draft.put(head)
            made.append(Change(behind.name, f"merged into {head.name}, which computes {function}"))
    return Changes(draft.finish() if made else graph, tuple(made))


def _same(draft: Draft, head: Elementwise, behind: Elementwise) -> bool:
    """Whether ``behind`` works once on each result of ``head`` and reads no other activation."""
    before, after = (draft.tensors[op.outputs[0]] for op in (head, behind))
    return (
        len(behind.inputs) == 1 and len(behind.outputs) == 1 and before.shape == after.shape
        and head.elements == behind.elements
    )  # fmt: skip

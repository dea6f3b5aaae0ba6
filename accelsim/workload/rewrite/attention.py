"""Attention whose scores are never stored: one loop over blocks of query rows (after FlashAttention).

Source of the idea: Dao et al. 2022, arXiv 2205.14135. Here a step holds whole rows of scores, so its softmax is the
plain one and MACs and vector work do not change; only the traffic of the scores goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from accelsim.workload.bundled.parameters import Size
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Elementwise, Loop, MatMul, Move, Op, Reduce
from accelsim.workload.rewrite.draft import CannotChangeError, Draft, in_bodies
from accelsim.workload.rewrite.report import Change, Changes, Rewriter

__all__ = ["fuse_attention"]


@dataclass(frozen=True, slots=True)
class _Attention:
    """softmax(scores) times values: ``between`` are the ops from the scores' product to the other, in order."""

    scores: MatMul
    between: tuple[Elementwise | Reduce | Move, ...]
    mix: MatMul


def fuse_attention(*, rows: Size = 128, match: str = "*") -> Rewriter:
    """Run each attention head block by block of query rows, so that its scores stay on chip and are never stored.

    Two products with a softmax between them become a loop NAME.fused over heads and blocks of rows. MACs and vector
    work stay. Each block reads the head's keys and values anew.

    Args:
        rows: query rows a step at most; the largest divisor of all rows up to this is taken.
        match: pattern of the names of the products that make the scores.
    """

    def apply(graph: Graph) -> Changes:
        draft = Draft(graph)
        made: list[Change] = []
        kept: list[Change] = []
        for found in _attentions(draft):
            if not fnmatchcase(found.scores.name, match):
                continue
            try:
                loop, tensors = _fused(draft, found, rows)
            except CannotChangeError as reason:
                kept.append(Change(found.scores.name, str(reason)))
                continue
            for op in (found.scores, *found.between, found.mix):
                draft.drop(op.name)
            draft.tensors |= tensors
            draft.place[loop.name] = draft.place[found.mix.name]
            draft.put(loop)
            made.append(Change(loop.name, f"{found.scores.name} to {found.mix.name} in {loop.steps} steps"))
        return Changes(draft.finish() if made else graph, tuple(made), tuple(kept))

    return lambda graph: in_bodies(graph, apply)


def _attentions(draft: Draft) -> Iterator[_Attention]:
    """Products of two activations with a softmax of their result as left operand of a second such product."""
    for op in list(draft.ops.values()):
        if not isinstance(op, MatMul) or not _activations(draft, op):
            continue
        between: list[Elementwise | Reduce | Move] = []
        here = op.outputs[0]
        while True:
            behind = draft.only_reader(here)
            if isinstance(behind, MatMul) and behind.inputs[0] == here and _activations(draft, behind):
                if any(isinstance(each, Reduce) and each.function == "softmax" for each in between):
                    yield _Attention(op, tuple(between), behind)
                break
            plain = isinstance(behind, Elementwise) or (isinstance(behind, Move) and behind.view)
            if not (plain or (isinstance(behind, Reduce) and behind.function == "softmax")):
                break
            assert isinstance(behind, Elementwise | Reduce | Move)
            if len(behind.outputs) != 1 or draft.tensors[behind.outputs[0]].elements != draft.tensors[here].elements:
                break
            between.append(behind)
            here = behind.outputs[0]


def _activations(draft: Draft, op: MatMul) -> bool:
    return not op.shared_input and draft.tensors[op.inputs[1]].role in ("activation", "state")


def _fused(draft: Draft, found: _Attention, most_rows: int) -> tuple[Loop, dict[str, Tensor]]:
    """The loop that takes the place of an attention, and no new outer tensors but its own."""
    scores, mix = found.scores, found.mix
    if (scores.groups, scores.m, scores.n) != (mix.groups, mix.m, mix.k):
        raise CannotChangeError("has scores that its second product groups differently")
    rows = max(each for each in range(1, min(most_rows, scores.m) + 1) if scores.m % each == 0)
    steps = scores.groups * (scores.m // rows)
    inner: dict[str, Tensor] = {}
    outer: dict[str, None] = {}
    chain = [scores, *found.between, mix]
    along = {name for op in chain for name in op.outputs}
    ops = []
    for op in chain:
        reads = tuple(
            each if each in along else _inside(draft, found, op, each, rows, inner, outer) for each in op.inputs
        )
        ops.append(_step_op(op, _in_step(reads, along), rows, steps))
        result = ops[-1].outputs[0]
        inner[result] = replace(
            draft.tensors[op.outputs[0]], name=result, shape=(rows, mix.n if op is mix else scores.n)
        )
    name = draft.fresh(f"{scores.name}.fused")
    made = {op.outputs[0] for op in ops}
    body = Graph(
        name=f"{name}.step", ops=tuple(ops), tensors=inner,
        inputs=tuple(each for each in inner if each.endswith(step_slice("")) and each not in made),
        outputs=ops[-1].outputs, batch=draft.graph.batch,
    )  # fmt: skip
    loop = Loop(name=name, inputs=tuple(outer), outputs=mix.outputs, label="Attention", body=body, steps=steps)
    return loop, {}


def _in_step(names: tuple[str, ...], along: set[str]) -> tuple[str, ...]:
    return tuple(step_slice(name) if name in along else name for name in names)


def _inside(
    draft: Draft, found: _Attention, op: Op, name: str, rows: int, inner: dict[str, Tensor], outer: dict[str, None]
) -> str:  # fmt: skip
    """What a step reads of an outer tensor: its slice of queries, keys, values and whole scores, else all of it."""
    scores, mix, tensor = found.scores, found.mix, draft.tensors[name]
    outer[name] = None
    slices = {
        (scores.name, 0): (rows, scores.k), (scores.name, 1): (scores.k, scores.n), (mix.name, 1): (mix.k, mix.n)
    }  # fmt: skip
    shape = slices.get((op.name, op.inputs.index(name)))
    if shape is None and tensor.elements == scores.groups * scores.m * scores.n:
        shape = (rows, scores.n)
    if shape is None:
        if tensor.elements > scores.m * scores.n:
            raise CannotChangeError(f"reads {name!r}, of which a step's part is not known")
        inner[name] = tensor
        return name
    made = step_slice(name)
    if made in inner and inner[made].shape != shape:
        raise CannotChangeError(f"reads {name!r} in two ways")
    inner[made] = Tensor(made, shape, "activation", tensor.format)
    return made


def _step_op(op: Op, reads: tuple[str, ...], rows: int, steps: int) -> Op:
    """One step's part of an op."""
    made = (step_slice(op.outputs[0]),)
    if isinstance(op, MatMul):
        return replace(op, inputs=reads, outputs=made, groups=1, m=rows)
    assert isinstance(op, Elementwise | Reduce | Move)
    return replace(op, inputs=reads, outputs=made, elements=op.elements // steps)

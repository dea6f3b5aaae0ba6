"""Removing skip connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from accelsim.workload.graph import Graph
from accelsim.workload.ops import Elementwise, Move
from accelsim.workload.rewrite.branches import Joint, Sides, check_match, chosen, described
from accelsim.workload.rewrite.draft import CannotChangeError, Draft, in_bodies
from accelsim.workload.rewrite.narrow import narrow
from accelsim.workload.rewrite.report import Change, Changes, Rewriter
from accelsim.workload.vector_work import FUSED

__all__ = ["Joins", "drop_add", "each_skip", "remove_skips"]

Joins = Literal["all", "add", "concat"]


def remove_skips(*, match: str = "*", joins: Joins = "all") -> Rewriter:
    """Remove skip connections; what only they needed, such as a projected shortcut's convolution, goes with them.

    An add gives way to its branch: the operand with more MACs since the latest common ancestor. A concat loses the
    operands that come from there without matrix work; all that reads it narrows, weights included. Parallel branches
    that all have matrix work are no skips and stay. The function of the network changes: it has to be trained anew.

    Args:
        match: pattern of the names of the adds and concats where the skips end.
        joins: which of the two.
    """

    def remove(draft: Draft, joint: Joint, sides: Sides) -> str:
        if joint.skip.join == "add":
            _, branch, _ = sides.add(joint)
            drop_add(draft, joint, branch)
        else:
            _drop_operands(draft, joint, sides.concat(joint))
        return f"removed: {described(joint.skip)}"

    return each_skip(match, joins, remove)


def each_skip(match: str, joins: str, change: Callable[[Draft, Joint, Sides], str]) -> Rewriter:
    """The rewrite that does ``change`` to each chosen skip and keeps those that cannot be changed, with the reason."""

    def apply(graph: Graph) -> Changes:
        draft, sides = Draft(graph), Sides(graph)
        made: list[Change] = []
        kept: list[Change] = []
        for joint in chosen(graph, match, joins):
            try:
                made.append(Change(joint.op.name, change(draft, joint, sides)))
            except CannotChangeError as reason:
                kept.append(Change(joint.op.name, str(reason)))
        return Changes(draft.finish() if made else graph, tuple(made), tuple(kept))

    def everywhere(graph: Graph) -> Changes:
        check_match(graph, match)
        return in_bodies(graph, apply)

    return everywhere


def drop_add(draft: Draft, joint: Joint, branch: str) -> None:
    """The add gives way to its operand ``branch``; what is fused behind the add stays."""
    op = draft.ops[joint.op.name]
    source = op.inputs[joint.op.inputs.index(branch)]
    _, _, behind = str(getattr(op, "function", "")).partition(FUSED)
    if behind and isinstance(op, Elementwise):
        draft.put(replace(op, function=behind, inputs=(source,)))
        return
    # Refusals come before the first change, so that a refused skip is left whole.
    draft.check_take_over(source)
    draft.drop(op.name)
    draft.take_over(op.outputs[0], source)


def _drop_operands(draft: Draft, joint: Joint, shortcuts: tuple[str, ...]) -> None:
    """The concat loses some operands; its readers narrow."""
    op = draft.ops[joint.op.name]
    left = tuple(now for was, now in zip(joint.op.inputs, op.inputs, strict=True) if was not in shortcuts)
    assert isinstance(op, Move)
    if not left:
        raise CannotChangeError("joins nothing but shortcuts")
    made = draft.tensors[op.outputs[0]]
    axis = _concat_axis(made.shape, [draft.tensors[name].shape for name in op.inputs])
    size = sum(draft.tensors[name].shape[axis] for name in left)
    if len(left) == 1:
        draft.check_take_over(left[0])
    narrow(draft, made.name, axis, size)
    if len(left) > 1:
        elements = draft.tensors[made.name].elements
        draft.put(replace(op, inputs=left, elements=elements))
        return
    draft.drop(op.name)
    draft.take_over(made.name, left[0])


def _concat_axis(made: tuple[int, ...], read: list[tuple[int, ...]]) -> int:
    """The axis on which the operands of a concat lie one behind the other."""
    fitting = [
        axis for axis, size in enumerate(made)
        if all(len(shape) == len(made) for shape in read) and sum(shape[axis] for shape in read) == size
        and all(shape[:axis] + shape[axis + 1 :] == made[:axis] + made[axis + 1 :] for shape in read)
    ]  # fmt: skip
    if not fitting:
        raise CannotChangeError("has operands whose shapes do not add up on one axis")
    return fitting[0]

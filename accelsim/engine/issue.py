"""The order in which tasks are issued, for kinds whose units take work as it comes.

Issue order is data: each resource runs its tasks as they are listed. Here they are listed by the time at which they
would be ready if nothing had to wait for a shared resource (ties by the order in which they stood), which is what units
with a queue of work approximate. Work that must happen at fixed times, such as recalibration, is put between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.choose import run
from accelsim.mapping.taskgraph import NO_RESOURCE, TaskGraph

__all__ = ["Due", "issued_as_ready"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Due:
    """A task without predecessors that is issued at ``time_fs``; the rest as in a task graph."""

    time_fs: int
    resource: str
    action: str
    amount: float
    op: int = 0


def issued_as_ready(
    tasks: TaskGraph, duration_fs: IntArray, shared: Sequence[str], due: Sequence[Due] = ()
) -> TaskGraph:
    """The same tasks, and those that are ``due``, in the order in which they are ready.

    Args:
        tasks: n tasks, listed so that each stands after its predecessors.
        duration_fs: (n,) int64.
        shared: names of the resources that serve many ops; the tasks of all others keep their order.
        due: further tasks.
    """
    free = [index for index, name in enumerate(tasks.resources) if name in shared]
    loose = replace(tasks, resource=np.where(np.isin(tasks.resource, free), NO_RESOURCE, tasks.resource))
    ready = run(loose, duration_fs, "maxplus").start_fs
    if due:
        tasks, ready = _with_due(tasks, due), np.concatenate([ready, [each.time_fs for each in due]])
    return _listed(tasks, np.argsort(ready, kind="stable"))


def _with_due(tasks: TaskGraph, due: Sequence[Due]) -> TaskGraph:
    resources = {name: index for index, name in enumerate(tasks.resources)}
    actions = {name: index for index, name in enumerate(tasks.actions)}

    def grown(column: IntArray, values: list[int]) -> IntArray:
        return np.concatenate([column, np.array(values, dtype=np.int64)])

    return replace(
        tasks,
        resource=grown(tasks.resource, [resources[each.resource] for each in due]),
        action=grown(tasks.action, [actions[each.action] for each in due]),
        amount=np.concatenate([tasks.amount, [each.amount for each in due]]),
        op=grown(tasks.op, [each.op for each in due]),
        pred_ptr=grown(tasks.pred_ptr, [len(tasks.pred)] * len(due)),
    )  # fmt: skip


def _listed(tasks: TaskGraph, order: IntArray) -> TaskGraph:
    """The same graph with its tasks listed in ``order``, predecessors renumbered."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    counts = np.diff(tasks.pred_ptr)[order]
    pred_ptr = np.concatenate(([0], np.cumsum(counts)))
    edges = np.arange(len(tasks.pred)) + np.repeat(tasks.pred_ptr[:-1][order] - pred_ptr[:-1], counts)
    columns = {name: getattr(tasks, name)[order] for name in ("resource", "action", "amount", "op")}
    return replace(tasks, **columns, pred_ptr=pred_ptr, pred=place[tasks.pred[edges]])

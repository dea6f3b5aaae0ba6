"""The critical path: the chain of tasks whose durations add up to the latency.

From the last task to end, step back to what let each task start: the predecessor that ended last, or the task
before it on its resource. A task starts exactly when one of the two ends, so the chain has no gaps and its durations
are the latency, to the femtosecond. Where two ends coincide either chain is critical; the predecessor is taken, and
of several the first, so that the answer is always the same.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.engine.timeline import Timeline
from accelsim.mapping.taskgraph import TaskGraph

__all__ = ["critical_path"]


def critical_path(tasks: TaskGraph, timeline: Timeline) -> NDArray[np.int64]:
    """Task indices of the critical path from start to end; empty for an empty graph."""
    if len(tasks) == 0:
        return np.zeros(0, dtype=np.int64)
    # With arrival order the task before on a resource is not the one listed before, but the one that started before.
    order = np.lexsort((np.arange(len(tasks)), timeline.start_fs)) if tasks.arrival else np.arange(len(tasks))
    before = _before_on_resource(order, tasks.resource, len(tasks.resources))
    return np.asarray(_walk(timeline.start_fs, timeline.end_fs, tasks.pred_ptr, tasks.pred, before))


@njit(cache=True)
def _before_on_resource(order, resource, resources):  # type: ignore[no-untyped-def]
    """(n,) the task before each task on the same resource, -1 for none."""
    last = np.full(resources, -1, dtype=np.int64)
    before = np.full(len(order), -1, dtype=np.int64)
    for task in order:
        if resource[task] >= 0:
            before[task] = last[resource[task]]
            last[resource[task]] = task
    return before


@njit(cache=True)
def _walk(start, end, pointer, pred, before):  # type: ignore[no-untyped-def]
    """The chain from the last task to end back to one that starts at 0, then turned round."""
    path = np.empty(len(start), dtype=np.int64)
    here, length = int(np.argmax(end)), 0
    while here >= 0:
        path[length] = here
        length += 1
        latest = -1
        if start[here] > 0:
            for position in range(pointer[here], pointer[here + 1]):
                if latest < 0 or end[pred[position]] > end[latest]:
                    latest = pred[position]
            if before[here] >= 0 and (latest < 0 or end[before[here]] > end[latest]):
                latest = before[here]
        here = latest
    return path[:length][::-1].copy()

"""The critical path: the chain of tasks whose durations add up to the latency.

From the last task to end, step back to what let each task start: the predecessor that ended last, or the task
before it on its resource. A task starts exactly when one of the two ends, so the chain has no gaps and its durations
are the latency, to the femtosecond. Where two ends coincide either chain is critical; the predecessor is taken, and
of several the first, so that the answer is always the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.timeline import Timeline
from accelsim.mapping.taskgraph import TaskGraph

__all__ = ["critical_path"]


def critical_path(tasks: TaskGraph, timeline: Timeline) -> NDArray[np.int64]:
    """Task indices of the critical path from start to end; empty for an empty graph."""
    if len(tasks) == 0:
        return np.zeros(0, dtype=np.int64)
    ends, starts = timeline.end_fs.tolist(), timeline.start_fs.tolist()
    pointers, preds = tasks.pred_ptr.tolist(), tasks.pred.tolist()
    before = _before_on_resource(tasks, timeline).tolist()
    here = int(timeline.end_fs.argmax())
    path = [here]
    while starts[here] > 0:
        candidates = preds[pointers[here] : pointers[here + 1]]
        if before[here] >= 0:
            candidates = [*candidates, before[here]]
        if not candidates:
            break  # a task that starts late for no reason: `Timeline.violations` is where that is told
        here = max(candidates, key=ends.__getitem__)
        path.append(here)
    return np.array(path[::-1], dtype=np.int64)


def _before_on_resource(tasks: TaskGraph, timeline: Timeline) -> NDArray[np.int64]:
    """(n,) the task that ran on the same resource before each task, -1 for none."""
    order = np.lexsort((np.arange(len(tasks)), timeline.start_fs, tasks.resource))
    before = np.full(len(tasks), -1, dtype=np.int64)
    same = tasks.resource[order[1:]] == tasks.resource[order[:-1]]
    before[order[1:]] = np.where(same, order[:-1], -1)
    before[tasks.resource < 0] = -1
    return before

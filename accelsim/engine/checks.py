"""What both engines share: checks of their inputs, the issue order as links, and the words for a failure.

Kept apart from the engines so that a deadlock reads the same from each, and so that neither imports the other's
library.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import EngineError, InputError, UnknownNameError
from accelsim.mapping.taskgraph import NO_RESOURCE, TaskGraph

__all__ = ["check_shapes", "check_values", "deadlock", "previous_on_resource", "too_long"]

IntArray = NDArray[np.int64]

_SHOWN_TASKS = 4


def check_shapes(graph: TaskGraph, duration_fs: IntArray, dimensions: int = 1) -> None:
    """Check what costs nothing to check: types and shapes.

    Args:
        graph: n tasks.
        duration_fs: (n,) int64 femtoseconds; (designs, n) when ``dimensions`` is 2.
        dimensions: of ``duration_fs``.

    Raises:
        InputError: ``duration_fs`` is no int64 array of that shape, or the columns of ``graph`` do not fit together.
        UnknownNameError: ``graph.arrival`` names a resource that does not exist.
    """
    n = len(graph)
    if not isinstance(duration_fs, np.ndarray) or duration_fs.dtype != np.int64:
        kind = duration_fs.dtype if isinstance(duration_fs, np.ndarray) else type(duration_fs).__name__
        remedy = "convert seconds with accelsim.units.s_to_fs_array"
        raise InputError(f"must be a NumPy array of int64, not {kind}", field="duration_fs", remedy=remedy)
    if duration_fs.ndim != dimensions or duration_fs.shape[-1] != n:
        wanted = f"({n},)" if dimensions == 1 else f"(designs, {n})"
        raise InputError(f"must have the shape {wanted}: one duration a task", field="shape", value=duration_fs.shape)
    columns = {"resource": n, "pred_ptr": n + 1, "pred": len(graph.pred)}
    for name, length in columns.items():
        column = getattr(graph, name)
        if column.shape != (length,) or column.dtype != np.int64:
            value = f"{column.dtype} {column.shape}"
            raise InputError(f"must be an int64 column of length {length}", file="graph", field=name, value=value)
    for name in sorted(graph.arrival.difference(graph.resources)):
        raise UnknownNameError("resource", name, graph.resources, file="graph", field="arrival")


def check_values(graph: TaskGraph, duration_fs: IntArray) -> None:
    """Check every value that an engine relies on; ``duration_fs`` is (n,) or (designs, n).

    Predecessors may stand anywhere in the graph: whether they deadlock is for the engine to find.

    Raises:
        InputError: a duration is negative.
        EngineError: an index of ``graph`` is out of range, or ``pred_ptr`` does not rise from 0 to ``len(pred)``.
    """
    n = len(graph)
    if graph.pred_ptr[0] != 0 or graph.pred_ptr[-1] != len(graph.pred) or np.any(np.diff(graph.pred_ptr) < 0):
        raise EngineError("the task graph's pred_ptr must rise from 0 to the number of predecessors.")
    stray = np.flatnonzero((graph.pred < 0) | (graph.pred >= n))
    if stray.size:
        task = int(np.searchsorted(graph.pred_ptr, stray[0], side="right")) - 1
        raise EngineError(f"task {task} waits for task {graph.pred[stray[0]]}, which does not exist.")
    if np.any(graph.resource < NO_RESOURCE) or np.any(graph.resource >= len(graph.resources)):
        raise EngineError("a task names a resource that does not exist.")
    if duration_fs.size and np.min(duration_fs) < 0:
        where = np.unravel_index(int(np.argmin(duration_fs)), duration_fs.shape)
        design = f" of design {where[0]}" if duration_fs.size > n else ""
        field = f"duration_fs of task {where[-1]}{design}"
        raise InputError("must be 0 or more", field=field, value=int(duration_fs[where]))


def previous_on_resource(graph: TaskGraph) -> IntArray:
    """The task issued just before each one on the same resource, (n,); -1 for the first one, for a delay, and
    where the resource serves in order of arrival."""
    order = np.argsort(graph.resource, kind="stable")
    on = graph.resource[order]
    free = [-1, *(index for index, name in enumerate(graph.resources) if name in graph.arrival)]
    linked = (on[1:] == on[:-1]) & ~np.isin(on[1:], free)
    previous = np.full(len(graph), -1, dtype=np.int64)
    previous[order[1:][linked]] = order[:-1][linked]
    return previous


def deadlock(graph: TaskGraph, blocked: NDArray[np.bool_]) -> EngineError:
    """The error for tasks that can never start: walks along the waits and shows the circle that it ends in.

    Args:
        graph: n tasks.
        blocked: (n,) True where the task never started. Each must wait for a task that is blocked too.
    """
    previous = previous_on_resource(graph)
    reason: dict[int, tuple[int, str]] = {}
    task = int(np.argmax(blocked))
    while task not in reason:
        preds = graph.pred[graph.pred_ptr[task] : graph.pred_ptr[task + 1]]
        stuck = preds[blocked[preds]]
        reason[task] = (int(stuck[0]), "its predecessor") if stuck.size else (int(previous[task]), "listed before it")
        task = reason[task][0]
    circle = list(reason)[list(reason).index(task) :]
    shown = [_wait(graph, each, *reason[each]) for each in circle[:_SHOWN_TASKS]]
    more = f"; and so on, {len(circle)} tasks in a circle" if len(circle) > len(shown) else ""
    count = int(np.count_nonzero(blocked))
    return EngineError(f"deadlock: {count} of {len(graph)} tasks can never start: {'; '.join(shown)}{more}.")


def too_long(design: int | None = None) -> EngineError:
    """The error for a schedule that ends after the last femtosecond of int64."""
    where = "" if design is None else f" of design {design}"
    return EngineError(
        f"the schedule{where} is longer than 9223 s, the longest time in int64 femtoseconds. "
        "Simulate a shorter input, or check the architecture's clock and bandwidths."
    )


def _wait(graph: TaskGraph, task: int, other: int, why: str) -> str:
    index = int(graph.resource[task])
    place = "on no resource" if index == NO_RESOURCE else f"on {graph.resources[index]!r}"
    target = "itself" if other == task else f"task {other}, {why}"
    return f"task {task} {place} waits for {target}"

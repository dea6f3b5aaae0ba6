"""The fast engine: the max-plus recurrence of a task graph, compiled.

    start[i] = max(end of predecessors, end of the previous task on resource[i]);   end[i] = start[i] + duration[i]

One pass over the tasks suffices when each stands after its predecessors. Any other graph is renumbered first, in an
order that respects predecessors and issue order; where there is none, the graph deadlocks. Arrival-order
resources are no recurrence, and are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar, cast

import numpy as np
from numba import boolean, int64, njit, types, uint64
from numpy.typing import NDArray

from accelsim.engine.checks import check_shapes, check_values, deadlock, previous_on_resource, too_long
from accelsim.engine.timeline import Timeline
from accelsim.errors import UnsupportedError
from accelsim.mapping.taskgraph import TaskGraph
from accelsim.units import MAX_TIME_FS

__all__ = ["run", "run_batch"]

IntArray = NDArray[np.int64]
UnsignedArray = NDArray[np.uint64]
Kernel = TypeVar("Kernel", bound=Callable[..., object])

_ONE = np.uint64(1)
_OUT_OF_RANGE = -1  # as a makespan

_indices = types.Array(uint64, 1, "C", readonly=True)  # read-only in a signature takes writeable arrays too
_links = types.Array(int64, 1, "C", readonly=True)
_rows = types.Array(uint64, 2, "C", readonly=True)


def _compiled(signature: object) -> Callable[[Kernel], Kernel]:
    """Compile for one signature, on import; keep the code on disk, or not at all where nothing may be written."""

    def compile_kernel(kernel: Kernel) -> Kernel:
        try:
            compiled = njit(signature, cache=True, nogil=True)(kernel)
        except RuntimeError:  # numba found no folder that it may write to
            compiled = njit(signature, nogil=True)(kernel)
        return cast(Kernel, compiled)

    return compile_kernel


def run(graph: TaskGraph, duration_fs: IntArray) -> Timeline:
    """Evaluate ``graph``, n tasks that take ``duration_fs``, (n,) int64 femtoseconds. Equals `des.run` exactly.

    Raises:
        InputError: durations of another shape or type, or negative.
        UnsupportedError: the graph has arrival-order resources.
        EngineError: a deadlock, a schedule beyond the range of int64, or a graph whose indices are out of range.
    """
    check_shapes(graph, duration_fs)
    start, end, makespan = _evaluate(graph, duration_fs[np.newaxis])
    if makespan[0] == _OUT_OF_RANGE:
        raise too_long()
    return Timeline(start, end, "maxplus")


def run_batch(graph: TaskGraph, duration_fs: IntArray) -> IntArray:
    """Makespans of many designs of one graph, (designs,) femtoseconds, from ``duration_fs``, (designs, n).

    Row by row equal to ``run(graph, row).makespan_fs``. Releases the GIL: threads may share the rows among them.

    Raises:
        InputError, UnsupportedError, EngineError: as `run`, where any row is at fault.
    """
    check_shapes(graph, duration_fs, dimensions=2)
    _, _, makespan = _evaluate(graph, duration_fs)
    if np.any(makespan == _OUT_OF_RANGE):
        raise too_long(design=int(np.argmax(makespan == _OUT_OF_RANGE)))
    return makespan


def _evaluate(graph: TaskGraph, duration_fs: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Start and end, (n,), of the last row of ``duration_fs``; and each row's makespan, or `_OUT_OF_RANGE`."""
    for name in sorted(graph.arrival):
        rule = "serves tasks in order of arrival, which engine 'maxplus' does not model"
        raise UnsupportedError(rule, field="resource", value=name, remedy='use engine="des"')
    start, end = np.empty(len(graph), dtype=np.int64), np.empty(len(graph), dtype=np.int64)
    makespan = np.empty(len(duration_fs), dtype=np.int64)
    results = (_unsigned(start), _unsigned(end), _unsigned(makespan))
    if not _recur(*_columns(graph), _unsigned(duration_fs), *results):
        check_values(graph, duration_fs)
        order = _order(graph)
        _recur(*_columns(_renumbered(graph, order)), _unsigned(duration_fs[:, order]), *results)
        start[order], end[order] = start.copy(), end.copy()
    elif np.any(makespan == _OUT_OF_RANGE):  # that row's pass was cut short: name what is worse first, as des does
        check_values(graph, duration_fs)
        _order(graph)
    return start, end, makespan


def _columns(graph: TaskGraph) -> tuple[UnsignedArray, UnsignedArray, UnsignedArray, int]:
    """The kernel's view of ``graph``."""
    return _unsigned(graph.pred_ptr), _unsigned(graph.pred), _unsigned(graph.resource), len(graph.resources)


def _unsigned(column: IntArray) -> UnsignedArray:
    """``column`` without a copy where it is contiguous. Unsigned, one comparison also catches what is negative."""
    return np.ascontiguousarray(column).view(np.uint64)


def _order(graph: TaskGraph) -> IntArray:
    """An order of the tasks that respects predecessors and issue order, (n,); raises `EngineError` on a deadlock."""
    order = np.empty(len(graph), dtype=np.int64)
    count = _kahn(graph.pred_ptr, graph.pred, previous_on_resource(graph), order)
    if count < len(graph):
        blocked = np.ones(len(graph), dtype=np.bool_)
        blocked[order[:count]] = False
        raise deadlock(graph, blocked)
    return order


def _renumbered(graph: TaskGraph, order: IntArray) -> TaskGraph:
    """The same graph with its tasks listed in ``order``."""
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    counts = np.diff(graph.pred_ptr)[order]
    pred_ptr = np.concatenate(([0], np.cumsum(counts)))
    edges = np.arange(len(graph.pred)) + np.repeat(graph.pred_ptr[:-1][order] - pred_ptr[:-1], counts)
    return replace(graph, resource=graph.resource[order], pred_ptr=pred_ptr, pred=place[graph.pred[edges]])


@_compiled(boolean(_indices, _indices, _indices, int64, _rows, uint64[::1], uint64[::1], uint64[::1]))
def _recur(
    pred_ptr: UnsignedArray,
    pred: UnsignedArray,
    resource: UnsignedArray,
    resources: int,
    duration: UnsignedArray,
    start: UnsignedArray,
    end: UnsignedArray,
    makespan: UnsignedArray,
) -> bool:
    """Run the recurrence for each row of ``duration``; False where a task stands before one it waits for.

    The checks are part of the pass, as they are then nearly free. ``before``, the end of task i - 1, is held in a
    register: chains are common, and a load that waits for the store just before it takes longer than all the rest.
    Time is unsigned here too: numba lets the compiler assume that a signed sum never overflows.
    """
    n, edges, last = np.uint64(len(resource)), np.uint64(len(pred)), np.uint64(resources)
    longest = np.uint64(MAX_TIME_FS)
    free = np.empty(resources + 1, dtype=np.uint64)  # free[0] stands for "no resource" and stays 0
    for row in range(len(duration)):
        durations, free[:] = duration[row], 0
        i = latest = before = np.uint64(0)
        k = pred_ptr[0]
        if k != 0 or pred_ptr[n] != edges:
            return False
        while i < n:
            on, stop = resource[i] + _ONE, pred_ptr[i + _ONE]
            if on > last or stop < k or stop > edges:
                return False
            time = free[on]
            while k < stop:
                p = pred[k]
                k += _ONE
                if p + _ONE == i:
                    time = max(time, before)
                elif p < i:
                    time = max(time, end[p])
                else:
                    return False
            start[i], before = time, time + durations[i]
            end[i] = before
            if before | durations[i] > longest:  # beyond int64, or a negative duration
                break
            if on:
                free[on] = before
            else:
                latest = max(latest, before)
            i += _ONE
        for time in free:
            latest = max(latest, time)
        makespan[row] = latest if i == n else np.uint64(2**64 - 1)
    return True


@_compiled(int64(_links, _links, _links, int64[::1]))
def _kahn(pred_ptr: IntArray, pred: IntArray, previous: IntArray, order: IntArray) -> int:
    """Fill ``order`` with tasks whose predecessors and whose ``previous`` (or -1) are in it; return how many."""
    n = len(previous)
    bounds, waits = np.zeros(n + 2, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for task in range(n):
        waits[task] = pred_ptr[task + 1] - pred_ptr[task]
        if previous[task] >= 0:
            waits[task] += 1
            bounds[previous[task] + 2] += 1
    for p in pred:
        bounds[p + 2] += 1
    bounds[:] = np.cumsum(bounds)
    behind = np.empty(bounds[-1], dtype=np.int64)
    for task in range(n):  # bounds[p + 1] moves from the first slot of p to the first of p + 1
        for k in range(pred_ptr[task], pred_ptr[task + 1]):
            behind[bounds[pred[k] + 1]] = task
            bounds[pred[k] + 1] += 1
        if previous[task] >= 0:
            behind[bounds[previous[task] + 1]] = task
            bounds[previous[task] + 1] += 1
    count = 0
    for task in range(n):
        if waits[task] == 0:
            order[count] = task
            count += 1
    done = 0
    while done < count:
        for k in range(bounds[order[done]], bounds[order[done] + 1]):
            waits[behind[k]] -= 1
            if waits[behind[k]] == 0:
                order[count] = behind[k]
                count += 1
        done += 1
    return count

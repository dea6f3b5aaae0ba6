"""The reference engine: a discrete-event simulation on SimPy, in whole femtoseconds.

One event a task, its end. A task counts what it still waits for: its predecessors and, on a resource, the task
listed before it. Each end counts down the tasks behind it, and a task that waits for nothing starts at once. So
nothing is polled, and tasks that end at the same instant may be handled in any order with the same outcome.

A resource in ``graph.arrival`` serves tasks in the order in which they became ready, ties by index. To make that
independent of the order in which SimPy handles one instant, such a task starts only when all else at that instant
has happened: then, of the ready tasks whose resource is free, the one that became ready first (ties by index)
starts, and so on, one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event
from simpy.events import NORMAL, EventPriority

from accelsim.engine.checks import check_shapes, check_values, deadlock, previous_on_resource, too_long
from accelsim.engine.timeline import Timeline
from accelsim.mapping.taskgraph import TaskGraph
from accelsim.units import MAX_TIME_FS

__all__ = ["run"]

IntArray = NDArray[np.int64]

_AFTER_ALL_ELSE = EventPriority(2)  # SimPy's own are 0, urgent, and 1, normal; at one instant, the lower goes first


def run(graph: TaskGraph, duration_fs: IntArray) -> Timeline:
    """Simulate ``graph``, n tasks that take ``duration_fs``, (n,) int64 femtoseconds.

    Predecessors may stand anywhere in the graph, as long as they and the issue order leave no circle of waits.

    Raises:
        InputError: durations of another shape or type, or negative.
        EngineError: a deadlock, a schedule beyond the range of int64, or a graph whose indices are out of range.
    """
    check_shapes(graph, duration_fs)
    check_values(graph, duration_fs)
    env = Environment()
    behind, bounds, waits = (column.tolist() for column in _links(graph))
    durations: list[int] = duration_fs.tolist()
    ends: list[float] = [0] * len(graph)  # SimPy's word for time; all are int, as all delays are
    schedule = env.schedule

    def start(task: int) -> None:
        schedule(_End(task, calls), NORMAL, durations[task])

    def ended(event: _End) -> None:
        done = event.task
        ends[done] = env.now
        for task in behind[bounds[done] : bounds[done + 1]]:
            left = waits[task] = waits[task] - 1
            if not left:
                ready(task)

    calls: list[Callable[[Any], None]] = [ended]
    ready = start
    if graph.arrival:
        arrival = _Arrival(env, graph, start)
        ready, calls = arrival.ready, [ended, arrival.ended]
    for task in [task for task, count in enumerate(waits) if count == 0]:
        ready(task)
    env.run()
    if any(waits):
        raise deadlock(graph, np.array(waits) > 0)
    if env.now > MAX_TIME_FS:
        raise too_long()
    end_fs = np.array(ends, dtype=np.int64)
    return Timeline(end_fs - duration_fs, end_fs, "des")


def _links(graph: TaskGraph) -> tuple[IntArray, IntArray, IntArray]:
    """Who waits for whom: the tasks behind each task in CSR form (behind, bounds), and the waits of each, (n,)."""
    n = len(graph)
    previous = previous_on_resource(graph)
    issued = np.flatnonzero(previous >= 0)
    before = np.concatenate((graph.pred, previous[issued]))
    after = np.concatenate((np.repeat(np.arange(n), np.diff(graph.pred_ptr)), issued))
    behind = after[np.argsort(before, kind="stable")]
    bounds = np.concatenate(([0], np.cumsum(np.bincount(before, minlength=n))))
    return behind, bounds, np.bincount(after, minlength=n)


class _End(Event):
    """The end of a task. Leaner than a Timeout: all ends share their state and their list of callbacks."""

    _ok = True
    _value = None

    def __init__(self, task: int, calls: list[Callable[[Any], None]]) -> None:
        self.task = task
        self.callbacks = calls


class _Arrival:
    """Serves the tasks of arrival-order resources; those of all others go straight to ``start``."""

    def __init__(self, env: Environment, graph: TaskGraph, start: Callable[[int], None]) -> None:
        self._env, self._start = env, start
        self._resource: list[int] = graph.resource.tolist()
        self._queues: dict[int, list[tuple[float, int]]] = {
            index: [] for index, name in enumerate(graph.resources) if name in graph.arrival
        }
        self._free = set(self._queues)
        self._called = False

    def ready(self, task: int) -> None:
        """Start ``task``, or queue it for its resource."""
        queue = self._queues.get(self._resource[task])
        if queue is None:
            self._start(task)
        else:
            heappush(queue, (self._env.now, task))
            self._call()

    def ended(self, event: _End) -> None:
        """Free the resource of a task that has ended."""
        index = self._resource[event.task]
        if index in self._queues:
            self._free.add(index)
            self._call()

    def _call(self) -> None:
        if not self._called:
            self._called = True
            self._env.schedule(_End(-1, [self._serve]), _AFTER_ALL_ELSE)

    def _serve(self, _event: _End) -> None:
        self._called = False
        heads = [(self._queues[index][0], index) for index in self._free if self._queues[index]]
        if heads:
            (_, task), index = min(heads)
            heappop(self._queues[index])
            self._free.remove(index)
            self._start(task)
            self._call()

"""A dataflow as a task graph: a step of a stage is a take, a work and its puts, and finite FIFOs are predecessors.

A put needs room: it waits for the take of the pixel ``depth`` before it. A take waits for its pixel's put. Stages
issue their steps in order. Nothing is assumed of blocking: the engines find it, and a deadlock as a circle of waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.mapping.fpga.records import Dataflow, Stage
from accelsim.mapping.taskgraph import MAX_TASKS, NO_RESOURCE, TaskGraph

__all__ = ["ACTIONS", "UNBOUNDED", "Lowered", "lower_dataflow"]

ACTIONS = ("take", "work", "put")
UNBOUNDED = 1 << 40
"""A depth that no FIFO ever fills."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class _Tasks:
    """Indices of a stage's tasks over all frames.

    ``take`` is (steps,); ``put`` holds, for every output, one an outgoing pixel; ``release`` one an incoming pixel:
    when it has left the stream.
    """

    take: IntArray
    put: tuple[IntArray, ...]
    done: IntArray | None
    release: IntArray


@dataclass(frozen=True, eq=False)
class Lowered:
    """Frames of a dataflow as tasks, for FIFOs of any depth.

    Attributes:
        endless: the task graph with FIFOs that never fill. A put has a predecessor that says nothing new, in the place
            of the one for room.
        rooms: for each FIFO, the places of those predecessors.
        puts, releases: for each FIFO, the tasks that bring its pixels and the tasks that take them away.
        ends: the task that takes the last pixel of each frame.
    """

    dataflow: Dataflow
    frames: int
    endless: TaskGraph
    rooms: Mapping[str, IntArray]
    puts: Mapping[str, IntArray]
    releases: Mapping[str, IntArray]
    ends: IntArray

    def with_depths(self, depths: Mapping[str, int] | None = None) -> TaskGraph:
        """The task graph with FIFOs of ``depths`` pixels; those not named keep the dataflow's."""
        pred = self.endless.pred.copy()
        for stream in self.dataflow.fifos:
            depth = (depths or {}).get(stream.name, stream.depth)
            assert depth is not None
            if depth < 1:
                raise InputError("must be 1 or more", field=f"depth of FIFO {stream.name}", value=depth)
            rooms, releases = self.rooms[stream.name], self.releases[stream.name]
            if depth < len(rooms):
                pred[rooms[depth:]] = releases[:-depth]
        return replace(self.endless, pred=pred)

    def in_order_of(self, start: IntArray, end: IntArray) -> Lowered:
        """The same tasks, listed as a schedule ran them: engines are fastest where tasks stand behind those they wait
        for, and with deeper FIFOs than the schedule's they do."""
        order = np.lexsort((end, start))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        graph = self.endless
        counts = np.diff(graph.pred_ptr)[order]
        pointers = np.concatenate(([0], np.cumsum(counts)))
        edges = np.arange(len(graph.pred)) + np.repeat(graph.pred_ptr[:-1][order] - pointers[:-1], counts)
        moved = np.empty_like(edges)
        moved[edges] = np.arange(len(edges))
        listed = replace(
            graph, resource=graph.resource[order], action=graph.action[order], amount=graph.amount[order],
            op=graph.op[order], pred_ptr=pointers, pred=place[graph.pred[edges]],
        )  # fmt: skip
        rooms = {name: moved[each] for name, each in self.rooms.items()}
        puts, releases = ({name: place[each] for name, each in of.items()} for of in (self.puts, self.releases))
        return replace(self, endless=listed, rooms=rooms, puts=puts, releases=releases, ends=place[self.ends])


def lower_dataflow(dataflow: Dataflow, frames: int = 1) -> Lowered:
    """``frames`` frames of ``dataflow``, one behind the other, as tasks whose amounts are clock cycles.

    Raises:
        InputError: more tasks than are run.
    """
    builder = _Builder(dataflow, frames)
    for stage in dataflow.stages:
        builder.stage(stage)
    return builder.finish()


class _Builder:
    def __init__(self, dataflow: Dataflow, frames: int) -> None:
        self.dataflow, self.frames = dataflow, frames
        self.count = 0
        self.names: list[str] = []
        self.columns: list[tuple[IntArray, IntArray, IntArray, IntArray]] = []
        self.before: list[IntArray] = []
        self.after: list[IntArray] = []
        self.tasks: list[_Tasks] = []

    def wait(self, before: IntArray, after: IntArray) -> None:
        """``after`` waits for ``before``, one by one."""
        self.before.append(before)
        self.after.append(after)

    def stage(self, stage: Stage) -> None:
        """Number the tasks of a stage, step by step: take, work, a put an output, and the end of the step."""
        takes, puts = (np.tile(each, self.frames) for each in (stage.steps.takes, stage.steps.puts))
        cycles = np.tile(stage.steps.cycles, self.frames)
        works, delayed = (cycles > 1) & (stage.lines is None), puts & (stage.latency_cycles > 0)
        outputs = len(stage.outputs)
        size = 1 + works.astype(np.int64) + delayed + puts * outputs + (puts if stage.holds_input else 0)
        total = int(size.sum())
        if self.count + total > MAX_TASKS:
            raise InputError(f"takes more than {MAX_TASKS} tasks at pixel detail", field="frames", value=self.frames,
                             remedy="simulate fewer frames, or a smaller image")  # fmt: skip
        take = self.count + np.concatenate(([0], np.cumsum(size)[:-1])).astype(np.int64)
        work = take + works
        last = work + delayed
        put = tuple((last + 1 + index)[puts] for index in range(outputs))
        done = (last + 1 + outputs)[puts] if stage.holds_input and outputs else None
        self._fill(stage, total, (take, work, last), put, done, cycles)
        release = take[takes] if done is None else done
        self.tasks.append(_Tasks(take, put, done, release))
        self.count += total
        self._inside(stage, (take, work, last), put, done, puts)

    def _fill(
        self, stage: Stage, total: int, parts: tuple[IntArray, IntArray, IntArray], put: tuple[IntArray, ...],
        done: IntArray | None, cycles: IntArray,
    ) -> None:  # fmt: skip
        first, (take, work, last) = self.count, parts
        resource, action = np.full(total, NO_RESOURCE, dtype=np.int64), np.zeros(total, dtype=np.int64)
        amount = np.zeros(total, dtype=np.int64)
        own = self._resource(stage.name)
        if stage.lines is None:
            resource[take - first], amount[take - first] = own, np.minimum(cycles, 1)
        else:
            amount[take - first] = cycles
        works, delays = work[work > take] - first, last[last > work] - first
        resource[works], action[works], amount[works] = own, 1, cycles[work > take] - 1
        action[delays], amount[delays] = 1, stage.latency_cycles
        for index, tasks in enumerate(put):
            wire = self._is_wire(stage.outputs[index]) and stage.lines is None
            held = stage.lines is not None or (not wire and not stage.registers and len(put) == 1)
            resource[tasks - first], action[tasks - first] = own if held else NO_RESOURCE, 2
            amount[tasks - first] = 0 if wire else stage.put_cycles
        if done is not None:
            action[done - first] = 2
        self.columns.append((resource, action, amount, np.full(total, stage.op, dtype=np.int64)))

    def _resource(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def _is_wire(self, stream: str) -> bool:
        return self.dataflow.streams[stream].depth is None

    def _inside(
        self, stage: Stage, parts: tuple[IntArray, IntArray, IntArray], put: tuple[IntArray, ...],
        done: IntArray | None, puts: NDArray[np.bool_],
    ) -> None:  # fmt: skip
        """Waits within a stage: work for its take, puts for the work, the next step for the put before it."""
        take, work, last = parts
        for before, after in ((take, work), (work, last)):
            moved = after > before
            self.wait(before[moved], after[moved])
        steps = np.flatnonzero(puts)
        for tasks in put:
            self.wait(last[puts], tasks)
            self.wait(tasks[:-1], tasks[1:])
            if done is not None:
                self.wait(tasks, done)
        if stage.lines is not None:
            self.wait(take[:-1], take[1:])
            self._room(stage, put[0], take)
            return
        if done is not None:
            self.wait(done[:-1], take[1:])
            return
        for index, tasks in enumerate(put):
            if not self._is_wire(stage.outputs[index]):
                self._follow(stage, tasks, take, steps)

    def _room(self, stage: Stage, put: IntArray, take: IntArray) -> None:
        """Takes wait for the windows that still need the place of the pixel which theirs takes over."""
        assert stage.lines is not None
        length = len(stage.steps)
        first = (np.arange(self.frames)[:, None] * length + stage.lines.first[None, :]).ravel()
        last = np.searchsorted(first, np.arange(len(take)) - stage.lines.capacity, side="right") - 1
        self.wait(put[last[last >= 0]], take[last >= 0])

    def _follow(self, stage: Stage, passed: IntArray, take: IntArray, steps: IntArray) -> None:
        """Steps wait until results before them have ``passed`` on, all but those that the stage has room for."""
        lag = stage.results_inside
        if lag:  # the result of a step needs the place of the one ``lag`` before it when it is made
            self.wait(passed[: max(len(steps) - 1 - lag, 0)], take[steps[1 + lag :]])
        else:
            follows = steps + 1 < len(take)
            self.wait(passed[follows], take[steps[follows] + 1])

    def finish(self) -> Lowered:
        puts: dict[str, IntArray] = {}
        releases: dict[str, IntArray] = {}
        for name in self.dataflow.streams:
            producer, consumer = self.dataflow.producers[name], self.dataflow.consumers[name]
            stage = self.dataflow.stages[producer]
            put = self.tasks[producer].put[stage.outputs.index(name)]
            taker = self.tasks[consumer]
            taking = taker.take[np.tile(self.dataflow.stages[consumer].steps.takes, self.frames)]
            self.wait(put, taking)
            if self._is_wire(name):  # the pixel stays with the producer until it is taken
                maker = self.tasks[producer]
                if maker.done is not None:
                    self.wait(taking, maker.done)
                elif stage.lines is not None:  # a window is written while the one before it waits
                    self.wait(taking[:-2], put[2:])
                else:
                    self._follow(stage, taking, maker.take, np.flatnonzero(np.tile(stage.steps.puts, self.frames)))
                continue
            puts[name], releases[name] = put, taker.release
        return self._lowered(puts, releases)

    def _lowered(self, puts: Mapping[str, IntArray], releases: Mapping[str, IntArray]) -> Lowered:
        """The task graph, with a place for the wait for room at each put: until it is filled, a wait for itself's
        maker, which is there anyway."""
        resource, action, cycles, op = (np.concatenate(column) for column in zip(*self.columns, strict=True))
        before, after = np.concatenate(self.before), np.concatenate(self.after)
        known = len(after)
        waiting = np.concatenate([np.zeros(0, dtype=np.int64), *puts.values()])
        first = np.full(len(resource), -1, dtype=np.int64)
        first[after[::-1]] = before[::-1]
        before, after = np.concatenate((before, first[waiting])), np.concatenate((after, waiting))
        order = np.argsort(after, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        pointers = np.concatenate(([0], np.cumsum(np.bincount(after, minlength=len(resource))))).astype(np.int64)
        graph = TaskGraph(tuple(self.names), ACTIONS, resource, action, cycles.astype(np.float64), op, pointers,
                          before[order])  # fmt: skip
        rooms, base = {}, known
        for name, tasks in puts.items():
            rooms[name] = place[base : base + len(tasks)]
            base += len(tasks)
        ends = self.tasks[-1].take.reshape(self.frames, -1)[:, -1]
        return Lowered(self.dataflow, self.frames, graph, rooms, puts, releases, ends)

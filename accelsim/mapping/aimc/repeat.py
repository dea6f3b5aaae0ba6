"""Steps of a time loop as copies of one of them.

A step waits for tasks of its own, of the steps before, of what stands before the loop, and for its slices of what the
loop reads. While a step is lowered its slices are placeholders, task indices from `PLACEHOLDER` on; a copy moves its
own tasks and those of the steps before along, and has slices of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.aimc.chunks import Ready
from accelsim.mapping.taskgraph import TaskGraph, TaskGraphBuilder

__all__ = ["PLACEHOLDER", "State", "Step", "repeated", "state_of"]

PLACEHOLDER = 1 << 40
"""The first index that stands for a slice; above that of any task."""

State = tuple[tuple[tuple[bool, int], ...], ...]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Step:
    """The tasks of one step, cut off the builder: ``begin`` is the first's index, ``first`` that of the loop's."""

    tasks: TaskGraph
    begin: int
    first: int

    @property
    def end(self) -> int:
        return self.begin + len(self.tasks)

    def put_back(self, builder: TaskGraphBuilder, slices: Mapping[int, int]) -> None:
        """Append the tasks, waiting for ``slices`` (placeholder -> task)."""
        tasks, pred = self.tasks, self.tasks.pred.copy()
        for placeholder, task in slices.items():
            pred[tasks.pred == placeholder] = task
        builder.add_columns(tasks.resource, tasks.action, tasks.amount, tasks.op, tasks.pred_ptr, pred)

    def at(self, task: int, slices: Mapping[int, IntArray], times: int) -> IntArray:
        """(times,) what ``task`` of this step, or one that it waits for, is in each of the next ``times`` steps."""
        if task in slices:
            return slices[task]
        moved = len(self.tasks) if self.first <= task < PLACEHOLDER else 0
        return task + moved * np.arange(1, times + 1, dtype=np.int64)


def repeated(step: Step, builder: TaskGraphBuilder, slices: Mapping[int, IntArray], times: int) -> None:
    """Append ``times`` copies of ``step``, which stands last; ``slices`` holds (times,) tasks of each placeholder."""
    tasks = step.tasks
    copies = np.stack([step.at(task, slices, times) for task in tasks.pred.tolist()] or [np.empty(0, np.int64)], axis=1)
    bounds = np.concatenate(([0], np.cumsum(np.tile(np.diff(tasks.pred_ptr), times))))
    builder.add_columns(
        np.tile(tasks.resource, times), np.tile(tasks.action, times), np.tile(tasks.amount, times),
        np.tile(tasks.op, times), bounds, copies.ravel(),
    )  # fmt: skip


def state_of(ready: Iterable[Ready], step: Step) -> State:
    """What a step leaves to the next, as places before its end; tasks from before the loop by their index."""
    return tuple(
        tuple((task >= step.first, task - step.end if task >= step.first else task) for task in each.tasks)
        for each in ready
    )

"""The task graph: the record in which every hardware kind meets every engine.

A task occupies one resource for a time. It starts when its predecessors have ended and when the task listed
before it on the same resource has ended:

    start[i] = max(end of predecessors, end of the previous task on resource[i])

Tasks are listed in an order in which each stands after its predecessors; that order is also the issue order
of every resource. A task on no resource (index -1) is a delay that blocks nothing, such as a memory latency.

What a task costs is not in here: it has an action and an amount in the action's unit, and the cost model
turns both into femtoseconds and picojoules. So one graph serves every clock and bandwidth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import EngineError, InputError

__all__ = ["NO_RESOURCE", "TaskGraph", "TaskGraphBuilder"]

NO_RESOURCE = -1
MAX_TASKS = 30_000_000
"""More tasks than this take several gigabytes and are refused."""

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TaskGraph:
    """Tasks as columns; n tasks, e predecessor edges.

    Attributes:
        resources: names of the exclusive resources.
        actions: names of the actions; the cost model knows each one's unit.
        resource: (n,) index into ``resources``, or -1.
        action: (n,) index into ``actions``.
        amount: (n,) float64, work in the action's unit.
        op: (n,) index of the mapped op that the task belongs to.
        pred_ptr, pred: (n + 1,) and (e,), predecessors in CSR form.
        arrival: resources that serve tasks in the order in which they become ready (ties by index) instead of
            the listed order. Only the SimPy engine runs those.
    """

    resources: tuple[str, ...]
    actions: tuple[str, ...]
    resource: IntArray
    action: IntArray
    amount: NDArray[np.float64]
    op: IntArray
    pred_ptr: IntArray
    pred: IntArray
    arrival: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.resource)

    def check(self) -> None:
        """Raise `EngineError` unless indices are in range and each task stands after its predecessors."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.pred_ptr))
        if np.any(self.pred < 0) or np.any(self.pred >= owner):
            task = int(owner[np.flatnonzero((self.pred < 0) | (self.pred >= owner))[0]])
            raise EngineError(f"task {task} waits for a task that does not stand before it: the graph would deadlock.")
        if np.any(self.resource < NO_RESOURCE) or np.any(self.resource >= len(self.resources)):
            raise EngineError("a task names a resource that does not exist.")


@dataclass(slots=True)
class _Columns:
    """Growing columns of one builder."""

    resource: list[int] = field(default_factory=list)
    action: list[int] = field(default_factory=list)
    amount: list[float] = field(default_factory=list)
    op: list[int] = field(default_factory=list)
    preds: list[tuple[int, ...]] = field(default_factory=list)


class TaskGraphBuilder:
    """Collects tasks one by one, and unrolls time loops by copying a range of tasks."""

    def __init__(self, resources: Sequence[str], actions: Sequence[str]) -> None:
        self._resources = {name: index for index, name in enumerate(resources)}
        self._actions = {name: index for index, name in enumerate(actions)}
        self._pending = _Columns()
        self._done: list[TaskGraph] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, resource: str | None, action: str, amount: float, op: int, preds: Iterable[int] = ()) -> int:
        """Append one task and return its index. Negative predecessors are dropped ("nothing to wait for")."""
        pending = self._pending
        pending.resource.append(NO_RESOURCE if resource is None else self._resources[resource])
        pending.action.append(self._actions[action])
        pending.amount.append(amount)
        pending.op.append(op)
        pending.preds.append(tuple(sorted({p for p in preds if p >= 0})))
        self._count += 1
        return self._count - 1

    def add_columns(
        self,
        resource: IntArray,
        action: IntArray,
        amount: NDArray[np.float64],
        op: IntArray,
        pred_ptr: IntArray,
        pred: IntArray,
    ) -> int:
        """Append a block of tasks given as columns (predecessors are absolute indices); return the first's index."""
        self._flush()
        first = self._count
        self._done.append(self._block(resource, action, amount, op, pred_ptr, pred))
        self._count += len(resource)
        return first

    def cut(self, first: int) -> TaskGraph:
        """Remove and return the tasks from ``first`` on; their predecessors stay absolute."""
        tail = self._take_from(first)
        self._count = first
        return tail

    def waiting_for(self, tasks: Iterable[int], first: int) -> list[int]:
        """Tasks from ``first`` on that have one of ``tasks`` as a predecessor."""
        wanted = frozenset(tasks)
        return [task for task, preds in self._preds_from(first) if not wanted.isdisjoint(preds)]

    def without_predecessors(self, first: int) -> list[int]:
        """Tasks from ``first`` on that wait for nothing."""
        return [task for task, preds in self._preds_from(first) if not preds]

    def _preds_from(self, first: int) -> Iterator[tuple[int, tuple[int, ...]]]:
        """(task, its predecessors) from ``first`` on."""
        tail = self._take_from(first)
        self._done.append(tail)
        for task in range(len(tail)):
            yield first + task, tuple(tail.pred[tail.pred_ptr[task] : tail.pred_ptr[task + 1]].tolist())

    def repeat(self, first: int, times: int, carried: Iterable[tuple[int, int]] = ()) -> None:
        """Make the tasks from ``first`` on the first of ``times`` executions of a loop body.

        Predecessors inside the body move with it, those outside stay. In every execution after the first, each
        pair (earlier, later) of ``carried`` adds: task ``later`` waits for task ``earlier`` of the execution before.
        Both stand in the body; pairs with a negative index are dropped.
        """
        if times <= 1 or first == self._count:
            return
        body = self._take_from(first)
        n = len(body)
        if first + n * times > MAX_TASKS:
            raise InputError(
                f"unrolls into {first + n * times} tasks; at most {MAX_TASKS} are run", field="time loop", value=times,
                remedy="simulate a shorter input (rates and factors hardly depend on it), or use detail op",
            )  # fmt: skip
        later: dict[int, list[int]] = {}
        for source, target in carried:
            if source < 0 or target < 0:
                continue
            if min(source, target) < first:
                raise EngineError(f"tasks {source} and {target} are not both in the loop body from task {first} on.")
            later.setdefault(target - first, []).append(source - n)
        preds = [  # (moves, place) each; what stays stands before what moves, so the copies are sorted too
            sorted(
                {(p >= first, p) for p in body.pred[body.pred_ptr[i] : body.pred_ptr[i + 1]].tolist()}
                | {(True, p) for p in later.get(i, ())}
            )
            for i in range(n)
        ]
        counts = np.array([len(each) for each in preds], dtype=np.int64)
        template = np.array([p for each in preds for _, p in each], dtype=np.int64)
        moves = np.array([move for each in preds for move, _ in each], dtype=np.bool_)
        shift = np.arange(1, times, dtype=np.int64)[:, None] * n
        copies = np.where(moves[None, :], template[None, :] + shift, template[None, :]).ravel()
        ptr = np.concatenate(([0], np.cumsum(np.tile(counts, times - 1))))
        again = times - 1
        self._done.append(body)
        self._done.append(
            self._block(
                np.tile(body.resource, again),
                np.tile(body.action, again),
                np.tile(body.amount, again),
                np.tile(body.op, again),
                ptr,
                copies,
            )
        )
        self._count += n * again

    def build(self, arrival: Iterable[str] = ()) -> TaskGraph:
        """The finished task graph."""
        self._flush()
        whole = self._joined(self._done)
        return self._block(
            whole.resource, whole.action, whole.amount, whole.op, whole.pred_ptr, whole.pred, frozenset(arrival)
        )

    def _block(self, *columns: object) -> TaskGraph:
        return TaskGraph(tuple(self._resources), tuple(self._actions), *columns)  # type: ignore[arg-type]

    def _flush(self) -> None:
        pending = self._pending
        if not pending.resource:
            return
        counts = [len(each) for each in pending.preds]
        self._done.append(
            self._block(
                np.array(pending.resource, dtype=np.int64),
                np.array(pending.action, dtype=np.int64),
                np.array(pending.amount, dtype=np.float64),
                np.array(pending.op, dtype=np.int64),
                np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
                np.array([p for each in pending.preds for p in each], dtype=np.int64),
            )
        )
        self._pending = _Columns()

    def _joined(self, blocks: list[TaskGraph]) -> TaskGraph:
        if len(blocks) == 1:
            return blocks[0]
        empty = np.zeros(0, dtype=np.int64)
        bounds = np.cumsum([0, *(len(block.pred) for block in blocks)])
        pointers = [block.pred_ptr[1:] + bound for block, bound in zip(blocks, bounds, strict=False)]
        return self._block(
            np.concatenate([block.resource for block in blocks] or [empty]),
            np.concatenate([block.action for block in blocks] or [empty]),
            np.concatenate([block.amount for block in blocks] or [np.zeros(0)]),
            np.concatenate([block.op for block in blocks] or [empty]),
            np.concatenate([np.zeros(1, dtype=np.int64), *pointers]),
            np.concatenate([block.pred for block in blocks] or [empty]),
        )

    def _take_from(self, first: int) -> TaskGraph:
        """Cut off and return the tasks from ``first`` on; what stands before is not copied."""
        self._flush()
        taken: list[TaskGraph] = []
        begin = self._count
        while begin > first:
            block = self._done.pop()
            begin -= len(block)
            if begin < first:
                head, block = self._split(block, first - begin)
                self._done.append(head)
            taken.append(block)
        return self._joined(taken[::-1])

    def _split(self, block: TaskGraph, at: int) -> tuple[TaskGraph, TaskGraph]:
        edges = int(block.pred_ptr[at])
        parts = (
            (block.resource[cut], block.action[cut], block.amount[cut], block.op[cut])
            for cut in (slice(None, at), slice(at, None))
        )
        head, tail = parts
        return (
            self._block(*head, block.pred_ptr[: at + 1], block.pred[:edges]),
            self._block(*tail, block.pred_ptr[at:] - edges, block.pred[edges:]),
        )

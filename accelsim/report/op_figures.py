"""What each mapped op did, as columns: the figures behind tables and plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.records import MappedItem, MappedOp, OpMapping, WorkloadMapping
from accelsim.mapping.taskgraph import NO_RESOURCE
from accelsim.pipeline import Evaluation
from accelsim.report.critical import critical_path
from accelsim.units import FS_PER_S

__all__ = ["OpFigures", "Stretch", "activity", "bare_resource", "execution_starts_fs", "op_figures", "stretches"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OpFigures:
    """Columns over the mapped ops of one evaluation, in the order of `WorkloadMapping.walk`; (ops,) unless said.

    Attributes:
        mapped: the ops.
        start_s, end_s: first start and last end over all executions; NaN for an op without tasks (a view).
        busy_s: its unit works on it.
        stall_s: its unit is held by it and waits: the gaps between the unit's tasks of one execution, added up over
            all executions. Those are waits for its own data, for a round trip, or for the op that it follows.
        active_s: any of its tasks runs, transfers and latencies included; at least ``busy_s``.
        critical_by_activity_s: its tasks on the critical path, by `activity`; all of them add up to the latency.
        macs: of all executions.
        dram_bytes: moved by its tasks, whole bursts. Weights that stay for a whole loop are loaded by its first op.
        energy_j: dynamic energy, NaN without an energy model; leakage is no op's.
    """

    mapped: tuple[MappedItem, ...]
    start_s: Floats
    end_s: Floats
    busy_s: Floats
    stall_s: Floats
    active_s: Floats
    critical_by_activity_s: Mapping[str, Floats]
    macs: Floats
    dram_bytes: Floats
    energy_j: Floats

    def __len__(self) -> int:
        return len(self.mapped)

    @property
    def critical_s(self) -> Floats:
        """Its time on the critical path."""
        return np.asarray(sum(self.critical_by_activity_s.values(), np.zeros(len(self))), dtype=np.float64)

    def by_time(self) -> list[int]:
        """Ops by falling time on the critical path, then by falling busy time."""
        return [int(i) for i in np.lexsort((-self.busy_s, -self.critical_s))]


def op_figures(evaluation: Evaluation) -> OpFigures:
    """The columns of one evaluation."""
    tasks = evaluation.tasks
    mapped = tuple(evaluation.mapping.walk())
    count = len(mapped)
    start, end, busy = evaluation.op_spans_fs
    idle = np.bincount(tasks.op, minlength=count) == 0
    crossing = np.array([name in ("dram_read", "dram_write") for name in tasks.actions])[tasks.action]
    crossing &= tasks.resource != NO_RESOURCE
    return OpFigures(
        mapped=mapped,
        start_s=np.where(idle, np.nan, _seconds(start)),
        end_s=np.where(idle, np.nan, _seconds(end)),
        busy_s=_seconds(busy),
        stall_s=_seconds(_stalls(evaluation, mapped)),
        active_s=_seconds(_active(evaluation, count)),
        critical_by_activity_s=_critical(evaluation, count),
        macs=np.array([float(op.op.macs * op.executions) for op in mapped]),
        dram_bytes=np.bincount(tasks.op[crossing], tasks.amount[crossing], count).astype(np.float64),
        energy_j=np.full(count, np.nan) if evaluation.energy is None else evaluation.energy.by_op_j,
    )


def _seconds(femtoseconds: NDArray[np.int64]) -> Floats:
    return femtoseconds / FS_PER_S


def _unit_tasks(evaluation: Evaluation) -> NDArray[np.int64]:
    """Tasks on compute units; of equal cores, those of the first. By op, then in order."""
    tasks = evaluation.tasks
    units = [i for i, name in enumerate(tasks.resources) if evaluation.computes(name) and _first_core(name)]
    chosen = np.flatnonzero(np.isin(tasks.resource, units))
    return np.asarray(chosen[np.argsort(tasks.op[chosen], kind="stable")], dtype=np.int64)


def _first_core(name: str) -> bool:
    return name.startswith("core0.") or bare_resource(name) == name


def bare_resource(name: str) -> str:
    """A resource's name without its core: ``core3.array`` is an ``array``."""
    core, dot, rest = name.partition(".")
    return rest if dot and core.startswith("core") and core[4:].isdigit() else name


def _execution_of(
    evaluation: Evaluation, chosen: NDArray[np.int64], mapped: tuple[MappedItem, ...]
) -> NDArray[np.int64]:
    """Which execution of its op each of ``chosen`` (`_unit_tasks`) belongs to: all executions have equally many."""
    op = evaluation.tasks.op[chosen]
    counts = np.bincount(op, minlength=len(mapped))
    first = np.concatenate(([0], np.cumsum(counts)))[:-1]
    each = np.maximum(1, counts // np.array([item.executions for item in mapped], dtype=np.int64))
    return np.asarray((np.arange(len(chosen)) - first[op]) // each[op], dtype=np.int64)


def _stalls(evaluation: Evaluation, mapped: tuple[MappedItem, ...]) -> NDArray[np.int64]:
    tasks, timeline = evaluation.tasks, evaluation.timeline
    chosen = _unit_tasks(evaluation)
    op, resource = tasks.op[chosen], tasks.resource[chosen]
    execution = _execution_of(evaluation, chosen, mapped)
    same = (op[1:] == op[:-1]) & (execution[1:] == execution[:-1]) & (resource[1:] == resource[:-1])
    gaps = np.maximum(0, timeline.start_fs[chosen[1:]] - timeline.end_fs[chosen[:-1]])
    stalls = np.zeros(len(mapped), dtype=np.int64)
    np.add.at(stalls, op[1:][same], gaps[same])
    return stalls


def _active(evaluation: Evaluation, count: int) -> NDArray[np.int64]:
    """Length of the union of each op's task times."""
    tasks, timeline = evaluation.tasks, evaluation.timeline
    order = np.lexsort((timeline.start_fs, tasks.op))
    bounds = np.searchsorted(tasks.op[order], np.arange(count + 1))
    active = np.zeros(count, dtype=np.int64)
    for index in np.flatnonzero(np.diff(bounds)):
        own = order[bounds[index] : bounds[index + 1]]
        reached = np.maximum.accumulate(timeline.end_fs[own])
        earlier = np.concatenate((timeline.start_fs[own[:1]], reached[:-1]))
        active[index] = np.maximum(0, reached - np.maximum(timeline.start_fs[own], earlier)).sum()
    return active


def _critical(evaluation: Evaluation, count: int) -> dict[str, Floats]:
    tasks, timeline = evaluation.tasks, evaluation.timeline
    path = critical_path(tasks, timeline)
    duration = timeline.end_fs[path] - timeline.start_fs[path]
    found: dict[str, Floats] = {}
    for index, action in enumerate(tasks.actions):
        for occupies in (True, False):
            chosen = (tasks.action[path] == index) & ((tasks.resource[path] != NO_RESOURCE) == occupies)
            if chosen.any():
                spent = np.zeros(count, dtype=np.int64)
                np.add.at(spent, tasks.op[path[chosen]], duration[chosen])
                label = activity(action, occupies=occupies)
                found[label] = found.get(label, np.zeros(count)) + _seconds(spent)
    return found


_ACTIVITY_OF = {
    "array": "matrix array",
    "vector": "vector unit",
    "overhead": "op launch",
    "dram_read": "DRAM transfer",
    "dram_write": "DRAM transfer",
    "dram_latency": "DRAM latency",
    "dma": "DMA",
    "network": "on-chip network",
    "network_latency": "on-chip network",
    "host_compute": "host",
    "host_transfer": "host link",
    "host_latency": "host link",
    "take": "stage takes a pixel",
    "work": "stage computes",
    "put": "stage gives a pixel",
    "product": "analog product",
    "fill": "tile pipeline fills",
    "receive": "tile port",
    "mesh": "on-chip network",
    "hops": "on-chip network",
    "digital": "vector unit",
    "cores": "matrix array",
    "off_chip": "DRAM transfer",
    "off_chip_latency": "DRAM latency",
    "program": "programming",
    "recalibrate": "recalibration",
}


def activity(action: str, *, occupies: bool = True) -> str:
    """What people call an action; one without a word here keeps its name.

    A latency occupies no resource. Any other action that occupies none is a wait of that length: both buffer slots
    are taken.
    """
    if not occupies and not action.endswith(("_latency", "hops", "fill")):
        return "buffers full"
    return _ACTIVITY_OF.get(action, action.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Stretch:
    """Mapped ops that stand together: one op, or a loop with everything in it. ``last`` is not included.

    ``steps`` counts the loop's steps in one execution (1 for an op), ``executions`` those of the loops around it.
    """

    name: str
    first: int
    last: int
    steps: int
    executions: int
    depth: int


def stretches(evaluation: Evaluation) -> list[Stretch]:
    """Every op and loop in order, a loop before its body; those of depth 0 follow one another and cover all ops."""
    mapping = evaluation.mapping
    if isinstance(mapping, WorkloadMapping):
        return [*_stretches(mapping.ops, 0, 0)]
    return [Stretch(op.op.name, index, index + 1, 1, op.executions, 0) for index, op in enumerate(mapping.walk())]


def _stretches(ops: tuple[MappedOp, ...], first: int, depth: int) -> Iterator[Stretch]:
    for each in ops:
        if not isinstance(each, OpMapping):
            inner = [*_stretches(each.body, first, depth + 1)]
            last = max((stretch.last for stretch in inner), default=first)
            yield Stretch(each.op.name, first, last, each.op.steps, each.executions, depth)
            yield from inner
        else:
            last = first + 1
            yield Stretch(each.op.name, first, last, 1, each.executions, depth)
        first = last


def execution_starts_fs(evaluation: Evaluation, stretch: Stretch) -> NDArray[np.int64]:
    """When each step of a loop begins on the unit of the first op in it that has one; empty where none has."""
    mapped = tuple(evaluation.mapping.walk())
    chosen = _unit_tasks(evaluation)
    execution = _execution_of(evaluation, chosen, mapped)
    op = evaluation.tasks.op[chosen]
    for index in range(stretch.first, stretch.last):
        mine = op == index
        if mine.any() and mapped[index].executions == stretch.steps * stretch.executions:
            times = np.full(mapped[index].executions, np.iinfo(np.int64).max)
            np.minimum.at(times, execution[mine], evaluation.timeline.start_fs[chosen[mine]])
            return times
    return np.zeros(0, dtype=np.int64)

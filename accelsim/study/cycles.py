"""Where the time of each op goes: ideal computation, and everything that is added to it.

One execution of an op lasts from the end of the ops that it waits for to the end of its own last task, and of the
vector work that follows it tile by tile. Cut by what its unit does, that is:

    launch and load | computation with waits between | unload

and the computation of matrix work is the arrays' ideal time, plus what the edges of the array and idle cores add, plus
filling and draining its pipeline, plus the wait for the scratchpad's port. The parts are whole femtoseconds and add up
to the op's time exactly. ZigZag (Mei et al., IEEE Trans. Computers 2021) divides a layer's cycles alike: ideal,
spatial stall, temporal stall, data onloading, data offloading.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import ceil

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.records import OpMapping
from accelsim.mapping.space import ALONG_GROUPS, ALONG_M, ALONG_N, INPUT_STATIONARY, WEIGHT_STATIONARY, shares
from accelsim.pipeline import DigitalEvaluation
from accelsim.units import FS_PER_S

__all__ = ["PARTS", "TimeParts", "time_parts"]

Femtoseconds = NDArray[np.int64]

PARTS = ("ideal", "spatial", "fill", "port", "launch", "load", "wait", "unload")
"""The parts of an op's time, in the order in which they are explained."""


@dataclass(frozen=True, slots=True)
class TimeParts:
    """Columns over the mapped ops of one evaluation, in the order of `WorkloadMapping.walk`; (ops,) femtoseconds.

    Figures are of all executions together, of the first core where there are several. In a row of ops that run one
    after the other the totals add up to the latency, but for those of vector work that follows: it runs in its op's
    time.

    Attributes:
        ideal: multiply-accumulates at the arrays' peak; for another unit, all of its work.
        spatial: edges of the array, and cores without work.
        fill: filling and draining the array's pipeline, and folds that wait for the next operands to be shifted in.
        port: the array waits for the scratchpad's port in each fold.
        launch: starting the op.
        load: beside launching, before the first computation: weights and inputs that are not there yet.
        wait: between the first and the last computation, for data or for the op that it follows.
        unload: after the last computation: reductions, the rest of what follows, and the last stores.
    """

    ideal: Femtoseconds
    spatial: Femtoseconds
    fill: Femtoseconds
    port: Femtoseconds
    launch: Femtoseconds
    load: Femtoseconds
    wait: Femtoseconds
    unload: Femtoseconds

    @property
    def total(self) -> Femtoseconds:
        """The ops' time, which the parts add up to."""
        total: Femtoseconds = np.sum([getattr(self, each.name) for each in fields(self)], axis=0, dtype=np.int64)
        return total


def time_parts(evaluation: DigitalEvaluation) -> TimeParts:
    """The parts of the time of each op."""
    mapped = tuple(evaluation.mapping.walk())
    found = _windows(evaluation, mapped)
    rows = [
        (*_computation(evaluation, op, busy), launch, load, wait, unload)
        for op, (busy, launch, load, wait, unload) in zip(mapped, found.tolist(), strict=True)
    ]
    return TimeParts(*np.array(rows, dtype=np.int64).reshape(-1, len(PARTS)).T)


def _windows(evaluation: DigitalEvaluation, mapped: tuple[OpMapping, ...]) -> Femtoseconds:
    """(ops, 5) femtoseconds of each op in its unit, and beside it: launch, load, wait, unload."""
    tasks, start, end = evaluation.tasks, evaluation.timeline.start_fs, evaluation.timeline.end_fs
    op = tasks.op
    on_unit, begins = _executions(evaluation, mapped)
    keys = op[begins] * len(tasks) + begins
    launching = on_unit[tasks.action[on_unit] == tasks.actions.index("overhead")]
    computing = np.setdiff1d(on_unit, launching, assume_unique=True)
    behind, leaders = _behind(evaluation, mapped)

    def execution(chosen: Femtoseconds, owner: Femtoseconds) -> Femtoseconds:
        """Which of ``begins`` a task of op ``owner`` stands behind."""
        return np.maximum(np.searchsorted(keys, owner * len(tasks) + chosen, side="right") - 1, 0)

    during = execution(computing, op[computing])
    first, last, busy = start[begins].copy(), end[begins].copy(), np.zeros(len(begins), dtype=np.int64)
    first[during] = np.iinfo(np.int64).max
    np.minimum.at(first, during, start[computing])
    np.maximum.at(last, during, end[computing])
    np.add.at(busy, during, (end - start)[computing])
    launch = np.where(np.isin(begins, launching), (end - start)[begins], 0)
    finish = last.copy()
    if len(begins):
        np.maximum.at(finish, execution(behind, leaders[op[behind]]), end[behind])
    opening = _openings(evaluation, mapped, begins)
    parts = np.stack([busy, launch, first - opening - launch, last - first - busy, finish - last], axis=1)
    columns = np.zeros((len(mapped), 5), dtype=np.int64)
    np.add.at(columns, op[begins], parts)
    # What a whole loop loads counts for its first op, which may do nothing else.
    idle = np.ones(len(mapped), dtype=np.bool_)
    idle[op[begins]] = False
    for index in np.unique(op[idle[op]]):
        columns[index, 2] = end[op == index].max() - start[op == index].min()
    return columns


def _executions(evaluation: DigitalEvaluation, mapped: tuple[OpMapping, ...]) -> tuple[Femtoseconds, Femtoseconds]:
    """Tasks on the unit of each op, of the first core where there are several, and the first of each execution."""
    tasks = evaluation.tasks
    units = [i for i, name in enumerate(tasks.resources) if name.rpartition(".")[2] in ("array", "vector", "host")]
    chosen = np.flatnonzero(np.isin(tasks.resource, units))
    core = np.full(len(mapped), len(tasks.resources))
    np.minimum.at(core, tasks.op[chosen], tasks.resource[chosen])
    chosen = chosen[tasks.resource[chosen] == core[tasks.op[chosen]]]
    chosen = chosen[np.argsort(tasks.op[chosen], kind="stable")]
    counts = np.bincount(tasks.op[chosen], minlength=len(mapped))
    each = np.maximum(1, counts // np.array([op.executions for op in mapped], dtype=np.int64))
    rank = np.arange(len(chosen)) - (np.cumsum(counts) - counts)[tasks.op[chosen]]
    return chosen, chosen[rank % each[tasks.op[chosen]] == 0]


def _behind(evaluation: DigitalEvaluation, mapped: tuple[OpMapping, ...]) -> tuple[Femtoseconds, Femtoseconds]:
    """Tasks that belong behind the computation of an op, and for each op the one that it follows, or itself."""
    tasks = evaluation.tasks
    follows = np.array([op.follows for op in mapped], dtype=np.bool_)
    leaders = np.maximum.accumulate(np.where(follows, 0, np.arange(len(mapped))))
    after = [tasks.actions.index(name) for name in ("dram_write", "network", "network_latency")]
    return np.flatnonzero(np.isin(tasks.action, after) | follows[tasks.op]), leaders


def _openings(evaluation: DigitalEvaluation, mapped: tuple[OpMapping, ...], begins: Femtoseconds) -> Femtoseconds:
    """When each execution opens: what it waits for has ended, but for its own loads.

    Vector work that follows an op opens with its own first task. Weights that stay for a whole loop are loaded in the
    first execution of its first op.
    """
    tasks, start, end = evaluation.tasks, evaluation.timeline.start_fs, evaluation.timeline.end_fs
    latency = tasks.actions.index("dram_latency")
    counts = np.diff(tasks.pred_ptr)[begins]
    owner = np.repeat(np.arange(len(begins)), counts)
    inside = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    pred = tasks.pred[np.repeat(tasks.pred_ptr[begins], counts) + inside]
    loads = (tasks.op[pred] == tasks.op[begins][owner]) & (tasks.action[pred] == latency)
    opening = np.full(len(begins), -1, dtype=np.int64)
    np.maximum.at(opening, owner[~loads], end[pred[~loads]])
    # Where it waits for nothing but loads, those of its first execution open it.
    earliest = np.full(len(mapped), np.iinfo(np.int64).max)
    np.minimum.at(earliest, tasks.op, start)
    opening = np.where(opening < 0, earliest[tasks.op[begins]], opening)
    follows = np.array([op.follows for op in mapped], dtype=np.bool_)[tasks.op[begins]]
    return np.where(follows, start[begins], opening)


def _computation(evaluation: DigitalEvaluation, mapped: OpMapping, busy_fs: int) -> tuple[int, int, int, int]:
    """(ideal, spatial, fill, port) femtoseconds of ``busy_fs`` in the unit."""
    if mapped.metrics is None:
        return busy_fs, 0, 0, 0
    arch = evaluation.arch
    macs = mapped.op.macs * mapped.executions
    until = [macs / arch.macs_per_cycle(mapped.precision)]
    until += [each * mapped.executions for each in (_useful_cycles(arch, mapped), mapped.metrics.mac_cycles)]
    # Each bound in whole femtoseconds, none beyond the next: rounding stays in the last part.
    hz = arch.clock_hz("array") * evaluation.clock_scale
    ends = np.minimum(np.maximum.accumulate([round(cycles * FS_PER_S / hz) for cycles in until]), busy_fs)
    ideal, spatial, fill, port = np.diff(ends, prepend=0, append=busy_fs).tolist()
    return int(ideal), int(spatial), int(fill), int(port)


def _useful_cycles(arch: DigitalArchitecture, mapped: OpMapping) -> float:
    """Cycles of the fullest core in which operands stream through the array: neither fill, drain nor port."""
    problem, c = mapped.problem, mapped.candidate
    assert problem is not None
    assert c is not None
    unit, array = arch.unit(mapped.precision, op=mapped.op.name), arch.array
    rows, wide = int(array.rows.value), int(array.per_core.value)
    per_pe = int(unit.reduction_per_pe.value)
    columns = int(array.columns.value * unit.columns_per_pe.value) * (wide if c.along == ALONG_N else 1)
    g, m, n, k = (int(each) for each in shares(problem, c))
    beside = wide if c.along == ALONG_M else 1
    g = ceil(g / wide) if c.along == ALONG_GROUPS else g
    m, tile_m = ceil(m / beside), ceil(c.tile_m / beside)
    if c.dataflow == WEIGHT_STATIONARY:
        return float(g * _folds(k, c.tile_k, rows * per_pe) * _folds(n, c.tile_n, columns) * m)
    if c.dataflow == INPUT_STATIONARY:
        return float(g * _folds(k, c.tile_k, rows * per_pe) * _folds(m, tile_m, columns) * n)
    return float(g * _folds(m, tile_m, rows) * _folds(n, c.tile_n, columns) * _folds(k, c.tile_k, per_pe))


def _folds(size: int, tile: int, capacity: int) -> int:
    """Passes of ``capacity`` over all tiles of one dimension."""
    full, rest = divmod(size, tile)
    return full * ceil(tile / capacity) + ceil(rest / capacity)

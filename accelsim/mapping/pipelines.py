"""A row of ops as a pipeline: contiguous stages, each on equally many cores, samples of a batch flowing through.

For each number of stages that divides the cores, the row is cut into the stages whose slowest is fastest, by dynamic
programming. Time goes in waves (see `records.PipelineMapping`), each as long as its slowest part, so that
(samples + stages + 1) waves bound the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from accelsim.mapping.records import PipelineMapping, Stage
from accelsim.mapping.schedule import Rates, burst_s, load_s
from accelsim.mapping.single import Entry

if TYPE_CHECKING:
    from accelsim.mapping.groups import Row

__all__ = ["pipelined", "wave_s"]

_MOST_STAGES = 64


@njit(cache=True)
def _stages(work_s, receive_s, stages):  # type: ignore[no-untyped-def]
    """Places at which to cut (n,) entries into ``stages`` so that the slowest stage is fastest; (stages + 1,)."""
    count = len(work_s)
    total = np.zeros(count + 1)
    total[1:] = np.cumsum(work_s)
    best = np.full((stages + 1, count + 1), np.inf)
    before = np.zeros((stages + 1, count + 1), dtype=np.int64)
    best[0, 0] = 0.0
    for stage in range(1, stages + 1):
        for end in range(stage, count + 1):
            for start in range(stage - 1, end):
                slowest = max(best[stage - 1, start], receive_s[start] + total[end] - total[start])
                if slowest < best[stage, end]:
                    best[stage, end], before[stage, end] = slowest, start
    places = np.zeros(stages + 1, dtype=np.int64)
    places[stages] = count
    for stage in range(stages, 0, -1):
        places[stage - 1] = before[stage, places[stage]]
    return places


def pipelined(row: Row, first: int, last: int) -> Iterator[PipelineMapping]:
    """Pipelines of body ops ``first`` to ``last`` of ``row``, one a number of stages."""
    cores = row.single.machines.arch.n_cores
    weights, weight_bytes = row.weights(first, last), row.weight_bytes(first, last)
    outside = row.border(first, last)
    moved = {name: row.body.tensors[name].bytes for name in outside}
    made = {name for op in row.body.ops[first : last + 1] for name in op.outputs}
    load = sum(size for name, size in moved.items() if name not in made)
    store = sum(size for name, size in moved.items() if name in made)
    for count in (each for each in range(2, min(cores, _MOST_STAGES) + 1) if cores % each == 0):
        entries = _entries_on(row, first, last, cores // count)
        if entries is None or len(entries) < count:
            continue
        crossing = _crossing_bytes(row, first, entries)
        stages = _cut(entries, crossing, count, row, cores // count)
        held = _held_bytes(row, first, stages, crossing, load + store)
        if held + weight_bytes > row.room.held_bytes:
            continue
        mapping = PipelineMapping(
            row.loop(first, last), stages, weights, weight_bytes, load, store,
            held + max(op.stream.buffer_bytes * stage.cores for stage in stages for op in stage.ops) * count,
        )  # fmt: skip
        rates = row.single.machines.rates("array", 0.0)
        waves_s = sum(wave_s(mapping, wave, rates) for wave in range(mapping.waves))
        yield replace(mapping, time_s=row.load_s(first, last) + waves_s)


def wave_s(mapping: PipelineMapping, wave: int, rates: Rates) -> float:
    """Seconds of one wave: of its slowest stage, or of its transfers one after the other."""
    loads, stages, stores = mapping.active(wave)
    read_s = burst_s(mapping.load_bytes, rates) if loads else 0.0
    store_s = burst_s(mapping.store_bytes, rates) if stores else 0.0
    slowest = max((mapping.stages[index].time_s for index in stages), default=0.0)
    arrived = load_s(mapping.load_bytes, rates) if loads else 0.0
    return max(slowest, arrived, read_s + store_s)


def _entries_on(row: Row, first: int, last: int, cores: int) -> Sequence[Entry] | None:
    """The entries of a row on so many cores, everything on chip, in their part of the room for streams."""
    everything = row.single.machines
    room = replace(row.room.streams, free_bytes=row.room.streams.free_bytes * cores / everything.arch.n_cores)
    smaller = replace(
        row, single=replace(row.single, machines=everything.with_cores(cores)),
        room=replace(row.room, streams=room), _entries={},
    )  # fmt: skip
    return smaller.entries(first, last, frozenset())


def _crossing_bytes(row: Row, first: int, entries: Sequence[Entry]) -> list[float]:
    """For each entry, bytes of one sample that come from entries before it and are needed from there on."""
    body = row.body
    found: list[float] = []
    at = first
    for entry in entries:
        found.append(
            sum(
                body.tensors[name].bytes for name, made in body.producers.items()
                if first <= made < at <= body.last_uses.get(name, -1)
            )
        )  # fmt: skip
        at += len(entry.ops)
    return found


def _cut(entries: Sequence[Entry], crossing: Sequence[float], count: int, row: Row, cores: int) -> tuple[Stage, ...]:
    rates = row.single.machines.rates("array", 0.0)
    receive = [_receive_s(each / cores, rates) for each in crossing]
    places = _stages(np.array([entry.time_s for entry in entries]), np.array(receive), count)
    stages: list[Stage] = []
    for index, (start, end) in enumerate(pairwise(places)):
        ops = tuple(op for entry in entries[start:end] for op in entry.ops)
        time_s = receive[start] + sum(entry.time_s for entry in entries[start:end])
        stages.append(Stage(ops, index * cores, cores, crossing[start] / cores, time_s))
    return tuple(stages)


def _receive_s(moved: float, rates: Rates) -> float:
    return moved / rates.network_bytes_per_s + rates.hop_s if moved > 0 else 0.0


def _held_bytes(row: Row, first: int, stages: Sequence[Stage], crossing: Sequence[float], io_bytes: float) -> float:
    """Scratchpad for activations: what each stage works on, what waits between stages, two samples at either end."""
    held, at, entry = 2 * io_bytes, first, 0
    for stage in stages:
        held += row.stripe_bytes(at, at + len(stage.ops) - 1) + crossing[entry]
        at += len(stage.ops)
        entry += sum(1 for op in stage.ops if not op.follows)
    return held

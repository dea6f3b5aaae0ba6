"""What one mapping takes on many designs at once: `schedule.schedule_s`, and an entry's tasks in the engine's time.

Each step is a loop over designs that a compiler turns into vector instructions, in the order of operations of the
formulas for one design, so that results agree to the last bit. Rates are columns, (`MAPPER`, n) and (`AMOUNTS`, n).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from accelsim.study.batch.candidates import (
    CORE_SHARE,
    CYCLES,
    FETCHES,
    FIRST,
    GATHER,
    LAST,
    LATE,
    LOAD,
    PORT,
    REDUCE,
    STORE,
    TILES,
)

__all__ = ["FIXED", "WORK", "entry_lanes", "fixed_fs", "follow_seconds", "seconds_of"]

_FS = 1e15
WORK = 8
"""Rows of scratch that a call takes."""
FIXED = 3
"""Latency of the DRAM, of a hop, and a launch: what `fixed_fs` fills."""


@njit(cache=True, nogil=True, error_model="numpy")
def follow_seconds(followers, begin, end, mapper, out):  # type: ignore[no-untyped-def]
    """Fill (n,) seconds of the vector work behind an entry."""
    out[:] = 0.0
    for f in range(begin, end):
        cycles, port = followers[f, 0], followers[f, 1]
        for d in range(len(out)):
            out[d] += max(cycles, port / mapper[10, d] * mapper[11, d])
    for d in range(len(out)):
        out[d] /= mapper[9, d]


@njit(cache=True, nogil=True, error_model="numpy")
def _unit_cycles(row, vector, mapper, out):  # type: ignore[no-untyped-def]
    """Fill (n,) cycles of the unit that an entry runs on: of its operations, or of the scratchpads' ports."""
    cycles, port = row[CYCLES], row[PORT]
    if vector:
        for d in range(len(out)):
            out[d] = max(cycles, port / mapper[10, d] * mapper[11, d])
    else:
        for d in range(len(out)):
            out[d] = max(cycles, port / mapper[8, d])


@njit(cache=True, nogil=True, error_model="numpy")
def _begin_s(row, first, bursts, mapper, out):  # type: ignore[no-untyped-def]
    """Fill when the first tile begins: launched, loaded, and its inputs there."""
    share, core_share = row[GATHER] * (1.0 / row[TILES]), row[CORE_SHARE]
    for d in range(len(out)):
        out[d] = mapper[7, d]
    if first > 0:
        for d in range(len(out)):
            moved = max(bursts / mapper[2, d], first * (core_share / mapper[4, d]))
            out[d] = max(out[d], moved + mapper[3, d])
    if row[GATHER] > 0:
        for d in range(len(out)):
            out[d] = max(out[d], share / mapper[5, d] + mapper[6, d])


@njit(cache=True, nogil=True, error_model="numpy")
def _last_start_s(row, cycles_s, done, bursts, mapper, out):  # type: ignore[no-untyped-def]
    """Fill when the last of several tiles begins; ``bursts`` are bytes of the first load and of the rest."""
    share, core_share = 1.0 / row[TILES], row[CORE_SHARE]
    load, rest, waits = row[LOAD], row[LOAD] - row[FIRST], 0.5 * (row[FETCHES] - 1)
    for d in range(len(out)):
        out[d] = done[d] + cycles_s[d] * (1 - 2 * share)
    if rest > 0:
        for d in range(len(out)):
            read = bursts[0] / mapper[2, d] + bursts[1] / mapper[2, d]
            arrived = max(read, load * (core_share / mapper[4, d])) + mapper[3, d]
            halves = 0.5 * (cycles_s[d] * (1 - share) + rest / mapper[2, d])
            out[d] = max(max(out[d], arrived), done[d] + halves + waits * mapper[3, d])
    if row[GATHER] > 0:
        gather = row[GATHER]
        for d in range(len(out)):
            out[d] = max(out[d], gather / mapper[5, d] + mapper[6, d])


@njit(cache=True, nogil=True, error_model="numpy")
def seconds_of(row, vector, follow_s, burst, mapper, work, out):  # type: ignore[no-untyped-def]
    """Fill (n,) seconds of one candidate with (n,) ``follow_s`` of vector work behind it."""
    cycles_s, done, last_done = work[0], work[1], work[2]
    _unit_cycles(row, vector, mapper, cycles_s)
    for d in range(len(out)):
        cycles_s[d] *= mapper[1 if vector else 0, d]
    several, share = row[TILES] > 1, 1.0 / row[TILES]
    rest = row[LOAD] - row[FIRST] if several else 0.0
    first = row[LOAD] - rest
    bursts = np.ceil(first / burst) * burst, np.ceil(rest / burst) * burst
    _begin_s(row, first, bursts[0], mapper, done)
    for d in range(len(out)):
        done[d] += cycles_s[d] * share
        last_done[d], out[d] = done[d], done[d] + follow_s[d] * share
    if several:
        _last_start_s(row, cycles_s, done, bursts, mapper, last_done)
        for d in range(len(out)):
            last_done[d] += cycles_s[d] * share
            followed = max(done[d] + cycles_s[d] * (1 - 2 * share), out[d]) + follow_s[d] * (1 - 2 * share)
            out[d] = max(last_done[d], followed) + follow_s[d] * share
    _finish_s(row, follow_s, mapper, last_done, out)
    if row[STORE] > 0:
        last = row[LAST] if several else row[STORE]
        before, last = np.ceil((row[STORE] - last) / burst) * burst, np.ceil(last / burst) * burst
        for d in range(len(out)):
            read = bursts[0] / mapper[2, d] + bursts[1] / mapper[2, d]
            stored = max(done[d], read) + before / mapper[2, d]
            out[d] = max(out[d], max(stored, last_done[d]) + last / mapper[2, d])


@njit(cache=True, nogil=True, error_model="numpy")
def _finish_s(row, follow_s, mapper, last_done, out):  # type: ignore[no-untyped-def]
    """The end of reduction and vector work behind the last tile; ``out`` is that of vector work tile by tile."""
    reduced, late = row[REDUCE], row[LATE] != 0
    if reduced > 0:
        for d in range(len(out)):
            end = last_done[d] + (reduced / mapper[5, d] + mapper[6, d])
            out[d] = end + follow_s[d] if late else max(end, out[d])
    elif late:
        for d in range(len(out)):
            out[d] = last_done[d] + follow_s[d]


@njit(cache=True, nogil=True, error_model="numpy")
def fixed_fs(engine, out):  # type: ignore[no-untyped-def]
    """Fill (`FIXED`, n) femtoseconds that every entry may take."""
    for place, column in enumerate((1, 4, 7)):
        for d in range(out.shape[1]):
            out[place, d] = np.rint(1.0 * engine[column, d] * _FS)


@njit(cache=True, nogil=True, error_model="numpy")
def _work_fs(cycles, share, engine, unit, ready, done):  # type: ignore[no-untyped-def]
    """``done`` becomes the end of ``share`` of ``cycles`` on a unit behind both ``ready`` and itself."""
    for d in range(len(done)):
        done[d] = max(ready[d], done[d]) + np.rint(cycles[d] * share * engine[unit, d] * _FS)


@njit(cache=True, nogil=True, error_model="numpy")
def _follow_fs(followers, behind, share, mapper, engine, ready, cycles, followed):  # type: ignore[no-untyped-def]
    """The same of the vector work behind an entry, each op behind the one before. ``cycles`` is scratch."""
    for f in range(behind[0], behind[1]):
        own, port = followers[f, 0], followers[f, 1]
        if own > 0 or port > 0:
            for d in range(len(cycles)):
                cycles[d] = max(own, port / mapper[10, d] * mapper[11, d])
            _work_fs(cycles, share, engine, 6, ready, followed)


@njit(cache=True, nogil=True, error_model="numpy")
def _loads_fs(row, first, rest, burst, engine, fixed, ready, dram, arrived):  # type: ignore[no-untyped-def]
    """When the first load is there, the DRAM is free, and all loads are there."""
    bursts, rest_bursts, core_share = np.ceil(first / burst) * burst, np.ceil(rest / burst) * burst, row[CORE_SHARE]
    for d in range(len(ready)):
        ready[d], dram[d], arrived[d] = fixed[2, d], 0.0, 0.0
    if first > 0:
        for d in range(len(ready)):
            dram[d] = np.rint(bursts * engine[0, d] * _FS)
            dma = np.rint(first * core_share * engine[2, d] * _FS)
            ready[d] = max(ready[d], max(dram[d], dma) + fixed[0, d])
    if rest > 0:
        for d in range(len(ready)):
            before = np.rint(first * core_share * engine[2, d] * _FS) if first > 0 else 0.0
            dram[d] += np.rint(rest_bursts * engine[0, d] * _FS)
            arrived[d] = max(dram[d], before + np.rint(rest * core_share * engine[2, d] * _FS)) + fixed[0, d]


@njit(cache=True, nogil=True, error_model="numpy")
def _gather_fs(row, several, engine, fixed, ready, network, arrived):  # type: ignore[no-untyped-def]
    """The same of what comes over the network."""
    share = 1.0 / row[TILES]
    first, rest = row[GATHER] * share, row[GATHER] * (1 - share)
    network[:] = 0.0
    if first > 0:
        for d in range(len(ready)):
            network[d] = np.rint(first * engine[3, d] * _FS)
            ready[d] = max(ready[d], network[d] + fixed[1, d])
    if several and rest > 0:
        for d in range(len(ready)):
            network[d] += np.rint(rest * engine[3, d] * _FS)
            arrived[d] = max(arrived[d], network[d] + fixed[1, d])


@njit(cache=True, nogil=True, error_model="numpy")
def entry_lanes(row, vector, followers, behind, burst, mapper, engine, fixed, work, out):  # type: ignore[no-untyped-def]
    """Fill (n,) femtoseconds of an entry on arrays or vector units from its launch to the end of its last task.

    They are whole numbers; only below 2^53 are they exact. ``behind`` is the range of its followers.
    """
    cycles, done, dram, network, arrived = work[0], work[1], work[2], work[3], work[4]
    followed, stored, scratch = work[5], work[6], work[7]
    unit, tiles, late = 6 if vector else 5, row[TILES], row[LATE] != 0
    several, share = tiles > 1, 1.0 / tiles
    _unit_cycles(row, vector, mapper, cycles)
    rest = row[LOAD] - row[FIRST] if several else 0.0
    _loads_fs(row, row[LOAD] - rest, rest, burst, engine, fixed, done, dram, arrived)
    _gather_fs(row, several, engine, fixed, done, network, arrived)
    _work_fs(cycles, share, engine, unit, done, done)
    followed[:], stored[:] = -1.0, 0.0
    if not late:
        _follow_fs(followers, behind, share, mapper, engine, done, scratch, followed)
    if several:
        _middle_fs(row, rest, burst, cycles, unit, engine, done, dram, arrived, stored)
        if tiles > 2:
            _work_fs(cycles, 1 - 2 / tiles, engine, unit, done, done)
            if not late:
                _follow_fs(followers, behind, 1 - 2 / tiles, mapper, engine, done, scratch, followed)
        _work_fs(cycles, share, engine, unit, arrived, done)
        if not late:
            _follow_fs(followers, behind, share, mapper, engine, done, scratch, followed)
    last = row[LAST] if several else row[STORE]
    if last > 0:
        bursts = np.ceil(last / burst) * burst
        for d in range(len(out)):
            stored[d] = max(dram[d], done[d]) + np.rint(bursts * engine[0, d] * _FS)
    if row[REDUCE] > 0:
        reduced = row[REDUCE]
        for d in range(len(out)):
            done[d] = max(done[d], network[d]) + np.rint(reduced * engine[3, d] * _FS) + fixed[1, d]
    if late:
        _follow_fs(followers, behind, 1.0, mapper, engine, done, scratch, followed)
    for d in range(len(out)):
        out[d] = max(followed[d] if followed[d] >= 0 else done[d], stored[d])


@njit(cache=True, nogil=True, error_model="numpy")
def _middle_fs(row, rest, burst, cycles, unit, engine, done, dram, arrived, stored):  # type: ignore[no-untyped-def]
    """Stores behind the first tile, and when the last tile's loads have a slot."""
    share = 1.0 / row[TILES]
    if row[STORE] - row[LAST] > 0:
        bursts = np.ceil((row[STORE] - row[LAST]) / burst) * burst
        for d in range(len(done)):
            dram[d] = max(dram[d], done[d]) + np.rint(bursts * engine[0, d] * _FS)
            stored[d] = dram[d]
    if rest > 0:
        waits = (row[FETCHES] - 1) / 2
        for d in range(len(done)):
            half = done[d] + np.rint(cycles[d] * (1 - share) / 2 * engine[unit, d] * _FS)
            half += np.rint(rest / 2 * engine[0, d] * _FS)
            arrived[d] = max(arrived[d], half + np.rint(waits * engine[1, d] * _FS))

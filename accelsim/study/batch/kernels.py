"""The best mapping of each entry for many designs, and what an entry takes in the engine's femtoseconds.

Each formula is that of `mapping` or of the tasks that `mapping.lower` makes, in the same order of operations, so that
results agree to the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.schedule import Rates, Work, schedule_s
from accelsim.study.batch.candidates import (
    CORE_SHARE,
    CYCLES,
    DRAM,
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
from accelsim.study.batch.searches import ARRAY, HOST, VECTOR

__all__ = ["Needed", "best_of", "entry_fs", "load_fs", "load_seconds", "to_fs"]

_FS = 1e15
_EQUAL, _CLOSE = 0.95e-9, 2e-9
"""Whatever its order, `search` takes those within the first of the least time for equal to each other, and those beyond
the second for slower than all of these. What lies between is left to `search`.
"""


class Needed(NamedTuple):
    """Searches that designs need, as columns; s searches with f followers and p candidates left of each.

    Attributes:
        kind: (s,).
        follow_ptr, followers, follower_bytes: (s + 1,), (f, 2), (f,).
        host: (s, 2) bytes and seconds.
        pool_ptr, pool: (s + 1,), (p,) rows of the table of candidates.
    """

    kind: NDArray[np.int64]
    follow_ptr: NDArray[np.int64]
    followers: NDArray[np.float64]
    follower_bytes: NDArray[np.float64]
    host: NDArray[np.float64]
    pool_ptr: NDArray[np.int64]
    pool: NDArray[np.int64]


@njit(cache=True, nogil=True, inline="always")
def _vector_cycles(cycles, port_bytes, mapper):  # type: ignore[no-untyped-def]
    """Cycles of the vector units: of their operations, or of the scratchpads' ports."""
    return max(cycles, port_bytes / mapper[10] * mapper[11])


@njit(cache=True, nogil=True, inline="always")
def _follow_s(followers, begin, end, mapper):  # type: ignore[no-untyped-def]
    """Seconds of the vector work behind an entry."""
    total = 0.0
    for f in range(begin, end):
        total += _vector_cycles(followers[f, 0], followers[f, 1], mapper)
    return total / mapper[9]


@njit(cache=True, nogil=True, inline="always")
def _rates(kind, burst, mapper):  # type: ignore[no-untyped-def]
    """Rates as `schedule_s` takes them."""
    cycle_s = mapper[1] if kind == VECTOR else mapper[0]
    return Rates(cycle_s, mapper[2], burst, mapper[3], mapper[4], mapper[5], mapper[6], mapper[7])


@njit(cache=True, nogil=True, inline="always")
def _unit_cycles(kind, row, mapper):  # type: ignore[no-untyped-def]
    """Cycles of the unit that an entry runs on."""
    if kind == VECTOR:
        return _vector_cycles(row[CYCLES], row[PORT], mapper)
    return max(row[CYCLES], row[PORT] / mapper[8])


@njit(cache=True, nogil=True, inline="always")
def _time_s(kind, row, follow_s, rates, mapper):  # type: ignore[no-untyped-def]
    """Seconds of one candidate."""
    work = Work(
        row[TILES], row[FETCHES], _unit_cycles(kind, row, mapper), row[LOAD], row[FIRST], row[STORE], row[LAST],
        row[CORE_SHARE], row[GATHER], row[REDUCE], follow_s, row[LATE] != 0,
    )  # fmt: skip
    return schedule_s(work, rates)


@njit(cache=True, nogil=True)
def _lighter(rows, a, b):  # type: ignore[no-untyped-def]
    """Whether ``a``, which stands behind ``b``, is taken where both are equally fast."""
    if rows[a, DRAM] != rows[b, DRAM]:
        return rows[a, DRAM] < rows[b, DRAM]
    if rows[a, PORT] != rows[b, PORT]:
        return rows[a, PORT] < rows[b, PORT]
    return rows[a, TILES] < rows[b, TILES]


@njit(cache=True, nogil=True, inline="always")
def _best_array(rows, pool, follow_s, rates, mapper, times):  # type: ignore[no-untyped-def]
    """(candidate, seconds, whether it is certain) as `search` finds it."""
    least = np.inf
    for i in range(len(pool)):
        times[i] = _time_s(ARRAY, rows[pool[i]], follow_s, rates, mapper)
        least = min(least, times[i])
    best, best_s, certain = -1, np.inf, True
    for i in range(len(pool)):
        over = times[i] - least
        if over > _CLOSE * least:
            continue
        if over > _EQUAL * least:
            certain = False
        elif best < 0 or _lighter(rows, pool[i], best):
            best, best_s = pool[i], times[i]
    return best, best_s, certain


@njit(cache=True, nogil=True)
def best_of(rows, needed, burst, mapper, seconds, chosen, certain):  # type: ignore[no-untyped-def]
    """Fill (designs, s) ``seconds`` and ``chosen`` rows, and (designs,) ``certain``: no choice was a close call."""
    most = 1
    for search in range(len(needed.kind)):
        most = max(most, needed.pool_ptr[search + 1] - needed.pool_ptr[search])
    times = np.empty(most)
    for search in range(len(needed.kind)):
        kind = needed.kind[search]
        pool = needed.pool[needed.pool_ptr[search] : needed.pool_ptr[search + 1]]
        for design in range(len(mapper)):
            at = mapper[design]
            best, best_s = -1, 0.0
            if kind == ARRAY:
                follow_s = _follow_s(needed.followers, needed.follow_ptr[search], needed.follow_ptr[search + 1], at)
                if len(pool) == 1:
                    best, best_s = pool[0], _time_s(kind, rows[pool[0]], follow_s, _rates(kind, burst, at), at)
                else:
                    best, best_s, sure = _best_array(rows, pool, follow_s, _rates(kind, burst, at), at, times)
                    certain[design] &= sure
            elif kind == VECTOR:
                best_s = np.inf
                for i in range(len(pool)):
                    time_s = _time_s(kind, rows[pool[i]], 0.0, _rates(kind, burst, at), at)
                    if time_s < best_s:
                        best, best_s = pool[i], time_s
            elif kind == HOST:
                best_s = needed.host[search, 0] / at[12] + at[13] + needed.host[search, 1] * at[14]
            seconds[design, search], chosen[design, search] = best_s, best


@njit(cache=True, nogil=True, inline="always")
def to_fs(amount, unit_s):  # type: ignore[no-untyped-def]
    """Femtoseconds of a task."""
    return np.int64(np.rint(amount * unit_s * _FS))


@njit(cache=True, nogil=True, inline="always")
def load_seconds(moved, burst, mapper):  # type: ignore[no-untyped-def]
    """`schedule.load_s`: bytes that nothing overlaps, in the mapper's seconds."""
    if moved <= 0:
        return 0.0
    return max(np.ceil(moved / burst) * burst / mapper[2], moved / mapper[4]) + mapper[3]


@njit(cache=True, nogil=True, inline="always")
def load_fs(moved, burst, engine):  # type: ignore[no-untyped-def]
    """The same in the engine's femtoseconds."""
    if moved <= 0:
        return np.int64(0)
    read = to_fs(np.ceil(moved / burst) * burst, engine[0])
    return max(read, to_fs(moved * 1.0, engine[2])) + to_fs(1.0, engine[1])


@njit(cache=True, nogil=True)
def _follow_fs(followers, behind, share, mapper, engine, ready, done):  # type: ignore[no-untyped-def]
    """End of a share of the vector work behind an entry: each op behind the one before, and behind ``ready``."""
    for f in range(behind[0], behind[1]):
        cycles = _vector_cycles(followers[f, 0], followers[f, 1], mapper)
        if cycles > 0:
            done = max(ready, done) + to_fs(cycles * share, engine[6])
    return done


@njit(cache=True, nogil=True)
def entry_fs(rows, at, kind, followers, behind, burst, mapper, engine):  # type: ignore[no-untyped-def]
    """Femtoseconds of an entry on arrays or vector units from its launch to the end of its last task.

    ``behind`` is the range of its followers.
    """
    row = rows[at]
    tiles, latency = row[TILES], to_fs(1.0, engine[1])
    unit_s = engine[6] if kind == VECTOR else engine[5]
    cycles, several = _unit_cycles(kind, row, mapper), tiles > 1
    share = 1.0 / tiles
    rest = row[LOAD] - row[FIRST] if several else 0.0
    first = row[LOAD] - rest
    dram = dma = network = np.int64(0)
    ready = to_fs(1.0, engine[7])
    if first > 0:
        dram = to_fs(np.ceil(first / burst) * burst, engine[0])
        dma = to_fs(first * row[CORE_SHARE], engine[2])
        ready = max(ready, max(dram, dma) + latency)
    arrived = np.int64(0)
    if rest > 0:
        dram += to_fs(np.ceil(rest / burst) * burst, engine[0])
        dma += to_fs(rest * row[CORE_SHARE], engine[2])
        arrived = max(dram, dma) + latency
    hop = to_fs(1.0, engine[4])
    if row[GATHER] * share > 0:
        network = to_fs(row[GATHER] * share, engine[3])
        ready = max(ready, network + hop)
    if several and row[GATHER] * (1 - share) > 0:
        network += to_fs(row[GATHER] * (1 - share), engine[3])
        arrived = max(arrived, network + hop)
    done = ready + to_fs(cycles * share, unit_s)
    late, followed = row[LATE] != 0, np.int64(-1)
    if not late:
        followed = _follow_fs(followers, behind, share, mapper, engine, done, followed)
    stored = np.int64(0)
    if several:
        if row[STORE] - row[LAST] > 0:
            dram = max(dram, done) + to_fs(np.ceil((row[STORE] - row[LAST]) / burst) * burst, engine[0])
            stored = dram
        if rest > 0:
            half = done + to_fs(cycles * (1 - share) / 2, unit_s) + to_fs(rest / 2, engine[0])
            arrived = max(arrived, half + to_fs((row[FETCHES] - 1) / 2, engine[1]))
        if tiles > 2:
            done += to_fs(cycles * (1 - 2 / tiles), unit_s)
            if not late:
                followed = _follow_fs(followers, behind, 1 - 2 / tiles, mapper, engine, done, followed)
        done = max(done, arrived) + to_fs(cycles * share, unit_s)
        if not late:
            followed = _follow_fs(followers, behind, share, mapper, engine, done, followed)
    last = row[LAST] if several else row[STORE]
    if last > 0:
        stored = max(dram, done) + to_fs(np.ceil(last / burst) * burst, engine[0])
    if row[REDUCE] > 0:
        done = max(done, network) + to_fs(row[REDUCE], engine[3]) + hop
    if late:
        followed = _follow_fs(followers, behind, 1.0, mapper, engine, done, followed)
    return max(followed if followed >= 0 else done, stored)

"""The best mapping of each entry for many designs, and what an entry takes in the engine's femtoseconds.

Each formula is that of `mapping` or of the tasks that `mapping.lower` makes, in the same order of operations, so that
results agree to the last bit.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
from accelsim.study.batch.lanes import WORK, follow_seconds, seconds_of
from accelsim.study.batch.searches import ARRAY, HOST, VECTOR

__all__ = ["Needed", "best_of", "entry_fs", "load_seconds", "to_fs", "vector_cycles"]

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
def vector_cycles(cycles, port_bytes, mapper):  # type: ignore[no-untyped-def]
    """Cycles of the vector units: of their operations, or of the scratchpads' ports."""
    return max(cycles, port_bytes / mapper[10] * mapper[11])


@njit(cache=True, nogil=True, inline="always")
def _unit_cycles(kind, row, mapper):  # type: ignore[no-untyped-def]
    """Cycles of the unit that an entry runs on."""
    if kind == VECTOR:
        return vector_cycles(row[CYCLES], row[PORT], mapper)
    return max(row[CYCLES], row[PORT] / mapper[8])


@njit(cache=True, nogil=True)
def _lighter(rows, a, b):  # type: ignore[no-untyped-def]
    """Whether ``a``, which stands behind ``b``, is taken where both are equally fast."""
    if rows[a, DRAM] != rows[b, DRAM]:
        return rows[a, DRAM] < rows[b, DRAM]
    if rows[a, PORT] != rows[b, PORT]:
        return rows[a, PORT] < rows[b, PORT]
    return rows[a, TILES] < rows[b, TILES]


@njit(cache=True, nogil=True)
def _fastest_of(rows, pool, times, least, best, best_s, certain):  # type: ignore[no-untyped-def]
    """Fill (n,) candidates and seconds as `search` finds them from (pool, n) times; clear what is not certain."""
    least[:], best[:] = times[0], -1
    for i in range(1, len(pool)):
        for d in range(len(best)):
            least[d] = min(least[d], times[i, d])
    for i in range(len(pool)):
        for d in range(len(best)):
            over = times[i, d] - least[d]
            if over > _CLOSE * least[d]:
                continue
            if over > _EQUAL * least[d]:
                certain[d] = False
            elif best[d] < 0 or _lighter(rows, pool[i], best[d]):
                best[d], best_s[d] = pool[i], times[i, d]


@njit(cache=True, nogil=True)
def _first_of(pool, times, best, best_s):  # type: ignore[no-untyped-def]
    """The same of vector work: the first of the fastest."""
    best[:], best_s[:] = -1, np.inf
    for i in range(len(pool)):
        for d in range(len(best)):
            if times[i, d] < best_s[d]:
                best[d], best_s[d] = pool[i], times[i, d]


@njit(cache=True, nogil=True)
def best_of(rows, needed, burst, mapper, seconds, chosen, certain):  # type: ignore[no-untyped-def]
    """Fill (designs, s) ``seconds`` and ``chosen`` rows, and (designs,) ``certain``: no choice was a close call."""
    most, count = 1, len(mapper)
    for search in range(len(needed.kind)):
        most = max(most, needed.pool_ptr[search + 1] - needed.pool_ptr[search])
    columns = np.ascontiguousarray(mapper.T)
    times, follow_s, work, least = np.empty((most, count)), np.zeros(count), np.empty((WORK, count)), np.empty(count)
    best, best_s = np.empty((len(needed.kind), count), np.int64), np.empty((len(needed.kind), count))
    for search in range(len(needed.kind)):
        kind = needed.kind[search]
        pool = needed.pool[needed.pool_ptr[search] : needed.pool_ptr[search + 1]]
        best[search], best_s[search] = -1, 0.0
        if kind == HOST:
            moved, taken = needed.host[search]
            best_s[search] = moved / columns[12] + columns[13] + taken * columns[14]
        if kind != ARRAY and kind != VECTOR:
            continue
        follow_seconds(needed.followers, needed.follow_ptr[search], needed.follow_ptr[search + 1], columns, follow_s)
        for i in range(len(pool)):
            seconds_of(rows[pool[i]], kind == VECTOR, follow_s, burst, columns, work, times[i])
        if len(pool) == 1:
            best[search], best_s[search] = pool[0], times[0]
        elif kind == VECTOR:
            _first_of(pool, times, best[search], best_s[search])
        else:
            _fastest_of(rows, pool, times, least, best[search], best_s[search], certain)
    seconds[:], chosen[:] = best_s.T, best.T


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


@njit(cache=True, nogil=True)
def _follow_fs(followers, behind, share, mapper, engine, ready, done):  # type: ignore[no-untyped-def]
    """End of a share of the vector work behind an entry: each op behind the one before, and behind ``ready``."""
    for f in range(behind[0], behind[1]):
        cycles = vector_cycles(followers[f, 0], followers[f, 1], mapper)
        if cycles > 0:
            done = max(ready, done) + to_fs(cycles * share, engine[6])
    return done


@njit(cache=True, nogil=True)
def entry_fs(rows, at, kind, followers, behind, burst, mapper, engine):  # type: ignore[no-untyped-def]
    """`lanes.entry_lanes` of one design in whole numbers, which are exact at any size.

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

"""All mappings of one product as rows of numbers, and lower bounds on their times over a range of rates.

A mapping takes the longest of a few paths through its schedule (`mapping.schedule`), each a sum of amounts times
seconds an amount. Its time is therefore a convex function of these seconds, and the path that is longest at one point
bounds it from below everywhere. So mapping B is never better than A for any design in a box of rates if A, at every
corner of the box, takes no longer than a path of B: `filtered` leaves such B out. What is left is evaluated design by
design.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from accelsim.mapping.contraction import Share, cost
from accelsim.mapping.schedule import Rates, Work, schedule_s
from accelsim.mapping.search import all_sides, orders_that_differ, splits_of, tiling_of
from accelsim.mapping.space import ALONG_N, Candidate, input_channels, shares

__all__ = [
    "FIELDS",
    "RATES",
    "differs",
    "enumerated",
    "filtered",
    "longest_path",
    "preferred",
    "put_candidate",
    "put_chunks",
]

FIELDS = (
    "tiles", "fetches", "cycles", "port_bytes", "load_bytes", "first_load_bytes", "store_bytes", "last_store_bytes",
    "core_share", "gather_bytes", "reduce_bytes", "late", "buffer_bytes", "dram_bytes", "scratchpad_bytes",
)  # fmt: skip
"""Columns of a candidate; cycles are those of the unit without its scratchpad port."""
TILES, FETCHES, CYCLES, PORT, LOAD, FIRST, STORE, LAST, CORE_SHARE, GATHER, REDUCE, LATE, BUFFER, DRAM, SCRATCHPAD = (
    range(len(FIELDS))
)  # fmt: skip
RATES = (
    "array_cycle", "array_port_byte", "vector_cycle", "vector_port_byte", "dram_byte", "dram_latency", "dma_byte",
    "network_byte", "hop", "launch",
)  # fmt: skip
"""What times are linear in: seconds of one of each."""
_MARGIN = 3e-9
"""Times this close count as equal (`mapping.search`)."""
_NOISE = 1e-12
_MOST_TURNS = 8
"""Corners at which the mapping that may be the fastest is compared with all others."""


@njit(cache=True, nogil=True)
def enumerated(p, hw):  # type: ignore[no-untyped-def]
    """(n, `FIELDS`) of every mapping of a product, whatever its room, in the order of `search`."""
    rows, n = np.empty((1024, 15)), np.int64(0)  # no literal, for which all below would be compiled anew
    offered = (hw.weight_stationary, hw.output_stationary, hw.input_stationary)
    for used in range(hw.cores, 0, -1):
        for sg, sm, sn, sk in splits_of(p, used):
            for dataflow in range(3):
                if offered[dataflow]:
                    rows, n = _tilings(p, hw, Candidate(sg, sm, sn, sk, 1, 1, 1, 0, dataflow, ALONG_N), rows, n)
    return rows[:n]


@njit(cache=True, nogil=True)
def _tilings(p, hw, c, rows, n):  # type: ignore[no-untyped-def]
    """Append every tiling, order and arrangement of one split and dataflow."""
    g_share, m_share, n_share, k_share = shares(p, c)
    used = c.split_g * c.split_m * c.split_n * c.split_k
    share = Share(g_share, m_share, n_share, k_share, used)
    ways = 1 if hw.arrays == 1 else (3 if g_share > 1 else 2)
    sides = all_sides(p, hw, share, c.dataflow, ways)
    room = len(sides.m) * len(sides.n) * len(sides.k) * 3 * ways
    if n + room > len(rows):
        rows = np.concatenate((rows, np.empty((room + len(rows), rows.shape[1]))))
    for i in range(len(sides.m)):
        for j in range(len(sides.n)):
            for h in range(len(sides.k)):
                first = n
                for order in orders_that_differ(sides.m[i, 1], sides.n[j, 1], sides.k[h, 1]):
                    for along in range(ways if order >= 0 else 0):
                        tiling = tiling_of(sides, i, j, h, along, input_channels(p, k_share))
                        c = Candidate(
                            c.split_g, c.split_m, c.split_n, c.split_k, sides.m[i, 0], sides.n[j, 0], sides.k[h, 0],
                            order, c.dataflow, along,
                        )  # fmt: skip
                        put_candidate(rows[n], p, cost(p, hw, c, share, tiling), used)
                        n += 1 if differs(rows, first, n) else 0
    return rows, n


@njit(cache=True, nogil=True)
def differs(rows, first, last):  # type: ignore[no-untyped-def]
    """Whether row ``last`` is none of those from ``first`` on: of equal ones, the first is taken."""
    for other in range(first, last):
        same = True
        for column in range(15):
            if rows[other, column] != rows[last, column]:
                same = False
                break
        if same:
            return False
    return True


@njit(cache=True, nogil=True)
def put_candidate(row, p, e, used):  # type: ignore[no-untyped-def]
    """Fill one row from the metrics of a candidate, as `single` makes a stream of them."""
    load = e.weight_dram_bytes + e.input_dram_bytes + p.extra_load_bytes
    row[TILES], row[FETCHES], row[CYCLES], row[PORT] = e.tiles, e.fetches, e.mac_cycles, e.port_bytes
    row[LOAD], row[FIRST], row[STORE], row[LAST] = load, e.first_load_bytes, e.output_dram_bytes, e.last_store_bytes
    row[CORE_SHARE], row[GATHER], row[REDUCE], row[LATE] = e.core_share, e.network_bytes, e.reduce_bytes, e.late
    row[BUFFER] = e.buffer_bytes
    row[DRAM] = e.weight_dram_bytes + e.input_dram_bytes + e.output_dram_bytes
    row[SCRATCHPAD] = e.port_bytes * used + load + e.output_dram_bytes + e.network_bytes * used


@njit(cache=True, nogil=True)
def put_chunks(row, tiles, cycles, crossing, load, store, cores, burst):  # type: ignore[no-untyped-def]
    """Fill one row with vector work in so many chunks, as `single` makes a stream of it."""
    held = (load + store) * (2 / tiles if tiles > 1 else 1)
    first, last = np.ceil(load / tiles / burst) * burst, np.ceil(store / tiles / burst) * burst
    row[TILES], row[FETCHES], row[CYCLES], row[PORT] = tiles, tiles if load > 0 else 1, cycles, crossing / cores
    row[LOAD], row[FIRST], row[STORE], row[LAST] = first * tiles, first, last * tiles, last
    row[CORE_SHARE], row[GATHER], row[REDUCE], row[LATE] = 1.0 / cores, 0.0, 0.0, 0.0
    row[BUFFER] = held / cores
    row[DRAM], row[SCRATCHPAD] = (first + last) * tiles, crossing + load + store


@njit(cache=True, nogil=True, error_model="numpy")
def followed_by(followers, at):  # type: ignore[no-untyped-def]
    """Vector cycles and port bytes that decide how long the vector work behind an entry takes at the rates ``at``."""
    cycles = port = 0.0
    for f in range(len(followers)):
        if followers[f, 1] * at[3] > followers[f, 0] * at[2]:
            port += followers[f, 1]
        else:
            cycles += followers[f, 0]
    return cycles, port


@njit(cache=True, nogil=True, error_model="numpy")
def _longest(first, second, third, fourth):  # type: ignore[no-untyped-def]
    """Which of four times is the longest."""
    which, longest = 0, first
    if second > longest:
        which, longest = 1, second
    if third > longest:
        which, longest = 2, third
    return 3 if fourth > longest else which


@njit(cache=True, nogil=True, error_model="numpy")
def _begin(row, first_bursts, at):  # type: ignore[no-untyped-def]
    """What an op waits for before its first tile: its launch, the DRAM, the DMA engines or the network; and when."""
    first = row[FIRST] if row[TILES] > 1 else row[LOAD]
    dram = first_bursts * at[4] + at[5] if first > 0 else 0.0
    dma = first * row[CORE_SHARE] * at[6] + at[5] if first > 0 else 0.0
    network = row[GATHER] / row[TILES] * at[7] + at[8] if row[GATHER] > 0 else 0.0
    return _longest(at[9], dram, dma, network), max(max(at[9], dram), max(dma, network))


@njit(cache=True, nogil=True, error_model="numpy")
def _put_begin(path, row, which, first_bursts, unit, cycles):  # type: ignore[no-untyped-def]
    """Add the path to the end of the first tile."""
    share = 1.0 / row[TILES]
    first = row[FIRST] if row[TILES] > 1 else row[LOAD]
    path[unit] += cycles * share
    path[5] += 1.0 if which in (1, 2) else 0.0
    if which == 0:
        path[9] += 1.0
    elif which == 1:
        path[4] += first_bursts
    elif which == 2:
        path[6] += first * row[CORE_SHARE]
    else:
        path[7] += row[GATHER] * share
        path[8] += 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def _last(row, done, cycles_s, bursts, rest, at):  # type: ignore[no-untyped-def]
    """What the last tile waits for: the tiles before, slots, transfers or the network; and when it begins."""
    share = 1.0 / row[TILES]
    before = done + cycles_s * (1 - 2 * share)
    slots = moved = network = 0.0
    if rest > 0:
        moved = max(bursts * at[4], row[LOAD] * row[CORE_SHARE] * at[6]) + at[5]
        slots = done + 0.5 * (cycles_s * (1 - share) + rest * at[4] + (row[FETCHES] - 1) * at[5])
    if row[GATHER] > 0:
        network = row[GATHER] * at[7] + at[8]
    return _longest(before, slots, moved, network), max(max(before, slots), max(moved, network))


@njit(cache=True, nogil=True, error_model="numpy")
def _put_last(path, row, which, begin, first_bursts, bursts, rest, unit, cycles, at):  # type: ignore[no-untyped-def]
    """Add the path to the end of the last tile."""
    share = 1.0 / row[TILES]
    if row[TILES] > 1:
        path[unit] += cycles * share
        if which == 2:
            dram = bursts * at[4] > row[LOAD] * row[CORE_SHARE] * at[6]
            path[4 if dram else 6] += bursts if dram else row[LOAD] * row[CORE_SHARE]
            path[5] += 1.0
            return
        if which == 3:
            path[7] += row[GATHER]
            path[8] += 1.0
            return
        path[unit] += cycles * (1 - 2 * share if which == 0 else 0.5 * (1 - share))
        if which == 1:
            path[4] += 0.5 * rest
            path[5] += 0.5 * (row[FETCHES] - 1)
    _put_begin(path, row, begin, first_bursts, unit, cycles)


@njit(cache=True, nogil=True, error_model="numpy")
def longest_path(row, follow, vector, burst, at, path):  # type: ignore[no-untyped-def]
    """Seconds of a candidate at the rates ``at``, as `schedule_s` has them; fills ``path``, amounts of `RATES`.

    ``follow`` is `followed_by` there; with ``vector`` the op is one of the vector units itself.
    """
    path[:] = 0.0
    cycles, unit, several = row[CYCLES], 2 if vector else 0, row[TILES] > 1
    if row[PORT] * at[unit + 1] > cycles * at[unit]:
        cycles, unit = row[PORT], unit + 1
    share, follow_s = 1.0 / row[TILES], follow[0] * at[2] + follow[1] * at[3]
    rest = row[LOAD] - row[FIRST] if several else 0.0
    first_bursts = np.ceil((row[LOAD] - rest) / burst) * burst
    bursts, cycles_s = first_bursts + np.ceil(rest / burst) * burst, cycles * at[unit]
    begin, start_s = _begin(row, first_bursts, at)
    done = start_s + cycles_s * share
    last, last_done, followed, behind = 0, done, done + follow_s * share, 0
    if several:
        between = cycles_s * (1 - 2 * share)
        last, start_s = _last(row, done, cycles_s, bursts, rest, at)
        last_done = start_s + cycles_s * share
        behind = 0 if done + between > followed else 1
        followed = max(done + between, followed) + follow_s * (1 - 2 * share)
        behind = 2 if last_done > followed else behind
        followed = max(last_done, followed) + follow_s * share
    end, way = last_done, 0
    if row[REDUCE] > 0:
        end += row[REDUCE] * at[7] + at[8]
    if follow_s > 0 and row[LATE]:
        end += follow_s
    elif follow_s > 0 and followed > end:
        end, way = followed, 1
    last_store = row[LAST] if several else row[STORE]
    first_stores = np.ceil((row[STORE] - last_store) / burst) * burst
    last_stores = np.ceil(last_store / burst) * burst
    stored = max(done, bursts * at[4]) + first_stores * at[4]
    if row[STORE] > 0 and max(stored, last_done) + last_stores * at[4] > end:
        end, way = max(stored, last_done) + last_stores * at[4], 2
    if way == 2 and stored > last_done:
        path[4] += first_stores + last_stores + (0.0 if done > bursts * at[4] else bursts)
        if done > bursts * at[4]:
            _put_begin(path, row, begin, first_bursts, unit, cycles)
    elif way == 1 and behind < 2:
        amount = (share + (1 - 2 * share) + (share if behind else 0.0)) if several else 1.0
        path[2] += follow[0] * amount
        path[3] += follow[1] * amount
        path[unit] += cycles * (1 - 2 * share) if several and behind == 0 else 0.0
        _put_begin(path, row, begin, first_bursts, unit, cycles)
    else:
        if way == 2:
            path[4] += last_stores
        amount = share if way == 1 else (1.0 if way == 0 and row[LATE] else 0.0)
        path[2] += follow[0] * amount
        path[3] += follow[1] * amount
        path[7] += row[REDUCE] if way == 0 else 0.0
        path[8] += 1.0 if way == 0 and row[REDUCE] > 0 else 0.0
        _put_last(path, row, last, begin, first_bursts, bursts, rest, unit, cycles, at)
    return end


@njit(cache=True, nogil=True, error_model="numpy")
def preferred(rows, a, b):  # type: ignore[no-untyped-def]
    """Whether `search` takes ``a`` where both are equally fast."""
    for field in (DRAM, PORT, TILES):
        if rows[a, field] != rows[b, field]:
            return rows[a, field] < rows[b, field]
    return a < b


@njit(cache=True, nogil=True, error_model="numpy")
def _at_corners(rows, pool, follow, vector, burst, center, corners):  # type: ignore[no-untyped-def]
    """(pool, corners) seconds that the path of each candidate that is longest at the center takes at every corner."""
    found, path = np.zeros((len(pool), len(corners))), np.empty(10)
    for i in range(len(pool)):
        longest_path(rows[pool[i]], follow, vector, burst, center, path)
        for rate in range(10):
            if path[rate] > 0:
                for corner in range(len(corners)):
                    found[i, corner] += path[rate] * corners[corner, rate]
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _never_better(bounds, i, corner_s, margin):  # type: ignore[no-untyped-def]
    """Whether candidate ``i`` is at every corner at least as long as the times there, times 1 + ``margin``."""
    shorter = 0
    for corner in range(len(corner_s)):
        shorter += bounds[i, corner] < corner_s[corner] * (1 + margin)
    return shorter == 0


@njit(cache=True, nogil=True, error_model="numpy")
def _time_at(row, followers, vector, burst, at):  # type: ignore[no-untyped-def]
    """Seconds of a candidate at the rates ``at``."""
    unit, follow_s = 2 if vector else 0, 0.0
    for f in range(len(followers)):
        follow_s += max(followers[f, 0] * at[2], followers[f, 1] * at[3])
    rates = Rates(1.0, 1.0 / at[4], burst, at[5], 1.0 / at[6], 1.0 / at[7], at[8], at[9])
    work = Work(
        row[TILES], row[FETCHES], max(row[CYCLES] * at[unit], row[PORT] * at[unit + 1]), row[LOAD], row[FIRST],
        row[STORE], row[LAST], row[CORE_SHARE], row[GATHER], row[REDUCE], follow_s, row[LATE] != 0,
    )  # fmt: skip
    return schedule_s(work, rates)


@njit(cache=True, nogil=True, error_model="numpy")
def _fastest(rows, pool, followers, vector, burst, at, times):  # type: ignore[no-untyped-def]
    """The best of ``pool`` at the rates ``at``; fills the times of all."""
    best = 0
    for i in range(len(pool)):
        times[i] = _time_at(rows[pool[i]], followers, vector, burst, at)
        over = times[i] - times[best]
        if over < -_NOISE * times[best] or (over < _NOISE * times[best] and preferred(rows, pool[i], pool[best])):
            best = i
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _slowest_scale(center, corners, corner_s):  # type: ignore[no-untyped-def]
    """What takes at least this long at the center takes at least ``corner_s`` at every corner.

    All rates at a corner are at least the least of their ratios to those at the center.
    """
    most = 0.0
    for corner in range(len(corners)):
        least = np.inf
        for rate in range(10):
            if center[rate] > 0:
                least = min(least, corners[corner, rate] / center[rate])
        most = max(most, corner_s[corner] / least if least > 0 else np.inf)
    return most


@njit(cache=True, nogil=True)
def filtered(rows, pool, followers, vector, burst, center, corners):  # type: ignore[no-untyped-def]
    """The part of ``pool``, indices of ``rows``, that is best for some design between ``corners``.

    An equal of another stays out if it is not preferred; ``vector`` ops prefer the first, so there no equal stays out.
    """
    times, corner_s = np.empty(len(pool)), np.empty(len(corners))
    if len(pool) < 2:
        return pool
    best = pool[_fastest(rows, pool, followers, vector, burst, center, times)]
    for corner in range(len(corners)):
        corner_s[corner] = _time_at(rows[best], followers, vector, burst, corners[corner])
    pool = pool[times < _slowest_scale(center, corners, corner_s) * (1 + _MARGIN)]
    bounds = _at_corners(rows, pool, followed_by(followers, center), vector, burst, center, corners)
    for turn in range(min(len(corners), _MOST_TURNS) + 1):
        if turn > 0:
            corner = (turn - 1) * len(corners) // min(len(corners), _MOST_TURNS)
            again = pool[np.argmin(bounds[:, corner])]
            if again == best:
                continue
            best = again
            for corner in range(len(corners)):
                corner_s[corner] = _time_at(rows[best], followers, vector, burst, corners[corner])
        alive = np.ones(len(pool), dtype=np.bool_)
        for i in range(len(pool)):
            if pool[i] != best:
                equal = not vector and preferred(rows, best, pool[i])
                alive[i] = not _never_better(bounds, i, corner_s, -_NOISE if equal else _MARGIN)
        pool, bounds = pool[alive], bounds[alive]
    return pool

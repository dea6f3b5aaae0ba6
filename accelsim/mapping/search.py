"""The exact search for the fastest mapping of one product.

It looks at all of the space, but leaves a split, a tiling or a candidate as soon as a lower bound on its time
(`pruning`) is above the best found (by 2 parts in 10^9, so rounding decides nothing). What is as fast as the best is
therefore never left out, and the choice among equals does not depend on the order of the search: `study.batch`, which
searches for many designs at once in an order of its own, relies on it. Tests compare it with the search without bounds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.contraction import (
    Share,
    Tiling,
    all_rows,
    cost,
    fill_cycles,
    k_cycles,
    last_store_bytes,
    m_cycles,
    n_cycles,
    streamed_bytes,
)
from accelsim.mapping.pruning import (
    begin_s,
    candidate_s,
    least_of_split,
    order_s,
    split_s,
    streamed_s,
    tiling_s,
    too_many_fetches,
)
from accelsim.mapping.space import (
    ALONG_GROUPS,
    ALONG_N,
    ORDERS,
    OUTPUT_STATIONARY,
    WEIGHT_STATIONARY,
    Candidate,
    Metrics,
    ceil_div,
    input_channels,
    input_rows,
    shares,
)
from accelsim.mapping.unowned import unowned

__all__ = [
    "all_sides", "divisors_of", "least_buffer_bytes", "least_folds", "orders_that_differ", "search", "splits_of",
    "tiling_of",
]  # fmt: skip

_TIE = 2e-9
"""Relative difference of two times beyond which rounding does not decide which is shorter."""


@njit(cache=True)
def _tile_sizes(size, granule, whole):  # type: ignore[no-untyped-def]
    """Tile sizes for 1, 2, 3, 4, 6, 8, 12, ... tiles, without repeats.

    They are rounded up to ``whole``, which fills the array without a rest, and smaller ones to ``granule``.
    """
    sizes = np.empty(64, dtype=np.int64)
    found, parts, last = 0, 1, -1
    while True:
        tile = ceil_div(size, parts)
        unit = whole if tile > whole else granule
        tile = min(size, ceil_div(tile, unit) * unit)
        if tile != last:
            sizes[found] = tile
            found += 1
            last = tile
        if tile <= granule or found == 64:
            return sizes[:found]
        parts = parts + 1 if parts < 3 else (parts * 3 // 2 if parts & (parts - 1) == 0 else parts // 3 * 4)


@njit(cache=True, inline="always")
def _common_multiple(first, second):  # type: ignore[no-untyped-def]
    """The least common multiple: of whole channels of a convolution and whole folds of the array."""
    a, b = first, second
    while b:
        a, b = b, a % b
    return first // a * second


@njit(cache=True, inline="always")
def _granules(p, hw, dataflow):  # type: ignore[no-untyped-def]
    """Smallest sensible tile of m, n and k: whole array dimensions, whole rows and channels of a convolution."""
    reduction, columns = hw.rows * hw.reduction_per_pe, hw.columns * hw.columns_per_pe
    gm, gn, gk = 1, 1, 1
    if dataflow == WEIGHT_STATIONARY:
        gn, gk = columns * hw.arrays, reduction
    elif dataflow == OUTPUT_STATIONARY:
        gm, gn, gk = hw.rows, columns * hw.arrays, 32
    else:
        gm, gk = columns * hw.arrays, reduction
    if p.row_outputs > 1:
        gm = p.row_outputs
    if p.kernel_size > 1:
        gk = p.kernel_size * max(1, gk // p.kernel_size)
    return gm, gn, gk


@njit(cache=True, forceinline=True)
def _better(new, best):  # type: ignore[no-untyped-def]
    """Shorter wins; within a part in 10^9, less DRAM traffic, then less port traffic, then fewer tiles."""
    if not new.feasible:
        return False
    if not best.feasible:
        return True
    if abs(new.time_s - best.time_s) > 1e-9 * best.time_s:
        return new.time_s < best.time_s
    new_dram = new.weight_dram_bytes + new.input_dram_bytes + new.output_dram_bytes
    best_dram = best.weight_dram_bytes + best.input_dram_bytes + best.output_dram_bytes
    if new_dram != best_dram:
        return new_dram < best_dram
    if new.port_bytes != best.port_bytes:
        return new.port_bytes < best.port_bytes
    return new.tiles < best.tiles


@njit(cache=True, forceinline=True)
def orders_that_differ(nm, nn, nk):  # type: ignore[no-untyped-def]
    """Indices of the `ORDERS` that are needed, -1 for none: no other is better than the first of these it is like.

    Loops of one trip may stand anywhere, and orders that repeat the same operands cost the same.
    """
    if nk == 1:
        return 0, 2 if nm > 1 and nn > 1 else -1, -1
    return 0, 1 if nn > 1 else -1, 3 if nm > 1 else -1


class _Sides(NamedTuple):
    """Tiles of one split and dataflow, a row for each size: the size and its trips; of m `input_rows` of one tile and
    of all, of k `input_channels`; and the part of the cycles, of m and n for each way in which arrays share work.
    """

    m: NDArray[np.int64]
    n: NDArray[np.int64]
    k: NDArray[np.int64]


@njit(cache=True)
def all_sides(p, hw, s, dataflow, ways):  # type: ignore[no-untyped-def]
    """All tiles of one split and dataflow."""
    gm, gn, gk = _granules(p, hw, dataflow)
    whole_k = gk if dataflow == OUTPUT_STATIONARY else _common_multiple(p.kernel_size, hw.rows * hw.reduction_per_pe)
    sizes_m, sizes_n, sizes_k = _tile_sizes(s.m, gm, gm), _tile_sizes(s.n, gn, gn), _tile_sizes(s.k, gk, whole_k)
    m = np.empty((len(sizes_m), 4 + ways), dtype=np.int64)
    n = np.empty((len(sizes_n), 2 + ways), dtype=np.int64)
    k = np.empty((len(sizes_k), 4), dtype=np.int64)
    for row, tile in enumerate(sizes_m):
        trips = ceil_div(s.m, tile)
        m[row, 0], m[row, 1], m[row, 2], m[row, 3] = tile, trips, input_rows(p, tile), all_rows(p, s.m, tile, trips)
        for along in range(ways):
            m[row, 4 + along] = m_cycles(s.m, tile, dataflow, along, hw)
    for row, tile in enumerate(sizes_n):
        n[row, 0], n[row, 1] = tile, ceil_div(s.n, tile)
        for along in range(ways):
            n[row, 2 + along] = n_cycles(s.n, tile, dataflow, along, hw)
    for row, tile in enumerate(sizes_k):
        k[row, 0], k[row, 1], k[row, 2] = tile, ceil_div(s.k, tile), input_channels(p, tile)
        k[row, 3] = k_cycles(s.k, tile, dataflow, hw)
    return _Sides(m, n, k)


@njit(cache=True, inline="always")
def tiling_of(sides, i, j, h, along, channels):  # type: ignore[no-untyped-def]
    """The tile loops of three sizes."""
    m, n, k = sides
    return Tiling(
        m[i, 1], n[j, 1], k[h, 1], m[i, 4 + along], n[j, 2 + along], k[h, 3], m[i, 2], m[i, 3], k[h, 2], channels
    )


@njit(cache=True, inline="always")
def least_folds(sides, i, j, groups, arrays, ways):  # type: ignore[no-untyped-def]
    """Least cycles, over the ways in which arrays share work, for each of those that k contributes."""
    least = 1.0 * groups * sides.m[i, 4] * sides.n[j, 2]
    for along in range(1, ways):
        turns = ceil_div(groups, arrays) if along == ALONG_GROUPS else groups
        least = min(least, 1.0 * turns * sides.m[i, 4 + along] * sides.n[j, 2 + along])
    return least


@njit(cache=True, inline="always")
def _cycles_left(hw, slower_s, around_s):  # type: ignore[no-untyped-def]
    """Cycles beyond which the arrays take longer than ``slower_s``, ``around_s`` of which pass before and after."""
    return (slower_s - around_s) * hw.array_hz * (1 + 1e-12) - fill_cycles(hw)


@njit(cache=True, forceinline=True)
def _search_orders(p, hw, c, s, sides, at, least, around_s, prune, best_c, best):  # type: ignore[no-untyped-def]
    """Best of ``best`` and every order of one tiling, with each way in which arrays share work."""
    channels, ways = input_channels(p, s.k), sides.n.shape[1] - 2
    t = tiling_of(sides, at[0], at[1], at[2], 0, channels)
    for order in orders_that_differ(t.nm, t.nn, t.nk):
        if order < 0 or (
            prune and ways > 1 and order_s(p, hw, s, t, least, order, around_s[1]) > best.time_s * (1 + _TIE)
        ):
            continue
        for along in range(ways):
            new_c = Candidate(
                c.split_g, c.split_m, c.split_n, c.split_k, c.tile_m, c.tile_n, c.tile_k, order, c.dataflow, along
            )
            t = tiling_of(sides, at[0], at[1], at[2], along, channels)
            if prune and candidate_s(p, hw, new_c, s, t, least, around_s[0], around_s[1]) > best.time_s * (1 + _TIE):
                continue
            new = cost(p, hw, new_c, s, t)
            if _better(new, best):
                best, best_c = new, new_c
    return best_c, best


@njit(cache=True, inline="always")
def _search_tiles(p, hw, c, s, least, prune, best_c, best):  # type: ignore[no-untyped-def]
    """Best of ``best`` and every tiling and order of one split and dataflow; and how many candidates these are."""
    ways = 1 if hw.arrays == 1 else (3 if s.g > 1 else 2)
    return _search_sides(p, hw, c, s, all_sides(p, hw, s, c.dataflow, ways), ways, least, prune, best_c, best)


@njit(cache=True)
def _search_sides(p, hw, c, s, sides, ways, least, prune, best_c, best):  # type: ignore[no-untyped-def]
    """`_search_tiles` where all tiles are known."""
    sides = unowned(sides)
    channels, turns, least_k = input_channels(p, s.k), ceil_div(s.g, hw.arrays), sides.k[0, 3]
    least_begin_s = max(hw.overhead_s, least.latency_s)
    for i in range(len(sides.m)):
        left = _cycles_left(hw, best.time_s * (1 + _TIE), least_begin_s + least.reduce_s)
        if prune and least_folds(sides, i, 0, s.g, hw.arrays, ways) * least_k > left:
            continue
        for j in range(len(sides.n)):
            if prune and streamed_s(hw, least, sides.m[i, 1], sides.n[j, 1], sides.m[i, 3]) > best.time_s * (1 + _TIE):
                break
            last_s = last_store_bytes(p, c, sides.m[i, 0], sides.n[j, 0]) / hw.dram_bytes_per_s
            left = _cycles_left(hw, best.time_s * (1 + _TIE), least_begin_s + max(last_s, least.reduce_s))
            folds = least_folds(sides, i, j, s.g, hw.arrays, ways)
            if prune and folds * least_k > left:
                continue
            for h in range(len(sides.k)):
                if prune and folds * sides.k[h, 3] > left:
                    continue
                tiled = Candidate(
                    c.split_g, c.split_m, c.split_n, c.split_k, sides.m[i, 0], sides.n[j, 0], sides.k[h, 0], 0,
                    c.dataflow, ALONG_N,
                )  # fmt: skip
                t = tiling_of(sides, i, j, h, 0, channels)
                if prune and streamed_bytes(p, tiled, s, t, turns * t.nm * t.nn * t.nk) > hw.capacity_bytes:
                    continue
                enough_s = best.time_s * (1 + _TIE) if prune else np.inf
                if too_many_fetches(p, t, least, turns, enough_s):
                    break
                start_s = begin_s(p, hw, tiled, t, least)
                if tiling_s(s, t, least, start_s, last_s) <= enough_s:
                    best_c, best = _search_orders(
                        p, hw, tiled, s, sides, (i, j, h), least, (start_s, last_s), prune, best_c, best
                    )
    return best_c, best, len(sides.m) * len(sides.n) * len(sides.k) * len(ORDERS) * ways


@njit(cache=True, inline="always")
def _search_split(p, hw, c, prune, best_c, best):  # type: ignore[no-untyped-def]
    """Best of ``best`` and every mapping with the split of ``c``; and how many candidates these are."""
    g, m, n, k = shares(p, c)
    s = Share(g, m, n, k, c.split_g * c.split_m * c.split_n * c.split_k)
    least, seen = least_of_split(p, hw, c, s), 0
    if prune and split_s(hw, least) > best.time_s * (1 + _TIE):
        return best_c, best, seen
    offered = (hw.weight_stationary, hw.output_stationary, hw.input_stationary)
    for dataflow in range(3):
        if offered[dataflow]:
            c = Candidate(c.split_g, c.split_m, c.split_n, c.split_k, 1, 1, 1, 0, dataflow, ALONG_N)
            best_c, best, count = _search_tiles(p, hw, c, s, least, prune, best_c, best)
            seen += count
    return best_c, best, seen


@njit(cache=True)
def divisors_of(number):  # type: ignore[no-untyped-def]
    """All divisors, in order."""
    found, each, count = np.empty(2 * int(np.sqrt(number)) + 2, np.int64), 1, 0
    while each * each <= number:
        if number % each == 0:
            found[count] = each
            count += 1
        each += 1
    for other in range(count - 1, -1, -1):
        if found[other] ** 2 < number:
            found[count] = number // found[other]
            count += 1
    return found[:count]


@njit(cache=True)
def splits_of(p, used):  # type: ignore[no-untyped-def]
    """(n, 4) ways to split a product over ``used`` cores: parts of groups, m, n and k."""
    rows, channels, divisors = ceil_div(p.m, p.row_outputs), ceil_div(p.k, p.kernel_size), divisors_of(used)
    found, count = np.empty((len(divisors) ** 3, 4), np.int64), 0
    for sg in divisors:
        for sm in divisors:
            if sg > p.groups or sm > rows or used % (sg * sm):
                continue
            for sn in divisors:
                sk = used // (sg * sm * sn)
                if sg * sm * sn * sk == used and sn <= p.n and sk <= channels:
                    found[count, 0], found[count, 1], found[count, 2], found[count, 3] = sg, sm, sn, sk
                    count += 1
    return found[:count]


@njit(cache=True)
def _search_splits(p, hw, used, prune, best_c, best):  # type: ignore[no-untyped-def]
    """Best of ``best`` and every mapping on ``used`` cores; and how many candidates these are."""
    splits, seen = splits_of(p, used), 0
    for each in range(len(splits)):
        c = Candidate(
            splits[each, 0], splits[each, 1], splits[each, 2], splits[each, 3], 1, 1, 1, 0, 0, ALONG_N
        )  # fmt: skip
        best_c, best, count = _search_split(p, hw, c, prune, best_c, best)
        seen += count
    return best_c, best, seen


@njit(cache=True)
def search(p, hw, prune):  # type: ignore[no-untyped-def]
    """(best candidate, its metrics, candidates seen). Infeasible metrics mean that nothing in the space fits.

    Seen are all candidates of the splits that no bound left, those included that a bound left later.
    """
    best_c = Candidate(1, 1, 1, 1, 1, 1, 1, 0, 0, ALONG_N)
    best = Metrics(False, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.inf, 1.0, False, 1, 1)
    seen = 0
    peak = 1.0 * hw.rows * hw.columns * hw.reduction_per_pe * hw.columns_per_pe * hw.arrays * hw.array_hz
    core_s = 1.0 * p.groups * p.m * p.n * p.k / peak * (1 - 1e-12)
    # Widest splits first: they are usually best, so that the bound bites early.
    for used in range(hw.cores, 0, -1):
        if prune and core_s / used > best.time_s * (1 + _TIE):
            break
        best_c, best, count = _search_splits(p, hw, used, prune, best_c, best)
        seen += count
    return best_c, best, seen


@njit(cache=True)
def least_buffer_bytes(p, hw):  # type: ignore[no-untyped-def]
    """Scratchpad of a core that any point of the space needs at least."""
    least, offered = np.inf, (hw.weight_stationary, hw.output_stationary, hw.input_stationary)
    for used in range(1, hw.cores + 1):
        for sg, sm, sn, sk in splits_of(p, used):
            for dataflow in range(3):
                if offered[dataflow]:
                    c = Candidate(sg, sm, sn, sk, 1, 1, 1, 0, dataflow, ALONG_N)
                    least = min(least, _least_tiles_bytes(p, hw, c))
    return least


@njit(cache=True)
def _least_tiles_bytes(p, hw, c):  # type: ignore[no-untyped-def]
    """Scratchpad of a core that the tiles of one split and dataflow need at least: a single tile takes one slot."""
    g, m, n, k = shares(p, c)
    s = Share(g, m, n, k, c.split_g * c.split_m * c.split_n * c.split_k)
    sides, channels, least = all_sides(p, hw, s, c.dataflow, 1), input_channels(p, k), np.inf
    for i in range(len(sides.m)):
        for j in range(len(sides.n)):
            for h in range(len(sides.k)):
                t = tiling_of(sides, i, j, h, 0, channels)
                for order in orders_that_differ(t.nm, t.nn, t.nk):
                    if order >= 0:
                        tiled = Candidate(
                            c.split_g, c.split_m, c.split_n, c.split_k, sides.m[i, 0], sides.n[j, 0], sides.k[h, 0],
                            order, c.dataflow, ALONG_N,
                        )  # fmt: skip
                        least = min(least, cost(p, hw, tiled, s, t).buffer_bytes)
    return least

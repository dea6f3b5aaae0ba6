"""The exact search for the fastest mapping of one product.

It looks at all of the space, but leaves a split or a tiling as soon as a lower bound on its time is not better than
the best found (by 2 parts in 10^9, so rounding decides nothing). Tests compare it with the search without bounds.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from accelsim.mapping.contraction import evaluate, last_store_bytes
from accelsim.mapping.space import (
    ALONG_N,
    OUTPUT_STATIONARY,
    WEIGHT_STATIONARY,
    Candidate,
    Metrics,
    ceil_div,
    input_elements,
    shares,
)

__all__ = ["search"]


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


@njit(cache=True)
def _common_multiple(first, second):  # type: ignore[no-untyped-def]
    """The least common multiple: of whole channels of a convolution and whole folds of the array."""
    a, b = first, second
    while b:
        a, b = b, a % b
    return first // a * second


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def _compulsory(p, hw, split):  # type: ignore[no-untyped-def]
    """(array, load, store, reduction) seconds below which no candidate with this split can stay."""
    c = Candidate(split[0], split[1], split[2], split[3], 1, 1, 1, 0, 0, ALONG_N)
    g, m, n, k = shares(p, c)
    peak = hw.rows * hw.columns * hw.reduction_per_pe * hw.columns_per_pe * hw.arrays
    load, store = p.extra_load_bytes, 0.0
    if not p.weight_on_chip:
        load += p.groups * p.n * p.k * p.weight_bytes
    if not p.input_on_chip:
        load += p.groups * input_elements(p, p.m, p.k) * p.input_bytes
    if not p.output_on_chip:
        store += p.groups * p.m * p.n * p.output_bytes
    reduce_bytes = g * m * n * p.partial_bytes * (c.split_k - 1) / c.split_k
    port = g * (k * n * p.weight_bytes + m * k * p.input_bytes + m * n * p.output_bytes)
    array_s = max(g * m * n * k / peak, port / hw.port_bytes_per_cycle) * (1 - 1e-12) / hw.array_hz
    rate = hw.dram_bytes_per_s
    return array_s, load / rate, store / rate, reduce_bytes / hw.network_bytes_per_s


@njit(cache=True)
def _first_load_s(p, hw, c, tile_m, tile_n, tile_k):  # type: ignore[no-untyped-def]
    """Least time of the first load of a tiling, in which the arrays wait."""
    load, there_is = 0.0, 0.0
    if not p.weight_on_chip:
        load += tile_n * tile_k * p.weight_bytes * c.split_g * c.split_n * c.split_k
        there_is += p.groups * p.n * p.k * p.weight_bytes
    if not p.input_on_chip:
        load += input_elements(p, tile_m, tile_k) * p.input_bytes * c.split_g * c.split_m * c.split_k
        there_is += p.groups * input_elements(p, p.m, p.k) * p.input_bytes
    # Ragged splits would count more than there is.
    return min(load, there_is) / hw.dram_bytes_per_s


@njit(cache=True)
def _orders_that_differ(nm, nn, nk):  # type: ignore[no-untyped-def]
    """How many of `ORDERS`, from the first, are needed: loops of one trip may stand anywhere."""
    turning = (nm > 1) + (nn > 1) + (nk > 1)
    return 1 if turning <= 1 else 6


@njit(cache=True)
def _search_tiles(p, hw, split, dataflow, prune, best_c, best, seen):  # type: ignore[no-untyped-def]
    """Best of ``best`` and every tiling and order of one split and dataflow."""
    c = Candidate(split[0], split[1], split[2], split[3], 1, 1, 1, 0, dataflow, ALONG_N)
    g_share, m_share, n_share, k_share = shares(p, c)
    gm, gn, gk = _granules(p, hw, dataflow)
    whole_k = _common_multiple(p.kernel_size, hw.rows * hw.reduction_per_pe) if dataflow != OUTPUT_STATIONARY else gk
    array_s, load_s, store_s, reduce_s = _compulsory(p, hw, split)
    latency = hw.dram_latency_s if load_s > 0 else 0.0
    ways = 1 if hw.arrays == 1 else (3 if g_share > 1 else 2)
    least_turns = ceil_div(g_share, hw.arrays)
    for tile_m in _tile_sizes(m_share, gm, gm):
        for tile_n in _tile_sizes(n_share, gn, gn):
            last_s = last_store_bytes(p, c, tile_m, tile_n) / hw.dram_bytes_per_s
            for tile_k in _tile_sizes(k_share, gk, whole_k):
                nm, nn, nk = ceil_div(m_share, tile_m), ceil_div(n_share, tile_n), ceil_div(k_share, tile_k)
                enough = best.time_s * (1 - 2e-9) if prune and best.feasible else np.inf
                # More fetches only add latencies: once they alone are too many, so are those of smaller tiles of k.
                fetches = max(0 if p.weight_on_chip else nn * nk, 0 if p.input_on_chip else nm * nk) * least_turns
                if 0.5 * (array_s + load_s + max(0, fetches - 1) * latency) >= enough:
                    break
                begin = max(hw.overhead_s, _first_load_s(p, hw, c, tile_m, tile_n, tile_k) + latency)
                ends_s = array_s / (g_share * nm * nn * nk) + max(last_s, reduce_s)
                loaded = load_s + latency + ends_s if load_s > 0 else 0.0
                if max(begin + array_s + max(last_s, reduce_s), loaded, load_s + store_s) >= enough:
                    continue
                for order in range(_orders_that_differ(nm, nn, nk)):
                    for along in range(ways):
                        c = Candidate(
                            split[0], split[1], split[2], split[3], tile_m, tile_n, tile_k, order, dataflow, along
                        )
                        new = evaluate(p, hw, c)
                        seen += 1
                        if _better(new, best):
                            best, best_c = new, c
    return best_c, best, seen


@njit(cache=True)
def search(p, hw, prune):  # type: ignore[no-untyped-def]
    """(best candidate, its metrics, candidates evaluated). Infeasible metrics mean that nothing in the space fits."""
    best_c = Candidate(1, 1, 1, 1, 1, 1, 1, 0, 0, ALONG_N)
    best = Metrics(False, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.inf, 1.0, False, 1, 1)
    offered = (hw.weight_stationary, hw.output_stationary, hw.input_stationary)
    seen = 0
    rows, channels = ceil_div(p.m, p.row_outputs), ceil_div(p.k, p.kernel_size)
    # Widest splits first: they are usually best, so that the bound bites early.
    for used in range(hw.cores, 0, -1):
        for sg in range(1, min(used, p.groups) + 1):
            for sm in range(1, min(used // sg, rows) + 1):
                for sn in range(1, min(used // (sg * sm), p.n) + 1):
                    sk = used // (sg * sm * sn)
                    if sg * sm * sn * sk != used or sk > channels:
                        continue
                    split = (sg, sm, sn, sk)
                    array_s, load_s, store_s, reduce_s = _compulsory(p, hw, split)
                    least = max(hw.overhead_s + array_s + reduce_s, load_s + store_s)
                    if prune and best.feasible and least >= best.time_s * (1 - 2e-9):
                        continue
                    for dataflow in range(3):
                        if offered[dataflow]:
                            best_c, best, seen = _search_tiles(p, hw, split, dataflow, prune, best_c, best, seen)
    return best_c, best, seen

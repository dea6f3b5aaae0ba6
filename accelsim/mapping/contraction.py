"""Mapping one matrix product (or convolution) onto the arrays: the space, its cost, and an exact search.

The declared space of a product of ``groups`` times (m x k) by (k x n):

- *core split*: factors (g, m, n, k) whose product is at most the number of cores;
- *dataflow*: any that the arrays offer; the arrays of one core sit side by side along n or along m;
- *tiles*: every dimension of a core's share cut into 1, 2, 3, 4, 6, 8, 12, ... near-equal tiles, rounded up to
  what the array holds (and to whole rows of a convolution);
- *order*: all six orders of the m, n and k tile loops; groups are outermost.

Nothing in the space depends on a rate, and more memory only adds to it, so more of anything is never slower.

`search` looks at all of it, but leaves a split or a tiling as soon as a lower bound on its time is not better than
the best found (by 2 parts in 10^9, so rounding decides nothing). Tests compare it with the search without bounds.

Physics of a candidate, per core, all of it double buffered:

- array cycles: folds of the array times cycles a fold. Weight stationary keeps R x C weights and streams m rows,
  output stationary keeps R x C outputs and streams k, input stationary keeps R x C inputs and streams n. With fill
  and drain paid per fold a fold takes 2R + C + m - 2, R + C + k - 2, 2R + C + n - 2 cycles and the whole one less
  than their sum (Samajdar et al., SCALE-Sim, ISPASS 2020); overlapped, it takes its stream, or the R cycles that
  load the next operands where those are longer, and the pipeline is filled once;
- scratchpad cycles: bytes that cross its port over the port's width;
- DRAM bytes: each operand times how often the tile loops outside its innermost relevant loop repeat it, partial
  sums included; what lies in the scratchpad already costs none;
- network bytes: inputs that a core's share needs and another core holds, and partial sums of a split k.

- latency: with two slots a tile's load waits for the tile before the last, so that two tiles take at least one
  load, one DRAM latency and one computation: tiny tiles do not hide the latency.

time = overhead + first load + max(array, scratchpad, remaining DRAM, network, latency) + last store + reduction.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from accelsim.mapping.schedule import Rates, Work, schedule_s

__all__ = ["Candidate", "Machine", "Metrics", "Problem", "evaluate", "search"]

WEIGHT_STATIONARY, OUTPUT_STATIONARY, INPUT_STATIONARY = 0, 1, 2
ORDERS = np.array([(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)], dtype=np.int64)
"""Tile loop orders, outermost first; 0 is m, 1 is n, 2 is k."""


class Problem(NamedTuple):
    """One product: sizes, how m maps to input rows (see `Contraction`), bytes an element, and what is on chip.

    ``extra_load_bytes`` come with the first tile (biases); ``follow_s`` is vector time that follows the results.
    """

    groups: int
    m: int
    n: int
    k: int
    row_outputs: int
    row_stride: int
    row_elements: int
    kernel_rows: int
    kernel_size: int
    weight_bytes: float
    input_bytes: float
    output_bytes: float
    partial_bytes: float
    input_on_chip: bool
    output_on_chip: bool
    weight_on_chip: bool
    extra_load_bytes: float = 0.0
    follow_s: float = 0.0


class Machine(NamedTuple):
    """What the search needs to know of the hardware; sizes are per core, rates are per second."""

    cores: int
    rows: int
    columns: int
    reduction_per_pe: int
    columns_per_pe: int
    arrays: int
    weight_stationary: bool
    output_stationary: bool
    input_stationary: bool
    overlapped: bool
    accumulator_bytes: float
    capacity_bytes: float
    port_bytes_per_cycle: float
    shared_port: bool
    array_hz: float
    dram_bytes_per_s: float
    dram_latency_s: float
    dma_bytes_per_s: float
    network_bytes_per_s: float
    overhead_s: float
    hop_s: float = 0.0
    burst_bytes: float = 1.0


class Candidate(NamedTuple):
    """One point of the space; ``order`` indexes `ORDERS`, ``along_m`` puts a core's arrays side by side along m."""

    split_g: int
    split_m: int
    split_n: int
    split_k: int
    tile_m: int
    tile_n: int
    tile_k: int
    order: int
    dataflow: int
    along_m: bool


class Metrics(NamedTuple):
    """What a candidate costs. Cycles, network and buffer bytes are those of the fullest core, DRAM bytes of all.

    ``core_share`` is the part of the loads that one core takes, ``fetches`` the steps that load; ``late`` says that no result is whole before the end.
    """

    feasible: bool
    time_s: float
    array_cycles: float
    mac_cycles: float
    port_bytes: float
    weight_dram_bytes: float
    input_dram_bytes: float
    output_dram_bytes: float
    first_load_bytes: float
    last_store_bytes: float
    network_bytes: float
    reduce_bytes: float
    buffer_bytes: float
    core_share: float
    late: bool
    fetches: int
    tiles: int


@njit(cache=True, inline="always")
def _ceil(a, b):  # type: ignore[no-untyped-def]
    return -(-a // b)


@njit(cache=True)
def _folds(size, tile, capacity):  # type: ignore[no-untyped-def]
    """Folds over all tiles of one dimension: full tiles and the last, smaller one."""
    full = size // tile
    rest = size - full * tile
    folds = full * _ceil(tile, capacity)
    if rest:
        folds += _ceil(rest, capacity)
    return folds


@njit(cache=True)
def _stream(size, tile, floor, fixed):  # type: ignore[no-untyped-def]
    """Cycles to stream every tile of one dimension once, each at least ``floor`` long and with ``fixed`` more."""
    full = size // tile
    rest = size - full * tile
    cycles = full * (max(tile, floor) + fixed)
    if rest:
        cycles += max(rest, floor) + fixed
    return cycles


@njit(cache=True)
def _input_elements(p, outputs, k):  # type: ignore[no-untyped-def]
    """Stored input elements that ``outputs`` values of m need over ``k`` values of k (overlap read once)."""
    rows = _ceil(outputs, p.row_outputs)
    input_rows = (rows - 1) * min(p.row_stride, p.kernel_rows) + p.kernel_rows
    channels = max(1, k // p.kernel_size)
    if p.kernel_size == 1 and p.row_elements == 1:
        return outputs * k
    return input_rows * p.row_elements * channels


@njit(cache=True)
def _reloads(order, trips, first, second, irrelevant):  # type: ignore[no-untyped-def]
    """How often each tile of an operand is fetched: the trips of its irrelevant loop, if a relevant one turns inside."""
    inside = False
    for depth in range(2, -1, -1):
        loop = order[depth]
        if loop == irrelevant:
            return trips[irrelevant] if inside else 1
        if (loop == first or loop == second) and trips[loop] > 1:
            inside = True
    return 1


@njit(cache=True)
def _array_cycles(m_share, n_share, k_share, c, hw, wide, along_m):  # type: ignore[no-untyped-def]
    """(cycles, weight port passes, input port passes, k folds) of one core for one group."""
    reduction = hw.rows * hw.reduction_per_pe
    columns = hw.columns * hw.columns_per_pe * (1 if along_m else wide)
    beside = wide if along_m else 1
    fill = 2 * hw.rows + hw.columns - 2
    m_size, m_tile = _ceil(m_share, beside), _ceil(c.tile_m, beside)
    nm, nn = _ceil(m_share, c.tile_m), _ceil(n_share, c.tile_n)
    k_folds = _folds(k_share, c.tile_k, reduction)
    if c.dataflow == WEIGHT_STATIONARY:
        n_folds = _folds(n_share, c.tile_n, columns)
        stream = _stream(m_size, m_tile, hw.rows if hw.overlapped else 0, 0 if hw.overlapped else fill)
        return k_folds * n_folds * stream, nm, n_folds, k_folds
    if c.dataflow == INPUT_STATIONARY:
        m_folds = _folds(m_size, m_tile, columns)
        stream = _stream(n_share, c.tile_n, hw.rows if hw.overlapped else 0, 0 if hw.overlapped else fill)
        return k_folds * m_folds * stream, m_folds, nn, k_folds
    m_folds, n_folds = _folds(m_size, m_tile, hw.rows), _folds(n_share, c.tile_n, columns)
    per_pe = hw.reduction_per_pe
    steps, tile_steps = _ceil(k_share, per_pe), _ceil(c.tile_k, per_pe)
    stream = _stream(steps, tile_steps, hw.rows if hw.overlapped else 0, 0 if hw.overlapped else fill - hw.rows)
    return m_folds * n_folds * stream, m_folds, n_folds, _ceil(k_share, c.tile_k)


@njit(cache=True)
def _shares(p, c):  # type: ignore[no-untyped-def]
    """(g, m, n, k) of the fullest core; m is cut in whole rows of a convolution, k in whole channels."""
    rows = _ceil(p.m, p.row_outputs)
    m_share = min(p.m, _ceil(rows, c.split_m) * p.row_outputs)
    k_share = min(p.k, _ceil(_ceil(p.k, p.kernel_size), c.split_k) * p.kernel_size)
    return _ceil(p.groups, c.split_g), m_share, _ceil(p.n, c.split_n), k_share


@njit(cache=True)
def evaluate(p, hw, c):  # type: ignore[no-untyped-def]
    """Cost of candidate ``c`` for problem ``p`` on machine ``hw`` as `Metrics`."""
    g_share, m_share, n_share, k_share = _shares(p, c)
    nm, nn, nk = _ceil(m_share, c.tile_m), _ceil(n_share, c.tile_n), _ceil(k_share, c.tile_k)
    trips = np.array([nm, nn, nk])
    order = ORDERS[c.order]
    used = c.split_g * c.split_m * c.split_n * c.split_k
    tiles = g_share * nm * nn * nk

    # Array and scratchpad port.
    cycles, weight_passes, input_passes, k_folds = _array_cycles(m_share, n_share, k_share, c, hw, hw.arrays, c.along_m)
    fill = 2 * hw.rows + hw.columns - 2
    cycles = g_share * cycles + (fill if hw.overlapped else -1)
    columns = hw.columns * hw.columns_per_pe * hw.arrays
    held = hw.accumulator_bytes * hw.arrays
    if c.dataflow == OUTPUT_STATIONARY or c.tile_m * min(c.tile_n, columns) * p.partial_bytes <= held:
        in_array = nk == 1 or (order[2] == 2 and c.tile_m * c.tile_n * p.partial_bytes <= held)
        passes = 1 if in_array else nk
    else:
        passes = k_folds
    outputs = m_share * n_share
    port_bytes = g_share * (
        k_share * n_share * p.weight_bytes * weight_passes
        + m_share * k_share * p.input_bytes * input_passes
        + outputs * (p.output_bytes + 2 * (passes - 1) * p.partial_bytes)
    )

    # DRAM traffic of all cores; what several cores need is fetched once and multicast.
    weight_reloads = _reloads(order, trips, 1, 2, 0)
    input_reloads = _reloads(order, trips, 0, 2, 1)
    spills = _reloads(order, trips, 0, 1, 2) - 1
    weight_dram = 0.0 if p.weight_on_chip else p.groups * p.n * p.k * p.weight_bytes * weight_reloads
    input_share = g_share * p.input_bytes * (
        (nm - 1) * _input_elements(p, c.tile_m, k_share) + _input_elements(p, m_share - (nm - 1) * c.tile_m, k_share)
    )
    input_dram = 0.0
    if not p.input_on_chip:
        input_dram = input_share * c.split_g * c.split_m * c.split_k * input_reloads
    all_outputs = p.groups * p.m * p.n
    output_dram = all_outputs * 2.0 * spills * p.partial_bytes + (0.0 if p.output_on_chip else all_outputs * p.output_bytes)

    # Buffers: two slots for what is streamed, one where a single tile is all there is.
    weight_tile = c.tile_n * c.tile_k * p.weight_bytes
    input_tile = _input_elements(p, c.tile_m, c.tile_k) * p.input_bytes
    output_tile = c.tile_m * c.tile_n * p.output_bytes
    slots = 2.0 if tiles > 1 else 1.0
    buffer_bytes = slots * ((0.0 if p.weight_on_chip else weight_tile) + (0.0 if p.output_on_chip else output_tile))
    if not p.input_on_chip or used > 1:
        buffer_bytes += slots * input_tile
    if passes > 1:
        buffer_bytes += c.tile_m * c.tile_n * p.partial_bytes

    # Network: what a core's share needs and does not hold.
    away = (used - 1) / used
    network_bytes = input_share * input_reloads * away if p.input_on_chip else 0.0
    reduce_bytes = g_share * outputs * p.partial_bytes * (c.split_k - 1) / c.split_k

    first_load = 0.0
    if not p.weight_on_chip:
        first_load += weight_tile * c.split_g * c.split_n * c.split_k
    if not p.input_on_chip:
        first_load += input_tile * c.split_g * c.split_m * c.split_k
    loads = weight_dram + input_dram
    first_load = (loads if tiles == 1 else min(first_load, loads)) + p.extra_load_bytes
    last_store = output_dram if tiles == 1 else min(_last_store_bytes(p, c, c.tile_m, c.tile_n), output_dram)
    core_share = 1.0
    if loads > 0:
        weight_share = weight_dram / (c.split_g * c.split_n * c.split_k)
        core_share = (weight_share + input_dram / (c.split_g * c.split_m * c.split_k)) / loads

    if hw.shared_port:
        port_bytes += (loads + output_dram) / used
    mac_cycles = 1.0 * cycles
    array_cycles = max(mac_cycles, port_bytes / hw.port_bytes_per_cycle)
    fetches = 1
    if not p.weight_on_chip:
        fetches = max(fetches, g_share * nn * nk * weight_reloads)
    if not p.input_on_chip:
        fetches = max(fetches, g_share * nm * nk * input_reloads)
    late = c.split_k > 1 or (nk > 1 and order[2] != 2)
    rates = Rates(
        1.0 / hw.array_hz, hw.dram_bytes_per_s, hw.burst_bytes, hw.dram_latency_s, hw.dma_bytes_per_s,
        hw.network_bytes_per_s, hw.hop_s, hw.overhead_s,
    )  # fmt: skip
    work = Work(
        tiles, fetches, array_cycles, loads + p.extra_load_bytes, first_load, output_dram, last_store, core_share,
        network_bytes, reduce_bytes, p.follow_s, late,
    )  # fmt: skip
    return Metrics(
        buffer_bytes <= hw.capacity_bytes, schedule_s(work, rates), array_cycles, mac_cycles, port_bytes, weight_dram,
        input_dram, output_dram, first_load, last_store, network_bytes, reduce_bytes, buffer_bytes, core_share, late, fetches, tiles,
    )  # fmt: skip


@njit(cache=True)
def _last_store_bytes(p, c, tile_m, tile_n):  # type: ignore[no-untyped-def]
    """Bytes that the last tiles of all cores store; at most all there is."""
    if p.output_on_chip:
        return 0.0
    return min(tile_m * tile_n * c.split_g * c.split_m * c.split_n, p.groups * p.m * p.n) * p.output_bytes


@njit(cache=True)
def _tile_sizes(size, granule):  # type: ignore[no-untyped-def]
    """Tile sizes for 1, 2, 3, 4, 6, 8, 12, ... tiles, rounded up to ``granule``, without repeats."""
    sizes = np.empty(64, dtype=np.int64)
    found, parts, last = 0, 1, -1
    while True:
        tile = min(size, _ceil(_ceil(size, parts), granule) * granule)
        if tile != last:
            sizes[found] = tile
            found += 1
            last = tile
        if tile <= granule or found == 64:
            return sizes[:found]
        parts = parts + 1 if parts < 3 else (parts * 3 // 2 if parts & (parts - 1) == 0 else parts // 3 * 4)


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
    c = Candidate(split[0], split[1], split[2], split[3], 1, 1, 1, 0, 0, False)
    g, m, n, k = _shares(p, c)
    peak = hw.rows * hw.columns * hw.reduction_per_pe * hw.columns_per_pe * hw.arrays
    load, store = p.extra_load_bytes, 0.0
    if not p.weight_on_chip:
        load += p.groups * p.n * p.k * p.weight_bytes
    if not p.input_on_chip:
        load += p.groups * _input_elements(p, p.m, p.k) * p.input_bytes
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
        load += _input_elements(p, tile_m, tile_k) * p.input_bytes * c.split_g * c.split_m * c.split_k
        there_is += p.groups * _input_elements(p, p.m, p.k) * p.input_bytes
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
    c = Candidate(split[0], split[1], split[2], split[3], 1, 1, 1, 0, dataflow, False)
    g_share, m_share, n_share, k_share = _shares(p, c)
    gm, gn, gk = _granules(p, hw, dataflow)
    array_s, load_s, store_s, reduce_s = _compulsory(p, hw, split)
    latency = hw.dram_latency_s if load_s > 0 else 0.0
    for tile_m in _tile_sizes(m_share, gm):
        for tile_n in _tile_sizes(n_share, gn):
            last_s = _last_store_bytes(p, c, tile_m, tile_n) / hw.dram_bytes_per_s
            for tile_k in _tile_sizes(k_share, gk):
                nm, nn, nk = _ceil(m_share, tile_m), _ceil(n_share, tile_n), _ceil(k_share, tile_k)
                enough = best.time_s * (1 - 2e-9) if prune and best.feasible else np.inf
                # More fetches only add latencies: once they alone are too many, so are those of smaller tiles of k.
                fetches = max(0 if p.weight_on_chip else nn * nk, 0 if p.input_on_chip else nm * nk) * g_share
                if 0.5 * (array_s + load_s + max(0, fetches - 1) * latency) >= enough:
                    break
                begin = max(hw.overhead_s, _first_load_s(p, hw, c, tile_m, tile_n, tile_k) + latency)
                ends_s = array_s / (g_share * nm * nn * nk) + max(last_s, reduce_s)
                loaded = load_s + latency + ends_s if load_s > 0 else 0.0
                if max(begin + array_s + max(last_s, reduce_s), loaded, load_s + store_s) >= enough:
                    continue
                for order in range(_orders_that_differ(nm, nn, nk)):
                    for along in range(2 if hw.arrays > 1 else 1):
                        c = Candidate(
                            split[0], split[1], split[2], split[3], tile_m, tile_n, tile_k, order, dataflow, along == 1
                        )
                        new = evaluate(p, hw, c)
                        seen += 1
                        if _better(new, best):
                            best, best_c = new, c
    return best_c, best, seen


@njit(cache=True)
def search(p, hw, prune):  # type: ignore[no-untyped-def]
    """(best candidate, its metrics, candidates evaluated). Infeasible metrics mean that nothing in the space fits."""
    best_c = Candidate(1, 1, 1, 1, 1, 1, 1, 0, 0, False)
    best = Metrics(False, np.inf, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, np.inf, 1.0, False, 1, 1)
    offered = (hw.weight_stationary, hw.output_stationary, hw.input_stationary)
    seen = 0
    rows, channels = _ceil(p.m, p.row_outputs), _ceil(p.k, p.kernel_size)
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

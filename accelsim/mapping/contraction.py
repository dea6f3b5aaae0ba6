"""What a mapping of one matrix product costs.

Physics of a candidate, per core, all of it double buffered:

- array cycles: folds of the array times cycles a fold. Weight stationary keeps R x C weights and streams m rows,
  output stationary keeps R x C outputs and streams k, input stationary keeps R x C inputs and streams n. With fill
  and drain paid per fold a fold takes 2R + C + m - 2, R + C + k - 2, 2R + C + n - 2 cycles and the whole one less
  than their sum (Samajdar et al., SCALE-Sim, ISPASS 2020); overlapped, it takes its stream, or the R cycles that
  load the next operands where those are longer, and the pipeline is filled once;
- scratchpad cycles: bytes that cross its port over the port's width;
- DRAM bytes: each operand times how often the tile loops outside its innermost relevant loop repeat it, partial
  sums included; what lies in the scratchpad already costs none;
- network bytes: inputs that a core's share needs and another core holds, and partial sums of a split k;
- vector work that follows on the results, tile by tile.

These become a time by the schedule of `mapping.schedule`, the same that the lowered tasks follow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from accelsim.mapping.schedule import Rates, Work, schedule_s
from accelsim.mapping.space import (
    ALONG_GROUPS,
    ALONG_M,
    ALONG_N,
    INPUT_STATIONARY,
    ORDERS,
    OUTPUT_STATIONARY,
    WEIGHT_STATIONARY,
    Metrics,
    ceil_div,
    input_channels,
    input_rows,
    shares,
)

__all__ = [
    "Share",
    "Tiling",
    "all_rows",
    "cost",
    "evaluate",
    "fill_cycles",
    "first_load_bytes",
    "is_late",
    "k_cycles",
    "last_store_bytes",
    "m_cycles",
    "n_cycles",
    "partial_passes",
    "port_passes",
    "repeats",
    "streamed_bytes",
    "tiling",
]


_M, _N, _K = np.arange(3)
"""Loops as `ORDERS` has them: numbers of numpy, which are no literals, for each of which code would be made anew."""


class Share(NamedTuple):
    """The part of the fullest core, and how many cores are used."""

    g: int
    m: int
    n: int
    k: int
    used: int


class Tiling(NamedTuple):
    """What the tiles of each loop come to, whatever those of the others are.

    Attributes:
        nm, nn, nk: trips of the tile loops.
        m_cycles, n_cycles, k_cycles: their product is the cycles of one core for one group.
        tile_rows, all_rows: `input_rows` of one tile of m, and of all of them.
        tile_channels, all_channels: `input_channels` of one tile of k, and of the share.
    """

    nm: int
    nn: int
    nk: int
    m_cycles: int
    n_cycles: int
    k_cycles: int
    tile_rows: int
    all_rows: int
    tile_channels: int
    all_channels: int


class _Traffic(NamedTuple):
    """DRAM bytes of all cores, and what follows from how often tiles are fetched."""

    weight: float
    input: float
    output: float
    fetches: int
    input_share: float


@njit(cache=True, forceinline=True)
def _folds(size, tile, capacity):  # type: ignore[no-untyped-def]
    """Folds over all tiles of one dimension: full tiles and the last, smaller one."""
    full = size // tile
    rest = size - full * tile
    folds = full * ceil_div(tile, capacity)
    if rest:
        folds += ceil_div(rest, capacity)
    return folds


@njit(cache=True, forceinline=True)
def _stream(size, tile, floor, fixed):  # type: ignore[no-untyped-def]
    """Cycles to stream every tile of one dimension once, each at least ``floor`` long and with ``fixed`` more."""
    full = size // tile
    rest = size - full * tile
    cycles = full * (max(tile, floor) + fixed)
    if rest:
        cycles += max(rest, floor) + fixed
    return cycles


@njit(cache=True, forceinline=True)
def _reloads(order, trips, first, second, irrelevant):  # type: ignore[no-untyped-def]
    """Fetches of each tile of an operand: as many as its irrelevant loop has trips, if a relevant one turns inside."""
    inside = False
    for depth in range(2, -1, -1):
        loop = order[depth]
        if loop == irrelevant:
            return trips[irrelevant] if inside else 1
        if loop in (first, second) and trips[loop] > 1:
            inside = True
    return 1


@njit(cache=True, forceinline=True)
def repeats(order, t):  # type: ignore[no-untyped-def]
    """How often tile loops in this order fetch each weight and each input, and spill each output."""
    loops, trips = (ORDERS[order, 0], ORDERS[order, 1], ORDERS[order, 2]), (t.nm, t.nn, t.nk)
    spills = _reloads(loops, trips, _M, _N, _K) - 1
    return _reloads(loops, trips, _N, _K, _M), _reloads(loops, trips, _M, _K, _N), spills


@njit(cache=True, inline="always")
def is_late(c, t):  # type: ignore[no-untyped-def]
    """Whether no result is whole before the last tile."""
    return c.split_k > 1 or (t.nk > 1 and ORDERS[c.order, 2] != 2)


@njit(cache=True, inline="always")
def fill_cycles(hw):  # type: ignore[no-untyped-def]
    """Cycles that the first fold waits for its pipeline, or of which fill and drain overlap at the end."""
    return 2 * hw.rows + hw.columns - 2 if hw.overlapped else -1


@njit(cache=True, forceinline=True)
def _streamed(size, tile, hw, fixed):  # type: ignore[no-untyped-def]
    """Cycles to stream every tile of one dimension through a fold; ``fixed`` are those of fill and drain."""
    return _stream(size, tile, hw.rows if hw.overlapped else 0, 0 if hw.overlapped else fixed)


@njit(cache=True, forceinline=True)
def m_cycles(share, tile, dataflow, along, hw):  # type: ignore[no-untyped-def]
    """What the tiles of m contribute to the cycles: folds of the array, or cycles of what streams through it."""
    beside = hw.arrays if along == ALONG_M else 1
    size, tile = ceil_div(share, beside), ceil_div(tile, beside)
    if dataflow == WEIGHT_STATIONARY:
        return _streamed(size, tile, hw, 2 * hw.rows + hw.columns - 2)
    return _folds(size, tile, _side_by_side(hw, along) if dataflow == INPUT_STATIONARY else hw.rows)


@njit(cache=True, forceinline=True)
def n_cycles(share, tile, dataflow, along, hw):  # type: ignore[no-untyped-def]
    """What the tiles of n contribute."""
    if dataflow == INPUT_STATIONARY:
        return _streamed(share, tile, hw, 2 * hw.rows + hw.columns - 2)
    return _folds(share, tile, _side_by_side(hw, along))


@njit(cache=True, forceinline=True)
def k_cycles(share, tile, dataflow, hw):  # type: ignore[no-untyped-def]
    """What the tiles of k contribute."""
    per_pe = hw.reduction_per_pe
    if dataflow == OUTPUT_STATIONARY:
        return _streamed(ceil_div(share, per_pe), ceil_div(tile, per_pe), hw, hw.rows + hw.columns - 2)
    return _folds(share, tile, hw.rows * per_pe)


@njit(cache=True, inline="always")
def _side_by_side(hw, along):  # type: ignore[no-untyped-def]
    """Columns of the array, or of all arrays of a core side by side."""
    return hw.columns * hw.columns_per_pe * (hw.arrays if along == ALONG_N else 1)


@njit(cache=True, forceinline=True)
def all_rows(p, share, tile, trips):  # type: ignore[no-untyped-def]
    """`input_rows` of all tiles of m: those at borders are needed by both neighbours."""
    return (trips - 1) * input_rows(p, tile) + input_rows(p, share - (trips - 1) * tile)


@njit(cache=True, forceinline=True)
def tiling(p, hw, c, s):  # type: ignore[no-untyped-def]
    """The tile loops of candidate ``c``."""
    nm, nn, nk = ceil_div(s.m, c.tile_m), ceil_div(s.n, c.tile_n), ceil_div(s.k, c.tile_k)
    return Tiling(
        nm, nn, nk, m_cycles(s.m, c.tile_m, c.dataflow, c.along, hw), n_cycles(s.n, c.tile_n, c.dataflow, c.along, hw),
        k_cycles(s.k, c.tile_k, c.dataflow, hw), input_rows(p, c.tile_m), all_rows(p, s.m, c.tile_m, nm),
        input_channels(p, c.tile_k), input_channels(p, s.k),
    )  # fmt: skip


@njit(cache=True, inline="always")
def port_passes(c, t):  # type: ignore[no-untyped-def]
    """How often each weight and each input pass the scratchpad port: once a fold, or once a tile of what stays."""
    weights = t.nm if c.dataflow == WEIGHT_STATIONARY else t.m_cycles
    return weights, t.nn if c.dataflow == INPUT_STATIONARY else t.n_cycles


@njit(cache=True, forceinline=True)
def partial_passes(p, hw, c, t):  # type: ignore[no-untyped-def]
    """How often an output passes the scratchpad port: once if partial sums stay in the array or its accumulators."""
    arrays = 1 if c.along == ALONG_GROUPS else hw.arrays
    columns = hw.columns * hw.columns_per_pe * arrays
    held = hw.accumulator_bytes * arrays
    if c.dataflow == OUTPUT_STATIONARY or c.tile_m * min(c.tile_n, columns) * p.partial_bytes <= held:
        k_innermost = ORDERS[c.order, 2] == 2
        whole = t.nk == 1 or (k_innermost and c.tile_m * c.tile_n * p.partial_bytes <= held)
        return 1 if whole else t.nk
    return t.k_cycles


@njit(cache=True, forceinline=True)
def _traffic(p, hw, c, s, t, turns):  # type: ignore[no-untyped-def]
    """DRAM traffic of a candidate; what several cores need is fetched once and multicast.

    ``turns`` counts the groups that a core computes one after the other.
    """
    weight_reloads, input_reloads, spills = repeats(c.order, t)
    input_share = s.g * p.input_bytes * (t.all_rows * t.all_channels) * input_reloads
    weight, moved_in, fetches = 0.0, 0.0, 1
    if not p.weight_on_chip:
        n, k = p.n, p.k
        if hw.whole_weight_tiles:
            columns, reduction = hw.columns * hw.columns_per_pe, hw.rows * hw.reduction_per_pe
            n, k = ceil_div(n, columns) * columns, ceil_div(k, reduction) * reduction
        weight = p.groups * n * k * p.weight_bytes * weight_reloads
        fetches = max(fetches, turns * t.nn * t.nk * weight_reloads)
    if not p.input_on_chip:
        moved_in = input_share * c.split_g * c.split_m * c.split_k
        fetches = max(fetches, turns * t.nm * t.nk * input_reloads)
    outputs = p.groups * p.m * p.n
    output = outputs * 2.0 * spills * p.partial_bytes + (0.0 if p.output_on_chip else outputs * p.output_bytes)
    return _Traffic(weight, moved_in, output, fetches, input_share)


@njit(cache=True, inline="always")
def _tile_bytes(p, c, t):  # type: ignore[no-untyped-def]
    """Bytes of one tile of weights, inputs and outputs."""
    weights = c.tile_n * c.tile_k * p.weight_bytes
    return weights, t.tile_rows * t.tile_channels * p.input_bytes, c.tile_m * c.tile_n * p.output_bytes


@njit(cache=True, forceinline=True)
def streamed_bytes(p, c, s, t, tiles):  # type: ignore[no-untyped-def]
    """Scratchpad of one core for what is streamed: two slots, one where a single tile is all there is."""
    weights, inputs, outputs = _tile_bytes(p, c, t)
    streamed = (0.0 if p.weight_on_chip else weights) + (0.0 if p.output_on_chip else outputs)
    if not p.input_on_chip or s.used > 1:
        streamed += inputs
    return streamed * (2.0 if tiles > 1 else 1.0)


@njit(cache=True, forceinline=True)
def _buffer_bytes(p, c, s, t, tiles, passes):  # type: ignore[no-untyped-def]
    """Scratchpad of one core: for what is streamed, and for partial sums."""
    partial = c.tile_m * c.tile_n * p.partial_bytes if passes > 1 else 0.0
    return streamed_bytes(p, c, s, t, tiles) + partial


@njit(cache=True, forceinline=True)
def first_load_bytes(p, c, t):  # type: ignore[no-untyped-def]
    """Bytes that all cores fetch before the first tile."""
    weights, inputs, _ = _tile_bytes(p, c, t)
    load = 0.0
    if not p.weight_on_chip:
        load += weights * c.split_g * c.split_n * c.split_k
    if not p.input_on_chip:
        load += inputs * c.split_g * c.split_m * c.split_k
    return load


@njit(cache=True, forceinline=True)
def last_store_bytes(p, c, tile_m, tile_n):  # type: ignore[no-untyped-def]
    """Bytes that the last tiles of all cores store; at most all there is."""
    if p.output_on_chip:
        return 0.0
    return min(tile_m * tile_n * c.split_g * c.split_m * c.split_n, p.groups * p.m * p.n) * p.output_bytes


@njit(cache=True, forceinline=True)
def evaluate(p, hw, c):  # type: ignore[no-untyped-def]
    """Cost of candidate ``c`` for problem ``p`` on machine ``hw`` as `Metrics`."""
    g, m, n, k = shares(p, c)
    s = Share(g, m, n, k, c.split_g * c.split_m * c.split_n * c.split_k)
    return cost(p, hw, c, s, tiling(p, hw, c, s))


@njit(cache=True, forceinline=True)
def cost(p, hw, c, s, t):  # type: ignore[no-untyped-def]
    """`evaluate` where the share of a core and the tile loops are known."""
    beside = min(s.g, hw.arrays) if c.along == ALONG_GROUPS else 1
    turns = ceil_div(s.g, beside)
    tiles = turns * t.nm * t.nn * t.nk

    mac_cycles = 1.0 * turns * (t.m_cycles * t.n_cycles * t.k_cycles) + fill_cycles(hw)
    weight_passes, input_passes = port_passes(c, t)
    passes = partial_passes(p, hw, c, t)
    moved = _traffic(p, hw, c, s, t, turns)
    loads = moved.weight + moved.input
    results = p.output_bytes + 2 * (passes - 1) * p.partial_bytes
    port_bytes = s.g * (
        s.k * s.n * p.weight_bytes * weight_passes + s.m * s.k * p.input_bytes * input_passes + s.m * s.n * results
    )
    if hw.shared_port:
        port_bytes += (loads + moved.output) / s.used
    array_cycles = max(mac_cycles, port_bytes / hw.port_bytes_per_cycle)

    first_load = (loads if tiles == 1 else min(first_load_bytes(p, c, t) * beside, loads)) + p.extra_load_bytes
    last_store = moved.output if tiles == 1 else min(last_store_bytes(p, c, c.tile_m, c.tile_n) * beside, moved.output)
    core_share = 1.0
    if loads > 0:
        weight_share = moved.weight / (c.split_g * c.split_n * c.split_k)
        core_share = (weight_share + moved.input / (c.split_g * c.split_m * c.split_k)) / loads
    gather_bytes = moved.input_share * (s.used - 1) / s.used if p.input_on_chip else 0.0
    reduce_bytes = s.g * s.m * s.n * p.partial_bytes * (c.split_k - 1) / c.split_k
    late = is_late(c, t)

    rates = Rates(
        1.0 / hw.array_hz, hw.dram_bytes_per_s, hw.burst_bytes, hw.dram_latency_s, hw.dma_bytes_per_s,
        hw.network_bytes_per_s, hw.hop_s, hw.overhead_s,
    )  # fmt: skip
    work = Work(
        tiles, moved.fetches, array_cycles, loads + p.extra_load_bytes, first_load, moved.output, last_store,
        core_share, gather_bytes, reduce_bytes, p.follow_s, late,
    )  # fmt: skip
    buffer_bytes = _buffer_bytes(p, c, s, t, tiles, passes) * beside
    return Metrics(
        buffer_bytes <= hw.capacity_bytes, schedule_s(work, rates), array_cycles, mac_cycles, port_bytes,
        moved.weight, moved.input, moved.output, first_load, last_store, gather_bytes, reduce_bytes, buffer_bytes,
        core_share, late, moved.fetches, tiles,
    )  # fmt: skip

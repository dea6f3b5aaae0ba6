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
    input_elements,
    shares,
)

__all__ = ["evaluate", "last_store_bytes"]


class _Share(NamedTuple):
    """The part of the fullest core and the trips of its tile loops."""

    g: int
    m: int
    n: int
    k: int
    nm: int
    nn: int
    nk: int
    used: int


class _Traffic(NamedTuple):
    """DRAM bytes of all cores, and what follows from how often tiles are fetched."""

    weight: float
    input: float
    output: float
    fetches: int
    input_share: float


@njit(cache=True)
def _folds(size, tile, capacity):  # type: ignore[no-untyped-def]
    """Folds over all tiles of one dimension: full tiles and the last, smaller one."""
    full = size // tile
    rest = size - full * tile
    folds = full * ceil_div(tile, capacity)
    if rest:
        folds += ceil_div(rest, capacity)
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


@njit(cache=True)
def _array_cycles(m_share, n_share, k_share, c, hw):  # type: ignore[no-untyped-def]
    """(cycles, weight port passes, input port passes, k folds) of one core for one group."""
    reduction = hw.rows * hw.reduction_per_pe
    columns = hw.columns * hw.columns_per_pe * (hw.arrays if c.along == ALONG_N else 1)
    beside = hw.arrays if c.along == ALONG_M else 1
    fill = 2 * hw.rows + hw.columns - 2
    m_size, m_tile = ceil_div(m_share, beside), ceil_div(c.tile_m, beside)
    nm, nn = ceil_div(m_share, c.tile_m), ceil_div(n_share, c.tile_n)
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
    steps, tile_steps = ceil_div(k_share, per_pe), ceil_div(c.tile_k, per_pe)
    stream = _stream(steps, tile_steps, hw.rows if hw.overlapped else 0, 0 if hw.overlapped else fill - hw.rows)
    return m_folds * n_folds * stream, m_folds, n_folds, ceil_div(k_share, c.tile_k)


@njit(cache=True)
def _partial_passes(p, hw, c, s, k_folds):  # type: ignore[no-untyped-def]
    """How often an output passes the scratchpad port: once if partial sums stay in the array or its accumulators."""
    arrays = 1 if c.along == ALONG_GROUPS else hw.arrays
    columns = hw.columns * hw.columns_per_pe * arrays
    held = hw.accumulator_bytes * arrays
    if c.dataflow == OUTPUT_STATIONARY or c.tile_m * min(c.tile_n, columns) * p.partial_bytes <= held:
        k_innermost = ORDERS[c.order][2] == 2
        whole = s.nk == 1 or (k_innermost and c.tile_m * c.tile_n * p.partial_bytes <= held)
        return 1 if whole else s.nk
    return k_folds


@njit(cache=True)
def _traffic(p, hw, c, s, turns):  # type: ignore[no-untyped-def]
    """DRAM traffic of a candidate; what several cores need is fetched once and multicast.

    ``turns`` counts the groups that a core computes one after the other.
    """
    order, trips = ORDERS[c.order], (s.nm, s.nn, s.nk)
    weight_reloads, input_reloads = _reloads(order, trips, 1, 2, 0), _reloads(order, trips, 0, 2, 1)
    spills = _reloads(order, trips, 0, 1, 2) - 1
    last_m = s.m - (s.nm - 1) * c.tile_m
    rows = (s.nm - 1) * input_elements(p, c.tile_m, s.k) + input_elements(p, last_m, s.k)
    input_share = s.g * p.input_bytes * rows * input_reloads
    weight, moved_in, fetches = 0.0, 0.0, 1
    if not p.weight_on_chip:
        n, k = p.n, p.k
        if hw.whole_weight_tiles:
            columns, reduction = hw.columns * hw.columns_per_pe, hw.rows * hw.reduction_per_pe
            n, k = ceil_div(n, columns) * columns, ceil_div(k, reduction) * reduction
        weight = p.groups * n * k * p.weight_bytes * weight_reloads
        fetches = max(fetches, turns * s.nn * s.nk * weight_reloads)
    if not p.input_on_chip:
        moved_in = input_share * c.split_g * c.split_m * c.split_k
        fetches = max(fetches, turns * s.nm * s.nk * input_reloads)
    outputs = p.groups * p.m * p.n
    output = outputs * 2.0 * spills * p.partial_bytes + (0.0 if p.output_on_chip else outputs * p.output_bytes)
    return _Traffic(weight, moved_in, output, fetches, input_share)


@njit(cache=True)
def _tile_bytes(p, c):  # type: ignore[no-untyped-def]
    """Bytes of one tile of weights, inputs and outputs."""
    weights = c.tile_n * c.tile_k * p.weight_bytes
    return weights, input_elements(p, c.tile_m, c.tile_k) * p.input_bytes, c.tile_m * c.tile_n * p.output_bytes


@njit(cache=True)
def _buffer_bytes(p, c, s, tiles, passes):  # type: ignore[no-untyped-def]
    """Scratchpad of one core: two slots for what is streamed, one where a single tile is all there is."""
    weights, inputs, outputs = _tile_bytes(p, c)
    streamed = (0.0 if p.weight_on_chip else weights) + (0.0 if p.output_on_chip else outputs)
    if not p.input_on_chip or s.used > 1:
        streamed += inputs
    partial = c.tile_m * c.tile_n * p.partial_bytes if passes > 1 else 0.0
    return streamed * (2.0 if tiles > 1 else 1.0) + partial


@njit(cache=True)
def _first_load_bytes(p, c):  # type: ignore[no-untyped-def]
    """Bytes that all cores fetch before the first tile."""
    weights, inputs, _ = _tile_bytes(p, c)
    load = 0.0
    if not p.weight_on_chip:
        load += weights * c.split_g * c.split_n * c.split_k
    if not p.input_on_chip:
        load += inputs * c.split_g * c.split_m * c.split_k
    return load


@njit(cache=True)
def last_store_bytes(p, c, tile_m, tile_n):  # type: ignore[no-untyped-def]
    """Bytes that the last tiles of all cores store; at most all there is."""
    if p.output_on_chip:
        return 0.0
    return min(tile_m * tile_n * c.split_g * c.split_m * c.split_n, p.groups * p.m * p.n) * p.output_bytes


@njit(cache=True)
def evaluate(p, hw, c):  # type: ignore[no-untyped-def]
    """Cost of candidate ``c`` for problem ``p`` on machine ``hw`` as `Metrics`."""
    g, m, n, k = shares(p, c)
    used = c.split_g * c.split_m * c.split_n * c.split_k
    s = _Share(g, m, n, k, ceil_div(m, c.tile_m), ceil_div(n, c.tile_n), ceil_div(k, c.tile_k), used)
    beside = min(g, hw.arrays) if c.along == ALONG_GROUPS else 1
    turns = ceil_div(g, beside)
    tiles = turns * s.nm * s.nn * s.nk

    cycles, weight_passes, input_passes, k_folds = _array_cycles(m, n, k, c, hw)
    mac_cycles = 1.0 * turns * cycles + (2 * hw.rows + hw.columns - 2 if hw.overlapped else -1)
    passes = _partial_passes(p, hw, c, s, k_folds)
    moved = _traffic(p, hw, c, s, turns)
    loads = moved.weight + moved.input
    results = p.output_bytes + 2 * (passes - 1) * p.partial_bytes
    port_bytes = g * (k * n * p.weight_bytes * weight_passes + m * k * p.input_bytes * input_passes + m * n * results)
    if hw.shared_port:
        port_bytes += (loads + moved.output) / used
    array_cycles = max(mac_cycles, port_bytes / hw.port_bytes_per_cycle)

    first_load = (loads if tiles == 1 else min(_first_load_bytes(p, c) * beside, loads)) + p.extra_load_bytes
    last_store = moved.output if tiles == 1 else min(last_store_bytes(p, c, c.tile_m, c.tile_n) * beside, moved.output)
    core_share = 1.0
    if loads > 0:
        weight_share = moved.weight / (c.split_g * c.split_n * c.split_k)
        core_share = (weight_share + moved.input / (c.split_g * c.split_m * c.split_k)) / loads
    gather_bytes = moved.input_share * (used - 1) / used if p.input_on_chip else 0.0
    reduce_bytes = g * m * n * p.partial_bytes * (c.split_k - 1) / c.split_k
    late = c.split_k > 1 or (s.nk > 1 and ORDERS[c.order][2] != 2)

    rates = Rates(
        1.0 / hw.array_hz, hw.dram_bytes_per_s, hw.burst_bytes, hw.dram_latency_s, hw.dma_bytes_per_s,
        hw.network_bytes_per_s, hw.hop_s, hw.overhead_s,
    )  # fmt: skip
    work = Work(
        tiles, moved.fetches, array_cycles, loads + p.extra_load_bytes, first_load, moved.output, last_store,
        core_share, gather_bytes, reduce_bytes, p.follow_s, late,
    )  # fmt: skip
    buffer_bytes = _buffer_bytes(p, c, s, tiles, passes) * beside
    return Metrics(
        buffer_bytes <= hw.capacity_bytes, schedule_s(work, rates), array_cycles, mac_cycles, port_bytes,
        moved.weight, moved.input, moved.output, first_load, last_store, gather_bytes, reduce_bytes, buffer_bytes,
        core_share, late, moved.fetches, tiles,
    )  # fmt: skip

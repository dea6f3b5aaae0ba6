"""The schedule of one op, in closed form: how long its phases of load, compute and store take together.

An op runs in ``tiles`` equal steps. Its first tile is loaded, then loads, computation, vector work on the results
and stores overlap, then the last tile is finished and stored:

- loads share the DRAM in order: first tile, rest, then stores; each also passes the DMA engines of a core, and its
  data are there one memory latency later;
- the first tile computes when the op is launched, its load has arrived and its inputs have come over the network;
  the last tile computes when everything has;
- two slots hold what is loaded, so of all loads, their latencies and computations at most two are under way: what
  follows the first tile takes at least half of their sum (``fetches`` steps load something);
- vector work follows each phase, or all of it where no result is whole before the end;
- a reduction across cores follows the last tile.

`mapping.lower` makes tasks with exactly these dependencies, so the time here is the engine's, to the femtosecond
rounding of the tasks; a test asserts it. Ops follow each other without overlap, so times add up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

__all__ = ["MOST_CHUNKS", "Rates", "Work", "burst_s", "fastest_chunks", "load_s", "schedule_s"]

_CUTS = 21
MOST_CHUNKS = 2 ** (_CUTS - 1)
"""Chunks that vector work is cut into, at most."""


class Rates(NamedTuple):
    """What the hardware does: seconds a cycle of the unit, bytes a second, and fixed times in seconds."""

    cycle_s: float
    dram_bytes_per_s: float
    burst_bytes: float
    dram_latency_s: float
    dma_bytes_per_s: float
    network_bytes_per_s: float
    hop_s: float
    overhead_s: float


class Work(NamedTuple):
    """What an op needs; DRAM bytes are those of all cores, the rest that of the fullest core (see `Stream`)."""

    tiles: int
    fetches: int
    cycles: float
    load_bytes: float
    first_load_bytes: float
    store_bytes: float
    last_store_bytes: float
    core_share: float
    gather_bytes: float
    reduce_bytes: float
    follow_s: float
    late: bool


@njit(cache=True, forceinline=True)
def burst_s(moved, rates):  # type: ignore[no-untyped-def]
    """Seconds of the DRAM for ``moved`` bytes in whole bursts."""
    return np.ceil(moved / rates.burst_bytes) * rates.burst_bytes / rates.dram_bytes_per_s


def load_s(moved: float, rates: Rates) -> float:
    """Seconds until ``moved`` bytes that nothing overlaps are in the scratchpads, through the engines of one core."""
    return max(burst_s(moved, rates), moved / rates.dma_bytes_per_s) + rates.dram_latency_s if moved > 0 else 0.0


@njit(cache=True, forceinline=True)
def schedule_s(work, rates):  # type: ignore[no-untyped-def]
    """Seconds from the launch of an op to the end of its last task."""
    share = 1.0 / work.tiles
    cycles_s, follow_s = work.cycles * rates.cycle_s, work.follow_s
    rest_bytes = work.load_bytes - work.first_load_bytes if work.tiles > 1 else 0.0
    first_bytes = work.load_bytes - rest_bytes
    first_s, rest_s = burst_s(first_bytes, rates), burst_s(rest_bytes, rates)
    dma_s = work.core_share / rates.dma_bytes_per_s
    begin = rates.overhead_s
    if first_bytes > 0:
        begin = max(begin, max(first_s, first_bytes * dma_s) + rates.dram_latency_s)
    if work.gather_bytes > 0:
        begin = max(begin, work.gather_bytes * share / rates.network_bytes_per_s + rates.hop_s)
    first_done = begin + cycles_s * share
    followed = first_done + follow_s * share
    last_done = first_done
    if work.tiles > 1:
        between = cycles_s * (1 - 2 * share)
        last_start = first_done + between
        if rest_bytes > 0:
            arrived = max(first_s + rest_s, (first_bytes + rest_bytes) * dma_s) + rates.dram_latency_s
            halves = 0.5 * (cycles_s * (1 - share) + rest_bytes / rates.dram_bytes_per_s)
            slots = first_done + halves + 0.5 * (work.fetches - 1) * rates.dram_latency_s
            last_start = max(last_start, arrived, slots)
        if work.gather_bytes > 0:
            last_start = max(last_start, work.gather_bytes / rates.network_bytes_per_s + rates.hop_s)
        followed = max(first_done + between, followed) + follow_s * (1 - 2 * share)
        last_done = last_start + cycles_s * share
        followed = max(last_done, followed) + follow_s * share
    end = last_done
    if work.reduce_bytes > 0:
        end += work.reduce_bytes / rates.network_bytes_per_s + rates.hop_s
    if follow_s > 0:
        end = end + follow_s if work.late else max(end, followed)
    if work.store_bytes > 0:
        last_store = work.last_store_bytes if work.tiles > 1 else work.store_bytes
        stored = max(first_done, first_s + rest_s) + burst_s(work.store_bytes - last_store, rates)
        end = max(end, max(stored, last_done) + burst_s(last_store, rates))
    return end


@njit(cache=True, forceinline=True)
def fastest_chunks(cycles, load, store, free, core_share, rates):  # type: ignore[no-untyped-def]
    """(chunks, seconds) of vector work cut into the number of chunks, 1, 2, 4, ..., that is fastest; 0 where none fits.

    Two chunks of ``load`` and ``store`` bytes must fit ``free``, and each moves whole bursts.
    """
    best, best_s = 0, np.inf
    for power in range(_CUTS if load + store > 0 else 1):
        tiles = 1 << power
        if load + store > 0 and (load + store) * (2 / tiles if tiles > 1 else 1) > free:
            continue
        first = np.ceil(load / tiles / rates.burst_bytes) * rates.burst_bytes
        last = np.ceil(store / tiles / rates.burst_bytes) * rates.burst_bytes
        work = Work(
            tiles, tiles if load > 0 else 1, cycles, first * tiles, first, last * tiles, last, core_share,
            0.0, 0.0, 0.0, False,
        )  # fmt: skip
        time_s = schedule_s(work, rates)
        if best == 0 or time_s < best_s:
            best, best_s = tiles, time_s
        if max(load, store) <= tiles * rates.burst_bytes:
            break
    return best, best_s

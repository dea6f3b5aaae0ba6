"""All mappings of one product that are the best for some of many designs, without looking at most of the others.

`mapping.search` leaves a split, a tiling or a candidate as soon as a lower bound on its time is above the best found,
for one design. Here it is left when that is so for all of them (`envelope`). The bounds are those of
`mapping.pruning`, as needs that the rates of each design turn into a time.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from accelsim.mapping.contraction import (
    Share,
    cost,
    fill_cycles,
    first_load_bytes,
    is_late,
    last_store_bytes,
    partial_passes,
    port_passes,
    streamed_bytes,
)
from accelsim.mapping.pruning import Least, least_loaded_bytes, least_of_split, moved_s
from accelsim.mapping.search import all_sides, least_folds, orders_that_differ, splits_of, tiling_of
from accelsim.mapping.space import (
    ALONG_GROUPS,
    ALONG_N,
    Candidate,
    Machine,
    Problem,
    ceil_div,
    input_channels,
    shares,
)
from accelsim.mapping.unowned import unowned
from accelsim.study.batch.candidates import BUFFER, FIELDS, differs, put_candidate
from accelsim.study.batch.envelope import Needs, begun, may_win, tried, winners

__all__ = ["contenders", "without_rates"]

_FIELDS = len(FIELDS)
_FIRST_ROWS = 64


class _Split(NamedTuple):
    """A split with its dataflow, and what all of its tilings have in common.

    Attributes:
        turns: of the groups of a core, where each array takes its own.
        fill: cycles that the arrays take to fill and drain.
        ways: in which the arrays of a core may share its work.
    """

    p: Problem
    hw: Machine
    c: Candidate
    s: Share
    least: Least
    turns: int
    fill: float
    ways: int
    burst: float


def without_rates(machine: Machine) -> Machine:
    """The machine with any room and one of each amount a second: its bounds are bytes, cycles and latencies."""
    return machine._replace(
        capacity_bytes=0.0, array_hz=1.0, dram_bytes_per_s=1.0, network_bytes_per_s=1.0, dram_latency_s=1.0,
        port_bytes_per_cycle=np.inf,
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def contenders(p, hw, followers, burst, cells):  # type: ignore[no-untyped-def]
    """(n, `FIELDS`) of the mappings that fit and are the best for a design, in the order of `search`.

    Those are there, too, that come so close that roundings may decide. ``hw`` is `without_rates`, with its room;
    ``followers`` are (n, 2) cycles and port bytes of the vector work behind.
    """
    envelope = begun(cells, followers)
    rows, times, n = _of_splits(p, hw, burst, cells, envelope)
    return rows[:n][winners(rows[:n], times[:n], followers, burst, cells, envelope)]


@njit(cache=True, nogil=True, error_model="numpy")
def _of_splits(p, hw, burst, cells, envelope):  # type: ignore[no-untyped-def]
    """Rows that may be the best, (rows, points) their times, and how many these are."""
    rows, times = np.empty((_FIRST_ROWS, _FIELDS)), np.empty((_FIRST_ROWS, cells.linear.shape[1]))
    n = np.int64(0)  # no literal, for which all below would be compiled anew
    offered = (hw.weight_stationary, hw.output_stationary, hw.input_stationary)
    for used in range(hw.cores, 0, -1):
        for sg, sm, sn, sk in splits_of(p, used):
            c = Candidate(sg, sm, sn, sk, 1, 1, 1, 0, 0, ALONG_N)
            g_share, m_share, n_share, k_share = shares(p, c)
            s = Share(g_share, m_share, n_share, k_share, used)
            least = least_of_split(p, hw, c, s)
            if not may_win(_needs_of(least), cells, envelope):
                continue
            turns, ways = ceil_div(s.g, hw.arrays), 1 if hw.arrays == 1 else (3 if s.g > 1 else 2)
            for dataflow in range(3):
                if offered[dataflow]:
                    c = Candidate(sg, sm, sn, sk, 1, 1, 1, 0, dataflow, ALONG_N)
                    split = _Split(p, hw, c, s, least, turns, 1.0 * fill_cycles(hw), ways, burst)
                    rows, times, n = _of_tilings(split, cells, envelope, rows, times, n)
    return rows, times, n


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _needs_of(least):  # type: ignore[no-untyped-def]
    """What all mappings of a split need."""
    port = least.weight_port + least.input_port + least.output_port
    return Needs(
        least.array_s, port, 0.0, least.load_s, 0.0, least.store_s, 0.0, 0.0, least.reduce_s, 0.0, least.latency_s, 0.0
    )


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _with_cycles(a, cycles):  # type: ignore[no-untyped-def]
    """The same needs with other cycles."""
    return Needs(
        cycles, a.port, a.share, a.load, a.first, a.stored, a.last, a.gathered, a.reduced, a.fetches, a.latency, a.late
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _of_tilings(split, cells, envelope, rows, times, n):  # type: ignore[no-untyped-def]
    """The same with every tiling of a split."""
    p, least = split.p, split.least
    sides, base = all_sides(p, split.hw, split.s, split.c.dataflow, split.ways), _needs_of(least)
    room, groups, arrays, ways = 3 * split.ways * len(sides.k), split.s.g, split.hw.arrays, split.ways
    for i in range(len(sides.m)):
        folds = least_folds(sides, i, 0, groups, arrays, ways)
        if not may_win(_with_cycles(base, folds * sides.k[0, 3] + split.fill), cells, envelope):
            continue
        for j in range(len(sides.n)):
            folds = least_folds(sides, i, j, groups, arrays, ways)
            last = 1.0 * last_store_bytes(p, split.c, sides.m[i, 0], sides.n[j, 0])
            load = least_loaded_bytes(least, sides.m[i, 1], sides.n[j, 1], sides.m[i, 3])
            needs = Needs(
                folds * sides.k[0, 3] + split.fill, base.port, 0.0, max(load, base.load), 0.0, base.stored, last,
                sides.m[i, 3] * least.gathered, base.reduced, 0.0, base.latency, 0.0,
            )  # fmt: skip
            if not may_win(needs, cells, envelope):
                continue
            if n + room > len(rows):
                rows, times = np.concatenate((rows, np.empty_like(rows))), np.concatenate((times, np.empty_like(times)))
            n = _of_tiles(split, sides, i, j, needs, cells, envelope, rows, times, n)
    return rows, times, n


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _least_moved(split, t):  # type: ignore[no-untyped-def]
    """Least bytes that are loaded, and that are loaded and stored, in any order of the loops."""
    load, moved = np.inf, np.inf
    for order in orders_that_differ(t.nm, t.nn, t.nk):
        if order >= 0:
            loaded, spilled, _ = moved_s(split.p, split.hw, t, split.least, order)
            load, moved = min(load, loaded), min(moved, loaded + spilled)
    return load, moved + split.least.store_s


@njit(cache=True, nogil=True, error_model="numpy")
def _of_tiles(split, sides, i, j, needs, cells, envelope, rows, times, n):  # type: ignore[no-untyped-def]
    """The same with every tile of k, for one of m and n; how many rows these are then."""
    sides, rows, times = unowned(sides), unowned(rows), unowned(times)
    p, c, s, folds = split.p, split.c, split.s, (needs.cycles - split.fill) / sides.k[0, 3]
    for h in range(len(sides.k)):
        tiled = Candidate(
            c.split_g, c.split_m, c.split_n, c.split_k, sides.m[i, 0], sides.n[j, 0], sides.k[h, 0], 0, c.dataflow,
            ALONG_N,
        )  # fmt: skip
        t = tiling_of(sides, i, j, h, 0, input_channels(p, s.k))
        trips = t.nm * t.nn * t.nk
        if streamed_bytes(p, tiled, s, t, split.turns * trips) > split.hw.capacity_bytes:
            continue
        fetched = max(0 if p.weight_on_chip else t.nn * t.nk, 0 if p.input_on_chip else t.nm * t.nk)
        fetches = 1.0 * max(0, split.turns * fetched - 1)
        load, moved = _least_moved(split, t)
        needs = Needs(
            needs.cycles, needs.port, 0.0, load, 0.0, moved - load, needs.last, needs.gathered, needs.reduced, fetches,
            needs.latency, 0.0,
        )  # fmt: skip
        if not may_win(needs, cells, envelope):
            break  # nor would smaller tiles of k: they move no less, in no fewer fetches
        first = 1.0 * min(first_load_bytes(p, tiled, t), split.least.loaded_bytes)
        begin = n
        for order in orders_that_differ(t.nm, t.nn, t.nk):
            if order >= 0:
                n = _of_order(
                    split, sides, (i, j, h), order, folds, first, needs, cells, envelope, rows, times, begin, n
                )
    return n


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _of_order(split, sides, at, order, folds, first, needs, cells, envelope, rows, times, begin, n):  # type: ignore[no-untyped-def]
    """The same with every way in which arrays share work, for one tiling and order; its rows are from ``begin`` on."""
    p, hw, c, s, least = split.p, split.hw, split.c, split.s, split.least
    channels = input_channels(p, s.k)
    t = tiling_of(sides, at[0], at[1], at[2], 0, channels)
    load, spilled, gathered = moved_s(p, hw, t, least, order)
    stored, trips = least.store_s + spilled, t.nm * t.nn * t.nk
    any_way = Needs(
        folds * t.k_cycles + split.fill, needs.port, 1.0 / (s.g * trips), load, first, stored, needs.last, gathered,
        needs.reduced, needs.fetches, needs.latency, 0.0,
    )  # fmt: skip
    if not may_win(any_way, cells, envelope):
        return n
    for along in range(split.ways):
        t = tiling_of(sides, at[0], at[1], at[2], along, channels)
        tiled = Candidate(
            c.split_g, c.split_m, c.split_n, c.split_k, sides.m[at[0], 0], sides.n[at[1], 0], sides.k[at[2], 0],
            order, c.dataflow, along,
        )  # fmt: skip
        turns = split.turns if along == ALONG_GROUPS else s.g
        weight_passes, input_passes = port_passes(tiled, t)
        partial = 2.0 * (partial_passes(p, hw, tiled, t) - 1) * s.g * s.m * s.n * p.partial_bytes
        port = least.weight_port * weight_passes + least.input_port * input_passes + least.output_port + partial
        own = Needs(
            1.0 * turns * (t.m_cycles * t.n_cycles * t.k_cycles) + split.fill, port, 1.0 / (turns * trips), load,
            first, stored, needs.last, gathered, needs.reduced, needs.fetches, needs.latency,
            1.0 if is_late(tiled, t) else 0.0,
        )  # fmt: skip
        if may_win(own, cells, envelope):
            put_candidate(rows[n], p, cost(p, hw, tiled, s, t), s.used)
            fits = rows[n, BUFFER] <= hw.capacity_bytes and differs(rows, begin, n)
            n += 1 if fits and tried(rows, n, times[n], split.burst, cells, envelope) else 0
    return n

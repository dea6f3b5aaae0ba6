"""The lower envelope of times over designs: which mappings are the best for some of them.

Designs are in cells. Few designs are a cell each. Many of which one rate moves lie on a line, where the time of a
mapping is a convex function of the place; a cell is a piece of it. There a time is nowhere above the line between its
values at both ends, and nowhere below the lines that go through its values at the ends of the pieces beside. So what
is slow in a cell is told from a few values, and only what may be the fastest is looked at design by design.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.unowned import unowned
from accelsim.study.batch.candidates import preferred
from accelsim.study.batch.lanes import WORK, follow_seconds, seconds_of

__all__ = ["Cells", "Envelope", "Needs", "begun", "cells_of", "may_win", "tried", "winners"]

Column = NDArray[np.float64]

_MOST_POINTS, _MOST_ON_A_LINE, _PIECES = 1024, 128, 48
"""Designs that are a cell each, at most: any, and those on a line, which is cut into so many pieces if there are more.
"""
_LONGER, _SHORTER = 1e2, 1e-3
"""Beyond these ratios of lengths of neighbouring pieces, roundings would count."""
_MARGIN, _NOISE, _ROUNDING = 3e-9, 1e-12, 1 - 1e-12
"""Times that close count as nearly equal, or as equal; bounds are taken down by a little."""
_HEAVIER = (1 - _NOISE) / (1 + _MARGIN)
_NONE = -1
_CYCLE, _PORT_BYTE, _DRAM_BYTE, _LATENCY, _NETWORK_BYTE, _LAUNCH = 0, 1, 4, 5, 7, 9
_FIRST, _NO_VECTOR = np.int64(0), np.bool_(False)
"""Of numpy: for a literal the callee would be compiled anew."""


class Cells(NamedTuple):
    """Designs in order, and points at which times are taken: one before the first cell, then where each begins, and
    the end of the last.

    Attributes:
        single: whether each cell is one design; then a time matters at its point only.
        linear: (`RATES`, cells + 2) seconds of one of each amount at the points, in units of the array's cycle.
        mapper: (`MAPPER`, cells + 2) the same as the mapper takes it.
        ratio: (cells,) length of each cell by that of the one before.
        begin: (cells + 1,) where the designs of each cell begin.
        designs: (`MAPPER`, designs) rates of the designs.
    """

    single: bool
    linear: Column
    mapper: Column
    ratio: Column
    begin: NDArray[np.int64]
    designs: Column


class Needs(NamedTuple):
    """What a mapping takes at least.

    Attributes:
        cycles, port: cycles of the arrays, and bytes across the scratchpad port.
        share: the part of all that is one tile.
        load, first: bytes loaded, and those before the first tile.
        stored, last: bytes stored, and those behind the last tile.
        gathered, reduced: bytes of the network.
        fetches, latency: fetches behind the first, and 1.0 where there is any.
        late: 1.0 where vector work waits for all of it.
    """

    cycles: float
    port: float
    share: float
    load: float
    first: float
    stored: float
    last: float
    gathered: float
    reduced: float
    fetches: float
    latency: float
    late: float


class Envelope(NamedTuple):
    """The best so far.

    Attributes:
        low, high: (cells,) times at both ends, of the best mapping of a cell, that others must beat.
        chosen: (cells,) its row.
        follow_s: (points,) of the vector work behind the product.
        alive: (1,) a cell in which another came close the last time.
        work: scratch.
    """

    low: Column
    high: Column
    chosen: NDArray[np.int64]
    follow_s: Column
    alive: NDArray[np.int64]
    work: Column


def cells_of(linear: Column, axis: int | None) -> Cells | None:
    """Cells of (designs, `RATES`), of which ``axis`` moves if they are on a line; None of many that are not."""
    scaled = linear / linear[:, :1]
    if len(scaled) <= (_MOST_POINTS if axis is None else _MOST_ON_A_LINE):
        points = np.concatenate((scaled[:1], scaled, scaled[-1:]))
        begin, ratio = np.arange(len(scaled) + 1), np.zeros(len(scaled))
        return Cells(True, np.ascontiguousarray(points.T), _mapper(points), ratio, begin, _mapper(scaled))
    if axis is None:
        return None
    scaled = scaled[np.argsort(scaled[:, axis], kind="stable")]
    place = np.unique(scaled[np.linspace(0, len(scaled) - 1, _PIECES + 1).astype(np.int64), axis])
    ends = np.concatenate(([place[0] / 2], place))
    part = (ends - place[0]) / (place[-1] - place[0])
    points = np.maximum(scaled[0] + part[:, np.newaxis] * (scaled[-1] - scaled[0]), 0.0)
    begin = np.concatenate((np.searchsorted(scaled[:, axis], place[:-1]), [len(scaled)]))
    length = np.diff(ends)
    ratio = length[1:] / length[:-1]
    return Cells(False, np.ascontiguousarray(points.T), _mapper(points), ratio, begin, _mapper(scaled))


def _mapper(linear: Column) -> Column:
    """(`MAPPER`, n) of (n, `RATES`), in units of the array's cycle; the host's are not needed."""
    cycle, port, vector, vector_port, dram, latency, dma, network, hop, launch = linear.T
    one = np.ones(len(linear))
    return np.array([
        cycle, vector, 1 / dram, latency, 1 / dma, 1 / network, hop, launch, cycle / port, 1 / vector, one,
        vector_port / vector, one, one, one,
    ])  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy")
def begun(cells, followers):  # type: ignore[no-untyped-def]
    """Nothing found yet; ``followers`` are the vector work behind the product."""
    points, count = cells.linear.shape[1], len(cells.ratio)
    follow_s = np.empty(points)
    follow_seconds(followers, _FIRST, len(followers), cells.mapper, follow_s)
    return Envelope(
        np.full(count, np.inf), np.full(count, -np.inf if cells.single else np.inf), np.full(count, _NONE), follow_s,
        np.zeros(1, np.int64), np.empty((WORK, points)),
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _bound(needs, cells, follow_s, point):  # type: ignore[no-untyped-def]
    """Least time of a mapping with such needs: convex on a line."""
    dram, network = cells.linear[_DRAM_BYTE, point], cells.linear[_NETWORK_BYTE, point]
    latency, follow = needs.latency * cells.linear[_LATENCY, point], follow_s[point]
    array = max(needs.cycles * cells.linear[_CYCLE, point], needs.port * cells.linear[_PORT_BYTE, point])
    after = max(needs.reduced * network + needs.late * follow, max(follow * needs.share, needs.last * dram))
    begin = max(needs.first * dram + latency, needs.gathered * network * needs.share)
    arrived = max(needs.load * dram + latency, needs.gathered * network)
    whole = max(max(begin, cells.linear[_LAUNCH, point]) + array, arrived + array * needs.share) + after
    slots = 0.5 * (array + needs.load * dram + needs.fetches * latency)
    return max(whole, max(slots, (needs.load + needs.stored) * dram)) * _ROUNDING


@njit(cache=True, nogil=True, error_model="numpy")
def may_win(needs, cells, envelope):  # type: ignore[no-untyped-def]
    """Whether a mapping with such needs may be the best for some design."""
    cells, envelope = unowned(cells), unowned(envelope)
    alive, count, follow_s, likely = 0, len(cells.ratio), envelope.follow_s, envelope.alive[0]
    if _bound(needs, cells, follow_s, likely + 1) < envelope.low[likely]:
        return True
    for cell in range(count):
        alive += _bound(needs, cells, follow_s, cell + 1) < envelope.low[cell]
    if alive == 0 and not cells.single:
        for cell in range(count):
            here = _bound(needs, cells, follow_s, cell + 1)
            before = (here - _bound(needs, cells, follow_s, cell)) * min(cells.ratio[cell], _LONGER)
            alive += here + before < envelope.high[cell]
    return alive > 0


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _is_below(times, cell, low, high, cells):  # type: ignore[no-untyped-def]
    """Whether a time may be below the line from ``low`` to ``high`` in a cell."""
    here, there = times[cell + 1], times[cell + 2]
    if cells.single or here < low or there < high:
        return here < low or there < high
    before = (here - times[cell]) * min(cells.ratio[cell], _LONGER)
    if cell + 1 == len(cells.ratio) or cells.ratio[cell + 1] < _SHORTER:
        return here + before < high
    behind = (times[cell + 3] - there) / cells.ratio[cell + 1]
    if behind - before <= _NOISE * here:
        return False
    part = min(1.0, max(0.0, (there - behind - here) / (before - behind)))  # where both lines from beside meet
    return here + before * part < low + (high - low) * part


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _wins(lighter, times, cell, cells, envelope):  # type: ignore[no-untyped-def]
    """Whether a mapping may be the best for a design of a cell; ``lighter`` if it is taken where equally fast."""
    low, high = envelope.low[cell], envelope.high[cell]
    if not _is_below(times, cell, low, high, cells):
        return False
    return lighter or _is_below(times, cell, low * _HEAVIER, high * _HEAVIER, cells)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _is_slow(times, cells, envelope):  # type: ignore[no-untyped-def]
    """Whether a time is nowhere below what it must beat."""
    alive = 0
    for cell in range(len(cells.ratio)):
        here = times[cell + 1]
        there = here + (here - times[cell]) * min(cells.ratio[cell], _LONGER)
        alive += (here < envelope.low[cell]) | (there < envelope.high[cell])
    return alive == 0


@njit(cache=True, nogil=True, error_model="numpy")
def tried(rows, n, times, burst, cells, envelope):  # type: ignore[no-untyped-def]
    """Fill (points,) ``times`` of row ``n``; whether it may be the best for some design."""
    rows, times, cells, envelope = unowned(rows), unowned(times), unowned(cells), unowned(envelope)
    seconds_of(rows[n], _NO_VECTOR, envelope.follow_s, burst, cells.mapper, envelope.work, times)
    if _is_slow(times, cells, envelope):
        return False
    found, best, lighter = False, _NONE, True
    for cell in range(len(cells.ratio)):
        if envelope.chosen[cell] != best:
            best = envelope.chosen[cell]
            lighter = best == _NONE or preferred(rows, n, best)
        if not _wins(lighter, times, cell, cells, envelope):
            continue
        found, envelope.alive[0] = True, cell
        new = times[cell + 1] + (0.0 if cells.single else times[cell + 2])
        old = (envelope.low[cell] + (0.0 if cells.single else envelope.high[cell])) / (1 + _MARGIN)
        if best == _NONE or new < old * (1 - _NOISE) or (new <= old * (1 + _NOISE) and lighter):
            envelope.chosen[cell], envelope.low[cell] = n, times[cell + 1] * (1 + _MARGIN)
            envelope.high[cell] = -np.inf if cells.single else times[cell + 2] * (1 + _MARGIN)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def winners(rows, times, followers, burst, cells, envelope):  # type: ignore[no-untyped-def]
    """(n,) whether each of the rows tried is the best for a design, or so nearly that roundings may decide."""
    rows, times, cells, envelope = unowned(rows), unowned(times), unowned(cells), unowned(envelope)
    kept, count = np.zeros(len(rows), np.bool_), cells.designs.shape[1]
    follow_s, found, best = np.empty(count), np.empty(count), np.empty(count)
    chosen = np.full(count, _NONE)
    follow_seconds(followers, _FIRST, len(followers), cells.designs, follow_s)
    for cell in range(len(cells.ratio)):
        first, last, ahead = cells.begin[cell], cells.begin[cell + 1], envelope.chosen[cell]
        mapper, work = cells.designs[:, first:last].copy(), np.empty((WORK, last - first))
        for place in range(-1, len(rows) if ahead != _NONE else -1):  # the best so far comes first
            n = ahead if place < 0 else place
            again = n == ahead and place >= 0
            if again or (n != ahead and not _wins(preferred(rows, n, ahead), times[n], cell, cells, envelope)):
                continue
            if cells.single:
                kept[n] = True
                continue
            seconds_of(rows[n], _NO_VECTOR, follow_s[first:last], burst, mapper, work, found[first:last])
            _take(rows, n, first, last, found, best, chosen, kept)
    for design in range(count):
        if chosen[design] != _NONE:
            kept[chosen[design]] = True
    return kept


@njit(cache=True, nogil=True, error_model="numpy")
def _take(rows, n, first, last, found, best, chosen, kept):  # type: ignore[no-untyped-def]
    """Take row ``n``, with the times ``found``, for the designs for which it is the best; keep what is nearly so."""
    for design in range(first, last):
        time_s, old = found[design], chosen[design]
        if old != _NONE and time_s >= best[design] * (1 - _NOISE):
            if time_s > best[design] * (1 + _NOISE):
                kept[n] |= time_s <= best[design] * (1 + _MARGIN)
                continue
            if not preferred(rows, n, old):
                continue
            time_s = min(time_s, best[design])
        elif old != _NONE and time_s * (1 + _MARGIN) >= best[design]:
            kept[old] = True
        chosen[design], best[design] = n, time_s

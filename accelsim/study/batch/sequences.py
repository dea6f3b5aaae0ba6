"""The best sequence of all entries for each design, and what it takes and moves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.sequence import GROUP
from accelsim.study.batch.partition import SPACE, partitioned
from accelsim.study.batch.walk import is_quiet, walks

__all__ = ["Program", "decided", "groups_s", "modes_of", "row_with", "rows_of", "scratch_of"]

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]


class Program(NamedTuple):
    """A plan as columns; entries name searches by their place in `Needed`.

    Attributes:
        row_ptr, alone, loop, ahead, ahead_bytes: rows of entries; -1 for no search and no loop.
        steps, way_ptr, way_first, way_streamed, way_row: loops and their ways.
        attempt_row, attempt_streamed: attempts.
        group_ptr: groups of each attempt, sorted by their first and last entries; the first found first.
        group_first, group_last, group_stripes, group_load, member_ptr, member: groups, and searches of their entries.
    """

    row_ptr: IntArray
    alone: IntArray
    loop: IntArray
    ahead: IntArray
    ahead_bytes: Column
    steps: IntArray
    way_ptr: IntArray
    way_first: Column
    way_streamed: Column
    way_row: IntArray
    attempt_row: IntArray
    attempt_streamed: Column
    group_ptr: IntArray
    group_first: IntArray
    group_last: IntArray
    group_stripes: IntArray
    group_load: Column
    member_ptr: IntArray
    member: IntArray


@njit(cache=True, nogil=True)
def modes_of(came_from, kind, modes):  # type: ignore[no-untyped-def]
    """Fill how each entry runs: the kind of the part that it is in."""
    place = len(modes)
    while place > 0:
        before = came_from[place]
        modes[before:place] = kind[place]
        place = before


@njit(cache=True, nogil=True)
def scratch_of(p):  # type: ignore[no-untyped-def]
    """What `partitioned` fills and needs for any row: steps, which are quiet, times, places, kinds, and runs."""
    most = 1
    for row in range(len(p.row_ptr) - 1):
        most = max(most, p.row_ptr[row + 1] - p.row_ptr[row])
    return (
        np.empty((most, 4)), np.empty(most, np.bool_), np.empty(most + 1), np.empty(most + 1, np.int64),
        np.empty(most + 1, np.int64), np.empty((most + 1, SPACE)),
    )  # fmt: skip


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _fill_steps(first, last, alone, loop, ahead, bursts, moved, d, mapper, seconds, quiet, loop_s, steps, calm):  # type: ignore[no-untyped-def]
    """Fill `sequence.Step` of the entries of a row for one design, and whether each leaves the DRAM alone in a run."""
    for e in range(first, last):
        at, search = e - first, ahead[e]
        steps[at, 0] = loop_s[d, loop[e]] if loop[e] >= 0 else seconds[d, alone[e]]
        if search >= 0:
            steps[at, 1], calm[at] = seconds[d, search], quiet[d, search]
            steps[at, 2], steps[at, 3] = bursts[e] / mapper[d, 2], moved[e] / mapper[d, 4]
        else:
            steps[at, 1], steps[at, 2], steps[at, 3], calm[at] = np.inf, 0.0, 0.0, False


@njit(cache=True, nogil=True, error_model="numpy")
def _row(  # type: ignore[no-untyped-def]
    first, last, alone, loop, ahead, bursts, moved, mapper, seconds, quiet, loop_s, scratch, row_s, modes
):  # fmt: skip
    """Fill (designs,) seconds of a row and (designs, entries) how each of its entries runs; without groups."""
    steps, calm, best_s, came_from, kind, runs = scratch
    no_spans, no_times = np.empty((0, 2), np.int64), np.empty(0)
    for d in range(len(row_s)):
        _fill_steps(first, last, alone, loop, ahead, bursts, moved, d, mapper, seconds, quiet, loop_s, steps, calm)
        partitioned(
            last - first, steps, calm, mapper[d, 3], no_spans, no_times, best_s, came_from, kind, runs
        )  # fmt: skip
        row_s[d] = best_s[last - first]
        place = last - first
        while place > 0:
            for e in range(first + came_from[place], first + place):
                modes[d, e] = kind[place]
            place = came_from[place]


@njit(cache=True, nogil=True, error_model="numpy")
def _loop(first, last, steps, way_first, way_streamed, way_row, burst, mapper, row_s, loop_s, way_of):  # type: ignore[no-untyped-def]
    """Fill (designs,) time and best way of a loop, of the ways ``first`` to ``last``."""
    for d in range(len(loop_s)):
        byte_s = steps / mapper[d, 2]
        loop_s[d] = np.inf
        for way in range(first, last):
            if loop_s[d] < np.inf and way_streamed[way] * byte_s >= loop_s[d]:
                continue
            time_s = steps * row_s[d, way_row[way]]
            if way_first[way] > 0:
                read_s = max(np.ceil(way_first[way] / burst) * burst / mapper[d, 2], way_first[way] / mapper[d, 4])
                time_s = read_s + mapper[d, 3] + time_s
            if time_s < loop_s[d]:
                loop_s[d], way_of[d] = time_s, way


@njit(cache=True, nogil=True)
def rows_of(p, burst, mapper, seconds, quiet, scratch, modes, way_of):  # type: ignore[no-untyped-def]
    """(designs, rows) seconds of all rows without groups, and (designs, loops) of loops; fills modes and ways."""
    row_s, loop_s = np.empty((len(mapper), len(p.row_ptr) - 1)), np.full((len(mapper), len(p.steps)), np.inf)
    bursts, done = np.ceil(p.ahead_bytes / burst) * burst, 0
    for row in range(len(p.row_ptr) - 1):
        while done < len(p.steps) and p.way_row[p.way_ptr[done + 1] - 1] < row:
            _loop(
                p.way_ptr[done], p.way_ptr[done + 1], p.steps[done], p.way_first, p.way_streamed, p.way_row, burst,
                mapper, row_s, loop_s[:, done], way_of[:, done],
            )  # fmt: skip
            done += 1
        _row(
            p.row_ptr[row], p.row_ptr[row + 1], p.alone, p.loop, p.ahead, bursts, p.ahead_bytes, mapper, seconds,
            quiet, loop_s, scratch, row_s[:, row], modes,
        )  # fmt: skip
    return row_s, loop_s


@njit(cache=True, nogil=True)
def row_with(p, row, burst, d, mapper, seconds, quiet, loop_s, spans, times, scratch):  # type: ignore[no-untyped-def]
    """Seconds of a row with groups for one design."""
    steps, calm, best_s, came_from, kind, runs = scratch
    first, last, bursts = p.row_ptr[row], p.row_ptr[row + 1], np.ceil(p.ahead_bytes / burst) * burst
    _fill_steps(
        first, last, p.alone, p.loop, p.ahead, bursts, p.ahead_bytes, d, mapper, seconds, quiet, loop_s, steps, calm
    )
    partitioned(last - first, steps, calm, mapper[d, 3], spans, times, best_s, came_from, kind, runs)
    return best_s[last - first]


@njit(cache=True, nogil=True, error_model="numpy")
def groups_s(stripes, load, member_ptr, member, begin, end, burst, d, mapper, seconds, found):  # type: ignore[no-untyped-def]
    """Fill seconds of the groups ``begin`` to ``end`` for one design."""
    for g in range(begin, end):
        stripe_s, load_s = 0.0, 0.0
        for m in range(member_ptr[g], member_ptr[g + 1]):
            stripe_s += seconds[d, member[m]]
        if load[g] > 0:
            read_s = np.ceil(load[g] / burst) * burst / mapper[d, 2]
            load_s = max(read_s, load[g] / mapper[d, 4]) + mapper[d, 3]
        found[g - begin] = load_s + stripes[g] * stripe_s


@njit(cache=True, nogil=True, error_model="numpy")
def _faster(first, last, begin, end, steps, count, group_s, total, numbers, spans, times):  # type: ignore[no-untyped-def]
    """How many groups are faster than their entries alone and than those found before; they move to the front."""
    total[0] = 0.0
    for e in range(count):
        total[e + 1] = total[e] + steps[e, 0]
    kept, best_s = 0, np.inf
    for g in range(begin, end):
        if g == begin or first[g] != first[g - 1] or last[g] != last[g - 1]:
            best_s = np.inf
        time_s = group_s[g - begin]
        if time_s < min(total[last[g] + 1] - total[first[g]], best_s):
            best_s = time_s
            numbers[kept], spans[kept, 0], spans[kept, 1], times[kept] = g, first[g], last[g], time_s
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def _with_groups(p, attempt, burst, mapper, seconds, quiet, loop_s, scratch, tried, least_s, best, modes):  # type: ignore[no-untyped-def]
    """Take an attempt with groups where that is faster than ``least_s``, (designs,); ``tried`` designs only."""
    steps, calm, best_s, came_from, kind, runs = scratch
    begin, end, row = p.group_ptr[attempt], p.group_ptr[attempt + 1], p.attempt_row[attempt]
    first, last, bursts = p.row_ptr[row], p.row_ptr[row + 1], np.ceil(p.ahead_bytes / burst) * burst
    alone, loop, ahead, moved, stripes, load = p.alone, p.loop, p.ahead, p.ahead_bytes, p.group_stripes, p.group_load
    group_first, group_last, member_ptr, member = p.group_first, p.group_last, p.member_ptr, p.member
    group_s, times, total = np.empty(end - begin), np.empty(end - begin), np.empty(last - first + 1)
    numbers, spans = np.empty(end - begin, np.int64), np.empty((end - begin, 2), np.int64)
    for d in range(len(mapper)):
        if not tried[d]:
            continue
        _fill_steps(first, last, alone, loop, ahead, bursts, moved, d, mapper, seconds, quiet, loop_s, steps, calm)
        groups_s(stripes, load, member_ptr, member, begin, end, burst, d, mapper, seconds, group_s)
        count = _faster(
            group_first, group_last, begin, end, steps, last - first, group_s, total, numbers, spans, times
        )  # fmt: skip
        if count == 0:
            continue
        partitioned(
            last - first, steps, calm, mapper[d, 3], spans[:count], times, best_s, came_from, kind, runs
        )  # fmt: skip
        if best_s[last - first] < least_s[d]:
            best[d], least_s[d], place = attempt, best_s[last - first], last - first
            while place > 0:
                mode = kind[place] if kind[place] < GROUP else GROUP + numbers[kind[place] - GROUP]
                for e in range(first + came_from[place], first + place):
                    modes[d, e] = mode
                place = came_from[place]


@njit(cache=True, nogil=True)
def _solved(p, burst, mapper, seconds, quiet, modes, way_of, best):  # type: ignore[no-untyped-def]
    """Fill the best attempt of each design, the modes of all rows and the way of each loop."""
    scratch = scratch_of(p)
    row_s, loop_s = rows_of(p, burst, mapper, seconds, quiet, scratch, modes, way_of)
    least_s, prepared = np.full(len(best), np.inf), np.zeros((len(p.attempt_row), len(best)), np.bool_)
    best[:] = -1
    for attempt in range(len(p.attempt_row)):
        for d in range(len(best)):
            if p.attempt_streamed[attempt] / mapper[d, 2] >= least_s[d]:
                continue
            prepared[attempt, d] = True
            if row_s[d, p.attempt_row[attempt]] < least_s[d]:
                best[d], least_s[d] = attempt, row_s[d, p.attempt_row[attempt]]
    for attempt in range(len(p.attempt_row)):
        if p.group_ptr[attempt] < p.group_ptr[attempt + 1]:
            _with_groups(
                p, attempt, burst, mapper, seconds, quiet, loop_s, scratch, prepared[attempt], least_s, best, modes
            )


@njit(cache=True, nogil=True)
def decided(p, rows, needed, burst, mapper, engine, seconds, chosen, makespan, spent, attempt):  # type: ignore[no-untyped-def]
    """Fill, for each design, the makespan in femtoseconds, (designs, 4) bytes moved, and the attempt that is taken.

    Bytes are those of scratchpads, network, DRAM and host, as `cost.digital.Amounts` has them.
    """
    designs = len(mapper)
    modes, way_of = np.zeros((designs, len(p.alone)), np.int64), np.zeros((designs, len(p.steps)), np.int64)
    quiet = np.empty(chosen.shape, np.bool_)
    for design in range(designs):
        for search in range(chosen.shape[1]):
            quiet[design, search] = is_quiet(rows, chosen[design, search])
    _solved(p, burst, mapper, seconds, quiet, modes, way_of, attempt)
    spent[:] = 0.0
    walks(
        p, rows, needed, burst, mapper, engine, chosen, modes, way_of, p.attempt_row[attempt], spent, makespan
    )  # fmt: skip

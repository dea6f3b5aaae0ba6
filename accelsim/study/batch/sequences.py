"""The best sequence of all entries for each design, and what it takes and moves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.sequence import GROUP, RUN, shortest
from accelsim.study.batch.candidates import FIRST, GATHER, LAST, LOAD, REDUCE, SCRATCHPAD, STORE, TILES
from accelsim.study.batch.kernels import entry_fs, load_fs, load_seconds, to_fs
from accelsim.study.batch.searches import HOST, NOTHING

__all__ = ["Program", "decided", "groups_of", "is_quiet", "loop_of", "steps_of"]

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
def steps_of(p, row, burst, mapper, seconds, quiet, loop_s):  # type: ignore[no-untyped-def]
    """`sequence.Step` of each entry of a row, as a table, and whether each leaves the DRAM alone in a run.

    ``quiet`` says so of each search.
    """
    first, last = p.row_ptr[row], p.row_ptr[row + 1]
    table, calm = np.empty((last - first, 4)), np.zeros(last - first, dtype=np.bool_)
    for e in range(first, last):
        step, search = table[e - first], p.ahead[e]
        step[0] = loop_s[p.loop[e]] if p.loop[e] >= 0 else seconds[p.alone[e]]
        step[1], step[2], step[3] = np.inf, 0.0, 0.0
        if search >= 0:
            moved = p.ahead_bytes[e]
            step[1] = seconds[search]
            step[2], step[3] = np.ceil(moved / burst) * burst / mapper[2], moved / mapper[4]
            calm[e - first] = quiet[search]
    return table, calm


@njit(cache=True, nogil=True, inline="always")
def is_quiet(rows, candidate):  # type: ignore[no-untyped-def]
    """Whether an entry leaves the DRAM alone."""
    return candidate < 0 or (rows[candidate, LOAD] == 0 and rows[candidate, STORE] == 0)


@njit(cache=True, nogil=True)
def _modes(came_from, kind, modes):  # type: ignore[no-untyped-def]
    """Fill how each entry runs: the kind of the part that it is in."""
    place = len(modes)
    while place > 0:
        before = came_from[place]
        modes[before:place] = kind[place]
        place = before


@njit(cache=True, nogil=True)
def groups_of(p, attempt, burst, mapper, seconds, alone):  # type: ignore[no-untyped-def]
    """(numbers, spans, seconds) of the groups that are faster than their entries alone and than those found before."""
    first, last = p.group_ptr[attempt], p.group_ptr[attempt + 1]
    numbers, times = np.empty(last - first, np.int64), np.empty(last - first)
    spans = np.empty((last - first, 2), np.int64)
    total = np.zeros(len(alone) + 1)
    for e in range(len(alone)):
        total[e + 1] = total[e] + alone[e, 0]
    count, best_s = 0, np.inf
    for g in range(first, last):
        begin, end = p.group_first[g], p.group_last[g]
        if g == first or begin != p.group_first[g - 1] or end != p.group_last[g - 1]:
            best_s = np.inf
        stripe_s = 0.0
        for m in range(p.member_ptr[g], p.member_ptr[g + 1]):
            stripe_s += seconds[p.member[m]]
        time_s = load_seconds(p.group_load[g], burst, mapper) + p.group_stripes[g] * stripe_s
        if time_s < min(total[end + 1] - total[begin], best_s):
            best_s = time_s
            numbers[count], spans[count, 0], spans[count, 1], times[count] = g, begin, end, time_s
            count += 1
    return numbers[:count], spans[:count], times[:count]


@njit(cache=True, nogil=True)
def _solve(p, burst, mapper, seconds, quiet, modes, way_of):  # type: ignore[no-untyped-def]
    """The best attempt; fills the modes of all rows and the way of each loop. -1 entries of ``way_of`` are not run."""
    no_spans, no_times = np.empty((0, 2), np.int64), np.empty(0)
    row_s, loop_s = np.empty(len(p.row_ptr) - 1), np.full(len(p.steps), np.inf)
    done = 0
    for row in range(len(p.row_ptr) - 1):
        while done < len(p.steps) and p.way_row[p.way_ptr[done + 1] - 1] < row:
            loop_of(p, done, burst, mapper, row_s, loop_s, way_of)
            done += 1
        table, calm = steps_of(p, row, burst, mapper, seconds, quiet, loop_s)
        best_s, came_from, kind = shortest(table, calm, mapper[3], no_spans, no_times)
        row_s[row] = best_s[-1]
        _modes(came_from, kind, modes[p.row_ptr[row] : p.row_ptr[row + 1]])
    best, least_s = -1, np.inf
    prepared = np.zeros(len(p.attempt_row), dtype=np.bool_)
    for attempt in range(len(p.attempt_row)):
        if p.attempt_streamed[attempt] / mapper[2] >= least_s:
            continue
        prepared[attempt] = True
        if row_s[p.attempt_row[attempt]] < least_s:
            best, least_s = attempt, row_s[p.attempt_row[attempt]]
    for attempt in range(len(p.attempt_row)):
        if prepared[attempt] and p.group_ptr[attempt] < p.group_ptr[attempt + 1]:
            row = p.attempt_row[attempt]
            table, calm = steps_of(p, row, burst, mapper, seconds, quiet, loop_s)
            numbers, spans, times = groups_of(p, attempt, burst, mapper, seconds, table)
            if len(numbers) == 0:
                continue
            best_s, came_from, kind = shortest(table, calm, mapper[3], spans, times)
            if best_s[-1] < least_s:
                best, least_s = attempt, best_s[-1]
                for place in range(len(kind)):
                    if kind[place] >= GROUP:
                        kind[place] = GROUP + numbers[kind[place] - GROUP]
                _modes(came_from, kind, modes[p.row_ptr[row] : p.row_ptr[row + 1]])
    return best


@njit(cache=True, nogil=True)
def loop_of(p, loop, burst, mapper, row_s, loop_s, way_of):  # type: ignore[no-untyped-def]
    """Time and best way of a loop."""
    byte_s = p.steps[loop] / mapper[2]
    for way in range(p.way_ptr[loop], p.way_ptr[loop + 1]):
        if loop_s[loop] < np.inf and p.way_streamed[way] * byte_s >= loop_s[loop]:
            continue
        time_s = load_seconds(p.way_first[way], burst, mapper) + p.steps[loop] * row_s[p.way_row[way]]
        if time_s < loop_s[loop]:
            loop_s[loop], way_of[loop] = time_s, way


@njit(cache=True, nogil=True, inline="always")
def _whole_fs(rows, needed, search, candidate, burst, mapper, engine):  # type: ignore[no-untyped-def]
    """Femtoseconds of one execution of an entry."""
    kind = needed.kind[search]
    if kind == NOTHING:
        return np.int64(0)
    if kind == HOST:
        moved, seconds = needed.host[search, 0], needed.host[search, 1]
        return to_fs(moved, engine[8]) + to_fs(1.0, engine[9]) + to_fs(seconds, engine[10])
    behind = needed.follow_ptr[search], needed.follow_ptr[search + 1]
    return entry_fs(rows, candidate, kind, needed.followers, behind, burst, mapper, engine)


@njit(cache=True, nogil=True, inline="always")
def _spend(rows, needed, search, candidate, times, burst, spent):  # type: ignore[no-untyped-def]
    """Add what ``times`` executions of an entry move to ``spent``."""
    if needed.kind[search] == HOST:
        spent[3] += needed.host[search, 0] * times
    if candidate < 0:
        return
    row = rows[candidate]
    spent[0] += row[SCRATCHPAD] * times
    spent[1] += (row[GATHER] + row[REDUCE]) * times
    for f in range(needed.follow_ptr[search], needed.follow_ptr[search + 1]):
        spent[0] += needed.follower_bytes[f] * times
    several = row[TILES] > 1
    rest = row[LOAD] - row[FIRST] if several else 0.0
    last = row[LAST] if several else row[STORE]
    for moved in (row[LOAD] - rest, rest, row[STORE] - last, last):
        if moved > 0:
            spent[2] += np.ceil(moved / burst) * burst * times


@njit(cache=True, nogil=True, inline="always")
def _entry(rows, needed, search, chosen, times, burst, mapper, engine, spent, known_fs):  # type: ignore[no-untyped-def]
    """Femtoseconds of one execution of an entry; ``times`` of them are added to ``spent``."""
    candidate = chosen[search]
    _spend(rows, needed, search, candidate, times, burst, spent)
    if known_fs[search] < 0:
        known_fs[search] = _whole_fs(rows, needed, search, candidate, burst, mapper, engine)
    return known_fs[search]


@njit(cache=True, nogil=True, inline="always")
def _load(moved, times, burst, engine, spent):  # type: ignore[no-untyped-def]
    """Femtoseconds of a load that nothing overlaps, ``times`` of which are added to ``spent``."""
    if moved > 0:
        spent[2] += np.ceil(moved / burst) * burst * times
    return load_fs(moved, burst, engine)


@njit(cache=True, nogil=True)
def _walk(p, rows, needed, burst, mapper, engine, chosen, modes, way_of, root, spent, known_fs):  # type: ignore[no-untyped-def]
    """Femtoseconds of a row with all that stands in it; adds to ``spent``. Rows under way are on a stack."""
    stack = np.empty((64, 3), np.int64)  # next entry, one behind the last, executions
    run = np.zeros((64, 6), np.int64)  # now, DRAM free, DMA free, two slots free, whether a run is under way
    stack[0] = p.row_ptr[root], p.row_ptr[root + 1], 1
    depth, total = 0, np.int64(0)
    while depth >= 0:
        e, end, times = stack[depth]
        if e == end:
            depth -= 1
            continue
        stack[depth, 0] = e + 1
        state = run[depth]
        if modes[e] == RUN:
            total += times * _in_run(p, rows, needed, e, chosen, times, burst, mapper, engine, spent, known_fs, state)
            continue
        state[5] = 0
        if modes[e] >= GROUP:
            g = modes[e] - GROUP
            total += times * _load(p.group_load[g], times, burst, engine, spent)
            for m in range(p.member_ptr[g], p.member_ptr[g + 1]):
                search, stripes = p.member[m], p.group_stripes[g] * times
                total += stripes * _entry(rows, needed, search, chosen, stripes, burst, mapper, engine, spent, known_fs)
            stack[depth, 0] = e + 1 + p.group_last[g] - p.group_first[g]
        elif p.loop[e] >= 0:
            way, steps = way_of[p.loop[e]], p.steps[p.loop[e]]
            total += times * _load(p.way_first[way], times, burst, engine, spent)
            depth += 1
            row = p.way_row[way]
            stack[depth] = p.row_ptr[row], p.row_ptr[row + 1], times * steps
            run[depth] = 0
        else:
            search = p.alone[e]
            total += times * _entry(rows, needed, search, chosen, times, burst, mapper, engine, spent, known_fs)
    return total


@njit(cache=True, nogil=True, inline="always")
def _in_run(p, rows, needed, e, chosen, times, burst, mapper, engine, spent, known_fs, state):  # type: ignore[no-untyped-def]
    """Femtoseconds by which an entry in a run lengthens it; ``state`` is that of the run."""
    if state[5] == 0:
        state[:] = 0
        state[5] = 1
    search, moved, begin = p.ahead[e], p.ahead_bytes[e], state[0]
    start = begin
    if moved > 0:
        spent[2] += np.ceil(moved / burst) * burst * times
        state[1] = max(state[1], state[3]) + to_fs(np.ceil(moved / burst) * burst, engine[0])
        state[2] = max(state[2], state[3]) + to_fs(moved * 1.0, engine[2])
        start = max(start, max(state[1], state[2]) + to_fs(1.0, engine[1]))
    state[0] = start + _entry(rows, needed, search, chosen, times, burst, mapper, engine, spent, known_fs)
    if not is_quiet(rows, chosen[search]):
        state[5] = 0
    elif moved > 0:
        state[3], state[4] = state[4], state[0]
    return state[0] - begin


@njit(cache=True, nogil=True)
def decided(p, rows, needed, burst, mapper, engine, seconds, chosen, makespan, spent, attempt):  # type: ignore[no-untyped-def]
    """Fill, for each design, the makespan in femtoseconds, (designs, 4) bytes moved, and the attempt that is taken.

    Bytes are those of scratchpads, network, DRAM and host, as `cost.digital.Amounts` has them.
    """
    modes, way_of = np.zeros(len(p.alone), np.int64), np.zeros(len(p.steps), np.int64)
    quiet, known_fs = np.empty(chosen.shape[1], np.bool_), np.empty(chosen.shape[1], np.int64)
    for design in range(len(mapper)):
        for search in range(len(quiet)):
            quiet[search] = is_quiet(rows, chosen[design, search])
        best = _solve(p, burst, mapper[design], seconds[design], quiet, modes, way_of)
        attempt[design] = best
        spent[design], known_fs[:] = 0.0, -1
        makespan[design] = _walk(
            p, rows, needed, burst, mapper[design], engine[design], chosen[design], modes, way_of,
            p.attempt_row[best], spent[design], known_fs,
        )  # fmt: skip

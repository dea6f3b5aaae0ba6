"""What the chosen sequence of each design takes in the engine's femtoseconds, and what it moves.

Compiled code here reads plain arrays by index: arrays inside of records, and slices, cost more than the arithmetic.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from accelsim.mapping.sequence import GROUP, RUN
from accelsim.study.batch.candidates import FIRST, GATHER, LAST, LOAD, REDUCE, SCRATCHPAD, STORE, TILES
from accelsim.study.batch.kernels import entry_fs, to_fs
from accelsim.study.batch.lanes import FIXED, WORK, entry_lanes, fixed_fs
from accelsim.study.batch.searches import HOST, NOTHING, VECTOR

__all__ = ["is_quiet", "walked", "walks"]

_DEEPEST = 64
_FEW = 4
_EXACT_FS = 2.0**53


@njit(cache=True, nogil=True, inline="always")
def is_quiet(rows, candidate):  # type: ignore[no-untyped-def]
    """Whether an entry leaves the DRAM alone."""
    return candidate < 0 or (rows[candidate, LOAD] == 0 and rows[candidate, STORE] == 0)


@njit(cache=True, nogil=True)
def picked(chosen):  # type: ignore[no-untyped-def]
    """(designs, searches) numbers of what is chosen, (numbers,) their rows, and where those of each search begin."""
    designs, searches = chosen.shape
    which, begins = np.empty((designs, searches), np.int64), np.zeros(searches + 1, np.int64)
    ones, count = np.empty(2 * searches + 16, np.int64), 0
    for search in range(searches):
        begins[search] = count
        for design in range(designs):
            number = begins[search]
            while number < count and ones[number] != chosen[design, search]:
                number += 1
            if number == count:
                if count == len(ones):
                    ones = np.concatenate((ones, np.empty(count, np.int64)))
                ones[count] = chosen[design, search]
                count += 1
            which[design, search] = number
    begins[searches] = count
    return which, ones[:count], begins


@njit(cache=True, nogil=True, error_model="numpy")
def moved_by(rows, ones, burst):  # type: ignore[no-untyped-def]
    """(n, 4) bytes of scratchpads, network and DRAM that one execution of each row moves, and whether it is quiet.

    Those of the DRAM are whole bursts, so the order in which they are added does not matter.
    """
    moved = np.zeros((len(ones), 4))
    for n in range(len(ones)):
        one = ones[n]
        moved[n, 3] = is_quiet(rows, one)
        if one < 0:
            continue
        load, store, several = rows[one, LOAD], rows[one, STORE], rows[one, TILES] > 1
        rest, last = (load - rows[one, FIRST], rows[one, LAST]) if several else (0.0, store)
        loads = np.ceil((load - rest) / burst) + np.ceil(rest / burst)
        moved[n, 0], moved[n, 1] = rows[one, SCRATCHPAD], rows[one, GATHER] + rows[one, REDUCE]
        moved[n, 2] = (loads + np.ceil((store - last) / burst) + np.ceil(last / burst)) * burst
    return moved


@njit(cache=True, nogil=True)
def entries_fs(rows, needed, burst, mapper, engine, which, ones, begins):  # type: ignore[no-untyped-def]
    """(designs, searches) femtoseconds of one execution of what is `picked`."""
    count = len(mapper)
    columns, units = np.ascontiguousarray(mapper.T), np.ascontiguousarray(engine.T)
    fixed, work, out = np.empty((FIXED, count)), np.empty((WORK, count)), np.empty(count)
    found = np.zeros(which.shape, np.int64)
    fixed_fs(units, fixed)
    for search in range(which.shape[1]):
        kind, followers = needed.kind[search], needed.followers
        behind = needed.follow_ptr[search], needed.follow_ptr[search + 1]
        if kind == HOST:
            moved, taken = needed.host[search]
            for d in range(count):
                found[d, search] = to_fs(moved, units[8, d]) + to_fs(1.0, units[9, d]) + to_fs(taken, units[10, d])
        if kind in (HOST, NOTHING):
            continue
        for number in range(begins[search], begins[search + 1]):
            if ones[number] < 0:
                continue
            # Of few designs each by itself is sooner done.
            lanes = count >= _FEW
            if lanes:
                entry_lanes(
                    rows[ones[number]], kind == VECTOR, followers, behind, burst, columns, units, fixed, work, out
                )  # fmt: skip
            for d in range(count):
                if which[d, search] == number and lanes and out[d] < _EXACT_FS:
                    found[d, search] = np.int64(out[d])
                elif which[d, search] == number:
                    found[d, search] = entry_fs(
                        rows, ones[number], kind, followers, behind, burst, mapper[d], engine[d]
                    )  # fmt: skip
    return found


@njit(cache=True, nogil=True)
def walks(p, rows, needed, burst, mapper, engine, chosen, modes, way_of, roots, spent, makespan):  # type: ignore[no-untyped-def]
    """Fill (designs,) femtoseconds of the rows ``roots`` with all that stands in them; add to ``spent``, (designs, 4).

    ``modes`` and ``way_of`` are (designs, entries) and (designs, loops).
    """
    which, ones, begins = picked(chosen)
    fs = entries_fs(rows, needed, burst, mapper, engine, which, ones, begins)
    _walks(
        p.row_ptr, p.alone, p.loop, p.ahead, p.ahead_bytes, p.steps, p.way_first, p.way_row, p.group_first,
        p.group_last, p.group_stripes, p.group_load, p.member_ptr, p.member, needed.host, needed.follow_ptr,
        needed.follower_bytes, moved_by(rows, ones, burst), which, fs, burst, engine, modes, way_of, roots, spent,
        makespan,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def walked(p, rows, needed, burst, mapper, engine, chosen, modes, way_of, root, spent):  # type: ignore[no-untyped-def]
    """Femtoseconds of one design; adds to ``spent``."""
    makespan = np.empty(1, np.int64)
    walks(
        p, rows, needed, burst, mapper.reshape(1, -1), engine.reshape(1, -1), chosen.reshape(1, -1),
        modes.reshape(1, -1), way_of.reshape(1, -1), np.full(1, root), spent.reshape(1, -1), makespan,
    )  # fmt: skip
    return makespan[0]


@njit(cache=True, nogil=True, error_model="numpy")
def _executed(host, follow_ptr, follower_bytes, moved, which, fs, d, search, times, spent):  # type: ignore[no-untyped-def]
    """Femtoseconds of one execution of an entry; what ``times`` of them move is added to ``spent``."""
    number = which[d, search]
    spent[d, 0] += moved[number, 0] * times
    spent[d, 1] += moved[number, 1] * times
    spent[d, 2] += moved[number, 2] * times
    spent[d, 3] += host[search, 0] * times
    for f in range(follow_ptr[search], follow_ptr[search + 1]):
        spent[d, 0] += follower_bytes[f] * times
    return fs[d, search]


@njit(cache=True, nogil=True, error_model="numpy")
def _walks(  # type: ignore[no-untyped-def]
    row_ptr, alone, loop, ahead, ahead_bytes, steps, way_first, way_row, group_first, group_last, group_stripes,
    group_load, member_ptr, member, host, follow_ptr, follower_bytes, moved, which, fs, burst, engine, modes, way_of,
    roots, spent, makespan,
):  # fmt: skip
    """`walks` on plain arrays. Rows under way are on a stack: next entry, one behind the last, executions."""
    stack, run = np.empty((_DEEPEST, 3), np.int64), np.zeros(5, np.int64)
    for d in range(len(roots)):
        e, end, depth, running = row_ptr[roots[d]], row_ptr[roots[d] + 1], 0, False
        times, total = np.int64(1), np.int64(0)  # no literals, of which calls would be compiled anew
        while e < end or depth > 0:
            if e == end:
                depth, running = depth - 1, False
                e, end, times = stack[depth, 0], stack[depth, 1], stack[depth, 2]
                continue
            mode = modes[d, e]
            if mode == RUN:
                if not running:
                    run[:] = 0
                search, begin, loads = ahead[e], run[0], ahead_bytes[e] > 0
                if loads:
                    run[0] = _loaded_ahead(ahead_bytes[e], burst, engine, d, run, times, spent)
                run[0] += _executed(host, follow_ptr, follower_bytes, moved, which, fs, d, search, times, spent)
                total += times * (run[0] - begin)
                running = moved[which[d, search], 3] != 0
                if loads:
                    run[3], run[4] = run[4], run[0]
                e += 1
                continue
            running = False
            if mode >= GROUP:
                g = mode - GROUP
                total += times * _loaded(group_load[g], burst, engine, d, times, spent)
                stripes = group_stripes[g] * times
                for m in range(member_ptr[g], member_ptr[g + 1]):
                    total += stripes * _executed(
                        host, follow_ptr, follower_bytes, moved, which, fs, d, member[m], stripes, spent
                    )  # fmt: skip
                e += 1 + group_last[g] - group_first[g]
            elif loop[e] >= 0:
                way = way_of[d, loop[e]]
                total += times * _loaded(way_first[way], burst, engine, d, times, spent)
                stack[depth, 0], stack[depth, 1], stack[depth, 2] = e + 1, end, times
                depth, times, row = depth + 1, times * steps[loop[e]], way_row[way]
                e, end = row_ptr[row], row_ptr[row + 1]
            else:
                total += times * _executed(
                    host, follow_ptr, follower_bytes, moved, which, fs, d, alone[e], times, spent
                )  # fmt: skip
                e += 1
        makespan[d] = total


@njit(cache=True, nogil=True, error_model="numpy")
def _loaded(moved, burst, engine, d, times, spent):  # type: ignore[no-untyped-def]
    """Femtoseconds of a load that nothing overlaps, ``times`` of which are added to ``spent``."""
    if moved <= 0:
        return np.int64(0)
    bursts = np.ceil(moved / burst) * burst
    spent[d, 2] += bursts * times
    return max(to_fs(bursts, engine[d, 0]), to_fs(moved * 1.0, engine[d, 2])) + to_fs(1.0, engine[d, 1])


@njit(cache=True, nogil=True, error_model="numpy")
def _loaded_ahead(moved, burst, engine, d, run, times, spent):  # type: ignore[no-untyped-def]
    """When an entry in a run starts, with what is loaded ahead for it.

    ``run`` is when the entry before ends, the DRAM and the DMA engines are free, and the two slots are.
    """
    bursts = np.ceil(moved / burst) * burst
    spent[d, 2] += bursts * times
    run[1] = max(run[1], run[3]) + to_fs(bursts, engine[d, 0])
    run[2] = max(run[2], run[3]) + to_fs(moved * 1.0, engine[d, 2])
    return max(run[0], max(run[1], run[2]) + to_fs(1.0, engine[d, 1]))

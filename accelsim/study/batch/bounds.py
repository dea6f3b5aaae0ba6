"""What no design of a group can choose: attempts and groups of entries that are slower at their fastest than others at
their slowest. Times fall and rise with the rates, so the ends of a box of rates bound those of all designs in it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from accelsim.mapping.sequence import shortest
from accelsim.study.batch.kernels import load_seconds
from accelsim.study.batch.sequences import is_quiet, loop_of, steps_of

__all__ = ["bounded"]

_SLACK = 1 - 1e-9


@njit(cache=True, nogil=True)
def _quiet(rows, needed):  # type: ignore[no-untyped-def]
    """(2, searches) whether any candidate of each search leaves the DRAM alone, and whether all do."""
    quiet = np.empty((2, len(needed.kind)), np.bool_)
    for search in range(len(needed.kind)):
        quiet[0, search], quiet[1, search] = needed.pool_ptr[search] == needed.pool_ptr[search + 1], True
        for i in range(needed.pool_ptr[search], needed.pool_ptr[search + 1]):
            one = is_quiet(rows, needed.pool[i])
            quiet[0, search] |= one
            quiet[1, search] &= one
    return quiet


@njit(cache=True, nogil=True)
def _group_s(p, burst, mapper, seconds):  # type: ignore[no-untyped-def]
    """Seconds of each group."""
    found = np.empty(len(p.group_first))
    for g in range(len(found)):
        stripe_s = 0.0
        for m in range(p.member_ptr[g], p.member_ptr[g + 1]):
            stripe_s += seconds[p.member[m]]
        found[g] = load_seconds(p.group_load[g], burst, mapper) + p.group_stripes[g] * stripe_s
    return found


@njit(cache=True, nogil=True)
def _useful(p, attempt, alone_s, group_s, keep):  # type: ignore[no-untyped-def]
    """Clear groups that at their fastest are not faster than the same entries otherwise at their slowest."""
    first, last = p.group_ptr[attempt], p.group_ptr[attempt + 1]
    best = np.empty(len(alone_s) + 1)
    for g in range(first, last):
        begin = p.group_first[g]
        if g > first and begin == p.group_first[g - 1]:
            continue
        end = 0
        for other in range(g, last):
            if p.group_first[other] != begin:
                break
            end = max(end, p.group_last[other] + 1)
        best[begin : end + 1] = np.inf
        best[begin] = 0.0
        other = g
        for place in range(begin, end):
            best[place + 1] = min(best[place + 1], best[place] + alone_s[place])
            while other < last and p.group_first[other] == place:
                behind = p.group_last[other] + 1
                if behind <= end:
                    best[behind] = min(best[behind], best[place] + group_s[1, other])
                other += 1
        for other in range(g, last):
            if p.group_first[other] != begin:
                break
            keep[other] = group_s[0, other] * _SLACK < best[p.group_last[other] + 1]


@njit(cache=True, nogil=True)
def bounded(p, rows, needed, burst, mapper, seconds, keep, attempts):  # type: ignore[no-untyped-def]
    """Clear ``keep`` of groups and ``attempts`` that no design between two ends takes.

    ``mapper`` and ``seconds`` are those of the two ends, the fastest first.
    """
    quiet, unused = _quiet(rows, needed), np.zeros(len(p.steps), np.int64)
    group_s = np.empty((2, len(p.group_first)))
    row_s, loop_s = np.empty((2, len(p.row_ptr) - 1)), np.full((2, len(p.steps)), np.inf)
    no_spans, no_times = np.empty((0, 2), np.int64), np.empty(0)
    for end in range(2):
        group_s[end] = _group_s(p, burst, mapper[end], seconds[end])
        done = 0
        for row in range(len(p.row_ptr) - 1):
            while done < len(p.steps) and p.way_row[p.way_ptr[done + 1] - 1] < row:
                loop_of(p, done, burst, mapper[end], row_s[end], loop_s[end], unused)
                done += 1
            table, calm = steps_of(p, row, burst, mapper[end], seconds[end], quiet[end], loop_s[end])
            row_s[end, row] = shortest(table, calm, mapper[end, 3], no_spans, no_times)[0][-1]
    least, most = np.empty(len(attempts)), np.inf
    for attempt in range(len(attempts)):
        first, last, row = p.group_ptr[attempt], p.group_ptr[attempt + 1], p.attempt_row[attempt]
        slow, calm = steps_of(p, row, burst, mapper[1], seconds[1], quiet[1], loop_s[1])
        _useful(p, attempt, slow[:, 0], group_s, keep)
        kept = first + np.flatnonzero(keep[first:last])
        spans = np.empty((len(kept), 2), np.int64)
        spans[:, 0], spans[:, 1] = p.group_first[kept], p.group_last[kept]
        most = min(most, shortest(slow, calm, mapper[1, 3], spans, group_s[1][kept])[0][-1])
        fast, calm = steps_of(p, row, burst, mapper[0], seconds[0], quiet[0], loop_s[0])
        least[attempt] = shortest(fast, calm, mapper[0, 3], spans, group_s[0][kept])[0][-1]
    for attempt in range(len(attempts)):
        attempts[attempt] = least[attempt] * _SLACK < most

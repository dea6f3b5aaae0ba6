"""What no design of a group can choose: attempts and groups of entries that are slower at their fastest than others at
their slowest. Times fall and rise with the rates, so the ends of a box of rates bound those of all designs in it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from accelsim.study.batch.sequences import groups_s, row_with, rows_of, scratch_of
from accelsim.study.batch.walk import is_quiet

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
    quiet, scratch = _quiet(rows, needed), scratch_of(p)
    modes, ways = np.empty((2, len(p.alone)), np.int64), np.empty((2, len(p.steps)), np.int64)
    loop_s = rows_of(p, burst, mapper, seconds, quiet, scratch, modes, ways)[1]
    group_s, alone_s = np.empty((2, len(p.group_first))), np.empty(len(scratch[1]))
    for end in range(2):
        groups_s(
            p.group_stripes, p.group_load, p.member_ptr, p.member, np.int64(0), len(p.group_first), burst, end, mapper,
            seconds, group_s[end],
        )  # fmt: skip
    least, most, ends_s = np.empty(len(attempts)), np.inf, np.empty(2)
    for attempt in range(len(attempts)):
        first, last, row = p.group_ptr[attempt], p.group_ptr[attempt + 1], p.attempt_row[attempt]
        begin, count = p.row_ptr[row], p.row_ptr[row + 1] - p.row_ptr[row]
        for e in range(count):
            loop = p.loop[begin + e]
            alone_s[e] = loop_s[1, loop] if loop >= 0 else seconds[1, p.alone[begin + e]]
        _useful(p, attempt, alone_s[:count], group_s, keep)
        kept = first + np.flatnonzero(keep[first:last])
        spans = np.empty((len(kept), 2), np.int64)
        spans[:, 0], spans[:, 1] = p.group_first[kept], p.group_last[kept]
        for end in range(2):
            ends_s[end] = row_with(
                p, row, burst, end, mapper, seconds, quiet, loop_s, spans, group_s[end][kept], scratch
            )  # fmt: skip
        least[attempt], most = ends_s[0], min(most, ends_s[1])
    for attempt in range(len(attempts)):
        attempts[attempt] = least[attempt] * _SLACK < most

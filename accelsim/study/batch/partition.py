"""`mapping.sequence.shortest` with most runs left out: the same places, kinds and seconds, to the last bit.

A run is followed entry by entry as (N, L, D, M): when its last entry ends, when the slot in use is free, and when the
DRAM and the DMA engines can begin the next load. These grow by sums and maxima alone, so a run that is nowhere behind
another stays nowhere behind it, and one that is ahead everywhere stays ahead by as much. Of two runs under way

- the earlier, where it is nowhere behind, has been tried first at every later place, so the other never replaces it;
- the later, where it is ahead everywhere by more than times count as equal, replaces the earlier at every later place.

The other one is left out. Roundings are small beside what counts as equal; where they could decide, nothing is.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from accelsim.mapping.sequence import ALONE, GROUP, RUN, shortest

__all__ = ["SPACE", "partitioned"]

SPACE = 8
"""Columns of scratch for each entry: start, base, now, last end, slot, DRAM and DMA free, and by how much it led."""
_EQUAL = 1e-12
"""`shortest` takes times this close for equal."""
_ROUNDING, _NOISE = 5e-13, 1e-15
"""What roundings add up to over a run of `_LONGEST` entries, and in one comparison."""
_LEAD, _LED = 1e-9, 3e-12
"""A later run leaves out an earlier one from this lead on, while the lead is this much of all seconds so far."""
_LONGEST = 256


@njit(cache=True, nogil=True, inline="always")
def _behind(runs, a, b):  # type: ignore[no-untyped-def]
    """By how much run ``a`` is behind run ``b``, at most, in (N, L, D, M); negative where it is ahead everywhere."""
    dram = max(runs[a, 5], runs[a, 4]) - max(runs[b, 5], runs[b, 4])
    dma = max(runs[a, 6], runs[a, 4]) - max(runs[b, 6], runs[b, 4])
    return runs[a, 1] - runs[b, 1] + max(max(runs[a, 2] - runs[b, 2], runs[a, 3] - runs[b, 3]), max(dram, dma))


@njit(cache=True, nogil=True, inline="always")
def _left(runs, newest):  # type: ignore[no-untyped-def]
    """How many runs are left, of which the last, ``newest``, has just begun; they move to the front."""
    base = runs[newest, 1]
    for a in range(newest):
        if _behind(runs, a, newest) <= _NOISE * base:
            return newest
    kept = 0
    for a in range(newest):
        lead = -_behind(runs, newest, a)
        if lead > _LEAD * base:
            runs[newest, 7] = min(runs[newest, 7], min(lead, runs[a, 7]))
            continue
        if kept < a:
            for column in range(SPACE):
                runs[kept, column] = runs[a, column]
        kept += 1
    if kept < newest:
        for column in range(SPACE):
            runs[kept, column] = runs[newest, column]
    return kept + 1


@njit(cache=True, nogil=True, inline="always")
def _advance(runs, r, steps, k, latency_s):  # type: ignore[no-untyped-def]
    """Follow a run through an entry, as `sequence._extend` does; its end, counted from the row's begin."""
    now = runs[r, 2]
    if steps[k, 2] > 0:
        slot = runs[r, 4]
        dram, dma = max(runs[r, 5], slot) + steps[k, 2], max(runs[r, 6], slot) + steps[k, 3]
        now = max(now, max(dram, dma) + latency_s)
        runs[r, 5], runs[r, 6] = dram, dma
        runs[r, 4], runs[r, 3] = runs[r, 3], now + steps[k, 1]
    now += steps[k, 1]
    runs[r, 2] = now
    return runs[r, 1] + now


@njit(cache=True, nogil=True)
def _by_end(count, groups):  # type: ignore[no-untyped-def]
    """First group that ends with each entry, and the next that does so with the same; -1 is none."""
    head, behind = np.full(count, -1), np.full(len(groups), -1)
    for g in range(len(groups) - 1, -1, -1):
        behind[g] = head[groups[g, 1]]
        head[groups[g, 1]] = g
    return head, behind


@njit(cache=True, nogil=True)
def partitioned(count, steps, quiet, latency_s, groups, group_s, best_s, came_from, kind, runs):  # type: ignore[no-untyped-def]
    """Fill what `shortest` returns of the first ``count`` steps; ``runs`` is scratch, (count + 1, `SPACE`)."""
    if count > _LONGEST or not _fill(
        count, steps, quiet, latency_s, groups, group_s, best_s, came_from, kind, runs
    ):  # fmt: skip
        found = shortest(steps[:count], quiet[:count], latency_s, groups, group_s)
        best_s[: count + 1], came_from[: count + 1], kind[: count + 1] = found[0], found[1], found[2]


@njit(cache=True, nogil=True, inline="always")
def _unsure(end_s, least_s, lead):  # type: ignore[no-untyped-def]
    """Whether roundings may have decided what a run left out."""
    return end_s * (1 - _ROUNDING) < least_s * (1 - _EQUAL) <= end_s or end_s * _LED > lead


@njit(cache=True, nogil=True)
def _fill(count, steps, quiet, latency_s, groups, group_s, best_s, came_from, kind, runs):  # type: ignore[no-untyped-def]
    """The same without runs that change nothing; False where roundings may have decided."""
    under_way, grouped = 0, len(groups) > 0
    head, behind = _by_end(count if grouped else 0, groups)
    best_s[0], came_from[0], kind[0] = 0.0, 0, 0
    for k in range(count):
        least_s, before, what = np.inf, 0, 0
        group = head[k] if grouped else -1
        if steps[k, 1] == np.inf:
            under_way = 0
        else:
            for column in range(2, SPACE - 1):
                runs[under_way, column] = 0.0
            runs[under_way, 0], runs[under_way, 1], runs[under_way, 7] = k, best_s[k], np.inf
            under_way = _left(runs, under_way)
        for r in range(under_way + 1):  # runs, then what begins here
            start = int(runs[r, 0]) if r < under_way else k
            if start == k:
                while group >= 0 and groups[group, 0] < k:
                    first = groups[group, 0]
                    if best_s[first] + group_s[group] < least_s * (1 - _EQUAL):
                        least_s, before, what = best_s[first] + group_s[group], first, GROUP + group
                    group = behind[group]
                end_s = best_s[k] + steps[k, 0]
                if end_s < least_s * (1 - _EQUAL) or not np.isfinite(least_s):
                    least_s, before, what = end_s, k, ALONE
            while group >= 0 and groups[group, 0] <= start:
                first = groups[group, 0]
                if best_s[first] + group_s[group] < least_s * (1 - _EQUAL):
                    least_s, before, what = best_s[first] + group_s[group], first, GROUP + group
                group = behind[group]
            if r < under_way:
                end_s = _advance(runs, r, steps, k, latency_s)
                if _unsure(end_s, least_s, runs[r, 7]):
                    return False
                if end_s < least_s * (1 - _EQUAL):
                    least_s, before, what = end_s, start, RUN
            if start == k:
                break
        best_s[k + 1], came_from[k + 1], kind[k + 1] = least_s, before, what
        if not quiet[k]:
            under_way = 0
    return True

"""Groups of entries that run depth first (`mapping.groups`) for one design, in compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.sequence import shortest
from accelsim.study.batch.kernels import load_seconds
from accelsim.study.batch.plan import LONGEST_GROUP
from accelsim.study.batch.structures.borders import HELD_BYTES, UNKNOWN, Extent, make_plain, members
from accelsim.study.batch.structures.entries import BURST, CORES
from accelsim.study.batch.structures.facts import BEGIN, FIRST_OP, HALOS, LIVE, STRIPES, WEIGHTS
from accelsim.study.batch.structures.least import most_stripes, running_sums

__all__ = ["Groups", "find_groups", "weight_bytes"]

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]
_ROUNDING = 1e-9
"""Bounds and rivals add up in another order than times."""


class Groups(NamedTuple):
    """Groups as they were found: (n, 5) first and last entries, body, first and last ops; (n,) seconds."""

    table: IntArray
    time_s: Column


@njit(cache=True, nogil=True, inline="always")
def _held_bytes(sums, body, first, last, live):  # type: ignore[no-untyped-def]
    """Stripes and weights of body ops ``first`` to ``last``; ``live`` are bytes of their stripes alive at most."""
    stripe_bytes = live + sums[last + 1 + body, HALOS] - sums[first + body, HALOS]
    return stripe_bytes + weight_bytes(sums, body, first, last)


@njit(cache=True, nogil=True, inline="always")
def weight_bytes(sums, body, first, last):  # type: ignore[no-untyped-def]
    """Bytes of the weights of body ops ``first`` to ``last``; each body has one sum more than ops."""
    return sums[last + 1 + body, WEIGHTS] - sums[first + body, WEIGHTS]


@njit(cache=True, nogil=True, inline="always")
def _chain(f, chip, known, stripes, last, op, time_s):  # type: ignore[no-untyped-def]
    """Go on from ``op``, ``time_s`` behind the begin of a group, over the entries that end by ``last`` with everything
    on chip. Infinite where one fits nowhere.
    """
    plain, plain_s = stripes.plain, stripes.plain_s
    while op <= last:
        if plain[op, 0] == UNKNOWN:
            make_plain(f, chip, known, stripes, op)
        ops = plain[op, 0]
        if ops == 0:
            return op, np.inf
        if op + ops > last + 1:
            break
        time_s += plain_s[op]
        op += ops
    return op, time_s


@njit(cache=True, nogil=True)
def _rivals(row, places, latency_s):  # type: ignore[no-untyped-def]
    """(places, 1 + `LONGEST_GROUP`) seconds of the best sequence without groups from a place to those behind it."""
    best_s = np.full((len(places), LONGEST_GROUP + 1), np.inf)
    no_spans, no_times = np.empty((0, 2), np.int64), np.empty(0)
    best_s[-1, 0] = 0.0
    for place in range(len(places) - 1):
        reach = min(LONGEST_GROUP, len(places) - 1 - place)
        first, behind = places[place, 1], places[place + reach, 1]
        found = shortest(row.table[first:behind], row.quiet[first:behind], latency_s, no_spans, no_times)[0]
        for longer in range(reach + 1):
            best_s[place, longer] = found[places[place + longer, 1] - first]
    return best_s


@njit(cache=True, nogil=True)
def _improve(best_s, place, length, time_s):  # type: ignore[no-untyped-def]
    """Put a group of ``length`` places from ``place`` on among its rivals, and of all spans around it."""
    for start in range(max(0, place + length - LONGEST_GROUP), place + 1):
        for end in range(place + length, min(start + LONGEST_GROUP, len(best_s) - 1) + 1):
            with_group = best_s[start, place - start] + time_s + best_s[place + length, end - place - length]
            best_s[start, end - start] = min(best_s[start, end - start], with_group)


@njit(cache=True, nogil=True, inline="always")
def _others_s(load, work, in_stripes, first, last):  # type: ignore[no-untyped-def]
    """What the entries but ``first`` to ``last`` take at least: in a run, weights are loaded while others work."""
    before_s = max(load[first], work[first] + in_stripes[first])
    behind_s = work[-1] - work[last + 1] + in_stripes[-1] - in_stripes[last + 1]
    return before_s + max(load[-1] - load[last + 1], behind_s)


@njit(cache=True, nogil=True)
def _saved(alone_s, seconds, stripes):  # type: ignore[no-untyped-def]
    """(entries + 1,) running sums of what a group in so many stripes may save of each entry."""
    saved = np.zeros(len(alone_s) + 1)
    for entry in range(len(alone_s)):
        least_s = seconds[entry, 0] + seconds[entry, 1] + (stripes - 1) * seconds[entry, 2]
        saved[entry + 1] = saved[entry] + max(0.0, alone_s[entry] - least_s)
    return saved


@njit(cache=True, nogil=True)
def find_groups(f, chip, known, stripes, row, least, whole_s):  # type: ignore[no-untyped-def]
    """`Groups` that are faster than any sequence of the same entries that was found before.

    Those with which the workload takes ``whole_s`` or more are left out.
    """
    places, alone_s = least.places, row.table[:, 0].copy()
    most, count = most_stripes(alone_s, least.seconds), 0
    best_s = _rivals(row, places, chip.mapper[3])
    table, times = np.empty((best_s.size * len(f.bodies), 5), np.int64), np.empty(best_s.size * len(f.bodies))
    load, work = running_sums(least.seconds[:, 0].copy()), running_sums(least.seconds[:, 1].copy())
    again = running_sums(least.seconds[:, 2].copy())
    # What entries elsewhere may save by stripes.
    in_stripes = running_sums(np.minimum(least.seconds[:, 2], 0.0) * (f.bodies[:, STRIPES].max() - 1))
    alone, one_core = running_sums(alone_s), chip.sizes[CORES] == 1
    for body in range(1, len(f.bodies) - 1):
        from_op, count_of, ops_from = f.bodies[body, FIRST_OP], f.bodies[body, STRIPES], f.bodies[body, BEGIN]
        behind = from_op + f.bodies[body + 1, BEGIN] - ops_from
        saved = _saved(alone_s, least.seconds, count_of)
        for place in range(len(places) - 1 if count_of <= most else 0):
            begin, first = places[place]
            if begin < from_op:
                continue
            chained = seen = begin + ops_from - from_op
            chain_s = live = 0.0
            for longer in range(place + 2, min(place + 1 + LONGEST_GROUP, len(places))):
                end, last = places[longer, 0] - 1, places[longer, 1] - 1
                if end >= behind:
                    break
                least_s = load[last + 1] - load[first] + work[last + 1] - work[first]
                least_s += (count_of - 1) * (again[last + 1] - again[first])
                # What is equally fast is found, so that `shortest` decides.
                rest_s = _others_s(load, work, in_stripes, first, last)
                enough_s = min(best_s[place, longer - place], whole_s - rest_s) * (1 + _ROUNDING)
                if least_s >= enough_s:
                    continue
                extent = Extent(begin + ops_from - from_op, end + ops_from - from_op, begin, end)
                for op in range(seen, extent.last + 1):
                    live = max(live, f.work[op, LIVE])
                seen = extent.last + 1
                if _held_bytes(f.sums, body, extent.first, extent.last, live) > stripes.room[HELD_BYTES]:
                    break
                if one_core:
                    # Nothing crosses a network, so that no entry is faster with some of its data in DRAM.
                    chained, chain_s = _chain(f, chip, known, stripes, extent.last, chained, chain_s)
                    if chained > extent.last:
                        reach = places[min(place + LONGEST_GROUP, len(places) - 1), 1]
                        could_s = alone[last + 1] - alone[first] + saved[reach] - saved[last + 1]
                        if count_of * chain_s > could_s * (1 + _ROUNDING):
                            break  # nor does any longer group gain
                    if count_of * chain_s >= enough_s * (1 + _ROUNDING):
                        continue
                time_s = _group_s(f, chip, known, stripes, body, extent, enough_s)
                if time_s < enough_s:
                    _improve(best_s, place, longer - place, time_s)
                    times[count] = time_s
                    table[count, 0], table[count, 1], table[count, 2] = first, last, body
                    table[count, 3], table[count, 4] = begin, end
                    count += 1
    return Groups(table[:count], times[:count])


@njit(cache=True, nogil=True, inline="always")
def _group_s(f, chip, known, stripes, body, extent, enough_s):  # type: ignore[no-untyped-def]
    """Seconds of a group, infinite where it does not fit or takes ``enough_s`` or more."""
    moved, count_of = weight_bytes(f.sums, body, extent.first, extent.last), f.bodies[body, STRIPES]
    load_s = load_seconds(moved, chip.sizes[BURST], chip.mapper)
    # A little more than what is left for a stripe: rounding must not decide here.
    left_s = (enough_s - load_s) / count_of * (1 + 1e-9)
    if left_s <= 0:
        return np.inf
    count, stripe_s = members(f, chip, known, stripes, extent, left_s)
    return load_s + count_of * stripe_s if count else np.inf

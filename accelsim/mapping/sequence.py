"""How ops follow each other: one by one, in groups, or with the weights of the next loaded ahead.

Entries (an op with what follows it tile by tile) run strictly in order. A *run* is a row of entries that leave the
DRAM alone once their weights are there; while they run, the weights of the run's later entries are loaded, into two
slots in turn: the load of one begins when the DRAM is free and the entry before the last one loaded ahead has ended.
An entry starts when its weights have arrived. The last entry of a run may stream its other data. Before and after a
run the slots are empty, so an entry on its own has all of the room for streams.

The best partition into single entries, runs and groups is found exactly, by dynamic programming over the places
between entries. Every time in it can only fall when a rate grows, and so does its minimum. `mapping.lower` makes tasks
with these dependencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit

__all__ = ["ALONE", "GROUP", "RUN", "Choice", "Step", "best_sequence", "shortest"]

ALONE, RUN, GROUP = 0, 1, 2
_LONGEST_RUN = 512
"""Entries; bounds the search of graphs with very many ops."""


class Step(NamedTuple):
    """Seconds of one entry: on its own, and in a run (infinite where it cannot be in one).

    ``load_s`` and ``dma_s`` are the transfers that load its weights ahead, 0 where it has none; ``quiet`` says that
    it leaves the DRAM alone, so that the run may go on behind it.
    """

    alone_s: float
    run_s: float = np.inf
    load_s: float = 0.0
    dma_s: float = 0.0
    quiet: bool = False


class Choice(NamedTuple):
    """A part of the best sequence: entries ``first`` to ``last`` alone, as a run, or as the group ``group``."""

    kind: int
    first: int
    last: int
    group: int = -1


@njit(cache=True)
def _extend(steps, quiet, latency_s, start, best_s, came_from, kind):  # type: ignore[no-untyped-def]
    """Relax all ends of the run that starts at ``start``."""
    base = best_s[start]
    now = dram_free = dma_free = last_end = slot_free = 0.0
    for index in range(start, min(len(steps), start + _LONGEST_RUN)):
        run_s, load_s, dma_s = steps[index, 1], steps[index, 2], steps[index, 3]
        if not np.isfinite(run_s):
            return
        if load_s > 0:
            dram_free = max(dram_free, slot_free) + load_s
            dma_free = max(dma_free, slot_free) + dma_s
            now = max(now, max(dram_free, dma_free) + latency_s)
            slot_free, last_end = last_end, now + run_s
        now += run_s
        if base + now < best_s[index + 1] * (1 - 1e-12):
            best_s[index + 1], came_from[index + 1], kind[index + 1] = base + now, start, RUN
        if not quiet[index]:
            return


@njit(cache=True)
def shortest(steps, quiet, latency_s, groups, group_s):  # type: ignore[no-untyped-def]
    """(best seconds up to each place, place before, kind); ``groups`` are (first, last) sorted by first."""
    count = len(steps)
    best_s = np.full(count + 1, np.inf)
    came_from, kind = np.zeros(count + 1, dtype=np.int64), np.zeros(count + 1, dtype=np.int64)
    best_s[0] = 0.0
    group = 0
    for start in range(count):
        end_s = best_s[start] + steps[start, 0]
        if end_s < best_s[start + 1] * (1 - 1e-12) or not np.isfinite(best_s[start + 1]):
            best_s[start + 1], came_from[start + 1], kind[start + 1] = end_s, start, ALONE
        while group < len(groups) and groups[group, 0] == start:
            end = groups[group, 1] + 1
            if best_s[start] + group_s[group] < best_s[end] * (1 - 1e-12):
                best_s[end], came_from[end], kind[end] = best_s[start] + group_s[group], start, GROUP + group
            group += 1
        _extend(steps, quiet, latency_s, start, best_s, came_from, kind)
    return best_s, came_from, kind


def best_sequence(
    steps: Sequence[Step], latency_s: float, groups: Sequence[tuple[int, int, float]] = ()
) -> tuple[float, list[Choice]]:
    """The least time of a row of entries, and how they run.

    Args:
        steps: one an entry.
        latency_s: of the memory, once a load.
        groups: (first entry, last entry, seconds) of each group that may replace a row of entries.
    """
    if not steps:
        return 0.0, []
    order = sorted(range(len(groups)), key=lambda each: groups[each][:2])
    spans = np.array([groups[each][:2] for each in order], dtype=np.int64).reshape(-1, 2)
    seconds = np.array([groups[each][2] for each in order], dtype=np.float64)
    table = np.array([each[:4] for each in steps], dtype=np.float64)
    quiet = np.array([each.quiet for each in steps], dtype=np.bool_)
    best_s, came_from, kind = shortest(table, quiet, latency_s, spans, seconds)
    chosen: list[Choice] = []
    place = len(steps)
    while place > 0:
        before, what = int(came_from[place]), int(kind[place])
        index = order[what - GROUP] if what >= GROUP else -1
        chosen.append(Choice(min(what, GROUP), before, place - 1, index))
        place = before
    return float(best_s[-1]), chosen[::-1]

"""What entries take at least in a group (`groups.Entries`) for one design, in compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.bounds import one_core_s
from accelsim.study.batch.structures.entries import (
    ALL,
    CAPACITY,
    entry_at,
    followers_of,
    machine_at,
    problem_at,
    put_back,
)
from accelsim.study.batch.structures.facts import BEGIN, KIND, LOADABLE, MATRIX, UNIT, VECTOR

__all__ = ["Least", "least_of", "most_saved_s", "most_stripes", "running_sums"]

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]


class Least(NamedTuple):
    """`groups.Entries` of the entries of an attempt: what each takes at least in a group, and where groups may begin.

    Attributes:
        seconds: (entries, 3) to load its weights, for the rest at least, and what every further stripe adds.
        places: (places + 1, 2) op at which a group may begin and its entry; those behind the last.
    """

    seconds: Column
    places: IntArray


@njit(cache=True, nogil=True, inline="always")
def _least_at(f, chip, known, op):  # type: ignore[no-untyped-def]
    """`SingleMapper.least` of the entry at ``op``: seconds, those that each further stripe adds, and its ops."""
    launch_s, kind = chip.mapper[7], f.ops[op, KIND]
    if kind != MATRIX:
        return entry_at(f, chip, known, op, ALL, chip.sizes[CAPACITY]).time_s, launch_s if kind == VECTOR else 0.0, 1
    behind, cycles = followers_of(f.ops, f.reads, f.makes, f.tensors, known.on, op), 0.0
    for each in range(op + 1, op + 1 + behind):
        cycles += known.cycles[each]
    follow_s = cycles / chip.mapper[9]
    machine = machine_at(chip, f.ops[op, UNIT], 0.0)
    alone = one_core_s(problem_at(f, known.on, op, ALL, follow_s), machine)
    array_s = max(0.0, alone / machine.cores - 1.0 / machine.array_hz)
    return launch_s + max(array_s, follow_s), launch_s - 1.0 / machine.array_hz, 1 + behind


@njit(cache=True, nogil=True)
def least_of(f, chip, known, starts):  # type: ignore[no-untyped-def]
    """`Least` of entries that begin at ``starts``; puts everything on chip."""
    count = len(starts)
    put_back(f, known)
    seconds, places = np.zeros((count, 3)), np.empty((count + 1, 2), np.int64)
    found = followed = 0
    for entry, op in enumerate(starts):
        seconds[entry, 0] = f.work[op, LOADABLE] / chip.mapper[2]
        if op >= followed:
            seconds[entry, 1], seconds[entry, 2], behind = _least_at(f, chip, known, op)
            followed = op + behind
            places[found, 0], places[found, 1] = op, entry
            found += 1
    places[found, 0], places[found, 1] = f.bodies[1, BEGIN], count
    return Least(seconds, places[: found + 1])


@njit(cache=True, nogil=True)
def most_stripes(alone_s, seconds):  # type: ignore[no-untyped-def]
    """With more stripes the launches of a single op cost more than all groups can save."""
    saved_s, launch_s = 0.0, np.inf
    for entry in range(len(alone_s)):
        saved_s += max(0.0, alone_s[entry] - seconds[entry, 0] - seconds[entry, 1])
        if seconds[entry, 2] != 0:
            launch_s = min(launch_s, seconds[entry, 2])
    return 1 + saved_s / launch_s if 0 < launch_s < np.inf else np.inf


@njit(cache=True, nogil=True)
def most_saved_s(alone_s, least, stripes):  # type: ignore[no-untyped-def]
    """Groups of two stripes or more, and of no more than ``stripes``, save no more."""
    saved_s = 0.0
    for entry in range(len(alone_s)):
        load_s, work_s, again_s = least.seconds[entry]
        again_s *= 1 if again_s > 0 else stripes - 1
        saved_s += max(0.0, alone_s[entry] - load_s - work_s - again_s)
    return saved_s


@njit(cache=True, nogil=True)
def running_sums(values):  # type: ignore[no-untyped-def]
    """(n + 1,) sums of the values before each."""
    total = np.zeros(len(values) + 1)
    for index in range(len(values)):
        total[index + 1] = total[index] + values[index]
    return total

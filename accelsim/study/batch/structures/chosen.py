"""The chosen sequence of a design in the engine's femtoseconds, and what it moves, in compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.sequence import GROUP
from accelsim.study.batch.kernels import Needed
from accelsim.study.batch.sequences import Program
from accelsim.study.batch.structures.borders import Extent, members
from accelsim.study.batch.structures.entries import BURST, CORES, compute_cycles
from accelsim.study.batch.structures.facts import (
    BEGIN,
    CROSSING,
    FIRST_OP,
    HOST_BYTES_OF,
    HOST_S,
    KIND,
    STRIPES,
    VECTOR,
)
from accelsim.study.batch.structures.groups import weight_bytes
from accelsim.study.batch.walk import walked

__all__ = ["chosen_fs"]

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]


class Chosen(NamedTuple):
    """Entries of the chosen sequence, as `Needed` has searches.

    Attributes:
        kind, row, ptr: kinds, rows of the table, and where what follows each begins.
        host: bytes and seconds.
        follow: cycles, port bytes of a core and bytes in all of what follows.
    """

    kind: IntArray
    row: IntArray
    ptr: IntArray
    host: Column
    follow: Column


@njit(cache=True, nogil=True)
def _put(f, chip, chosen, place, op, ops, row):  # type: ignore[no-untyped-def]
    """Put an entry at ``place``, behind all before it."""
    ptr, follow = chosen.ptr, chosen.follow
    chosen.kind[place], chosen.row[place], ptr[place + 1] = f.ops[op, KIND], row, ptr[place]
    chosen.host[place, 0], chosen.host[place, 1] = f.work[op, HOST_BYTES_OF], f.work[op, HOST_S]
    for each in range(op + 1, op + ops):
        if f.ops[each, KIND] == VECTOR:
            at, crossing = ptr[place + 1], f.work[each, CROSSING]
            follow[at, 0] = compute_cycles(f.work, chip.sizes, each)
            follow[at, 1], follow[at, 2] = crossing / chip.sizes[CORES], crossing
            ptr[place + 1] += 1


@njit(cache=True, nogil=True, inline="always")
def _put_members(f, chip, known, stripes, modes, groups, chosen, count):  # type: ignore[no-untyped-def]
    """Put the entries of the chosen groups behind the first ``count``; (pointers to them, weights loaded)."""
    ptr, load = np.zeros(len(groups) + 1, np.int64), np.zeros(len(groups))
    for g in range(len(groups)):
        ptr[g + 1] = ptr[g]
        if modes[groups[g, 0]] == GROUP + g:
            body, begin, end = groups[g, 2], groups[g, 3], groups[g, 4]
            shift = f.bodies[body, BEGIN] - f.bodies[body, FIRST_OP]
            load[g] = weight_bytes(f.sums, body, begin + shift, end + shift)
            found, _ = members(f, chip, known, stripes, Extent(begin + shift, end + shift, begin, end), np.inf)
            for each in range(found):
                row, op, ops = stripes.found[each]
                _put(f, chip, chosen, count + ptr[g] + each, op, ops, row)
            ptr[g + 1] += found
    return ptr, load


@njit(cache=True, nogil=True, inline="always")
def chosen_fs(f, chip, known, row, stripes, modes, groups, spent):  # type: ignore[no-untyped-def]
    """Femtoseconds of the chosen sequence; fills ``spent``."""
    entries = len(row.entries)
    most = 2 * entries + len(f.work)
    chosen = Chosen(
        np.empty(most, np.int64), np.empty(most, np.int64), np.zeros(most + 1, np.int64), np.zeros((most, 2)),
        np.zeros((most + len(f.work), 3)),
    )  # fmt: skip
    for e in range(entries):
        _put(f, chip, chosen, e, row.entries[e, 0], row.entries[e, 1], row.entries[e, 2])
    for e in range(entries):
        _put(f, chip, chosen, entries + e, row.entries[e, 0], row.entries[e, 3], row.entries[e, 4])
    member_ptr, load = _put_members(f, chip, known, stripes, modes, groups, chosen, 2 * entries)
    count, none, nothing = 2 * entries + member_ptr[-1], np.zeros(0, np.int64), np.zeros(0)
    parts = np.empty(len(groups), np.int64)
    for g in range(len(groups)):
        parts[g] = f.bodies[groups[g, 2], STRIPES]
    program = Program(
        np.array([0, entries]), np.arange(entries), np.full(entries, -1, np.int64), np.arange(entries, 2 * entries),
        row.moved, none, np.zeros(1, np.int64), nothing, nothing, none, np.zeros(1, np.int64), nothing,
        np.array([0, len(groups)]), groups[:, 0].copy(), groups[:, 1].copy(), parts, load, member_ptr,
        np.arange(2 * entries, count),
    )  # fmt: skip
    needed = Needed(
        chosen.kind[:count], chosen.ptr[: count + 1], chosen.follow[:, :2].copy(), chosen.follow[:, 2].copy(),
        chosen.host[:count], none, none,
    )  # fmt: skip
    return walked(
        program, known.rows, needed, chip.sizes[BURST], chip.mapper, chip.engine, chosen.row[:count], modes, none, 0,
        spent,
    )  # fmt: skip

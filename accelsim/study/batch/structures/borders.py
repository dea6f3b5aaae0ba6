"""Entries of a group of ops in stripes: those at its border read or make what lives in DRAM."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.study.batch.structures.entries import ALL, CORES, entry_at, plain_at
from accelsim.study.batch.structures.facts import EXCHANGED, HELD, MADE, MAKES, OUTER, READS, USED, Facts

__all__ = ["HELD_BYTES", "UNKNOWN", "Extent", "Stripes", "begin_stripes", "make_plain", "members", "room_for_stripes"]

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]
_BORDERS = 8
"""Ways in which an entry may touch the border of a group that are remembered; others are found again."""
_NEAR = 6
"""Tensors of an entry in DRAM that are told apart; entries with more are searched each time."""
FREE, HELD_BYTES = range(2)
"""Places of `Stripes.room`."""
UNKNOWN = -1
"""Ops of an entry that was not asked for yet."""


class Extent(NamedTuple):
    """Body ops ``first`` to ``last``, which are ops ``begin`` to ``end`` of the workload."""

    first: int
    last: int
    begin: int
    end: int


class Stripes(NamedTuple):
    """How groups of an attempt find their entries.

    Attributes:
        on_chip: (tensors of the workload,) whether each is on chip.
        room: (2,) bytes for streams, and for stripes and weights.
        plain, plain_s: (ops, 3), (ops,) ops and rows, how many of its tensors live in DRAM, and seconds of the entry at
            each op with everything on chip; `UNKNOWN` ops where not asked yet, 0 where nothing fits.
        near: (ops, 6, 3) ops of the workload that make and last use each of these tensors, and the tensor.
        codes, border, border_s: (ops, 8), (ops, 8, 2), (ops, 8) the same with some of them in DRAM: a code says which.
        found: (ops, 3) rows, first ops and ops of the entries that were asked for last.
    """

    on_chip: NDArray[np.bool_]
    room: Column
    plain: IntArray
    plain_s: Column
    near: IntArray
    codes: IntArray
    border: IntArray
    border_s: Column
    found: IntArray


def room_for_stripes(f: Facts) -> Stripes:
    """Arrays for the entries of attempts, one after the other; see `begin_stripes`."""
    ops = len(f.work)
    return Stripes(
        np.empty(len(f.need_bytes), np.bool_), np.empty(2), np.empty((ops, 3), np.int64), np.empty(ops),
        np.empty((ops, _NEAR, 3), np.int64),
        np.empty((ops, _BORDERS), np.int64), np.empty((ops, _BORDERS, 2), np.int64), np.empty((ops, _BORDERS)),
        np.empty((ops, 3), np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def begin_stripes(stripes, on_chip, free_bytes, held_bytes):  # type: ignore[no-untyped-def]
    """Nothing is known of an attempt but what is on chip and its room."""
    stripes.on_chip[:] = on_chip
    stripes.room[FREE], stripes.room[HELD_BYTES] = free_bytes, held_bytes
    stripes.plain[:], stripes.codes[:] = UNKNOWN, 0


@njit(cache=True, nogil=True, inline="always")
def _outside(tensors, outer, on_chip, tensor, extent):  # type: ignore[no-untyped-def]
    """Whether a tensor of a group lives in DRAM and is exchanged between the group and others."""
    whole = tensors[tensor, OUTER]
    if on_chip[whole] or not outer[whole, EXCHANGED]:
        return False
    return not extent.begin <= outer[whole, MADE] <= extent.end or outer[whole, USED] > extent.end


@njit(cache=True, nogil=True)
def _is_near(ops, reads, makes, tensor, extent):  # type: ignore[no-untyped-def]
    """Whether an op of a group reads or makes a tensor."""
    near = False
    for read in range(ops[extent.first, READS], ops[extent.last + 1, READS]):
        near |= reads[read, 0] == tensor
    for out in range(ops[extent.first, MAKES], ops[extent.last + 1, MAKES]):
        near |= makes[out] == tensor
    return near


@njit(cache=True, nogil=True)
def _put_out(f, on, on_chip, op, count, extent):  # type: ignore[no-untyped-def]
    """Put what the entry of ``count`` ops at ``op`` and a group exchange off chip; whether there is anything.

    Ops behind the group count where they read what its own ops exchange.
    """
    ops, reads, makes, tensors, outer = f.ops, f.reads, f.makes, f.tensors, f.outer
    any_out = False
    for each in range(op, op + count):
        for read in range(ops[each, READS], ops[each + 1, READS]):
            tensor = reads[read, 0]
            if _outside(tensors, outer, on_chip, tensor, extent) and (
                each <= extent.last or _is_near(ops, reads, makes, tensor, extent)
            ):
                on[tensor], any_out = False, True
        for out in range(ops[each, MAKES], ops[each + 1, MAKES] if each <= extent.last else 0):
            if _outside(tensors, outer, on_chip, makes[out], extent):
                on[makes[out]], any_out = False, True
    return any_out


@njit(cache=True, nogil=True)
def _put_in(f, on, op, count):  # type: ignore[no-untyped-def]
    """Put what the entry of ``count`` ops at ``op`` reads and makes back on chip where it may be."""
    ops, reads, makes, tensors = f.ops, f.reads, f.makes, f.tensors
    for read in range(ops[op, READS], ops[op + count, READS]):
        on[reads[read, 0]] = tensors[reads[read, 0], HELD] != 0
    for out in range(ops[op, MAKES], ops[op + count, MAKES]):
        on[makes[out]] = tensors[makes[out], HELD] != 0


@njit(cache=True, nogil=True, inline="always")
def _searched(f, chip, known, stripes, op, ops, extent):  # type: ignore[no-untyped-def]
    """(seconds, ops, row) of the entry at body op ``op`` with what a group exchanges in DRAM."""
    _put_out(f, known.on, stripes.on_chip, op, ops, extent)
    found = entry_at(f, chip, known, op, ALL, stripes.room[FREE])
    _put_in(f, known.on, op, ops)
    return found.time_s, found.ops, found.row


@njit(cache=True, nogil=True, inline="always")
def _code(near, op, count, extent):  # type: ignore[no-untyped-def]
    """Which of ``count`` tensors of the entry at ``op`` a group exchanges with others, one a bit."""
    code = 0
    for tensor in range(count):
        made = near[op, tensor, 0]
        if made < extent.begin or made > extent.end or near[op, tensor, 1] > extent.end:
            code |= 1 << tensor
    return code


@njit(cache=True, nogil=True, inline="always")
def _at_border(f, chip, known, stripes, op, code, place, extent):  # type: ignore[no-untyped-def]
    """(seconds, ops, row) of the entry at body op ``op`` that touches a border; remembered where there is a place."""
    seconds, ops, row = _searched(f, chip, known, stripes, op, stripes.plain[op, 0], extent)
    if place < _BORDERS:
        stripes.codes[op, place], stripes.border_s[op, place] = code, seconds
        stripes.border[op, place, 0], stripes.border[op, place, 1] = ops, row
    return seconds, ops, row


@njit(cache=True, nogil=True)
def _any_out(f, known, stripes, op, extent):  # type: ignore[no-untyped-def]
    """Whether the entry at ``op`` touches what a group exchanges."""
    touched = _put_out(f, known.on, stripes.on_chip, op, stripes.plain[op, 0], extent)
    _put_in(f, known.on, op, stripes.plain[op, 0])
    return touched


@njit(cache=True, nogil=True)
def _note_near(ops, reads, makes, tensors, outer, on_chip, near, op, count):  # type: ignore[no-untyped-def]
    """Fill the tensors of the entry of ``count`` ops at ``op`` that live in DRAM and may be exchanged, each once.

    Returns how many there are, of which ``near`` holds the first.
    """
    found = 0
    for each in range(op, op + count):
        first, made = ops[each, READS], ops[each, MAKES]
        read = ops[each + 1, READS] - first
        for place in range(read + ops[each + 1, MAKES] - made):
            whole = tensors[reads[first + place, 0] if place < read else makes[made + place - read], OUTER]
            known = on_chip[whole] or not outer[whole, EXCHANGED]
            for tensor in range(min(found, _NEAR)):
                known |= near[op, tensor, 2] == whole
            if not known:
                if found < _NEAR:
                    near[op, found, 0], near[op, found, 1] = outer[whole, MADE], outer[whole, USED]
                    near[op, found, 2] = whole
                found += 1
    return found


@njit(cache=True, nogil=True)
def make_plain(f, chip, known, stripes, op):  # type: ignore[no-untyped-def]
    """Find the entry at ``op`` with everything on chip."""
    found = plain_at(f, chip, known, op, stripes.room[FREE])
    stripes.plain_s[op], stripes.plain[op, 0], stripes.plain[op, 1] = found.time_s, found.ops, found.row
    stripes.plain[op, 2] = _note_near(
        f.ops, f.reads, f.makes, f.tensors, f.outer, stripes.on_chip, stripes.near, op, found.ops
    )  # fmt: skip


@njit(cache=True, nogil=True, inline="always")
def _apart_s(f, chip, known, stripes, extent, enough_s):  # type: ignore[no-untyped-def]
    """Seconds of the entries that exchange nothing, or ``enough_s`` and more; infinite if one fits nowhere."""
    plain, time_s, op = stripes.plain, 0.0, extent.first
    while op <= extent.last and time_s < enough_s:
        if plain[op, 0] == UNKNOWN:
            make_plain(f, chip, known, stripes, op)
        if plain[op, 0] == 0:
            return np.inf
        if _is_apart(f, known, stripes, op, extent):
            time_s += stripes.plain_s[op]
        op += plain[op, 0]
    return time_s


@njit(cache=True, nogil=True, inline="always")
def _is_apart(f, known, stripes, op, extent):  # type: ignore[no-untyped-def]
    """Whether the entry at ``op`` touches nothing that a group exchanges."""
    ops, count = stripes.plain[op, 0], stripes.plain[op, 2]
    if op + ops <= extent.last + 1 and count <= _NEAR:
        return _code(stripes.near, op, count, extent) == 0
    return not _any_out(f, known, stripes, op, extent)


@njit(cache=True, nogil=True)
def members(f, chip, known, stripes, extent, enough_s):  # type: ignore[no-untyped-def]
    """(entries, seconds) of one stripe of a group; fills ``stripes.found``.

    No entries where they do not fit, do not end with the group, or take ``enough_s`` or more.
    """
    plain, plain_s, near, entries = stripes.plain, stripes.plain_s, stripes.near, stripes.found
    codes, border, border_s = stripes.codes, stripes.border, stripes.border_s
    # On one core `_chain` has seen to it.
    one_core = chip.sizes[CORES] == 1
    limit_s = 0.0 if one_core else _apart_s(f, chip, known, stripes, extent, enough_s)
    count, op, time_s = 0, extent.first, 0.0
    while op <= extent.last and limit_s < enough_s:
        if plain[op, 0] == UNKNOWN:
            make_plain(f, chip, known, stripes, op)
        seconds, ops, row, code, place = plain_s[op], plain[op, 0], plain[op, 1], 0, 0
        if op + ops <= extent.last + 1 and plain[op, 2] <= _NEAR:
            code = _code(near, op, plain[op, 2], extent)
            while code and place < _BORDERS and codes[op, place] != code and codes[op, place] != 0:
                place += 1
        elif _any_out(f, known, stripes, op, extent):
            code, place = UNKNOWN, _BORDERS
        if code > 0 and place < _BORDERS and codes[op, place] == code:
            seconds, ops, row = border_s[op, place], border[op, place, 0], border[op, place, 1]
        elif code and ops:
            seconds, ops, row = _at_border(f, chip, known, stripes, op, code, place, extent)
        if ops == 0:
            return 0, np.inf
        limit_s += seconds if code or one_core else 0.0
        entries[count, 0], entries[count, 1], entries[count, 2] = row, op, ops
        time_s += seconds
        count += 1
        op += ops
    return (count, time_s) if op == extent.last + 1 and limit_s < enough_s else (0, np.inf)

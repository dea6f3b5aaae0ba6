"""The best mapping of an entry (`mapping.single`) for one design, in compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.schedule import Rates, fastest_chunks
from accelsim.mapping.search import search
from accelsim.mapping.space import Machine, Problem
from accelsim.study.batch.candidates import BUFFER, FIELDS, put_candidate, put_chunks
from accelsim.study.batch.kernels import vector_cycles
from accelsim.study.batch.structures.facts import (
    BYTES,
    CROSSING,
    FOLLOW,
    HELD,
    HOST,
    HOST_BYTES_OF,
    HOST_S,
    KIND,
    MAKER,
    MAKES,
    MATRIX,
    PRODUCT,
    READS,
    SHAPE,
    SIMPLE,
    SPECIAL,
    UNIT,
    VECTOR,
    VIEW,
    WEIGHT,
    Facts,
)
from accelsim.study.batch.walk import is_quiet

__all__ = [
    "ALL", "BURST", "CAPACITY", "CORES", "DRAM_CAPACITY", "FIFO", "LANES", "NONE", "READ_WHOLE", "Chip", "Entry",
    "Known", "compute_cycles", "entry_at", "followers_of", "forget", "is_crowded", "is_full", "machine_at", "plain_at",
    "problem_at", "put_back", "room_for_known",
]  # fmt: skip

NONE, READ_WHOLE, ALL = np.arange(3)
"""Weights that are in the scratchpads when an entry begins: none, those that it reads from end to end, or all.

Numbers of numpy, which compiled code does not take for literals, so that it is compiled once for all of them.
"""
LANES, CYCLES_SIMPLE, CYCLES_SPECIAL, CORES, BURST, CAPACITY, FIFO, DRAM_CAPACITY = range(8)
"""Columns of `Chip.sizes`: lanes of all cores and cycles of their operations, cores, bytes of a burst, of all
scratchpads, most that is loaded ahead, and of the DRAM.
"""
_TIME, _LIMIT, _FIRST, _SECOND = range(len(FIELDS), len(FIELDS) + 4)
_COLUMNS = len(FIELDS) + 4
_SLOTS = 1 << 12
_PRUNED = np.bool_(True)
_MOST = 1 << 14

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]


class Chip(NamedTuple):
    """One design.

    Attributes:
        machines: (formats, fields of `space.Machine`), without room for streams.
        mapper, engine: rates as `rates.DesignRates` has them.
        sizes: (8,) the rest.
    """

    machines: Column
    mapper: Column
    engine: Column
    sizes: Column


class Entry(NamedTuple):
    """An entry as it was mapped: seconds, ops (0 where it fits nowhere), row of `Known.rows` (negative: none), whether
    it leaves the DRAM alone.
    """

    time_s: float
    ops: int
    row: int
    quiet: bool


class Known(NamedTuple):
    """What was found for one design.

    Attributes:
        rows: (n, `FIELDS` and 4) mappings; their seconds, infinite where nothing fits, and the room of a core that each
            was found best of; bytes of biases and seconds of what follows, or bytes loaded and stored.
        links: (n, 2) the product and what is on chip, or the vector op; and the row before in its slot.
        slots: (slots + 1,) last row of each slot; at the end, how many rows there are.
        cycles: (ops,) vector cycles of each op.
        on: (tensors,) whether a tensor is on chip.
        plain: (ops, 2) row and ops of the entry that was found last at each op with everything on chip, 0 ops for none.
    """

    rows: Column
    links: IntArray
    slots: IntArray
    cycles: Column
    on: NDArray[np.bool_]
    plain: IntArray


def room_for_known(f: Facts) -> Known:
    """Arrays for what will be known of designs, one after the other; see `forget`."""
    ops = len(f.work)
    return Known(
        np.empty((_MOST, _COLUMNS)), np.empty((_MOST, 2), np.int64), np.empty(_SLOTS + 1, np.int64), np.empty(ops),
        np.empty(len(f.tensors), np.bool_), np.empty((ops, 2), np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def forget(f, chip, known):  # type: ignore[no-untyped-def]
    """Nothing is known but the vector cycles of all ops."""
    known.slots[:], known.plain[:], known.cycles[:] = -1, 0, 0.0
    known.slots[_SLOTS] = 0
    for op in range(len(f.work)):
        if f.ops[op, KIND] == VECTOR:
            crossing = f.work[op, CROSSING] / chip.sizes[CORES]
            known.cycles[op] = vector_cycles(compute_cycles(f.work, chip.sizes, op), crossing, chip.mapper)
    put_back(f, known)


@njit(cache=True, nogil=True, inline="always")
def compute_cycles(work, sizes, op):  # type: ignore[no-untyped-def]
    """Cycles of the vector units of all cores for the operations of an op alone."""
    return (work[op, SIMPLE] * sizes[CYCLES_SIMPLE] + work[op, SPECIAL] * sizes[CYCLES_SPECIAL]) / sizes[LANES]


@njit(cache=True, nogil=True, inline="always")
def is_full(known):  # type: ignore[no-untyped-def]
    """Whether nothing more can be noted, so that what was found is not all."""
    return known.slots[_SLOTS] == _MOST


@njit(cache=True, nogil=True, inline="always")
def is_crowded(known):  # type: ignore[no-untyped-def]
    """Whether another design might not find room."""
    return known.slots[_SLOTS] > _MOST // 2


@njit(cache=True, nogil=True, inline="always")
def put_back(f, known):  # type: ignore[no-untyped-def]
    """Put everything on chip that may be."""
    for tensor in range(len(known.on)):
        known.on[tensor] = f.tensors[tensor, HELD] != 0


@njit(cache=True, nogil=True)
def machine_at(chip, unit, free_bytes):  # type: ignore[no-untyped-def]
    """The machine for one format with ``free_bytes`` of all scratchpads for streams."""
    r = chip.machines[unit]
    return Machine(
        int(r[0]), int(r[1]), int(r[2]), int(r[3]), int(r[4]), int(r[5]), r[6] != 0, r[7] != 0, r[8] != 0, r[9] != 0,
        r[10], free_bytes / chip.sizes[CORES], r[12], r[13] != 0, r[14], r[15], r[16], r[17], r[18], r[19], r[20] != 0,
        r[21], r[22],
    )  # fmt: skip


@njit(cache=True, nogil=True, inline="always")
def _is_read(reads, tensors, on, read, resident):  # type: ignore[no-untyped-def]
    """Whether what an op reads, by its place in ``reads``, is in DRAM only."""
    tensor = reads[read, 0]
    if tensors[tensor, WEIGHT]:
        return resident == NONE or (resident == READ_WHOLE and reads[read, 1] != 0)
    return not on[tensor]


@njit(cache=True, nogil=True, inline="always")
def _is_stored(tensors, on, tensor, resident):  # type: ignore[no-untyped-def]
    """Whether what an op makes goes to DRAM."""
    return resident == NONE if tensors[tensor, WEIGHT] else not on[tensor]


@njit(cache=True, nogil=True)
def problem_at(f, on, op, resident, follow_s):  # type: ignore[no-untyped-def]
    """The product of a matrix op with ``follow_s`` of vector work behind it."""
    s, b, first = f.ops[op, SHAPE:], f.work[op, BYTES:], f.ops[op, READS]
    extra = 0.0
    for read in range(first + 2, f.ops[op + 1, READS]):
        if _is_read(f.reads, f.tensors, on, read, resident):
            extra += f.tensor_bytes[f.reads[read, 0]]
    return Problem(
        s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8], b[0], b[1], b[2], b[3],
        not _is_read(f.reads, f.tensors, on, first, resident),
        not _is_stored(f.tensors, on, f.makes[f.ops[op, MAKES]], resident),
        not _is_read(f.reads, f.tensors, on, first + 1, resident), extra, follow_s,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def followers_of(ops, reads, makes, tensors, on, op):  # type: ignore[no-untyped-def]
    """How many ops behind a matrix op work on its results tile by tile."""
    made, count = makes[ops[op, MAKES]], 0
    for behind in range(op + 1, op + 1 + ops[op, FOLLOW]):
        near, inside = False, True
        for read in range(ops[behind, READS], ops[behind + 1, READS]):
            tensor = reads[read, 0]
            near |= (tensor == made and on[made]) or op < tensors[tensor, MAKER] < behind
            inside &= on[tensor]
        for out in range(ops[behind, MAKES], ops[behind + 1, MAKES]):
            inside &= on[makes[out]]
        if not near or not (inside or ops[behind, KIND] == VIEW):
            break
        count += 1
    while count and ops[op + count, KIND] == VIEW:
        count -= 1
    return count


@njit(cache=True, nogil=True)
def _find(rows, links, slots, key, first, second, capacity):  # type: ignore[no-untyped-def]
    """(slot, row) of what was searched before and serves a core with ``capacity``: -1 for nothing, -2: nothing fits."""
    mixed = key * 2654435761 + hash(first) * 40503 + hash(second) * 69069
    slot = (mixed ^ (mixed >> 29) ^ (mixed >> 43)) & (_SLOTS - 1)
    at = slots[slot]
    while at >= 0:
        if links[at, 0] == key and rows[at, _FIRST] == first and rows[at, _SECOND] == second:
            # The best of a larger room is that of a smaller one, if it fits; what fits nowhere there does not here.
            fits = np.isfinite(rows[at, _TIME])
            if rows[at, _LIMIT] >= capacity and (not fits or rows[at, BUFFER] <= capacity):
                return slot, at if fits else -2
        at = links[at, 1]
    return slot, -1


@njit(cache=True, nogil=True)
def _add(rows, links, slots, slot, key, first, second, capacity, time_s):  # type: ignore[no-untyped-def]
    """Note what was searched; its row is the last."""
    at = slots[_SLOTS]
    rows[at, _TIME], rows[at, _LIMIT], rows[at, _FIRST], rows[at, _SECOND] = time_s, capacity, first, second
    links[at, 0], links[at, 1], slots[slot] = key, slots[slot], at
    slots[_SLOTS] += 1
    return at if np.isfinite(time_s) else -2


@njit(cache=True, nogil=True, inline="always")
def _product_at(f, chip, known, op, resident, free_bytes, follow_s):  # type: ignore[no-untyped-def]
    """Row of the best mapping of a product, negative where none fits."""
    p = problem_at(f, known.on, op, resident, follow_s)
    key = f.ops[op, PRODUCT] * 8 + 4 * p.input_on_chip + 2 * p.output_on_chip + p.weight_on_chip
    rows, links, slots, capacity = known.rows, known.links, known.slots, free_bytes / chip.sizes[CORES]
    slot, at = _find(rows, links, slots, key, p.extra_load_bytes, follow_s, capacity)
    if at == -1 and not is_full(known):
        c, found, _ = search(p, machine_at(chip, f.ops[op, UNIT], free_bytes), _PRUNED)
        put_candidate(rows[slots[_SLOTS]], p, found, c.split_g * c.split_m * c.split_n * c.split_k)
        time_s = found.time_s if found.feasible else np.inf
        at = _add(rows, links, slots, slot, key, p.extra_load_bytes, follow_s, capacity, time_s)
    return at


@njit(cache=True, nogil=True, inline="always")
def _vector_at(f, chip, known, op, resident, free_bytes):  # type: ignore[no-untyped-def]
    """Row of the best mapping of vector work, negative where none fits."""
    load = store = 0.0
    for read in range(f.ops[op, READS], f.ops[op + 1, READS]):
        if _is_read(f.reads, f.tensors, known.on, read, resident):
            load += f.read_bytes[read]
    for out in range(f.ops[op, MAKES], f.ops[op + 1, MAKES]):
        if _is_stored(f.tensors, known.on, f.makes[out], resident):
            store += f.tensor_bytes[f.makes[out]]
    rows, links, slots, cores = known.rows, known.links, known.slots, chip.sizes[CORES]
    slot, at = _find(rows, links, slots, -1 - op, load, store, free_bytes / cores)
    if at == -1 and not is_full(known):
        m, burst = chip.mapper, chip.sizes[BURST]
        rates = Rates(m[1], m[2], burst, m[3], m[4], m[5], m[6], m[7])
        tiles, time_s = fastest_chunks(known.cycles[op], load, store, free_bytes, 1.0 / cores, rates)
        if tiles > 0:
            cycles = compute_cycles(f.work, chip.sizes, op)
            put_chunks(rows[slots[_SLOTS]], tiles, cycles, f.work[op, CROSSING], load, store, cores, burst)
        at = _add(rows, links, slots, slot, -1 - op, load, store, free_bytes / cores, time_s)
    return at


@njit(cache=True, nogil=True, inline="always")
def plain_at(f, chip, known, op, free_bytes):  # type: ignore[no-untyped-def]
    """`entry_at` with everything on chip, as it is now."""
    row, ops, capacity = known.plain[op, 0], known.plain[op, 1], free_bytes / chip.sizes[CORES]
    if ops and (row < 0 or (known.rows[row, _LIMIT] >= capacity and known.rows[row, BUFFER] <= capacity)):
        return Entry(known.rows[row, _TIME] if row >= 0 else 0.0, ops, row, True)
    found = entry_at(f, chip, known, op, ALL, free_bytes)
    if found.ops and (found.row >= 0 or found.time_s == 0):
        known.plain[op, 0], known.plain[op, 1] = found.row, found.ops
    return found


@njit(cache=True, nogil=True)
def entry_at(f, chip, known, op, resident, free_bytes):  # type: ignore[no-untyped-def]
    """The `Entry` that begins at ``op`` with what is on chip now, in ``free_bytes`` of all scratchpads."""
    kind, m = f.ops[op, KIND], chip.mapper
    if kind == VIEW:
        return Entry(0.0, 1, -1, True)
    if kind == HOST:
        return Entry(f.work[op, HOST_BYTES_OF] / m[12] + m[13] + f.work[op, HOST_S] * m[14], 1, -1, True)
    behind = 0
    if kind == MATRIX:
        behind, total = followers_of(f.ops, f.reads, f.makes, f.tensors, known.on, op), 0.0
        for each in range(op + 1, op + 1 + behind):
            total += known.cycles[each]
        row = _product_at(f, chip, known, op, resident, free_bytes, total / m[9])
    else:
        row = _vector_at(f, chip, known, op, resident, free_bytes)
    if row < 0:
        return Entry(np.inf, 0, -1, False)
    return Entry(known.rows[row, _TIME], 1 + behind, row, is_quiet(known.rows, row))

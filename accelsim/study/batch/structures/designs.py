"""Whole designs in compiled code: all attempts of `mapping.digital`, the best sequence, and what it takes and moves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.mapping.digital import ACTIVATION_SHARES, AHEAD_SHARE, RESIDENT_SHARE
from accelsim.mapping.sequence import shortest
from accelsim.mapping.unowned import unowned
from accelsim.study.batch.sequences import modes_of
from accelsim.study.batch.structures.borders import begin_stripes
from accelsim.study.batch.structures.chosen import chosen_fs
from accelsim.study.batch.structures.entries import (
    BURST,
    CAPACITY,
    DRAM_CAPACITY,
    FIFO,
    NONE,
    READ_WHOLE,
    Chip,
    entry_at,
    forget,
    is_crowded,
    is_full,
    put_back,
)
from accelsim.study.batch.structures.facts import (
    BEGIN,
    BYTES,
    KIND,
    LOADABLE,
    MATRIX,
    READS,
    SHAPE,
    STRIPES,
    UNIT,
    WEIGHT,
)
from accelsim.study.batch.structures.groups import find_groups
from accelsim.study.batch.structures.least import Least, least_of, most_saved_s

__all__ = ["FOUND", "INFEASIBLE", "UNKNOWN", "evaluated"]

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]

FOUND, INFEASIBLE, UNKNOWN = range(3)
"""Whether a design runs the workload; unknown where the DRAM is too small or the room for what was searched ended."""
_SHARES = np.array(ACTIVATION_SHARES)
_NONE: int = np.int64(-1)  # type: ignore[assignment]
"""No attempt; a number of numpy is no literal, for each of which compiled code would be made anew."""


class _Row(NamedTuple):
    """The entries of an attempt.

    Attributes:
        entries: (entries, 5) first op; ops and row alone; ops (0 where there is none) and row in a run.
        table, quiet: as `sequence.shortest` takes them.
        moved: (entries,) bytes loaded ahead.
    """

    entries: IntArray
    table: Column
    quiet: NDArray[np.bool_]
    moved: Column


@njit(cache=True, nogil=True)
def _placed(f, known, budget):  # type: ignore[no-untyped-def]
    """Put on chip what stays there with ``budget`` bytes for activations; how many tensors that are."""
    count = 0
    put_back(f, known)
    for tensor in range(len(f.need_bytes)):
        known.on[tensor] = f.need_bytes[tensor] <= budget
        count += known.on[tensor]
    return count


@njit(cache=True, nogil=True)
def _stored_ahead(f, chip, op):  # type: ignore[no-untyped-def]
    """Bytes of the weights that are loaded before ``op``: on some machines in whole tiles of the array."""
    moved, second = f.work[op, LOADABLE], f.reads[f.ops[op, READS] + 1, 0] if f.ops[op, KIND] == MATRIX else -1
    machine = chip.machines[f.ops[op, UNIT]]
    if second < 0 or not f.tensors[second, WEIGHT] or machine[20] == 0:
        return moved
    groups, n, k = f.ops[op, SHAPE], f.ops[op, SHAPE + 2], f.ops[op, SHAPE + 3]
    columns, reduction = machine[2] * machine[4], machine[1] * machine[3]
    stored = groups * (np.ceil(n / columns) * columns) * (np.ceil(k / reduction) * reduction) * f.work[op, BYTES]
    return moved + (stored - f.tensor_bytes[second])


@njit(cache=True, nogil=True)
def _row_of(f, chip, known, free_bytes, prefetch):  # type: ignore[no-untyped-def]
    """(whether all entries fit, `_Row` of the workload) with what is on chip now."""
    op, ops, count = f.bodies[0, BEGIN], f.bodies[1, BEGIN], 0
    row = _Row(np.zeros((ops, 5), np.int64), np.zeros((ops, 4)), np.zeros(ops, np.bool_), np.zeros(ops))
    while op < ops:
        entry = entry_at(f, chip, known, op, NONE, free_bytes)
        if entry.ops == 0:
            return False, row
        row.entries[count, 0], row.entries[count, 1], row.entries[count, 2] = op, entry.ops, entry.row
        row.table[count, 0], row.table[count, 1] = entry.time_s, np.inf
        count += 1
        op += entry.ops
    if prefetch:
        slot = min(AHEAD_SHARE * free_bytes, chip.sizes[FIFO]) / 2
        for place in range(count):
            _put_ahead(f, chip, known, row, place, (1 - AHEAD_SHARE) * free_bytes, slot)
    return True, _Row(row.entries[:count], row.table[:count], row.quiet[:count], row.moved[:count])


@njit(cache=True, nogil=True, inline="always")
def _put_ahead(f, chip, known, row, place, free_bytes, slot):  # type: ignore[no-untyped-def]
    """Fill what the entry at ``place`` takes in a run, its weights loaded ahead, if they fit ``slot``."""
    op, burst = row.entries[place, 0], chip.sizes[BURST]
    moved = _stored_ahead(f, chip, op)
    if f.work[op, LOADABLE] > slot or moved > slot:
        return
    entry = entry_at(f, chip, known, op, READ_WHOLE, free_bytes)
    if entry.ops == 0:
        return
    row.entries[place, 3], row.entries[place, 4], row.moved[place] = entry.ops, entry.row, moved
    row.quiet[place] = entry.quiet
    row.table[place, 1] = entry.time_s
    row.table[place, 2], row.table[place, 3] = np.ceil(moved / burst) * burst / chip.mapper[2], moved / chip.mapper[4]


@njit(cache=True, nogil=True)
def _sorted(groups):  # type: ignore[no-untyped-def]
    """Order of groups by their first and last entries; of those with the same, the first found first."""
    keys = groups.table[:, 0] * (groups.table[:, 1].max() + 1) + groups.table[:, 1]
    return np.argsort(keys, kind="mergesort")


@njit(cache=True, nogil=True)
def _stored_bytes(stored, budget):  # type: ignore[no-untyped-def]
    """What lives in DRAM at most with ``budget`` bytes for activations on chip."""
    if len(stored.spans) == 0:
        return stored.always
    held = np.zeros(stored.spans.max() + 1)
    for index in range(len(stored.spans)):
        if stored.need_bytes[index] > budget:
            held[stored.spans[index, 0] : stored.spans[index, 1] + 1] += stored.bytes[index]
    return stored.always + held.max()


@njit(cache=True, nogil=True, inline="always")
def _design(f, stored, chip, known, stripes, fusion, prefetch, spent):  # type: ignore[no-untyped-def]
    """(code, femtoseconds) of one design; fills ``spent``."""
    no_spans, no_times = np.empty((0, 2), np.int64), np.empty(0)
    best, best_s, before = _NONE, np.inf, _NONE
    times = np.full(len(_SHARES), np.inf)
    rows: list[_Row] = []
    for attempt, share in enumerate(_SHARES):
        count = _placed(f, known, share * chip.sizes[CAPACITY])
        free_bytes = (1 - share) * chip.sizes[CAPACITY]
        fits, row = _row_of(f, chip, known, free_bytes, prefetch) if count != before else (False, rows[-1])
        rows.append(row)
        if count != before and fits:
            times[attempt] = shortest(row.table, row.quiet, chip.mapper[3], no_spans, no_times)[0][-1]
            if times[attempt] < best_s:
                best, best_s = attempt, times[attempt]
        before = count
    if best < 0:
        return UNKNOWN if is_full(known) else INFEASIBLE, 0
    modes = np.zeros(len(rows[best].entries), np.int64)
    came_from, kind = shortest(rows[best].table, rows[best].quiet, chip.mapper[3], no_spans, no_times)[1:]
    modes_of(came_from, kind, modes)
    chosen, grouped = _no_groups(), _NONE
    leasts, bounds = _bounds(f, chip, known, rows, times, best) if fusion else _no_bounds()
    while len(bounds):
        attempt = int(np.argmin(bounds))
        # Of attempts that are equally fast with groups the first is taken.
        enough_s = np.nextafter(best_s, np.inf) if attempt < grouped else best_s
        if bounds[attempt] >= enough_s:
            break
        bounds[attempt] = np.inf
        found_s, found_modes, groups = _with_groups(
            f, chip, known, stripes, rows[attempt], attempt, leasts[attempt], enough_s
        )  # fmt: skip
        if found_s < enough_s:
            best, best_s, modes, chosen, grouped = attempt, found_s, found_modes, groups, attempt
    outside_bytes = _stored_bytes(stored, _SHARES[best] * chip.sizes[CAPACITY])
    if is_full(known) or outside_bytes > chip.sizes[DRAM_CAPACITY]:
        return UNKNOWN, 0
    _begin(f, chip, known, stripes, best)
    return FOUND, chosen_fs(f, chip, known, rows[best], stripes, modes, chosen, spent)


@njit(cache=True, nogil=True)
def _bounds(f, chip, known, rows, times, best):  # type: ignore[no-untyped-def]
    """`Least` of each attempt, and seconds that it takes at least with groups, infinite where it does not fit."""
    bounds = np.full(len(times), np.inf)
    leasts = [least_of(f, chip, known, rows[best].entries[:, 0])]
    for attempt in range(len(times)):
        if np.isfinite(times[attempt]) and attempt != best:
            leasts.append(least_of(f, chip, known, rows[attempt].entries[:, 0]))
        else:
            leasts.append(leasts[0])
        if np.isfinite(times[attempt]):
            alone_s = rows[attempt].table[:, 0].copy()
            bounds[attempt] = times[attempt] - most_saved_s(alone_s, leasts[-1], f.bodies[:, STRIPES].max())
    return leasts[1:], bounds


@njit(cache=True, nogil=True)
def _no_bounds():  # type: ignore[no-untyped-def]
    """Those of no attempts."""
    return [Least(np.empty((0, 3)), np.empty((0, 2), np.int64))], np.empty(0)


@njit(cache=True, nogil=True)
def _no_groups():  # type: ignore[no-untyped-def]
    """(0, 5) first and last entry, body, first and last op of each group."""
    return np.empty((0, 5), np.int64)


@njit(cache=True, nogil=True)
def _begin(f, chip, known, stripes, attempt):  # type: ignore[no-untyped-def]
    """Begin with the groups of an attempt; puts everything on chip."""
    share = _SHARES[attempt]
    _placed(f, known, share * chip.sizes[CAPACITY])
    free_bytes = (1 - share) * chip.sizes[CAPACITY]
    held = RESIDENT_SHARE * free_bytes
    begin_stripes(stripes, known.on[: len(f.need_bytes)], free_bytes - held, held)
    put_back(f, known)


@njit(cache=True, nogil=True, inline="always")
def _with_groups(f, chip, known, stripes, row, attempt, least, enough_s):  # type: ignore[no-untyped-def]
    """(seconds, modes, groups) of the best sequence of an attempt with groups, infinite where none can win."""
    _begin(f, chip, known, stripes, attempt)
    groups = find_groups(f, chip, known, stripes, row, least, enough_s)
    if len(groups.table) == 0:
        return np.inf, np.zeros(0, np.int64), _no_groups()
    order = _sorted(groups)
    table = groups.table[order]
    best_s, came_from, kind = shortest(row.table, row.quiet, chip.mapper[3], table[:, :2].copy(), groups.time_s[order])
    modes = np.zeros(len(row.entries), np.int64)
    modes_of(came_from, kind, modes)
    return best_s[-1], modes, table


@njit(cache=True, nogil=True)
def _searches_alike(machines, mapper, sizes, a, b):  # type: ignore[no-untyped-def]
    """Whether two designs differ in the room for streams at most, as far as searches go."""
    return (
        np.all(machines[a] == machines[b]) and np.all(mapper[a] == mapper[b])
        and np.all(sizes[a, :CAPACITY] == sizes[b, :CAPACITY])
    )  # fmt: skip


@njit(cache=True, nogil=True)
def evaluated(f, stored, known, stripes, machines, mapper, engine, sizes, fusion, prefetch, codes, makespan_fs, spent):  # type: ignore[no-untyped-def]
    """Fill codes, femtoseconds and (designs, 4) bytes of scratchpads, network, DRAM and host of each design.

    What was searched for one design serves the next if they differ in memory only, the larger one first.

    Args:
        f: `Facts` of the workload, and ``stored`` its `Stored`.
        known, stripes: room for what is found, whatever is in it.
        machines: (designs, formats, fields of `space.Machine`).
        mapper, engine: (designs, ...) rates.
        sizes: (designs, 8) as `Chip` has them.
        fusion, prefetch: choices that the mapper may make.
    """
    f, stored, known, stripes = unowned(f), unowned(stored), unowned(known), unowned(stripes)
    machines, mapper, engine, sizes = unowned(machines), unowned(mapper), unowned(engine), unowned(sizes)
    for design in range(len(codes)):
        chip = Chip(machines[design], mapper[design], engine[design], sizes[design])
        if design == 0 or is_crowded(known) or not _searches_alike(machines, mapper, sizes, design - 1, design):
            forget(f, chip, known)
        spent[design] = 0.0
        codes[design], makespan_fs[design] = _design(
            f, stored, chip, known, stripes, fusion, prefetch, spent[design]
        )  # fmt: skip

"""Which candidates of each search may be best for a group of designs: a tree of boxes around ever fewer designs.

A node keeps, for each search that was asked for, the candidates of its parent that `candidates.filtered` leaves in its
own box. Nothing is made before it is asked for.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.study.batch.candidates import BUFFER, FIELDS, filtered
from accelsim.study.batch.contenders import contenders, without_rates
from accelsim.study.batch.envelope import Cells
from accelsim.study.batch.kernels import Needed
from accelsim.study.batch.rates import Box
from accelsim.study.batch.searches import ARRAY, HOST, VECTOR, Search, Searches

__all__ = ["Node", "Table", "needed"]

IntArray = NDArray[np.int64]
_NONE = np.zeros(0, dtype=np.int64)


class Table:
    """Candidates of all searches that some design may take, (n, `FIELDS`), as they are found."""

    def __init__(self, searches: Searches, burst: float) -> None:
        self.searches, self.burst = searches, burst
        self._rows = np.empty((4096, len(FIELDS)))
        self._count = 0
        self._listed = _listed([])

    @property
    def rows(self) -> NDArray[np.float64]:
        """All that were kept."""
        return self._rows[: self._count]

    @property
    def listed(self) -> Needed:
        """All searches so far as columns, without candidates."""
        if len(self._listed.kind) < len(self.searches.found):
            self._listed = _listed(self.searches.found)
        return self._listed

    def keep(self, rows: NDArray[np.float64]) -> IntArray:
        """Add rows; their indices."""
        while self._count + len(rows) > len(self._rows):
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
        begin, self._count = self._count, self._count + len(rows)
        self._rows[begin : self._count] = rows
        return np.arange(begin, self._count)


class Node:
    """A box of designs.

    With ``cells``, what is the best of a search for one of its designs is found; else what its parent left is filtered.
    ``few`` candidates are left where that was so here or above.
    """

    def __init__(self, table: Table, box: Box | None, parent: Node | None = None, cells: Cells | None = None) -> None:
        self.table, self.box, self.parent, self.cells = table, box, parent, cells
        self._begin, self._count = _NONE, _NONE
        self._pool = _NONE
        self._best: dict[Hashable, list[tuple[float, float, IntArray]]] = {}
        self.few: bool = cells is not None or (parent is not None and parent.few)

    def pool(self, search: int) -> IntArray:
        """Rows of the table that may be best for a search here."""
        return self.pools(np.array([search]))[1]

    def pools(self, searches: IntArray) -> tuple[IntArray, IntArray]:
        """Those of several searches: (searches + 1,) where each begins, and all of them."""
        self._grow(len(self.table.searches.found))
        unknown = np.unique(searches[self._begin[searches] < 0])
        if unknown.size:
            ptr, pool = self._found(unknown)
            self._begin[unknown], self._count[unknown] = len(self._pool) + ptr[:-1], np.diff(ptr)
            self._pool = np.concatenate((self._pool, pool))
        return gathered(self._begin[searches], self._count[searches], self._pool)

    def _grow(self, count: int) -> None:
        more = np.full(count - len(self._begin), -1, dtype=np.int64)
        if more.size:
            self._begin, self._count = np.concatenate((self._begin, more)), np.concatenate((self._count, more))

    def _found(self, searches: IntArray) -> tuple[IntArray, IntArray]:
        if self.parent is not None and self.cells is None:
            ptr, pool = self.parent.pools(searches)
            return self._filtered(self.table.rows, ptr, pool, searches)
        kind, found = self.table.listed.kind[searches], [_NONE] * len(searches)
        vector = np.flatnonzero(kind == VECTOR)
        for place, each in zip(vector.tolist(), self._chunks(searches[vector]), strict=True):
            found[place] = each
        arrays = np.flatnonzero(kind == ARRAY).tolist()
        if self.cells is not None:
            arrays.sort(key=lambda place: -self.table.searches.capacity_of(int(searches[place])))
        for place in arrays:
            found[place] = self._mappings(int(searches[place]))
        return _pointers([len(each) for each in found]), np.concatenate([_NONE, *found])

    def _mappings(self, number: int) -> IntArray:
        """Rows of a search of a product."""
        if self.cells is not None:
            return self._contenders(number, self.cells)
        rows = self.table.searches.candidates(number)
        everything = np.array([0, len(rows)]), np.arange(len(rows))
        return self.table.keep(rows[self._filtered(rows, *everything, np.array([number]))[1]])

    def _contenders(self, number: int, cells: Cells) -> IntArray:
        """Those that are the best for a design; those of a larger room are those of each smaller one that they fit."""
        search = self.table.searches.found[number]
        assert search.problem is not None
        assert search.machine is not None
        capacity, machine = search.machine.capacity_bytes, without_rates(search.machine)
        known = self._best.setdefault((search.problem, machine, search.followers), [])
        for limit, held, found in known:
            if held <= capacity <= limit:
                return found
        followers = np.array(search.followers, dtype=np.float64).reshape(-1, 2)
        machine = machine._replace(capacity_bytes=capacity)
        rows = contenders(search.problem, machine, followers, self.table.burst, cells)
        known.append((capacity, float(rows[:, BUFFER].max(initial=0.0)), self.table.keep(rows)))
        return known[-1][2]

    def _chunks(self, numbers: IntArray) -> list[IntArray]:
        """Rows of searches of vector work."""
        if not len(numbers):
            return []
        ptr, rows = self.table.searches.chunks(numbers.tolist(), self.table.burst)
        ptr, left = self._filtered(rows, ptr, np.arange(len(rows)), numbers)
        return np.split(self.table.keep(rows[left]), ptr[1:-1])

    def _filtered(
        self, rows: NDArray[np.float64], ptr: IntArray, pool: IntArray, searches: IntArray
    ) -> tuple[IntArray, IntArray]:  # fmt: skip
        if self.box is None:
            return ptr, pool
        all_, box = self.table.listed, self.box
        left: tuple[IntArray, IntArray] = _filtered(
            rows, ptr, pool, searches, all_.kind, all_.follow_ptr, all_.followers, self.table.burst, box.center,
            box.corners,
        )  # fmt: skip
        return left


@njit(cache=True, nogil=True)
def _filtered(rows, ptr, pool, searches, kind, follow_ptr, followers, burst, center, corners):  # type: ignore[no-untyped-def]
    """`candidates.filtered` of several searches: where each begins, and what is left."""
    begins, left, count = np.zeros(len(ptr), np.int64), np.empty(len(pool), np.int64), 0
    for place in range(len(searches)):
        search = searches[place]
        own = pool[ptr[place] : ptr[place + 1]]
        if len(own) > 1:
            behind = followers[follow_ptr[search] : follow_ptr[search + 1]]
            own = filtered(rows, own, behind, kind[search] == VECTOR, burst, center, corners)
        left[count : count + len(own)] = own
        count += len(own)
        begins[place + 1] = count
    return begins, left[:count]


def needed(node: Node, searches: Sequence[int] | IntArray) -> Needed:
    """``searches`` as columns, with the candidates that are left at ``node``."""
    chosen = np.asarray(searches, dtype=np.int64)
    all_, (ptr, pool) = node.table.listed, node.pools(chosen)
    begin, count = all_.follow_ptr[chosen], np.diff(all_.follow_ptr)[chosen]
    follow_ptr, which = gathered(begin, count, np.arange(len(all_.followers)))
    return Needed(
        all_.kind[chosen], follow_ptr, all_.followers[which], all_.follower_bytes[which], all_.host[chosen], ptr, pool
    )


def gathered(begin: IntArray, count: IntArray, values: IntArray) -> tuple[IntArray, IntArray]:
    """Parts of ``values``, one behind the other: where each begins, and all of them."""
    ptr = np.concatenate(([0], np.cumsum(count)))
    return ptr, values[np.arange(ptr[-1]) + np.repeat(begin - ptr[:-1], count)]


def _listed(searches: Sequence[Search]) -> Needed:
    """Searches as columns, without candidates."""
    return Needed(
        np.array([each.kind for each in searches], dtype=np.int64),
        _pointers([len(each.followers) for each in searches]),
        np.array([pair for each in searches for pair in each.followers], dtype=np.float64).reshape(-1, 2),
        np.array([size for each in searches for size in each.follower_bytes], dtype=np.float64),
        np.array(
            [each.host if each.kind == HOST else (0.0, 0.0) for each in searches], dtype=np.float64
        ).reshape(-1, 2),
        np.zeros(len(searches) + 1, dtype=np.int64), _NONE,
    )  # fmt: skip


def _pointers(counts: Sequence[int]) -> IntArray:
    return np.concatenate(([0], np.cumsum(np.array(counts, dtype=np.int64)))).astype(np.int64)

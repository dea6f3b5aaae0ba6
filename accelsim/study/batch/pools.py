"""Which candidates of each search may be best for a group of designs: a tree of boxes around ever fewer designs.

A node keeps, for each search that was asked for, the candidates of its parent that `candidates.filtered` leaves in its
own box. Nothing is made before it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from accelsim.study.batch.candidates import FIELDS, filtered
from accelsim.study.batch.kernels import Needed
from accelsim.study.batch.rates import Box
from accelsim.study.batch.searches import ARRAY, HOST, VECTOR, Searches

__all__ = ["Node", "Table", "needed"]

IntArray = NDArray[np.int64]
_NONE = np.zeros(0, dtype=np.int64)


class Table:
    """Candidates of all searches that some design may take, (n, `FIELDS`), as they are found."""

    def __init__(self, searches: Searches, burst: float) -> None:
        self.searches, self.burst = searches, burst
        self._rows = np.empty((4096, len(FIELDS)))
        self._count = 0

    @property
    def rows(self) -> NDArray[np.float64]:
        """All that were kept."""
        return self._rows[: self._count]

    def keep(self, rows: NDArray[np.float64]) -> IntArray:
        """Add rows; their indices."""
        while self._count + len(rows) > len(self._rows):
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
        begin, self._count = self._count, self._count + len(rows)
        self._rows[begin : self._count] = rows
        return np.arange(begin, self._count)


class Node:
    """A box of designs."""

    def __init__(self, table: Table, box: Box | None, parent: Node | None = None) -> None:
        self.table, self.box, self.parent = table, box, parent
        self._pools: dict[int, IntArray] = {}

    def pool(self, search: int) -> IntArray:
        """Rows of the table that may be best for a search here."""
        if search not in self._pools:
            self._pools[search] = self._found(search)
        return self._pools[search]

    def _found(self, search: int) -> IntArray:
        one = self.table.searches.found[search]
        if one.kind not in (ARRAY, VECTOR):
            return _NONE
        if self.parent is not None:
            above = self.parent.pool(search)
            return above if len(above) <= 1 else self._filtered(self.table.rows, above, search)
        rows = self.table.searches.candidates(search)
        return self.table.keep(rows[self._filtered(rows, np.arange(len(rows)), search)])

    def _filtered(self, rows: NDArray[np.float64], pool: IntArray, search: int) -> IntArray:
        if self.box is None:
            return pool
        one = self.table.searches.found[search]
        followers = np.array(one.followers, dtype=np.float64).reshape(-1, 2)
        left: IntArray = filtered(
            rows, pool, followers, one.kind == VECTOR, self.table.burst, self.box.center, self.box.corners
        )
        return left


def needed(node: Node, searches: Sequence[int]) -> Needed:
    """``searches`` as columns, with the candidates that are left at ``node``."""
    chosen = [node.table.searches.found[each] for each in searches]
    pools = [node.pool(each) for each in searches]
    return Needed(
        np.array([each.kind for each in chosen], dtype=np.int64),
        _pointers([len(each.followers) for each in chosen]),
        np.array([pair for each in chosen for pair in each.followers], dtype=np.float64).reshape(-1, 2),
        np.array([size for each in chosen for size in each.follower_bytes], dtype=np.float64),
        np.array([each.host if each.kind == HOST else (0.0, 0.0) for each in chosen], dtype=np.float64).reshape(-1, 2),
        _pointers([len(pool) for pool in pools]),
        np.concatenate([_NONE, *pools]),
    )


def _pointers(counts: Sequence[int]) -> IntArray:
    return np.concatenate(([0], np.cumsum(np.array(counts, dtype=np.int64)))).astype(np.int64)

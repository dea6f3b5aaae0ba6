"""Blocks of several matrices on shared tiles: shelves across them, first fit, the tallest blocks first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from accelsim.hardware.aimc.description import AimcArchitecture
from accelsim.mapping.aimc.assign import Wanted, cut_of
from accelsim.mapping.aimc.records import Block, Cut

__all__ = ["Blocks", "finer", "packed", "paged"]

Blocks = dict[str, list[Block]]
_FURTHER_PARTS = 3
"""Rows, or columns, are cut into up to so many parts more than they must be."""
_TRIED = 200
"""Sets of cuts that are looked at, at most."""


def packed(matrices: Sequence[Wanted], arch: AimcArchitecture) -> tuple[Blocks, int]:
    """Blocks of each matrix, and the tiles that they take. Matrices in pages share tiles page by page."""
    pieces = [
        (rows, columns, part, number)
        for number, each in enumerate(matrices)
        for rows, columns, part in each.cut.blocks()
    ]
    # Blocks of the same rows side by side are read together.
    order = sorted(range(len(pieces)), key=lambda at: (-pieces[at][0], -pieces[at][1], pieces[at][3], pieces[at][2]))
    shelves = _Shelves(arch.tile.inputs, arch.tile.outputs)
    where = {index: shelves.place(pieces[index][0], pieces[index][1]) for index in order}
    blocks: Blocks = {each.name: [] for each in matrices}
    pages = max((each.cut.pages for each in matrices), default=1)
    for index, (rows, columns, part, number) in enumerate(pieces):
        sheet, row, column = where[index]
        page = sheet % pages if pages > 1 else None
        blocks[matrices[number].name].append(Block(sheet // pages, rows, columns, part, row, column, page))
    return blocks, -(-len(shelves.filled) // pages)


def paged(matrices: Sequence[Wanted], arch: AimcArchitecture) -> list[Wanted]:
    """The same with weights in a part of their cells."""
    return [replace(each, cut=replace(each.cut, pages=arch.tile.page_count)) for each in matrices]


def finer(matrices: Sequence[Wanted], arch: AimcArchitecture) -> list[Wanted] | None:
    """The matrices in more parts than they need be, so that they fit the tiles together; None where none is found.

    One shape at a time, those that waste most first, is cut into the parts with which all take the fewest tiles.
    """
    area = arch.tile.inputs * arch.tile.outputs
    if sum(_weights(each) for each in matrices) > arch.n_tiles * area:
        return None
    now, needed, tried = list(matrices), packed(matrices, arch)[1], 0
    for shape in _shapes(matrices, area):
        best = now
        for cut in _cuts(shape, arch):
            if tried == _TRIED:
                return None
            tried += 1
            others = [replace(each, cut=cut) if _shape(each.cut) == _shape(shape) else each for each in now]
            tiles = packed(others, arch)[1]
            if tiles <= arch.n_tiles:
                return others
            if tiles < needed:
                best, needed = others, tiles
        now = best
    return None


def _weights(each: Wanted) -> int:
    return each.cut.groups * each.cut.inputs * each.cut.outputs


def _shape(cut: Cut) -> tuple[int, int, int]:
    return cut.groups, cut.inputs, cut.outputs


def _shapes(matrices: Sequence[Wanted], area: int) -> list[Cut]:
    """A cut of each shape that leaves cells of its tiles empty, by the cells that all matrices of it leave."""
    empty: dict[tuple[int, int, int], int] = {}
    cuts: dict[tuple[int, int, int], Cut] = {}
    for each in matrices:
        shape = _shape(each.cut)
        cuts[shape] = each.cut
        empty[shape] = empty.get(shape, 0) + each.cut.tiles * area - _weights(each)
    return [cuts[shape] for shape in sorted(empty, key=lambda shape: -empty[shape]) if empty[shape]]


def _cuts(cut: Cut, arch: AimcArchitecture) -> list[Cut]:
    """Further cuts of a shape, in fewer parts first."""
    least = cut_of(*_shape(cut), arch)
    if least.groups_per_tile > 1:
        return []
    found = [
        replace(least, row_parts=least.row_parts + rows, column_parts=least.column_parts + columns)
        for rows in range(_FURTHER_PARTS + 1)
        for columns in range(_FURTHER_PARTS + 1)
        if rows + columns and least.row_parts + rows <= least.inputs and least.column_parts + columns <= least.outputs
    ]
    return sorted(found, key=lambda each: each.row_parts * each.column_parts)


class _Shelves:
    """Sheets of ``height`` x ``width`` lines, cut into shelves across; pieces come in falling height."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.filled: list[int] = []  # rows of each sheet that shelves take
        self._shelves: list[tuple[int, int, int]] = []  # (sheet, first row, columns in use) of those with room

    def place(self, rows: int, columns: int) -> tuple[int, int, int]:
        """(sheet, first row, first column): on the first shelf with room, else on a new one, else on a new sheet."""
        for position, (sheet, first, used) in enumerate(self._shelves):
            if used + columns <= self.width:
                self._shelves[position] = sheet, first, used + columns
                return sheet, first, used
        sheet = next((index for index, filled in enumerate(self.filled) if filled + rows <= self.height), -1)
        if sheet < 0:
            sheet = len(self.filled)
            self.filled.append(0)
        first = self.filled[sheet]
        self.filled[sheet] += rows
        if columns < self.width:
            self._shelves.append((sheet, first, columns))
        return sheet, first, 0

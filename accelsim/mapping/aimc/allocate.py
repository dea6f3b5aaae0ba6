"""Giving out tiles: copies where there are tiles to spare, shared tiles where they are short, rounds where allowed.

1. Every block on a tile of its own, and the tiles that are left to copies: one after the other to the matrix whose
   copies have the most vectors each, while it has that many that come together. That evens out what a pipeline of
   layers waits for.
2. Where that takes too many tiles, matrices share tiles, on shelves across them (first fit, the tallest blocks first):
   as few as must be, those with the fewest vectors first. Only the lines of one block are in use at a time, and
   matrices that share a tile are read one after the other.
3. Where that takes too many, and the chip may be written during an execution, top-level ops fill the tiles in rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.aimc.description import AimcArchitecture
from accelsim.mapping.aimc.assign import Wanted
from accelsim.mapping.aimc.records import Block, StoredMatrix

__all__ = ["allocated"]


def allocated(
    wanted: Mapping[str, Wanted], arch: AimcArchitecture, workload: str
) -> tuple[dict[str, StoredMatrix], int]:
    """Every matrix on tiles, which count from 0 in the order of the ops, and the number of rounds.

    Raises:
        InfeasibleError: more tiles are needed than there are.
    """
    matrices, tiles = list(wanted.values()), arch.n_tiles
    if sum(each.cut.tiles for each in matrices) <= tiles:
        return _apart(matrices, _copies(matrices, tiles)), 1
    _, needed = _packed(matrices, arch)
    if needed <= tiles:
        return _partly_packed(matrices, arch), 1
    if not arch.tile.programming.time_multiplexed:
        raise InfeasibleError(Infeasible("the mesh", needed, tiles, "tiles", f"workload {workload}"))
    return _in_rounds(matrices, arch)


def _copies(matrices: Sequence[Wanted], tiles: int) -> dict[str, int]:
    """Copies of each matrix, 1 or more."""
    copies = {each.name: 1 for each in matrices}
    free = tiles - sum(each.cut.tiles for each in matrices)
    open_ = list(matrices)
    while open_:
        worst = max(open_, key=lambda each: each.vectors / copies[each.name])
        if worst.cut.tiles > free or copies[worst.name] >= worst.batch:
            # What bounds the pipeline can have no more copies; others may still shorten its fill.
            open_.remove(worst)
            continue
        copies[worst.name] += 1
        free -= worst.cut.tiles
    return copies


def _apart(
    matrices: Iterable[Wanted], copies: Mapping[str, int], number: int = 0, first_tile: int = 0
) -> dict[str, StoredMatrix]:
    """Every block on its own tile, from ``first_tile`` on."""
    found: dict[str, StoredMatrix] = {}
    tile = first_tile
    for each in matrices:
        blocks = []
        for _ in range(copies[each.name]):
            for rows, columns, part in each.cut.blocks():
                blocks.append(Block(tile, rows, columns, part))
                tile += 1
        found[each.name] = StoredMatrix(each.name, each.cut, copies[each.name], tuple(blocks), each.name, number)
    return found


def _partly_packed(matrices: Sequence[Wanted], arch: AimcArchitecture) -> dict[str, StoredMatrix]:
    """As few matrices on shared tiles as must be, those with the fewest vectors; the others as if they were alone."""
    order = sorted(matrices, key=lambda each: each.vectors)

    def fits(count: int) -> bool:
        alone = sum(each.cut.tiles for each in order[count:])
        return alone <= arch.n_tiles and _packed(order[:count], arch)[1] + alone <= arch.n_tiles

    low, high = 0, len(order)  # all of them fit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    together = {each.name for each in order[:high]}
    shared, used = _packed([each for each in matrices if each.name in together], arch)
    alone = [each for each in matrices if each.name not in together]
    apart = _apart(alone, _copies(alone, arch.n_tiles - used), first_tile=used)
    found = shared | apart
    return _in_order({each.name: found[each.name] for each in matrices})


def _packed(matrices: Sequence[Wanted], arch: AimcArchitecture) -> tuple[dict[str, StoredMatrix], int]:
    """Blocks on shelves of shared tiles, and the tiles that this takes."""
    pieces = [(rows, columns, part, each.name) for each in matrices for rows, columns, part in each.cut.blocks()]
    order = sorted(range(len(pieces)), key=lambda index: (-pieces[index][0], -pieces[index][1]))
    shelves = _Shelves(arch.tile.inputs, arch.tile.outputs)
    where = {index: shelves.place(pieces[index][0], pieces[index][1]) for index in order}
    blocks: dict[str, list[Block]] = {each.name: [] for each in matrices}
    for index, (rows, columns, part, name) in enumerate(pieces):
        tile, row, column = where[index]
        blocks[name].append(Block(tile, rows, columns, part, row, column))
    resources = _resources(blocks)
    found = {
        each.name: StoredMatrix(each.name, each.cut, 1, tuple(blocks[each.name]), resources[each.name])
        for each in matrices
    }
    return _in_order(found), len(shelves.filled)


class _Shelves:
    """Tiles of ``height`` x ``width`` lines, cut into shelves across; pieces come in falling height."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.filled: list[int] = []  # rows of each tile that shelves take
        self._shelves: list[tuple[int, int, int]] = []  # (tile, first row, columns in use) of those with room

    def place(self, rows: int, columns: int) -> tuple[int, int, int]:
        """(tile, first row, first column): on the first shelf with room, else on a new one, else on a new tile."""
        for position, (tile, first, used) in enumerate(self._shelves):
            if used + columns <= self.width:
                self._shelves[position] = tile, first, used + columns
                return tile, first, used
        tile = next((index for index, filled in enumerate(self.filled) if filled + rows <= self.height), -1)
        if tile < 0:
            tile = len(self.filled)
            self.filled.append(0)
        first = self.filled[tile]
        self.filled[tile] += rows
        if columns < self.width:
            self._shelves.append((tile, first, columns))
        return tile, first, 0


def _resources(blocks: Mapping[str, Sequence[Block]]) -> dict[str, str]:
    """For each matrix the first of all matrices that it shares tiles with, directly or through others."""
    root = {name: name for name in blocks}

    def top(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    owner: dict[int, str] = {}
    for name, each in blocks.items():
        for block in each:
            first = owner.setdefault(block.tile, name)
            if top(first) != top(name):
                root[top(name)] = top(first)
    return {name: top(name) for name in blocks}


def _in_order(matrices: dict[str, StoredMatrix]) -> dict[str, StoredMatrix]:
    """The same with tiles counted in the order in which the matrices name them."""
    number: dict[int, int] = {}
    for each in matrices.values():
        for tile in each.tiles:
            number.setdefault(tile, len(number))
    return {
        name: replace(each, blocks=tuple(replace(block, tile=number[block.tile]) for block in each.blocks))
        for name, each in matrices.items()
    }


def _in_rounds(matrices: Sequence[Wanted], arch: AimcArchitecture) -> tuple[dict[str, StoredMatrix], int]:
    """Matrices in the order of the ops that read them first, as many a round as there are tiles for.

    Raises:
        InfeasibleError: one top-level op needs more tiles than there are.
    """
    places: dict[int, list[Wanted]] = {}
    for each in matrices:
        places.setdefault(each.place, []).append(each)
    rounds: list[list[Wanted]] = [[]]
    used = 0
    for _, group in sorted(places.items()):
        needed = sum(each.cut.tiles for each in group)
        if needed > arch.n_tiles:
            where = f"op that reads {group[0].name}"
            raise InfeasibleError(Infeasible("the mesh", needed, arch.n_tiles, "tiles", where))
        if used + needed > arch.n_tiles:
            rounds.append([])
            used = 0
        rounds[-1] += group
        used += needed
    found: dict[str, StoredMatrix] = {}
    for number, each_round in enumerate(rounds):
        found |= _apart(each_round, {each.name: 1 for each in each_round}, number)
    return found, len(rounds)

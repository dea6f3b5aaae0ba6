"""Giving out tiles: copies where there are tiles to spare, shared tiles where they are short, rounds where allowed.

1. Every block on a tile of its own, and the tiles that are left to copies: one after the other to the matrix whose
   copies have the most vectors each, while it has that many that come together. That evens out what a pipeline of
   layers waits for.
2. Where that takes too many tiles, matrices share tiles (see `pack`): as few as must be, those with the fewest vectors
   first. Only the lines of one block are in use at a time, and what shares a tile is read one after the other.
3. Where that takes too many, matrices are cut into more parts than they need be, so that rests fill up.
4. Where that takes too many, and weights may take a part of their cells, as few as must be do (pages of a tile, which
   are read one at a time), those with the fewest vectors first.
5. Where that takes too many, and the chip may be written during an execution, top-level ops fill the tiles in rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.aimc.description import AimcArchitecture
from accelsim.mapping.aimc.assign import Wanted
from accelsim.mapping.aimc.pack import Blocks, finer, packed, paged
from accelsim.mapping.aimc.records import Block, StoredMatrix

__all__ = ["allocated"]

Stored = dict[str, StoredMatrix]


def allocated(wanted: Mapping[str, Wanted], arch: AimcArchitecture, workload: str) -> tuple[Stored, int]:
    """Every matrix on tiles, which count from 0 in the order of the ops, and the number of rounds.

    Raises:
        InfeasibleError: more tiles are needed than there are.
    """
    matrices, tiles = list(wanted.values()), arch.n_tiles
    if _alone(matrices) <= tiles:
        return _apart(matrices, _copies(matrices, tiles)), 1
    needed = packed(matrices, arch)[1]
    found = _partly_packed(matrices, matrices, arch) if needed <= tiles else None
    if found is None:
        cut = finer(matrices, arch)
        found = _partly_packed(matrices, cut, arch) if cut else None
    if found is None and arch.tile.page_count > 1:
        needed = packed(paged(matrices, arch), arch)[1]
        found = _partly_paged(matrices, arch) if needed <= tiles else None
    if found is not None:
        return _in_order({each.name: found[each.name] for each in matrices}), 1
    if not arch.tile.programming.time_multiplexed:
        raise InfeasibleError(Infeasible("the mesh", needed, tiles, "tiles", f"workload {workload}"))
    return _in_rounds(matrices, arch)


def _alone(matrices: Iterable[Wanted]) -> int:
    """Tiles with every block on its own."""
    return sum(each.cut.tiles for each in matrices)


def _copies(matrices: Sequence[Wanted], tiles: int) -> dict[str, int]:
    """Copies of each matrix, 1 or more."""
    copies = {each.name: 1 for each in matrices}
    free = tiles - _alone(matrices)
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


def _apart(matrices: Iterable[Wanted], copies: Mapping[str, int], number: int = 0, first_tile: int = 0) -> Stored:
    """Every block on its own tile, from ``first_tile`` on."""
    found: Stored = {}
    tile = first_tile
    for each in matrices:
        blocks = []
        for _ in range(copies[each.name]):
            for rows, columns, part in each.cut.blocks():
                blocks.append(Block(tile, rows, columns, part))
                tile += 1
        found[each.name] = StoredMatrix(each.name, each.cut, copies[each.name], tuple(blocks), each.name, number)
    return found


def _partly_packed(matrices: Sequence[Wanted], cut: Sequence[Wanted], arch: AimcArchitecture) -> Stored:
    """As few matrices as must be on shared tiles, as ``cut``, those with the fewest vectors; the others alone."""
    return _fewest(matrices, cut, arch, lambda others: _alone(others))


def _partly_paged(matrices: Sequence[Wanted], arch: AimcArchitecture) -> Stored:
    """As few matrices as must be in pages, those with the fewest vectors; the others on what is left, shared or not."""
    return _fewest(matrices, paged(matrices, arch), arch, lambda others: packed(others, arch)[1])


def _fewest(
    matrices: Sequence[Wanted], dense: Sequence[Wanted], arch: AimcArchitecture, least: Callable[[list[Wanted]], int]
) -> Stored:
    """The fewest matrices as in ``dense``, packed; the others take at ``least`` so many tiles. All in ``dense`` fit."""
    order = sorted(range(len(matrices)), key=lambda index: matrices[index].vectors)

    def parted(count: int) -> tuple[list[Wanted], list[Wanted]]:
        chosen = set(order[:count])
        return ([each for index, each in enumerate(dense) if index in chosen],
                [each for index, each in enumerate(matrices) if index not in chosen])  # fmt: skip

    def fits(count: int) -> bool:
        together, others = parted(count)
        return packed(together, arch)[1] + least(others) <= arch.n_tiles

    low, high = 0, len(order)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle, high)
    together, others = parted(high)
    blocks, used = packed(together, arch)
    return _stored(together, blocks) | _on_the_rest(others, arch, used)


def _on_the_rest(matrices: Sequence[Wanted], arch: AimcArchitecture, used: int) -> Stored:
    """Matrices on the tiles from ``used`` on: each alone, or all packed."""
    free = arch.n_tiles - used
    if _alone(matrices) <= free:
        return _apart(matrices, _copies(matrices, free), first_tile=used)
    return _stored(matrices, packed(matrices, arch)[0], used)


def _stored(matrices: Sequence[Wanted], blocks: Blocks, first_tile: int = 0) -> Stored:
    """One copy of each matrix in the places of its blocks."""
    resources = _resources(blocks)
    return {
        each.name: StoredMatrix(
            each.name, each.cut, 1,
            tuple(replace(block, tile=block.tile + first_tile) for block in blocks[each.name]), resources[each.name],
        )
        for each in matrices
    }  # fmt: skip


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


def _in_order(matrices: Stored) -> Stored:
    """The same with tiles counted in the order in which the matrices name them."""
    number: dict[int, int] = {}
    for each in matrices.values():
        for tile in each.tiles:
            number.setdefault(tile, len(number))
    return {
        name: replace(each, blocks=tuple(replace(block, tile=number[block.tile]) for block in each.blocks))
        for name, each in matrices.items()
    }


def _in_rounds(matrices: Sequence[Wanted], arch: AimcArchitecture) -> tuple[Stored, int]:
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
        needed = _alone(group)
        if needed > arch.n_tiles:
            where = f"op that reads {group[0].name}"
            raise InfeasibleError(Infeasible("the mesh", needed, arch.n_tiles, "tiles", where))
        if used + needed > arch.n_tiles:
            rounds.append([])
            used = 0
        rounds[-1] += group
        used += needed
    found: Stored = {}
    for number, each_round in enumerate(rounds):
        found |= _apart(each_round, {each.name: 1 for each in each_round}, number)
    return found, len(rounds)

"""Where tiles lie on the mesh, so that what passes between them goes few hops.

Tiles are numbered along the ops. They are laid along each of a few curves that keep neighbours near each other (rows
and columns to and fro, and strips of two or four rows), the best is kept, and on meshes of up to 256 tiles pairs are
exchanged while that saves hops. No placement falls below one hop for whatever passes between two tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.aimc.description import AimcArchitecture

__all__ = ["Flow", "Placement", "placed"]

_MOST_EXCHANGED = 256
_PASSES = 2
_STRIPS = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Flow:
    """``moved_bytes`` of one execution from tiles to tiles, evenly shared out; ``op`` is the index of the receiver."""

    op: int
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    moved_bytes: float
    sums: bool = False


@dataclass(frozen=True, slots=True)
class Placement:
    """(row, column) of each tile, (tiles, 2); hops of each flow; byte-hops, and the bound; placements looked at."""

    positions: NDArray[np.int64]
    hops: tuple[float, ...]
    byte_hops: float
    least_byte_hops: float
    seen: int


def placed(flows: Sequence[Flow], arch: AimcArchitecture) -> Placement:
    """The best placement found."""
    columns = int(arch.mesh.columns.value)
    rows = int(arch.chips.value * arch.mesh.rows.value)
    best, cost, seen = None, np.inf, 0
    for positions in _curves(rows, columns):
        found = _byte_hops(flows, positions)
        seen += 1
        if found < cost:
            best, cost = positions, found
    assert best is not None
    if rows * columns <= _MOST_EXCHANGED and flows:
        best, tried = _exchanged(best, _traffic(flows, rows * columns))
        seen += tried
        cost = _byte_hops(flows, best)
    hops = tuple(_mean_hops(flow, best) for flow in flows)
    least = sum(flow.moved_bytes * _apart_share(flow) for flow in flows)
    return Placement(best, hops, float(cost), float(least), seen)


def _curves(rows: int, columns: int) -> Iterator[NDArray[np.int64]]:
    """Ways to walk the mesh: to and fro in strips along its rows, or along its columns."""
    for strip in _STRIPS:
        yield _walk(rows, columns, strip)
        yield _walk(columns, rows, strip)[:, ::-1]


def _walk(rows: int, columns: int, strip: int) -> NDArray[np.int64]:
    path: list[tuple[int, int]] = []
    for index, first in enumerate(range(0, rows, strip)):
        height = min(strip, rows - first)
        across = range(columns) if index % 2 == 0 else range(columns - 1, -1, -1)
        for turn, column in enumerate(across):
            down = range(height) if turn % 2 == 0 else range(height - 1, -1, -1)
            path += [(first + row, column) for row in down]
    return np.array(path, dtype=np.int64)


def _distances(sources: Sequence[int], targets: Sequence[int], positions: NDArray[np.int64]) -> NDArray[np.int64]:
    here, there = positions[list(sources)], positions[list(targets)]
    return np.asarray(np.abs(here[:, None, :] - there[None, :, :]).sum(axis=2))


def _mean_hops(flow: Flow, positions: NDArray[np.int64]) -> float:
    return float(_distances(flow.sources, flow.targets, positions).mean())


def _byte_hops(flows: Sequence[Flow], positions: NDArray[np.int64]) -> float:
    return sum(flow.moved_bytes * _mean_hops(flow, positions) for flow in flows)


def _apart_share(flow: Flow) -> float:
    """Share of a flow's pairs that are two tiles."""
    targets = np.array(flow.targets)
    return float(np.mean([np.mean(targets != source) for source in flow.sources]))


def _traffic(flows: Sequence[Flow], tiles: int) -> NDArray[np.float64]:
    """(tiles, tiles) bytes between each two, both ways added up."""
    moved = np.zeros((tiles, tiles))
    for flow in flows:
        share = flow.moved_bytes / (len(flow.sources) * len(flow.targets))
        np.add.at(moved, np.ix_(list(flow.sources), list(flow.targets)), share)
    np.fill_diagonal(moved, 0)
    return np.asarray(moved + moved.T)


def _exchanged(positions: NDArray[np.int64], moved: NDArray[np.float64]) -> tuple[NDArray[np.int64], int]:
    """Pairs of tiles exchanged, always the best for the tile in turn, until a pass saves nothing."""
    place, tiles = positions.copy(), len(positions)
    distance = _apart(place)
    costs = (moved * distance).sum(axis=1)
    tried = 0
    for _ in range(_PASSES):
        saved = False
        for tile in range(tiles):
            if not moved[tile].any():
                continue
            gains = _gains(tile, distance, moved, costs)
            other = int(np.argmin(gains))
            tried += tiles
            if gains[other] < -1e-6:
                place[[tile, other]] = place[[other, tile]]
                distance = _apart(place)
                costs = (moved * distance).sum(axis=1)
                saved = True
        if not saved:
            break
    return place, tried


def _apart(place: NDArray[np.int64]) -> NDArray[np.float64]:
    """(tiles, tiles) hops between each two."""
    rows, columns = place.astype(float).T
    return np.asarray(np.abs(rows[:, None] - rows) + np.abs(columns[:, None] - columns))


def _gains(
    tile: int, distance: NDArray[np.float64], moved: NDArray[np.float64], costs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(tiles,) change of byte-hops when ``tile`` changes places with each; ``costs`` are those of each tile now."""
    mine, weights = distance[tile], moved[tile]
    of_tile = distance @ weights - mine @ weights
    of_other = moved @ mine - costs
    # The two stay as far apart as they were, where both sums count them as if they met.
    return np.asarray(of_tile + of_other + 2 * weights * mine)

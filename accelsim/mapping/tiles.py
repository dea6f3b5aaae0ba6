"""The tiles of a mapped op, in the order in which they run, with what each loads, computes and stores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.records import OpMapping, Stream
from accelsim.mapping.space import ORDERS, Candidate, Problem, shares

__all__ = ["Tiles", "tiles_of"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Tiles:
    """One row a tile step, (t,) each: DRAM bytes of all cores, unit cycles of one core. Sums equal the op's stream."""

    load_bytes: FloatArray
    cycles: FloatArray
    store_bytes: FloatArray

    def __len__(self) -> int:
        return len(self.cycles)


def tiles_of(mapped: OpMapping) -> Tiles:
    """Tile steps of one op: from the tile loops of matrix work, equal chunks of vector work."""
    stream = mapped.stream
    if mapped.problem is None or mapped.candidate is None or mapped.metrics is None:
        return _equal(stream)
    weights, inputs, outputs, volume = _turns(mapped.problem, mapped.candidate, stream.tiles)
    metrics = mapped.metrics
    load = _scaled(weights, metrics.weight_dram_bytes) + _scaled(inputs, metrics.input_dram_bytes)
    load[0] += stream.load_bytes - metrics.weight_dram_bytes - metrics.input_dram_bytes
    return Tiles(load, _scaled(volume, stream.cycles), _scaled(outputs, stream.store_bytes))


def _equal(stream: Stream) -> Tiles:
    count = stream.tiles
    return Tiles(
        np.full(count, stream.load_bytes / count),
        np.full(count, stream.cycles / count),
        np.full(count, stream.store_bytes / count),
    )


def _scaled(parts: FloatArray, total: float) -> FloatArray:
    """``parts`` in proportion, adding up to ``total``: edge tiles are smaller, the sum is the mapping's."""
    whole = parts.sum()
    return parts * (total / whole) if whole > 0 else np.zeros_like(parts)


def _turns(problem: Problem, c: Candidate, tiles: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """For each step: weights fetched, inputs fetched, outputs finished, MACs; all in elements of one core's share."""
    _, *core = (int(each) for each in shares(problem, c))
    sizes = [_cuts(share, tile) for share, tile in zip(core, (c.tile_m, c.tile_n, c.tile_k), strict=True)]
    order = ORDERS[c.order]
    grid = np.indices([len(sizes[loop]) for loop in order]).reshape(3, -1)
    index = {int(loop): grid[position] for position, loop in enumerate(order)}
    tm, tn, tk = (sizes[loop][index[loop]] for loop in range(3))
    weights = np.where(_changed(index[1], index[2]), tn * tk, 0.0)
    inputs = np.where(_changed(index[0], index[2]), tm * tk, 0.0)
    finished = np.where(_leaves(index[0], index[1]), tm * tn, 0.0)
    # Groups that the arrays of a core take at the same time share their steps.
    turns = tiles // len(weights)
    weights, inputs = np.tile(weights, turns), np.tile(inputs, turns)
    return weights, inputs, np.tile(finished, turns), np.tile(tm * tn * tk, turns)


def _cuts(size: int, tile: int) -> FloatArray:
    full, rest = divmod(size, tile)
    return np.array([tile] * full + ([rest] if rest else []), dtype=np.float64)


def _changed(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Steps at which the operand tile with these indices differs from the step before."""
    changed = np.ones(len(first), dtype=bool)
    changed[1:] = (np.diff(first) != 0) | (np.diff(second) != 0)
    return changed


def _leaves(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Steps after which the output tile with these indices is left (finished, or spilled as a partial sum)."""
    leaves = np.ones(len(first), dtype=bool)
    leaves[:-1] = (np.diff(first) != 0) | (np.diff(second) != 0)
    return leaves

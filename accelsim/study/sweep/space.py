"""The space of designs: axes with their conditions, counted and numbered without listing it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.study.sweep.axes import Axis, AxisValue

__all__ = ["Block", "Space"]

MAX_BLOCKS = 100_000


@dataclass(frozen=True, slots=True)
class Block:
    """Designs that agree on every axis which others depend on: ``fixed`` coordinates, and a grid of ``free`` axes.

    Both hold positions of axes in the space; axes in neither do not exist here.
    """

    fixed: Mapping[int, int]
    free: tuple[int, ...]
    sizes: tuple[int, ...]
    count: int


@dataclass(frozen=True)
class Space:
    """Axes in the order in which a grid varies them, slowest first; those that others depend on stand before them."""

    axes: tuple[Axis, ...]

    @cached_property
    def positions(self) -> dict[str, int]:
        """Position of each axis by its name."""
        return {axis.name: position for position, axis in enumerate(self.axes)}

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The grid as a list of plain grids.

        Raises:
            InputError: conditions split it into too many.
        """
        parents = {self.positions[name] for axis in self.axes for name in axis.when}
        found: list[Block] = []
        for fixed in self._settings(sorted(parents), {}):
            free = tuple(
                position for position, axis in enumerate(self.axes)
                if position not in parents and self._exists(axis, fixed)
            )  # fmt: skip
            sizes = tuple(len(self.axes[position].values) for position in free)
            count = 1
            for size in sizes:
                count *= size
            found.append(Block(fixed, free, sizes, count))
            if len(found) > MAX_BLOCKS:
                raise InputError(f"split the space into more than {MAX_BLOCKS:,} parts", field="axes.*.when",
                                 remedy="make fewer axes depend on axes with many values")  # fmt: skip
        return tuple(found)

    def _settings(self, parents: Sequence[int], fixed: Mapping[int, int]) -> Iterator[dict[int, int]]:
        """Every combination of coordinates on the axes that others depend on."""
        if not parents:
            yield dict(fixed)
            return
        first, *rest = parents
        if not self._exists(self.axes[first], fixed):
            yield from self._settings(rest, fixed)
            return
        for index in range(len(self.axes[first].values)):
            yield from self._settings(rest, {**fixed, first: index})

    def _exists(self, axis: Axis, fixed: Mapping[int, int]) -> bool:
        return all(fixed.get(self.positions[name]) in allowed for name, allowed in axis.when.items())

    @cached_property
    def count(self) -> int:
        """Designs in the grid. Only for spaces without continuous axes."""
        return sum(block.count for block in self.blocks)

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(block.count for block in self.blocks))

    def grid(self, start: int, stop: int) -> NDArray[np.float64]:
        """Coordinates of the designs numbered ``start`` to ``stop``, (stop - start, axes)."""
        coordinates = np.full((stop - start, len(self.axes)), np.nan)
        at = start
        while at < stop:
            number = bisect_right(self._ends, at)
            block = self.blocks[number]
            first = self._ends[number] - block.count
            until = min(stop, self._ends[number])
            rows = slice(at - start, until - start)
            for position, index in block.fixed.items():
                coordinates[rows, position] = index
            self._decode(coordinates[rows], block, at - first)
            at = until
        return coordinates

    def _decode(self, rows: NDArray[np.float64], block: Block, first: int) -> None:
        left = np.arange(first, first + len(rows), dtype=np.int64)
        for position, size in zip(reversed(block.free), reversed(block.sizes), strict=True):
            left, rows[:, position] = np.divmod(left, size)

    def index_of(self, coordinates: NDArray[np.float64]) -> int:
        """The number of a design in the grid: the inverse of `grid`."""
        first = 0
        for block in self.blocks:
            if all(coordinates[position] == index for position, index in block.fixed.items()):
                index = 0
                for position, size in zip(block.free, block.sizes, strict=True):
                    index = index * size + int(coordinates[position])
                return first + index
            first += block.count
        raise KeyError("no block of the space holds these coordinates")

    def at(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates at places in the unit cube, (designs, axes)."""
        found = np.stack([axis.coordinates(unit[:, k]) for k, axis in enumerate(self.axes)], axis=1)
        return self.masked(found)

    def masked(self, coordinates: NDArray[np.float64]) -> NDArray[np.float64]:
        """The same with NaN on the axes that do not exist in a design."""
        masked = coordinates.copy()
        for position, axis in enumerate(self.axes):
            for name, allowed in axis.when.items():
                parent = masked[:, self.positions[name]]
                masked[~np.isin(parent, sorted(allowed)), position] = np.nan
        return masked

    def design(self, coordinates: NDArray[np.float64]) -> dict[str, AxisValue]:
        """Values by axis name of one design, without the axes that it has not."""
        values = {axis.name: axis.value(float(at)) for axis, at in zip(self.axes, coordinates, strict=True)}
        return {name: value for name, value in values.items() if value is not None}

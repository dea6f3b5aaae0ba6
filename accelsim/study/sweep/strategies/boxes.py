"""Boxes of designs, and which parameters a better machine may have more or less of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.study.sweep.axes import Axis
from accelsim.study.sweep.space import Space

__all__ = ["BETTER", "BETTER_TILES", "Box", "Orders", "boxes_of", "direction"]

Direction = Literal["more", "less"]

BETTER: Mapping[str, Direction] = {
    "memory.dram.bandwidth_bytes_per_s": "more",
    "memory.dram.efficiency": "more",
    "memory.dram.latency_s": "less",
    "scratchpad.capacity_bytes": "more",
    "scratchpad.bandwidth_bytes_per_cycle": "more",
    "array.accumulator_bytes": "more",
    "vector.lanes": "more",
    "vector.cycles_simple": "less",
    "vector.cycles_special": "less",
    "interconnect.bandwidth_bytes_per_cycle": "more",
    "interconnect.hop_latency_cycles": "less",
    "dma.bandwidth_bytes_per_cycle": "more",
    "host.bandwidth_bytes_per_s": "more",
    "host.latency_s": "less",
    "op_overhead_cycles": "less",
    "clocks.*.clock_hz": "more",
}
"""Parameters of which more, or less, never makes a digital machine slower. Of all others every value is tried."""

BETTER_TILES: Mapping[str, Direction] = {
    "mesh.link_bytes_per_s": "more",
    "mesh.hop_latency_s": "less",
    "off_chip.bandwidth_bytes_per_s": "more",
    "off_chip.latency_s": "less",
    "digital.clock_hz": "more",
    "digital.count": "more",
    "digital.lanes": "more",
    "digital.cycles_simple": "less",
    "digital.cycles_special": "less",
    "cores.clock_hz": "more",
    "tile.overhead_s": "less",
    "tile.digital.affine_s": "less",
}
"""Parameters of analog tiles that change no mapping, no task and no energy of an action, and of which more, or less,
makes no task longer."""
_DIRECTIONS = {**BETTER, **BETTER_TILES}


def direction(axis: Axis) -> Direction | None:
    """Which way an axis gets better; None where nothing is known of it."""
    if axis.family != "hardware" or axis.settings or not axis.numeric:
        return None
    found = {
        next((way for pattern, way in _DIRECTIONS.items() if fnmatchcase(path, pattern)), None)
        for path in (axis.name, *axis.also)
    }
    return found.pop() if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Box:
    """Designs that agree on ``base`` except on some axes, where they range over places in the order of values.

    ``ranges`` are (position of the axis, first place, last place), best place last.
    """

    base: tuple[float, ...]
    ranges: tuple[tuple[int, int, int], ...]

    @property
    def count(self) -> int:
        count = 1
        for _, first, last in self.ranges:
            count *= last - first + 1
        return count

    def halves(self) -> tuple[Box, Box]:
        """The box cut across its longest range: the worse half, and the one that holds the best corner."""
        widest = max(range(len(self.ranges)), key=lambda at: self.ranges[at][2] - self.ranges[at][1])
        position, first, last = self.ranges[widest]
        middle = (first + last) // 2
        return self._with(widest, (position, first, middle)), self._with(widest, (position, middle + 1, last))

    def singles(self) -> Iterator[Box]:
        """Every design of the box but its best corner, alone."""
        places = product(*(range(first, last + 1) for _, first, last in self.ranges))
        best = tuple(last for _, _, last in self.ranges)
        for chosen in places:
            if chosen != best:
                yield Box(self.base, tuple((each[0], at, at) for each, at in zip(self.ranges, chosen, strict=True)))

    def _with(self, at: int, part: tuple[int, int, int]) -> Box:
        return Box(self.base, (*self.ranges[:at], part, *self.ranges[at + 1 :]))


@dataclass(frozen=True)
class Orders:
    """For each axis that has a direction its coordinates from worst to best."""

    space: Space
    orders: Mapping[int, tuple[int, ...]]

    @staticmethod
    def of(space: Space) -> Orders:
        """The orders of a space."""
        found = {}
        for position, axis in enumerate(space.axes):
            way = direction(axis)
            if way is not None:
                values = [float(value) for value in axis.values]  # type: ignore[arg-type]
                ascending = sorted(range(len(values)), key=lambda index: values[index])
                found[position] = tuple(ascending if way == "more" else reversed(ascending))
        return Orders(space, found)

    def best(self, box: Box) -> NDArray[np.float64]:
        """The corner with the best of every part: its coordinates, (axes,)."""
        return self._corner(box, last=True)

    def smallest(self, box: Box) -> NDArray[np.float64]:
        """The corner with the least value on every axis: what is smallest, whichever way is better."""
        corner = np.array(box.base)
        for position, first, last in box.ranges:
            values = self.space.axes[position].values
            places = self.orders[position][first : last + 1]
            corner[position] = min(places, key=lambda index: float(values[index]))  # type: ignore[arg-type]
        return corner

    def _corner(self, box: Box, *, last: bool) -> NDArray[np.float64]:
        corner = np.array(box.base)
        for position, low, high in box.ranges:
            corner[position] = self.orders[position][high if last else low]
        return corner


def boxes_of(orders: Orders) -> Iterator[Box]:
    """The space as boxes: one for each combination of values on the axes without a direction."""
    space = orders.space
    for block in space.blocks:
        ranged = [position for position in block.free if position in orders.orders]
        listed = [position for position in block.free if position not in orders.orders]
        ranges = tuple((position, 0, len(space.axes[position].values) - 1) for position in ranged)
        for chosen in product(*(range(len(space.axes[position].values)) for position in listed)):
            base = np.full(len(space.axes), np.nan)
            for position, index in (*block.fixed.items(), *zip(listed, chosen, strict=True)):
                base[position] = index
            base[ranged] = 0
            yield Box(tuple(base.tolist()), ranges)

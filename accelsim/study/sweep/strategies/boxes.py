"""Boxes of designs and what bounds them: which parameters a better machine may have more or less of.

*Latency.* Work over peak and compulsory bytes over bandwidth bound the best corner before it is mapped. And the mapping
is searched anew for every design, and a machine with a better part may do what the one with the worse part does, in no
more time. So the corner of a box with the best of every part bounds the latency of all of it
(`tests/study/sweep/test_pruned.py` holds every path below to it).

*Area.* Every component grows with its size, so the corner with the least of everything bounds the area.

*Energy.* What the multiply-accumulates and the vector work switch does not depend on the mapping; weights, inputs and
outputs cross the memory interface at least once; leakage lasts at least as long as the least latency.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.cost.digital import area
from accelsim.errors import AccelsimError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.options import mapping_options
from accelsim.pipeline import DigitalEvaluation, evaluate
from accelsim.study.sweep.axes import Axis
from accelsim.study.sweep.designs import Case, Evaluator
from accelsim.study.sweep.space import Space

__all__ = ["BETTER", "Box", "Floors", "boxes_of", "direction"]

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


def direction(axis: Axis) -> Direction | None:
    """Which way an axis gets better; None where nothing is known of it."""
    if axis.family != "hardware" or axis.settings or not axis.numeric:
        return None
    found = {
        next((way for pattern, way in BETTER.items() if fnmatchcase(path, pattern)), None)
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


@dataclass(frozen=True, slots=True)
class _Floor:
    """What every mapping of a workload in these formats has in common.

    Attributes:
        switched_j: energy of multiply-accumulates, vector work and compulsory bytes.
        leakage_w: power that leaks as long as it runs.
        moved_bytes: what crosses the memory interface at least.
        macs: multiply-accumulates by format.
    """

    switched_j: float
    leakage_w: float
    moved_bytes: float
    macs: Mapping[str, float]


class Floors:
    """Least times, energies and areas of designs, without mapping each; kept by what they depend on."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._areas: dict[str, float] = {}
        self._parts: dict[str, _Floor] = {}
        self.evaluations = 0

    def area_mm2(self, corner: NDArray[np.float64]) -> float:
        """Area of the design at ``corner``; 0 where none is known or the design breaks a rule."""
        case = self._evaluator.case(corner)
        key = repr((case.architecture, sorted(case.overrides.items())))
        if key not in self._areas:
            self._areas[key] = self._area(case)
        return self._areas[key]

    def _area(self, case: Case) -> float:
        try:
            description = self._evaluator.architecture(case).description
        except AccelsimError:
            return 0.0
        assert isinstance(description, DigitalArchitecture)
        known = area(description).area_mm2
        return known.value if known else 0.0

    def batch(self, corner: NDArray[np.float64]) -> int:
        """Samples an execution of the workload at ``corner``."""
        return self._evaluator.graph(self._evaluator.case(corner)).batch

    def latency_s(self, corner: NDArray[np.float64]) -> float:
        """Least time of the design at ``corner``: work over peak, and compulsory bytes over bandwidth."""
        case = self._evaluator.case(corner)
        floor = self._floor_of(case)
        try:
            description = self._evaluator.architecture(case).description
            assert isinstance(description, DigitalArchitecture)
            work_s = sum(2.0 * macs / description.peak_ops_per_s(name) for name, macs in floor.macs.items())
        except AccelsimError:
            return 0.0
        return max(work_s, floor.moved_bytes / description.memory.dram.bandwidth_bytes_per_s.value)

    def energy_j(self, corner: NDArray[np.float64], latency_s: float) -> float:
        """Least energy of any design that shares the workload, formats and energy constants of ``corner``.

        ``latency_s`` is the least latency of those designs.
        """
        floor = self._floor_of(self._evaluator.case(corner))
        return floor.switched_j + floor.leakage_w * latency_s

    def _floor_of(self, case: Case) -> _Floor:
        prices = {path: value for path, value in case.overrides.items() if _is_price(path)}
        key = repr((case.workload, sorted(case.parameters.items()), case.rewrites, case.architecture, case.precision,
                    sorted(case.mapping.items()), sorted(prices.items())))  # fmt: skip
        if key not in self._parts:
            self._parts[key] = self._floor(case)
        return self._parts[key]

    def _floor(self, case: Case) -> _Floor:
        """What holds whatever the mapping, read off one evaluation."""
        self.evaluations += 1
        try:
            found = evaluate(
                self._evaluator.graph(case), self._evaluator.architecture(case), case.precision,
                options=mapping_options(case.mapping),
            )  # fmt: skip
        except AccelsimError:
            return _Floor(0.0, 0.0, 0.0, {})
        assert isinstance(found, DigitalEvaluation)
        description = found.architecture.description
        assert isinstance(description, DigitalArchitecture)
        parts = found.energy.by_component_j
        moved = 0.0 if found.options.resident_weights else found.compulsory_bytes
        dram_j = moved * description.memory.dram.energy_pj_per_byte.value * 1e-12
        leakage_w = description.leakage_w.value * description.clock_of("array").leakage_scale
        macs: dict[str, float] = {}
        for op in found.mapping.walk():
            if op.problem is not None:
                macs[op.precision] = macs.get(op.precision, 0.0) + op.op.macs * op.executions
        return _Floor(parts["array"] + parts["vector"] + dram_j, leakage_w, moved, macs)


def _is_price(path: str) -> bool:
    """Whether a parameter changes energies of actions, voltages included."""
    return "energy_pj" in path or "leakage" in path or "voltage" in path

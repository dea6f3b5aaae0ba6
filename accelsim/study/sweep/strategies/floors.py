"""What bounds the designs of a box.

*Latency.* On digital machines work over peak and compulsory bytes over bandwidth bound the best corner before it is
mapped. And the mapping is searched anew for every design, and a machine with a better part may do what the one with the
worse part does, in no more time. So the corner of a box with the best of every part bounds the latency of all of it
(`tests/study/sweep/test_pruned.py` holds every path of `boxes.BETTER` to it). On analog tiles shared units take work as
it comes, and with faster ones it may come in a worse order. There the bound is that of the best corner's tasks in any
order.

*Area.* Every component grows with its size, so the corner with the least of everything bounds the area.

*Energy.* What the multiply-accumulates and the vector work switch does not depend on the mapping; weights, inputs and
outputs cross the memory interface at least once; leakage lasts at least as long as the least latency. Of tiles all that
switches is the same in a box.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.cost.digital import area
from accelsim.errors import AccelsimError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.options import mapping_options
from accelsim.pipeline import DigitalEvaluation, evaluate
from accelsim.study.sweep.designs import Case, Evaluator
from accelsim.study.sweep.strategies.tile_floors import TileFloors

__all__ = ["KINDS", "Floors"]


class _KindFloors(Protocol):
    """Floors of designs of one kind. ``corner_bounds``: the latency of a box's best corner bounds all of it."""

    corner_bounds: bool
    evaluations: int

    def area_mm2(self, case: Case) -> float: ...

    def latency_s(self, case: Case) -> float: ...

    def energy_j(self, case: Case, latency_s: float) -> float: ...


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


class DigitalFloors:
    """Floors of digital machines."""

    corner_bounds = True

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._areas: dict[str, float] = {}
        self._parts: dict[str, _Floor] = {}
        self.evaluations = 0

    def area_mm2(self, case: Case) -> float:
        """Area of a design; 0 where none is known or the design breaks a rule."""
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

    def latency_s(self, case: Case) -> float:
        """Least time of a design: work over peak, and compulsory bytes over bandwidth."""
        floor = self._floor_of(case)
        try:
            description = self._evaluator.architecture(case).description
            assert isinstance(description, DigitalArchitecture)
            work_s = sum(2.0 * macs / description.peak_ops_per_s(name) for name, macs in floor.macs.items())
        except AccelsimError:
            return 0.0
        return max(work_s, floor.moved_bytes / description.memory.dram.bandwidth_bytes_per_s.value)

    def energy_j(self, case: Case, latency_s: float) -> float:
        """Least energy of designs that share workload, formats and energy constants, and take ``latency_s`` or more."""
        floor = self._floor_of(case)
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


KINDS: Mapping[str, Callable[[Evaluator], _KindFloors]] = {"digital": DigitalFloors, "aimc": TileFloors}
"""Kinds of hardware that there are bounds for."""


class Floors:
    """Least times, energies and areas of designs at corners of boxes, kept by what they depend on."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        kinds = {each.kind for each in evaluator.sweep.architectures.values()}
        self._kinds: dict[str, _KindFloors] = {kind: KINDS[kind](evaluator) for kind in kinds}

    @property
    def evaluations(self) -> int:
        """Designs that were evaluated for floors alone."""
        return sum(each.evaluations for each in self._kinds.values())

    def corner_bounds(self, corner: NDArray[np.float64]) -> bool:
        """Whether the latency of the design at ``corner`` bounds those with worse parts."""
        return self._at(corner)[0].corner_bounds

    def batch(self, corner: NDArray[np.float64]) -> int:
        """Samples an execution of the workload at ``corner``."""
        return self._evaluator.graph(self._evaluator.case(corner)).batch

    def area_mm2(self, corner: NDArray[np.float64]) -> float:
        """Area of the design at ``corner``; 0 where none is known or the design breaks a rule."""
        floors, case = self._at(corner)
        return floors.area_mm2(case)

    def latency_s(self, corner: NDArray[np.float64]) -> float:
        """Least time of the design at ``corner`` and of those with worse parts."""
        floors, case = self._at(corner)
        return floors.latency_s(case)

    def energy_j(self, corner: NDArray[np.float64], latency_s: float) -> float:
        """Least energy of any design that shares the workload, formats and energy constants of ``corner``.

        ``latency_s`` is the least latency of those designs.
        """
        floors, case = self._at(corner)
        return floors.energy_j(case, latency_s)

    def _at(self, corner: NDArray[np.float64]) -> tuple[_KindFloors, Case]:
        case = self._evaluator.case(corner)
        return self._kinds[self._evaluator.sweep.architectures[case.architecture].kind], case

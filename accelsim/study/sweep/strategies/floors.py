"""What bounds the designs of a box.

*Latency.* On digital machines work over peak and compulsory bytes over bandwidth bound the best corner before it is
mapped. And the mapping is searched anew for every design, and a machine with a better part may do what the one with the
worse part does, in no more time. So the corner of a box with the best of every part bounds the latency of all of it
(`tests/study/sweep/test_pruned.py` holds every path of `boxes.BETTER` to it). On analog tiles shared units take work as
it comes, and with faster ones it may come in a worse order. There the bound is that of the best corner's tasks in any
order.

*Area.* Every component grows with its size, so the corner with the least of everything bounds the area.

*Energy.* What the multiply-accumulates and the vector work switch does not depend on the mapping; what crosses the
memory interface and the ports of the scratchpads has a least (`least_amounts`) where memories are largest; leakage
lasts at least as long as the least latency. Each is priced where it is cheapest, at the corner with the least of
everything. Of tiles all that switches is the same in a box.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.study.sweep.designs import Case, Evaluator
from accelsim.study.sweep.strategies.digital_floors import DigitalFloors
from accelsim.study.sweep.strategies.tile_floors import TileFloors

__all__ = ["KINDS", "Floors"]


class _KindFloors(Protocol):
    """Floors of designs of one kind. ``corner_bounds``: the latency of a box's best corner bounds all of it."""

    corner_bounds: bool
    evaluations: int

    def area_mm2(self, case: Case) -> float: ...

    def latency_s(self, case: Case) -> float: ...

    def energy_j(self, best: Case, smallest: Case, latency_s: float, /) -> float: ...


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

    def energy_j(self, best: NDArray[np.float64], smallest: NDArray[np.float64], latency_s: float) -> float:
        """Least energy of any design in the box with these corners, which take ``latency_s`` or more."""
        floors, case = self._at(best)
        return floors.energy_j(case, self._evaluator.case(smallest), latency_s)

    def _at(self, corner: NDArray[np.float64]) -> tuple[_KindFloors, Case]:
        case = self._evaluator.case(corner)
        return self._kinds[self._evaluator.sweep.architectures[case.architecture].kind], case

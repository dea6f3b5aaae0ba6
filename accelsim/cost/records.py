"""What actions cost: durations of tasks, and energy by op and component; and the area that they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.documents import Constant
from accelsim.hardware.technology.span import Span, span_of, total
from accelsim.units import added

__all__ = ["DIGITAL_LEVELS", "LEVELS", "AreaBreakdown", "EnergyBreakdown"]

LEVELS = ("compute", "array_local", "scratchpad", "network", "dram", "host", "leakage")
"""Levels of data movement, from the operators outwards."""
DIGITAL_LEVELS: Mapping[str, str] = {"array": "compute", "vector": "compute"}
"""Components of the digital kind that are no level of their own."""


@dataclass(frozen=True, slots=True)
class EnergyBreakdown:
    """Energy of one execution of a workload.

    Attributes:
        by_op_j: (ops,) dynamic joules of each mapped op, all its executions.
        by_component_j: joules by component; ``leakage`` is leakage power over the makespan.
        components: names of the columns of ``by_op_component_j``: all components but leakage, which is no op's.
        by_op_component_j: (ops, components) dynamic joules.
        array_local_j: the part of ``compute`` that registers and accumulators of the arrays take; None where no
            technology is stated, which alone can tell it from the operators'.
        level_of: {component: one of `LEVELS`}; a component that is not in it is a level itself.
    """

    by_op_j: NDArray[np.float64]
    by_component_j: Mapping[str, float]
    components: tuple[str, ...]
    by_op_component_j: NDArray[np.float64]
    array_local_j: float | None = None
    level_of: Mapping[str, str] = field(default_factory=lambda: DIGITAL_LEVELS)

    @property
    def total_j(self) -> float:
        return added(self.by_component_j.values())

    @property
    def by_level_j(self) -> dict[str, float | None]:
        """Joules by level of data movement (`LEVELS`); they add up to the total.

        ``compute`` is operators of arrays and vector units, ``array_local`` the registers in the arrays: None where
        they cannot be told apart, and ``compute`` then holds both.
        """
        levels: dict[str, float | None] = dict.fromkeys(LEVELS, 0.0)
        for name, joules in self.by_component_j.items():
            level = self.level_of.get(name, name)
            levels[level] = (levels[level] or 0.0) + joules
        levels["compute"] = (levels["compute"] or 0.0) - (self.array_local_j or 0.0)
        return levels | {"array_local": self.array_local_j}

    def violations(self) -> list[str]:
        """Sums that do not agree, in words."""
        rows, columns = self.by_op_component_j.sum(axis=1), self.by_op_component_j.sum(axis=0)
        leakage = self.by_component_j["leakage"]
        levels = sum(value for value in self.by_level_j.values() if value is not None)
        sums = {
            "ops and leakage": float(self.by_op_j.sum()) + leakage,
            "ops by component and leakage": float(rows.sum()) + leakage,
            "levels": levels,
        }
        least = 1e-9 * max(self.total_j, 1e-30)
        found = [
            f"energies of the parts ({name}) add up to {value}, not {self.total_j} J"
            for name, value in sums.items()
            if abs(value - self.total_j) > least
        ]
        found += [
            f"energy of {name} is {self.by_component_j[name]} J, its ops have {value} J"
            for name, value in zip(self.components, columns.tolist(), strict=True)
            if abs(value - self.by_component_j[name]) > least
        ]
        if not np.allclose(rows, self.by_op_j, rtol=1e-9, atol=least):
            found.append("energies of an op's components do not add up to the op's")
        return found


@dataclass(frozen=True, slots=True)
class AreaBreakdown:
    """Area of a chip: what its description states, and what its structure and node predict.

    Attributes:
        predicted: square millimetres by component; empty where no technology is stated.
        stated: the area in the description, published or assumed; None where there is none.
    """

    predicted: Mapping[str, Span]
    stated: Constant | None

    @property
    def source(self) -> Literal["published", "assumed", "predicted"] | None:
        """Where ``area_mm2`` comes from; None where nothing is known."""
        if self.stated is not None:
            return "assumed" if self.stated.assumed else "published"
        return "predicted" if self.predicted else None

    @property
    def predicted_mm2(self) -> Span | None:
        """The predicted area of the chip."""
        return total(self.predicted.values()) if self.predicted else None

    @property
    def area_mm2(self) -> Span | None:
        """The area: as stated where it is, else as predicted."""
        return span_of(self.stated) if self.stated is not None else self.predicted_mm2

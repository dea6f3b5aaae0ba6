"""What actions cost: durations of tasks, and energy by op and component."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EnergyBreakdown"]


@dataclass(frozen=True, slots=True)
class EnergyBreakdown:
    """Energy of one execution of a workload.

    Attributes:
        by_op_j: (ops,) dynamic joules of each mapped op, all its executions.
        by_component_j: joules by component; ``leakage`` is leakage power over the makespan.
    """

    by_op_j: NDArray[np.float64]
    by_component_j: Mapping[str, float]

    @property
    def total_j(self) -> float:
        return float(sum(self.by_component_j.values()))

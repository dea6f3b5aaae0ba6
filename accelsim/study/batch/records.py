"""What a batch gives back: a column a metric, a row a design."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import Infeasible

__all__ = ["FEASIBLE", "METRICS", "BatchResult"]

FEASIBLE = -1
"""The code of a design that runs the workload."""

METRICS = (
    "latency_s", "energy_j", "power_w", "area_mm2", "dram_bytes", "throughput_per_s", "real_time_factor",
    "utilization_macs", "weight_bytes",
)  # fmt: skip
"""The columns of a batch, named and in units as the properties of `accelsim.Result`."""

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BatchResult:
    """Metrics of n designs, each (n,) float64 in the order of the overrides.

    A metric is NaN where the design is infeasible, and where `simulate` has None (no area known, no audio).

    Attributes:
        utilization_macs: achieved MACs over the arrays' peak.
        infeasible: (n,) int64, `FEASIBLE` or an index into ``reasons``.
        reasons: why designs cannot run the workload.
        looped: evaluations that were made one by one; designs that differ only in what they pay share one.
    """

    latency_s: Column
    energy_j: Column
    power_w: Column
    area_mm2: Column
    dram_bytes: Column
    throughput_per_s: Column
    real_time_factor: Column
    utilization_macs: Column
    weight_bytes: Column
    infeasible: NDArray[np.int64]
    reasons: tuple[Infeasible, ...]
    looped: int

    def __len__(self) -> int:
        return len(self.infeasible)

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """(n,) whether each design runs the workload."""
        return np.asarray(self.infeasible == FEASIBLE)

    def columns(self) -> Iterator[tuple[str, Column]]:
        """(name, column) of each of `METRICS`."""
        for name in METRICS:
            yield name, getattr(self, name)

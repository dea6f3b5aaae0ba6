"""How far a result is from the fastest that its machine allows: the optimality gap.

The mapper is exhaustive within its declared space, and tests hold it against brute force on small problems. On large
ones a lower bound says how much any other mapping could still gain (`mapping.bounds`).

For one op it is its time over its own bound. For the whole run it is the latency over what the busiest resource must
do at least, given which tensors the mapping keeps on chip: no order, overlap or tiling of these ops is faster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.bounds import LeastOp, least_of_op
from accelsim.mapping.records import OpMapping
from accelsim.pipeline import DigitalEvaluation

__all__ = ["OptimalityGap", "optimality_gap"]


@dataclass(frozen=True, slots=True)
class OptimalityGap:
    """Lower bounds of one evaluation.

    Attributes:
        by_op: time over bound of each mapped op, at least 1, in the order of `WorkloadMapping.walk`; NaN for an op
            that is no matrix work.
        least_s: {resource: seconds that it must work at least}.
        latency_s: of the run.
    """

    by_op: NDArray[np.float64]
    least_s: dict[str, float]
    latency_s: float

    @property
    def bounding(self) -> str:
        """The resource that must work longest."""
        return max(self.least_s, key=lambda name: self.least_s[name])

    @property
    def whole(self) -> float | None:
        """Latency over the bound, at least 1; None where nothing bounds it."""
        least = self.least_s[self.bounding]
        return self.latency_s / least if least > 0 else None


def optimality_gap(evaluation: DigitalEvaluation) -> OptimalityGap:
    """The gap of each matrix op and of the whole run. Times of ops are the mapper's, at op detail the engine's too."""
    arch = evaluation.arch
    known: dict[object, LeastOp | None] = {}
    mapped = tuple(evaluation.mapping.walk())
    found: list[LeastOp | None] = []
    for each in mapped:
        # Equal layers have equal bounds.
        key = (each.problem, each.precision, _shape(each))
        if key not in known:
            known[key] = least_of_op(each, arch)
        found.append(known[key])
    gaps = [op.time_s / least.time_s if least else np.nan for op, least in zip(mapped, found, strict=True)]
    least_s = {"array": 0.0, "vector": 0.0, "dram": 0.0, "host": 0.0}
    for op, least in zip(mapped, found, strict=True):
        for resource, seconds in _occupied_s(op, least, evaluation).items():
            least_s[resource] += seconds * op.executions
    for resource in ("array", "vector"):
        least_s[resource] /= evaluation.clock_scale
    return OptimalityGap(np.array(gaps, dtype=np.float64), least_s, evaluation.latency_s)


def _shape(mapped: OpMapping) -> object:
    """What an op's window depends on, beside its problem."""
    op = mapped.op
    return tuple(getattr(op, name, None) for name in ("input_size", "output_size", "kernel", "stride", "padding"))


def _occupied_s(mapped: OpMapping, least: LeastOp | None, evaluation: DigitalEvaluation) -> dict[str, float]:
    """Seconds by resource that one execution of an op takes at least."""
    arch, stream = evaluation.arch, mapped.stream
    dram = arch.memory.dram
    bytes_per_s = dram.bandwidth_bytes_per_s.value * dram.efficiency.value
    if least is not None:
        # An op that does not run on all cores leaves the others to other ops.
        ahead_s = (mapped.ahead_bytes or 0.0) / bytes_per_s
        return {"array": least.array_s, "dram": least.dram_s + ahead_s}
    if stream.unit == "host":
        return {"host": mapped.time_s}
    if stream.unit != "vector":
        return {}
    return {
        "vector": stream.cycles / arch.clock_hz("vector"),
        "dram": (stream.load_bytes + stream.store_bytes) / bytes_per_s,
    }

"""What an evaluation is, whatever the kind of hardware: one workload on one architecture at one precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from accelsim.cost.records import AreaBreakdown, EnergyBreakdown
from accelsim.engine.timeline import Timeline
from accelsim.hardware.load import Architecture
from accelsim.mapping.lower import Detail
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.records import MappedWorkload
from accelsim.mapping.taskgraph import TaskGraph
from accelsim.units import fs_to_s
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionChoice

__all__ = ["Engine", "Evaluation"]

Engine = Literal["auto", "des", "maxplus"]


@dataclass(frozen=True)
class Evaluation(ABC):
    """One workload on one architecture at one precision: the mapping, its task graph, timeline and energy.

    A hardware kind is a subclass, which says what its memories hold, what area it takes and what certifies a result.
    ``energy`` is None where a kind has no energy model. Where the power limit of the architecture was exceeded, clocks
    ran at ``clock_scale`` and ``unthrottled`` is the same mapping at the full clock.
    """

    workload: Graph
    architecture: Architecture
    choice: PrecisionChoice
    mapping: MappedWorkload
    tasks: TaskGraph
    timeline: Timeline
    energy: EnergyBreakdown | None
    detail: Detail
    options: MappingOptions = field(default_factory=MappingOptions)
    clock_scale: float = 1.0
    unthrottled: Evaluation | None = None

    units: ClassVar[tuple[str, ...]] = ()
    """Names of the resources that compute, without the core in front; empty where all of them do."""

    @property
    @abstractmethod
    def resources(self) -> dict[str, dict[str, float]]:
        """{resource: {"used", "budget"}}; bytes where the name says so, pieces elsewhere."""

    @property
    @abstractmethod
    def area(self) -> AreaBreakdown:
        """Area as stated and as predicted by component."""

    @property
    @abstractmethod
    def dram_bytes(self) -> float | None:
        """Bytes that cross the memory interface; None where there is none."""

    @property
    @abstractmethod
    def ideal_s(self) -> float:
        """Time of all MACs at the peak rate: no schedule is faster."""

    @abstractmethod
    def certificates(self) -> list[str]:
        """Certificates of the kind, in words where broken."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """The mapping in a sentence or two, for people."""

    @property
    def latency_s(self) -> float:
        """Time of one execution of the workload."""
        return fs_to_s(self.timeline.makespan_fs)

    @property
    def real_time_factor(self) -> float | None:
        """Latency over the seconds of audio it serves; None for workloads without audio."""
        return self.latency_s / self.workload.audio_s if self.workload.audio_s else None

    @property
    def throughput_per_s(self) -> float:
        """Samples (of the batch) a second, one execution after the other."""
        return self.workload.batch / self.latency_s if self.latency_s > 0 else float("inf")

    @property
    def energy_j(self) -> float | None:
        """Energy of one execution; None where the kind has no energy model."""
        return None if self.energy is None else self.energy.total_j

    @property
    def power_w(self) -> float | None:
        """Average power over the execution."""
        if self.energy_j is None:
            return None
        return self.energy_j / self.latency_s if self.latency_s > 0 else 0.0

    @property
    def power_limit_w(self) -> float | None:
        """The average power above which clocks are throttled."""
        return None

    @property
    def area_mm2(self) -> float | None:
        """Chip area: as stated, else as predicted; None where neither is known."""
        return self.area.area_mm2.value if self.area.area_mm2 else None

    @property
    def graph(self) -> Graph:
        """The workload as mapped: formats assigned and, where the kind runs time loops, recurrence expanded."""
        return self.mapping.graph

    @property
    def macs(self) -> int:
        return self.workload.macs

    @property
    def weight_bytes(self) -> float:
        """Stored bytes of the weights at this precision."""
        return self.graph.weight_bytes

    @cached_property
    def utilization(self) -> dict[str, float]:
        """Busy share of the makespan by resource, and ``macs``: the time of all MACs at the peak rate over it."""
        makespan = self.timeline.makespan_fs
        busy = self.timeline.busy_fs(self.tasks)
        shares = {name: float(busy[i]) / makespan if makespan else 0.0 for i, name in enumerate(self.tasks.resources)}
        return shares | {"macs": self.ideal_s / self.latency_s if makespan else 0.0}

    @property
    def bottleneck(self) -> str:
        """The resource that is busy for the largest share of the time."""
        shares = {name: share for name, share in self.utilization.items() if name != "macs"}
        return max(shares, key=lambda name: shares[name])

    def computes(self, resource: str) -> bool:
        """Whether a resource of the task graph is a compute unit."""
        return not self.units or resource.rpartition(".")[2] in self.units

    @cached_property
    def op_spans_fs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(first start, last end, occupied unit time) of each mapped op, (ops,) int64."""
        count = sum(1 for _ in self.mapping.walk())
        start = np.full(count, np.iinfo(np.int64).max)
        end = np.zeros(count, dtype=np.int64)
        np.minimum.at(start, self.tasks.op, self.timeline.start_fs)
        np.maximum.at(end, self.tasks.op, self.timeline.end_fs)
        return np.minimum(start, end), end, self._unit_busy(count)

    def _unit_busy(self, count: int) -> np.ndarray:
        """Time in which an op's unit works on it; of equal cores, one counts."""
        tasks = self.tasks
        units = [i for i, name in enumerate(tasks.resources) if self.computes(name)]
        chosen = np.isin(tasks.resource, units)
        spent = (self.timeline.end_fs - self.timeline.start_fs)[chosen]
        busy = np.zeros((len(tasks.resources), count), dtype=np.int64)
        np.add.at(busy, (tasks.resource[chosen], tasks.op[chosen]), spent)
        return np.asarray(busy.max(axis=0))

    def check(self) -> list[str]:
        """Certificates of this result, in words where broken; an empty list is a pass.

        Time is at least work over peak; no two tasks overlap on a resource and none starts before its predecessors;
        shares are at most 1 and budgets are kept; parts add up; and what the kind certifies beside.
        """
        found = self.timeline.violations(self.tasks)
        tolerance = 1 + 1e-9
        if self.ideal_s > self.latency_s * tolerance:
            found.append(f"latency {self.latency_s} s is below work over peak: {self.ideal_s} s")
        found += [
            f"{name} is busy {share} of the time" for name, share in self.utilization.items() if share > tolerance
        ]
        found += [
            f"{name} holds {held['used']} of {held['budget']}"
            for name, held in self.resources.items()
            if held["used"] > held["budget"] * tolerance
        ]
        found += self.energy.violations() if self.energy is not None else []
        mapped = sum(op.op.macs * op.executions for op in self.mapping.walk())
        if mapped != self.macs:
            found.append(f"mapped MACs {mapped} are not the workload's {self.macs}")
        return found + self.certificates()

"""The only place that composes the stages: workload and architecture in, evaluation out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from accelsim.cost.digital import area, durations_fs, energy
from accelsim.cost.power import clock_scale_within, throttled
from accelsim.cost.records import AreaBreakdown, EnergyBreakdown
from accelsim.engine import run
from accelsim.engine.timeline import Timeline
from accelsim.errors import InfeasibleError
from accelsim.hardware.load import Architecture
from accelsim.mapping.digital import map_workload
from accelsim.mapping.lower import Detail, lower
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.placement import is_view, read_whole
from accelsim.mapping.records import WorkloadMapping
from accelsim.mapping.taskgraph import TaskGraph
from accelsim.units import fs_to_s
from accelsim.workload.expand import expanded
from accelsim.workload.graph import Graph
from accelsim.workload.ops import MatMul
from accelsim.workload.precision import PrecisionArgument, PrecisionChoice, assign_formats, resolve_precision

__all__ = ["Evaluation", "evaluate", "reprice"]

Engine = Literal["auto", "des", "maxplus"]


@dataclass(frozen=True)
class Evaluation:
    """One workload on one architecture at one precision: the mapping, its task graph, timeline and energy.

    Where the power limit of the architecture was exceeded, clocks ran at ``clock_scale`` and ``unthrottled`` is the
    same mapping at the full clock.
    """

    workload: Graph
    architecture: Architecture
    choice: PrecisionChoice
    mapping: WorkloadMapping
    tasks: TaskGraph
    timeline: Timeline
    energy: EnergyBreakdown
    detail: Detail
    options: MappingOptions = field(default_factory=MappingOptions)
    clock_scale: float = 1.0
    unthrottled: Evaluation | None = None

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
    def energy_j(self) -> float:
        return self.energy.total_j

    @property
    def power_w(self) -> float:
        """Average power over the execution."""
        return self.energy_j / self.latency_s if self.latency_s > 0 else 0.0

    @cached_property
    def area(self) -> AreaBreakdown:
        """Area as stated and as predicted by component."""
        return area(self.architecture.description)

    @property
    def area_mm2(self) -> float | None:
        """Chip area: as stated, else as predicted; None where neither is known."""
        return self.area.area_mm2.value if self.area.area_mm2 else None

    @property
    def graph(self) -> Graph:
        """The workload as mapped: recurrence expanded, formats assigned."""
        return self.mapping.graph

    @property
    def macs(self) -> int:
        return self.workload.macs

    @property
    def weight_bytes(self) -> float:
        """Stored bytes of the weights at this precision."""
        return self.graph.weight_bytes

    @property
    def dram_bytes(self) -> float:
        """Bytes that cross the memory interface, whole bursts."""
        return self._moved("dram_read") + self._moved("dram_write")

    def _moved(self, action: str) -> float:
        chosen = (self.tasks.action == self.tasks.actions.index(action)) & (self.tasks.resource >= 0)
        return float(self.tasks.amount[chosen].sum())

    @cached_property
    def utilization(self) -> dict[str, float]:
        """Busy share of the makespan by resource, and ``macs``: achieved MACs over the arrays' peak.

        ``macs`` weighs each op by the peak rate of the format that it computes in.
        """
        makespan = self.timeline.makespan_fs
        busy = self.timeline.busy_fs(self.tasks)
        shares = {name: float(busy[i]) / makespan if makespan else 0.0 for i, name in enumerate(self.tasks.resources)}
        return shares | {"macs": self.ideal_array_s / self.latency_s if makespan else 0.0}

    @cached_property
    def ideal_array_s(self) -> float:
        """Time of all MACs at the arrays' peak rate: no schedule is faster."""
        arch = self.architecture.description
        per_format: dict[str, int] = {}
        for op in self.mapping.walk():
            if op.problem is not None:
                per_format[op.precision] = per_format.get(op.precision, 0) + op.op.macs * op.executions
        return sum(2.0 * macs / arch.peak_ops_per_s(name) for name, macs in per_format.items())

    @cached_property
    def _times_without_s(self) -> dict[str, float]:
        return {}

    def mapping_time_without_s(self, choice: str) -> float:
        """The mapper's time with one of its choices switched off; infinite where the workload then fits nowhere.

        Found once: several reports ask for it.
        """
        if choice not in self._times_without_s:
            arch = (self.unthrottled or self).architecture.description
            try:
                other = map_workload(self.graph, arch, self.choice, self.options.without(choice)).time_s
            except InfeasibleError:
                other = float("inf")
            self._times_without_s[choice] = other
        return self._times_without_s[choice]

    @property
    def bottleneck(self) -> str:
        """The resource that is busy for the largest share of the time."""
        shares = {name: share for name, share in self.utilization.items() if name != "macs"}
        return max(shares, key=lambda name: shares[name])

    @property
    def resources(self) -> dict[str, dict[str, float]]:
        """Memory used and available in bytes."""
        arch = self.architecture.description
        scratchpads = arch.scratchpad.capacity_bytes.value * arch.n_cores
        return {
            "scratchpad_bytes": {"used": self.mapping.scratchpad_peak_bytes, "budget": scratchpads},
            "dram_bytes": {"used": self.mapping.dram_peak_bytes, "budget": arch.memory.dram.capacity_bytes.value},
        }

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
        units = [i for i, name in enumerate(tasks.resources) if name.rpartition(".")[2] in ("array", "vector", "host")]
        chosen = np.isin(tasks.resource, units)
        spent = (self.timeline.end_fs - self.timeline.start_fs)[chosen]
        busy = np.zeros((len(tasks.resources), count), dtype=np.int64)
        np.add.at(busy, (tasks.resource[chosen], tasks.op[chosen]), spent)
        return np.asarray(busy.max(axis=0))

    def check(self) -> list[str]:
        """Certificates of this result, in words where broken; an empty list is a pass.

        Time is at least work over peak and bytes over bandwidth; traffic is at least compulsory; no two tasks
        overlap on a resource and none starts before its predecessors; shares are at most 1; parts add up; at op
        detail the engine finds the time that the mapper minimised.
        """
        found = self.timeline.violations(self.tasks)
        arch = self.architecture.description
        bandwidth = arch.memory.dram.bandwidth_bytes_per_s.value
        tolerance = 1 + 1e-9
        bounds = {
            "work over peak": self.ideal_array_s,
            "DRAM bytes over bandwidth": self.dram_bytes / bandwidth,
        }
        found += [f"latency {self.latency_s} s is below {name}: {least} s" for name, least in bounds.items()
                  if least > self.latency_s * tolerance]  # fmt: skip
        compulsory = self._compulsory_bytes()
        if self.dram_bytes * tolerance < compulsory:
            found.append(f"DRAM traffic {self.dram_bytes} is below the compulsory {compulsory} bytes")
        found += [
            f"{name} is busy {share} of the time" for name, share in self.utilization.items() if share > tolerance
        ]
        found += [
            f"{name} holds {memory['used']} of {memory['budget']} bytes"
            for name, memory in self.resources.items()
            if memory["used"] > memory["budget"] * tolerance
        ]
        found += self.energy.violations() + self._power_violations()
        at_full_clock = (self.unthrottled or self).latency_s
        if self.detail == "op" and abs(self.mapping.time_s - at_full_clock) > 1e-8 * at_full_clock:
            found.append(f"the mapper expected {self.mapping.time_s} s, the engine found {at_full_clock} s")
        mapped = sum(op.op.macs * op.executions for op in self.mapping.walk())
        if mapped != self.macs:
            found.append(f"mapped MACs {mapped} are not the workload's {self.macs}")
        return found

    def _power_violations(self) -> list[str]:
        """A power limit is kept, and throttling never makes a run faster or hungrier by the second."""
        found = []
        limit = self.architecture.description.power_limit_w
        if limit is not None and self.power_w > limit.value * (1 + 1e-9):
            found.append(f"average power {self.power_w} W is above the limit of {limit.value} W")
        full = self.unthrottled
        if full is not None and (full.latency_s > self.latency_s or full.power_w < self.power_w):
            found.append(f"throttled to {self.clock_scale} of its clock it takes {self.latency_s} s, {self.power_w} W, "
                         f"unthrottled {full.latency_s} s, {full.power_w} W")  # fmt: skip
        return found

    def _compulsory_bytes(self) -> float:
        """What must cross the memory interface once: weights read whole, outputs, and the inputs of matrix work."""
        graph = self.graph
        read = read_whole(graph) - self.mapping.resident
        weights = sum(t.bytes for t in graph.all_tensors() if t.role == "weight" and t.name in read)
        multiplied = {op.inputs[0] for op in graph.ops if isinstance(op, MatMul)} & set(graph.inputs)
        made = {name for op in graph.ops if not is_view(op) for name in op.outputs} & set(graph.outputs)
        return weights + sum(graph.tensors[name].bytes for name in (*multiplied, *made))


def evaluate(
    workload: Graph,
    architecture: Architecture,
    precision: PrecisionArgument | None = None,
    *,
    engine: Engine = "auto",
    detail: Detail = "op",
    options: MappingOptions | None = None,
) -> Evaluation:
    """Map, lower, time and price one workload.

    Args:
        workload: a graph as a front end makes it.
        architecture: where it runs.
        precision: format, recipe or mapping of patterns; None takes the architecture's first format.
        engine: ``auto`` is the compiled engine where it applies.
        detail: ``op`` for a few tasks an op, ``tile`` for one a tile transfer and computation.
        options: which choices the mapper may make; None takes the defaults.

    Raises:
        InfeasibleError: it fits nowhere.
        UnsupportedError: an op or format that is not modelled.
    """
    arch = architecture.description
    runnable = expanded(workload)
    choice = resolve_precision(runnable, arch.default_precision if precision is None else precision)
    graph = assign_formats(runnable, choice, arch.vector.format)
    options = options or MappingOptions()
    mapping = map_workload(graph, arch, choice, options)
    tasks = lower(mapping, arch, detail)
    timeline = run(tasks, durations_fs(tasks, arch), engine)
    priced = energy(mapping, tasks, arch, fs_to_s(timeline.makespan_fs))
    found = Evaluation(workload, architecture, choice, mapping, tasks, timeline, priced, detail, options)
    return _within_power(found, engine)


def reprice(evaluation: Evaluation, architecture: Architecture) -> Evaluation:
    """The same mapping and timeline with other energies: exact where only energies and leakage differ."""
    full = evaluation.unthrottled or evaluation
    priced = energy(full.mapping, full.tasks, architecture.description, full.latency_s)
    return _within_power(replace(full, architecture=architecture, energy=priced), "auto")


def _within_power(evaluation: Evaluation, engine: Engine) -> Evaluation:
    """The evaluation with clocks throttled until its average power is within the architecture's limit."""
    limit = evaluation.architecture.description.power_limit_w
    if limit is None or evaluation.power_w <= limit.value:
        return evaluation
    scale = clock_scale_within(limit.value, lambda scale: _at_clock(evaluation, scale, "auto").power_w)
    return _at_clock(evaluation, scale, engine)


def _at_clock(evaluation: Evaluation, scale: float, engine: Engine) -> Evaluation:
    """The same tasks with the chip's clocks at ``scale``."""
    arch = throttled(evaluation.architecture.description, scale)
    timeline = run(evaluation.tasks, durations_fs(evaluation.tasks, arch), engine)
    priced = energy(evaluation.mapping, evaluation.tasks, arch, fs_to_s(timeline.makespan_fs))
    return replace(evaluation, timeline=timeline, energy=priced, clock_scale=scale, unthrottled=evaluation)

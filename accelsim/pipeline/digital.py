"""Evaluation on the digital kind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

from accelsim.cost.digital import area, durations_fs, energy
from accelsim.cost.power import clock_scale_within, throttled
from accelsim.cost.records import AreaBreakdown, EnergyBreakdown
from accelsim.engine import Timeline, run
from accelsim.errors import InfeasibleError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.hardware.load import Architecture
from accelsim.mapping.digital import map_workload
from accelsim.mapping.lower import Detail, lower
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.placement import is_view, read_whole
from accelsim.mapping.records import WorkloadMapping
from accelsim.mapping.taskgraph import TaskGraph
from accelsim.pipeline.evaluation import Engine, Evaluation
from accelsim.units import fs_to_s
from accelsim.workload.expand import expanded
from accelsim.workload.graph import Graph
from accelsim.workload.ops import MatMul
from accelsim.workload.precision import PrecisionArgument, PrecisionChoice, assign_formats, resolve_precision

__all__ = ["DigitalEvaluation", "description_of", "evaluate_digital", "reprice", "timed"]


def description_of(architecture: Architecture) -> DigitalArchitecture:
    """The description of an architecture that is known to be digital."""
    assert isinstance(architecture.description, DigitalArchitecture)
    return architecture.description


@dataclass(frozen=True)
class DigitalEvaluation(Evaluation):
    """A workload on arrays, vector units, scratchpads and DRAM."""

    mapping: WorkloadMapping
    energy: EnergyBreakdown
    unthrottled: DigitalEvaluation | None = None

    units: ClassVar[tuple[str, ...]] = ("array", "vector", "host")

    @property
    def arch(self) -> DigitalArchitecture:
        """The description of the architecture."""
        return description_of(self.architecture)

    @property
    def energy_j(self) -> float:
        return self.energy.total_j

    @property
    def power_w(self) -> float:
        """Average power over the execution."""
        return self.energy_j / self.latency_s if self.latency_s > 0 else 0.0

    @property
    def power_limit_w(self) -> float | None:
        limit = self.arch.power_limit_w
        return None if limit is None else limit.value

    @cached_property
    def area(self) -> AreaBreakdown:
        """Area as stated and as predicted by component."""
        return area(self.arch)

    @property
    def dram_bytes(self) -> float:
        """Bytes that cross the memory interface, whole bursts."""
        return self._moved("dram_read") + self._moved("dram_write")

    def _moved(self, action: str) -> float:
        chosen = (self.tasks.action == self.tasks.actions.index(action)) & (self.tasks.resource >= 0)
        return float(self.tasks.amount[chosen].sum())

    @cached_property
    def ideal_s(self) -> float:
        """Time of all MACs at the arrays' peak rate, each op's in the format that it computes in."""
        per_format: dict[str, int] = {}
        for op in self.mapping.walk():
            if op.problem is not None:
                per_format[op.precision] = per_format.get(op.precision, 0) + op.op.macs * op.executions
        return sum(2.0 * macs / self.arch.peak_ops_per_s(name) for name, macs in per_format.items())

    @cached_property
    def _times_without_s(self) -> dict[str, float]:
        return {}

    def mapping_time_without_s(self, choice: str) -> float:
        """The mapper's time with one of its choices switched off; infinite where the workload then fits nowhere.

        Found once: several reports ask for it.
        """
        if choice not in self._times_without_s:
            arch = (self.unthrottled or self).arch
            try:
                other = map_workload(self.graph, arch, self.choice, self.options.without(choice)).time_s
            except InfeasibleError:
                other = float("inf")
            self._times_without_s[choice] = other
        return self._times_without_s[choice]

    @property
    def resources(self) -> dict[str, dict[str, float]]:
        """Memory used and available in bytes."""
        scratchpads = self.arch.scratchpad.capacity_bytes.value * self.arch.n_cores
        return {
            "scratchpad_bytes": {"used": self.mapping.scratchpad_peak_bytes, "budget": scratchpads},
            "dram_bytes": {"used": self.mapping.dram_peak_bytes, "budget": self.arch.memory.dram.capacity_bytes.value},
        }

    @property
    def summary(self) -> str:
        mapped = list(self.mapping.walk())
        matrix = sum(1 for op in mapped if op.candidate is not None)
        return (
            f"{len(mapped)} ops, {matrix} of them matrix work, chosen from {self.mapping.candidates_seen:,} "
            f"candidates. {len(self.mapping.on_chip)} activations stay on chip."
        )

    def certificates(self) -> list[str]:
        """Bytes over bandwidth, compulsory traffic, power, and the mapper's time against the engine's at op detail."""
        found = []
        bandwidth = self.arch.memory.dram.bandwidth_bytes_per_s.value
        tolerance = 1 + 1e-9
        least = self.dram_bytes / bandwidth
        if least > self.latency_s * tolerance:
            found.append(f"latency {self.latency_s} s is below DRAM bytes over bandwidth: {least} s")
        compulsory = self.compulsory_bytes
        if self.dram_bytes * tolerance < compulsory:
            found.append(f"DRAM traffic {self.dram_bytes} is below the compulsory {compulsory} bytes")
        found += self._power_violations()
        at_full_clock = (self.unthrottled or self).latency_s
        if self.detail == "op" and abs(self.mapping.time_s - at_full_clock) > 1e-8 * at_full_clock:
            found.append(f"the mapper expected {self.mapping.time_s} s, the engine found {at_full_clock} s")
        return found

    def _power_violations(self) -> list[str]:
        """A power limit is kept, and throttling never makes a run faster or hungrier by the second."""
        found = []
        limit = self.power_limit_w
        if limit is not None and self.power_w > limit * (1 + 1e-9):
            found.append(f"average power {self.power_w} W is above the limit of {limit} W")
        full = self.unthrottled
        if full is not None and (full.latency_s > self.latency_s or full.power_w < self.power_w):
            found.append(f"throttled to {self.clock_scale} of its clock it takes {self.latency_s} s, {self.power_w} W, "
                         f"unthrottled {full.latency_s} s, {full.power_w} W")  # fmt: skip
        return found

    @property
    def compulsory_bytes(self) -> float:
        """What must cross the memory interface once: weights read whole, outputs, and the inputs of matrix work."""
        graph = self.graph
        read = read_whole(graph) - self.mapping.resident
        weights = sum(t.bytes for t in graph.all_tensors() if t.role == "weight" and t.name in read)
        multiplied = {op.inputs[0] for op in graph.ops if isinstance(op, MatMul)} & set(graph.inputs)
        made = {name for op in graph.ops if not is_view(op) for name in op.outputs} & set(graph.outputs)
        return weights + sum(graph.tensors[name].bytes for name in (*multiplied, *made))


def evaluate_digital(
    workload: Graph, architecture: Architecture, precision: PrecisionArgument, engine: Engine, detail: Detail,
    options: MappingOptions,
) -> DigitalEvaluation:  # fmt: skip
    """Map, lower, time and price one workload; arguments and errors as `pipeline.evaluate`."""
    arch = description_of(architecture)
    runnable = expanded(workload)
    choice = resolve_precision(runnable, precision)
    graph = assign_formats(runnable, choice, arch.value_format)
    mapping, tasks, timeline = timed(graph, arch, choice, options=options, engine=engine, detail=detail)
    priced = energy(mapping, tasks, arch, fs_to_s(timeline.makespan_fs))
    found = DigitalEvaluation(workload, architecture, choice, mapping, tasks, timeline, priced, detail, options)
    return _within_power(found, engine)


def timed(
    graph: Graph, arch: DigitalArchitecture, choice: PrecisionChoice, *, options: MappingOptions,
    engine: Engine = "auto", detail: Detail = "op",
) -> tuple[WorkloadMapping, TaskGraph, Timeline]:  # fmt: skip
    """Map, lower and time a graph with formats assigned and recurrence expanded; errors as `pipeline.evaluate`."""
    mapping = map_workload(graph, arch, choice, options)
    tasks = lower(mapping, arch, detail)
    return mapping, tasks, run(tasks, durations_fs(tasks, arch), engine)


def reprice(evaluation: DigitalEvaluation, architecture: Architecture) -> DigitalEvaluation:
    """The same mapping and timeline with other energies: exact where only energies and leakage differ."""
    full = evaluation.unthrottled or evaluation
    priced = energy(full.mapping, full.tasks, description_of(architecture), full.latency_s)
    return _within_power(replace(full, architecture=architecture, energy=priced), "auto")


def _within_power(evaluation: DigitalEvaluation, engine: Engine) -> DigitalEvaluation:
    """The evaluation with clocks throttled until its average power is within the architecture's limit."""
    limit = evaluation.power_limit_w
    if limit is None or evaluation.power_w <= limit:
        return evaluation
    scale = clock_scale_within(limit, lambda scale: _at_clock(evaluation, scale, "auto").power_w)
    return _at_clock(evaluation, scale, engine)


def _at_clock(evaluation: DigitalEvaluation, scale: float, engine: Engine) -> DigitalEvaluation:
    """The same tasks with the chip's clocks at ``scale``."""
    arch = throttled(evaluation.arch, scale)
    timeline = run(evaluation.tasks, durations_fs(evaluation.tasks, arch), engine)
    priced = energy(evaluation.mapping, evaluation.tasks, arch, fs_to_s(timeline.makespan_fs))
    return replace(evaluation, timeline=timeline, energy=priced, clock_scale=scale, unthrottled=evaluation)

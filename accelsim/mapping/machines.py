"""An architecture as the search of mappings sees it, and what was searched."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from accelsim.hardware.digital import DigitalArchitecture, whole
from accelsim.mapping.memory import GraphMemory
from accelsim.mapping.schedule import Rates
from accelsim.mapping.search import search
from accelsim.mapping.space import Candidate, Machine, Metrics, Problem
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionChoice

__all__ = ["Machines", "machine_of", "searched"]

_Found = tuple[Candidate, Metrics, int]


@lru_cache(maxsize=65536)
def searched(problem: Problem, machine: Machine) -> _Found:
    """(best candidate, its metrics, candidates evaluated), remembered."""
    candidate, metrics, seen = search(problem, machine, True)
    return Candidate(*candidate), Metrics(*metrics), int(seen)


@dataclass(slots=True)
class Machines:
    """An architecture as the search sees it, by format; made once for a whole mapping."""

    arch: DigitalArchitecture
    _made: dict[tuple[str, float], Machine] = field(default_factory=dict)
    _known: dict[tuple[Problem, str], list[tuple[float, _Found]]] = field(default_factory=dict)
    _rates: dict[tuple[str, float], Rates] = field(default_factory=dict)
    _smaller: dict[int, Machines] = field(default_factory=dict)
    _memories: dict[tuple[int, int], GraphMemory] = field(default_factory=dict)
    candidates_seen: int = 0

    def of(self, precision: str, free_bytes: float, op_name: str) -> Machine:
        """The machine with ``free_bytes`` of all scratchpads for streams."""
        key = precision, free_bytes
        if key not in self._made:
            any_room = self.of(precision, 0.0, op_name) if free_bytes else machine_of(self.arch, precision, op_name)
            self._made[key] = any_room._replace(capacity_bytes=free_bytes / self.arch.n_cores)
        return self._made[key]

    def best(self, problem: Problem, precision: str, free_bytes: float, op_name: str) -> tuple[Candidate, Metrics]:
        """The best mapping of a product with ``free_bytes`` of all scratchpads for streams.

        The best of a larger scratchpad is the best of every smaller one it fits. What it remembers lives as long as one
        mapping, so that a result does not depend on what ran before.
        """
        capacity = free_bytes / self.arch.n_cores
        known = self._known.setdefault((problem, precision), [])
        for limit, (candidate, metrics, _) in known:
            if limit >= capacity and metrics.feasible and metrics.buffer_bytes <= capacity:
                return candidate, metrics
        found = searched(problem, self.of(precision, free_bytes, op_name))
        known.append((capacity, found))
        self.candidates_seen += found[2]
        return found[:2]

    def memory_of(self, graph: Graph, choice: PrecisionChoice) -> GraphMemory:
        """What is remembered of ``graph`` in the formats of ``choice``."""
        key = id(graph), id(choice)  # the memory keeps both alive, so no other gets their ids
        if key not in self._memories:
            self._memories[key] = GraphMemory(graph, choice)
        return self._memories[key]

    def with_cores(self, cores: int) -> Machines:
        """The same architecture cut down to ``cores`` of its cores."""
        if cores not in self._smaller:
            count = self.arch.cores.model_copy(update={"value": cores})
            self._smaller[cores] = Machines(self.arch.model_copy(update={"cores": count}))
        return self._smaller[cores]

    def rates(self, unit: str, overhead_cycles: float) -> Rates:
        """Rates for `schedule_s` of one unit."""
        key = (unit, overhead_cycles)
        if key not in self._rates:
            machine = self.of(self.arch.default_precision, 0.0, "")
            self._rates[key] = Rates(
                1.0 / self.arch.clock_hz(unit), machine.dram_bytes_per_s, machine.burst_bytes, machine.dram_latency_s,
                machine.dma_bytes_per_s, machine.network_bytes_per_s, machine.hop_s,
                overhead_cycles / self.arch.clock_hz("array"),
            )  # fmt: skip
        return self._rates[key]


def machine_of(arch: DigitalArchitecture, precision: str, op_name: str) -> Machine:
    """The machine for one format, without room for streams; ``op_name`` is told where the format has no unit.

    Columns of designs in place of constants make columns, but for that of cores.
    """
    array, unit, dram = arch.array, arch.unit(precision, op=op_name), arch.memory.dram
    array_hz = arch.clock_hz("array")
    network = arch.interconnect
    return Machine(
        cores=arch.n_cores,
        rows=whole(array.rows.value),
        columns=whole(array.columns.value),
        reduction_per_pe=int(unit.reduction_per_pe.value),
        columns_per_pe=int(unit.columns_per_pe.value),
        arrays=whole(array.per_core.value),
        weight_stationary="weight_stationary" in array.dataflows,
        output_stationary="output_stationary" in array.dataflows,
        input_stationary="input_stationary" in array.dataflows,
        overlapped=array.fill_drain == "overlapped",
        accumulator_bytes=array.accumulator_bytes.value,
        capacity_bytes=0.0,
        port_bytes_per_cycle=arch.scratchpad.bandwidth_bytes_per_cycle.value * arch.clock_hz("scratchpad") / array_hz,
        shared_port=arch.scratchpad.ports.value < 2,
        array_hz=array_hz,
        dram_bytes_per_s=dram.bandwidth_bytes_per_s.value * dram.efficiency.value,
        dram_latency_s=dram.latency_s.value,
        dma_bytes_per_s=arch.dma.engines.value * arch.dma.bandwidth_bytes_per_cycle.value * arch.clock_hz("dma"),
        network_bytes_per_s=network.links_per_core * network.bandwidth_bytes_per_cycle.value
        * arch.clock_hz("interconnect"),
        overhead_s=arch.op_overhead_cycles.value / array_hz,
        whole_weight_tiles=array.whole_weight_tiles,
        hop_s=network.hop_latency_cycles.value * network.mean_hops(arch.n_cores) / arch.clock_hz("interconnect"),
        burst_bytes=dram.burst_bytes.value * dram.channels.value,
    )  # fmt: skip

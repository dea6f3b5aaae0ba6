"""Mapping a workload onto a digital accelerator.

Decisions, in this order: which activations stay on chip (a few budgets are tried, the fastest is kept); which
weights stay in the scratchpads through a time loop; then, op by op, the best point of the space in `contraction`
for matrix work and an even split over the cores for vector work. Equal products are searched once.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.contraction import Candidate, Machine, Metrics, Problem, evaluate, search
from accelsim.mapping.placement import is_view, live_bytes, loop_state_bytes, place_activations, resident_weights
from accelsim.mapping.records import LoopMapping, MappedOp, OpMapping, Stream, WorkloadMapping
from accelsim.numerics import FORMATS
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Contraction, Conv, Host, Loop, MatMul, Op
from accelsim.workload.precision import PrecisionChoice
from accelsim.workload.vector_work import element_work

__all__ = ["map_workload"]

_ACTIVATION_SHARES = (0.75, 0.5, 0.25, 0.0)
"""Parts of the scratchpads that activations may take; 0 keeps all of them in DRAM."""
_STREAMING_SHARE = 0.25
"""Part of the scratchpads left for the tiles of streamed weights when not all of a loop's weights fit."""


@lru_cache(maxsize=65536)
def _searched(problem: Problem, machine: Machine) -> tuple[Candidate, Metrics, int]:
    candidate, metrics, seen = search(problem, machine, True)
    return Candidate(*candidate), Metrics(*metrics), int(seen)


def map_workload(graph: Graph, arch: DigitalArchitecture, choice: PrecisionChoice) -> WorkloadMapping:
    """Map a graph with formats assigned and recurrence expanded.

    Raises:
        InfeasibleError: an op or its data fit nowhere.
        UnsupportedError: a format that the arrays have no unit for.
    """
    capacity = arch.scratchpad.capacity_bytes.value * arch.n_cores
    best: WorkloadMapping | None = None
    failure: InfeasibleError | None = None
    tried: set[frozenset[str]] = set()
    for share in _ACTIVATION_SHARES:
        on_chip = place_activations(graph, share * capacity)
        if on_chip in tried:
            continue
        tried.add(on_chip)
        try:
            mapping = _mapped(graph, arch, choice, on_chip)
        except InfeasibleError as error:
            failure = error
            continue
        if best is None or _total_s(mapping) < _total_s(best):
            best = mapping
    if best is None:
        assert failure is not None
        raise failure
    _check_dram(best, arch)
    return best


def _total_s(mapping: WorkloadMapping) -> float:
    return sum(op.time_s for op in mapping.ops)


def _mapped(graph: Graph, arch: DigitalArchitecture, choice: PrecisionChoice, on_chip: frozenset[str]) -> WorkloadMapping:
    context = _Context(arch, choice, on_chip)
    ops = context.ops(graph, live_bytes(graph, on_chip), 1, frozenset())
    off_chip = {t.name: t.bytes for t in graph.all_tensors() if t.role == "weight"}
    off_chip |= {name: graph.tensors[name].bytes for name in (*graph.inputs, *graph.outputs)}
    off_chip |= {name: graph.tensors[name].bytes for name in graph.producers if name not in on_chip}
    return WorkloadMapping(graph, ops, on_chip, context.peak_bytes, sum(off_chip.values()), context.seen)


def _check_dram(mapping: WorkloadMapping, arch: DigitalArchitecture) -> None:
    bound = arch.memory.dram.capacity_bytes.value
    if mapping.dram_peak_bytes > bound:
        raise InfeasibleError(
            Infeasible("DRAM capacity", mapping.dram_peak_bytes, bound, "bytes", f"workload {mapping.graph.name}")
        )


@dataclass(slots=True)
class _Context:
    """One attempt at a whole workload."""

    arch: DigitalArchitecture
    choice: PrecisionChoice
    on_chip: frozenset[str]
    peak_bytes: float = 0.0
    seen: int = 0

    @property
    def capacity(self) -> float:
        return self.arch.scratchpad.capacity_bytes.value * self.arch.n_cores

    def ops(self, graph: Graph, held: list[float], times: int, resident: frozenset[str]) -> tuple[MappedOp, ...]:
        """Map every op of ``graph``; ``held`` is what activations and weights take at each op already."""
        mapped: list[MappedOp] = []
        for op, taken in zip(graph.ops, held, strict=True):
            if isinstance(op, Loop):
                mapped.append(self._loop(op, graph, taken, times, resident))
            else:
                mapped.append(self._op(op, graph, taken, times, resident))
        return tuple(mapped)

    def _loop(self, op: Loop, graph: Graph, held: float, times: int, resident: frozenset[str]) -> LoopMapping:
        inner = _Context(self.arch, self.choice, _body_on_chip(op, graph, self.on_chip))
        needs = loop_state_bytes(op.body)
        room = self.capacity - held - needs
        if room < 0:
            raise InfeasibleError(Infeasible("scratchpad capacity", held + needs, self.capacity, "bytes", op.name))
        weights = {
            tensor.name: tensor.bytes
            for tensor in op.body.all_tensors()
            if tensor.role == "weight" and tensor.name not in resident
        }
        kept = resident_weights(weights, room, _STREAMING_SHARE * self.capacity) if op.steps > 1 else ()
        kept_bytes = sum(weights[name] for name in kept)
        taken = [held + needs + kept_bytes] * len(op.body.ops)
        body = inner.ops(op.body, taken, times * op.steps, resident | set(kept))
        self.peak_bytes = max(self.peak_bytes, inner.peak_bytes)
        self.seen += inner.seen
        dram = self.arch.memory.dram
        load_s = kept_bytes / (dram.bandwidth_bytes_per_s.value * dram.efficiency.value)
        return LoopMapping(op, body, kept, kept_bytes, times, load_s + op.steps * sum(each.time_s for each in body))

    def _op(self, op: Op, graph: Graph, held: float, times: int, resident: frozenset[str]) -> OpMapping:
        if isinstance(op, MatMul | Conv):
            mapped = self._matrix(op, graph, held, times, resident)
        elif isinstance(op, Host):
            seconds = op.seconds + self.arch.host.latency_s.value
            mapped = OpMapping(op, Stream("host", load_bytes=0.0), times, time_s=seconds)
        else:
            mapped = self._vector(op, graph, held, times, resident)
        self.peak_bytes = max(self.peak_bytes, held + mapped.stream.buffer_bytes * self.arch.n_cores)
        return mapped

    def _off_chip(self, graph: Graph, name: str, resident: frozenset[str]) -> bool:
        tensor = graph.tensors[name]
        if tensor.role in ("weight", "constant"):
            return name not in resident
        return name not in self.on_chip

    def _matrix(self, op: MatMul | Conv, graph: Graph, held: float, times: int, resident: frozenset[str]) -> OpMapping:
        precision = self.choice.of(op.name)
        problem = self._problem(op, graph, precision, resident)
        machine = _machine(self.arch, precision, self.capacity - held, op.name)
        candidate, metrics, seen = _searched(problem, machine)
        self.seen += seen
        if not metrics.feasible:
            least = _smallest_buffer(problem, machine)
            bound = max(0.0, machine.capacity_bytes)
            raise InfeasibleError(Infeasible("scratchpad capacity of a core", least, bound, "bytes", op.name))
        extra = sum(graph.tensors[name].bytes for name in op.inputs[2:] if self._off_chip(graph, name, resident))
        stream = _matrix_stream(candidate, metrics, extra)
        return OpMapping(op, stream, times, precision, problem, candidate, metrics, metrics.time_s)

    def _problem(self, op: MatMul | Conv, graph: Graph, precision: str, resident: frozenset[str]) -> Problem:
        nest = op.contraction
        if isinstance(op, MatMul) and op.shared_input:
            nest = Contraction(1, op.m, op.n * op.groups, op.k)
        unit = self.arch.unit(precision, op=op.name)
        read, weight, made = op.inputs[0], op.inputs[1], op.outputs[0]
        tensors = graph.tensors
        return Problem(
            nest.groups, nest.m, nest.n, nest.k, nest.row_outputs, nest.row_stride, nest.row_elements,
            nest.kernel_rows, nest.kernel_size,
            weight_bytes=FORMATS[tensors[weight].format or precision].bytes_per_element,
            input_bytes=FORMATS[tensors[read].format or precision].bytes_per_element,
            output_bytes=FORMATS[tensors[made].format or precision].bytes_per_element,
            partial_bytes=FORMATS[unit.accumulator].bytes_per_element,
            input_on_chip=not self._off_chip(graph, read, resident),
            output_on_chip=not self._off_chip(graph, made, resident),
            weight_on_chip=not self._off_chip(graph, weight, resident),
        )  # fmt: skip

    def _vector(self, op: Op, graph: Graph, held: float, times: int, resident: frozenset[str]) -> OpMapping:
        if is_view(op):
            return OpMapping(op, Stream("none"), times)
        arch, vector = self.arch, self.arch.vector
        simple, special = element_work(op)
        lanes = vector.lanes.value * arch.n_cores
        compute = (simple * vector.cycles_simple.value + special * vector.cycles_special.value) / lanes
        read = [name for name in op.inputs if not _gathers(op, graph, name)]
        sizes = {name: graph.tensors[name].bytes for name in (*read, *op.outputs)}
        if len(read) < len(op.inputs):
            # A gather reads only the rows that it copies.
            sizes["rows gathered"] = sum(graph.tensors[name].bytes for name in op.outputs)
        crossing = sum(sizes.values())
        port = crossing / arch.n_cores / arch.scratchpad.bandwidth_bytes_per_cycle.value
        port *= arch.clock_hz("vector") / arch.clock_hz("scratchpad")
        load = sum(sizes[name] for name in read if self._off_chip(graph, name, resident))
        if len(read) < len(op.inputs) and self._off_chip(graph, op.inputs[0], resident):
            load += sizes["rows gathered"]
        store = sum(sizes[name] for name in op.outputs if self._off_chip(graph, name, resident))
        stream = _vector_stream(max(compute, port), load, store, crossing, self.capacity - held, arch.n_cores)
        dram = arch.memory.dram
        pace = 1.0 / (dram.bandwidth_bytes_per_s.value * dram.efficiency.value)
        time_s = max(stream.cycles / arch.clock_hz("vector"), (load + store) * pace)
        return OpMapping(op, stream, times, vector.format, time_s=time_s)


def _gathers(op: Op, graph: Graph, name: str) -> bool:
    return op.kind == "move" and getattr(op, "function", "") == "gather" and graph.tensors[name].role == "weight"


def _body_on_chip(op: Loop, graph: Graph, on_chip: frozenset[str]) -> frozenset[str]:
    """In a loop body everything stays on chip but the slices of outer tensors that live in DRAM."""
    inside = {tensor.name for tensor in op.body.tensors.values() if tensor.role in ("activation", "state")}
    outside = {name for name in (*op.inputs, *op.outputs) if graph.tensors[name].role == "activation"} - on_chip
    sliced = {step_slice(name) for name in outside} | outside
    sliced |= {
        inner for inner, outer in zip(op.body.outputs, op.outputs, strict=False)
        if outer in outside and op.body.tensors[inner].elements * op.steps <= graph.tensors[outer].elements
    }  # fmt: skip
    return frozenset(inside - sliced)


def _machine(arch: DigitalArchitecture, precision: str, free_bytes: float, op_name: str) -> Machine:
    array, unit, dram = arch.array, arch.unit(precision, op=op_name), arch.memory.dram
    array_hz = arch.clock_hz("array")
    network = arch.interconnect
    return Machine(
        cores=arch.n_cores,
        rows=int(array.rows.value),
        columns=int(array.columns.value),
        reduction_per_pe=int(unit.reduction_per_pe.value),
        columns_per_pe=int(unit.columns_per_pe.value),
        arrays=int(array.per_core.value),
        weight_stationary="weight_stationary" in array.dataflows,
        output_stationary="output_stationary" in array.dataflows,
        input_stationary="input_stationary" in array.dataflows,
        overlapped=array.fill_drain == "overlapped",
        accumulator_bytes=float(array.accumulator_bytes.value),
        capacity_bytes=free_bytes / arch.n_cores,
        port_bytes_per_cycle=arch.scratchpad.bandwidth_bytes_per_cycle.value * arch.clock_hz("scratchpad") / array_hz,
        shared_port=arch.scratchpad.ports.value < 2,
        array_hz=array_hz,
        dram_bytes_per_s=dram.bandwidth_bytes_per_s.value * dram.efficiency.value,
        dram_latency_s=float(dram.latency_s.value),
        dma_bytes_per_s=arch.dma.engines.value * arch.dma.bandwidth_bytes_per_cycle.value * arch.clock_hz("dma"),
        network_bytes_per_s=network.links_per_core * network.bandwidth_bytes_per_cycle.value
        * arch.clock_hz("interconnect"),
        overhead_s=arch.op_overhead_cycles.value / array_hz,
    )  # fmt: skip


def _smallest_buffer(problem: Problem, machine: Machine) -> float:
    """Least scratchpad of a core that any tiling needs: the smallest tiles on one core."""
    rows = problem.row_outputs
    tile = Candidate(1, 1, 1, 1, rows, 1, problem.kernel_size, 0, 1, False)
    return float(Metrics(*evaluate(problem, machine, tile)).buffer_bytes)


def _matrix_stream(c: Candidate, m: Metrics, extra_bytes: float) -> Stream:
    used = c.split_g * c.split_m * c.split_n * c.split_k
    load = m.weight_dram_bytes + m.input_dram_bytes
    share = (
        m.weight_dram_bytes / (c.split_g * c.split_n * c.split_k)
        + m.input_dram_bytes / (c.split_g * c.split_m * c.split_k)
        + m.output_dram_bytes / used
    ) / max(load + m.output_dram_bytes, 1e-30)
    return Stream(
        unit="array",
        tiles=int(m.tiles),
        cycles=m.array_cycles,
        load_bytes=load + extra_bytes,
        first_load_bytes=(m.first_load_bytes if m.tiles > 1 else load) + extra_bytes,
        store_bytes=m.output_dram_bytes,
        last_store_bytes=m.last_store_bytes,
        gather_bytes=m.network_bytes,
        reduce_bytes=m.reduce_bytes,
        core_share=min(1.0, share) if load + m.output_dram_bytes > 0 else 1.0,
        buffer_bytes=m.buffer_bytes,
        scratchpad_bytes=m.port_bytes * used + load + extra_bytes + m.output_dram_bytes + m.network_bytes * used,
    )


def _vector_stream(cycles: float, load: float, store: float, crossing: float, free: float, cores: int) -> Stream:
    """Chunks small enough that two of them fit the free scratchpad; at least four where data streams."""
    moved = load + store
    tiles = max(4, ceil(2 * moved / max(free, 1.0))) if moved > 0 else 1
    return Stream(
        unit="vector",
        tiles=tiles,
        cycles=cycles,
        load_bytes=load,
        first_load_bytes=load / tiles,
        store_bytes=store,
        last_store_bytes=store / tiles,
        core_share=1.0 / cores,
        buffer_bytes=min(free, 2 * moved / tiles) / cores if moved > 0 else 0.0,
        scratchpad_bytes=crossing + moved,
    )

"""Mapping a workload onto a digital accelerator.

The scratchpads are divided by fixed shares: one for activations that stay on chip, one for weights that stay through
a time loop, one for what streams. A few divisions are tried, the fastest is kept. Then, op by op, the best point of
the space in `contraction` is taken for matrix work, and an even split over the cores for vector work; element-wise
ops that only read what the matrix op before them makes follow it tile by tile. Equal products are searched once.

Ops run one after the other (their times add up), and every choice is the best of a set that grows with each
resource, so that a better machine is never slower. One choice is exempt: what stays on chip crosses the network
between cores, which could be slower than a multicast from DRAM on a machine with a very slow network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import ceil

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.contraction import evaluate
from accelsim.mapping.placement import (
    is_view,
    live_bytes,
    place_activations,
    read_whole,
    resident_choices,
    spilled_states,
    step_bytes,
)
from accelsim.mapping.records import LoopMapping, MappedOp, OpMapping, Stream, WorkloadMapping
from accelsim.mapping.schedule import Rates, schedule_s
from accelsim.mapping.search import search
from accelsim.mapping.space import Candidate, Machine, Metrics, Problem
from accelsim.numerics import FORMATS
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Contraction, Conv, Elementwise, Host, Loop, MatMul, Move, Op
from accelsim.workload.precision import PrecisionChoice
from accelsim.workload.vector_work import element_work

__all__ = ["HOST_BYTES", "map_workload"]

_ACTIVATION_SHARES = (0.25, 0.5, 0.75)
"""Parts of the scratchpads that hold activations; the rest streams, or holds weights."""
_RESIDENT_SHARE = 0.75
"""Part of that rest which weights may take through a time loop."""
HOST_BYTES = 4
"""Bytes an element on the host link: scores travel as FP32."""
_VECTOR_TILES = tuple(2**power for power in range(21))


_Found = tuple[Candidate, Metrics, int]


@lru_cache(maxsize=65536)
def _searched(problem: Problem, machine: Machine) -> _Found:
    candidate, metrics, seen = search(problem, machine, True)
    return Candidate(*candidate), Metrics(*metrics), int(seen)


def map_workload(graph: Graph, arch: DigitalArchitecture, choice: PrecisionChoice) -> WorkloadMapping:
    """Map a graph with formats assigned and recurrence expanded.

    Raises:
        InfeasibleError: an op or its data fit nowhere.
        UnsupportedError: a format that the arrays have no unit for.
    """
    best: WorkloadMapping | None = None
    failure: InfeasibleError | None = None
    tried: set[tuple[frozenset[str], frozenset[str]]] = set()
    machines = _Machines(arch)
    for share in _ACTIVATION_SHARES:
        try:
            context = _Context(arch, choice, share, machines)
            on_chip = context.place(graph)
            # The same placement with less room for streams is never faster.
            if (on_chip, context.spilled) in tried:
                continue
            mapping = context.map(graph, on_chip)
        except InfeasibleError as error:
            # The attempt with the most room says best what is missing.
            if failure is None or error.infeasible.bound > failure.infeasible.bound:
                failure = error
            continue
        tried.add((on_chip, context.spilled))
        if best is None or mapping.time_s < best.time_s:
            best = mapping
    if best is None:
        assert failure is not None
        raise failure
    bound = arch.memory.dram.capacity_bytes.value
    if best.dram_peak_bytes > bound:
        raise InfeasibleError(
            Infeasible("DRAM capacity", best.dram_peak_bytes, bound, "bytes", f"workload {graph.name}")
        )
    return best


@dataclass(slots=True)
class _Context:
    """One attempt at a whole workload: ``share`` of the scratchpads is for activations."""

    arch: DigitalArchitecture
    choice: PrecisionChoice
    share: float
    machines: _Machines
    on_chip: frozenset[str] = frozenset()
    spilled: frozenset[str] = frozenset()
    peak_bytes: float = 0.0
    seen: int = 0

    @property
    def capacity(self) -> float:
        return self.arch.scratchpad.capacity_bytes.value * self.arch.n_cores

    def place(self, graph: Graph) -> frozenset[str]:
        """Activations that stay on chip beside what the loops need for one step."""
        budget = self.share * self.capacity
        needs = 0.0
        for op in graph.ops:
            if isinstance(op, Loop):
                self.spilled |= spilled_states(op, budget)
                step = step_bytes(op.body, self.spilled)
                if step > budget:
                    raise InfeasibleError(
                        Infeasible("scratchpad capacity for activations", step, budget, "bytes", op.name)
                    )
                needs = max(needs, step)
        return place_activations(graph, budget - needs)

    def map(self, graph: Graph, on_chip: frozenset[str]) -> WorkloadMapping:
        """Map every op with these activations on chip."""
        self.on_chip = on_chip
        ops = self._ops(graph, (1 - self.share) * self.capacity, 1, frozenset())
        weights = sum(tensor.bytes for tensor in graph.all_tensors() if tensor.role == "weight")
        inputs = sum(graph.tensors[name].bytes for name in graph.inputs)
        spilled = max(live_bytes(graph, set(graph.producers) - on_chip), default=0.0)
        inside = self.spilled - set(graph.inputs) - set(graph.producers)
        spilled += sum(t.bytes for t in graph.all_tensors() if t.role == "state" and t.name in inside)
        peak = self.share * self.capacity + self.peak_bytes
        return WorkloadMapping(graph, ops, on_chip, peak, weights + inputs + spilled, self.seen)

    def _ops(self, graph: Graph, free: float, times: int, resident: frozenset[str]) -> tuple[MappedOp, ...]:
        """Map every op of ``graph`` with ``free`` bytes for streams."""
        mapped: list[MappedOp] = []
        vector_hz = self.arch.clock_hz("vector")
        index = 0
        while index < len(graph.ops):
            op = graph.ops[index]
            index += 1
            if isinstance(op, Loop):
                mapped.append(self._loop(op, graph, free, times, resident))
            elif isinstance(op, MatMul | Conv):
                followers = self._followers(graph, index, op)
                mapped.append(self._matrix(op, graph, free, times, resident, _vector_cycles(followers) / vector_hz))
                mapped.extend(replace(each, executions=times) for each in followers)
                index += len(followers)
            else:
                mapped.append(self._other(op, graph, free, times, resident))
        return tuple(mapped)

    def _loop(self, op: Loop, graph: Graph, free: float, times: int, resident: frozenset[str]) -> LoopMapping:
        """The fastest of: all weights stream through all of the room, or some stay in their share of it."""
        weights = {name: size for name, size in _swept_weights(op.body).items() if name not in resident}
        kept = resident_choices(weights, _RESIDENT_SHARE * free) if op.steps > 1 else []
        ways = [*((each, (1 - _RESIDENT_SHARE) * free) for each in kept), ((), free)]
        found: list[LoopMapping] = []
        failure: InfeasibleError | None = None
        byte_s = op.steps / self.machines.rates("array", 0.0).dram_bytes_per_s
        for way in ways:
            streamed_s = sum(size for name, size in weights.items() if name not in way[0]) * byte_s
            if found and streamed_s >= min(each.time_s for each in found):
                continue
            try:
                found.append(self._body(op, graph, weights, way, times, resident))
            except InfeasibleError as error:
                failure = error
        if not found:
            assert failure is not None
            raise failure
        return min(found, key=lambda each: each.time_s)

    def _body(
        self, op: Loop, graph: Graph, weights: dict[str, float], way: tuple[tuple[str, ...], float], times: int,
        resident: frozenset[str],
    ) -> LoopMapping:  # fmt: skip
        kept, room = way
        kept_inside = _body_on_chip(op, graph, self.on_chip) - self.spilled - {step_slice(n) for n in self.spilled}
        inner = _Context(self.arch, self.choice, self.share, self.machines, kept_inside, self.spilled)
        body = inner._ops(op.body, room, times * op.steps, resident | set(kept))
        kept_bytes = sum(weights[name] for name in kept)
        self.peak_bytes = max(self.peak_bytes, inner.peak_bytes + kept_bytes)
        self.seen += inner.seen
        before = Stream("none", load_bytes=kept_bytes, first_load_bytes=kept_bytes)
        load_s = schedule_s(before.work(0.0), self.machines.rates("array", 0.0)) if kept else 0.0
        return LoopMapping(op, body, kept, kept_bytes, times, load_s + op.steps * sum(each.time_s for each in body))

    def _followers(self, graph: Graph, start: int, leader: MatMul | Conv) -> list[OpMapping]:
        """Element-wise ops right behind ``leader`` that work on its results tile by tile, all on chip."""
        size = graph.tensors[leader.outputs[0]].elements
        group = {leader.outputs[0]} & self.on_chip
        found: list[OpMapping] = []
        for op in graph.ops[start:]:
            made = [graph.tensors[name] for name in op.outputs]
            read = [name for name in op.inputs if name in group]
            quiet = all(not self._off_chip(graph, name, frozenset()) for name in (*op.inputs, *op.outputs))
            if not read or not (is_view(op) or (quiet and isinstance(op, Elementwise))):
                break
            if any(tensor.elements > size for tensor in made):
                break
            found.append(replace(self._vector(op, graph, 0.0, 1, frozenset()), time_s=0.0, follows=True))
            group.update(op.outputs)
        while found and found[-1].stream.unit == "none":
            found.pop()
        return found

    def _other(self, op: Op, graph: Graph, free: float, times: int, resident: frozenset[str]) -> OpMapping:
        if not isinstance(op, Host):
            mapped = self._vector(op, graph, free, times, resident)
            self.peak_bytes = max(self.peak_bytes, mapped.stream.buffer_bytes * self.arch.n_cores)
            return mapped
        host = self.arch.host
        seconds = op.elements * HOST_BYTES / host.bandwidth_bytes_per_s.value + host.latency_s.value + op.seconds
        return OpMapping(op, Stream("host"), times, time_s=seconds)

    def _off_chip(self, graph: Graph, name: str, resident: frozenset[str]) -> bool:
        tensor = graph.tensors[name]
        if tensor.role in ("weight", "constant"):
            return name not in resident
        return name not in self.on_chip

    def _matrix(
        self, op: MatMul | Conv, graph: Graph, free: float, times: int, resident: frozenset[str], follow_s: float
    ) -> OpMapping:
        precision = self.choice.of(op.name)
        extra = sum(graph.tensors[name].bytes for name in op.inputs[2:] if self._off_chip(graph, name, resident))
        problem = self._problem(op, graph, precision, resident)._replace(extra_load_bytes=extra, follow_s=follow_s)
        machine = self.machines.of(precision, free, op.name)
        candidate, metrics, seen = self.machines.best(problem, machine)
        self.seen += seen
        if not metrics.feasible:
            least = _smallest_buffer(problem, machine)
            bound = max(0.0, machine.capacity_bytes)
            raise InfeasibleError(Infeasible("scratchpad capacity of a core", least, bound, "bytes", op.name))
        self.peak_bytes = max(self.peak_bytes, metrics.buffer_bytes * self.arch.n_cores)
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

    def _vector(self, op: Op, graph: Graph, free: float, times: int, resident: frozenset[str]) -> OpMapping:
        if is_view(op):
            return OpMapping(op, Stream("none"), times)
        arch, vector = self.arch, self.arch.vector
        simple, special = element_work(op)
        lanes = vector.lanes.value * arch.n_cores
        compute = (simple * vector.cycles_simple.value + special * vector.cycles_special.value) / lanes
        load, crossing = 0.0, sum(graph.tensors[name].bytes for name in op.outputs)
        for name in op.inputs:
            # A gather reads only the rows that it copies.
            rows = _gathers(op, graph, name)
            size = sum(graph.tensors[made].bytes for made in op.outputs) if rows else graph.tensors[name].bytes
            crossing += size
            load += size if self._off_chip(graph, name, resident) else 0.0
        store = sum(graph.tensors[name].bytes for name in op.outputs if self._off_chip(graph, name, resident))
        port = crossing / arch.n_cores / arch.scratchpad.bandwidth_bytes_per_cycle.value
        port *= arch.clock_hz("vector") / arch.clock_hz("scratchpad")
        rates = self.machines.rates("vector", arch.op_overhead_cycles.value)
        stream, time_s = _vector_stream(max(compute, port), load, store, crossing, free, arch.n_cores, rates, op.name)
        return OpMapping(op, stream, times, vector.format, time_s=time_s)


def _vector_cycles(followers: Sequence[OpMapping]) -> float:
    return sum(each.stream.cycles for each in followers)


def _swept_weights(body: Graph) -> dict[str, float]:
    """Bytes of the weights that every step reads from end to end."""
    read = read_whole(body)
    return {t.name: t.bytes for t in body.all_tensors() if t.role == "weight" and t.name in read}


def _gathers(op: Op, graph: Graph, name: str) -> bool:
    return isinstance(op, Move) and op.function == "gather" and graph.tensors[name].role == "weight"


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


@dataclass(slots=True)
class _Machines:
    """An architecture as the search sees it, by format; made once for a whole mapping."""

    arch: DigitalArchitecture
    _made: dict[str, Machine] = field(default_factory=dict)
    _known: dict[tuple[Problem, Machine], list[tuple[float, _Found]]] = field(default_factory=dict)
    _rates: dict[tuple[str, float], Rates] = field(default_factory=dict)

    def of(self, precision: str, free_bytes: float, op_name: str) -> Machine:
        """The machine with ``free_bytes`` of all scratchpads for streams."""
        if precision not in self._made:
            self._made[precision] = _machine(self.arch, precision, op_name)
        return self._made[precision]._replace(capacity_bytes=free_bytes / self.arch.n_cores)

    def best(self, problem: Problem, machine: Machine) -> _Found:
        """The best mapping of a product. The best of a larger scratchpad is the best of every smaller one it fits.

        What it remembers lives as long as one mapping, so that a result does not depend on what ran before.
        """
        capacity = machine.capacity_bytes
        known = self._known.setdefault((problem, machine._replace(capacity_bytes=0.0)), [])
        for searched, found in known:
            if searched >= capacity and found[1].feasible and found[1].buffer_bytes <= capacity:
                return found
        known.append((capacity, _searched(problem, machine)))
        return known[-1][1]

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


def _machine(arch: DigitalArchitecture, precision: str, op_name: str) -> Machine:
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
        capacity_bytes=0.0,
        port_bytes_per_cycle=arch.scratchpad.bandwidth_bytes_per_cycle.value * arch.clock_hz("scratchpad") / array_hz,
        shared_port=arch.scratchpad.ports.value < 2,
        array_hz=array_hz,
        dram_bytes_per_s=dram.bandwidth_bytes_per_s.value * dram.efficiency.value,
        dram_latency_s=float(dram.latency_s.value),
        dma_bytes_per_s=arch.dma.engines.value * arch.dma.bandwidth_bytes_per_cycle.value * arch.clock_hz("dma"),
        network_bytes_per_s=network.links_per_core * network.bandwidth_bytes_per_cycle.value
        * arch.clock_hz("interconnect"),
        overhead_s=arch.op_overhead_cycles.value / array_hz,
        whole_weight_tiles=array.whole_weight_tiles,
        hop_s=network.hop_latency_cycles.value * network.mean_hops(arch.n_cores) / arch.clock_hz("interconnect"),
        burst_bytes=float(dram.burst_bytes.value * dram.channels.value),
    )  # fmt: skip


def _smallest_buffer(problem: Problem, machine: Machine) -> float:
    """Least scratchpad of a core that any tiling needs: the smallest tiles on one core."""
    rows = problem.row_outputs
    tile = Candidate(1, 1, 1, 1, rows, 1, problem.kernel_size, 0, 1, False)
    return float(Metrics(*evaluate(problem, machine, tile)).buffer_bytes)


def _matrix_stream(c: Candidate, m: Metrics, extra_bytes: float) -> Stream:
    used = c.split_g * c.split_m * c.split_n * c.split_k
    load = m.weight_dram_bytes + m.input_dram_bytes + extra_bytes
    return Stream(
        unit="array",
        tiles=int(m.tiles),
        fetches=int(m.fetches),
        cycles=m.array_cycles,
        load_bytes=load,
        first_load_bytes=m.first_load_bytes,
        store_bytes=m.output_dram_bytes,
        last_store_bytes=m.last_store_bytes,
        gather_bytes=m.network_bytes,
        reduce_bytes=m.reduce_bytes,
        core_share=m.core_share,
        late=bool(m.late),
        buffer_bytes=m.buffer_bytes,
        scratchpad_bytes=m.port_bytes * used + load + m.output_dram_bytes + m.network_bytes * used,
    )


def _vector_stream(
    cycles: float, load: float, store: float, crossing: float, free: float, cores: int, rates: Rates, name: str
) -> tuple[Stream, float]:
    """The fastest cut into 1, 2, 4, ... chunks of which two fit the room for streams, and its time.

    Each chunk moves whole bursts.
    """
    best: tuple[Stream, float] | None = None
    for tiles in _VECTOR_TILES if load + store > 0 else (1,):
        held = (load + store) * (2 / tiles if tiles > 1 else 1)
        if held > free and load + store > 0:
            continue
        first, last = (ceil(moved / tiles / rates.burst_bytes) * rates.burst_bytes for moved in (load, store))
        stream = Stream(
            "vector", tiles, tiles if load > 0 else 1, cycles, first * tiles, first, last * tiles, last,
            core_share=1.0 / cores, buffer_bytes=held / cores, scratchpad_bytes=crossing + load + store,
        )  # fmt: skip
        time_s = schedule_s(stream.work(0.0), rates)
        if best is None or time_s < best[1]:
            best = stream, time_s
        if max(load, store) <= tiles * rates.burst_bytes:
            break
    if best is None:
        least = 2 * (load + store) / _VECTOR_TILES[-1]
        raise InfeasibleError(Infeasible("scratchpad capacity", least, free, "bytes", name))
    return best

"""How one op runs: the best point of the space in `contraction` for matrix work, an even split over cores for the rest.

Element-wise ops that only read what the matrix op before them makes follow it tile by tile. Such a row of ops is an
entry: entries run one after the other, or as `sequence` says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.mapping.bounds import least_occupancy_s
from accelsim.mapping.contraction import evaluate
from accelsim.mapping.machines import Machines
from accelsim.mapping.placement import is_view
from accelsim.mapping.records import OpMapping, Stream
from accelsim.mapping.schedule import Rates, schedule_s
from accelsim.mapping.space import ALONG_N, Candidate, Machine, Metrics, Problem
from accelsim.numerics import FORMATS
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Contraction, Conv, Elementwise, Host, MatMul, Move, Op
from accelsim.workload.precision import PrecisionChoice
from accelsim.workload.vector_work import element_work

__all__ = ["HOST_BYTES", "Entry", "Room", "SingleMapper"]

HOST_BYTES = 4
"""Bytes an element on the host link: scores travel as FP32."""
_VECTOR_TILES = tuple(2**power for power in range(21))


@dataclass(frozen=True, slots=True)
class Entry:
    """An op and the ops that follow it tile by tile, and their time together.

    ``quiet`` says that none of them uses the DRAM.
    """

    ops: tuple[OpMapping, ...]
    time_s: float
    quiet: bool


@dataclass(frozen=True, slots=True)
class Room:
    """What an op finds: ``free_bytes`` of all scratchpads for its streams, and the weights that are there already."""

    free_bytes: float
    resident: frozenset[str] = frozenset()

    def with_weights(self, names: frozenset[str]) -> Room:
        """The same with more weights there already."""
        return Room(self.free_bytes, self.resident | names)


@dataclass(frozen=True, slots=True)
class SingleMapper:
    """Maps ops one by one; ``on_chip`` are the activations and states that stay in the scratchpads."""

    machines: Machines
    choice: PrecisionChoice
    on_chip: frozenset[str]

    def entry(self, graph: Graph, index: int, room: Room, times: int) -> tuple[Entry, int]:
        """The entry that begins at op ``index`` (no loop), and how many ops it takes.

        Raises:
            InfeasibleError: its data do not fit.
        """
        op = graph.ops[index]
        if not isinstance(op, MatMul | Conv):
            mapped = self._other(op, graph, room, times)
            return Entry((mapped,), mapped.time_s, mapped.quiet), 1
        followers = self._followers(graph, index + 1, op)
        hertz = self.machines.arch.clock_hz("vector")
        leader = self._matrix(op, graph, room, times, sum(each.stream.cycles for each in followers) / hertz)
        ops = (leader, *(replace(each, executions=times) for each in followers))
        return Entry(ops, leader.time_s, leader.quiet), len(ops)

    def least(self, graph: Graph, index: int, room: Room) -> tuple[float, float, int]:
        """Of the entry at op ``index``, however it is cut: seconds at least, those of its launch, and ops it takes."""
        op, arch = graph.ops[index], self.machines.arch
        launch_s = arch.op_overhead_cycles.value / arch.clock_hz("array")
        if not isinstance(op, MatMul | Conv):
            entry, count = self.entry(graph, index, room, 1)
            return entry.time_s, launch_s if entry.ops[0].stream.unit == "vector" else 0.0, count
        followers = self._followers(graph, index + 1, op)
        follow_s = sum(each.stream.cycles for each in followers) / arch.clock_hz("vector")
        precision = self.choice.of(op.name)
        problem = self._problem(op, graph, precision, room.resident)
        array_s = least_occupancy_s(problem, self.machines.of(precision, 0.0, op.name))
        return launch_s + max(array_s, follow_s), launch_s, 1 + len(followers)

    def ahead(self, graph: Graph, index: int, room: Room, times: int, slot_bytes: float) -> Entry | None:
        """The entry that begins at op ``index`` with all of its weights loaded before it, None where they do not fit.

        ``slot_bytes`` is the room for them, ``room`` that for the rest.
        """
        names = self._loadable(graph, graph.ops[index], room.resident)
        loaded = sum(graph.tensors[name].bytes for name in names)
        if loaded > slot_bytes:
            return None
        try:
            entry, _ = self.entry(graph, index, room.with_weights(names), times)
        except InfeasibleError:
            return None
        leader = entry.ops[0]
        if leader.problem is not None and leader.op.inputs[1] in names:
            machine = self.machines.of(leader.precision, 0.0, leader.op.name)
            loaded += stored_weight_bytes(leader.problem, machine) - graph.tensors[leader.op.inputs[1]].bytes
        if loaded > slot_bytes:
            return None
        return replace(entry, ops=(replace(leader, ahead_bytes=loaded), *entry.ops[1:]))

    def off_chip(self, graph: Graph, name: str, resident: frozenset[str]) -> bool:
        """Whether an op finds this tensor in DRAM only."""
        if graph.tensors[name].role in ("weight", "constant"):
            return name not in resident
        return name not in self.on_chip

    def _loadable(self, graph: Graph, op: Op, resident: frozenset[str]) -> frozenset[str]:
        """Weights that ``op`` reads from end to end and finds in DRAM."""
        if is_view(op):
            return frozenset()
        tensors = graph.tensors
        return frozenset(
            name for name in op.inputs
            if tensors[name].role in ("weight", "constant") and name not in resident and not _gathers(op, graph, name)
        )  # fmt: skip

    def _followers(self, graph: Graph, start: int, leader: MatMul | Conv) -> list[OpMapping]:
        """Element-wise ops right behind ``leader`` that work on its results tile by tile, all on chip."""
        size = graph.tensors[leader.outputs[0]].elements
        group = {leader.outputs[0]} & self.on_chip
        found: list[OpMapping] = []
        for op in graph.ops[start:]:
            read = [name for name in op.inputs if name in group]
            if not read or not (is_view(op) or (isinstance(op, Elementwise) and self._on_chip(graph, op))):
                break
            if any(graph.tensors[name].elements > size for name in op.outputs):
                break
            found.append(replace(self._vector(op, graph, Room(0.0), 1), time_s=0.0, follows=True))
            group.update(op.outputs)
        while found and found[-1].stream.unit == "none":
            found.pop()
        return found

    def _on_chip(self, graph: Graph, op: Op) -> bool:
        return not any(self.off_chip(graph, name, frozenset()) for name in (*op.inputs, *op.outputs))

    def _other(self, op: Op, graph: Graph, room: Room, times: int) -> OpMapping:
        if not isinstance(op, Host):
            return self._vector(op, graph, room, times)
        host = self.machines.arch.host
        seconds = op.elements * HOST_BYTES / host.bandwidth_bytes_per_s.value + host.latency_s.value + op.seconds
        return OpMapping(op, Stream("host"), times, time_s=seconds)

    def _matrix(self, op: MatMul | Conv, graph: Graph, room: Room, times: int, follow_s: float) -> OpMapping:
        precision = self.choice.of(op.name)
        extra = sum(graph.tensors[name].bytes for name in op.inputs[2:] if self.off_chip(graph, name, room.resident))
        problem = self._problem(op, graph, precision, room.resident)
        problem = problem._replace(extra_load_bytes=extra, follow_s=follow_s)
        machine = self.machines.of(precision, room.free_bytes, op.name)
        candidate, metrics = self.machines.best(problem, machine)
        if not metrics.feasible:
            least = _smallest_buffer(problem, machine)
            bound = max(0.0, machine.capacity_bytes)
            raise InfeasibleError(Infeasible("scratchpad capacity of a core", least, bound, "bytes", op.name))
        stream = _matrix_stream(candidate, metrics, extra)
        return OpMapping(op, stream, times, precision, problem, candidate, metrics, metrics.time_s)

    def _problem(self, op: MatMul | Conv, graph: Graph, precision: str, resident: frozenset[str]) -> Problem:
        nest = op.contraction
        if isinstance(op, MatMul) and op.shared_input:
            nest = Contraction(1, op.m, op.n * op.groups, op.k)
        unit = self.machines.arch.unit(precision, op=op.name)
        read, weight, made = op.inputs[0], op.inputs[1], op.outputs[0]
        tensors = graph.tensors
        return Problem(
            nest.groups, nest.m, nest.n, nest.k, nest.row_outputs, nest.row_stride, nest.row_elements,
            nest.kernel_rows, nest.kernel_size,
            weight_bytes=FORMATS[tensors[weight].format or precision].bytes_per_element,
            input_bytes=FORMATS[tensors[read].format or precision].bytes_per_element,
            output_bytes=FORMATS[tensors[made].format or precision].bytes_per_element,
            partial_bytes=FORMATS[unit.accumulator].bytes_per_element,
            input_on_chip=not self.off_chip(graph, read, resident),
            output_on_chip=not self.off_chip(graph, made, resident),
            weight_on_chip=not self.off_chip(graph, weight, resident),
        )  # fmt: skip

    def _vector(self, op: Op, graph: Graph, room: Room, times: int) -> OpMapping:
        if is_view(op):
            return OpMapping(op, Stream("none"), times)
        arch, vector = self.machines.arch, self.machines.arch.vector
        simple, special = element_work(op)
        lanes = vector.lanes.value * arch.n_cores
        compute = (simple * vector.cycles_simple.value + special * vector.cycles_special.value) / lanes
        load, crossing = 0.0, sum(graph.tensors[name].bytes for name in op.outputs)
        for name in op.inputs:
            # A gather reads only the rows that it copies.
            rows = _gathers(op, graph, name)
            size = sum(graph.tensors[made].bytes for made in op.outputs) if rows else graph.tensors[name].bytes
            crossing += size
            load += size if self.off_chip(graph, name, room.resident) else 0.0
        store = sum(graph.tensors[name].bytes for name in op.outputs if self.off_chip(graph, name, room.resident))
        port = crossing / arch.n_cores / arch.scratchpad.bandwidth_bytes_per_cycle.value
        port *= arch.clock_hz("vector") / arch.clock_hz("scratchpad")
        rates = self.machines.rates("vector", arch.op_overhead_cycles.value)
        cycles = max(compute, port)
        stream, time_s = _vector_stream(cycles, load, store, crossing, room.free_bytes, arch.n_cores, rates, op.name)
        return OpMapping(op, stream, times, vector.format, time_s=time_s)


def _gathers(op: Op, graph: Graph, name: str) -> bool:
    """Whether the op reads only some rows of this weight."""
    return isinstance(op, Move) and op.function == "gather" and graph.tensors[name].role == "weight"


def stored_weight_bytes(problem: Problem, machine: Machine) -> float:
    """Bytes of the weights of a product as they are stored: on some machines in whole tiles of the array."""
    n, k = problem.n, problem.k
    if machine.whole_weight_tiles:
        columns, reduction = machine.columns * machine.columns_per_pe, machine.rows * machine.reduction_per_pe
        n, k = ceil(n / columns) * columns, ceil(k / reduction) * reduction
    return problem.groups * n * k * problem.weight_bytes


def _smallest_buffer(problem: Problem, machine: Machine) -> float:
    """Least scratchpad of a core that any tiling needs: the smallest tiles on one core."""
    rows = problem.row_outputs
    tile = Candidate(1, 1, 1, 1, rows, 1, problem.kernel_size, 0, 1, ALONG_N)
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

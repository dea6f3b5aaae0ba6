"""How one op runs: the best point of the space in `contraction` for matrix work, an even split over cores for the rest.

Element-wise ops that only read what the matrix op before them makes follow it tile by tile. Such a row of ops is an
entry: entries run one after the other, or as `sequence` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.bounds import least_occupancy_s
from accelsim.mapping.machines import Machines
from accelsim.mapping.memory import GraphMemory, Product, VectorWork
from accelsim.mapping.placement import is_view
from accelsim.mapping.records import OpMapping, Stream
from accelsim.mapping.schedule import MOST_CHUNKS, fastest_chunks
from accelsim.mapping.search import least_buffer_bytes
from accelsim.mapping.space import Candidate, Machine, Metrics, Problem
from accelsim.numerics import FORMATS
from accelsim.units import added
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Contraction, Conv, Elementwise, Host, MatMul, Move, Op
from accelsim.workload.precision import PrecisionChoice
from accelsim.workload.vector_work import element_work

__all__ = ["HOST_BYTES", "Entry", "Known", "Least", "Room", "SingleMapper", "stored_weight_bytes"]

HOST_BYTES = 4
"""Bytes an element on the host link: scores travel as FP32."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An op and the ops that follow it tile by tile, and their time together.

    ``quiet`` says that none of them uses the DRAM.
    """

    ops: tuple[OpMapping, ...]
    time_s: float
    quiet: bool


class Least(NamedTuple):
    """Of an entry: seconds at least, those of its launch, those that each further part of it adds, and its ops."""

    time_s: float
    launch_s: float
    again_s: float
    ops: int


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
        memory = self.machines.memory_of(graph, self.choice)
        near = self._near(memory, index)
        known = memory.entries.setdefault((index, self.on_chip & near, room.resident & near, times), [])
        for each in known:
            if each.serves(room.free_bytes, self.machines.arch.n_cores):
                return each.entry(), len(each.ops)
        found = self._entry(memory, index, room, times)
        known.append(found)
        return found.entry(), len(found.ops)

    def least(self, graph: Graph, index: int, room: Room) -> Least:
        """Of the entry at op ``index``, however it is cut."""
        op, arch = graph.ops[index], self.machines.arch
        launch_s = arch.op_overhead_cycles.value / arch.clock_hz("array")
        if not isinstance(op, MatMul | Conv):
            entry, count = self.entry(graph, index, room, 1)
            launched = entry.ops[0].stream.unit == "vector"
            return Least(entry.time_s, launch_s if launched else 0.0, launch_s if launched else 0.0, count)
        memory = self.machines.memory_of(graph, self.choice)
        followers = self._followers(memory, index)
        precision, problem = self._problem(memory, index, room.resident, _follow_s(followers, arch))
        array_s = least_occupancy_s(problem, self.machines.of(precision, 0.0, op.name))
        seconds = launch_s + max(array_s, problem.follow_s)
        return Least(seconds, launch_s, launch_s - 1.0 / arch.clock_hz("array"), 1 + len(followers))

    def ahead(self, graph: Graph, index: int, room: Room, times: int, slot_bytes: float) -> Entry | None:
        """The entry that begins at op ``index`` with all of its weights loaded before it, None where they do not fit.

        ``slot_bytes`` is the room for them, ``room`` that for the rest.
        """
        names = self.loadable(self.machines.memory_of(graph, self.choice), index, room.resident)
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
        leader = OpMapping(
            leader.op, leader.stream, leader.executions, leader.precision, leader.problem, leader.candidate,
            leader.metrics, leader.time_s, leader.follows, loaded,
        )  # fmt: skip
        return Entry((leader, *entry.ops[1:]), entry.time_s, entry.quiet)

    def off_chip(self, graph: Graph, name: str, resident: frozenset[str]) -> bool:
        """Whether an op finds this tensor in DRAM only."""
        if graph.tensors[name].role in ("weight", "constant"):
            return name not in resident
        return name not in self.on_chip

    def _entry(self, memory: GraphMemory, index: int, room: Room, times: int) -> Known:
        """The entry at ``index``, mapped."""
        op = memory.graph.ops[index]
        if not isinstance(op, MatMul | Conv):
            mapped, held_bytes = self._other(op, memory, room, times)
            return Known(room.free_bytes, held_bytes, 0.0, (mapped,))
        followers = self._followers(memory, index)
        leader = self._matrix(op, memory, index, room, times, _follow_s(followers, self.machines.arch))
        if (index, times) not in memory.repeated:
            every = self.may_follow(memory, index)
            memory.repeated[index, times] = tuple(replace(each, executions=times) for each in every)
        behind = memory.repeated[index, times][: len(followers)]
        return Known(room.free_bytes, 0.0, leader.stream.buffer_bytes, (leader, *behind))

    def _near(self, memory: GraphMemory, index: int) -> frozenset[str]:
        """Tensors on which the entry at ``index`` depends."""
        if index not in memory.near:
            ops = [memory.graph.ops[index], *(each.op for each in self.may_follow(memory, index))]
            memory.near[index] = frozenset(name for op in ops for name in (*op.inputs, *op.outputs))
        return memory.near[index]

    def loadable(self, memory: GraphMemory, index: int, resident: frozenset[str]) -> frozenset[str]:
        """Weights that the op reads from end to end and finds in DRAM."""
        if index not in memory.loadable:
            graph, op = memory.graph, memory.graph.ops[index]
            memory.loadable[index] = frozenset(
                name for name in (() if is_view(op) else op.inputs)
                if graph.tensors[name].role in ("weight", "constant") and not _gathers(op, graph, name)
            )  # fmt: skip
        return memory.loadable[index] - resident

    def may_follow(self, memory: GraphMemory, index: int) -> tuple[OpMapping, ...]:
        """Ops right behind a matrix op that can work on its results tile by tile, were all activations on chip."""
        if index not in memory.followers:
            graph, leader = memory.graph, memory.graph.ops[index]
            found: list[OpMapping] = []
            if isinstance(leader, MatMul | Conv):
                tensors = graph.tensors
                size, group = tensors[leader.outputs[0]].elements, {leader.outputs[0]}
                for op in graph.ops[index + 1 :]:
                    roles = {tensors[name].role for name in (*op.inputs, *op.outputs)}
                    on_chip = roles.isdisjoint(("weight", "constant"))
                    if group.isdisjoint(op.inputs) or not (is_view(op) or (isinstance(op, Elementwise) and on_chip)):
                        break
                    if any(tensors[name].elements > size for name in op.outputs):
                        break
                    found.append(self._follower(op, memory))
                    group.update(op.outputs)
            memory.followers[index] = tuple(found)
        return memory.followers[index]

    def _follower(self, op: Op, memory: GraphMemory) -> OpMapping:
        """An op that follows another tile by tile, all of its data on chip."""
        if is_view(op):
            return OpMapping(op, Stream("none"), follows=True)
        work = self.vector_work(op, memory)
        stream = Stream(
            "vector", cycles=work.cycles, core_share=1.0 / self.machines.arch.n_cores, scratchpad_bytes=work.crossing
        )
        return OpMapping(op, stream, precision=self.machines.arch.vector.format, follows=True)

    def _followers(self, memory: GraphMemory, index: int) -> Sequence[OpMapping]:
        """Ops right behind the matrix op at ``index`` that work on its results tile by tile, all on chip."""
        may = self.may_follow(memory, index)
        group = {memory.graph.ops[index].outputs[0]} & self.on_chip
        count = 0
        for each in may:
            op = each.op
            if group.isdisjoint(op.inputs):
                break
            if not is_view(op) and not self.on_chip.issuperset((*op.inputs, *op.outputs)):
                break
            group.update(op.outputs)
            count += 1
        while count and may[count - 1].stream.unit == "none":
            count -= 1
        return may[:count]

    def _other(self, op: Op, memory: GraphMemory, room: Room, times: int) -> tuple[OpMapping, float]:
        """An op that is no matrix work, and the room that it needs."""
        if not isinstance(op, Host):
            return self._vector(op, memory, room, times)
        host = self.machines.arch.host
        seconds = op.elements * HOST_BYTES / host.bandwidth_bytes_per_s.value + host.latency_s.value + op.seconds
        return OpMapping(op, Stream("host"), times, time_s=seconds), 0.0

    def _matrix(
        self, op: MatMul | Conv, memory: GraphMemory, index: int, room: Room, times: int, follow_s: float
    ) -> OpMapping:  # fmt: skip
        precision, problem = self._problem(memory, index, room.resident, follow_s)
        candidate, metrics = self.machines.best(problem, precision, room.free_bytes, op.name)
        if not metrics.feasible:
            machine = self.machines.of(precision, room.free_bytes, op.name)
            least = float(least_buffer_bytes(problem, machine))
            bound = max(0.0, machine.capacity_bytes)
            raise InfeasibleError(Infeasible("scratchpad capacity of a core", least, bound, "bytes", op.name))
        stream = _matrix_stream(candidate, metrics, problem.extra_load_bytes)
        return OpMapping(op, stream, times, precision, problem, candidate, metrics, metrics.time_s)

    def _problem(
        self, memory: GraphMemory, index: int, resident: frozenset[str], follow_s: float
    ) -> tuple[str, Problem]:  # fmt: skip
        """The format of a matrix op, and its problem with ``follow_s`` of vector work behind it."""
        op, graph = memory.graph.ops[index], memory.graph
        precision, problem, extras = self.product(memory, index)
        return precision, problem._replace(
            input_on_chip=not self.off_chip(graph, op.inputs[0], resident),
            output_on_chip=not self.off_chip(graph, op.outputs[0], resident),
            weight_on_chip=not self.off_chip(graph, op.inputs[1], resident),
            extra_load_bytes=sum((size for name, size in extras if self.off_chip(graph, name, resident)), 0.0),
            follow_s=follow_s,
        )

    def product(self, memory: GraphMemory, index: int) -> Product:
        """The matrix op at ``index``, with everything off chip."""
        if index not in memory.products:
            memory.products[index] = self._product(memory.graph, memory.graph.ops[index])
        return memory.products[index]

    def _product(self, graph: Graph, op: Op) -> Product:
        assert isinstance(op, MatMul | Conv)
        precision, tensors, nest = self.choice.of(op.name), graph.tensors, op.contraction
        if isinstance(op, MatMul) and op.shared_input:
            nest = Contraction(1, op.m, op.n * op.groups, op.k)
        unit = self.machines.arch.unit(precision, op=op.name)
        read, weight, made = op.inputs[0], op.inputs[1], op.outputs[0]
        problem = Problem(
            nest.groups, nest.m, nest.n, nest.k, nest.row_outputs, nest.row_stride, nest.row_elements,
            nest.kernel_rows, nest.kernel_size,
            weight_bytes=FORMATS[tensors[weight].format or precision].bytes_per_element,
            input_bytes=FORMATS[tensors[read].format or precision].bytes_per_element,
            output_bytes=FORMATS[tensors[made].format or precision].bytes_per_element,
            partial_bytes=FORMATS[unit.accumulator].bytes_per_element,
            input_on_chip=False, output_on_chip=False, weight_on_chip=False,
        )  # fmt: skip
        return Product(precision, problem, tuple((name, tensors[name].bytes) for name in op.inputs[2:]))

    def vector_work(self, op: Op, memory: GraphMemory) -> VectorWork:
        """What a vector op does, wherever its data are."""
        if op.name not in memory.vectors:
            graph, arch, vector = memory.graph, self.machines.arch, self.machines.arch.vector
            simple, special = element_work(op)
            lanes = vector.lanes.value * arch.n_cores
            compute = (simple * vector.cycles_simple.value + special * vector.cycles_special.value) / lanes
            sizes = {name: graph.tensors[name].bytes for name in (*op.inputs, *op.outputs)}
            makes = tuple((name, sizes[name]) for name in op.outputs)
            made = crossing = sum(size for _, size in makes)
            reads = tuple((name, made if _gathers(op, graph, name) else sizes[name]) for name in op.inputs)
            for _, size in reads:
                crossing += size
            port = crossing / arch.n_cores / arch.scratchpad.bandwidth_bytes_per_cycle.value
            port *= arch.clock_hz("vector") / arch.clock_hz("scratchpad")
            memory.vectors[op.name] = VectorWork(max(compute, port), crossing, reads, makes)
        return memory.vectors[op.name]

    def _vector(self, op: Op, memory: GraphMemory, room: Room, times: int) -> tuple[OpMapping, float]:
        if is_view(op):
            return OpMapping(op, Stream("none"), times), 0.0
        arch, graph, work = self.machines.arch, memory.graph, self.vector_work(op, memory)
        load = sum((size for name, size in work.reads if self.off_chip(graph, name, room.resident)), 0.0)
        store = sum((size for name, size in work.makes if self.off_chip(graph, name, room.resident)), 0.0)
        rates = self.machines.rates("vector", arch.op_overhead_cycles.value)
        tiles, time_s = fastest_chunks(work.cycles, load, store, room.free_bytes, 1.0 / arch.n_cores, rates)
        if tiles == 0:
            least = 2 * (load + store) / MOST_CHUNKS
            raise InfeasibleError(Infeasible("scratchpad capacity", least, room.free_bytes, "bytes", op.name))
        held = (load + store) * (2 / tiles if tiles > 1 else 1)
        first, last = (ceil(moved / tiles / rates.burst_bytes) * rates.burst_bytes for moved in (load, store))
        stream = Stream(
            "vector", tiles, tiles if load > 0 else 1, work.cycles, first * tiles, first, last * tiles, last,
            core_share=1.0 / arch.n_cores, buffer_bytes=held / arch.n_cores,
            scratchpad_bytes=work.crossing + load + store,
        )  # fmt: skip
        return OpMapping(op, stream, times, arch.vector.format, time_s=time_s), held


@dataclass(frozen=True, slots=True)
class Known:
    """An entry that was the best of ``limit_bytes`` of room: ``held_bytes`` of it are needed, ``core_bytes`` a core."""

    limit_bytes: float
    held_bytes: float
    core_bytes: float
    ops: tuple[OpMapping, ...]

    def serves(self, free_bytes: float, cores: int) -> bool:
        """Whether it is the best of ``free_bytes``, too: of a smaller room it is, if it fits."""
        fits = self.held_bytes <= free_bytes and self.core_bytes <= free_bytes / cores
        return self.limit_bytes >= free_bytes and (fits or self.limit_bytes == free_bytes)

    def entry(self) -> Entry:
        return Entry(self.ops, self.ops[0].time_s, self.ops[0].quiet)


def _follow_s(followers: Sequence[OpMapping], arch: DigitalArchitecture) -> float:
    """Seconds of vector work behind a matrix op."""
    return added(each.stream.cycles for each in followers) / arch.clock_hz("vector")


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

"""The least that any mapping of a workload switches on a digital machine, whatever is fast: bytes by where they pass.

*DRAM.* Every weight that is read whole crosses once, and in every step of a time loop as many as cannot stay. An
activation crosses where the scratchpads are too small to hold it whole beside what lives with it, and to hold a stripe
of it, with the weights of the ops from its maker to its last reader, in a group. An op that fits into no group runs
whole: it moves no less than the mapping that is best where nothing but DRAM traffic takes time, found by the mapper's
own search.

*Scratchpads.* Vector work passes all of its operands. A product passes weights, inputs and outputs as often as the
folds of the array make it, however it is cut over cores, tiles and stripes: counts of folds only grow by cutting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil, inf

from accelsim.cost.digital import Amounts
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.digital import ACTIVATION_SHARES, RESIDENT_SHARE
from accelsim.mapping.machines import Machines, machine_of, searched
from accelsim.mapping.memory import GraphMemory
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.placement import activation_needs, is_view, read_whole
from accelsim.mapping.single import HOST_BYTES, SingleMapper
from accelsim.mapping.space import Machine, Problem, input_elements
from accelsim.mapping.stripes import StripedGraph, StripeFacts, cuts, stripe_facts
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Conv, Host, Loop, MatMul
from accelsim.workload.precision import PrecisionChoice
from accelsim.workload.vector_work import element_work

__all__ = ["Needs", "Work", "least_amounts"]

_ROUNDING = 1 - 1e-8
"""The search takes times within 1e-9 of each other for equal."""
_FREE = 1e30
"""A rate at which nothing takes time."""


@dataclass(frozen=True)
class Work:
    """A workload in its formats, and what its placement needs, once for all machines.

    Attributes:
        graph: as it is mapped: formats assigned, recurrence expanded.
        choice: the formats of its matrix work.
        options: what the mapper may do.
    """

    graph: Graph
    choice: PrecisionChoice
    options: MappingOptions

    @cached_property
    def needs(self) -> Needs:
        """See `Needs`."""
        return Needs.of(self.graph, self.options)

    @cached_property
    def macs(self) -> dict[str, int]:
        """Multiply-accumulates by format."""
        found: Counter[str] = Counter()
        for op, times in self.graph.walk():
            if isinstance(op, MatMul | Conv):
                found[self.choice.of(op.name)] += op.macs * times
        return dict(found)

    @cached_property
    def elements(self) -> tuple[int, int]:
        """Simple and special operations of the vector units."""
        found = [(element_work(op), times) for op, times in self.graph.walk()]
        return sum(work[0] * times for work, times in found), sum(work[1] * times for work, times in found)

    @cached_property
    def host_bytes(self) -> int:
        """Bytes on the link to the host."""
        return sum(op.elements * HOST_BYTES * times for op, times in self.graph.walk() if isinstance(op, Host))

    def weight_bytes(self, capacity_bytes: float) -> float:
        """Weights that are read whole: once each, and in every step of a time loop what cannot stay on chip.

        None where they may stay from one inference to the next.
        """
        if self.options.resident_weights:
            return 0.0
        return sum(_swept(self.graph)) + _again_bytes(self.graph, 1, RESIDENT_SHARE * capacity_bytes)

    @cached_property
    def readers(self) -> Counter[str]:
        """How many ops read each tensor."""
        return Counter(name for op, _ in self.graph.walk() for name in set(op.inputs))


def _swept(graph: Graph) -> list[float]:
    """Bytes of each weight that some op of a graph, or of the loops in it, reads whole."""
    read = read_whole(graph)
    return [each.bytes for each in graph.all_tensors() if each.role == "weight" and each.name in read]


def _again_bytes(graph: Graph, times: int, kept_bytes: float) -> float:
    """Weights that loops read beside once each, where they can keep so many bytes from step to step."""
    again = 0.0
    for op in graph.ops:
        if isinstance(op, Loop):
            steps = times * op.steps
            streamed = (steps - 1) * max(0.0, sum(_swept(op.body)) - kept_bytes)
            again += max(streamed, _again_bytes(op.body, steps, kept_bytes))
    return again


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes of all scratchpads together below which data cannot stay on chip; infinite where they never do.

    Attributes:
        tensors: of each activation of the whole graph, to stay whole or stripe by stripe.
        ops: of each op of the whole graph, to be part of any group.
    """

    tensors: Mapping[str, float]
    ops: tuple[float, ...]

    @staticmethod
    def of(graph: Graph, options: MappingOptions) -> Needs:
        """The needs of a graph's activations and ops."""
        most = max(ACTIVATION_SHARES)
        tensors = {name: need / most for name, need in activation_needs(graph).items()}
        ops = [inf] * len(graph.ops)
        striped = StripedGraph(graph)
        for cut in cuts(graph) if options.fusion or options.pipelining else ():
            for first, body in striped.rows(cut):
                row = _Row(body, stripe_facts(body, cut), options.resident_weights)
                for index in range(len(body.ops) - 1):
                    need = row.bytes(index, index + 1)
                    for at in (first + index, first + index + 1):
                        ops[at] = min(ops[at], need)
                for name, made in body.producers.items():
                    last = graph.last_uses.get(name, -1) - first
                    if made < last < len(body.ops):
                        tensors[name] = min(tensors.get(name, inf), row.bytes(made, last))
        return Needs(tensors, tuple(ops))


@dataclass(frozen=True, slots=True)
class _Row:
    """One stripe of a row of ops, as groups see it."""

    body: Graph
    stripe: StripeFacts
    weights_stay: bool

    def bytes(self, first: int, last: int) -> float:
        """Scratchpads that any group with body ops ``first`` to ``last`` needs."""
        stripe, tensors = self.stripe, self.body.tensors
        held = max(stripe.live[first : last + 1]) + stripe.halo_sums[last + 1] - stripe.halo_sums[first]
        if not self.weights_stay:
            held += sum(tensors[name].bytes for op in stripe.weights[first : last + 1] for name in op)
        return held / RESIDENT_SHARE


def least_amounts(work: Work, arch: DigitalArchitecture) -> Amounts:
    """What any mapping of ``work`` switches at least on ``arch`` and on machines with smaller memories.

    Raises:
        UnsupportedError: a format that the arrays have no unit for.
    """
    traffic = _Traffic(work, arch)
    moved = traffic.activations()
    scratchpad = sum(traffic.passed_bytes(memory, index) * times for memory, index, times in traffic.walk())
    return Amounts(
        work.macs, *work.elements, scratchpad + traffic.passed_again, 0.0,
        (work.weight_bytes(traffic.capacity) + moved) * _ROUNDING, work.host_bytes,
    )  # fmt: skip


class _Traffic:
    """Bytes that the ops of a workload move on one machine.

    ``passed_again``: of the activations from and to DRAM, those that streams of ops carry through the scratchpads.
    """

    def __init__(self, work: Work, arch: DigitalArchitecture) -> None:
        self.work, self.arch = work, arch
        self.machines = Machines(arch)
        self.single = SingleMapper(self.machines, work.choice, frozenset())
        self.capacity = arch.scratchpad.capacity_bytes.value * arch.n_cores
        self.pipelines = work.options.pipelining and work.graph.batch > 1 and arch.n_cores > 1
        self.passed_again = 0.0

    def walk(self) -> Iterator[tuple[GraphMemory, int, int]]:
        """Every op as its graph, its place there, and how often it runs."""
        waiting = [(self.work.graph, 1)]
        for graph, times in waiting:
            memory = self.machines.memory_of(graph, self.work.choice)
            for index, op in enumerate(graph.ops):
                if isinstance(op, Loop):
                    waiting.append((op.body, times * op.steps))
                else:
                    yield memory, index, times

    def passed_bytes(self, memory: GraphMemory, index: int) -> float:
        """What an op passes between scratchpads and units, but for what comes from or goes to other memories."""
        op = memory.graph.ops[index]
        if isinstance(op, MatMul | Conv):
            precision, problem, _ = self.single.product(memory, index)
            return _port_bytes(problem, machine_of(self.arch, precision, op.name))
        return 0.0 if isinstance(op, Host) or is_view(op) else self.single.vector_work(op, memory).crossing

    def activations(self) -> float:
        """Bytes of activations that cross the memory interface, those of loop bodies aside."""
        graph = self.work.graph
        memory = self.machines.memory_of(graph, self.work.choice)
        moved = 0.0
        once: dict[str, float] = {}
        apart: set[str] = set()
        for index, op in enumerate(graph.ops):
            if isinstance(op, Loop | Host) or is_view(op):
                continue
            loads, stored = self._crossing(memory, index)
            alone = self.work.needs.ops[index] > self.capacity
            if alone:
                apart.update(loads)
                least = self._alone_bytes(memory, index)
                stored = max(stored + sum(loads.values()), least if least < inf else 0.0)
            elif self.pipelines:  # of a pipeline's ops one loads what several read
                once |= {name: min(size, once.get(name, inf)) for name, size in loads.items()}
            else:
                stored += sum(loads.values())
            moved += stored
            self.passed_again += stored if alone or not self.pipelines else 0.0
        return moved + sum(size for name, size in once.items() if name not in apart)

    def _outside(self, name: str) -> bool:
        """Whether a tensor of the whole graph is an activation that cannot stay on chip."""
        if self.work.graph.tensors[name].role != "activation":
            return False
        return name in self.work.graph.outputs or self.work.needs.tensors.get(name, inf) > self.capacity

    def _crossing(self, memory: GraphMemory, index: int) -> tuple[dict[str, float], float]:
        """Activations that an op reads from DRAM, by name, and bytes that it stores there."""
        op = memory.graph.ops[index]
        if not isinstance(op, MatMul | Conv):
            moved = self.single.vector_work(op, memory)
            loads = {name: size for name, size in moved.reads if self._outside(name)}
            return loads, sum(size for name, size in moved.makes if self._outside(name))
        p = self.single.product(memory, index).problem
        sizes = zip(op.inputs, (p.groups * float(input_elements(p, p.m, p.k)) * p.input_bytes,
                                p.groups * p.n * p.k * p.weight_bytes), strict=False)  # fmt: skip
        loads = {name: size for name, size in sizes if self._outside(name)}
        return loads, p.groups * p.m * p.n * p.output_bytes if self._outside(op.outputs[0]) else 0.0

    def _alone_bytes(self, memory: GraphMemory, index: int) -> float:
        """What a matrix op in no group moves beside its weights read once."""
        op = memory.graph.ops[index]
        if not isinstance(op, MatMul | Conv):
            return 0.0
        precision, problem, _ = self.single.product(memory, index)
        machine = _only_dram(machine_of(self.arch, precision, op.name), self.capacity)
        weight = op.inputs[1]
        problem = problem._replace(
            input_on_chip=not self._outside(op.inputs[0]), output_on_chip=not self._outside(op.outputs[0]),
            weight_on_chip=not self._outside(weight),
        )  # fmt: skip
        tensor = self.work.graph.tensors[weight]
        if tensor.role != "weight" or self.work.options.resident_weights or self.work.readers[weight] > 1:
            return _least_bytes(problem, machine)
        ahead = _least_bytes(problem._replace(weight_on_chip=True), machine)
        return min(ahead, _least_bytes(problem._replace(weight_on_chip=False), machine) - tensor.bytes)


def _only_dram(machine: Machine, capacity_bytes: float) -> Machine:
    """The machine with all of its scratchpads for one op, where a byte from or to DRAM takes a second and all else no
    time."""
    return machine._replace(
        capacity_bytes=capacity_bytes / machine.cores, port_bytes_per_cycle=_FREE, array_hz=_FREE, dram_bytes_per_s=1.0,
        dram_latency_s=0.0, dma_bytes_per_s=_FREE, network_bytes_per_s=_FREE, overhead_s=0.0, hop_s=0.0,
        burst_bytes=1.0 / 1024,
    )  # fmt: skip


def _least_bytes(problem: Problem, machine: Machine) -> float:
    """DRAM bytes of the mapping with the fewest; infinite where none fits."""
    _, found, _ = searched(problem, machine)
    return found.weight_dram_bytes + found.input_dram_bytes + found.output_dram_bytes if found.feasible else inf


def _port_bytes(p: Problem, hw: Machine) -> float:
    """Bytes of a product that pass the scratchpads' ports at least, over the dataflows and what arrays share out.

    Weights pass once a fold of the outputs or inputs that stay, inputs once a fold of the weights or outputs.
    """
    wide = hw.columns * hw.columns_per_pe
    along_n, along_m = ceil(p.n / (wide * hw.arrays)), ceil(p.n / wide)
    found = []
    for n_folds, beside in ((along_n, 1), (along_m, hw.arrays)):
        m_size = ceil(p.m / beside)
        columns = wide * (hw.arrays if beside == 1 else 1)
        if hw.weight_stationary:
            found.append((1, n_folds))
        if hw.output_stationary:
            found.append((ceil(m_size / hw.rows), n_folds))
        if hw.input_stationary:
            found.append((ceil(m_size / columns), 1))
    return min(
        p.groups * float(p.k * p.n * p.weight_bytes * weights + p.m * p.k * p.input_bytes * inputs
                         + p.m * p.n * p.output_bytes)
        for weights, inputs in found
    )  # fmt: skip

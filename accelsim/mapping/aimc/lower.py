"""A mapped workload on tiles as a task graph.

A chunk of vectors of an op on tiles is: ``receive`` at the input port of the fullest tile, beside ``mesh``, the
byte-hops over all links; ``product`` on the tiles, one vector after the other; ``fill``, what a product takes beyond
the interval to the next; ``receive`` of partial sums; ``hops``, the way through the routers. Digital units, matrix
cores, the link off the chip and the host are one resource each. Where tiles are written in rounds, ``program`` waits
for all products of the round before.

Tasks stand op by op; `engine.issue` then lists them in the order in which they are ready.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from accelsim.errors import InputError
from accelsim.hardware.aimc.description import AimcArchitecture
from accelsim.mapping.aimc.chunks import READY, Ready, chunk_count, needed_share, slice_share
from accelsim.mapping.aimc.mapper import PARTIAL_SUM_BYTES, input_bytes_per_vector
from accelsim.mapping.aimc.records import AimcMapping, AimcOp, StoredMatrix
from accelsim.mapping.aimc.repeat import PLACEHOLDER, Step, repeated, state_of
from accelsim.mapping.lower import Detail
from accelsim.mapping.taskgraph import TaskGraph, TaskGraphBuilder
from accelsim.numerics import FORMATS
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Conv, Host, Loop, MatMul, Move, Op
from accelsim.workload.vector_work import element_work

__all__ = ["ACTIONS", "SHARED", "lower_aimc", "with_amounts"]

ACTIONS = (
    "product", "fill", "receive", "mesh", "hops", "digital", "cores", "off_chip", "off_chip_latency", "host", "program",
    "recalibrate",
)  # fmt: skip
"""Units: intervals of a full product, 1, bytes, byte-hops, hops, cycles of a lane, cycles, bytes, 1, seconds, tiles,
tiles."""
SHARED = ("mesh", "digital", "cores", "off_chip", "host")
"""Resources that serve all ops."""
_CHUNKS = {"op": 32, "tile": 1 << 20}
_MOST_TASKS = 4_000_000
_INPUT_CHUNKS = 8


def lower_aimc(mapping: AimcMapping, arch: AimcArchitecture, detail: Detail) -> TaskGraph:
    """The tasks of one execution, amounts of ``product``, ``digital`` and ``cores`` in those of `with_amounts`.

    Raises:
        InputError: more tasks than can be run.
    """
    lowering = _Lowering(mapping, arch, _CHUNKS[detail])
    ready = lowering.arrivals(mapping.graph)
    lowering.graph(mapping.graph, ready)
    lowering.departures(mapping.graph, ready)
    return lowering.tasks.build()


def with_amounts(tasks: TaskGraph, mapping: AimcMapping, arch: AimcArchitecture) -> TaskGraph:
    """Lowered tasks with amounts in the units of `ACTIONS`: counts of products and executions times what one takes.

    What one takes follows from constants that change neither the mapping nor which tasks there are.
    """
    factor = np.ones((len(ACTIONS), len(mapping.ops)))
    for index, each in enumerate(mapping.ops):
        if each.matrix is not None:
            factor[ACTIONS.index("product"), index] = _product_intervals(each.matrix, arch)
        elif each.unit == "digital":
            factor[ACTIONS.index("digital"), index] = digital_cycles(each.op, arch)
        elif each.unit == "cores":
            factor[ACTIONS.index("cores"), index] = core_cycles(each.op, arch, each.precision)
    return replace(tasks, amount=tasks.amount * factor[tasks.action, tasks.op])


def _product_intervals(matrix: StoredMatrix, arch: AimcArchitecture) -> float:
    """Intervals of a full product that one product takes, vectors that are read again included."""
    tile = arch.tile
    seconds = max(sum(map(tile.interval_s, reads)) for reads in set(matrix.reads))
    return seconds / tile.interval_s(tile.outputs) * tile.crossbar.mean_passes.value


def digital_cycles(op: Op, arch: AimcArchitecture) -> float:
    """Cycles of a lane for one execution of an op; what only moves takes one simple operation an element."""
    simple, special = (op.elements, 0) if isinstance(op, Move) else element_work(op)
    return simple * arch.digital.cycles_simple.value + special * arch.digital.cycles_special.value


def core_cycles(op: Op, arch: AimcArchitecture, precision: str) -> float:
    """Cycles of all digital cores for one execution of a product: whole folds of the weights, shared out evenly."""
    assert isinstance(op, MatMul | Conv)
    assert arch.cores is not None
    cores, nest = arch.cores, op.contraction
    deep = cores.rows.value * cores.units[precision].macs_per_pe.value
    folds = nest.groups * ceil(nest.k / deep) * ceil(nest.n / cores.columns.value)
    return ceil(folds * nest.m / cores.count.value) + cores.rows.value


@dataclass(frozen=True, slots=True)
class _Figures:
    """What every chunk of an op needs, computed once: amounts of one vector, or of one execution."""

    input_bytes: float = 0.0
    port_bytes: float = 0.0
    sum_bytes: float = 0.0
    replicas: int = 1

    @classmethod
    def of(cls, mapped: AimcOp, arch: AimcArchitecture) -> _Figures:
        matrix = mapped.matrix
        if matrix is None:
            return cls()
        cut, byte = matrix.cut, FORMATS[arch.activation_format].bits_per_element / 8
        return cls(
            input_bytes=input_bytes_per_vector(matrix, arch) * cut.column_parts,
            port_bytes=matrix.port_rows * byte / matrix.replicas,
            sum_bytes=matrix.summed_columns * (cut.row_parts - 1) * PARTIAL_SUM_BYTES / matrix.replicas,
            replicas=matrix.replicas,
        )


class _Lowering:
    def __init__(self, mapping: AimcMapping, arch: AimcArchitecture, most: int) -> None:
        self.mapping, self.arch, self.most = mapping, arch, most
        self.index = {id(each.op): index for index, each in enumerate(mapping.ops)}
        self.figures = [_Figures.of(each, arch) for each in mapping.ops]
        on_tiles = dict.fromkeys(each.resource for each in mapping.matrices.values())
        names = [f"{name}.{part}" for name in on_tiles for part in ("tile", "port")]
        units = {each.unit for each in mapping.ops}
        shared = [name for name in ("digital", "cores", "host") if name in units]
        self.tasks = TaskGraphBuilder(["off_chip", "mesh", *shared, *names], ACTIONS)
        self.open: list[int] = []  # tasks that the next round waits for
        self.written: dict[str, int] = {}
        self.slots = [-1, -1]  # the last two products of the cores, whose weights are in its buffers
        self.placed: list[int] = []  # the task that each placeholder stands for
        self.begins: list[int] = []  # first tasks of the loops around
        self.alike = True  # whether steps can be copied

    def add(self, resource: str | None, action: str, amount: float, op: int, *preds: int) -> int:
        self._room(1)
        return self.tasks.add(resource, action, amount, op, preds)

    def arrivals(self, graph: Graph) -> dict[str, Ready]:
        """Inputs over the link off the chip, in a few parts each."""
        ready: dict[str, Ready] = {}
        ops = list(enumerate(self.mapping.ops))
        readers = {name: index for index, each in reversed(ops) for name in each.op.inputs}
        for name in graph.inputs:
            tensor, reader = graph.tensors[name], readers.get(name, 0)
            parts = min(_INPUT_CHUNKS, tensor.shape[0] if len(tensor.shape) > 1 else 1) or 1
            ends = []
            for _ in range(parts):
                moved = self.add("off_chip", "off_chip", tensor.bytes / parts, reader)
                ends.append(self.add(None, "off_chip_latency", 1.0, reader, moved))
            ready[name] = Ready(tuple(ends))
        return ready

    def departures(self, graph: Graph, ready: Mapping[str, Ready]) -> None:
        """Outputs, as they come."""
        last = len(self.mapping.ops) - 1
        makers = {name: index for index, each in enumerate(self.mapping.ops) for name in each.op.outputs}
        for name in graph.outputs:
            parts = ready.get(name, READY).tasks or (-1,)
            maker = makers.get(name, last)
            for task in parts:
                moved = self.add("off_chip", "off_chip", graph.tensors[name].bytes / len(parts), maker, task)
                self.add(None, "off_chip_latency", 1.0, maker, moved)

    def graph(self, graph: Graph, ready: dict[str, Ready]) -> None:
        """Every op, in order; ``ready`` gains what they make."""
        for op in graph.ops:
            if isinstance(op, Loop):
                self.loop(op, graph, ready)
                continue
            mapped = self.mapping.ops[self.index[id(op)]]
            inputs = [ready.get(name, READY) for name in op.inputs]
            made = self.op(mapped, graph, inputs)
            ready.update(dict.fromkeys(op.outputs, made))

    def loop(self, op: Loop, graph: Graph, ready: dict[str, Ready]) -> None:
        """Step by step; a step waits for its slices of what the loop reads and for the states of the step before.

        Once a step leaves what the one before it left, all that follow are copies of it.
        """
        slices = _Slices.of(op, graph, ready, len(self.placed))
        self.placed += [-1] * len(slices.inner)
        inside, first, left = dict(ready), len(self.tasks), None
        ends: dict[str, list[int]] = {name: [] for name in op.body.outputs}
        self.begins.append(first)
        for number in range(op.steps):
            at = self._slices(slices, inside, number)
            begin = len(self.tasks)
            self.graph(op.body, inside)
            inside.update({before: inside.get(after, READY) for after, before in op.carried})
            step = Step(self.tasks.cut(begin), begin, first)
            step.put_back(self.tasks, at)
            for name, tasks in ends.items():
                last = inside.get(name, READY).last
                tasks.append(at.get(last, last))
            state = state_of([*(inside.get(name, READY) for _, name in op.carried), Ready(tuple(self.slots))], step)
            if state == left and self.alike and self.mapping.rounds == 1:
                self._copies(step, slices, inside, range(number + 1, op.steps), ends)
                break
            left = state
            inside.update({name: inside.get(name, READY).at(at) for _, name in op.carried})
        self.begins.pop()
        self.alike = self.alike or not self.begins
        for inner_name, outer in zip(op.body.outputs, op.outputs, strict=False):
            found = tuple(task for task in ends[inner_name] if task >= 0)
            # The second direction of a layer makes its first value last.
            ready[outer] = Ready(found[-1:] if slices.both_ways else found)

    def _slices(self, slices: _Slices, inside: dict[str, Ready], number: int) -> dict[int, int]:
        """Put placeholders for the slices of step ``number``; the tasks that they stand for."""
        at = slices.at(number)
        for placeholder, task in at.items():
            self.placed[placeholder - PLACEHOLDER] = task
        inside.update(slices.inner)
        return at

    def _copies(
        self, step: Step, slices: _Slices, inside: Mapping[str, Ready], numbers: range, ends: Mapping[str, list[int]]
    ) -> None:
        """Steps ``numbers`` as copies of ``step``, the one before them."""
        times = len(numbers)
        if times == 0:
            return
        self._room(len(step.tasks) * times)
        at = [slices.at(number) for number in numbers]
        tasks = {placeholder: np.array([each[placeholder] for each in at]) for placeholder in at[0]}
        repeated(step, self.tasks, tasks, times)
        for name, found in ends.items():
            found += step.at(inside.get(name, READY).last, tasks, times).tolist()
        self.slots = [int(step.at(slot, tasks, times)[-1]) for slot in self.slots]

    def _room(self, more: int) -> None:
        if len(self.tasks) + more > _MOST_TASKS:
            raise InputError(f"unrolls into more than {_MOST_TASKS:,} tasks", field="time loop",
                             remedy="simulate a shorter input, or use detail op")  # fmt: skip

    def _through(self, inputs: Sequence[Ready]) -> Ready:
        """What a view passes on: the input that is ready last."""
        found = max(inputs, key=lambda each: self._task(each.last), default=READY)
        before = not self.begins[-1] <= found.last < PLACEHOLDER if self.begins else False
        if before and sum(bool(each.tasks) for each in inputs) > 1:
            self.alike = False  # it may be another one in another step
        return found

    def _task(self, task: int) -> int:
        """The task that a placeholder stands for now."""
        while task >= PLACEHOLDER:
            task = self.placed[task - PLACEHOLDER]
        return task

    def op(self, mapped: AimcOp, graph: Graph, inputs: list[Ready]) -> Ready:
        """One execution of an op."""
        index = self.index[id(mapped.op)]
        if mapped.unit == "none":
            return self._through(inputs)
        if mapped.unit == "host":
            return self._host(mapped, graph, inputs, index)
        if mapped.unit == "cores":
            return self._cores(mapped, inputs, index)
        chunks = chunk_count(mapped.op, graph, inputs, self.most)
        if mapped.matrix is not None:
            self._write(mapped.matrix, index)
        ends = []
        for chunk in range(chunks):
            waits = [
                each.after(needed_share(mapped.op, graph, position, chunk, chunks))
                for position, each in enumerate(inputs)
            ]
            if mapped.matrix is None:
                ends.append(self._digital(mapped, index, chunks, waits))
            else:
                vectors = (chunk + 1) * mapped.vectors // chunks - chunk * mapped.vectors // chunks
                ends.append(self._product(mapped, mapped.matrix, index, vectors, waits))
        return Ready(tuple(ends))

    def _product(self, mapped: AimcOp, matrix: StoredMatrix, index: int, vectors: int, waits: list[int]) -> int:
        figures = self.figures[index]
        on_mesh = -1
        if mapped.hops:
            on_mesh = self.add("mesh", "mesh", vectors * figures.input_bytes * mapped.hops, index, *waits)
        received = self.add(f"{matrix.resource}.port", "receive", vectors * figures.port_bytes, index, *waits)
        products = ceil(vectors / figures.replicas)
        written = self.written.get(matrix.name, -1)
        done = self.add(f"{matrix.resource}.tile", "product", products, index, received, on_mesh, written)
        done = self.add(None, "fill", 1.0, index, done)
        if figures.sum_bytes:
            done = self.add(f"{matrix.resource}.port", "receive", vectors * figures.sum_bytes, index, done)
        done = self.add(None, "hops", mapped.hops + mapped.sum_hops, index, done)
        if self.mapping.rounds > 1:
            self.open.append(done)
        return done

    def _write(self, matrix: StoredMatrix, index: int) -> None:
        """Write all matrices of a round before its first product."""
        if self.mapping.rounds == 1 or matrix.name in self.written:
            return
        over = self.add(None, "fill", 0.0, index, *self.open)
        self.open = []
        for each in self.mapping.matrices.values():
            if each.round == matrix.round:
                self.written[each.name] = self.add(f"{each.resource}.tile", "program", 1.0, index, over)

    def _digital(self, mapped: AimcOp, index: int, chunks: int, waits: list[int]) -> int:
        if mapped.streamed_bytes:
            read = self.add("off_chip", "off_chip", mapped.streamed_bytes / chunks, index, *waits)
            waits = [self.add(None, "off_chip_latency", 1.0, index, read)]
        return self.add("digital", "digital", 1.0 / chunks, index, *waits)

    def _cores(self, mapped: AimcOp, inputs: list[Ready], index: int) -> Ready:
        waits = [each.last for each in inputs]
        if mapped.streamed_bytes:
            read = self.add("off_chip", "off_chip", mapped.streamed_bytes, index, self.slots[0])
            waits.append(self.add(None, "off_chip_latency", 1.0, index, read))
        done = self.add("cores", "cores", 1.0, index, *waits)
        self.slots = [self.slots[1], done]
        return Ready((done,))

    def _host(self, mapped: AimcOp, graph: Graph, inputs: list[Ready], index: int) -> Ready:
        op = mapped.op
        assert isinstance(op, Host)
        there = self.add("off_chip", "off_chip", graph.tensors[op.inputs[0]].bytes, index, *(e.last for e in inputs))
        there = self.add(None, "off_chip_latency", 1.0, index, there)
        done = self.add("host", "host", op.seconds, index, there)
        back = self.add("off_chip", "off_chip", sum(graph.tensors[name].bytes for name in op.outputs), index, done)
        return Ready((self.add(None, "off_chip_latency", 1.0, index, back),))


@dataclass(frozen=True, slots=True)
class _Slices:
    """What a loop reads step by step: placeholders by the name of the slice, and what makes it ready with its tensor.

    ``both_ways``: the loop runs over its slices from both ends.
    """

    op: Loop
    graph: Graph
    sources: tuple[tuple[str, Ready], ...]
    inner: Mapping[str, Ready]
    both_ways: bool

    @classmethod
    def of(cls, op: Loop, graph: Graph, ready: Mapping[str, Ready], number: int) -> _Slices:
        """The slices of ``op``; their placeholders count from ``number``. What is ready from the start needs none."""
        names = [name for name in op.inputs if step_slice(name) in op.body.tensors]
        sources = tuple((name, ready.get(name, READY)) for name in names)
        inner = {
            step_slice(name): Ready((PLACEHOLDER + number + index,)) if source.tasks else READY
            for index, (name, source) in enumerate(sources)
        }
        ends = (slice_share(graph.tensors[name], op.body.tensors[step_slice(name)], 0, op.steps) for name in names)
        return cls(op, graph, sources, inner, op.steps > 1 and any(share == 1.0 for share in ends))

    def at(self, number: int) -> dict[int, int]:
        """{placeholder: task} of step ``number``."""
        found = {}
        for name, source in self.sources:
            inner = step_slice(name)
            if source.tasks:
                share = slice_share(self.graph.tensors[name], self.op.body.tensors[inner], number, self.op.steps)
                found[self.inner[inner].last] = source.after(share)
        return found

"""A workload as columns for compiled code: all that the mapper needs to know of it, whatever the hardware.

Body 0 is the workload itself; every other body is one stripe of a row of its ops (`mapping.stripes`). Ops and tensors
are numbered through all bodies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.machines import Machines
from accelsim.mapping.memory import GraphMemory
from accelsim.mapping.placement import activation_needs, is_view, lifetimes
from accelsim.mapping.single import HOST_BYTES, SingleMapper
from accelsim.mapping.stripes import Cut, StripedGraph, cuts, stripe_facts
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Conv, Host, MatMul, Move, Op
from accelsim.workload.precision import PrecisionChoice
from accelsim.workload.vector_work import element_work

__all__ = [
    "BEGIN", "BYTES", "CROSSING", "EXCHANGED", "FIRST_OP", "FOLLOW", "HALOS", "HELD", "HOST", "HOST_BYTES_OF", "HOST_S",
    "KIND", "LIVE", "LOADABLE", "MADE", "MAKER", "MAKES", "MATRIX", "OUTER", "PRODUCT", "READS", "SHAPE", "SIMPLE",
    "SPECIAL", "STRIPES", "UNIT", "USED", "VECTOR", "VIEW", "WEIGHT", "WEIGHTS", "Facts", "Stored", "Workload",
    "facts_of",
]  # fmt: skip

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]

MATRIX, VECTOR, HOST, VIEW = range(4)
"""Kinds of ops, numbered as `searches` numbers what runs them."""


KIND, READS, MAKES, FOLLOW, UNIT, PRODUCT, SHAPE = range(7)
"""Columns of `Facts.ops`; the nine of a shape stand last."""
LOADABLE, SIMPLE, SPECIAL, CROSSING, HOST_BYTES_OF, HOST_S, LIVE, BYTES = range(8)
"""Columns of `Facts.work`; the four of bytes an element stand last."""
HELD, WEIGHT, MAKER, OUTER = range(4)
"""Columns of `Facts.tensors`."""
MADE, USED, EXCHANGED = range(3)
"""Columns of `Facts.outer`."""
BEGIN, FIRST_OP, STRIPES = range(3)
"""Columns of `Facts.bodies`."""
HALOS, WEIGHTS = range(2)
"""Columns of `Facts.sums`."""


class Facts(NamedTuple):
    """Ops and tensors of all bodies, in few tables: a call in compiled code pays for each array that it is given.

    Attributes:
        bodies: (bodies + 1, 3) first op of each body, the op of the workload at which it begins, and how many stripes
            there are.
        ops: (ops + 1, 15) kind, first of ``reads`` and of ``makes``; how many ops behind a matrix op may work on its
            results tile by tile; numbers of its format and of its product; sizes as `space.Problem` has them.
        work: (ops, 11) bytes of weights that are read from end to end; simple and special vector operations, bytes that
            cross the ports of the scratchpads; bytes to the host and seconds there; bytes of stripes alive; bytes an
            element as `space.Problem` has them.
        reads: (reads, 2) a tensor, and whether only some rows of it are read; ``read_bytes`` (reads,) of these.
        makes: (makes,) tensors.
        tensors: (tensors, 4) whether it may be on chip (an activation, in the workload also a state), whether it is a
            weight or constant, the op of its own body that makes it (-1: none), and the tensor of the workload that it
            is a stripe of; ``tensor_bytes`` (tensors,).
        outer: (tensors of the workload, 3) ops that make and last use it (-1: none), and whether it is an activation,
            which groups may exchange; ``need_bytes`` room for activations with which it stays on chip.
        sums: (ops + bodies, 2) bytes of halos and of weights before each op of a body, and behind its last.
    """

    bodies: IntArray
    ops: IntArray
    work: Column
    reads: IntArray
    read_bytes: Column
    makes: IntArray
    tensors: IntArray
    tensor_bytes: Column
    outer: IntArray
    need_bytes: Column
    sums: Column


class Stored(NamedTuple):
    """What lives in DRAM: bytes of weights and inputs, and activations with the ops between which they live."""

    always: float
    spans: IntArray
    bytes: Column
    need_bytes: Column


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload in some formats as compiled code takes it; ``formats`` are those of its matrix ops."""

    facts: Facts
    stored: Stored
    formats: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Body:
    graph: Graph
    first: int
    cut: Cut


def facts_of(graph: Graph, arch: DigitalArchitecture, choice: PrecisionChoice) -> Workload:
    """The columns of a graph without loops; ``arch`` says which formats its sums have, and nothing else."""
    striped = StripedGraph(graph)
    bodies = [_Body(graph, 0, Cut(1, 1))]
    for cut in sorted(cuts(graph), key=lambda cut: cut.stripes):
        bodies += [_Body(body, first, cut) for first, body in striped.rows(cut)]
    return _Builder(graph, SingleMapper(Machines(arch), choice, frozenset())).build(bodies)


@dataclass(slots=True)
class _Builder:
    graph: Graph
    single: SingleMapper

    def build(self, bodies: Sequence[_Body]) -> Workload:
        graph, needs = self.graph, activation_needs(self.graph)
        numbers = [_tensor_numbers(bodies, index) for index in range(len(bodies))]
        memories = [self.single.machines.memory_of(body.graph, self.single.choice) for body in bodies]
        ops = [(body, op) for body, each in enumerate(bodies) for op in each.graph.ops]
        reads = [
            [(numbers[body][name], *self._read(memories[body], op, name)) for name in op.inputs] for body, op in ops
        ]
        makes = [[numbers[body][name] for name in op.outputs] for body, op in ops]
        starts = np.cumsum([0, *(len(each.graph.ops) for each in bodies)]).tolist()
        shapes, sizes, formats = self._shapes(bodies, memories)
        follow = [len(self.single.may_follow(memories[body], index)) for body, index in _places(bodies)]
        columns = _whole(_kind(op) for _, op in ops), _pointers(reads)[:-1], _pointers(makes)[:-1], _whole(follow)
        table = np.concatenate((np.stack(columns, axis=1), shapes), axis=1)
        last = np.array([[VIEW, sum(map(len, reads)), sum(map(len, makes)), *[0] * (table.shape[1] - 3)]])
        live, sums = _stripes(bodies)
        work = [
            (self._loadable(memories[body], index), *element_work(op), self._crossing(memories[body], op), *_host(op))
            for (body, index), (_, op) in zip(_places(bodies), ops, strict=True)
        ]
        facts = Facts(
            self._bodies(bodies, starts),
            np.concatenate((table, last)),
            np.concatenate((np.array(work, dtype=np.float64), live[:, None], sizes), axis=1),
            _whole(n for each in reads for read in each for n in read[:2]).reshape(-1, 2),
            _real(read[2] for each in reads for read in each),
            _whole(name for each in makes for name in each),
            self._tensors(bodies, starts),
            _real(tensor.bytes for each in bodies for tensor in each.graph.tensors.values()),
            self._outer(),
            _real(needs.get(name, inf) for name in graph.tensors),
            sums,
        )
        return Workload(facts, _stored(graph, needs), formats)

    def _bodies(self, bodies: Sequence[_Body], starts: Sequence[int]) -> IntArray:
        """``bodies`` of `Facts`."""
        rows = [(start, each.first, each.cut.stripes) for start, each in zip(starts, bodies, strict=False)]
        return np.array([*rows, (starts[-1], len(self.graph.ops), 0)], dtype=np.int64)

    def _tensors(self, bodies: Sequence[_Body], starts: Sequence[int]) -> IntArray:
        """``tensors`` of `Facts`."""
        outer = {name: index for index, name in enumerate(self.graph.tensors)}
        rows: list[tuple[int, ...]] = []
        for body, each in enumerate(bodies):
            makers = each.graph.producers
            for tensor in each.graph.tensors.values():
                held = tensor.role == "activation" or (body == 0 and tensor.role == "state")
                maker = makers[tensor.name] + starts[body] if tensor.name in makers else -1
                rows.append((held, tensor.role in ("weight", "constant"), maker, outer[tensor.name]))
        return np.array(rows, dtype=np.int64)

    def _outer(self) -> IntArray:
        """``outer`` of `Facts`."""
        makers, uses = self.graph.producers, self.graph.last_uses
        rows = [
            (makers.get(name, -1), uses.get(name, -1), tensor.role == "activation")
            for name, tensor in self.graph.tensors.items()
        ]
        return np.array(rows, dtype=np.int64)

    def _read(self, memory: GraphMemory, op: Op, name: str) -> tuple[bool, float]:
        """Whether only some rows of a tensor are read, and the bytes read."""
        tensors = memory.graph.tensors
        gathered = isinstance(op, Move) and op.function == "gather" and tensors[name].role == "weight"
        return gathered, sum(tensors[made].bytes for made in op.outputs) if gathered else tensors[name].bytes

    def _loadable(self, memory: GraphMemory, index: int) -> float:
        names = self.single.loadable(memory, index, frozenset())
        return sum(memory.graph.tensors[name].bytes for name in names)

    def _crossing(self, memory: GraphMemory, op: Op) -> float:
        return self.single.vector_work(op, memory).crossing if _kind(op) == VECTOR else 0.0

    def _shapes(
        self, bodies: Sequence[_Body], memories: Sequence[GraphMemory]
    ) -> tuple[IntArray, Column, tuple[str, ...]]:
        """Format, product and sizes of each op, its bytes an element, and the formats by number."""
        formats: dict[str, int] = {}
        products: dict[tuple[object, ...], int] = {}
        shapes, sizes = list[tuple[int, ...]](), list[tuple[float, ...]]()
        for body, index in _places(bodies):
            op = bodies[body].graph.ops[index]
            if not isinstance(op, MatMul | Conv):
                shapes.append((0, -1, *(0,) * 9))
                sizes.append((0.0,) * 4)
                continue
            precision, problem, _ = self.single.product(memories[body], index)
            unit, shape, each = formats.setdefault(precision, len(formats)), problem[:9], problem[9:13]
            shapes.append((unit, products.setdefault((unit, shape, each), len(products)), *shape))
            sizes.append(each)
        return np.array(shapes, dtype=np.int64), np.array(sizes, dtype=np.float64), tuple(formats)


def _kind(op: Op) -> int:
    if isinstance(op, MatMul | Conv):
        return MATRIX
    return HOST if isinstance(op, Host) else VIEW if is_view(op) else VECTOR


def _host(op: Op) -> tuple[float, float]:
    """Bytes to the host and seconds there."""
    return (float(op.elements * HOST_BYTES), op.seconds) if isinstance(op, Host) else (0.0, 0.0)


def _tensor_numbers(bodies: Sequence[_Body], body: int) -> dict[str, int]:
    before = sum(len(each.graph.tensors) for each in bodies[:body])
    return {name: before + index for index, name in enumerate(bodies[body].graph.tensors)}


def _places(bodies: Sequence[_Body]) -> Iterator[tuple[int, int]]:
    """(body, op of it) of every op."""
    return ((body, index) for body, each in enumerate(bodies) for index in range(len(each.graph.ops)))


def _stripes(bodies: Sequence[_Body]) -> tuple[Column, Column]:
    """``live`` and ``sums`` of `Facts`; those of the workload itself are not used."""
    live: list[float] = [0.0] * len(bodies[0].graph.ops)
    halos, weights = [0.0] * (len(live) + 1), [0.0] * (len(live) + 1)
    for each in bodies[1:]:
        found, tensors = stripe_facts(each.graph, each.cut), each.graph.tensors
        live += found.live
        halos += found.halo_sums
        weights += accumulate((sum(tensors[name].bytes for name in names) for names in found.weights), initial=0.0)
    return _real(live), np.stack((_real(halos), _real(weights)), axis=1)


def _stored(graph: Graph, needs: dict[str, float]) -> Stored:
    """What lives in DRAM, as `Attempt.dram_peak_bytes` has it."""
    weights = sum(tensor.bytes for tensor in graph.all_tensors() if tensor.role == "weight")
    inputs = sum(graph.tensors[name].bytes for name in graph.inputs)
    lives = lifetimes(graph)
    return Stored(
        weights + inputs,
        _whole(end for name in lives for end in lives[name]).reshape(-1, 2),
        _real(graph.tensors[name].bytes for name in lives),
        _real(needs.get(name, inf) for name in lives),
    )


def _whole(values: Iterable[int]) -> IntArray:
    return np.array(list(values), dtype=np.int64)


def _real(values: Iterable[float]) -> Column:
    return np.array(list(values), dtype=np.float64)


def _pointers(rows: Sequence[Sequence[object]]) -> IntArray:
    return np.cumsum([0, *(len(each) for each in rows)]).astype(np.int64)

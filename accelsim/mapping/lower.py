"""From a mapping to a task graph.

An op becomes a few tasks (detail ``op``) or one for each tile transfer and tile computation of each core (detail
``tile``). In both, an op's work comes in phases, and

- a phase computes when its load has arrived (the memory's latency after the transfer) and the phase before is done;
- two slots buffer what is loaded: a load waits until the phase before the last has been computed, across ops too,
  so that the next op's first tile is fetched behind the last one of this op where both fit;
- vector work on a result of the same size follows it phase by phase, other readers wait for all of it;
- results that leave the chip are stored phase by phase.

At op detail the phases are the first tile, the last tile and all between them, which bounds the tile schedule from
below; the loads between them count as one transfer. A loop's body is lowered once and its tasks are copied.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.records import LoopMapping, MappedOp, OpMapping, Stream, WorkloadMapping
from accelsim.mapping.taskgraph import TaskGraph, TaskGraphBuilder
from accelsim.mapping.tiles import tiles_of
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Host, Loop

__all__ = ["ACTIONS", "Detail", "lower"]

Detail = Literal["op", "tile"]

ACTIONS = (
    "dram_read",  # bytes
    "dram_write",  # bytes
    "dram_latency",  # waits
    "dma",  # bytes of one core
    "network",  # bytes received by one core
    "network_latency",  # hops
    "array",  # cycles
    "vector",  # cycles
    "overhead",  # launches
    "host_transfer",  # bytes
    "host_latency",  # round trips
    "host_compute",  # seconds
)


def lower(mapping: WorkloadMapping, arch: DigitalArchitecture, detail: Detail = "op") -> TaskGraph:
    """The task graph of a mapping. ``TaskGraph.op`` counts the ops in the order of `WorkloadMapping.walk`."""
    cores = arch.n_cores if detail == "tile" else 1
    suffixes = [f"core{index}." for index in range(cores)] if detail == "tile" else [""]
    units = [f"{suffix}{unit}" for suffix in suffixes for unit in ("array", "vector")]
    builder = TaskGraphBuilder(("dram", "dma", "network", *units, "host"), ACTIONS)
    capacity = arch.scratchpad.capacity_bytes.value
    burst = arch.memory.dram.burst_bytes.value * arch.memory.dram.channels.value
    _Lowering(builder, detail, suffixes, capacity, burst).graph(mapping.graph, mapping.ops)
    return builder.build()


@dataclass(slots=True)
class _Ready:
    """Tasks after which a tensor is there, a list and a share of the tensor for each phase; and its store into DRAM."""

    phases: list[list[int]] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    stored: int = -1

    @property
    def everything(self) -> list[int]:
        last = self.phases[-1] if self.phases else []
        return [*last, self.stored] if self.stored >= 0 else last


@dataclass(slots=True)
class _Slots:
    """Who holds the load buffers: the last phase and the one before it, and how much of a core they take."""

    last: list[int] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    bytes: float = 0.0


@dataclass(slots=True)
class _Entry:
    """The first loads of a loop body, which wait for the slots of the step before."""

    first: list[int] = field(default_factory=list)
    rest: list[int] = field(default_factory=list)
    bytes: float = 0.0


@dataclass(slots=True)
class _Lowering:
    """Walks a mapping and appends its tasks."""

    builder: TaskGraphBuilder
    detail: Detail
    suffixes: Sequence[str]
    capacity: float
    burst: float
    index: int = 0
    ready: dict[str, _Ready] = field(default_factory=dict)
    slots: _Slots = field(default_factory=_Slots)
    readers: dict[str, list[int]] = field(default_factory=dict)
    entry: _Entry = field(default_factory=_Entry)

    def graph(self, graph: Graph, ops: Iterable[MappedOp]) -> None:
        """Append the tasks of ``ops`` in order."""
        for mapped in ops:
            if isinstance(mapped, LoopMapping):
                self._loop(mapped)
            else:
                self._op(mapped, graph)
                self.index += 1

    def _everything(self, names: Iterable[str]) -> list[int]:
        return [task for name in names if name in self.ready for task in self.ready[name].everything]

    # Loops

    def _loop(self, mapped: LoopMapping) -> None:
        op, builder = mapped.op, self.builder
        inputs = self._everything(op.inputs)
        if mapped.resident_bytes > 0:
            arrived, _ = self._load(mapped.resident_bytes, mapped.resident_bytes, self.slots.last)
            self.ready.update({name: _Ready([[arrived]], [1.0]) for name in mapped.resident})
        outer_readers, self.readers = self.readers, {}
        outer_entry, self.entry = self.entry, _Entry()
        for name in op.body.inputs:
            if name not in self.ready:
                self.ready[name] = _Ready([inputs], [1.0])
        first = len(builder)
        self.graph(op.body, mapped.body)
        moved = (op.steps - 1) * (len(builder) - first)
        builder.repeat(first, op.steps, self._carried(op))
        self._shift(first, moved)
        outcome = self._everything(op.body.outputs)
        self.ready.update({name: _Ready([outcome], [1.0]) for name in op.outputs})
        for name, tasks in self.readers.items():
            outer_readers.setdefault(name, []).extend(tasks)
        self.readers = outer_readers
        self.entry = outer_entry if outer_entry.first else self.entry

    def _carried(self, op: Loop) -> list[tuple[int, int]]:
        """What a step waits for in the step before: carried states, and the slots of its last loads."""
        pairs = [
            (made, reader)
            for source, target in op.carried
            for made in self._everything([source])
            for reader in self.readers.get(target, ())
        ]
        fits = self.slots.bytes + self.entry.bytes <= self.capacity
        pairs += [(holder, load) for holder in (self.slots.before if fits else self.slots.last) for load in self.entry.first]
        return pairs + [(holder, load) for holder in self.slots.last for load in self.entry.rest]

    def _shift(self, first: int, moved: int) -> None:
        """What the body left behind now stands in the loop's last step."""

        def later(tasks: list[int]) -> list[int]:
            return [task + moved if task >= first else task for task in tasks]

        for name, ready in self.ready.items():
            if ready.stored >= first or any(task >= first for phase in ready.phases for task in phase):
                stored = ready.stored + moved if ready.stored >= first else ready.stored
                self.ready[name] = _Ready([later(tasks) for tasks in ready.phases], ready.shares, stored)
        self.slots = _Slots(later(self.slots.last), later(self.slots.before), self.slots.bytes)

    # Ops

    def _op(self, mapped: OpMapping, graph: Graph) -> None:
        stream, op = mapped.stream, mapped.op
        if stream.unit == "none":
            made = self.ready.get(op.inputs[0], _Ready()) if op.inputs else _Ready()
        elif isinstance(op, Host):
            made = self._host(op)
        else:
            leader = self._leader(mapped, graph)
            if leader is not None:
                made = self._following(mapped, leader)
            elif self.detail == "op":
                made = self._whole(mapped)
            else:
                made = self._tiled(mapped)
        self.ready.update({name: made for name in op.outputs})

    def _reads(self, mapped: OpMapping, tasks: Iterable[int]) -> None:
        """Note that ``tasks`` wait for the op's inputs, for states that a loop carries into them."""
        tasks = list(tasks)
        for name in mapped.op.inputs:
            self.readers.setdefault(name, []).extend(tasks)

    def _host(self, op: Host) -> _Ready:
        add, waits = self.builder.add, self._everything(op.inputs)
        moved = add("host", "host_transfer", op.elements * 4.0, self.index, waits)
        crossed = add(None, "host_latency", 1.0, self.index, [moved])
        for name in op.inputs:
            self.readers.setdefault(name, []).append(moved)
        return _Ready([[add("host", "host_compute", op.seconds, self.index, [crossed])]], [1.0])

    def _leader(self, mapped: OpMapping, graph: Graph) -> _Ready | None:
        """The phases that vector work can follow: those of an input at least its own size that is still on chip."""
        if mapped.stream.unit != "vector" or mapped.stream.load_bytes > 0:
            return None
        size = graph.tensors[mapped.op.outputs[0]].elements
        sized = [
            self.ready[name]
            for name in mapped.op.inputs
            if name in self.ready and len(self.ready[name].phases) > 0 and graph.tensors[name].elements >= size
        ]
        return max(sized, key=lambda ready: max(ready.everything, default=-1), default=None)

    def _following(self, mapped: OpMapping, leader: _Ready) -> _Ready:
        """Vector work behind the op that makes its input, phase by phase."""
        stream = mapped.stream
        others = self._everything(name for name in mapped.op.inputs if self.ready.get(name) is not leader)
        computed: list[list[int]] = []
        stored = -1
        for tasks, share in zip(leader.phases, leader.shares, strict=True):
            waits = [*tasks, *(computed[-1] if computed else others)]
            computed.append(self._compute("vector", stream.cycles * share, waits))
            if stream.store_bytes > 0:
                stored = self._store(stream.store_bytes * share, computed[-1])
        self._reads(mapped, computed[0])
        return _Ready(computed, leader.shares, stored)

    def _begin(self, mapped: OpMapping) -> tuple[list[int], list[int]]:
        """(tasks that wait for the op's inputs, stores that put its inputs into DRAM)."""
        waits = self._everything(mapped.op.inputs)
        start = self._compute(mapped.stream.unit, 1.0, waits, action="overhead")
        self._reads(mapped, start)
        sources = [self.ready[n].stored for n in mapped.op.inputs if n in self.ready and self.ready[n].stored >= 0]
        return start, sources

    def _whole(self, mapped: OpMapping) -> _Ready:
        """Op detail: first tile, everything between, last tile."""
        stream = mapped.stream
        start, sources = self._begin(mapped)
        shares = _phase_shares(stream.tiles)
        rest_bytes = stream.load_bytes - stream.first_load_bytes if len(shares) > 1 else 0.0
        first = self._slotted_load(stream, stream.load_bytes - rest_bytes, self.slots, sources, first=True)
        rest = self._slotted_load(stream, rest_bytes, self.slots, sources, first=False)
        near = self._network(stream.gather_bytes * shares[0], start)
        far = self._network(stream.gather_bytes * (1 - shares[0]), start)
        computed: list[list[int]] = []
        for number, share in enumerate(shares):
            waits = [*start, *first, *near] if number == 0 else list(computed[-1])
            if number == len(shares) - 1:
                waits += [*rest, *far]
            computed.append(self._compute(stream.unit, stream.cycles * share, waits))
        stored = -1
        if stream.store_bytes > 0:
            if len(shares) > 1:
                self._store(stream.store_bytes - stream.last_store_bytes, computed[0])
            stored = self._store(stream.last_store_bytes if len(shares) > 1 else stream.store_bytes, computed[-1])
        return self._end(stream, computed, shares, stored)

    def _tiled(self, mapped: OpMapping) -> _Ready:
        """Tile detail: a task for each transfer and, on each core, for each computation."""
        stream, tiles = mapped.stream, tiles_of(mapped)
        start, sources = self._begin(mapped)
        loads, cycles, stores = tiles.load_bytes.tolist(), tiles.cycles.tolist(), tiles.store_bytes.tolist()
        near = self._network(stream.gather_bytes, start)
        arrived = [self._slotted_load(stream, loads[0], self.slots, sources, first=True)]
        if len(loads) > 1:
            arrived.append(self._slotted_load(stream, loads[1], self.slots, sources, first=False))
        computed: list[list[int]] = []
        stored = -1
        for number, amount in enumerate(cycles):
            waits = [*(computed[-1] if computed else [*start, *near]), *arrived[number]]
            computed.append(self._compute(stream.unit, amount, waits))
            if number + 2 < len(cycles):
                held = _Slots(computed[-1], computed[-1], stream.buffer_bytes)
                arrived.append(self._slotted_load(stream, loads[number + 2], held, sources, first=False))
            if stores[number] > 0:
                stored = self._store(stores[number], computed[-1])
        total = sum(cycles)
        shares = [amount / total if total > 0 else 1 / len(cycles) for amount in cycles]
        return self._end(stream, computed, shares, stored)

    def _end(self, stream: Stream, computed: list[list[int]], shares: list[float], stored: int) -> _Ready:
        if stream.load_bytes > 0:
            before = computed[-2] if len(computed) > 1 else computed[-1]
            self.slots = _Slots(computed[-1], before, stream.buffer_bytes)
        if stream.reduce_bytes > 0:
            computed[-1] = self._network(stream.reduce_bytes, computed[-1])
        return _Ready(computed, shares, stored)

    # Tasks

    def _slotted_load(
        self, stream: Stream, moved: float, slots: _Slots, sources: list[int], *, first: bool
    ) -> list[int]:
        """A load into a free slot: the first one of an op may run behind the op before it where both fit."""
        if moved <= 0:
            return []
        fits = slots.bytes + stream.buffer_bytes <= self.capacity
        waits = slots.before if first and fits else slots.last
        arrived, reads = self._load(moved, moved * stream.core_share, [*waits, *sources])
        if first and not self.entry.first:
            self.entry = _Entry(reads, [], stream.buffer_bytes)
        elif slots is self.slots and not self.entry.rest:
            self.entry.rest = reads
        return [arrived]

    def _load(self, all_bytes: float, core_bytes: float, waits: Iterable[int]) -> tuple[int, list[int]]:
        """A DRAM read through the DMA engines: (task after which the data are there, the transfers)."""
        waits = list(waits)
        read = self.builder.add("dram", "dram_read", self._bursts(all_bytes), self.index, waits)
        moved = self.builder.add("dma", "dma", core_bytes, self.index, waits)
        return self.builder.add(None, "dram_latency", 1.0, self.index, [read, moved]), [read, moved]

    def _store(self, moved: float, waits: Iterable[int]) -> int:
        return self.builder.add("dram", "dram_write", self._bursts(moved), self.index, waits)

    def _bursts(self, moved: float) -> float:
        return ceil(moved / self.burst) * self.burst

    def _network(self, received: float, waits: Iterable[int]) -> list[int]:
        if received <= 0:
            return []
        moved = self.builder.add("network", "network", received, self.index, waits)
        return [self.builder.add(None, "network_latency", 1.0, self.index, [moved])]

    def _compute(self, unit: str, amount: float, waits: Iterable[int], *, action: str | None = None) -> list[int]:
        waits = list(waits)
        return [self.builder.add(f"{core}{unit}", action or unit, amount, self.index, waits) for core in self.suffixes]


def _phase_shares(tiles: int) -> list[float]:
    """Shares of an op's work in its phases at op detail."""
    if tiles == 1:
        return [1.0]
    return [1 / tiles, 1 / tiles] if tiles == 2 else [1 / tiles, 1 - 2 / tiles, 1 / tiles]

"""From a mapping to a task graph.

An op becomes a few tasks (detail ``op``: the first tile, the last tile and all between them) or one for each tile
transfer and, on each core, tile computation (detail ``tile``). Their dependencies are those of `mapping.schedule`:
loads into two slots, data there one memory latency after their transfer, vector work behind each phase, stores
behind the phase that makes them. Ops follow each other: the next begins when all tasks of the one before have ended.
In a run (`mapping.sequence`) the weights of an op are loaded into one of two slots while ops before it run, and it
begins when they are there too. A loop's body is lowered once and its tasks are copied, each step behind the step
before. A pipeline is lowered wave by wave, every stage on cores and links of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.records import LoopMapping, MappedOp, OpMapping, PipelineMapping, Stage, Stream, WorkloadMapping
from accelsim.mapping.single import HOST_BYTES
from accelsim.mapping.taskgraph import TaskGraph, TaskGraphBuilder
from accelsim.mapping.tiles import tiles_of
from accelsim.workload.ops import Host

__all__ = ["ACTIONS", "Detail", "lower"]

Detail = Literal["op", "tile"]

ACTIONS = (
    "dram_read",  # bytes
    "dram_write",  # bytes
    "dram_latency",  # waits
    "dma",  # bytes of one core
    "network",  # bytes received by one core
    "network_latency",  # transfers, each of the mean number of hops
    "array",  # cycles
    "vector",  # cycles
    "overhead",  # launches
    "host_transfer",  # bytes
    "host_latency",  # round trips
    "host_compute",  # seconds
)
"""What tasks do, and the unit of their amounts. On no resource an amount is a wait of that length, not work."""


def lower(mapping: WorkloadMapping, arch: DigitalArchitecture, detail: Detail = "op") -> TaskGraph:
    """The task graph of a mapping. ``TaskGraph.op`` counts the ops in the order of `WorkloadMapping.walk`."""
    prefixes = [f"core{index}." for index in range(arch.n_cores)] if detail == "tile" else [""]
    stages = max((len(each.stages) for each in mapping.ops if isinstance(each, PipelineMapping)), default=0)
    own = [f"stage{index}." for index in range(stages)]
    units = [f"{core}{unit}" for core in (*prefixes, *(own if detail == "op" else [])) for unit in ("array", "vector")]
    networks = [f"{stage}network" for stage in own]
    builder = TaskGraphBuilder(("dram", "dma", "network", *networks, *units, "host"), ACTIONS)
    burst = arch.memory.dram.burst_bytes.value * arch.memory.dram.channels.value
    _Lowering(builder, detail, prefixes, burst).ops(mapping.ops)
    return builder.build()


@dataclass(slots=True)
class _Lowering:
    """Walks a mapping and appends its tasks.

    ``barrier`` is what the next op waits for. In a run, ``slots`` are what the next two loads ahead wait for: the ends
    of the ops whose weights they replace. None says that no run is under way.
    """

    builder: TaskGraphBuilder
    detail: Detail
    prefixes: Sequence[str]
    burst: float
    index: int = 0
    barrier: list[int] = field(default_factory=list)
    slots: tuple[list[int], list[int]] | None = None
    network: str = "network"

    def ops(self, ops: Sequence[MappedOp]) -> None:
        """Append the tasks of ``ops`` in order."""
        position = 0
        while position < len(ops):
            mapped = ops[position]
            position += 1
            if not isinstance(mapped, OpMapping):
                self.slots = None
                (self._loop if isinstance(mapped, LoopMapping) else self._pipeline)(mapped)  # type: ignore[arg-type]
                self.slots = None
                continue
            followers: list[OpMapping] = []
            while position < len(ops) and isinstance(follower := ops[position], OpMapping) and follower.follows:
                followers.append(follower)
                position += 1
            self._entry(mapped, followers)
            self.index += 1 + len(followers)
        self.slots = None

    def _entry(self, mapped: OpMapping, followers: Sequence[OpMapping]) -> None:
        """One op and what follows it tile by tile, alone or in a run."""
        if mapped.ahead_bytes is None:
            self.slots = None
            self._op(mapped, followers)
            return
        # Two slots: each load waits for the op before the last one that was loaded ahead.
        first, second = self.slots or (self.barrier, self.barrier)
        loaded = mapped.ahead_bytes > 0
        if loaded:
            self.barrier = [*self.barrier, *self._load(mapped.ahead_bytes, 1.0, first)]
        self._op(mapped, followers)
        self.slots = ((second, self.barrier) if loaded else (first, second)) if mapped.quiet else None

    def _loop(self, mapped: LoopMapping) -> None:
        if mapped.load_bytes > 0:
            self.barrier = self._load(mapped.load_bytes, 1.0)
        first = len(self.builder)
        begins = list(self.barrier)
        self.ops(mapped.body)
        steps, length = mapped.op.steps, len(self.builder) - first
        if length == 0:
            return
        # Every task that waits for what came before the loop waits, in later steps, for the step before.
        entries = self.builder.waiting_for(begins, first) if begins else self.builder.without_predecessors(first)
        self.builder.repeat(first, steps, [(end, entry) for end in self.barrier for entry in entries])
        self.barrier = [task + (steps - 1) * length for task in self.barrier]

    def _pipeline(self, mapped: PipelineMapping) -> None:
        if mapped.resident_bytes > 0:
            self.barrier = self._load(mapped.resident_bytes, 1.0)
        base = self.index
        for wave in range(mapped.waves):
            self.barrier = self._wave(mapped, wave, base) or self.barrier
        self.index = base + sum(len(stage.ops) for stage in mapped.stages)

    def _wave(self, mapped: PipelineMapping, wave: int, base: int) -> list[int]:
        """All that happens at the same time in one wave; returns its ends."""
        loads, active, stores = mapped.active(wave)
        begin, ends = self.barrier, list[int]()
        self.index = base
        if loads:
            ends += self._load(mapped.load_bytes, 1.0)
        if stores:
            ends += self._store(mapped.store_bytes, begin)
        for number, stage in enumerate(mapped.stages):
            self.index = base + sum(len(each.ops) for each in mapped.stages[:number])
            if number in active:
                ends += self._stage(stage, number, begin)
        self.index, self.barrier = base, begin
        return ends

    def _stage(self, stage: Stage, number: int, begin: list[int]) -> list[int]:
        """One sample through one stage, on its own cores and links."""
        whole = self.prefixes, self.network
        if self.detail == "op":
            self.prefixes = [f"stage{number}."]
        else:
            self.prefixes = [f"core{stage.first_core + core}." for core in range(stage.cores)]
        self.network, self.barrier = f"stage{number}.network", begin
        self.barrier = self._network(stage.receive_bytes, begin) or begin
        self.ops(stage.ops)
        ends = list(self.barrier)
        self.prefixes, self.network = whole
        return ends

    def _op(self, mapped: OpMapping, followers: Sequence[OpMapping]) -> None:
        if isinstance(mapped.op, Host):
            self.barrier = [self._host(mapped.op)]
        elif mapped.stream.unit != "none":
            self.barrier = (self._whole if self.detail == "op" else self._tiled)(mapped, followers)

    def _host(self, op: Host) -> int:
        add = self.builder.add
        moved = add("host", "host_transfer", op.elements * HOST_BYTES, self.index, self.barrier)
        crossed = add(None, "host_latency", 1.0, self.index, [moved])
        return add("host", "host_compute", op.seconds, self.index, [crossed])

    def _whole(self, mapped: OpMapping, followers: Sequence[OpMapping]) -> list[int]:
        """Op detail: first tile, everything between, last tile."""
        stream = mapped.stream
        shares = _phase_shares(stream.tiles)
        several = len(shares) > 1
        rest_bytes = stream.load_bytes - stream.first_load_bytes if several else 0.0
        start = self._run(stream.unit, 1.0, self.barrier, action="overhead")
        first = self._load(stream.load_bytes - rest_bytes, stream.core_share)
        rest = self._load(rest_bytes, stream.core_share)
        near = self._network(stream.gather_bytes * shares[0], self.barrier)
        far = self._network(stream.gather_bytes * (1 - shares[0]), self.barrier) if several else []
        computed = [self._run(stream.unit, stream.cycles * shares[0], [*start, *first, *near])]
        behind = _Behind(self, stream, followers)
        behind.phase(computed[0], shares[0])
        stored: list[int] = []
        if several:
            halves = self._slots(stream, rest_bytes, shares[0], computed[0])
            for number, share in enumerate(shares[1:], start=1):
                waits = [*computed[-1], *([*rest, *far, *halves] if number == len(shares) - 1 else [])]
                computed.append(self._run(stream.unit, stream.cycles * share, waits))
                behind.phase(computed[-1], share)
            stored = self._store(stream.store_bytes - stream.last_store_bytes, computed[0])
        last_bytes = stream.last_store_bytes if several else stream.store_bytes
        stored = self._store(last_bytes, computed[-1]) or stored
        return [*behind.end(computed[-1]), *stored]

    def _slots(self, stream: Stream, rest_bytes: float, share: float, waits: list[int]) -> list[int]:
        """The wait that two slots impose: half of all further computation, transfer and latency."""
        if rest_bytes <= 0:
            return []
        add = self.builder.add
        half = add(
            None, "array" if stream.unit == "array" else "vector", stream.cycles * (1 - share) / 2, self.index, waits
        )
        half = add(None, "dram_read", rest_bytes / 2, self.index, [half])
        return [add(None, "dram_latency", (stream.fetches - 1) / 2, self.index, [half])]

    def _tiled(self, mapped: OpMapping, followers: Sequence[OpMapping]) -> list[int]:
        """Tile detail: a task for each transfer and, on each core, for each computation."""
        stream, tiles = mapped.stream, tiles_of(mapped)
        loads, cycles, stores = tiles.load_bytes.tolist(), tiles.cycles.tolist(), tiles.store_bytes.tolist()
        total, count = sum(cycles), len(cycles)
        start = self._run(stream.unit, 1.0, self.barrier, action="overhead")
        near = self._network(stream.gather_bytes, self.barrier)
        arrived = [self._load(loads[number], stream.core_share) for number in range(min(2, count))]
        behind = _Behind(self, stream, followers)
        computed, stored = start, list[int]()
        for number, amount in enumerate(cycles):
            waits = [*computed, *(near if number == 0 else []), *arrived[number]]
            computed = self._run(stream.unit, amount, waits)
            behind.phase(computed, amount / total if total > 0 else 1 / count)
            if number + 2 < count:
                arrived.append(self._load(loads[number + 2], stream.core_share, computed))
            stored = self._store(stores[number], computed) or stored
        return [*behind.end(computed), *stored]

    def _load(self, all_bytes: float, core_share: float, slot: list[int] | None = None) -> list[int]:
        """A DRAM read through the DMA engines, when ``slot`` is free; the task after which the data are there."""
        if all_bytes <= 0:
            return []
        waits = self.barrier if slot is None else slot
        read = self.builder.add("dram", "dram_read", self._bursts(all_bytes), self.index, waits)
        moved = self.builder.add("dma", "dma", all_bytes * core_share, self.index, waits)
        return [self.builder.add(None, "dram_latency", 1.0, self.index, [read, moved])]

    def _store(self, moved: float, waits: Iterable[int]) -> list[int]:
        return [self.builder.add("dram", "dram_write", self._bursts(moved), self.index, waits)] if moved > 0 else []

    def _bursts(self, moved: float) -> float:
        return ceil(moved / self.burst) * self.burst

    def _network(self, received: float, waits: Iterable[int]) -> list[int]:
        if received <= 0:
            return []
        moved = self.builder.add(self.network, "network", received, self.index, waits)
        return [self.builder.add(None, "network_latency", 1.0, self.index, [moved])]

    def _run(
        self, unit: str, amount: float, waits: Iterable[int], *, action: str | None = None, op: int | None = None
    ) -> list[int]:
        """One task on the unit of each core."""
        waits, index = list(waits), self.index if op is None else op
        return [self.builder.add(f"{core}{unit}", action or unit, amount, index, waits) for core in self.prefixes]


@dataclass(slots=True)
class _Behind:
    """What comes behind the phases of a matrix op: the reduction across cores, and vector work that follows."""

    lowering: _Lowering
    stream: Stream
    followers: Sequence[OpMapping]
    done: list[int] = field(default_factory=list)

    def phase(self, computed: list[int], share: float) -> None:
        """Vector work on the results of one phase, unless none is whole before the end."""
        if not self.stream.late:
            self._follow(computed, share)

    def end(self, computed: list[int]) -> list[int]:
        """After the last phase: what the next op waits for."""
        reduced = self.lowering._network(self.stream.reduce_bytes, computed)
        ends = reduced or computed
        if self.stream.late:
            self._follow(ends, 1.0)
        return self.done or ends

    def _follow(self, waits: list[int], share: float) -> None:
        for number, follower in enumerate(self.followers, start=1):
            if follower.stream.cycles > 0:
                index = self.lowering.index + number
                self.done = self.lowering._run("vector", follower.stream.cycles * share, [*waits, *self.done], op=index)


def _phase_shares(tiles: int) -> list[float]:
    """Shares of an op's work in its phases at op detail."""
    if tiles == 1:
        return [1.0]
    return [1 / tiles, 1 / tiles] if tiles == 2 else [1 / tiles, 1 - 2 / tiles, 1 / tiles]

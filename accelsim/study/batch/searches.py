"""What has to be searched for a structure: each different entry of the mapper, whatever the rates are.

`TracedMapper` maps ops as `SingleMapper` does and notes what it searched; the mapping that it finds along the way is
that of one design and is not used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.machines import Machines
from accelsim.mapping.placement import is_view
from accelsim.mapping.single import HOST_BYTES, Entry, Room, SingleMapper
from accelsim.mapping.space import Machine, Problem
from accelsim.study.batch.candidates import FIELDS, enumerated
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Host, Move, Op
from accelsim.workload.vector_work import element_work

__all__ = ["ARRAY", "HOST", "NOTHING", "VECTOR", "Search", "Searches", "TracedMapper"]

ARRAY, VECTOR, HOST, NOTHING = range(4)
"""What runs an entry: arrays, vector units, the host, or nothing at all."""
_VECTOR_TILES = tuple(2**power for power in range(21))
_KEPT_TABLES = 64


@dataclass(frozen=True, slots=True)
class Search:
    """One entry to be mapped.

    Attributes:
        kind: `ARRAY`, `VECTOR`, `HOST` or `NOTHING`.
        followers: (followers, 2) cycles and port bytes, as `candidates.longest_path` takes them, of vector ops behind.
        follower_bytes: (followers,) bytes that each moves through the scratchpads.
        problem, machine: of matrix work; ``capacity_bytes`` of the machine is the room for streams in a core.
        moved: of vector work: cycles, and bytes that cross, are loaded, are stored, and have room.
        host: bytes to the host and seconds there.
    """

    kind: int
    followers: tuple[tuple[float, float], ...] = ()
    follower_bytes: tuple[float, ...] = ()
    problem: Problem | None = None
    machine: Machine | None = None
    moved: tuple[float, float, float, float, float] = (0.0,) * 5
    host: tuple[float, float] = (0.0, 0.0)


@dataclass
class Searches:
    """All different searches of a structure, numbered, and the candidates of each."""

    machines: Machines
    found: list[Search] = field(default_factory=list)
    numbers: dict[Search, int] = field(default_factory=dict)
    entries: dict[int, tuple[Entry, int]] = field(default_factory=dict)
    last: int = -1
    _tables: dict[tuple[Problem, Machine], NDArray[np.float64]] = field(default_factory=dict)

    def number(self, search: Search) -> int:
        """The number of a search, a new one if it has none."""
        number = self.numbers.setdefault(search, len(self.found))
        if number == len(self.found):
            self.found.append(search)
        return number

    def of(self, entry: Entry) -> int:
        """The search that found ``entry``."""
        return self.entries[id(entry)][1]

    def candidates(self, number: int) -> NDArray[np.float64]:
        """(n, `FIELDS`) of all mappings of a search that fit, in the order in which the mapper sees them."""
        search = self.found[number]
        if search.kind == VECTOR:
            return self._chunks(*search.moved)
        if search.problem is None or search.machine is None:
            return np.zeros((0, len(FIELDS)))
        key = search.problem, search.machine._replace(capacity_bytes=0.0)
        if key not in self._tables:
            if len(self._tables) >= _KEPT_TABLES:
                del self._tables[next(iter(self._tables))]
            self._tables[key] = enumerated(search.problem, search.machine)
        table = self._tables[key]
        return table[table[:, FIELDS.index("buffer_bytes")] <= search.machine.capacity_bytes]

    def _chunks(
        self, cycles: float, crossing: float, load: float, store: float, free: float
    ) -> NDArray[np.float64]:  # fmt: skip
        """Vector work in 1, 2, 4, ... chunks, as `single` cuts it."""
        cores = self.machines.arch.n_cores
        burst = self.machines.rates("vector", 0.0).burst_bytes
        rows: list[tuple[float, ...]] = []
        for tiles in _VECTOR_TILES if load + store > 0 else (1,):
            held = (load + store) * (2 / tiles if tiles > 1 else 1)
            if held <= free or load + store <= 0:
                first, last = (ceil(moved / tiles / burst) * burst for moved in (load, store))
                rows.append((
                    tiles, tiles if load > 0 else 1, cycles, crossing / cores, first * tiles, first, last * tiles, last,
                    1.0 / cores, 0.0, 0.0, 0.0, held / cores, (first + last) * tiles, crossing + load + store,
                ))  # fmt: skip
            if (rows or load + store <= 0) and max(load, store) <= tiles * burst:
                break
        return np.array(rows, dtype=np.float64).reshape(-1, len(FIELDS))


@dataclass(frozen=True, slots=True)
class TracedMapper(SingleMapper):
    """A mapper of single ops that notes its searches in ``searches``."""

    searches: Searches

    @staticmethod
    def of(single: SingleMapper, searches: Searches) -> TracedMapper:
        """The same mapper, traced."""
        return TracedMapper(single.machines, single.choice, single.on_chip, searches)

    def entry(self, graph: Graph, index: int, room: Room, times: int) -> tuple[Entry, int]:
        """As `SingleMapper.entry`."""
        found, count = SingleMapper.entry(self, graph, index, room, times)
        self.searches.last = self.searches.number(self._search(graph, graph.ops[index], room, found))
        self.searches.entries[id(found)] = found, self.searches.last
        return found, count

    def ahead(self, graph: Graph, index: int, room: Room, times: int, slot_bytes: float) -> Entry | None:
        """As `SingleMapper.ahead`."""
        found = SingleMapper.ahead(self, graph, index, room, times, slot_bytes)
        if found is not None:
            self.searches.entries[id(found)] = found, self.searches.last
        return found

    def _search(self, graph: Graph, op: Op, room: Room, entry: Entry) -> Search:
        leader = entry.ops[0]
        if leader.problem is not None:
            machine = self.machines.of(leader.precision, room.free_bytes, op.name)
            behind = [each for each in entry.ops[1:] if each.stream.unit == "vector"]
            cores = self.machines.arch.n_cores
            return Search(
                ARRAY, tuple((self._cycles(each.op), each.stream.scratchpad_bytes / cores) for each in behind),
                tuple(each.stream.scratchpad_bytes for each in behind), leader.problem._replace(follow_s=0.0), machine,
            )  # fmt: skip
        if isinstance(op, Host):
            return Search(HOST, host=(float(op.elements * HOST_BYTES), op.seconds))
        if is_view(op):
            return Search(NOTHING)
        crossing, load, store = self._moved(graph, op, room)
        return Search(VECTOR, moved=(self._cycles(op), crossing, load, store, room.free_bytes))

    def _cycles(self, op: Op) -> float:
        """Cycles of the vector units of all cores for the operations alone."""
        vector = self.machines.arch.vector
        simple, special = element_work(op)
        lanes = vector.lanes.value * self.machines.arch.n_cores
        return (simple * vector.cycles_simple.value + special * vector.cycles_special.value) / lanes

    def _moved(self, graph: Graph, op: Op, room: Room) -> tuple[float, float, float]:
        """Bytes of a vector op that cross the scratchpads' ports, are loaded, and are stored."""
        load, crossing = 0.0, sum(graph.tensors[name].bytes for name in op.outputs)
        for name in op.inputs:
            tensor = graph.tensors[name]
            rows = isinstance(op, Move) and op.function == "gather" and tensor.role == "weight"
            size = sum(graph.tensors[made].bytes for made in op.outputs) if rows else tensor.bytes
            crossing += size
            load += size if self.off_chip(graph, name, room.resident) else 0.0
        store = sum(graph.tensors[name].bytes for name in op.outputs if self.off_chip(graph, name, room.resident))
        return crossing, load, store

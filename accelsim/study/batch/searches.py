"""What has to be searched for a structure: each different entry of the mapper, whatever the rates are.

`TracedMapper` maps ops as `SingleMapper` does and notes what it searched; the mapping that it finds along the way is
that of one design and is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
from numba import njit
from numpy.typing import NDArray

from accelsim.errors import InfeasibleError
from accelsim.mapping.machines import Machines
from accelsim.mapping.placement import is_view
from accelsim.mapping.single import HOST_BYTES, Entry, Room, SingleMapper
from accelsim.mapping.space import Machine, Problem
from accelsim.study.batch.candidates import FIELDS, enumerated, put_chunks
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Host, Move, Op
from accelsim.workload.vector_work import element_work

__all__ = ["ARRAY", "HOST", "NOTHING", "VECTOR", "Search", "Searches", "TracedMapper"]

ARRAY, VECTOR, HOST, NOTHING = range(4)
"""What runs an entry: arrays, vector units, the host, or nothing at all."""
_CUTS, _FIELDS = 21, len(FIELDS)
"""Powers of two of chunks of vector work, and columns of a candidate."""
_KEPT_TABLES = 64
TraceKey = tuple[int, int, frozenset[str], frozenset[str]]
"""What decides about an entry but its room: its graph, its first op, its tensors on chip, and those resident."""


@dataclass(frozen=True, slots=True)
class Search:
    """One entry to be mapped.

    Attributes:
        kind: `ARRAY`, `VECTOR`, `HOST` or `NOTHING`.
        followers: (followers, 2) cycles and port bytes, as `candidates.longest_path` takes them, of vector ops behind.
        follower_bytes: (followers,) bytes that each moves through the scratchpads.
        problem, machine: of matrix work; ``capacity_bytes`` of the machine is the room for streams in a core.
        moved: of vector work: cycles, and bytes that cross, are loaded, are stored, and have room where any are.
        host: bytes to the host and seconds there.
    """

    kind: int
    followers: tuple[tuple[float, float], ...] = ()
    follower_bytes: tuple[float, ...] = ()
    problem: Problem | None = None
    machine: Machine | None = None
    moved: tuple[float, float, float, float, float] = (0.0,) * 5
    host: tuple[float, float] = (0.0, 0.0)

    def with_room(self, free_bytes: float, cores: int) -> Search:
        """The same in ``free_bytes`` of the scratchpads of all ``cores``."""
        machine, moved = self.machine, self.moved
        if machine is not None:
            machine = machine._replace(capacity_bytes=free_bytes / cores)
        elif moved[2] + moved[3] > 0:
            moved = (*moved[:4], free_bytes)
        else:
            return self
        return Search(self.kind, self.followers, self.follower_bytes, self.problem, machine, moved, self.host)


@dataclass(slots=True)
class Trace:
    """An entry in any room: its search, how many ops it takes, and the least room in which it was found to fit.

    ``numbers`` are its searches by room.
    """

    search: Search
    ops: int
    fits_bytes: float = inf
    numbers: dict[float, int] = field(default_factory=dict)


@dataclass
class Searches:
    """All different searches of a structure, numbered, and the candidates of each.

    ``traces`` and ``ahead_bytes``, of weights loaded before an entry, are what is known of entries in any room.
    """

    machines: Machines
    found: list[Search] = field(default_factory=list)
    numbers: dict[Search, int] = field(default_factory=dict)
    entries: dict[int, tuple[Entry, int]] = field(default_factory=dict)
    traces: dict[TraceKey, Trace] = field(default_factory=dict)
    ahead_bytes: dict[TraceKey, float] = field(default_factory=dict)
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
            return self.chunks([number], self.machines.rates("vector", 0.0).burst_bytes)[1]
        if search.problem is None or search.machine is None:
            return np.zeros((0, len(FIELDS)))
        key = search.problem, search.machine._replace(capacity_bytes=0.0)
        if key not in self._tables:
            if len(self._tables) >= _KEPT_TABLES:
                del self._tables[next(iter(self._tables))]
            self._tables[key] = enumerated(search.problem, search.machine)
        table = self._tables[key]
        return table[table[:, FIELDS.index("buffer_bytes")] <= search.machine.capacity_bytes]

    def chunks(self, numbers: Sequence[int], burst: float) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Vector work of several searches in 1, 2, 4, ... chunks: where that of each begins, and (n, `FIELDS`)."""
        moved = np.array([self.found[number].moved for number in numbers], dtype=np.float64).reshape(-1, 5)
        found: tuple[NDArray[np.int64], NDArray[np.float64]] = _chunks(moved, self.machines.arch.n_cores, burst)
        return found

    def capacity_of(self, number: int) -> float:
        """Room of a search of a product in a core."""
        machine = self.found[number].machine
        return 0.0 if machine is None else machine.capacity_bytes


@njit(cache=True, nogil=True)
def _chunks(moved, cores, burst):  # type: ignore[no-untyped-def]
    """Vector work in chunks, as `single` cuts it: (searches + 1,) where each begins, and (n, `FIELDS`)."""
    ptr, rows, n = np.zeros(len(moved) + 1, np.int64), np.empty((_CUTS * len(moved), _FIELDS)), 0
    for search in range(len(moved)):
        cycles, crossing, load, store, free = moved[search]
        tiles, found = np.int64(1), 0
        while tiles < 2**_CUTS:
            held = (load + store) * (2 / tiles if tiles > 1 else 1)
            if held <= free or load + store <= 0:
                put_chunks(rows[n], tiles, cycles, crossing, load, store, cores, burst)
                n, found = n + 1, found + 1
            if load + store <= 0 or (found and max(load, store) <= tiles * burst):
                break
            tiles *= 2
        ptr[search + 1] = n
    return ptr, rows[:n]


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
        self.searches.entries[id(found)] = found, self.traced(graph, index, room)[0]
        return found, count

    def traced(self, graph: Graph, index: int, room: Room) -> tuple[int, int]:
        """The search of `entry`, and how many ops it takes.

        Raises:
            InfeasibleError: its data do not fit.
        """
        key = self._key(graph, index, room)
        trace = self.searches.traces.get(key)
        if trace is None or room.free_bytes < trace.fits_bytes:
            found, count = SingleMapper.entry(self, graph, index, room, 1)
            if trace is None:
                trace = Trace(self._search(graph, graph.ops[index], room, found), count)
                self.searches.traces[key] = trace
            trace.fits_bytes = room.free_bytes
        if room.free_bytes not in trace.numbers:
            search = trace.search.with_room(room.free_bytes, self.machines.arch.n_cores)
            trace.numbers[room.free_bytes] = self.searches.number(search)
        return trace.numbers[room.free_bytes], trace.ops

    def traced_ahead(self, graph: Graph, index: int, room: Room, slot_bytes: float) -> tuple[int, float] | None:
        """The search of `ahead`, and the bytes of weights loaded before it; None where they do not fit."""
        key = self._key(graph, index, room)
        if key not in self.searches.ahead_bytes:
            found = SingleMapper.ahead(self, graph, index, room, 1, slot_bytes)
            if found is None:
                return None
            self.searches.ahead_bytes[key] = found.ops[0].ahead_bytes or 0.0
        loaded = self.searches.ahead_bytes[key]
        if loaded > slot_bytes:
            return None
        names = self.loadable(self.machines.memory_of(graph, self.choice), index, room.resident)
        try:
            return self.traced(graph, index, room.with_weights(names))[0], loaded
        except InfeasibleError:
            return None

    def _key(self, graph: Graph, index: int, room: Room) -> TraceKey:
        near = self._near(self.machines.memory_of(graph, self.choice), index)
        return id(graph), index, self.on_chip & near, room.resident & near

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
        return Search(VECTOR, moved=(self._cycles(op), crossing, load, store, 0.0))

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

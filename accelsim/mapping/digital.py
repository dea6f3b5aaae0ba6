"""Mapping a workload onto a digital accelerator.

The scratchpads are divided by fixed shares: one for activations that stay on chip, one for weights that stay through
a time loop (or from one inference to the next), one for what streams. A few divisions are tried, the fastest is kept.
In each, every op gets its best mapping (`single`), alone and with its weights loaded ahead; rows of ops that may run
stripe by stripe get theirs (`groups`); and the best sequence of all these is found (`sequence`).

Every choice is the best of a set that grows with each resource, so that a better machine is never slower. One is
exempt: what stays on chip crosses the network between cores, which could be slower than a multicast from DRAM on a
machine with a very slow network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.groups import Entries, Group, GroupRoom, StripedGraph, find_groups
from accelsim.mapping.machines import Machines
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.placement import (
    activation_needs,
    cached_states,
    live_bytes,
    pinned_choices,
    place_activations,
    read_whole,
    resident_choices,
    spilled_states,
    step_bytes,
)
from accelsim.mapping.records import LoopMapping, MappedOp, OpMapping, WorkloadMapping
from accelsim.mapping.schedule import Rates, burst_s, load_s
from accelsim.mapping.sequence import ALONE, GROUP, Choice, Step, best_sequence
from accelsim.mapping.single import Entry, Room, SingleMapper
from accelsim.mapping.stripes import cuts
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Loop
from accelsim.workload.precision import PrecisionChoice

__all__ = ["ACTIVATION_SHARES", "AHEAD_SHARE", "RESIDENT_SHARE", "Attempt", "attempts", "map_workload"]

ACTIVATION_SHARES = (0.0, 0.25, 0.5, 0.75)
"""Parts of the scratchpads that hold activations; the rest streams, or holds weights."""
RESIDENT_SHARE = 0.75
"""Part of that rest which weights may take through a time loop, or weights and stripes in a group."""
AHEAD_SHARE = 0.5
"""Part of the room for streams that two slots for weights loaded ahead take during a run."""


def map_workload(
    graph: Graph, arch: DigitalArchitecture, choice: PrecisionChoice, options: MappingOptions | None = None
) -> WorkloadMapping:
    """Map a graph with formats assigned and recurrence expanded.

    Raises:
        InfeasibleError: an op or its data fit nowhere.
        UnsupportedError: a format that the arrays have no unit for.
    """
    options = options or MappingOptions()
    machines = Machines(arch)
    failure: InfeasibleError | None = None
    best_s, best = inf, None
    prepared: list[tuple[Attempt, _Parts]] = []
    for attempt in attempts(graph, machines, choice, options):
        if attempt.least_s(graph) >= best_s:
            continue
        try:
            parts = attempt.parts(graph)
        except InfeasibleError as error:
            # The attempt with the most room says best what is missing.
            if failure is None or error.infeasible.bound > failure.infeasible.bound:
                failure = error
            continue
        prepared.append((attempt, parts))
        if parts.time_s < best_s:
            best_s, best = parts.time_s, (attempt, parts)
    if best is None:
        assert failure is not None
        raise failure
    if options.fusion or options.pipelining:
        for attempt, parts in _grouped(graph, prepared, best_s):
            if parts.time_s < best_s:
                best_s, best = parts.time_s, (attempt, parts)
    return _checked(best[0].mapping(graph, best[1]), arch)


def _checked(mapping: WorkloadMapping, arch: DigitalArchitecture) -> WorkloadMapping:
    bound = arch.memory.dram.capacity_bytes.value
    if mapping.dram_peak_bytes > bound:
        what = f"workload {mapping.graph.name}"
        raise InfeasibleError(Infeasible("DRAM capacity", mapping.dram_peak_bytes, bound, "bytes", what))
    return mapping


def attempts(graph: Graph, machines: Machines, choice: PrecisionChoice, options: MappingOptions) -> Iterator[Attempt]:
    """Divisions of the scratchpads, caches on chip or not, and sets of weights that stay between inferences."""
    capacity = machines.arch.scratchpad.capacity_bytes.value * machines.arch.n_cores
    caches, needs = cached_states(graph), activation_needs(graph)
    tried: set[tuple[frozenset[str], frozenset[str]]] = set()
    for share in ACTIVATION_SHARES:
        for outside in sorted({frozenset() if options.resident_cache else caches, caches}, key=len):
            attempt = Attempt(machines, choice, options, share, capacity)
            try:
                attempt.place(graph, outside, needs)
            except InfeasibleError as error:
                attempt.failure = error
            placement = attempt.on_chip, attempt.spilled
            if attempt.failure is None and placement in tried:
                continue  # the same placement with less room for streams is never faster
            tried |= {placement} if attempt.failure is None else set()
            yield from attempt.with_pinned_weights(graph)


@dataclass(slots=True)
class Attempt:
    """One attempt at a whole workload: ``share`` of the scratchpads is for activations."""

    machines: Machines
    choice: PrecisionChoice
    options: MappingOptions
    share: float
    capacity: float
    on_chip: frozenset[str] = frozenset()
    spilled: frozenset[str] = frozenset()
    pinned: frozenset[str] = frozenset()
    pinned_bytes: float = 0.0
    failure: InfeasibleError | None = None

    def place(self, graph: Graph, outside: frozenset[str], needs: Mapping[str, float]) -> None:
        """Decide which activations stay on chip beside what the loops need for one step; ``outside`` must not.

        ``needs`` are the `activation_needs` of the graph.
        """
        budget = self.share * self.capacity
        loops = 0.0
        for op in graph.ops:
            if isinstance(op, Loop):
                self.spilled |= spilled_states(op, budget, outside)
                step = step_bytes(op.body, self.spilled)
                if step > budget:
                    raise InfeasibleError(
                        Infeasible("scratchpad capacity for activations", step, budget, "bytes", op.name)
                    )
                loops = max(loops, step)
        self.on_chip = place_activations(graph, budget - loops, needs)

    def with_pinned_weights(self, graph: Graph) -> Iterator[Attempt]:
        """This attempt with each set of weights that may stay between inferences, the heaviest first, and with none."""
        if self.options.resident_weights:
            for names in pinned_choices(graph, RESIDENT_SHARE * (1 - self.share) * self.capacity):
                held = sum(tensor.bytes for tensor in graph.all_tensors() if tensor.name in names)
                yield replace(self, pinned=frozenset(names), pinned_bytes=held)
        yield self

    def least_s(self, graph: Graph) -> float:
        """No mapping of this attempt is faster: every weight that is not pinned is read once."""
        if not self.options.resident_weights:
            return 0.0
        return self.streamed_bytes(graph) / self.rates.dram_bytes_per_s

    def streamed_bytes(self, graph: Graph) -> float:
        """Bytes of the weights that are read from end to end and not pinned."""
        read = read_whole(graph) - self.pinned
        return sum(t.bytes for t in graph.all_tensors() if t.role == "weight" and t.name in read)

    @property
    def rates(self) -> Rates:
        return self.machines.rates("array", 0.0)

    @property
    def room(self) -> Room:
        """For streams, and for weights that stay through a loop or a group."""
        return Room((1 - self.share) * self.capacity - self.pinned_bytes, self.pinned)

    @property
    def group_room(self) -> GroupRoom:
        """The same, as groups take it."""
        room = self.room
        held = RESIDENT_SHARE * room.free_bytes
        return GroupRoom(held, replace(room, free_bytes=room.free_bytes - held))

    @property
    def single(self) -> SingleMapper:
        return SingleMapper(self.machines, self.choice, self.on_chip)

    def parts(self, graph: Graph) -> _Parts:
        """Every op mapped, in its best sequence without groups."""
        if self.failure is not None:
            raise self.failure
        return self._sequence(graph, self.room, 1, self.single)

    def with_groups(self, parts: _Parts, entries: Entries, striped: StripedGraph) -> _Parts:
        """The same ops in their best sequence with groups."""
        found = find_groups(striped, entries, self.group_room, self.single, self.options)
        return replace(parts, groups=tuple(found)).in_sequence(self.rates) if found else parts

    def mapping(self, graph: Graph, parts: _Parts) -> WorkloadMapping:
        """The record of this attempt."""
        ops = parts.ops()
        peak = self.share * self.capacity + self.pinned_bytes + _peak_bytes(ops, self.machines.arch.n_cores)
        return WorkloadMapping(
            graph, ops, self.on_chip, self.pinned, self.spilled, parts.time_s, peak, self.dram_peak_bytes(graph),
            self.machines.candidates_seen,
        )  # fmt: skip

    def dram_peak_bytes(self, graph: Graph) -> float:
        """Weights, inputs and the activations that live outside."""
        weights = sum(tensor.bytes for tensor in graph.all_tensors() if tensor.role == "weight")
        inputs = sum(graph.tensors[name].bytes for name in graph.inputs)
        spilled = max(live_bytes(graph, set(graph.producers) - self.on_chip), default=0.0)
        inside = self.spilled - set(graph.inputs) - set(graph.producers)
        spilled += sum(t.bytes for t in graph.all_tensors() if t.role == "state" and t.name in inside)
        return weights + inputs + spilled

    def _sequence(self, graph: Graph, room: Room, times: int, single: SingleMapper) -> _Parts:
        """All ops of ``graph``, in their best sequence."""
        alone: list[Entry | LoopMapping] = []
        starts: list[int] = []
        index = 0
        while index < len(graph.ops):
            op, count = graph.ops[index], 1
            starts.append(index)
            if isinstance(op, Loop):
                alone.append(self._loop(op, graph, room, times, single))
            else:
                entry, count = single.entry(graph, index, room, times)
                alone.append(entry)
            index += count
        ahead = self._ahead(graph, alone, starts, room, times, single)
        return _Parts(tuple(starts), tuple(alone), tuple(ahead)).in_sequence(self.rates)

    def _ahead(
        self, graph: Graph, alone: list[Entry | LoopMapping], starts: list[int], room: Room, times: int,
        single: SingleMapper,
    ) -> list[Entry | None]:  # fmt: skip
        """Every entry as it would be in a run, None where it cannot be in one."""
        if not self.options.prefetch:
            return [None] * len(alone)
        inside, slot = self.ahead_room(room)
        return [
            None if isinstance(entry, LoopMapping) else single.ahead(graph, start, inside, times, slot)
            for entry, start in zip(alone, starts, strict=True)
        ]

    def ahead_room(self, room: Room) -> tuple[Room, float]:
        """The room for streams during a run, and bytes of each of the two slots for weights loaded ahead."""
        fifo = self.machines.arch.array.weight_fifo_bytes
        slot = min(AHEAD_SHARE * room.free_bytes, fifo.value if fifo else inf) / 2
        return replace(room, free_bytes=(1 - AHEAD_SHARE) * room.free_bytes), slot

    def ways(self, op: Loop, room: Room) -> tuple[dict[str, float], list[tuple[tuple[str, ...], float]]]:
        """Weights that a loop sweeps, with their bytes, and how it may run: those that stay, and room for streams."""
        weights = {name: size for name, size in _swept_weights(op.body).items() if name not in room.resident}
        kept = resident_choices(weights, RESIDENT_SHARE * room.free_bytes) if op.steps > 1 else []
        return weights, [*((each, (1 - RESIDENT_SHARE) * room.free_bytes) for each in kept), ((), room.free_bytes)]

    def inside(self, op: Loop, graph: Graph, single: SingleMapper) -> tuple[SingleMapper, float]:
        """The mapper of a loop's body, and bytes of the states that are loaded once before it."""
        on_chip = _body_on_chip(op, graph, single.on_chip) - self.spilled - {step_slice(n) for n in self.spilled}
        # States that come from outside, such as a cache that another program made, are loaded once.
        states = ({before for _, before in op.carried} & set(graph.inputs)) - self.spilled
        return replace(single, on_chip=on_chip), sum(graph.tensors[name].bytes for name in states)

    def _loop(self, op: Loop, graph: Graph, room: Room, times: int, single: SingleMapper) -> LoopMapping:
        """The fastest of: all weights stream through all of the room, or some stay in their share of it."""
        weights, ways = self.ways(op, room)
        found: list[LoopMapping] = []
        failure: InfeasibleError | None = None
        byte_s = op.steps / self.rates.dram_bytes_per_s
        for names, free in ways:
            streamed_s = sum(size for name, size in weights.items() if name not in names) * byte_s
            if found and streamed_s >= min(each.time_s for each in found):
                continue
            try:
                held = {name: weights[name] for name in names}
                found.append(self._body(op, graph, held, Room(free, room.resident | set(names)), times, single))
            except InfeasibleError as error:
                failure = error
        if not found:
            assert failure is not None
            raise failure
        return min(found, key=lambda each: each.time_s)

    def _body(
        self, op: Loop, graph: Graph, kept: dict[str, float], room: Room, times: int, single: SingleMapper
    ) -> LoopMapping:
        """The loop with the weights ``kept`` resident."""
        inside, state_bytes = self.inside(op, graph, single)
        body = self._sequence(op.body, room, times * op.steps, inside)
        kept_bytes = sum(kept.values())
        first = kept_bytes + state_bytes
        time_s = load_s(first, self.rates) + op.steps * body.time_s
        return LoopMapping(op, body.ops(), tuple(kept), kept_bytes, first, times, time_s)


@dataclass(frozen=True, slots=True)
class _Parts:
    """The entries of a graph, alone and in a run, groups that may replace them, and the best sequence of these."""

    starts: tuple[int, ...]
    alone: tuple[Entry | LoopMapping, ...]
    ahead: tuple[Entry | None, ...]
    groups: tuple[Group, ...] = ()
    time_s: float = 0.0
    chosen: tuple[Choice, ...] = ()

    def in_sequence(self, rates: Rates) -> _Parts:
        """The same with the best sequence found."""
        spans = [(each.first, each.last, each.time_s) for each in self.groups]
        steps = [_step(*each, rates) for each in zip(self.alone, self.ahead, strict=True)]
        time_s, chosen = best_sequence(steps, rates.dram_latency_s, spans)
        return replace(self, time_s=time_s, chosen=tuple(chosen))

    def ops(self) -> tuple[MappedOp, ...]:
        """The mapped ops of the best sequence."""
        mapped: list[MappedOp] = []
        for part in self.chosen:
            if part.kind == GROUP:
                mapped.append(self.groups[part.group].mapped())
                continue
            for each in (self.alone if part.kind == ALONE else self.ahead)[part.first : part.last + 1]:
                mapped += [each] if isinstance(each, LoopMapping) else each.ops if each is not None else ()
        return tuple(mapped)


def _grouped(
    graph: Graph, prepared: Sequence[tuple[Attempt, _Parts]], best_s: float
) -> Iterator[tuple[Attempt, _Parts]]:
    """Every attempt that groups could make faster than ``best_s``, with groups."""
    striped, stripes = StripedGraph(graph), max((cut.stripes for cut in cuts(graph)), default=1)
    known: dict[tuple[int, ...], tuple[list[float], list[float], frozenset[int]]] = {}
    for attempt, parts in prepared:
        if parts.starts not in known:
            known[parts.starts] = _least_s(graph, parts, attempt)
        alone_s = [each.time_s for each in parts.alone]
        entries = Entries(len(graph.ops), parts.starts, alone_s, *known[parts.starts], stripes)
        if parts.time_s - entries.most_saved_s < best_s:
            found = attempt.with_groups(parts, entries, striped)
            best_s = min(best_s, found.time_s)
            yield attempt, found


def _least_s(graph: Graph, parts: _Parts, attempt: Attempt) -> tuple[list[float], list[float], frozenset[int]]:
    """``least_s``, ``again_s`` and ``places`` of `Entries`."""
    inside = frozenset(name for name, tensor in graph.tensors.items() if tensor.role in ("activation", "state"))
    weights = frozenset(name for name, tensor in graph.tensors.items() if tensor.role in ("weight", "constant"))
    single, room = replace(attempt.single, on_chip=inside), Room(attempt.capacity, weights)
    least_s, again_s = list[float](), list[float]()
    places: set[int] = set()
    followed = 0
    for each, start in zip(parts.alone, parts.starts, strict=True):
        read = {name for name in graph.ops[start].inputs if name in weights and name not in attempt.pinned}
        least_s.append(sum(graph.tensors[name].bytes for name in read) / attempt.rates.dram_bytes_per_s)
        again_s.append(0.0)
        if isinstance(each, LoopMapping):
            least_s[-1] = each.time_s
            places.add(start)
        elif start >= followed:  # with everything on chip, more ops follow the one before tile by tile
            least = single.least(graph, start, room)
            least_s[-1] += least.time_s
            again_s[-1] = least.again_s
            count = least.ops
            followed = start + count
            places.add(start)
    return least_s, again_s, frozenset(places)


def _step(alone: Entry | LoopMapping, ahead: Entry | None, rates: Rates) -> Step:
    """An entry as `sequence` sees it."""
    if ahead is None:
        return Step(alone.time_s)
    loaded = ahead.ops[0].ahead_bytes or 0.0
    return Step(alone.time_s, ahead.time_s, burst_s(loaded, rates), loaded / rates.dma_bytes_per_s, ahead.quiet)


def _peak_bytes(ops: Iterable[MappedOp], cores: int) -> float:
    """Scratchpad that streams and resident weights take, at most."""
    peak = slots = 0.0
    for each in ops:
        if isinstance(each, OpMapping):
            slots = max(slots, 2 * (each.ahead_bytes or 0.0))
    for each in ops:
        if isinstance(each, OpMapping):
            held = each.stream.buffer_bytes * cores + (slots if each.ahead_bytes is not None else 0.0)
        elif isinstance(each, LoopMapping):
            held = each.resident_bytes + (each.stripe_bytes or 0.0) + _peak_bytes(each.body, cores)
        else:
            held = each.resident_bytes + each.buffer_bytes
        peak = max(peak, held)
    return peak


def _swept_weights(body: Graph) -> dict[str, float]:
    """Bytes of the weights that every step reads from end to end."""
    read = read_whole(body)
    return {t.name: t.bytes for t in body.all_tensors() if t.role == "weight" and t.name in read}


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

"""The choices that the mapper has on one structure, whatever the rates: `mapping.digital` without its times.

A plan is a graph of choices: attempts at the whole workload, each a row of entries and loops; loops with several ways
to run, each a row of its own; and spans of entries that a group may replace. Entries are numbers of `Searches`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from accelsim.errors import InfeasibleError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.digital import Attempt, attempts
from accelsim.mapping.groups import Row, StripedGraph
from accelsim.mapping.machines import Machines
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.single import Least, Room
from accelsim.mapping.stripes import cuts
from accelsim.study.batch.searches import Searches, TracedMapper
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Loop
from accelsim.workload.precision import PrecisionChoice

__all__ = ["LONGEST_GROUP", "Plan", "PlannedAttempt", "PlannedLoop", "PlannedRow", "Span", "Way", "planned"]

LONGEST_GROUP = 10
"""Entries of a depth-first group, as in `mapping.groups`."""
NONE = -1


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a loop: bytes loaded before it, bytes of weights that a step streams, and the row of its body."""

    first_bytes: float
    streamed_bytes: float
    row: int


@dataclass(frozen=True, slots=True)
class PlannedLoop:
    """A loop and its ways."""

    steps: int
    ways: tuple[Way, ...]


@dataclass(slots=True)
class PlannedRow:
    """Entries in a row: the search of each alone, or its loop; that of each in a run, and what is loaded ahead."""

    alone: list[int] = field(default_factory=list)
    loops: list[int] = field(default_factory=list)
    ahead: list[int] = field(default_factory=list)
    ahead_bytes: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Span:
    """Entries ``first`` to ``last`` that a depth-first group may replace; ``searches`` is made when first needed.

    ``searches`` is empty where the group fits nowhere.
    """

    first: int
    last: int
    stripes: int
    load_bytes: float
    row: Row
    body: tuple[int, int]
    searches: tuple[int, ...] | None = None

    def built(self, searches: Searches) -> tuple[int, ...]:
        """Searches of the entries of one stripe."""
        if self.searches is None:
            found = self.row.entries(*self.body, self.row.border(*self.body))
            self.searches = () if found is None else tuple(searches.of(entry) for entry in found)
        return self.searches


@dataclass(slots=True)
class PlannedAttempt:
    """An attempt that fits: its row, and what groups there may be.

    Attributes:
        streamed_bytes: weights that are read once in any case; 0 where nothing is pinned.
        dram_peak_bytes: what lives in DRAM.
        spans: in the order in which the mapper finds groups.
        weight_bytes, least_s, launched, overlapped: of each entry in a group: weights that it loads, seconds beside its
            launch that it takes at least at the plan's own rates, whether it is launched, and whether each further
            stripe of it may save a cycle of the arrays by which their fill overlaps their drain.
    """

    row: int
    streamed_bytes: float
    dram_peak_bytes: float
    spans: list[Span] = field(default_factory=list)
    weight_bytes: list[float] = field(default_factory=list)
    least_s: list[float] = field(default_factory=list)
    launched: list[bool] = field(default_factory=list)
    overlapped: list[bool] = field(default_factory=list)


@dataclass
class Plan:
    """All choices for one workload on one structure; ``arch`` is any design of it."""

    graph: Graph
    arch: DigitalArchitecture
    searches: Searches
    rows: list[PlannedRow] = field(default_factory=list)
    loops: list[PlannedLoop] = field(default_factory=list)
    attempts: list[PlannedAttempt] = field(default_factory=list)


def planned(
    graph: Graph, arch: DigitalArchitecture, choice: PrecisionChoice, options: MappingOptions
) -> Plan | None:  # fmt: skip
    """The plan of a graph with formats assigned and recurrence expanded; None where pipelines may be formed.

    Raises:
        InfeasibleError: an op or its data fit nowhere.
        UnsupportedError: a format that the arrays have no unit for.
    """
    if options.pipelining and graph.batch > 1 and arch.n_cores > 1:
        return None
    machines = Machines(arch)
    plan = Plan(graph, arch, Searches(machines))
    failure: InfeasibleError | None = None
    striped = StripedGraph(graph)
    for attempt in attempts(graph, machines, choice, options):
        try:
            if attempt.failure is not None:
                raise attempt.failure
            row, starts = _Builder(plan, attempt).row(graph, attempt.room, _single(plan, attempt))
        except InfeasibleError as error:
            if failure is None or error.infeasible.bound > failure.infeasible.bound:
                failure = error
            continue
        streamed = attempt.streamed_bytes(graph) if options.resident_weights else 0.0
        found = PlannedAttempt(row, streamed, attempt.dram_peak_bytes(graph))
        if options.fusion:
            _add_groups(plan, attempt, found, starts, striped)
        plan.attempts.append(found)
    if not plan.attempts:
        assert failure is not None
        raise failure
    return plan


def _single(plan: Plan, attempt: Attempt) -> TracedMapper:
    return TracedMapper.of(attempt.single, plan.searches)


@dataclass(slots=True)
class _Builder:
    """Builds the rows of one attempt: `Attempt._sequence` and its loops, with every way kept."""

    plan: Plan
    attempt: Attempt

    def row(self, graph: Graph, room: Room, single: TracedMapper) -> tuple[int, list[int]]:
        """The row of all ops of ``graph``, and the op at which each entry begins."""
        made, starts, index = PlannedRow(), list[int](), 0
        inside, slot = self.attempt.ahead_room(room)
        while index < len(graph.ops):
            op, count = graph.ops[index], 1
            starts.append(index)
            ahead = None
            if isinstance(op, Loop):
                made.alone.append(NONE)
                made.loops.append(self.loop(op, graph, room, single))
            else:
                search, count = single.traced(graph, index, room)
                made.alone.append(search)
                made.loops.append(NONE)
                if self.attempt.options.prefetch:
                    ahead = single.traced_ahead(graph, index, inside, slot)
            made.ahead.append(NONE if ahead is None else ahead[0])
            made.ahead_bytes.append(0.0 if ahead is None else ahead[1])
            index += count
        self.plan.rows.append(made)
        return len(self.plan.rows) - 1, starts

    def loop(self, op: Loop, graph: Graph, room: Room, single: TracedMapper) -> int:
        """All ways to run a loop that fit."""
        weights, ways = self.attempt.ways(op, room)
        found: list[Way] = []
        failure: InfeasibleError | None = None
        mapper, state_bytes = self.attempt.inside(op, graph, single)
        assert isinstance(mapper, TracedMapper)
        for names, free in ways:
            streamed = sum(size for name, size in weights.items() if name not in names)
            kept = sum(weights[name] for name in names)
            try:
                row, _ = self.row(op.body, Room(free, room.resident | set(names)), mapper)
            except InfeasibleError as error:
                failure = error
                continue
            found.append(Way(kept + state_bytes, streamed, row))
        if not found:
            assert failure is not None
            raise failure
        self.plan.loops.append(PlannedLoop(op.steps, tuple(found)))
        return len(self.plan.loops) - 1


def _add_groups(plan: Plan, attempt: Attempt, found: PlannedAttempt, starts: list[int], striped: StripedGraph) -> None:
    """What `mapping.groups` may make of the entries that begin at ``starts``."""
    graph = striped.graph
    places = _bounds(graph, attempt, found, starts)
    entry_of = {start: entry for entry, start in enumerate(starts)}
    single = _single(plan, attempt)
    for cut in sorted(cuts(graph), key=lambda cut: cut.stripes):
        for first, body in striped.rows(cut):
            row = Row(graph, body, first, cut, single, attempt.group_room)
            for begin, end in _spans(row, places):
                following = entry_of.get(row.first + end, len(starts))
                found.spans.append(
                    Span(entry_of[row.first + begin], following - 1, cut.stripes, row.weight_bytes(begin, end - 1),
                         row, (begin, end - 1))
                )  # fmt: skip


def _spans(row: Row, places: frozenset[int]) -> Iterator[tuple[int, int]]:
    """(first body op, one behind the last) of each group of a row that fits, in the mapper's order."""
    count = len(row.body.ops)
    ends = row.first + count == len(row.graph.ops) or row.first + count in places
    chosen = [index for index in range(count + ends) if index == count or row.first + index in places]
    for position, first in enumerate(chosen[:-1]):
        for end in chosen[position + 2 : position + 1 + LONGEST_GROUP]:
            if not row.fits(first, end - 1):
                break
            yield first, end


def _bounds(graph: Graph, attempt: Attempt, found: PlannedAttempt, starts: list[int]) -> frozenset[int]:
    """Fill what each entry takes at least in a group; where groups may begin, as `Entries.places` has it."""
    inside = frozenset(name for name, tensor in graph.tensors.items() if tensor.role in ("activation", "state"))
    weights = frozenset(name for name, tensor in graph.tensors.items() if tensor.role in ("weight", "constant"))
    single, room = replace(attempt.single, on_chip=inside), Room(attempt.capacity, weights)
    places: set[int] = set()
    followed = 0
    for start in starts:
        read = {name for name in graph.ops[start].inputs if name in weights and name not in attempt.pinned}
        found.weight_bytes.append(sum(graph.tensors[name].bytes for name in read))
        least = Least(0.0, 0.0, 0.0, 0)
        if isinstance(graph.ops[start], Loop):
            places.add(start)
        elif start >= followed:
            least = single.least(graph, start, room)
            followed = start + least.ops
            places.add(start)
        found.least_s.append(max(0.0, least.time_s - least.launch_s))
        found.launched.append(least.launch_s > 0)
        found.overlapped.append(least.again_s < least.launch_s)
    return frozenset(places)

"""Rows of ops that run together: depth first, stripe by stripe, or as a pipeline of stages on cores of their own.

A group keeps what passes between its ops on chip, stripe by stripe, with its weights resident. Depth first (Mei et
al., DeFiNES, HPCA 2023; Symons et al., Stream, 2024) all cores work on each op of a stripe in turn, and a
convolution's halo stays on chip, so nothing is computed twice. As a pipeline, each core works on fewer ops with more
of each, which fills small ops better; the price is the time to fill and drain it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import accumulate
from math import inf

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InfeasibleError
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.pipelines import pipelined
from accelsim.mapping.records import LoopMapping, PipelineMapping
from accelsim.mapping.schedule import load_s
from accelsim.mapping.single import Entry, Room, SingleMapper
from accelsim.mapping.stripes import Cut, StripedGraph, StripeFacts, cuts, stripe_facts
from accelsim.units import added
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Loop

__all__ = ["Entries", "Group", "GroupRoom", "Row", "Span", "StripedGraph", "find_groups"]

_LONGEST_GROUP = 10
"""Entries of a depth-first group; bounds the search."""
_NOTHING: frozenset[str] = frozenset()

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Group:
    """What may replace the entries ``first`` to ``last``; ``mapped`` makes the mapping."""

    first: int
    last: int
    time_s: float
    mapped: Callable[[], LoopMapping | PipelineMapping]


Span = tuple[int, int, int, int, float, float]
"""Ops ``begin`` to ``end`` - 1, which are the entries ``first`` to ``last``; seconds alone, and at least in a group."""


@dataclass(frozen=True)
class Entries:
    """What a group would replace.

    Attributes:
        ops: of the graph.
        starts: op index at which each entry begins.
        alone_s: its seconds on its own.
        least_s: seconds below which it does not stay in a group: with its weights loaded before, all of its data on
            chip, and all of the room.
        again_s: what every stripe but the first adds to that at least: the launch of an op, less the cycle by which the
            fill of the arrays overlaps their drain.
        stripes: most that any group may have.
        places: op indices at which groups may begin: those of ops that do not follow another tile by tile when
            everything is on chip. They do not depend on what is on chip, so more memory takes no group away.
    """

    ops: int
    starts: Sequence[int]
    alone_s: Sequence[float]
    least_s: Sequence[float]
    again_s: Sequence[float]
    places: frozenset[int]
    stripes: int

    @cached_property
    def _sums(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(entries + 1,) sums of the times of the entries before each."""
        alone_s, least_s, again_s = (
            np.array(list(accumulate(each, initial=0.0))) for each in (self.alone_s, self.least_s, self.again_s)
        )
        return alone_s, least_s, again_s

    @cached_property
    def _spans(self) -> tuple[NDArray[np.int64], NDArray[np.int64], FloatArray, FloatArray, FloatArray]:
        """Begin and end, first entry and the one behind the last, and sums of their times, (spans, ...)."""
        places = np.array([*sorted(self.places), self.ops])
        starts = np.array([self.entry_of.get(place, len(self.starts)) for place in places.tolist()])
        first = np.repeat(np.arange(len(places)), _LONGEST_GROUP - 1)
        end = first + np.tile(np.arange(2, _LONGEST_GROUP + 1), len(places))
        within = np.flatnonzero(end < len(places))
        first, end = first[within], end[within]
        entries = np.stack([starts[first], starts[end]])
        sums = (each[entries[1]] - each[entries[0]] for each in self._sums)
        return np.stack([places[first], places[end]]), entries, *sums

    def promising(self, stripes: int) -> tuple[FloatArray, ...]:
        """Columns of the `Span` that may be faster as a group of so many stripes, in order."""
        ops, entries, alone_s, least_s, again_s = self._spans
        least_s = least_s + (stripes - 1) * again_s
        chosen = np.flatnonzero(least_s < alone_s)
        columns = ops[0], ops[1], entries[0], entries[1] - 1, alone_s, least_s
        return tuple(column[chosen] for column in columns)

    @property
    def most_stripes(self) -> float:
        """With more stripes the launches of a single op cost more than all groups can save."""
        saved_s = sum(max(0.0, alone - least) for alone, least in zip(self.alone_s, self.least_s, strict=True))
        launch_s = min((each for each in self.again_s if each != 0), default=0.0)
        return 1 + saved_s / launch_s if launch_s > 0 else inf

    @property
    def most_saved_s(self) -> float:
        """Groups of two stripes or more save no more."""
        again_s = (each if each > 0 else each * (self.stripes - 1) for each in self.again_s)
        times = zip(self.alone_s, self.least_s, again_s, strict=True)
        return sum(max(0.0, alone - least - again) for alone, least, again in times)

    @cached_property
    def entry_of(self) -> dict[int, int]:
        """Entry by the op index at which it begins."""
        return {start: entry for entry, start in enumerate(self.starts)}


@dataclass(frozen=True, slots=True)
class GroupRoom:
    """Bytes of all scratchpads that a group may take: for stripes and weights together, and for streams."""

    held_bytes: float
    streams: Room


def find_groups(
    striped: StripedGraph, entries: Entries, room: GroupRoom, single: SingleMapper, options: MappingOptions
) -> list[Group]:
    """Groups that may be faster than their ops one by one.

    Args:
        striped: the whole workload.
        entries: its entries, which groups may replace.
        room: what groups may take; weights that are resident anyway take none of it.
        single: maps ops; its ``on_chip`` stay on chip whole.
        options: which kinds of groups may be formed.
    """
    graph = striped.graph
    found: list[Group] = []
    best_s: dict[tuple[int, int], float] = {}
    worth = [cut for cut in cuts(graph) if cut.stripes <= entries.most_stripes] if options.fusion else []
    for cut in sorted(worth, key=lambda cut: cut.stripes):
        promising = entries.promising(cut.stripes)
        for first, behind in striped.extents(cut) if len(promising[0]) else ():
            inside = np.flatnonzero((promising[0] >= first) & (promising[1] <= behind))
            if len(inside):
                row = Row(graph, striped.body(cut, first), first, cut, single, room)
                spans = zip(*(column[inside].tolist() for column in promising), strict=True)
                found += _depth_first(row, spans, best_s)
    if options.pipelining and graph.batch > 1 and single.machines.arch.n_cores > 1:
        for first, body in striped.rows(Cut(graph.batch, 1)):
            found += _pipelines(Row(graph, body, first, Cut(graph.batch, 1), single, room), entries)
    return found


@dataclass
class Row:
    """Ops of a graph from ``first`` on, one after the other, in stripes.

    Attributes:
        body: one stripe of all of them.
    """

    graph: Graph
    body: Graph
    first: int
    cut: Cut
    single: SingleMapper
    room: GroupRoom
    _entries: dict[tuple[int, frozenset[str]], tuple[Entry, int] | None] = field(default_factory=dict)

    @cached_property
    def _stripe(self) -> StripeFacts:
        memory = self.single.machines.memory_of(self.body, self.single.choice)
        if memory.stripe is None:
            memory.stripe = stripe_facts(self.body, self.cut)
        return memory.stripe

    def stripe_bytes(self, first: int, last: int) -> float:
        """Activations on chip, at most, while body ops ``first`` to ``last`` run."""
        stripe = self._stripe
        return max(stripe.live[first : last + 1]) + stripe.halo_sums[last + 1] - stripe.halo_sums[first]

    def weights(self, first: int, last: int) -> tuple[str, ...]:
        """Weights that body ops ``first`` to ``last`` read and that are not resident anyway."""
        names = {name for op in self._stripe.weights[first : last + 1] for name in op}
        return tuple(sorted(names - self.room.streams.resident))

    @cached_property
    def _weight_sums(self) -> list[float]:
        tensors, resident = self.body.tensors, self.room.streams.resident
        sizes = (sum(tensors[name].bytes for name in names if name not in resident) for names in self._stripe.weights)
        return list(accumulate(sizes, initial=0.0))

    def weight_bytes(self, first: int, last: int) -> float:
        """Their bytes; a weight that two ops read counts twice."""
        return self._weight_sums[last + 1] - self._weight_sums[first]

    def load_s(self, first: int, last: int) -> float:
        """Seconds that loading them takes before the first stripe."""
        return load_s(self.weight_bytes(first, last), self.single.machines.rates("array", 0.0))

    def fits(self, first: int, last: int) -> bool:
        """Whether stripes and weights of body ops ``first`` to ``last`` fit."""
        return self.stripe_bytes(first, last) + self.weight_bytes(first, last) <= self.room.held_bytes

    @cached_property
    def _exchanged(self) -> list[list[tuple[str, int, int]]]:
        """For each body op the activations in DRAM that it reads or makes: name, the op that makes it, its last use."""
        graph, on_chip = self.graph, self.single.on_chip
        return [
            [
                (name, graph.producers.get(name, -1) - self.first, graph.last_uses.get(name, -1) - self.first)
                for name in (*op.inputs, *op.outputs)
                if name not in on_chip and graph.tensors[name].role == "activation"
            ]
            for op in self.body.ops
        ]

    def border(self, first: int, last: int) -> frozenset[str]:
        """Tensors that body ops ``first`` to ``last`` exchange with others and that live in DRAM."""
        near = (each for op in self._exchanged[first : last + 1] for each in op)
        return frozenset(name for name, made, used in near if not first <= made <= last or used > last)

    @cached_property
    def _by_role(self) -> tuple[frozenset[str], Room]:
        """All activations, and the room for streams with all weights there."""
        tensors = self.body.tensors.values()
        weights = frozenset(tensor.name for tensor in tensors if tensor.role in ("weight", "constant"))
        activations = frozenset(tensor.name for tensor in tensors if tensor.role == "activation")
        return activations, self.room.streams.with_weights(weights)

    @cached_property
    def _plain(self) -> SingleMapper:
        """The mapper of a stripe with everything on chip."""
        return replace(self.single, on_chip=self._by_role[0])

    def _entry(self, index: int, outside: frozenset[str]) -> tuple[Entry, int] | None:
        """The entry at body op ``index`` when the tensors ``outside`` are in DRAM; None where it does not fit."""
        key = index, outside
        if key not in self._entries:
            activations, room = self._by_role
            single = replace(self.single, on_chip=activations - outside) if outside else self._plain
            try:
                self._entries[key] = single.entry(self.body, index, room, self.cut.stripes)
            except InfeasibleError:
                self._entries[key] = None
        return self._entries[key]

    def entries(self, first: int, last: int, outside: frozenset[str], enough_s: float = inf) -> list[Entry] | None:
        """Entries of body ops ``first`` to ``last``, with the tensors ``outside`` in DRAM.

        None where they do not fit, do not end there, or take ``enough_s`` or more.
        """
        uses = self._stripe.uses
        touched = {op for name in outside for op in uses[name]}
        time_s = self._apart_s(first, last, touched, enough_s)
        found: list[Entry] = []
        while first <= last and time_s < enough_s:
            entry = self._entry(first, _NOTHING)
            if entry is not None and not touched.isdisjoint(range(first, first + entry[1])):
                names = self._stripe.names[first : first + entry[1]]
                entry = self._entry(first, outside.intersection(_NOTHING.union(*names)))
                time_s += entry[0].time_s if entry is not None else 0.0
            if entry is None:
                return None
            found.append(entry[0])
            first += entry[1]
        return found if first == last + 1 and time_s < enough_s else None

    def _apart_s(self, first: int, last: int, touched: Set[int], enough_s: float) -> float:
        """Seconds of those entries that touch nothing outside, or ``enough_s`` and more; infinite if one never fits."""
        time_s = 0.0
        while first <= last and time_s < enough_s:
            entry = self._entry(first, _NOTHING)
            if entry is None:
                return inf
            behind = first + entry[1]
            time_s += entry[0].time_s if touched.isdisjoint(range(first, behind)) else 0.0
            first = behind
        return time_s

    def loop(self, first: int, last: int) -> Loop:
        """The loop over the stripes of body ops ``first`` to ``last``."""
        ops = self.body.ops[first : last + 1]
        names = {name: None for op in ops for name in (*op.inputs, *op.outputs)}
        made = {name for op in ops for name in op.outputs}
        read = tuple(name for name in names if name not in made)
        body = Graph(
            name=f"{ops[0].name} to {ops[-1].name}", ops=ops, tensors={name: self.body.tensors[name] for name in names},
            inputs=tuple(name for name in read if self.body.tensors[name].role == "activation"),
            outputs=ops[-1].outputs,
        )  # fmt: skip
        return Loop(name=body.name, inputs=read, outputs=ops[-1].outputs, body=body, steps=self.cut.stripes)


def _depth_first(row: Row, spans: Iterable[Span], best_s: dict[tuple[int, int], float]) -> Iterator[Group]:
    """Groups of a row that are faster than its ops one by one, and than those of ``best_s`` in fewer stripes."""
    full = -1  # no longer span from here fits
    for begin, end, first, last, alone_s, least_s in spans:
        enough_s = min(alone_s, best_s.get((first, last), inf))
        if begin == full or least_s >= enough_s:
            continue
        if not row.fits(begin - row.first, end - 1 - row.first):
            full = begin
            continue
        group = _fused(row, begin - row.first, end - 1 - row.first, (first, last), enough_s)
        if group is not None:
            best_s[first, last] = group.time_s
            yield group


def _fused(row: Row, first: int, last: int, span: tuple[int, int], enough_s: float) -> Group | None:
    """Body ops ``first`` to ``last`` depth first; None where they do not fit or take ``enough_s`` or more."""
    load_s, stripes = row.load_s(first, last), row.cut.stripes
    # A little more than what is left for a stripe: rounding must not decide here.
    left_s = (enough_s - load_s) / stripes * (1 + 1e-9)
    found = row.entries(first, last, row.border(first, last), left_s) if left_s > 0 else None
    if found is None:
        return None
    time_s = load_s + stripes * added(entry.time_s for entry in found)
    if time_s >= enough_s:
        return None

    def mapped() -> LoopMapping:
        ops = tuple(op for entry in found for op in entry.ops)
        held, stripe_bytes = row.weight_bytes(first, last), row.stripe_bytes(first, last)
        return LoopMapping(row.loop(first, last), ops, row.weights(first, last), held, held, 1, time_s, stripe_bytes)

    return Group(*span, time_s, mapped)


def _places(row: Row, entries: Entries) -> list[int]:
    """Body ops at which groups may begin, and the one behind which they may end at last."""
    count = len(row.body.ops)
    last = row.first + count == len(row.graph.ops) or row.first + count in entries.places
    return [index for index in range(count + last) if index == count or row.first + index in entries.places]


def _span(row: Row, first: int, last: int, entries: Entries) -> tuple[int, int]:
    """The entries that body ops ``first`` to ``last`` are."""
    end, entry_of = row.first + last + 1, entries.entry_of
    return entry_of[row.first + first], entry_of.get(end, len(entries.starts)) - 1


def _pipelines(row: Row, entries: Entries) -> list[Group]:
    """For each first op the longest pipeline whose weights and stripes fit."""
    found: list[Group] = []
    places = _places(row, entries)
    reached = 0
    for position, first in enumerate(places):
        for end in reversed(places[position + 2 :]):
            if end <= reached:
                break
            if row.fits(first, end - 1):
                reached, span = end, _span(row, first, end - 1, entries)
                found += [Group(*span, each.time_s, partial(_same, each)) for each in pipelined(row, first, end - 1)]
                break
    return found


def _same(mapping: PipelineMapping) -> PipelineMapping:
    return mapping

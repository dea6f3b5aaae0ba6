"""Rows of ops that run together: depth first, stripe by stripe, or as a pipeline of stages on cores of their own.

A group keeps what passes between its ops on chip, stripe by stripe, with its weights resident. Depth first (Mei et
al., DeFiNES, HPCA 2023; Symons et al., Stream, 2024) all cores work on each op of a stripe in turn, and a
convolution's halo stays on chip, so nothing is computed twice. As a pipeline, each core works on fewer ops with more
of each, which fills small ops better; the price is the time to fill and drain it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import accumulate
from math import inf

from accelsim.errors import InfeasibleError
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.pipelines import pipelined
from accelsim.mapping.placement import aliases, live_bytes
from accelsim.mapping.records import LoopMapping, PipelineMapping
from accelsim.mapping.schedule import load_s
from accelsim.mapping.single import Entry, Room, SingleMapper
from accelsim.mapping.stripes import Cut, cuts, halo_bytes, striped_op
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Loop, Op

__all__ = ["Entries", "Group", "GroupRoom", "Row", "StripedGraph", "find_groups"]

_LONGEST_GROUP = 10
"""Entries of a depth-first group; bounds the search."""


@dataclass(frozen=True, slots=True)
class Group:
    """What may replace the entries ``first`` to ``last``; ``mapped`` makes the mapping."""

    first: int
    last: int
    time_s: float
    mapped: Callable[[], LoopMapping | PipelineMapping]


@dataclass(frozen=True)
class Entries:
    """What a group would replace.

    Attributes:
        starts: op index at which each entry begins.
        alone_s: its seconds on its own.
        least_s: seconds below which it does not stay in a group: with its weights loaded before, all of its data on
            chip, and all of the room.
        again_s: what every stripe but the first adds to that at least: the launch of an op.
        places: op indices at which groups may begin: those of ops that do not follow another tile by tile when
            everything is on chip. They do not depend on what is on chip, so more memory takes no group away.
    """

    starts: Sequence[int]
    alone_s: Sequence[float]
    least_s: Sequence[float]
    again_s: Sequence[float]
    places: frozenset[int]

    @cached_property
    def _sums(self) -> tuple[list[float], ...]:
        return tuple(list(accumulate(each, initial=0.0)) for each in (self.alone_s, self.least_s, self.again_s))

    def between(self, first: int, last: int, stripes: int) -> tuple[float, float]:
        """Seconds of the entries ``first`` to ``last`` alone, and at least in a group of so many stripes."""
        alone_s, least_s, again_s = (each[last + 1] - each[first] for each in self._sums)
        return alone_s, least_s + (stripes - 1) * again_s

    @property
    def most_stripes(self) -> float:
        """With more stripes the launches of a single op cost more than all groups can save."""
        saved_s = sum(max(0.0, alone - least) for alone, least in zip(self.alone_s, self.least_s, strict=True))
        launch_s = max(self.again_s, default=0.0)
        return 1 + saved_s / launch_s if launch_s > 0 else inf

    @property
    def most_saved_s(self) -> float:
        """Groups of two stripes or more save no more."""
        times = zip(self.alone_s, self.least_s, self.again_s, strict=True)
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


@dataclass
class StripedGraph:
    """All rows of a graph's ops that can be cut into stripes, by cut; made once for all divisions of the memory."""

    graph: Graph
    _rows: dict[Cut, list[tuple[int, Graph]]] = field(default_factory=dict)

    def rows(self, cut: Cut) -> list[tuple[int, Graph]]:
        """(first op, one stripe) of the longest rows of at least two ops that can all be cut so."""
        if cut not in self._rows:
            self._rows[cut] = list(_rows(self.graph, cut))
        return self._rows[cut]


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
        for first, body in striped.rows(cut):
            found += _depth_first(Row(graph, body, first, cut, single, room), entries, best_s)
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
    def _live(self) -> list[float]:
        """Bytes of stripes alive at each op of the body, and of rows that wait for an op behind convolutions."""
        body = self.body
        held = live_bytes(body, set(body.producers))
        if self.cut.rows == 1:
            return held
        roots = aliases(body)
        for name, made in body.producers.items():
            last = min(body.last_uses.get(name, made), len(body.ops) - 1)
            lag = self._halo_counts[last] - self._halo_counts[made + 1] if last > made else 0
            if name not in roots and lag:
                shape = body.tensors[name].shape
                waiting = lag * body.tensors[name].bytes / (shape[2] if len(shape) > 3 else 1)
                held[made : last + 1] = [each + waiting for each in held[made : last + 1]]
        return held

    @cached_property
    def _halos(self) -> list[float]:
        """Bytes that stay on chip from stripe to stripe for each op of the body."""
        return [halo_bytes(op, self.body) if self.cut.rows > 1 else 0.0 for op in self.body.ops]

    @cached_property
    def _halo_counts(self) -> list[int]:
        """Ops with a halo before each op of the body."""
        return list(accumulate((halo > 0 for halo in self._halos), initial=0))

    @cached_property
    def _halo_sums(self) -> list[float]:
        return list(accumulate(self._halos, initial=0.0))

    def stripe_bytes(self, first: int, last: int) -> float:
        """Activations on chip, at most, while body ops ``first`` to ``last`` run."""
        return max(self._live[first : last + 1]) + self._halo_sums[last + 1] - self._halo_sums[first]

    def weights(self, first: int, last: int) -> tuple[str, ...]:
        """Weights that body ops ``first`` to ``last`` read and that are not resident anyway."""
        tensors, resident = self.body.tensors, self.room.streams.resident
        names = {name for op in self.body.ops[first : last + 1] for name in op.inputs} - resident
        return tuple(sorted(name for name in names if tensors[name].role in ("weight", "constant")))

    @cached_property
    def _weight_sums(self) -> list[float]:
        tensors = self.body.tensors
        sizes = (sum(tensors[name].bytes for name in self.weights(op, op)) for op in range(len(self.body.ops)))
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
    def _uses(self) -> dict[str, list[int]]:
        """Body ops that read or make each tensor."""
        found: dict[str, list[int]] = {}
        for index, op in enumerate(self.body.ops):
            for name in {*op.inputs, *op.outputs}:
                found.setdefault(name, []).append(index)
        return found

    @cached_property
    def _by_role(self) -> tuple[frozenset[str], Room]:
        """All activations, and the room for streams with all weights there."""
        tensors = self.body.tensors.values()
        weights = frozenset(tensor.name for tensor in tensors if tensor.role in ("weight", "constant"))
        activations = frozenset(tensor.name for tensor in tensors if tensor.role == "activation")
        return activations, self.room.streams.with_weights(weights)

    def _entry(self, index: int, outside: frozenset[str]) -> tuple[Entry, int] | None:
        """The entry at body op ``index`` when the tensors ``outside`` are in DRAM; None where it does not fit."""
        key = index, outside
        if key not in self._entries:
            activations, room = self._by_role
            single = replace(self.single, on_chip=activations - outside)
            try:
                self._entries[key] = single.entry(self.body, index, room, self.cut.stripes)
            except InfeasibleError:
                self._entries[key] = None
        return self._entries[key]

    def entries(self, first: int, last: int, outside: frozenset[str]) -> list[Entry] | None:
        """Entries of body ops ``first`` to ``last``, with the tensors ``outside`` in DRAM.

        None where they do not fit or do not end there.
        """
        touched = {op for name in outside for op in self._uses[name]}
        found: list[Entry] = []
        while first <= last:
            entry = self._entry(first, frozenset())
            if entry is not None and not touched.isdisjoint(range(first, first + entry[1])):
                ops = self.body.ops[first : first + entry[1]]
                entry = self._entry(first, outside.intersection(n for op in ops for n in (*op.inputs, *op.outputs)))
            if entry is None:
                return None
            found.append(entry[0])
            first += entry[1]
        return found if first == last + 1 else None

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


def _rows(graph: Graph, cut: Cut) -> Iterator[tuple[int, Graph]]:
    ops: list[Op] = []
    tensors: dict[str, Tensor] = {}
    made: set[str] = set()
    for index in range(len(graph.ops) + 1):
        trial: dict[str, Tensor] = {}
        found = striped_op(graph.ops[index], graph, cut, trial) if index < len(graph.ops) else None
        fits = found is not None and all(tensors.get(name, tensor) == tensor for name, tensor in trial.items())
        # What an op needs whole must not be made stripe by stripe.
        if found is not None and fits and made.isdisjoint(found.whole):
            ops.append(found.op)
            tensors |= trial
            tensors |= {name: graph.tensors[name] for name in found.op.inputs if name not in tensors}
            made |= set(found.op.outputs)
            continue
        if len(ops) > 1:
            read = tuple(name for name in tensors if name not in made and tensors[name].role == "activation")
            name = f"{graph.name} in stripes"
            yield index - len(ops), Graph(name, tuple(ops), tensors, inputs=read, outputs=ops[-1].outputs)
        ops, tensors, made = [], {}, set()


def _depth_first(row: Row, entries: Entries, best_s: dict[tuple[int, int], float]) -> Iterator[Group]:
    """Groups of a row that are faster than its ops one by one, and than those of ``best_s`` in fewer stripes."""
    places = _places(row, entries)
    for position, first in enumerate(places[:-1]):
        for end in places[position + 2 : position + 1 + _LONGEST_GROUP]:
            span = _span(row, first, end - 1, entries)
            alone_s, least_s = entries.between(*span, row.cut.stripes)
            if least_s >= min(alone_s, best_s.get(span, inf)):
                continue
            if not row.fits(first, end - 1):
                break
            group = _fused(row, first, end - 1, span)
            if group is not None and group.time_s < min(alone_s, best_s.get(span, inf)):
                best_s[span] = group.time_s
                yield group


def _fused(row: Row, first: int, last: int, span: tuple[int, int]) -> Group | None:
    """Body ops ``first`` to ``last`` depth first; None where they do not fit."""
    found = row.entries(first, last, row.border(first, last))
    if found is None:
        return None
    time_s = row.load_s(first, last) + row.cut.stripes * sum(entry.time_s for entry in found)

    def mapped() -> LoopMapping:
        ops = tuple(op for entry in found for op in entry.ops)
        held, stripes = row.weight_bytes(first, last), row.stripe_bytes(first, last)
        return LoopMapping(row.loop(first, last), ops, row.weights(first, last), held, held, 1, time_s, stripes)

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

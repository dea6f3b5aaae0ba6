"""Blocks that stand several times one behind the other, such as the equal layers of a transformer.

Every op gets a number for what it is (its fields and the shapes of its tensors, names left out). In that sequence of
numbers a repeat is a stretch in which each piece of k places is as far from the last equal piece: the period. k runs
over powers of two, so that repeats show whose blocks hold repeats themselves; pieces are numbered by doubling. The
repeats that cover most are taken first; then what repeats inside their first block. Blocks of one repeat are
isomorphic: wired alike inside, and reading alike from outside. Time is O(n log n) for n ops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import takewhile

from accelsim.workload.graph import Graph
from accelsim.workload.ops import Loop, Op

__all__ = ["Repeat", "repeats"]

_MOST_LEVELS = 3
_MOST_SHIFTS = 32


@dataclass(frozen=True, slots=True)
class Repeat:
    """``count`` isomorphic blocks of ``ops`` ops each, the first at op ``start``; ``macs`` and ``parameters`` of one.

    ``inside`` is 1 for a repeat that is part of no other; ``loop`` names the loop whose body it is in, if any.
    """

    start: int
    ops: int
    count: int
    name: str
    macs: int
    parameters: int
    inside: int = 1
    loop: str = ""

    @property
    def end(self) -> int:
        """Index behind its last op."""
        return self.start + self.ops * self.count


def repeats(graph: Graph) -> tuple[Repeat, ...]:
    """The repeated blocks of more than one op, by start; outer ones before those inside them, bodies of loops last."""
    kinds, wiring = _kinds(graph), _Wiring(graph)
    found = _found(graph, kinds, wiring, 0, len(kinds), 1)
    for op in graph.ops:
        if isinstance(op, Loop):
            found.extend(replace(each, loop=each.loop or op.name) for each in repeats(op.body))
    return tuple(found)


def _found(graph: Graph, kinds: list[int], wiring: _Wiring, begin: int, end: int, depth: int) -> list[Repeat]:
    """The repeats in the ops from ``begin`` to ``end``."""
    runs = sorted(_runs(kinds[begin:end]), key=lambda run: (run.start - run.end, run.period, run.start))
    taken = bytearray(end - begin)
    found: list[Repeat] = []
    for run in dict.fromkeys(runs):
        if any(taken[run.start : run.end]):
            run = _free(run, taken)
        if run.end - run.start < 2 * run.period or run.period < 2:
            continue
        first, count = _alike(wiring, run, begin)
        if count < 2:
            continue
        taken[first : first + run.period * count] = b"\1" * (run.period * count)
        start = begin + first
        found.append(_described(graph, start, run.period, count, depth))
        if depth < _MOST_LEVELS:
            found.extend(_found(graph, kinds, wiring, start, start + run.period, depth + 1))
    return sorted(found, key=lambda each: (each.start, each.inside))


@dataclass(frozen=True, slots=True)
class _Run:
    """A stretch of places with a period."""

    start: int
    end: int
    period: int


def _free(run: _Run, taken: bytearray) -> _Run:
    """The longest part of a run that no larger repeat has taken."""
    best, begun = (0, 0), run.start
    for place in range(run.start, run.end + 1):
        if place == run.end or taken[place]:
            best = max(best, (place - begun, begun))
            begun = place + 1
    return _Run(best[1], best[1] + best[0], run.period)


def _kinds(graph: Graph) -> list[int]:
    """A number for what each op is."""
    numbers: dict[object, int] = {}
    return [numbers.setdefault(_signature(op, graph), len(numbers)) for op in graph.ops]


def _signature(op: Op, graph: Graph) -> object:
    tensors = graph.tensors
    own = tuple(
        getattr(op, each.name)
        for each in fields(op)
        if each.name not in ("name", "inputs", "outputs", "body", "carried")
    )
    seen = tuple((tensors[name].shape, tensors[name].role) for name in (*op.inputs, *op.outputs))
    body = tuple(_signature(each, op.body) for each in op.body.ops) if isinstance(op, Loop) else ()
    return (op.kind, own, seen, body)


class _Wiring:
    """How the ops of a block read each other and the outside."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers = graph.producers

    def of(self, start: int, end: int) -> tuple[object, ...]:
        """For each input: the place in the block of what makes it, or the order in which outer tensors first appear."""
        outer: dict[str, int] = {}
        wires: list[object] = []
        for op in self.graph.ops[start:end]:
            for name in op.inputs:
                maker = self.producers.get(name, -1)
                if maker >= start:
                    wires.append((maker - start, self.graph.ops[maker].outputs.index(name)))
                elif self.graph.tensors[name].role in ("activation", "state"):
                    wires.append(outer.setdefault(name, len(outer)))
                else:
                    wires.append(None)
        return tuple(wires)


def _runs(kinds: Sequence[int]) -> Iterator[_Run]:
    """Stretches in which each piece follows an equal one by the same distance, for pieces of 1, 2, 4, ... places."""
    length, pieces = 1, list(kinds)
    while 2 * length <= len(kinds):
        last: dict[int, int] = {}
        begun, period = 0, 0
        for index in range(len(pieces) + 1):
            distance = 0
            if index < len(pieces):
                distance = index - last.get(pieces[index], index)
                last[pieces[index]] = index
            if distance != period:
                start, end = begun - period, index + length - 1
                if period and end - start >= 2 * period:
                    yield _Run(start, end, period)
                begun, period = index, distance
        numbers: dict[tuple[int, int], int] = {}
        pairs = zip(pieces, pieces[length:], strict=False)
        pieces = [numbers.setdefault(pair, len(numbers)) for pair in pairs]
        length *= 2


def _alike(wiring: _Wiring, run: _Run, begin: int) -> tuple[int, int]:
    """(first place, blocks) of the longest row of blocks that are wired alike.

    A run may hold a part of a block more than it has blocks, so that they could begin in several places: the one is
    taken where the names of a block's first and last op have most in common.
    """
    best, score = (run.start, 0), -1
    ops, period = wiring.graph.ops, run.period
    for shift in range(min(period, _MOST_SHIFTS)):
        places = range(run.start + shift, run.end - period + 1, period)
        if len(places) < max(2, best[1]):
            break
        here, row = _row([wiring.of(begin + each, begin + each + period) for each in places])
        first = begin + places[here]
        common = len(_shared(ops[first].name, ops[first + period - 1].name))
        if (row, common) > (best[1], score):
            best, score = (places[here], row), common
    return best


def _row(wires: Sequence[object]) -> tuple[int, int]:
    """(first, length) of the longest row of equal entries."""
    best, begun = (0, 0), 0
    for index in range(1, len(wires) + 1):
        if index == len(wires) or wires[index] != wires[begun]:
            if index - begun > best[1]:
                best = (begun, index - begun)
            begun = index
    return best


def _described(graph: Graph, start: int, length: int, count: int, depth: int) -> Repeat:
    block = graph.ops[start : start + length]
    weights = {name for op in block for name in op.inputs if graph.tensors[name].role == "weight"}
    first = _shared(block[0].name, block[-1].name).rstrip("._/:")
    return Repeat(
        start, length, count, first or f"{block[0].name} ... {block[-1].name}", sum(op.macs for op in block),
        sum(graph.tensors[each].elements for each in weights), depth,
    )  # fmt: skip


def _shared(first: str, second: str) -> str:
    """What two names begin with."""
    pairs = zip(first, second, strict=False)
    return "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

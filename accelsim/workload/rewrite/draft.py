"""A graph while it is edited: ops come and go, tensors change hands; what nobody needs any more leaves at the end."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Loop, Op
from accelsim.workload.rewrite.report import Change, Changes

__all__ = ["CannotChangeError", "Draft", "in_bodies"]


class CannotChangeError(Exception):
    """Why one place of a graph cannot be rewritten; the rewrite goes on elsewhere and reports it."""


class Draft:
    """Ops by name with their places, tensors by name, and who makes and reads them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.ops = {op.name: op for op in graph.ops}
        self.place: dict[str, tuple[float, ...]] = {op.name: (index,) for index, op in enumerate(graph.ops)}
        self.tensors = dict(graph.tensors)
        self.maker = {name: op.name for op in graph.ops for name in op.outputs}
        self.readers: dict[str, dict[str, None]] = {}
        for op in graph.ops:
            self._read(op)
        self._idle = {op.name for op in graph.ops if not self._needed(op)}

    def _read(self, op: Op) -> None:
        for name in op.inputs:
            self.readers.setdefault(name, {})[op.name] = None

    def _needed(self, op: Op) -> bool:
        return any(self.readers.get(name) or name in self.graph.outputs for name in op.outputs)

    def only_reader(self, tensor: str) -> Op | None:
        """The op that reads ``tensor`` where it is the only one and no output of the graph."""
        readers = self.readers.get(tensor, {})
        return self.ops[next(iter(readers))] if len(readers) == 1 and tensor not in self.graph.outputs else None

    def put(self, op: Op) -> None:
        """Replace the op of the same name."""
        self.drop(op.name)
        self.ops[op.name] = op
        self._read(op)
        self.maker.update(dict.fromkeys(op.outputs, op.name))

    def insert(self, op: Op, after: str, *tensors: Tensor) -> None:
        """Add a new op, and the tensors that it makes, right behind another."""
        self.tensors.update({tensor.name: tensor for tensor in tensors})
        self.place[op.name] = (*self.place[after], 1.0)
        self.put(op)

    def drop(self, name: str) -> None:
        """Take an op out; what it made has no maker until another op takes it over."""
        op = self.ops.pop(name, None)
        if op is None:
            return
        for each in op.inputs:
            self.readers[each].pop(name, None)
        for each in op.outputs:
            if self.maker.get(each) == name:
                del self.maker[each]

    def take_over(self, taken: str, source: str) -> None:
        """The op that makes ``source`` makes ``taken`` instead, and who read ``source`` reads that.

        The names downstream stay as they were, so that outputs, loops and carried states hold.
        """
        self.check_take_over(source)
        readers = [self.ops[name] for name in self.readers.get(source, {})]
        self.tensors[taken] = replace(self.tensors[source], name=taken)
        for op in readers:
            self.reread(op.name, source, taken)
        maker = self.ops[self.maker[source]]
        self.put(replace(maker, outputs=tuple(taken if name == source else name for name in maker.outputs)))

    def check_take_over(self, source: str) -> None:
        """Refuse where `take_over` cannot be."""
        if source not in self.maker:
            raise CannotChangeError(f"would leave {source!r}, an input of the graph, in its place")
        if source in self.graph.outputs:
            raise CannotChangeError(f"would leave {source!r}, an output of the graph, in its place")
        if any(isinstance(self.ops[name], Loop) for name in self.readers.get(source, {})):
            raise CannotChangeError(f"would leave {source!r}, which a loop reads, in its place")

    def reread(self, op_name: str, old: str, new: str) -> None:
        """Let an op read ``new`` where it read ``old``."""
        op = self.ops[op_name]
        self.put(replace(op, inputs=tuple(new if name == old else name for name in op.inputs)))

    def fresh(self, name: str) -> str:
        """``name``, or with marks behind where an op or tensor has it."""
        while name in self.ops or name in self.tensors:
            name += "'"
        return name

    def finish(self) -> Graph:
        """The graph without what the edits left idle, in the old order as far as producers allow."""
        ops = self._ordered(self._live())
        used = {name for op in ops for name in (*op.inputs, *op.outputs)}
        used |= {*self.graph.inputs, *self.graph.outputs}
        used |= self.graph.tensors.keys() - {n for op in self.graph.ops for n in (*op.inputs, *op.outputs)}
        return self.graph.with_tensors({name: each for name, each in self.tensors.items() if name in used}, ops)

    def _live(self) -> list[Op]:
        """Ops that an output of the graph needs; those that nobody needed from the start stay too."""
        live: set[str] = set()
        waiting = [self.maker[name] for name in self.graph.outputs if name in self.maker]
        waiting += [name for name in self._idle if name in self.ops]
        while waiting:
            name = waiting.pop()
            if name not in live:
                live.add(name)
                waiting.extend(self.maker[each] for each in self.ops[name].inputs if each in self.maker)
        return [op for op in self.ops.values() if op.name in live]

    def _ordered(self, ops: Sequence[Op]) -> tuple[Op, ...]:
        """Each op after those that make what it reads, otherwise by place."""
        by_name = {op.name: op for op in ops}
        needs = {op.name: {self.maker[name] for name in op.inputs if name in self.maker} for op in ops}
        needed_by: dict[str, list[str]] = {}
        for name, makers in needs.items():
            for maker in makers:
                needed_by.setdefault(maker, []).append(name)
        ready = [(self.place[name], name) for name, makers in needs.items() if not makers]
        heapq.heapify(ready)
        made: list[Op] = []
        while ready:
            _, name = heapq.heappop(ready)
            made.append(by_name[name])
            for reader in needed_by.get(name, ()):
                needs[reader].discard(name)
                if not needs[reader]:
                    heapq.heappush(ready, (self.place[reader], reader))
        return tuple(made)


def in_bodies(graph: Graph, change: Callable[[Graph], Changes]) -> Changes:
    """``change`` applied to the bodies of loops, innermost first, and then to the graph itself."""
    made: list[Change] = []
    kept: list[Change] = []
    ops: list[Op] = []
    orphans: set[str] = set()
    changed: dict[str, Tensor] = {}  # weights that the outer graph lists as well
    for op in graph.ops:
        if not isinstance(op, Loop):
            ops.append(op)
            continue
        inner = in_bodies(op.body, change)
        made.extend(inner.made)
        kept.extend(inner.kept)
        gone = op.body.tensors.keys() - inner.graph.tensors.keys()
        inputs = tuple(name for name in op.inputs if name not in gone)
        orphans |= gone & set(op.inputs)
        weights = (each for each in inner.graph.tensors.values() if each.role in ("weight", "constant"))
        changed |= {each.name: each for each in weights if each.name in graph.tensors}
        ops.append(replace(op, body=inner.graph, inputs=inputs))
    if made:
        graph = graph.with_tensors(_without(graph, orphans, ops) | changed, tuple(ops))
    outer = change(graph)
    return Changes(outer.graph, (*outer.made, *made), (*outer.kept, *kept))


def _without(graph: Graph, orphans: Iterable[str], ops: Sequence[Op]) -> dict[str, Tensor]:
    """The tensors of ``graph`` without weights that only bodies read, which do so no more."""
    used = {name for op in ops for name in (*op.inputs, *op.outputs)} | {*graph.inputs, *graph.outputs}
    idle = {name for name in orphans if name not in used}
    return {name: tensor for name, tensor in graph.tensors.items() if name not in idle}

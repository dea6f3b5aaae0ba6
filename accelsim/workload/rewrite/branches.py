"""The two sides of a skip connection: which is the shortcut, which the branch, and what lies on each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from accelsim.errors import UnknownNameError
from accelsim.workload.graph import Graph, Residual
from accelsim.workload.ops import Elementwise, Move, Op, Reduce
from accelsim.workload.residuals import Descent
from accelsim.workload.rewrite.draft import CannotChangeError

__all__ = ["Joint", "Sides", "check_match", "chosen", "described"]


@dataclass(frozen=True, slots=True)
class Joint:
    """The op that ends a skip connection, with the skip as `Graph.residuals` tells it."""

    op: Op
    skip: Residual


@dataclass(frozen=True, slots=True)
class _Side:
    """A way from the common ancestor to an operand of a join; ``ops`` are indices."""

    operand: str
    ops: tuple[int, ...]
    macs: int


class Sides:
    """Finds the sides of the joins of one graph."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.descent = Descent(graph)
        self.readers: dict[str, list[Op]] = {}
        for op in graph.ops:
            for name in op.inputs:
                self.readers.setdefault(name, []).append(op)

    def add(self, joint: Joint) -> tuple[str, str, str]:
        """(common ancestor, operand of the branch, operand of the shortcut) of an add.

        The shortcut is the side with fewer MACs between the latest common ancestor and the add.

        Raises:
            CannotChangeError: the add is no residual of layers: it adds to attention scores, or both sides work alike.
        """
        if self._scores(joint.op.outputs[0]):
            raise CannotChangeError("adds to attention scores: no skip connection of layers")
        ancestor = self._ancestor(joint.op.inputs)
        first, second = (self._side(ancestor, name) for name in joint.op.inputs)
        if first.macs == second.macs:
            raise CannotChangeError("has two sides of equal work: neither is the shortcut")
        branch, shortcut = (first, second) if first.macs > second.macs else (second, first)
        return ancestor, branch.operand, shortcut.operand

    def concat(self, joint: Joint) -> tuple[str, ...]:
        """The operands of a concat that are shortcuts: no op with MACs since an ancestor shared with a later operand.

        Raises:
            CannotChangeError: all operands work: parallel branches, not a skip connection.
        """
        number = self.descent.number
        operands = sorted({name for name in joint.op.inputs if name in number}, key=lambda name: number[name])
        found = []
        for index, name in enumerate(operands):
            later = [other for other in operands[index + 1 :] if self._common((name, other))]
            if any(self._shortcut(name, other) for other in later):
                found.append(name)
        if not found:
            raise CannotChangeError("joins parallel branches that all have matrix work: none is a shortcut")
        return tuple(found)

    def _shortcut(self, name: str, other: str) -> bool:
        ancestor = self._ancestor((name, other))
        return not self._side(ancestor, name).macs and self._side(ancestor, other).macs > 0

    def _common(self, operands: tuple[str, ...]) -> int:
        first, second = (self.descent.ancestors[self.descent.number[name]] for name in operands)
        return first & second

    def _ancestor(self, operands: tuple[str, ...]) -> str:
        return self.descent.names[self._common(operands).bit_length() - 1]

    def _side(self, ancestor: str, operand: str) -> _Side:
        """The ops on the ways from ``ancestor`` to ``operand``."""
        start, ancestors = self.descent.number[ancestor], self.descent.ancestors
        candidates = ancestors[self.descent.number[operand]] >> (start + 1)
        ops: set[int] = set()
        while candidates:
            lowest = candidates & -candidates
            tensor = start + lowest.bit_length()
            if ancestors[tensor] >> start & 1:
                ops.add(self.graph.producers[self.descent.names[tensor]])
            candidates ^= lowest
        return _Side(operand, tuple(sorted(ops)), sum(self.graph.ops[index].macs for index in ops))

    def chain(self, ancestor: str, operand: str) -> list[tuple[Op, str]]:
        """The ops from ``ancestor`` to ``operand`` in order, each with the tensor that it takes along the way.

        Raises:
            CannotChangeError: the branch forks on its way, as attention and gates do.
        """
        side = self._side(ancestor, operand)
        on_way = {ancestor} | {name for index in side.ops for name in self.graph.ops[index].outputs}
        links: list[tuple[Op, str]] = []
        here = operand
        while here != ancestor:
            op = self.graph.ops[self.graph.producers[here]]
            read = [name for name in op.inputs if name in on_way]
            if len(read) != 1:
                raise CannotChangeError("is around a branch that forks: it has no single row of layers")
            links.append((op, read[0]))
            here = read[0]
        return links[::-1]

    def _scores(self, tensor: str) -> bool:
        """Whether a softmax reads ``tensor``, maybe behind element-wise work."""
        for _ in range(4):
            readers = self.readers.get(tensor, [])
            if len(readers) != 1:
                return False
            op = readers[0]
            if isinstance(op, Reduce):
                return op.function in ("softmax", "log_softmax")
            if not isinstance(op, Elementwise | Move):
                return False
            tensor = op.outputs[0]
        return False


def chosen(graph: Graph, match: str, joins: str) -> Iterator[Joint]:
    """The skip connections of ``graph`` itself whose join is called as ``match`` says, in op order."""
    ops = {op.name: op for op in graph.ops}
    for skip in graph.residuals:
        if skip.op in ops and joins in ("all", skip.join) and fnmatchcase(skip.op, match):
            yield Joint(ops[skip.op], skip)


def check_match(graph: Graph, match: str) -> None:
    """Refuse a pattern that matches no skip connection."""
    names = [skip.op for skip in graph.residuals]
    if match != "*" and not any(fnmatchcase(name, match) for name in names):
        raise UnknownNameError("skip connection, or pattern of them,", match, names, file=f"workload {graph.name}")


def described(skip: Residual) -> str:
    """A skip in words, for reports."""
    kind = "identity" if skip.identity else "projected"
    return f"{kind} {skip.join} skip over {skip.span_ops} ops, {skip.bytes:,} bytes held"

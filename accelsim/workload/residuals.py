"""Skip connections: where a tensor meets what was computed from it."""

from __future__ import annotations

from itertools import combinations
from typing import Literal

from accelsim.workload.graph import Graph, Residual
from accelsim.workload.ops import Elementwise, Loop, Move, Op
from accelsim.workload.vector_work import FUSED

__all__ = ["Descent", "find_residuals"]


def find_residuals(graph: Graph) -> tuple[Residual, ...]:
    """The adds and concats that join two activations of common descent with matrix work in between, in op order.

    Two tensors qualify if they have a common ancestor tensor (a tensor is an ancestor of itself; weights and
    constants are nobody's) and an op with MACs lies between the latest of those, by op order, and one of the two.
    An add counts if it has two operands, both of its output's shape, and they qualify; a concat if any two of its
    operands do. So a mask added again in each layer counts too: it meets what was computed with it.

    Of each join this tells ``identity``: one of the two sides has no op with MACs; ``span_ops``: from the producer
    of the operand made first to the join (a graph input counts as made just before the first op); ``bytes``: of
    that operand. Bodies of loops are looked at by themselves, after the ops outside.

    Complexity: ancestors are bit sets, so O(ops * tensors / 64) words of time and memory, and for each join at most
    one bit test for each op with MACs between its operands. A chain of 5,000 ops takes well under a second.
    """
    descent = Descent(graph)
    found = [each for index, op in enumerate(graph.ops) if (each := descent.join(index, op)) is not None]
    for op in graph.ops:
        if isinstance(op, Loop):
            found.extend(find_residuals(op.body))
    return tuple(found)


class Descent:
    """Who descends from whom. Tensors are numbered as they are made; bit i of a set stands for tensor i."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.names: list[str] = []
        self.number: dict[str, int] = {}
        self.ancestors: list[int] = []  # of each tensor, itself included
        self.worked = 0  # the tensors that ops with MACs make
        for name in graph.inputs:
            self._add(name, 0)
        for op in graph.ops:
            inherited = 0
            for name in op.inputs:
                if name in self.number:
                    inherited |= self.ancestors[self.number[name]]
            if op.macs:
                self.worked |= ((1 << len(op.outputs)) - 1) << len(self.ancestors)
            for name in op.outputs:
                self._add(name, inherited)

    def _add(self, name: str, inherited: int) -> None:
        self.number[name] = len(self.names)
        self.names.append(name)
        self.ancestors.append(inherited | 1 << self.number[name])

    def join(self, index: int, op: Op) -> Residual | None:
        """The skip connection that ends in ``op``, the graph's op at ``index``, if one does."""
        tensors = self.graph.tensors
        if isinstance(op, Elementwise) and op.function.partition(FUSED)[0] == "add":
            shape = tensors[op.outputs[0]].shape
            fit = len(op.inputs) == 2 and all(n in self.number and tensors[n].shape == shape for n in op.inputs)
            pairs = combinations(sorted(self.number[name] for name in op.inputs), 2) if fit else iter(())
        elif isinstance(op, Move) and op.function == "concat":
            pairs = combinations(sorted({self.number[name] for name in op.inputs if name in self.number}), 2)
        else:
            return None
        for earlier, later in pairs:
            common = self.ancestors[earlier] & self.ancestors[later]
            latest = common.bit_length() - 1
            worked = [self._work_between(latest, side) for side in (earlier, later)] if common else [False]
            if any(worked):
                return self._residual(index, op, earlier, identity=not all(worked))
        return None

    def _work_between(self, ancestor: int, tensor: int) -> bool:
        """Whether an op with MACs lies on a way from one tensor to the other."""
        candidates = (self.ancestors[tensor] & self.worked) >> (ancestor + 1)
        while candidates:
            lowest = candidates & -candidates
            if self.ancestors[ancestor + lowest.bit_length()] >> ancestor & 1:
                return True
            candidates ^= lowest
        return False

    def _residual(self, index: int, op: Op, earlier: int, *, identity: bool) -> Residual:
        name = self.names[earlier]
        span = index - self.graph.producers.get(name, -1)
        join: Literal["add", "concat"] = "add" if isinstance(op, Elementwise) else "concat"
        return Residual(op.name, join, identity, span, int(self.graph.tensors[name].bytes))

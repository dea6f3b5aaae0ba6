"""The longest chain of ops that depend on each other: what no amount of hardware runs at the same time.

Recurrent layers count as they run, time step by time step, and loops as their steps carry states: a loop of n steps is
the longest way through n copies of its body, found in closed form (max-plus powers of the ways from state to state),
so that 10,000 steps cost no more than two. Where loops nest, an inner one counts as its longest way, which bounds the
chain from above.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from accelsim.workload.expand import expanded
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Loop, Move, Op

__all__ = ["CriticalPath", "critical_path", "sequential_steps"]

_NO_WAY = -(1 << 62)
"""Length of a way that does not exist; far below any other, and two of them still fit 64 bits as Python integers."""


@dataclass(frozen=True, slots=True)
class CriticalPath:
    """Longest chains: ``ops`` of the chain with most ops (views count 0), ``macs`` of the one with most MACs."""

    ops: int
    macs: int


def critical_path(graph: Graph) -> CriticalPath:
    """The critical path of a graph; time is linear in its ops, times the states of a loop body."""
    plain = expanded(graph)
    return CriticalPath(_longest(plain, _count), _longest(plain, lambda op: op.macs))


def sequential_steps(graph: Graph) -> int:
    """Time steps that run one after the other in the longest chain of recurrent layers and loops."""
    return _longest(expanded(graph), _nothing, steps=True)


def _nothing(_op: Op) -> int:
    return 0


def _count(op: Op) -> int:
    return 0 if isinstance(op, Move) and op.view else 1


def _longest(graph: Graph, weight: Callable[[Op], int], *, steps: bool = False) -> int:
    ends = _ends(graph, weight, {}, steps=steps)
    return max((ends[name] for op in graph.ops for name in op.outputs), default=0)


def _ends(
    graph: Graph, weight: Callable[[Op], int], starts: Mapping[str, int], *, only: bool = False, steps: bool = False
) -> dict[str, int]:
    """Length of the longest way to each tensor. Ways begin with ``starts``; unless ``only``, anywhere else at 0 too."""
    ends = dict(starts)
    floor = _NO_WAY if only else 0
    for op in graph.ops:
        before = max((ends.get(name, floor) for name in op.inputs), default=floor)
        own = _loop(op, weight, steps=steps) if isinstance(op, Loop) else weight(op)
        length = before if before == _NO_WAY else before + own
        ends.update(dict.fromkeys(op.outputs, length))
    return ends


def _loop(op: Loop, weight: Callable[[Op], int], *, steps: bool) -> int:
    """The longest way through all steps of a loop."""
    body = op.body
    extra = 1 if steps else 0  # a step itself
    once = max(_ends(body, weight, {}, steps=steps).values(), default=0) + extra
    if op.steps == 1 or not op.carried:
        return max(0, once)
    made, read = ([pair[place] for pair in op.carried] for place in (0, 1))
    before = _ends(body, weight, {}, steps=steps)
    first = [before.get(name, 0) + extra for name in made]
    ways = np.full((len(read), len(made)), _NO_WAY, dtype=object)
    last = [0] * len(read)
    # Row i starts at the state that pair i carries into, column j ends at what pair j carries on.
    for row, state in enumerate(read):
        ends = _ends(body, weight, {state: 0}, only=True, steps=steps)
        ways[row] = [_plus(ends.get(name, _NO_WAY), extra) for name in made]
        last[row] = _plus(max(ends.values(), default=_NO_WAY), extra)
    np.fill_diagonal(ways, np.maximum(ways.diagonal(), 0))  # a chain may begin late, or end early
    power = _power(ways, op.steps - 2)
    through = [max(_plus(start, power[i, j]) for i, start in enumerate(first)) for j in range(len(made))]
    return max(0, once, *(_plus(way, end) for way, end in zip(through, last, strict=True)))


def _plus(first: int, second: int) -> int:
    return _NO_WAY if _NO_WAY in (first, second) else first + second


def _power(ways: np.ndarray, exponent: int) -> np.ndarray:
    """Longest ways over ``exponent`` steps, from each state to each."""
    size = len(ways)
    result = np.full((size, size), _NO_WAY, dtype=object)
    np.fill_diagonal(result, 0)
    while exponent > 0:
        if exponent & 1:
            result = _product(result, ways)
        ways = _product(ways, ways)
        exponent >>= 1
    return result


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    sums = left[:, :, None] + right[None, :, :]
    best: np.ndarray = sums.max(axis=1)
    best[best < _NO_WAY // 2] = _NO_WAY
    return best

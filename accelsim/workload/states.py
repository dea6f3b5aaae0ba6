"""Which inputs of a graph are states: what a recurrent layer or a loop starts from."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from accelsim.workload.ops import Loop, Move, Op, Recurrent

__all__ = ["state_inputs"]


def state_inputs(ops: Iterable[Op], inputs: Collection[str]) -> set[str]:
    """Those of ``inputs`` that reach the first state of a recurrent layer or loop without any arithmetic on the way."""
    ops = tuple(ops)
    producers = {output: op for op in ops for output in op.outputs}
    found: set[str] = set()
    seen: set[str] = set()
    waiting = [name for op in ops if isinstance(op, Recurrent) for name in op.inputs[3:]]
    waiting += [read for op in ops if isinstance(op, Loop) for _, read in op.carried if read in op.inputs]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        op = producers.get(name)
        if name in inputs:
            found.add(name)
        elif isinstance(op, Move):
            waiting.extend(op.inputs)
    return found

"""What steers a program: `cond` as the branch that it takes, `scan` and `while_loop` as their steps, written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from accelsim.workload.outcomes import TAKEN, checked_choice
from accelsim.workload.torch.names import COND
from accelsim.workload.torch.plain import Value
from accelsim.workload.torch.program import Argument, Body, Call, TensorType

if TYPE_CHECKING:
    from accelsim.workload.torch.walk import Scope, Walk

__all__ = ["CONTROL", "MAX_REPEATED_CALLS"]

_CHOICES = ("then", "else")

MAX_REPEATED_CALLS = 20_000


def _cond(walk: Walk, call: Call, scope: Scope) -> None:
    """Condition, two subgraphs, operands; what it is decided by is computed either way."""
    condition, then, other, operands = (*call.arguments.values(), None, None, None, None)[:4]
    if not (isinstance(then, Body) and isinstance(other, Body) and isinstance(operands, tuple)):
        raise walk.program.source.error("has no two subgraphs", f"node {call.name}")
    held = walk.held(condition, scope)
    name = f"{walk.path}{call.name}"
    if isinstance(held, bool | int | float):
        word = "then" if held else "else"
    else:
        word = _choice(walk, name)
        walk.facts[f"{TAKEN}{name}"] = word
    walk.decides(held)
    outer, walk.path = walk.path, f"{name}.{word}."
    inner = then if word == "then" else other
    walk.bind(call, walk.enter(inner, [walk.held(each, scope) for each in operands]), scope)
    walk.path = outer


def _choice(walk: Walk, name: str) -> str:
    """What the user said of the `torch.cond` called ``name``."""
    source = walk.program.source
    given = walk.branches.get(name, walk.branches.get("*"))
    if given is None:
        remedy = f"say which one with branches (--branch {name}=then, else, dearest or a probability of then)"
        rule = "chooses a branch by data that is known only at run time"
        raise source.unsupported(rule, f"node {name} ({COND})", remedy=remedy)
    return checked_choice(given, _CHOICES, source.file, f"branches.{name}")


def _scan(walk: Walk, call: Call, scope: Scope) -> None:
    """Body, first states, scanned tensors (first axis), tensors read whole; the body makes states, then slices."""
    (body,), (first, scanned, rest) = _arguments(call, walk, 1)
    states = [walk.held(each, scope) for each in first]
    sources = [walk.value(each, scope, call) for each in scanned]
    lengths = {source.type.shape[0] for source in sources if source.type.shape}
    if len(lengths) != 1:
        raise walk.program.source.error("scans tensors of different lengths, or none", f"node {call.name}")
    steps = lengths.pop()
    more = [walk.held(each, scope) for each in rest]
    _check_budget(walk, call, steps, body)
    made: list[list[Value]] = [[] for _ in body.outputs[len(states) :]]
    for step in range(steps):
        slices = [walk.cell(_slice(walk, call, source, step)) for source in sources]
        results = walk.enter(body, [*states, *slices, *more])
        states = results[: len(states)]
        for piece, held in zip(made, results[len(states) :], strict=True):
            piece.append(walk.value_of(held, call))
    walk.bind(call, [*states, *(walk.cell(_stacked(walk, piece)) for piece in made)], scope)


def _while(walk: Walk, call: Call, scope: Scope) -> None:
    """Condition and body, states, tensors read whole; it runs as often as the user said."""
    (condition, body), (first, rest) = _arguments(call, walk, 2)
    name = f"{walk.path}{call.name}"
    steps = walk.trips.get(name, walk.trips.get("*"))
    if steps is None:
        raise walk.program.source.unsupported(
            "runs as often as its data says", f"node {name} ({call.target})",
            remedy=f"say how often with trips (--trips {name}=N)",
        )  # fmt: skip
    states = [walk.held(each, scope) for each in first]
    more = [walk.held(each, scope) for each in rest]
    _check_budget(walk, call, steps + 1, condition)
    _check_budget(walk, call, steps, body)
    walk.facts[f"steps of {name}"] = steps
    for step in range(steps + 1):
        for held in walk.enter(condition, [*states, *more]):
            walk.decides(held)
        if step < steps:
            states = walk.enter(body, [*states, *more])
    walk.bind(call, states, scope)


CONTROL: dict[str, Callable[[Walk, Call, Scope], None]] = {
    COND: _cond,
    "higher_order::scan": _scan,
    "higher_order::while_loop": _while,
}


def _arguments(call: Call, walk: Walk, bodies: int) -> tuple[list[Body], list[tuple[Argument, ...]]]:
    """The subgraphs and lists of a loop, in order."""
    given = tuple(call.arguments.values())
    inner = [each for each in given[:bodies] if isinstance(each, Body)]
    lists = [each for each in given[bodies:] if isinstance(each, tuple)]
    if len(inner) != bodies or len(lists) != 4 - bodies or len(given) != 4:
        raise walk.program.source.error("has no subgraph with its operands", f"node {call.name}")
    return inner, lists


def _check_budget(walk: Walk, call: Call, steps: int, body: Body) -> None:
    walk.repeated += steps * (len(body.calls) + 1)
    if walk.repeated > MAX_REPEATED_CALLS:
        rule = f"unrolls to more than {MAX_REPEATED_CALLS} calls, together with the other loops of the program"
        raise walk.program.source.unsupported(rule, f"node {call.name} ({call.target})", value=steps)


def _slice(walk: Walk, call: Call, source: Value, step: int) -> Value:
    """What one step reads; of a stored tensor, a part of it."""
    kind = TensorType(source.type.dtype, source.type.shape[1:], source.type.strides[1:])
    name = f"{call.name}.{source.name}.{step}"
    part = walk.stored_view(call, "select", {"self": source, "dim": 0, "index": step}, {name: kind})
    return part.get(name) or walk.derived(source, "select", (source,), kind)


def _stacked(walk: Walk, pieces: list[Value]) -> Value:
    first = pieces[0].type
    size = first.elements
    kind = TensorType(first.dtype, (len(pieces), *first.shape), (size, *first.strides))
    return walk.derived(pieces[0], "stack", tuple(pieces), kind)

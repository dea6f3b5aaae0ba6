"""`Loop` and `Scan` with a known or given number of steps.

Where every step has the same shapes the node becomes one op that repeats a body (a `workload.ops.Loop`). Where shapes
change from step to step, tensors are collected in a sequence, or constants alone decide when to stop, the steps are
written out one after the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.branches import node_name
from accelsim.workload.onnx.constants import array_constant
from accelsim.workload.onnx.model import TensorType, text
from accelsim.workload.onnx.names import Scope
from accelsim.workload.onnx.read import subgraphs
from accelsim.workload.onnx.repeat import Repeat, Scanned, Stacked, State
from accelsim.workload.onnx.rolled import NotOneBodyError, Rolled
from accelsim.workload.onnx.sequences import stacked
from accelsim.workload.onnx.walk import Walk, controls

__all__: list[str] = []


@controls("Loop")
def _loop(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    """Inputs: trip count, condition, first states. Body: number, condition, states -> condition, states, slices."""
    name = node_name(proto)
    where = f"node {name!r} (ai.onnx::Loop)"
    body = _body(walk, proto, where)
    inputs = [walk.names.look_up(text(each), scope, where) for each in proto.input]
    outer, inner, made = inputs[2:], [text(each.name) for each in body.input], [text(each.name) for each in body.output]
    outputs = [text(each) for each in proto.output]
    if len(inputs) < 2 or len(inner) != len(outer) + 2 or len(made) != len(outputs) + 1 or len(outputs) < len(outer):
        raise walk.source.error("has a body whose inputs or outputs do not fit its own", where)
    count = len(outer)
    states = tuple(State(*each) for each in zip(outer, inner[2:], made[1 : 1 + count], outputs[:count], strict=True))
    stacks = tuple(Stacked(*each, 0) for each in zip(made[1 + count :], outputs[count:], strict=True))
    given = walk.options.steps(name)
    repeat = Repeat(
        walk, proto, scope, prefix, name, body, _trips(walk, inputs, given, where), given is not None, states, (),
        stacks, inner[0], inner[1], made[0], needed,
    )  # fmt: skip
    _written(repeat)


@controls("Scan")
def _scan(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    """Inputs: first states, then scanned tensors. Body: states, slices -> states, slices."""
    name = node_name(proto)
    where = f"node {name!r} (ai.onnx::Scan)"
    body, attributes = _body(walk, proto, where), Attributes(proto)
    if walk.source.opsets.get("", 1) < 9:
        rule = "is of an opset below 9, whose Scan has a batch axis of its own"
        raise UnsupportedError(rule, file=walk.source.file, field=where, remedy="export the model for a newer opset")
    inputs = [walk.names.look_up(text(each), scope, where) for each in proto.input]
    count = len(inputs) - attributes.integer("num_scan_inputs", 0)
    inner, made = [text(each.name) for each in body.input], [text(each.name) for each in body.output]
    outputs = [text(each) for each in proto.output]
    if not 0 <= count < len(inputs) or len(inner) != len(inputs) or len(made) != len(outputs) or len(made) < count:
        raise walk.source.error("has a body whose inputs or outputs do not fit its own", where)
    axes_in = attributes.integers("scan_input_axes") or (0,) * (len(inputs) - count)
    axes_out = attributes.integers("scan_output_axes") or (0,) * (len(outputs) - count)
    if len(axes_in) != len(inputs) - count or len(axes_out) != len(outputs) - count:
        raise walk.source.error("needs one axis for each scanned tensor", where)
    states = tuple(
        State(*each) for each in zip(inputs[:count], inner[:count], made[:count], outputs[:count], strict=True)
    )
    scanned = tuple(Scanned(*each) for each in zip(inputs[count:], inner[count:], axes_in, strict=True))
    stacks = tuple(Stacked(*each) for each in zip(made[count:], outputs[count:], axes_out, strict=True))
    steps = _scan_steps(walk, scanned, where)
    _written(Repeat(walk, proto, scope, prefix, name, body, steps, False, states, scanned, stacks, wanted=needed))


def _body(walk: Walk, proto: Any, where: str) -> Any:
    body = dict(subgraphs(proto)).get("body")
    if body is None:
        raise walk.source.error("lacks its body", where)
    return body


def _trips(walk: Walk, inputs: list[str], given: int | None, where: str) -> int | None:
    """Steps of a `Loop`: given by the user, else its constant trip count; None where only a condition ends it."""
    count, condition = (*inputs, "", "")[:2]
    flag = walk.known_value(condition) if condition else None
    if flag is not None and flag.size == 1 and not flag.reshape(-1)[0]:
        return 0
    value = walk.known_value(count) if count else None
    most = int(value.reshape(-1)[0]) if value is not None and value.size == 1 else None
    if given is not None:
        if most is not None and given > most:
            raise walk.source.error(f"is more than the {most} steps that it allows", where, value=given)
        return given
    if count and most is None:
        raise _endless(walk, where, f"takes its number of steps from {count!r}")
    return None if most is None or most >= 2**62 else max(0, most)


def _endless(walk: Walk, where: str, how: str) -> UnsupportedError:
    name = where.split("'")[1]
    rule = f"{how}, which depends on data that is known only at run time"
    remedy = f"say how often it runs with trips (--trips {name}=N)"
    return UnsupportedError(rule, file=walk.source.file, field=where, remedy=remedy)


def _scan_steps(walk: Walk, scanned: Iterable[Scanned], where: str) -> int:
    sizes = set()
    for each in scanned:
        walk.check_typed(each.source, where)
        shape = walk.types[each.source].shape
        if not -len(shape) <= each.axis < len(shape):
            raise walk.source.error("scans an axis that its input lacks", where, value=each.axis)
        sizes.add(shape[each.axis])
    if len(sizes) != 1:
        raise walk.source.error("scans tensors of different lengths", where, value=sorted(sizes))
    return sizes.pop()


def _written(repeat: Repeat) -> None:
    """As one body if that is possible, else step by step."""
    if repeat.given and repeat.steps is not None:
        repeat.walk.facts[f"steps of {repeat.name}"] = repeat.steps
    if repeat.walk.rolls and repeat.steps is not None and repeat.steps > 1:
        repeat.walk.budget.spend(len(repeat.body.node) + 1, repeat.where, repeat.walk.source)
        try:
            Rolled(repeat).write(repeat.steps)
            return
        except NotOneBodyError:
            pass
        except InputError:  # told again, with what led there, if the steps cannot be written out either
            pass
    _unrolled(repeat)


def _unrolled(repeat: Repeat) -> None:
    """All steps, one after the other."""
    walk, current = repeat.walk, [each.initial for each in repeat.states]
    pieces: list[list[str]] = [[] for _ in repeat.stacks]
    if repeat.steps is not None and repeat.never_ends_early():
        walk.budget.check(repeat.steps * (len(repeat.body.node) + 1), repeat.where, walk.source)
    step = 0
    while repeat.steps is None or step < repeat.steps:
        walk.budget.spend(len(repeat.body.node) + 1, repeat.where, walk.source)
        scope, path = repeat.scope.new_child(), f"{repeat.path}/{step}"
        _step_inputs(repeat, scope, path, step, current)
        walk.graph(repeat.body, scope, repeat.needs(), path)
        current = [walk.names.look_up(each.made, scope, repeat.where) for each in repeat.states]
        for stack, found in zip(repeat.stacks, pieces, strict=True):
            if stack.output in repeat.wanted:
                found.append(walk.names.look_up(stack.made, scope, repeat.where))
        step += 1
        if _ends(repeat, scope):
            break
    for state, name in zip(repeat.states, current, strict=True):
        if state.output in repeat.wanted:
            walk.alias(name, state.output, repeat.scope, repeat.prefix, f"{repeat.path}/{state.output}")
    for stack, found in zip(repeat.stacks, pieces, strict=True):
        if stack.output in repeat.wanted:
            name = walk.names.declare(stack.output, repeat.scope, repeat.prefix)
            stacked(walk, tuple(found), name, stack.axis, repeat.where, new_axis=True)


def _step_inputs(repeat: Repeat, scope: Scope, path: str, step: int, current: list[str]) -> None:
    walk = repeat.walk
    for state, name in zip(repeat.states, current, strict=True):
        scope[state.read] = name
    for inner, value in ((repeat.counter, np.array(step, dtype=np.int64)), (repeat.flag, np.array(True))):
        if inner:
            name = walk.names.declare(inner, scope, path)
            walk.add_constant(name, array_constant(name, value))
    for scanned in repeat.scanned:
        kind = walk.types[scanned.source]
        axis = scanned.axis % len(kind.shape)
        name = walk.names.declare(scanned.read, scope, path)
        walk.types[name] = TensorType(kind.element, (*kind.shape[:axis], *kind.shape[axis + 1 :]))
        sliced = onnx.helper.make_node("Slice", [scanned.source], [name], axis=axis, step=step)
        walk.append(walk.made("Slice", f"{path}/{scanned.read}", (scanned.source,), (name,), sliced))


def _ends(repeat: Repeat, scope: Scope) -> bool:
    """Whether the condition that a step made ends the loop; one that the data makes needs a given number of steps."""
    if not repeat.goes_on:
        return False
    name = repeat.walk.names.look_up(repeat.goes_on, scope, repeat.where)
    value = repeat.walk.known_value(name)
    if value is not None and value.size == 1:
        return not bool(value.reshape(-1)[0])
    if not repeat.given:
        raise _endless(repeat.walk, repeat.where, f"goes on while {name!r} is true")
    return False

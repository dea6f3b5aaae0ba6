"""A `Loop` or `Scan` whose steps are all alike, as one body that is repeated."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from accelsim.workload.expand import step_slice
from accelsim.workload.onnx.constants import array_constant
from accelsim.workload.onnx.model import Body, Node, TensorType, text
from accelsim.workload.onnx.repeat import Repeat, State, handed_on
from accelsim.workload.onnx.support import reads

__all__ = ["NotOneBodyError", "Rolled"]

_INT64 = 7


class NotOneBodyError(Exception):
    """The steps of a loop differ, so that no one body stands for all of them."""


class Rolled:
    """One body for all steps; nothing is changed outside before it is known that there is one."""

    def __init__(self, repeat: Repeat) -> None:
        self.repeat, self.outer = repeat, repeat.walk
        self.inner = repeat.walk.trial()
        self.scope = repeat.scope.new_child()
        self.constant_through = handed_on(repeat.body)

    def write(self, steps: int) -> None:
        repeat, inner = self.repeat, self.inner
        self._declare_inputs()
        inner.graph(repeat.body, self.scope, repeat.needs(), repeat.path)
        self._check_goes_on()
        carried, results = self._carried(), self._results()
        used = [made for made, _ in results]
        outputs = tuple(used + [made for made, _ in carried if made not in used])
        nodes, needed = inner.live(outputs)
        made = {name for node in nodes for name in node.outputs}
        from_outside = [name for name in dict.fromkeys(self._reads(nodes, outputs)) if name not in made]
        inputs = tuple(n for n in from_outside if n in needed and n not in inner.constants and n not in self.states)
        self._hand_over(steps, nodes, inputs, outputs, carried, [output for _, output in results])

    @staticmethod
    def _reads(nodes: list[Node], outputs: tuple[str, ...]) -> Iterable[str]:
        for node in nodes:
            yield from filter(None, (*node.inputs, *node.captured))
        yield from outputs

    def _declare_inputs(self) -> None:
        repeat, inner, prefix = self.repeat, self.inner, self.repeat.path
        self.states: dict[str, str] = {}  # state read inside -> first value outside
        firsts = [each.initial for each in repeat.states]
        for state in repeat.states:
            first = state.initial
            self.outer.check_typed(first, repeat.where)
            if self._invariant(state):
                self.scope[state.read] = first
                continue
            # The state goes on under the name of its first value, where that is a tensor of this state alone.
            lone = first not in self.outer.constants and firsts.count(first) == 1 and not self._captured(first)
            name = first if lone else inner.names.declare(state.read, self.scope, prefix)
            self.scope[state.read] = name
            inner.types[name] = self.outer.types[first]
            self.states[name] = first
        for scanned in repeat.scanned:
            kind, name = self.outer.types[scanned.source], step_slice(scanned.source)
            if name in inner.types or scanned.source in self.outer.constants:
                raise NotOneBodyError
            axis = scanned.axis % len(kind.shape)
            inner.types[name] = TensorType(kind.element, (*kind.shape[:axis], *kind.shape[axis + 1 :]))
            self.scope[scanned.read] = name
        if repeat.counter:
            name = inner.names.declare(repeat.counter, self.scope, prefix)
            inner.types[name] = TensorType(_INT64, ())
            self.states[name] = ""
        if repeat.flag:
            name = inner.names.declare(repeat.flag, self.scope, prefix)
            inner.add_constant(name, array_constant(name, np.array(True)))

    def _invariant(self, state: State) -> bool:
        return self.constant_through.get(state.made, state.made) == state.read

    def _captured(self, name: str) -> bool:
        """Whether the body reads an outer tensor beside the states that begin with it."""
        inside = {each for node in self.repeat.body.node for each in reads(node)}
        return any(self.repeat.scope.get(each) == name for each in inside)

    def _check_goes_on(self) -> None:
        if not self.repeat.goes_on or self.repeat.given:
            return
        name = self.inner.names.look_up(self.repeat.goes_on, self.scope, self.repeat.where)
        value = self.inner.known_value(name)
        if value is None or value.size != 1 or not value.reshape(-1)[0]:
            raise NotOneBodyError

    def _made(self, name: str) -> str:
        return self.inner.names.look_up(name, self.scope, self.repeat.where)

    def _carried(self) -> list[tuple[str, str]]:
        found = []
        for state in self.repeat.states:
            if self._invariant(state):
                continue
            made, read = self._made(state.made), self.scope[state.read]
            if made not in self.inner.types or self.inner.types[made] != self.inner.types[read]:
                raise NotOneBodyError
            if made in self.outer.types:  # a tensor from outside: the states are not the same from the second step on
                raise NotOneBodyError
            found.append((made, read))
        return found

    def _results(self) -> list[tuple[str, str]]:
        """(tensor that a step makes, output of the node) of the outputs that are used, each tensor once."""
        repeat, found, seen = self.repeat, [], set()
        finals = [(each.made, each.output) for each in repeat.states if not self._invariant(each)]
        for name, output in (*finals, *((each.made, each.output) for each in repeat.stacks)):
            if output not in repeat.wanted:
                continue
            made = self._made(name)
            if made in seen or made in self.outer.types or made in self.inner.constants or made in self.states:
                made = self._copy(made, output)
            seen.add(made)
            found.append((made, output))
        return found

    def _copy(self, made: str, output: str) -> str:
        """The same tensor under a name of its own."""
        self.inner.check_typed(made, self.repeat.where)
        name = self.inner.names.declare(f"{output}/step", self.scope, self.repeat.path)
        self.inner.types[name] = self.inner.types[made]
        self.inner.append(self.inner.made("Identity", name, (made,), (name,)))
        return name

    def _hand_over(
        self, steps: int, nodes: list[Node], inputs: tuple[str, ...], outputs: tuple[str, ...],
        carried: list[tuple[str, str]], results: list[str],
    ) -> None:  # fmt: skip
        """The node of the outer walk, and its body."""
        repeat, outer = self.repeat, self.outer
        outer.names.keep(self.inner.names)
        made = self._declare_outputs(steps, outputs, results)
        initial = tuple(first for first in self.states.values() if first and first not in outer.constants)
        read = {step_slice(each.source): each.source for each in repeat.scanned}
        captured = tuple(dict.fromkeys(read.get(name, name) for name in inputs))
        name = outer.names.node(text(repeat.proto.name), text(repeat.proto.op_type), repeat.prefix)
        node = Node(
            name, text(repeat.proto.op_type), "", outer.source.opsets.get("", 1), initial, made, captured, repeat.proto
        )
        plain = self.inner.plain(nodes, inputs, outputs)
        outer.bodies[name] = Body(plain, steps, tuple(carried), frozenset(self.states), initial, made)
        outer.facts.update(self.inner.facts)
        outer.append(node)
        for state in repeat.states:
            if self._invariant(state) and state.output in repeat.wanted:
                outer.alias(state.initial, state.output, repeat.scope, repeat.prefix, f"{repeat.path}/{state.output}")

    def _declare_outputs(self, steps: int, outputs: tuple[str, ...], results: list[str]) -> tuple[str, ...]:
        repeat, outer, made = self.repeat, self.outer, []
        axes = {each.output: each.axis for each in repeat.stacks}
        for inside, output in zip(outputs, results, strict=False):
            name = outer.names.declare(output, repeat.scope, repeat.prefix)
            kind = self.inner.types[inside]
            if output in axes:
                axis = axes[output] % (len(kind.shape) + 1)
                kind = TensorType(kind.element, (*kind.shape[:axis], steps, *kind.shape[axis:]))
            outer.types[name] = kind
            made.append(name)
        return tuple(made)

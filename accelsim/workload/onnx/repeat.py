"""One `Loop` or `Scan` of a model: what it carries, scans and stacks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from accelsim.workload.onnx.model import text
from accelsim.workload.onnx.names import Scope
from accelsim.workload.onnx.walk import Walk

__all__ = ["Repeat", "Scanned", "Stacked", "State", "handed_on"]


@dataclass(frozen=True, slots=True)
class State:
    """A tensor carried from step to step: its first value outside, its names inside, and the node's output."""

    initial: str
    read: str
    made: str
    output: str


@dataclass(frozen=True, slots=True)
class Scanned:
    """A tensor of which each step reads a slice."""

    source: str
    read: str
    axis: int


@dataclass(frozen=True, slots=True)
class Stacked:
    """A tensor of which each step makes a slice."""

    made: str
    output: str
    axis: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """One `Loop` or `Scan`, its inputs and outputs told apart.

    Attributes:
        walk, proto, scope, prefix: the node and where it stands.
        name: what the user calls it.
        body: the GraphProto that is repeated.
        steps: how often; None where a condition alone ends it.
        given: whether the user gave the steps.
        counter, flag: body inputs for the step's number and for the condition; "" in a `Scan`.
        goes_on: body output that says whether another step follows; "" in a `Scan`.
    """

    walk: Walk
    proto: Any
    scope: Scope
    prefix: str
    name: str
    body: Any
    steps: int | None
    given: bool
    states: tuple[State, ...]
    scanned: tuple[Scanned, ...]
    stacks: tuple[Stacked, ...]
    counter: str = ""
    flag: str = ""
    goes_on: str = ""
    wanted: set[str] = field(default_factory=set)

    @property
    def where(self) -> str:
        return f"node {self.name!r} (ai.onnx::{text(self.proto.op_type)})"

    @property
    def path(self) -> str:
        return f"{self.prefix}/{self.name}" if self.prefix else self.name

    def needs(self) -> set[str]:
        """Body outputs that a step must make."""
        kept = {each.made for each in self.stacks if each.output in self.wanted}
        return kept | {each.made for each in self.states} | ({self.goes_on} - {""})

    def never_ends_early(self) -> bool:
        """Whether the condition is only handed on, so that the number of steps alone ends the loop."""
        return handed_on(self.body).get(self.goes_on, self.goes_on) == self.flag


def handed_on(body: Any) -> dict[str, str]:
    """What the tensors of a body are that only pass through `Identity` nodes."""
    same: dict[str, str] = {}
    for node in body.node:
        if text(node.op_type) == "Identity" and len(node.input) == len(node.output) == 1:
            source = text(node.input[0])
            same[text(node.output[0])] = same.get(source, source)
    return same

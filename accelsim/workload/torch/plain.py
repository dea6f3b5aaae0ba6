"""The plain form of a program: what the walk makes and the converters read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from accelsim.workload.torch.program import Program, TensorType

__all__ = ["Origin", "Plain", "PlainCall", "Resolved", "Value", "tensors_in"]

Origin = Literal["data", "parameter", "buffer", "constant"]


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """A tensor.

    Attributes:
        name: unique over the whole program.
        type: sizes of the tensor as it is read.
        origin: ``data`` is what a run brings or makes, stored tensors are a parameter or a buffer, and a constant
            was computed from buffers and sizes alone.
        stored: the type of the tensor that keeps its elements. It differs from ``type`` for a view of a parameter or
            buffer, which bears the name of that.
    """

    name: str
    type: TensorType
    origin: Origin
    stored: TensorType


Resolved = None | bool | int | float | str | Value | tuple["Resolved", ...]


@dataclass(frozen=True, slots=True)
class PlainCall:
    """A `Call` with values for its arguments; ``key`` is the operator, in its functional form (relu for relu_).

    An output that nothing needs is None.
    """

    name: str
    key: str
    label: str
    arguments: Mapping[str, Resolved]
    outputs: tuple[Value | None, ...]
    module: str

    def tensors(self) -> Iterator[Value]:
        """The tensors that it reads, in order."""
        yield from tensors_in(tuple(self.arguments.values()))


@dataclass(frozen=True, slots=True)
class Plain:
    """A program in plain form: every size known, no subgraphs, no writes in place, nothing that no output needs.

    ``states`` are stored tensors or inputs that the program writes: what they become is among the outputs. ``facts``
    are what was decided on the way, for provenance.
    """

    program: Program
    calls: tuple[PlainCall, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    states: frozenset[str]
    batch: int
    facts: Mapping[str, str | int] = field(default_factory=dict)


def tensors_in(argument: Resolved) -> Iterator[Value]:
    """The tensors in an argument, in order."""
    if isinstance(argument, Value):
        yield argument
    elif isinstance(argument, tuple):
        for each in argument:
            yield from tensors_in(each)

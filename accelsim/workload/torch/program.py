"""What the readers of the torch front end hand on: an exported program as plain records, sizes possibly symbolic.

Two readers make these records: `exported` from a `torch.export.ExportedProgram` in memory, `archive` from the JSON
inside a ``.pt2`` file. Everything behind them needs neither torch nor the weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

from accelsim.errors import InputError, UnsupportedError

__all__ = [
    "ELEMENTS", "Argument", "Body", "Call", "Element", "InputKind", "Program", "ProgramInput", "Ref", "Size", "Source",
    "SymbolicTensor", "TensorType",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Element:
    """A dtype: accelsim's format for it, and its bits where it has none.

    FP32 has neither: None is what "not decided yet" means, and counts as FP32 where bytes matter.
    """

    format: str | None = None
    bits: int | None = None


# By the names of torch. Unsigned integers map to the signed format of the same width, which stores alike.
ELEMENTS: Mapping[str, Element] = {
    "float32": Element(),
    "float64": Element(bits=64),
    "float16": Element("fp16"),
    "bfloat16": Element("bf16"),
    "float8_e4m3fn": Element("fp8_e4m3"),
    "float8_e4m3fnuz": Element("fp8_e4m3_fnuz"),
    "float8_e5m2": Element("fp8_e5m2"),
    "float8_e5m2fnuz": Element("fp8_e5m2_fnuz"),
    "float8_e8m0fnu": Element(bits=8),
    "uint8": Element("int8"),
    "int8": Element("int8"),
    "bool": Element(bits=8),
    "uint16": Element(bits=16),
    "int16": Element(bits=16),
    "uint32": Element(bits=32),
    "int32": Element(bits=32),
    "uint64": Element(bits=64),
    "int64": Element(bits=64),
    "complex32": Element(bits=32),
    "complex64": Element(bits=64),
    "complex128": Element(bits=128),
}

Size = int | str
"""A whole number, or an expression over named sizes as `sympy.srepr` writes it."""

InputKind = Literal["input", "parameter", "buffer", "constant", "other"]


@dataclass(frozen=True, slots=True)
class SymbolicTensor:
    """The type of a tensor as the program states it: dtype by its torch name, sizes and strides in elements."""

    dtype: str
    sizes: tuple[Size, ...]
    strides: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class TensorType:
    """A `SymbolicTensor` with every size known."""

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Ref:
    """A value of the same `Body`, by name: a tensor or a number."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator.

    Attributes:
        name: of the node, unique in its body.
        target: the operator such as ``aten::conv2d``.
        overload: such as ``default``.
        arguments: those given, by the names of the operator's schema; higher-order operators number theirs.
        outputs: names of the values made, in order; None for one that is not used.
        module: dotted path of the module that makes the call, "" for the outermost.
    """

    name: str
    target: str
    overload: str
    arguments: Mapping[str, Argument]
    outputs: tuple[str | None, ...]
    module: str


@dataclass(frozen=True, slots=True)
class Body:
    """A list of calls: the program itself, or a subgraph that a higher-order operator takes.

    Attributes:
        inputs: names of the values that come from outside.
        calls: in execution order.
        outputs: what it returns.
        values: the type of each tensor, the expression of each number; None for a number that the data decides.
    """

    inputs: tuple[str, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Argument, ...]
    values: Mapping[str, SymbolicTensor | Size | float | None]


Argument = None | bool | int | float | str | Ref | Body | tuple["Argument", ...]


@dataclass(frozen=True, slots=True)
class ProgramInput:
    """An input of the program.

    Attributes:
        name: of the value.
        kind: ``input`` is given at each run; parameters, buffers and constants are stored with the program.
        stored: the name under which a stored tensor is kept, such as ``layer1.0.conv1.weight``; two inputs that
            share their storage (tied weights) share this name.
    """

    name: str
    kind: InputKind
    stored: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a program came from, as errors name it."""

    file: str

    def error(
        self, rule: str, field: str | None = None, *, value: object = None, remedy: str | None = None
    ) -> InputError:
        """An InputError about this program, for the caller to raise."""
        return InputError(rule, file=self.file, field=field, value=value, remedy=remedy)

    def unsupported(
        self, rule: str, field: str | None = None, *, value: object = None, remedy: str | None = None
    ) -> UnsupportedError:
        """An UnsupportedError about this program, for the caller to raise."""
        return UnsupportedError(rule, file=self.file, field=field, value=value, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Program:
    """An exported program.

    Attributes:
        source: where it came from.
        name: what reports call it.
        inputs: in order; together the inputs of ``body``.
        body: the calls.
        hints: sizes that the example inputs gave to the named sizes.
        ranges: (least, most) of named sizes; None is open.
    """

    source: Source
    name: str
    inputs: tuple[ProgramInput, ...]
    body: Body
    hints: Mapping[str, int]
    ranges: Mapping[str, tuple[int | None, int | None]]

"""The circuits that are emitted as Verilog: their files, and their parameters under the names of the reference tables.

What each circuit is stands in validation/fpga/README.md, and in its own file below ``verilog/``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.errors import InputError, UnknownNameError

__all__ = ["CIRCUITS", "Column", "Point", "RtlCircuit", "parsed_point", "point"]

Value = int | str


@dataclass(frozen=True, slots=True)
class Column:
    """A parameter of a circuit, called as the column of the reference tables.

    Attributes:
        least, most: bounds of a whole number.
        choices: words that it may be; empty for a whole number.
        default: None where it must be given.
    """

    name: str
    least: int = 1
    most: int = 1 << 20
    choices: tuple[str, ...] = ()
    default: Value | None = None

    def checked(self, value: object, circuit: str) -> Value:
        """``value``, if this parameter may have it.

        Raises:
            InputError: it may not; names the circuit and the parameter.
        """
        if self.choices:
            if value not in self.choices:
                raise UnknownNameError(self.name, str(value), self.choices, file=circuit, field=self.name)
            return str(value)
        if isinstance(value, bool) or not isinstance(value, int) or not self.least <= value <= self.most:
            raise InputError(f"must be a whole number from {self.least} to {self.most}", file=circuit, field=self.name,
                             value=value)  # fmt: skip
        return value


@dataclass(frozen=True, slots=True)
class RtlCircuit:
    """A circuit in Verilog.

    Attributes:
        files: names below ``verilog/`` without their ending. The first holds the top module, which is called so.
        columns: parameters, in the order of names of points.
        fixed: parameters of the top module that make it this circuit.
        sizes: parameter of the top module -> column that it takes, where they are not called alike.
    """

    name: str
    files: tuple[str, ...]
    columns: tuple[Column, ...]
    fixed: Mapping[str, Value]
    sizes: Mapping[str, str]

    @property
    def top(self) -> str:
        """Name of the top module."""
        return self.files[0]


def _sizes(*names: str, least: int = 1) -> tuple[Column, ...]:
    return tuple(Column(name, least) for name in names)


_WORD = (Column("W", most=4096), Column("D", 2))
_SEED = Column("seed", 0, default=1)
_RELU = Column("RELU", 0, 1, default=0)
_OPERANDS = (Column("A", 2, 64), Column("B", 2, 64))
_FIFOS = ("fifo", "fifo_srl", "fifo_lutram", "fifo_block")
_CONVOLUTION = ("conv3x3", "linebuffer", "products", "requantise")
_BLOCK = (
    Column("MODE", 0, 2), Column("WD", 2, 4096), Column("C", 2, 64), Column("B", 2, 16), Column("FD", 1, default=1),
    Column("FSTYLE", choices=("rule", "srl", "lutram", "block", "auto"), default="rule"), _SEED,
)  # fmt: skip


def _circuit(
    name: str, files: tuple[str, ...], columns: tuple[Column, ...], fixed: Mapping[str, Value] | None = None,
    sizes: Mapping[str, str] | None = None,
) -> RtlCircuit:  # fmt: skip
    return RtlCircuit(name, files, columns, fixed or {}, sizes or {})


CIRCUITS: Mapping[str, RtlCircuit] = {
    each.name: each
    for each in (
        _circuit("fifo_srl", ("fifo_srl",), _WORD),
        _circuit("fifo_lutram", ("fifo_lutram",), _WORD),
        _circuit("fifo_block", ("fifo_block",), _WORD, {"RAM_STYLE": "block"}),
        _circuit("fifo_auto", ("fifo_block",), _WORD, {"RAM_STYLE": "auto"}),
        _circuit("mult", ("mult",), _OPERANDS),
        _circuit("mac", ("mac",), (*_OPERANDS, Column("G", 0, 64))),
        _circuit("addertree", ("addertree",), _sizes("N", least=2) + _sizes("W")),
        _circuit("addertree_pipe", ("addertree_pipe",), _sizes("N", least=2) + _sizes("W")),
        _circuit("dot", ("dot", "products"), (*_sizes("N", least=2), *_OPERANDS)),
        _circuit(
            "dot_constweights", ("dot_constweights", "dot", "products"), (*_sizes("N", least=2), *_OPERANDS, _SEED)
        ),
        _circuit("linebuffer", ("linebuffer",), (
            *_sizes("WD", least=2), *_sizes("CB"),
            Column("STYLE", choices=("auto", "srl", "lutram", "block"), default="auto"),
        )),
        _circuit("skipadd", ("skipadd",), (*_sizes("C", "B"), _RELU)),
        _circuit("requant", ("requant", "requantise"), (*_sizes("C", "I", "O"), *_sizes("S", least=0), _RELU)),
        _circuit(
            "resblock", ("resblock", *_CONVOLUTION, "duplicator", "joiner", "skipadd", *_FIFOS), _BLOCK,
            sizes={"W": "WD", "H": "WD", "S": "B"},
        ),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Point:
    """One circuit with all of its parameters.

    Attributes:
        dsp_allowed: whether synthesis may take DSP slices.
    """

    circuit: RtlCircuit
    parameters: Mapping[str, Value]
    dsp_allowed: bool = False

    @property
    def name(self) -> str:
        """As the rows of the reference tables are called: ``fifo_srl_W8_D64``."""
        shown = (f"{each.name}{self.parameters[each.name]}" for each in self.circuit.columns if each.name != "seed")
        return "_".join([self.circuit.name, *shown]) + ("_dsp" if self.dsp_allowed else "")

    def size(self, column: str) -> int:
        """A parameter that is a whole number."""
        return int(self.parameters[column])


def point(circuit: str, parameters: Mapping[str, object]) -> Point:
    """A circuit by name with its parameters checked; ``dsp_allowed`` (0 or 1) may be among them.

    Raises:
        UnknownNameError: a circuit or parameter that is not known.
        InputError: a parameter that is missing or breaks a rule.
    """
    if circuit not in CIRCUITS:
        raise UnknownNameError("circuit", circuit, CIRCUITS, file="rtl", field="circuit")
    found, where = CIRCUITS[circuit], f"rtl {circuit}"
    names = [each.name for each in found.columns]
    for name in parameters:
        if name not in names and name != "dsp_allowed":
            raise UnknownNameError("parameter", name, [*names, "dsp_allowed"], file=where, field=name)
    values: dict[str, Value] = {}
    for each in found.columns:
        value = parameters.get(each.name, each.default)
        if value is None:
            raise InputError("is missing", file=where, field=each.name, remedy=f"write {each.name}=...")
        values[each.name] = each.checked(value, where)
    dsp = Column("dsp_allowed", 0, 1).checked(parameters.get("dsp_allowed", 0), where)
    if circuit == "requant":
        _check_shift(values, where)
    return Point(found, values, bool(dsp))


def _check_shift(values: Mapping[str, Value], where: str) -> None:
    left = int(values["I"]) + 1 - int(values["S"])
    if int(values["O"]) > left:
        raise InputError(f"must be at most I + 1 - S = {left}", file=where, field="O", value=values["O"],
                         remedy="there is nothing to saturate")  # fmt: skip


def parsed_point(text: str) -> Point:
    """A point as people write it: ``fifo_srl W=8 D=64``.

    Raises:
        InputError: as `point`, or no ``key=value``.
    """
    words = text.split()
    if not words:
        raise InputError("is empty", file="--point", remedy="write a circuit and its sizes, as in fifo_srl W=8 D=64")
    given: dict[str, object] = {}
    for word in words[1:]:
        name, equals, value = word.partition("=")
        if not equals or not name or not value:
            raise InputError("must be key=value", file="--point", value=word)
        if name in given:
            raise InputError("is given twice", file="--point", field=name)
        given[name] = int(value) if re.fullmatch(r"-?\d{1,9}", value, re.ASCII) else value
    return point(words[0], given)

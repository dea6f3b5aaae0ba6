"""What a circuit is: parameters that people write as key=value, and one or more models that give its figures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.technology.span import Span

__all__ = ["Circuit", "CircuitEstimate", "Parameter", "Value", "Values"]

Value = float | int | str
Kind = Literal["whole", "number", "word", "flag"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a circuit is asked with; its unit stands in its name.

    Attributes:
        kind: a whole number of 1 or more, a positive number, a word, or a flag (0 or 1).
        default: None where it must be given, unless it is ``optional``.
        choices: words that it may be; empty for any.
    """

    name: str
    kind: Kind
    description: str
    default: Value | None = None
    choices: tuple[str, ...] = ()
    optional: bool = False

    def checked(self, value: object, circuit: str) -> Value:
        """``value`` as this parameter has it.

        Raises:
            InputError: not of its kind, or none of its choices.
        """
        if self.kind == "word":
            if not isinstance(value, str):
                raise InputError("must be a name", file=circuit, field=self.name, value=value)
            if self.choices and value not in self.choices:
                raise UnknownNameError(self.name, value, self.choices, file=circuit, field=self.name)
            return value
        if self.kind == "flag":
            if value not in (0, 1):
                raise InputError("must be 0 or 1", file=circuit, field=self.name, value=value)
            return int(bool(value))
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
            raise InputError("must be a positive number", file=circuit, field=self.name, value=value)
        if self.kind == "whole":
            if value != int(value):
                raise InputError("must be a whole number", file=circuit, field=self.name, value=value)
            return int(value)
        return float(value)


@dataclass(frozen=True, slots=True)
class Values:
    """Checked parameters of one circuit by name."""

    circuit: str
    given: Mapping[str, Value]

    def word(self, name: str) -> str:
        """A parameter that is a word."""
        return str(self.given[name])

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.given[name])

    def whole(self, name: str) -> int:
        """A parameter that is a whole number."""
        return int(self.given[name])

    def flag(self, name: str) -> bool:
        """A parameter that is a flag."""
        return bool(self.given[name])

    def has(self, name: str) -> bool:
        """Whether an optional parameter was given."""
        return name in self.given


@dataclass(frozen=True, slots=True)
class CircuitEstimate:
    """Figures of one circuit, units in their names, each with the range that its constants leave; and their sources."""

    circuit: str
    model: str
    parameters: Mapping[str, Value]
    figures: Mapping[str, Span]
    sources: tuple[str, ...] = field(default=())

    def to_document(self) -> dict[str, object]:
        """As plain data: the figures by name; also circuit, model, parameters, intervals and sources."""
        return {
            "circuit": self.circuit,
            "model": self.model,
            "parameters": dict(self.parameters),
            **{name: each.value for name, each in self.figures.items()},
            "intervals": {name: [each.low, each.high] for name, each in self.figures.items()},
            "sources": list(self.sources),
        }


@dataclass(frozen=True, slots=True)
class Circuit:
    """A circuit that can be estimated.

    Attributes:
        models: name of a model -> what it makes of the parameters, figures and their sources; the first is the default.
    """

    name: str
    description: str
    parameters: tuple[Parameter, ...]
    models: Mapping[str, Callable[[Values], tuple[Mapping[str, Span], tuple[str, ...]]]]

    def values(self, given: Mapping[str, object]) -> Values:
        """``given`` checked, with defaults for what is left out.

        Raises:
            UnknownNameError: a parameter that it does not have ("did you mean").
            InputError: one that is missing or breaks its rule.
        """
        known = {each.name: each for each in self.parameters}
        where = f"estimate {self.name}"
        for name in given:
            if name not in known:
                raise UnknownNameError(f"parameter of {self.name}", name, known, file=where)
        found: dict[str, Value] = {}
        for name, parameter in known.items():
            if name in given:
                found[name] = parameter.checked(given[name], where)
            elif parameter.default is not None:
                found[name] = parameter.default
            elif not parameter.optional:
                remedy = f"write {name}={'|'.join(parameter.choices) or '...'}, {parameter.description}"
                raise InputError("is missing", file=where, field=name, remedy=remedy)
        return Values(where, found)

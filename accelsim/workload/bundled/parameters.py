"""The parameters of a generator: their types and bounds, as its signature states them, and the check of a value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from functools import cache
from inspect import Parameter, signature
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from accelsim.documents import number_complaint
from accelsim.errors import InputError, UnknownNameError

__all__ = [
    "Bounds",
    "Depth",
    "NonNegative",
    "Padding",
    "ParameterRule",
    "ParameterValue",
    "Positive",
    "Share",
    "Size",
    "Sizes",
    "checked_parameter",
    "checked_size",
    "generated",
    "parameter_rules",
]

Generated = TypeVar("Generated")
ParameterValue = int | float | str | bool | tuple[int, ...]

MAX_SEQUENCE_LENGTH = 1000
_MAX_BITS = 1024


@dataclass(frozen=True, slots=True)
class Bounds:
    """Values from ``low`` (itself left out when ``above``) to ``high``."""

    low: float
    high: float
    above: bool = False

    def complaint(self, value: float) -> str | None:
        """The rule that ``value`` breaks, if any."""
        if value < self.low or (self.above and value == self.low):
            return f"must be above {self.low:g}" if self.above else f"must be {self.low:g} or more"
        return f"must be at most {self.high:g}" if value > self.high else None


Size = Annotated[int, Bounds(1, 1e9)]
Sizes = Annotated[tuple[int, ...], Bounds(1, 1e9)]
Depth = Annotated[int, Bounds(1, 1000)]
Padding = Annotated[int, Bounds(0, 1e6)]
Positive = Annotated[float, Bounds(0, 1e6, above=True)]
NonNegative = Annotated[float, Bounds(0, 1e6)]
Share = Annotated[float, Bounds(0, 1, above=True)]


@dataclass(frozen=True, slots=True)
class ParameterRule:
    """What one parameter accepts. ``choices`` is empty unless it is one of a few words.

    ``default`` is the generator's own, None where the workload file must state the value.
    """

    type: type
    bounds: Bounds | None = None
    choices: tuple[str, ...] = ()
    default: ParameterValue | None = None


@cache
def parameter_rules(generator: Callable[..., object]) -> dict[str, ParameterRule]:
    """The rules of a generator's parameters, in the order of its signature; a group gives those of its fields."""
    hints = get_type_hints(generator, include_extras=True)
    groups = _groups(generator)
    rules: dict[str, ParameterRule] = {}
    for name, parameter in signature(generator).parameters.items():
        if name in groups:
            rules |= parameter_rules(groups[name])
        else:
            default = None if parameter.default is Parameter.empty else parameter.default
            rules[name] = _rule(hints[name], default)
    return rules


def generated(generator: Callable[..., Generated], values: Mapping[str, ParameterValue]) -> Generated:
    """Call ``generator`` with checked ``values``, its groups put together from theirs."""
    arguments: dict[str, object] = dict(values)
    for name, group in _groups(generator).items():
        arguments[name] = group(**{each: arguments.pop(each) for each in parameter_rules(group)})
    return generator(**arguments)


@cache
def _groups(generator: Callable[..., object]) -> dict[str, type]:
    """Parameters that are dataclasses: their fields are written like any other parameter."""
    if isinstance(generator, type):
        return {}
    hints = {name: hint for name, hint in get_type_hints(generator).items() if name != "return"}
    return {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}


def _rule(hint: Any, default: ParameterValue | None) -> ParameterRule:
    bounds = None
    if get_origin(hint) is Annotated:
        hint, bounds = get_args(hint)
    if get_origin(hint) is Literal:
        return ParameterRule(str, choices=get_args(hint), default=default)
    return ParameterRule(get_origin(hint) or hint, bounds, default=default)


def checked_parameter(value: object, rule: ParameterRule, *, file: object, field: str) -> ParameterValue:
    """``value`` in the type that ``rule`` wants; 2.0 is a whole number, True is not a number.

    Raises:
        UnknownNameError: not one of the choices.
        InputError: another type, not finite, or out of bounds.
    """
    value = _plain(value)
    if rule.type is bool:
        if not isinstance(value, bool):
            raise InputError("must be true or false", file=file, field=field, value=value)
        return value
    if rule.type is str:
        if not isinstance(value, str):
            raise InputError("must be text", file=file, field=field, value=value)
        if rule.choices and value not in rule.choices:
            raise UnknownNameError("choice", value, rule.choices, file=file, field=field)
        return value
    if rule.type is tuple:
        return _whole_numbers(value, rule, file=file, field=field)
    return _number(value, rule, file=file, field=field)


def _whole_numbers(value: object, rule: ParameterRule, *, file: object, field: str) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InputError("must be a list", file=file, field=field, value=value, remedy="write such as [784, 256, 10]")
    if not 1 <= len(value) <= MAX_SEQUENCE_LENGTH:
        rule_text = f"must have 1 to {MAX_SEQUENCE_LENGTH} entries, not {len(value)}"
        raise InputError(rule_text, file=file, field=field)
    whole = ParameterRule(int, rule.bounds)
    return tuple(int(_number(each, whole, file=file, field=f"{field}[{i}]")) for i, each in enumerate(value))


def checked_size(value: object, *, file: object, field: str) -> int:
    """``value`` as the size of something: a whole number from 1 to 1e9."""
    return int(_number(_plain(value), _SIZE, file=file, field=field))


def _plain(value: object) -> object:
    """The Python number of a NumPy scalar, which a sweep over an array hands in."""
    return value.item() if isinstance(value, np.generic) else value


def _number(value: object, rule: ParameterRule, *, file: object, field: str) -> int | float:
    # An integer is always finite, and may be too long for a float.
    if isinstance(value, bool) or not (isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))):
        complaint, remedy = number_complaint(value, field)
        raise InputError(complaint, file=file, field=field, value=value, remedy=remedy)
    if isinstance(value, int) and value.bit_length() > _MAX_BITS:
        raise InputError("is too large a number", file=file, field=field)
    broken = rule.bounds.complaint(value) if rule.bounds else None
    if broken:
        raise InputError(broken, file=file, field=field, value=value)
    if rule.type is not int:
        return float(value)
    if value != int(value):
        raise InputError("must be a whole number", file=file, field=field, value=value)
    return int(value)


_SIZE = ParameterRule(int, Bounds(1, 1e9))

"""The exceptions that accelsim raises on purpose.

Every one of them is the user's to mend: the command line prints it as one message and exits with 2.
Anything else that escapes is a defect of ours (exit code 1).

    AccelsimError
    ├── InputError             a file, field or argument breaks a rule
    │   ├── UnknownNameError   a name that nothing bears ("did you mean")
    │   ├── GraphError         a workload graph that is not consistent (cycle, shapes, missing producer)
    │   └── UnsupportedError   an op, format or option that is not modelled
    ├── InfeasibleError        well-formed, but it fits nowhere
    ├── EngineError            a task graph that an engine cannot run (deadlock, refused feature)
    └── CertificateError       a result that breaks one of its certificates: a defect of ours after all
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "AccelsimError",
    "CertificateError",
    "EngineError",
    "GraphError",
    "Infeasible",
    "InfeasibleError",
    "InputError",
    "UnknownNameError",
    "UnsupportedError",
    "closest",
]

_SHOWN_VALUE_CHARACTERS = 80


class AccelsimError(Exception):
    """Base of all errors that accelsim raises on purpose. They pass between processes as they are."""

    def __reduce__(self) -> tuple[Any, ...]:
        # An exception is remade from its message alone otherwise, which is not what these are made from.
        return _remade, (type(self), self.args), self.__dict__


class InputError(AccelsimError):
    """Something that the user wrote breaks a rule.

    Args:
        rule: the rule that is broken, as a sentence part ("must be positive").
        file: where it was written: a path, or the name of an argument.
        field: the dotted path of the field.
        value: what was written.
        remedy: what to write instead.
    """

    def __init__(
        self,
        rule: str,
        *,
        file: object = None,
        field: str | None = None,
        value: object = None,
        remedy: str | None = None,
    ) -> None:
        self.rule, self.file, self.field, self.value, self.remedy = rule, file, field, value, remedy
        shown = None if value is None else _shorten(repr(value))
        where = [str(part) for part in (file, field) if part not in (None, "")]
        head = ": ".join([*where, f"{shown} {rule}" if shown is not None else rule])
        advice = f" {remedy[0].upper()}{remedy[1:]}" if remedy else ""
        super().__init__(f"{head}.{advice}{'' if not remedy or remedy.endswith(('.', '?')) else '.'}")


class UnknownNameError(InputError):
    """A name that nothing bears; suggests the closest one that exists."""

    def __init__(
        self, what: str, name: str, known: Iterable[str], *, file: object = None, field: str | None = None
    ) -> None:
        names = sorted(known)
        near = closest(name, names)
        listed = ", ".join(names) if len(names) <= 30 else f"{', '.join(names[:30])}, ..."
        remedy = f"did you mean {near!r}?" if near else f"known: {listed or 'none'}"
        super().__init__(f"is not a known {what}", file=file, field=field, value=name, remedy=remedy)


class GraphError(InputError):
    """A workload graph that is not consistent."""


class UnsupportedError(InputError):
    """An op, format or option that accelsim does not model. Nothing is approximated in its place."""


@dataclass(frozen=True, slots=True)
class Infeasible:
    """Why a design cannot run a workload: ``demand`` exceeds ``bound`` of ``resource``, both in ``unit``."""

    resource: str
    demand: float
    bound: float
    unit: str
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        demand, bound = (f"{amount:,.6g} {self.unit}" for amount in (self.demand, self.bound))
        if self.resource == self.unit:
            return f"{place}needs {demand}, and there are {bound}"
        return f"{place}needs {demand} of {self.resource}, which has {bound}"


class InfeasibleError(AccelsimError):
    """A workload that fits nowhere on an architecture; ``infeasible`` says which resource and by how much."""

    def __init__(self, infeasible: Infeasible) -> None:
        self.infeasible = infeasible
        remedy = "Ask for less (batch, sizes, format) or give the architecture more."
        super().__init__(f"infeasible: {infeasible}. {remedy}")


class EngineError(AccelsimError):
    """A task graph that an engine cannot run: a deadlock, or a feature that the engine refuses by name."""


class CertificateError(AccelsimError):
    """A result that breaks its certificates; ``broken`` lists them. Please report it: it is a defect of accelsim."""

    def __init__(self, broken: list[str]) -> None:
        self.broken = broken
        super().__init__(f"the result breaks its certificates: {'; '.join(broken)}.")


def _remade(kind: type[AccelsimError], args: tuple[object, ...]) -> AccelsimError:
    """An error without its constructor; its attributes are set afterwards."""
    return kind.__new__(kind, *args)


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest to ``name``, or None when nothing is near."""
    folded = {candidate.lower().replace("_", "-"): candidate for candidate in known}
    near = difflib.get_close_matches(name.lower().replace("_", "-"), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_VALUE_CHARACTERS else f"{text[: _SHOWN_VALUE_CHARACTERS - 3]}..."

"""Frozen dataclasses as plain data and back: fields of a record are fields of the file, with the same defaults."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, TypeVar, cast

from accelsim.documents import Constant, validated
from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.graph import Calibration, PrecisionRecipe, Sparsity
from accelsim.workload.ops import Conv, Elementwise, Host, Loop, MatMul, Move, Op, Recurrent, Reduce
from accelsim.workload.rewrite.report import Change, RewriteReport, Totals

__all__ = ["KINDS", "Reader", "plain", "record"]

Record = TypeVar("Record")

KINDS: dict[str, type[Op]] = {
    each.__name__.lower(): each for each in (Conv, Elementwise, Host, Loop, MatMul, Move, Recurrent, Reduce)
}
"""Kind of an op in a file -> its class."""


class Reader:
    """Makes records of plain data from one file, and says where in it a rule is broken.

    ``graph`` reads the body of a loop.
    """

    def __init__(self, file: object, graph: Callable[[Any, str], Any]) -> None:
        self.file = file
        self._kinds: dict[str, Callable[[Any, str], Any]] = {
            "str": self._exactly(str, "text"),
            "int": self._exactly(int, "a whole number"),
            "float": self._exactly((int, float), "a number"),
            "bool": self._exactly(bool, "true or false"),
            "tuple[int, ...]": self._sequence("int"),
            "tuple[str, ...]": self._sequence("str"),
            "tuple[tuple[str, str], ...]": self._sequence("tuple[str, ...]"),
            "tuple[Change, ...]": self._sequence("Change"),
            "Role": self._exactly(str, "text"),
            "Mapping[str, ParameterValue]": self.mapping,
            "Graph": graph,
        }
        for made in (Calibration, Change, PrecisionRecipe, RewriteReport, Sparsity, Totals):
            self._kinds[made.__name__] = self._maker(made)

    def record(self, made: type[Record], data: Any, field: str, *, skipped: tuple[str, ...] = ()) -> Record:
        """A record from a mapping of its fields; ``skipped`` are keys that belong to the file and not to it."""
        if not isinstance(data, dict):
            raise self.error("must be a mapping of fields", field, data)
        known = _fields(cast(Hashable, made))
        for key in data:
            if key not in known and key not in skipped:
                raise UnknownNameError("field", str(key), known, file=self.file, field=field)
        values: dict[str, Any] = {}
        for name, (kind, optional, needed) in known.items():
            place = f"{field}.{name}" if field else name
            if name not in data:
                if needed:
                    raise InputError("is missing", file=self.file, field=place)
            elif not (optional and data[name] is None):
                values[name] = self._kinds[kind](data[name], place)
        return made(**values)

    def text(self, value: Any, field: str) -> str:
        found: str = self._kinds["str"](value, field)
        return found

    def texts(self, value: Any, field: str) -> tuple[str, ...]:
        found: tuple[str, ...] = self._kinds["tuple[str, ...]"](value, field)
        return found

    def value(self, kind: str, value: Any, field: str) -> Any:
        """A value as an annotation of a record calls its kind."""
        return self._kinds[kind](value, field)

    def mapping(self, value: Any, field: str) -> dict[str, Any]:
        """Plain values by name; lists become tuples and ``{value, source}`` a constant."""
        if not isinstance(value, dict):
            raise self.error("must be a mapping by name", field, value)
        return {key: self._plain(each, f"{field}.{key}") for key, each in value.items()}

    def _plain(self, value: Any, field: str) -> Any:
        if isinstance(value, list):
            return tuple(self._plain(each, field) for each in value)
        if isinstance(value, dict):
            return validated(Constant, value, file=f"{self.file}: {field}")
        return value

    def error(self, rule: str, field: str, value: Any) -> InputError:
        shown = value if isinstance(value, str | int | float | None) else None
        return InputError(rule, file=self.file, field=field, value=shown)

    def _exactly(self, kinds: type | tuple[type, ...], words: str) -> Callable[[Any, str], Any]:
        def read(value: Any, field: str) -> Any:
            if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
                raise self.error(f"must be {words}", field, value)
            return value

        return read

    def _sequence(self, kind: str) -> Callable[[Any, str], Any]:
        def read(value: Any, field: str) -> Any:
            if not isinstance(value, list):
                raise self.error("must be a list", field, value)
            one = self._kinds[kind]
            return tuple(one(each, f"{field}[{index}]") for index, each in enumerate(value))

        return read

    def _maker(self, made: type) -> Callable[[Any, str], Any]:
        return lambda value, field: self.record(made, value, field)


@cache
def _fields(made: Any) -> dict[str, tuple[str, bool, bool]]:
    """Field -> (annotation without None, whether it may be None, whether it must be given)."""
    found = {}
    for each in fields(made):
        kind = str(each.type)
        needed = each.default is MISSING and each.default_factory is MISSING
        found[each.name] = (kind.removesuffix(" | None"), kind.endswith(" | None"), needed)
    return found


def record(value: Any) -> dict[str, Any]:
    """The fields of a record as plain data; those with their default value are left out."""
    found = {}
    for each in fields(value):
        here = getattr(value, each.name)
        factory: Any = each.default_factory
        default = each.default if factory is MISSING else factory()
        if default is MISSING or here != default:
            found[each.name] = plain(here)
    return found


def plain(value: Any) -> Any:
    """Data that JSON and YAML have a form for."""
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Constant):
        return value.model_dump(exclude_none=True)
    if hasattr(value, "__dataclass_fields__"):
        return record(value)
    return value.item() if hasattr(value, "item") else value

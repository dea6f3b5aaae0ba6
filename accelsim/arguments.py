"""Values on the command line: what ``NAME=VALUE``, ``1x3x224x224`` and the like mean."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TypeVar

from accelsim.errors import InputError

__all__ = [
    "batch_of",
    "branch",
    "by_name",
    "number",
    "pair",
    "precision_named",
    "precision_of",
    "scalar",
    "shape",
    "steps",
    "switches",
    "workers_of",
]

_LONGEST_SIZE = 10

Value = TypeVar("Value")


def precision_of(text: str) -> str | dict[str, str]:
    """``format``, or ``pattern=format,...`` as a mapping."""
    if "=" not in text:
        return text
    return by_name((pair(part, "--precision") for part in text.split(",")), "--precision")


def precision_named(precision: str) -> str:
    """A precision of a comparison: a format or recipe, no patterns."""
    if "=" in precision:
        raise InputError("is patterns, and a comparison takes formats and recipes", file="--precision", value=precision,
                         remedy="make it a recipe in the file of the workload")  # fmt: skip
    return precision


def by_name(pairs: Iterable[tuple[str, Value]], option: str) -> dict[str, Value]:
    """Pairs as a mapping; a name that stands twice is refused."""
    found: dict[str, Value] = {}
    for name, value in pairs:
        if name in found:
            raise InputError("stands twice", file=option, field=name)
        found[name] = value
    return found


def pair(text: str, option: str) -> tuple[str, str]:
    """``NAME=VALUE`` in two."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise InputError("must be NAME=VALUE", file=option, value=text)
    return name.strip(), value.strip()


def switches(text: str) -> dict[str, bool]:
    """``name=on,name=off`` as true and false."""
    found: dict[str, bool] = {}
    for name, value in by_name((pair(part, "--mapping") for part in text.split(",")), "--mapping").items():
        if value not in ("on", "off"):
            raise InputError("must be on or off", file="--mapping", field=name, value=value)
        found[name] = value == "on"
    return found


def batch_of(text: str) -> int:
    """The value of ``--batch``."""
    try:
        return int(text)
    except ValueError:
        raise InputError("must be a whole number", file="--batch", value=text) from None


def workers_of(text: str) -> int:
    """The value of ``--workers``."""
    if not text.isdecimal() or len(text) > _LONGEST_SIZE or int(text) < 1:
        raise InputError("must be a whole number of 1 or more", file="--workers", value=text)
    return int(text)


def scalar(text: str) -> object:
    """A number where ``text`` reads as one, a list or mapping where it opens one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if text[0] not in "[{":
        return text
    from accelsim.documents import parse_yaml

    return parse_yaml(text, file="--set")


def number(text: str) -> tuple[str, float]:
    """``NAME=VALUE`` with a finite number, whole where it is one."""
    name, value = pair(text, "--value")
    try:
        parsed = float(value)
    except ValueError:
        parsed = math.nan
    if not math.isfinite(parsed):
        raise InputError("must be a number", file="--value", field=name, value=value)
    return name, int(parsed) if parsed.is_integer() else parsed


def branch(text: str) -> tuple[str, str | float]:
    """``NAME=then``, or ``NAME=0.3``: a name and a word or probability."""
    name, value = pair(text, "--branch")
    try:
        return name, float(value)
    except ValueError:
        return name, value


def steps(text: str) -> tuple[str, int]:
    """``NAME=N``: a name and a whole number."""
    name, value = pair(text, "--trips")
    if not value.isdecimal() or len(value) > _LONGEST_SIZE:
        raise InputError("must be a whole number", file="--trips", field=name, value=value)
    return name, int(value)


def shape(text: str) -> tuple[str, tuple[int, ...]]:
    """``NAME=1x3x224x224``: a name and its sizes."""
    name, value = pair(text, "--shape")
    sizes = value.lower().replace(",", "x").split("x")
    if not all(size.isdecimal() and len(size) <= _LONGEST_SIZE and int(size) > 0 for size in map(str.strip, sizes)):
        raise InputError("must be sizes of 1 or more joined by x", file="--shape", field=name, value=value,
                         remedy="write such as 1x3x224x224")  # fmt: skip
    return name, tuple(int(size) for size in sizes)

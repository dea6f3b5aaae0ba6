"""Axes: what varies, the values it takes, and how a number on an axis becomes one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.study.sweep.spec import AxisDocument

__all__ = ["Axis", "AxisValue", "Family", "axis_of", "family_of", "shown"]

AxisValue = bool | int | float | str | tuple[int | float | str, ...]
Family = Literal["workload", "parameter", "rewrite", "architecture", "precision", "formats", "mapping", "hardware"]
FAMILIES: tuple[Family, ...] = (
    "workload", "parameter", "rewrite", "architecture", "precision", "formats", "mapping", "hardware",
)  # fmt: skip
"""What an axis changes, in the order in which a grid varies them, slowest first: equal work stays together."""

MAX_VALUES = 100_000


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a space.

    A design has one coordinate on each axis: the index of its value where ``values`` is not empty, the number itself
    on a continuous axis, NaN where the axis does not exist for it.

    Attributes:
        name: column of the table, and the path that is set, unless ``settings`` says otherwise.
        family: what it changes.
        values: discrete values in the order in which they are tried.
        low, high, log: of a continuous axis.
        also: paths that take the same value.
        settings: for each value of an axis of choices the paths that it sets.
        when: the axis exists where each of these axes has one of these coordinates.
    """

    name: str
    family: Family
    values: tuple[AxisValue, ...] = ()
    low: float = math.nan
    high: float = math.nan
    log: bool = False
    also: tuple[str, ...] = ()
    settings: tuple[Mapping[str, AxisValue], ...] = ()
    when: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @property
    def continuous(self) -> bool:
        return not self.values

    @property
    def numeric(self) -> bool:
        """Whether every value is a number, so that values have an order and a distance."""
        return self.continuous or all(
            isinstance(value, int | float) and not isinstance(value, bool) for value in self.values
        )

    def coordinates(self, unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Coordinates at places in [0, 1): values get equal parts of it, a range is spread evenly."""
        if self.values:
            return np.minimum(np.floor(unit * len(self.values)), len(self.values) - 1)
        if self.log:
            return np.asarray(self.low * np.exp(unit * math.log(self.high / self.low)))
        return np.asarray(self.low + unit * (self.high - self.low))

    def column(self, coordinates: NDArray[np.float64]) -> list[Any] | NDArray[Any]:
        """Values at ``coordinates`` of designs in which the axis exists; an array where they are numbers."""
        if self.continuous:
            return coordinates
        places = coordinates.astype(np.int64)
        if self.numeric:
            return np.array(self.values)[places]
        values = [list(value) if isinstance(value, tuple) else value for value in self.values]
        return [values[place] for place in places.tolist()]

    def value(self, coordinate: float) -> AxisValue | None:
        """The value at one coordinate; None where the axis does not exist."""
        if math.isnan(coordinate):
            return None
        return self.values[int(coordinate)] if self.values else coordinate

    def set_at(self, coordinate: float) -> dict[str, AxisValue]:
        """The paths that a coordinate sets, and their values."""
        if self.settings:
            return dict(self.settings[int(coordinate)])
        value = self.value(coordinate)
        assert value is not None
        return dict.fromkeys((self.name, *self.also), value)


def family_of(path: str) -> Family:
    """What ``path`` changes."""
    head, dot, _ = path.partition(".")
    if path in ("workload", "rewrite", "architecture", "precision"):
        return path  # type: ignore[return-value]
    if path == "batch" or (dot and head == "workload"):
        return "parameter"
    if dot and head in ("precision", "mapping"):
        return "formats" if head == "precision" else "mapping"
    return "hardware"


def axis_of(name: str, document: AxisDocument, family: Family, *, file: str) -> Axis:
    """The axis that a document describes; its ``when`` is added when all axes are known.

    Raises:
        InputError: a range with too many values.
    """
    where = f"axes.{name}"
    if document.choices is not None:
        return Axis(name, family, tuple(document.choices), settings=tuple(document.choices.values()))
    if document.values is not None:
        return Axis(name, family, document.values, also=document.also)
    assert document.low is not None
    assert document.high is not None
    low, high = document.low, document.high
    if document.steps is None and document.by is None and not document.integers:
        return Axis(name, family, low=float(low), high=float(high), log=document.scale == "log", also=document.also)
    by = document.by if document.by is not None else 1 if document.integers and document.steps is None else None
    if by is not None and (high - low) / by > MAX_VALUES:
        raise InputError(f"has more than {MAX_VALUES:,} values", file=file, field=where, remedy="take larger steps")
    values = _every(low, high, by) if by is not None else _points(document, low, high)
    return Axis(name, family, values, also=document.also)


def _every(low: float, high: float, by: float) -> tuple[float, ...]:
    """Values from low, one every ``by``, none above high."""
    count = math.floor((high - low) / by * (1 + 1e-12)) + 1
    return tuple(low + step * by for step in range(count))


def _points(document: AxisDocument, low: float, high: float) -> tuple[float, ...]:
    """``steps`` values with both ends; whole ones, each once, where they are integers."""
    assert document.steps is not None
    spread = np.geomspace if document.scale == "log" else np.linspace
    points = [float(f"{value:.12g}") for value in spread(low, high, document.steps)]
    points[0], points[-1] = float(low), float(high)
    return tuple(dict.fromkeys(round(value) for value in points)) if document.integers else tuple(points)


def shown(value: AxisValue | None) -> str:
    """A value as the command line takes it."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, bool):
        return "on" if value else "off"
    return repr(value) if isinstance(value, float) else str(value)

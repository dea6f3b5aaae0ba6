"""A figure with the range that it may have: arithmetic on positive intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from accelsim.documents import Constant

__all__ = ["Span", "span_of", "total"]


@dataclass(frozen=True, slots=True)
class Span:
    """A value from ``low`` to ``high``; none of them is negative. Each is a number, or a column of one a design.

    Sums and products take ends with ends, which is exact for terms that do not share a constant and wide otherwise.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        ordered = (self.low >= 0) & (self.low <= self.value) & (self.value <= self.high)
        if ordered is not True and not np.all(ordered):
            raise ValueError(f"{self.value} does not lie in [{self.low}, {self.high}], or is negative")

    def __add__(self, other: Span) -> Span:
        return Span(self.value + other.value, self.low + other.low, self.high + other.high)

    def __mul__(self, other: Span | float) -> Span:
        if not isinstance(other, Span):
            return Span(self.value * other, self.low * other, self.high * other)
        return Span(self.value * other.value, self.low * other.low, self.high * other.high)

    __rmul__ = __mul__

    def __truediv__(self, other: Span | float) -> Span:
        if not isinstance(other, Span):
            return self * (1 / other)
        return Span(self.value / other.value, self.low / other.high, self.high / other.low)

    def widened(self, low: float, high: float) -> Span:
        """The same value with a range that also holds ``low`` and ``high``."""
        return Span(self.value, min(self.low, low), max(self.high, high))

    def constant(self, what: str, why: str) -> Constant:
        """A constant of an architecture: assumed, because a model supplied it."""
        return Constant(value=self.value, low=self.low, high=self.high, source=f"assumed: {what}", why=why)


def span_of(constant: Constant) -> Span:
    """A constant with its range; one without a range is exact."""
    low = constant.value if constant.low is None else constant.low
    high = constant.value if constant.high is None else constant.high
    return Span(constant.value, low, high)


def total(parts: Iterable[Span]) -> Span:
    """The sum."""
    return sum(parts, Span(0.0, 0.0, 0.0))

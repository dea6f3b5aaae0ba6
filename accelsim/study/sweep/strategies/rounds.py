"""What a strategy is: a generator of rounds of designs that is sent what each round found.

A strategy is a pure function of the sweep and of what it is sent. So a run that was cut off goes on by running its
strategy again from the start, answering from the parts that are there.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from accelsim.study.sweep.designs import Table
from accelsim.study.sweep.space import Space

__all__ = ["Grid", "Listed", "Round", "Rounds"]


class Round(Protocol):
    """Designs that can be evaluated in any order."""

    @property
    def count(self) -> int: ...

    @property
    def wanted(self) -> bool:
        """Whether the strategy looks at what they give."""
        ...

    def coordinates(self, start: int, stop: int) -> NDArray[np.float64]:
        """Designs ``start`` to ``stop``, (stop - start, axes)."""
        ...


Rounds = Generator[Round, Table | None, dict[str, Any]]
"""Yields rounds, is sent the table of each that is ``wanted``, returns what it has found out (plain data)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The whole grid of a space, decoded chunk by chunk."""

    space: Space
    wanted: bool = False

    @property
    def count(self) -> int:
        return self.space.count

    def coordinates(self, start: int, stop: int) -> NDArray[np.float64]:
        return self.space.grid(start, stop)


@dataclass(frozen=True, slots=True)
class Listed:
    """Designs by their coordinates, (designs, axes)."""

    designs: NDArray[np.float64]
    wanted: bool = False

    @property
    def count(self) -> int:
        return len(self.designs)

    def coordinates(self, start: int, stop: int) -> NDArray[np.float64]:
        return self.designs[start:stop]

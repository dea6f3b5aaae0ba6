"""Kinds of designs: those that differ in plain numbers only, which one description with columns stands for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.digital import DigitalArchitecture
from accelsim.pipeline.digital import description_of
from accelsim.study.batch.columns import Columns
from accelsim.study.batch.price import with_columns, with_derived

__all__ = ["Kinds", "grouped"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Kinds:
    """Columns sorted by kind.

    Attributes:
        of_design: (designs,) the number of the kind of each.
        archs: by kind, the description of its design that makes most MACs a cycle.
        derived: by kind, the constants that its technology supplies.
    """

    columns: Columns
    of_design: IntArray
    archs: tuple[DigitalArchitecture, ...]
    derived: tuple[frozenset[str], ...]

    @staticmethod
    def of(columns: Columns) -> Kinds:
        """Sort columns of a digital architecture.

        Rules across fields hold for all designs: they read what designs of a kind have in common, but for the limit of
        MACs a cycle, which holds where they are the most.

        Raises:
            InputError: a value that breaks a rule.
        """
        of_design, most = columns.kinds()
        made = [columns.design(row) for row in most]
        archs = tuple(description_of(each) for each in made)
        return Kinds(columns, of_design, archs, tuple(frozenset(each.derived) for each in made))

    def arch_of(self, design: int) -> DigitalArchitecture:
        """A description of the same kind as a design, whose sizes, rates and prices may be others."""
        return self.archs[int(self.of_design[design])]

    def apart(self, designs: IntArray, *, derived: bool) -> Iterator[tuple[IntArray, DigitalArchitecture]]:
        """Places in ``designs`` of those of each kind, and their description with columns.

        What a technology supplies is only theirs where ``derived`` is asked for, because it does not change times.
        """
        kinds = self.of_design[designs]
        for places in grouped(kinds):
            kind, rows = int(kinds[places[0]]), designs[places]
            arch = with_columns(self.archs[kind], {path: each[rows] for path, each in self.columns.numbers.items()})
            yield places, with_derived(arch, self.derived[kind]) if derived else arch


def grouped(codes: IntArray) -> list[IntArray]:
    """Indices of each different code, in order of the codes."""
    order = np.argsort(codes, kind="stable")
    return [each for each in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(each)]

"""The front of batch evaluation: overrides by column in, metrics by column out.

Designs are sorted by structure. Within one, those that take the same time share their mapping and timeline and differ
only in what they pay; what is left are the different timings, which are found together where there are many of them.
Structures with few timings are mapped each for itself, in compiled code where that is modelled (`structures`).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.load import Architecture
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline.digital import description_of
from accelsim.study.batch.columns import BANKED, Columns, Overrides
from accelsim.study.batch.kept import Kept
from accelsim.study.batch.loop import Rows, evaluate_one
from accelsim.study.batch.price import area_of, metrics, with_columns, with_derived
from accelsim.study.batch.records import BatchResult
from accelsim.study.batch.timings import Question, Timings, are_many, reading_of, timings, timings_apart
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionArgument

__all__ = ["evaluate_batch"]

IntArray = NDArray[np.int64]


def evaluate_batch(
    workload: Graph,
    architecture: Architecture,
    precision: PrecisionArgument | None,
    overrides: Overrides,
    options: MappingOptions | None = None,
    kept: Kept | None = None,
) -> BatchResult:
    """Evaluate one workload on many designs of one architecture.

    Row i equals ``simulate(workload, architecture.override({path: column[i], ...}), precision=precision,
    intervals=False)`` exactly.

    Args:
        workload: a graph as a front end makes it.
        architecture: the base of all designs.
        precision: format, recipe or mapping of patterns; None takes the architecture's default.
        overrides: by dotted path a column of values, one a design, as `Architecture.override` takes them.
        options: which choices the mapper may make; None takes the defaults.
        kept: what earlier batches found out of workloads and structures; None keeps nothing for the next.

    Raises:
        InputError: columns of different lengths, a path that does not exist or a value that breaks its field's rule.
        UnsupportedError: an op or format that is not modelled.
    """
    columns = Columns.of(architecture, overrides)
    question = Question(workload, precision, options or MappingOptions(), kept or Kept())
    batch = _Batch(question, columns, Rows.of(columns.designs))
    if architecture.kind == "digital":
        batch.digital()
    else:
        batch.loop(np.arange(columns.designs))
    return batch.rows.result()


@dataclass(frozen=True, slots=True)
class _Structure:
    """Designs of one structure: one of each timing, which of these each has, and the architecture of the first."""

    designs: IntArray
    timings: IntArray
    which: IntArray
    first: Architecture


class _Batch:
    """One call of `evaluate_batch`."""

    def __init__(self, question: Question, columns: Columns, rows: Rows) -> None:
        self.question, self.columns, self.rows = question, columns, rows

    def loop(self, designs: IntArray) -> None:
        """Evaluate ``designs`` one by one."""
        for row in designs.tolist():
            evaluate_one(self.rows, row, self.question, self.columns.design(row))

    def digital(self) -> None:
        """Evaluate all designs: structures with many timings one by one, all others together."""
        structures = self.columns.structures()
        times = self.columns.timings(structures)
        alone: dict[Hashable, list[_Structure]] = {}
        for designs in _grouped(structures):
            kinds, which = np.unique(times[designs], return_index=True, return_inverse=True)[1:]
            first = self.columns.design(int(designs[0]))
            structure = _Structure(designs, designs[kinds], which, first)
            if are_many(self.question, description_of(first), len(kinds)):
                self._fill(structure, timings(self.question, self.columns, structure.timings), 0)
            else:
                alone.setdefault(reading_of(description_of(first)), []).append(structure)
        for alike in alone.values():
            self._apart(alike)

    def _apart(self, alike: Sequence[_Structure]) -> None:
        """Evaluate structures that read the workload alike."""
        which = np.concatenate([each.timings for each in alike])
        known = {int(each.designs[0]): each.first for each in alike}
        archs = [description_of(known.get(row) or self.columns.design(row)) for row in which.tolist()]
        found, begin = timings_apart(self.question, self.columns, which, archs), 0
        for each in alike:
            self._fill(each, found, begin)
            begin += len(each.timings)

    def _fill(self, structure: _Structure, found: Timings, begin: int) -> None:
        """Fill the rows of a structure, whose timings stand in ``found`` from ``begin`` on."""
        designs, which, first = structure.designs, structure.which + begin, structure.first
        looped = found.looped[begin : begin + len(structure.timings)]
        self.rows.looped += int(looped.sum())
        fits = np.ones(len(designs), np.bool_)
        for timing in np.unique(which).tolist():
            if timing in found.refused:
                self.rows.refuse(designs[which == timing], found.refused[timing])
                fits &= which != timing
        banks = self.columns.banks(designs) if first.derived else np.zeros(len(designs), np.int64)
        for members in _grouped(banks):
            chosen = members[fits[members]]
            if len(chosen):
                self._price(designs[chosen], first, found, which[chosen])

    def _price(self, designs: IntArray, first: Architecture, found: Timings, which: IntArray) -> None:
        """Fill the rows of ``designs``, of the structure of ``first``; ``which`` are their timings."""
        columns = self.columns
        stated = {path: column[designs] for path, column in (*columns.rates.items(), *columns.prices.items())}
        if first.derived:
            first = columns.design(int(designs[0]))
            stated.pop(BANKED, None)  # the same for all of them
        arch = with_derived(with_columns(description_of(first), stated), first.derived)
        values = metrics(self.question.workload, found.weight_bytes, arch, found.timed.take(which), area_of(arch))
        self.rows.values[designs] = values
        limit = arch.power_limit_w
        if limit is not None:
            self.loop(designs[values[:, 2] > limit.value])


def _grouped(codes: IntArray) -> list[IntArray]:
    """Indices of each different code, in order of the codes."""
    order = np.argsort(codes, kind="stable")
    return [each for each in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(each)]

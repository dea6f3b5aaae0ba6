"""The front of batch evaluation: overrides by column in, metrics by column out.

Designs are sorted by structure. Within one, those that take the same time share their mapping and timeline and differ
only in what they pay; what is left are the different timings, which are found together where there are many of them.
Structures with few timings are mapped each for itself, in compiled code where that is modelled (`structures`). Prices
are formulas on columns, of all designs of a kind at once.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.digital import DigitalArchitecture
from accelsim.hardware.load import Architecture
from accelsim.mapping.options import MappingOptions
from accelsim.study.batch.columns import Columns, Overrides
from accelsim.study.batch.kept import Kept
from accelsim.study.batch.kinds import Kinds, grouped
from accelsim.study.batch.loop import Rows, evaluate_one
from accelsim.study.batch.price import area_of, metrics
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
    threads: int = 1,
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
        threads: in which designs of structures of their own are mapped.

    Raises:
        InputError: columns of different lengths, a path that does not exist or a value that breaks its field's rule.
        UnsupportedError: an op or format that is not modelled.
    """
    columns = Columns.of(architecture, overrides)
    question = Question(workload, precision, options or MappingOptions(), kept or Kept(), threads)
    batch = _Batch(question, columns, Rows.of(columns.designs))
    if architecture.kind == "digital":
        batch.digital()
    else:
        batch.loop(np.arange(columns.designs))
    return batch.rows.result()


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
        kinds = Kinds.of(self.columns)
        structures = self.columns.structures(kinds.of_design)
        times = self.columns.timings(structures)
        firsts = np.unique(times, return_index=True)[1]  # a design of each timing, by its number
        apart = np.ones(len(firsts), np.bool_)
        for designs, members in zip(grouped(structures), grouped(structures[firsts]), strict=True):
            if are_many(self.question, kinds.arch_of(int(designs[0])), len(members)):
                found = timings(self.question, self.columns, firsts[members])
                self._fill(kinds, designs, np.searchsorted(members, times[designs]), found)
                apart[members] = False
        alike: dict[Hashable, int] = {}
        readings = np.array([alike.setdefault(reading_of(arch), len(alike)) for arch in kinds.archs], np.int64)
        reading = np.where(apart, readings[kinds.of_design[firsts]], -1)
        for number in alike.values():
            members = np.flatnonzero(reading == number)
            if len(members):
                designs = np.flatnonzero(reading[times] == number)
                found = timings_apart(self.question, kinds, firsts[members])
                self._fill(kinds, designs, np.searchsorted(members, times[designs]), found)

    def _fill(self, kinds: Kinds, designs: IntArray, which: IntArray, found: Timings) -> None:
        """Fill ``designs``, of which ``which`` are the timings in ``found``."""
        self.rows.looped += int(found.looped.sum())
        refused = np.isin(which, list(found.refused))
        for row, timing in zip(designs[refused].tolist(), which[refused].tolist(), strict=True):
            self.rows.refuse(row, found.refused[timing])
        designs, which = designs[~refused], which[~refused]
        for members, arch in kinds.apart(designs, derived=True):
            self._price(designs[members], arch, found, which[members])

    def _price(self, designs: IntArray, arch: DigitalArchitecture, found: Timings, which: IntArray) -> None:
        """Fill the rows of ``designs``, whose description ``arch`` holds columns; ``which`` are their timings."""
        values = metrics(self.question.workload, found.weight_bytes, arch, found.timed.take(which), area_of(arch))
        self.rows.values[designs] = values
        limit = arch.power_limit_w
        if limit is not None:
            self.loop(designs[values[:, 2] > limit.value])

"""The front of batch evaluation: overrides by column in, metrics by column out.

Designs are sorted by structure. Within one, those that take the same time share their mapping and timeline and differ
only in what they pay; what is left are the different timings, which are found together (`timing`) where that is
modelled and pays, and one by one elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.load import Architecture
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline.digital import description_of
from accelsim.study.batch.columns import Columns, Overrides, codes_of
from accelsim.study.batch.loop import Rows, evaluate_one
from accelsim.study.batch.price import area_of, metrics, with_columns
from accelsim.study.batch.records import BatchResult
from accelsim.study.batch.timings import Question, Timings, timings
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

    Raises:
        InputError: columns of different lengths, a path that does not exist or a value that breaks its field's rule.
        UnsupportedError: an op or format that is not modelled.
    """
    columns = Columns.of(architecture, overrides)
    question = Question(workload, precision, options or MappingOptions())
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
        """Evaluate all designs, structure by structure."""
        structures = self.columns.structures()
        times, technologies = self.columns.timings(structures), self.columns.technologies(structures)
        for designs in _grouped(structures):
            self._structure(designs, times, technologies)

    def _structure(self, designs: IntArray, times: IntArray, technologies: IntArray) -> None:
        """Evaluate ``designs`` of one structure."""
        first = self.columns.design(int(designs[0]))
        kinds, which = np.unique(times[designs], return_index=True, return_inverse=True)[1:]
        found = timings(self.question, self.columns, designs[kinds])
        self.rows.looped += found.looped
        for timing, reason in found.refused.items():
            self.rows.refuse(designs[which == timing], reason)
        fits = ~np.isin(which, list(found.refused))
        derives = first.derived or (description_of(first).technology and description_of(first).area_mm2 is None)
        contexts = codes_of([technologies[designs]], len(designs)) if derives else np.zeros(len(designs), np.int64)
        for members in _grouped(contexts):
            chosen = members[fits[members]]
            if len(chosen):
                self._price(designs[chosen], found, which[chosen])

    def _price(self, designs: IntArray, found: Timings, which: IntArray) -> None:
        """Fill the rows of ``designs``, which share what no column states; ``which`` are their timings."""
        columns = self.columns
        plain = description_of(columns.design(int(designs[0])))
        stated = {path: column[designs] for path, column in (*columns.rates.items(), *columns.prices.items())}
        area_mm2 = stated.pop("area_mm2", None)
        values = metrics(
            self.question.workload, found.weight_bytes, with_columns(plain, stated), found.timed.take(which),
            area_of(plain) if area_mm2 is None else area_mm2,
        )  # fmt: skip
        self.rows.values[designs] = values
        limit = plain.power_limit_w
        if limit is not None:
            self.loop(designs[values[:, 2] > limit.value])


def _grouped(codes: IntArray) -> list[IntArray]:
    """Indices of each different code, in order of the codes."""
    order = np.argsort(codes, kind="stable")
    return [each for each in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1) if len(each)]

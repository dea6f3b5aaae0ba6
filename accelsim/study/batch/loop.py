"""Designs one by one, as `simulate` evaluates them: the reference, and the way for what cannot go together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.load import Architecture
from accelsim.pipeline import Evaluation, evaluate
from accelsim.study.batch.records import FEASIBLE, METRICS, BatchResult
from accelsim.study.batch.timings import Question

__all__ = ["Rows", "evaluate_one", "metrics_of"]


@dataclass(slots=True)
class Rows:
    """A result under construction: (n, metrics) values and (n,) codes."""

    values: NDArray[np.float64]
    codes: NDArray[np.int64]
    reasons: dict[Infeasible, int] = field(default_factory=dict)
    looped: int = 0

    @staticmethod
    def of(designs: int) -> Rows:
        """Rows of so many designs, all still unknown."""
        return Rows(np.full((designs, len(METRICS)), np.nan), np.full(designs, FEASIBLE, dtype=np.int64))

    def refuse(self, designs: Any, reason: Infeasible) -> None:
        """Mark designs, by any index of an array, as infeasible."""
        self.codes[designs] = self.reasons.setdefault(reason, len(self.reasons))
        self.values[designs] = np.nan

    def result(self) -> BatchResult:
        """The finished record."""
        columns = dict(zip(METRICS, np.ascontiguousarray(self.values.T), strict=True))
        return BatchResult(infeasible=self.codes, reasons=tuple(self.reasons), looped=self.looped, **columns)


def evaluate_one(rows: Rows, row: int, question: Question, architecture: Architecture) -> None:
    """Evaluate one design by itself into ``rows``."""
    rows.looped += 1
    try:
        found = evaluate(question.workload, architecture, question.precision, options=question.options)
    except InfeasibleError as error:
        rows.refuse(row, error.infeasible)
    else:
        rows.values[row] = metrics_of(found)


def metrics_of(found: Evaluation) -> list[float]:
    """`METRICS` of an evaluation; NaN for what it does not know."""
    known: dict[str, float | None] = {name: getattr(found, name) for name in METRICS if name != "utilization_macs"}
    known["utilization_macs"] = found.utilization.get("macs")
    return [np.nan if (value := known[name]) is None else float(value) for name in METRICS]

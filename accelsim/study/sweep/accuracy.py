"""Accuracy of a workload at one precision: SQNR of its emulated outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from accelsim.hardware.load import Architecture
from accelsim.pipeline import evaluate
from accelsim.study.emulate import emulated
from accelsim.study.sweep.spec import AccuracyDocument
from accelsim.workload.graph import Graph

__all__ = ["MOST_DB", "least_sqnr_db"]

MOST_DB = 200.0
"""What outputs equal to FP32's count as: their SQNR is infinite, and a table holds numbers."""


def least_sqnr_db(
    graph: Graph, architecture: Architecture, precision: str | Mapping[str, str] | None, document: AccuracyDocument,
    folder: Path,
) -> float:  # fmt: skip
    """The least SQNR among the outputs, dB, on the mapping of ``architecture``; `MOST_DB` where all are exact.

    Raises:
        AccelsimError: a workload without values, inputs that do not fit, or an op that is not emulated.
    """
    found = evaluate(graph, architecture, precision)
    inputs = None if document.inputs is None else folder / document.inputs
    values = [float(value) for value in emulated(found, inputs, document.seed).sqnr_db.values()]
    least = min(values)
    return min(least, MOST_DB) if not math.isnan(least) else -MOST_DB

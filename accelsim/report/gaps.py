"""How good a mapping is, in words and columns: its optimality gap, and where the time of its ops goes."""

from __future__ import annotations

import numpy as np

from accelsim.pipeline import DigitalEvaluation, Evaluation
from accelsim.report.quantities import percent, quantity
from accelsim.study.cycles import PARTS, time_parts
from accelsim.study.gap import optimality_gap
from accelsim.units import FS_PER_S

__all__ = ["gap_columns", "gap_document", "gap_words", "parts_words"]

_WORDS = {
    "ideal": "ideal",
    "spatial": "array edges and idle cores",
    "fill": "pipeline fill and drain",
    "port": "scratchpad port",
    "launch": "launch",
    "load": "first loads",
    "wait": "waits",
    "unload": "last stores",
}
_UNITS = {"array": "the arrays", "vector": "the vector units", "dram": "the DRAM", "host": "the host"}


def gap_words(run: Evaluation) -> str:
    """How far the latency is above its lower bound; empty where nothing bounds it."""
    gap = optimality_gap(run) if isinstance(run, DigitalEvaluation) else None
    if gap is None or gap.whole is None:
        return ""
    least = quantity(gap.least_s[gap.bounding], "s")
    over = percent(max(0.0, gap.whole - 1.0))
    return f"within {over} of the lower bound for these ops, in which {_UNITS[gap.bounding]} must work {least}"


def parts_words(run: Evaluation) -> str:
    """The parts of the time of all ops, from a thousandth on; empty for a run without time."""
    spent = _spent_s(run) if isinstance(run, DigitalEvaluation) else {}
    whole = sum(spent.values())
    return ", ".join(
        f"{_WORDS[name]} {percent(each / whole)}" for name, each in spent.items() if each >= 1e-3 * whole > 0
    )


def _spent_s(run: DigitalEvaluation) -> dict[str, float]:
    """Seconds of all ops by part; vector work that follows matrix work tile by tile runs in that op's time."""
    parts = time_parts(run)
    alone = np.array([not op.follows for op in run.mapping.walk()], dtype=np.bool_)
    return {name: float(getattr(parts, name)[alone].sum()) / FS_PER_S for name in PARTS}


def gap_columns(run: Evaluation) -> dict[str, list[float]]:
    """Columns of the frame of ops: ``gap``, and each part of an op's time in seconds, ``ideal_s`` to ``unload_s``.

    None for a kind that has no bounds.
    """
    if not isinstance(run, DigitalEvaluation):
        return {}
    parts = time_parts(run)
    seconds = {f"{name}_s": (getattr(parts, name) / FS_PER_S).tolist() for name in PARTS}
    return {"gap": optimality_gap(run).by_op.tolist(), **seconds}


def gap_document(run: Evaluation) -> dict[str, object]:
    """For the result document: ``optimality_gap`` (latency over bound, or null) and what it is made of."""
    if not isinstance(run, DigitalEvaluation):
        return {"optimality_gap": None, "least_s": None, "time_parts_s": None}
    gap = optimality_gap(run)
    return {"optimality_gap": gap.whole, "least_s": gap.least_s, "time_parts_s": _spent_s(run)}

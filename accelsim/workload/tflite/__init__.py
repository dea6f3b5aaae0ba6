"""The TFLite front end (extra ``tflite``): a flatbuffer becomes a workload graph. Nothing in the file is believed.

    read      bytes to plain records of tensors and operators, bounded by the size of the file
    plain     constants folded, branches inlined, variables as states; what is not modelled told at once
    convert   operators to typed ops (the ``ops_*`` modules)

Shapes are those that the file states: what it leaves open counts as 1. Layouts stay as they are (channels last).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from os import PathLike
from pathlib import Path

from accelsim.workload.graph import Graph

__all__ = ["from_tflite"]


def from_tflite(
    path: str | PathLike[str],
    *,
    allow_zero_cost: Collection[str] = (),
    branches: Mapping[str, str | float] | None = None,
) -> Graph:
    """The workload graph of a TFLite model.

    Operators become ops one by one, named after what they make; fused activation functions become element-wise ops
    behind them. Work on constants is folded away. A weight that is stored sparse has its zeros in its ``sparsity``; a
    quantised model brings a precision recipe called ``file``. Variables are states: what initialises them once has
    no part in an execution.

    Args:
        path: the model file, at most 2 GiB.
        allow_zero_cost: operators, by builtin or custom name, to treat as views that cost nothing.
        branches: what an IF that the data decides takes, by the name of its first result ("*": every other):
            ``"then"``, ``"else"`` or ``"dearest"``, the one with more MACs.

    Raises:
        InputError: the file cannot be read or is not consistent, or the extra is not installed.
        UnsupportedError: operators that accelsim does not model (all are listed), or an IF without a choice.
        UnknownNameError: ``allow_zero_cost`` or ``branches`` name something that the model lacks.
    """
    from accelsim.workload.tflite.convert import converted

    allowed = frozenset([allow_zero_cost] if isinstance(allow_zero_cost, str) else allow_zero_cost)
    return converted(Path(path), allowed, dict(branches or {}))

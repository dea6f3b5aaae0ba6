"""The engine chooser. Engines are imported when first used: their libraries take longer to load than most runs."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.timeline import Timeline
from accelsim.errors import UnknownNameError
from accelsim.mapping.taskgraph import TaskGraph

__all__ = ["ENGINES", "run"]

ENGINES = ("auto", "des", "maxplus")


def run(
    graph: TaskGraph, duration_fs: NDArray[np.int64], engine: Literal["auto", "des", "maxplus"] = "auto"
) -> Timeline:
    """Run ``graph`` and return when each task starts and ends.

    Args:
        graph: n tasks.
        duration_fs: (n,) int64 femtoseconds, 0 or more.
        engine: "des" is the reference, on SimPy; "maxplus" is compiled, equal to it task by task, and does not run
            arrival-order resources; "auto" is maxplus wherever that runs the graph, and des elsewhere.

    Raises:
        UnknownNameError: no engine of that name.
        InputError: durations of another shape or type, or negative.
        UnsupportedError: maxplus was asked for, and the graph has arrival-order resources.
        EngineError: a deadlock, a schedule beyond the range of int64, or a graph whose indices are out of range.
    """
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES, field="engine")
    if engine == "des" or (engine == "auto" and graph.arrival):
        from accelsim.engine import des

        return des.run(graph, duration_fs)
    from accelsim.engine import maxplus

    return maxplus.run(graph, duration_fs)

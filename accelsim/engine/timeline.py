"""What an engine returns: when each task of a task graph starts and ends."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.taskgraph import TaskGraph

__all__ = ["Timeline"]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Start and end of each task, (n,) int64 femtoseconds, and which engine found them."""

    start_fs: NDArray[np.int64]
    end_fs: NDArray[np.int64]
    engine: str

    @property
    def makespan_fs(self) -> int:
        """End of the last task; 0 when there is none."""
        return int(self.end_fs.max()) if self.end_fs.size else 0

    def busy_fs(self, graph: TaskGraph) -> NDArray[np.int64]:
        """Occupied time of each resource, (len(graph.resources),)."""
        held = graph.resource >= 0
        busy = np.zeros(len(graph.resources), dtype=np.int64)
        np.add.at(busy, graph.resource[held], (self.end_fs - self.start_fs)[held])
        return busy

    def violations(self, graph: TaskGraph) -> list[str]:
        """Broken certificates, in words: a task before its predecessor, or two at once on one resource."""
        found: list[str] = []
        owner = np.repeat(np.arange(len(graph)), np.diff(graph.pred_ptr))
        early = np.flatnonzero(self.start_fs[owner] < self.end_fs[graph.pred])
        if early.size:
            found.append(f"task {owner[early[0]]} starts before its predecessor {graph.pred[early[0]]} has ended")
        for index, name in enumerate(graph.resources):
            tasks = np.flatnonzero(graph.resource == index)
            order = tasks[np.lexsort((self.end_fs[tasks], self.start_fs[tasks]))]
            clash = np.flatnonzero(self.start_fs[order[1:]] < self.end_fs[order[:-1]])
            if clash.size:
                found.append(f"tasks {order[clash[0]]} and {order[clash[0] + 1]} overlap on {name}")
        return found

"""What a mapper decides: for each op where it runs and how it is cut, and for each tensor where it lives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accelsim.mapping.schedule import Work
from accelsim.mapping.space import Candidate, Metrics, Problem
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Loop, Op

__all__ = ["LoopMapping", "MappedOp", "OpMapping", "Stream", "WorkloadMapping"]


@dataclass(frozen=True, slots=True)
class Stream:
    """The work of one execution of an op, as ``tiles`` equal steps of load, compute and store.

    Bytes of DRAM are those of all cores, everything else is that of the fullest core.

    Attributes:
        unit: ``array``, ``vector``, ``host`` or ``none``.
        tiles: steps that load, compute and store overlap over; ``fetches`` of them load something.
        cycles: of the unit (host: 0).
        load_bytes, first_load_bytes: DRAM reads in all, and before the first tile can start.
        store_bytes, last_store_bytes: DRAM writes in all, and after the last tile.
        gather_bytes, reduce_bytes: received over the on-chip network before and after computing.
        core_share: part of the loads that one core moves.
        late: no result is whole before the last tile.
        buffer_bytes: scratchpad that the op's own buffers take in a core.
        scratchpad_bytes: read or written between scratchpads and units, all cores.
    """

    unit: str
    tiles: int = 1
    fetches: int = 1
    cycles: float = 0.0
    load_bytes: float = 0.0
    first_load_bytes: float = 0.0
    store_bytes: float = 0.0
    last_store_bytes: float = 0.0
    gather_bytes: float = 0.0
    reduce_bytes: float = 0.0
    core_share: float = 1.0
    late: bool = False
    buffer_bytes: float = 0.0
    scratchpad_bytes: float = 0.0

    def work(self, follow_s: float) -> Work:
        """The stream as `schedule_s` takes it, with ``follow_s`` of vector work behind it."""
        return Work(
            self.tiles, self.fetches, self.cycles, self.load_bytes, self.first_load_bytes, self.store_bytes,
            self.last_store_bytes, self.core_share, self.gather_bytes, self.reduce_bytes, follow_s, self.late,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpMapping:
    """One op: ``executions`` counts the loops around it; matrix work has a problem, a candidate and its metrics.

    With ``follows`` it is vector work that runs tile by tile behind the matrix op before it, whose ``time_s`` then
    covers both.
    """

    op: Op
    stream: Stream
    executions: int = 1
    precision: str = ""
    problem: Problem | None = None
    candidate: Candidate | None = None
    metrics: Metrics | None = None
    time_s: float = 0.0
    follows: bool = False


@dataclass(frozen=True, slots=True)
class LoopMapping:
    """A time loop: its body, and the weights that stay in the scratchpads for all of its steps.

    ``time_s`` is that of all steps and of the load of the resident weights before them.
    """

    op: Loop
    body: tuple[MappedOp, ...]
    resident: tuple[str, ...]
    resident_bytes: float
    executions: int = 1
    time_s: float = 0.0


MappedOp = OpMapping | LoopMapping


@dataclass(frozen=True, slots=True)
class WorkloadMapping:
    """A whole workload: mapped ops in execution order, and which activations stay on chip."""

    graph: Graph
    ops: tuple[MappedOp, ...]
    on_chip: frozenset[str]
    scratchpad_peak_bytes: float
    dram_peak_bytes: float
    candidates_seen: int

    @property
    def time_s(self) -> float:
        """The mapper's own time; at op detail the engine finds the same."""
        return sum(each.time_s for each in self.ops)

    def walk(self) -> Iterator[OpMapping]:
        """Every op of the workload, loop bodies included, in the order in which the task graph numbers them."""
        yield from _walk(self.ops)


def _walk(ops: tuple[MappedOp, ...]) -> Iterator[OpMapping]:
    for each in ops:
        if isinstance(each, LoopMapping):
            yield from _walk(each.body)
        else:
            yield each

"""What a mapper decides: for each op where it runs and how it is cut, and for each tensor where it lives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from accelsim.hardware.digital import DATAFLOWS
from accelsim.mapping.schedule import Work
from accelsim.mapping.space import ORDERS, Candidate, Metrics, Problem
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Loop, Op

__all__ = [
    "LoopMapping", "MappedItem", "MappedOp", "MappedWorkload", "OpMapping", "PipelineMapping", "Stage", "Stream",
    "WorkloadMapping",
]  # fmt: skip


class MappedItem(Protocol):
    """One mapped op of any hardware kind, as reports read it."""

    @property
    def op(self) -> Op:
        """What is computed."""

    @property
    def executions(self) -> int:
        """How often, counting the loops around it."""

    @property
    def precision(self) -> str:
        """Format of its matrix work; empty where it is none."""

    @property
    def unit(self) -> str:
        """The kind of unit that it runs on; ``none`` for an op that does nothing."""

    @property
    def placement(self) -> Mapping[str, str | None]:
        """How it is cut and where it lies, in words: the same keys for every op of a mapping."""


class MappedWorkload(Protocol):
    """A mapped workload of any hardware kind, as reports read it."""

    @property
    def graph(self) -> Graph:
        """The workload as it was mapped, formats assigned."""

    @property
    def candidates_seen(self) -> int:
        """Mappings that were looked at."""

    def walk(self) -> Iterator[MappedItem]:
        """Every op, in the order in which the task graph numbers them."""


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
    covers both. In a run (see `mapping.sequence`) ``ahead_bytes`` of its weights, or none, are loaded before it starts;
    an op on its own has None there.
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
    ahead_bytes: float | None = None

    @property
    def unit(self) -> str:
        """``array``, ``vector``, ``host`` or ``none``."""
        return self.stream.unit

    @property
    def placement(self) -> dict[str, str | None]:
        """``core_split``, ``tile``, ``order`` and ``dataflow``; None without a candidate."""
        c = self.candidate
        if c is None:
            return dict.fromkeys(("core_split", "tile", "order", "dataflow"))
        return {
            "core_split": f"g{c.split_g} m{c.split_m} n{c.split_n} k{c.split_k}",
            "tile": f"m{c.tile_m} n{c.tile_n} k{c.tile_k}",
            "order": "".join("mnk"[axis] for axis in ORDERS[c.order]),
            "dataflow": DATAFLOWS[c.dataflow],
        }

    @property
    def quiet(self) -> bool:
        """Whether it leaves the DRAM alone once its weights are there."""
        return self.stream.load_bytes == 0 and self.stream.store_bytes == 0


@dataclass(frozen=True, slots=True)
class LoopMapping:
    """A loop: its body, and the weights that stay in the scratchpads for all of its steps.

    ``executions`` counts the loops around it.
    Its steps are those of time, or the stripes of a row of ops that runs depth first, of which ``stripe_bytes`` of
    activations are on chip at a time. ``time_s`` is that of all steps and of what is loaded before them:
    ``load_bytes``, of which ``resident_bytes`` are weights.
    """

    op: Loop
    body: tuple[MappedOp, ...]
    resident: tuple[str, ...]
    resident_bytes: float
    load_bytes: float
    executions: int = 1
    time_s: float = 0.0
    stripe_bytes: float | None = None

    @property
    def depth_first(self) -> bool:
        """Whether its steps are stripes, not steps of time."""
        return self.stripe_bytes is not None


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage of a pipeline: its ops, on ``cores`` cores from ``first_core`` on.

    ``receive_bytes`` come to each of its cores over the network before each sample. ``time_s`` is that of one sample.
    """

    ops: tuple[OpMapping, ...]
    first_core: int
    cores: int
    receive_bytes: float
    time_s: float


@dataclass(frozen=True, slots=True)
class PipelineMapping:
    """Samples of a batch that flow through stages, all of whose weights are resident.

    Time goes in waves: in each, every stage works on the sample that the stage before had in the wave before, and the
    DRAM loads ``load_bytes`` of the next sample and stores ``store_bytes`` of a finished one. The op is the loop over
    the samples.
    """

    op: Loop
    stages: tuple[Stage, ...]
    resident: tuple[str, ...]
    resident_bytes: float
    load_bytes: float
    store_bytes: float
    buffer_bytes: float
    time_s: float = 0.0

    @property
    def body(self) -> tuple[OpMapping, ...]:
        """The ops of all stages."""
        return tuple(op for stage in self.stages for op in stage.ops)

    @property
    def executions(self) -> int:
        """Pipelines stand in no loop."""
        return 1

    @property
    def samples(self) -> int:
        return self.op.steps

    def active(self, wave: int) -> tuple[bool, tuple[int, ...], bool]:
        """What wave ``wave`` of ``waves`` does: whether it loads a sample, which stages work, whether it stores one."""
        stages = tuple(index for index in range(len(self.stages)) if 0 <= wave - 1 - index < self.samples)
        return wave < self.samples, stages, 0 <= wave - 1 - len(self.stages) < self.samples

    @property
    def waves(self) -> int:
        """Load, the stages, store, and all samples but the first behind it."""
        return self.samples + len(self.stages) + 1


MappedOp = OpMapping | LoopMapping | PipelineMapping


@dataclass(frozen=True, slots=True)
class WorkloadMapping:
    """A whole workload: mapped ops in execution order, and what stays on chip.

    ``resident`` are weights that stay from one inference to the next, ``spilled`` states of loops that live in DRAM.
    ``time_s`` is the mapper's own time; at op detail the engine finds the same.
    """

    graph: Graph
    ops: tuple[MappedOp, ...]
    on_chip: frozenset[str]
    resident: frozenset[str]
    spilled: frozenset[str]
    time_s: float
    scratchpad_peak_bytes: float
    dram_peak_bytes: float
    candidates_seen: int

    def walk(self) -> Iterator[OpMapping]:
        """Every op of the workload, loop bodies included, in the order in which the task graph numbers them."""
        yield from _walk(self.ops)


def _walk(ops: tuple[MappedOp, ...]) -> Iterator[OpMapping]:
    for each in ops:
        if isinstance(each, OpMapping):
            yield each
        else:
            yield from _walk(each.body)

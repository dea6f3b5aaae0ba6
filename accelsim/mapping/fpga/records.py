"""A dataflow of stages: each takes and puts pixels step by step, and streams of finite depth connect them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import GraphError, InputError, UnknownNameError
from accelsim.mapping.fpga.circuits import Circuit

__all__ = ["Dataflow", "Lines", "Stage", "Steps", "Stream", "every_pixel"]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """What a stage does for one frame, step by step; n steps.

    Attributes:
        takes: (n,) bool, the step takes a pixel from every input.
        puts: (n,) bool, the step puts a pixel into every output.
        cycles: (n,) int64, from the take to the put; the first of them is the take itself.
    """

    takes: NDArray[np.bool_]
    puts: NDArray[np.bool_]
    cycles: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.cycles)


def every_pixel(pixels: int, cycles: int) -> Steps:
    """Steps that each take one pixel and put one."""
    always = np.ones(pixels, dtype=np.bool_)
    return Steps(always, always, np.full(pixels, cycles, dtype=np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """The line buffer of a stage that takes pixels while it puts windows.

    Attributes:
        first: (puts,) int64, the step that took the oldest pixel which each window needs; it never falls.
        capacity: pixels that the buffer holds.
    """

    first: NDArray[np.int64]
    capacity: int


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """One circuit of the pipeline.

    Attributes:
        op: index of the mapped op that it belongs to.
        circuits: what it is built of, the one that works first.
        inputs, outputs: names of streams.
        put_cycles: cycles in which a result is handed over.
        latency_cycles: depth of its pipeline: cycles from the end of a step's work to its put, in which others begin.
        registers: results that may wait for room behind the stage while it works on; with 0 it stands still until its
            result is taken.
        holds_input: a pixel leaves the stream before the stage only when it was put into every output.
        lines: a line buffer between takes and puts, which then overlap: a take waits for room in it, a put takes
            ``put_cycles``.
    """

    name: str
    op: int
    circuits: tuple[Circuit, ...]
    steps: Steps
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    put_cycles: int = 1
    latency_cycles: int = 0
    registers: int = 1
    holds_input: bool = False
    lines: Lines | None = None

    @property
    def results_inside(self) -> int:
        """Results that the stage holds behind the one that it works on: its pipeline and its registers."""
        shortest = int(self.steps.cycles[self.steps.puts].min(initial=1))
        return self.registers + -(-self.latency_cycles // max(shortest, 1))

    @property
    def interval_cycles(self) -> int:
        """Initiation interval: cycles that a frame occupies the stage at least."""
        steps = self.steps
        if self.lines is not None:
            return max(int(steps.cycles.sum()), self.put_cycles * int(np.count_nonzero(steps.puts)))
        waited = 0 if self.registers else self.put_cycles * int(np.count_nonzero(steps.puts))
        return int(steps.cycles.sum()) + waited


@dataclass(frozen=True, slots=True)
class Stream:
    """Pixels from one stage to the next.

    Attributes:
        depth: pixels of its FIFO; None is a wire, over which a pixel passes when the next stage takes it.
        words: words of ``word_bits`` that a pixel is sent in.
        skip: the op of the join that a skip connection runs to over this stream; empty elsewhere.
        window: whether what it carries are windows of pixels, one of which waits while the next is made.
    """

    name: str
    words: int
    word_bits: int
    depth: int | None
    skip: str = ""
    window: bool = False

    @property
    def pixel_bits(self) -> int:
        return self.words * self.word_bits


@dataclass(frozen=True)
class Dataflow:
    """Stages, upstream before downstream, and the streams between them.

    Raises:
        GraphError: a stream without exactly one producer and one consumer, stages in a circle, or a stage whose inputs
            or outputs have other numbers of pixels than those they are connected to.
        InputError: a FIFO of no depth.
    """

    stages: tuple[Stage, ...]
    streams: Mapping[str, Stream]

    def __post_init__(self) -> None:
        for stream in self.streams.values():
            if stream.depth is not None and stream.depth < 1:
                raise InputError("must be 1 or more", field=f"depth of FIFO {stream.name}", value=stream.depth,
                                 remedy="a FIFO without room passes nothing")  # fmt: skip
        self._check_ends()
        self._check_order()
        self._check_rates()

    @cached_property
    def producers(self) -> dict[str, int]:
        """Index of the stage that puts into each stream."""
        return {name: index for index, stage in enumerate(self.stages) for name in stage.outputs}

    @cached_property
    def consumers(self) -> dict[str, int]:
        """Index of the stage that takes from each stream."""
        return {name: index for index, stage in enumerate(self.stages) for name in stage.inputs}

    @property
    def fifos(self) -> list[Stream]:
        """The streams that are no wires."""
        return [stream for stream in self.streams.values() if stream.depth is not None]

    @property
    def interval_cycles(self) -> int:
        """Cycles a frame of the slowest stage: no frame follows another sooner."""
        return max(stage.interval_cycles for stage in self.stages)

    def pixels(self, stream: str) -> int:
        """Pixels of one frame on a stream."""
        return int(np.count_nonzero(self.stages[self.producers[stream]].steps.puts))

    def with_depths(self, depths: Mapping[str, int]) -> Dataflow:
        """The same dataflow with other FIFO depths.

        Raises:
            UnknownNameError: a name that no FIFO has.
        """
        known = [stream.name for stream in self.fifos]
        for name in depths:
            if name not in known:
                raise UnknownNameError("FIFO", name, known, field="depths")
        streams = {
            name: replace(stream, depth=depths[name]) if name in depths else stream
            for name, stream in self.streams.items()
        }
        return replace(self, streams=streams)

    def _check_ends(self) -> None:
        for what, ends in (("producer", self.producers), ("consumer", self.consumers)):
            count = sum(len(stage.outputs if what == "producer" else stage.inputs) for stage in self.stages)
            missing = sorted(set(self.streams) ^ set(ends))
            if missing or count != len(ends):
                named = missing[0] if missing else "one of them"
                raise GraphError(f"needs exactly one {what}", field="stream", value=named)

    def _check_order(self) -> None:
        for name in self.streams:
            if self.producers[name] >= self.consumers[name]:
                stages = self.stages[self.producers[name]].name, self.stages[self.consumers[name]].name
                raise GraphError("runs against the order of the stages: a dataflow is free of circles",
                                 field=f"stream {name}", value=" -> ".join(stages))  # fmt: skip

    def _check_rates(self) -> None:
        for name in self.streams:
            put, stage = self.pixels(name), self.stages[self.consumers[name]]
            taken = int(np.count_nonzero(stage.steps.takes))
            if put != taken:
                raise GraphError(
                    f"brings {put} pixels a frame, and {stage.name} takes {taken}", field=f"stream {name}",
                    remedy="streams that meet in an adder must have the same rate: shortcut and branch need one stride",
                )  # fmt: skip

"""The shape of the saving: what the skips of one residual block take over width, channels, bits and reuse factor.

A block of two 3 x 3 convolutions has one long skip, or two short ones after shortening. FIFO depths are those that
lose no cycle in the simulation of the block; memories come in whole primitives, so that resources go in steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from accelsim.cost.fpga.resources import Resources
from accelsim.cost.fpga.stages import circuit_resources, stream_resources
from accelsim.engine.streaming import smallest_common_depth
from accelsim.mapping.fpga.circuits import Adder, Duplicator
from accelsim.mapping.fpga.lower import lower_dataflow
from accelsim.mapping.fpga.records import Stream
from accelsim.mapping.fpga.residual import residual_dataflow

__all__ = ["Block", "StepPoint", "block_depth", "skip_resources", "step_functions"]

_HEIGHT = 8
"""Rows of the simulated block: depths do not change with more."""
_POINTS: Mapping[str, tuple[int, ...]] = {
    "width": (4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128),
    "channels": (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128),
    "bits": (1, 2, 3, 4, 5, 6, 8, 10, 12, 16),
    "reuse": (1, 2, 4, 9, 18, 36, 72, 144),
}


@dataclass(frozen=True, slots=True)
class Block:
    """One residual block: image width, channels, bits of the stream, and cycles that a convolution works on a pixel.

    ``lanes`` channels are sent at a time (all of them in hls4ml).
    """

    width: int
    channels: int
    bits: int
    reuse: int
    lanes: int
    style: str


@dataclass(frozen=True, slots=True)
class StepPoint:
    """One point: depth of each skip FIFO, and what all skips of the block take: FIFOs, and duplicators and adders."""

    value: int
    depth: int
    fifos: Resources
    joins: Resources


def step_functions(block: Block) -> dict[str, dict[str, list[StepPoint]]]:
    """By parameter and arrangement (``keep``: one long skip, ``shorten``: two short ones), the points over it."""
    found: dict[str, dict[str, list[StepPoint]]] = {}
    for name, values in _POINTS.items():
        blocks = [(value, _changed(block, name, value)) for value in values]
        found[name] = {
            variant: [_point(each, skips, value) for value, each in blocks]
            for variant, skips in (("keep", "long"), ("shorten", "short"))
        }
    return found


def _changed(block: Block, name: str, value: int) -> Block:
    sizes = {"width": block.width, "channels": block.channels, "bits": block.bits, "reuse": block.reuse, name: value}
    lanes = sizes["channels"] if block.style == "hls4ml" else _dividing(sizes["channels"], block.lanes)
    return Block(sizes["width"], sizes["channels"], sizes["bits"], sizes["reuse"], lanes, block.style)


def _dividing(channels: int, lanes: int) -> int:
    return max(each for each in range(1, min(lanes, channels) + 1) if channels % each == 0)


def _point(block: Block, skips: str, value: int) -> StepPoint:
    depth = block_depth(skips, block.width, block.reuse)
    fifos, joins = skip_resources(block, depth)
    count = 1 if skips == "long" else 2
    return StepPoint(value, depth, count * fifos, count * joins)


def skip_resources(block: Block, depth: int) -> tuple[Resources, Resources]:
    """One skip: its FIFO of ``depth`` pixels, and its duplicator and adder."""
    stream = Stream("skip", block.channels // block.lanes, block.lanes * block.bits, depth, "add")
    joins = (Adder(block.channels, block.lanes, block.bits), Duplicator(block.channels, block.lanes, block.bits))
    return stream_resources(stream, block.style), sum(
        (circuit_resources(each, block.style) for each in joins), Resources()
    )


@lru_cache(maxsize=1024)
def block_depth(skips: str, width: int, work_cycles: int) -> int:
    """Smallest depth of the skip FIFOs of a block that loses no cycle, by simulation."""
    dataflow = residual_dataflow(skips, width, _HEIGHT, depth=1, work_cycles=work_cycles)
    fifos = [stream.name for stream in dataflow.fifos if stream.skip]
    return smallest_common_depth(lower_dataflow(dataflow), fifos).lossless[fifos[0]]

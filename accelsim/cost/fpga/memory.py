"""Memories: how many primitives hold so many words, and which kind of primitive a tool takes when it may choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accelsim.cost.fpga.resources import Resources
from accelsim.hardware.fpga import BRAM36_SHAPES, LUTRAM_SHAPES, RAMB18_SHAPES, SRL_BITS, URAM_SHAPE, MemoryShape

__all__ = [
    "BlockRams", "LutRam", "address_bits", "block_rams", "count_bits", "lut_ram", "mux_luts", "prefers_lut_ram",
    "shift_register", "ultra_rams",
]  # fmt: skip

MemoryStyle = Literal["srl", "lutram", "block", "auto"]

_LUTS_PER_CELL = 8
_LUT_CELL_COST, _RAMB18_COST, _RAMB36_COST, _BANK_COST = 16, 129, 257, 0.5
"""What Yosys 0.70 weighs memories by: its tables for distributed RAM, and a block RAM as its choices show."""


@dataclass(frozen=True, slots=True)
class BlockRams:
    """Block RAMs of a memory."""

    ramb18: int
    ramb36: int

    @property
    def bram18(self) -> int:
        """In halves."""
        return self.ramb18 + 2 * self.ramb36


@dataclass(frozen=True, slots=True)
class LutRam:
    """Distributed RAM: ``cells`` of eight LUTs in ``banks`` along the depth, chosen between by multiplexers."""

    cells: int
    banks: int

    @property
    def luts(self) -> int:
        return _LUTS_PER_CELL * self.cells


def address_bits(depth: int) -> int:
    """Bits that address ``depth`` words."""
    return max((depth - 1).bit_length(), 1)


def count_bits(depth: int) -> int:
    """Bits that count from zero to ``depth``."""
    return depth.bit_length()


def block_rams(width_bits: int, depth: int) -> BlockRams:
    """Block RAMs of a memory with one write and one read port, all of one shape: the fewest, whole ones on a tie."""
    halves = min(shape.blocks(width_bits, depth) for shape in RAMB18_SHAPES)
    wholes = min(shape.blocks(width_bits, depth) for shape in BRAM36_SHAPES)
    return BlockRams(0, wholes) if _RAMB36_COST * wholes < _RAMB18_COST * halves else BlockRams(halves, 0)


def lut_ram(width_bits: int, depth: int) -> LutRam:
    """Distributed RAM with a write and an asynchronous read port: the shape that leaves least idle, banks counted."""
    best = min(
        reversed(LUTRAM_SHAPES), key=lambda each: _banks(each, depth) * (_LUT_CELL_COST / each.width_bits + _BANK_COST)
    )
    return LutRam(best.blocks(width_bits, depth), _banks(best, depth))


def _banks(shape: MemoryShape, depth: int) -> int:
    return -(-depth // shape.depth)


def prefers_lut_ram(width_bits: int, depth: int) -> bool:
    """Whether Yosys takes distributed RAM where it may choose: the share of the cells that is used, against block
    RAM."""
    share = min(_banks(shape, depth) * width_bits / shape.width_bits for shape in LUTRAM_SHAPES)
    found = block_rams(width_bits, depth)
    return _LUT_CELL_COST * share < _RAMB18_COST * found.ramb18 + _RAMB36_COST * found.ramb36


def shift_register(width_bits: int, depth: int) -> int:
    """LUTs of a shift register, one bit wide in each, ``depth`` stages."""
    return width_bits * -(-depth // SRL_BITS)


def ultra_rams(width_bits: int, depth: int) -> Resources:
    """UltraRAMs of a memory."""
    return Resources(uram=URAM_SHAPE.blocks(width_bits, depth))


def mux_luts(ways: int) -> int:
    """LUTs of one bit of a multiplexer with binary select: a LUT6 takes four ways, and another chooses among those."""
    if ways <= 4:
        return int(ways > 1)
    groups = -(-ways // 4)
    rest = ways - 4 * (groups - 1)
    merged = groups == 2 and rest == 2  # two ways fit the LUT that chooses
    return groups - 1 + (rest > 1) + mux_luts(groups) - merged

"""Stream FIFOs of hls4ml as Vivado synthesises them."""

from __future__ import annotations

from accelsim.cost.fpga.fifo import rule_style
from accelsim.cost.fpga.memory import BlockRams, address_bits, shift_register
from accelsim.cost.fpga.resources import Resources, whole
from accelsim.errors import InputError

__all__ = ["stream_fifo"]

_DEEP = 4096
_DEEP_COLUMN_BITS = 9


def stream_fifo(width_bits: int, depth: int) -> Resources:
    """The FIFO of an HLS stream: a register, a shift register up to 1024 bits, or block RAM with an output register.

    Constants are set on public post-synthesis reports (Vivado HLS 2019.2, XCVU9P), see docs/fpga.md.
    """
    if width_bits < 1 or depth < 1:
        raise InputError("must be 1 or more", field="width_bits, depth", value=f"{width_bits}, {depth}")
    if depth == 1:
        return Resources(lut_logic=7, ff=width_bits)
    bits = address_bits(depth)
    if rule_style(width_bits, depth) == "srl":
        return Resources(lut_logic=whole(13 + 1.2 * bits), lut_srl=shift_register(width_bits, depth), ff=3 + bits)
    logic = whole(max(8 * bits - 18, 12))
    return Resources(lut_logic=logic, ff=36 + 3 * bits, bram18=_blocks(width_bits, depth).bram18)


def _blocks(width_bits: int, depth: int) -> BlockRams:
    """Block RAMs: a RAMB18 where one holds it, else columns of 9 bits, as deep as needed."""
    if depth <= 1024 and width_bits <= 18:
        return BlockRams(1, 0)
    if depth <= 512 and width_bits <= 36:
        return BlockRams(1, 0)
    if depth <= _DEEP // 4:
        return BlockRams(0, -(-width_bits // 36))
    if depth <= _DEEP // 2:
        return BlockRams(0, -(-width_bits // 18))
    return BlockRams(0, -(-width_bits // _DEEP_COLUMN_BITS) * -(-depth // _DEEP))

"""Ready/valid FIFOs of a generic description (no vendor core), by the memory that holds the words.

All have a counter of the words inside; those with a RAM also a write and a read address. The constants are LUTs a bit
of these counters, their comparators and enables, calibrated on synthesis points of our own (docs/fpga.md): W = 12 and
depths from 2 to 32768, widths that no reference row has.
"""

from __future__ import annotations

from accelsim.cost.fpga.memory import (
    address_bits,
    block_rams,
    count_bits,
    lut_ram,
    mux_luts,
    prefers_lut_ram,
    shift_register,
)
from accelsim.cost.fpga.resources import Resources, whole
from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.fpga import SRL_BITS

__all__ = ["FIFO_STYLES", "fifo", "rule_style"]

FIFO_STYLES = ("srl", "lutram", "block", "auto")
_SRL_RULE_BITS = 1024
_SRL_LEAST_DEPTH = 3

_SRL_CONTROL, _SRL_CONTROL_PER_BIT, _SRL_CONTROL_BITS = -1.0, 2.0, 8
_RAM_CONTROL, _RAM_CONTROL_PER_BIT, _RAM_WRAP_PER_BIT, _BANK_DECODE = 9.5, 1.75, 0.6, 2.0
_BLOCK_CONTROL, _BLOCK_CONTROL_PER_BIT, _BLOCK_BANK_DECODE = 7.3, 1.33, 1.0
_BLOCK_CONTROL_AT = {6: 15, 7: 16, 8: 16, 9: 23, 10: 19, 11: 21, 12: 23, 13: 24, 14: 26, 15: 27}
"""LUTs of the control by address bits where depths are powers of two, as synthesised; the line above lies among
them."""
_BLOCK_WRAP_PER_BIT, _BLOCK_WRAP_FROM, _BLOCK_WRAP_LEAST = 2.8, 5, 2.0


def rule_style(width_bits: int, depth: int) -> str:
    """The memory that HLS tools take for a stream: shift registers up to 1024 bits, block RAM beyond."""
    return "srl" if width_bits * depth <= _SRL_RULE_BITS else "block"


def fifo(width_bits: int, depth: int, style: str) -> Resources:
    """A FIFO of ``depth`` words of ``width_bits``.

    Args:
        style: ``srl`` (a shift register with a chosen tap for each bit), ``lutram`` (asynchronous read), ``block``
            (synchronous read into an output register), ``auto`` (as ``block``, the tool picks the memory).

    Raises:
        InputError: a size below one, or fewer than two words where there is a RAM.
        UnknownNameError: another style.
    """
    if style not in FIFO_STYLES:
        raise UnknownNameError("style of a FIFO", style, FIFO_STYLES, field="style")
    if width_bits < 1:
        raise InputError("must be 1 or more", field="width_bits", value=width_bits)
    if depth < 2:
        raise InputError("must be 2 or more", field="depth", value=depth, remedy="a FIFO of one word is a register")
    if style == "srl":
        return _shifting(width_bits, depth)
    if style == "lutram":
        return _distributed(width_bits, depth)
    if style == "block" or not prefers_lut_ram(width_bits, depth):
        return _block(depth) + Resources(bram18=block_rams(width_bits, depth).bram18)
    memory = lut_ram(width_bits, depth)
    decode = _BLOCK_BANK_DECODE * memory.banks if memory.banks > 1 else 0
    logic = width_bits * mux_luts(memory.banks) + whole(decode)
    return _block(depth) + Resources(lut_logic=logic, lut_lutram=memory.luts, ff=width_bits)


def _wraps(depth: int) -> bool:
    """Whether addresses must be compared with the last one: they do not overflow into zero."""
    return depth & (depth - 1) != 0


def _shifting(width_bits: int, depth: int) -> Resources:
    # Four SRLs of a bit share the multiplexers of their slice; only what lies beyond takes LUTs.
    groups = -(-depth // (4 * SRL_BITS))
    control = _SRL_CONTROL + _SRL_CONTROL_PER_BIT * min(count_bits(depth), _SRL_CONTROL_BITS)
    if depth < _SRL_LEAST_DEPTH:  # too short for a shift register: words in flip-flops, and a LUT a bit to choose one
        return Resources(lut_logic=whole(control) + width_bits, ff=count_bits(depth) + depth * width_bits)
    return Resources(
        lut_logic=whole(control) + width_bits * mux_luts(groups), lut_srl=shift_register(width_bits, depth),
        ff=count_bits(depth),
    )  # fmt: skip


def _distributed(width_bits: int, depth: int) -> Resources:
    bits, memory = address_bits(depth), lut_ram(width_bits, depth)
    control = _RAM_CONTROL + _RAM_CONTROL_PER_BIT * bits
    control += _BANK_DECODE * memory.banks if memory.banks > 1 else 0
    control += _RAM_WRAP_PER_BIT * bits if _wraps(depth) else 0
    logic = whole(control) + width_bits * mux_luts(memory.banks)
    # The read address is held twice: Yosys keeps its next value beside it.
    return Resources(lut_logic=logic, lut_lutram=memory.luts, ff=3 * bits + count_bits(depth))


def _block(depth: int) -> Resources:
    """Control of a FIFO with a prefetched word; the flag of that word is the last flip-flop."""
    bits = address_bits(depth)
    control = _BLOCK_CONTROL + _BLOCK_CONTROL_PER_BIT * bits
    if not _wraps(depth):
        control = _BLOCK_CONTROL_AT.get(bits, control)
    if _wraps(depth):
        control += max(_BLOCK_WRAP_PER_BIT * (bits - _BLOCK_WRAP_FROM), _BLOCK_WRAP_LEAST)
    return Resources(lut_logic=whole(control), ff=2 * bits + count_bits(depth) + 1)

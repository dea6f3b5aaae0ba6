"""Line buffers: two lines of an image and a window of 3 x 3 pixels."""

from __future__ import annotations

from accelsim.cost.fpga.fifo import FIFO_STYLES
from accelsim.cost.fpga.memory import (
    LutRam,
    address_bits,
    block_rams,
    lut_ram,
    mux_luts,
    prefers_lut_ram,
    shift_register,
)
from accelsim.cost.fpga.resources import Resources, whole
from accelsim.errors import InputError, UnknownNameError

__all__ = ["line_buffer"]

_LINES = 2
_WINDOW = 9
_WINDOW_BEHIND_SRL = 7
"""The newest pixel of two lines is the output of a shift register, not a register of its own."""
_WRAP_PER_COUNTER = 4
_BANK_DECODE = 3.6
"""LUTs a bank: its write enable, and its share of holding the choice until the word is read. Calibrated on WD 224,
CB 8."""
_SINGLE_PORT_CELL_DEPTH, _SINGLE_PORT_CELL_BITS = 32, 16


def line_buffer(words: int, pixel_bits: int, style: str) -> Resources:
    """Two memories of ``words`` pixels of ``pixel_bits`` (channels x bits), and the registers of a 3 x 3 window.

    Flip-flops: nine pixels; two more where the memories are distributed RAM with a registered output; and the counters
    of the read and the write address. Addresses that are no power of two are compared with the last one.

    Raises:
        InputError: a size below one, or fewer than two words.
        UnknownNameError: a style other than srl, lutram, block and auto.
    """
    if style not in FIFO_STYLES:
        raise UnknownNameError("style of a line buffer", style, FIFO_STYLES, field="style")
    if words < 2:
        raise InputError("must be 2 or more", field="words", value=words)
    if pixel_bits < 1:
        raise InputError("must be 1 or more", field="pixel_bits", value=pixel_bits)
    if style == "srl":
        return Resources(lut_srl=_LINES * shift_register(pixel_bits, words), ff=_WINDOW_BEHIND_SRL * pixel_bits)
    bits = address_bits(words)
    wrap = 0 if words & (words - 1) == 0 else _WRAP_PER_COUNTER * _LINES
    counters = _LINES * bits
    if style == "lutram":
        return _asynchronous(words, pixel_bits, wrap)
    if style == "block" or not prefers_lut_ram(pixel_bits, words):
        halves = _LINES * block_rams(pixel_bits, words).bram18
        return Resources(lut_logic=wrap, ff=_WINDOW * pixel_bits + counters, bram18=halves)
    memory = lut_ram(pixel_bits, words)
    logic = wrap + _LINES * _select(memory, pixel_bits)
    return Resources(
        lut_logic=logic, lut_lutram=_LINES * memory.luts, ff=(_WINDOW + _LINES) * pixel_bits + counters,
    )  # fmt: skip


def _select(memory: LutRam, pixel_bits: int) -> int:
    """LUTs of one memory that choose among its banks and enable one of them."""
    if memory.banks == 1:
        return 0
    return pixel_bits * mux_luts(memory.banks) + whole(_BANK_DECODE * memory.banks)


def _asynchronous(words: int, pixel_bits: int, wrap: int) -> Resources:
    """Memories that are read without a clock: the first has one port (read, then written at one address)."""
    bits, second = address_bits(words), lut_ram(pixel_bits, words)
    if words <= _SINGLE_PORT_CELL_DEPTH:
        first = 8 * -(-pixel_bits // _SINGLE_PORT_CELL_BITS)
    else:
        first = pixel_bits * (1 << (address_bits(words) - 6))  # RAM64X1S, RAM128X1S, RAM256X1S: one bit in each
    logic = bits + wrap + _select(second, pixel_bits)
    return Resources(lut_logic=logic, lut_lutram=first + second.luts, ff=_WINDOW * pixel_bits + 3 * bits)

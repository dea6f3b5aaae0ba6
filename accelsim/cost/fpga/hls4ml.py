"""hls4ml: stream FIFOs as Vivado synthesises them, and dense networks as its HLS tool estimates them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from accelsim.cost.fpga.fifo import rule_style
from accelsim.cost.fpga.memory import BlockRams, address_bits, shift_register
from accelsim.cost.fpga.resources import Resources, whole
from accelsim.errors import InputError

__all__ = ["after_synthesis", "dense_network", "stream_fifo"]

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


def dense_network(widths: Sequence[int], bits: int, reuse: int) -> Resources:
    """Look-up tables and flip-flops of a dense network (resource strategy) by the estimate of Vitis HLS 2023.2; no
    more.

    A regression, not a circuit: every input and output of a layer costs its port and registers, whatever its bits, and
    each multiplier that works at a time costs LUTs with its bits. Calibrated on rows of the wa-hls4ml data set
    (docs/fpga.md).

    Args:
        widths: inputs, then the outputs of every layer.
        reuse: products that one multiplier computes in turn.
    """
    if len(widths) < 2 or min(*widths, bits, reuse) < 1:
        raise InputError("must be two or more widths, bits and reuse of 1 or more", field="widths, bits, reuse",
                         value=f"{tuple(widths)}, {bits}, {reuse}")  # fmt: skip
    inputs, outputs = sum(widths[:-1]), sum(widths[1:])
    at_a_time = sum(-(-left * right // reuse) for left, right in pairwise(widths))
    logic = 40.7 * inputs + 67.5 * outputs + 0.96 * inputs * bits + 40.6 * at_a_time * bits
    registers = 57 * inputs + 48.3 * outputs - 1328 * (len(widths) - 1)
    return Resources(lut_logic=whole(logic), ff=whole(registers))


def after_synthesis(estimated_ff: int, estimated_dsp: int) -> Resources:
    """What a network takes after Vivado's synthesis, from the report of HLS C-synthesis; look-up tables, flip-flops and
    DSP slices.

    A regression on whole networks (Vivado HLS 2018.2 and 2019.2): C-synthesis counts look-up tables two to five times
    over, while they follow the flip-flops that it counts. Calibrated on two thirds of the designs (docs/fpga.md).
    """
    if estimated_ff < 0 or estimated_dsp < 0:
        raise InputError("must be 0 or more", field="estimated_ff, estimated_dsp",
                         value=f"{estimated_ff}, {estimated_dsp}")  # fmt: skip
    return Resources(lut_logic=whole(0.552 * estimated_ff), ff=whole(0.661 * estimated_ff), dsp=estimated_dsp)

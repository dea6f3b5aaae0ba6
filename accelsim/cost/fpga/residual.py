"""A streaming residual block of two 3 x 3 convolutions: with one long skip, two short ones, or none.

Each convolution has C x C multipliers and takes nine cycles a pixel, one a tap: line buffers, the constants of every
multiplier behind a counter of nine, C sums of C products, C accumulators, C requantisers. A skip is a duplicator (which
waits until both of its streams are taken), a FIFO and a saturating adder with ReLU.
"""

from __future__ import annotations

from typing import Literal

from accelsim.cost.fpga.arithmetic import dot_product, uses_dsp
from accelsim.cost.fpga.elementwise import requantiser, skip_adder
from accelsim.cost.fpga.fifo import fifo, rule_style
from accelsim.cost.fpga.memory import address_bits
from accelsim.cost.fpga.resources import Resources, whole
from accelsim.cost.fpga.window import line_buffer
from accelsim.errors import InputError, UnknownNameError

__all__ = ["FIFO_CHOICES", "Skips", "convolution_stage", "residual_block", "skip_path"]

Skips = Literal["none", "long", "short"]
FIFO_CHOICES = ("rule", "srl", "lutram", "block", "auto")
_TAPS = 9
_CONVOLUTIONS = 2

_SELECTED_WEIGHT_LUTS = 11
"""A multiplier in LUTs whose weight comes from a counter compresses worse than one with registered operands: LUTs more
a multiplier. Calibrated on the two blocks without skip and without DSP slices."""
_STREAM_FF, _PIPELINE_FF, _CONTROL_FF = 15, 5.5, 4
"""Flip-flops of a convolution: a channel bit (with log2 C more), a channel and level of its tree, an address bit.
Calibrated on the five blocks without skip."""
_FORK = Resources(lut_logic=4, ff=4)


def convolution_stage(width: int, channels: int, bits: int, *, dsp: bool) -> Resources:
    """One 3 x 3 convolution of an image ``width`` pixels wide; weights and activations of ``bits``."""
    guard = (_TAPS * channels - 1).bit_length()
    total = 2 * bits + guard
    levels = (channels - 1).bit_length()
    lines = line_buffer(width + 1, channels * bits, "auto")
    sums = dot_product(channels, bits, bits, dsp=dsp)
    multipliers = channels * channels
    logic = lines.lut_logic + channels * (sums.lut_logic + 2 * total + requantiser(1, total, bits, bits).lut_logic)
    logic += multipliers * bits
    if not (dsp and uses_dsp(bits, bits)):
        logic += multipliers * _SELECTED_WEIGHT_LUTS
    registers = (_STREAM_FF + levels) * channels * bits + _PIPELINE_FF * channels * levels
    registers += _CONTROL_FF * address_bits(width + 1)
    return Resources(
        lut_logic=logic, lut_lutram=lines.lut_lutram, ff=whole(registers), bram18=lines.bram18, dsp=channels * sums.dsp,
    )  # fmt: skip


def skip_path(channels: int, bits: int, depth: int, style: str) -> Resources:
    """What one skip adds: duplicator, FIFO of ``depth`` pixels and adder.

    Args:
        style: of the FIFO; ``rule`` takes shift registers up to 1024 bits, else block RAM.
    """
    word = channels * bits
    if style not in FIFO_CHOICES:
        raise UnknownNameError("style of a FIFO", style, FIFO_CHOICES, field="fifo_style")
    chosen = rule_style(word, depth) if style == "rule" else style
    return _FORK + fifo(word, depth, chosen) + skip_adder(channels, bits, relu=True)


def residual_block(
    skips: Skips, width: int, channels: int, bits: int, *, depth: int, style: str = "rule", dsp: bool = True
) -> Resources:
    """The block with ``skips``: one around both convolutions (long), one around each (short), or none.

    Args:
        width: of the image, pixels.
        depth: of each skip FIFO, pixels; not used without skips.
    """
    if skips not in ("none", "long", "short"):
        raise UnknownNameError("arrangement of skips", skips, ("none", "long", "short"), field="skips")
    for name, size in (("width", width), ("channels", channels), ("bits", bits)):
        if size < 2:
            raise InputError("must be 2 or more", field=name, value=size)
    plain = _CONVOLUTIONS * convolution_stage(width, channels, bits, dsp=dsp)
    if skips == "none":
        return plain
    return plain + (1 if skips == "long" else 2) * skip_path(channels, bits, depth, style)

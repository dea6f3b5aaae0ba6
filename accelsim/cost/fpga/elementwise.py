"""Circuits that work on each channel of a pixel by itself: the adder of a skip, and requantisers."""

from __future__ import annotations

from accelsim.cost.fpga.resources import Resources, whole
from accelsim.errors import InputError

__all__ = ["requantiser", "skip_adder"]

_REQUANT_SUM, _REQUANT_OUTPUT, _REQUANT_CONTROL = 2.0, 1.0, 2.4


def skip_adder(channels: int, bits: int, *, relu: bool) -> Resources:
    """Saturating sum of two signed words a channel, into a register.

    The carry chain takes a LUT a bit. The clamp takes one a bit below the sign; with ReLU, which clamps at zero too,
    one a bit. Exact on every synthesised point.
    """
    _at_least_one(channels=channels, bits=bits)
    clamp = bits if relu else bits - 1
    return channels * Resources(lut_logic=bits + clamp, ff=bits)


def requantiser(channels: int, in_bits: int, out_bits: int, shift: int) -> Resources:
    """Bias added, rounded, shifted right by ``shift``, saturated to ``out_bits``, into a register.

    Input, bias and rounding constant are compressed to two words and added on one carry chain, each a LUT a bit; the
    clamp is a LUT an output bit behind a few that test the bits above it. ReLU changes what is tested, not how much.

    Raises:
        InputError: nothing is left after the shift, or the output is wider than that.
    """
    _at_least_one(channels=channels, in_bits=in_bits, out_bits=out_bits, shift=shift)
    if shift >= in_bits:
        raise InputError("must be less than in_bits", field="shift", value=shift)
    if out_bits > in_bits + 1 - shift:
        raise InputError(f"must be at most in_bits + 1 - shift = {in_bits + 1 - shift}", field="out_bits",
                         value=out_bits, remedy="there is nothing to saturate")  # fmt: skip
    logic = whole(_REQUANT_SUM * in_bits + _REQUANT_OUTPUT * out_bits + _REQUANT_CONTROL)
    return channels * Resources(lut_logic=logic, ff=out_bits)


def _at_least_one(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise InputError("must be 1 or more", field=name, value=size)

"""What a circuit takes of an FPGA."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Resources", "whole"]


@dataclass(frozen=True, slots=True)
class Resources:
    """Amounts of one circuit.

    Attributes:
        lut_logic: look-up tables that compute.
        lut_srl: look-up tables that are shift registers.
        lut_lutram: look-up tables that are distributed RAM.
        ff: flip-flops.
        bram18: halves of block RAMs; a RAMB36 is two.
        uram: UltraRAMs.
        dsp: DSP slices.
    """

    lut_logic: int = 0
    lut_srl: int = 0
    lut_lutram: int = 0
    ff: int = 0
    bram18: int = 0
    uram: int = 0
    dsp: int = 0

    def __post_init__(self) -> None:
        for each in fields(self):
            if getattr(self, each.name) < 0:
                raise ValueError(f"{each.name} is {getattr(self, each.name)}, which is negative")

    @property
    def lut(self) -> int:
        """All look-up tables."""
        return self.lut_logic + self.lut_srl + self.lut_lutram

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __mul__(self, copies: int) -> Resources:
        return Resources(*(copies * getattr(self, each.name) for each in fields(self)))

    __rmul__ = __mul__

    def by_name(self) -> dict[str, int]:
        """Amounts by name, with ``lut`` for the sum of the look-up tables."""
        return {"lut": self.lut, **{each.name: getattr(self, each.name) for each in fields(self)}}


def whole(amount: float) -> int:
    """The nearest whole amount, none below zero."""
    return max(round(amount), 0)

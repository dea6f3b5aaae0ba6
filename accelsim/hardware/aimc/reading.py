"""How a tile is read: how long its converters take, and the phases of one product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from accelsim.documents import Authored, Constant, Count, NonNegative, Positive

__all__ = ["Conversion", "ReadMode", "ReadPhase", "ReadShare"]

_MOST_BITS = 16


def _bits(constant: Constant) -> Constant:
    if max(end for end in (constant.value, constant.high) if end is not None) > _MOST_BITS:
        raise ValueError(f"must be 1 to {_MOST_BITS}")
    return constant


Bits = Annotated[Count, AfterValidator(_bits)]


class Conversion(Authored):
    """How long a converter takes: ``fixed_s``, and ``step_s`` for each of its steps.

    Steps are none, one a bit (successive approximation, one pulse a bit plane), one a level of a magnitude beside its
    sign (pulse widths, ramps): 2^(bits - 1), or one for each unit of a largest magnitude (pulse counts): 2^bits - 1.
    """

    steps: Literal["none", "bits", "levels", "units"]
    fixed_s: NonNegative
    step_s: NonNegative

    def count(self, bits: int) -> int:
        """Steps of a value of ``bits`` bits: with its sign, without one for ``units``."""
        return {"none": 0, "bits": bits, "levels": 1 << (bits - 1), "units": (1 << bits) - 1}[self.steps]

    def seconds(self, bits: int) -> float:
        """Time of a value of ``bits`` bits."""
        return self.fixed_s.value + self.step_s.value * self.count(bits)


@dataclass(frozen=True, slots=True)
class ReadPhase:
    """One integration, and what it is converted at."""

    input_bits: int
    output_bits: int


class ReadShare(Authored):
    """One of unequal phases: its share of the input bits, and the bits that it is converted at."""

    input_bits: Bits
    output_bits: Bits


class ReadMode(Authored):
    """How a tile multiplies one vector: ``phases`` integrations, each converted, added up digitally.

    With ``inputs_split`` each phase applies its share of the input bits, else all of them (as where signs take turns).
    A share is converted at one bit more than the outputs have beyond the inputs, or at ``phase_output_bits``. Shares
    are those of the magnitude, each with the sign, or with ``twos_complement`` those of that, the sign bit first. Of
    whole inputs, two phases are their signs in turn, four those of inputs and weights. ``output_bound`` is the largest
    output of a conversion, in products of a weight of 1 with an input of 1, where it is not the crossbar model's.
    """

    input_bits: Bits
    output_bits: Bits
    phases: Bits | None = None
    inputs_split: bool = False
    phase_output_bits: Bits | None = None
    twos_complement: bool = False
    output_bound: Positive | None = None
    shares: dict[str, ReadShare] = Field(default={}, description="unequal phases by name, in order")

    @model_validator(mode="after")
    def _unequal(self) -> ReadMode:
        if not self.shares:
            return self
        if not self.inputs_split or self.n_phases != len(self.shares) or self.phase_output_bits is not None:
            raise ValueError(f"has {len(self.shares)} shares beside other phases|state inputs_split, as many "
                             "phases, and no phase_output_bits")  # fmt: skip
        taken = sum(int(share.input_bits.value) for share in self.shares.values())
        if taken > self.input_bits.value:
            raise ValueError(f"has shares of {taken} of {self.input_bits.value:g} input bits|give them fewer bits")
        return self

    @model_validator(mode="after")
    def _shares(self) -> ReadMode:
        if self.inputs_split and self.n_phases > self.input_bits.value:
            raise ValueError(f"has {self.n_phases} phases for {self.input_bits.value:g} input bits|a phase takes a bit")
        return self

    @property
    def n_phases(self) -> int:
        """Integrations of one product."""
        return int(self.phases.value) if self.phases else 1

    @property
    def each(self) -> tuple[ReadPhase, ...]:
        """The phases in order, the most significant share first."""
        if self.shares:
            stated = self.shares.values()
            return tuple(ReadPhase(int(one.input_bits.value), int(one.output_bits.value)) for one in stated)
        bits, count = int(self.input_bits.value), self.n_phases
        if not self.inputs_split:
            whole = int((self.phase_output_bits or self.output_bits).value)
            return (ReadPhase(bits, whole),) * count
        shares = [(bits + rank) // count for rank in reversed(range(count))]
        return tuple(ReadPhase(share, self._converted(share)) for share in shares)

    def _converted(self, share: int) -> int:
        if self.phase_output_bits is not None:
            return int(self.phase_output_bits.value)
        grown = share + int(self.output_bits.value - self.input_bits.value) + (self.n_phases > 1)
        return min(max(grown, 1), _MOST_BITS)

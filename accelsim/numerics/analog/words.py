"""Whole numbers in parts: weights as slices of their bits, inputs as shares of theirs, applied one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.numerics.analog.draws import Floats

__all__ = ["InputShares", "Integers", "WeightSlices"]

Integers = NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, slots=True)
class WeightSlices:
    """``count`` slices of ``bits`` bits each, the lowest first."""

    bits: int
    count: int

    @property
    def levels(self) -> int:
        """The largest value of a slice."""
        return (1 << self.bits) - 1

    @property
    def whole(self) -> int:
        """The largest magnitude of a whole number with its sign."""
        return (1 << (self.bits * self.count - 1)) - 1

    def factor(self, index: int) -> int:
        """What slice ``index`` counts."""
        return 1 << (self.bits * index)

    def cut(self, numbers: Integers) -> Iterator[Integers]:
        """The slices of whole numbers of 0 or more, each within 0 .. ``levels``."""
        for index in range(self.count):
            yield numbers >> (self.bits * index) & self.levels


@dataclass(frozen=True)
class InputShares:
    """How whole numbers of ``sum(bits)`` bits with their sign are applied: shares of ``bits``, the highest first.

    Shares are those of the magnitude, each with the sign, which takes a bit of the first, or with ``sign_apart`` no bit
    of any. With ``twos_complement`` they are those of the two's complement: the first lies below 0 where the number
    does, the others never do.

    Raises:
        InputError: no share, shares of no bits, or a first one that holds nothing but the sign of a magnitude.
    """

    bits: tuple[int, ...]
    twos_complement: bool = False
    sign_apart: bool = False

    def __post_init__(self) -> None:
        if not self.bits or min(self.bits) < 1 or sum(self.bits) < 2:
            raise InputError("must be shares of one bit or more, two in all", field="shares", value=self.bits)
        if self.twos_complement and self.sign_apart:
            raise InputError("has no sign apart", field="shares", value="twos_complement")
        if not (self.twos_complement or self.sign_apart) and self.bits[0] < 2:
            raise InputError("has a first share that holds a sign alone", field="shares", value=self.bits,
                             remedy="apply the two's complement, or fewer shares")  # fmt: skip

    @property
    def whole(self) -> int:
        """The largest magnitude of an input."""
        return (1 << (sum(self.bits) - (0 if self.sign_apart else 1))) - 1

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """The largest magnitude of each share."""
        first = (1 << (self.bits[0] - (0 if self.sign_apart else 1))) - (0 if self.twos_complement else 1)
        return first, *((1 << each) - 1 for each in self.bits[1:])

    @cached_property
    def factors(self) -> tuple[int, ...]:
        """What each share counts. A first share of one bit of a two's complement is applied as 1 and counts down."""
        shifts = [sum(self.bits[place + 1 :]) for place in range(len(self.bits))]
        return tuple(-(1 << each) if place == 0 and self._sign_alone else 1 << each
                     for place, each in enumerate(shifts))  # fmt: skip

    @property
    def signed(self) -> bool:
        """Whether anything below 0 is applied."""
        return not self._sign_alone

    @property
    def _sign_alone(self) -> bool:
        return self.twos_complement and self.bits[0] == 1

    def rounded(self, inputs: Floats) -> Integers:
        """Inputs within -1 .. 1 as whole numbers, half to even."""
        found = np.rint(inputs * inputs.dtype.type(self.whole)).astype(np.int32)
        return np.clip(found, -self.whole, self.whole)

    def cut(self, numbers: Integers) -> Iterator[Integers]:
        """The shares of whole numbers within -``whole`` .. ``whole``; times their factors they add up to them."""
        taken: NDArray[Any] = numbers if self.twos_complement else np.abs(numbers)
        for place, bits in enumerate(self.bits):
            shift = sum(self.bits[place + 1 :])
            share = taken >> shift  # of a two's complement, the sign is carried on
            if place:
                share = share & ((1 << bits) - 1)
            elif self._sign_alone:
                share = -share
            yield share if self.twos_complement else np.sign(numbers) * share

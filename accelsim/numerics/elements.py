"""Element types: what one stored code means.

A code is a bit pattern in the low bits of an unsigned integer: sign, exponent, mantissa for a float; two's complement
for a signed integer. Sources: IEEE 754-2019; OCP 8-bit Floating Point Specification 1.0 (E4M3, E5M2); OCP
Microscaling Formats Specification 1.0 (FP6, FP4, INT8, E8M0); the FNUZ encodings as published by their vendors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError, UnknownNameError

__all__ = ["Element", "Float", "Integer", "PowerOfTwo", "Specials", "code_dtype", "code_values"]

Specials = Literal["ieee", "nan", "finite", "fnuz"]

_FLOAT32_LOWEST, _FLOAT32_HIGHEST = -149, 127
_LARGEST_BITS = 32
_LARGEST_INTEGER_BITS = 16


@dataclass(frozen=True, slots=True)
class Float:
    """A binary floating-point element: sign bit, exponent, mantissa. Every value is a float32 value.

    Attributes:
        bias: subtracted from a stored exponent; None for 2^(E-1) - 1, or 2^(E-1) with ``specials="fnuz"``.
        specials: which codes are no finite numbers. ``ieee``: those of the top exponent, infinities and NaN;
            ``nan``: the top code only, NaN; ``finite``: none; ``fnuz``: that of minus zero, NaN.
        signed: whether there is a sign bit.
        subnormals: whether values below the smallest normal are kept; if not, they are flushed to zero.
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int | None = None
    specials: Specials = "ieee"
    signed: bool = True
    subnormals: bool = True

    def __post_init__(self) -> None:
        if self.specials not in get_args(Specials):
            raise UnknownNameError("kind of special values", str(self.specials), get_args(Specials), field="specials")
        if not (self.exponent_bits >= 1 and self.mantissa_bits >= 0 and self.bits <= _LARGEST_BITS):
            raise InputError("must have 1 exponent bit or more and 32 bits or fewer", field="element", value=self.name)
        if self.specials == "ieee" and self.mantissa_bits == 0:
            raise InputError("has no room for infinity and NaN without a mantissa", field="element", value=self.name,
                             remedy='set specials="nan" or "finite"')  # fmt: skip
        lowest, highest = self.least_exponent - self.mantissa_bits, self.emax
        if lowest < _FLOAT32_LOWEST or highest > _FLOAT32_HIGHEST:
            raise InputError("has values that float32 does not hold", field="element", value=self.name,
                             remedy="use fewer exponent bits or another bias")  # fmt: skip

    @property
    def bits(self) -> int:
        return int(self.signed) + self.exponent_bits + self.mantissa_bits

    @property
    def name(self) -> str:
        """Such as e4m3 and ue4m3."""
        return f"{'' if self.signed else 'u'}e{self.exponent_bits}m{self.mantissa_bits}"

    @property
    def exponent_bias(self) -> int:
        if self.bias is not None:
            return self.bias
        half: int = 2 ** (self.exponent_bits - 1)
        return half if self.specials == "fnuz" else half - 1

    @property
    def least_exponent(self) -> int:
        """Exponent of the smallest normal number."""
        return 1 - self.exponent_bias

    @property
    def magnitude_mask(self) -> int:
        """All bits below the sign."""
        return (1 << (self.exponent_bits + self.mantissa_bits)) - 1

    @property
    def largest_code(self) -> int:
        """Code of the largest finite number."""
        if self.specials == "ieee":
            return self.magnitude_mask - (1 << self.mantissa_bits)
        return self.magnitude_mask - (self.specials == "nan")

    @property
    def infinity_code(self) -> int | None:
        return self.largest_code + 1 if self.specials == "ieee" else None

    @property
    def nan_code(self) -> int | None:
        """The code that a NaN becomes; None where there is none."""
        if self.specials == "ieee":  # quiet
            return (self.largest_code + 1) | 1 << (self.mantissa_bits - 1)
        if self.specials == "fnuz":
            return self.magnitude_mask + 1
        return self.magnitude_mask if self.specials == "nan" else None

    @property
    def emax(self) -> int:
        """Exponent of the largest finite number."""
        return max(self.largest_code >> self.mantissa_bits, 1) - self.exponent_bias

    @property
    def largest(self) -> float:
        """The largest finite number."""
        significand = 2.0**-self.mantissa_bits * (self.largest_code & ((1 << self.mantissa_bits) - 1))
        normal = self.largest_code >> self.mantissa_bits > 0
        return float((normal + significand) * 2.0**self.emax)

    @property
    def significand_bits(self) -> int:
        """Mantissa bits below one: the place that rounding keeps."""
        return self.mantissa_bits

    def describe(self) -> str:
        sign = "1 sign, " if self.signed else "unsigned, "
        return f"float, {sign}{self.exponent_bits} exponent, {self.mantissa_bits} mantissa bits"


@dataclass(frozen=True, slots=True)
class Integer:
    """A fixed-point element: a two's complement (or unsigned) integer times 2^-fraction_bits.

    Attributes:
        signed: whether it has negative codes.
        symmetric: whether the most negative code is left out.
        fraction_bits: of the 8 bits of MXINT8, 6 are below the point.
    """

    bits: int
    signed: bool = True
    symmetric: bool = False
    fraction_bits: int = 0

    def __post_init__(self) -> None:
        if not 1 + self.signed <= self.bits <= _LARGEST_INTEGER_BITS:
            raise InputError(f"must have {1 + self.signed} to {_LARGEST_INTEGER_BITS} bits", field="element",
                             value=self.name)  # fmt: skip

    @property
    def name(self) -> str:
        """Such as int4 and uint4."""
        return f"{'' if self.signed else 'u'}int{self.bits}"

    @property
    def largest_code(self) -> int:
        """The largest integer."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def lowest_code(self) -> int:
        """The most negative integer, 0 where unsigned."""
        return -(self.largest_code + (not self.symmetric)) if self.signed else 0

    @property
    def largest(self) -> float:
        """The largest number."""
        return self.largest_code * 2.0**-self.fraction_bits

    @property
    def emax(self) -> int:
        """Exponent of the largest number."""
        return self.largest_code.bit_length() - 1 - self.fraction_bits

    @property
    def significand_bits(self) -> int:
        """Bits of the largest number below its leading one."""
        return self.largest_code.bit_length() - 1

    def describe(self) -> str:
        kind = "two's complement" if self.signed else "unsigned"
        point = f", {self.fraction_bits} of them fraction" if self.fraction_bits else ""
        return f"{kind} integer of {self.bits} bits{point}"


@dataclass(frozen=True, slots=True)
class PowerOfTwo:
    """A scale that is a power of two: code c means 2^(c - bias), the top code NaN (E8M0 of the MX specification)."""

    bits: int = 8

    @property
    def name(self) -> str:
        return f"e{self.bits}m0"

    @property
    def bias(self) -> int:
        return (1 << (self.bits - 1)) - 1

    @property
    def nan_code(self) -> int:
        return (1 << self.bits) - 1

    def describe(self) -> str:
        return f"power of two, {self.bits} exponent bits"


Element = Float | Integer


def code_dtype(element: Element | PowerOfTwo) -> np.dtype[Any]:
    """The NumPy type that holds one unpacked code: signed for signed integers, else unsigned."""
    width = 8 if element.bits <= 8 else 16 if element.bits <= 16 else 32
    kind = "i" if isinstance(element, Integer) and element.signed else "u"
    return np.dtype(f"{kind}{width // 8}")


@lru_cache(maxsize=128)
def code_values(element: Float | PowerOfTwo) -> NDArray[np.float32]:
    """The value of every code of 16 bits or fewer, (2^bits,) float32, read-only."""
    codes = np.arange(1 << element.bits, dtype=np.int64)
    if isinstance(element, PowerOfTwo):
        values = np.ldexp(1.0, codes - element.bias)
        values[element.nan_code] = np.nan
    else:
        values = _float_values(element, codes)
    result = values.astype(np.float32)
    result.setflags(write=False)
    return result


def _float_values(element: Float, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    mantissa_bits = element.mantissa_bits
    magnitude = codes & element.magnitude_mask
    field, fraction = magnitude >> mantissa_bits, magnitude & ((1 << mantissa_bits) - 1)
    significand = fraction + ((field > 0).astype(np.int64) << mantissa_bits)
    exponent = np.maximum(field, 1) - element.exponent_bias - mantissa_bits
    values: NDArray[np.float64] = np.ldexp(significand.astype(np.float64), exponent)
    if not element.subnormals:
        values[field == 0] = 0.0
    if element.specials in ("ieee", "nan"):
        values[magnitude > element.largest_code] = np.nan
    if element.infinity_code is not None:
        values[magnitude == element.infinity_code] = np.inf
    np.negative(values, out=values, where=codes > element.magnitude_mask)
    if element.specials == "fnuz" and element.nan_code is not None and element.signed:
        values[element.nan_code] = np.nan
    return values

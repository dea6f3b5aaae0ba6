"""What arithmetic sees of a number format: widths, and the scale that a block shares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from accelsim.errors import UnknownNameError, UnsupportedError
from accelsim.numerics import FORMATS, Float, Format, Integer, PowerOfTwo, format_named

__all__ = ["Operand", "accumulator_of", "operand_named"]

_INTEGER = re.compile(r"int([1-9]\d?)")
_LARGEST_BITS = 64


@dataclass(frozen=True, slots=True)
class Operand:
    """The element of a format: ``exponent_bits`` is 0 for integers.

    ``block`` elements share a scale of ``scale_bits``, an ``exponent`` or a floating-point ``number``.
    """

    bits: int
    exponent_bits: int = 0
    block: int | None = None
    scale: Literal["none", "exponent", "number"] = "none"
    scale_bits: int = 0

    @property
    def is_float(self) -> bool:
        return self.exponent_bits > 0

    @property
    def significand_bits(self) -> int:
        """Bits that a multiplier sees: of a float, the hidden one counts and sign and exponent do not."""
        return self.bits - self.exponent_bits if self.is_float else self.bits

    @classmethod
    def of(cls, form: Format) -> Operand:
        """The operand of a format.

        Raises:
            UnsupportedError: an element that is neither a float nor an integer.
        """
        element = form.element
        if not isinstance(element, Float | Integer):
            raise UnsupportedError("has elements that no arithmetic is published for", field="format", value=form.name)
        exponent = element.exponent_bits if isinstance(element, Float) else 0
        if form.block is None or not form.scale_bits:
            return cls(element.bits, exponent)
        exponent_only = isinstance(form.scale, PowerOfTwo)
        return cls(element.bits, exponent, form.block, "exponent" if exponent_only else "number", form.scale_bits)


def operand_named(name: str, *, field: str = "format", file: object = None) -> Operand:
    """The operand of a format by name, or of an integer of any width up to 64 (``int32``)."""
    found = _INTEGER.fullmatch(name)
    if found is None or name in FORMATS:
        return Operand.of(format_named(name, file=file, field=field))
    if int(found[1]) <= _LARGEST_BITS:
        return Operand(int(found[1]))
    raise UnknownNameError("format", name, [*FORMATS, "int32"], file=file, field=field)


def accumulator_of(operand: Operand, named: Operand) -> Operand:
    """Where products are added up: integers without block scales add into integers as wide as the named accumulator."""
    return Operand(named.bits) if not operand.is_float and operand.block is None else named

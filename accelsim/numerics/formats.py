"""Number formats by name.

A format is an element type and, for block formats, a scale that a block of elements shares. Sources:
IEEE 754-2019 (fp16, fp32); bfloat16 and TF32 as published by their vendors; OCP 8-bit Floating Point
Specification 1.0 (E4M3, E5M2); OCP Microscaling Formats Specification 1.0 (MX: block 32, E8M0 scale);
NVFP4 (block 16, E4M3 scale, one FP32 scale a tensor); Hybrid FP8 1-4-3 forward (Sun et al., NeurIPS 2019).
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import UnknownNameError

__all__ = ["FORMATS", "Float", "Format", "Integer", "format_named"]


@dataclass(frozen=True, slots=True)
class Float:
    """A binary floating-point element: a sign bit, then exponent and mantissa."""

    exponent_bits: int
    mantissa_bits: int

    @property
    def bits(self) -> int:
        return 1 + self.exponent_bits + self.mantissa_bits


@dataclass(frozen=True, slots=True)
class Integer:
    """A two's complement integer element."""

    bits: int


@dataclass(frozen=True, slots=True)
class Format:
    """How numbers are stored: an element type, and a scale of ``scale_bits`` shared by ``block`` elements.

    ``block`` is None where no scale travels with the data (its cost, one a tensor or channel, is negligible).
    """

    name: str
    element: Float | Integer
    block: int | None = None
    scale_bits: int = 0

    @property
    def bits_per_element(self) -> float:
        """Stored bits an element, its share of the block scale included."""
        return self.element.bits + (self.scale_bits / self.block if self.block else 0.0)

    @property
    def bytes_per_element(self) -> float:
        return self.bits_per_element / 8

    def describe(self) -> str:
        """One line: element, scale and stored bits."""
        element = self.element
        if isinstance(element, Float):
            kind = f"float, 1 sign, {element.exponent_bits} exponent, {element.mantissa_bits} mantissa bits"
        else:
            kind = f"two's complement integer of {element.bits} bits"
        scale = f", a scale of {self.scale_bits} bits for each block of {self.block}" if self.block else ""
        return f"{kind}{scale}: {self.bits_per_element:g} bits an element"


def _mx(name: str, element: Float | Integer) -> Format:
    return Format(name, element, block=32, scale_bits=8)


FORMATS: dict[str, Format] = {
    each.name: each
    for each in (
        Format("fp32", Float(8, 23)),
        Format("tf32", Float(8, 10)),
        Format("bf16", Float(8, 7)),
        Format("fp16", Float(5, 10)),
        Format("fp8_e4m3", Float(4, 3)),
        Format("fp8_e5m2", Float(5, 2)),
        Format("hfp8", Float(4, 3)),
        Format("int8", Integer(8)),
        Format("int4", Integer(4)),
        Format("int2", Integer(2)),
        _mx("mxfp8_e4m3", Float(4, 3)),
        _mx("mxfp8_e5m2", Float(5, 2)),
        _mx("mxfp6_e2m3", Float(2, 3)),
        _mx("mxfp6_e3m2", Float(3, 2)),
        _mx("mxfp4", Float(2, 1)),
        _mx("mxint8", Integer(8)),
        Format("nvfp4", Float(2, 1), block=16, scale_bits=8),
    )
}


def format_named(name: str, *, file: object = None, field: str | None = None) -> Format:
    """The format called ``name``; unknown names are refused with the closest known one."""
    try:
        return FORMATS[name]
    except KeyError:
        raise UnknownNameError("format", name, FORMATS, file=file, field=field) from None

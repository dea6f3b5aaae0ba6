"""Number formats by name.

A format is an element type and, where elements share a scale, that scale: who shares it, how it is stored and chosen;
and what happens to values that do not fit. Sources: IEEE 754-2019 (fp16, fp32); bfloat16 and TF32 as published by
their vendors; OCP 8-bit Floating Point Specification 1.0 (E4M3, E5M2); OCP Microscaling Formats Specification 1.0
(MX: block 32, E8M0 scale); NVFP4 (block 16, E4M3 scale, one FP32 scale a tensor); Hybrid FP8, 1-4-3 with exponent
bias 4 forward and 1-5-2 backward (Sun et al., NeurIPS 2019); DLFloat16, 1-6-9 (Agrawal et al., ARITH 2019); UE5M3 as
in arXiv 2601.19026.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Literal, get_args

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics.elements import Element, Float, Integer, PowerOfTwo, Specials

__all__ = [
    "FORMATS",
    "Float",
    "Format",
    "Infinity",
    "Integer",
    "Nan",
    "Overflow",
    "PowerOfTwo",
    "Quirk",
    "Quotient",
    "Rounding",
    "ScaleRule",
    "Shared",
    "TensorScale",
    "format_named",
    "format_of",
    "shortest_name",
]

Shared = Literal["none", "tensor", "channel", "block"]
ScaleRule = Literal["floor", "ceil", "even", "rceil", "amax", "amax_reciprocal", "minmax"]
Rounding = Literal["nearest_even", "nearest_away", "toward_zero", "up", "down", "stochastic"]
Overflow = Literal["saturate", "infinity", "nan"]
Nan = Literal["element", "block", "zero", "refuse"]
Infinity = Literal["overflow", "kept", "block_nan", "ignore", "refuse"]
Quotient = Literal["divide", "reciprocal", "reciprocal_of_product"]
TensorScale = Literal["none", "amax", "amax_bounded"]
ZeroSign = Literal["kept", "positive"]
Quirk = str

POWER_RULES = ("floor", "ceil", "even", "rceil")
"""Rules that give a power of two."""


@dataclass(frozen=True, slots=True)
class Format:
    """How numbers are stored, and how they get there.

    Attributes:
        element: what one code means.
        block: elements along the axis that share a scale, with ``shared="block"``.
        shared: who shares a scale: nobody, a tensor, a channel (all elements along the axis), or a block.
        scale: how a scale is stored; None without scales.
        scale_rule: how a scale is chosen from the largest magnitude, amax. To a power of two: ``floor``, ``ceil``,
            ``even``, ``rceil`` (see `accelsim.numerics.scales`). To any number: ``amax``, amax / largest element;
            ``amax_reciprocal``, amax times its float32 reciprocal; ``minmax``, (max - min) / (codes - 1) with a zero
            point.
        scale_floor: what a block scale is raised to before it is stored; 0 for no floor.
        tensor_scale: a float32 scale of the whole tensor on top: ``amax``, of the tensor / (largest scale x largest
            element); ``amax_bounded``, the same, but 1 where its reciprocal is outside 1 to 1e10.
        quotient: element = x / (scale x tensor scale) in float32, as one division, or as a product with a float32
            reciprocal: (1 / tensor scale) / scale, or 1 / (scale x tensor scale). Powers of two are exact in any case.
        rounding: of elements.
        overflow: of elements: to the largest number, to infinity or to NaN (as far as the element has them).
        nan: what a NaN input does: it stays one element, makes its block NaN, becomes zero, or is refused.
        infinity: what an infinite input does: it is like an overflow, with amax the largest power of two above float32
            (``overflow``) or amax of the finite elements (``ignore``); it stays infinite, without scales (``kept``);
            it makes its block NaN; it is refused.
        zero_sign: whether zero results keep their sign.
        quirks: documented defects of a program that are reproduced; see `accelsim.numerics.libraries`.
    """

    name: str
    element: Element
    block: int | None = None
    shared: Shared = "none"
    scale: Float | PowerOfTwo | None = None
    scale_rule: ScaleRule = "floor"
    scale_floor: float = 0.0
    tensor_scale: TensorScale = "none"
    quotient: Quotient = "divide"
    rounding: Rounding = "nearest_even"
    overflow: Overflow = "saturate"
    nan: Nan = "element"
    infinity: Infinity = "overflow"
    zero_sign: ZeroSign = "kept"
    quirks: tuple[Quirk, ...] = ()

    def __post_init__(self) -> None:
        for field, known in _CHOICES.items():
            if getattr(self, field) not in known:
                raise UnknownNameError(field.replace("_", " "), str(getattr(self, field)), known, file=self.name,
                                       field=field)  # fmt: skip
        _check(self)

    @property
    def scale_bits(self) -> int:
        """Bits of a block's scale, in whole bytes; 0 where none travels with the data (one a tensor or channel)."""
        return -(-self.scale.bits // 8) * 8 if self.scale is not None and self.shared == "block" else 0

    @property
    def bits_per_element(self) -> float:
        """Stored bits an element, its share of the block scale included."""
        return self.element.bits + (self.scale_bits / self.block if self.block else 0.0)

    @property
    def bytes_per_element(self) -> float:
        return self.bits_per_element / 8

    @property
    def exact_scale(self) -> bool:
        """Whether scales are powers of two, so that dividing by them is exact."""
        return self.scale_rule in POWER_RULES

    def describe(self) -> str:
        """One line: element, scale and stored bits."""
        scale = f", a scale of {self.scale_bits} bits for each block of {self.block}" if self.block else ""
        return f"{self.element.describe()}{scale}: {self.bits_per_element:g} bits an element"


_CHOICES: dict[str, tuple[str, ...]] = {
    "shared": get_args(Shared), "scale_rule": get_args(ScaleRule), "tensor_scale": get_args(TensorScale),
    "quotient": get_args(Quotient), "rounding": get_args(Rounding), "overflow": get_args(Overflow),
    "nan": get_args(Nan), "infinity": get_args(Infinity), "zero_sign": get_args(ZeroSign),
}  # fmt: skip


def _check(form: Format) -> None:
    """Refuse what contradicts itself."""
    if (form.shared == "block") != (form.block is not None):
        raise InputError("goes with elements that share a scale by block, and only with them", file=form.name,
                         field="block", value=form.block)  # fmt: skip
    if form.block is not None and (isinstance(form.block, bool) or not isinstance(form.block, int) or form.block < 1):
        raise InputError("must be a whole number of 1 or more", file=form.name, field="block", value=form.block)
    if (form.shared == "none") != (form.scale is None):
        raise InputError("needs a scale if elements share one, and none if not", file=form.name, field="scale")
    code = form.element.infinity_code if isinstance(form.element, Float) else None
    if form.infinity == "kept" and (form.scale is not None or code is None):
        raise InputError(
            "needs an element with infinities, and no scales", file=form.name, field="infinity", value="kept"
        )
    if form.scale is None:
        return
    if isinstance(form.scale, PowerOfTwo) and not form.exact_scale:
        raise InputError("does not give a power of two, which the scale is", file=form.name, field="scale_rule",
                         value=form.scale_rule, remedy=f"use {', '.join(POWER_RULES)}")  # fmt: skip
    if isinstance(form.scale, Float) and form.scale.signed and form.scale.bits <= 8:
        raise InputError("has a sign bit that a scale does not use", file=form.name, field="scale",
                         value=form.scale.name, remedy=f"write u{form.scale.name}")  # fmt: skip
    if form.exact_scale and form.tensor_scale != "none":
        raise InputError("goes with scales that are no powers of two", file=form.name, field="tensor_scale",
                         value=form.tensor_scale)  # fmt: skip
    if form.scale_rule == "minmax" and not isinstance(form.element, Integer):
        raise InputError("has a zero point, which needs integer elements", file=form.name, field="scale_rule",
                         value="minmax", remedy="use amax")  # fmt: skip


E8M0 = PowerOfTwo()
FP32 = Float(8, 23)
E4M3 = Float(4, 3, specials="nan")
E5M2 = Float(5, 2)
E2M3, E3M2, E2M1 = (Float(e, m, specials="finite") for e, m in ((2, 3), (3, 2), (2, 1)))
UE4M3 = Float(4, 3, specials="nan", signed=False)
UE5M3 = Float(5, 3, specials="ieee", signed=False)
"""The top exponent is reserved, as in E5M2: 61440 is the largest scale."""
UE5M3_NAN = Float(5, 3, specials="nan", signed=False)
UE5M3_FINITE = Float(5, 3, specials="finite", signed=False)


def _mx(name: str, element: Element) -> Format:
    return Format(name, element, 32, "block", E8M0, "floor", nan="block", infinity="block_nan")


def _fp4(name: str, scale: Float, block: int = 16, tensor_scale: TensorScale = "none", floor: float = 0.0) -> Format:
    return Format(
        name, E2M1, block, "block", scale, "amax", scale_floor=floor, tensor_scale=tensor_scale, nan="block",
        infinity="block_nan",
    )  # fmt: skip


def _int(
    name: str, bits: int, *, symmetric: bool = True, shared: Shared = "tensor", block: int | None = None
) -> Format:
    element = Integer(bits, symmetric=symmetric)
    rule: ScaleRule = "amax" if symmetric else "minmax"
    return Format(name, element, block, shared, FP32, rule, quotient="reciprocal", nan="refuse", infinity="refuse")


def _ints() -> list[Format]:
    """int8, int4, int2: one scale a tensor; a channel or a group of 32 as said; asymmetric with a zero point."""
    made: list[Format] = []
    for bits in (8, 4, 2):
        for symmetric, suffix in ((True, ""), (False, "_asymmetric")):
            made.append(_int(f"int{bits}{suffix}", bits, symmetric=symmetric))
            made.append(_int(f"int{bits}_channel{suffix}", bits, symmetric=symmetric, shared="channel"))
            made.append(_int(f"int{bits}_group32{suffix}", bits, symmetric=symmetric, shared="block", block=32))
    return made


class _Formats(dict[str, Format]):
    """Formats by name. Elements with a scale (see `format_of`) are made when they are asked for, and are not listed."""

    def __missing__(self, name: str) -> Format:
        if not _is_composed(name):
            raise KeyError(name)
        return _composed(name)


FORMATS: dict[str, Format] = _Formats(
    (each.name, each)
    for each in (
        Format("fp32", FP32, overflow="infinity"),
        Format("tf32", Float(8, 10), overflow="infinity"),
        Format("bf16", Float(8, 7), overflow="infinity"),
        Format("fp16", Float(5, 10), overflow="infinity"),
        Format("dlfloat16", Float(6, 9, specials="nan", subnormals=False), rounding="nearest_away", overflow="nan"),
        Format("fp8_e4m3", E4M3),
        Format("fp8_e5m2", E5M2),
        Format("fp8_e4m3_fnuz", Float(4, 3, specials="fnuz")),
        Format("fp8_e5m2_fnuz", Float(5, 2, specials="fnuz")),
        Format("hfp8", Float(4, 3, bias=4, specials="nan")),
        Format("hfp8_backward", Float(5, 2, specials="nan")),
        Format("fp6_e2m3", E2M3, nan="refuse"),
        Format("fp6_e3m2", E3M2, nan="refuse"),
        Format("fp4_e2m1", E2M1, nan="refuse"),
        *_ints(),
        *(_int(f"int{bits}", bits) for bits in (7, 6, 5, 3)),
        _mx("mxfp8_e4m3", E4M3),
        _mx("mxfp8_e5m2", E5M2),
        _mx("mxfp6_e2m3", E2M3),
        _mx("mxfp6_e3m2", E3M2),
        _mx("mxfp4", E2M1),
        _mx("mxint8", Integer(8, symmetric=True, fraction_bits=6)),
        _mx("mxint4", Integer(4, symmetric=True, fraction_bits=2)),
        replace(_fp4("nvfp4", UE4M3, tensor_scale="amax", floor=2.0**-6), quotient="reciprocal"),
        _fp4("nvfp4_modelopt", UE4M3, tensor_scale="amax", floor=2.0**-9),
        replace(_fp4("nvfp4_transformer_engine", UE4M3, tensor_scale="amax"), quotient="reciprocal_of_product"),
        _fp4("fp4_ue4m3", UE4M3),
        _fp4("fp4_ue4m3_s", UE4M3, tensor_scale="amax_bounded"),
        _fp4("fp4_ue5m3", UE5M3),
        _fp4("fp4_ue5m3_s", UE5M3, tensor_scale="amax_bounded"),
        _fp4("fp4_ue5m3_114688", UE5M3_NAN),
        _fp4("fp4_ue5m3_122880", UE5M3_FINITE),
    )
)


_ELEMENT = re.compile(r"(u?)e(\d+)m(\d+)(fnuz|fn|f)?")
_INTEGER = re.compile(r"(u?)int(\d+)")
_SCALES: dict[str, Float | PowerOfTwo] = {"e8m0": E8M0, "fp32": FP32, "bf16": Float(8, 7), "fp16": Float(5, 10)}
_SPECIALS: dict[tuple[int, int], Specials] = {
    (4, 3): "nan", (2, 3): "finite", (3, 2): "finite", (2, 1): "finite",
}  # fmt: skip
"""Elements that the OCP specifications define without infinities."""


def format_named(name: str, *, file: object = None, field: str | None = None) -> Format:
    """The format called ``name``, or an element with a scale as in `format_of`.

    Raises:
        UnknownNameError: neither; suggests the closest name.
        InputError: composed, and not as it has to be.
    """
    try:
        return FORMATS[name]
    except KeyError:
        raise UnknownNameError("format", name, FORMATS, file=file, field=field) from None
    except InputError as error:
        raise InputError(error.rule, file=file, field=field, value=name, remedy=error.remedy) from None


def shortest_name(name: str) -> str:
    """The name in the list of a format that is composed as one there, else ``name``. Errors as `format_named`."""
    form = format_named(name)
    return name if name in FORMATS else _named().get(replace(form, name=""), name)


@cache
def _named() -> dict[Format, str]:
    return {replace(form, name=""): name for name, form in reversed(FORMATS.items())}


def format_of(format: str | Format, *, field: str | None = "format") -> Format:
    """A record as it is, a named format, or one composed as element/scale@block, such as e2m1/ue5m3@16.

    Elements and scales are [u]eXmY with an optional ending (fn: the top code is NaN, no infinity; f: all codes
    finite; fnuz), [u]intN, and of scales also e8m0, fp32, bf16, fp16. Without an ending E4M3 has one NaN code and 4-
    and 6-bit elements are finite, as OCP defines them; all others are as in IEEE 754. The block is a number,
    ``channel`` or ``tensor``.

    Raises:
        UnknownNameError: neither a name nor of that form; suggests the closest name.
    """
    if isinstance(format, Format):
        return format
    if format not in FORMATS and isinstance(format, str) and _element(format) is not None:
        return _composed(format)
    return format_named(str(format), field=field)


def _is_composed(name: str) -> bool:
    return "/" in name or "@" in name


@cache
def _composed(name: str) -> Format:
    element_text, slash, rest = name.partition("/")
    scale_text, at, block_text = rest.partition("@")
    element = _element(element_text)
    if element is None:
        raise InputError("has no element of the form eXmY or intN", value=name)
    if not slash:
        return Format(name, element, nan="element" if _has_nan(element) else "refuse")
    scale = _SCALES.get(scale_text) or _element(scale_text)
    if not isinstance(scale, Float | PowerOfTwo):
        raise InputError("has no scale of the form ueXmY, e8m0, fp32, bf16 or fp16", value=name)
    if not at or not (block_text in ("channel", "tensor") or block_text.isdecimal()):
        raise InputError("does not say who shares a scale", value=name,
                         remedy="end it with @32 (a block size), @channel or @tensor")  # fmt: skip
    shared: Shared = "block" if block_text.isdecimal() else block_text  # type: ignore[assignment]
    power, integer = isinstance(scale, PowerOfTwo), isinstance(element, Integer)
    rule: ScaleRule = "floor" if power else "minmax" if integer and not element.signed else "amax"
    return Format(
        name, element, int(block_text) if shared == "block" else None, shared, scale, rule,
        quotient="reciprocal" if integer and not power else "divide",
        nan="refuse" if integer and not power else "block", infinity="refuse" if integer and not power else "block_nan",
    )  # fmt: skip


def _has_nan(element: Element) -> bool:
    return isinstance(element, Float) and element.nan_code is not None


def _element(text: str) -> Element | None:
    found = _ELEMENT.fullmatch(text)
    if found:
        unsigned, exponent, mantissa, ending = found[1], int(found[2]), int(found[3]), found[4]
        usual: Specials = "nan" if mantissa == 0 else "ieee"
        endings: dict[str | None, Specials] = {
            None: _SPECIALS.get((exponent, mantissa), usual), "fn": "nan", "f": "finite", "fnuz": "fnuz",
        }  # fmt: skip
        return Float(exponent, mantissa, specials=endings[ending], signed=not unsigned)
    found = _INTEGER.fullmatch(text)
    return Integer(int(found[2]), signed=not found[1], symmetric=not found[1]) if found else None


def overridden(form: Format, changes: dict[str, object]) -> Format:
    """``form`` with those fields of ``changes`` that are not None. A block size makes elements share by block."""
    given = {field: value for field, value in changes.items() if value is not None}
    if not given:
        return form
    assert set(given) <= {each.name for each in fields(Format)}
    if "block" in given and form.shared != "block":
        if form.scale is None:
            raise InputError("has no scale that a block could share", file=form.name, field="block",
                             value=given["block"])  # fmt: skip
        given["shared"] = "block"
    return replace(form, **given)  # type: ignore[arg-type]

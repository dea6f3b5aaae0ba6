"""How products are added up: one record a kind, one named preset a machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics.elements import Float
from accelsim.numerics.formats import FORMATS

__all__ = [
    "ACCUMULATORS",
    "Accumulator",
    "AlignTruncate",
    "Chunked",
    "Exact",
    "GroupTruncate",
    "IntegerSum",
    "Order",
    "Sequential",
    "accumulator_named",
]

Order = Literal["ascending", "descending", "pairwise"]


@dataclass(frozen=True, slots=True)
class Exact:
    """The exact sum, rounded once to float32, to nearest even."""

    name: str = "exact"


@dataclass(frozen=True, slots=True)
class Sequential:
    """One addition after the other, each rounded to nearest even to ``format``; products are exact (fused).

    Attributes:
        order: ascending or descending k, or pairwise: neighbours, then neighbouring sums, an odd one left over.
    """

    name: str
    format: str = "fp32"
    order: Order = "ascending"


@dataclass(frozen=True, slots=True)
class Chunked:
    """Ascending sums of ``chunk`` products in ``inner``, whose results are added in ``outer``, all to nearest.

    Source: Wang et al., Training Deep Neural Networks with 8-bit Floating Point Numbers, NeurIPS 2018.
    """

    name: str
    chunk: int = 64
    inner: str = "fp16"
    outer: str = "fp32"


@dataclass(frozen=True, slots=True)
class IntegerSum:
    """Two's complement of ``bits`` bits, ascending: wrapping around, or stopping at its ends at every addition."""

    name: str
    bits: int
    overflow: Literal["wrap", "saturate"] = "wrap"


@dataclass(frozen=True, slots=True)
class AlignTruncate:
    """Steps of exact products, aligned, truncated and summed at once; see `accelsim.numerics.align`.

    Attributes:
        fraction_bits: kept when terms are aligned.
        step_bits: bits of one operand row that a step takes: k of a step is this / bits of the wider operand.
        output: fp32, or fp16, of every step.
        output_bits: fraction bits of an fp32 output, cut towards zero.
        promote: products after which the sum goes to a float32 total, to nearest even; 0 for never.
        operands: formats of operands that the unit takes.
        paired: as two steps, of the k with k % 4 in {0, 1} and then {2, 3} of every 32, and the addend in float32 last:
            fp8 where it is expanded to fp16 instructions.
    """

    name: str
    fraction_bits: int
    step_bits: int
    output: Literal["fp32", "fp16"] = "fp32"
    output_bits: int = 23
    promote: int = 0
    operands: tuple[str, ...] = ("fp16", "bf16", "tf32")
    paired: bool = False

    def step(self, bits: int) -> int:
        """Products of one step of operands of so many bits; TF32 travels in 32."""
        return max(1, self.step_bits // (32 if bits > 16 else 16 if bits > 8 else 8 if bits > 4 else 4))


@dataclass(frozen=True, slots=True)
class GroupTruncate:
    """Groups of exact products with their scales, aligned, truncated and summed; see `accelsim.numerics.grouped`.

    Attributes:
        fraction_bits: kept when groups are aligned.
        group, step: products of a group, and of a step.
    """

    name: str
    fraction_bits: int = 35
    group: int = 16
    step: int = 64


Accumulator = Exact | Sequential | Chunked | IntegerSum | AlignTruncate | GroupTruncate

_FP8 = ("fp8_e4m3", "fp8_e5m2")
_FP6_FP4 = ("fp6_e2m3", "fp6_e3m2", "fp4_e2m1")

ACCUMULATORS: dict[str, Accumulator] = {
    each.name: each
    for each in (
        Exact(),
        Sequential("fp32"),
        Sequential("fp32-descending", order="descending"),
        Sequential("fp32-pairwise", order="pairwise"),
        Sequential("fp16", "fp16"),
        Sequential("bf16", "bf16"),
        Chunked("chunked-fp16"),
        Chunked("rapid", inner="dlfloat16"),
        IntegerSum("int32", 32),
        IntegerSum("int32-saturating", 32, "saturate"),
        IntegerSum("int24", 24),
        IntegerSum("int24-saturating", 24, "saturate"),
        IntegerSum("int16", 16),
        IntegerSum("int16-saturating", 16, "saturate"),
        AlignTruncate("volta", 23, 64, operands=("fp16",)),
        AlignTruncate("turing", 24, 128, operands=("fp16",)),
        AlignTruncate("ampere", 24, 128),
        AlignTruncate("ada", 24, 128),
        AlignTruncate("ada-fp8", 13, 128, output_bits=13, operands=_FP8),
        AlignTruncate("hopper", 25, 256),
        AlignTruncate("hopper-fp16", 25, 256, "fp16", operands=("fp16",)),
        AlignTruncate("hopper-fp8", 13, 256, output_bits=13, operands=_FP8),
        AlignTruncate("hopper-fp8-promoted", 13, 256, output_bits=13, promote=128, operands=_FP8),
        AlignTruncate("hopper-fp8-fp16", 13, 256, "fp16", operands=_FP8),
        AlignTruncate("hopper-fp8-mma", 25, 256, operands=_FP8, paired=True),
        AlignTruncate("blackwell", 25, 256, operands=("fp16", "bf16", "tf32", *_FP8, *_FP6_FP4)),
        GroupTruncate("blackwell-fp4"),
    )
}
"""Tensor cores as in Xie et al., MMA-Sim, arXiv 2511.10909; those of Hopper are measured (validation/numerics)."""


def accumulator_named(name: str | Accumulator) -> Accumulator:
    """The accumulator of that name; intN and intN-saturating take any N from 2 to 64.

    Raises:
        UnknownNameError: there is none; suggests the closest.
    """
    if not isinstance(name, str):
        return _checked(name)
    if name in ACCUMULATORS:
        return ACCUMULATORS[name]
    digits = name.removeprefix("int").removesuffix("-saturating")
    if name.startswith("int") and digits.isdecimal():
        return _checked(IntegerSum(name, int(digits), "saturate" if name.endswith("-saturating") else "wrap"))
    raise UnknownNameError("accumulator", name, ACCUMULATORS, field="accumulator")


def _checked(rule: Accumulator) -> Accumulator:
    """Refuse settings that no loop computes."""
    formats = {"inner": rule.inner, "outer": rule.outer} if isinstance(rule, Chunked) else {}
    if isinstance(rule, Sequential):
        formats["format"] = rule.format
    for field, name in formats.items():
        if name not in FORMATS or not isinstance(FORMATS[name].element, Float) or FORMATS[name].scale is not None:
            raise InputError("must be a floating-point format without scales", file=rule.name, field=field, value=name)
    if isinstance(rule, Chunked) and rule.chunk < 1:
        raise InputError("must be 1 or more", file=rule.name, field="chunk", value=rule.chunk)
    if isinstance(rule, IntegerSum) and not 2 <= rule.bits <= 64:
        raise InputError("must be 2 to 64", file=rule.name, field="bits", value=rule.bits)
    if isinstance(rule, AlignTruncate) and not (1 <= rule.fraction_bits <= 40 and 1 <= rule.output_bits <= 23):
        raise InputError("must be 1 to 40 fraction bits, and 1 to 23 of the output", file=rule.name,
                         field="fraction_bits", value=rule.fraction_bits)  # fmt: skip
    if isinstance(rule, GroupTruncate) and not (
        8 <= rule.fraction_bits <= 40 and 1 <= rule.group <= 256 and rule.step % rule.group == 0 < rule.step
    ):  # fmt: skip
        raise InputError("must be 8 to 40 fraction bits, in steps of whole groups of up to 256", file=rule.name,
                         field="fraction_bits, group and step")  # fmt: skip
    return rule

"""Energy and area of a multiply-accumulate by format and width.

A processing element computes a block of ``reduction`` x ``columns`` products of two operands in one format each cycle:

    multiply     product of the significands by their widths, w_a w_b; for floats also exponents, normalising, rounding
    adder tree   reduction - 1 adds in a dot product. Integers: of w_a + w_b + log2(reduction) bits. Floats: exact
                 fixed-point sums, as wide as the range of the products, at most 2 significands wide on top of the
                 accumulator's (wider products are aligned and cut)
    accumulate   one add in the accumulator, shared by the products of a dot product and a block. Integers add into
                 integers of its width
    scale        formats whose elements share a scale: E8M0 scales add exponents and shift the sum, other scales
                 multiply, and their product multiplies the sum; shared by the block
    registers    both operands and the partial sum, written once for each product or dot product

All are sums of operators of the published tables; clock tree and control are in no operator and in the range only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from accelsim.hardware.technology.operands import Operand, accumulator_of
from accelsim.hardware.technology.scaling import energy_pj, logic_um2
from accelsim.hardware.technology.span import Span, span_of, total
from accelsim.hardware.technology.tables import tables

__all__ = ["MacEnergy", "ProcessingElement", "element_area_um2", "element_energy_pj", "mac_energy_of", "with_layout"]

_E8M0_BITS = 8
_SCALE_EXPONENT_BITS = 4
_ELEMENT_REGISTERS = 8
_ZERO = Span(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class MacEnergy:
    """Energy of one multiply-accumulate, picojoules: the operators, and the registers that hold its operands."""

    arithmetic_pj: Span
    registers_pj: Span

    @property
    def total_pj(self) -> Span:
        return self.arithmetic_pj + self.registers_pj

    @property
    def local_share(self) -> float:
        """Part of the energy that registers take."""
        whole = self.total_pj.value
        return self.registers_pj.value / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class ProcessingElement:
    """``reduction`` x ``columns`` multipliers of ``operand`` that add into ``accumulator``, at ``node_nm``."""

    operand: Operand
    accumulator: Operand
    reduction: int = 1
    columns: int = 1
    node_nm: float = 7.0

    @property
    def macs(self) -> int:
        return self.reduction * self.columns

    def mac_energy(self) -> MacEnergy:
        """Energy of one of its multiply-accumulates."""
        dot = self.reduction
        parts = [
            self._multiply("pj"),
            self._tree("pj") * ((dot - 1) / dot),
            _add(self._sum, self.node_nm, "pj") / self._products_a_sum,
            self._scale("pj") / (self.operand.block or 1),
        ]
        bits = 2 * self.operand.bits + self._sum.bits / dot
        return MacEnergy(total(parts), energy_pj("register_pj_per_bit", self.node_nm) * bits)

    def area_um2(self) -> Span:
        """Area before layout: operators and registers."""
        dot = self.reduction
        sums = math.ceil(dot / self._products_a_sum)
        column = [
            self._multiply("um2") * dot,
            self._tree("um2") * (dot - 1),
            _add(self._sum, self.node_nm, "um2") * sums,
            self._scale("um2") * sums,
        ]
        bits = self.columns * (2 * self.operand.bits * dot + self._sum.bits)
        return total(column) * self.columns + logic_um2("register_um2_per_bit", self.node_nm) * bits

    @property
    def _sum(self) -> Operand:
        return accumulator_of(self.operand, self.accumulator)

    @property
    def _products_a_sum(self) -> int:
        """Products that are added up before they meet the accumulator: of one dot product and one block."""
        return min(self.reduction, self.operand.block or self.reduction)

    def _multiply(self, unit: str) -> Span:
        return _multiply(self.operand, self.node_nm, unit)

    def _tree(self, unit: str) -> Span:
        """One add inside a dot product; of one product there is none."""
        if self.reduction == 1:
            return _ZERO
        bits = 2 * self.operand.significand_bits + math.ceil(math.log2(self.reduction))
        if self.operand.is_float:
            widest = bits + self._sum.significand_bits
            bits = min(bits + 2 ** (self.operand.exponent_bits + 1), widest)
        return _entry("int_add", self.node_nm, unit) * bits

    def _scale(self, unit: str) -> Span:
        """What the two scales of a block of products take."""
        if self.operand.scale == "none":
            return _ZERO
        if self.operand.scale == "exponent":
            return _entry("int_add", self.node_nm, unit) * (_E8M0_BITS + self._sum.bits)
        scale = Operand(self.operand.scale_bits, min(_SCALE_EXPONENT_BITS, self.operand.scale_bits - 1))
        return _multiply(scale, self.node_nm, unit) + _multiply(self._sum, self.node_nm, unit)


@cache
def mac_energy_of(element: ProcessingElement) -> MacEnergy:
    """`ProcessingElement.mac_energy`, computed once for equal elements: every evaluation asks for it."""
    return element.mac_energy()


def element_energy_pj(operand: Operand, node_nm: float) -> Span:
    """Picojoules of a simple element-wise operation: a multiply (low: an add), two operands and a result."""
    registers = energy_pj("register_pj_per_bit", node_nm) * (3 * operand.bits)
    add, multiply = _add(operand, node_nm, "pj"), _multiply(operand, node_nm, "pj")
    return registers + Span(max(add.value, multiply.value), min(add.low, multiply.low), max(add.high, multiply.high))


def element_area_um2(operand: Operand, node_nm: float) -> Span:
    """Area of a vector lane before layout: an adder, a multiplier and eight registers."""
    registers = logic_um2("register_um2_per_bit", node_nm) * (_ELEMENT_REGISTERS * operand.bits)
    return registers + _add(operand, node_nm, "um2") + _multiply(operand, node_nm, "um2")


def with_layout(area: Span) -> Span:
    """Area of logic as it is laid out."""
    return area * span_of(tables().layout.logic_overhead)


def _entry(operator: str, node_nm: float, unit: str) -> Span:
    """Energy [pJ] or area [um2] of an operator by bit; integer multiplies go by the product of two widths."""
    name = f"{operator}_{unit}_per_bit{'2' if operator == 'int_multiply' else ''}"
    return energy_pj(name, node_nm) if unit == "pj" else logic_um2(name, node_nm)


def _multiply(operand: Operand, node_nm: float, unit: str) -> Span:
    bits = operand.significand_bits
    product = _entry("int_multiply", node_nm, unit) * (bits * bits)
    return product + _entry("float_multiply", node_nm, unit) * bits if operand.is_float else product


def _add(operand: Operand, node_nm: float, unit: str) -> Span:
    return _entry("float_add" if operand.is_float else "int_add", node_nm, unit) * operand.bits

"""Multipliers, multiply-accumulates, adder trees and dot products.

Without DSP slices a product is a triangle of partial products that carry-save adders compress to two words, which one
carry chain adds: LUTs grow with A B, and at the edges with A and B. Constants are calibrated on synthesis points of
our own (docs/fpga.md), none of which has the operands of a reference row.
"""

from __future__ import annotations

from accelsim.cost.fpga.resources import Resources, whole
from accelsim.errors import InputError, UnsupportedError

__all__ = ["adder_tree", "constant_dot_product", "dot_product", "multiplier", "multiply_accumulate", "uses_dsp"]

_DSP_LEAST_OPERAND, _DSP_LEAST_PRODUCT, _DSP_OPERANDS = 2, 9, (27, 18)
"""A DSP48E2 multiplies 27 x 18 signed bits; Yosys takes one from 9 bits of product on, Vivado from about the same."""

_PER_AREA, _PER_LONG, _PER_SHORT, _PER_PRODUCT = 2.381, -2.528, 1.573, -9.0
_THREE_ROWS, _THREE_ROWS_OFFSET = 6.28, -10.3
_TREE_PER_BIT, _TREE_PER_OPERAND, _TREE_FREE_OPERANDS = 1.66, 1.75, 5
_MERGED_OPERANDS, _MERGED_PER_BIT = 4, 2.9
_PAIR_PER_PRODUCT, _PAIR_PER_LONG, _PAIR = 1.321, -5.0, 22.9
_CONSTANT_PER_ROW_BIT, _CONSTANT_PER_ROW = 2.9, -2.6
_SRL_FROM_STAGES = 3


def uses_dsp(a_bits: int, b_bits: int) -> bool:
    """Whether a product is worth a DSP slice: both operands of two bits or more, and nine bits or more together."""
    return min(a_bits, b_bits) >= _DSP_LEAST_OPERAND and a_bits + b_bits >= _DSP_LEAST_PRODUCT


def multiplier(a_bits: int, b_bits: int, *, dsp: bool = False) -> Resources:
    """Signed product into a register of A + B bits.

    Args:
        dsp: whether DSP slices may be used; small products are logic all the same.
    """
    product = Resources(ff=a_bits + b_bits)
    if dsp and uses_dsp(a_bits, b_bits):
        return product + Resources(dsp=_slices(a_bits, b_bits))
    return product + Resources(lut_logic=_product_luts(a_bits, b_bits))


def multiply_accumulate(a_bits: int, b_bits: int, guard_bits: int, *, dsp: bool = False) -> Resources:
    """``acc <= clear ? a b : acc + a b`` with an accumulator of A + B + G bits: a carry chain, and a LUT a bit to
    clear it."""
    total = a_bits + b_bits + guard_bits
    product = multiplier(a_bits, b_bits, dsp=dsp)
    return Resources(lut_logic=product.lut_logic + 2 * total, ff=total, dsp=product.dsp)


def adder_tree(operands: int, bits: int, *, pipelined: bool = False) -> Resources:
    """Sum of ``operands`` signed words at full precision, into a register; ``pipelined`` has one behind every level.

    Without pipeline all words are compressed together and added once; with it every sum is a carry chain.
    """
    _at_least(2, operands=operands)
    _at_least(1, bits=bits)
    if pipelined:
        return _pipelined_tree(operands, bits)
    return Resources(lut_logic=_tree_luts(operands, bits), ff=bits + _levels(operands))


def dot_product(products: int, a_bits: int, b_bits: int, *, dsp: bool = False) -> Resources:
    """Sum of ``products`` signed products, into a register of full precision.

    Up to four products are compressed as one. More are compressed in pairs (wider sums would have to be extended), and
    the pairs added by a tree.
    """
    _at_least(2, products=products)
    width = a_bits + b_bits
    register = Resources(ff=width + _levels(products))
    if dsp and uses_dsp(a_bits, b_bits):
        slices = products * _slices(a_bits, b_bits)
        return register + Resources(lut_logic=_paired_tree_luts(products, width), dsp=slices)
    if products <= _MERGED_OPERANDS:
        logic = products * _product_luts(a_bits, b_bits) + _MERGED_PER_BIT * (products - 1) * width
        return register + Resources(lut_logic=whole(logic))
    one, pairs = _product_luts(a_bits, b_bits), products // 2
    pair = _PAIR_PER_PRODUCT * 2 * one + _PAIR_PER_LONG * max(a_bits, b_bits) + _PAIR
    logic = pairs * max(pair, 2 * one) + products % 2 * one + _tree_luts(pairs + products % 2, width + 1)
    return register + Resources(lut_logic=whole(logic))


def constant_dot_product(products: int, a_bits: int, b_bits: int) -> Resources:
    """As `dot_product` without DSP slices, with weights that are constants drawn uniformly: what they take on average.

    A constant of B bits in canonical signed digits has (3 B + 1) / 9 digits that are not zero on average; each is a
    shifted copy of the other operand to be added.
    """
    _at_least(2, products=products, a_bits=a_bits, b_bits=b_bits)
    rows = max(products * (3 * b_bits + 1) / 9 - 2, 0)
    logic = rows * (_CONSTANT_PER_ROW_BIT * a_bits + _CONSTANT_PER_ROW)
    return Resources(lut_logic=whole(logic), ff=a_bits + b_bits + _levels(products))


def _levels(operands: int) -> int:
    return (operands - 1).bit_length()


def _product_luts(a_bits: int, b_bits: int) -> int:
    _at_least(2, a_bits=a_bits, b_bits=b_bits)
    short, long = sorted((a_bits, b_bits))
    if short == 2:
        return 2 * long
    if short == 3:
        return whole(_THREE_ROWS * long + _THREE_ROWS_OFFSET)
    return whole(_PER_AREA * short * long + _PER_LONG * long + _PER_SHORT * short + _PER_PRODUCT)


def _slices(a_bits: int, b_bits: int) -> int:
    """DSP slices of one product.

    Raises:
        UnsupportedError: operands that do not fit one slice, which tools split in ways that are not modelled.
    """
    long, short = _DSP_OPERANDS
    if max(a_bits, b_bits) > long or min(a_bits, b_bits) > short:
        raise UnsupportedError(f"is wider than a DSP slice multiplies ({long} x {short} bits)", field="a_bits, b_bits",
                               value=f"{a_bits} x {b_bits}", remedy="use dsp=0, or narrower operands")  # fmt: skip
    return 1


def _tree_luts(operands: int, bits: int) -> int:
    if operands <= 1:
        return 0
    if operands <= 3:
        return (operands - 1) * bits
    extra = _TREE_PER_OPERAND * max(operands - _TREE_FREE_OPERANDS, 0)
    return whole(_TREE_PER_BIT * (operands - 2) * bits + extra)


def _paired_tree_luts(operands: int, bits: int) -> int:
    """LUTs of a tree whose first level is carry chains of its own."""
    if operands <= _MERGED_OPERANDS:
        return _tree_luts(operands, bits)
    pairs = operands // 2
    return pairs * bits + _tree_luts(pairs + operands % 2, bits + 1)


def _pipelined_tree(operands: int, bits: int) -> Resources:
    """Level by level. An odd word waits in registers; a run of three or more (its own included) is a shift register."""
    logic, shifts, registers = 0, 0, 0
    left, width, run, run_bits = operands, bits, 0, 0
    while left > 1:
        pairs, odd = divmod(left, 2)
        if odd:
            # The last word of a level is odd again and again: an operand, or a sum, which has a register of its own.
            if not run:
                run, run_bits = int(width > bits), width
            run += 1
            registers += run_bits
        elif run:
            if run >= _SRL_FROM_STAGES:
                shifts, registers = shifts + run_bits, registers - run * run_bits
            run = 0
        logic += pairs * width
        registers += pairs * (width + 1)
        left, width = pairs + odd, width + 1
    return Resources(lut_logic=logic, lut_srl=shifts, ff=registers)


def _at_least(least: int, **sizes: int) -> None:
    for name, size in sizes.items():
        if size < least:
            raise InputError(f"must be {least} or more", field=name, value=size)

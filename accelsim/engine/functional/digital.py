"""The arrays of digital architectures as matrix units: operands in the op's format, sums in the mapping's order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from accelsim.engine.functional.product import Read, Right, SumOrder, contract, elementwise, held, read, sum_order
from accelsim.engine.functional.scaling import Scaling, Scalings
from accelsim.engine.functional.units import MatrixUnit, Operand, Sums, UnitOf
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.records import MappedItem, OpMapping
from accelsim.numerics import FORMATS, Format
from accelsim.numerics.elements import Integer

__all__ = ["array_unit", "digital_units"]


def digital_units(description: DigitalArchitecture, scalings: Scalings) -> UnitOf:
    """The array units of an architecture; see `units_of`."""

    def unit(mapped: MappedItem) -> MatrixUnit:
        assert isinstance(mapped, OpMapping)
        return array_unit(mapped.op.name, mapped.precision, sum_order(mapped, description), scalings)

    return unit


def array_unit(op: str, precision: str, order: SumOrder, scalings: Scalings) -> MatrixUnit:
    """An array that computes the products of ``op`` in one format and order of sums."""
    return _Array(op, FORMATS[precision], order, scalings)


@dataclass(frozen=True, slots=True)
class _Array:
    op: str
    form: Format
    order: SumOrder
    scalings: Scalings

    def hold(self, right: Operand) -> _Stationary:
        scaling = self.scalings.right(self.op, constant=right.constant)
        got = _as_read(right, self.form, self.op, scaling)
        left = self.scalings.left(self.op, self.form)
        return _Stationary(self.op, self.form, held(got, self.order), left, got.saturated, got.flushed)


@dataclass(frozen=True, slots=True)
class _Stationary:
    op: str
    form: Format
    right: Right
    scaling: Scaling
    saturated: int
    flushed: int

    def times(self, left: Operand) -> Sums:
        got = _as_read(left, self.form, self.op, self.scaling)
        return Sums(contract(got, self.right), got.saturated, got.flushed)


def _as_read(operand: Operand, form: Format, op: str, scaling: Scaling) -> Read:
    """Quantised as it is stored where places in the tensor have no say, else as the array reads it.

    Whole numbers that fit into integers of the format are taken as they are.
    """
    if operand.bits and isinstance(form.element, Integer) and operand.bits <= form.element.bits:
        return Read(np.ascontiguousarray(operand.arranged), np.ones((), np.float32))
    if not elementwise(form):
        return read(operand.arranged, form, op, scaling)
    stored = read(operand.values, form, op, scaling)
    return Read(operand.arrange(stored.values), stored.scales, stored.saturated, stored.flushed)

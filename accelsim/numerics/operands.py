"""What a matrix unit reads of a tensor: element values, the scales within the sum, and those after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError, UnsupportedError
from accelsim.numerics.cast import cast
from accelsim.numerics.elements import Float, Integer, PowerOfTwo
from accelsim.numerics.formats import Format, format_of
from accelsim.numerics.rounding import decoded, to_float32
from accelsim.numerics.scales import floor_exponent
from accelsim.numerics.tensor import QuantizedTensor

__all__ = ["Operand", "operand_of"]

FloatArray = NDArray[np.float32]

_LONGEST = 8
"""Bits of a scale that is multiplied into an element exactly."""


@dataclass(frozen=True, slots=True)
class Operand:
    """Rows whose products are summed along their last axis.

    Attributes:
        values: (rows, k) what takes part in the sum: elements, times block scales that make exact float32 numbers.
        elements, exponents: (rows, k), ``values`` = elements 2^exponents, with exponents those of power-of-two scales.
        form: format of the elements; None for arrays without one.
        after: (rows,) scales of whole rows, applied to the sum.
        groups: (rows, k / group) scales of groups along k that are no exact part of a product; None without.
        spread: (rows, k) the block scale of each element, where blocks have scales of 8 bits; None without.
    """

    values: FloatArray
    elements: FloatArray
    exponents: NDArray[np.int32] | None
    form: Format | None
    after: FloatArray
    groups: FloatArray | None = None
    spread: FloatArray | None = None

    @property
    def integer(self) -> bool:
        """Whether all values are whole numbers."""
        return bool((self.values == np.rint(self.values)).all())


def operand_of(x: ArrayLike | QuantizedTensor, form: str | Format | None, name: str, *, columns: bool) -> Operand:
    """``x``, (rows, k), or (k, rows) with ``columns``, as an operand.

    Args:
        form: format of the elements of an array, whose numbers must be numbers of that format; None for no format.

    Raises:
        InputError: no matrix; numbers that the format does not hold; blocks that do not lie along k.
    """
    if isinstance(x, QuantizedTensor):
        return _of_tensor(x, name, columns)
    array = np.asarray(x)
    values = to_float32(array, once=False)
    if array.dtype.kind in "fiu" and not np.array_equal(
        values.astype(array.dtype), array, equal_nan=array.dtype.kind == "f"
    ):
        raise InputError("holds numbers that float32 does not", field=name, value=array.dtype.name,
                         remedy="quantise or round them first")  # fmt: skip
    if values.ndim != 2:
        raise InputError("must have two dimensions", field=name, value=values.shape)
    values = np.ascontiguousarray(values.T) if columns else values
    known = None if form is None else format_of(form, field="operands")
    finite = values[np.isfinite(values)]
    if known is not None and not np.array_equal(cast(finite, known), finite):
        raise InputError(f"holds numbers that {known.name} does not", field=name,
                         remedy="cast them first, or say operands= as they are")  # fmt: skip
    return Operand(values, values, None, known, np.ones(len(values), np.float32))


def _of_tensor(x: QuantizedTensor, name: str, columns: bool) -> Operand:
    if len(x.shape) != 2:
        raise InputError("must have two dimensions", field=name, value=x.shape)
    along = 0 if columns else 1

    def turned(array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(array.T) if columns else array

    codes: NDArray[Any] = x.codes
    if x.zero_points is not None:
        codes = codes.astype(np.int32) - _spread(x, x.zero_points)
    elements = turned(decoded(codes, x.format.element))
    ones = np.ones(len(elements), np.float32)
    form = x.format
    if form.scale is None:
        return Operand(elements, elements, None, form, ones)
    if form.shared == "tensor":
        return Operand(elements, elements, None, form, ones * x.scale_values)
    if x.axis != (along,):
        raise InputError("has scales that do not lie along the sum", field=name, value=f"axis {x.axis}",
                         remedy=f"quantise it with axis={along}")  # fmt: skip
    if form.shared == "channel":
        return Operand(elements, elements, None, form, x.scale_values.reshape(-1))
    return _of_blocks(x, elements, turned)


def _of_blocks(x: QuantizedTensor, elements: FloatArray, turned: Any) -> Operand:
    form = x.format
    after = np.full(len(elements), x.tensor_scale, np.float32)
    scale = form.scale
    assert scale is not None
    plain = QuantizedTensor(form, x.shape, x.axis, x.data, x.scales)
    if isinstance(scale, Float) and scale.bits > _LONGEST:
        return Operand(elements, elements, None, form, after, turned(plain.scale_values))
    spread = turned(_spread(x, plain.scale_values))
    with np.errstate(all="ignore"):
        values = elements * spread
    exponents = None
    if isinstance(scale, PowerOfTwo):
        exponents = np.where(np.isfinite(spread), floor_exponent(np.ascontiguousarray(spread).view(np.uint32)), 0)
    return Operand(values, elements, exponents, form, after, spread=np.ascontiguousarray(spread))


def _spread(x: QuantizedTensor, grid: NDArray[Any]) -> NDArray[Any]:
    """One value a block at each of its elements, of the shape of the tensor."""
    if x.format.shared != "block":
        return np.broadcast_to(grid, x.shape)
    axis = x.axis[0]
    return np.take(grid, np.arange(x.shape[axis]) // (x.format.block or 1), axis=axis)


def element_bits(operand: Operand) -> tuple[int, int]:
    """(bits, exponent of the smallest normal number) of the elements.

    Raises:
        UnsupportedError: elements that no floating-point unit reads.
    """
    form = operand.form
    assert form is not None
    if isinstance(form.element, Integer):
        raise UnsupportedError("has integer elements, which align and truncate does not take", field="operands",
                               value=form.name, remedy="use exact, int32 or fp32")  # fmt: skip
    return form.element.bits, form.element.least_exponent

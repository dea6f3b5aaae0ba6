"""Numbers as elements of a format, without scales."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError
from accelsim.numerics.elements import Float, code_dtype
from accelsim.numerics.formats import Format, Infinity, Nan, Overflow, Rounding, format_of, overridden
from accelsim.numerics.rounding import ROWS, RandomBits, decoded, encoded, limits, to_float32

__all__ = ["cast", "cast_codes", "element_codes", "random_of"]

FloatArray = NDArray[np.float32]


def cast(
    x: ArrayLike,
    format: str | Format,
    *,
    rounding: Rounding | None = None,
    overflow: Overflow | None = None,
    nan: Nan | None = None,
    infinity: Infinity | None = None,
    random_bits: ArrayLike | None = None,
    random_width: int | None = None,
) -> FloatArray:
    """``x`` rounded to the elements of a format, without scales: float32 of its shape.

    Args:
        x: real numbers of any type and shape; each is rounded once.
        format: a name, or a record. Its scales have no part in this.
        rounding, overflow, nan, infinity: in place of the format's own; see `Format`. An infinity is an overflow.
        random_bits: unsigned integers of the shape of ``x``, for ``rounding="stochastic"``: away from zero where the
            fraction that is dropped + random_bits / 2^random_width >= 1.
        random_width: bits of ``random_bits``; None for the width of their type.

    Raises:
        InputError: numbers or settings that the element cannot express.
    """
    form = _elements_only(format, rounding, overflow, nan, infinity)
    return decoded(element_codes(x, form, random_bits, random_width), form.element)


def cast_codes(
    x: ArrayLike,
    format: str | Format,
    *,
    rounding: Rounding | None = None,
    overflow: Overflow | None = None,
    nan: Nan | None = None,
    infinity: Infinity | None = None,
    random_bits: ArrayLike | None = None,
    random_width: int | None = None,
) -> NDArray[Any]:
    """The codes of `cast`: unsigned integers of the shape of ``x``, signed for integer elements."""
    return element_codes(x, _elements_only(format, rounding, overflow, nan, infinity), random_bits, random_width)


def _elements_only(
    format: str | Format,
    rounding: Rounding | None,
    overflow: Overflow | None,
    nan: Nan | None,
    infinity: Infinity | None,
) -> Format:
    form = format_of(format)
    found = form.element
    default: Nan = "element" if isinstance(found, Float) and found.nan_code is not None else "refuse"
    plain = Format(form.name, found, rounding=form.rounding, overflow=form.overflow, nan=default)
    return overridden(plain, {"rounding": rounding, "overflow": overflow, "nan": nan, "infinity": infinity})


def element_codes(x: ArrayLike, form: Format, random_bits: ArrayLike | None, random_width: int | None) -> NDArray[Any]:
    """`cast_codes` in a format without scales."""
    values = to_float32(x)
    limits(form.element, form.overflow, form.rounding)
    if form.infinity == "refuse" and np.isinf(values).any():
        raise InputError(f"holds infinities, which {form.name} does not", field="x", remedy='set infinity="overflow"')
    values = _without_nan(values, form)
    drawn = random_of(random_bits, random_width, values.shape, form)
    codes = np.empty(values.shape, code_dtype(form.element))
    flat, out = values.reshape(-1), codes.reshape(-1)
    for start in range(0, flat.size, ROWS):
        part = slice(start, start + ROWS)
        some = None if drawn is None else (drawn[0].reshape(-1)[part], drawn[1])
        out[part] = encoded(flat[part], np.int32(0), form.element, form.rounding, form.overflow, some)  # type: ignore[arg-type]
    if form.infinity == "kept":
        _keep_infinities(codes, values, form)
    return codes


def _keep_infinities(codes: NDArray[Any], values: FloatArray, form: Format) -> None:
    element = form.element
    assert isinstance(element, Float)
    for sign, code in ((np.inf, 0), (-np.inf, element.magnitude_mask + 1)):
        codes[values == sign] = code | (element.infinity_code or 0)


def _without_nan(values: FloatArray, form: Format) -> FloatArray:
    nan = np.isnan(values)
    if not nan.any():
        return values
    if form.nan == "zero":
        return np.where(nan, np.float32(0), values)
    if form.nan == "refuse" or not (isinstance(form.element, Float) and form.element.nan_code is not None):
        raise InputError(f"holds NaN, which {form.name} does not", field="x", remedy='set nan="zero"')
    return values


def random_of(bits: ArrayLike | None, width: int | None, shape: tuple[int, ...], form: Format) -> RandomBits | None:
    """Random bits with their width, checked; None where rounding needs none."""
    if form.rounding != "stochastic":
        return None
    if bits is None:
        raise InputError("needs random_bits, unsigned integers of the shape of x", field="rounding", value="stochastic")
    drawn = np.asarray(bits)
    if drawn.dtype.kind != "u" and not (drawn.dtype.kind == "i" and width is not None and (drawn >= 0).all()):
        raise InputError("must be unsigned integers", field="random_bits", value=drawn.dtype.name,
                         remedy="use such as rng.integers(0, 256, x.shape, dtype=numpy.uint8)")  # fmt: skip
    width = drawn.dtype.itemsize * 8 if width is None else width
    if not 1 <= width <= 32 or (drawn.size and int(drawn.max()) >> width):
        raise InputError("must be 1 to 32 and hold every random number", field="random_width", value=width)
    if drawn.shape != shape:
        raise InputError(f"must have the shape of x, {shape}", field="random_bits", value=drawn.shape)
    return drawn.astype(np.uint64), width

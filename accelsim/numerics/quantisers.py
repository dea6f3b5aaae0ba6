"""Scales of integer formats from samples: what range the codes are spread over, found once, used for all inputs.

A quantiser says which range a sample asks for; `calibrate` does so for each tensor, channel or group and gives scales
and zero points that `quantize` takes. Symmetric formats spread the larger end of the range over both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics.elements import Integer
from accelsim.numerics.formats import Format, format_of
from accelsim.numerics.layout import Axis, layout_of
from accelsim.numerics.quantize import quantize
from accelsim.numerics.rounding import to_float32
from accelsim.numerics.tensor import QuantizedTensor

__all__ = [
    "Calibration", "FixedRange", "MaxRange", "MseRange", "PactRange", "PercentileRange", "Quantiser", "SawbRange",
    "calibrate", "quantiser_named",
]  # fmt: skip

FloatArray = NDArray[np.float32]
Range = tuple[NDArray[np.float64], NDArray[np.float64]]


class Quantiser(Protocol):
    """Which range rows of numbers that share a scale ask for."""

    def ranges(self, rows: FloatArray, element: Integer) -> Range:
        """Lower and upper ends, (n,) each, of rows (n, samples); NaN stands for no number."""
        ...


@dataclass(frozen=True, slots=True)
class MaxRange:
    """From the least to the largest number."""

    def ranges(self, rows: FloatArray, element: Integer) -> Range:  # noqa: ARG002
        return np.nanmin(rows, axis=1).astype(np.float64), np.nanmax(rows, axis=1).astype(np.float64)


@dataclass(frozen=True, slots=True)
class PercentileRange:
    """From the (100 - percent)th to the ``percent``th percentile of the numbers, linearly interpolated."""

    percent: float = 99.9

    def __post_init__(self) -> None:
        if not 50 < self.percent <= 100:
            raise InputError("must be above 50 and at most 100", field="percent", value=self.percent)

    def ranges(self, rows: FloatArray, element: Integer) -> Range:  # noqa: ARG002
        wide = rows.astype(np.float64)
        return np.nanpercentile(wide, 100 - self.percent, axis=1), np.nanpercentile(wide, self.percent, axis=1)


@dataclass(frozen=True, slots=True)
class MseRange:
    """The part of the range of `MaxRange` that gives the least squared error, of ``steps`` equal parts."""

    steps: int = 100

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError("must be 1 or more", field="steps", value=self.steps)

    def ranges(self, rows: FloatArray, element: Integer) -> Range:
        low, high = MaxRange().ranges(rows, element)
        best, error = np.ones(len(rows)), np.full(len(rows), np.inf)
        for step in range(1, self.steps + 1):
            part = step / self.steps
            found = _squared_error(rows, low * part, high * part, element)
            best, error = np.where(found < error, part, best), np.minimum(found, error)
        return low * best, high * best


@dataclass(frozen=True, slots=True)
class SawbRange:
    """Statistics-aware weight binning: +-(c1 sqrt(E[x^2]) - c2 E[|x|]), coefficients fitted for 2, 3, 4, 5 and 8 bits.

    Source: Choi et al., Accurate and Efficient 2-bit Quantized Neural Networks, MLSys 2019; coefficients as in IBM's
    public model optimizer. It never asks for more than the largest number.
    """

    def ranges(self, rows: FloatArray, element: Integer) -> Range:
        if element.bits not in _SAWB:
            raise InputError(f"has no fitted coefficients; known: {sorted(_SAWB)}", field="bits", value=element.bits)
        root, mean = _SAWB[element.bits]
        wide = rows.astype(np.float64)
        clip = root * np.sqrt(np.nanmean(wide**2, axis=1)) - mean * np.nanmean(np.abs(wide), axis=1)
        largest = np.nanmax(np.abs(wide), axis=1)
        clip = np.where((clip > 0) & (clip < largest), clip, largest)
        return -clip, clip


_SAWB = {2: (3.12, 2.064), 3: (7.509, 6.892), 4: (12.68, 12.80), 5: (17.74, 18.64), 8: (31.76, 35.04)}


@dataclass(frozen=True, slots=True)
class PactRange:
    """Parameterised clipping activation: 0 to a learned ``alpha``, or -alpha to alpha.

    Source: Choi et al., PACT, arXiv 1805.06085.
    """

    alpha: float
    signed: bool = False

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise InputError("must be positive", field="alpha", value=self.alpha)

    def ranges(self, rows: FloatArray, element: Integer) -> Range:  # noqa: ARG002
        high = np.full(len(rows), float(self.alpha))
        return (-high if self.signed else np.zeros(len(rows))), high


@dataclass(frozen=True, slots=True)
class FixedRange:
    """A range that is known, such as -1 to 1 after tanh."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high or not np.isfinite([self.low, self.high]).all():
            raise InputError("must be finite, low below high", field="low and high", value=(self.low, self.high))

    def ranges(self, rows: FloatArray, element: Integer) -> Range:  # noqa: ARG002
        return np.full(len(rows), float(self.low)), np.full(len(rows), float(self.high))


_NAMED: dict[str, tuple[Callable[..., Quantiser], tuple[int, ...]]] = {
    "max": (MaxRange, (0,)),
    "percentile": (PercentileRange, (0, 1)),
    "mse": (MseRange, (0,)),
    "sawb": (SawbRange, (0,)),
    "pact": (PactRange, (1,)),
    "fixed": (FixedRange, (2,)),
}
"""What makes each quantiser, and how many numbers its name may have behind it."""


def quantiser_named(text: str, *, file: object = None, field: str = "quantiser") -> Quantiser:
    """A quantiser by its name: max, percentile, percentile:P, mse, sawb, pact:ALPHA, fixed:LOW,HIGH.

    Raises:
        UnknownNameError: no such name.
        InputError: numbers behind it that it does not take.
    """
    name, _, rest = text.partition(":")
    if name not in _NAMED:
        raise UnknownNameError("quantiser", name, _NAMED, file=file, field=field)
    make, counts = _NAMED[name]
    try:
        numbers = [float(each) for each in rest.split(",")] if rest else []
        if len(numbers) in counts:
            return make(*numbers)
        rule = f"takes {' or '.join(map(str, counts))} numbers"
    except ValueError:
        rule = "takes numbers behind its name"
    except InputError as error:
        rule = f"{error.field} {error.rule}"
    remedy = "write max, percentile:99.9, mse, sawb, pact:ALPHA or fixed:LOW,HIGH"
    raise InputError(rule, file=file, field=field, value=text, remedy=remedy)


def _scales_of(
    low: NDArray[np.float64], high: NDArray[np.float64], element: Integer
) -> tuple[FloatArray, NDArray[np.int32]]:
    """Scales and zero points, (n,) each, of ranges, which are widened to hold zero."""
    tiny = np.finfo(np.float32).tiny
    if element.symmetric:
        scale = np.maximum(np.maximum(-low, high) / element.largest_code, tiny).astype(np.float32)
        return scale, np.zeros(len(scale), np.int32)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = np.maximum((high - low) / (element.largest_code - element.lowest_code), tiny).astype(np.float32)
    zero = np.clip(element.lowest_code - np.rint(low / scale), element.lowest_code, element.largest_code)
    return scale, zero.astype(np.int32)


def _squared_error(
    rows: FloatArray, low: NDArray[np.float64], high: NDArray[np.float64], element: Integer
) -> NDArray[Any]:
    scale, zero = _scales_of(low, high, element)
    codes = np.rint(rows / scale[:, np.newaxis]) + zero[:, np.newaxis]
    codes = np.clip(codes, element.lowest_code, element.largest_code)
    error: NDArray[np.float64] = np.nansum(((codes - zero[:, np.newaxis]) * scale[:, np.newaxis] - rows) ** 2, axis=1)
    return error


@dataclass(frozen=True, slots=True)
class Calibration:
    """Scales that were found once: of the shape that `QuantizedTensor.scales` has."""

    format: Format
    axis: Axis
    scale: FloatArray
    zero_point: NDArray[np.int32] | None

    def quantize(self, x: ArrayLike) -> QuantizedTensor:
        """``x`` with these scales; what lies beyond their range saturates."""
        return quantize(x, self.format, axis=self.axis, scale=self.scale, zero_point=self.zero_point)


def calibrate(
    samples: ArrayLike | Sequence[ArrayLike], format: str | Format, quantiser: Quantiser, *, axis: Axis = -1
) -> Calibration:
    """Scales of an integer format from sample tensors of one shape, all seen as one.

    Args:
        samples: a tensor, or a list of tensors of one shape such as the inputs of a layer over a data set.
        format: an integer format with FP32 scales, by tensor, channel or group: int4, int8/fp32@channel, ...
        axis: along which elements share a scale, as in `quantize`.

    Raises:
        InputError: no such format, no samples, shapes that differ, or numbers that are not finite.
    """
    form = format_of(format)
    element = form.element
    if not isinstance(element, Integer) or form.scale is None or form.exact_scale:
        raise InputError("must be an integer format with scales that are no powers of two", field="format",
                         value=form.name, remedy="use such as int4 or int4/fp32@channel")  # fmt: skip
    given = list(samples) if isinstance(samples, list | tuple) else [samples]
    tensors = [to_float32(each, once=False) for each in given]
    if not tensors or not tensors[0].size:
        raise InputError("hold no numbers", field="samples")
    if len({each.shape for each in tensors}) > 1:
        raise InputError("must have one shape", field="samples", value=sorted({each.shape for each in tensors}))
    if not all(np.isfinite(each).all() for each in tensors):
        raise InputError("hold numbers that are not finite", field="samples")
    layout = layout_of(tensors[0].shape, form, axis)
    real = layout.split(np.ones(tensors[0].shape, np.float32)) > 0  # not the padding of a last block
    rows = np.concatenate([np.where(real, layout.split(each), np.float32(np.nan)) for each in tensors], axis=1)
    low, high = quantiser.ranges(rows, element)
    scale, zero = _scales_of(np.asarray(low), np.asarray(high), element)
    asymmetric = form.scale_rule == "minmax"
    return Calibration(form, axis, layout.to_grid(scale), layout.to_grid(zero) if asymmetric else None)

"""What the residual block puts out, by the emulator's numerics: exact integer sums, one rounding, saturation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.numerics import Format, Integer, cast, matmul

__all__ = ["residual_values"]

Pixels = NDArray[np.int64]
_KERNEL = 3
_ACCUMULATOR = "int32"


def residual_values(images: Pixels, weights: Pixels, bits: int, *, skips: str) -> Pixels:
    """Outputs of the block for some images.

    A convolution ends in one rounding: its sum / 2^bits to the nearest (halves up), saturated to signed ``bits``, with
    ReLU unless a skip is added to it. A skip is added in the values' own format, saturated, then ReLU.

    Args:
        images: (image, line, column, channel), signed ``bits``.
        weights: (2, 9, output, input): convolution, tap (row by row), output and input channel; signed ``bits``.
        skips: ``none``, ``long`` (around both) or ``short`` (around each).

    Returns:
        As ``images``.
    """
    form = Format(f"int{bits}", Integer(bits))
    if skips not in ("none", "long", "short"):
        raise InputError("must be none, long or short", field="skips", value=skips)
    first, second = weights
    if skips == "none":
        return _relu(_convolved(_relu(_convolved(images, first, form, bits)), second, form, bits))
    if skips == "long":
        half = _relu(_convolved(images, first, form, bits))
        return _joined(_convolved(half, second, form, bits), images, form)
    half = _joined(_convolved(images, first, form, bits), images, form)
    return _joined(_convolved(half, second, form, bits), half, form)


def _convolved(images: Pixels, weights: Pixels, form: Format, shift: int) -> Pixels:
    """3 x 3, zero padding, requantised by 2^-shift."""
    count, height, width, channels = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [padded[:, row : row + height, column : column + width]
            for row in range(_KERNEL) for column in range(_KERNEL)]  # fmt: skip
    patches = np.concatenate(taps, axis=-1).reshape(-1, _KERNEL**2 * channels)
    kernel = weights.transpose(0, 2, 1).reshape(-1, weights.shape[1])  # (tap and input, output)
    sums = matmul(patches, kernel, accumulator=_ACCUMULATOR)
    # Half a step up, then down: to the nearest, halves up.
    scaled = (sums + (1 << shift >> 1)) / (1 << shift)
    return _whole(cast(scaled, form, rounding="down", overflow="saturate")).reshape(count, height, width, -1)


def _joined(main: Pixels, skip: Pixels, form: Format) -> Pixels:
    return _relu(_whole(cast(main + skip, form, overflow="saturate")))


def _relu(values: Pixels) -> Pixels:
    return np.maximum(values, 0)


def _whole(values: NDArray[np.float32]) -> Pixels:
    return values.astype(np.int64)

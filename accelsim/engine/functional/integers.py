"""Quantisation of tensors by the formulas of ONNX, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["dynamic_uint8", "requantized"]

Array = NDArray[Any]


def requantized(sums: Array, scale: Array, zero_point: Array | None, dtype: Any) -> Array:
    """Sums times a float32 scale, to nearest even, with the zero point, cut to the range of the type."""
    limits = np.iinfo(dtype)
    zero = np.int32(0) if zero_point is None else zero_point.astype(np.int32)
    rounded = np.rint(np.clip(sums.astype(np.float32) * scale, -(2.0**30), 2.0**30)).astype(np.int64) + zero
    made: Array = np.clip(rounded, limits.min, limits.max).astype(dtype)
    return made


def dynamic_uint8(x: Array) -> tuple[Array, np.float32]:
    """``x`` as ONNX's DynamicQuantizeLinear has it, less its zero point (int32), and its scale."""
    low, high = np.float32(min(x.min(initial=0), 0)), np.float32(max(x.max(initial=0), 0))
    scale = (high - low) / np.float32(255) if high > low else np.float32(1)
    zero = np.rint(np.clip(-low / scale, np.float32(0), np.float32(255)))
    codes = np.clip(np.rint(x / scale) + zero, 0, 255)
    return (codes - zero).astype(np.int32), scale

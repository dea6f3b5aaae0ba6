"""The right-hand side of a product, with what sums need to know of it found once, however many products read it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Factor"]

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Factor:
    """``values`` (rows, k) float32, products of whose rows are summed along k."""

    values: FloatArray

    @cached_property
    def transposed(self) -> FloatArray:
        """(k, rows), contiguous."""
        return np.ascontiguousarray(self.values.T)

    @cached_property
    def finite(self) -> bool:
        return bool(np.isfinite(self.values).all())

    @cached_property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        return self.finite and bool((self.values == np.rint(self.values)).all())

    @cached_property
    def largest(self) -> float:
        """The largest magnitude."""
        return float(np.abs(self.values).max(initial=0))

    @cached_property
    def spread(self) -> tuple[int, int]:
        """Exponents of the largest number (above it) and of the lowest bit that is set; (0, 0) of zeros."""
        x = self.values
        significand, exponent = np.frexp(x[x != 0].astype(np.float64))
        if not exponent.size:
            return 0, 0
        whole = (significand * 2**24).astype(np.int64)
        lowest = np.frexp((whole & -whole).astype(np.float64))[1] - 25 + exponent
        return int(exponent.max()), int(lowest.min())

    @cached_property
    def significant_bits(self) -> int:
        """Bits between the highest and the lowest one that any significand has."""
        whole = (np.abs(np.frexp(self.values.reshape(-1))[0]) * np.float32(2**24)).astype(np.int64)
        merged = int(np.bitwise_or.reduce(whole)) if whole.size else 0
        return 24 - ((merged & -merged).bit_length() - 1) if merged else 0

"""The arithmetic of tensor cores on FP4 with a scale a block: groups of 16 products, scaled, aligned and truncated.

The products of a group are summed exactly and multiplied by the significands of its two scales, exactly; the exponent
of the group is the sum of those of the scales alone. The groups of a step and the addend are aligned to the largest
exponent, cut towards zero after F fraction bits, summed exactly, and the sum is cut towards zero to float32. A group
or addend of zero takes part with exponent -126. A scale that is NaN gives NaN.

Source of the rule: Xie et al., MMA-Sim, arXiv 2511.10909 (for instructions of k = 64: G = 16, F = 35), which reports it
bit-identical with Blackwell hardware; nothing here was measured.
"""

from __future__ import annotations

import numpy as np

from accelsim.numerics.align import _NAN, _ZERO, _cut, _parts
from accelsim.numerics.kernels import compiled

__all__ = ["SCALE_BITS", "grouped_products"]

SCALE_BITS = 3
"""Fraction bits of the significand of a scale."""
_VALUE_BITS = 2 + 2 * SCALE_BITS
"""Fraction bits of a group: E2M1 has one, a product two, and both scales theirs."""


@compiled
def _group(a, b, start, stop):  # type: ignore[no-untyped-def]
    total = np.int64(0)
    for k in range(start, stop):
        total += np.int64(a[k]) * np.int64(b[k])
    return total


@compiled
def _step(a, b, a_scale, a_exponent, b_scale, b_exponent, first, last, group, addend, fraction_bits):  # type: ignore[no-untyped-def]
    """One aligned, truncated sum of the groups first .. last and an addend."""
    significand, exponent = _parts(addend)
    largest = exponent
    values, exponents = np.empty(last - first, np.int64), np.empty(last - first, np.int64)
    for index in range(first, last):
        value = _group(a, b, index * group, (index + 1) * group) * a_scale[index] * b_scale[index]
        values[index - first] = value
        exponents[index - first] = a_exponent[index] + b_exponent[index] if value != 0 else _ZERO
        largest = max(largest, exponents[index - first])
    total = np.int64(0)
    for index in range(last - first + 1):
        term = significand if index == last - first else values[index]
        held = 23 if index == last - first else _VALUE_BITS
        own = exponent if index == last - first else exponents[index]
        shift = fraction_bits - held + own - largest
        magnitude = abs(term)
        magnitude = magnitude << shift if shift >= 0 else magnitude >> min(-shift, 63)
        total += -magnitude if term < 0 else magnitude
    return _cut(total, largest - fraction_bits, 23)


@compiled
def grouped_products(a, b, a_scale, a_exponent, b_scale, b_exponent, c, group, step, fraction_bits, out):  # type: ignore[no-untyped-def]
    """Sums over k, in steps of ``step`` groups.

    Args:
        a, b: (m, k) and (n, k) int32, twice the elements; k a multiple of ``group``.
        a_scale, a_exponent, b_scale, b_exponent: (rows, groups) of the scales; a negative significand stands for NaN.
        c: (m, n) float32, the addend of the first step; ``out`` receives (m, n) float32.
    """
    nan = np.uint32(_NAN).view(np.float32)
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            running = c[i, j]
            for first in range(0, a_scale.shape[1], step):
                last = min(first + step, a_scale.shape[1])
                for index in range(first, last):
                    if a_scale[i, index] < 0 or b_scale[j, index] < 0:
                        running = nan
                if np.isnan(running):
                    running = nan
                elif np.isfinite(running):
                    running = _step(a[i], b[j], a_scale[i], a_exponent[i], b_scale[j], b_exponent[j], first, last,
                                    group, running, fraction_bits)  # fmt: skip
            out[i, j] = running

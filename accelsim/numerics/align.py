"""The arithmetic of tensor cores: exact products, aligned, truncated and summed at once.

All products of a step and the addend are aligned to the largest of their exponents, that of a product being the sum
of its operands' exponents (not renormalised), and cut towards zero after F fraction bits. Their sum is exact; it is
converted to the output once: cut towards zero for float32 (after fewer fraction bits where so built), to nearest even
for fp16.
A zero takes part with exponent -126.

Infinities and NaN: any NaN, an infinity times zero, or infinities of both signs give NaN (0x7FFFFFFF, fp16 0x7FFF);
else an infinity gives itself.

Source of the rule: Xie et al., MMA-Sim, arXiv 2511.10909; Fasi et al., PeerJ CS 2021. Bit patterns:
validation/numerics.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.numerics.kernels import compiled

__all__ = ["aligned_products", "split"]

_NAN = np.uint32(0x7FFFFFFF)
_PRODUCT_BITS = 46
"""Fraction bits of a product of two significands of 23."""
_ZERO = -126
"""Exponent of a zero, whatever its format."""


def split(x: NDArray[np.float32], least_exponent: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Significands with 23 fraction bits, signed, and exponents, of finite ``x``; the significand of a number below
    2^least_exponent is not normalised. Zero and what is not finite: 0 and -126."""  # fmt: skip
    bits = np.ascontiguousarray(x).view(np.uint32)
    field = ((bits >> np.uint32(23)) & np.uint32(0xFF)).astype(np.int32)
    significand = (bits & np.uint32(0x7FFFFF)).astype(np.int64)
    significand += np.where(field > 0, 1 << 23, 0)
    exponent = np.maximum(field, 1) - 127
    # A float32 subnormal is normalised first, then lowered to the least exponent of its own format.
    lift = np.where((significand > 0) & (field == 0), 24 - _bit_lengths(significand), 0)
    significand, exponent = significand << lift, exponent - lift
    lower = np.clip(least_exponent - exponent, 0, 30)
    significand, exponent = significand >> lower, exponent + lower
    zero = (significand == 0) | (field == 255)
    significand = np.where(bits >> np.uint32(31) > 0, -significand, significand)
    return np.where(zero, 0, significand).astype(np.int32), np.where(zero, _ZERO, exponent).astype(np.int32)


def _bit_lengths(x: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.frexp(x.astype(np.float64))[1].astype(np.int64)


@compiled
def _bit_length(x):  # type: ignore[no-untyped-def]
    """Bits of a positive integer."""
    length = 0
    while x > 0xFFFF:
        x >>= 16
        length += 16
    while x > 0:
        x >>= 1
        length += 1
    return length


@compiled
def _parts(value):  # type: ignore[no-untyped-def]
    """Signed significand with 23 fraction bits and exponent of a finite float32; subnormals are not normalised."""
    bits = np.float32(value).view(np.uint32)
    field = np.int64((bits >> np.uint32(23)) & np.uint32(0xFF))
    significand = np.int64(bits & np.uint32(0x7FFFFF))
    if field > 0:
        significand += 1 << 23
    if significand == 0:
        return np.int64(0), np.int64(_ZERO)
    return -significand if bits >> np.uint32(31) else significand, (field if field > 1 else 1) - 127


@compiled
def _packed(negative, significand, exponent):  # type: ignore[no-untyped-def]
    """significand 2^exponent as float32, where it is one; infinity where it is too large. A zero is positive."""
    if significand == 0:
        return np.float32(0)
    infinite = _bit_length(significand) + exponent > 128
    value = np.float32(np.inf) if infinite else np.float32(np.ldexp(np.float64(significand), exponent))
    return -value if negative else value


@compiled
def _cut(total, exponent, kept):  # type: ignore[no-untyped-def]
    """total 2^exponent cut towards zero to ``kept`` fraction bits of a float32."""
    if total == 0:
        return np.float32(0)
    magnitude = abs(total)
    length = _bit_length(magnitude)
    leading = max(exponent + length - 1, -126)
    drop = leading - kept - exponent
    if drop > 0:
        magnitude = magnitude >> min(drop, 63)
        exponent += drop
    return _packed(total < 0, magnitude, exponent)


@compiled
def _to_half(total, exponent):  # type: ignore[no-untyped-def]
    """total 2^exponent to the nearest fp16, ties to even, as float32."""
    if total == 0:
        return np.float32(0)
    magnitude = abs(total)
    length = _bit_length(magnitude)
    drop = max(exponent + length - 1, -14) - 10 - exponent
    if drop > 0:
        drop = min(drop, 62)
        rest = magnitude & ((1 << drop) - 1)
        half = 1 << (drop - 1)
        magnitude = magnitude >> drop
        exponent += drop
        if rest > half or (rest == half and magnitude & 1):
            magnitude += 1
    value = _packed(total < 0, magnitude, exponent)
    return np.float32(np.copysign(np.inf, value)) if abs(value) > 65504 else value


@compiled
def _special(a, b, start, stop, addend):  # type: ignore[no-untyped-def]
    """What a step with an infinity or NaN gives."""
    total = np.float64(addend)
    for k in range(start, stop):
        total += np.float64(a[k]) * np.float64(b[k])
    return np.uint32(_NAN).view(np.float32) if np.isnan(total) else np.float32(total)


@compiled
def _step(a_parts, a_exponents, b_parts, b_exponents, start, stop, addend, fraction_bits, kept):  # type: ignore[no-untyped-def]
    """One aligned, truncated sum of products start .. stop and an addend; ``kept`` of 10 is an fp16 output."""
    significand, exponent = _parts(addend)
    largest = exponent
    for k in range(start, stop):
        largest = max(largest, a_exponents[k] + b_exponents[k])
    shift = min(23 - fraction_bits + largest - exponent, 63)
    magnitude = abs(significand)
    magnitude = magnitude >> shift if shift >= 0 else magnitude << -shift
    total = -magnitude if significand < 0 else magnitude
    for k in range(start, stop):
        product = np.int64(a_parts[k]) * np.int64(b_parts[k])
        drop = min(_PRODUCT_BITS - fraction_bits + largest - a_exponents[k] - b_exponents[k], 63)
        magnitude = abs(product) >> drop
        total += -magnitude if product < 0 else magnitude
    if kept == 10:
        return _to_half(total, largest - fraction_bits)
    return _cut(total, largest - fraction_bits, kept)


@compiled
def aligned_products(  # type: ignore[no-untyped-def]
    a, b, a_parts, a_exponents, b_parts, b_exponents, c, finite, step, promote, fraction_bits, kept, out
):
    """Sums over k of a[i, k] b[j, k], and c[i, j], in steps of ``step`` products.

    Args:
        a, b: (m, k) and (n, k) float32, with the parts that `split` gives; ``finite``: whether all numbers are.
        c: (m, n) float32, the addend of the first step; the later ones add to the result of the step before.
        promote: products after which the sum goes to a float32 total, to nearest even, and starts anew; 0 for never.
        fraction_bits, kept: of the aligned terms and of the output; 10 for an fp16 output.
        out: receives (m, n) float32.
    """
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            running, total = c[i, j], np.float32(0)
            for start in range(0, a.shape[1], step):
                stop = min(start + step, a.shape[1])
                plain = np.isfinite(running)
                if not finite:
                    for k in range(start, stop):
                        plain = plain and np.isfinite(a[i, k]) and np.isfinite(b[j, k])
                if plain:
                    running = _step(
                        a_parts[i],
                        a_exponents[i],
                        b_parts[j],
                        b_exponents[j],
                        start,
                        stop,
                        running,
                        fraction_bits,
                        kept,
                    )
                else:
                    running = _special(a[i], b[j], start, stop, running)
                if promote and stop % promote == 0:
                    total = np.float32(total + running)
                    running = np.float32(0)
            out[i, j] = np.float32(total + running) if promote else running

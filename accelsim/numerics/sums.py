"""Compiled sums in a stated order: floating point with a rounding a step, integers of a width, and exact ones.

A rounding to p significant bits of a sum that float64 holds only in part is exact by rounding to odd first: the sum
and its error (Knuth's two-sum) give the float64 that lies between, and its second rounding is as good as one.
"""

from __future__ import annotations

import numpy as np

from accelsim.numerics.kernels import compiled

__all__ = [
    "chunked_sums",
    "exact_sums",
    "integer_sums",
    "pairwise_sums",
    "sequential_float32",
    "sequential_rows",
    "sequential_sums",
    "sequential_whole",
]

_LIMB_BITS = 32
_LIMBS = 24
_LOWEST = -298
"""Exponent of the last place of a product of two float32 subnormals."""


@compiled
def _odd_sum(x, y):  # type: ignore[no-untyped-def]
    """x + y rounded to odd, float64."""
    total = x + y
    if not np.isfinite(total):
        return total
    back = total - x
    error = (x - (total - back)) + (y - back)
    if error == 0:
        return total
    bits = np.float64(total).view(np.int64)
    if bits & 1:
        return total
    # The neighbour on the side of the error is odd.
    outward = (error > 0) == (total > 0)
    return np.int64(bits + 1 if outward else bits - 1).view(np.float64)


@compiled
def _rounded(value, mantissa_bits, least_exponent, largest, away, flush):  # type: ignore[no-untyped-def]
    """``value`` to the nearest number of a float format; ties to even, or away from zero."""
    if value == 0 or not np.isfinite(value):
        return value
    exponent = max(int((np.float64(value).view(np.int64) >> 52) & 0x7FF) - 1023, least_exponent)
    place = np.ldexp(1.0, exponent - mantissa_bits)
    scaled = value / place
    whole = np.copysign(np.floor(abs(scaled) + 0.5), scaled) if away else np.rint(scaled)
    result = whole * place
    if abs(result) > largest:
        return np.copysign(np.inf, result)
    if flush and abs(result) < np.ldexp(1.0, least_exponent):
        return np.copysign(0.0, result)
    return result


@compiled
def _add(total, product, rule):  # type: ignore[no-untyped-def]
    mantissa_bits, least_exponent, largest, away, flush = rule
    return _rounded(_odd_sum(total, product), mantissa_bits, least_exponent, largest, away, flush)


@compiled
def sequential_sums(a, b, c, descending, rule, out):  # type: ignore[no-untyped-def]
    """``c`` plus the products of rows of ``a`` (m, k) and ``b`` (n, k), one after the other, rounded by ``rule``."""
    length = a.shape[1]
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            total = np.float64(c[i, j])
            for index in range(length):
                k = length - 1 - index if descending else index
                total = _add(total, np.float64(a[i, k]) * np.float64(b[j, k]), rule)
            out[i, j] = total


@compiled
def sequential_float32(a, b, c, descending, out):  # type: ignore[no-untyped-def]
    """`sequential_sums` in float32 where products are exact in float32: (m, k) by (k, n), rows of n at a time."""
    length = a.shape[1]
    for i in range(a.shape[0]):
        row = out[i]
        row[:] = c[i]
        for index in range(length):
            k = length - 1 - index if descending else index
            factor = a[i, k]
            other = b[k]
            for j in range(row.size):
                row[j] += factor * other[j]


_TILE = 256
"""Columns that are summed together: their sums stay in the first-level cache, and their part of b in the second."""


@compiled
def sequential_whole(a, b, c, descending, shift, largest, out):  # type: ignore[no-untyped-def]
    """`sequential_sums` of whole numbers whose sums float32 holds: (m, k) by (k, n), ``shift`` fewer bits kept."""
    half, sign, one, places = np.uint32((1 << (shift - 1)) - 1), np.uint32(1 << 31), np.uint32(1), np.uint32(shift)
    mask, limit = np.uint32(0xFFFFFFFF) ^ np.uint32((1 << shift) - 1), np.float32(largest).view(np.uint32)
    infinite = np.float32(np.inf).view(np.uint32)
    length = a.shape[1]
    for first in range(0, b.shape[1], _TILE):
        last = min(first + _TILE, b.shape[1])
        for i in range(a.shape[0]):
            row = out[i, first:last]
            row[:] = c[i, first:last]
            for index in range(length):
                k = length - 1 - index if descending else index
                factor, other = a[i, k], b[k, first:last]
                for j in range(row.size):
                    bits = np.float32(row[j] + factor * other[j]).view(np.uint32)
                    # To nearest even in the bits: a carry into the exponent is the next binade.
                    bits = np.uint32(bits + half + (np.uint32(bits >> places) & one)) & mask
                    minus = np.uint32(bits & sign)
                    bits = np.uint32(minus | infinite) if np.uint32(bits ^ minus) > limit else bits
                    row[j] = np.uint32(bits).view(np.float32)


@compiled
def sequential_rows(a, b, c, descending, rule, out):  # type: ignore[no-untyped-def]
    """`sequential_sums` for rounding to nearest even with subnormals: (m, k) by (k, n), columns together."""
    mantissa_bits, least_exponent, largest = rule
    top, half = np.int64(0x7FF0000000000000), np.int64(1) << np.int64(51)
    least, up = np.int64(least_exponent + 1023) << np.int64(52), np.int64(52 - mantissa_bits) << np.int64(52)
    sums = np.empty(_TILE, np.float64)
    length = a.shape[1]
    for first in range(0, b.shape[1], _TILE):
        last = min(first + _TILE, b.shape[1])
        row = sums[: last - first]
        for i in range(a.shape[0]):
            row[:] = c[i, first:last]
            for index in range(length):
                k = length - 1 - index if descending else index
                factor, other = np.float64(a[i, k]), b[k, first:last]
                for j in range(row.size):
                    x, y = row[j], factor * np.float64(other[j])
                    total = x + y
                    back = total - x
                    error = (x - (total - back)) + (y - back)
                    bits = np.float64(total).view(np.int64)
                    outward = np.int64(1) if (error > 0) == (total > 0) else np.int64(-1)
                    # A NaN, which the error of an infinity is, is not above zero.
                    bits = bits + outward if abs(error) > 0 and (bits & np.int64(1)) == 0 else bits
                    odd = np.int64(bits).view(np.float64)
                    binade = bits & top
                    place = least if binade < least else binade
                    # Adding 1.5 times the binade whose last place is the one to keep rounds to it.
                    anchor = np.int64((place + up) | half).view(np.float64)
                    kept = np.copysign((odd + anchor) - anchor, odd)
                    kept = odd if binade == top else kept
                    row[j] = np.copysign(np.inf, kept) if abs(kept) > largest else kept
            for j in range(row.size):
                out[i, first + j] = row[j]


@compiled
def chunked_sums(a, b, c, chunk, inner, outer, out):  # type: ignore[no-untyped-def]
    """Sums of ``chunk`` products rounded by ``inner`` each, added to ``c`` and each other by ``outer``."""
    length = a.shape[1]
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            total = np.float64(c[i, j])
            for start in range(0, length, chunk):
                part = 0.0
                for k in range(start, min(start + chunk, length)):
                    part = _add(part, np.float64(a[i, k]) * np.float64(b[j, k]), inner)
                total = _add(total, part, outer)
            out[i, j] = total


@compiled
def pairwise_sums(a, b, c, rule, out):  # type: ignore[no-untyped-def]
    """Products rounded, neighbours added, then neighbouring sums; ``c`` is added last."""
    length = a.shape[1]
    parts = np.empty(max(length, 1), np.float64)
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            parts[0] = 0.0
            for k in range(length):
                parts[k] = _add(0.0, np.float64(a[i, k]) * np.float64(b[j, k]), rule)
            left = length
            while left > 1:
                for k in range(left // 2):
                    parts[k] = _add(parts[2 * k], parts[2 * k + 1], rule)
                if left % 2:
                    parts[left // 2] = parts[left - 1]
                left = (left + 1) // 2
            out[i, j] = _add(parts[0], np.float64(c[i, j]), rule)


@compiled
def integer_sums(a, b, c, low, high, out):  # type: ignore[no-untyped-def]
    """Sums that stop at ``low`` and ``high`` after every addition; int64 rows of a (m, k) and b (n, k)."""
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            total = min(max(c[i, j], low), high)
            for k in range(a.shape[1]):
                total = min(max(total + a[i, k] * b[j, k], low), high)
            out[i, j] = total


@compiled
def _accumulate(limbs, value):  # type: ignore[no-untyped-def]
    """Add a float64 that is a multiple of 2^_LOWEST to a long fixed-point number of 32-bit digits in int64."""
    if value == 0:
        return
    bits = np.float64(value).view(np.int64)
    field = int((bits >> 52) & 0x7FF)
    significand = (bits & ((1 << 52) - 1)) | (1 << 52)
    place = field - 1075 - _LOWEST
    if place < 0:
        significand >>= -place
        place = 0
    limb, shift = place >> 5, place & 31
    sign = -1 if bits < 0 else 1
    low = (significand & 0xFFFFFFFF) << shift
    high = (significand >> 32) << shift
    limbs[limb] += sign * (low & 0xFFFFFFFF)
    limbs[limb + 1] += sign * ((low >> 32) + (high & 0xFFFFFFFF))
    limbs[limb + 2] += sign * (high >> 32)


@compiled
def _settled(limbs):  # type: ignore[no-untyped-def]
    """Carry on until every digit has 32 bits and the number is a magnitude; returns whether it was negative."""
    carry = 0
    for index in range(limbs.size):
        value = limbs[index] + carry
        carry = value >> _LIMB_BITS
        limbs[index] = value & 0xFFFFFFFF
    if carry >= 0:
        return False
    carry = 1  # two's complement
    for index in range(limbs.size):
        value = ((~limbs[index]) & 0xFFFFFFFF) + carry
        carry = value >> _LIMB_BITS
        limbs[index] = value & 0xFFFFFFFF
    return True


@compiled
def _to_float32(limbs):  # type: ignore[no-untyped-def]
    """The long number to the nearest float32, ties to even."""
    negative = _settled(limbs)
    top = limbs.size - 1
    while top >= 0 and limbs[top] == 0:
        top -= 1
    if top < 0:
        return np.float32(0)
    length = 0
    while limbs[top] >> length:
        length += 1
    # 50 bits from the leading one, and one that says whether any is set below.
    base = 32 * top + length - 1
    head = np.int64(0)
    taken = 0
    sticky = False
    for place in range(base, -1, -1):
        bit = (limbs[place >> 5] >> (place & 31)) & 1
        if taken < 50:
            head = (head << 1) | bit
            taken += 1
        elif bit:
            sticky = True
            break
    while taken < 50:
        head <<= 1
        taken += 1
    head = (head << 1) | (1 if sticky else 0)
    exponent = base + _LOWEST
    keep = 23 if exponent >= -126 else 23 - (-126 - exponent)
    drop = 50 - keep
    if drop > 52:
        drop = 52
    half = np.int64(1) << (drop - 1)
    rest = head & ((np.int64(1) << drop) - 1)
    kept = head >> drop
    if rest > half or (rest == half and kept & 1):
        kept += 1
    value = np.ldexp(np.float64(kept), exponent - 50 + drop)
    value = -value if negative else value
    return np.float32(np.copysign(np.inf, value)) if abs(value) >= 2.0**128 else np.float32(value)


@compiled
def exact_sums(a, b, c, out):  # type: ignore[no-untyped-def]
    """``c`` plus the products of rows, summed exactly and rounded once to float32; finite numbers only."""
    limbs = np.empty(_LIMBS, np.int64)
    for i in range(a.shape[0]):
        for j in range(b.shape[0]):
            limbs[:] = 0
            _accumulate(limbs, np.float64(c[i, j]))
            for k in range(a.shape[1]):
                _accumulate(limbs, np.float64(a[i, k]) * np.float64(b[j, k]))
            out[i, j] = _to_float32(limbs)

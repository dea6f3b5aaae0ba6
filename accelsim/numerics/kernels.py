"""Compiled loops of what is done to every element: the results of the NumPy code that they stand for, faster.

Imported on first use; compiled code is kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

__all__ = ["RULES", "compiled", "dequantize_blocks", "quantize_blocks"]

Kernel = Callable[..., Any]

RULES = {"floor": 0, "ceil": 1, "even": 2, "rceil": 3}

_MAGNITUDE, _EXPONENT, _MANTISSA = np.uint32(0x7FFFFFFF), np.uint32(0x7F800000), np.uint32(0x7FFFFF)
_0, _23, _31 = np.uint32(0), np.uint32(23), np.uint32(31)
_LEAST_NORMAL = np.uint32(1 << 23)
_TWO_24 = np.float32(2.0**24)
_TILE = 2048
"""Elements that are taken from step to step in the first-level cache; long loops are what compilers vectorise."""


def compiled(kernel: Kernel) -> Kernel:
    """Compile on first call; keep the code on disk, or not at all where nothing may be written."""
    try:
        made: Kernel = njit(cache=True, nogil=True)(kernel)
    except RuntimeError:  # numba found no folder that it may write to
        made = njit(nogil=True)(kernel)
    return made


@compiled
def _power_of_two(exponent):  # type: ignore[no-untyped-def]
    """2^exponent as float32, for -127 to 127."""
    if exponent == -127:
        return np.uint32(1 << 22).view(np.float32)
    return np.uint32((exponent + 127) << 23).view(np.float32)


@compiled
def _scale_exponent(bits, rule, emax, significand_bits, vmax):  # type: ignore[no-untyped-def]
    """`scales.scale_exponents` of one finite amax, given by its bits, clamped to -127 .. 127."""
    if bits == _0:
        return -127
    if rule == 2:
        bits = np.uint32(bits + np.uint32(1 << (22 - significand_bits)))
    if rule == 3:
        bits = np.float32(np.uint32(bits).view(np.float32) / vmax).view(np.uint32)
        emax = 0
    below = 127
    if bits < _LEAST_NORMAL:
        bits = np.float32(np.uint32(bits).view(np.float32) * _TWO_24).view(np.uint32)
        below = 127 + 24
    exponent = np.int64(bits >> _23) - below - emax
    if (rule == 1 or rule == 3) and (bits & _MANTISSA) != _0:
        exponent += 1
    return min(max(exponent, -127), 127)


@compiled
def _choose_scales(bits, block, rule, emax, significand_bits, vmax, scales, factors):  # type: ignore[no-untyped-def]
    """Scale codes of the rows of a tile, and 1 / scale of each element. Returns whether all rows are finite."""
    for row in range(scales.size):
        amax = _0
        for column in range(block):
            magnitude = np.uint32(bits[row * block + column] & _MAGNITUDE)
            amax = magnitude if magnitude > amax else amax
        if amax >= _EXPONENT:
            return False
        exponent = _scale_exponent(amax, rule, emax, significand_bits, vmax)
        scales[row] = exponent + 127
        factor = _power_of_two(-exponent)
        for column in range(block):
            factors[row * block + column] = factor
    return True


@compiled
def _encode(x, factors, significand_bits, vmax, fixed, sign, codes):  # type: ignore[no-untyped-def]
    """`rounding.nearest_even_codes` of x * factors."""
    step, shift = np.uint32(np.uint32(23 - significand_bits) << _23), np.uint32(23 - significand_bits)
    for index in range(x.size):
        scaled = np.float32(abs(np.float32(x[index] * factors[index])))
        scaled = vmax if scaled > vmax else scaled
        binade = np.uint32(np.float32(scaled).view(np.uint32) & _EXPONENT)
        binade = fixed if binade < fixed else binade
        anchor = np.uint32(binade + step)
        kept = np.uint32(np.float32(scaled + np.uint32(anchor).view(np.float32)).view(np.uint32) - anchor)
        code = np.uint32(kept + np.uint32(np.uint32(binade - fixed) >> shift))
        minus = np.uint32(np.uint32(np.float32(x[index]).view(np.uint32) >> _31) * sign)
        codes[index] = code | minus


@compiled
def _pack(wide, codes):  # type: ignore[no-untyped-def]
    for index in range(codes.size):
        codes[index] = wide[2 * index] | (wide[2 * index + 1] << np.uint8(4))


@compiled
def quantize_blocks(x, block, rule, emax, significand_bits, vmax, fixed, sign, nibbles, scales, codes):  # type: ignore[no-untyped-def]
    """Quantise blocks that share an E8M0 scale, to nearest even and saturating; stops at a block that is not finite.

    Args:
        x: (blocks x block,) float32; an even number where two codes share a byte.
        rule: one of ``RULES``; ``emax``, ``significand_bits`` and ``vmax`` (float32) are those of the element.
        fixed: pattern of the smallest normal element, uint32; ``sign``: code of minus zero, uint32.
        nibbles: whether two codes share a byte.
        scales: receives (blocks,) uint8; ``codes`` receives the codes, packed.

    Returns:
        whether all blocks were finite.
    """
    rows_a_tile = max(2, _TILE // block & ~1)
    factors, wide = np.empty(rows_a_tile * block, np.float32), np.empty(rows_a_tile * block, np.uint8)
    for row in range(0, scales.size, rows_a_tile):
        rows = min(rows_a_tile, scales.size - row)
        first, last = row * block, (row + rows) * block
        tile = x[first:last]
        chosen = scales[row : row + rows]
        if not _choose_scales(tile.view(np.uint32), block, rule, emax, significand_bits, vmax, chosen, factors):
            return False
        if nibbles:
            _encode(tile, factors, significand_bits, vmax, fixed, sign, wide)
            _pack(wide, codes[first // 2 : last // 2])
        else:
            _encode(tile, factors, significand_bits, vmax, fixed, sign, codes[first:last])
    return True


@compiled
def dequantize_blocks(codes, table, multipliers, out):  # type: ignore[no-untyped-def]
    """Values of codes times the multiplier of their block.

    Args:
        codes: (blocks, block / codes a byte) uint8.
        table: the values of the codes in each byte, (256, codes a byte) float32; one or two codes a byte.
        multipliers: (blocks,) float32; ``out`` receives (blocks, block) float32.
    """
    rows, row_bytes = codes.shape
    values = table.reshape(table.size)
    if table.shape[1] == 1:
        for row in range(rows):
            multiplier = multipliers[row]
            for column in range(row_bytes):
                out[row, column] = values[codes[row, column]] * multiplier
    else:
        for row in range(rows):
            multiplier = multipliers[row]
            for column in range(row_bytes):
                place = 2 * np.int64(codes[row, column])
                out[row, 2 * column] = values[place] * multiplier
                out[row, 2 * column + 1] = values[place + 1] * multiplier

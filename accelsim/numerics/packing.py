"""Codes of any width in bytes: a stream of bits, the first code in the lowest bits of the first byte."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.numerics.elements import Element, Integer, code_dtype

__all__ = ["packed", "packed_size", "unpacked"]

_GROUP = 8
"""Eight codes of n bits are n bytes."""


def packed_size(count: int, bits: int) -> int:
    """Bytes that ``count`` codes of ``bits`` bits take."""
    return -(-count * bits // 8)


def packed(codes: NDArray[Any], element: Element) -> NDArray[np.uint8]:
    """``codes``, any shape in C order, as bytes: (ceil(n bits / 8),) uint8."""
    flat, bits = np.ascontiguousarray(codes).reshape(-1), element.bits
    if bits in (8, 16, 32):
        return flat.astype(f"<i{bits // 8}" if isinstance(element, Integer) else f"<u{bits // 8}").view(np.uint8)
    if bits == 4:
        return _nibbles(flat.astype(np.uint8, copy=False))
    padded = np.zeros(-(-flat.size // _GROUP) * _GROUP, np.uint32)
    padded[: flat.size] = flat.astype(np.int64) & ((1 << bits) - 1)
    stream = padded[:, np.newaxis] >> np.arange(bits, dtype=np.uint32) & np.uint32(1)
    return np.packbits(stream.astype(np.uint8), bitorder="little")[: packed_size(flat.size, bits)]


def _nibbles(flat: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    pairs = flat.view("<u2") & np.uint16(0x0F0F)
    return (pairs | (pairs >> np.uint16(4))).astype(np.uint8)


def unpacked(data: NDArray[np.uint8], element: Element, count: int) -> NDArray[Any]:
    """``count`` codes from bytes, (count,) in the element's `code_dtype`.

    Raises:
        InputError: too few or too many bytes.
    """
    bits, dtype = element.bits, code_dtype(element)
    if data.size != packed_size(count, bits):
        raise InputError(f"must have {packed_size(count, bits)} bytes for {count} codes of {bits} bits", field="codes",
                         value=data.size)  # fmt: skip
    if bits in (8, 16, 32):
        kind = "i" if dtype.kind == "i" else "u"
        return data.view(f"<{kind}{bits // 8}").astype(dtype)
    if bits == 4:
        wide = np.empty(2 * data.size, np.uint8)
        wide[0::2], wide[1::2] = data & np.uint8(15), data >> np.uint8(4)
        unsigned = wide[:count].astype(np.uint32)
    else:
        stream = np.unpackbits(data, bitorder="little", count=count * bits).reshape(count, bits)
        unsigned = stream.astype(np.uint32) @ (np.uint32(1) << np.arange(bits, dtype=np.uint32))
    if dtype.kind == "u":
        return unsigned.astype(dtype)
    sign = np.int64(1 << (bits - 1))
    return ((unsigned.astype(np.int64) ^ sign) - sign).astype(dtype)

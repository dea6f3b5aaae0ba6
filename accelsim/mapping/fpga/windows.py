"""Steps of stages that slide a window over an image, pixel by pixel in raster order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.mapping.fpga.records import Steps

__all__ = ["Geometry", "kept_pixels", "oldest_pixels", "padded", "whole_image", "window_steps", "wrapping_window"]


@dataclass(frozen=True, slots=True)
class Geometry:
    """A window over an image: (rows, columns) each; ``padding`` is (top, left, bottom, right)."""

    image: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def padded_image(self) -> tuple[int, int]:
        top, left, bottom, right = self.padding
        return self.image[0] + top + bottom, self.image[1] + left + right

    @property
    def output(self) -> tuple[int, int]:
        sizes = zip(self.padded_image, self.kernel, self.stride, strict=True)
        rows, columns = ((size - kernel) // stride + 1 for size, kernel, stride in sizes)
        return rows, columns


def padded(geometry: Geometry, cycles: int) -> Steps:
    """Steps that put every pixel of the padded image, and take those that are not padding."""
    rows, columns = geometry.padded_image
    top, left, _, _ = geometry.padding
    takes = np.zeros((rows, columns), dtype=np.bool_)
    takes[top : top + geometry.image[0], left : left + geometry.image[1]] = True
    always = np.ones(rows * columns, dtype=np.bool_)
    return Steps(takes.ravel(), always, np.full(rows * columns, cycles, dtype=np.int64))


def window_steps(geometry: Geometry, take_cycles: int, put_cycles: int) -> Steps:
    """Steps that take every pixel of an image that is padded already, and put a window (or a result) when its last
    pixel is there."""
    rows, columns = geometry.padded_image
    down, across = (np.arange(size) for size in (rows, columns))
    ends = [
        (place >= kernel - 1) & ((place - kernel + 1) % stride == 0)
        for place, kernel, stride in zip((down, across), geometry.kernel, geometry.stride, strict=True)
    ]
    puts = (ends[0][:, None] & ends[1][None, :]).ravel()
    cycles = np.where(puts, max(put_cycles, take_cycles), take_cycles).astype(np.int64)
    return Steps(np.ones(rows * columns, dtype=np.bool_), puts, cycles)


def oldest_pixels(geometry: Geometry) -> NDArray[np.int64]:
    """Of every window of a padded image, (windows,), the place of its first pixel in raster order."""
    (rows, columns), (down, across) = geometry.output, geometry.stride
    places = np.arange(rows)[:, None] * down * geometry.padded_image[1] + np.arange(columns)[None, :] * across
    return places.ravel().astype(np.int64)


def kept_pixels(image: tuple[int, int], stride: tuple[int, int], cycles: int) -> Steps:
    """Steps that take every pixel and put every ``stride``-th, from the first on."""
    rows, columns = (np.arange(size) % step == 0 for size, step in zip(image, stride, strict=True))
    puts = (rows[:, None] & columns[None, :]).ravel()
    return Steps(np.ones(len(puts), dtype=np.bool_), puts, np.full(len(puts), cycles, dtype=np.int64))


def whole_image(pixels: int, take_cycles: int, put_cycles: int) -> Steps:
    """Steps that take every pixel and put one result with the last."""
    puts = np.arange(pixels) == pixels - 1
    cycles = np.where(puts, max(put_cycles, take_cycles), take_cycles).astype(np.int64)
    return Steps(np.ones(pixels, dtype=np.bool_), puts, cycles)


def wrapping_window(image: tuple[int, int], put_cycles: int) -> Steps:
    """Steps of a 3 x 3 window with a border of zeros that is no stage of its own: one more column, which ends a row and
    begins the next, and one more row. Lines of its buffer are one longer than the image is wide."""
    rows, columns = image
    down, across = np.divmod(np.arange((rows + 1) * (columns + 1)), columns + 1)
    puts = (down > 0) & (across > 0)
    cycles = np.where(puts, put_cycles, 1).astype(np.int64)
    return Steps((down < rows) & (across < columns), puts, cycles)

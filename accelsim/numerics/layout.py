"""Which elements of a tensor share a scale: a tensor as rows of a block each, and back."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.numerics.formats import Format

__all__ = ["Axis", "Layout", "layout_of", "normal_axes"]

Axis = int | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Blocks of a tensor of ``shape``: ``block`` elements in a row along ``axes``, the last one padded with zeros.

    Attributes:
        axes: axes along which elements share a scale, ascending; all of them where a tensor has one scale.
        block: elements of one block; 0 stands for all along the axes.
        keep: whether the grid of scales keeps those axes (with size 1 for a channel).
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]
    block: int = 0
    keep: bool = True

    @property
    def others(self) -> tuple[int, ...]:
        return tuple(axis for axis in range(len(self.shape)) if axis not in self.axes)

    @property
    def line(self) -> int:
        """Elements along the axes."""
        return prod(self.shape[axis] for axis in self.axes)

    @property
    def width(self) -> int:
        """Elements of a row of `split`."""
        return self.block or max(self.line, 1)

    @property
    def blocks_a_line(self) -> int:
        return -(-self.line // self.width) if self.block else 1

    @property
    def grid(self) -> tuple[int, ...]:
        """Shape of the scales."""
        if not self.keep:
            return ()
        kept = list(self.shape)
        for axis in self.axes:
            kept[axis] = 1
        if self.axes:
            kept[self.axes[-1]] = self.blocks_a_line
        return tuple(kept)

    @property
    def direct(self) -> bool:
        """Whether rows are the tensor in C order, without padding."""
        last = tuple(range(len(self.shape) - len(self.axes), len(self.shape)))
        return self.axes == last and self.line == self.blocks_a_line * self.width

    def split(self, x: NDArray[Any]) -> NDArray[Any]:
        """``x`` as rows of one block each, (blocks, width)."""
        lines = prod(self.shape[axis] for axis in self.others)
        rows = np.transpose(x, (*self.others, *self.axes)).reshape(lines, self.line)
        missing = self.blocks_a_line * self.width - self.line
        if missing:
            rows = np.pad(rows, ((0, 0), (0, missing)))
        return np.ascontiguousarray(rows.reshape(lines * self.blocks_a_line, self.width))

    def join(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The tensor of `split` rows."""
        ordered = (*self.others, *self.axes)
        lines = prod(self.shape[axis] for axis in self.others)
        whole = rows.reshape(lines, self.blocks_a_line * self.width)[:, : self.line]
        moved = whole.reshape([self.shape[axis] for axis in ordered])
        return np.ascontiguousarray(np.transpose(moved, np.argsort(np.array(ordered, dtype=np.int64))))

    def to_grid(self, of_rows: NDArray[Any]) -> NDArray[Any]:
        """One value a row of `split` in the `grid`."""
        if not self.keep:
            return of_rows.reshape(())
        moved = of_rows.reshape([*(self.shape[axis] for axis in self.others), self.blocks_a_line])
        placed = np.moveaxis(moved, -1, self.axes[-1] - len(self.axes) + 1) if self.axes else moved
        return np.ascontiguousarray(placed).reshape(self.grid)

    def from_grid(self, grid: NDArray[Any]) -> NDArray[Any]:
        """The value of each row of `split`, from the `grid`; whatever broadcasts to it will do.

        Raises:
            InputError: another shape.
        """
        try:
            whole = np.broadcast_to(grid, self.grid)
        except ValueError:
            raise InputError(f"must have the shape of the scales, {self.grid}", field="scale",
                             value=np.shape(grid)) from None  # fmt: skip
        if not self.keep:
            return whole.reshape(1)
        return np.ascontiguousarray(np.moveaxis(whole, self.axes[-1], -1)).reshape(-1)


def normal_axes(axis: Axis, dimensions: int) -> tuple[int, ...]:
    """Axes as ascending non-negative numbers.

    Raises:
        InputError: an axis out of range, twice, or no whole number.
    """
    given = axis if isinstance(axis, tuple) else (axis,)
    for each in given:
        if isinstance(each, bool) or not isinstance(each, int | np.integer):
            raise InputError("must be a whole number or several", field="axis", value=axis)
        if not -dimensions <= each < dimensions:
            raise InputError(f"is out of range for a tensor of {dimensions} dimensions", field="axis", value=each)
    axes = tuple(sorted({int(each) % dimensions for each in given}))
    if len(axes) != len(given) or not axes:
        raise InputError("must name each axis once", field="axis", value=axis)
    return axes


def layout_of(shape: tuple[int, ...], form: Format, axis: Axis) -> Layout:
    """How the elements of a tensor share the scales of a format.

    Raises:
        InputError: an axis that the tensor does not have; several axes for blocks.
    """
    everything = tuple(range(len(shape)))
    if form.shared in ("none", "tensor"):
        if axis != -1:
            normal_axes(axis, len(shape))
        return Layout(shape, everything, keep=False)
    axes = normal_axes(axis, len(shape))
    if form.shared == "channel":
        return Layout(shape, axes)
    if len(axes) != 1:
        raise InputError("must be one axis where blocks share a scale", field="axis", value=axis)
    assert form.block is not None
    return Layout(shape, axes, form.block)

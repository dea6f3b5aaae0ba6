"""What the moves of bundled generators do: which element goes where.

A move is (op, shapes of its inputs, shapes of its outputs) to a function of arrays, or None where it is used in a way
that shapes do not tell. The last part of a transposition's name says which one it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isqrt, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.workload.ops import Move

__all__ = ["MOVES"]

Array = NDArray[Any]
Shape = tuple[int, ...]
Compute = Callable[[Sequence[Any]], Sequence[Array]]
Shapes = Sequence[Shape]


def _one(compute: Callable[..., Array]) -> Compute:
    return lambda inputs: [compute(*inputs)]


def _keys(x: Array, shape: Shape) -> Array:
    batch, heads, size, rows = shape
    return x.reshape(batch, rows, heads, size).transpose(0, 2, 3, 1)


def _by_head(x: Array, shape: Shape) -> Array:
    batch, heads, rows, size = shape
    return x.reshape(batch, rows, heads, size).transpose(0, 2, 1, 3)


def _merged(x: Array, shape: Shape) -> Array:
    return x.transpose(0, 2, 1, 3).reshape(shape)


def _as_rows(x: Array, shape: Shape) -> Array:
    """(batch, channels, ...) to (batch, rows, channels); rows that keep features have them behind their channels."""
    if x.ndim == 4 and x.shape[2] == shape[1] and shape[2] != x.shape[1]:
        return x.transpose(0, 2, 1, 3).reshape(shape)
    return np.moveaxis(x, 1, -1).reshape(shape)


def _windows(x: Array, shape: Shape) -> Array:
    """(batch, pixels, channels) of a square image to (windows, pixels, channels) of square windows, row by row."""
    batch, pixels, channels = x.shape
    side, window = isqrt(pixels), isqrt(shape[1])
    tiles = x.reshape(batch, side // window, window, side // window, window, channels)
    return tiles.swapaxes(2, 3).reshape(shape)


def _from_windows(x: Array, shape: Shape) -> Array:
    """What `_windows` made, as it was."""
    batch, pixels, channels = shape
    side, window = isqrt(pixels), isqrt(x.shape[1])
    tiles = x.reshape(batch, side // window, side // window, window, window, channels)
    return tiles.swapaxes(2, 3).reshape(shape)


_TRANSPOSITIONS: dict[str, Callable[[Array, Shape], Array]] = {
    "keys": _keys,
    "values": _by_head,
    "heads": _by_head,
    "merge": _merged,
    "rows": _as_rows,
    "windows": _windows,
    "attention.rows": _from_windows,
    "channels": lambda x, _: x.swapaxes(1, 2),
    "frames": lambda x, _: x.swapaxes(0, 1),
    "image": lambda x, shape: x.swapaxes(1, 2).reshape(shape),
    "shuffle": lambda x, _: x.reshape(len(x), 2, -1, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape),
}


def _transpose(op: Move, given: Shapes, made: Shapes) -> Compute | None:
    del given
    name = op.name.rpartition(".")[2]
    turn = _TRANSPOSITIONS.get(f"attention.{name}" if op.name.endswith(f".attention.{name}") else name)
    turn = turn or _TRANSPOSITIONS.get(name)
    return None if turn is None else _one(lambda x: turn(x, made[0]))


def _written(op: Move, given: Shapes, made: Shapes) -> Compute | None:
    """New rows in the layout of their cache."""
    if "_cache." not in op.name or len(given) != 1:
        return None
    turn = _keys if "k_cache" in op.name else _by_head
    return _one(lambda x: turn(x, made[0]))


def _updated(op: Move, given: Shapes, made: Shapes) -> Compute | None:
    """The cache without its oldest row and with the new one behind."""
    del given, made
    if "_cache." not in op.name:
        return None
    axis = -1 if "k_cache" in op.name else -2
    return _one(lambda cache, row: np.concatenate([np.delete(cache, 0, axis), row], axis))


def _split(op: Move, given: Shapes, made: Shapes) -> Compute:
    del op
    axis = next((axis for axis, size in enumerate(given[0]) if size != made[0][axis]), -1)
    return lambda inputs: np.split(inputs[0], len(made), axis=axis)


def _slice(op: Move, given: Shapes, made: Shapes) -> Compute | None:
    """Row 0 of each sequence, the last row, every so many pixels, or the keys of each row's relative positions."""
    (shape,), (out,) = given, made
    if op.name.endswith(".shift") and shape[:-1] == out[:-1] and shape[-1] == 2 * out[-1] - 1:
        return _one(_relative)
    if len(out) == 2 and len(shape) == 3:
        return _one(lambda x: x[:, 0])
    if op.name == "last":
        return _one(lambda x: x[:, -1:])
    if len(shape) == len(out) == 4 and shape[:2] == out[:2]:
        step = -(-shape[2] // out[2])
        return _one(lambda x: x[:, :, ::step, ::step])
    return None


def _relative(x: Array) -> Array:
    """(..., rows, 2 rows - 1), of which column p is the distance rows - 1 - p, to (..., rows, keys): row less key."""
    rows = x.shape[-2]
    columns = rows - 1 - np.arange(rows)[:, np.newaxis] + np.arange(rows)
    made: Array = np.take_along_axis(x, np.broadcast_to(columns, (*x.shape[:-1], rows)), axis=-1)
    return made


def _concat(op: Move, given: Shapes, made: Shapes) -> Compute | None:
    (out,) = made
    if op.name == "class_token.concat":
        return _one(lambda x, token: np.concatenate([np.broadcast_to(token, (len(x), 1, x.shape[-1])), x], axis=1))
    if len(given) == 1 and len(out) == 3 and out == (given[0][0], given[0][1] // 4, 4 * given[0][2]):
        return _one(lambda x: _squares(x).reshape(out))
    if len(given) == 1 and len(out) == 3:  # frames of several steps side by side, the last ones padded
        frames, batch, width = given[0]
        each = out[2] // width

        def stack(x: Array) -> Array:
            padded = np.pad(x, [(0, out[0] * each - frames), (0, 0), (0, 0)])
            return padded.reshape(out[0], each, batch, width).swapaxes(1, 2).reshape(out)

        return _one(stack)
    if len(out) == 4 and sum(shape[1] for shape in given) == out[1]:
        return _one(lambda *parts: np.concatenate(parts, axis=1))
    if len(given) == 2 and len(out) == 2:
        return _one(lambda a, b: np.concatenate([a.reshape(len(a), -1), b.reshape(len(a), -1)], axis=1))
    return None


def _squares(x: Array) -> Array:
    """The four pixels of each 2 x 2 square of an image side by side, column by column as Swin's published code."""
    batch, pixels, channels = x.shape
    side = isqrt(pixels)
    tiles = x.reshape(batch, side // 2, 2, side // 2, 2, channels)
    made: Array = tiles.transpose(0, 1, 3, 4, 2, 5)
    return made


def _pad(op: Move, given: Shapes, made: Shapes) -> Compute:
    del op
    sides = [(0, after - before) for before, after in zip(given[0], made[0], strict=True)]
    return _one(lambda x: np.pad(x, sides))


def _gather(op: Move, given: Shapes, made: Shapes) -> Compute | None:
    if op.name == "search.lookup":
        return _looked_up(given, made)
    if len(made) == 1 and len(given) == 2 and len(given[0]) == 2 and made[0][-1] == given[0][-1]:
        rows = prod(made[0][:-1])  # of a beam, those that need a new result
        return _one(lambda table, places: table[places.reshape(-1)[:rows].astype(np.int64)].reshape(made[0]))
    if len(made) == 1 and len(given) == 1 and len(made[0]) == 4:
        return _one(lambda table: _by_distance(table, made[0]))
    if len(made) == 1 and len(given) == 1:
        return _one(lambda table: table[: made[0][0]])
    if op.name.endswith(".states"):
        return list
    return None


def _by_distance(table: Array, shape: Shape) -> Array:
    """Rows for each pair of places in a square window, by how far the first is below and right of the second."""
    side = isqrt(shape[-1])
    down, right = (each.reshape(-1) for each in np.indices((side, side)))
    rows = (down[:, np.newaxis] - down + side - 1) * (2 * side - 1) + right[:, np.newaxis] - right + side - 1
    made: Array = np.moveaxis(table[rows], -1, 0).reshape(shape)
    return made


def _looked_up(given: Shapes, made: Shapes) -> Compute:
    """What each hypothesis has of its prefix: the first hypotheses a new result, the others what the cache holds."""
    count = len(made)
    fresh = len(given) > count + 1  # after the cache and the new results come the symbols

    def look_up(inputs: Sequence[Array]) -> list[Array]:
        found = []
        for place, shape in enumerate(made):
            rows = np.array(inputs[place])
            if fresh:
                result = inputs[count + place].reshape(-1, shape[-1])[: len(rows)]
                rows[: len(result)] = result
            found.append(rows)
        return found

    return look_up


def _reshape(op: Move, given: Shapes, made: Shapes) -> Compute | None:
    del op
    return _one(lambda x: x.reshape(made[0])) if prod(given[0]) == prod(made[0]) else None


def _identity(op: Move, given: Shapes, made: Shapes) -> Compute | None:
    del op
    return list if len(given) == len(made) else None


MOVES: dict[str, Callable[[Move, Shapes, Shapes], Compute | None]] = {
    "concat": _concat,
    "gather": _gather,
    "identity": _identity,
    "pad": _pad,
    "reshape": _reshape,
    "scatter": _written,
    "slice": _slice,
    "split": _split,
    "transpose": _transpose,
    "update": _updated,
}

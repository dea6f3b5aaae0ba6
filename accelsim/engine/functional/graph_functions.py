"""What the vector and move ops of bundled generators compute, in float32: by function, and by shape where it says how.

Graphs state what an op costs, not how it finds its operands; the generators use each function in one way only, and
that way is written here. An op that is used otherwise is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isqrt, prod, sqrt
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from accelsim.engine.functional.activations import sigmoid
from accelsim.engine.functional.graph_moves import MOVES
from accelsim.errors import UnsupportedError
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Elementwise, Move, Op, Reduce

__all__ = ["FUSION_WEIGHT", "MASKED", "vector_function"]

Array = NDArray[Any]
Shape = tuple[int, ...]
Compute = Callable[[Sequence[Any]], Sequence[Array]]

FUSION_WEIGHT = 0.5
"""With which the scores of language models are added and subtracted."""
MASKED = np.float32(-1e4)
"""The score of what attention may not see."""
_EPSILON = np.float32(1e-5)


def vector_function(op: Op, graph: Graph) -> Compute:
    """What ``op`` of ``graph`` computes: arrays of its inputs to arrays of its outputs.

    Raises:
        UnsupportedError: a function, or a use of one, whose values are not stated.
    """
    shapes = [graph.tensors[name].shape for name in op.outputs]
    if isinstance(op, Move) and op.function == "roll":
        made = _rolled(op, graph, shapes[0])
    elif isinstance(op, Move):
        move = MOVES.get(op.function)
        made = None if move is None else move(op, [graph.tensors[name].shape for name in op.inputs], shapes)
    elif isinstance(op, Elementwise | Reduce):
        made = _arithmetic(op, graph, shapes[0])
    else:
        made = None
    if made is None:
        what = getattr(op, "function", op.kind)
        raise UnsupportedError("computes values that the graph does not state", file=f"workload {graph.name}",
                               field=f"op {op.name}", value=what)  # fmt: skip
    return _of_shapes(made, op, graph, shapes)


def _of_shapes(compute: Compute, op: Op, graph: Graph, shapes: Sequence[Shape]) -> Compute:
    """``compute``, whose results must have the shapes that the graph states."""

    def checked(inputs: Sequence[Any]) -> Sequence[Array]:
        made = compute(inputs)
        if [each.shape for each in made] != [tuple(shape) for shape in shapes]:
            raise UnsupportedError("is used in a way that the graph does not state", file=f"workload {graph.name}",
                                   field=f"op {op.name}", value=[each.shape for each in made])  # fmt: skip
        return made

    return checked


def _arithmetic(op: Elementwise | Reduce, graph: Graph, shape: Shape) -> Compute | None:
    if op.function == "mul" and len(op.inputs) == 1:
        factor = _factor(op, graph)
        return None if factor is None else lambda inputs: [inputs[0] * np.float32(factor)]
    if op.function == "where" and (window := _window(op, graph)):
        hidden = _across(window, shape)
        return lambda inputs: [_across_masked(inputs[0], hidden)]
    if op.function in _SHAPED:
        return _SHAPED[op.function](op, graph.tensors[op.inputs[0]].shape, shape)
    compute = _PLAIN.get(op.function)
    return None if compute is None else lambda inputs: [compute(*inputs)]


def _factor(op: Op, graph: Graph) -> float | None:
    """1 / sqrt(head size) of what attention reads by heads, the weight of a language model's scores."""
    for reader in graph.ops:
        if op.outputs[0] in reader.inputs:
            if isinstance(reader, Move) and reader.view:
                return 1 / sqrt(graph.tensors[reader.outputs[0]].shape[-1])
            return FUSION_WEIGHT if isinstance(reader, Elementwise) and reader.function in ("add", "sub") else None
    return None


# Each is a function of the op's arrays


def _gelu(x: Array) -> Array:
    from scipy.special import erf

    made: Array = np.float32(0.5) * x * (1 + erf(x * np.float32(sqrt(0.5))))
    return made


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x / np.float32(6) + np.float32(0.5), np.float32(0), np.float32(1))


def _softmax(x: Array) -> Array:
    raised = np.exp(x - x.max(axis=-1, keepdims=True))
    made: Array = raised / raised.sum(axis=-1, keepdims=True)
    return made


def _log_softmax(x: Array) -> Array:
    moved = x - x.max(axis=-1, keepdims=True)
    made: Array = moved - np.log(np.exp(moved).sum(axis=-1, keepdims=True))
    return made


def _layer_norm(x: Array, weight: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    made: Array = centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + _EPSILON) * weight[0] + weight[1]
    return made


def _rms_norm(x: Array, weight: Array) -> Array:
    made: Array = x / np.sqrt(np.square(x).mean(axis=-1, keepdims=True) + _EPSILON) * weight[0]
    return made


def _batch_norm(x: Array, weight: Array) -> Array:
    scale, shift = weight.reshape(2, -1, *(1,) * (x.ndim - 2))
    made: Array = x * scale + shift
    return made


def _rope(x: Array, table: Array) -> Array:
    """Each head's halves as the two parts of complex numbers, turned by the angles of their rows."""
    batch, rows, width = x.shape
    half = table.shape[-1]
    first, second = np.moveaxis(x.reshape(batch, rows, width // (2 * half), 2, half), 3, 0)
    cosine, sine = table[:, :, np.newaxis]
    turned = np.stack([first * cosine - second * sine, second * cosine + first * sine], axis=3)
    return turned.reshape(x.shape)


def _masked(scores: Array) -> Array:
    """The last rows of a sequence, none of which sees what comes after it."""
    rows, context = scores.shape[-2:]
    seen = np.tri(rows, context, context - rows, dtype=bool)
    return np.where(seen, scores, MASKED)


# Shifted windows (Liu et al. 2021, arXiv 2103.14030): an image is rolled by half a window before it is cut into windows


@dataclass(frozen=True, slots=True)
class _Window:
    """Sides of an image and of its windows, in pixels."""

    image: int
    side: int

    @property
    def shift(self) -> int:
        return self.side // 2


def _window(op: Op, graph: Graph) -> _Window | None:
    """The windows of the attention that an op belongs to, where it shifts them."""
    name = op.name.rpartition(".")[0]
    cut, shift = (next((each for each in graph.ops if each.name == f"{name}.{part}"), None)
                  for part in ("windows", "shift"))  # fmt: skip
    if cut is None or shift is None:
        return None
    pixels, inside = graph.tensors[cut.inputs[0]].shape[1], graph.tensors[cut.outputs[0]].shape[1]
    return _Window(isqrt(pixels), isqrt(inside))


def _rolled(op: Move, graph: Graph, shape: Shape) -> Compute | None:
    window, part = _window(op, graph), op.name.rpartition(".")[2]
    if window is None or part not in ("shift", "unshift"):
        return None
    by = -window.shift if part == "shift" else window.shift
    image = (shape[0], window.image, window.image, shape[2])
    return lambda inputs: [np.roll(inputs[0].reshape(image), (by, by), axis=(1, 2)).reshape(shape)]


def _across(window: _Window, shape: Shape) -> Array:
    """(windows of an image, 1, pixels, pixels): pairs that were no neighbours before the image was rolled."""
    side, per_side = window.side, window.image // window.side
    edges = np.array([window.image - side, window.image - window.shift])
    strip = np.searchsorted(edges, np.arange(window.image), side="right")
    regions = (3 * strip[:, np.newaxis] + strip).reshape(per_side, side, per_side, side)
    region = regions.swapaxes(1, 2).reshape(per_side**2, 1, shape[-1])
    apart: Array = region[..., :, np.newaxis] != region[..., np.newaxis, :]
    return apart


def _across_masked(scores: Array, hidden: Array) -> Array:
    each = scores.reshape(-1, len(hidden), *scores.shape[1:])
    return np.where(hidden, MASKED, each).reshape(scores.shape)


_PLAIN: dict[str, Callable[..., Array]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b.reshape(a.shape) if a.size == b.size else a * b,
    "relu": lambda x: np.maximum(x, np.float32(0)),
    "clip": lambda x: np.clip(x, np.float32(0), np.float32(6)),
    "gelu": _gelu,
    "silu": lambda x: x * sigmoid(x),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "where": _masked,
    "rope": _rope,
    "folded_batch_norm": _batch_norm,
    "scale_shift": _batch_norm,
    "hard_sigmoid": _hard_sigmoid,
    "hard_swish": lambda x: x * _hard_sigmoid(x),
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
}


# Those whose shapes say how


def _mean(op: Op, given: Shape, shape: Shape) -> Compute:
    """Over the last axes, which are gone or of size 1 after it, or over the rows between batch and channels."""
    del op
    gone = len(given) != len(shape)
    if gone and given[: len(shape)] != shape and (given[0], given[-1]) == shape:
        return lambda inputs: [inputs[0].reshape(given[0], -1, given[-1]).mean(axis=1)]
    axes = tuple(axis for axis in range(len(given)) if (axis >= len(shape) if gone else shape[axis] != given[axis]))
    return lambda inputs: [inputs[0].mean(axis=axes, keepdims=not gone)]


def _chosen(op: Op, given: Shape, shape: Shape) -> Compute | None:
    """The place of the largest number in each row."""
    del op
    if len(shape) != 1 or prod(given[:-1]) != shape[0]:
        return None
    return lambda inputs: [inputs[0].reshape(-1, given[-1]).argmax(axis=-1)]


def _average_pool(op: Reduce, given: Shape, shape: Shape) -> Compute | None:
    """Windows as `_max_pool` has them, padding counted; of all inputs, output i averages i n / m to (i + 1) n / m."""
    if op.elements != prod(given):
        return _pool(op, given, shape, np.float32(0), lambda windows: windows.mean(axis=(4, 5)))

    def adaptive(inputs: Sequence[Array]) -> list[Array]:
        here = inputs[0]
        for axis in (2, 3):
            n, m = given[axis], shape[axis]
            spans = [np.arange(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
            here = np.stack([here.take(span, axis).mean(axis) for span in spans], axis)
        return [here]

    return adaptive


def _max_pool(op: Reduce, given: Shape, shape: Shape) -> Compute | None:
    return _pool(op, given, shape, np.float32(-np.inf), lambda windows: windows.max(axis=(4, 5)))


def _pool(
    op: Reduce, given: Shape, shape: Shape, outside: np.float32, combine: Callable[[Array], Array]
) -> Compute | None:  # fmt: skip
    """Square windows, as many numbers an output as the op counts: centred with padding, or without, where sizes fit."""
    kernel = isqrt(op.elements // prod(shape))
    fits = [
        (padding, stride) for padding in ((kernel - 1) // 2, 0) for stride in range(kernel, 0, -1)
        if all((n + 2 * padding - kernel) // stride + 1 == m for n, m in zip(given[2:], shape[2:], strict=True))
    ]  # fmt: skip
    if not fits or kernel * kernel * prod(shape) != op.elements:
        return None
    padding, stride = fits[0]

    def pool(inputs: Sequence[Array]) -> list[Array]:
        sides = [(0, 0), (0, 0), (padding, padding), (padding, padding)]
        padded = np.pad(inputs[0], sides, constant_values=outside)
        windows = sliding_window_view(padded, (kernel, kernel), axis=(2, 3))
        return [combine(windows[:, :, ::stride, ::stride])]

    return pool


_SHAPED: dict[str, Callable[[Any, Shape, Shape], Compute | None]] = {
    "mean": _mean,
    "average_pool": _average_pool,
    "max_pool": _max_pool,
    "arg_max": _chosen,
    "top_k": _chosen,
}

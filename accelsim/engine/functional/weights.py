"""Weights for the graphs of bundled generators, which have shapes and no values: drawn, and the same for a seed."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import UnsupportedError
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, MatMul, Move, Op, Recurrent

__all__ = ["MAX_PARAMETERS", "drawn_weights"]

Array = NDArray[Any]

MAX_PARAMETERS = 1_000_000_000
"""As float32 they take 4 GB, and about as much again as the hardware stores them."""

_NORMS = frozenset({"layer_norm", "rms_norm", "folded_batch_norm", "scale_shift"})
_SMALL = 0.02
_BRANCH = 0.5


def drawn_weights(graph: Graph, seed: int) -> dict[str, Array]:
    """A float32 array for every weight and constant of ``graph`` and its loops, each from ``seed`` and its name.

    Matrices of linear and recurrent layers are uniform after Glorot & Bengio 2010 (+-sqrt(6 / (fan in + fan out)), a
    gate at a time), kernels of convolutions normal after He et al. 2015 (variance 2 / fan in), biases uniform
    (+-1 / sqrt(fan in)), embedding tables standard normal, other added weights normal with a deviation of 0.02.
    Norms start as they are initialised: scale 1, shift 0; the last batch norm of a residual branch has a scale of 0.5,
    so that sums grow little from block to block (Goyal et al. 2017 start it at 0). Constants are the cosines and sines
    of rotary or relative positions.

    Raises:
        UnsupportedError: more than `MAX_PARAMETERS`.
    """
    if graph.parameters > MAX_PARAMETERS:
        raise UnsupportedError(f"has more than {MAX_PARAMETERS:.0e} parameters, for which weights would be drawn",
                               file=f"workload {graph.name}", field="parameters", value=graph.parameters,
                               remedy="take fewer layers, such as layers=2")  # fmt: skip
    tensors = {tensor.name: tensor for tensor in graph.all_tensors()}
    summed = {name for op, _ in graph.walk() if getattr(op, "function", "") == "add" for name in op.inputs}
    made: dict[str, Array] = {}
    # Products first: a table that is tied to the output layer is a matrix.
    for op, _ in sorted(graph.walk(), key=lambda each: not isinstance(each[0], MatMul | Conv | Recurrent)):
        for place, name in enumerate(op.inputs):
            tensor = tensors[name]
            if name not in made and tensor.role in ("weight", "constant"):
                made[name] = _drawn(op, place, tensor, np.random.default_rng([seed, crc32(name.encode())]))
                if getattr(op, "function", "") == "folded_batch_norm" and op.outputs[0] in summed:
                    made[name][0] = _BRANCH
    return made


def _drawn(op: Op, place: int, tensor: Tensor, random: np.random.Generator) -> Array:
    if tensor.role == "constant":
        if tensor.name.endswith(".positions"):
            return _waves(tensor.shape)
        return _rotation(tensor.shape) if len(tensor.shape) == 3 else random.standard_normal(tensor.shape, np.float32)
    if isinstance(op, MatMul):
        return _uniform(random, tensor.shape, sqrt(6 / (op.k + op.n)) if place == 1 else 1 / sqrt(op.k))
    if isinstance(op, Conv):
        fan_in = op.in_channels // op.groups * prod(op.kernel)
        if place > 1:
            return _uniform(random, tensor.shape, 1 / sqrt(fan_in))
        return random.standard_normal(tensor.shape, np.float32) * np.float32(sqrt(2 / fan_in))
    if isinstance(op, Recurrent):
        fans = (op.input_size, op.output_size)[place - 1] if place in (1, 2) else 0
        bound = sqrt(6 / (fans + op.hidden_size)) if fans else 1 / sqrt(op.hidden_size)
        return _uniform(random, tensor.shape, bound)
    if getattr(op, "function", "") in _NORMS:
        norm = np.zeros(tensor.shape, np.float32)
        norm[0] = 1
        return norm
    scale = 1.0 if isinstance(op, Move) and op.function == "gather" else _SMALL
    return random.standard_normal(tensor.shape, np.float32) * np.float32(scale)


def _uniform(random: np.random.Generator, shape: tuple[int, ...], bound: float) -> Array:
    return (random.random(shape, np.float32) * np.float32(2) - np.float32(1)) * np.float32(bound)


def _rotation(shape: tuple[int, ...]) -> Array:
    """Cosines and sines (2, positions, half a head) of rotary positions (Su et al. 2021, arXiv 2104.09864)."""
    _, positions, half = shape
    angles = np.outer(np.arange(positions), 10000.0 ** (-np.arange(half) / half))
    return np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)


def _waves(shape: tuple[int, ...]) -> Array:
    """Sines and cosines (2 rows - 1, width) of distances from rows - 1 down (Dai et al. 2019, arXiv 1901.02860)."""
    count, width = shape
    distances = count // 2 - np.arange(count)
    angles = np.outer(distances, 10000.0 ** (-np.arange(0, width, 2) / width))
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)[:, :width].astype(np.float32)

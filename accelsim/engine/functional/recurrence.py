"""Recurrent layers step by step, as ONNX's LSTM, GRU and RNN define them; the caller multiplies and rounds.

Gates are ordered i o f c in an LSTM, z r h in a GRU. Shapes: D directions, T steps, B sequences, H hidden, G gates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cell", "Function", "Layer", "Recurred", "recurred"]

Array = NDArray[Any]
Function = Callable[[Array], Array]
Kind = Literal["lstm", "gru", "rnn"]


@dataclass(frozen=True, slots=True)
class Cell:
    """What a layer computes.

    Attributes:
        functions: of each direction its activation functions: f g h of an LSTM, f g of a GRU, f of an RNN.
        reverse: of each direction whether it runs from the last step to the first.
        clip: bound of what activation functions read; None for no bound.
        coupled: an LSTM's forget gate is 1 - i.
        reset_after: a GRU's reset gate multiplies the product of the state, not the state.
        batch_first: sequences and states have their batch axis first.
    """

    kind: Kind
    hidden: int
    functions: tuple[tuple[Function, ...], ...]
    reverse: tuple[bool, ...]
    clip: float | None = None
    coupled: bool = False
    reset_after: bool = False
    batch_first: bool = False

    @property
    def directions(self) -> int:
        return len(self.reverse)


@dataclass(frozen=True, slots=True)
class Layer:
    """One run of a layer.

    Attributes:
        gates: (T, B, D, G H), the products of the inputs with their biases.
        state, memory: (D, B, H) to start from; memory is an LSTM's cell state.
        lengths: (B,) steps of each sequence.
        multiply: (D, B, H) states to (D, B, G H) products.
        stored: what becomes of a result that leaves the vector unit: of the state, of the memory.
        after: (D, 1, H) bias of a GRU's product of the state for h, which the reset gate multiplies.
        peepholes: (D, 3 H) of an LSTM, i o f; None without.
    """

    gates: Array
    state: Array
    memory: Array | None
    lengths: NDArray[np.int64]
    multiply: Function
    stored: tuple[Function, Function]
    after: Array | None = None
    peepholes: Array | None = None


@dataclass(frozen=True, slots=True)
class Recurred:
    """What a layer made: ``sequence`` (T, D, B, H), the last states, and the products of every step (T, D, B, G H)."""

    sequence: Array
    state: Array
    memory: Array | None
    products: list[Array] = field(default_factory=list)


def recurred(cell: Cell, layer: Layer) -> Recurred:
    """Run all steps. Behind the end of a sequence its output is 0 and its state stays."""
    steps, batch = layer.gates.shape[:2]
    sequence = np.zeros((steps, cell.directions, batch, cell.hidden), np.float32)
    state, memory, products = layer.state, layer.memory, []
    everywhere, ways = np.arange(batch), np.arange(cell.directions)[:, np.newaxis]
    whole = bool((layer.lengths == steps).all())
    for step in range(steps):
        times = np.where(np.array(cell.reverse)[:, np.newaxis], layer.lengths - 1 - step, step)  # (D, B)
        times = np.broadcast_to(np.maximum(times, 0), (cell.directions, batch))
        gates = layer.gates[times, everywhere, ways]
        new_state, new_memory, product = _STEPS[cell.kind](cell, layer, gates, state, memory)
        products.append(product)
        if whole:
            state, memory = new_state, new_memory
            sequence[times, ways, everywhere] = state
            continue
        alive = (step < layer.lengths)[np.newaxis, :, np.newaxis]
        state = np.where(alive, new_state, state)
        memory = None if new_memory is None or memory is None else np.where(alive, new_memory, memory)
        d, b = np.nonzero(np.broadcast_to(step < layer.lengths, (cell.directions, batch)))
        sequence[times[d, b], d, b] = new_state[d, b]
    return Recurred(sequence, state, memory, products)


_Made = tuple[Array, Array | None, Array]


def _lstm(cell: Cell, layer: Layer, gates: Array, state: Array, memory: Array | None) -> _Made:
    assert memory is not None
    product = layer.multiply(state)
    i, o, f, c = np.split(gates + product, 4, axis=-1)
    peep_i, peep_o, peep_f = (0, 0, 0) if layer.peepholes is None else np.split(
        layer.peepholes[:, np.newaxis], 3, axis=-1
    )  # fmt: skip
    enter = _applied(cell, 0, i + peep_i * memory)
    forget = 1 - enter if cell.coupled else _applied(cell, 0, f + peep_f * memory)
    kept = layer.stored[1](forget * memory + enter * _applied(cell, 1, c))
    leave = _applied(cell, 0, o + peep_o * kept)
    return layer.stored[0](leave * _applied(cell, 2, kept, clipped=False)), kept, product


def _gru(cell: Cell, layer: Layer, gates: Array, state: Array, memory: Array | None) -> _Made:
    hidden = cell.hidden
    product = layer.multiply(state)
    update, reset = np.split(_applied(cell, 0, (gates + product)[..., : 2 * hidden]), 2, axis=-1)
    if cell.reset_after:
        inner = product[..., 2 * hidden :] + (0 if layer.after is None else layer.after)
        inner = reset * inner
    else:
        inner = layer.multiply(layer.stored[0](reset * state))[..., 2 * hidden :]
        product = np.concatenate([product[..., : 2 * hidden], inner], axis=-1)
    new = _applied(cell, 1, gates[..., 2 * hidden :] + inner)
    return layer.stored[0]((1 - update) * new + update * state), memory, product


def _rnn(cell: Cell, layer: Layer, gates: Array, state: Array, memory: Array | None) -> _Made:
    product = layer.multiply(state)
    return layer.stored[0](_applied(cell, 0, gates + product)), memory, product


_STEPS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}


def _applied(cell: Cell, place: int, x: Array, *, clipped: bool = True) -> Array:
    """The activation function at ``place`` of each direction, on what `Cell.clip` leaves."""
    if clipped and cell.clip is not None:
        x = np.clip(x, np.float32(-cell.clip), np.float32(cell.clip))
    functions = [each[place] for each in cell.functions]
    if all(each is functions[0] for each in functions):
        return functions[0](x)
    return np.stack([function(part) for function, part in zip(functions, x, strict=True)])

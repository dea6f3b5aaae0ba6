"""A recurrent layer on its architecture: one product for the inputs of all steps, one a step for the state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.errors import Tally
from accelsim.engine.functional.integers import dynamic_uint8
from accelsim.engine.functional.program import RecurrentStep
from accelsim.engine.functional.recurrence import Cell, Function, Layer, Recurred, recurred
from accelsim.engine.functional.storage import Storage
from accelsim.engine.functional.units import Held, Operand
from accelsim.mapping.records import MappedItem
from accelsim.workload.ops import GATES

__all__ = ["Machine", "run_layer"]

Array = NDArray[Any]
Arrange = Callable[[Array], Array]
Pair = tuple[Array, Array]


@dataclass(frozen=True, slots=True)
class Machine:
    """What a layer needs of the run around it.

    Attributes:
        items: the layer's mapped matrix ops by name.
        held: a tensor in the unit of a mapped op, and the numbers that reading it cut; whole numbers say their bits.
        bias: a bias as a mapped op stores it.
        constants: tensors that hold data known before.
    """

    items: Mapping[str, MappedItem]
    held: Callable[[MappedItem, str, Arrange, int], tuple[Held, tuple[int, int]]]
    bias: Callable[[str, MappedItem], Array]
    storage: Storage
    constants: Mapping[str, Array]


@dataclass(slots=True)
class _Counts:
    saturated: int = 0
    flushed: int = 0

    def add(self, saturated: int, flushed: int) -> None:
        self.saturated += saturated
        self.flushed += flushed

    @property
    def pair(self) -> tuple[int, int]:
        return self.saturated, self.flushed


@dataclass(frozen=True, slots=True)
class _Names:
    """The inputs of a step by their places in ONNX; "" where one is left out."""

    x: str
    w: str
    r: str
    b: str = ""
    lengths: str = ""
    state: str = ""
    memory: str = ""
    peepholes: str = ""


def run_layer(
    step: RecurrentStep, reference: Mapping[str, Array], found: Mapping[str, Array], machine: Machine, tally: Tally
) -> list[Pair]:
    """(in FP32, as found) for each of Y, the last state and an LSTM's last memory; errors go to ``tally``.

    The ops are NAME.input, NAME.recurrent and NAME.cell of the mapped graph.
    """
    names = _Names(*step.inputs)
    exact = _exact(step, names, reference)
    counts = {part: _Counts() for part in ("input", "recurrent", "cell")}
    emulated = _emulated(step, names, found, machine, counts)
    one, other = recurred(step.cell, exact), recurred(step.cell, emulated)
    for part, pair in (
        ("input", (exact.gates, emulated.gates)),
        ("recurrent", (np.stack(one.products), np.stack(other.products))),
        ("cell", (one.sequence, other.sequence)),
    ):
        op = f"{step.name}.{part}"
        precision = machine.items[op].precision if op in machine.items else machine.storage.vector.name
        tally.add(op, step.label, precision, pair, counts[part].pair)
    return list(zip(_made(step.cell, one), _made(step.cell, other), strict=True))


def _exact(step: RecurrentStep, names: _Names, values: Mapping[str, Array]) -> Layer:
    cell = step.cell
    x, weight, recurrent = _sequence(cell, values[names.x]), _fp32(values[names.w]), _fp32(values[names.r])
    steps, batch, size = x.shape
    within, after = _biases(cell, _fp32(values[names.b]) if names.b else None)
    turned = recurrent.swapaxes(-1, -2)

    def plain_project(rows: Array) -> Array:
        product: Array = rows @ weight.reshape(-1, size).T
        return product.reshape(steps, batch, cell.directions, -1)

    def plain_multiply(state: Array) -> Array:
        product: Array = np.matmul(state, turned)
        return product

    project, multiply = _scaled(plain_project, plain_multiply, step.scales)
    with np.errstate(all="ignore"):
        gates = project(x.reshape(-1, size)) + within
    state, memory = _first(cell, names, values, batch)
    peepholes = _fp32(values[names.peepholes]) if names.peepholes else None
    lengths = _lengths(names, values, steps, batch)
    return Layer(gates, state, memory, lengths, multiply, (_as_is, _as_is), after, peepholes)


def _emulated(
    step: RecurrentStep, names: _Names, values: Mapping[str, Array], machine: Machine, counts: dict[str, _Counts]
) -> Layer:
    cell, storage, name = step.cell, machine.storage, step.name
    steps, batch, _ = _sequence(cell, values[names.x]).shape
    within, after = _biases(cell, machine.bias(names.b, machine.items[f"{name}.input"]) if names.b else None)
    bits = 0 if step.scales is None else 8
    weight, cut = machine.held(machine.items[f"{name}.input"], names.w, lambda w: w.reshape(1, -1, w.shape[-1]), bits)
    counts["input"].add(*cut)

    def in_unit(x: Array) -> Array:
        sums = weight.times(Operand(x, lambda x: _sequence(cell, x).reshape(1, steps * batch, -1), bits=bits))
        counts["input"].add(sums.saturated, sums.flushed)
        return sums.values.reshape(steps, batch, cell.directions, -1)

    recurrent, cut = machine.held(machine.items[f"{name}.recurrent"], names.r, _as_is, bits)
    counts["recurrent"].add(*cut)

    def state_in_unit(state: Array) -> Array:
        sums = recurrent.times(Operand(state, _as_is, bits=bits))
        counts["recurrent"].add(sums.saturated, sums.flushed)
        return sums.values

    project, read = _scaled(in_unit, state_in_unit, step.scales)
    gates, *stored_cut = storage.stored(f"{name}.gates", project(_fp32(values[names.x])) + within, f"{name}.input")
    counts["input"].add(*stored_cut)

    def multiply(state: Array) -> Array:
        made, *cut = storage.stored(f"{name}.gates_state", read(state), f"{name}.recurrent")
        counts["recurrent"].add(*cut)
        return made

    def kept(tensor: str) -> Function:
        def store(value: Array) -> Array:
            made, *cut = storage.stored(tensor, value, f"{name}.cell")
            counts["cell"].add(*cut)
            return made

        return store

    known = {each: storage.rounded(_fp32(values[each]), storage.vector, name)[0]
             for each in (names.state, names.memory, names.peepholes) if each in machine.constants}  # fmt: skip
    values = {**values, **known}
    state, memory = _first(cell, names, values, batch)
    peepholes = _fp32(values[names.peepholes]) if names.peepholes else None
    stored = kept(f"{name}.next0"), kept(f"{name}.next1")
    return Layer(gates, state, memory, _lengths(names, values, steps, batch), multiply, stored, after, peepholes)


def _scaled(
    project: Function, multiply: Function, scales: tuple[Array, Array] | None
) -> tuple[Function, Function]:  # fmt: skip
    """With scales, products of whole numbers: all inputs share one, and the states of each direction at each step."""
    if scales is None:
        return project, multiply

    def inputs(x: Array) -> Array:
        codes, scale = dynamic_uint8(x)
        return project(_fp32(codes)) * (scale * scales[0])

    def states(state: Array) -> Array:
        read = [dynamic_uint8(each) for each in state]
        codes = np.stack([_fp32(each) for each, _ in read])
        steps = np.array([scale for _, scale in read], np.float32)[:, np.newaxis] * scales[1]
        return multiply(codes) * steps[:, np.newaxis]

    return inputs, states


def _sequence(cell: Cell, x: Array) -> Array:
    """(T, B, size)."""
    return _fp32(x.swapaxes(0, 1) if cell.batch_first else x)


def _biases(cell: Cell, bias: Array | None) -> tuple[Array, Array | None]:
    """What is added to the products of the inputs, (D, G H), and what a GRU adds to those of the state, (D, 1, H).

    ``bias`` (D, G H) or (D, 2 G H) is that of the inputs and of the state.
    """
    if bias is None:
        return np.zeros((), np.float32), None
    parts = np.array(bias.reshape(cell.directions, -1, GATES[cell.kind] * cell.hidden))
    after = None
    if cell.reset_after and parts.shape[1] > 1:
        after = parts[:, 1:2, 2 * cell.hidden :].copy()
        parts[:, 1, 2 * cell.hidden :] = 0
    return parts.sum(axis=1, dtype=np.float32), after


def _first(cell: Cell, names: _Names, values: Mapping[str, Array], batch: int) -> tuple[Array, Array | None]:
    """State and memory before the first step, (D, B, H); zeros where none are given."""
    shape = (cell.directions, batch, cell.hidden)

    def given(name: str) -> Array:
        if not name:
            return np.zeros(shape, np.float32)
        value = _fp32(values[name])  # its elements are checked, its axes are not
        return value.reshape(batch, -1, cell.hidden).swapaxes(0, 1) if cell.batch_first else value.reshape(shape)

    return given(names.state), given(names.memory) if cell.kind == "lstm" else None


def _lengths(names: _Names, values: Mapping[str, Array], steps: int, batch: int) -> NDArray[np.int64]:
    return values[names.lengths].astype(np.int64) if names.lengths else np.full(batch, steps, np.int64)


def _made(cell: Cell, run: Recurred) -> list[Array]:
    """Y, the last state and the last memory as ONNX lays them out."""
    sequence, last = run.sequence, [run.state, *([] if run.memory is None else [run.memory])]
    if cell.batch_first:
        return [sequence.transpose(2, 0, 1, 3), *(each.swapaxes(0, 1) for each in last)]
    return [sequence, *last]


def _as_is(value: Array) -> Array:
    return value


def _fp32(value: Array) -> NDArray[np.float32]:
    return value.astype(np.float32, copy=False)

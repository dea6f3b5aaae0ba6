"""What is run: a model as steps over named tensors, whatever it was read from.

`onnx_program` makes the steps of an ONNX model, `graph_program` those of a bundled generator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.matrix import Arranged
from accelsim.engine.functional.recurrence import Cell

__all__ = [
    "Given", "Integers", "LoopStep", "MatrixStep", "Program", "RecurrentStep", "Slice", "Stack", "Step", "VectorStep",
]  # fmt: skip

Array = NDArray[Any]
Shape = tuple[int, ...]
Compute = Callable[[Sequence[Array | None]], Sequence[Array | None]]


@dataclass(frozen=True, slots=True)
class Step:
    """One op.

    Attributes:
        name: that of the op in the workload, which steps of an unrolled loop share; "" for work that needs no hardware.
        label: the operator of the model.
        inputs, outputs: tensor names; "" where one is left out.
    """

    name: str
    label: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VectorStep(Step):
    """Everything that is not matrix work: ``compute`` takes and gives arrays in FP32.

    ``constants`` are the inputs that hold data known before, which are stored in the format of values. A step that
    ``decides`` gives places and no numbers: what it finds in FP32 is its result in both runs.
    """

    compute: Compute
    constants: frozenset[str] = frozenset()
    decides: bool = False


@dataclass(frozen=True, slots=True)
class Integers:
    """The whole numbers behind dequantised operands: names of tensors of ``bits`` bits, zero points taken off.

    ``scale`` (groups or 1, 1, n or 1) multiplies their products.
    """

    left: str
    right: str
    bits: int
    scale: Array


@dataclass(frozen=True, slots=True)
class MatrixStep(Step):
    """Products of inputs[0] and inputs[1], and inputs[2] added, if there is one.

    ``arranged`` says how, given the shapes of the two. With ``bits`` they are whole numbers that the model has
    quantised to so many bits; the result is int32. With ``integers`` a unit multiplies those in place of the floats.
    """

    arranged: Callable[[Shape, Shape], Arranged]
    bits: int = 0
    integers: Integers | None = None


@dataclass(frozen=True, slots=True)
class RecurrentStep(Step):
    """A recurrent layer, which does the ops NAME.input, NAME.recurrent and NAME.cell.

    Inputs and outputs stand as in ONNX's LSTM, GRU and RNN: X, W, R, B, lengths, h, c, P; Y, h, c. With ``scales``,
    (D, 1) or (D, G H) each, W and R are whole numbers of 8 bits; inputs and states are quantised to 8 as they come.
    """

    cell: Cell
    scales: tuple[Array, Array] | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """What each step of a loop reads of an outer tensor: ``take(tensor, step, steps)``."""

    outer: str
    inner: str
    take: Callable[[Array, int, int], Array]


@dataclass(frozen=True, slots=True)
class Stack:
    """An output of a loop: ``join`` of what its steps made."""

    inner: str
    outer: str
    join: Callable[[Sequence[Array]], Array]


@dataclass(frozen=True, slots=True)
class LoopStep(Step):
    """``count`` runs of ``body``; ``carried`` pairs what a run makes with what the next one reads."""

    body: tuple[Step, ...]
    count: int
    carried: tuple[tuple[str, str], ...] = ()
    slices: tuple[Slice, ...] = ()
    stacks: tuple[Stack, ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """An input: its shape, the element type of its array, and what numbers are drawn where none are given.

    ``below`` is the number of whole numbers from 0 on that are drawn; 0 draws standard normal numbers for floats and
    ones for all others.
    """

    shape: Shape
    dtype: np.dtype[Any]
    below: int = 0


@dataclass(frozen=True, slots=True)
class Program:
    """A model to run.

    Attributes:
        file: where it came from, for errors.
        steps: in an order in which each runs after those that it reads.
        values: constants by tensor name.
        inputs: what a run is given.
        outputs: names of what it gives.
        engine: what runs vector work.
        notes: what a reader must know, such as that weights were drawn.
        states: what loops find in their states before the first step, where no tensor outside holds it.
    """

    file: str
    steps: tuple[Step, ...]
    values: Mapping[str, Array]
    inputs: Mapping[str, Given]
    outputs: tuple[str, ...]
    engine: str
    notes: tuple[str, ...] = ()
    states: Mapping[str, Array] = field(default_factory=dict)

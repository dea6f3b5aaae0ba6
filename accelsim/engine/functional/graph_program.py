"""The steps of a bundled generator's graph, on drawn weights.

A search does not choose here: hypotheses go on each by themselves, and what the best symbol or token is, the FP32 run
says for both runs, so that they go the same way and their difference is that of arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.activations import activation
from accelsim.engine.functional.graph_functions import FUSION_WEIGHT, vector_function
from accelsim.engine.functional.matrix import Arranged, arranged_convolution, arranged_groups
from accelsim.engine.functional.program import (
    Given,
    LoopStep,
    MatrixStep,
    Program,
    RecurrentStep,
    Slice,
    Stack,
    Step,
    VectorStep,
)
from accelsim.engine.functional.recurrence import Cell
from accelsim.engine.functional.weights import drawn_weights
from accelsim.errors import UnsupportedError
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Conv, Host, Loop, MatMul, Op, Recurrent

__all__ = ["graph_program"]

Array = NDArray[Any]

_FUNCTIONS = {"lstm": ("sigmoid", "tanh", "tanh"), "gru": ("sigmoid", "tanh"), "rnn": ("tanh",)}
_DECISIONS = frozenset({"arg_max", "top_k"})
_FLOAT, _WHOLE = np.dtype(np.float32), np.dtype(np.int64)


def graph_program(graph: Graph, seed: int) -> Program:
    """The program of a graph that a bundled generator made, with weights drawn from ``seed``.

    Raises:
        UnsupportedError: an op whose values the graph does not state, or too many parameters.
    """
    steps = tuple(_steps(graph))
    places = _tables(graph)
    values = drawn_weights(graph, seed)
    inputs = {name: _given(graph.tensors[name].shape, places.get(name, 0)) for name in graph.inputs}
    notes = [f"weights were drawn (seed {seed}); of the workload only the sizes are known"]
    if any(isinstance(step, LoopStep) for step in steps):
        notes.append("symbols and tokens are chosen by the FP32 run for both runs; hypotheses go on each alone")
    if any(op.name.startswith("search.scale.") for op, _ in graph.walk()):
        notes.append(f"scores of language models enter with a weight of {FUSION_WEIGHT:g}")
    states = _first_states(graph, places, seed)
    return Program(f"workload {graph.name}", steps, values, inputs, graph.outputs, "numpy", tuple(notes), states)


def _given(shape: tuple[int, ...], below: int) -> Given:
    return Given(shape, _WHOLE if below else _FLOAT, below)


def _graphs(graph: Graph) -> list[Graph]:
    inner = [op.body for op in graph.ops if isinstance(op, Loop)]
    return [graph, *(each for body in inner for each in _graphs(body))]


def _tables(graph: Graph) -> dict[str, int]:
    """Of tensors that hold places in a table, its rows."""
    found: dict[str, int] = {}
    for each in _graphs(graph):
        for op in each.ops:
            if getattr(op, "function", "") == "gather" and len(op.inputs) == 2:
                table, places = (each.tensors[name] for name in op.inputs)
                if table.role == "weight":
                    found[places.name.removesuffix(step_slice(""))] = table.shape[0]
    return found


def _first_states(graph: Graph, places: dict[str, int], seed: int) -> dict[str, Array]:
    """What loops find in their states before the first step: zeros, and drawn places in tables."""
    random = np.random.default_rng([seed, 1])
    made: dict[str, Array] = {}
    for each in _graphs(graph)[1:]:
        for name, tensor in each.tensors.items():
            if tensor.role == "state" and name not in graph.inputs and name not in graph.producers:
                below = places.get(name, 0)
                made[name] = random.integers(0, below, tensor.shape) if below else np.zeros(tensor.shape, np.float32)
    return made


def _steps(graph: Graph) -> list[Step]:
    found: list[Step] = []
    for op in graph.ops:
        found += _one(op, graph)
    return found


def _one(op: Op, graph: Graph) -> list[Step]:
    if isinstance(op, Loop):
        return [_loop(op, graph)]
    if isinstance(op, Recurrent):
        return _recurrent(op, graph)
    if isinstance(op, MatMul | Conv):
        return [_matrix(op, graph)]
    weights = frozenset(name for name in op.inputs if graph.tensors[name].role in ("weight", "constant"))
    decides = isinstance(op, Host) or getattr(op, "function", "") in _DECISIONS
    compute = _best(op, graph) if isinstance(op, Host) else vector_function(op, graph)
    return [VectorStep(op.name, _label(op), op.inputs, op.outputs, compute, weights, decides)]


def _label(op: Op) -> str:
    return op.label or getattr(op, "function", op.kind)


def _best(op: Host, graph: Graph) -> Callable[[Sequence[Any]], Sequence[Array]]:
    """The host's search: each hypothesis goes on with its best symbol."""
    shape = graph.tensors[op.outputs[0]].shape
    return lambda inputs: [inputs[0].reshape(*shape, -1).argmax(axis=-1)]


def _matrix(op: MatMul | Conv, graph: Graph) -> MatrixStep:
    shapes = [graph.tensors[name].shape for name in op.inputs[:2]]
    out = graph.tensors[op.outputs[0]].shape
    plan = arranged_convolution(op) if isinstance(op, Conv) else arranged_groups(op, shapes[0], shapes[1], out)
    if plan is None:
        raise UnsupportedError("reads its operands in an order that the graph does not state",
                               file=f"workload {graph.name}", field=f"op {op.name}", value=tuple(shapes))  # fmt: skip
    found: Arranged = plan
    return MatrixStep(op.name, _label(op), op.inputs, op.outputs, lambda *_: found)


def _recurrent(op: Recurrent, graph: Graph) -> list[Step]:
    """ONNX keeps directions apart, (T, D, B, H); here they stand side by side, (T, B, D H)."""
    if op.projection_size:
        raise UnsupportedError("projects its output, which is not emulated", file=f"workload {graph.name}",
                               field=f"op {op.name}")  # fmt: skip
    x, weight, recurrent, *rest = op.inputs
    bias = next((name for name in rest if graph.tensors[name].role == "weight"), "")
    states = [name for name in rest if name != bias]
    functions = tuple(activation(name, None, None) for name in _FUNCTIONS[op.cell])
    ways = (False, True)[: op.directions]
    cell = Cell(op.cell, op.hidden_size, (functions,) * op.directions, ways)  # type: ignore[arg-type]
    inputs = (x, weight, recurrent, bias, "", *states)
    layer = RecurrentStep(op.name, op.label or op.cell.upper(), inputs, op.outputs, cell)
    made = op.outputs[0]

    def beside(arrays: Sequence[Any]) -> list[Array]:
        sequence = arrays[0]
        return [sequence.transpose(0, 2, 1, 3).reshape(len(sequence), sequence.shape[2], -1)]

    return [layer, VectorStep("", "", (made,), (made,), beside)]


# Loops


def _loop(op: Loop, graph: Graph) -> LoopStep:
    body, tensors = op.body, graph.tensors
    slices = []
    for name in op.inputs:
        inner = step_slice(name)
        if inner in body.inputs:
            slices.append(Slice(name, inner, _taken(op, graph, name)))
    stacks = tuple(
        Stack(inner, outer, _joined(op, graph, body.tensors[inner].shape, tensors[outer].shape))
        for inner, outer in zip(body.outputs, op.outputs, strict=False)
    )
    return LoopStep(op.name, op.label, op.inputs, op.outputs, tuple(_steps(body)), op.steps,
                    op.carried, tuple(slices), stacks)  # fmt: skip


def _taken(op: Loop, graph: Graph, name: str) -> Callable[[Array, int, int], Array]:
    """Row ``step`` along the axis that the slice has but one of; of frames, the one at which the search stands."""
    whole, part = graph.tensors[name].shape, op.body.tensors[step_slice(name)].shape
    if len(whole) == len(part):
        axes = [axis for axis, size in enumerate(part) if size == 1 and whole[axis] >= op.steps > 1]
        if axes:  # of a beam, the first rows need new results
            return lambda array, step, _: array.take([step], axes[0])
    if len(whole) == 3 and len(part) == 2 and part[1] == whole[2] and part[0] % whole[1] == 0:
        each = part[0] // whole[1]
        return lambda array, step, steps: np.repeat(array[step * whole[0] // steps], each, axis=0)
    raise _unstated(op, graph, name)


def _joined(
    op: Loop, graph: Graph, part: tuple[int, ...], whole: tuple[int, ...]
) -> Callable[[Sequence[Array]], Array]:  # fmt: skip
    """The last step's, all steps' on a new axis, or side by side on the axis that a step has but one of."""
    if part == whole:
        return lambda pieces: pieces[-1]
    if whole == (op.steps, *part):
        return np.stack
    axes = [axis for axis, size in enumerate(part) if size == 1 and len(whole) == len(part) and whole[axis] == op.steps]
    if axes and prod(whole) == prod(part) * op.steps:
        return lambda pieces: np.concatenate(pieces, axis=axes[0])
    raise _unstated(op, graph, op.outputs[0])


def _unstated(op: Loop, graph: Graph, name: str) -> UnsupportedError:
    return UnsupportedError(f"hands {name!r} on in a way that the graph does not state", file=f"workload {graph.name}",
                            field=f"op {op.name}")  # fmt: skip

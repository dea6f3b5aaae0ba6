"""The steps of an ONNX model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from accelsim.engine.functional.activations import ACTIVATIONS, activation
from accelsim.engine.functional.expansion import Expansion, Known
from accelsim.engine.functional.matrix import MATRIX_OPERATORS, arranged
from accelsim.engine.functional.nodes import Nodes
from accelsim.engine.functional.onnx_attention import ATTENTIONS
from accelsim.engine.functional.onnx_fused import FUSED
from accelsim.engine.functional.onnx_qonnx import qonnx_function, quantized_product, quantized_tensors
from accelsim.engine.functional.onnx_quantized import EXPANSIONS, dequantized_product, quantized_lstm
from accelsim.engine.functional.program import Given, MatrixStep, Program, RecurrentStep, Step, VectorStep
from accelsim.engine.functional.recurrence import Cell
from accelsim.errors import UnknownNameError, UnsupportedError
from accelsim.workload.graph import Graph
from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.model import Node, TensorType
from accelsim.workload.onnx.program import Program as Model
from accelsim.workload.onnx.program import read_program
from accelsim.workload.ops import Op, Recurrent

__all__ = ["onnx_program"]

Array = NDArray[Any]

_FUNCTIONS = {"lstm": ("Sigmoid", "Tanh", "Tanh"), "gru": ("Sigmoid", "Tanh"), "rnn": ("Tanh",)}
_WITH_ALPHA = frozenset({"affine", "elu", "hardsigmoid", "leakyrelu", "scaledtanh", "thresholdedrelu"})
_WITH_BETA = frozenset({"affine", "hardsigmoid", "scaledtanh"})

_EXPANSIONS = EXPANSIONS | ATTENTIONS | FUSED


def onnx_program(graph: Graph) -> Program:
    """The program of the model that ``graph`` was imported from; see `read_program`."""
    model = read_program(graph)
    nodes = Nodes(model.file, model.opsets)
    ops = {op.name: op for op, _ in graph.walk()}
    values = dict(model.values)
    steps: list[Step] = []
    known = Known(model.file, frozenset(ops), {tensor.name: tensor.shape for tensor in graph.all_tensors()})
    quantized = quantized_tensors(model.nodes)
    for node in model.nodes:
        op = ops.get(model.ops.get(node.name, node.name))
        if op is not None and node.key in _EXPANSIONS:
            expansion = Expansion(node, op, values, known)
            _EXPANSIONS[node.key](expansion)
            steps += expansion.steps
        elif isinstance(op, Recurrent) and node.key == ("com.microsoft", "DynamicQuantizeLSTM"):
            steps.append(quantized_lstm(Expansion(node, op, values, known), cell_of(node, op, model.file)))
        elif op is not None and _is_matrix(node):
            expansion, step = Expansion(node, op, values, known), None
            if _is_8_bits(node, model):
                step = dequantized_product(expansion, model.dequantized)
            elif all(name in quantized for name in node.inputs[:2]):
                step = quantized_product(expansion, quantized)
            steps += [*expansion.steps, step or _step(node, model, op, nodes)]
        else:
            steps.append(_step(node, model, op, nodes))
    inputs = {name: _given(kind) for name, kind in model.inputs.items()}
    return Program(model.file, tuple(steps), values, inputs, model.outputs, nodes.engine)


def _given(kind: TensorType) -> Given:
    return Given(kind.shape, onnx.helper.tensor_dtype_to_np_dtype(kind.element))


def _step(node: Node, model: Model, op: Op | None, nodes: Nodes) -> Step:
    """The step of a node; without an op it is of constants only, or of a loop's bookkeeping."""
    name = "" if op is None else op.name
    bookkeeping = _bookkeeping(node) or qonnx_function(node, model.file)
    if bookkeeping is not None:
        return VectorStep(name, node.op_type, node.inputs, node.outputs, bookkeeping)
    if isinstance(op, Recurrent) and not node.domain:
        return RecurrentStep(name, node.op_type, node.inputs, node.outputs, cell_of(node, op, model.file))
    if op is not None and _is_matrix(node):
        return MatrixStep(name, node.op_type, node.inputs, node.outputs, lambda a, b: arranged(node, op, a, b))
    data = frozenset(
        each for each in node.inputs if op is not None and model.roots.get(each) in op.inputs and each in model.values
    )
    steering = frozenset(node.inputs) & model.values.keys() - data
    return VectorStep(name, node.op_type, node.inputs, node.outputs,
                      lambda inputs: nodes.run(node, inputs, steering), data)  # fmt: skip


def _is_matrix(node: Node) -> bool:
    return not node.domain and node.op_type in MATRIX_OPERATORS


def _is_8_bits(node: Node, model: Model) -> bool:
    """Whether both operands are dequantised from integers of 8 bits."""
    sources = [model.dequantized.get(name) for name in node.inputs[:2]]
    return all(source is not None and model.elements.get(source.inputs[0]) in _EIGHT_BITS for source in sources)


_EIGHT_BITS = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)


def _joined(attributes: Attributes) -> Callable[[Sequence[Array | None]], list[Array]]:
    axis, new_axis = attributes.integer("axis", 0), attributes.integer("new_axis", 0)

    def join(parts: Sequence[Array | None]) -> list[Array]:
        whole = [each for each in parts if each is not None]
        return [np.stack(whole, axis) if new_axis else np.concatenate(whole, axis)]

    return join


def _sliced(attributes: Attributes) -> Callable[[Sequence[Array | None]], list[Array]]:
    axis, step = attributes.integer("axis", 0), attributes.integer("step", 0)
    return lambda inputs: [np.take(np.asarray(inputs[0]), step, axis)]


def _bookkeeping(node: Node) -> Callable[[Sequence[Array | None]], list[Array]] | None:
    """What the slices and stacks of loops and sequences do, nodes that no file holds; None for all other nodes."""
    attributes = {each.name for each in node.proto.attribute}
    if node.key == ("", "ConcatFromSequence"):
        return _joined(Attributes(node.proto))
    return _sliced(Attributes(node.proto)) if node.key == ("", "Slice") and "step" in attributes else None


def cell_of(node: Node, op: Recurrent, file: str) -> Cell:
    """What an LSTM, GRU or RNN node computes.

    Raises:
        UnknownNameError: an activation function that ONNX does not define.
        UnsupportedError: a direction or a number of functions that ONNX does not define.
    """
    attributes = Attributes(node.proto)
    direction = attributes.string("direction", "forward")
    ways = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
    if direction not in ways:
        raise UnknownNameError("direction", direction, ways, file=file, field=str(node))
    reverse = ways[direction]
    clip = attributes.real("clip", 0.0)
    return Cell(
        kind=op.cell,  # type: ignore[arg-type]  # the importer makes no other
        hidden=op.hidden_size, functions=_functions(node, op.cell, len(reverse), file), reverse=reverse,
        clip=clip or None,
        coupled=bool(attributes.integer("input_forget", 0)),
        reset_after=bool(attributes.integer("linear_before_reset", 0)),
        batch_first=bool(attributes.integer("layout", 0)),
    )  # fmt: skip


def _functions(node: Node, cell: str, directions: int, file: str) -> tuple[tuple[Callable[[Array], Array], ...], ...]:
    usual = _FUNCTIONS[cell]
    given = {each.name: each for each in node.proto.attribute}
    names = [each.decode() for each in given["activations"].strings] if "activations" in given else list(usual)
    if len(names) == len(usual) and "activations" not in given:
        names *= directions
    if len(names) != directions * len(usual):
        raise UnsupportedError(f"needs {directions * len(usual)} activations", file=file, field=str(node), value=names)
    alphas, betas = (list(given[key].floats) if key in given else [] for key in ("activation_alpha", "activation_beta"))
    made = []
    for name in names:
        if name.lower() not in ACTIVATIONS:
            raise UnknownNameError("activation function", name, ACTIVATIONS, file=file, field=str(node))
        alpha = alphas.pop(0) if alphas and name.lower() in _WITH_ALPHA else None
        beta = betas.pop(0) if betas and name.lower() in _WITH_BETA else None
        made.append(activation(name, alpha, beta))
    each = len(usual)
    return tuple(tuple(made[way * each : (way + 1) * each]) for way in range(directions))

"""One node of an ONNX model as several steps, as the front end made it several ops."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.matrix import Arranged, arranged_convolution, arranged_matmul
from accelsim.engine.functional.program import MatrixStep, Step, VectorStep
from accelsim.errors import UnsupportedError
from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.model import Node
from accelsim.workload.ops import Conv, Op

__all__ = ["Expansion", "Known"]

Array = NDArray[Any]
_BITS = 8


@dataclass(frozen=True, slots=True)
class Known:
    """What expansions know of a workload: its file, the names of its ops, and the shapes of its tensors by name."""

    file: str
    ops: frozenset[str]
    shapes: Mapping[str, tuple[int, ...]]


class Expansion:
    """The steps of one node.

    Args:
        values: of the model's constants; those that steps read and no file holds are added.
        known: ops and shapes of the workload; parts of the node that are none of its ops need no hardware.
    """

    def __init__(self, node: Node, op: Op, values: dict[str, Array], known: Known) -> None:
        self.node, self.op, self.values = node, op, values
        self.file, self.ops, self.shapes = known.file, known.ops, known.shapes
        self.attributes = Attributes(node.proto)
        self.steps: list[Step] = []

    def input(self, place: int) -> str:
        """Name of an input; "" where it is left out."""
        return self.node.inputs[place] if place < len(self.node.inputs) else ""

    def compute(self, part: str, inputs: Sequence[str], function: Callable[..., Array], output: str = "") -> str:
        """A tensor that ``function`` makes of ``inputs`` (None: omitted): at once where all of them are constants."""
        name = output or f"{self.node.name}:{part}"
        if not output and all(not each or each in self.values for each in inputs):
            self.values[name] = function(*(self.values.get(each) for each in inputs))
        else:
            self.steps.append(VectorStep("", "", tuple(inputs), (name,), lambda arrays: [function(*arrays)]))
        return name

    def work(
        self, part: str, inputs: Sequence[str], function: Callable[..., Any], output: str = "", count: int = 1
    ) -> tuple[str, ...]:
        """``count`` tensors that ``function`` makes of ``inputs`` (None: omitted): vector work, an op of its own.

        It is NODE:PART, or without a part the op that bears the node's name.
        """
        op, tensor = (f"{name}:{part}" if part else name for name in (self.op.name, self.node.name))
        names = (output or tensor,) if count == 1 else tuple(f"{tensor}{index}" for index in range(count))

        def compute(arrays: Sequence[Array | None]) -> Sequence[Array]:
            made = function(*arrays)
            return [made] if count == 1 else list(made)

        constants = frozenset(name for name in inputs if name in self.values)
        name = op if op in self.ops else ""
        self.steps.append(VectorStep(name, self.node.op_type, tuple(inputs), names, compute, constants))
        return names

    def output(self, place: int) -> str:
        """Name of an output; "" where it is left out."""
        return self.node.outputs[place] if place < len(self.node.outputs) else ""

    def rank(self, place: int) -> int:
        """Number of axes of an input.

        Raises:
            UnsupportedError: the workload has no such tensor: it is made inside of a loop, or beside all hardware.
        """
        name = self.input(place)
        if name in self.values:
            return self.values[name].ndim
        if name not in self.shapes:
            raise self.refuse("reads a tensor whose axes the workload does not state", name)
        return len(self.shapes[name])

    def refuse(self, rule: str, value: object = None) -> UnsupportedError:
        """The error that this node is not emulated, for the caller to raise."""
        return UnsupportedError(rule, file=self.file, field=str(self.node), value=value)

    def whole(self, part: str, place: int, zero_point: int) -> str:
        """Input ``place`` less its zero point, int32."""
        return self.compute(part, (self.input(place), self.input(zero_point)), _less_zero_point)

    def taken_off(self, part: str, source: Node) -> str:
        """What a DequantizeLinear reads, less its zero point, int32."""
        axis = Attributes(source.proto).integer("axis", 1)
        zero_point = source.inputs[2] if len(source.inputs) > 2 else ""

        def less(x: Array, zero: Array | None) -> Array:
            if zero is None:
                return x.astype(np.int32)
            if zero.size > 1:
                zero = zero.reshape([-1 if each == axis % x.ndim else 1 for each in range(x.ndim)])
            return x.astype(np.int32) - zero.astype(np.int32)

        return self.compute(part, (source.inputs[0], zero_point), less)

    def multiply(self, left: str, right: str, arranged: Callable[..., Arranged]) -> str:
        """Their product, int32: the op's own step."""
        name = f"{self.node.name}:sums"
        label = self.node.op_type
        self.steps.append(MatrixStep(self.op.name, label, (left, right), (name,), arranged, _BITS))
        return name

    def multiply_floats(
        self, left: str, right: str, arranged: Callable[..., Arranged], bias: str, output: str, part: str = ""
    ) -> None:  # fmt: skip
        """The product of two tensors of floats and an addend: the op's own step, or that of a part of it."""
        name = f"{self.op.name}:{part}" if part else self.op.name
        self.steps.append(MatrixStep(name, self.node.op_type, (left, right, bias), (output,), arranged))

    def product(self, left: str, right: str) -> str:
        """As `multiply`, arranged as the op says."""
        op = self.op
        if isinstance(op, Conv):
            return self.multiply(left, right, lambda *_: arranged_convolution(op))
        return self.multiply(left, right, arranged_matmul)


def _less_zero_point(x: Array, zero_point: Array | None) -> Array:
    """int32; a zero point a column of a matrix, or a filter of a convolution."""
    wide = x.astype(np.int32)
    if zero_point is None:
        return wide
    zero = zero_point.astype(np.int32)
    if zero.ndim == 1 and zero.size > 1 and x.ndim > 2:
        zero = zero.reshape(-1, *(1,) * (x.ndim - 1))
    return wide - zero

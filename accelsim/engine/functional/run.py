"""A mapped model, node by node: as its architecture computes it, and in FP32 beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.errors import OpError, error_of
from accelsim.engine.functional.matrix import MATRIX_OPERATORS, arranged
from accelsim.engine.functional.nodes import Nodes
from accelsim.engine.functional.product import Read, contract, elementwise, narrowed, read, sum_order
from accelsim.errors import UnsupportedError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.records import OpMapping, WorkloadMapping
from accelsim.numerics import FORMATS, Float, Format
from accelsim.workload.graph import Graph
from accelsim.workload.onnx.model import Node
from accelsim.workload.onnx.program import Program
from accelsim.workload.ops import Op

__all__ = ["FunctionalRun", "run_values"]

Array = NDArray[Any]
_Values = dict[str, Array]
_Pair = tuple[Array | None, Array | None]
_NONE = (0, 0)


@dataclass(frozen=True, slots=True)
class FunctionalRun:
    """What a model gave: emulated and in FP32, by output, the error of each op in order, and what ran vector work."""

    outputs: Mapping[str, Array]
    reference: Mapping[str, Array]
    errors: tuple[OpError, ...]
    vector_engine: str


def run_values(
    program: Program, workload: Graph, mapping: WorkloadMapping, arch: DigitalArchitecture, inputs: Mapping[str, Array]
) -> FunctionalRun:
    """Run ``program``, the model behind ``workload``, as ``mapping`` says, on ``inputs``.

    Matrix work reads its operands in the op's format and sums them as `product` says; its bias is added, and results
    of all ops are rounded, in the vector unit's format and then in that of the stored tensor. Vector ops compute in
    FP32 on rounded operands and round once.

    Raises:
        UnsupportedError: matrix work by an operator that is not emulated, or a node that cannot be run.
        InputError: values that a format refuses, such as NaN in integers.
    """
    return _Run(program, workload, mapping, arch, inputs).all()


class _Run:
    def __init__(
        self, program: Program, workload: Graph, mapping: WorkloadMapping, arch: DigitalArchitecture,
        inputs: Mapping[str, Array],
    ) -> None:  # fmt: skip
        self.program, self.arch, self.graph = program, arch, mapping.graph
        self.ops: dict[str, Op] = {op.name: op for op in workload.ops}
        self.mapped = {each.op.name: each for each in mapping.walk() if each.problem is not None}
        self.vector = FORMATS[arch.vector.format]
        self.nodes = Nodes(program.file, program.opsets)
        self.reference: _Values = dict(program.values) | dict(inputs)
        self.found: _Values = dict(program.values)
        self.errors: list[OpError] = []
        self._check()
        for name, value in inputs.items():
            self.found[name] = self._stored(name, value, name)[0]

    def _check(self) -> None:
        """Every matrix op of the mapping is one that is emulated here."""
        known = {node.name for node in self.program.nodes if _is_matrix(node)}
        left = [each.op for name, each in self.mapped.items() if name not in known]
        if left:
            raise UnsupportedError(
                f"is matrix work that is not emulated ({left[0].label})", file=self.program.file,
                field=f"op {left[0].name}",
                remedy=f"models of {', '.join(sorted(MATRIX_OPERATORS))} are",
            )  # fmt: skip

    def all(self) -> FunctionalRun:
        ends = {name: index for index, node in enumerate(self.program.nodes) for name in node.inputs}
        kept = set(self.program.outputs)
        for index, node in enumerate(self.program.nodes):
            self._node(node)
            for name in {*node.inputs, *node.outputs} - kept:
                if ends.get(name, index) == index:
                    self.reference.pop(name, None)
                    self.found.pop(name, None)
        outputs, reference = ({name: of[name] for name in self.program.outputs} for of in (self.found, self.reference))
        return FunctionalRun(outputs, reference, tuple(self.errors), self.nodes.engine)

    def _node(self, node: Node) -> None:
        op, mapped = self.ops.get(node.name), self.mapped.get(node.name)
        if op is None:  # of constants only: it ran before the model was put on the hardware
            (made,) = self.nodes.run(node, [self.reference.get(name) for name in node.inputs])
            pairs: list[_Pair] = [(each, each) for each in made]
            precision, counts = "", _NONE
        elif mapped is not None and _is_matrix(node):
            pairs, counts = self._matrix(node, op, mapped)
            precision = mapped.precision
        else:
            pairs, counts = self._vector(node, op)
            precision = self.vector.name
        for name, (reference, found) in zip(node.outputs, pairs, strict=True):
            if name and reference is not None and found is not None:
                self.reference[name] = reference
                self.found[name], *more = self._stored(name, found, node.name)
                counts = counts[0] + more[0], counts[1] + more[1]
        first = next((name for name in node.outputs if name), "")
        if op is not None and first:
            both = self.reference[first], self.found[first]
            self.errors.append(error_of(node.name, node.op_type, precision, *both, counts))

    # Vector work

    def _vector(self, node: Node, op: Op) -> tuple[list[_Pair], tuple[int, int]]:
        reference = [self.reference.get(name) for name in node.inputs]
        found = [self._operand(name, op) for name in node.inputs]
        both = zip(reference, found, strict=True)
        if all(a is b for a, b in both):
            (made,) = self.nodes.run(node, reference)
            return [(each, each) for each in made], _NONE
        in_fp32, emulated = self.nodes.run(node, reference, found)
        return list(zip(in_fp32, emulated, strict=True)), _NONE

    def _operand(self, name: str, op: Op) -> Array | None:
        """A tensor as vector work reads it; constants that are data, not sizes or axes, are stored in its format."""
        value = self.found.get(name)
        if value is None or name not in self.program.roots or self.program.roots[name] not in op.inputs:
            return value
        return self._rounded(value, self.vector, op.name)[0]

    def _stored(self, name: str, value: Array, op: str) -> tuple[Array, int, int]:
        """A result in the vector unit's format, then in that of its tensor where that is a float without scales."""
        value, *counts = self._rounded(value, self.vector, op)
        tensor = self.graph.tensors.get(name)
        form = FORMATS[tensor.format] if tensor is not None and tensor.format else self.vector
        if form.scale is None and form is not self.vector:
            value, *more = self._rounded(value, form, op)
            counts = [counts[0] + more[0], counts[1] + more[1]]
        return value, counts[0], counts[1]

    def _rounded(self, value: Array, form: Format, op: str) -> tuple[Array, int, int]:
        if value.dtype.kind != "f" or not value.size or _wide(form):
            return value, 0, 0
        made, saturated, flushed = narrowed(value, form, op)
        return made.astype(value.dtype), saturated, flushed

    # Matrix work

    def _matrix(self, node: Node, op: Op, mapped: OpMapping) -> tuple[list[_Pair], tuple[int, int]]:
        names = node.inputs[:2]
        a, b = (self.reference[name] for name in names)
        if a.dtype.kind != "f" or b.dtype.kind != "f":
            raise UnsupportedError("multiplies whole numbers of a model that is quantised already",
                                   file=self.program.file, field=str(node),
                                   remedy="emulate the model as it was before it was quantised")  # fmt: skip
        plan = arranged(node, op, a.shape, b.shape)
        bias = node.inputs[2] if len(node.inputs) > 2 and node.inputs[2] else None
        left, right = plan.left(a.astype(np.float32)), plan.right(b.astype(np.float32))
        with np.errstate(all="ignore"):
            products = np.matmul(left, right.swapaxes(-1, -2))
            reference = plan.finish(products, None if bias is None else self.reference[bias].astype(np.float32))
        del left, right, products
        form = FORMATS[mapped.precision]
        first, second = (
            _read(self.found[name], form, arrange, node.name)
            for name, arrange in zip(names, (plan.left, plan.right), strict=True)
        )
        sums = contract(first, second, sum_order(mapped, self.arch))
        with np.errstate(all="ignore"):
            found = plan.finish(sums, None if bias is None else self._bias(bias, form, node.name))
        counts = first.saturated + second.saturated, first.flushed + second.flushed
        return [(reference.astype(a.dtype), found.astype(a.dtype))], counts

    def _bias(self, name: str, form: Format, op: str) -> Array:
        """A bias as stored: in the op's format where that is a float of 16 bits or more, else the vector unit's."""
        small = form if form.scale is None and isinstance(form.element, Float) and form.element.bits >= 16 else None
        value = self.found[name].astype(np.float32)
        return self._rounded(value, small or self.vector, op)[0]


def _is_matrix(node: Node) -> bool:
    return not node.domain and node.op_type in MATRIX_OPERATORS


def _wide(form: Format) -> bool:
    return form.name == "fp32"


def _read(value: Array, form: Format, arrange: Any, op: str) -> Read:
    """An operand quantised as it is stored where its places have no say, else as the array reads it."""
    if not elementwise(form):
        return read(arrange(value.astype(np.float32)), form, op)
    stored = read(value, form, op)
    return Read(arrange(stored.values), stored.scales, stored.saturated, stored.flushed)

"""What a converter sees: one node, the types of its tensors, its attributes, and how to name its operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.graph import Role, Tensor
from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.model import Node, Plain, TensorType
from accelsim.workload.onnx.storage import stored_tensor
from accelsim.workload.ops import Op

__all__ = ["CONVERTERS", "Converter", "Site", "converts"]


class Site(Attributes):
    """One node of a plain model, being converted.

    Operands are named through `data` and `weight`, which also settle the tensors' roles: a constant that any op
    uses as a weight is a weight, other constants are constants.
    """

    def __init__(self, node: Node, plain: Plain, roles: dict[str, Role], before: list[Op]) -> None:
        self.node, self.plain, self.roles = node, plain, roles
        self.before = before  # ops to run first, where one node becomes several
        self.scratch: dict[str, TensorType] = {}
        self.packed: dict[str, Tensor] = {}
        super().__init__(node.proto)

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def label(self) -> str:
        return self.node.op_type

    # Shapes

    def has(self, index: int) -> bool:
        """Whether input ``index`` is given."""
        return index < len(self.node.inputs) and bool(self.node.inputs[index])

    def type(self, index: int) -> TensorType:
        if not self.has(index):
            raise self.error(f"lacks its input {index}")
        return self.plain.types[self.node.inputs[index]]

    def shape(self, index: int) -> tuple[int, ...]:
        return self.type(index).shape

    def elements(self, index: int = 0) -> int:
        """Elements of input ``index``."""
        return self.type(index).elements

    def out(self, index: int = 0) -> TensorType:
        if index >= len(self.node.outputs) or self.node.outputs[index] not in self.plain.types:
            raise self.error(f"has an output {index} of unknown shape")
        return self.plain.types[self.node.outputs[index]]

    # Operands

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that have a name and a shape, empty ones left out."""
        return tuple(n for n in self.node.outputs if n in self.plain.types and n not in self.plain.constants)

    def constant(self, index: int) -> bool:
        return self.has(index) and self.node.inputs[index] in self.plain.constants

    def data(self, index: int) -> str:
        """The tensor read as input ``index``; a constant here is no weight."""
        return self._operand(index, "constant")

    def weight(self, index: int) -> str:
        """The tensor read as input ``index``; a constant here is a weight, under its name in the file."""
        return self._operand(index, "weight")

    def parameter(self, index: int) -> str:
        """The tensor added or multiplied as input ``index``.

        A constant of more than one element is a weight; rows of a table, at places that are known, are the table.
        """
        constant = self.plain.constants.get(self.node.inputs[index]) if self.has(index) else None
        if constant is None or constant.type.elements <= 1:
            return self.data(index)
        if constant.table is None:
            return self.weight(index)
        name, _ = constant.table
        self.roles[name] = "weight"
        return name

    def packed_weight(self, index: int, shape: tuple[int, ...], bits: int) -> str:
        """The weight at input ``index``, which stores ``shape`` in ``bits`` bits each, packed in bytes."""
        if not self.constant(index) or not 1 <= bits <= 8:
            rule = f"needs weights that are constants, packed in {bits} bits"
            raise self.unsupported(rule, value=self.type(index).shape)
        name = self.weight(index)
        self.packed[name] = stored_tensor(name, shape, "weight", bits=bits)
        return name

    def weights(self, *indices: int) -> tuple[str, ...]:
        """`weight` of those inputs that are given."""
        return tuple(self.weight(index) for index in indices if self.has(index))

    def steering(self, *indices: int) -> tuple[str, ...]:
        """`data` of those inputs that are given and computed: a constant that only steers costs nothing."""
        return tuple(self.data(index) for index in indices if self.has(index) and not self.constant(index))

    def operands(self, count: int | None = None) -> tuple[str, ...]:
        """`data` of the inputs, in order, without constants that are empty or only steer (axes, sizes).

        The latter are those from place ``count`` on.
        """
        places = [index for index in range(len(self.node.inputs)) if self.has(index)]
        steering = [index for index in places if count is not None and index >= count]
        left_out = [i for i in places if self.constant(i) and (i in steering or not self.elements(i))]
        return tuple(self.data(index) for index in places if index not in left_out)

    def _operand(self, index: int, role: Role) -> str:
        self.type(index)
        constant = self.plain.constants.get(self.node.inputs[index])
        if constant is None:
            return self.node.inputs[index]
        if self.roles.get(constant.root) != "weight":
            self.roles[constant.root] = role
        return constant.root

    def value(self, index: int) -> np.ndarray[Any, Any] | None:
        """What the constant at input ``index`` holds; None where it is no constant, or too large to be read."""
        constant = self.plain.constants.get(self.node.inputs[index]) if self.has(index) else None
        return None if constant is None else constant.value

    def intermediate(self, suffix: str, kind: TensorType) -> str:
        """A new tensor between ops that this node becomes."""
        name = f"{self.name}:{suffix}"
        while name in self.plain.types:
            name += "'"
        self.scratch[name] = kind
        return name

    # Errors

    def error(self, rule: str, *, value: object = None, remedy: str | None = None) -> InputError:
        return InputError(rule, file=self.plain.source.file, field=str(self.node), value=value, remedy=remedy)

    def unsupported(self, rule: str, *, value: object = None, remedy: str | None = None) -> UnsupportedError:
        return UnsupportedError(rule, file=self.plain.source.file, field=str(self.node), value=value, remedy=remedy)


Converter = Callable[[Site], Op]

# By (domain, op type); the standard domain is "". The ``ops_*`` modules fill it when `convert` imports them.
CONVERTERS: dict[tuple[str, str], Converter] = {}


def converts(*op_types: str, domain: str = "") -> Callable[[Converter], Converter]:
    """Register a converter for op types of one domain."""

    def register(converter: Converter) -> Converter:
        CONVERTERS.update({(domain, op_type): converter for op_type in op_types})
        return converter

    return register

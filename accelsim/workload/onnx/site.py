"""What a converter sees: one node, the types of its tensors, its attributes, and how to name its operands."""

from __future__ import annotations

from collections.abc import Callable

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.graph import Role
from accelsim.workload.onnx.model import Node, Plain, TensorType, text
from accelsim.workload.ops import Op

__all__ = ["CONVERTERS", "Converter", "Site", "converts"]


class Site:
    """One node of a plain model, being converted.

    Operands are named through `data` and `weight`, which also settle the tensors' roles: a constant that any op
    uses as a weight is a weight, other constants are constants.
    """

    def __init__(self, node: Node, plain: Plain, roles: dict[str, Role], before: list[Op]) -> None:
        self.node, self.plain, self.roles = node, plain, roles
        self.before = before  # ops to run first, where one node becomes several
        self.scratch: dict[str, TensorType] = {}
        self._attributes = {text(each.name): each for each in node.proto.attribute}

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

    def weights(self, *indices: int) -> tuple[str, ...]:
        """`weight` of those inputs that are given."""
        return tuple(self.weight(index) for index in indices if self.has(index))

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

    def intermediate(self, suffix: str, kind: TensorType) -> str:
        """A new tensor between ops that this node becomes."""
        name = f"{self.name}:{suffix}"
        while name in self.plain.types:
            name += "'"
        self.scratch[name] = kind
        return name

    # Attributes

    def integer(self, name: str, default: int) -> int:
        attribute = self._attributes.get(name)
        return int(attribute.i) if attribute is not None else default

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of integers; () where it is absent."""
        attribute = self._attributes.get(name)
        return tuple(attribute.ints) if attribute is not None else ()

    def string(self, name: str, default: str) -> str:
        attribute = self._attributes.get(name)
        return text(attribute.s) if attribute is not None else default

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

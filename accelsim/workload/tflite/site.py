"""What a converter sees: one operator with its tensors, and how it names operands and makes ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.graph import Role
from accelsim.workload.ops import Elementwise, Move, Op, Reduce
from accelsim.workload.tflite.read import Operator, Stored

if TYPE_CHECKING:
    from accelsim.workload.tflite.walk import Walk

__all__ = ["CONVERTERS", "Converter", "Site", "converts"]

# Fused activation functions by number in the schema.
_ACTIVATIONS = {1: "relu", 2: "clip", 3: "clip", 4: "tanh", 5: "sign"}


class Site:
    """One operator being converted; ops are named after the first result."""

    def __init__(self, operator: Operator, walk: Walk, number: int) -> None:
        self.operator, self.walk, self.number = operator, walk, number
        self.name = walk.name(number, operator.outputs[0]) if operator.outputs else operator.kind
        self.before: list[Op] = []
        self.after: list[Op] = []

    @property
    def label(self) -> str:
        return self.operator.kind

    def has(self, index: int) -> bool:
        """Whether input ``index`` is given."""
        return index < len(self.operator.inputs) and self.operator.inputs[index] >= 0

    def stored(self, index: int) -> Stored:
        """The tensor that the file states for input ``index``."""
        if not self.has(index):
            raise self.error(f"lacks its input {index}")
        return self.walk.tensor(self.number, self.operator.inputs[index])

    def shape(self, index: int) -> tuple[int, ...]:
        return self.stored(index).shape

    def made(self, index: int = 0) -> Stored:
        """The tensor that the file states for result ``index``."""
        if index >= len(self.operator.outputs):
            raise self.error(f"lacks its result {index}")
        return self.walk.tensor(self.number, self.operator.outputs[index])

    def constant(self, index: int) -> bool:
        return self.has(index) and self.walk.name(self.number, self.operator.inputs[index]) in self.walk.constants

    def data(self, index: int) -> str:
        """The tensor read as input ``index``; a constant here is no weight."""
        return self._operand(index, "constant")

    def weight(self, index: int) -> str:
        """The tensor read as input ``index``; a constant here is a weight, as the file stores it."""
        return self._operand(index, "weight")

    def weights(self, *indices: int) -> tuple[str, ...]:
        """`weight` of those inputs that are given."""
        return tuple(self.weight(index) for index in indices if self.has(index))

    def operands(self) -> tuple[str, ...]:
        """The inputs that are no constants."""
        return tuple(self.data(i) for i in range(len(self.operator.inputs)) if self.has(i) and not self.constant(i))

    def _operand(self, index: int, role: Role) -> str:
        self.stored(index)
        return self.walk.read(self.number, self.operator.inputs[index], role)

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(self.walk.name(self.number, index) for index in self.operator.outputs)

    def options(self, name: str, *fields: str) -> tuple[int, ...]:
        """Fields of the operator's options; zeros, the schema's default, where it states none."""
        found = self.operator.options(name, *fields)
        return (0,) * len(fields) if found is None else found

    def activated(self, code: int) -> str:
        """The tensor that the op itself makes: its result, or what a fused activation function ``code`` reads."""
        if code == 0:
            return self.outputs[0]
        if code not in _ACTIVATIONS:
            raise self.unsupported("fuses an activation function that is not known", value=code)
        made = self.made()
        plain = self.walk.fresh(f"{self.name}:linear", made)
        self.after.append(
            Elementwise(
                name=f"{self.name}:activation", inputs=(plain,), outputs=(self.outputs[0],), label=self.label,
                function=_ACTIVATIONS[code], elements=made.elements,
            )
        )  # fmt: skip
        return plain

    def elementwise(
        self, function: str, inputs: tuple[str, ...], made: str | None = None, each: int = 1
    ) -> Elementwise:
        return Elementwise(
            name=self.name, inputs=inputs, outputs=(made or self.outputs[0],), label=self.label, function=function,
            elements=self.made().elements * each,
        )  # fmt: skip

    def reduce(self, function: str, inputs: tuple[str, ...], elements: int, made: str | None = None) -> Reduce:
        outputs = (made,) if made else self.outputs
        return Reduce(
            name=self.name, inputs=inputs, outputs=outputs, label=self.label, function=function, elements=elements
        )

    def move(self, function: str, inputs: tuple[str, ...], *, view: bool = False) -> Move:
        elements = sum(self.made(index).elements for index in range(len(self.operator.outputs)))
        return Move(
            name=self.name, inputs=inputs, outputs=self.outputs, label=self.label, function=function,
            elements=elements, view=view,
        )  # fmt: skip

    def error(self, rule: str, *, value: object = None) -> InputError:
        where = f"{self.label} that makes {self.name}"
        return InputError(rule, file=self.walk.model.file, field=where, value=value)

    def unsupported(self, rule: str, *, value: object = None) -> UnsupportedError:
        where = f"{self.label} that makes {self.name}"
        return UnsupportedError(rule, file=self.walk.model.file, field=where, value=value)


Converter = Callable[[Site], Op]

CONVERTERS: dict[str, Converter] = {}
"""By builtin name; the ``ops_*`` modules fill it."""


def converts(*kinds: str) -> Callable[[Converter], Converter]:
    """Register a converter for builtin operators."""

    def register(converter: Converter) -> Converter:
        CONVERTERS.update(dict.fromkeys(kinds, converter))
        return converter

    return register

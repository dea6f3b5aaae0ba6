"""What a converter sees: one call, the types of its tensors, its arguments, and how to name its operands."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from accelsim.errors import InputError, UnsupportedError
from accelsim.workload.graph import Role
from accelsim.workload.ops import Elementwise, MatMul, Move, Op, Reduce
from accelsim.workload.torch.plain import Plain, PlainCall, Resolved, Value
from accelsim.workload.torch.program import TensorType

__all__ = ["CONVERTERS", "Converter", "Operand", "Site", "converts"]

Operand = Value | str
"""A tensor of the program, or by name one that a converter made."""


class Site:
    """One call of a plain program, being converted into one op or several.

    Operands are named through `data` and `weight`, which also settle the tensors' roles: a stored tensor that any
    op uses as a weight is a weight, other stored tensors and constants are constants.

    Args:
        call: the call.
        name: of its op, unique over the graph.
        plain: the program.
        roles: role of each stored tensor and constant met so far.
        kinds: type of each tensor met so far.
        ops: where ops go.
    """

    def __init__(
        self,
        call: PlainCall,
        name: str,
        plain: Plain,
        roles: dict[str, Role],
        kinds: dict[str, TensorType],
        ops: list[Op],
    ) -> None:
        self.call, self.name, self.plain = call, name, plain
        self._roles, self._kinds, self._ops = roles, kinds, ops
        for value in call.outputs:
            if value is not None and value.origin == "data":
                kinds[value.name] = value.type

    @property
    def key(self) -> str:
        return self.call.key

    # Arguments

    def argument(self, name: str, default: Resolved = None) -> Resolved:
        return self.call.arguments.get(name, default)

    def tensor(self, *names: str) -> Value:
        """The tensor given under the first of ``names`` that the call has."""
        for name in names:
            value = self.argument(name)
            if isinstance(value, Value):
                return value
        raise self.error(f"lacks its tensor {names[0]!r}")

    def optional(self, name: str) -> Value | None:
        value = self.argument(name)
        return value if isinstance(value, Value) else None

    def first(self) -> Value:
        """The first tensor that the call reads."""
        value = next(self.call.tensors(), None)
        if value is None:
            raise self.error("reads no tensor")
        return value

    def integer(self, name: str, default: int) -> int:
        value = self.argument(name, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.unsupported(f"has {name} that the data decides")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        return bool(self.argument(name, default))

    def integers(self, name: str, count: int, default: int) -> tuple[int, ...]:
        """A list of ``count`` integers; torch writes one for all axes as a number or a list of one."""
        value = self.argument(name)
        values = value if isinstance(value, tuple) else (value,)
        if value is None or not values:
            return (default,) * count
        found = tuple(each for each in values if isinstance(each, int))
        if len(found) != len(values) or len(found) not in (1, count):
            raise self.error(f"needs {count} integers as {name}", value=value)
        return found * count if len(found) == 1 else found

    def out(self) -> TensorType:
        """The type of the first output that is needed."""
        return next(value.type for value in self.call.outputs if value is not None)

    # Operands

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that hold something and that a run changes."""
        return tuple(value.name for value in self.call.outputs if value is not None and value.origin == "data")

    def data(self, value: Operand) -> str:
        """The name of a tensor read; a stored one is no weight here."""
        return self._operand(value, "constant")

    def weight(self, value: Operand) -> str:
        """The name of a tensor read as a weight if it is stored: a parameter always, a buffer by this use."""
        return self._operand(value, "weight")

    def weights(self, *names: str) -> tuple[str, ...]:
        """`weight` of those arguments that are given."""
        return tuple(self.weight(value) for value in map(self.optional, names) if value is not None)

    def operands(self) -> tuple[str, ...]:
        """`data` of all tensors read, without those that hold nothing."""
        return tuple(self.data(value) for value in self.call.tensors() if value.type.elements)

    def _operand(self, value: Operand, role: Role) -> str:
        if isinstance(value, str):
            return value
        if value.name in self.plain.states:
            self._roles[value.name] = "state"
        elif value.origin == "parameter" or (value.origin == "buffer" and role == "weight"):
            self._roles[value.name] = "weight"
        elif value.origin != "data":
            self._roles.setdefault(value.name, "constant")
        self._kinds.setdefault(value.name, value.stored)
        return value.name

    def dense(self, value: Value) -> Value | str:
        """The tensor with all its elements stored: a stored tensor seen larger than it is, is copied out first."""
        if value.type.elements == value.stored.elements:
            return value
        return self.move("expand", (self.weight(value),), kind=value.type, suffix=f"expand_{value.name}")

    def stacked(self, parts: tuple[Value, ...]) -> str:
        """Stored tensors of one shape as a single one, named after the first."""
        name = f"{parts[0].name}(+{len(parts) - 1})"
        self._kinds[name] = TensorType(parts[0].type.dtype, (len(parts), *parts[0].type.shape), ())
        self._roles[name] = "weight"
        return name

    def table(self, suffix: str, kind: TensorType) -> str:
        """A new constant that this call brings, such as coordinates."""
        name = self.intermediate(suffix, kind)
        self._roles[name] = "constant"
        return name

    def intermediate(self, suffix: str, kind: TensorType) -> str:
        """A new tensor between ops that this call becomes."""
        name = f"{self.name}:{suffix}"
        while name in self._kinds:
            name += "'"
        self._kinds[name] = kind
        return name

    # Ops. Without ``kind`` they make the call's outputs; with it, an intermediate tensor of that type named by
    # ``suffix``, whose name they return.

    def emit(self, op: Op) -> str:
        self._ops.append(op)
        return op.outputs[0] if op.outputs else ""

    def _made(self, kind: TensorType | None, suffix: str) -> tuple[str, tuple[str, ...], TensorType]:
        name = f"{self.name}.{suffix}" if suffix else self.name
        if kind is not None:
            return name, (self.intermediate(suffix, kind),), kind
        return name, self.outputs, self.out()

    def elementwise(
        self, function: str, inputs: Iterable[str], *, elements: int | None = None, kind: TensorType | None = None,
        suffix: str = "",
    ) -> str:  # fmt: skip
        name, outputs, made = self._made(kind, suffix)
        count = made.elements if elements is None else elements
        op = Elementwise(
            name=name, inputs=tuple(inputs), outputs=outputs, label=self.key, function=function, elements=count
        )
        return self.emit(op)

    def reduce(
        self, function: str, inputs: Iterable[str], elements: int, *, kind: TensorType | None = None, suffix: str = ""
    ) -> str:
        name, outputs, _ = self._made(kind, suffix)
        op = Reduce(
            name=name, inputs=tuple(inputs), outputs=outputs, label=self.key, function=function, elements=elements
        )
        return self.emit(op)

    def move(
        self, function: str, inputs: Iterable[str], *, view: bool = False, elements: int | None = None,
        kind: TensorType | None = None, suffix: str = "",
    ) -> str:  # fmt: skip
        name, outputs, made = self._made(kind, suffix)
        if elements is None:
            elements = made.elements if kind is not None else sum(self._kinds[each].elements for each in outputs)
        op = Move(
            name=name, inputs=tuple(inputs), outputs=outputs, label=self.key, function=function, elements=elements,
            view=view,
        )  # fmt: skip
        return self.emit(op)

    def move_to(self, value: Value, function: str, inputs: Iterable[str], *, suffix: str) -> None:
        """Data moved into one of several outputs."""
        op = Move(
            name=f"{self.name}.{suffix}", inputs=tuple(inputs), outputs=(value.name,), label=self.key,
            function=function, elements=value.type.elements,
        )  # fmt: skip
        self.emit(op)

    def matmul(
        self, inputs: Iterable[str], groups: int, m: int, n: int, k: int, *, shared: bool = False,
        kind: TensorType | None = None, suffix: str = "",
    ) -> str:  # fmt: skip
        name, outputs, _ = self._made(kind, suffix)
        op = MatMul(
            name=name, inputs=tuple(inputs), outputs=outputs, label=self.key, groups=groups, m=m, n=n, k=k,
            shared_input=shared,
        )  # fmt: skip
        return self.emit(op)

    # Errors

    @property
    def where(self) -> str:
        return f"node {self.call.name} ({self.call.label}) in {self.call.module or 'the outermost module'}"

    def error(self, rule: str, *, value: object = None, remedy: str | None = None) -> InputError:
        return self.plain.program.source.error(rule, self.where, value=value, remedy=remedy)

    def unsupported(self, rule: str, *, value: object = None, remedy: str | None = None) -> UnsupportedError:
        return self.plain.program.source.unsupported(rule, self.where, value=value, remedy=remedy)

    def trains(self) -> UnsupportedError:
        """The error for a layer in training mode."""
        return self.unsupported("is in training mode", remedy="call module.eval() before the export")


Converter = Callable[[Site], None]

# By operator: the name alone for aten, with its namespace for others. The ``ops_*`` modules fill it.
CONVERTERS: dict[str, Converter] = {}


def converts(*keys: str) -> Callable[[Converter], Converter]:
    """Register a converter for operators."""

    def register(converter: Converter) -> Converter:
        CONVERTERS.update(dict.fromkeys(keys, converter))
        return converter

    return register

"""A program in plain form: one walk fixes every size, folds what depends on no data, and makes writes explicit.

Torch writes in place and through views; here each write makes a new tensor, and a view that is read after its base
was written is taken again. What depends on neither an input nor a parameter (positions, masks made from sizes,
tables computed from buffers) is a constant; what depends on a parameter stays, because the module computes it at
each run. Views of a parameter are the parameter.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from accelsim.workload.torch.bind import Binding
from accelsim.workload.torch.control import CONTROL
from accelsim.workload.torch.names import INLINED, RANDOM, SIZE_ONLY, functional_key, module_path, unique
from accelsim.workload.torch.plain import Origin, Plain, PlainCall, Resolved, Value, tensors_in
from accelsim.workload.torch.program import (
    Argument,
    Body,
    Call,
    Program,
    ProgramInput,
    Ref,
    Size,
    SymbolicTensor,
    TensorType,
)
from accelsim.workload.torch.sizes import UnboundSizeError, evaluate
from accelsim.workload.torch.views import ROOTED, SLICES, VIEWS, copies

__all__ = ["Held", "Scope", "Walk", "walk"]


@dataclass(slots=True)
class _Cell:
    """What a name stands for at this point of the walk; writes change it.

    A view knows its ``base``, the ``version`` of the base that it shows, and by which ``way`` it was taken.
    """

    value: Value
    base: _Cell | None = None
    way: tuple[str, ...] = ()
    version: int = 0
    writes: int = 0


_OVERWRITES = frozenset({"copy", "fill", "zero"})

Held = _Cell | bool | int | float | str | None
Scope = dict[str, Held]


def walk(
    program: Program, binding: Binding, branches: Mapping[str, str | float] | None = None,
    trips: Mapping[str, int] | None = None,
) -> Plain:  # fmt: skip
    """The plain form of a program whose sizes are bound.

    ``branches`` says what a `torch.cond` takes, ``trips`` how often a `while_loop` runs, by their names.

    Raises:
        InputError: a size that the data decides, or a program that does not hold together.
        UnsupportedError: subgraphs that the data chooses between or repeats.
    """
    found = Walk(program, binding, dict(branches or {}), dict(trips or {}), frozenset(), frozenset())
    found.run()
    overlapping, states = found.overlapping(), frozenset(found.states)
    if overlapping or states:  # only now is it known which stored tensors change, and which are read twice
        found = Walk(program, binding, dict(branches or {}), dict(trips or {}), overlapping, states)
        found.run()
    return found.plain()


@dataclass
class Walk:
    """What is known so far: the calls kept, and what the names of the program stand for."""

    program: Program
    binding: Binding
    branches: Mapping[str, str | float]
    trips: Mapping[str, int]
    undivided: frozenset[str]  # stored tensors whose parts are read out of them by moves
    changing: frozenset[str]  # stored tensors that the program writes
    calls: list[PlainCall] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)
    inputs: list[Value] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    states: set[str] = field(default_factory=set)
    parts: dict[str, dict[str, int]] = field(default_factory=dict)
    where: str = ""
    path: str = ""  # of the subgraph, for the names of what chooses in it
    facts: dict[str, str | int] = field(default_factory=dict)
    repeated: int = 0  # calls written more often than the program writes them
    conditions: list[Value] = field(default_factory=list)

    def run(self) -> None:
        """Walk the program."""
        scope: Scope = {}
        given: dict[str, _Cell] = {}
        for each in self.program.inputs:
            kind = self.program.body.values.get(each.name)
            if isinstance(kind, SymbolicTensor) and each.kind != "other":
                scope[each.name] = given[each.name] = _Cell(self.given(each, kind))
            else:
                scope[each.name] = None if isinstance(kind, SymbolicTensor) else self.number(kind)
        self.inputs = [
            given[each.name].value for each in self.program.inputs if each.kind == "input" and each.name in given
        ]
        before = {name: cell.value.name for name, cell in given.items()}
        returned = [value for value in self.body(self.program.body, scope) if isinstance(value, Value)]
        for name, cell in given.items():
            if cell.writes:
                self.states.add(before[name])
                returned.append(self.read(cell))
        self.outputs = list({value.name: value for value in (*returned, *self.conditions)}.values())

    def given(self, each: ProgramInput, symbolic: SymbolicTensor) -> Value:
        """The tensor that an input of the program is."""
        kind = self.type(symbolic, f"input {each.name}")
        if each.kind == "input":
            name = unique(each.name, self.taken)
            return Value(name, kind, "data", kind)
        name = each.stored or each.name
        self.taken.setdefault(name, 1)
        origin: Origin = "parameter" if each.kind == "parameter" else "buffer"
        return Value(name, kind, "data" if name in self.changing else origin, kind)

    # Values

    def type(self, value: SymbolicTensor, where: str) -> TensorType:
        sizes = tuple(self.size(size, where) for size in value.sizes)
        return TensorType(value.dtype, sizes, tuple(self.size(size, where) for size in value.strides))

    def size(self, size: Size, where: str) -> int:
        try:
            return evaluate(size, self.binding.symbols)
        except UnboundSizeError as error:
            remedy = "make the module's sizes independent of its data, or cut it before this place"
            raise self.program.source.error(f"has a size that {error}", where, remedy=remedy) from None

    def number(self, value: object) -> bool | int | float | None:
        """A number of the program; None where the data decides it."""
        if isinstance(value, str):
            try:
                return evaluate(value, self.binding.symbols)
            except UnboundSizeError:
                return None
        return value if isinstance(value, bool | int | float) else None

    def read(self, cell: _Cell) -> Value:
        """The value of a cell; a view whose base was written since is taken again."""
        base = cell.base
        if base is not None and cell.version != base.writes:
            cell.value = self.derived(cell.value, "view_again", (self.read(base),), cell.value.type)
            cell.version = base.writes
        return cell.value

    def write(self, cell: _Cell, value: Value) -> None:
        """Let a cell stand for ``value`` from now on, and the base of a view for itself with that part replaced."""
        cell.value = value
        if cell.base is None:
            cell.writes += 1
            return
        base = cell.base
        before = self.read(base)
        base.value = self.derived(before, "write_part", (before, value), before.type)
        base.writes += 1
        cell.version = base.writes

    def derived(self, like: Value, key: str, reads: tuple[Value, ...], kind: TensorType) -> Value:
        """What a call of our own makes: a view taken again, or a base with a part replaced."""
        name = unique(f"{like.name.partition('.write_part')[0].partition('.view_again')[0]}.{key}", self.taken)
        origin = _origin(reads, key)
        made = Value(name, kind, origin, kind)
        if origin == "data":
            arguments: dict[str, Resolved] = {str(index): each for index, each in enumerate(reads)}
            self.calls.append(PlainCall(name, key, key, arguments, (made,), self.where))
        return made

    # Calls

    def body(self, body: Body, scope: Scope) -> list[Resolved]:
        for call in body.calls:
            if call.target in INLINED:
                self.inline(call, scope)
            elif call.target in CONTROL:
                CONTROL[call.target](self, call, scope)
            else:
                self.call(call, body, scope)
        return [self.resolved(each, scope) for each in body.outputs]

    def inline(self, call: Call, scope: Scope) -> None:
        """The calls of a subgraph that only sets a mode (no gradients, a default type)."""
        arguments = list(call.arguments.values())
        place = next((i for i, each in enumerate(arguments) if isinstance(each, Body)), None)
        if place is None:
            raise self.program.source.error("has no subgraph", f"node {call.name}")
        inner = arguments[place]
        assert isinstance(inner, Body)
        operands = [self.held(each, scope) for each in arguments[place + 1 :]]
        self.bind(call, self.enter(inner, operands), scope)

    def enter(self, inner: Body, operands: Iterable[Held]) -> list[Held]:
        """Walk a subgraph in place of the call that runs it; what it returns."""
        inside: Scope = dict(zip(inner.inputs, operands, strict=False))
        self.body(inner, inside)
        return [self.held(each, inside) for each in inner.outputs]

    @staticmethod
    def bind(call: Call, results: Iterable[Held], scope: Scope) -> None:
        """Let the outputs of a call be ``results``."""
        for made, held in zip(call.outputs, results, strict=False):
            if made:
                scope[made] = held

    @staticmethod
    def cell(value: Value) -> Held:
        """A place that holds ``value``."""
        return _Cell(value)

    def value(self, argument: Argument, scope: Scope, call: Call) -> Value:
        """The tensor that a call reads."""
        return self.value_of(self.held(argument, scope), call)

    def value_of(self, held: Held, call: Call) -> Value:
        if not isinstance(held, _Cell):
            rule = "takes or makes a number where only tensors are modelled"
            raise self.program.source.error(rule, f"node {call.name}")
        return self.read(held)

    def decides(self, held: Held) -> None:
        """Note what a branch or loop is decided by: it is computed, whatever the user says of the outcome."""
        if isinstance(held, _Cell) and (value := self.read(held)).origin == "data":
            self.conditions.append(value)

    def held(self, argument: Argument, scope: Scope) -> Held:
        if isinstance(argument, Ref):
            return scope.get(argument.name)
        return argument if isinstance(argument, bool | int | float | str) else None

    def resolved(self, argument: Argument, scope: Scope) -> Resolved:
        if isinstance(argument, Ref):
            if argument.name not in scope:
                raise self.program.source.error(f"is read before it is made ({self.where})", argument.name)
            held = scope[argument.name]
            return self.read(held) if isinstance(held, _Cell) else held
        if isinstance(argument, tuple):
            return tuple(self.resolved(each, scope) for each in argument)
        return None if isinstance(argument, Body) else argument

    def call(self, call: Call, body: Body, scope: Scope) -> None:
        kinds = {name: body.values.get(name) for name in call.outputs if name}
        for name in kinds:
            if not isinstance(kinds[name], SymbolicTensor):
                scope[name] = self.number(kinds[name])
        tensors = {name: kind for name, kind in kinds.items() if isinstance(kind, SymbolicTensor)}
        if not tensors:
            return  # sizes, assertions, or a value that the host reads
        self.where = module_path(call.module)
        key, in_place = functional_key(call.target)
        arguments = {name: self.resolved(each, scope) for name, each in call.arguments.items()}
        types = {name: self.type(kind, f"node {call.name}") for name, kind in tensors.items()}
        source = self.held(call.arguments.get("self", call.arguments.get("input")), scope)
        if in_place and isinstance(source, _Cell):
            if not (key == "copy" and self.copied(source, self.held(call.arguments.get("src"), scope))):
                if key in _OVERWRITES:
                    del arguments["self"]  # nothing of it is left
                self.write(source, next(iter(self.made(call, key, arguments, types).values())))
            scope.update(dict.fromkeys(types, source))
            return
        made = self.stored_view(call, key, arguments, types) or self.made(call, key, arguments, types)
        for name, value in made.items():
            scope[name] = cell = _Cell(value)
            if isinstance(source, _Cell) and key in VIEWS and not copies(key, source.value.type, value.type):
                cell.base = source.base or source
                cell.version = cell.base.writes
                cell.way = (*source.way, key, *(str(call.arguments[each]) for each in call.arguments if each != "self"))

    def copied(self, target: _Cell, source: Held) -> bool:
        """Whether a copy into a view is done without a call: onto itself, or straight into the base."""
        if not isinstance(source, _Cell) or target.base is None:
            return False
        if source.base is target.base and source.way == target.way:
            return True  # x[i] += y ends by writing the sum, which is there already, to x[i]
        value = self.read(source)
        if (value.type.shape, value.type.dtype) != (target.value.type.shape, target.value.type.dtype):
            return False
        self.write(target, value)
        return True

    def made(
        self, call: Call, key: str, arguments: Mapping[str, Resolved], types: Mapping[str, TensorType]
    ) -> dict[str, Value]:
        """The values that a call makes; the call is kept unless they are constants."""
        label = f"{call.target}.{call.overload}" if call.overload else call.target
        reads = tuple(tensors_in(tuple(arguments.values())))
        origin = _origin(reads, key)
        outputs: dict[str, Value] = {}
        for name, kind in types.items():
            own = unique(name, self.taken)
            outputs[name] = Value(own, kind, origin if kind.elements else "constant", kind)
        if any(value.origin == "data" for value in outputs.values()):
            made = tuple(outputs.get(name) if name else None for name in call.outputs)
            self.calls.append(PlainCall(call.name, key, label, arguments, made, self.where))
        return outputs

    def stored_view(
        self, call: Call, key: str, arguments: Mapping[str, Resolved], types: Mapping[str, TensorType]
    ) -> dict[str, Value]:
        """Views of a stored tensor as that tensor, or as a part of it; nothing where the call makes something else."""
        source = arguments.get("self", arguments.get("input"))
        if not isinstance(source, Value) or source.origin not in ("parameter", "buffer") or not source.type.elements:
            return {}
        if key in ROOTED:
            return {name: Value(source.name, kind, source.origin, source.stored) for name, kind in types.items()}
        whole = source.name.partition("[")[0]
        if key not in SLICES or whole in self.undivided or source.type.elements != source.stored.elements:
            return {}
        made = {}
        steering = [f"{each}" for name, each in arguments.items() if name not in ("self", "input")]
        for index, (name, kind) in enumerate(types.items()):
            if kind.elements == source.type.elements:
                made[name] = Value(source.name, kind, source.origin, source.stored)
                continue
            place = call.outputs.index(name) if len(types) > 1 else index
            part = f"{source.name}[{key}:{','.join(steering)}:{place}]"
            self.parts.setdefault(whole, {})[part] = kind.elements
            made[name] = Value(part, kind, source.origin, kind)
        return made

    # The end

    def overlapping(self) -> frozenset[str]:
        """Stored tensors of which more is read, in parts and whole, than there is."""
        read: dict[str, dict[str, int]] = {}
        for call in self.calls:
            for value in call.tensors():
                if value.origin in ("parameter", "buffer"):
                    whole = value.name.partition("[")[0]
                    read.setdefault(whole, {})[value.name] = value.stored.elements
        sizes = {each.stored: self.program.body.values.get(each.name) for each in self.program.inputs}
        found = set()
        for whole in self.parts:
            kind = sizes.get(whole)
            stored = self.type(kind, whole).elements if isinstance(kind, SymbolicTensor) else 0
            if sum(read.get(whole, {}).values()) > stored:
                found.add(whole)
        return frozenset(found)

    def plain(self) -> Plain:
        """What the outputs depend on."""
        needed: set[str] = {value.name for value in self.outputs}
        live: list[PlainCall] = []
        for call in reversed(self.calls):
            used = tuple(value if value is not None and value.name in needed else None for value in call.outputs)
            if any(used):
                live.append(replace(call, outputs=used))
                needed.update(value.name for value in call.tensors())
        inputs = tuple(value for value in self.inputs if value.name in needed)
        states = frozenset(self.states)
        return Plain(self.program, tuple(live[::-1]), inputs, tuple(self.outputs), states, self.binding.batch,
                     self.facts)  # fmt: skip


def _origin(reads: tuple[Value, ...], key: str) -> Origin:
    """Where what a call makes comes from, given what it reads."""
    if key in SIZE_ONLY:
        return "constant"
    changing = any(value.origin in ("data", "parameter") for value in reads if value.type.elements)
    return "data" if changing or key in RANDOM else "constant"

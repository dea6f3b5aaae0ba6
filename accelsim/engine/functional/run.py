"""A mapped model, op by op: as its architecture computes it, and in FP32 beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.errors import OpError, Tally
from accelsim.engine.functional.layers import Machine, run_layer
from accelsim.engine.functional.program import LoopStep, MatrixStep, Program, RecurrentStep, Step, VectorStep
from accelsim.engine.functional.storage import Storage
from accelsim.engine.functional.units import Held, Operand, UnitOf
from accelsim.errors import UnsupportedError
from accelsim.mapping.records import MappedItem, MappedWorkload
from accelsim.numerics import FORMATS, Float
from accelsim.workload.ops import Conv, MatMul

__all__ = ["FunctionalRun", "run_values"]

Array = NDArray[Any]
Counts = tuple[int, int]
_Pair = tuple[Array | None, Array | None]
_NONE = (0, 0)


@dataclass(frozen=True, slots=True)
class FunctionalRun:
    """What a model gave: emulated and in FP32, by output, and the error of each op in order."""

    outputs: Mapping[str, Array]
    reference: Mapping[str, Array]
    errors: tuple[OpError, ...]


def run_values(
    program: Program, mapping: MappedWorkload, unit_of: UnitOf, value_format: str, inputs: Mapping[str, Array]
) -> FunctionalRun:
    """Run ``program`` as ``mapping`` says, on ``inputs``.

    Matrix work is done by the units of its ops; its bias is added in float32, and results of all ops are rounded to
    ``value_format`` and then to that of the stored tensor. Vector ops compute in FP32 on rounded operands and round
    once.

    Raises:
        UnsupportedError: matrix work that no step of the program does, or a step that cannot be run.
        InputError: values that a format refuses, such as NaN in integers.
    """
    return _Run(program, mapping, unit_of, value_format).all(inputs)


class _Run:
    def __init__(self, program: Program, mapping: MappedWorkload, unit_of: UnitOf, value_format: str) -> None:
        self.program, self.unit_of = program, unit_of
        self.storage = Storage(mapping.graph, FORMATS[value_format])
        self.items = _by_step(program.steps, mapping)
        self.reference: dict[str, Array] = dict(program.values) | dict(program.states)
        self.found: dict[str, Array] = dict(program.values) | dict(program.states)
        self.kept: dict[tuple[int, str], Held] = {}
        self.tally = Tally()
        self._check(mapping)

    def _check(self, mapping: MappedWorkload) -> None:
        """Every matrix op of the mapping is a step of the program."""
        known = {id(item) for items in self.items.values() for item in items.values()}
        left = [each.op for each in _matrix_items(mapping) if id(each) not in known]
        if left:
            raise UnsupportedError(f"is matrix work whose values are not emulated ({left[0].label or left[0].kind})",
                                   file=self.program.file, field=f"op {left[0].name}")  # fmt: skip

    def all(self, inputs: Mapping[str, Array]) -> FunctionalRun:
        for name, value in inputs.items():
            self.reference[name] = value
            self.found[name] = self.storage.stored(name, value, name)[0]
        steps = self.program.steps
        ends = {name: index for index, step in enumerate(steps) for name in step.inputs}
        kept = set(self.program.outputs)
        for index, step in enumerate(steps):
            self._step(step)
            for name in {*step.inputs, *step.outputs} - kept:
                if ends.get(name, index) == index:
                    self.reference.pop(name, None)
                    self.found.pop(name, None)
        outputs, reference = ({name: of[name] for name in self.program.outputs} for of in (self.found, self.reference))
        return FunctionalRun(outputs, reference, self.tally.errors())

    def _step(self, step: Step) -> None:
        if isinstance(step, LoopStep):
            self._loop(step)
        elif isinstance(step, RecurrentStep):
            self._recurrent(step)
        elif isinstance(step, MatrixStep):
            self._matrix(step)
        elif isinstance(step, VectorStep):
            self._vector(step)

    def _note(self, step: Step, precision: str, counts: Counts, made: Iterable[_Pair]) -> None:
        """Store what a step made, a pair (in FP32, as found) an output, and add up its error: that of the first."""
        for name, (reference, found) in zip(step.outputs, made, strict=False):
            if not name or reference is None or found is None:
                continue
            self.reference[name] = reference
            self.found[name], *more = self.storage.stored(name, found, step.name) if step.name else (found, 0, 0)
            counts = counts[0] + more[0], counts[1] + more[1]
        first = next((name for name in step.outputs if name), "")
        if step.name and first:
            self.tally.add(step.name, step.label, precision, (self.reference[first], self.found[first]), counts)

    # Vector work

    def _vector(self, step: VectorStep) -> None:
        reference = [self.reference.get(name) for name in step.inputs]
        found = [self._operand(name, step) for name in step.inputs]
        with np.errstate(all="ignore"):
            exact = step.compute(reference)
            same = all(a is b for a, b in zip(reference, found, strict=True))
            made = exact if same or step.decides else step.compute(found)
        self._note(step, self.storage.vector.name, _NONE, zip(exact, made, strict=True))

    def _operand(self, name: str, step: VectorStep) -> Array | None:
        value = self.found.get(name)
        if value is None or name not in step.constants:
            return value
        return self.storage.rounded(value, self.storage.vector, step.name)[0]

    # Loops

    def _loop(self, step: LoopStep) -> None:
        pieces: dict[str, list[tuple[Array, Array]]] = {each.inner: [] for each in step.stacks}
        for index in range(step.count):
            for each in step.slices:
                for values in (self.reference, self.found):
                    values[each.inner] = each.take(values[each.outer], index, step.count)
            for inner in step.body:
                self._step(inner)
            for name, made in pieces.items():
                made.append((self.reference[name], self.found[name]))
            handed_on = [(read, self.reference[made], self.found[made]) for made, read in step.carried]
            for read, *pair in handed_on:
                self.reference[read], self.found[read] = pair
        for stack in step.stacks:
            exact, found = zip(*pieces[stack.inner], strict=True)
            self.reference[stack.outer], self.found[stack.outer] = stack.join(exact), stack.join(found)

    # Matrix work

    def _matrix(self, step: MatrixStep) -> None:
        left, right, *rest = step.inputs
        a, b = self.reference[left], self.reference[right]
        if step.bits:
            self._integers(step, left, right)
            return
        if a.dtype.kind != "f" or b.dtype.kind != "f":
            raise UnsupportedError("multiplies whole numbers, where floats are emulated", file=self.program.file,
                                   field=f"op {step.name}")  # fmt: skip
        bias = rest[0] if rest and rest[0] else None
        plan = step.arranged(a.shape, b.shape)
        with np.errstate(all="ignore"):
            products = np.matmul(plan.left(_fp32(a)), plan.right(_fp32(b)).swapaxes(-1, -2))
            exact = plan.finish(products, None if bias is None else _fp32(self.reference[bias]))
        item = self.items[id(step)][step.name]
        whole = step.integers
        bits, scale = (0, np.float32(1)) if whole is None else (whole.bits, whole.scale)
        left, right = (left, right) if whole is None else (whole.left, whole.right)
        held, counts = self._held(item, right, plan.right, bits)
        sums = held.times(Operand(_fp32(self.found[left]), plan.left, left in self.program.values, bits))
        with np.errstate(all="ignore"):
            found = plan.finish(sums.values * scale, None if bias is None else self._bias(bias, item))
        counts = counts[0] + sums.saturated, counts[1] + sums.flushed
        self._note(step, item.precision, counts, [(exact.astype(a.dtype), found.astype(a.dtype))])

    def _integers(self, step: MatrixStep, left: str, right: str) -> None:
        """Exact sums beside those of the unit, which its accumulator may round or let overflow."""
        a, b = self.reference[left], self.reference[right]
        plan, item = step.arranged(a.shape, b.shape), self.items[id(step)][step.name]
        wide: list[Any] = [each.astype(np.float64) for each in (a, b)]
        exact: Array = plan.finish(np.matmul(plan.left(wide[0]), plan.right(wide[1]).swapaxes(-1, -2)), None)
        held, counts = self._held(item, right, plan.right, step.bits)
        constant = left in self.program.values
        sums = held.times(Operand(_fp32(self.found[left]), plan.left, constant, step.bits))
        found = plan.finish(sums.values, None)
        limits = np.iinfo(np.int32)
        both = (exact, found.astype(np.float64))
        made = [np.clip(np.rint(each), limits.min, limits.max).astype(np.int32) for each in both]
        counts = counts[0] + sums.saturated, counts[1] + sums.flushed
        self._note(step, item.precision, counts, [(made[0], made[1])])

    def _held(self, item: MappedItem, right: str, arrange: Any, bits: int = 0) -> tuple[Held, Counts]:
        """The right operand in its unit, and what reading it has cut; a constant of a repeated op is read once."""
        if (id(item), right) in self.kept:
            return self.kept[id(item), right], _NONE
        constant = right in self.program.values
        held = self.unit_of(item).hold(Operand(_fp32(self.found[right]), arrange, constant, bits))
        if constant and item.executions > 1:
            self.kept[id(item), right] = held
        return held, (held.saturated, held.flushed)

    def _bias(self, name: str, item: MappedItem) -> Array:
        """A bias as stored: in the op's format where that is a float of 16 bits or more, else that of values."""
        form = FORMATS.get(item.precision, self.storage.vector)
        wide = form.scale is None and isinstance(form.element, Float) and form.element.bits >= 16
        return self.storage.rounded(_fp32(self.found[name]), form if wide else self.storage.vector, item.op.name)[0]

    def _recurrent(self, step: RecurrentStep) -> None:
        items = self.items[id(step)]
        machine = Machine(items, self._held, self._bias, self.storage, self.program.values)
        made = run_layer(step, self.reference, self.found, machine, self.tally)
        for name, pair in zip(step.outputs, made, strict=False):
            if name:
                self.reference[name] = pair[0]
                self.found[name] = self.storage.stored(name, pair[1], step.name)[0]


def _fp32(value: Array) -> NDArray[np.float32]:
    return value.astype(np.float32, copy=False)


def _matrix_items(mapping: MappedWorkload) -> Iterator[MappedItem]:
    return (each for each in mapping.walk() if isinstance(each.op, MatMul | Conv))


def _by_step(steps: Iterable[Step], mapping: MappedWorkload) -> dict[int, dict[str, MappedItem]]:
    """By identity of each step its mapped matrix ops, by name.

    Ops of different loops may share a name: they are told apart by their order. Steps of an unrolled loop are one op.
    """
    named: dict[str, list[MappedItem]] = {}
    for item in _matrix_items(mapping):
        named.setdefault(item.op.name, []).append(item)
    found: dict[int, dict[str, MappedItem]] = {}
    seen: dict[str, int] = {}
    for step in _flat(steps):
        for name in _matrix_names(step):
            if name in named:
                place = seen.get(name, 0)
                found.setdefault(id(step), {})[name] = named[name][min(place, len(named[name]) - 1)]
                seen[name] = place + 1
    return found


def _flat(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        yield from _flat(step.body) if isinstance(step, LoopStep) else (step,)


def _matrix_names(step: Step) -> tuple[str, ...]:
    """Names of the matrix ops that a step does."""
    if isinstance(step, RecurrentStep):
        return f"{step.name}.input", f"{step.name}.recurrent"
    return (step.name,) if isinstance(step, MatrixStep) else ()

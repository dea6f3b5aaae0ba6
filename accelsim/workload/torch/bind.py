"""Sizes for the named dimensions of a program."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from accelsim.errors import UnknownNameError
from accelsim.workload.torch.program import Program, SymbolicTensor
from accelsim.workload.torch.sizes import UnboundSizeError, evaluate, symbol_of, symbols_of

__all__ = ["Binding", "bind_sizes"]


@dataclass(frozen=True, slots=True)
class Binding:
    """Sizes of the named dimensions, and samples that one execution computes."""

    symbols: Mapping[str, int]
    batch: int


def bind_sizes(program: Program, shapes: Mapping[str, Iterable[int]], batch: int | None) -> Binding:
    """Every named size of a program's inputs: from ``shapes``, from ``batch``, else as in the example inputs.

    Raises:
        UnknownNameError: a name in ``shapes`` that is no input.
        InputError: a shape or batch that the program cannot take.
    """
    tensors = dict(_input_tensors(program))
    found: dict[str, tuple[int, str]] = {}
    for name, shape in shapes.items():
        if name not in tensors:
            raise UnknownNameError("input", name, tensors, file=program.source.file, field="shapes")
        for symbol, size in _solved(program, name, tensors[name], shape):
            if found.setdefault(symbol, (size, name))[0] != size:
                rule = f"contradicts the shape of {found[symbol][1]!r}: both sizes are one dimension, {symbol}"
                raise program.source.error(rule, f"shape of input {name}", value=tuple(shape))
    given = {symbol: size for symbol, (size, _) in found.items()}
    leading = _leading(tensors)
    if batch is not None:
        given |= _batch(program, tensors, given, leading, batch)
    symbols = {**program.hints, **given}
    for symbol, size in symbols.items():
        _check_range(program, symbol, size)
    for name, shape in shapes.items():
        _check_shape(program, name, tensors[name], tuple(shape), symbols)
    if batch is None:
        batch = symbols.get(leading, 1) if leading is not None else 1
    return Binding(symbols, batch)


def _input_tensors(program: Program) -> Iterator[tuple[str, SymbolicTensor]]:
    for each in program.inputs:
        value = program.body.values.get(each.name)
        if each.kind == "input" and isinstance(value, SymbolicTensor):
            yield each.name, value


def _shown(tensor: SymbolicTensor) -> str:
    return f"[{', '.join(str(size) if isinstance(size, int) else symbol_of(size) or '?' for size in tensor.sizes)}]"


def _solved(program: Program, name: str, tensor: SymbolicTensor, shape: Iterable[int]) -> Iterator[tuple[str, int]]:
    """The named sizes that a shape fixes."""
    field = f"shape of input {name}"
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        raise program.source.error("must be integers", field, value=shape) from None
    if any(size < 1 for size in sizes):
        raise program.source.error("must be positive sizes", field, value=sizes)
    if len(sizes) != len(tensor.sizes):
        rule = f"has {len(sizes)} axes, but the program takes {_shown(tensor)}"
        raise program.source.error(rule, field, value=sizes)
    for size, axis in zip(sizes, tensor.sizes, strict=True):
        symbol = symbol_of(axis)
        if symbol is not None:
            yield symbol, size


def _check_shape(
    program: Program, name: str, tensor: SymbolicTensor, shape: tuple[int, ...], symbols: Mapping[str, int]
) -> None:
    """Refuse a shape that differs where the program was exported with fixed or dependent sizes."""
    for index, (size, axis) in enumerate(zip(shape, tensor.sizes, strict=True)):
        try:
            fixed = evaluate(axis, symbols)
        except UnboundSizeError as error:
            raise program.source.error(f"{error} (axis {index})", f"shape of input {name}", value=shape) from None
        if fixed != size:
            names = ", ".join(sorted(symbols_of(axis)))
            why = f"{fixed}, which follows from {names}" if names else f"the {fixed} that the program was exported with"
            remedy = "give example inputs of that size, or make the axis dynamic when you export (torch.export.Dim)"
            rule = f"differs on axis {index} from {why}"
            raise program.source.error(rule, f"shape of input {name}", value=shape, remedy=remedy)


def _leading(tensors: Mapping[str, SymbolicTensor]) -> str | None:
    """The open dimension that leads the inputs, if there is exactly one."""
    found = {symbol_of(tensor.sizes[0]) for tensor in tensors.values() if tensor.sizes} - {None}
    return found.pop() if len(found) == 1 else None


def _batch(
    program: Program, tensors: Mapping[str, SymbolicTensor], given: Mapping[str, int], leading: str | None, batch: int
) -> dict[str, int]:
    """The dimension that leads the inputs, fixed to ``batch``; else some input must be of that batch already."""
    if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
        raise program.source.error("must be a whole number of 1 or more", "batch", value=batch)
    if leading is not None:
        if given.get(leading, batch) != batch:
            raise program.source.error(f"contradicts shapes, which fix it to {given[leading]}", "batch", value=batch)
        return {leading: batch}
    firsts = [tensor.sizes[0] for tensor in tensors.values() if tensor.sizes]
    if batch != 1 and batch not in [given.get(symbol_of(size) or "", size) for size in firsts]:
        shown = "; ".join(f"{name} {_shown(tensor)}" for name, tensor in tensors.items())
        remedy = "give example inputs of that batch, or make their first axis dynamic (torch.export.Dim)"
        raise program.source.error(f"fixes nothing: the inputs are {shown}", "batch", value=batch, remedy=remedy)
    return {}


def _check_range(program: Program, symbol: str, size: int) -> None:
    least, most = program.ranges.get(symbol, (None, None))
    if (least is not None and size < least) or (most is not None and size > most):
        span = f"{least if least is not None else 0} to {most if most is not None else 'any size'}"
        rule = f"is outside of the range that the program was exported for, {span}"
        raise program.source.error(rule, f"dimension {symbol}", value=size)

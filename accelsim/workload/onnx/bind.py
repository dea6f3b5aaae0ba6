"""Sizes for the dynamic axes of a model's inputs, and numbers for its scalar inputs."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from accelsim.errors import UnknownNameError, UnsupportedError
from accelsim.workload.graph import Dimension
from accelsim.workload.onnx.model import ELEMENTS, Source, TensorType, text

__all__ = ["Binding", "bind_inputs", "declared_type"]

_BATCH_LIKE = re.compile(r"(n|b|bs|(.*[_.-])?batch([_ -]?(size|dim|axis))?|num[_ -]?batch(es)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Binding:
    """The inputs of a model with nothing left open.

    Attributes:
        inputs: types of the inputs that stay inputs, in file order.
        values: the inputs that ``values`` made constants.
        symbols: sizes of the named dimensions.
        batch: samples that one execution computes.
        dimensions: the named dimensions, with where they stand.
    """

    inputs: Mapping[str, TensorType]
    values: Mapping[str, np.ndarray[Any, Any]]
    symbols: Mapping[str, int]
    batch: int
    dimensions: Mapping[str, Dimension]


@dataclass(frozen=True, slots=True)
class _Declared:
    """An input as the file declares it: an axis is a size, a name, or None; ``axes`` is None where the rank is open."""

    name: str
    element: int
    axes: tuple[int | str | None, ...] | None

    def __str__(self) -> str:
        shown = "of unknown rank" if self.axes is None else f"[{', '.join(str(axis or '?') for axis in self.axes)}]"
        return f"{self.name!r} {shown}"


def bind_inputs(
    graph: Any,
    source: Source,
    shapes: Mapping[str, tuple[int, ...]],
    values: Mapping[str, float | int],
    batch: int | None,
) -> Binding:
    """Every input of a GraphProto with its sizes fixed (arguments: see `from_onnx`).

    A dimension called batch that nothing fixes has size 1.

    Raises:
        UnknownNameError: a name that is no input.
        InputError: a wrong shape or value; else all inputs that are still open, in one message.
    """
    stored = {text(each.name) for each in graph.initializer}
    inputs = {text(each.name): _declared(each, source) for each in graph.input if text(each.name) not in stored}
    places = _places(inputs)
    _check_names(shapes, values, inputs, places, source)
    given = {name: _checked_shape(inputs[name], shape, source) for name, shape in shapes.items() if name in inputs}
    named = {name: _checked_size(name, size, source) for name, size in shapes.items() if name not in inputs}
    symbols = _symbols(inputs, given, named, source)
    if batch is not None:
        _bind_batch(inputs, symbols, given, batch, source)
    fixed = {axis for name in given for axis in inputs[name].axes or ()}
    symbols |= {name: 1 for name in places if _BATCH_LIKE.fullmatch(name) and name not in symbols and name not in fixed}
    types = {name: _bound(each, given.get(name), symbols, name in values) for name, each in inputs.items()}
    known = {name: kind for name, kind in types.items() if kind is not None}
    unbound = [each for name, each in inputs.items() if name not in known]
    if unbound:
        raise _unbound_error(unbound, symbols, source)
    constants = {name: _scalar(known[name], name, value, source) for name, value in values.items()}
    free = {name: kind for name, kind in known.items() if name not in constants}
    dimensions = {
        name: Dimension(symbols[name], axes, _BATCH_LIKE.fullmatch(name) is not None)
        for name, axes in places.items() if name in symbols
    }  # fmt: skip
    leading = [each.size for each in dimensions.values() if each.batch]
    return Binding(free, constants, symbols, batch if batch is not None else next(iter(leading), 1), dimensions)


def _check_names(
    shapes: Iterable[str], values: Iterable[str], inputs: Iterable[str], named: Iterable[str], source: Source
) -> None:
    """Shapes are of inputs and named dimensions, values of inputs."""
    allowed = {"shapes": (shapes, [*inputs, *named]), "values": (values, list(inputs))}
    for argument, (names, known) in allowed.items():
        for name in names:
            if name not in known:
                what = "input or named dimension" if argument == "shapes" and named else "input"
                raise UnknownNameError(what, name, known, file=source.file, field=argument)


def declared_type(info: Any, symbols: Mapping[str, int]) -> TensorType | None:
    """The type that a ValueInfoProto declares, or None where it leaves a size open."""
    tensor = info.type.tensor_type
    axes = _axes(tensor)
    if axes is None:
        return None
    sizes = [symbols.get(axis) if isinstance(axis, str) else axis for axis in axes]
    known = tuple(size for size in sizes if size is not None)
    return TensorType(tensor.elem_type, known) if len(known) == len(sizes) else None


def _declared(info: Any, source: Source) -> _Declared:
    name, kind = text(info.name), info.type.WhichOneof("value")
    if kind != "tensor_type":
        rule = f"is a {(kind or 'value without a type').removesuffix('_type')}; only tensors are modelled as inputs"
        raise UnsupportedError(rule, file=source.file, field=f"input {name}")
    tensor = info.type.tensor_type
    if tensor.elem_type not in ELEMENTS:
        raise source.error("is not an element type of ONNX", f"input {name}", value=tensor.elem_type)
    return _Declared(name, tensor.elem_type, _axes(tensor))


def _axes(tensor: Any) -> tuple[int | str | None, ...] | None:
    if not tensor.HasField("shape"):
        return None
    # Exporters write -1, 0 or nothing for an axis without a name.
    return tuple(d.dim_value if d.dim_value > 0 else text(d.dim_param) or None for d in tensor.shape.dim)


def _checked_shape(declared: _Declared, shape: Iterable[int], source: Source) -> tuple[int, ...]:
    field = f"shape of input {declared.name}"
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        raise source.error("must be integers", field, value=shape) from None
    if any(size < 1 for size in sizes):
        raise source.error("must be positive sizes", field, value=sizes)
    axes = declared.axes
    if axes is None:
        return sizes
    if len(sizes) != len(axes):
        raise source.error(f"has {len(sizes)} axes, but the model declares {declared}", field, value=sizes)
    for index, (size, axis) in enumerate(zip(sizes, axes, strict=True)):
        if isinstance(axis, int) and axis != size:
            remedy = "only axes shown as a name or ? can be chosen"
            rule = f"differs on axis {index} from what the model declares, {declared}"
            raise source.error(rule, field, value=sizes, remedy=remedy)
    return sizes


def _places(inputs: Mapping[str, _Declared]) -> dict[str, tuple[tuple[str, int], ...]]:
    """The (input, axis) pairs at which each named dimension stands."""
    found: dict[str, list[tuple[str, int]]] = {}
    for each in inputs.values():
        for index, axis in enumerate(each.axes or ()):
            if isinstance(axis, str):
                found.setdefault(axis, []).append((each.name, index))
    return {name: tuple(places) for name, places in found.items()}


def _checked_size(name: str, size: Iterable[int], source: Source) -> int:
    """The size of a named dimension, given as a shape of one axis."""
    sizes = tuple(size)
    if len(sizes) != 1 or isinstance(sizes[0], bool) or not isinstance(sizes[0], int | np.integer) or sizes[0] < 1:
        raise source.error("must be one size of 1 or more", f"shapes.{name}", value=size)
    return int(sizes[0])


def _symbols(
    inputs: Mapping[str, _Declared], given: Mapping[str, tuple[int, ...]], named: Mapping[str, int], source: Source
) -> dict[str, int]:
    """Sizes of named dimensions, by name or from the shapes given. A name that shapes give two sizes fixes nothing."""
    found: dict[str, set[int]] = {name: {size} for name, size in named.items()}
    for name, sizes in given.items():
        for axis, size in zip(inputs[name].axes or (), sizes, strict=False):
            if isinstance(axis, str):
                found.setdefault(axis, set()).add(size)
                if axis in named and size != named[axis]:
                    rule = f"contradicts the shape of {name!r}, which fixes it to {size}"
                    raise source.error(rule, f"shapes.{axis}", value=named[axis])
    return {symbol: sizes.pop() for symbol, sizes in found.items() if len(sizes) == 1}


def _bind_batch(
    inputs: Mapping[str, _Declared],
    symbols: dict[str, int],
    given: Mapping[str, tuple[int, ...]],
    batch: int,
    source: Source,
) -> None:
    """Fix the dimensions called batch; refuse a batch that contradicts the shapes, or that nothing in them can be."""
    if batch < 1:
        raise source.error("must be positive", "batch", value=batch)
    named = {a for each in inputs.values() for a in each.axes or () if isinstance(a, str) and _BATCH_LIKE.fullmatch(a)}
    for symbol in sorted(named):
        if symbols.setdefault(symbol, batch) != batch:
            raise source.error(f"contradicts shapes, which fix {symbol!r} to {symbols[symbol]}", "batch", value=batch)
    leading = {shape[0] for shape in given.values() if shape}
    leading |= {each.axes[0] for each in inputs.values() if each.axes and isinstance(each.axes[0], int)}
    if not named and batch != 1 and batch not in leading:
        shown = "; ".join(str(each) for each in inputs.values())
        remedy = "say where it stands with shapes (--shape NAME=SIZExSIZEx...)"
        raise source.error(f"fixes nothing: no input has a dimension called batch ({shown})", "batch", remedy=remedy)


def _bound(
    declared: _Declared, given: tuple[int, ...] | None, symbols: Mapping[str, int], scalar: bool
) -> TensorType | None:
    if given is None and declared.axes is not None:
        sizes = [symbols.get(axis) if isinstance(axis, str) else axis for axis in declared.axes]
        if scalar:  # one value: whatever is open has size 1
            sizes = [size or 1 for size in sizes]
        known = tuple(size for size in sizes if size is not None)
        given = known if len(known) == len(sizes) else None
    elif given is None and scalar:
        given = ()
    return None if given is None else TensorType(declared.element, given)


def _unbound_error(unbound: list[_Declared], symbols: Mapping[str, int], source: Source) -> Exception:
    examples = []
    for each in unbound:
        axes = each.axes if each.axes is not None else (None, 3, None, None)
        guess = [1] + [224 if len(axes) == 4 else 16] * len(axes)
        sizes = [axis if isinstance(axis, int) else guess[index] for index, axis in enumerate(axes)]
        examples.append(f"--shape {each.name}={'x'.join(map(str, sizes))}")
    names = dict.fromkeys(a for each in unbound for a in each.axes or () if isinstance(a, str) and a not in symbols)
    remedy = f"give the size of every axis, for example {' '.join(examples)}"
    if names:
        remedy += f"; named ones also alone, such as {' '.join(f'--shape {name}=16' for name in names)}"
    return source.error(f"leave sizes open: {'; '.join(map(str, unbound))}", "inputs", remedy=remedy)


def _scalar(kind: TensorType, name: str, value: float | int, source: Source) -> np.ndarray[Any, Any]:
    field = f"value of input {name}"
    if kind.elements != 1:
        rule = f"stands for one element, but the input has shape {list(kind.shape)}"
        raise source.error(rule, field, value=value)
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.element))
        if dtype.kind in "biu" and not float(value).is_integer():
            raise ValueError
        return np.full(kind.shape, value, dtype=dtype)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise source.error(f"must be a number of type {ELEMENTS[kind.element].name}", field, value=value) from None

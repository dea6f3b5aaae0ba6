"""Workload YAML of ZigZag (Mei et al., IEEE Trans. Computers 2021): a list of layers with loop sizes and an equation.

Matrix layers are told by their equation, not by their name: a loop dimension of all three operands is a group, one of
output and input only a row, of output and weight only a column, of the two operands only a reduction; dimensions that
a relation such as ``ix=2*ox+1*fx`` ties together are those of a window. Layers of the types Add and Pooling are vector
work. ``operand_source`` connects layers: a source that is the layer itself is a weight, or an input of the workload.

Bits of ``operand_precision`` become integer formats where there is one. Pooling layers do not say of which kind they
are; the work is that of an average.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from accelsim.documents import parse_yaml, text_of
from accelsim.errors import GraphError, InputError, UnsupportedError
from accelsim.numerics import FORMATS
from accelsim.workload.graph import MAX_SIZE, Graph, Role, Tensor
from accelsim.workload.ops import Conv, Elementwise, MatMul, Op, Reduce

__all__ = ["read_layers"]

_PRODUCT = re.compile(r"O((?:\[\w+\])+)\+=([A-Z])((?:\[\w+\])+)\*([A-Z])((?:\[\w+\])+)")
_SUM = re.compile(r"O((?:\[\w+\])+)=([A-Z])((?:\[\w+\])+)\+([A-Z])((?:\[\w+\])+)")
_RELATION = re.compile(r"(\w+)=(?:(\d{1,6})\*)?(\w+)\+(?:(\d{1,6})\*)?(\w+)")


@dataclass(frozen=True, slots=True)
class _Window:
    """``name`` = stride x ``out`` + dilation x ``tap``: an axis of the input under a window."""

    name: str
    stride: int
    out: str
    dilation: int
    tap: str


@dataclass(frozen=True, slots=True)
class _Layer:
    """One entry of the file with its types checked; sizes are by loop dimension in lower case."""

    id: int
    name: str
    type: str
    where: str
    equation: str
    sizes: dict[str, int]
    windows: tuple[_Window, ...]
    sources: dict[str, int]
    bits: dict[str, int]
    padding: tuple[tuple[int, int], ...] | None


def read_layers(path: Path) -> Graph:
    """The graph of a ZigZag workload file.

    Raises:
        InputError: it cannot be read, or an entry breaks a rule.
        UnsupportedError: layers that accelsim does not model; all are named.
    """
    data = _read(path)
    layers = [_layer(each, f"{path}: [{index}]") for index, each in enumerate(data)]
    unknown = [f"{each.name} ({each.type})" for each in layers if not _known(each)]
    if unknown:
        raise UnsupportedError("has layers that are neither a product of two operands, Add nor Pooling", file=path,
                               value=", ".join(unknown))  # fmt: skip
    build = _Builder()
    for layer in layers:
        build.add(layer)
    made = [op.outputs[0] for op in build.ops]
    read = {name for op in build.ops for name in op.inputs}
    outputs = tuple(name for name in made if name not in read)
    batch = max((op.batch for op in build.ops if isinstance(op, Conv)), default=1)
    return Graph(path.stem, tuple(build.ops), build.tensors, tuple(build.inputs), outputs, batch)


def _read(path: Path) -> list[Any]:
    data = parse_yaml(text_of(path), file=path)
    if not isinstance(data, list) or not data:
        raise InputError("must be a list of layers", file=path)
    return data


def _layer(data: Any, where: str) -> _Layer:
    if not isinstance(data, dict):
        raise InputError("must be a mapping of fields", file=where)
    for field in ("id", "operator_type", "equation", "loop_dims", "loop_sizes", "operand_source"):
        if field not in data:
            raise InputError("is missing", file=where, field=field)
    dims, sizes = data["loop_dims"], data["loop_sizes"]
    if not (isinstance(dims, list) and isinstance(sizes, list) and len(dims) == len(sizes) > 0):
        raise InputError("must be a list with an entry for each of loop_dims", file=where, field="loop_sizes")
    by_dim = {str(dim).lower(): _whole(size, where, "loop_sizes") for dim, size in zip(dims, sizes, strict=True)}
    relations = _list(data.get("dimension_relations"), where, "dimension_relations")
    sources = _numbers(data["operand_source"], where, "operand_source")
    bits = _numbers(data.get("operand_precision") or {}, where, "operand_precision")
    number, kind = _whole(data["id"], where, "id", least=0), str(data["operator_type"])
    padding = data.get("padding")
    pairs = None if padding is None else tuple(_pair(each, where) for each in _list(padding, where, "padding"))
    return _Layer(
        number, str(data.get("name") or f"{number}.{kind}"), kind, where, re.sub(r"\s", "", str(data["equation"])),
        by_dim, tuple(_window(each, by_dim, where) for each in relations), sources, bits, pairs,
    )  # fmt: skip


def _list(value: Any, where: str, field: str) -> list[Any]:
    if value is not None and not isinstance(value, list):
        raise InputError("must be a list", file=where, field=field)
    return value or []


def _pair(value: Any, where: str) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2:
        raise InputError("must be lists of two", file=where, field="padding")
    first, second = (_whole(each, where, "padding", least=0) for each in value)
    return first, second


def _whole(value: Any, where: str, field: str, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_SIZE:
        raise InputError(f"must be a whole number from {least} to {MAX_SIZE:.0e}", file=where, field=field,
                         value=value if isinstance(value, int | str | float) else None)  # fmt: skip
    return value


def _numbers(value: Any, where: str, field: str) -> dict[str, int]:
    if not isinstance(value, dict):
        raise InputError("must be a mapping by operand", file=where, field=field)
    return {str(key): _whole(each, where, f"{field}.{key}", least=0) for key, each in value.items()}


def _window(text: Any, sizes: dict[str, int], where: str) -> _Window:
    match = _RELATION.fullmatch(re.sub(r"\s", "", str(text)).lower())
    if match is None or match[3] not in sizes or match[5] not in sizes:
        remedy = "write such as ix=2*ox+1*fx, of loop dimensions"
        raise InputError(
            "is no relation of dimensions", file=where, field="dimension_relations", value=str(text), remedy=remedy
        )
    return _Window(match[1], int(match[2] or 1), match[3], int(match[4] or 1), match[5])


def _known(layer: _Layer) -> bool:
    if layer.type.lower().endswith("pooling"):
        return True
    return (_SUM if layer.type.lower() == "add" else _PRODUCT).fullmatch(layer.equation) is not None


def _indices(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


class _Builder:
    """Ops and tensors of the layers so far."""

    def __init__(self) -> None:
        self.ops: list[Op] = []
        self.tensors: dict[str, Tensor] = {}
        self.inputs: list[str] = []
        self.made: dict[int, str] = {}

    def add(self, layer: _Layer) -> None:
        """One more layer; its sources must stand before it."""
        if layer.id in self.made:
            raise InputError("stands twice", file=layer.where, field="id", value=layer.id)
        kind = layer.type.lower()
        op = (
            self._pooling(layer)
            if kind.endswith("pooling")
            else self._sum(layer)
            if kind == "add"
            else self._matrix(layer)
        )
        self.made[layer.id] = op.outputs[0]
        self.ops.append(op)

    def _operand(self, layer: _Layer, letter: str, shape: tuple[int, ...], role: Role = "activation") -> str:
        """The tensor that an operand reads: another layer's, else a new weight or input of ``shape``."""
        source = layer.sources.get(letter, layer.id)
        if source != layer.id:
            if source not in self.made:
                raise GraphError(
                    "is no layer before this one", file=layer.where, field=f"operand_source.{letter}", value=source
                )
            return self.made[source]
        name = f"{layer.name}.{'weight' if role == 'weight' else letter.lower()}"
        self._tensor(name, shape, role, layer.bits.get(letter))
        if role != "weight":
            self.inputs.append(name)
        return name

    def _tensor(self, name: str, shape: tuple[int, ...], role: Role, bits: int | None) -> str:
        stored = f"int{bits}" if bits is not None and f"int{bits}" in FORMATS else None
        self.tensors[name] = Tensor(name, shape, role, stored)
        return name

    def _output(self, layer: _Layer, shape: tuple[int, ...]) -> str:
        bits = layer.bits.get("O_final", layer.bits.get("O"))
        return self._tensor(f"{layer.name}.output", shape, "activation", bits)

    def _matrix(self, layer: _Layer) -> Op:
        match = _PRODUCT.fullmatch(layer.equation)
        assert match is not None
        letters = {match[2]: _indices(match[3]), match[4]: _indices(match[5])}
        windowed = {window.name: window for window in layer.windows}
        out = _indices(match[1])
        # The left operand of a product is the one with the window, else the one called I, else the first.
        read = next(
            (each for each, axes in letters.items() if windowed.keys() & set(axes)), "I" if "I" in letters else match[2]
        )
        weight = next(each for each in letters if each != read)
        for axes in (out, letters[weight]):
            _check_axes(axes, layer, set())
        _check_axes(letters[read], layer, set(windowed))
        if windowed.keys() & set(letters[read]):
            return self._conv(layer, out, read, letters[read], weight, letters[weight])
        return self._product(layer, out, read, letters[read], weight, letters[weight])

    def _product(
        self, layer: _Layer, out: list[str], read: str, left: list[str], weight: str, right: list[str]
    ) -> Op:  # fmt: skip
        groups, m, n, k = _roles(layer.sizes, set(out), set(left), set(right))
        shapes = [tuple(layer.sizes[axis] for axis in axes) for axes in (left, right, out)]
        inputs = (self._operand(layer, read, shapes[0]), self._operand(layer, weight, shapes[1], "weight"))
        made = self._output(layer, shapes[2])
        return MatMul(name=layer.name, inputs=inputs, outputs=(made,), label=layer.type, groups=groups, m=m, n=n, k=k)

    def _conv(
        self, layer: _Layer, out: list[str], read: str, left: list[str], weight: str, right: list[str]
    ) -> Op:  # fmt: skip
        windows = [next(each for each in layer.windows if each.name == axis) for axis in left
                   if any(each.name == axis for each in layer.windows)]  # fmt: skip
        spatial = {each for window in windows for each in (window.out, window.tap)}
        plain = {axis: size for axis, size in layer.sizes.items() if axis not in spatial}
        groups, batch, filters, channels = _roles(plain, set(out), set(left), set(right))
        needed = tuple(
            window.stride * (layer.sizes[window.out] - 1) + window.dilation * (layer.sizes[window.tap] - 1) + 1
            for window in windows
        )
        stated = layer.padding or ((0, 0),) * len(windows)
        own = (batch, groups * channels, *(max(1, n - sum(p)) for n, p in zip(needed, stated, strict=True)))
        source = self._operand(layer, read, own)
        size = self._read_size(layer, source, batch * groups * channels, len(windows))
        beyond = [max(0, need - side) for need, side in zip(needed, size, strict=True)]
        padding = (*(each // 2 for each in beyond), *(each - each // 2 for each in beyond))
        kernel = tuple(layer.sizes[window.tap] for window in windows)
        out_size = tuple(layer.sizes[window.out] for window in windows)
        inputs = (source, self._operand(layer, weight, (groups * filters, channels, *kernel), "weight"))
        return Conv(
            name=layer.name, inputs=inputs, outputs=(self._output(layer, (batch, groups * filters, *out_size)),),
            label=layer.type, batch=batch, in_channels=groups * channels, out_channels=groups * filters,
            input_size=size, output_size=out_size, kernel=kernel, stride=tuple(window.stride for window in windows),
            padding=padding, dilation=tuple(window.dilation for window in windows), groups=groups,
        )  # fmt: skip

    def _read_size(self, layer: _Layer, source: str, channels: int, axes: int) -> tuple[int, ...]:
        """The image that a convolution reads, without its padding."""
        shape = self.tensors[source].shape
        if len(shape) < axes or prod(shape[: len(shape) - axes]) != channels:
            rule = f"has not the {channels} channels (times batch) that this layer reads"
            raise GraphError(rule, file=layer.where, field=source, value=shape)
        return shape[len(shape) - axes :]

    def _sum(self, layer: _Layer) -> Op:
        match = _SUM.fullmatch(layer.equation)
        assert match is not None
        _check_axes(_indices(match[1]), layer, set())
        shape = tuple(layer.sizes[axis] for axis in _indices(match[1]))
        inputs = tuple(self._operand(layer, letter, shape) for letter in (match[2], match[4]))
        for name in inputs:
            if self.tensors[name].elements != prod(shape):
                raise GraphError(f"has not the shape {shape} of the sum", file=layer.where, field=name,
                                 value=self.tensors[name].shape)  # fmt: skip
        made = self._output(layer, shape)
        return Elementwise(
            name=layer.name, inputs=inputs, outputs=(made,), label=layer.type, function="add", elements=prod(shape)
        )

    def _pooling(self, layer: _Layer) -> Op:
        axes = _indices(layer.equation.partition("]+=")[0].partition("=")[0])[1:]
        _check_axes(axes, layer, set())
        shape = tuple(layer.sizes[axis] for axis in axes)
        made = self._output(layer, shape)
        source = self._operand(layer, "I", shape)
        return Reduce(
            name=layer.name, inputs=(source,), outputs=(made,), label=layer.type, function="average_pool",
            elements=prod(layer.sizes.values()),
        )  # fmt: skip


def _check_axes(axes: list[str], layer: _Layer, derived: set[str]) -> None:
    for axis in axes:
        if axis not in layer.sizes and axis not in derived:
            raise InputError(f"has the index {axis!r}, which is no loop dimension", file=layer.where, field="equation",
                             value=layer.equation)  # fmt: skip


# Whether a dimension is in the output, in the left and in the right operand -> its role.
_PLACES = {(True, True, True): 0, (True, True, False): 1, (True, False, True): 2, (False, True, True): 3}


def _roles(sizes: dict[str, int], out: set[str], left: set[str], right: set[str]) -> tuple[int, int, int, int]:
    """Products of the sizes: groups (in all), m (not in the right), n (not in the left), k (not in the output)."""
    found = [1, 1, 1, 1]
    for axis, size in sizes.items():
        place = _PLACES.get((axis in out, axis in left, axis in right))
        if place is not None:
            found[place] *= size
        elif size > 1:
            rule = "sums or repeats a dimension that a product does not have"
            raise UnsupportedError(rule, field="equation", value=axis)
    return found[0], found[1], found[2], found[3]

"""Sequences of tensors whose lengths are known: they are taken apart, so that only their tensors are left."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx

from accelsim.errors import UnsupportedError
from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.constants import MAX_FOLDED_ELEMENTS, array_constant
from accelsim.workload.onnx.model import TensorType, text
from accelsim.workload.onnx.names import Scope
from accelsim.workload.onnx.walk import Walk, controls

__all__ = ["stacked"]

_MAX_PARTS = 10_000


class _Place:
    """One node on sequences and where it stands."""

    def __init__(self, walk: Walk, proto: Any, scope: Scope, prefix: str) -> None:
        self.walk, self.proto, self.scope, self.prefix = walk, proto, scope, prefix
        self.name = walk.names.node(text(proto.name), text(proto.op_type), prefix)
        self.where = f"node {self.name!r} (ai.onnx::{text(proto.op_type)})"
        self.inputs = [walk.names.look_up(text(each), scope, self.where) for each in proto.input]
        self.attributes = Attributes(proto)

    def sequence(self) -> tuple[str, ...]:
        name = self.inputs[0] if self.inputs else ""
        if name not in self.walk.sequences:
            rule = f"reads {name!r}, which is not a sequence whose length is known"
            raise UnsupportedError(rule, file=self.walk.source.file, field=self.where)
        return self.walk.sequences[name]

    def position(self, place: int, length: int, default: int, last: int) -> int:
        """The index at input ``place``, counted from the front; at most ``last``."""
        if place >= len(self.inputs) or not self.inputs[place]:
            return default
        value = self.walk.known_value(self.inputs[place])
        if value is None or value.size != 1:
            rule = f"takes its place from {self.inputs[place]!r}, which depends on data that is known only at run time"
            raise UnsupportedError(rule, file=self.walk.source.file, field=self.where)
        index = int(value.reshape(-1)[0])
        index += length if index < 0 else 0
        if not 0 <= index <= last:
            raise self.walk.source.error(f"is outside of a sequence of {length}", self.where, value=int(value))
        return index

    def make(self, parts: tuple[str, ...]) -> None:
        """The node's output is the sequence of ``parts``."""
        self.walk.sequences[self.walk.names.declare(text(self.proto.output[0]), self.scope, self.prefix)] = parts


@controls("SequenceEmpty", "SequenceConstruct", "SequenceInsert", "SequenceErase")
def _build(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    del needed
    place, op_type = _Place(walk, proto, scope, prefix), text(proto.op_type)
    if op_type in ("SequenceEmpty", "SequenceConstruct"):
        place.make(tuple(place.inputs))
        return
    parts = list(place.sequence())
    if op_type == "SequenceInsert":
        if len(place.inputs) < 2 or len(parts) >= _MAX_PARTS:
            raise walk.source.error(f"needs a tensor to insert, and at most {_MAX_PARTS} before it", place.where)
        parts.insert(place.position(2, len(parts), len(parts), len(parts)), place.inputs[1])
    else:
        del parts[place.position(1, len(parts), len(parts) - 1, len(parts) - 1)]
    place.make(tuple(parts))


@controls("SequenceAt", "SequenceLength")
def _read(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    del needed
    place = _Place(walk, proto, scope, prefix)
    parts, outer = place.sequence(), text(proto.output[0])
    if text(proto.op_type) == "SequenceLength":
        name = walk.names.declare(outer, scope, prefix)
        walk.add_constant(name, array_constant(name, np.array(len(parts), dtype=np.int64)))
        return
    walk.alias(parts[place.position(1, len(parts), 0, len(parts) - 1)], outer, scope, prefix, place.name)


@controls("SplitToSequence")
def _split(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    """Parts of one size, of the sizes given, or of size 1 (then without the axis unless ``keepdims``)."""
    del needed
    place = _Place(walk, proto, scope, prefix)
    source = place.inputs[0]
    walk.check_typed(source, place.where)
    kind = walk.types[source]
    axis = place.attributes.integer("axis", 0)
    if not kind.shape or not -len(kind.shape) <= axis < len(kind.shape):
        raise walk.source.error("splits an axis that its input lacks", place.where, value=axis)
    axis %= len(kind.shape)
    sizes = _part_sizes(place, kind.shape[axis])
    single = len(place.inputs) < 2 or not place.inputs[1]
    drop = single and not place.attributes.integer("keepdims", 1)
    head, tail = kind.shape[:axis], kind.shape[axis + 1 :]
    outer = text(proto.output[0])
    names = [walk.names.declare(f"{outer}[{index}]", scope, prefix) for index in range(len(sizes))]
    for name, size in zip(names, sizes, strict=True):
        walk.types[name] = TensorType(kind.element, (*head, *tail) if drop else (*head, size, *tail))
    walk.append(walk.made("SplitToSequence", place.name, place.inputs[:1], names))
    place.make(tuple(names))


def _part_sizes(place: _Place, size: int) -> list[int]:
    value = np.array(1)
    if len(place.inputs) > 1 and place.inputs[1]:
        found = place.walk.known_value(place.inputs[1])
        if found is None:
            rule = f"splits by {place.inputs[1]!r}, which depends on data that is known only at run time"
            raise UnsupportedError(rule, file=place.walk.source.file, field=place.where)
        value = found
    if value.ndim:
        sizes = [int(each) for each in value.reshape(-1)]
    else:
        each = int(value)
        if each < 1 or size // each > _MAX_PARTS:
            raise place.walk.source.error(f"makes parts of {each} from {size}", place.where)
        sizes = [each] * (size // each) + ([size % each] if size % each else [])
    if min(sizes, default=0) < 1 or sum(sizes) != size:
        raise place.walk.source.error(f"makes parts of {sizes[:10]} from {size}", place.where)
    return sizes


@controls("ConcatFromSequence")
def _join(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    del needed
    place = _Place(walk, proto, scope, prefix)
    axis, new = place.attributes.integer("axis", 0), bool(place.attributes.integer("new_axis", 0))
    name = walk.names.declare(text(proto.output[0]), scope, prefix)
    stacked(walk, place.sequence(), name, axis, place.where, new_axis=new)


def stacked(walk: Walk, parts: tuple[str, ...], name: str, axis: int, where: str, *, new_axis: bool) -> None:
    """The tensor ``name``: all ``parts`` along an axis, or along a new one."""
    for part in parts:
        walk.check_typed(part, where)
    kinds = [walk.types[part] for part in parts]
    ranks = {len(kind.shape) for kind in kinds}
    rank = ranks.pop() + new_axis if len(ranks) == 1 else 0
    if not rank or not -rank <= axis < rank:
        raise walk.source.error(f"joins {len(parts)} tensors along an axis that they lack", where, value=axis)
    axis %= rank
    shapes = [(*kind.shape[:axis], 1, *kind.shape[axis:]) if new_axis else kind.shape for kind in kinds]
    if len({(*shape[:axis], *shape[axis + 1 :]) for shape in shapes}) != 1:
        raise walk.source.error("joins tensors of different shapes", where, value=[list(each) for each in shapes[:4]])
    total = sum(shape[axis] for shape in shapes)
    small = sum(kind.elements for kind in kinds) <= MAX_FOLDED_ELEMENTS
    values = [walk.known_value(part) if small else None for part in parts]
    known = [value for value in values if value is not None]
    if len(known) == len(values):
        joined = np.stack(known, axis) if new_axis else np.concatenate(known, axis)
        walk.add_constant(name, array_constant(name, joined))
        return
    walk.types[name] = TensorType(kinds[0].element, (*shapes[0][:axis], total, *shapes[0][axis + 1 :]))
    proto = onnx.helper.make_node("ConcatFromSequence", parts, [name], axis=axis, new_axis=int(new_axis))
    walk.append(walk.made("ConcatFromSequence", name, parts, (name,), proto))

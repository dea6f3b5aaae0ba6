"""Designs as an Arrow table: a row a design, columns for axes, metrics and what stands in the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accelsim.study.sweep.axes import Axis, shown
from accelsim.study.sweep.designs import STATUSES, Table
from accelsim.study.sweep.space import Space

__all__ = ["DESIGN", "SCHEMA_VERSION", "arrow_table", "schema_of"]

SCHEMA_VERSION = 1
"""Of the data set; another one is not read."""

DESIGN = "design"
_WORDS = pa.dictionary(pa.int32(), pa.string())


def schema_of(space: Space, metrics: tuple[str, ...]) -> pa.Schema:
    """Columns of the data set: ``design``, the axes, the metrics, ``status``, ``limit`` and ``reason``."""
    fields = [pa.field(DESIGN, pa.int64(), nullable=False)]
    fields += [pa.field(axis.name, _type(axis)) for axis in space.axes]
    fields += [pa.field(name, pa.float64()) for name in metrics]
    fields += [pa.field(name, _WORDS) for name in ("status", "limit", "reason")]
    return pa.schema(fields)


def _type(axis: Axis) -> pa.DataType:
    if axis.continuous:
        return pa.float64()
    kinds = {type(value) for value in axis.values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds == {int}:
        return pa.int64()
    return pa.float64() if kinds <= {int, float} else _WORDS


def arrow_table(
    space: Space, schema: pa.Schema, first: int, coordinates: NDArray[np.float64], found: Table
) -> pa.Table:
    """The rows of consecutive designs, numbered from ``first``."""
    arrays: list[Any] = [_array(np.arange(first, first + len(coordinates), dtype=np.int64))]
    for position, axis in enumerate(space.axes):
        arrays.append(_axis_array(axis, coordinates[:, position], schema.field(axis.name).type))
    for field in schema:
        if field.name in found.metrics:
            column = found.metrics[field.name]
            arrays.append(_array(column, np.isnan(column)))
    arrays.append(pa.DictionaryArray.from_arrays(_array(found.status.astype(np.int32)), pa.array(STATUSES)))
    arrays += [_words(found.limit), _words(found.reason)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _axis_array(axis: Axis, coordinates: NDArray[np.float64], kind: pa.DataType) -> Any:
    absent = np.isnan(coordinates)
    if axis.continuous:
        return _array(coordinates, absent)
    index = _array(np.where(absent, 0, coordinates).astype(np.int32), absent)
    values = [shown(value) for value in axis.values] if pa.types.is_dictionary(kind) else list(axis.values)
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    listed = pa.DictionaryArray.from_arrays(index, pa.array(values, plain))
    return listed if pa.types.is_dictionary(kind) else listed.cast(kind)


def _words(column: NDArray[np.object_]) -> Any:
    """Text as a dictionary; empty text is null."""
    if not any(column):
        return pa.DictionaryArray.from_arrays(pa.nulls(len(column), pa.int32()), pa.array([], pa.string()))
    index: dict[str, int] = {}
    codes = np.fromiter((index.setdefault(word, len(index)) for word in column), dtype=np.int32, count=len(column))
    absent = codes == index.get("", -1)
    return pa.DictionaryArray.from_arrays(_array(codes, absent), pa.array(list(index), pa.string()))


def _array(values: NDArray[Any], absent: NDArray[np.bool_] | None = None) -> pa.Array:
    """An Arrow array of numbers, null where ``absent``: `pyarrow.array` of NumPy's would load pandas first."""
    present = None if absent is None else pa.py_buffer(np.packbits(~absent, bitorder="little"))
    content = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [present, content])

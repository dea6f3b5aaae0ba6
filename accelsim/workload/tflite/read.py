"""From bytes to plain records. Every count is checked against the size of the file before it is believed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from math import prod
from pathlib import Path
from typing import Any

from accelsim.errors import InputError
from accelsim.workload.graph import MAX_SIZE, Sparsity

__all__ = ["Model", "Operator", "Stored", "Subgraph", "read_model"]

MAX_FILE_BYTES = 1 << 31
_IDENTIFIER = b"TFL3"
_MOST_NAME = 4096

# What the flatbuffer accessors raise on offsets that lead nowhere.
_CORRUPT = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError, KeyError)

# Element types by number in the schema: (name, bytes).
_TYPES: dict[int, tuple[str, float]] = {
    0: ("float32", 4), 1: ("float16", 2), 2: ("int32", 4), 3: ("uint8", 1), 4: ("int64", 8), 5: ("string", 0),
    6: ("bool", 1), 7: ("int16", 2), 8: ("complex64", 8), 9: ("int8", 1), 10: ("float64", 8), 11: ("complex128", 16),
    12: ("uint64", 8), 13: ("resource", 0), 14: ("variant", 0), 15: ("uint32", 4), 16: ("uint16", 2), 17: ("int4", 0.5),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor of the file; ``stored_bytes`` are those of its constant, 0 where it has none."""

    name: str
    shape: tuple[int, ...]
    type: str
    stored_bytes: int = 0
    variable: bool = False
    sparsity: Sparsity | None = None

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator: its builtin name (or the custom one), tensor indices (-1: left out), and its options.

    ``options(schema class, fields...)`` are the numbers of those fields; None where the operator states no options.
    """

    kind: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Callable[..., tuple[int, ...] | None]


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Tensors and operators that belong together."""

    tensors: tuple[Stored, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A whole file; the first subgraph is the one that runs."""

    file: Path
    subgraphs: tuple[Subgraph, ...]


def read_model(path: Path) -> Model:
    """The records of a TFLite file.

    Raises:
        InputError: no such file, not a TFLite model, truncated or corrupt; or the extra ``tflite`` is not installed.
    """
    schema = _schema()
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise InputError(f"is larger than {MAX_FILE_BYTES} bytes", file=path)
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})", file=path) from None
    if len(content) < 8 or content[4:8] != _IDENTIFIER:
        raise InputError(f"is no TFLite model: bytes 4 to 8 are not {_IDENTIFIER.decode()}", file=path)
    try:
        return _Reader(path, content, schema).model()
    except InputError:
        raise
    except _CORRUPT as error:
        raise InputError(f"is corrupt ({type(error).__name__}: {str(error)[:80]})", file=path) from None


def _schema() -> Any:
    try:
        return import_module("tflite")
    except ImportError:
        raise InputError(
            "needs the extra tflite", field="TFLite models", remedy="pip install 'accelsim[tflite]'"
        ) from None


class _Reader:
    """Walks one flatbuffer. ``budget`` bounds all that is ever read, since tables of a corrupt file may share data."""

    def __init__(self, path: Path, content: bytes, schema: Any) -> None:
        self.path, self.content, self.schema = path, content, schema
        self.budget = 4 * len(content) + 4096
        names = vars(schema.BuiltinOperator)
        self.builtin = {code: name for name, code in names.items() if isinstance(code, int)}

    def error(self, rule: str, field: str) -> InputError:
        return InputError(rule, file=self.path, field=field)

    def count(self, found: int, what: str) -> range:
        """The indices of a vector of ``found`` entries, if the file could hold that many."""
        self.budget -= max(found, 0)
        if not 0 <= found <= len(self.content) // 4 + 1 or self.budget < 0:
            raise self.error(f"is corrupt: it claims {found:,} of them", what)
        return range(found)

    def model(self) -> Model:
        root = self.schema.Model.GetRootAsModel(self.content, 0)
        codes = [self._code(root.OperatorCodes(i)) for i in self.count(root.OperatorCodesLength(), "operator codes")]
        sizes = [self._buffer(root.Buffers(i)) for i in self.count(root.BuffersLength(), "buffers")]
        graphs = [self._subgraph(root.Subgraphs(i), i, codes, sizes)
                  for i in self.count(root.SubgraphsLength(), "subgraphs")]  # fmt: skip
        if not graphs:
            raise self.error("is no TFLite model: it has none", "subgraphs")
        return Model(self.path, tuple(graphs))

    def _code(self, code: Any) -> tuple[str, bool]:
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = self.builtin.get(number, f"builtin {number}")
        if name != "CUSTOM":
            return name, False
        custom = code.CustomCode()
        return (self._text(custom) if custom else "CUSTOM"), True

    def _buffer(self, buffer: Any) -> int:
        """Bytes of a buffer, inside of the flatbuffer or behind it."""
        inside = buffer.DataLength() if hasattr(buffer, "DataLength") else 0
        outside = buffer.Size() if hasattr(buffer, "Size") and buffer.Offset() > 1 else 0
        size = int(max(inside, outside))
        if not 0 <= size <= len(self.content):
            raise self.error(f"is corrupt: one claims {size:,} bytes", "buffers")
        return size

    def _subgraph(self, graph: Any, number: int, codes: list[tuple[str, bool]], sizes: list[int]) -> Subgraph:
        tensors = tuple(
            self._tensor(graph.Tensors(i), f"subgraph {number}, tensor {i}", sizes)
            for i in self.count(graph.TensorsLength(), "tensors")
        )
        inputs = self._indices(graph.Inputs, graph.InputsLength(), len(tensors))
        outputs = self._indices(graph.Outputs, graph.OutputsLength(), len(tensors))
        operators = tuple(
            self._operator(graph.Operators(i), codes, len(tensors))
            for i in self.count(graph.OperatorsLength(), "operators")
        )
        return Subgraph(tensors, operators, inputs, outputs)

    def _indices(self, get: Callable[[int], int], length: int, tensors: int) -> tuple[int, ...]:
        found = tuple(int(get(i)) for i in self.count(length, "tensor indices"))
        if any(not -1 <= index < tensors for index in found):
            raise self.error(f"is corrupt: one of {found[:8]} is not among the {tensors} tensors", "tensor indices")
        return found

    def _operator(self, operator: Any, codes: list[tuple[str, bool]], tensors: int) -> Operator:
        code = operator.OpcodeIndex()
        if not 0 <= code < len(codes):
            raise self.error(f"is corrupt: {code} is not among {len(codes)}", "operator codes")
        kind, custom = codes[code]
        inputs = self._indices(operator.Inputs, operator.InputsLength(), tensors)
        outputs = self._indices(operator.Outputs, operator.OutputsLength(), tensors)
        if -1 in outputs:
            raise self.error("is corrupt: it leaves out a result", f"operator {kind}")
        return Operator(kind, custom, inputs, outputs, lambda name, *fields: self._options(operator, name, fields))

    def _options(self, operator: Any, name: str, fields: tuple[str, ...]) -> tuple[int, ...] | None:
        try:
            table = operator.BuiltinOptions()
            if table is None:
                return None
            if operator.BuiltinOptionsType() != getattr(self.schema.BuiltinOptions, name):
                raise self.error(f"is corrupt: its options are not {name}", "operators")
            made = getattr(self.schema, name)()
            made.Init(table.Bytes, table.Pos)
            return tuple(int(getattr(made, field)()) for field in fields)
        except _CORRUPT as error:
            raise self.error(f"is corrupt ({type(error).__name__})", name) from None

    def _tensor(self, tensor: Any, where: str, sizes: list[int]) -> Stored:
        shape = tuple(int(tensor.Shape(i)) for i in self.count(tensor.ShapeLength(), where))
        if any(not 0 <= size <= MAX_SIZE for size in shape):
            raise self.error(f"is corrupt: its shape is {shape[:8]}", where)
        if tensor.Type() not in _TYPES:
            raise self.error(f"has the type {tensor.Type()}, which accelsim does not know", where)
        kind, width = _TYPES[tensor.Type()]
        buffer = tensor.Buffer()
        if not 0 <= buffer < max(1, len(sizes)):
            raise self.error(f"is corrupt: it names buffer {buffer} of {len(sizes)}", where)
        stored = sizes[buffer] if sizes and buffer else 0
        name = tensor.Name()
        sparse = self._sparsity(tensor, shape, stored, width, where)
        if stored and sparse is None and width and kind != "string" and stored < int(prod(shape) * width):
            raise self.error(f"is corrupt: {stored} bytes do not hold its shape {shape[:8]}", where)
        return Stored(self._text(name) if name else "", shape, kind, stored, bool(tensor.IsVariable()), sparse)

    def _sparsity(self, tensor: Any, shape: tuple[int, ...], stored: int, width: float, where: str) -> Sparsity | None:
        """Zeros of a tensor that is stored sparse: the elements that its buffer does not hold."""
        found = tensor.Sparsity()
        if found is None or not stored or not width:
            return None
        held = int(stored // width)
        if held > prod(shape):
            raise self.error(f"is corrupt: it stores {held:,} values of {prod(shape):,}", where)
        blocks = self.count(found.BlockMapLength(), where)
        ranks = self.count(found.DimMetadataLength(), where)
        sizes = [found.DimMetadata(i).DenseSize() for i in ranks[len(shape) :]]
        pattern = f"block {'x'.join(map(str, sizes))}" if len(blocks) else "unstructured"
        return Sparsity(pattern, prod(shape) - held)

    def _text(self, value: bytes) -> str:
        return "".join(
            letter if letter.isprintable() else "?" for letter in value[:_MOST_NAME].decode("utf-8", "replace")
        )

"""Constants of a model, and the few operators whose results on constants shapes depend on.

A constant is a type and a promise: its value is read or computed only when something asks, which for weights is
never. So importing costs the same whatever the weights weigh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.reference

from accelsim.workload.onnx.model import ELEMENTS, Node, Source, TensorType, text

__all__ = [
    "MAX_FOLDED_ELEMENTS",
    "ROOTED",
    "Constant",
    "Fold",
    "array_constant",
    "external_bytes",
    "sparse_constant",
    "stored_constant",
]

Array = np.ndarray[Any, Any]

MAX_FOLDED_ELEMENTS = 1_000_000

# Operators through which a weight is still the tensor that the file stores.
ROOTED = frozenset(
    {"Transpose", "Reshape", "Cast", "Squeeze", "Unsqueeze", "Flatten", "Identity", "DequantizeLinear",
     "Quant", "IntQuant", "BipolarQuant", "Trunc", "FloatQuant"}
)  # fmt: skip

# Operators behind which rows of a table are still rows of that table.
_TAKE_ROWS = frozenset({"Expand", "Slice", "Split"})

# Operators that are evaluated on constants. All cost at most a few passes over their inputs and outputs, so the
# limit on elements bounds the work that a hostile file can cause; what is not here has a type and no value.
EVALUATED = {
    "Abs", "Add", "And", "ArgMax", "ArgMin", "Cast", "Ceil", "Clip", "Compress", "Concat", "ConstantOfShape",
    "CumSum", "Div", "Equal", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Greater",
    "GreaterOrEqual", "Identity", "Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "NonZero", "Not",
    "OneHot", "Or", "Pad", "Pow", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "Reshape", "Round", "ScatterElements", "ScatterND", "Shape", "Sign", "Size", "Slice", "Split",
    "Sqrt", "Squeeze", "Sub", "Sum", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that no input can change.

    Attributes:
        type: element type and shape.
        root: the stored tensor that this one is counted as, and its type there: itself, or what it was reached
            from through `ROOTED` operators.
        table: the stored tensor whose rows it is, and its type, where a Gather took them.
        load: computes the value; None where it is too large or not computable here.
        depth: how many constants deep the computation is.
    """

    type: TensorType
    root: str
    root_type: TensorType
    load: Callable[[], Array | None]
    depth: int = 0
    table: tuple[str, TensorType] | None = None

    @cached_property
    def value(self) -> Array | None:
        return self.load()

    @cached_property
    def proto(self) -> Any:
        """The value as a TensorProto, or None where there is no value."""
        return None if self.value is None else onnx.numpy_helper.from_array(self.value)


@dataclass(frozen=True, eq=False)
class Fold:
    """A node of constants only; its results are computed together, once, when one is asked for."""

    node: Node
    inputs: tuple[Constant | None, ...]
    opsets: Mapping[str, int]

    @cached_property
    def results(self) -> tuple[Array | None, ...]:
        nothing = (None,) * len(self.node.outputs)
        if self.node.op_type not in EVALUATED or self.node.domain:
            return nothing
        values: list[Array | None] = [each.value if each else None for each in self.inputs]
        if any(each is not None and value is None for each, value in zip(self.inputs, values, strict=True)):
            return nothing
        try:
            return _evaluate(self.node.proto, values, self.opsets)
        except Exception:  # the evaluator raises whatever NumPy does; without a value, the asker names the node
            return nothing

    @property
    def depth(self) -> int:
        return 1 + max((each.depth for each in self.inputs if each), default=0)

    def result(self, index: int) -> Array | None:
        return self.results[index] if index < len(self.results) else None

    def constant(self, index: int, kind: TensorType) -> Constant:
        """The output at ``index``, whose type is known to be ``kind``."""
        first = self.inputs[0] if self.inputs else None
        name = self.node.outputs[index]
        root, root_type, table = name, kind, None
        if first is not None and self.node.op_type in ROOTED:
            root, root_type, table = first.root, first.root_type, first.table
        elif first is not None and self.node.op_type == "Gather":
            table = first.table or (first.root, first.root_type)
        elif first is not None and self.node.op_type in _TAKE_ROWS:
            table = first.table
        small = kind.elements <= MAX_FOLDED_ELEMENTS
        return Constant(kind, root, root_type, (lambda: self.result(index)) if small else _nothing, self.depth, table)


def _nothing() -> None:
    """The value of a constant that is too large to be computed."""


def array_constant(name: str, value: Array) -> Constant:
    """A constant whose value is at hand."""
    element = onnx.helper.np_dtype_to_tensor_dtype(value.dtype)
    kind = TensorType(int(element), value.shape)
    return Constant(kind, name, kind, lambda: value)


def stored_constant(name: str, tensor: Any, source: Source) -> Constant:
    """A TensorProto of the file, after a check that it stores as much as it says."""
    field = f"tensor {name}"
    if tensor.data_type not in ELEMENTS:
        raise source.error("is not an element type of ONNX", field, value=tensor.data_type)
    if any(size < 0 for size in tensor.dims):
        raise source.error("has a negative size", field, value=list(tensor.dims))
    kind = TensorType(tensor.data_type, tuple(tensor.dims))
    external = tensor.data_location == onnx.TensorProto.EXTERNAL
    if external:
        _external_path(tensor, field, source)
    else:
        _check_stored_size(tensor, kind, field, source)

    def load() -> Array | None:
        if kind.elements > MAX_FOLDED_ELEMENTS:
            return None
        try:
            whole = _with_external_data(tensor, source) if external else tensor
            return np.asarray(onnx.numpy_helper.to_array(whole))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise source.error(f"cannot be read ({error})", field) from error

    return Constant(kind, name, kind, load)


def sparse_constant(name: str, stored: Any, source: Source) -> Constant:
    """A SparseTensorProto, typed by its dense shape; its value is never needed."""
    if stored.values.data_type not in ELEMENTS or any(size < 0 for size in stored.dims):
        raise source.error("is not a sparse tensor of ONNX", f"tensor {name}")
    kind = TensorType(stored.values.data_type, tuple(stored.dims))
    return Constant(kind, name, kind, lambda: None)


def _check_stored_size(tensor: Any, kind: TensorType, field: str, source: Source) -> None:
    bits = ELEMENTS[kind.element].bits
    if tensor.HasField("raw_data"):
        needed, stored = (kind.elements * bits + 7) // 8, len(tensor.raw_data)
        if bits and stored != needed:
            raise source.error(f"stores {stored} bytes where its shape {list(kind.shape)} needs {needed}", field)
        return
    fields = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
    stored = max(len(getattr(tensor, each)) for each in fields)
    per_value = 8 // bits if 0 < bits < 8 else 1  # small integers may be packed
    if stored * per_value < kind.elements:
        raise source.error(f"stores {stored} values where its shape {list(kind.shape)} needs {kind.elements}", field)


def _external_path(tensor: Any, field: str, source: Source) -> Any:
    """Where a tensor's external data lies; refused outside the model's folder, symbolic links followed."""
    entries = {text(entry.key): text(entry.value) for entry in tensor.external_data}
    location = entries.get("location", "")
    if not location or "\0" in location:
        raise source.error("names no file for its external data", field)
    path = (source.folder / location).resolve()
    if not path.is_relative_to(source.folder):
        raise source.error("keeps its external data outside the model's folder", field, value=location)
    return path


def external_bytes(tensor: Any, source: Source) -> bytes:
    """The bytes of a TensorProto that a file beside the model holds."""
    field = f"tensor {text(tensor.name)}"
    kind = TensorType(tensor.data_type, tuple(tensor.dims))
    path = _external_path(tensor, field, source)
    entries = {text(entry.key): text(entry.value) for entry in tensor.external_data}
    needed = (kind.elements * ELEMENTS[kind.element].bits + 7) // 8
    try:
        if not path.is_file():
            raise source.error("is missing, and a shape depends on it", field, value=path.name)
        with path.open("rb") as file:
            file.seek(int(entries.get("offset", 0)))
            data = bytes(file.read(needed))
    except (OSError, ValueError, OverflowError) as error:
        raise source.error(f"cannot be read from {path.name} ({error})", field) from error
    if len(data) != needed:
        raise source.error(f"finds {len(data)} of its {needed} bytes in {path.name}", field)
    return data


def _with_external_data(tensor: Any, source: Source) -> Any:
    return onnx.TensorProto(dims=tensor.dims, data_type=tensor.data_type, raw_data=external_bytes(tensor, source))


def _evaluate(proto: Any, values: list[Array | None], opsets: Mapping[str, int]) -> tuple[Array | None, ...]:
    """The outputs of a standard operator on ``values``, one for each of its inputs (None: omitted)."""
    names = [name for name in proto.input if name]
    outputs = [name for name in proto.output if name]
    imports = [onnx.helper.make_opsetid("", opsets[""])]
    function = onnx.helper.make_function("accelsim", "fold", list(dict.fromkeys(names)), outputs, [proto], imports)
    feeds = {name: value for name, value in zip(proto.input, values, strict=True) if name}
    with np.errstate(all="ignore"):
        found = onnx.reference.ReferenceEvaluator(function).run(None, feeds, attributes={})
    made = {name: np.asarray(value) for name, value in zip(outputs, found, strict=True)}  # some come as NumPy scalars
    return tuple(made.get(name) for name in proto.output)

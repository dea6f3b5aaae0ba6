"""Output types of one node, by the shape inference of the onnx package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx
import onnx.defs
import onnx.shape_inference

from accelsim.errors import UnsupportedError
from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.constants import Constant
from accelsim.workload.onnx.contrib import contrib_types, known_contrib
from accelsim.workload.onnx.model import ELEMENTS, Node, Source, TensorType, text

__all__ = ["infer_types", "known_operator"]

# Function operators for which the onnx package infers no shape; all give the type of their first input.
_TYPE_OF_FIRST = frozenset({"GroupNormalization", "MeanVarianceNormalization"})

# Shapes depend on the values of small tensors only: axes, sizes and repeats, and the scales of a Resize.
_SHAPE_VALUES = 1024
_FLOAT_SHAPE_VALUES = 16
_INTEGERS = frozenset({2, 3, 4, 5, 6, 7, 9, 12, 13})


def infer_types(
    node: Node, types: Mapping[str, TensorType], constants: Mapping[str, Constant], source: Source
) -> list[TensorType | None]:
    """The type of each output; None where it depends on data, or where the operator is unknown.

    Args:
        node: the node.
        types: of all the tensors that it reads.
        constants: those of them that are constants.
        source: where the model came from.

    Raises:
        InputError: the node breaks a rule of its operator.
        UnsupportedError: it makes something that is not a tensor.
    """
    if not known_operator(node):
        if known_contrib(node):
            told, why = contrib_types(node, types)
            if why is not None:
                raise source.error(why, str(node))
            return told
        if not node.domain:
            raise source.error(f"is not an operator of opset {node.opset}", str(node))
        return [None] * len(node.outputs)
    pairs = [(inner, name) for inner, name in zip(node.proto.input, node.inputs, strict=True) if name]
    read = {name: types[name] for _, name in pairs}
    if node.key == ("", "Einsum"):
        read = _widened(node, read)
    data = {inner: constants[name].proto for inner, name in pairs if _shapes_may_need(constants.get(name))}
    try:
        found = onnx.shape_inference.infer_node_outputs(
            onnx.defs.get_schema(node.op_type, _inferred_opset(node), node.domain),
            _explicit(node),
            {inner: _type_proto(read[name]) for inner, name in pairs},
            {inner: value for inner, value in data.items() if value is not None},
            opset_imports=[onnx.helper.make_opsetid(*each) for each in source.opsets.items()],
        )
    except Exception as error:  # the C++ checkers raise classes of their own, and pybind11 TypeError
        raise source.error(f"breaks a rule of its operator ({' '.join(str(error).split())})", str(node)) from error
    if node.op_type in _TYPE_OF_FIRST and not node.domain:
        return [types[node.inputs[0]]]
    return [_checked(found.get(output), node, source) for output in node.proto.output]


def _inferred_opset(node: Node) -> int:
    """The opset whose inference tells the node's types: comparisons of opset 12 have theirs since 16."""
    compares = not node.domain and node.op_type in ("GreaterOrEqual", "LessOrEqual")
    return max(node.opset, 16) if compares else node.opset


def _explicit(node: Node) -> Any:
    """The NodeProto, with the default of an attribute that the inference of the onnx package takes wrongly."""
    if node.op_type != "STFT" or any(text(each.name) == "onesided" for each in node.proto.attribute):
        return node.proto
    proto = onnx.NodeProto()
    proto.CopyFrom(node.proto)
    proto.attribute.append(onnx.helper.make_attribute("onesided", 1))
    return proto


def _widened(node: Node, types: Mapping[str, TensorType]) -> dict[str, TensorType]:
    """Operands of an Einsum with the axes of size 1 as wide as the widest of their index.

    They are repeated, and the inference of the onnx package takes an index's size from its first operand.
    """
    equation = Attributes(node.proto).string("equation", "").replace(" ", "")
    axes: dict[str, list[tuple[int, str]]] = {}  # by tensor: axis and index, those of an ellipsis left out
    for name, term in zip(node.inputs, equation.partition("->")[0].split(","), strict=False):
        before, _, after = term.partition("...")
        if len(before) + len(after) > len(types[name].shape):
            return dict(types)  # which the inference refuses
        last = len(types[name].shape) - len(after)
        axes.setdefault(name, []).extend([*enumerate(before), *enumerate(after, start=last)])
    sizes: dict[str, int] = {}
    for name, named in axes.items():
        for axis, index in named:
            sizes[index] = max(sizes.get(index, 1), types[name].shape[axis])
    found = dict(types)
    for name, named in axes.items():
        shape = list(types[name].shape)
        for axis, index in named:
            shape[axis] = sizes[index] if shape[axis] == 1 else shape[axis]
        found[name] = TensorType(types[name].element, tuple(shape))
    return found


def _type_proto(kind: TensorType) -> Any:
    return onnx.helper.make_tensor_type_proto(kind.element, kind.shape)


def known_operator(node: Node) -> bool:
    """Whether the onnx package defines the operator at the node's opset."""
    return bool(node.opset > 0 and onnx.defs.has(node.op_type, node.opset, node.domain))


def _shapes_may_need(constant: Constant | None) -> bool:
    if constant is None or len(constant.type.shape) > 1:
        return False
    limit = _SHAPE_VALUES if constant.type.element in _INTEGERS else _FLOAT_SHAPE_VALUES
    return constant.type.elements <= limit


def _checked(proto: Any, node: Node, source: Source) -> TensorType | None:
    if proto is None:
        return None
    kind = proto.WhichOneof("value")
    if kind not in (None, "tensor_type"):
        rule = f"makes a {kind.removesuffix('_type')}; only tensors are modelled"
        raise UnsupportedError(rule, file=source.file, field=str(node))
    tensor = proto.tensor_type
    sizes = tuple(axis.dim_value for axis in tensor.shape.dim if axis.HasField("dim_value"))
    known = tensor.HasField("shape") and len(sizes) == len(tensor.shape.dim)
    if known and min(sizes, default=0) < 0:
        raise source.error(f"has an input that is too small for it: it would make {list(sizes)}", str(node))
    return TensorType(tensor.elem_type, sizes) if known and tensor.elem_type in ELEMENTS else None

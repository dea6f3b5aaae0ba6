"""Small ONNX models for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

Shape = Sequence[int | str | None]


def value(name: str, shape: Shape | None, element: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, element, shape)


def stored(name: str, array: Any, dtype: Any = np.float32) -> Any:
    return numpy_helper.from_array(np.asarray(array, dtype=dtype), name)


def weight(name: str, *shape: int, dtype: Any = np.float32) -> Any:
    return stored(name, np.full(shape, 0.01), dtype)


def branch(name: str, nodes: Sequence[Any], outputs: Sequence[str], initializers: Sequence[Any] = ()) -> Any:
    return helper.make_graph(nodes, name, [], [value(each, None) for each in outputs], initializers)


def model(
    nodes: Sequence[Any],
    inputs: Mapping[str, Shape] | Sequence[Any],
    outputs: Sequence[str | Any],
    initializers: Sequence[Any] = (),
    *,
    opset: int = 17,
    domains: Mapping[str, int] | None = None,
    functions: Sequence[Any] = (),
) -> Any:
    """A ModelProto; inputs by name and shape are float, outputs by name leave their shape open."""
    infos = [value(*each) for each in inputs.items()] if isinstance(inputs, Mapping) else list(inputs)
    made = [value(each, None) if isinstance(each, str) else each for each in outputs]
    imports = [helper.make_opsetid(*each) for each in {"": opset, **(domains or {})}.items()]
    graph = helper.make_graph(list(nodes), "test", infos, made, list(initializers))
    return helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=8)


def save(folder: Path, *args: Any, **options: Any) -> Path:
    """`model` written to a file."""
    path = folder / "model.onnx"
    path.write_bytes(model(*args, **options).SerializeToString())
    return path


def run_shapes(path: Path, seed: int = 0, **feeds: Any) -> dict[str, tuple[int, ...]]:
    """Output shapes that ONNX Runtime computes; float inputs not fed are random."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(seed)
    given = {each.name: random.standard_normal(each.shape).astype(np.float32) for each in session.get_inputs()
             if each.name not in feeds}  # fmt: skip
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, (np.shape(each) for each in session.run(names, {**given, **feeds})), strict=True))


def node(op_type: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> Any:
    return onnx.helper.make_node(op_type, list(inputs), list(outputs), **attributes)

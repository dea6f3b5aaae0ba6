"""One node of a model in FP32: in ONNX Runtime where it is installed, else by onnx's reference implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import onnx
import onnx.reference
from numpy.typing import NDArray

from accelsim.errors import UnsupportedError
from accelsim.workload.onnx.model import Node

__all__ = ["Nodes"]

Array = NDArray[Any]
_MAX_IR = 10  # what the runtimes in use read


class Nodes:
    """Runs nodes of one model; ``engine`` says by what."""

    def __init__(self, file: str, opsets: Mapping[str, int]) -> None:
        self.file = file
        self._imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        self._runtime = find_spec("onnxruntime") is not None

    @property
    def engine(self) -> str:
        return "onnxruntime" if self._runtime else "onnx.reference"

    def run(self, node: Node, *runs: Sequence[Array | None]) -> list[list[Array | None]]:
        """For each of ``runs``, an array (or None: omitted) an input, what the node makes: an array an output.

        Raises:
            UnsupportedError: neither engine runs this node.
        """
        given = runs[0]
        steering = {
            name: value for name, value in zip(node.inputs, given, strict=True)
            if name and value is not None and all(_same(value, _at(run, node, name)) for run in runs)
        }  # fmt: skip
        try:
            session = self._session(node, given, steering)
            return [_made(node, session, run, steering) for run in runs]
        except Exception as error:  # either engine raises whatever it meets
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UnsupportedError(f"cannot be run in {self.engine} ({reason})", file=self.file,
                                   field=str(node)) from error  # fmt: skip

    def _session(self, node: Node, given: Sequence[Array | None], steering: Mapping[str, Array]) -> Any:
        proto = onnx.NodeProto()
        proto.CopyFrom(node.proto)
        del proto.input[:], proto.output[:]
        proto.input.extend(node.inputs)
        proto.output.extend(node.outputs)
        types = {
            name: onnx.helper.make_tensor_value_info(name, _element(value), value.shape)
            for name, value in zip(node.inputs, given, strict=True)
            if name and value is not None and name not in steering
        }  # fmt: skip
        graph = onnx.GraphProto(name="node", node=[proto], input=types.values())
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in node.outputs if name)
        graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in steering.items())
        model = onnx.ModelProto(graph=graph, opset_import=self._imports, ir_version=_MAX_IR)
        if not self._runtime:
            return onnx.reference.ReferenceEvaluator(model)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _element(value: Array) -> int:
    return int(onnx.helper.np_dtype_to_tensor_dtype(value.dtype))


def _at(run: Sequence[Array | None], node: Node, name: str) -> Array | None:
    return run[node.inputs.index(name)]


def _same(a: Array, b: Array | None) -> bool:
    """Whether two runs read one array, which is then part of the node."""
    return a is b and a.size <= _SMALL


_SMALL = 1 << 16
"""Elements up to which a constant is built into the node; larger ones are handed in, without a copy."""


def _made(node: Node, session: Any, run: Sequence[Array | None], steering: Mapping[str, Array]) -> list[Array | None]:
    feeds = {
        name: np.asarray(value, order="C") for name, value in zip(node.inputs, run, strict=True)
        if name and value is not None and name not in steering
    }  # fmt: skip
    names = [name for name in node.outputs if name]
    with np.errstate(all="ignore"):
        found = dict(zip(names, session.run(names, feeds), strict=True))
    return [np.asarray(found[name]) if name else None for name in node.outputs]

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
_SMALL = 1 << 16
"""Elements up to which a constant is built into a node; larger ones are handed in, without a copy."""


class Nodes:
    """Runs nodes of one model; ``engine`` says by what. What is made to run a node is kept for its next run."""

    def __init__(self, file: str, opsets: Mapping[str, int]) -> None:
        self.file = file
        self._imports = [onnx.helper.make_opsetid(domain, version) for domain, version in opsets.items()]
        self._runtime = find_spec("onnxruntime") is not None
        self._sessions: dict[object, Any] = {}

    @property
    def engine(self) -> str:
        return "onnxruntime" if self._runtime else "onnx.reference"

    def run(
        self, node: Node, inputs: Sequence[Array | None], steering: frozenset[str] = frozenset()
    ) -> list[Array | None]:
        """What a node makes of an array (or None: omitted) an input: an array an output.

        ``steering`` names inputs that are the same in every run of the node, such as axes: they become part of it.

        Raises:
            UnsupportedError: neither engine runs this node.
        """
        places = [place for place, value in enumerate(inputs) if node.inputs[place] and value is not None]
        fixed = [p for p in places if node.inputs[p] in steering and _size(inputs[p]) <= _SMALL]
        fed = {f"i{place}": np.asarray(inputs[place], order="C") for place in places if place not in fixed}
        types = tuple((name, value.dtype, value.shape) for name, value in fed.items())
        key = (id(node.proto), types, tuple(node.inputs[place] for place in fixed))
        names = [f"o{place}" for place, name in enumerate(node.outputs) if name]
        try:
            if key not in self._sessions:
                self._sessions[key] = self._session(node, fed, {p: inputs[p] for p in fixed})
            with np.errstate(all="ignore"):
                found = dict(zip(names, self._sessions[key].run(names, fed), strict=True))
        except Exception as error:  # either engine raises whatever it meets
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UnsupportedError(f"cannot be run in {self.engine} ({reason})", file=self.file,
                                   field=str(node)) from error  # fmt: skip
        return [np.asarray(found[f"o{place}"]) if name else None for place, name in enumerate(node.outputs)]

    def _session(self, node: Node, fed: Mapping[str, Array], fixed: Mapping[int, Array | None]) -> Any:
        proto = onnx.NodeProto()
        proto.CopyFrom(node.proto)
        del proto.input[:], proto.output[:]
        known = {*fed, *(f"i{place}" for place in fixed)}
        proto.input.extend(name if name in known else "" for name in (f"i{p}" for p in range(len(node.inputs))))
        proto.output.extend(f"o{place}" if name else "" for place, name in enumerate(node.outputs))
        graph = onnx.GraphProto(name="node", node=[proto])
        graph.input.extend(
            onnx.helper.make_tensor_value_info(name, _element(value), value.shape) for name, value in fed.items()
        )
        graph.output.extend(onnx.ValueInfoProto(name=name) for name in proto.output if name)
        graph.initializer.extend(onnx.numpy_helper.from_array(np.asarray(v), f"i{p}") for p, v in fixed.items())
        model = onnx.ModelProto(graph=graph, opset_import=self._imports, ir_version=_MAX_IR)
        if not self._runtime:
            return onnx.reference.ReferenceEvaluator(model)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _size(value: Array | None) -> int:
    return 0 if value is None else int(value.size)


def _element(value: Array) -> int:
    return int(onnx.helper.np_dtype_to_tensor_dtype(value.dtype))

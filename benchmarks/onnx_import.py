"""How fast an ONNX model is read: CPU seconds, beside the figures asked.

    python benchmarks/onnx_import.py

First light_resnet50, a model that the onnx package ships (415 nodes, of which 176 stay); the first import also pays for
loading the onnx package and this front end, `again` is the least of five imports after it. Then made models of 10,000
and 100,000 nodes (convolutions, normalisations, activations and residual adds, shapes computed on the way): the seconds
for each 10,000 nodes are the same where time is linear in nodes.
"""

from __future__ import annotations

import tempfile
import time
from importlib.metadata import distribution
from pathlib import Path

MODEL = "onnx/backend/test/data/light/light_resnet50.onnx"
REPEATS = 5
ASKED_SECONDS = 0.5
SIZES = (10_000, 100_000)
NODES_A_BLOCK = 10


def main() -> None:
    path = Path(str(distribution("onnx").locate_file(MODEL)))
    started = time.process_time()
    from accelsim.workload.onnx import from_onnx

    loaded = time.process_time()
    graph = from_onnx(path)
    first = time.process_time() - loaded
    again = []
    for _ in range(REPEATS):
        begun = time.process_time()
        from_onnx(path)
        again.append(time.process_time() - begun)
    print(f"import accelsim.workload.onnx   {loaded - started:8.3f} s CPU")
    print(f"from_onnx(light_resnet50) first {first:8.3f} s CPU (asked: at most {ASKED_SECONDS} s)")
    print(f"from_onnx(light_resnet50) again {min(again):8.3f} s CPU, {len(graph.ops)} ops, {graph.macs:,} MACs")
    with tempfile.TemporaryDirectory() as folder:
        for nodes in SIZES:
            path = Path(folder, f"{nodes}.onnx")
            path.write_bytes(_deep(nodes))
            begun = time.process_time()
            graph = from_onnx(path)
            seconds = time.process_time() - begun
            rate = seconds / nodes * 10_000
            print(f"{nodes:>7,} nodes {seconds:8.2f} s CPU, {rate:.2f} s for each 10,000 ({len(graph.ops):,} ops stay)")


def _deep(nodes: int) -> bytes:
    """A model of so many nodes: blocks of a convolution, a reshape by its own shape, a product and a residual add."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    def stored(name: str, *shape: int) -> object:
        return numpy_helper.from_array(np.full(shape, 0.01, np.float32), name)

    made, here = [], "x"
    for index in range(nodes // NODES_A_BLOCK):
        b = f"b{index}."
        for op, inputs, output in (
            ("Conv", [here, "w", "c"], "conv"), ("BatchNormalization", ["conv", "c", "c", "c", "c"], "norm"),
            ("Relu", ["norm"], "relu"), ("Shape", ["relu"], "shape"), ("Gather", ["shape", "zero"], "batch"),
            ("Concat", ["batch", "rest"], "target"), ("Reshape", ["relu", "target"], "flat"),
            ("MatMul", ["flat", "m"], "product"), ("Reshape", ["product", "shape"], "back"),
            ("Add", [here, "back"], "y"),
        ):  # fmt: skip
            names = [b + each if each in _INNER else each for each in inputs]
            axis = {"axis": 0} if op == "Concat" else {}
            made.append(helper.make_node(op, names, [b + output], name=b + output, **axis))
        here = f"{b}y"
    stores = [stored("w", 8, 8, 1, 1), stored("c", 8), stored("m", 128, 128)]
    stores += [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in (("zero", [0]), ("rest", [-1]))]
    io = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 8, 4, 4]) for name in ("x", here)]
    graph = helper.make_graph(made, "deep", io[:1], io[1:], stores)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


_INNER = frozenset({"conv", "norm", "relu", "shape", "batch", "target", "flat", "product", "back"})


if __name__ == "__main__":
    main()

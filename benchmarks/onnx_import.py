"""How fast an ONNX model is read: CPU seconds to import light_resnet50, beside the figure asked.

    python benchmarks/onnx_import.py

The model is one that the onnx package ships (415 nodes, of which 176 stay). The first import also pays for loading
the onnx package and this front end; `again` is the least of five imports after it.
"""

from __future__ import annotations

import time
from importlib.metadata import distribution
from pathlib import Path

MODEL = "onnx/backend/test/data/light/light_resnet50.onnx"
REPEATS = 5
ASKED_SECONDS = 0.5


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


if __name__ == "__main__":
    main()

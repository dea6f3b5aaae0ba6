"""Models whose weights do not fit in memory: external data of some gigabytes, in files that are holes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from tests.workload.onnx_models import model, node

GIB = 1 << 30
WIDTH = 1 << 14
LAYERS = 3  # of 1 GiB in FP32 each

IMPORT = """
import os, resource, sys
import accelsim
from accelsim.workload.onnx import from_onnx
from accelsim.workload.onnx import importer, measure

def read_bytes():
    with open("/proc/self/io") as figures:
        return int(figures.readline().split()[1])

before_read, before_rss = read_bytes(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
graph = from_onnx(sys.argv[1])
print(graph.macs, graph.parameters, int(graph.weight_bytes), read_bytes() - before_read,
      1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_rss))
"""


def outside(name: str, file: str, offset: int, *shape: int) -> Any:
    """A float tensor stored in another file."""
    tensor = TensorProto(name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    length = 4
    for size in shape:
        length *= size
    for key, text in (("location", file), ("offset", str(offset)), ("length", str(length))):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, text
    return tensor


def hollow(folder: Path) -> Path:
    """A chain of products whose weights lie in one file of 3 GiB, none of which is on the disk."""
    with (folder / "weights.bin").open("wb") as stream:
        stream.truncate(LAYERS * GIB)
    stores = [outside(f"w{index}", "weights.bin", index * GIB, WIDTH, WIDTH) for index in range(LAYERS)]
    nodes = [node("MatMul", [f"h{index}", f"w{index}"], [f"h{index + 1}"]) for index in range(LAYERS)]
    path = folder / "large.onnx"
    path.write_bytes(model(nodes, {"h0": (2, WIDTH)}, [f"h{LAYERS}"], stores).SerializeToString())
    return path


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts what a process reads in /proc")
def test_weights_outside_are_not_read(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", IMPORT, str(hollow(tmp_path))], capture_output=True, text=True, check=True, timeout=300
    )
    macs, parameters, weight_bytes, read, memory = map(int, run.stdout.split())
    assert (macs, parameters, weight_bytes) == (2 * LAYERS * WIDTH**2, LAYERS * WIDTH**2, LAYERS * GIB)
    assert read < 16 << 20  # Python modules, if any
    assert memory < 256 << 20

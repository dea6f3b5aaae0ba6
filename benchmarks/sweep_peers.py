"""The same 16-point ResNet-18 sweep in accelsim, ZigZag 3.9.1 and SCALE-Sim 3.0.0: CPU seconds a point.

    python benchmarks/sweep_peers.py [--layers 21] [--peers zigzag,scale-sim | --peers none] [--folder .cache/peers]

The points are four scratchpads by four DRAM bandwidths of a 32x32 weight-stationary array. accelsim evaluates all 16,
of the whole network, with its mapping search redone for each; and 1,000 points of rates, and of structure, to tell
what a point costs without the start. *Cold* is a process that starts with nothing compiled, *started* one that finds
its code compiled, *warm* a second sweep of the same kind in one process, which finds nothing of the first's results.
The peers evaluate one point, layer by layer: ZigZag (see zigzag.py) searches with LOMA, SCALE-Sim gets each layer as
its product. Both are installed from PyPI into environments of their own. With fewer --layers the peers see only the
first of the network, and their figures are for those. Stream is not run here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import zigzag

import accelsim
from accelsim.mapping.machines import searched
from accelsim.mapping.records import OpMapping
from accelsim.pipeline import evaluate
from accelsim.workload.ops import Conv, MatMul

SCALE_SIM = ("scalesim==3.0.0", "numpy<2")  # with NumPy 2.4 it stops: it takes arrays for numbers
SPEC = {
    "architectures": [zigzag.ARCHITECTURE],
    "workloads": ["resnet-18"],
    "precisions": ["int8"],
    "axes": {
        "scratchpad.capacity_bytes": [262144, 524288, 1048576, 2097152],
        "memory.dram.bandwidth_bytes_per_s": [8e9, 16e9, 32e9, 64e9],
    },
}
POINTS: dict[str, dict[str, Any]] = {
    "16 points": SPEC["axes"],
    "1,000 of rates": {
        "clocks.core.clock_hz": {"low": 5e8, "high": 2e9, "steps": 10, "scale": "log"},
        "memory.dram.bandwidth_bytes_per_s": {"low": 8e9, "high": 64e9, "steps": 10, "scale": "log"},
        "memory.dram.latency_s": {"low": 5e-8, "high": 5e-7, "steps": 10, "scale": "log"},
    },
    "1,000 of structure": {
        "array.rows": {"low": 16, "high": 64, "steps": 10, "integers": True},
        "array.columns": {"low": 16, "high": 64, "steps": 10, "integers": True},
        "scratchpad.capacity_bytes": {"low": 262144, "high": 2097152, "steps": 10, "scale": "log", "integers": True},
    },
}
RECORDED = {"Stream": 46.0, "ZigZag": 115.0, "SCALE-Sim": 220.0}
"""CPU seconds a point of the 16-point sweep, as recorded before; what the peers take in this run is printed beside."""
CONFIG = """[general]
run_name = resnet18
[run_presets]
InterfaceBandwidth = USER
UseRamulatorTrace = False
[architecture_presets]
ArrayHeight = 32
ArrayWidth = 32
IfmapSramSzkB = 341
FilterSramSzkB = 341
OfmapSramSzkB = 342
IfmapOffset = 0
FilterOffset = 10000000
OfmapOffset = 20000000
Dataflow = ws
Bandwidth = 16
ReadRequestBuffer = 64
WriteRequestBuffer = 64
[layout]
IfmapCustomLayout = False
IfmapSRAMBankBandwidth = 10
IfmapSRAMBankNum = 10
IfmapSRAMBankPort = 2
FilterCustomLayout = False
FilterSRAMBankBandwidth = 10
FilterSRAMBankNum = 10
FilterSRAMBankPort = 2
[sparsity]
SparsitySupport = False
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(".cache/peers"), help="for the peers and their files")
    parser.add_argument("--layers", type=int, default=21, help="layers that the peers evaluate, of 21")
    parser.add_argument("--peers", default="zigzag,scale-sim", help="which peers to run")
    given = parser.parse_args()
    folder: Path = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    ours = own()
    if given.peers == "none":
        return
    mapped = layers(given.layers)
    for name in given.peers.split(","):
        theirs = {"zigzag": zigzag_cpu_s, "scale-sim": scale_sim_cpu_s}[name](folder / name, mapped)
        print(
            f"{name:12}{theirs:12.1f} CPU s, one point, {len(mapped)} of 21 layers: {theirs / ours:,.0f}x", flush=True
        )


def own() -> float:
    """Print what a point costs here; returns that of the 16, warm."""
    warm = {}
    for name, axes in POINTS.items():
        spec = {**SPEC, "axes": axes}
        with tempfile.TemporaryDirectory() as empty:
            cold, started = (process_cpu_s(spec, empty) for _ in range(2))
        points, warm[name] = warm_cpu_s(spec)
        for state, spent in (("cold", cold / points), ("started", started / points), ("warm", warm[name])):
            ratios = ", ".join(f"{theirs / spent:,.0f}x {peer}" for peer, theirs in RECORDED.items())
            print(f"accelsim  {name:20}{state:9}{1e3 * spent:10.3f} CPU ms a point: {ratios}", flush=True)
    return warm["16 points"]


def process_cpu_s(spec: dict[str, Any], compiled: str) -> float:
    """CPU seconds of a process that does one sweep, its compiled code kept in the folder ``compiled``."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = "import json, sys, accelsim; accelsim.sweep(json.loads(sys.argv[1]), workers=1)"
    environment = {**os.environ, "NUMBA_CACHE_DIR": compiled}
    subprocess.run([sys.executable, "-c", script, json.dumps(spec)], check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def warm_cpu_s(spec: dict[str, Any]) -> tuple[int, float]:
    """Points, and CPU seconds a point of the second sweep of a process; the first has other structures."""
    # the base is overlapped
    accelsim.sweep({**spec, "axes": {**spec["axes"], "array.fill_drain": ["per_fold"]}}, workers=1)
    searched.cache_clear()
    start = time.process_time()
    found = accelsim.sweep(spec, workers=1)
    return len(found.frame), (time.process_time() - start) / len(found.frame)


def layers(count: int) -> list[OpMapping]:
    """The first matrix layers of ResNet-18, as mapped on their own."""
    arch = accelsim.load_architecture(zigzag.ARCHITECTURE)
    graph = accelsim.load_workload("resnet-18")
    matrix = [op for op in graph.ops if isinstance(op, Conv | MatMul)]
    return [zigzag.matrix_op(evaluate(zigzag.alone(graph, op), arch, "int8")) for op in matrix[:count]]


def zigzag_cpu_s(folder: Path, mapped: list[OpMapping]) -> float:
    """CPU seconds of all layers, each searched once."""
    folder.mkdir(exist_ok=True)
    arch = accelsim.load_architecture(zigzag.ARCHITECTURE).override(zigzag.SAME)
    found = zigzag.zigzag(folder, arch, {each.op.name: each for each in mapped})
    return sum(float(each["cpu_s"]) for each in found.values())


def scale_sim_cpu_s(folder: Path, mapped: list[OpMapping]) -> float:
    """CPU seconds of the process that simulates all layers."""
    folder.mkdir(exist_ok=True)
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        venv.create(folder / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *SCALE_SIM], check=True)
    rows = [f"{each.op.name},{p.m},{p.n},{p.k},1:1," for each in mapped if (p := each.problem) is not None]
    (folder / "layers.csv").write_text("\n".join(["Layer,M,N,K,Sparsity,", *rows, ""]))
    layout = [f"{each.op.name},{','.join('1' for _ in range(20))}," for each in mapped]
    (folder / "layout.csv").write_text("\n".join(["Layer," + ",".join("f" for _ in range(20)) + ",", *layout, ""]))
    (folder / "scale.cfg").write_text(CONFIG)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [python, "-m", "scalesim.scale", "-c", folder / "scale.cfg", "-t", folder / "layers.csv", "-l",
               folder / "layout.csv", "-i", "gemm", "-s", "N", "-p", folder / "out"]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or "SCALE SIM Run Complete" not in done.stdout:
        sys.exit(f"SCALE-Sim failed: {done.stdout[-600:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()

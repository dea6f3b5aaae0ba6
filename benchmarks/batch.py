"""Designs a CPU second of batch evaluation: ``python benchmarks/batch.py [small]``.

The yardstick of each row is one `evaluate` of the same workload on the same architecture in the same run, so the last
column holds on any machine. Grids are what sweeps ask for; random axes are the hard case, in which no two designs
share anything. Structures are mapped each for itself. Times are CPU times of one process, compiled code loaded;
designs of a sweep can be shared among processes. ``small`` takes a hundredth of the designs.
"""

from __future__ import annotations

import itertools
import resource
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.load import Architecture, load_architecture
from accelsim.pipeline import evaluate
from accelsim.study.batch import evaluate_batch
from accelsim.workload.graph import Graph
from accelsim.workload.load import load_workload

CLOCK, BANDWIDTH = "clocks.core.clock_hz", "memory.dram.bandwidth_bytes_per_s"
LATENCY, CAPACITY = "memory.dram.latency_s", "scratchpad.capacity_bytes"
DRAM_ENERGY, LEAKAGE = "memory.dram.energy_pj_per_byte", "leakage_w"

STRUCTURE = "array.rows", "array.columns", "array.dataflows", CAPACITY
DATAFLOWS = ["weight_stationary"], ["output_stationary"], ["input_stationary"]

Columns = Mapping[str, NDArray[np.float64] | list[Any]]


def grid(axes: Mapping[str, NDArray[np.float64]]) -> Columns:
    """All combinations."""
    table = np.array(list(itertools.product(*axes.values())))
    return dict(zip(axes, table.T, strict=True))


def drawn(axes: Mapping[str, tuple[float, float]], designs: int) -> Columns:
    """Log-uniform draws."""
    rng = np.random.default_rng(0)
    return {path: np.exp(rng.uniform(np.log(low), np.log(high), designs)) for path, (low, high) in axes.items()}


def every_structure(few: int) -> Columns:
    """A grid over what an array is made of."""
    sides, capacities = (32, 64, 96, 128, 192, 256)[:: min(few, 3)], 2.0 ** np.linspace(17, 25, 12 // min(few, 4))
    table = list(itertools.product(sides, sides, DATAFLOWS, np.floor(capacities).tolist()))
    return dict(zip(STRUCTURE, map(list, zip(*table, strict=True)), strict=True))


def random_structures(designs: int) -> Columns:
    """Draws of the same, no two alike."""
    rng = np.random.default_rng(1)
    return {
        "array.rows": rng.integers(16, 257, designs).tolist(),
        "array.columns": rng.integers(16, 257, designs).tolist(),
        "array.dataflows": [DATAFLOWS[each] for each in rng.integers(0, 3, designs)],
        CAPACITY: np.floor(2.0 ** rng.uniform(17, 25, designs)).tolist(),
    }


def yardstick_s(workload: Graph, architecture: Architecture, precision: str) -> float:
    """CPU seconds of one evaluation at a rate not met before."""
    times = []
    for draw in range(4):
        design = architecture.override({LATENCY: 1e-7 * (1 + draw / 7)})
        start = time.process_time()
        evaluate(workload, design, precision)
        times.append(time.process_time() - start)
    return min(times[1:])


def measure(title: str, workload: Graph, precision: str, columns: Columns, chip: str = "rapid-4core") -> None:
    """Print one row."""
    architecture = load_architecture(chip)
    few = {path: column[:: max(1, len(column) // 32)] for path, column in columns.items()}
    evaluate_batch(workload, architecture, precision, few)
    one_s = yardstick_s(workload, architecture, precision)
    start, begin = time.process_time(), time.perf_counter()
    found = evaluate_batch(workload, architecture, precision, columns)
    spent, wall = time.process_time() - start, time.perf_counter() - begin
    designs, memory = len(found), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{title:<52} {designs:>9,} {spent:8.1f} {wall:8.1f} {designs / spent:11,.0f} {found.looped:7,} "
        f"{1e3 * one_s:8.1f} {one_s * designs / spent:9,.0f}x {memory:6.2f}",
        flush=True,
    )


def main() -> None:
    few = 100 if "small" in sys.argv else 1
    numbers = "designs", "CPU s", "wall s", "designs/s", "looped", "one, ms", "gain", "GB"
    heading = "on rapid-4core, or as it says"
    print(f"{heading:<52} {numbers[0]:>9} {numbers[1]:>8} {numbers[2]:>8} {numbers[3]:>11} {numbers[4]:>7} "
          f"{numbers[5]:>8} {numbers[6]:>10} {numbers[7]:>6}")  # fmt: skip
    rates = {
        CLOCK: np.geomspace(8e8, 2e9, 8),
        BANDWIDTH: np.geomspace(5e10, 8e11, 8),
        LATENCY: np.geomspace(8e-8, 4e-7, 4),
    }
    prices = {DRAM_ENERGY: np.linspace(5, 100, 50 // min(few, 10)), LEAKAGE: np.linspace(0.1, 1, 20 // min(few, 10))}
    resnet, speech = load_workload("resnet-50"), load_workload("rnnt-lm-fusion")
    measure("ResNet-50 grid: energies", resnet, "int4", grid({
        DRAM_ENERGY: np.linspace(5, 100, 1000 // min(few, 10)), LEAKAGE: np.linspace(0.1, 1, 1000 // min(few, 10))
    }))  # fmt: skip
    sizes = {CAPACITY: np.array([1.0, 1.5, 2.0, 4.0]) * 2**20}
    measure("ResNet-50 grid: clock, DRAM, capacity, energies", resnet, "int4", grid(rates | sizes | prices))
    ranges = {CLOCK: (8e8, 2e9), BANDWIDTH: (5e10, 8e11)}
    measure("ResNet-50 random: clock, bandwidth", resnet, "int4", drawn(ranges, 200_000 // few))
    ranges |= {LATENCY: (8e-8, 4e-7)}
    measure("ResNet-50 random: clock, bandwidth, latency", resnet, "int4", drawn(ranges, 200_000 // few))
    ranges = {CLOCK: (5e8, 2e9), BANDWIDTH: (2e10, 4e11), LATENCY: (5e-8, 5e-7)}
    for designs in (1_000, 10_000, 100_000):
        title = f"ResNet-50 random: the same, systolic-128x128, {designs:,}"
        measure(title, resnet, "int8", drawn(ranges, designs // few), "systolic-128x128")
    for cores in (2, 4):
        columns = drawn({BANDWIDTH: (2e10, 4e11)}, 100_000 // few)
        for precision in ("fp16", "int4"):
            columns = {"cores": np.full(len(columns[BANDWIDTH]), cores), BANDWIDTH: columns[BANDWIDTH]}
            measure(f"RNN-T with LM fusion, {precision}, {cores} cores: bandwidth", speech, precision, columns)
    for chip, precision in (("systolic-128x128", "int8"), ("rapid-4core", "int4")):
        for title, columns in (("grid", every_structure(few)), ("random", random_structures(2_000 // few))):
            measure(f"ResNet-50 structures, {title}, {chip}", resnet, precision, columns, chip)


if __name__ == "__main__":
    main()

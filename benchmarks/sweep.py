"""How fast sweeps run: designs a second of three kinds, what storing them costs, and scaling over processes and Dask.

    python benchmarks/sweep.py [--designs 1000] [--quick]

Each rate is that of evaluating a chunk and stands beside `accelsim.simulate` of single designs in the same run. CPU
seconds count, so that other work on the machine matters less; scaling is wall time and wants an idle machine. What a
design costs beside its evaluation is decoding, constraints, the front and Parquet, and the probe that sizes chunks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import accelsim
from accelsim.study.sweep.api import sweepable, swept
from accelsim.study.sweep.designs import Evaluator
from accelsim.study.sweep.run import run_sweep
from accelsim.study.sweep.schedulers import Processes, Serial

BANDWIDTH, CLOCK, LATENCY = "memory.dram.bandwidth_bytes_per_s", "clocks.core.clock_hz", "memory.dram.latency_s"


def spread(low: float, high: float, steps: int) -> dict[str, Any]:
    return {"low": low, "high": high, "steps": steps, "scale": "log"}


def kinds(designs: int) -> dict[str, dict[str, Any]]:
    """About so many designs of each kind."""
    side = max(2, round(designs ** (1 / 3)))
    half = max(2, round((designs / 12) ** 0.5))
    return {
        "numeric": {
            "architectures": ["systolic-128x128"], "workloads": ["resnet-50"], "precisions": ["int8"],
            "axes": {
                CLOCK: spread(5e8, 2e9, side), BANDWIDTH: spread(2e10, 4e11, side), LATENCY: spread(5e-8, 5e-7, side),
            },
        },
        "structure": {
            "architectures": ["systolic-128x128"], "workloads": ["resnet-50"], "precisions": ["int8"],
            "axes": {
                "array.dataflows": [["weight_stationary"], ["output_stationary"], ["input_stationary"]],
                "array.rows": [32, 64, 128, 256],
                "array.columns": {"low": 32, "high": 256, "steps": half, "integers": True},
                "scratchpad.capacity_bytes": spread(2**18, 2**23, half) | {"integers": True},
            },
        },
        "speech": {
            "architectures": ["rapid-4core"], "workloads": ["rnnt-lm-fusion"], "precisions": ["fp16", "int4"],
            "axes": {"cores": [1, 2, 4, 8], BANDWIDTH: spread(2e10, 4e11, max(2, designs // 8))},
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", type=int, default=1000, help="about so many of each kind")
    parser.add_argument("--quick", action="store_true", help="no scaling")
    given = parser.parse_args()
    made = kinds(given.designs)
    for name, spec in made.items():
        rate(name, spec)
    if not given.quick:
        scaling(made["structure"])


def rate(name: str, spec: Mapping[str, Any]) -> None:
    """Designs a CPU second of one process, and of `simulate`."""
    sweep = sweepable(spec)
    evaluator = Evaluator(sweep)
    spent = {"evaluate": 0.0}
    evaluate = evaluator.evaluate
    evaluate(sweep.space.grid(0, min(16, sweep.space.count)))

    def timed(coordinates: Any) -> Any:
        start = time.process_time()
        table = evaluate(coordinates)
        spent["evaluate"] += time.process_time() - start
        return table

    evaluator.evaluate = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        run_sweep(sweep, Path(folder) / "run", lambda *_: Serial(evaluator))
        whole = time.process_time() - start
    alone = single_cpu_s(sweep, evaluator)
    count = sweep.space.count
    rest = f"{(whole - spent['evaluate']) / count * 1e6:.1f} us"
    print(
        f"{name:10} {count:>8,} designs {count / spent['evaluate']:>10,.0f}/CPU s, "
        f"{alone * count / spent['evaluate']:>6,.1f}x simulate ({1e3 * alone:.1f} ms), all else {rest} a design",
        flush=True,
    )


def single_cpu_s(sweep: Any, evaluator: Evaluator) -> float:
    """CPU seconds of one `simulate`, over a few designs."""
    few = sweep.space.grid(0, sweep.space.count)[:: max(1, sweep.space.count // 5)]
    start = time.process_time()
    for row in few:
        case = evaluator.case(row)
        arch = evaluator.architecture(case)
        accelsim.simulate(evaluator.graph(case), arch, precision=case.precision, intervals=False)
    return (time.process_time() - start) / len(few)


def scaling(spec: Mapping[str, Any]) -> None:
    """Wall time with one process, two, and Dask with two."""
    sweep = sweepable(spec)
    walls = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, make in (("one", lambda *_: Processes(sweep, 1)), ("two", lambda *_: Processes(sweep, 2))):
            walls[name] = wall_s(lambda make=make, name=name: run_sweep(sweep, Path(folder) / name, make))
        walls["dask"] = wall_s(lambda: swept(spec, Path(folder) / "dask", scheduler="local", workers=2))
    print(f"one process {walls['one']:.1f} s, two {walls['two']:.1f} s ({walls['one'] / walls['two']:.2f}x), "
          f"Dask with two {walls['dask']:.1f} s ({walls['two'] / walls['dask']:.2f} of two)")  # fmt: skip


def wall_s(run: Any) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()

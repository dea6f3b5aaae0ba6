"""How fast the engines are: tasks per second of CPU time, beside the figures asked of them.

    python benchmarks/engines.py

The graph is a tiled layer: per tile a load, its latency, the product, the vector unit and a store, with two tiles
of buffer space, on 1 core, and on 4 cores side by side. The bare SimPy loop is one process that waits for as many
timeouts as the graph has tasks; des makes one event a task. Figures of one run belong together: machines differ,
and so do moments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from statistics import median

import numpy as np
import simpy

from accelsim.engine import des, maxplus
from accelsim.mapping.taskgraph import TaskGraph, TaskGraphBuilder

TASKS = 100_000
DESIGNS = 20
ASKED = {"maxplus tasks/s": 20e6, "maxplus / des": 1000.0, "des / bare SimPy": 0.5}


def tiles(cores: int) -> TaskGraph:
    builder = TaskGraphBuilder([f"{unit}{core}" for core in range(cores) for unit in ("dram", "mac", "vector")], ["fs"])
    carried = []
    for core in range(cores):
        load = builder.add(f"dram{core}", "fs", 1.0, 0)
        latency = builder.add(None, "fs", 1.0, 0, [load])
        product = builder.add(f"mac{core}", "fs", 1.0, 0, [latency])
        vector = builder.add(f"vector{core}", "fs", 1.0, 0, [product])
        builder.add(f"dram{core}", "fs", 1.0, 0, [vector])
        carried.append((product, load))
    builder.repeat(0, TASKS // len(builder), carried)
    return builder.build()


def bare_simpy() -> None:
    def loop(env: simpy.Environment) -> Generator[simpy.Event, None, None]:
        for _ in range(TASKS):
            yield env.timeout(3)

    env = simpy.Environment()
    env.process(loop(env))
    env.run()


def rates(run: Callable[[], object], times: int, tasks: int = TASKS) -> tuple[float, float]:
    """Median and best number of tasks per second of CPU time."""
    taken = []
    for _ in range(times):
        before = time.process_time_ns()
        run()
        taken.append(time.process_time_ns() - before)
    return tasks / median(taken) * 1e9, tasks / min(taken) * 1e9


def report(cores: int) -> None:
    graph = tiles(cores)
    duration = np.random.default_rng(0).integers(1_000, 100_000, len(graph))
    batch = np.tile(duration, (DESIGNS, 1))
    assert np.array_equal(des.run(graph, duration).end_fs, maxplus.run(graph, duration).end_fs)
    figures = {
        "maxplus tasks/s": rates(lambda: maxplus.run(graph, duration), 200),
        "maxplus batch tasks/s": rates(lambda: maxplus.run_batch(graph, batch), 10, TASKS * DESIGNS),
        "des tasks/s": rates(lambda: des.run(graph, duration), 7),
        "bare SimPy events/s": rates(bare_simpy, 7),
    }
    for ratio, above, below in (
        ("maxplus / des", "maxplus tasks/s", "des tasks/s"),
        ("des / bare SimPy", "des tasks/s", "bare SimPy events/s"),
    ):
        middle, best = (a / b for a, b in zip(figures[above], figures[below], strict=True))
        figures[ratio] = middle, best
    print(
        f"\n{len(graph):,} tasks, {len(graph.pred):,} predecessors, {len(graph.resources)} resources, {cores} core(s)"
    )
    print(f"{'':24}{'asked':>14}{'median':>16}{'best':>16}")
    for name, (middle, best) in figures.items():
        asked = f"{ASKED[name]:,.6g}" if name in ASKED else ""
        print(f"{name:24}{asked:>14}{middle:>16,.4g}{best:>16,.4g}")


if __name__ == "__main__":
    for number in (1, 4):
        report(number)

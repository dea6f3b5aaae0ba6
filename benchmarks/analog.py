"""How fast the analog tiles are, beside a plain float32 product of the same run: one core.

    python benchmarks/analog.py

Threads are bound to one before NumPy is loaded. Figures of one run belong together: machines differ, and so do moments.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402

from accelsim.numerics.analog import Crossbar, crossbar_named, device_named, program_tile  # noqa: E402

SIDE, BATCH = 512, 128
ASKED = {"rasch-2023": 40_000, "rasch-2023-quantised": 100_000}
ASKED_TILE_MS = 20.0


def seconds(run: Callable[[], object], times: int) -> tuple[float, float]:
    """Least and median seconds of some runs after one that does not count."""
    run()
    taken = []
    for _ in range(times):
        before = time.perf_counter()
        run()
        taken.append(time.perf_counter() - before)
    return min(taken), sorted(taken)[len(taken) // 2]


def products(weights: np.ndarray, inputs: np.ndarray) -> None:
    plain = seconds(lambda: inputs @ weights.T, 60)
    print(f"float32 product, {SIDE} x {SIDE}, batch {BATCH}   {BATCH / plain[0]:9,.0f} MVM/s "
          f"(median {BATCH / plain[1]:,.0f})")  # fmt: skip
    for name in ("rasch-2023-quantised", "rasch-2023", "rasch-2023-published", "managed-9bit"):
        crossbar, rng = Crossbar(weights, crossbar_named(name)), np.random.default_rng(1)
        best, middle = seconds(lambda crossbar=crossbar, rng=rng: crossbar.product(inputs, rng), 60)  # type: ignore[misc]
        asked = f" (asked: {ASKED[name]:,})" if name in ASKED else ""
        print(f"{name:<36}{BATCH / best:9,.0f} MVM/s (median {BATCH / middle:,.0f}), "
              f"{best / plain[0]:.1f} plain products{asked}")  # fmt: skip


def tiles(weights: np.ndarray) -> None:
    def once() -> None:
        rng = np.random.default_rng(2)
        tile = program_tile(weights, device_named("pcm"), crossbar_named("rasch-2023"), rng)
        tile.compensation(tile.read_at(3600.0, rng), rng)

    best, middle = seconds(once, 20)
    print(f"program, drift, compensation of a tile  {best * 1e3:6.1f} ms (median {middle * 1e3:.1f}; "
          f"asked: {ASKED_TILE_MS:g})")  # fmt: skip


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    matrix = rng.uniform(-1, 1, (SIDE, SIDE)).astype(np.float32)
    vectors = rng.uniform(-1, 1, (BATCH, SIDE)).astype(np.float32)
    products(matrix, vectors)
    tiles(matrix)

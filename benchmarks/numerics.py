"""How fast the emulator is, beside a memory copy of the same run and the figures asked of it: CPU time of all threads.

    python benchmarks/numerics.py

The copy is of the same array into new memory, as the results of the emulator are; a copy into memory that is already
mapped is shown too. Figures of one run belong together: machines differ, and so do moments.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import numpy as np

from accelsim import numerics

SIDE = 4096
ASKED = {"numba / copy": 3.0, "numpy / copy": 15.0, "align-truncate MMAC/s": 50.0, "BLAS GMAC/s": 1.0}


def seconds(run: Callable[[], object], times: int) -> float:
    """Least CPU seconds of some runs, the first of which (compilation) does not count."""
    run()
    taken = []
    for _ in range(times):
        before = time.process_time()
        run()
        taken.append(time.process_time() - before)
    return min(taken)


def round_trip() -> None:
    x = np.random.default_rng(0).standard_normal((SIDE, SIDE), dtype=np.float32)
    mapped = np.empty_like(x)
    copy = seconds(x.copy, 9)
    print(f"copy into new memory      {copy / x.size * 1e9:7.3f} ns an element")
    print(f"copy into mapped memory   {seconds(lambda: np.copyto(mapped, x), 9) / x.size * 1e9:7.3f} ns an element")

    def run(engine: Literal["numba", "numpy"]) -> None:
        numerics.quantize(x, "mxfp4", engine=engine).dequantize(engine)

    engines: tuple[Literal["numba", "numpy"], ...] = ("numba", "numpy")
    for engine in engines:
        taken = seconds(lambda engine=engine: run(engine), 5)  # type: ignore[misc]
        asked = ASKED[f"{engine} / copy"]
        print(f"MXFP4 and back, {engine}     {taken / x.size * 1e9:7.3f} ns an element, {taken / copy:5.2f} copies "
              f"(asked: {asked:g})")  # fmt: skip


def products() -> None:
    rng = np.random.default_rng(0)
    a, b = (numerics.cast(rng.standard_normal((256, 1024)), "fp16") for _ in range(2))
    macs = 256 * 256 * 1024
    for name in ("ampere", "hopper", "fp32", "fp16", "rapid"):
        rate = macs / seconds(lambda name=name: numerics.matmul(a, b, accumulator=name, transpose_b=True), 3)  # type: ignore[misc]
        asked = f" (asked: {ASKED['align-truncate MMAC/s']:g})" if name in ("ampere", "hopper") else ""
        print(f"matmul {name:<18} {rate / 1e6:9.0f} MMAC/s{asked}")
    whole = rng.integers(-128, 128, (1024, 1024))
    small = numerics.cast(rng.standard_normal((1024, 1024)), "fp8_e4m3")
    for name, matrix in (("int32", whole), ("exact", small)):
        rate = 1024**3 / seconds(lambda name=name, matrix=matrix: numerics.matmul(matrix, matrix, accumulator=name), 3)  # type: ignore[misc]
        print(f"matmul {name:<18} {rate / 1e9:9.2f} GMAC/s (asked: {ASKED['BLAS GMAC/s']:g})")


if __name__ == "__main__":
    round_trip()
    products()

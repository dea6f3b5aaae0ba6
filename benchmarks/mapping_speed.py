"""CPU milliseconds of one cold evaluation, and where they go: ``python benchmarks/mapping_speed.py``.

Cold: after import, with every product searched anew. ``search`` is the part of the compiled search of products. The
ratio is to a yardstick of the same run, a fixed amount of work of the interpreter, so that runs on machines that are
busy or of another speed can be compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from accelsim.hardware.load import load_architecture
from accelsim.mapping import machines
from accelsim.pipeline import evaluate
from accelsim.workload.load import load_workload

ASKED_MS = {"resnet-18": 20, "resnet-50": 50}
ARCHITECTURES = ("tpu-v1", "rapid-4core", "systolic-128x128", "systolic-32x32")
CORES = (64, 256)
REPEATS = 8


def cpu_ms(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def yardstick() -> None:
    """Dictionary, tuple and string work, of which mapping outside the search consists."""
    seen: dict[tuple[int, str], tuple[int, str]] = {}
    for each in range(60_000):
        seen[each % 97, "a"] = each, str(each & 7)


def cold_ms(name: str, architecture: str, **constants: float) -> tuple[float, float, float]:
    """(CPU ms of an evaluation, of them in the search, CPU ms of the yardstick), the least of some runs."""
    workload, arch = load_workload(name), load_architecture(architecture).override(constants)
    evaluate(workload, arch)
    spent: list[float] = []
    search = machines.search

    def timed(*arguments: object) -> object:
        start = time.process_time()
        found = search(*arguments)
        spent[-1] += 1e3 * (time.process_time() - start)
        return found

    def run() -> None:
        machines.searched.cache_clear()
        evaluate(workload, arch)

    machines.search = timed
    try:
        for _ in range(3):
            spent.append(0.0)
            run()
    finally:
        machines.search = search
    return min(cpu_ms(run) for _ in range(REPEATS)), min(spent), min(cpu_ms(yardstick) for _ in range(REPEATS))


def main() -> None:
    print(f"{'':<32} {'asked':>6} {'cold':>8} {'search':>8} {'ratio':>7}   CPU ms")
    for architecture in ARCHITECTURES:
        for name, asked in ASKED_MS.items():
            whole, search, yard = cold_ms(name, architecture)
            print(f"{name + ' on ' + architecture:<32} {asked:6} {whole:8.1f} {search:8.2f} {whole / yard:7.2f}")
    for cores in CORES:
        whole, search, yard = cold_ms("resnet-18", "rapid-4core", cores=cores)
        print(f"{f'resnet-18 on {cores} cores':<32} {'':6} {whole:8.1f} {search:8.2f} {whole / yard:7.2f}")


if __name__ == "__main__":
    main()

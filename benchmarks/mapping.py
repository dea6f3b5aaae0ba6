"""CPU milliseconds of one evaluation after import, mapping search included: ``python benchmarks/mapping.py``.

``cold`` forgets every product that was searched before, so that each different layer is searched; ``again`` finds
them remembered. The yardstick is the same search without its bounds, on one layer.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from accelsim.hardware.load import load_architecture
from accelsim.mapping.machines import Machines, searched
from accelsim.mapping.search import search
from accelsim.pipeline import evaluate
from accelsim.workload.load import load_workload

ASKED_MS = {"resnet-18": 20, "resnet-50": 50}
ARCHITECTURES = ("rapid-4core", "systolic-32x32", "systolic-128x128", "tpu-v1")


def cpu_ms(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return 1e3 * (time.process_time() - start)


def main() -> None:
    print(f"{'':<36} {'asked':>7} {'cold':>8} {'again':>8}   CPU ms")
    for architecture in map(load_architecture, ARCHITECTURES):
        for name, asked in ASKED_MS.items():
            workload = load_workload(name)
            cold = []
            for _ in range(6):
                searched.cache_clear()
                cold.append(cpu_ms(lambda workload=workload, arch=architecture: evaluate(workload, arch)))
            again = min(cpu_ms(lambda workload=workload, arch=architecture: evaluate(workload, arch)) for _ in range(5))
            print(f"{name + ' on ' + architecture.name:<36} {asked:7} {min(cold[1:]):8.1f} {again:8.1f}")
    run = evaluate(load_workload("gemm"), load_architecture("rapid-4core"))
    op = next(each for each in run.mapping.walk() if each.problem is not None)
    machine = Machines(run.architecture.description).of(op.precision, 6e6, op.op.name)
    bounded, whole = (cpu_ms(lambda prune=prune: search(op.problem, machine, prune)) for prune in (True, False))
    print(f"search of one product: {bounded:.2f} ms with bounds, {whole:.2f} ms without: {whole / bounded:.0f}x")


if __name__ == "__main__":
    main()

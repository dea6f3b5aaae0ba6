"""Designs of different structure: their hardware as columns, evaluated one after the other in compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.machines import machine_of
from accelsim.mapping.options import MappingOptions
from accelsim.study.batch.rates import DesignRates, table_of
from accelsim.study.batch.structures.borders import room_for_stripes
from accelsim.study.batch.structures.designs import FOUND, INFEASIBLE, UNKNOWN, evaluated
from accelsim.study.batch.structures.entries import CAPACITY, room_for_known
from accelsim.study.batch.structures.facts import Workload
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Loop

__all__ = ["FOUND", "INFEASIBLE", "UNKNOWN", "Structures", "is_compiled"]

_LEAST_A_THREAD = 8
"""Designs for which another thread is worth its start."""


def is_compiled(graph: Graph, cores: float, options: MappingOptions) -> bool:
    """Whether the mapper of a graph on at most so many cores is there in compiled code: no loops, no pipelines."""
    pipelines = options.pipelining and graph.batch > 1 and cores > 1
    return not (pipelines or options.resident_weights or any(isinstance(op, Loop) for op in graph.ops))


@dataclass(frozen=True, slots=True)
class Structures:
    """(n,) codes, makespans in femtoseconds and (n, 4) bytes of scratchpads, network, DRAM and host of n designs."""

    codes: NDArray[np.int64]
    makespan_fs: NDArray[np.int64]
    spent: NDArray[np.float64]

    @staticmethod
    def of(
        workload: Workload, archs: Sequence[DigitalArchitecture], options: MappingOptions,
        counts: Sequence[int] | None = None, threads: int = 1,
    ) -> Structures:  # fmt: skip
        """Evaluate a workload on architectures that read its formats alike, in as many ``threads``.

        With ``counts`` each of ``archs`` holds columns of so many designs (see `price.with_columns`).
        """
        counted = zip(archs, counts or [1] * len(archs), strict=True)
        hardware = [_hardware(workload, arch, designs) for arch, designs in counted]
        machines, mapper, engine, sizes = (np.concatenate(each) for each in zip(*hardware, strict=True))
        count = len(sizes)
        # Neighbours share what they search: those that differ in capacity only, the largest first.
        others = np.concatenate((machines.reshape(count, -1), mapper, np.delete(sizes, CAPACITY, axis=1)), axis=1)
        alike = np.unique(others, axis=0, return_inverse=True)[1].reshape(-1)
        order = np.lexsort((-sizes[:, CAPACITY], alike))
        found = Structures(np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros((count, 4)))

        def evaluate(part: NDArray[np.int64]) -> None:
            codes, makespan_fs, spent = found.codes[part], found.makespan_fs[part], found.spent[part]
            evaluated(
                workload.facts, workload.stored, room_for_known(workload.facts), room_for_stripes(workload.facts),
                machines[part], mapper[part], engine[part], sizes[part], options.fusion, options.prefetch,
                codes, makespan_fs, spent,
            )  # fmt: skip
            found.codes[part], found.makespan_fs[part], found.spent[part] = codes, makespan_fs, spent

        parts = np.array_split(order, max(1, min(threads, count // _LEAST_A_THREAD)))
        if len(parts) == 1:
            evaluate(order)
        else:
            with ThreadPoolExecutor(len(parts)) as pool:  # compiled code leaves the interpreter to others
                list(pool.map(evaluate, parts))
        return found


def _hardware(workload: Workload, arch: DigitalArchitecture, designs: int) -> tuple[NDArray[np.float64], ...]:
    """``machines``, ``mapper``, ``engine`` and ``sizes`` of `entries.Chip`, each of ``designs`` designs."""
    machines = [table_of(machine_of(arch, name, ""), designs) for name in workload.formats]
    rates = DesignRates.of(arch, designs)
    return np.stack(machines, axis=1), rates.mapper, rates.engine, table_of(_sizes(arch), designs)


def _sizes(arch: DigitalArchitecture) -> tuple[float, ...]:
    """``sizes`` of `entries.Chip`."""
    vector, dram, fifo = arch.vector, arch.memory.dram, arch.array.weight_fifo_bytes
    return (
        vector.lanes.value * arch.n_cores, vector.cycles_simple.value, vector.cycles_special.value, arch.n_cores,
        dram.burst_bytes.value * dram.channels.value, arch.scratchpad.capacity_bytes.value * arch.n_cores,
        fifo.value if fifo else inf, dram.capacity_bytes.value,
    )  # fmt: skip

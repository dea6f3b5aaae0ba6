"""Designs of different structure: their hardware as columns, evaluated one after the other in compiled code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.machines import machine_of
from accelsim.mapping.options import MappingOptions
from accelsim.study.batch.rates import DesignRates
from accelsim.study.batch.structures.designs import FOUND, INFEASIBLE, UNKNOWN, evaluated
from accelsim.study.batch.structures.entries import CAPACITY
from accelsim.study.batch.structures.facts import Workload
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Loop

__all__ = ["FOUND", "INFEASIBLE", "UNKNOWN", "Structures", "is_compiled"]


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
    def of(workload: Workload, archs: Sequence[DigitalArchitecture], options: MappingOptions) -> Structures:
        """Evaluate a workload on architectures that read its formats alike."""
        count = len(archs)
        rates = [DesignRates.of(arch, 1) for arch in archs]
        machines = np.array([[machine_of(arch, name, "") for name in workload.formats] for arch in archs], dtype=float)
        machines = machines.reshape(count, len(workload.formats), -1)
        mapper, engine = (np.concatenate([getattr(each, name) for each in rates]) for name in ("mapper", "engine"))
        sizes = np.array([_sizes(arch) for arch in archs])
        # Neighbours share what they search: those that differ in capacity only, the largest first.
        others = np.concatenate((machines.reshape(count, -1), mapper, np.delete(sizes, CAPACITY, axis=1)), axis=1)
        alike = np.unique(others, axis=0, return_inverse=True)[1].reshape(-1)
        order = np.lexsort((-sizes[:, CAPACITY], alike))
        found = Structures(np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros((count, 4)))
        evaluated(
            workload.facts, workload.stored, machines[order], mapper[order], engine[order], sizes[order],
            options.fusion, options.prefetch, found.codes, found.makespan_fs, found.spent,
        )  # fmt: skip
        back = np.argsort(order)
        return Structures(found.codes[back], found.makespan_fs[back], found.spent[back])


def _sizes(arch: DigitalArchitecture) -> tuple[float, ...]:
    """``sizes`` of `entries.Chip`."""
    vector, dram, fifo = arch.vector, arch.memory.dram, arch.array.weight_fifo_bytes
    return (
        vector.lanes.value * arch.n_cores, vector.cycles_simple.value, vector.cycles_special.value, arch.n_cores,
        dram.burst_bytes.value * dram.channels.value, arch.scratchpad.capacity_bytes.value * arch.n_cores,
        fifo.value if fifo else inf, dram.capacity_bytes.value,
    )  # fmt: skip

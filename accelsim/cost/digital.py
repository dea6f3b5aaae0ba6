"""Costs of a digital accelerator: femtoseconds a task, and picojoules an action.

Dynamic energies are stated at the nominal voltage and scale with its square (C V^2); leakage scales with V.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.cost.records import AreaBreakdown, EnergyBreakdown
from accelsim.hardware.area import component_areas_mm2, processing_element
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.hardware.technology.arithmetic import mac_energy_of
from accelsim.mapping.records import OpMapping, WorkloadMapping
from accelsim.mapping.taskgraph import TaskGraph
from accelsim.units import s_to_fs_array
from accelsim.workload.vector_work import element_work

__all__ = ["action_seconds", "area", "durations_fs", "energy"]

_J_PER_PJ = 1e-12


def action_seconds(arch: DigitalArchitecture) -> dict[str, float]:
    """Seconds a unit of each action (see `lower.ACTIONS` for the units)."""
    dram, host, network = arch.memory.dram, arch.host, arch.interconnect
    per_byte = 1.0 / (dram.bandwidth_bytes_per_s.value * dram.efficiency.value)
    dma = arch.dma.engines.value * arch.dma.bandwidth_bytes_per_cycle.value * arch.clock_hz("dma")
    received = network.links_per_core * network.bandwidth_bytes_per_cycle.value * arch.clock_hz("interconnect")
    hop = network.hop_latency_cycles.value / arch.clock_hz("interconnect")
    return {
        "dram_read": per_byte,
        "dram_write": per_byte,
        "dram_latency": dram.latency_s.value,
        "dma": 1.0 / dma,
        "network": 1.0 / received,
        "network_latency": hop * network.mean_hops(arch.n_cores),
        "array": 1.0 / arch.clock_hz("array"),
        "vector": 1.0 / arch.clock_hz("vector"),
        "overhead": arch.op_overhead_cycles.value / arch.clock_hz("array"),
        "host_transfer": 1.0 / host.bandwidth_bytes_per_s.value,
        "host_latency": host.latency_s.value,
        "host_compute": 1.0,
    }


def durations_fs(tasks: TaskGraph, arch: DigitalArchitecture) -> NDArray[np.int64]:
    """Duration of each task, (n,) int64 femtoseconds."""
    seconds = action_seconds(arch)
    unit = np.array([seconds[action] for action in tasks.actions])
    return s_to_fs_array(tasks.amount * unit[tasks.action])


def area(arch: DigitalArchitecture) -> AreaBreakdown:
    """Area by component as predicted, beside what the description states."""
    return AreaBreakdown(component_areas_mm2(arch) or {}, arch.area_mm2)


def energy(mapping: WorkloadMapping, tasks: TaskGraph, arch: DigitalArchitecture, makespan_s: float) -> EnergyBreakdown:
    """Energy of one execution: what each op's actions switch, and leakage over the whole of it."""
    ops = list(mapping.walk())
    moved = _amounts_by_op(tasks, len(ops))
    array = np.array([_mac_pj(op, arch) for op in ops]) * arch.clock_of("array").dynamic_energy_scale
    parts = {
        "array": array,
        "vector": np.array([_vector_pj(op, arch) for op in ops]) * arch.clock_of("vector").dynamic_energy_scale,
        "scratchpad": _scratchpad_pj(ops, arch) * arch.clock_of("scratchpad").dynamic_energy_scale,
        "network": moved["network"]
        * (arch.n_cores * arch.interconnect.mean_hops(arch.n_cores) * arch.interconnect.energy_pj_per_byte_hop.value)
        * arch.clock_of("interconnect").dynamic_energy_scale,
        "dram": (moved["dram_read"] + moved["dram_write"]) * arch.memory.dram.energy_pj_per_byte.value,
        "host": moved["host_transfer"] * arch.host.energy_pj_per_byte.value,
    }
    leakage_w = arch.leakage_w.value * arch.clock_of("array").leakage_scale
    by_op_component = np.stack(list(parts.values()), axis=1) * _J_PER_PJ
    by_component = dict(zip(parts, by_op_component.sum(axis=0).tolist(), strict=True))
    return EnergyBreakdown(
        by_op_component.sum(axis=1), by_component | {"leakage": leakage_w * makespan_s}, tuple(parts), by_op_component,
        _array_local_j(ops, array, arch),
    )  # fmt: skip


def _array_local_j(ops: list[OpMapping], array_pj: NDArray[np.float64], arch: DigitalArchitecture) -> float | None:
    """The arrays' energy in registers, by the share that the technology gives them in a MAC of each format."""
    if arch.technology is None:
        return None
    formats = {op.precision for op in ops if op.problem is not None}
    shares = {name: mac_energy_of(processing_element(arch, name)).local_share for name in formats}
    return (
        float(sum(pj * shares.get(op.precision, 0.0) for op, pj in zip(ops, array_pj.tolist(), strict=True)))
        * _J_PER_PJ
    )


def _amounts_by_op(tasks: TaskGraph, count: int) -> dict[str, NDArray[np.float64]]:
    """For each action, (ops,) the sum of the amounts of its tasks on resources."""
    work = tasks.resource >= 0
    flat = np.bincount(
        tasks.action[work] * count + tasks.op[work], weights=tasks.amount[work], minlength=count * len(tasks.actions)
    ).reshape(len(tasks.actions), count)
    return dict(zip(tasks.actions, flat, strict=True))


def _mac_pj(mapped: OpMapping, arch: DigitalArchitecture) -> float:
    if mapped.problem is None:
        return 0.0
    return mapped.op.macs * mapped.executions * arch.unit(mapped.precision, op=mapped.op.name).energy_pj_per_mac.value


def _vector_pj(mapped: OpMapping, arch: DigitalArchitecture) -> float:
    simple, special = element_work(mapped.op)
    vector = arch.vector
    return (simple * vector.energy_pj_simple.value + special * vector.energy_pj_special.value) * mapped.executions


def _scratchpad_pj(ops: list[OpMapping], arch: DigitalArchitecture) -> NDArray[np.float64]:
    """Bytes through the scratchpads at the mean of a read and a write: half of what crosses is read, half written."""
    mean = (arch.scratchpad.read_energy_pj_per_byte.value + arch.scratchpad.write_energy_pj_per_byte.value) / 2
    return np.array([op.stream.scratchpad_bytes * op.executions for op in ops]) * mean

"""Costs of a digital accelerator: femtoseconds a task, and picojoules an action.

Dynamic energies are stated at the nominal voltage and scale with its square (C V^2); leakage scales with V.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.cost.records import AreaBreakdown, EnergyBreakdown
from accelsim.hardware.area import component_areas_mm2, processing_element
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.hardware.technology.arithmetic import mac_energy_of
from accelsim.mapping.records import OpMapping, PipelineMapping, WorkloadMapping
from accelsim.mapping.taskgraph import TaskGraph
from accelsim.units import s_to_fs_array
from accelsim.workload.vector_work import element_work

__all__ = ["Amounts", "Prices", "action_seconds", "amounts_of", "area", "component_j", "durations_fs", "energy",
           "prices_of"]  # fmt: skip

_J_PER_PJ = 1e-12

Number = float | NDArray[np.float64]
"""Of one design, or (designs,) of many."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one execution of a workload switches in all; DRAM and host bytes are those that cross the interface.

    Attributes:
        macs: multiply-accumulates by format.
        simple, special: operations of the vector units.
        scratchpad_bytes: read or written, all cores.
        network_bytes: received by one core.
    """

    macs: Mapping[str, int]
    simple: int
    special: int
    scratchpad_bytes: Number
    network_bytes: Number
    dram_bytes: Number
    host_bytes: Number


@dataclass(frozen=True, slots=True)
class Prices:
    """Picojoules a unit of each of `Amounts`, at the voltages that the chip runs at; DRAM and host keep theirs."""

    mac_pj: Mapping[str, Number]
    simple_pj: Number
    special_pj: Number
    scratchpad_pj: Number
    network_pj: Number
    dram_pj: Number
    host_pj: Number
    leakage_w: Number
    array_scale: Number
    vector_scale: Number
    scratchpad_scale: Number
    network_scale: Number


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


def amounts_of(mapping: WorkloadMapping, tasks: TaskGraph) -> Amounts:
    """What all ops of a mapping switch together."""
    macs: dict[str, int] = {}
    simple = special = 0
    scratchpad = network = 0.0
    for each in mapping.walk():
        if each.problem is not None:
            macs[each.precision] = macs.get(each.precision, 0) + each.op.macs * each.executions
        more = element_work(each.op)
        simple, special = simple + more[0] * each.executions, special + more[1] * each.executions
        scratchpad += each.stream.scratchpad_bytes * each.executions
        network += (each.stream.gather_bytes + each.stream.reduce_bytes) * each.executions
    for part in mapping.ops:
        if isinstance(part, PipelineMapping):
            network += sum(stage.receive_bytes * part.samples for stage in part.stages)
    moved = _amounts_by_op(tasks, 1, np.zeros_like(tasks.op))
    dram = float(moved["dram_read"][0] + moved["dram_write"][0])
    return Amounts(macs, simple, special, scratchpad, network, dram, float(moved["host_transfer"][0]))


def prices_of(arch: DigitalArchitecture) -> Prices:
    """What an architecture pays for each of `Amounts`. Scratchpads: half of what crosses is read, half written."""
    vector, scratchpad, network = arch.vector, arch.scratchpad, arch.interconnect
    return Prices(
        mac_pj={name: unit.energy_pj_per_mac.value for name, unit in arch.array.units.items()},
        simple_pj=vector.energy_pj_simple.value,
        special_pj=vector.energy_pj_special.value,
        scratchpad_pj=(scratchpad.read_energy_pj_per_byte.value + scratchpad.write_energy_pj_per_byte.value) / 2,
        network_pj=arch.n_cores * network.mean_hops(arch.n_cores) * network.energy_pj_per_byte_hop.value,
        dram_pj=arch.memory.dram.energy_pj_per_byte.value,
        host_pj=arch.host.energy_pj_per_byte.value,
        leakage_w=arch.leakage_w.value * arch.clock_of("array").leakage_scale,
        array_scale=arch.clock_of("array").dynamic_energy_scale,
        vector_scale=arch.clock_of("vector").dynamic_energy_scale,
        scratchpad_scale=arch.clock_of("scratchpad").dynamic_energy_scale,
        network_scale=arch.clock_of("interconnect").dynamic_energy_scale,
    )


def component_j(amounts: Amounts, prices: Prices, makespan_s: Number) -> dict[str, Number]:
    """Joules by component of one design, or (designs,) of many, in the same operations: both agree to the last bit."""
    array: Number = 0.0
    for name, macs in amounts.macs.items():
        array = array + macs * prices.mac_pj[name]
    vector = amounts.simple * prices.simple_pj + amounts.special * prices.special_pj
    return {
        "array": array * prices.array_scale * _J_PER_PJ,
        "vector": vector * prices.vector_scale * _J_PER_PJ,
        "scratchpad": amounts.scratchpad_bytes * prices.scratchpad_pj * prices.scratchpad_scale * _J_PER_PJ,
        "network": amounts.network_bytes * prices.network_pj * prices.network_scale * _J_PER_PJ,
        "dram": amounts.dram_bytes * prices.dram_pj * _J_PER_PJ,
        "host": amounts.host_bytes * prices.host_pj * _J_PER_PJ,
        "leakage": prices.leakage_w * makespan_s,
    }


def energy(mapping: WorkloadMapping, tasks: TaskGraph, arch: DigitalArchitecture, makespan_s: float) -> EnergyBreakdown:
    """Energy of one execution: what each op's actions switch, and leakage over the whole of it."""
    ops = list(mapping.walk())
    moved, prices = _amounts_by_op(tasks, len(ops), tasks.op), prices_of(arch)
    work = np.array([element_work(op.op) for op in ops], dtype=np.float64).reshape(-1, 2)
    executions = np.array([op.executions for op in ops], dtype=np.float64)
    array = np.array([_mac_pj(op, prices) for op in ops]) * prices.array_scale
    by_op_component = np.stack([
        array,
        (work[:, 0] * prices.simple_pj + work[:, 1] * prices.special_pj) * executions * prices.vector_scale,
        np.array([op.stream.scratchpad_bytes * op.executions for op in ops])
        * (prices.scratchpad_pj * prices.scratchpad_scale),
        moved["network"] * (prices.network_pj * prices.network_scale),
        (moved["dram_read"] + moved["dram_write"]) * prices.dram_pj,
        moved["host_transfer"] * prices.host_pj,
    ], axis=1) * _J_PER_PJ  # fmt: skip
    by_component = {name: float(j) for name, j in component_j(amounts_of(mapping, tasks), prices, makespan_s).items()}
    components = tuple(name for name in by_component if name != "leakage")
    local_j = _array_local_j(ops, array, arch)
    return EnergyBreakdown(by_op_component.sum(axis=1), by_component, components, by_op_component, local_j)


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


def _amounts_by_op(tasks: TaskGraph, count: int, op: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """For each action, (count,) the sum of the amounts of its tasks on resources, by ``op``, (tasks,)."""
    work = tasks.resource >= 0
    flat = np.bincount(
        tasks.action[work] * count + op[work], weights=tasks.amount[work], minlength=count * len(tasks.actions)
    ).reshape(len(tasks.actions), count)
    return dict(zip(tasks.actions, flat, strict=True))


def _mac_pj(mapped: OpMapping, prices: Prices) -> float:
    if mapped.problem is None:
        return 0.0
    return mapped.op.macs * mapped.executions * float(prices.mac_pj[mapped.precision])

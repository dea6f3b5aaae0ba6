"""Costs of analog tiles: femtoseconds a task, picojoules an action, square millimetres.

Lines, columns and converters that a block of weights does not use are off; a tile that computes nothing takes leakage
alone. Writing weights that stay is no part of an execution (see `programming`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from accelsim.cost.records import AreaBreakdown, EnergyBreakdown
from accelsim.hardware.aimc.derive import component_areas_mm2
from accelsim.hardware.aimc.description import AimcArchitecture
from accelsim.hardware.aimc.parts import OWN_COMPONENTS, LineUse
from accelsim.hardware.aimc.tile import Tile
from accelsim.mapping.aimc.mapper import PARTIAL_SUM_BYTES, input_bytes_per_vector
from accelsim.mapping.aimc.records import AimcMapping, AimcOp, Cut, StoredMatrix
from accelsim.mapping.taskgraph import TaskGraph
from accelsim.numerics import FORMATS
from accelsim.units import FS_PER_S, s_to_fs_array
from accelsim.workload.ops import Conv, MatMul, Move
from accelsim.workload.vector_work import element_work

__all__ = ["action_seconds", "area", "components", "durations_fs", "energy", "product_pj", "programming"]

_LEVELS: Mapping[str, str] = {
    "crossbar": "compute", "dac": "compute", "adc": "compute", "control": "compute", "digital": "compute",
    "cores": "compute", "programming": "compute", "buffer": "scratchpad", "off_chip": "dram",
}  # fmt: skip
_J_PER_PJ = 1e-12


def action_seconds(arch: AimcArchitecture) -> dict[str, float]:
    """Seconds a unit of each action (see `lower.ACTIONS` for the units)."""
    tile, mesh, link = arch.tile, arch.mesh, arch.off_chip
    full = tile.interval_s(tile.outputs)
    rows, columns = arch.chips.value * mesh.rows.value, mesh.columns.value
    links = 2 * (rows * (columns - 1) + columns * (rows - 1)) or 1.0
    recalibration = tile.recalibration.reads.value * full if tile.recalibration else 0.0
    return {
        "product": full,
        "fill": tile.latency_s(tile.outputs) - full,
        "receive": 1.0 / mesh.link_bytes_per_s.value,
        "mesh": 1.0 / (links * mesh.link_bytes_per_s.value),
        "hops": mesh.hop_latency_s.value,
        "digital": 1.0 / (arch.digital.clock_hz.value * arch.digital.count.value * arch.digital.lanes.value),
        "cores": 1.0 / arch.cores.clock_hz.value if arch.cores else 0.0,
        "off_chip": 1.0 / link.bandwidth_bytes_per_s.value,
        "off_chip_latency": link.latency_s.value,
        "host": 1.0,
        "program": tile.programming.time_s_per_tile.value,
        "recalibrate": recalibration,
    }


def durations_fs(tasks: TaskGraph, arch: AimcArchitecture) -> NDArray[np.int64]:
    """Duration of each task, (n,) int64 femtoseconds."""
    seconds = action_seconds(arch)
    unit = np.array([seconds[action] for action in tasks.actions])
    return s_to_fs_array(tasks.amount * unit[tasks.action])


def area(arch: AimcArchitecture) -> AreaBreakdown:
    """Area by component as predicted, beside what the description states."""
    return AreaBreakdown(component_areas_mm2(arch), arch.area_mm2)


def product_pj(cut: Cut, tile: Tile) -> dict[str, float]:
    """Picojoules of one product with a stored matrix, all blocks of one copy, by component."""
    outputs = cut.groups * cut.outputs
    return tile.product_pj(
        LineUse(
            rows=cut.groups * cut.inputs * cut.column_parts, columns=outputs * cut.row_parts,
            weights=outputs * cut.inputs / cut.pages, outputs=outputs, tiles=cut.tiles,
        )
    )  # fmt: skip


def energy(mapping: AimcMapping, tasks: TaskGraph, arch: AimcArchitecture, makespan_s: float) -> EnergyBreakdown:
    """Energy of one execution: what each op's actions switch, and leakage over the whole of it."""
    moved = _off_chip_bytes(tasks, len(mapping.ops)) * arch.off_chip.energy_pj_per_byte.value
    rows = [_op_pj(op, arch) for op in mapping.ops]
    extra = _upkeep_pj(mapping, tasks, arch)
    names = components(arch)
    table = np.array([[row.get(name, 0.0) for name in names] for row in rows]).reshape(len(rows), len(names))
    table[:, names.index("off_chip")] += moved
    table[:, names.index("programming")] += extra
    joules = table * _J_PER_PJ
    by_component = dict(zip(names, joules.sum(axis=0).tolist(), strict=True))
    idle = {"leakage": arch.total_leakage_w * makespan_s + _standby_j(mapping, tasks, arch, makespan_s)}
    levels = {**_LEVELS, **dict.fromkeys(arch.tile.parts, "compute")}
    return EnergyBreakdown(joules.sum(axis=1), by_component | idle, names, joules, level_of=levels)


def components(arch: AimcArchitecture) -> tuple[str, ...]:
    """Components that ops spend energy in: those of tiles, their further parts, and all else that the chip has."""
    own = [name for name in OWN_COMPONENTS if name != "cores" or arch.cores is not None]
    behind = own.index("digital")
    return (*own[:behind], *arch.tile.parts, *own[behind:])


def _standby_j(mapping: AimcMapping, tasks: TaskGraph, arch: AimcArchitecture, makespan_s: float) -> float:
    """What tiles that hold weights take beside their own reading: for as long as they do not compute."""
    busy = np.zeros(len(tasks.resources))
    on = tasks.resource >= 0
    np.add.at(busy, tasks.resource[on], durations_fs(tasks, arch)[on] / FS_PER_S)
    reading = dict(zip(tasks.resources, busy.tolist(), strict=True))
    tiles = {tile: each.resource for each in mapping.matrices.values() for tile in each.tiles}
    idle_s = sum(makespan_s - reading[f"{resource}.tile"] for resource in tiles.values())
    return max(idle_s, 0.0) * arch.tile.standby_w.value


def _off_chip_bytes(tasks: TaskGraph, count: int) -> NDArray[np.float64]:
    chosen = tasks.action == tasks.actions.index("off_chip")
    moved = np.bincount(tasks.op[chosen], weights=tasks.amount[chosen], minlength=count)
    return moved.astype(np.float64)


def _upkeep_pj(mapping: AimcMapping, tasks: TaskGraph, arch: AimcArchitecture) -> NDArray[np.float64]:
    """(ops,) writing tiles in rounds, and products that only read the drift."""
    tile, count = arch.tile, len(mapping.ops)
    by_resource: dict[str, list[StoredMatrix]] = {}
    for each in mapping.matrices.values():
        by_resource.setdefault(f"{each.resource}.tile", []).append(each)
    found = np.zeros(count)
    for action in ("program", "recalibrate"):
        chosen = np.flatnonzero(tasks.action == tasks.actions.index(action))
        for task in chosen.tolist():
            stored = by_resource[tasks.resources[tasks.resource[task]]]
            reads = tile.recalibration.reads.value if tile.recalibration else 0.0
            found[tasks.op[task]] += sum(
                _written_pj(each, tile) if action == "program" else reads * sum(product_pj(each.cut, tile).values())
                for each in stored
            )
    return found


def _written_pj(matrix: StoredMatrix, tile: Tile) -> float:
    return _devices(matrix, tile) * tile.programming.energy_pj_per_device.value


def _devices(matrix: StoredMatrix, tile: Tile) -> float:
    """Devices that hold the copies of a matrix."""
    cells = tile.row_cells_per_weight.value * tile.column_cells_per_weight.value * tile.devices_per_cell.value
    return sum(block.rows * block.columns for block in matrix.blocks) * cells / matrix.cut.pages


def _op_pj(op: AimcOp, arch: AimcArchitecture) -> dict[str, float]:
    """Picojoules of all executions of an op, by component."""
    times = op.executions
    if op.unit == "tile":
        return _on_tiles_pj(op, arch)
    if op.unit == "cores":
        assert arch.cores is not None
        unit = arch.cores.units[op.precision]
        macs = op.op.macs * times
        weight_bytes = _weight_reads(op, arch) * FORMATS[op.precision].bits_per_element / 8
        return {
            "cores": macs * unit.energy_pj_per_mac.value,
            "buffer": weight_bytes * times * arch.cores.memory_energy_pj_per_byte.value,
        }
    if op.unit == "digital":
        simple, special = (op.op.elements, 0) if isinstance(op.op, Move) else element_work(op.op)
        units = arch.digital
        return {"digital": times * (simple * units.energy_pj_simple.value + special * units.energy_pj_special.value)}
    return {}


def _weight_reads(op: AimcOp, arch: AimcArchitecture) -> float:
    """Weights that the digital cores read from their memories in one execution: each once, and an input a fold."""
    assert arch.cores is not None
    assert isinstance(op.op, MatMul | Conv)
    nest = op.op.contraction
    columns = arch.cores.columns.value
    return nest.groups * (nest.k * nest.n + nest.m * nest.k * ceil(nest.n / columns))


def _on_tiles_pj(op: AimcOp, arch: AimcArchitecture) -> dict[str, float]:
    assert op.matrix is not None
    tile, cut = arch.tile, op.matrix.cut
    vectors = op.vectors * op.executions
    products = vectors * tile.crossbar.mean_passes.value
    found = {name: pj * products for name, pj in product_pj(cut, tile).items()}
    read = input_bytes_per_vector(op.matrix, arch) * cut.column_parts
    written = cut.groups * cut.outputs * FORMATS[arch.activation_format].bits_per_element / 8
    sums = cut.groups * cut.outputs * (cut.row_parts - 1) * PARTIAL_SUM_BYTES
    found["buffer"] = vectors * (read + written + sums) * tile.buffer_energy_pj_per_byte.value
    found["network"] = vectors * (read * op.hops + sums * op.sum_hops) * arch.mesh.energy_pj_per_byte_hop.value
    return found


@dataclass(frozen=True, slots=True)
class ProgrammingCost:
    """Writing all weights once: tiles of one round at the same time, one round after the other."""

    time_s: float
    energy_j: float
    devices: int


def programming(mapping: AimcMapping, arch: AimcArchitecture) -> ProgrammingCost:
    """What writing the weights takes, before the first execution or in each where there are rounds."""
    tile = arch.tile
    devices = sum(_devices(each, tile) for each in mapping.matrices.values())
    joules = sum(_written_pj(each, tile) for each in mapping.matrices.values()) * _J_PER_PJ
    rounds = mapping.rounds if mapping.matrices else 0
    return ProgrammingCost(rounds * tile.programming.time_s_per_tile.value, joules, int(devices))

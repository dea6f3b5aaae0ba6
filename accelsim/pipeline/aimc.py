"""Evaluation on analog tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import ClassVar

import numpy as np

from accelsim.cost.aimc import area, durations_fs, energy, programming
from accelsim.cost.records import AreaBreakdown, EnergyBreakdown
from accelsim.engine import run
from accelsim.engine.issue import Due, issued_as_ready
from accelsim.errors import UnsupportedError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.hardware.aimc.description import ANALOG
from accelsim.hardware.load import Architecture
from accelsim.mapping.aimc.choice import resolve_analog, stored_choice
from accelsim.mapping.aimc.lower import SHARED, lower_aimc, with_amounts
from accelsim.mapping.aimc.mapper import map_aimc
from accelsim.mapping.aimc.records import AimcMapping, Block
from accelsim.mapping.lower import Detail
from accelsim.mapping.options import MappingOptions
from accelsim.mapping.taskgraph import NO_RESOURCE, TaskGraph
from accelsim.pipeline.evaluation import Engine, Evaluation
from accelsim.units import fs_to_s, s_to_fs
from accelsim.workload.expand import expanded
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionArgument, assign_formats

__all__ = ["AimcEvaluation", "evaluate_again", "evaluate_aimc", "least_latency_s"]

_MOST_RECALIBRATIONS = 100_000


@dataclass(frozen=True)
class AimcEvaluation(Evaluation):
    """A workload on analog tiles, digital units and a mesh. Weights are on the tiles when it starts.

    ``lowered`` are its tasks op by op, with counts in the place of amounts and in the order of the ops.
    """

    mapping: AimcMapping
    energy: EnergyBreakdown
    lowered: TaskGraph | None = None

    units: ClassVar[tuple[str, ...]] = ("tile", "digital", "cores", "host")

    @property
    def arch(self) -> AimcArchitecture:
        """The description of the architecture."""
        assert isinstance(self.architecture.description, AimcArchitecture)
        return self.architecture.description

    @cached_property
    def area(self) -> AreaBreakdown:
        return area(self.arch)

    @property
    def dram_bytes(self) -> float:
        """Bytes over the link off the chip."""
        chosen = self.tasks.action == self.tasks.actions.index("off_chip")
        return float(self.tasks.amount[chosen].sum())

    @cached_property
    def ideal_s(self) -> float:
        """Time of all MACs with every tile full and busy, or every core busy, whichever is longer."""
        arch = self.arch
        macs: dict[str, int] = {}
        for op in self.mapping.walk():
            if op.unit in ("tile", "cores"):
                macs[op.precision] = macs.get(op.precision, 0) + op.op.macs * op.executions
        analog = 2.0 * macs.pop(ANALOG, 0) / (2.0 * arch.n_tiles * arch.mvm_macs) * arch.tile.least_interval_s
        return max(analog, sum(2.0 * count / arch.core_ops_per_s(name) for name, count in macs.items()))

    @property
    def resources(self) -> dict[str, dict[str, float]]:
        """Tiles, and cells of weights."""
        arch, mapping = self.arch, self.mapping
        held: dict[int, float] = {}
        for matrix in mapping.matrices.values():
            weights = sum(block.rows * block.columns for block in matrix.blocks) / matrix.cut.pages
            held[matrix.round] = held.get(matrix.round, 0) + weights
        return {
            "tiles": {"used": mapping.tiles_used, "budget": arch.n_tiles},
            "weights": {"used": max(held.values(), default=0), "budget": arch.n_tiles * arch.mvm_macs},
        }

    @cached_property
    def tile_utilization(self) -> tuple[float, ...]:
        """Busy share of the makespan of each tile, (tiles,); those that hold nothing have 0."""
        shares = np.zeros(self.arch.n_tiles)
        for matrix in self.mapping.matrices.values():
            busy = self.utilization[f"{matrix.resource}.tile"]
            used = list(set(matrix.tiles))
            shares[used] = busy if self.mapping.rounds == 1 else shares[used] + busy
        return tuple(shares.tolist())

    @property
    def recalibrations(self) -> int:
        """Recalibrations of a tile within the execution."""
        chosen = self.tasks.action == self.tasks.actions.index("recalibrate")
        per_resource = np.bincount(self.tasks.resource[chosen], minlength=1)
        return int(per_resource.max())

    @property
    def summary(self) -> str:
        mapping, written = self.mapping, programming(self.mapping, self.arch)
        copies = max((each.replicas for each in mapping.matrices.values()), default=0)
        rounds = f" in {mapping.rounds} rounds, written in each execution" if mapping.rounds > 1 else ""
        words = (
            f"{mapping.tiles_used} of {self.arch.n_tiles} tiles hold {len(mapping.matrices)} matrices{rounds}, up to "
            f"{copies} copies; {mapping.byte_hops:.4g} byte-hops on the mesh (bound {mapping.least_byte_hops:.4g})."
        )
        used = [share for share in self.tile_utilization if share > 0]
        if used:
            words += f" Tiles in use are busy {100 * min(used):.3g} to {100 * max(used):.3g} % of the time."
        return (f"{words} Writing {written.devices:,} devices takes {written.time_s:.3g} s and {written.energy_j:.3g} J"
                f"{'' if mapping.rounds > 1 else ', before the first execution'}.")  # fmt: skip

    def certificates(self) -> list[str]:
        """What the link carries, that placement is above its bound, and that blocks fit tiles without overlapping."""
        found = []
        least_s = self.dram_bytes / self.arch.off_chip.bandwidth_bytes_per_s.value
        if least_s > self.latency_s * (1 + 1e-9):
            found.append(f"latency {self.latency_s} s is below bytes off the chip over bandwidth: {least_s} s")
        if self.lowered is not None and self.latency_s < least_latency_s(self, self.architecture):
            found.append(f"latency {self.latency_s} s is below that of its tasks in any order")
        mapping = self.mapping
        if mapping.byte_hops < mapping.least_byte_hops * (1 - 1e-9):
            found.append(f"{mapping.byte_hops} byte-hops are below the bound {mapping.least_byte_hops}")
        return found + self._missing() + self._overlaps()

    def _missing(self) -> list[str]:
        """Matrices of which a copy is not held whole, or a block twice."""
        found = []
        for matrix in self.mapping.matrices.values():
            cut = matrix.cut
            cells = sum(rows * columns for rows, columns, _ in cut.blocks())
            # The blocks on a diagonal leave cells between its groups empty.
            least = cut.groups * cut.inputs * cut.outputs
            held = sorted((block.rows, block.columns, block.row_part) for block in matrix.blocks)
            if held != sorted([*cut.blocks()] * matrix.replicas) or cells < least or (
                cut.groups_per_tile == 1 and cells != least
            ):  # fmt: skip
                found.append(f"the blocks of {matrix.name} are not its {matrix.replicas} copies")
        return found

    def _overlaps(self) -> list[str]:
        """Blocks that leave their tile or its pages, or share cells with another block of the same round."""
        tile, found = self.arch.tile, []
        taken: dict[tuple[int, int], list[tuple[Block, str]]] = {}
        for matrix in self.mapping.matrices.values():
            for block in matrix.blocks:
                if block.first_row + block.rows > tile.inputs or block.first_column + block.columns > tile.outputs:
                    found.append(f"a block of {matrix.name} leaves tile {block.tile}")
                if (block.page is None) != (matrix.cut.pages == 1) or (block.page or 0) >= tile.page_count:
                    found.append(f"a block of {matrix.name} is on no page of tile {block.tile}")
                taken.setdefault((matrix.round, block.tile), []).append((block, matrix.name))
        for (_, number), blocks in taken.items():
            found += [
                f"{second} and {first} overlap on tile {number}"
                for (one, first), (other, second) in combinations(blocks, 2)
                if one.overlaps(other)
            ]
        return found


def evaluate_aimc(
    workload: Graph,
    architecture: Architecture,
    precision: PrecisionArgument,
    engine: Engine,
    detail: Detail,
    options: MappingOptions,
) -> AimcEvaluation:
    """Map, lower, time and price one workload; arguments and errors as `pipeline.evaluate`."""
    arch = architecture.description
    assert isinstance(arch, AimcArchitecture)
    if options != MappingOptions():
        raise UnsupportedError("are choices of digital mappings", field="mapping", value=options.text(),
                               remedy="leave them out; tiles have none of them")  # fmt: skip
    runnable = expanded(workload)
    choice = resolve_analog(runnable, precision, arch)
    graph = assign_formats(runnable, stored_choice(choice, arch), arch.value_format)
    mapping = map_aimc(graph, arch, choice)
    lowered = lower_aimc(mapping, arch, detail)
    tasks = _issued(lowered, mapping, arch)
    timeline = run(tasks, durations_fs(tasks, arch), engine)
    priced = energy(mapping, tasks, arch, fs_to_s(timeline.makespan_fs))
    return AimcEvaluation(
        workload, architecture, choice, mapping, tasks, timeline, priced, detail, options, lowered=lowered
    )


_PRICES = (
    "energy_pj", "leakage_w", "standby_w", "control_pj", "area", "crossbar.mean_conductance_us", "crossbar.mean_input",
    "crossbar.read_voltage_v", "tile.mean_values", ".installed",
)  # fmt: skip
"""Parts of the paths of constants on which energies and areas depend, and no time."""
_RATES = (
    "mesh.link_bytes_per_s", "mesh.hop_latency_s", "off_chip.bandwidth_bytes_per_s", "off_chip.latency_s",
    "digital.clock_hz", "digital.count", "digital.lanes", "digital.cycles_simple", "digital.cycles_special",
    "cores.clock_hz", "cores.count", "cores.rows", "cores.columns", "tile.integration.fixed_s",
    "tile.integration.step_s", "tile.overhead_s", "tile.adc.per_tile", "tile.adc.conversion.fixed_s",
    "tile.adc.conversion.step_s", "tile.digital.affine_s", "tile.crossbar.mean_passes",
    "tile.programming.time_s_per_tile", "tile.recalibration.interval_s", "tile.buffer_bytes", "node_nm",
)  # fmt: skip
"""Paths of constants that change how long tasks take, and neither the mapping nor which tasks there are."""


def evaluate_again(nominal: AimcEvaluation, architecture: Architecture, paths: Iterable[str]) -> AimcEvaluation | None:
    """What `evaluate_aimc` would give after only the constants at ``paths`` changed; None where they change the tasks.

    The mapping is kept, and with constants that are prices alone also the timeline.
    """
    arch = architecture.description
    assert isinstance(arch, AimcArchitecture)
    slower = [path for path in paths if not any(mark in path for mark in _PRICES)]
    if nominal.lowered is None or any(path not in _RATES for path in slower):
        return None
    tasks, timeline = nominal.tasks, nominal.timeline
    if slower:
        tasks = _issued(nominal.lowered, nominal.mapping, arch)
        timeline = run(tasks, durations_fs(tasks, arch))
    priced = energy(nominal.mapping, tasks, arch, fs_to_s(timeline.makespan_fs))
    return replace(nominal, architecture=architecture, tasks=tasks, timeline=timeline, energy=priced)


def least_latency_s(found: AimcEvaluation, architecture: Architecture) -> float:
    """What no order of the tasks of ``found`` falls below, at the rates of ``architecture``, in seconds.

    The longest path where units that serve all ops never made anything wait, and the work of each of them. Neither
    rises where a task becomes shorter.
    """
    arch = architecture.description
    assert isinstance(arch, AimcArchitecture)
    assert found.lowered is not None
    tasks = with_amounts(found.lowered, found.mapping, arch)
    durations = durations_fs(tasks, arch)
    shared = [index for index, name in enumerate(tasks.resources) if name in SHARED]
    work = max((int(durations[tasks.resource == index].sum()) for index in shared), default=0)
    loose = replace(tasks, resource=np.where(np.isin(tasks.resource, shared), NO_RESOURCE, tasks.resource))
    return fs_to_s(max(work, run(loose, durations, "maxplus").makespan_fs))


def _issued(tasks: TaskGraph, mapping: AimcMapping, arch: AimcArchitecture) -> TaskGraph:
    """The tasks in the order in which they are ready, recalibrations between them where one falls due."""
    tasks = with_amounts(tasks, mapping, arch)
    durations = durations_fs(tasks, arch)
    listed = issued_as_ready(tasks, durations, SHARED)
    recalibration = arch.tile.recalibration
    if recalibration is None or not mapping.matrices:
        return listed
    makespan_s = fs_to_s(run(listed, durations_fs(listed, arch), "maxplus").makespan_fs)
    count = int(makespan_s // recalibration.interval_s.value)
    if count == 0:
        return listed
    interval = s_to_fs(recalibration.interval_s.value)
    resources = sorted({f"{each.resource}.tile" for each in mapping.matrices.values()})
    if count * len(resources) > _MOST_RECALIBRATIONS:
        raise UnsupportedError(f"falls due {count} times in one execution", field="tile.recalibration.interval_s",
                               value=recalibration.interval_s.value, remedy="recalibrate less often")  # fmt: skip
    due = [Due(turn * interval, name, "recalibrate", 1.0) for turn in range(1, count + 1) for name in resources]
    return issued_as_ready(tasks, durations, SHARED, due)

"""Evaluation on FPGAs: folding to the budget, stages, FIFO depths by simulation, timeline and resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np

from accelsim.cost.fpga.stages import DataflowResources, circuit_resources, dataflow_resources
from accelsim.cost.records import AreaBreakdown
from accelsim.engine import run
from accelsim.engine.streaming import Sizing, cycles_of_frames, largest_fill, size_fifos
from accelsim.engine.timeline import Timeline
from accelsim.errors import Infeasible, InfeasibleError, UnsupportedError
from accelsim.hardware.fpga_architecture import FpgaArchitecture
from accelsim.hardware.load import Architecture
from accelsim.mapping.fpga.build import build
from accelsim.mapping.fpga.choose import Folding, Pricing, fill_budget, fold_for, fold_with_reuse
from accelsim.mapping.fpga.circuits import Circuit
from accelsim.mapping.fpga.layers import Layer, layers_of
from accelsim.mapping.fpga.lower import Lowered, lower_dataflow
from accelsim.mapping.fpga.mapped import FpgaMapping
from accelsim.mapping.fpga.records import Dataflow
from accelsim.mapping.fpga.stated import check_names, stated_folds
from accelsim.mapping.fpga.widths import FormatWidths
from accelsim.mapping.lower import Detail
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline.evaluation import Engine, Evaluation
from accelsim.units import FS_PER_S
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionArgument, assign_formats, resolve_precision

__all__ = ["FpgaEvaluation", "evaluate_fpga", "evaluate_within", "map_fpga", "pricing", "used_by_name"]

_FRAMES = 2
"""Frames that FIFOs are sized on and the interval is taken from: the second meets the pipeline full."""
_SHRINKS = 4
_REFILL = 0.98


@dataclass(frozen=True)
class FpgaEvaluation(Evaluation):
    """A workload as a streaming dataflow, all weights on the chip.

    ``sizing`` is how the depths of FIFOs were found, ``interval_cycles`` the cycles from one frame's end to the next's.
    """

    mapping: FpgaMapping
    sizing: Sizing | None = None
    interval_cycles: int = 0
    parts: DataflowResources = field(default_factory=lambda: DataflowResources({}, {}))
    lowered: Lowered | None = None

    @property
    def arch(self) -> FpgaArchitecture:
        """The description of the architecture."""
        assert isinstance(self.architecture.description, FpgaArchitecture)
        return self.architecture.description

    @property
    def period_s(self) -> float:
        return 1.0 / self.arch.clock_hz.value

    @property
    def throughput_per_s(self) -> float:
        """Frames a second when frame follows frame: the pipeline holds several at a time."""
        return 1.0 / (self.interval_cycles * self.period_s)

    @property
    def resources(self) -> dict[str, dict[str, float]]:
        """What the network takes of the device: LUTs, those of them as memory, flip-flops, block RAM in halves,
        UltraRAM and DSP slices."""
        budget, used = self.arch.part.budget(), used_by_name(self.parts)
        return {name: {"used": used[name], "budget": budget[name]} for name in budget}

    @property
    def area(self) -> AreaBreakdown:
        return AreaBreakdown({}, None)

    @property
    def dram_bytes(self) -> None:
        return None

    @cached_property
    def ideal_s(self) -> float:
        """Time of all MACs with every multiplier busy."""
        return self.macs / self.mapping.multipliers * self.period_s if self.mapping.multipliers else 0.0

    @property
    def summary(self) -> str:
        dataflow, folding = self.mapping.dataflow, self.mapping.folding
        bound = folding.bound_cycles
        best = "" if bound is None else f" (no folding within the budget takes less than {bound:,})"
        return (
            f"{len(dataflow.stages)} stages, {self.mapping.multipliers:,} multipliers, chosen from "
            f"{folding.choices_seen:,} foldings: a frame every {self.interval_cycles:,} cycles{best}. "
            f"{len(dataflow.fifos)} FIFOs, {sum(1 for each in dataflow.fifos if each.skip)} of them of skips."
        )

    def certificates(self) -> list[str]:
        """Frames no closer than the slowest stage lets them, FIFOs never fuller than deep, folding above its bound."""
        found = []
        slowest = self.mapping.dataflow.interval_cycles
        if self.interval_cycles < slowest:
            found.append(f"frames follow in {self.interval_cycles} cycles, the slowest stage takes {slowest}")
        bound = self.mapping.folding.bound_cycles
        if bound is not None and bound > self.mapping.folding.interval_cycles:
            found.append(f"folding takes {self.mapping.folding.interval_cycles} cycles, below its bound {bound}")
        if self.lowered is not None:
            fills = largest_fill(self.lowered, self.timeline)
            found += [
                f"FIFO {each.name} holds {fills[each.name]} of {each.depth} pixels"
                for each in self.mapping.dataflow.fifos
                if each.depth is not None and fills[each.name] > each.depth
            ]
        return found


def used_by_name(parts: DataflowResources) -> dict[str, int]:
    """Amounts by the names of a device's budget."""
    total = parts.total
    return {
        "lut": total.lut, "lutram": total.lut_srl + total.lut_lutram, "ff": total.ff, "bram18": total.bram18,
        "uram": total.uram, "dsp": total.dsp,
    }  # fmt: skip


def evaluate_fpga(
    workload: Graph, architecture: Architecture, precision: PrecisionArgument, engine: Engine, detail: Detail,
    options: MappingOptions,
) -> FpgaEvaluation:  # fmt: skip
    """Map, lower, time and price one workload; arguments and errors as `pipeline.evaluate`."""
    return evaluate_within(workload, architecture, precision, engine, detail, options)


def evaluate_within(
    workload: Graph, architecture: Architecture, precision: PrecisionArgument, engine: Engine = "auto",
    detail: Detail = "op", options: MappingOptions | None = None, *, cycles: int | None = None,
    rewritten: bool = False,
) -> FpgaEvaluation:  # fmt: skip
    """As `evaluate_fpga`, every layer folded to take at most ``cycles`` a frame where that is given. A ``rewritten``
    workload may lack layers that ``folding.layers`` names."""
    arch, options = architecture.description, options or MappingOptions()
    assert isinstance(arch, FpgaArchitecture)
    if options != MappingOptions():
        raise UnsupportedError("are choices of digital mappings", field="mapping", value=options.text(),
                               remedy="leave them out; a dataflow has none of them")  # fmt: skip
    choice = resolve_precision(workload, precision)
    graph = assign_formats(workload, choice, choice.default)
    layers = layers_of(graph, FormatWidths(graph))
    if not rewritten:
        check_names(layers, arch.folding.layers, arch.style, f"architecture {arch.name}")
    folding, dataflow, sizing, interval = map_fpga(layers, arch, cycles)
    precisions = {op.name: choice.of(op.name) for op in graph.ops}
    mapping = FpgaMapping(graph, layers, folding, dataflow, precisions)
    lowered = lower_dataflow(dataflow, workload.batch)
    tasks = lowered.with_depths()
    durations = np.rint(tasks.amount * (FS_PER_S / arch.clock_hz.value)).astype(np.int64)
    timeline: Timeline = run(tasks, durations, engine)
    parts = dataflow_resources(dataflow, arch.style)
    return FpgaEvaluation(
        workload, architecture, choice, mapping, tasks, timeline, None, detail, options,
        sizing=sizing, interval_cycles=interval, parts=parts, lowered=lowered,
    )  # fmt: skip


def map_fpga(
    layers: tuple[Layer, ...], arch: FpgaArchitecture, cycles: int | None = None
) -> tuple[Folding, Dataflow, Sizing, int]:  # fmt: skip
    """Folding, stages with sized FIFOs, and the interval of frames.

    What FIFOs take is known only when the folding is: where the whole exceeds the budget, circuits are folded into
    what FIFOs leave.

    Raises:
        InfeasibleError: it does not fit the device.
    """
    budget = arch.usable()
    left = dict(budget)
    for _ in range(_SHRINKS):
        folding = _folded(layers, arch, left, cycles)
        dataflow, sizing, interval = _sized(layers, _Frozen(folding), arch.style)
        used = used_by_name(dataflow_resources(dataflow, arch.style))
        over = {name: used[name] - budget[name] for name in budget if used[name] > budget[name]}
        if not over:
            return folding, dataflow, sizing, interval
        if cycles is not None or arch.folding.given:
            break
        left = {name: int((left[name] - over.get(name, 0)) * (_REFILL if name in over else 1)) for name in left}
        if min(left[name] for name in over) <= 0:
            break
    worst = max(over, key=lambda name: used[name] / max(budget[name], 1))
    raise InfeasibleError(Infeasible(worst, used[worst], budget[worst], worst, f"{arch.name}, circuits and FIFOs"))


def _folded(
    layers: tuple[Layer, ...], arch: FpgaArchitecture, budget: Mapping[str, int], cycles: int | None
) -> Folding:  # fmt: skip
    rules, price = arch.folding, pricing(arch.style)
    stated = stated_folds(layers, rules.layers, arch.style, f"architecture {arch.name}")
    if rules.reuse_factor is not None:
        if arch.style != "hls4ml":
            raise UnsupportedError("is of hls4ml", field="folding.reuse_factor", value=rules.reuse_factor.value,
                                   remedy="use style hls4ml, or throughput_per_s")  # fmt: skip
        return fold_with_reuse(layers, int(rules.reuse_factor.value), stated)
    if cycles is None and rules.throughput_per_s is not None:
        cycles = int(arch.clock_hz.value / rules.throughput_per_s.value)
    if cycles is not None:
        return fold_for(layers, arch.style, price, budget, cycles, arch.weights, stated)
    return fill_budget(layers, arch.style, price, budget, arch.weights, stated)


@lru_cache
def pricing(style: str) -> Pricing:
    """What circuits take in a style, by the names of a device's budget."""

    @lru_cache(maxsize=1 << 16)
    def price(circuit: Circuit) -> Mapping[str, int]:
        found = circuit_resources(circuit, style)
        return {
            "lut": found.lut, "lutram": found.lut_srl + found.lut_lutram, "ff": found.ff, "bram18": found.bram18,
            "uram": found.uram, "dsp": found.dsp,
        }  # fmt: skip

    return price


class _Frozen:
    """A folding as a key: equal where its folds are."""

    def __init__(self, folding: Folding) -> None:
        self.folding = folding
        self._key = tuple(sorted(folding.folds.items())), tuple(sorted(folding.memories.items()))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Frozen) and self._key == other._key


@lru_cache(maxsize=64)
def _sized(layers: tuple[Layer, ...], frozen: _Frozen, style: str) -> tuple[Dataflow, Sizing, int]:
    """The dataflow with the smallest FIFOs that lose no cycle; depths know no clock and no device, so they are kept."""
    folding = frozen.folding
    dataflow = build(layers, folding.folds, style, folding.memories)
    lowered = lower_dataflow(dataflow, _FRAMES)
    sizing = size_fifos(lowered)
    sized = dataflow.with_depths(sizing.lossless)
    ends = cycles_of_frames(lowered, sizing.lossless)
    return sized, sizing, int(ends[-1] - ends[-2])

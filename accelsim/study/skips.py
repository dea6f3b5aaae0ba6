"""What skip connections cost on an FPGA: a network with its skips kept, shortened and removed, side by side.

All variants are folded for one interval, that of the network as it is, so that what differs is the skips and not how
much hardware the layers were given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accelsim.cost.fpga.resources import Resources
from accelsim.errors import InfeasibleError, InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.fpga_architecture import FpgaArchitecture
from accelsim.hardware.load import Architecture
from accelsim.mapping.fpga.layers import Layer, skip_edges
from accelsim.pipeline import FpgaEvaluation
from accelsim.pipeline.evaluation import Engine
from accelsim.pipeline.fpga import evaluate_within
from accelsim.study.skip_numerics import OutputChange, output_changes
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionArgument

__all__ = ["PARTS", "VARIANTS", "SkipComparison", "SkipFifo", "SkipVariant", "compare_skip_variants", "parts_of"]

VARIANTS: Mapping[str, tuple[str, ...]] = {"keep": (), "shorten": ("shorten-skips",), "remove": ("remove-skips",)}
"""Rewrites of each variant."""
_STRETCHES = (1, 1.1, 1.25, 1.5, 2, 3, 4)
"""Factors on the interval: a variant may take more than the network as it is, which may fill the budget."""
PARTS = ("skip FIFOs", "duplicators", "adders", "shortcuts", "other FIFOs", "layers")
"""What a network's resources are of; shortcuts are the stages on the way of a skip, such as a projection."""


@dataclass(frozen=True, slots=True)
class SkipFifo:
    """The FIFO of a skip: pixels deep, and what it takes. ``least_depth`` is the smallest that does not deadlock."""

    stream: str
    join: str
    depth: int
    least_depth: int
    pixel_bits: int
    resources: Resources

    @property
    def stored_bytes(self) -> float:
        return self.depth * self.pixel_bits / 8


@dataclass(frozen=True)
class SkipVariant:
    """One variant: its evaluation, its resources by part (`PARTS`), its skip FIFOs, and how its outputs change."""

    name: str
    evaluation: FpgaEvaluation
    parts: Mapping[str, Resources]
    fifos: tuple[SkipFifo, ...]
    change: OutputChange | None = None

    @property
    def fifo_bytes(self) -> float:
        """Bytes that all skip FIFOs hold."""
        return sum(fifo.stored_bytes for fifo in self.fifos)


@dataclass(frozen=True)
class SkipComparison:
    """Variants in the order asked for; the first is what the others are compared with.

    ``numerics`` says where output changes come from, or why there are none.
    """

    variants: Mapping[str, SkipVariant]
    numerics: str

    @property
    def baseline(self) -> SkipVariant:
        return next(iter(self.variants.values()))

    def saving(self, name: str) -> dict[str, dict[str, int]]:
        """What a variant takes less than the baseline, by part and resource; negative where it takes more."""
        base, other = self.baseline.parts, self.variants[name].parts
        return {
            part: {key: amount - other[part].by_name()[key] for key, amount in base[part].by_name().items()}
            for part in PARTS
        }


def compare_skip_variants(
    workload: Graph, architecture: Architecture, variants: Sequence[str], precision: PrecisionArgument | None = None,
    *, engine: Engine = "auto", seed: int = 0,
) -> SkipComparison:  # fmt: skip
    """Evaluate ``workload`` with its skips kept, shortened or removed.

    Args:
        variants: names of `VARIANTS`, without repetition; the first is the baseline.
        precision: as of `evaluate`; None takes the architecture's.
        seed: of drawn inputs, where the model has weights.

    Raises:
        UnsupportedError: an architecture that is no FPGA.
        UnknownNameError: another variant.
        InputError: no variant, or a workload without skips to change.
        InfeasibleError: a variant that does not fit the device.
    """
    arch = architecture.description
    if not isinstance(arch, FpgaArchitecture):
        raise UnsupportedError(f"is of kind {arch.kind}, and skips cost FIFOs on FPGAs only", field="architecture",
                               value=arch.name, remedy="take one of kind fpga, such as alveo-u200")  # fmt: skip
    names = list(dict.fromkeys(variants))
    if not names:
        raise InputError("must name a variant or more", field="variants", remedy="such as keep, remove")
    for name in names:
        if name not in VARIANTS:
            raise UnknownNameError("variant", name, VARIANTS, field="variants")
    chosen = arch.default_precision if precision is None else precision
    if any(VARIANTS[name] for name in names) and not workload.residuals:
        raise InputError("has no skip connection to shorten or remove", field="workload", value=workload.name,
                         remedy="take a residual network, or `accelsim simulate` for its resources")  # fmt: skip
    graphs = {name: workload.rewritten(*VARIANTS[name]) if VARIANTS[name] else workload for name in names}
    runs = _folded_alike(workload, graphs, architecture, chosen, engine)
    changes, numerics = output_changes(workload, graphs, runs, seed)
    found = {name: SkipVariant(name, run, parts_of(run), _fifos(run), changes.get(name)) for name, run in runs.items()}
    return SkipComparison(found, numerics)


def _folded_alike(
    workload: Graph, graphs: Mapping[str, Graph], architecture: Architecture, precision: PrecisionArgument,
    engine: Engine,
) -> dict[str, FpgaEvaluation]:  # fmt: skip
    """Every variant folded for the interval of the workload as it is, or the next longer one with which all fit."""
    arch = architecture.description
    assert isinstance(arch, FpgaArchitecture)
    kept = evaluate_within(workload, architecture, precision, engine)
    interval = kept.mapping.folding.interval_cycles
    for stretch in _STRETCHES if not arch.folding.given else _STRETCHES[:1]:
        cycles = None if arch.folding.reuse_factor is not None else int(interval * stretch)

        def folded(graph: Graph, cycles: int | None = cycles) -> FpgaEvaluation:
            return evaluate_within(graph, architecture, precision, engine, cycles=cycles, rewritten=True)

        try:
            return {
                name: kept if graph is workload and stretch == 1 else folded(graph) for name, graph in graphs.items()
            }
        except InfeasibleError as error:
            refused = error
    raise refused


def parts_of(run: FpgaEvaluation) -> dict[str, Resources]:
    """Resources by part; they add up to the whole."""
    dataflow, parts = run.mapping.dataflow, run.parts
    found = dict.fromkeys(PARTS, Resources())
    kinds = _stage_parts(run.mapping.layers)
    for stage in dataflow.stages:
        found[kinds[_layer_of(stage.name, kinds)]] += parts.stages[stage.name]
    for stream in dataflow.streams.values():
        found["skip FIFOs" if stream.skip else "other FIFOs"] += parts.streams[stream.name]
    return found


def _layer_of(stage: str, layers: Mapping[str, str]) -> str:
    return stage if stage in layers else stage.rpartition(".")[0]


def _stage_parts(layers: tuple[Layer, ...]) -> dict[str, str]:
    """The part that each layer belongs to. A layer all of whose outputs are skips' and which is no fork is a
    shortcut."""
    skips = skip_edges(layers)
    found = {}
    for layer in layers:
        if layer.kind == "fork":
            found[layer.name] = "duplicators"
        elif layer.kind in ("add", "concat"):
            found[layer.name] = "adders"
        else:
            on_skip = bool(layer.outputs) and all(each in skips for each in (*layer.inputs, *layer.outputs))
            found[layer.name] = "shortcuts" if on_skip else "layers"
    return found


def _fifos(run: FpgaEvaluation) -> tuple[SkipFifo, ...]:
    assert run.sizing is not None
    working = run.sizing.working
    return tuple(
        SkipFifo(each.name, each.skip, each.depth or 0, working[each.name], each.pixel_bits,
                 run.parts.streams[each.name])
        for each in run.mapping.dataflow.fifos if each.skip
    )  # fmt: skip

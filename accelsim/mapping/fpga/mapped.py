"""What is decided for a workload on an FPGA: layers, their folding, stages, and the depth of every FIFO."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from accelsim.mapping.fpga.choose import Folding
from accelsim.mapping.fpga.folding import Fold
from accelsim.mapping.fpga.layers import Layer
from accelsim.mapping.fpga.records import Dataflow
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Op

__all__ = ["FpgaMapping", "FpgaOpMapping"]

_NOTHING = {"folding": None, "interval": None, "weights": None, "stages": None}


@dataclass(frozen=True)
class FpgaOpMapping:
    """One op: the stage that it is, or ``none`` where another op's stages do it."""

    op: Op
    precision: str
    unit: str
    placement: Mapping[str, str | None] = field(default_factory=lambda: dict(_NOTHING))
    executions: int = 1


@dataclass(frozen=True)
class FpgaMapping:
    """A workload as a dataflow; ``precisions`` are formats by op name."""

    graph: Graph
    layers: tuple[Layer, ...]
    folding: Folding
    dataflow: Dataflow
    precisions: Mapping[str, str]

    @property
    def candidates_seen(self) -> int:
        """Foldings that were priced."""
        return self.folding.choices_seen

    def walk(self) -> Iterator[FpgaOpMapping]:
        """Every op in the graph's order."""
        yield from self._items

    @cached_property
    def multipliers(self) -> int:
        """Multiplications that all stages make a cycle at most."""
        return sum(_lanes(layer, self.folding.folds[layer.name]) for layer in self.layers if layer.matrix)

    @cached_property
    def _items(self) -> tuple[FpgaOpMapping, ...]:
        owners = {layer.ops[0]: layer for layer in self.layers if layer.ops and layer.kind != "fork"}
        return tuple(self._item(index, op, owners.get(index)) for index, op in enumerate(self.graph.ops))

    def _item(self, index: int, op: Op, layer: Layer | None) -> FpgaOpMapping:
        if layer is None:
            return FpgaOpMapping(op, "", "none")
        fold = self.folding.folds[layer.name]
        stages = [stage for stage in self.dataflow.stages if stage.op == index and not _is_end(stage.name, self.layers)]
        placement = {
            "folding": _words(layer, fold),
            "interval": f"{max(stage.interval_cycles for stage in stages):,} cycles",
            "weights": self.folding.memories.get(layer.name, "bram") if layer.matrix else None,
            "stages": ", ".join(stage.name.removeprefix(f"{layer.name}.") for stage in stages),
        }
        precision = self.precisions.get(op.name, "") if layer.matrix else ""
        return FpgaOpMapping(op, precision, "matrix" if layer.matrix else layer.kind, placement)


def _is_end(stage: str, layers: tuple[Layer, ...]) -> bool:
    return stage in (layers[0].name, layers[-1].name)


def _lanes(layer: Layer, fold: Fold) -> int:
    return layer.vector * layer.made.channels // fold.reuse if fold.reuse else fold.simd * fold.pe


def _words(layer: Layer, fold: Fold) -> str:
    if layer.matrix:
        made = ", products in LUTs" if fold.in_logic else ""
        return f"reuse {fold.reuse}" if fold.reuse else f"SIMD {fold.simd} x PE {fold.pe}, {fold.lanes} lanes{made}"
    return f"{fold.lanes} lanes"

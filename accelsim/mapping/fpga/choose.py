"""Choosing the folding of every layer: as fast as the device's resources allow, or as small as a rate allows.

A layer must finish a frame within the pipeline's interval. For an interval each layer takes the folding that needs
least, the resources weighed by their share of the budget; the shortest interval whose total fits is found by bisection
over all intervals that any folding makes. That is the best found: weighing is a heuristic. The bound beside it is
not: no interval is shorter for which even the least that any folding needs of one resource exceeds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.fpga import URAM_SHAPE
from accelsim.hardware.fpga_architecture import LayerFolding
from accelsim.mapping.fpga.build import circuits_of
from accelsim.mapping.fpga.circuits import Circuit, Memory
from accelsim.mapping.fpga.folding import (
    Fold,
    lane_cycles,
    lanes_with,
    matrix_choices,
    matrix_cycles,
    taps_without_channels,
)
from accelsim.mapping.fpga.layers import Layer
from accelsim.mapping.fpga.stated import allows

__all__ = ["Folding", "Pricing", "fill_budget", "fold_for", "fold_with_reuse"]

Pricing = Callable[[Circuit], Mapping[str, int]]
"""What a circuit takes, by resource."""
Weights = Literal["auto", "bram", "uram", "lutram"]
FloatArray = NDArray[np.float64]
Stated = Mapping[str, LayerFolding]
"""Factors that are not to be chosen, by name of the layer."""
_FREE: Stated = {}


@dataclass(frozen=True)
class Folding:
    """The folding of every layer by name, and what the search knows.

    Attributes:
        interval_cycles: cycles that the slowest layer takes for a frame.
        bound_cycles: no folding of these layers within the budget has a shorter interval; None where none was sought.
        choices_seen: foldings that were priced.
    """

    folds: Mapping[str, Fold]
    memories: Mapping[str, Memory]
    interval_cycles: int
    bound_cycles: int | None = None
    choices_seen: int = 0


@dataclass(frozen=True, eq=False)
class _Choices:
    """All foldings of one layer: (choices,) cycles, (choices, resources) needs, and needs over the budget, summed."""

    folds: list[tuple[Fold, Memory]]
    cycles: NDArray[np.int64]
    needs: FloatArray
    weighed: FloatArray

    def best(self, interval: int) -> int | None:
        """The choice of least weight within ``interval``; None where none is."""
        fast = np.flatnonzero(self.cycles <= interval)
        return int(fast[np.argmin(self.weighed[fast])]) if fast.size else None

    def least(self, interval: int) -> FloatArray:
        """The least of each resource within ``interval``."""
        fast = self.cycles <= interval
        return self.needs[fast].min(axis=0) if fast.any() else np.full(self.needs.shape[1], np.inf)


def fold_for(
    layers: Sequence[Layer], style: str, price: Pricing, budget: Mapping[str, int], cycles: int,
    weights: Weights = "auto", stated: Stated = _FREE,
) -> Folding:  # fmt: skip
    """The least folding with which every layer takes at most ``cycles`` a frame.

    Raises:
        InputError: stated factors that do not go together.
        InfeasibleError: a layer that no folding, or none as stated, makes so fast.
    """
    table = _table(layers, style, price, budget, weights, stated)
    return _folding(layers, table, cycles, style)


def fill_budget(
    layers: Sequence[Layer], style: str, price: Pricing, budget: Mapping[str, int], weights: Weights = "auto",
    stated: Stated = _FREE,
) -> Folding:  # fmt: skip
    """The shortest interval found whose circuits fit ``budget``, by resource; FIFOs are not in it.

    Raises:
        InputError: stated factors that do not go together.
        InfeasibleError: the network does not fit at any folding; names the resource.
    """
    table = _table(layers, style, price, budget, weights, stated)
    limits = np.array(list(budget.values()), dtype=np.float64)
    shortest = max(int(each.cycles.min()) for each in table.values())
    intervals = np.unique(np.concatenate([each.cycles for each in table.values()]))
    intervals = intervals[intervals >= shortest]

    def fits(interval: int) -> bool:
        return bool(np.all(_needs(table, interval) <= limits))

    def possible(interval: int) -> bool:
        return bool(np.all(sum(each.least(interval) for each in table.values()) <= limits))

    found = _first(intervals, fits)
    if found is None:
        needs = _needs(table, int(intervals[-1]))
        worst = int(np.argmax(needs / np.maximum(limits, 1)))
        name = list(budget)[worst]
        raise InfeasibleError(Infeasible(name, float(needs[worst]), float(limits[worst]), name, "smallest folding"))
    bound = _first(intervals, possible)
    return replace(_folding(layers, table, found, style), bound_cycles=bound)


def fold_with_reuse(layers: Sequence[Layer], reuse: int, stated: Stated = _FREE) -> Folding:
    """hls4ml's way: one reuse factor for every layer, the nearest valid one below where a layer cannot have it, but its
    own where one is stated."""
    folds = {}
    for layer in layers:
        fold = Fold(lanes=layer.source.channels, reuse=1)
        if layer.matrix:
            valid = [each.reuse for each in matrix_choices(layer, "hls4ml") if each.reuse <= reuse]
            own = stated[layer.name].reuse_factor if layer.name in stated else None
            fold = replace(fold, reuse=own or max(valid))
        folds[layer.name] = fold
    interval = max(max(matrix_cycles(layer, folds[layer.name]), lane_cycles(layer, layer.source.channels, "hls4ml"))
                   for layer in layers)  # fmt: skip
    return Folding(folds, {}, interval)


def _first(intervals: NDArray[np.int64], holds: Callable[[int], bool]) -> int | None:
    """The first interval that holds, longer ones being taken to hold too; None where the last does not."""
    low, high = 0, len(intervals) - 1
    if not holds(int(intervals[high])):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(int(intervals[middle])) else (middle + 1, high)
    return int(intervals[low])


def _table(
    layers: Sequence[Layer], style: str, price: Pricing, budget: Mapping[str, int], weights: Weights,
    stated: Stated,
) -> dict[str, _Choices]:  # fmt: skip
    """Choices of every layer; layers of one shape share them."""
    shared: dict[tuple[Layer, LayerFolding | None], _Choices] = {}
    found = {}
    for layer in layers:
        shape = replace(layer, name="", ops=(), inputs=(), outputs=layer.outputs if layer.kind == "fork" else ())
        shape = replace(shape, outputs=tuple("" for _ in shape.outputs))
        key = shape, stated.get(layer.name)
        if key not in shared:
            shared[key] = _choices(layer, style, price, budget, weights, key[1])
        found[layer.name] = shared[key]
    return found


def _choices(
    layer: Layer, style: str, price: Pricing, budget: Mapping[str, int], weights: Weights,
    stated: LayerFolding | None,
) -> _Choices:  # fmt: skip
    """Every folding of the matrix unit, with the fewest lanes around it that keep up with it; stated factors are as
    they are."""
    folds: list[tuple[Fold, Memory]] = []
    cycles, needs, names = [], [], list(budget)
    for fold in _matrix_choices(layer, style, stated):
        own = matrix_cycles(layer, fold)
        lanes = (stated.lanes,) if stated is not None and stated.lanes else lanes_with(layer, fold, style)
        times = {each: lane_cycles(layer, each, style) for each in lanes}
        fitting = [each for each in lanes if times[each] <= own] or [lanes[-1]]
        for each in fitting[:1] if layer.matrix else lanes:
            for memory in _memories(layer, fold, budget, weights):
                folds.append((replace(fold, lanes=each), memory))
                cycles.append(max(own, times[each]))
                parts = [price(circuit) for circuit in circuits_of(layer, folds[-1][0], style, memory)]
                needs.append([float(sum(part[name] for part in parts)) for name in names])
    array = np.array(needs, dtype=np.float64)
    limits = np.maximum(np.array([budget[name] for name in names], dtype=np.float64), 1.0)
    return _Choices(folds, np.array(cycles, dtype=np.int64), array, (array / limits).sum(axis=1))


def _matrix_choices(layer: Layer, style: str, stated: LayerFolding | None) -> list[Fold]:
    found = [each for each in matrix_choices(layer, style) if allows(stated, each)]
    if not found and stated is not None:  # each divides, but a depthwise layer takes no such pair
        raise taps_without_channels(layer, stated.simd)
    return found


def _memories(layer: Layer, fold: Fold, budget: Mapping[str, int], weights: Weights) -> tuple[Memory, ...]:
    """Where weights may lie. UltraRAM has one shape, and is thought of from a quarter of its depth on."""
    if not layer.matrix or weights == "bram":
        return ("bram",)
    if weights != "auto":
        return (weights,)
    words = fold.reuse or layer.vector * layer.made.channels // (fold.simd * fold.pe)
    return ("bram", "uram") if budget.get("uram") and words * 4 >= URAM_SHAPE.depth else ("bram",)


def _needs(table: Mapping[str, _Choices], interval: int) -> FloatArray:
    total = np.zeros(next(iter(table.values())).needs.shape[1])
    for each in table.values():
        best = each.best(interval)
        total = total + (np.inf if best is None else each.needs[best])
    return total


def _folding(layers: Sequence[Layer], table: Mapping[str, _Choices], interval: int, style: str) -> Folding:
    folds: dict[str, Fold] = {}
    memories: dict[str, Memory] = {}
    slowest = 0
    for layer in layers:
        choices = table[layer.name]
        best = choices.best(interval)
        if best is None:
            least = int(choices.cycles.min())
            raise InfeasibleError(Infeasible("time", least, interval, "cycles a frame", f"layer {layer.name}, {style}"))
        folds[layer.name], memories[layer.name] = choices.folds[best]
        slowest = max(slowest, int(choices.cycles[best]))
    seen = sum(len(each.folds) for each in {id(each): each for each in table.values()}.values())
    return Folding(folds, memories, slowest, choices_seen=seen)

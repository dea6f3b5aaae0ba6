"""Floors of designs of digital machines: see `floors`."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from accelsim.cost.digital import Amounts, Prices, area, component_j, prices_of
from accelsim.errors import AccelsimError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.options import mapping_options
from accelsim.study.sweep.designs import Case, Evaluator
from accelsim.study.sweep.strategies.boxes import BETTER
from accelsim.study.sweep.strategies.least_amounts import Work, least_amounts
from accelsim.workload.expand import expanded
from accelsim.workload.precision import assign_formats, resolve_precision

__all__ = ["DigitalFloors"]

_MEMORIES = ("scratchpad.capacity_bytes", "array.accumulator_bytes")
"""Paths of `BETTER` that decide how many bytes move; the others are rates."""


@dataclass(frozen=True, slots=True)
class _Costs:
    """Of one design: its area, 0 where none is known, and what it pays for what it does."""

    area_mm2: float
    prices: Prices


class DigitalFloors:
    """Floors of digital machines, from what any mapping does at least: none of them is mapped for it."""

    corner_bounds = True
    evaluations = 0

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._costs: dict[str, _Costs | None] = {}
        self._works: dict[str, Work] = {}
        self._amounts: dict[str, Amounts | None] = {}

    def area_mm2(self, case: Case) -> float:
        """Area of a design; 0 where none is known or the design breaks a rule."""
        costs = self._costs_of(case)
        return costs.area_mm2 if costs else 0.0

    def latency_s(self, case: Case) -> float:
        """Least time of a design: work over peak, and the bytes that must cross the memory interface over its rate."""
        amounts = self._amounts_of(case)
        if amounts is None:
            return 0.0
        try:
            description = self._description(case)
            work_s = sum(2.0 * macs / description.peak_ops_per_s(name) for name, macs in amounts.macs.items())
        except AccelsimError:
            return 0.0
        dram = description.memory.dram
        return max(work_s, float(amounts.dram_bytes) / (dram.bandwidth_bytes_per_s.value * dram.efficiency.value))

    def energy_j(self, best: Case, smallest: Case, latency_s: float, /) -> float:
        """Least energy of designs between two corners: the amounts of the largest memories at the least prices."""
        amounts, costs = self._amounts_of(best), self._costs_of(smallest)
        if amounts is None or costs is None:
            return 0.0
        return float(sum(component_j(amounts, costs.prices, latency_s).values()))

    def _description(self, case: Case) -> DigitalArchitecture:
        description = self._evaluator.architecture(case).description
        assert isinstance(description, DigitalArchitecture)
        return description

    def _costs_of(self, case: Case) -> _Costs | None:
        key = repr((case.architecture, sorted(case.overrides.items())))
        if key not in self._costs:
            try:
                description = self._description(case)
            except AccelsimError:
                self._costs[key] = None
            else:
                known = area(description).area_mm2
                self._costs[key] = _Costs(known.value if known else 0.0, prices_of(description))
        return self._costs[key]

    def _amounts_of(self, case: Case) -> Amounts | None:
        """What any mapping of a design does at least; None where there is no such design."""
        others = {path: value for path, value in case.overrides.items() if not _is_rate(path) and not _is_price(path)}
        key = repr((case.workload, sorted(case.parameters.items()), case.rewrites, case.architecture, case.precision,
                    sorted(case.mapping.items()), sorted(others.items())))  # fmt: skip
        if key not in self._amounts:
            try:
                description = self._description(case)
                self._amounts[key] = least_amounts(self._work(case, description), description)
            except AccelsimError:
                self._amounts[key] = None
        return self._amounts[key]

    def _work(self, case: Case, description: DigitalArchitecture) -> Work:
        key = repr((case.workload, sorted(case.parameters.items()), case.rewrites, case.precision,
                    sorted(case.mapping.items()), description.default_precision, description.value_format))  # fmt: skip
        if key not in self._works:
            runnable = expanded(self._evaluator.graph(case))
            choice = resolve_precision(runnable, case.precision or description.default_precision)
            graph = assign_formats(runnable, choice, description.value_format)
            self._works[key] = Work(graph, choice, mapping_options(case.mapping))
        return self._works[key]


def _is_rate(path: str) -> bool:
    """Whether a parameter changes nothing but how fast things go."""
    return path not in _MEMORIES and any(fnmatchcase(path, pattern) for pattern in BETTER)


def _is_price(path: str) -> bool:
    """Whether a parameter changes nothing but energies of actions, voltages included."""
    return "energy_pj" in path or "leakage" in path or "voltage" in path

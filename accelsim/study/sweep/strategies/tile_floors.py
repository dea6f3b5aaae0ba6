"""Floors of designs of analog tiles: see `floors`."""

from __future__ import annotations

from fnmatch import fnmatchcase

from accelsim.cost.aimc import area
from accelsim.errors import AccelsimError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.mapping.options import mapping_options
from accelsim.pipeline import AimcEvaluation, evaluate, least_latency_s
from accelsim.study.sweep.designs import Case, Evaluator
from accelsim.study.sweep.strategies.boxes import BETTER_TILES

__all__ = ["TileFloors"]

_OF_UPKEEP = ("programming", "leakage")
"""Components of energy that grow with time; recalibrations among them."""


class TileFloors:
    """Designs that differ only in rates share one mapping and its tasks, which are evaluated once."""

    corner_bounds = False

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._shared: dict[str, AimcEvaluation | None] = {}
        self._areas: dict[str, float] = {}
        self._latencies: dict[str, float] = {}
        self.evaluations = 0

    def area_mm2(self, case: Case) -> float:
        """Area of a design; 0 where none is known or the design breaks a rule."""
        key = repr((case.architecture, sorted(case.overrides.items())))
        if key not in self._areas:
            try:
                description = self._evaluator.architecture(case).description
            except AccelsimError:
                return 0.0
            assert isinstance(description, AimcArchitecture)
            known = area(description).area_mm2
            self._areas[key] = known.value if known else 0.0
        return self._areas[key]

    def latency_s(self, case: Case) -> float:
        """Least time of a design, whatever the order of its tasks."""
        key = repr(case)
        if key not in self._latencies:
            self._latencies[key] = self._latency_s(case)
        return self._latencies[key]

    def _latency_s(self, case: Case) -> float:
        shared = self._shared_of(case)
        if shared is None:
            return 0.0
        try:
            return least_latency_s(shared, self._evaluator.architecture(case))
        except AccelsimError:
            return 0.0

    def energy_j(self, _best: Case, smallest: Case, latency_s: float, /) -> float:
        """What tiles, units and links switch, and leakage."""
        shared = self._shared_of(smallest)
        if shared is None:
            return 0.0
        parts = shared.energy.by_component_j
        switched = sum(joules for name, joules in parts.items() if name not in _OF_UPKEEP)
        return switched + shared.arch.total_leakage_w * latency_s

    def _shared_of(self, case: Case) -> AimcEvaluation | None:
        """An evaluation with the mapping, tasks and energies of ``case``; None where there is none."""
        others = {path: value for path, value in case.overrides.items() if not _is_rate(path)}
        key = repr((case.workload, sorted(case.parameters.items()), case.rewrites, case.architecture, case.precision,
                    sorted(case.mapping.items()), sorted(others.items())))  # fmt: skip
        if key not in self._shared:
            self.evaluations += 1
            self._shared[key] = self._evaluated(case)
        return self._shared[key]

    def _evaluated(self, case: Case) -> AimcEvaluation | None:
        graph = self._evaluator.graph(case)
        try:
            options = mapping_options(case.mapping)
            found = evaluate(graph, self._evaluator.architecture(case), case.precision, options=options)
        except AccelsimError:
            return None
        assert isinstance(found, AimcEvaluation)
        return found


def _is_rate(path: str) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in BETTER_TILES)

"""The assumptions behind an evaluation, and evaluations at other values of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from accelsim.errors import AccelsimError, InfeasibleError
from accelsim.hardware.load import Architecture
from accelsim.mapping.lower import Detail
from accelsim.numerics import FORMATS
from accelsim.pipeline import (
    AimcEvaluation,
    DigitalEvaluation,
    Engine,
    Evaluation,
    evaluate,
    evaluate_again,
    reprice,
)
from accelsim.study.batch import FEASIBLE, evaluate_batch
from accelsim.study.sensitivity import Assumption
from accelsim.workload.graph import Graph
from accelsim.workload.load import assumed_parameters, reloaded
from accelsim.workload.precision import PrecisionArgument
from accelsim.workload.rewrite.report import rewrite_words

__all__ = ["Figures", "Variations", "assumptions_of", "notes_on"]

_ARCHITECTURE, _WORKLOAD, _RECIPE = "architecture.", "workload.", "recipe."
_PRICE_ONLY = ("energy_pj", "leakage_w", "voltage_v")
_MANY_OPS = 6_000
"""Ops of all settings together, from which on one batch is worth what its code takes to load or to compile."""


def assumptions_of(
    workload: Graph, architecture: Architecture, precisions: tuple[PrecisionArgument, ...]
) -> list[Assumption]:
    """What nobody has published of this workload, this architecture and the recipes among ``precisions``."""
    found = [
        Assumption(
            _ARCHITECTURE + path,
            constant.value,
            _others(constant.value, constant.low, constant.high),
            constant.why or "",
        )
        for path, constant in architecture.assumed().items()
    ]
    found += [
        Assumption(
            _WORKLOAD + name, constant.value, _others(constant.value, constant.low, constant.high), constant.why or ""
        )
        for name, constant in assumed_parameters(workload).items()
    ]
    for precision in precisions:
        recipe = workload.recipes.get(precision) if isinstance(precision, str) else None
        if recipe is not None and recipe.alternatives:
            found.append(Assumption(_RECIPE + recipe.name, recipe.name, recipe.alternatives, recipe.why))
    return found


def notes_on(evaluation: Evaluation) -> tuple[str, ...]:
    """What a reader of this evaluation must know: calibrated figures, throttled clocks, what stood in for what."""
    notes: list[str] = []
    calibration = evaluation.workload.calibration
    if calibration is not None and calibration.architecture == evaluation.architecture.name:
        notes.append(f"calibrated: {calibration.note}")
    notes += _power_and_technology(evaluation)
    notes += [f"rewritten: {rewrite_words(each)}" for each in evaluation.workload.rewrites]
    if any(tensor.sparsity for tensor in evaluation.workload.all_tensors()):
        notes.append("sparsity: zeros of the weights are counted and not exploited: they are stored and multiplied.")
    recipe = evaluation.choice.recipe
    if recipe is not None:
        parts = ", ".join(f"{pattern} in {name}" for pattern, name in recipe.patterns) or "no exceptions"
        notes.append(f"{recipe.name} is this workload's recipe ({recipe.default}; {parts}; {recipe.source}).")
    return tuple(notes)


def _power_and_technology(evaluation: Evaluation) -> list[str]:
    """That clocks were throttled, and which constants nobody stated."""
    notes, limit, full = [], evaluation.power_limit_w, evaluation.unthrottled
    if full is not None and limit is not None:
        notes.append(
            f"throttled: at the full clock the average power is {full.power_w:.4g} W, above the limit of "
            f"{limit:.4g} W; the chip's clocks run at {evaluation.clock_scale:.4g} of it, and the latency is "
            f"{evaluation.latency_s:.4g} s instead of {full.latency_s:.4g} s."
        )
    derived = sorted(evaluation.architecture.derived)
    if derived and isinstance(evaluation, DigitalEvaluation):
        technology = evaluation.arch.technology
        notes.append(f"derived: {len(derived)} constants are not stated and follow from `technology: {technology}`, "
                     f"with its ranges: {', '.join(derived)}.")  # fmt: skip
    return notes


def _others(value: float, low: float | None, high: float | None) -> tuple[float, ...]:
    return tuple(end for end in (low, high) if end is not None and end != value)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is explored over assumptions; ``energy_j`` is None for kinds without energy."""

    latency_s: float
    energy_j: float | None
    weight_bytes: float
    parameters: int

    @staticmethod
    def of(evaluation: Evaluation) -> Figures:
        """Those of an evaluation."""
        return Figures(
            evaluation.latency_s, evaluation.energy_j, evaluation.weight_bytes, evaluation.workload.parameters
        )

    @property
    def compression(self) -> float:
        """Bytes of all weights in FP32 over those at this precision; 1 where there are no weights."""
        whole = self.parameters * FORMATS["fp32"].bytes_per_element
        return whole / self.weight_bytes if self.weight_bytes else 1.0

    def metrics(self, suffix: str = "") -> dict[str, float]:
        """Latency and energy by name, as far as there are any."""
        found = {"latency_s": self.latency_s, "energy_j": self.energy_j}
        return {f"{name}{suffix}": value for name, value in found.items() if value is not None}


@dataclass(slots=True)
class Variations:
    """Evaluations of one workload, architecture and precision at other values of their assumptions.

    What a setting does not touch is not computed again: graphs are kept by workload parameters, and a setting of
    energies and leakage alone is priced on the nominal timeline. Where there is much to do on a digital architecture,
    it is done in one batch (`study.batch`), whose rows are the same.
    """

    workload: Graph
    architecture: Architecture
    precision: PrecisionArgument
    nominal: Evaluation
    engine: Engine = "auto"
    detail: Detail = "op"
    _graphs: dict[tuple[tuple[str, object], ...], Graph] = field(default_factory=dict)
    _together: bool = False

    def figures(self, settings: Sequence[Mapping[str, float | str]]) -> list[Figures | AccelsimError]:
        """Figures at each of ``settings`` (assumption path -> value), or why one cannot be run."""
        together = [index for index, setting in enumerate(settings) if self._is_mapped_anew(setting)]
        self._together |= len(together) * len(self.workload.ops) >= _MANY_OPS
        together = together if self._together else []
        found = dict(zip(together, self._batch([settings[index] for index in together]), strict=True))
        return [found[index] if index in found else self._one(setting) for index, setting in enumerate(settings)]

    def _is_mapped_anew(self, setting: Mapping[str, float | str]) -> bool:
        """Whether a setting is one of hardware alone that changes more than prices."""
        if not isinstance(self.nominal, DigitalEvaluation) or self.detail != "op":
            return False
        hardware = all(path.startswith(_ARCHITECTURE) for path in setting)
        return hardware and not all(_is_price(path) for path in setting)

    def _one(self, setting: Mapping[str, float | str]) -> Figures | AccelsimError:
        try:
            return Figures.of(self.at(setting))
        except AccelsimError as error:
            return error

    def _batch(self, settings: Sequence[Mapping[str, float | str]]) -> list[Figures | AccelsimError]:
        """Figures at settings of hardware alone."""
        if not settings:
            return []
        own = self.architecture.constants()
        paths = sorted({path for setting in settings for path in _under(_ARCHITECTURE, setting)})
        columns = {
            path: [_under(_ARCHITECTURE, setting).get(path, own[path].value) for setting in settings] for path in paths
        }
        try:
            batch = evaluate_batch(self.workload, self.architecture, self.precision, columns, self.nominal.options)
        except AccelsimError:  # one of them breaks a rule: find out which
            return [self._one(setting) for setting in settings]
        parameters = self.workload.parameters
        return [
            Figures(float(latency_s), float(energy_j), float(weight_bytes), parameters) if code == FEASIBLE
            else InfeasibleError(batch.reasons[code])
            for latency_s, energy_j, weight_bytes, code in zip(
                batch.latency_s, batch.energy_j, batch.weight_bytes, batch.infeasible.tolist(), strict=True
            )
        ]  # fmt: skip

    def at(self, setting: Mapping[str, float | str]) -> Evaluation:
        """The evaluation at ``setting`` (assumption path -> value)."""
        constants = _under(_ARCHITECTURE, setting)
        parameters = _under(_WORKLOAD, setting)
        precision = self.precision
        if isinstance(precision, str):
            precision = str(setting.get(_RECIPE + precision, precision))
        architecture = self.architecture.override(constants) if constants else self.architecture
        same_work = not parameters and precision == self.precision
        if same_work and not constants:
            return self.nominal
        priced = all(_is_price(path) for path in constants)
        if same_work and priced and isinstance(self.nominal, DigitalEvaluation):
            return reprice(self.nominal, architecture)
        again = None
        if same_work and isinstance(self.nominal, AimcEvaluation):
            again = evaluate_again(self.nominal, architecture, constants)
        if again is not None:
            return again
        return evaluate(self._graph(parameters), architecture, precision, engine=self.engine, detail=self.detail,
                        options=self.nominal.options)  # fmt: skip

    def _graph(self, parameters: Mapping[str, float | str]) -> Graph:
        if not parameters:
            return self.workload
        key = tuple(sorted(parameters.items()))
        if key not in self._graphs:
            self._graphs[key] = reloaded(self.workload, parameters)
        return self._graphs[key]


def _is_price(path: str) -> bool:
    """Whether a constant changes what things cost, and nothing else."""
    return any(mark in path for mark in _PRICE_ONLY)


def _under(prefix: str, setting: Mapping[str, float | str]) -> dict[str, float | str]:
    return {path[len(prefix) :]: value for path, value in setting.items() if path.startswith(prefix)}

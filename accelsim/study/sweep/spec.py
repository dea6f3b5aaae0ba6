"""What a sweep file (``sweeps/<name>.yaml``) may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    field_validator,
    model_validator,
)  # fmt: skip

from accelsim.documents import Authored

__all__ = [
    "AccuracyDocument", "AxisDocument", "GridStrategy", "LimitDocument", "OptunaStrategy", "PrunedStrategy",
    "RefineStrategy", "SampledStrategy", "SensitivityStrategy", "StrategyDocument", "SweepDocument", "Value",
]  # fmt: skip


def _kind_of_value(data: Any) -> str | None:
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "flag"), (int, "whole"), (float, "number"), (str, "text"), (list, "list"), (tuple, "list"),
    )  # fmt: skip
    return next((kind for known, kind in kinds if isinstance(data, known)), None)


Value = Annotated[
    Annotated[StrictBool, Tag("flag")]
    | Annotated[StrictInt, Tag("whole")]
    | Annotated[StrictFloat, Tag("number")]
    | Annotated[StrictStr, Tag("text")]
    | Annotated[tuple[StrictInt | StrictFloat | StrictStr, ...], Tag("list")],
    Discriminator(
        _kind_of_value,
        custom_error_type="value",
        custom_error_message="must be a number, text, true or false, or a list of numbers or texts",
    ),
]
"""A value on an axis, as `Architecture.override` or a workload's parameter takes it."""

Number = Annotated[
    Annotated[StrictInt, Tag("whole")] | Annotated[StrictFloat, Tag("number")],
    Discriminator(_kind_of_value, custom_error_type="number", custom_error_message="must be a number"),
]


class AxisDocument(Authored):
    """What one axis may be: a list of ``values``, a range from ``low`` to ``high``, or named ``choices``.

    A range has ``steps`` points, both ends among them, or one every ``by``; with neither it is continuous, for
    strategies that draw. ``also`` names paths that take the same value. Each of the ``choices`` sets several paths.
    The axis exists only in designs where every axis named in ``when`` has one of the values there.
    """

    values: tuple[Value, ...] | None = None
    low: Number | None = None
    high: Number | None = None
    steps: Annotated[StrictInt, Field(ge=2)] | None = None
    by: Number | None = None
    scale: Literal["linear", "log"] = "linear"
    integers: StrictBool = False
    choices: dict[str, dict[str, Value]] | None = None
    also: tuple[StrictStr, ...] = ()
    when: dict[str, tuple[Value, ...]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _list_is_values(cls, data: Any) -> Any:
        return {"values": data} if isinstance(data, list | tuple) else data

    @field_validator("when", mode="before")
    @classmethod
    def _one_value_is_a_list(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {name: value if isinstance(value, list | tuple) else [value] for name, value in data.items()}

    @model_validator(mode="after")
    def _one_form(self) -> AxisDocument:
        forms = [name for name in ("values", "choices") if getattr(self, name) is not None]
        forms += ["low and high"] if self.low is not None or self.high is not None else []
        if len(forms) != 1:
            raise ValueError("must have values, or low and high, or choices|write one of the three")
        if (self.values is not None and not self.values) or (self.choices is not None and not self.choices):
            raise ValueError("is empty|name at least one value")
        self._check_values()
        self._check_range()
        return self

    def _check_values(self) -> None:
        for position, value in enumerate(self.values or ()):
            if value in (self.values or ())[:position]:
                raise ValueError(f"has the value {value!r} twice|name each value once")
        for name, settings in (self.choices or {}).items():
            if not settings and self.also:
                raise ValueError(f"has nothing to set in {name!r}|name paths and their values")

    def _check_range(self) -> None:
        ranged = self.low is not None or self.high is not None
        if not ranged:
            if self.steps is not None or self.by is not None or self.scale != "linear" or self.integers:
                raise ValueError("has steps, by, scale or integers without a range|give low and high")
            return
        if self.low is None or self.high is None:
            raise ValueError("has only one end of a range|give both low and high")
        if not self.low < self.high:
            raise ValueError(f"is an empty range: low {self.low:g} is not below high {self.high:g}|exchange the two")
        if self.scale == "log" and self.low <= 0:
            raise ValueError("is a log range that starts at 0 or below|start above 0")
        if self.steps is not None and self.by is not None:
            raise ValueError("has both steps and by|write one of the two")
        if self.by is not None and (self.by <= 0 or self.scale == "log"):
            raise ValueError("has a `by` that is not positive, or on a log scale|write steps")


class LimitDocument(Authored):
    """What a metric must keep to: at least ``min``, at most ``max``."""

    min: Number | None = None
    max: Number | None = None

    @model_validator(mode="after")
    def _possible(self) -> LimitDocument:
        if self.min is None and self.max is None:
            raise ValueError("limits nothing|give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"contradicts itself: min {self.min:g} is above max {self.max:g}|exchange the two")
        return self


class AccuracyDocument(Authored):
    """Accuracy as the SQNR of emulated outputs.

    It is found once for each workload and precision, on the base architecture, or once for each ``design``: analog
    tiles err by their sizes and converters. ``inputs`` is a .npz file with an array for each input; None draws them
    from ``seed``.
    """

    each: Literal["precision", "design"] = "precision"
    inputs: StrictStr | None = None
    seed: Annotated[StrictInt, Field(ge=0)] = 0


class GridStrategy(Authored):
    """Every design."""

    kind: Literal["grid"] = "grid"


class SampledStrategy(Authored):
    """``budget`` designs drawn at once: space-filling (Latin hypercube, Sobol sequence) or independent (random)."""

    kind: Literal["latin_hypercube", "sobol", "random"]


class OptunaStrategy(Authored):
    """Multi-objective search by Optuna, in rounds of ``population`` designs."""

    kind: Literal["optuna"]
    sampler: Literal["nsga2", "nsga3", "tpe", "gp"] = "nsga2"
    population: Annotated[StrictInt, Field(ge=2)] = 50


class RefineStrategy(Authored):
    """A space-filling first round, then rounds around the Pareto front until ``budget`` is spent."""

    kind: Literal["refine"]
    first: Annotated[StrictInt, Field(ge=2)] | None = None
    population: Annotated[StrictInt, Field(ge=2)] = 64


class PrunedStrategy(Authored):
    """Exhaustive search that leaves out what its bounds prove to be no better, with a certificate."""

    kind: Literal["pruned"]
    population: Annotated[StrictInt, Field(ge=1)] = 32


class SensitivityStrategy(Authored):
    """Sobol indices of every axis: shares of a metric's variance, by Saltelli's design (SALib)."""

    kind: Literal["sensitivity"]


StrategyDocument = Annotated[
    GridStrategy | SampledStrategy | OptunaStrategy | RefineStrategy | PrunedStrategy | SensitivityStrategy,
    Field(discriminator="kind"),
]


def _kind_alone(data: object) -> object:
    """A strategy by its name is one with the defaults of its kind."""
    return {"kind": data} if isinstance(data, str) else data


class SweepDocument(Authored):
    """One sweep: where it starts (architectures, workloads, precisions), what varies, and what is looked for."""

    description: StrictStr = ""
    architectures: tuple[StrictStr, ...] = Field(min_length=1)
    workloads: tuple[StrictStr, ...] = Field(min_length=1)
    precisions: tuple[StrictStr, ...] = ()
    axes: dict[str, AxisDocument] = Field(default_factory=dict)
    assumed: tuple[StrictStr, ...] = Field(
        default=(),
        description="patterns of assumed constants of the architecture, each a continuous axis over its range",
    )
    constraints: dict[str, LimitDocument] = Field(default_factory=dict)
    objectives: dict[str, Literal["min", "max"]] = Field(default={"latency_s": "min", "energy_j": "min"}, min_length=1)
    strategy: Annotated[StrategyDocument, BeforeValidator(_kind_alone)] = Field(default_factory=GridStrategy)
    accuracy: AccuracyDocument | None = None
    budget: Annotated[StrictInt, Field(ge=1)] | None = None
    seed: Annotated[StrictInt, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _named_once(self) -> SweepDocument:
        for field in ("architectures", "workloads", "precisions"):
            names = getattr(self, field)
            if len(set(names)) < len(names):
                raise ValueError(f"names one of its {field} twice|name each once")
        return self

    @model_validator(mode="after")
    def _has_a_budget(self) -> SweepDocument:
        if self.strategy.kind not in ("grid", "pruned") and self.budget is None:
            raise ValueError(
                f"has the strategy {self.strategy.kind} without a budget|write budget: designs to evaluate"
            )
        return self

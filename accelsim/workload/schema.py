"""What a workload file (``workloads/<name>.yaml``) may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, StrictFloat, StrictInt, StrictStr, Tag, model_validator

from accelsim.documents import Authored, Constant
from accelsim.workload.graph import Calibration

__all__ = ["ParameterDocument", "RecipeDocument", "WorkloadDocument"]


def _parameter_kind(data: Any) -> str | None:
    if isinstance(data, Constant | dict):
        return "constant"
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "flag"), (int, "whole"), (float, "number"), (str, "text"), (list, "list"), (tuple, "list"),
    )  # fmt: skip
    return next((kind for known, kind in kinds if isinstance(data, known)), None)


ParameterDocument = Annotated[
    Annotated[Constant, Tag("constant")]
    | Annotated[StrictBool, Tag("flag")]
    | Annotated[StrictInt, Tag("whole")]
    | Annotated[StrictFloat, Tag("number")]
    | Annotated[StrictStr, Tag("text")]
    | Annotated[list[StrictInt], Tag("list")],
    Discriminator(
        _parameter_kind,
        custom_error_type="parameter",
        custom_error_message="must be a number, text, true or false, a list of whole numbers, or {value, source}",
    ),
]
"""A parameter's value: plain where it is the user's choice, a `Constant` where it is a fact with an owner."""


class QuantisersDocument(Authored):
    """What range integers are spread over, by op-name pattern; the first pattern that matches an op wins.

    Quantisers: max, percentile:P, mse, sawb, pact:ALPHA, fixed:LOW,HIGH. An activation is the first operand of an op,
    or a second one that is no weight.
    """

    weights: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    activations: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    source: StrictStr = Field(min_length=1)


class RecipeDocument(Authored):
    """Number formats by op-name pattern: the first pattern that matches an op wins, ``default`` takes the rest.

    The two matrix parts of a recurrent layer NAME are named NAME.input and NAME.recurrent. ``alternatives``
    names the recipes that are equally compatible with what is published.
    """

    default: StrictStr
    source: StrictStr = Field(min_length=1)
    why: StrictStr = ""
    alternatives: list[StrictStr] = Field(default_factory=list)
    patterns: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    quantisers: QuantisersDocument | None = None


class CalibrationDocument(Authored):
    """Which published figures the assumed values were chosen to match, on which architecture."""

    architecture: StrictStr
    note: StrictStr = Field(min_length=1)


class WorkloadDocument(Authored):
    """A bundled generator with its parameters, or a model file with the shapes of its inputs."""

    description: StrictStr = Field(min_length=1)
    source: StrictStr = Field(min_length=1)
    generator: StrictStr | None = None
    parameters: dict[str, ParameterDocument] = Field(default_factory=dict)
    model: StrictStr | None = None
    shapes: dict[str, list[Annotated[StrictInt, Field(ge=1)]]] = Field(default_factory=dict)
    values: dict[str, StrictInt | StrictFloat] = Field(default_factory=dict)
    recipes: dict[str, RecipeDocument] = Field(default_factory=dict)
    calibration: CalibrationDocument | None = None

    @property
    def fitted(self) -> Calibration | None:
        """The calibration as graphs carry it."""
        return Calibration(self.calibration.architecture, self.calibration.note) if self.calibration else None

    @model_validator(mode="after")
    def _one_kind(self) -> WorkloadDocument:
        if (self.generator is None) == (self.model is None):
            raise ValueError("must have either a generator or a model|write one of the two")
        stray: tuple[tuple[Literal["generator", "model"], str], ...] = (
            ("generator", "shapes"), ("generator", "values"), ("model", "parameters"),
        )  # fmt: skip
        for kind, field in stray:
            if getattr(self, kind) is not None and getattr(self, field):
                raise ValueError(f"has a {kind}, which takes no {field}|remove {field}")
        return self

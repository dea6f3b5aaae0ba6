"""What a user says about a model beside the file itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.outcomes import checked_choice

__all__ = ["BRANCHES", "ImportOptions", "checked_options"]

BRANCHES = ("then", "else", "dearest")
ANY = "*"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """See `accelsim.workload.onnx.from_onnx`.

    Attributes:
        shapes: sizes of inputs by input name, and of named dimensions by theirs.
        values: numbers for one-element inputs.
        batch: samples that one execution computes.
        allow_zero_cost: op types that may cost nothing.
        branches: "then", "else" or "dearest" for an `If` that the data decides, by node name; "*" for the others.
        trips: steps of a `Loop` that the data ends, by node name; "*" for the others.
        measure_shapes: whether the model may be run once for the shapes that only data tells.
    """

    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    values: Mapping[str, float | int] = field(default_factory=dict)
    batch: int | None = None
    allow_zero_cost: frozenset[str] = frozenset()
    branches: Mapping[str, str | float] = field(default_factory=dict)
    trips: Mapping[str, int] = field(default_factory=dict)
    measure_shapes: bool = False

    def given(self) -> dict[str, Any]:
        """The options that are not left to their defaults, as plain data."""
        stated = {each.name: getattr(self, each.name) for each in fields(self)}
        plain = {name: sorted(value) if isinstance(value, frozenset) else value for name, value in stated.items()}
        return {name: value for name, value in plain.items() if value}

    def branch(self, name: str) -> str | float | None:
        """What is chosen for the `If` called ``name``."""
        return self.branches.get(name, self.branches.get(ANY))

    def steps(self, name: str) -> int | None:
        """How often the `Loop` called ``name`` runs."""
        return self.trips.get(name, self.trips.get(ANY))


def checked_options(options: ImportOptions, nodes: Mapping[str, set[str]], file: object) -> None:
    """Refuse choices for nodes that the model lacks.

    Args:
        options: what the user said.
        nodes: names of the nodes of the op types If and Loop, by op type.
        file: the model, for errors.

    Raises:
        UnknownNameError: a name that no such node bears, or a word that is no choice.
        InputError: a number of steps below 1, or a weight for a branch.
    """
    for field_name, given, op_type in (("branches", options.branches, "If"), ("trips", options.trips, "Loop")):
        for name in given:
            if name != ANY and name not in nodes.get(op_type, ()):
                raise UnknownNameError(
                    f"{op_type} of this model", name, nodes.get(op_type, ()), file=file, field=field_name
                )
    for name, word in options.branches.items():
        checked_choice(word, BRANCHES, file, f"branches.{name}")
    for name, steps in options.trips.items():
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
            raise InputError("must be a whole number of steps", file=file, field=f"trips.{name}", value=steps)

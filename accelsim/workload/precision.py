"""Assigning number formats to a workload.

One format computes each matrix op: its weights and the activations it reads are stored in it. An activation that
several ops read is stored in the widest of their formats; vector work reads and writes the vector unit's format.
Biases, norms and other small weights stay in the op's format if that is a float of 16 bits or more, and in the
vector unit's format otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics import FORMATS, Float, shortest_name
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph, PrecisionRecipe, Tensor
from accelsim.workload.ops import Conv, Loop, MatMul, Move, Op

__all__ = ["PrecisionChoice", "assign_formats", "resolve_precision"]

PrecisionArgument = str | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """Which format each op computes in: the first matching pattern, else the default."""

    label: str
    default: str
    patterns: tuple[tuple[str, str], ...] = ()
    recipe: PrecisionRecipe | None = None

    def of(self, op_name: str) -> str:
        """Format of the op called ``op_name``."""
        for pattern, name in self.patterns:
            if fnmatchcase(op_name, pattern):
                return name
        return self.default


def resolve_precision(graph: Graph, precision: PrecisionArgument) -> PrecisionChoice:
    """Turn a format, a recipe name of this workload, or a mapping of op-name patterns into a choice.

    Formats go by name or are composed, such as e2m1/ue5m3@16 (see `accelsim.numerics.format_of`). A mapping needs the
    pattern ``*`` or the key ``default`` for the ops that no other pattern names.

    Raises:
        UnknownNameError: neither a format nor a recipe.
        InputError: a pattern that matches no op, or a mapping without a default.
    """
    if isinstance(precision, str):
        recipe = graph.recipes.get(precision)
        if recipe is not None:
            return PrecisionChoice(precision, recipe.default, recipe.patterns, recipe)
        return PrecisionChoice(precision, _format(precision, [*FORMATS, *graph.recipes]))
    rest = dict(precision)
    default = rest.pop("default", None) or rest.pop("*", None)
    if default is None:
        raise InputError("has no format for the other ops", field="precision", remedy="add the pattern '*'")
    patterns = tuple((pattern, _format(name, FORMATS)) for pattern, name in rest.items())
    _every_pattern_matches(graph, rest)
    label = ",".join(f"{pattern}={name}" for pattern, name in precision.items())
    return PrecisionChoice(label, _format(default, FORMATS), patterns)


def _format(name: str, known: Iterable[str]) -> str:
    """The format that units go by: composed formats that are in the list have their name there.

    Raises:
        UnknownNameError: neither in the list nor composed.
    """
    try:
        return shortest_name(name)
    except UnknownNameError:
        raise UnknownNameError("format or recipe", name, known, field="precision") from None
    except InputError as error:
        raise InputError(error.rule, field="precision", value=name, remedy=error.remedy) from None


def _every_pattern_matches(graph: Graph, patterns: Mapping[str, str]) -> None:
    names = [op.name for op, _ in graph.walk()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UnknownNameError("op or pattern of ops of this workload", pattern, names, field="precision")


def assign_formats(graph: Graph, choice: PrecisionChoice, vector_format: str) -> Graph:
    """The graph with a format on every tensor. Tensors that both a loop and its surroundings know agree."""
    wanted: dict[str, set[str]] = {}
    _collect(graph, choice, vector_format, wanted)
    return _rewritten(graph, {name: _widest(formats) for name, formats in wanted.items() if formats}, vector_format)


def _collect(graph: Graph, choice: PrecisionChoice, vector_format: str, wanted: dict[str, set[str]]) -> None:
    """Add to ``wanted`` the formats in which each tensor is read, readers first so that moves pass them on."""
    for op in reversed(graph.ops):
        if isinstance(op, Loop):
            for inner, outer in zip(op.body.outputs, op.outputs, strict=False):
                wanted.setdefault(inner, set()).update(wanted.get(outer, ()))
            _collect(op.body, choice, vector_format, wanted)
            for name in op.inputs:
                wanted.setdefault(name, set()).update(wanted.get(step_slice(name), ()))
            continue
        if isinstance(op, Move):
            for name in op.inputs:
                if graph.tensors[name].role == "weight":
                    continue
                wanted.setdefault(name, set()).update(*(wanted.get(output, ()) for output in op.outputs))
        for name, format_name in _operand_formats(op, graph, choice.of(op.name), vector_format).items():
            wanted.setdefault(name, set()).add(format_name)


def _operand_formats(op: Op, graph: Graph, computed: str, vector_format: str) -> dict[str, str]:
    """Format in which ``op`` wants to read each of its inputs."""
    element = FORMATS[computed].element
    small = computed if isinstance(element, Float) and element.bits >= 16 else vector_format
    if isinstance(op, MatMul | Conv):
        return {name: computed if position < 2 else small for position, name in enumerate(op.inputs)}
    if isinstance(op, Move):
        # A gathered table is stored as the recipe says, a moved activation as its readers want it.
        return {name: computed for name in op.inputs if graph.tensors[name].role == "weight"}
    return {name: small if graph.tensors[name].role == "weight" else vector_format for name in op.inputs}


def _widest(formats: set[str]) -> str:
    return max(sorted(formats), key=lambda name: FORMATS[name].bits_per_element)


def _rewritten(graph: Graph, formats: Mapping[str, str], vector_format: str) -> Graph:
    tensors: dict[str, Tensor] = {
        name: replace(tensor, format=formats.get(name, vector_format)) for name, tensor in graph.tensors.items()
    }
    ops = tuple(
        replace(op, body=_rewritten(op.body, formats, vector_format)) if isinstance(op, Loop) else op
        for op in graph.ops
    )
    return graph.with_tensors(tensors, ops)

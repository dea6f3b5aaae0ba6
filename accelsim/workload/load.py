"""Finding and loading workloads: bundled ones by name, workload files, ONNX and TFLite models, saved graphs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeGuard

from accelsim.documents import Constant, bundled_folder, parse_yaml, read_yaml, validated
from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics import format_named, quantiser_named
from accelsim.workload.bundled import GENERATORS
from accelsim.workload.bundled.parameters import (
    ParameterValue,
    checked_parameter,
    generated,
    parameter_rules,
)
from accelsim.workload.graph import Graph, PrecisionRecipe
from accelsim.workload.imports import TFLITE_ENDING, TORCH_ENDINGS, imported_model, refuse, stored_graph
from accelsim.workload.interchange import is_graph_file
from accelsim.workload.ops import Recurrent
from accelsim.workload.rewrite.registry import reapplied
from accelsim.workload.schema import WorkloadDocument

__all__ = ["assumed_parameters", "list_workloads", "load_workload", "parse_workload_argument", "reloaded"]

MAX_TENSOR_ELEMENTS = 10**12

PlainValue = int | float | str | bool

_YAML_ENDINGS = (".yaml", ".yml")
_MODEL_ENDING = ".onnx"
_GRAPH_ENDINGS = (".json", ".csv")
_RECURRENT_PARTS = ("input", "recurrent", "cell", "project")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A workload file whose values have been checked. ``owned`` holds the parameters as the file states them."""

    path: Path
    document: WorkloadDocument
    values: Mapping[str, ParameterValue]
    owned: Mapping[str, Constant | PlainValue]
    recipes: Mapping[str, PrecisionRecipe]


def load_workload(
    name_or_path: str | Path,
    /,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    values: Mapping[str, float] | None = None,
    allow_zero_cost: Collection[str] = (),
    branches: Mapping[str, str | float] | None = None,
    trips: Mapping[str, int] | None = None,
    measure_shapes: bool = False,
    **parameters: Any,
) -> Graph:
    """Load a bundled workload by name, or one from the path of a workload file, a model or a saved graph.

    Args:
        name_or_path: such as ``rnnt-lm-fusion``, ``my.yaml``, ``my.onnx``, ``my.tflite``, ``my.pt2``, a graph saved as
            .json or .yaml, a SCALE-Sim topology .csv or a ZigZag workload .yaml.
        shapes, values, allow_zero_cost, branches, trips, measure_shapes: for ONNX models, see `accelsim.from_onnx`;
            TFLite models take ``allow_zero_cost`` and ``branches``.
            Programs of torch take ``shapes``, ``allow_zero_cost``, ``branches`` and ``trips``: see
            `accelsim.from_torch`.
        parameters: values that replace those of the workload file; a replaced value is no longer assumed.
            An ONNX model takes ``batch`` and sizes of its named dimensions (``sequence=512``), other models and saved
            graphs ``batch`` only.

    Raises:
        UnknownNameError: no such workload or parameter ("did you mean").
        InputError: a value of the wrong type or size; the message names file, field, value, rule and remedy.
    """
    path = _find(name_or_path)
    chosen: dict[str, Any] = {"allow_zero_cost": allow_zero_cost, "branches": branches, "trips": trips}
    chosen["measure_shapes"] = measure_shapes
    model = {"shapes": shapes, "values": values, **chosen}
    if path.suffix.lower() in (_MODEL_ENDING, *TORCH_ENDINGS):
        return imported_model(path, shapes, values, chosen, parameters)
    if path.suffix.lower() == TFLITE_ENDING:
        own = {"allow_zero_cost": allow_zero_cost, "branches": branches}
        refuse({key: value for key, value in model.items() if key not in own}, path, "is for ONNX models")
        return stored_graph(path, own, parameters)
    if is_graph_file(path):
        refuse(model, path, "is for models, and this graph is read as it stands")
        return stored_graph(path, {}, parameters)
    loaded = _loaded(path)
    if loaded.document.model is not None:
        # Joined before they are checked, so that the caller's slips are named as the caller wrote them.
        shapes = (
            {**loaded.document.shapes, **shapes} if isinstance(shapes, Mapping) else shapes or loaded.document.shapes
        )
        values = (
            {**loaded.document.values, **values} if isinstance(values, Mapping) else values or loaded.document.values
        )
        graph = imported_model(path.parent / loaded.document.model, shapes, values, chosen, parameters)
        _check_patterns(graph, loaded.recipes, path)
        return replace(
            graph, name=path.stem, recipes={**graph.recipes, **loaded.recipes}, origin=None, overrides={}, dimensions={}
        )  # fmt: skip
    rule = "is for ONNX models, and this workload is made by a generator"
    refuse(model, path, rule, "give parameters by name instead")
    return _generated(loaded, parameters)


def list_workloads() -> list[tuple[str, str]]:
    """(name, description) of every bundled workload, by name."""
    return [(path.stem, _loaded(path).document.description) for path in _bundled()]


def assumed_parameters(graph: Graph) -> dict[str, Constant]:
    """The generator parameters for which nothing is published, with the ranges that they may take."""
    used = graph.parameters_used.items()
    return {name: value for name, value in used if isinstance(value, Constant) and value.assumed}


def reloaded(graph: Graph, parameters: Mapping[str, object]) -> Graph:
    """The workload that ``graph`` was loaded from, with other ``parameters`` on top of those it was loaded with.

    Its rewrites are applied again.

    Raises:
        InputError: the graph was not made by `load_workload` from a file, or by a generator.
    """
    if graph.dimensions:
        return graph.rebind(**parameters)  # type: ignore[arg-type]
    if graph.origin is None:
        raise InputError("was not loaded by name, so its parameters cannot change", field=f"workload {graph.name}")
    merged: dict[str, Any] = {**graph.overrides, **parameters}
    return reapplied(load_workload(graph.origin, **merged), graph)


def parse_workload_argument(text: str) -> tuple[str, dict[str, Any]]:
    """Split ``name:key=value,key=value`` into the name and its parameters, whose values are read as YAML.

    A list or mapping may hold commas: ``mlp:sizes=[784,256,10],batch=8``.

    Raises:
        InputError: a part that is not ``key=value``, or a key that stands twice.
    """
    match = re.fullmatch(r"(.+?):\s*([A-Za-z_]\w*\s*=.*)", text, re.DOTALL)
    if match is None:
        name, colon, _ = text.partition(":")
        if not name.strip() or (colon and not re.search(r"[/\\.]", text)):
            remedy = "write name or name:key=value,key=value"
            raise InputError("is not a workload", file="workload argument", value=text, remedy=remedy)
        return text, {}
    parameters: dict[str, Any] = {}
    for part in _split(match[2]):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key.isidentifier() or not value:
            remedy = "write name:key=value,key=value"
            raise InputError("must be key=value", file=f"workload {match[1]}", value=part, remedy=remedy)
        if key in parameters:
            raise InputError("stands twice", file=f"workload {match[1]}", field=key)
        parameters[key] = parse_yaml(value, file=f"workload {match[1]}: {key}")
    return match[1], parameters


def _split(text: str) -> Iterator[str]:
    """The parts of ``text`` between commas that stand in no bracket."""
    depth, start = 0, 0
    for index, character in enumerate(text):
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth <= 0:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _bundled() -> list[Path]:
    return sorted(bundled_folder("workloads").glob("*.yaml"), key=lambda path: path.stem)


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix.lower() in (*_YAML_ENDINGS, _MODEL_ENDING, TFLITE_ENDING, *TORCH_ENDINGS, *_GRAPH_ENDINGS):
        return path
    name = str(name_or_path)
    bundled = bundled_folder("workloads") / f"{name}.yaml"
    if re.fullmatch(r"[\w.-]{1,200}", name, re.ASCII) and bundled.is_file():
        return bundled
    try:
        a_file = path.is_file()
    except OSError:  # the name is too long, say
        a_file = False
    if a_file:
        endings = ", ".join((_YAML_ENDINGS[0], _MODEL_ENDING, TFLITE_ENDING, TORCH_ENDINGS[0], *_GRAPH_ENDINGS))
        raise InputError("is neither a workload file nor a model", file=path, remedy=f"name it {endings}")
    raise UnknownNameError("workload", name, [each.stem for each in _bundled()])


def _loaded(path: Path) -> _Loaded:
    """The checked content of ``path``; read again only when the file has changed."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})", file=path) from None
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=128)
def _read(path: Path, _changed_ns: int, _size: int) -> _Loaded:
    document = validated(WorkloadDocument, read_yaml(path), file=path)
    recipes = {name: _recipe(document, name, path) for name in document.recipes}
    if document.generator is None:
        return _Loaded(path, document, {}, {}, recipes)
    if document.generator not in GENERATORS:
        raise UnknownNameError("generator", document.generator, GENERATORS, file=path, field="generator")
    loaded = _with_parameters(path, document, document.generator, recipes)
    # With the file's own parameters every pattern must name an op; overrides may take ops away.
    _check_patterns(_generated(loaded, {}), recipes, path)
    return loaded


def _with_parameters(
    path: Path, document: WorkloadDocument, generator: str, recipes: Mapping[str, PrecisionRecipe]
) -> _Loaded:
    """Check every parameter of the file, the ends of its range included, against the generator's rules."""
    rules = parameter_rules(GENERATORS[generator])
    values: dict[str, ParameterValue] = {}
    owned: dict[str, Constant | PlainValue] = {}
    for name, stated in document.parameters.items():
        field = f"parameters.{name}"
        if name not in rules:
            raise UnknownNameError("parameter", name, rules, file=path, field=field)
        if isinstance(stated, Constant):
            for end, value in (("low", stated.low), ("high", stated.high)):
                if value is not None:
                    checked_parameter(value, rules[name], file=path, field=f"{field}.{end}")
            values[name] = checked_parameter(stated.value, rules[name], file=path, field=f"{field}.value")
            owned[name] = stated
        else:
            values[name] = checked_parameter(stated, rules[name], file=path, field=field)
            owned[name] = _shown(values[name])
    for name, rule in rules.items():
        if name not in values:
            if rule.default is None:
                raise InputError("is missing", file=path, field=f"parameters.{name}", remedy=_remedy(generator))
            values[name], owned[name] = rule.default, _shown(rule.default)
    return _Loaded(path, document, values, owned, recipes)


def _remedy(generator: str) -> str:
    return f"see a bundled workload with `generator: {generator}`, for example with `accelsim show`"


def _recipe(document: WorkloadDocument, name: str, path: Path) -> PrecisionRecipe:
    recipe, field = document.recipes[name], f"recipes.{name}"
    format_named(recipe.default, file=path, field=f"{field}.default")
    for pattern, format_name in recipe.patterns.items():
        format_named(format_name, file=path, field=f"{field}.patterns.{pattern}")
    for other in recipe.alternatives:
        if other not in document.recipes:
            raise UnknownNameError("recipe", other, document.recipes, file=path, field=f"{field}.alternatives")
    patterns, quantisers = tuple(recipe.patterns.items()), recipe.quantisers
    made = PrecisionRecipe(name, recipe.default, patterns, recipe.source, recipe.why, tuple(recipe.alternatives))
    if quantisers is None:
        return made
    for side, given in (("weights", quantisers.weights), ("activations", quantisers.activations)):
        for pattern, quantiser in given.items():
            quantiser_named(quantiser, file=path, field=f"{field}.quantisers.{side}.{pattern}")
    return replace(
        made, weight_quantisers=tuple(quantisers.weights.items()),
        activation_quantisers=tuple(quantisers.activations.items()), quantiser_source=quantisers.source,
    )  # fmt: skip


def _check_patterns(graph: Graph, recipes: Mapping[str, PrecisionRecipe], path: Path) -> None:
    names = [op.name for op, _ in graph.walk()]
    parts = [f"{op.name}.{part}" for op, _ in graph.walk() if isinstance(op, Recurrent) for part in _RECURRENT_PARTS]
    for recipe in recipes.values():
        for field, patterns in (
            ("patterns", recipe.patterns), ("quantisers.weights", recipe.weight_quantisers),
            ("quantisers.activations", recipe.activation_quantisers),
        ):  # fmt: skip
            for pattern, _ in patterns:
                if not any(fnmatchcase(name, pattern) for name in (*names, *parts)):
                    raise UnknownNameError("op, or pattern of ops,", pattern, [*names, *parts], file=path,
                                           field=f"recipes.{recipe.name}.{field}")  # fmt: skip


def _generated(loaded: _Loaded, overrides: Mapping[str, Any]) -> Graph:
    name, generator = loaded.path.stem, GENERATORS[str(loaded.document.generator)]
    rules = parameter_rules(generator)
    values, owned = dict(loaded.values), dict(loaded.owned)
    for key, given in overrides.items():
        if key not in rules:
            raise UnknownNameError("parameter", key, rules, file=f"workload {name}")
        value = checked_parameter(given, rules[key], file=f"workload {name}", field=key)
        stated = owned[key]
        values[key] = value
        owned[key] = stated.replaced(value) if isinstance(stated, Constant) and _numeric(value) else _shown(value)
    graph = generated(generator, values)
    _check_sizes(graph, name)
    return replace(
        graph, name=name, recipes=loaded.recipes, parameters_used={**owned, **graph.parameters_used},
        origin=str(loaded.path), overrides=dict(overrides), calibration=loaded.document.fitted,
    )  # fmt: skip


def _check_sizes(graph: Graph, name: str) -> None:
    for tensor in graph.all_tensors():
        if tensor.elements > MAX_TENSOR_ELEMENTS:
            rule = f"has more than {MAX_TENSOR_ELEMENTS:.0e} elements"
            field = f"tensor {tensor.name}"
            raise InputError(
                rule, file=f"workload {name}", field=field, value=tensor.shape, remedy="choose smaller sizes"
            )


def _shown(value: ParameterValue) -> PlainValue:
    """The value as provenance records it."""
    return str(list(value)) if isinstance(value, tuple) else value


def _numeric(value: ParameterValue) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)

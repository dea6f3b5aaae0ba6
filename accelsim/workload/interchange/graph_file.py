"""Our own graph files: everything that a graph holds, with a version, as JSON (any size) or YAML (small, to edit).

    accelsim_graph: 1
    name: tiny
    inputs: [x]
    outputs: [y]
    tensors: {x: {shape: [1, 4]}, w: {shape: [4, 2], role: weight}, y: {shape: [1, 2]}}
    ops:
    - {kind: matmul, name: dense, inputs: [x, w], outputs: [y], m: 1, n: 2, k: 4}

Fields with their default value are left out. Time and memory are linear in the size of the graph.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from accelsim.documents import bounded_bytes, bundled_folder, read_yaml
from accelsim.errors import InputError, UnknownNameError
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.interchange.records import KINDS, Reader, plain, record
from accelsim.workload.ops import Loop, Op

__all__ = ["VERSION", "VERSION_FIELD", "read_graph", "write_graph"]

VERSION = 1
VERSION_FIELD = "accelsim_graph"
MAX_JSON_BYTES = 1 << 30
MAX_YAML_BYTES = 1 << 20
MAX_DEPTH = 16
"""Loops within loops."""

_BUNDLED = "bundled:"
_MODEL_ENDING = ".onnx"
_GRAPH_FIELDS = (
    "name", "batch", "audio_s", "inputs", "outputs", "tensors", "ops", "recipes", "parameters_used", "origin",
    "overrides", "calibration", "rewrites",
)  # fmt: skip


def write_graph(graph: Graph, path: Path) -> None:
    """Write ``graph`` to a .json or .yaml file."""
    suffix = path.suffix.lower()
    if suffix not in (".json", ".yaml", ".yml"):
        raise InputError("is no ending of a graph file", file=path, remedy="name it .json or .yaml")
    data = {VERSION_FIELD: VERSION, **_document(graph)}
    if suffix == ".json":
        text = json.dumps(data, indent=1, allow_nan=False) + "\n"
    else:
        text = yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110, allow_unicode=True)
        if len(text.encode()) > MAX_YAML_BYTES:
            raise InputError(f"would be larger than {MAX_YAML_BYTES} bytes", file=path, remedy="name it .json")
    try:
        path.write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be written ({getattr(error, 'strerror', None) or error})", file=path) from None


def read_graph(path: Path) -> Graph:
    """The graph in a .json or .yaml file.

    Raises:
        InputError: no such file, a version that this accelsim does not know, or a graph that breaks a rule.
    """
    data = _json(path) if path.suffix.lower() == ".json" else read_yaml(path)
    if not isinstance(data, dict) or VERSION_FIELD not in data:
        raise InputError(f"has no field {VERSION_FIELD}: it is no graph file", file=path,
                         remedy="write one with `accelsim convert WORKLOAD --out graph.json`")  # fmt: skip
    version = data.pop(VERSION_FIELD)
    if version != VERSION or isinstance(version, bool):
        remedy = f"save it again with the accelsim that wrote it as version {VERSION}, or install a newer accelsim"
        raise InputError(f"is no version that this accelsim reads ({VERSION})", file=path, field=VERSION_FIELD,
                         value=version, remedy=remedy)  # fmt: skip
    return _Graphs(path).graph(data, "")


def _json(path: Path) -> Any:
    content = bounded_bytes(path, MAX_JSON_BYTES)
    try:
        return json.loads(content, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"is not valid JSON ({error})", file=path) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in names if names.count(key) > 1)!r} stands twice")
    return found


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def _document(graph: Graph) -> dict[str, Any]:
    """A graph as plain data; defaults are left out, and so is a model behind it: the file is read as it stands."""
    if graph.origin is not None and graph.origin.lower().endswith(_MODEL_ENDING):
        graph = replace(graph, origin=None, overrides={}, dimensions={})
    data: dict[str, Any] = {"name": graph.name}
    for field in ("batch", "audio_s"):
        if getattr(graph, field) != Graph.__dataclass_fields__[field].default:
            data[field] = getattr(graph, field)
    data |= {"inputs": list(graph.inputs), "outputs": list(graph.outputs)}
    for field in ("recipes", "parameters_used", "overrides", "calibration", "rewrites"):
        if getattr(graph, field):
            data[field] = plain(getattr(graph, field))
    if graph.origin is not None:
        data["origin"] = _stored_origin(graph.origin)
    data["tensors"] = {name: _without_name(tensor) for name, tensor in graph.tensors.items()}
    data["ops"] = [_op_document(op) for op in graph.ops]
    return data


def _without_name(tensor: Tensor) -> dict[str, Any]:
    return {key: value for key, value in record(tensor).items() if key != "name"}


def _op_document(op: Op) -> dict[str, Any]:
    data = {"kind": op.kind, **record(op)} if not isinstance(op, Loop) else {"kind": op.kind, **_loop(op)}
    return data


def _loop(op: Loop) -> dict[str, Any]:
    head = {"name": op.name, "inputs": list(op.inputs), "outputs": list(op.outputs)}
    rest = {"steps": op.steps, "carried": plain(op.carried), "body": _document(op.body)}
    return head | ({"label": op.label} if op.label else {}) | rest


def _stored_origin(origin: str) -> str:
    """A bundled workload by its name, so that the file means the same on another machine."""
    path = Path(origin)
    return f"{_BUNDLED}{path.stem}" if path.parent == bundled_folder("workloads") else origin


def _origin(stored: str) -> str:
    return (
        str(bundled_folder("workloads") / f"{stored.removeprefix(_BUNDLED)}.yaml")
        if stored.startswith(_BUNDLED)
        else stored
    )


class _Graphs:
    """Reads graphs, and the bodies in them, from one file."""

    def __init__(self, file: Path) -> None:
        self.reader = Reader(file, self._body)
        self.file, self.depth = file, 0

    def _body(self, data: Any, field: str) -> Graph:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InputError(f"nests loops deeper than {MAX_DEPTH}", file=self.file, field=field)
        made = self.graph(data, field)
        self.depth -= 1
        return made

    def graph(self, data: Any, field: str) -> Graph:
        read = self.reader
        if not isinstance(data, dict):
            raise read.error("must be a mapping of fields", field, data)
        for key in data:
            if key not in _GRAPH_FIELDS:
                raise UnknownNameError("field", str(key), _GRAPH_FIELDS, file=self.file, field=field)
        dot = f"{field}." if field else ""
        values: dict[str, Any] = {}
        for name, kind in (
            ("name", "str"), ("batch", "int"), ("audio_s", "float"), ("inputs", "tuple[str, ...]"),
            ("outputs", "tuple[str, ...]"), ("origin", "str"), ("calibration", "Calibration"),
        ):  # fmt: skip
            if data.get(name) is not None:
                values[name] = read.value(kind, data[name], dot + name)
        if "name" not in values:
            raise InputError("is missing", file=self.file, field=f"{dot}name")
        if "origin" in values:
            values["origin"] = _origin(values["origin"])
        values["tensors"] = self._by_name(data, "tensors", dot, self._tensor)
        values["recipes"] = self._by_name(
            data, "recipes", dot, lambda each, at, _: read.value("PrecisionRecipe", each, at)
        )
        values["ops"] = tuple(self._op(each, at) for each, at in self._listed(data, "ops", dot))
        values["rewrites"] = tuple(
            read.value("RewriteReport", each, at) for each, at in self._listed(data, "rewrites", dot)
        )
        values["parameters_used"] = read.mapping(data.get("parameters_used", {}), f"{dot}parameters_used")
        values["overrides"] = read.mapping(data.get("overrides", {}), f"{dot}overrides")
        return Graph(**values)

    def _by_name(self, data: Any, name: str, dot: str, made: Callable[[Any, str, str], Any]) -> dict[str, Any]:
        given = data.get(name, {})
        if not isinstance(given, dict):
            raise self.reader.error("must be a mapping by name", dot + name, given)
        return {key: made(each, f"{dot}{name}.{key}", key) for key, each in given.items()}

    def _listed(self, data: Any, name: str, dot: str) -> list[tuple[Any, str]]:
        given = data.get(name, [])
        if not isinstance(given, list):
            raise self.reader.error("must be a list", dot + name, given)
        return [(each, f"{dot}{name}[{index}]") for index, each in enumerate(given)]

    def _tensor(self, data: Any, field: str, name: str) -> Tensor:
        if not isinstance(data, dict):
            raise self.reader.error("must be a mapping of fields", field, data)
        return self.reader.record(Tensor, {**data, "name": name}, field)

    def _op(self, data: Any, field: str) -> Op:
        if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
            raise InputError("has no kind", file=self.file, field=field, remedy=f"write one of {', '.join(KINDS)}")
        if data["kind"] not in KINDS:
            raise UnknownNameError("kind of op", data["kind"], KINDS, file=self.file, field=f"{field}.kind")
        return self.reader.record(KINDS[data["kind"]], data, field, skipped=("kind",))

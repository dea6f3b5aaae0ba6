"""Reading sweep files, and binding their axes to real architectures and workloads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from accelsim.documents import bundled_folder, read_yaml, validated
from accelsim.errors import AccelsimError, InputError, UnknownNameError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.hardware.load import Architecture, load_architecture
from accelsim.mapping.aimc.choice import resolve_analog
from accelsim.mapping.options import mapping_options
from accelsim.study.sweep.axes import FAMILIES, Axis, AxisValue, axis_of, family_of
from accelsim.study.sweep.metrics import check_metrics
from accelsim.study.sweep.space import Space
from accelsim.study.sweep.spec import SweepDocument
from accelsim.version import __version__
from accelsim.workload.graph import Graph
from accelsim.workload.load import load_workload, parse_workload_argument
from accelsim.workload.precision import PrecisionArgument, resolve_precision

__all__ = ["Sweepable", "list_sweeps", "load_sweep", "workload_of"]


@dataclass(frozen=True)
class Sweepable:
    """A sweep file that has been read and bound: what it says, its space, and what its results depend on.

    Attributes:
        document: the file's content.
        file: where it was read.
        space: the axes, those for several architectures, workloads and precisions included.
        architectures, workloads: the bases by the name that the file gives them.
        identity: hashes of all that decides a result: the document, the files that it names, the version.
    """

    document: SweepDocument
    file: str
    space: Space
    architectures: Mapping[str, Architecture]
    workloads: Mapping[str, Graph]
    identity: Mapping[str, str]

    @property
    def name(self) -> str:
        return Path(self.file).stem


def load_sweep(name_or_path: str | Path) -> Sweepable:
    """Read a bundled sweep by name, or one from a path to a YAML file, and check everything that it names.

    Raises:
        UnknownNameError: no such sweep, or an axis, metric, workload or architecture that does not exist.
        InputError: the file breaks a rule; the message names file, field, value, rule and remedy.
    """
    path = _find(name_or_path)
    return bound(validated(SweepDocument, read_yaml(path), file=path), str(path))


def list_sweeps() -> list[tuple[str, str]]:
    """(name, description) of every bundled sweep, by name."""
    files = sorted(bundled_folder("sweeps").glob("*.yaml"))
    return [(file.stem, str(read_yaml(file).get("description", ""))) for file in files]


def bound(document: SweepDocument, file: str) -> Sweepable:
    """A document with its axes bound to what they change. Errors as `load_sweep`."""
    check_metrics(document, file)
    folder = Path(file).parent
    architectures = {name: load_architecture(_beside(folder, name)) for name in document.architectures}
    workloads = {name: workload_of(folder, name) for name in document.workloads}
    axes = [*_base_axes(document), *_written_axes(document, file)]
    axes += _assumed_axes(document, architectures, file)
    space = Space(_with_conditions(axes, document, file))
    for axis in space.axes:
        _check_axis(axis, architectures, workloads, file)
    _check_precisions(document, workloads, architectures, file)
    identity = _identity(document, folder, architectures, workloads)
    return Sweepable(document, file, space, architectures, workloads, identity)


def workload_of(folder: Path, argument: str, parameters: Mapping[str, Any] | None = None) -> Graph:
    """The workload of ``NAME:key=value,...``, a path beside the sweep file before anything else."""
    name, given = parse_workload_argument(argument)
    return load_workload(_beside(folder, name), **{**given, **(parameters or {})})


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return path
    bundled = bundled_folder("sweeps") / f"{path}.yaml"
    if len(path.parts) == 1 and bundled.is_file():
        return bundled
    raise UnknownNameError("sweep", str(name_or_path), [name for name, _ in list_sweeps()])


def _beside(folder: Path, name: str) -> str | Path:
    """A path beside the sweep file where there is one, else the name as it is."""
    beside = folder / name
    return beside if beside.exists() and (beside.suffix or beside.is_dir()) else name


def _base_axes(document: SweepDocument) -> list[Axis]:
    """Axes for several workloads, architectures and precisions."""
    found = []
    for name, values in (("workload", document.workloads), ("architecture", document.architectures),
                         ("precision", document.precisions)):  # fmt: skip
        if len(values) > 1:
            found.append(Axis(name, family_of(name), values))
    return found


def _written_axes(document: SweepDocument, file: str) -> list[Axis]:
    found = []
    for name, axis in document.axes.items():
        field = f"axes.{name}"
        if name in ("workload", "architecture", "precision"):
            raise InputError("is no axis of its own", file=file, field=field,
                             remedy=f"list several under `{name}s` instead")  # fmt: skip
        if axis.choices is None:
            found.append(axis_of(name, axis, family_of(name), file=file))
            continue
        families = {family_of(path) for settings in axis.choices.values() for path in settings}
        if len(families) > 1:
            raise InputError("sets paths of several kinds in its choices", file=file, field=field,
                             remedy="set parameters of the architecture only, or of the workload only")  # fmt: skip
        found.append(axis_of(name, axis, families.pop() if families else "hardware", file=file))
    return found


def _assumed_axes(document: SweepDocument, architectures: Mapping[str, Architecture], file: str) -> list[Axis]:
    """A continuous axis for each assumed constant that a pattern names; whole numbers where nothing else is allowed."""
    if not document.assumed:
        return []
    if len(architectures) > 1:
        raise InputError("takes the constants of one architecture", file=file, field="assumed",
                         remedy="sweep each architecture on its own")  # fmt: skip
    architecture = next(iter(architectures.values()))
    assumed = architecture.assumed()
    for pattern in document.assumed:
        if not any(fnmatchcase(path, pattern) for path in assumed):
            raise UnknownNameError(
                "assumed constant, or pattern of them,", pattern, assumed, file=file, field="assumed"
            )
    found = []
    for path, constant in assumed.items():
        chosen = any(fnmatchcase(path, pattern) for pattern in document.assumed)
        low, high = constant.low, constant.high
        if not chosen or path in document.axes or low is None or high is None or low == high:
            continue
        if _is_count(architecture, path, low, high):
            found.append(Axis(path, "hardware", tuple(range(round(low), round(high) + 1))))
        else:
            found.append(Axis(path, "hardware", low=low, high=high))
    return found


def _is_count(architecture: Architecture, path: str, low: float, high: float) -> bool:
    """Whether a parameter takes whole numbers only."""
    try:
        architecture.override({path: round(low) + 0.5 if round(low) < high else low})
    except InputError:
        return float(low).is_integer() and float(high).is_integer()
    return False


def _with_conditions(axes: list[Axis], document: SweepDocument, file: str) -> tuple[Axis, ...]:
    """The axes with their conditions as coordinates, each behind those that it depends on."""
    by_name = {axis.name: axis for axis in axes}
    conditioned = []
    for axis in axes:
        written = document.axes.get(axis.name)
        when = {}
        for parent, allowed in (written.when if written else {}).items():
            field = f"axes.{axis.name}.when.{parent}"
            if parent not in by_name or parent == axis.name:
                others = [name for name in by_name if name != axis.name]
                raise UnknownNameError("axis", parent, others, file=file, field=field)
            when[parent] = frozenset(_index(by_name[parent], value, file, field) for value in allowed)
        conditioned.append(replace(axis, when=when))
    conditioned.sort(key=lambda axis: FAMILIES.index(axis.family))
    return _parents_first(conditioned, file)


def _index(parent: Axis, value: AxisValue, file: str, field: str) -> int:
    if parent.continuous:
        raise InputError("depends on a continuous axis", file=file, field=field, remedy="give that axis steps")
    if value not in parent.values:
        raise UnknownNameError("value of that axis", str(value), map(str, parent.values), file=file, field=field)
    return parent.values.index(value)


def _parents_first(axes: list[Axis], file: str) -> tuple[Axis, ...]:
    ordered: list[Axis] = []
    waiting = list(axes)
    while waiting:
        known = {axis.name for axis in ordered}
        ready = next((axis for axis in waiting if set(axis.when) <= known), None)
        if ready is None:
            raise InputError("depend on each other in a circle", file=file,
                             field=f"axes.{waiting[0].name}.when")  # fmt: skip
        ordered.append(ready)
        waiting.remove(ready)
    return tuple(ordered)


def _check_axis(
    axis: Axis, architectures: Mapping[str, Architecture], workloads: Mapping[str, Graph], file: str
) -> None:
    """Refuse a path that does not exist, and an axis of which no value is allowed."""
    if axis.family in ("workload", "architecture", "precision"):
        return
    field = f"axes.{axis.name}"
    ends = [axis.low, axis.high] if axis.continuous else list(range(len(axis.values)))
    complaint: AccelsimError | None = None
    for at in ends:
        try:
            for path, value in axis.set_at(at).items():
                _try_path(axis, path, value, architectures, workloads)
            return
        except UnknownNameError as error:
            raise InputError(error.rule, file=file, field=field, value=error.value, remedy=error.remedy) from None
        except AccelsimError as error:
            complaint = complaint or error
    if isinstance(complaint, InputError):
        raise InputError(complaint.rule, file=file, field=field, value=complaint.value, remedy=complaint.remedy)
    if complaint is not None:
        raise complaint


def _try_path(
    axis: Axis, path: str, value: AxisValue, architectures: Mapping[str, Architecture], workloads: Mapping[str, Graph]
) -> None:
    """Set one path to one value where the axis exists; raises what is wrong with it."""
    where = "architecture" if axis.family == "hardware" else "workload"
    bases = list(architectures if axis.family == "hardware" else workloads)
    chosen = axis.when.get(where)
    names = bases if chosen is None else [name for index, name in enumerate(bases) if index in chosen]
    if axis.family == "mapping":
        mapping_options({path.removeprefix("mapping."): value})  # type: ignore[dict-item]
        return
    for name in names:
        if axis.family == "hardware":
            architectures[name].override({path: value})
        elif axis.family == "parameter":
            load_workload(*_reload_arguments(workloads[name], name), **_parameter(workloads[name], path, value))
        elif axis.family == "formats":
            choice = {path.removeprefix("precision."): str(value), "*": str(value)}
            _known_precision(choice, workloads[name], architectures.values())
        elif value:
            workloads[name].rewritten(*rewrites_of(value))


def rewrites_of(value: AxisValue) -> tuple[str, ...]:
    """The rewrites of a value on the axis ``rewrite``: a list, one by name, or ``none``."""
    if isinstance(value, tuple):
        return tuple(str(each) for each in value)
    return () if value == "none" else (str(value),)


def _reload_arguments(graph: Graph, argument: str) -> tuple[str]:
    return (graph.origin or parse_workload_argument(argument)[0],)


def _parameter(graph: Graph, path: str, value: AxisValue) -> dict[str, Any]:
    """The parameters of a workload with one of them set."""
    given = list(value) if isinstance(value, tuple) else value
    return {**graph.overrides, path.removeprefix("workload."): given}


def _check_precisions(
    document: SweepDocument, workloads: Mapping[str, Graph], architectures: Mapping[str, Architecture], file: str
) -> None:
    """Refuse a precision that a workload does not know."""
    for precision in document.precisions:
        for graph in workloads.values():
            try:
                _known_precision(precision, graph, architectures.values())
            except InputError as error:
                raise InputError(error.rule, file=file, field="precisions", value=precision,
                                 remedy=error.remedy) from None  # fmt: skip


def _known_precision(precision: PrecisionArgument, graph: Graph, architectures: Iterable[Architecture]) -> None:
    """Refuse a precision that is none on any of the architectures; some of them may still have no unit for it.

    Raises:
        InputError: neither a format, a recipe nor, beside analog tiles, ``analog``; or a pattern without ops.
    """
    tiles = [each.description for each in architectures if isinstance(each.description, AimcArchitecture)]
    if tiles:
        resolve_analog(graph, precision, tiles[0])
    else:
        resolve_precision(graph, precision)


def _identity(
    document: SweepDocument, folder: Path, architectures: Mapping[str, Architecture], workloads: Mapping[str, Graph]
) -> dict[str, str]:
    """What the results depend on, by name; hashes of contents."""
    found = {"sweep": _hash(document.model_dump(mode="json")), "accelsim": __version__}
    for name, architecture in architectures.items():
        found[f"architecture {name}"] = _hash(architecture.description.model_dump(mode="json"))
    for name, graph in workloads.items():
        found[f"workload {name}"] = _hash(repr((graph.ops, graph.tensors, graph.recipes)))
    if document.accuracy is not None:  # then results depend on values, too
        files = {f"weights {name}": graph.origin for name, graph in workloads.items() if graph.origin is not None}
        if document.accuracy.inputs is not None:
            files["accuracy.inputs"] = str(folder / document.accuracy.inputs)
        found |= {name: _hash_of_file(path) for name, path in files.items()}
    return found


def _hash_of_file(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", file=path) from None


def _hash(data: Any) -> str:
    """Of contents in their order: the order of axes numbers the designs."""
    return hashlib.sha256(json.dumps(data, default=str).encode()).hexdigest()[:16]

"""Finding, reading and changing architecture descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Union

from pydantic import Field, TypeAdapter

from accelsim.documents import Constant, bundled_folder, read_yaml, validated
from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.hardware.description import Description
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.hardware.fpga_architecture import FpgaArchitecture
from accelsim.hardware.systolic import SYSTOLIC_NAMES, systolic_array

__all__ = ["Architecture", "architecture_schema", "list_architectures", "load_architecture"]

KINDS: dict[str, type[Description]] = {
    "digital": DigitalArchitecture, "aimc": AimcArchitecture, "fpga": FpgaArchitecture,
}  # fmt: skip
"""Schema of each hardware kind; a new kind is one file in `hardware` and one entry here."""

_FILE_NAME = "architecture.yaml"


class Architecture:
    """A loaded architecture: its validated ``description``, the ``file`` it came from, and the ``overrides`` on it.

    ``derived`` are the paths of the constants that were left out and its ``technology`` supplied. ``where`` is what
    complaints name in place of the file. Values change only through `override`, which makes another architecture and
    derives anew.
    """

    __slots__ = ("_parameters", "derived", "description", "file", "overrides")

    def __init__(
        self,
        description: Description,
        file: str,
        overrides: Mapping[str, object] | None = None,
        where: str | None = None,
    ) -> None:
        self.description, self.derived = description.completed(where or file)
        self.file = file
        self.overrides: dict[str, object] = dict(overrides or {})
        self._parameters: dict[str, object] | None = None

    @property
    def name(self) -> str:
        return self.description.name

    @property
    def kind(self) -> str:
        return self.description.kind

    def constants(self) -> dict[str, Constant]:
        """Every constant by its dotted path."""
        return self.description.constants()

    def assumed(self) -> dict[str, Constant]:
        """The constants that nothing is published for."""
        return {path: constant for path, constant in self.constants().items() if constant.assumed}

    def override(self, values: Mapping[str, Any]) -> Architecture:
        """A copy with other values by dotted path, such as ``{"memory.dram.bandwidth_bytes_per_s": 150e9}``.

        A number takes the place of a constant, which is then no longer assumed; words and lists that of the other
        fields, such as ``{"interconnect.topology": "mesh"}``.

        Raises:
            UnknownNameError: a path that does not exist ("did you mean").
            InputError: a value that breaks the field's rule.
        """
        where = f"override of {self.name}"
        if not isinstance(values, Mapping) or not all(isinstance(path, str) for path in values):
            remedy = 'write such as {"cores": 2}'
            raise InputError("must map dotted paths to values", file=where, value=values, remedy=remedy)
        changed = {path: _plain(value) for path, value in values.items()}
        data = self.description.model_dump(exclude_none=True)
        parameters = self._parameters = self._parameters or self.description.parameters()
        for path in self.derived:
            _remove(data, path)
        for path, value in changed.items():
            _replace(data, path, value, parameters, where)
        try:
            description = validated(type(self.description), data, file=where)
            description.check_rules(where)
        except InputError as error:
            raise _with_value(error, data, changed) from None
        return Architecture(description, self.file, {**self.overrides, **changed}, where)

    def __repr__(self) -> str:
        changes = f" with {len(self.overrides)} overrides" if self.overrides else ""
        return f"<Architecture {self.name} ({self.kind}) from {self.file}{changes}>"


def load_architecture(name_or_path: str | Path) -> Architecture:
    """Load a bundled architecture by name, or one from a path to a YAML file or to its folder.

    ``systolic-RxC`` is a systolic array of any size, ``-ws``, ``-os`` or ``-is`` behind it keeps one dataflow,
    ``-overlapped`` hides fill and drain.

    Raises:
        UnknownNameError: no such bundled name and no such file.
        InputError: the file breaks a rule; the message names file, field, value, rule and remedy.
    """
    path, data = _read(name_or_path)
    kind = data.get("kind")
    if kind is None:
        raise InputError("is missing", file=path, field="kind", remedy=f"write one of {', '.join(KINDS)}")
    if not isinstance(kind, str) or kind not in KINDS:
        raise UnknownNameError("hardware kind", str(kind), KINDS, file=path, field="kind")
    data.setdefault("name", path.parent.name if path.name == _FILE_NAME else path.stem)
    try:
        description = validated(KINDS[kind], data, file=path)
        description.check_rules(path)
    except InputError as error:
        raise _with_value(error, data) from None
    return Architecture(description, str(path))


def architecture_schema() -> dict[str, Any]:
    """JSON schema of an architecture file of any kind."""
    kinds: Any = Union[tuple(KINDS.values())]  # noqa: UP007
    adapter: TypeAdapter[Description] = TypeAdapter(Annotated[kinds, Field(discriminator="kind")])
    return adapter.json_schema()


def list_architectures() -> list[tuple[str, str]]:
    """(name, description) of every bundled architecture, by name."""
    files = sorted(bundled_folder("architectures").glob(f"*/{_FILE_NAME}"))
    return [(file.parent.name, str(read_yaml(file).get("description", ""))) for file in files]


def _read(name_or_path: str | Path) -> tuple[Path, dict[str, Any]]:
    """The file and its data; a bundled file or one of the user's goes before an array that is made from its name."""
    try:
        path = _find(name_or_path)
    except UnknownNameError:
        made = systolic_array(str(name_or_path))
        if made is None:
            raise
        return made
    return path, read_yaml(path)


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    folder = bundled_folder("architectures")
    bundled = folder / path / _FILE_NAME
    try:
        if (path / _FILE_NAME).is_file():
            return path / _FILE_NAME
        if path.suffix in (".yaml", ".yml") or path.is_file():
            return path
        if len(path.parts) == 1 and bundled.is_file():
            return bundled
        if path.parts and path.is_dir():
            raise InputError(f"is a folder without {_FILE_NAME}", file=path, remedy="name a file, or another folder")
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise InputError(f"cannot be read ({error.strerror})", field="architecture", value=str(path)) from None
    names = [file.parent.name for file in folder.glob(f"*/{_FILE_NAME}")]
    raise UnknownNameError("architecture", str(name_or_path), [*names, SYSTOLIC_NAMES])


def _replace(data: dict[str, Any], path: str, value: object, parameters: Mapping[str, object], file: str) -> None:
    """Put ``value`` at ``path``; a plain number becomes a constant owned by the override."""
    here: Any = data
    *parents, last = path.split(".")
    for part in parents:
        here = here.get(part) if isinstance(here, dict) else None
    if not isinstance(here, dict) or (last not in here and path not in parameters):
        raise UnknownNameError("parameter path", path, parameters, file=file)
    if path in parameters and isinstance(parameters[path], Constant | None) and isinstance(value, int | float):
        here[last] = {"value": value, "source": "override"}
    else:
        here[last] = value


def _remove(data: dict[str, Any], path: str) -> None:
    """Take out a constant that was derived: it is not the user's, and what it follows from may change."""
    *parents, last = path.split(".")
    here: Any = data
    for part in parents:
        here = here[part]
    del here[last]


def _plain(value: object) -> object:
    """The Python number of a NumPy scalar, which a sweep over an array hands in."""
    return value.item() if isinstance(value, Real) and hasattr(value, "item") else value


def _with_value(error: InputError, data: object, changed: Mapping[str, object] | None = None) -> InputError:
    """The same complaint with the value of the constant that it is about, at the path that was written."""
    field = error.field or ""
    if changed and field not in changed and field.removesuffix(".value") in changed:
        field = field.removesuffix(".value")
    here: Any = data
    for part in field.split("."):
        here = here.get(part) if isinstance(here, dict) else None
    value = here.get("value") if isinstance(here, dict) else None
    if isinstance(error, UnknownNameError) or not isinstance(value, int | float | str):
        value = error.value
    if field == error.field and value is error.value:
        return error
    return InputError(error.rule, file=error.file, field=field, value=value, remedy=error.remedy)

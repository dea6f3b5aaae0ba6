"""Finding, reading and changing architecture descriptions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelsim.documents import Constant, bundled_folder, read_yaml, validated
from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.digital import DigitalArchitecture

__all__ = ["Architecture", "list_architectures", "load_architecture"]

KINDS = {"digital": DigitalArchitecture}
"""Schema of each hardware kind; a new kind is one file in `hardware` and one entry here."""

_FILE_NAME = "architecture.yaml"


class Architecture:
    """A loaded architecture: its validated description and where it came from.

    Fields of the description are attributes (``arch.memory.dram``); values change only through `override`.
    """

    __slots__ = ("description", "file", "overrides")

    def __init__(
        self, description: DigitalArchitecture, file: str, overrides: Mapping[str, object] | None = None
    ) -> None:
        self.description = description
        self.file = file
        self.overrides: dict[str, object] = dict(overrides or {})

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

        Raises:
            UnknownNameError: a path that does not exist ("did you mean").
            InputError: a value that breaks the field's rule.
        """
        data = self.description.model_dump(exclude_none=True)
        for path, value in values.items():
            _replace(data, path, value, self.constants(), self.file)
        description = validated(type(self.description), data, file=f"{self.file} with overrides")
        return Architecture(_checked(description, self.file), self.file, {**self.overrides, **values})


def load_architecture(name_or_path: str | Path) -> Architecture:
    """Load a bundled architecture by name, or one from a path to a YAML file or to its folder.

    Raises:
        UnknownNameError: no such bundled name and no such file.
        InputError: the file breaks a rule; the message names file, field, value, rule and remedy.
    """
    path = _find(name_or_path)
    data = read_yaml(path)
    kind = data.get("kind")
    if not isinstance(kind, str):
        raise InputError("is missing", file=path, field="kind", remedy=f"write one of {', '.join(KINDS)}")
    if kind not in KINDS:
        raise UnknownNameError("hardware kind", kind, KINDS, file=path, field="kind")
    data.setdefault("name", path.parent.name if path.name == _FILE_NAME else path.stem)
    return Architecture(_checked(validated(KINDS[kind], data, file=path), str(path)), str(path))


def list_architectures() -> list[tuple[str, str]]:
    """(name, description) of every bundled architecture, by name."""
    files = sorted(bundled_folder("architectures").glob(f"*/{_FILE_NAME}"))
    return [(file.parent.name, str(read_yaml(file).get("description", ""))) for file in files]


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if path.is_dir() and (path / _FILE_NAME).is_file():
        return path / _FILE_NAME
    if path.suffix in (".yaml", ".yml") or path.is_file():
        return path
    folder = bundled_folder("architectures")
    bundled = folder / str(name_or_path) / _FILE_NAME
    if len(path.parts) != 1 or not bundled.is_file():
        names = [file.parent.name for file in folder.glob(f"*/{_FILE_NAME}")]
        raise UnknownNameError("architecture", str(name_or_path), names)
    return bundled


def _checked(description: DigitalArchitecture, file: str) -> DigitalArchitecture:
    """Rules across fields: every clock that a component names exists."""
    for component in ("array", "vector", "scratchpad", "interconnect", "dma"):
        clock = getattr(description, component).clock
        if clock not in description.clocks:
            raise UnknownNameError("clock", clock, description.clocks, file=file, field=f"{component}.clock")
    return description


def _replace(data: dict[str, Any], path: str, value: Any, constants: Mapping[str, Constant], file: str) -> None:
    """Put ``value`` at ``path``; a plain number becomes a constant owned by the override."""
    here: Any = data
    parts = path.split(".")
    for part in parts[:-1]:
        here = here.get(part) if isinstance(here, dict) else None
    if not isinstance(here, dict) or (parts[-1] not in here and path not in constants):
        known = [*constants, *(f"{name}.clock" for name in ("array", "vector", "scratchpad", "interconnect", "dma"))]
        raise UnknownNameError("parameter path", path, known, file=file)
    if path in constants and isinstance(value, int | float) and not isinstance(value, bool):
        here[parts[-1]] = {"value": value, "source": "override"}
    else:
        here[parts[-1]] = value

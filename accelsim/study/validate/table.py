"""CSV files of reference data: what is wrong with a file stops it, what is wrong with a row fails that row."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import InputError

__all__ = ["Record", "read_table"]

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[-+]?\d+", re.ASCII)
_ABSENT = ("", "nan", "none", "null", "na")
_MAX_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a table. Each method returns a cell, or raises an InputError that names file, line and column."""

    file: str
    line: int
    cells: Mapping[str, str]
    complaint: str = ""

    @property
    def source(self) -> str:
        """Where it stands."""
        return f"{self.file}, line {self.line}"

    def raw(self, column: str) -> str:
        """The cell as it is written, stripped; empty where there is none. Never raises."""
        return self.cells.get(column, "").strip()

    def text(self, column: str) -> str:
        """A cell that may not be empty."""
        if self.complaint:
            raise InputError(self.complaint, file=self.source)
        if not self.raw(column):
            raise InputError("is empty", file=self.source, field=column)
        return self.raw(column)

    def figure(self, column: str) -> float | None:
        """A measured figure; None where the cell is empty (or nan). Whole numbers stay whole, of any size."""
        if self.complaint:
            raise InputError(self.complaint, file=self.source)
        cell = self.raw(column)
        if cell.lower() in _ABSENT:
            return None
        if len(cell) > _MAX_CHARACTERS or not _NUMBER.fullmatch(cell):
            raise self._error(column, "must be a number")
        value = int(cell) if _WHOLE.fullmatch(cell) else float(cell)
        if not math.isfinite(value):
            raise self._error(column, "must be a finite number")
        return int(value) if isinstance(value, float) and value.is_integer() else value

    def number(self, column: str) -> float:
        """A number that must be there."""
        value = self.figure(column)
        if value is None:
            raise InputError("is empty", file=self.source, field=column, remedy="write a number")
        return value

    def whole(self, column: str, least: int = 1) -> int:
        """A whole number of at least ``least``; "64.0" is one."""
        value = self.number(column)
        if not isinstance(value, int) or value < least:
            raise self._error(column, f"must be a whole number of {least} or more")
        return value

    def _error(self, column: str, rule: str) -> InputError:
        return InputError(rule, file=self.source, field=column, value=self.raw(column))


def read_table(file: Path, columns: Sequence[str]) -> Iterator[Record]:
    """The rows of a CSV file (UTF-8, a header, commas). It must have ``columns`` and may have others; blank lines pass.

    Raises:
        InputError: no CSV, or without some of the columns; names the file, and the line or the columns.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            try:
                yield from _records(file, reader, columns)
            except csv.Error as error:
                raise InputError(f"is not CSV ({error})", file=f"{file}, line {reader.line_num}") from None
    except UnicodeDecodeError:
        raise InputError("is not text in UTF-8", file=file) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", file=file) from None


def _records(file: Path, reader: Iterator[list[str]], columns: Sequence[str]) -> Iterator[Record]:
    header = [name.strip() for name in next(reader, [])]
    missing = [name for name in columns if name not in header]
    if missing:
        raise InputError(f"lacks {_listed('column', missing)}", file=file,
                         remedy=f"the first line must name {', '.join(columns)}")  # fmt: skip
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise InputError(f"has {_listed('column', twice)} twice", file=file)
    for cells in reader:
        line: int = reader.line_num  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in cells):
            continue
        complaint = "" if len(cells) == len(header) else f"has {len(cells)} cells under {len(header)} columns"
        yield Record(file.name, line, dict(zip(header, cells, strict=False)), complaint)


def _listed(what: str, names: Sequence[str]) -> str:
    return f"the {what}{'s' if len(names) > 1 else ''} {', '.join(map(repr, names))}"

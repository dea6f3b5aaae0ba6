"""What a validation is made of: targets give rows, rows are gathered in families, families say how far off we are.

A *row* is one row (or case) of the reference data; it holds a comparison for each figure that was measured. A row
that cannot be evaluated has failed: it keeps its reason, counts as failed and never stops the others. Counts of a
family are in rows, errors in comparisons.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from statistics import fmean, median

from accelsim.errors import AccelsimError, InputError

__all__ = [
    "Comparison",
    "Family",
    "MetricErrors",
    "Report",
    "Row",
    "Target",
    "TargetReport",
    "evaluated",
    "run_target",
]

_LARGEST_PCT = 1e12


@dataclass(frozen=True, slots=True)
class Comparison:
    """One predicted figure beside the measured one, both in the unit that ``metric`` names.

    Attributes:
        tolerance: relative difference that still counts as equal, for figures that are rounded differently; 0 for
            figures that must be identical.
        note: what a reader must know, such as a documented deviation from the reference.
    """

    metric: str
    predicted: float
    measured: float
    tolerance: float = 0.0
    note: str = ""

    def __post_init__(self) -> None:
        for name, value in (("predicted", self.predicted), ("measured", self.measured)):
            if not math.isfinite(value):
                raise ValueError(f"{name} {self.metric} is {value}, which is no figure")

    @property
    def exact(self) -> bool:
        """Whether both are the same figure."""
        return abs(self.predicted - self.measured) <= self.tolerance * abs(self.measured)

    @property
    def error_pct(self) -> float:
        """Predicted less measured in percent of measured: 0 where exact, at most 1e12, 100 where only measured is 0."""
        if self.exact:
            return 0.0
        if self.measured == 0:
            return math.copysign(100.0, self.predicted)
        error = 100 * (self.predicted - self.measured) / abs(self.measured)
        return min(max(error, -_LARGEST_PCT), _LARGEST_PCT)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of reference data: what was compared, or why it could not be.

    Attributes:
        name: what people call it.
        family: the family that the data states; empty for the stem of the file.
        source: where it stands, such as "fifo.csv, line 12".
    """

    name: str
    comparisons: tuple[Comparison, ...] = ()
    failed_reason: str | None = None
    family: str = ""
    source: str = ""

    @property
    def exact(self) -> bool:
        """Whether it was compared and every figure is equal."""
        return self.failed_reason is None and all(each.exact for each in self.comparisons)


def evaluated(name: str, compare: Callable[[], Iterable[Comparison]], *, family: str = "", source: str = "") -> Row:
    """The row of what ``compare`` returns, or a failed row with the reason of what it raises."""
    try:
        comparisons = tuple(compare())
    except AccelsimError as error:
        return Row(name, (), str(error), family, source)
    except Exception as error:
        return Row(name, (), f"defect of accelsim: {type(error).__name__}: {error}", family, source)
    reason = None if comparisons else "states no measured figure."
    return Row(name, comparisons, reason, family, source)


@dataclass(frozen=True, slots=True)
class MetricErrors:
    """Errors of some comparisons, absolute values in percent; None where there are none.

    ``worst`` is the largest; ``worst_row`` and ``worst_comparison`` say whose it is.
    """

    compared: int
    exact: int
    mape: float | None
    median_ape: float | None
    worst: float | None
    worst_row: Row | None
    worst_comparison: Comparison | None


@dataclass(frozen=True, slots=True)
class Family:
    """Rows of one kind. In a target that must be exact a failed row counts as an error of 100 %, elsewhere as none."""

    rows: tuple[Row, ...]
    must_be_exact: bool = False

    @property
    def compared(self) -> int:
        return sum(row.failed_reason is None for row in self.rows)

    @property
    def failed(self) -> int:
        return len(self.rows) - self.compared

    @property
    def exact(self) -> int:
        """Rows of which every figure is equal."""
        return sum(row.exact for row in self.rows)

    @property
    def errors(self) -> MetricErrors:
        """Errors over all metrics; so ``mape`` of a target that must be exact is 0 only when every row is."""
        return self._errors(None)

    @property
    def metrics(self) -> dict[str, MetricErrors]:
        """Errors by metric, in the order in which metrics appear; a failed row belongs to none."""
        names = dict.fromkeys(each.metric for row in self.rows for each in row.comparisons)
        return {name: self._errors(name) for name in names}

    def _errors(self, metric: str | None) -> MetricErrors:
        pairs: list[tuple[Row, Comparison | None]] = [
            (row, each) for row in self.rows for each in row.comparisons if metric in (None, each.metric)
        ]
        made = [each for _, each in pairs if each is not None]
        if self.must_be_exact and metric is None:
            pairs += [(row, None) for row in self.rows if row.failed_reason is not None]
        apes = [100.0 if each is None else abs(each.error_pct) for _, each in pairs]
        if not apes:
            return MetricErrors(0, 0, None, None, None, None, None)
        row, worst = pairs[apes.index(max(apes))]
        exact = sum(each.exact for each in made)
        return MetricErrors(len(made), exact, fmean(apes), float(median(apes)), max(apes), row, worst)


@dataclass(frozen=True, slots=True)
class Target:
    """Something to validate. It lives in one file of this package, which has it as ``TARGET``.

    Attributes:
        name: what users type; also its folder below ``validation/``.
        description: one sentence: what is predicted, and what it is compared with.
        looked_for: names, or patterns of names, of the files that hold rows.
        rows: the rows of one such file. A bad row is a failed `Row` (see `evaluated`); a bad file raises InputError.
        companions: patterns of files that are read together with those (arrays beside a JSON file).
        must_be_exact: any difference is a defect.
        calibrated: what was calibrated on which rows, None where nothing was.
        notes: what a reader of its figures must know, such as documented deviations.
    """

    name: str
    description: str
    looked_for: tuple[str, ...]
    rows: Callable[[Path], Iterable[Row]]
    companions: tuple[str, ...] = ()
    must_be_exact: bool = False
    calibrated: str | None = None
    notes: tuple[str, ...] = ()

    def accepts(self, file: Path) -> bool:
        """Whether it takes rows from a file of this name."""
        return any(fnmatchcase(file.name, pattern) for pattern in self.looked_for)

    def reads(self, file: Path) -> bool:
        """Whether it looks at a file of this name at all."""
        return self.accepts(file) or any(fnmatchcase(file.name, pattern) for pattern in self.companions)


@dataclass(frozen=True, slots=True)
class TargetReport:
    """One target on one folder; ``files`` are (name, SHA-256) of what was read, ``ignored`` the names of the rest."""

    name: str
    description: str
    calibrated: str | None
    must_be_exact: bool
    notes: tuple[str, ...]
    families: Mapping[str, Family]
    files: tuple[tuple[str, str], ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Targets by name; ``data`` is the user's folder, None for the bundled reference data."""

    targets: Mapping[str, TargetReport]
    data: Path | None = None


def files_of(folder: Path) -> list[Path]:
    """The visible files of a folder by name, without its README.

    Raises:
        InputError: it is no folder, or cannot be read.
    """
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot be read as a folder ({reason})", file=folder, field="data",
                         remedy="name a folder of files such as the bundled reference data") from None  # fmt: skip
    return [each for each in found if not each.name.startswith(".") and not each.name.lower().startswith("readme")]


def run_target(target: Target, folder: Path) -> TargetReport:
    """Predict every row that ``folder`` holds for ``target``.

    Raises:
        InputError: the folder holds no file or no row for it, or a file is not in its format.
    """
    present = files_of(folder)
    files = [each for each in present if target.accepts(each) and each.is_file()]
    if not files:
        names = ", ".join(target.looked_for)
        raise InputError(f"holds nothing for {target.name}", file=folder, field="data", remedy=f"it looks for {names}")
    families: dict[str, list[Row]] = {}
    for file in files:
        rows = list(target.rows(file))
        if not rows:
            raise InputError("holds no rows", file=file)
        for row in rows:
            families.setdefault(row.family or _stem(file), []).append(row)
    read = [each for each in present if target.reads(each) and each.is_file()]
    return TargetReport(
        target.name, target.description, target.calibrated, target.must_be_exact, target.notes,
        {name: Family(tuple(members), target.must_be_exact) for name, members in families.items()},
        tuple((each.name, _sha256(each)) for each in read), tuple(each.name for each in present if each not in read),
    )  # fmt: skip


def _stem(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).stem


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

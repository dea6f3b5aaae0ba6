"""A validation as data, as a table for the terminal, and as a frame; `validation_page` draws it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from accelsim.report.quantities import short
from accelsim.study.validate import Comparison, Family, MetricErrors, Report, Row, TargetReport
from accelsim.version import __version__

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ape_text", "figure_text", "validation_document", "validation_frame", "validation_text", "worst_text"]

WIDTH = 100
_SHOWN_FAILURES = 5
_COUNTS = ("rows", "compared", "failed", "exact")


def validation_document(report: Report) -> dict[str, object]:
    """A validation as JSON data. Errors are percentages, null where nothing was compared.

    In a family ``rows``, ``compared``, ``failed`` and ``exact`` count rows of the data; ``mape``, ``median_ape`` and
    ``worst`` are over all comparisons, ``metrics`` has them by metric; ``comparisons`` and ``failures`` are the rows.
    """
    return {
        "targets": {name: _target(each) for name, each in report.targets.items()},
        "provenance": {
            "version": __version__,
            "data": "bundled" if report.data is None else str(report.data),
            "files": {name: dict(each.files) for name, each in report.targets.items()},
        },
    }


def _target(target: TargetReport) -> dict[str, object]:
    return {
        "description": target.description,
        "must_be_exact": target.must_be_exact,
        "calibrated": target.calibrated,
        "notes": list(target.notes),
        "ignored": list(target.ignored),
        "families": {name: _family(family) for name, family in target.families.items()},
    }


def _family(family: Family) -> dict[str, object]:
    errors = family.errors
    return {
        "rows": len(family.rows),
        "compared": family.compared,
        "failed": family.failed,
        "exact": family.exact,
        **_spread(errors),
        "metrics": {
            name: {"compared": each.compared, "exact": each.exact, **_spread(each)}
            for name, each in family.metrics.items()
        },
        "comparisons": [
            {"name": row.name, "source": row.source, **_comparison(each)}
            for row in family.rows
            for each in row.comparisons
        ],
        "failures": [
            {"name": row.name, "source": row.source, "reason": row.failed_reason}
            for row in family.rows
            if row.failed_reason is not None
        ],
    }


def _spread(errors: MetricErrors) -> dict[str, object]:
    row, comparison = errors.worst_row, errors.worst_comparison
    worst = None
    if row is not None and errors.worst:
        worst = {"name": row.name, "source": row.source, "metric": comparison.metric if comparison else None}
    return {
        "mape": errors.mape,
        "median_ape": errors.median_ape,
        "worst": errors.worst,
        "worst_row": worst,
    }


def _comparison(comparison: Comparison) -> dict[str, object]:
    return {
        "metric": comparison.metric,
        "predicted": _number(comparison.predicted),
        "measured": _number(comparison.measured),
        "error_pct": _number(comparison.error_pct),
        "exact": bool(comparison.exact),
        "note": comparison.note or None,
    }


def _number(value: float) -> float:
    return value.item() if isinstance(value, np.generic) else value


def validation_frame(report: Report) -> pd.DataFrame:
    """A row a comparison, with predicted and measured figures and the error in percent.

    A failed row has its ``failed_reason``, and neither metric nor figures.
    """
    import pandas as pd

    columns = ("target", "family", "row", "source", "metric", "predicted", "measured", "error_pct", "exact",
               "failed_reason", "note")  # fmt: skip
    made = [
        (target, family, *cells)
        for target, each in report.targets.items()
        for family, rows in each.families.items()
        for row in rows.rows
        for cells in _frame_rows(row)
    ]
    return pd.DataFrame(made, columns=list(columns))


def _frame_rows(row: Row) -> Iterable[tuple[object, ...]]:
    if row.failed_reason is not None:
        yield (row.name, row.source, None, None, None, None, False, row.failed_reason, None)
    for each in row.comparisons:
        figures = (_number(each.predicted), _number(each.measured), _number(each.error_pct), bool(each.exact))
        yield (row.name, row.source, each.metric, *figures, None, each.note or None)


def validation_text(report: Report) -> str:
    """A validation for the terminal: a line a family, a line a metric where metrics differ, and what failed."""
    data = "the bundled reference data" if report.data is None else str(report.data)
    parts = [f"Validation against {data}", _families(report), _metrics(report)]
    for name, target in report.targets.items():
        parts += [_failures(name, target), _notes(name, target)]
    return "\n\n".join(part for part in parts if part)


def _families(report: Report) -> str:
    rows = [["target", "family", *_COUNTS, "MAPE", "median APE", "worst", "worst row"]]
    for name, target in report.targets.items():
        for family_name, family in target.families.items():
            counts = (len(family.rows), family.compared, family.failed, family.exact)
            errors = family.errors
            rows.append([
                short(name, 16), short(family_name, 28), *(f"{count:,}" for count in counts),
                ape_text(errors.mape), ape_text(errors.median_ape), ape_text(errors.worst), worst_text(errors),
            ])  # fmt: skip
    return _aligned(rows, "llrrrrrrrl")


def _metrics(report: Report) -> str:
    rows = [["target", "family", "metric", "compared", "exact", "MAPE", "median APE", "worst"]]
    for name, target in report.targets.items():
        for family_name, family in target.families.items():
            metrics = family.metrics
            if len(metrics) < 2 or not any(each.worst for each in metrics.values()):
                continue
            for metric, errors in metrics.items():
                rows.append([
                    short(name, 16), short(family_name, 28), short(metric, 28), f"{errors.compared:,}",
                    f"{errors.exact:,}", ape_text(errors.mape), ape_text(errors.median_ape), ape_text(errors.worst),
                ])  # fmt: skip
    return f"By metric\n{_aligned(rows, 'lllrrrrr')}" if len(rows) > 1 else ""


def _failures(name: str, target: TargetReport) -> str:
    lines = []
    for family_name, family in target.families.items():
        failed = [row for row in family.rows if row.failed_reason is not None]
        if failed:
            lines.append(f"{name}, {family_name}: {len(failed):,} of {len(family.rows):,} rows cannot be evaluated")
        lines += [_filled(f"{row.name}: {row.failed_reason}") for row in failed[:_SHOWN_FAILURES]]
        if len(failed) > _SHOWN_FAILURES:
            lines.append(f"  ... and {len(failed) - _SHOWN_FAILURES:,} more (--json lists all)")
    return "\n".join(lines)


def _notes(name: str, target: TargetReport) -> str:
    notes = [f"{name}: {target.description}", *target.notes]
    if target.calibrated:
        notes.append(f"calibrated: {target.calibrated}")
    rows = [row for family in target.families.values() for row in family.rows]
    marked = sum(bool(each.note) for row in rows for each in row.comparisons)
    if marked:
        notes.append(f"{marked:,} comparisons carry a note (--json and --html show them).")
    if target.ignored:
        notes.append(f"ignored files: {', '.join(target.ignored)}")
    return "\n".join([textwrap.fill(_printable(notes[0]), WIDTH), *map(_filled, notes[1:])])


def _filled(words: str) -> str:
    return textwrap.fill(_printable(words), WIDTH, initial_indent="  ", subsequent_indent="    ")


def _printable(words: str) -> str:
    return short(words, max(len(words), 2))


def worst_text(errors: MetricErrors) -> str:
    """Which row and metric is furthest off; "-" where all are equal."""
    if errors.worst_row is None or not errors.worst:
        return "-"
    metric = f" ({short(errors.worst_comparison.metric, 24)})" if errors.worst_comparison else " (failed)"
    return f"{short(errors.worst_row.name, 40)}{metric}"


def ape_text(error: float | None) -> str:
    """An error in percent, to two digits after the point or three in all; "-" for None."""
    if error is None:
        return "-"
    return f"{error:.2f} %" if error == 0 or 0.1 <= abs(error) < 1e4 else f"{error:.3g} %"


def figure_text(value: float) -> str:
    """A predicted or measured figure: whole numbers in full, others to six digits."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def _aligned(rows: Sequence[Sequence[str]], sides: str) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(sides))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ).rstrip()
        for row in rows
    )

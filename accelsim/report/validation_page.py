"""A validation as a self-contained HTML page: predicted against measured, how errors are spread, and every row."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from accelsim.report.page import Cell, code, figures, folded, notes_box, page, paragraph, section, table
from accelsim.report.plots import LEGEND_BELOW, MUTED, PALETTE, Plot, layout, safe, value_axis
from accelsim.report.validation import ape_text, figure_text, worst_text
from accelsim.study.validate import Comparison, Family, Report, Row, TargetReport

__all__ = ["validation_html"]

MAX_POINTS = 4000
MAX_ROWS = 400
_BINS = 41
_WIDEST_PCT = 100.0


class _Point(NamedTuple):
    """One comparison and where it belongs."""

    family: str
    row: Row
    comparison: Comparison

    @property
    def ape(self) -> float:
        return abs(self.comparison.error_pct)


def validation_html(report: Report) -> str:
    """The page of a validation, a section a target."""
    data = "the bundled reference data" if report.data is None else f"{report.data}"
    plots: list[Plot] = []
    sections = []
    for number, (name, target) in enumerate(report.targets.items()):
        points = _points(target)
        drawn = [_scatter(points, number), _distribution(points, number)] if points else []
        plots += drawn
        sections.append(section(name, _target(target, points, drawn)))
    body = [Cell("<h1>Validation</h1>"), paragraph(f"Predictions of accelsim against {data}.", "lead"), *sections]
    return page("Validation", body, plots)


def _points(target: TargetReport) -> list[_Point]:
    """All comparisons, the furthest off first; of equal ones those with a note first."""
    points = [
        _Point(name, row, each)
        for name, family in target.families.items()
        for row in family.rows
        for each in row.comparisons
    ]
    return sorted(points, key=lambda point: (-point.ape, not point.comparison.note))


def _target(target: TargetReport, points: Sequence[_Point], drawn: Sequence[Plot]) -> list[str]:
    notes = list(target.notes)
    if target.calibrated:
        notes.insert(0, f"calibrated: {target.calibrated}")
    if target.ignored:
        notes.append(f"ignored files: {', '.join(target.ignored)}")
    parts = [
        paragraph(target.description), notes_box(notes), _summary(target.families), _failures(target), figures(drawn),
    ]  # fmt: skip
    metrics = _by_metric(target.families)
    return [*parts, *([metrics] if metrics else []), _comparisons(points)]


def _summary(families: Mapping[str, Family]) -> Cell:
    head = ["family", "rows", "compared", "failed", "exact", "MAPE", "median APE", "worst", "worst row"]
    rows = []
    for name, family in families.items():
        errors = family.errors
        counts = (len(family.rows), family.compared, family.failed, family.exact)
        rows.append([
            code(name), *(f"{count:,}" for count in counts), ape_text(errors.mape), ape_text(errors.median_ape),
            ape_text(errors.worst), worst_text(errors),
        ])  # fmt: skip
    return table(head, rows, ["name", *["number"] * 7])


def _by_metric(families: Mapping[str, Family]) -> Cell | None:
    head = ["family", "metric", "compared", "exact", "MAPE", "median APE", "worst", "worst row"]
    rows = [
        [
            code(name), code(metric), f"{errors.compared:,}", f"{errors.exact:,}", ape_text(errors.mape),
            ape_text(errors.median_ape), ape_text(errors.worst), worst_text(errors),
        ]
        for name, family in families.items()
        for metric, errors in family.metrics.items()
    ]  # fmt: skip
    return folded("By metric", table(head, rows, ["name", "name", *["number"] * 5])) if rows else None


def _failures(target: TargetReport) -> Cell:
    failed = [(name, row) for name, each in target.families.items() for row in each.rows if row.failed_reason]
    if not failed:
        return Cell("")
    rows = [[code(name), code(row.name), row.source, row.failed_reason or ""] for name, row in failed[:MAX_ROWS]]
    cut = f", the first {MAX_ROWS} of them" if len(failed) > MAX_ROWS else ""
    title = f"{len(failed):,} rows that cannot be evaluated{cut}"
    return folded(title, table(["family", "row", "where", "reason"], rows, ["name", "name"]))


def _comparisons(points: Sequence[_Point]) -> Cell:
    head = ["family", "row", "metric", "predicted", "measured", "error", "note"]
    rows = [
        [
            code(point.family), code(point.row.name), point.comparison.metric, figure_text(point.comparison.predicted),
            figure_text(point.comparison.measured), ape_text(point.comparison.error_pct), point.comparison.note,
        ]
        for point in points[:MAX_ROWS]
    ]  # fmt: skip
    cut = len(points) > MAX_ROWS
    title = f"The {MAX_ROWS} of {len(points):,} comparisons that are furthest off" if cut else "All comparisons"
    return folded(title, table(head, rows, ["name", "name", "", "number", "number", "number"]))


def _series(points: Sequence[_Point]) -> dict[str, list[_Point]]:
    """Points by family, or by metric where there is one family."""
    by_metric = len({point.family for point in points}) == 1
    series: dict[str, list[_Point]] = {}
    for point in points:
        series.setdefault(point.comparison.metric if by_metric else point.family, []).append(point)
    return dict(sorted(series.items()))


def _scatter(points: Sequence[_Point], number: int) -> Plot:
    """Predicted against measured with the line where both are equal; logarithmic where figures span decades."""
    drawable = points[:MAX_POINTS]
    ends = [abs(figure) for point in drawable for figure in _pair(point) if figure]
    logarithmic = bool(ends) and max(ends) > 100 * min(ends)
    shown = [point for point in drawable if not logarithmic or min(_pair(point)) > 0]
    series = _series(shown)
    data = [_cloud(name, of, PALETTE[i % len(PALETTE)]) for i, (name, of) in enumerate(series.items())]
    reach = [figure for point in shown for figure in _pair(point)] or [1.0]
    data.append({
        "type": "scatter", "mode": "lines", "x": [min(reach), max(reach)], "y": [min(reach), max(reach)],
        "line": {"color": MUTED, "width": 1.5, "dash": "dot"}, "name": "equal", "hoverinfo": "skip",
    })  # fmt: skip
    kind = {"type": "log"} if logarithmic else {}
    axes = {"xaxis": value_axis("Measured", **kind), "yaxis": value_axis("Predicted", **kind), "legend": LEGEND_BELOW}
    lines = _legend_lines(series)
    caption = "Each point is a comparison, in its own unit; on the dotted line both are equal."
    if len(points) > len(drawable):
        caption += f" The {MAX_POINTS:,} of {len(points):,} that are furthest off."
    if len(drawable) > len(shown):
        caption += f" {len(drawable) - len(shown):,} with a figure that is not positive are left out."
    shape = layout("Predicted against measured", 420 + 24 * lines, legend_lines=lines)
    return Plot(f"scatter-{number}", data, {**shape, **axes}, caption, wide=False)


def _legend_lines(series: Mapping[str, object]) -> int:
    """Lines that the legend takes below a plot of half the page: one name a line where any of them is long."""
    return len(series) + 1 if max(map(len, series), default=0) > 20 else 1 + len(series) // 3


def _pair(point: _Point) -> tuple[float, float]:
    return float(point.comparison.measured), float(point.comparison.predicted)


def _cloud(name: str, points: Sequence[_Point], colour: str) -> dict[str, Any]:
    hover = [
        f"<b>{safe(point.row.name)}</b><br>{safe(point.family)}, {safe(point.comparison.metric)}"
        f"<br>predicted {figure_text(point.comparison.predicted)}, measured {figure_text(point.comparison.measured)}"
        f"<br>{ape_text(point.comparison.error_pct)}"
        for point in points
    ]
    measured, predicted = zip(*map(_pair, points), strict=True)
    return {
        "type": "scatter", "mode": "markers", "name": safe(name, 30), "x": list(measured), "y": list(predicted),
        "marker": {"color": colour, "size": 6, "opacity": 0.7}, "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _distribution(points: Sequence[_Point], number: int) -> Plot:
    """How many comparisons err by how much; what lies beyond the ends is counted in the last bars."""
    reach = min(max(point.ape for point in points), _WIDEST_PCT) or 1.0
    width = 2 * reach / _BINS
    centres = [-reach + (i + 0.5) * width for i in range(_BINS)]
    series = _series(points)
    data = []
    for i, (name, of) in enumerate(series.items()):
        counts = [0] * _BINS
        for point in of:
            counts[min(max(math.floor((point.comparison.error_pct + reach) / width), 0), _BINS - 1)] += 1
        data.append({
            "type": "bar", "name": safe(name, 30), "x": centres, "y": counts, "width": [width] * _BINS,
            "marker": {"color": PALETTE[i % len(PALETTE)]}, "hovertemplate": "%{y}<extra>%{fullData.name}</extra>",
        })  # fmt: skip
    beyond = sum(point.ape > reach for point in points)
    equal = sum(point.comparison.exact for point in points)
    caption = f"{equal:,} of {len(points):,} comparisons are equal."
    if beyond:
        caption += f" {beyond:,} err by more than {_WIDEST_PCT:g} % and stand in the outermost bars."
    lines = _legend_lines(series)
    shape = layout("Spread of the errors", 420 + 24 * lines, legend_lines=lines)
    axes = {
        "xaxis": value_axis("Predicted less measured [%]", range=[-1.02 * reach, 1.02 * reach]),
        "yaxis": value_axis("Comparisons"),
        "barmode": "stack", "bargap": 0.0, "legend": LEGEND_BELOW, "showlegend": True,
    }  # fmt: skip
    return Plot(f"errors-{number}", data, {**shape, **axes}, caption, wide=False)

"""Parallel coordinates of a sweep: a line a design through every axis and objective, without WebGL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from accelsim.report.plots import MUTED, Plot, layout, safe
from accelsim.report.sweep import figure_text, value_text
from accelsim.report.sweep_figures import Shown, label
from accelsim.study.sweep.axes import Axis

__all__ = ["CHOSEN", "Lines", "lines_of", "parallel"]

CHOSEN = "chosen"
"""Name of the trace that shows the designs under a brush."""

_MAX_LINES = 1500
_COLOURS = ("#fde725", "#90d743", "#35b779", "#21918c", "#31688e", "#443983", "#440154")
_TICKS = 10
_DECADES = 30.0


@dataclass(frozen=True)
class Lines:
    """Heights of designs, (designs, dimensions) from 0 to 1, and the marks beside each dimension.

    ``marks`` are (height, words) by dimension; ``order`` ranks designs from best to worst in the first objective.
    """

    designs: NDArray[np.int64]
    names: tuple[str, ...]
    heights: NDArray[np.float64]
    marks: tuple[tuple[tuple[float, str], ...], ...]
    order: NDArray[np.float64]

    def by_design(self) -> dict[str, list[float]]:
        """Heights by the number of the design, three digits each."""
        rounded = np.round(self.heights, 3).tolist()
        return {str(number): row for number, row in zip(self.designs.tolist(), rounded, strict=True)}


def lines_of(shown: Shown) -> Lines | None:
    """Lines of a sample of the designs that are ok, and of the whole front."""
    rows = shown.sample(_MAX_LINES)
    if rows.empty or not shown.axes:
        return None
    rows = pd.concat([rows, shown.front[~shown.front["design"].isin(rows["design"])]])
    found = [_axis(axis, rows[axis.name]) for axis in shown.axes]
    found += [_objective(name, np.array(rows[name].tolist(), dtype=np.float64)) for name in shown.objectives]
    first = shown.objectives[0]
    order = rows[first].astype(float).rank(pct=True, ascending=shown.senses[first] == "min").fillna(1.0)
    names = (*(axis.name.rpartition(".")[2] or axis.name for axis in shown.axes), *map(label, shown.objectives))
    heights = np.stack([heights for heights, _ in found], axis=1)
    ranks = np.asarray(order, dtype=np.float64)
    return Lines(rows["design"].to_numpy(), names, heights, tuple(marks for _, marks in found), ranks)


def _axis(axis: Axis, column: pd.Series[Any]) -> tuple[NDArray[np.float64], tuple[tuple[float, str], ...]]:
    """Values at even distances, so that unequal steps read evenly; a continuous axis by size. Absent ones lie below."""
    if axis.continuous:
        values: NDArray[np.float64] = np.array(column.fillna(axis.low).tolist(), dtype=np.float64)
        return _objective(axis.name, values)
    present = column.dropna()
    known = sorted(present.unique().tolist()) if axis.numeric else list(dict.fromkeys(present))
    words = [value_text(axis.name, value) for value in known]
    if column.isna().any():
        known, words = [None, *known], ["absent", *words]
    top = max(1, len(known) - 1)
    places = {value: place / top for place, value in enumerate(known)}
    heights = np.array([places[None if pd.isna(value) else value] for value in column.tolist()])
    step = max(1, -(-len(known) // _TICKS))
    return heights, tuple((place / top, words[place]) for place in range(0, len(known), step))


def _objective(name: str, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[tuple[float, str], ...]]:
    """Heights by size, logarithmic where values span decades."""
    values = np.where(np.isfinite(values), values, np.nanmin(values) if np.isfinite(values).any() else 0.0)
    low, high = float(values.min()), float(values.max())
    if low == high:
        return np.full(len(values), 0.5), ((0.5, figure_text(name, low)),)
    if low > 0 and high > _DECADES * low:
        marks = np.geomspace(low, high, 3)
        heights = np.log(values / low) / np.log(high / low)
    else:
        marks = np.linspace(low, high, 3)
        heights = (values - low) / (high - low)
    return heights, tuple((at / 2, figure_text(name, float(mark))) for at, mark in enumerate(marks))


def parallel(lines: Lines | None, shown: Shown) -> Plot | None:
    """The plot: lines coloured by rank, the best on top; those under the brush of the trade-off in front."""
    if lines is None:
        return None
    data = [_bin(lines, part) for part in reversed(range(len(_COLOURS)))]
    data.append(_trace([], CHOSEN, "#e45756", 2.0))
    data.append(_marks(lines.marks))
    shape = layout("Parallel coordinates", 520)
    shape["margin"] = {"l": 24, "r": 90, "t": 52, "b": 110}
    places = list(range(len(lines.names)))
    x = {"tickvals": places, "ticktext": [safe(name, 32) for name in lines.names], "tickangle": 20, "showgrid": True,
         "zeroline": False, "fixedrange": True, "range": [-0.15, len(places) - 0.55], "gridcolor": MUTED}  # fmt: skip
    y = {"visible": False, "range": [-0.05, 1.05], "fixedrange": True}
    first = shown.objectives[0]
    count = (
        f"{len(lines.designs):,} of {len(shown.ok):,} designs" if len(lines.designs) < len(shown.ok) else "All designs"
    )
    caption = f"{count}; dark lines are best in {label(first)}. A brush over the trade-off shows its designs in red."
    return Plot("parallel", data, {**shape, "xaxis": x, "yaxis": y, "showlegend": False, "hovermode": False}, caption)


def _bin(lines: Lines, part: int) -> dict[str, Any]:
    """The lines of one part of the ranking; part 0 is the best, and darkest."""
    count = len(_COLOURS)
    chosen = np.minimum((lines.order * count).astype(int), count - 1) == part
    return _trace(lines.heights[chosen].tolist(), f"rank {part}", _COLOURS[count - 1 - part], 1.0)


def _trace(rows: Sequence[Sequence[float]], name: str, colour: str, width: float) -> dict[str, Any]:
    """Many lines as one trace, a gap between them."""
    x: list[float | None] = []
    y: list[float | None] = []
    for row in rows:
        x += [*map(float, range(len(row))), None]
        y += [*(round(height, 3) for height in row), None]
    line = {"color": colour, "width": width}
    return {"type": "scatter", "mode": "lines", "name": name, "x": x, "y": y, "line": line, "opacity": 0.6,
            "hoverinfo": "skip"}  # fmt: skip


def _marks(marks: Sequence[Sequence[tuple[float, str]]]) -> dict[str, Any]:
    """Words beside the dimensions."""
    placed: list[Mapping[str, Any]] = [
        {"x": number, "y": height, "text": safe(f" {words}", 24)}
        for number, each in enumerate(marks)
        for height, words in each
    ]
    columns = {key: [each[key] for each in placed] for key in ("x", "y", "text")}
    return {"type": "scatter", "mode": "text", "name": "marks", **columns, "textposition": "middle right",
            "textfont": {"size": 11}, "hoverinfo": "skip", "cliponaxis": False}  # fmt: skip

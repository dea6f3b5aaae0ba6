"""The plots of a sweep's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from accelsim.report.plots import (
    LEGEND_BELOW,
    MUTED,
    PALETTE,
    Plot,
    bars,
    end_labels,
    layout,
    rows_axis,
    safe,
    value_axis,
)  # fmt: skip
from accelsim.report.sweep import value_text
from accelsim.study.sweep.axes import Axis
from accelsim.study.sweep.metrics import metric_named

__all__ = ["MAX_POINTS", "Shown", "label", "sensitivity", "slices", "standing_in_the_way", "tradeoff"]

MAX_POINTS = 4000
_MAX_SLICES = 12
_BINS = 16
_DECADES = 30.0


@dataclass(frozen=True)
class Shown:
    """What the plots are made of.

    Attributes:
        axes: the axes of the space.
        senses: objectives and what is better.
        ok: rows of the designs that run and keep every constraint.
        front: rows of the Pareto front.
    """

    axes: Sequence[Axis]
    senses: Mapping[str, str]
    ok: pd.DataFrame
    front: pd.DataFrame

    @property
    def objectives(self) -> list[str]:
        return list(self.senses)

    def sample(self, most: int) -> pd.DataFrame:
        """At most so many ok designs, evenly spread over their numbers."""
        step = max(1, -(-len(self.ok) // most))
        return self.ok.iloc[::step]

    def hover(self, row: Mapping[str, Any]) -> str:
        """A whole design as safe text."""
        lines = [f"<b>design {row['design']:,}</b>"]
        lines += [f"{safe(name)}: {safe(value_text(name, row[name]))}" for name in self.objectives]
        lines += [f"{safe(axis.name)} = {safe(value_text(axis.name, row[axis.name]))}" for axis in self.axes]
        return "<br>".join(lines)


def label(name: str) -> str:
    """A metric with its unit, for an axis."""
    metric = metric_named(name)
    return f"{metric.words[:1].upper()}{metric.words[1:]} [{metric.unit}]" if metric.unit else metric.words


def tradeoff(shown: Shown) -> Plot | None:
    """The first two objectives against each other: every design, and the front; a third objective is colour."""
    if shown.ok.empty:
        return None
    x, y = (*shown.objectives, *(["area_mm2"] if len(shown.objectives) < 2 else []))[:2]
    cloud, front = shown.sample(MAX_POINTS), shown.front.head(MAX_POINTS)
    third = shown.objectives[2] if len(shown.objectives) > 2 else None
    markers: dict[str, Any] = {"size": 9, "color": PALETTE[1], "line": {"width": 1, "color": "#ffffff"}}
    if third is not None:
        bar = {"title": {"text": label(third)}}
        markers |= {"color": _numbers(front[third]), "colorscale": "Viridis", "colorbar": bar}
    data = [
        _points(cloud, x, y, shown, "designs", {"size": 5, "color": MUTED, "opacity": 0.5}, "markers"),
        _points(front, x, y, shown, "Pareto front", markers, "markers" if third else "lines+markers"),
    ]
    caption = "Drag a box to list its designs below; hover for a whole design."
    if len(cloud) < len(shown.ok):
        caption += f" {len(cloud):,} of {len(shown.ok):,} designs are drawn, and all of the front."
    shape = layout("Trade-off", 520, legend_lines=1)
    axes = {"xaxis": _axis(x, cloud), "yaxis": _axis(y, cloud), "legend": LEGEND_BELOW, "dragmode": "select"}
    return Plot("tradeoff", data, {**shape, **axes, "hovermode": "closest"}, caption)


def _points(
    rows: pd.DataFrame, x: str, y: str, shown: Shown, name: str, marker: Mapping[str, Any], mode: str
) -> dict[str, Any]:
    records = rows.to_dict("records")
    return {
        "type": "scatter", "mode": mode, "name": name, "x": _numbers(rows[x]), "y": _numbers(rows[y]),
        "ids": [str(number) for number in rows["design"]], "marker": dict(marker),
        "line": {"color": PALETTE[1], "width": 1, "shape": "hv"},
        "customdata": [shown.hover({str(key): value for key, value in row.items()}) for row in records],
        "hovertemplate": "%{customdata}<extra></extra>",
    }  # fmt: skip


def _numbers(column: pd.Series[Any]) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in column.astype(float)]


def _axis(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    values = rows[name].astype(float)
    positive = bool((values > 0).all())
    wide = positive and bool(values.max() > _DECADES * values.min())
    return value_axis(label(name), exponentformat="SI", minexponent=0, **({"type": "log"} if wide else {}))


def slices(shown: Shown) -> list[Plot | None]:
    """For each axis the best and the median of the first objective at each of its values."""
    if shown.ok.empty:
        return []
    return [_slice(shown, axis, number) for number, axis in enumerate(shown.axes[:_MAX_SLICES])]


def _slice(shown: Shown, axis: Axis, number: int) -> Plot | None:
    first = shown.objectives[0]
    column = shown.ok[axis.name]
    if axis.continuous:
        column = pd.cut(column, _BINS).map(lambda interval: interval.mid).astype(float)
    values = shown.ok[first].astype(float)
    grouped = values.groupby(column, observed=True, sort=axis.numeric)
    best = grouped.max() if shown.senses[first] == "max" else grouped.min()
    if len(best) < 2:
        return None
    numeric = axis.numeric
    x = [float(key) if numeric else value_text(axis.name, key) for key in best.index]
    data = [
        {"type": "scatter", "mode": "lines+markers" if numeric else "markers", "name": name, "x": x,
         "y": _numbers(found), "marker": {"color": colour, "size": 8}, "line": {"color": colour}}
        for name, found, colour in (("best", best, PALETTE[0]), ("median", grouped.median(), PALETTE[1]))
    ]  # fmt: skip
    log_x = numeric and min(x) > 0 and max(x) > _DECADES * min(x)  # type: ignore[operator]
    shape = layout(safe(axis.name, 60), 340, legend_lines=1)
    axes = {"xaxis": value_axis("", **({"type": "log"} if log_x else {})), "legend": LEGEND_BELOW,
            "yaxis": _axis(first, shown.ok)}  # fmt: skip
    return Plot(f"slice-{number}", data, {**shape, **axes}, wide=False)


def sensitivity(shown: Shown, indices: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[Plot | None]:
    """Bars of what each axis does to each objective: Sobol indices where the strategy found them, else main effects."""
    found = []
    for number, name in enumerate(shown.objectives):
        if name in indices:
            effects = {axis: each["total"] for axis, each in indices[name].items()}
            caption = "Total Sobol index: share of the variance that the axis has a part in."
        else:
            effects = {axis.name: _main_effect(shown.ok, axis, name) for axis in shown.axes}
            caption = "Main effect: share of the variance between the values of the axis, over the designs that are ok."
        found.append(_effects(effects, name, number, caption))
    return found


def _main_effect(rows: pd.DataFrame, axis: Axis, metric: str) -> float:
    """Variance of the means by value over the whole variance."""
    values = rows[metric].astype(float)
    whole = float(values.var(ddof=0))
    if not whole > 0:
        return 0.0
    column = pd.cut(rows[axis.name], _BINS, labels=False) if axis.continuous else rows[axis.name]
    means = values.groupby(column, observed=True, dropna=False).transform("mean")
    return float(means.var(ddof=0)) / whole


def _effects(effects: Mapping[str, float], metric: str, number: int, caption: str) -> Plot | None:
    ranked = sorted(effects.items(), key=lambda item: -item[1])[:20]
    if not ranked:
        return None
    names, values = [name for name, _ in ranked], [max(0.0, value) for _, value in ranked]
    data = [
        bars(values, [f"{safe(name)}: {100 * value:.1f} %" for name, value in ranked], PALETTE[0]),
        end_labels(values, [f"{100 * value:.1f} %" for value in values]),
    ]
    shape = layout(f"What moves {label(metric)}", rows=len(ranked))
    share = value_axis("Share of variance", range=[0, 1.15 * max([*values, 0.1])])
    axes = {"xaxis": share, "yaxis": rows_axis(names, ""), "showlegend": False}
    return Plot(f"effects-{number}", data, {**shape, **axes}, caption, wide=False)


def standing_in_the_way(limits: Sequence[tuple[str, str, int, str]]) -> Plot | None:
    """How many designs each resource, rule or constraint stops."""
    if not limits:
        return None
    top = limits[:20]
    names = [f"{limit} ({status})" for status, limit, _, _ in top]
    counts = [float(count) for _, _, count, _ in top]
    colours = [{"infeasible": PALETTE[4], "outside": PALETTE[1]}.get(status, MUTED) for status, _, _, _ in top]
    data = [
        bars(counts, [f"{safe(name)}<br>{count:,.0f} designs<br>{safe(each[3], 120)}"
                      for name, count, each in zip(names, counts, top, strict=True)], colours),
        end_labels(counts, [f"{count:,.0f}" for count in counts]),
    ]  # fmt: skip
    shape = layout("What stands in the way", rows=len(top))
    axes = {"xaxis": value_axis("Designs", range=[0, 1.15 * max(counts)]), "yaxis": rows_axis(names, ""),
            "showlegend": False}  # fmt: skip
    return Plot("limits", data, {**shape, **axes})

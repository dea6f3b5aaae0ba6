"""The plots of one result: where the latency goes, how busy what is, the roofline, energy, and what is assumed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

import numpy as np

from accelsim.pipeline import DigitalEvaluation, Evaluation
from accelsim.report.op_figures import OpFigures, activity, bare_resource
from accelsim.report.plots import (
    ACTIVITIES,
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
from accelsim.report.quantities import interval, percent, plain, quantity, scale_of
from accelsim.report.summary import assumption_value
from accelsim.study.sensitivity import Assumption, Sensitivity

__all__ = ["Scaled", "critical", "energy", "roofline", "tornado", "utilization", "value_text"]

TOP_OPS = 15
TOP_ASSUMPTIONS = 12
TOP_RESOURCES = 24


def critical(figures: OpFigures, evaluation: Evaluation) -> Plot:
    """Critical path by op, split by activity: the parts add up to the latency."""
    rows = _critical_rows(figures)
    totals = [sum(parts.values()) for _, parts in rows]
    names = [name for name, _ in rows]
    factor, prefix = scale_of(totals)
    data = []
    for label in _in_order(figures.critical_by_activity_s):
        seconds = [parts.get(label, 0.0) for _, parts in rows]
        hover = [f"<b>{safe(n)}</b><br>{safe(label)}: {quantity(s, 's')}" for n, s in zip(names, seconds, strict=True)]
        data.append(bars([s * factor for s in seconds], hover, ACTIVITIES.get(label, MUTED), name=safe(label)))
    shares = [percent(total / evaluation.latency_s) if evaluation.latency_s else "" for total in totals]
    data.append(end_labels([total * factor for total in totals], shares))
    reach = max(totals, default=0.0) * factor or 1.0
    axes = {
        "xaxis": value_axis(f"Time on the critical path [{prefix}s]", range=[0, 1.12 * reach]),
        "yaxis": rows_axis(names, "Op", 36),
        "barmode": "stack",
        "legend": LEGEND_BELOW,
    }
    caption = (
        "The chain of tasks that decides when the last one ends. Its parts add up to the latency; what runs hidden "
        "behind other work is not in it. Percentages are shares of the latency."
    )
    shape = layout("Where the latency goes", rows=len(names), legend_lines=2)
    return Plot("critical", data, {**shape, **axes}, caption)


def _critical_rows(figures: OpFigures) -> list[tuple[str, dict[str, float]]]:
    """(op name, seconds by activity) by falling time, ops of one name together and those that take little as one."""
    spent: dict[str, dict[str, float]] = {}
    for label, seconds in figures.critical_by_activity_s.items():
        for op, value in zip(figures.mapped, seconds.tolist(), strict=True):
            if value > 0:
                parts = spent.setdefault(op.op.name, {})
                parts[label] = parts.get(label, 0.0) + value
    ranked = sorted(spent.items(), key=lambda item: -sum(item[1].values()))
    rows, rest = ranked[:TOP_OPS], ranked[TOP_OPS:]
    if rest:
        labels = dict.fromkeys(label for _, parts in rest for label in parts)
        rows.append((f"{len(rest)} more", {label: sum(p.get(label, 0.0) for _, p in rest) for label in labels}))
    return rows


def _in_order(labels: Iterable[str]) -> list[str]:
    """Activities in the order of their colours, those without a colour last."""
    return sorted(set(labels), key=lambda name: (list(ACTIVITIES).index(name) if name in ACTIVITIES else 99, name))


def utilization(evaluation: Evaluation) -> Plot:
    """Busy share of each resource, split by what it does, and achieved over peak MACs."""
    tasks, makespan = evaluation.tasks, max(evaluation.timeline.makespan_fs, 1)
    spent = np.zeros((len(tasks.resources) + 1, len(tasks.actions)), dtype=np.int64)
    duration = evaluation.timeline.end_fs - evaluation.timeline.start_fs
    np.add.at(spent, (tasks.resource, tasks.action), duration)
    rows: dict[tuple[str, bytes], list[int]] = {}
    for index, name in enumerate(tasks.resources):
        rows.setdefault((bare_resource(name), spent[index].tobytes()), []).append(index)
    names = [
        f"{bare} ({len(alike)} cores)" if len(alike) > 1 else tasks.resources[alike[0]]
        for (bare, _), alike in rows.items()
    ]
    shares = np.array([spent[alike[0]] for alike in rows.values()]) / makespan
    busiest = np.sort(np.argsort(-shares.sum(axis=1), kind="stable")[:TOP_RESOURCES])
    caption = f"{safe(bare_resource(evaluation.bottleneck))} is busy for the largest share of the time."
    if len(busiest) < len(names):
        caption += f" The busiest {len(busiest)} of {len(names)} resources are shown."
    names, shares = [names[i] for i in busiest], shares[busiest]
    names.append("MACs over peak")
    data = []
    for label in _in_order(activity(action) for action in tasks.actions):
        members = [i for i, action in enumerate(tasks.actions) if activity(action) == label]
        part = [float(row[members].sum()) for row in shares]
        if any(part):
            hover = [f"<b>{safe(n)}</b><br>{safe(label)}: {percent(s)}" for n, s in zip(names, part, strict=False)]
            data.append(bars([100 * s for s in part], hover, ACTIVITIES.get(label, MUTED), name=safe(label)))
    achieved = evaluation.utilization["macs"]
    hover = [f"achieved over peak MAC/s: {percent(achieved)}"]
    data.append(bars([100 * achieved], hover, MUTED, y=[len(names) - 1], showlegend=False))
    totals = [*shares.sum(axis=1).tolist(), achieved]
    data.append(end_labels([100 * total for total in totals], [percent(total) for total in totals]))
    axes = {
        "xaxis": value_axis("Share of the latency [%]", range=[0, 114], tickvals=[0, 25, 50, 75, 100]),
        "yaxis": rows_axis(names, "Resource", 24),
        "barmode": "stack",
        "legend": LEGEND_BELOW,
    }
    shape = layout("Utilisation", rows=len(names), legend_lines=3)
    return Plot("utilization", data, {**shape, **axes}, caption, wide=False)


def energy(evaluation: Evaluation) -> Plot | None:
    """Energy by component; None without an energy model."""
    if evaluation.energy is None:
        return None
    parts = sorted(evaluation.energy.by_component_j.items(), key=lambda item: -item[1])
    joules = [value for _, value in parts]
    factor, prefix = scale_of(joules)
    total = evaluation.energy.total_j
    shares = [percent(value / total) if total else "" for value in joules]
    hover = [f"<b>{safe(name)}</b><br>{quantity(value, 'J')}" for name, value in parts]
    data = [bars([value * factor for value in joules], hover, PALETTE[0], showlegend=False)]
    data.append(end_labels([value * factor for value in joules], shares))
    axes = {
        "xaxis": value_axis(f"Energy [{prefix}J]", range=[0, 1.16 * max(joules, default=1) * factor or 1]),
        "yaxis": rows_axis([name for name, _ in parts], "Component", 24),
    }
    caption = f"{quantity(total, 'J')} for one execution; leakage is leakage power over the latency."
    return Plot("energy", data, {**layout("Energy by component", rows=len(parts) + 2), **axes}, caption, wide=False)


def roofline(figures: OpFigures, evaluation: Evaluation) -> Plot | None:
    """Matrix ops against the roofs of their formats and of the memory; None without MACs, and for other kinds."""
    if not isinstance(evaluation, DigitalEvaluation):
        return None
    arch = evaluation.arch
    indices = [i for i in range(len(figures)) if figures.macs[i] > 0 and figures.active_s[i] > 0]
    if not indices:
        return None
    bandwidth = arch.memory.dram.bandwidth_bytes_per_s.value * arch.memory.dram.efficiency.value
    formats = list(dict.fromkeys(figures.mapped[i].precision for i in indices))
    peaks = {name: arch.peak_ops_per_s(name) / 2 for name in formats}
    finite = [figures.macs[i] / figures.dram_bytes[i] for i in indices if figures.dram_bytes[i] > 0]
    ridges = [peak / bandwidth for peak in peaks.values()]
    low, high = min([*finite, *ridges]) / 4, max([*finite, *ridges]) * 6
    points = _points(figures, indices, high)
    floor = min([*(point.rate for point in points), *peaks.values()]) / 4
    coloured = dict(zip(formats, cycle(PALETTE), strict=False))
    data = [_roof(name, peaks[name], bandwidth, low, high, colour) for name, colour in coloured.items()]
    data += [_cloud([p for p in points if p.format == name], name, colour) for name, colour in coloured.items()]
    decades = {"type": "log", "dtick": 1, "exponentformat": "SI"}
    across, up = [math.log10(low), math.log10(high)], [math.log10(floor), math.log10(3 * max(peaks.values()))]
    axes = {
        "xaxis": value_axis("Arithmetic intensity [MAC per byte of DRAM traffic]", range=across, **decades),
        "yaxis": value_axis("Achieved rate [MAC/s]", range=up, **decades),
        "legend": {**LEGEND_BELOW, "itemsizing": "constant"},
        "hovermode": "closest",
    }
    caption = (
        f"Rate: an op's MACs over the time in which any of its tasks runs. Roofs: the arrays' peak by format, and "
        f"{quantity(bandwidth, 'B/s')} of DRAM streams ({percent(arch.memory.dram.efficiency.value)} of the peak). "
        "Larger points take more of the latency; triangles at the right edge touch no DRAM."
    )
    return Plot("roofline", data, {**layout("Roofline", 480, legend_lines=2), **axes}, caption)


@dataclass(frozen=True, slots=True)
class _Point:
    names: tuple[str, ...]
    format: str
    intensity: float
    rate: float
    seconds: float
    on_chip: bool


def _points(figures: OpFigures, indices: Sequence[int], edge: float) -> list[_Point]:
    """Ops that lie on one spot are one point, for only the uppermost could be read."""
    spots: dict[tuple[str, str, str], _Point] = {}
    for i in indices:
        moved = figures.dram_bytes[i]
        intensity = figures.macs[i] / moved if moved > 0 else edge / 1.3
        rate, seconds = float(figures.macs[i] / figures.active_s[i]), float(figures.critical_s[i])
        op = figures.mapped[i]
        key = (op.precision, f"{math.log10(intensity):.2f}", f"{math.log10(rate):.2f}")
        at = spots.get(key)
        here = _Point((op.op.name,), op.precision, float(intensity), rate, seconds, bool(moved <= 0))
        spots[key] = replace(at, names=at.names + here.names, seconds=at.seconds + seconds) if at else here
    return list(spots.values())


def _roof(name: str, peak: float, bandwidth: float, low: float, high: float, colour: str) -> dict[str, Any]:
    ridge = peak / bandwidth
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [low, ridge, high],
        "y": [low * bandwidth, peak, peak],
        "line": {"color": colour, "width": 1.5},
        "name": f"{safe(name)} roof: {quantity(peak, 'MAC/s')}, ridge at {plain(ridge)} MAC/byte",
        "hoverinfo": "skip",
    }


def _cloud(points: Sequence[_Point], name: str, colour: str) -> dict[str, Any]:
    most = max((point.seconds for point in points), default=0.0)
    hover = []
    for point in points:
        listed = "<br>".join(safe(each) for each in point.names[:8])
        more = f"<br>and {len(point.names) - 8} more" if len(point.names) > 8 else ""
        where = "no DRAM traffic" if point.on_chip else f"{plain(point.intensity)} MAC/byte"
        hover.append(f"<b>{listed}</b>{more}<br>{where}, {quantity(point.rate, 'MAC/s')}"
                     f"<br>{quantity(point.seconds, 's')} of the latency")  # fmt: skip
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [point.intensity for point in points],
        "y": [point.rate for point in points],
        "marker": {
            "color": colour,
            "opacity": 0.8,
            "size": [8 + 16 * math.sqrt(point.seconds / most) if most else 8 for point in points],
            "symbol": ["triangle-right" if point.on_chip else "circle" for point in points],
            "line": {"width": 1, "color": "rgba(255,255,255,0.7)"},
        },
        "customdata": hover,
        "hovertemplate": "%{customdata}<extra></extra>",
        "name": f"ops in {safe(name)}",
    }


@dataclass(frozen=True, slots=True)
class Scaled:
    """A metric of a `Sensitivity` as shown, ``value * factor`` in ``unit``: the latency as a real-time factor, say."""

    metric: str
    title: str
    unit: str = ""
    factor: float = 1.0

    def text(self, value: float) -> str:
        """The value as people read it."""
        shown = value * self.factor
        return plain(shown, self.unit) if self.unit in ("", "x") else quantity(shown, self.unit)

    def axis(self, nominal: float) -> tuple[float, str]:
        """(factor of the axis, its unit as the end of a title), with the prefix that suits ``nominal``."""
        if self.unit in ("", "x"):
            return self.factor, ""
        scale, prefix = scale_of([nominal * self.factor])
        return self.factor * scale, f" [{prefix}{self.unit}]"


def tornado(sensitivity: Sensitivity, shown: Scaled, key: str) -> Plot:
    """What all assumptions together, and each alone, do to one metric."""
    nominal = sensitivity.nominal[shown.metric]
    moving = [s for s in sensitivity.ranked(shown.metric) if s.spans[shown.metric][0] < s.spans[shown.metric][1]]
    swings = moving[:TOP_ASSUMPTIONS]
    names = ["all assumptions together", *(value_text(swing.assumption) for swing in swings)]
    whys = ["", *(swing.assumption.why for swing in swings)]
    spans = [sensitivity.intervals[shown.metric], *(swing.spans[shown.metric] for swing in swings)]
    words = [interval(shown.text(low), shown.text(high)) for low, high in spans]
    hover = [f"<b>{name}</b><br>{span}{_wrapped(why)}" for name, span, why in zip(names, words, whys, strict=True)]
    scale, unit = shown.axis(nominal)
    lows, highs = [low * scale for low, _ in spans], [high * scale for _, high in spans]
    middle = nominal * scale
    others = len(swings)
    data = [
        bars([low - middle for low in lows], hover, [MUTED, *[PALETTE[0]] * others], base=middle, showlegend=False),
        bars([high - middle for high in highs], hover, [MUTED, *[PALETTE[1]] * others], base=middle, showlegend=False),
        end_labels(highs, words),
    ]
    reach = max(highs) - min(lows) or middle
    line = {"width": 1.5, "dash": "dot", "color": MUTED}
    axes = {
        "xaxis": value_axis(f"{shown.title}{unit}", range=[min(lows) - 0.03 * reach, max(highs) + 0.3 * reach]),
        "yaxis": {**rows_axis(names, "Assumption"), "ticktext": names},
        "barmode": "overlay",
        "shapes": [{"type": "line", "x0": middle, "x1": middle, "yref": "paper", "y0": 0, "y1": 1, "line": line}],
    }
    shape = layout(f"{shown.title}: what is assumed, and what that does", 118 + 36 * max(len(names), 2))
    caption = _tornado_caption(sensitivity, len(moving), len(swings), shown.text(nominal))
    return Plot(key, data, {**shape, **axes}, caption)


def _tornado_caption(sensitivity: Sensitivity, moving: int, drawn: int, nominal: str) -> str:
    words = (
        f"Each assumption alone over its range, all others nominal (dotted line: {nominal}). Below its name stands the "
        "value used and, in brackets, the other values tried; the reasons show on hovering."
    )
    if moving > drawn:
        words += f" {moving - drawn} more move it less."
    still = len(sensitivity.swings) - moving
    return f"{words} {still} do not move it at all." if still else words


def value_text(assumption: Assumption) -> str:
    """Safe two-line label: the path, then the value used and what was tried instead."""
    tried = ", ".join(assumption_value(value) for value in assumption.others)
    used = safe(f"{assumption_value(assumption.nominal)} ({tried})", 48)
    return f"{safe(assumption.path.removeprefix('architecture.'), 46)}<br><span style='font-size:11px'>{used}</span>"


def _wrapped(text: str, width: int = 70) -> str:
    """Text in lines of hover labels."""
    lines, line = [], ""
    for word in text.split():
        if line and len(line) + len(word) >= width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}".strip()
    return "".join(f"<br>{safe(each)}" for each in [*lines, line] if each)

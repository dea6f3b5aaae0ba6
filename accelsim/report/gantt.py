"""Timelines as plots: an overview of everything, and a close look at one step of the longest loop."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.pipeline import Evaluation
from accelsim.report.op_figures import OpFigures, Stretch, bare_resource, execution_starts_fs, stretches
from accelsim.report.plots import LEGEND_BELOW, MUTED, PALETTE, Plot, layout, rows_axis, safe, value_axis
from accelsim.report.quantities import percent, quantity, scale_of
from accelsim.units import FS_PER_S, fs_to_s

__all__ = ["Colours", "close_look", "overview"]

MAX_BARS = 1500
_MAX_ROWS = 24
_RESOLUTION = 600
_HEIGHT = 0.8
_LEAST_HEIGHT = 0.05
_LABELLED = 0.04
_OTHER = "other ops"


@dataclass(frozen=True, slots=True)
class Colours:
    """The group of each op name, by the front of the names, and a colour for each group: one choice a page."""

    group_of: Mapping[str, str]
    palette: Mapping[str, str]

    @classmethod
    def of(cls, runs: Iterable[tuple[Evaluation, OpFigures]]) -> Colours:
        """Groups and colours of the evaluations of one page; a loop over several groups is a group of its own."""
        weights: dict[str, float] = {}
        loops: dict[str, set[str]] = {}
        for evaluation, figures in runs:
            names = [op.op.name for op in figures.mapped]
            for name, weight in zip(names, (figures.critical_s + figures.busy_s).tolist(), strict=True):
                weights[name] = weights.get(name, 0.0) + weight
            loops |= {s.name: set(names[s.first : s.last]) for s in stretches(evaluation) if s.depth == 0}
        group_of = _grouped(weights, len(PALETTE) - 2)
        mixed = [name for name, inside in loops.items() if len({group_of[each] for each in inside}) > 1]
        time: dict[str, float] = {}
        for name, weight in weights.items():
            time[group_of[name]] = time.get(group_of[name], 0.0) + weight
        ranked = sorted((name for name in time if name != _OTHER), key=lambda name: -time[name])
        chosen = dict(zip(dict.fromkeys([*mixed[:2], *ranked]), PALETTE, strict=False))
        return cls(group_of, {**chosen, _OTHER: MUTED})

    def group(self, name: str, inside: Iterable[str]) -> str:
        """The group that something called ``name``, with the ops ``inside`` it, is drawn as."""
        groups = {self.group_of[each] for each in inside}
        group = groups.pop() if len(groups) == 1 else name
        return group if group in self.palette else _OTHER


def _grouped(weights: Mapping[str, float], most: int) -> dict[str, str]:
    """As many leading parts of each name as leave at most ``most`` groups; else the heaviest first parts."""
    parts = {name: re.split(r"[./]+", name.strip("./")) for name in weights}
    best: dict[str, str] = {}
    for depth in range(1, max((len(each) for each in parts.values()), default=1) + 1):
        groups = {name: ".".join(each[:depth]) for name, each in parts.items()}
        if len(set(groups.values())) > most:
            break
        best = groups
    if best:
        return best
    total: dict[str, float] = {}
    for name, weight in weights.items():
        total[parts[name][0]] = total.get(parts[name][0], 0.0) + weight
    kept = set(sorted(total, key=lambda name: -total[name])[:most])
    return {name: each[0] if each[0] in kept else _OTHER for name, each in parts.items()}


@dataclass(frozen=True, slots=True)
class _Row:
    """A resource that is drawn, and how many cores keep the same schedule."""

    label: str
    resource: int


@dataclass(frozen=True, slots=True)
class _Run:
    """Tasks of one resource drawn as one bar: from first start to last end, of which ``busy_fs`` are worked."""

    row: int
    key: int
    start_fs: int
    end_fs: int
    busy_fs: int
    tasks: int
    first: int


_MIXED = -1


def _rows(evaluation: Evaluation, inside: NDArray[np.bool_]) -> list[_Row]:
    """Resources that have tasks; cores with the same schedule stand in one row.

    Of too many, those that work longest at the tasks ``inside``, in the order of resources.
    """
    tasks, timeline = evaluation.tasks, evaluation.timeline
    seen: dict[tuple[str, bytes], list[int]] = {}
    for index, name in enumerate(tasks.resources):
        mine = tasks.resource == index
        if mine.any():
            schedule = timeline.start_fs[mine].tobytes() + timeline.end_fs[mine].tobytes()
            seen.setdefault((bare_resource(name), schedule), []).append(index)
    rows = []
    for (bare, _), alike in seen.items():
        name = tasks.resources[alike[0]]
        rows.append(_Row(f"{bare} ({len(alike)} cores)" if len(alike) > 1 else name, alike[0]))
    lengths = np.where(inside, timeline.end_fs - timeline.start_fs, 0)
    worked = [int(lengths[tasks.resource == row.resource].sum()) for row in rows]
    longest = sorted(range(len(rows)), key=lambda index: -worked[index])[:_MAX_ROWS]
    return [rows[index] for index in sorted(longest)]


def _runs(evaluation: Evaluation, rows: list[_Row], key: NDArray[np.int64], chosen: NDArray[np.bool_]) -> list[_Run]:
    """Neighbouring tasks with the same key on the same resource, as one run each."""
    tasks, timeline = evaluation.tasks, evaluation.timeline
    runs: list[_Run] = []
    for number, row in enumerate(rows):
        mine = np.flatnonzero((tasks.resource == row.resource) & chosen)
        mine = mine[np.lexsort((mine, timeline.start_fs[mine]))]
        if not mine.size:
            continue
        starts = np.flatnonzero(np.diff(key[mine], prepend=key[mine[0]] - 1))
        ends = np.append(starts[1:], len(mine))
        spent = np.concatenate(([0], np.cumsum(timeline.end_fs[mine] - timeline.start_fs[mine])))
        for first, last in zip(starts.tolist(), ends.tolist(), strict=True):
            begin, end = int(timeline.start_fs[mine[first]]), int(timeline.end_fs[mine[last - 1]])
            busy = int(spent[last] - spent[first])
            runs.append(_Run(number, int(key[mine[first]]), begin, end, busy, last - first, int(mine[first])))
    return runs


def _coarser(runs: list[_Run], least_fs: float) -> list[_Run]:
    """Neighbouring runs merged while together they are shorter than ``least_fs``."""
    merged: list[_Run] = []
    for run in runs:
        last = merged[-1] if merged else None
        if last is None or last.row != run.row or run.end_fs - last.start_fs > least_fs:
            merged.append(run)
            continue
        key = last.key if last.key == run.key else _MIXED
        both = (last.busy_fs + run.busy_fs, last.tasks + run.tasks)
        merged[-1] = _Run(run.row, key, last.start_fs, run.end_fs, *both, last.first)
    return merged


def overview(evaluation: Evaluation, colours: Colours, key: str, title: str, until_s: float | None = None) -> Plot:
    """The whole timeline: one bar for all that an op, or a loop of ops, does on a resource.

    ``until_s`` is where the time axis ends, the latency where not given.
    """
    everything = np.ones(len(evaluation.tasks), dtype=np.bool_)
    rows = _rows(evaluation, everything)
    names = [op.op.name for op in evaluation.mapping.walk()]
    top = [stretch for stretch in stretches(evaluation) if stretch.depth == 0]
    owner = np.repeat(np.arange(len(top)), [stretch.last - stretch.first for stretch in top])
    runs = _runs(evaluation, rows, owner[evaluation.tasks.op], everything)
    caption = (
        "One bar for all tasks of an op on a resource, and one for all steps of a loop; the filled height is the share "
        "of the bar's time in which the resource works."
    )
    if len(runs) > MAX_BARS:
        runs = _coarser(runs, evaluation.timeline.makespan_fs / _RESOLUTION)
        caption += f" Neighbours shorter than 1/{_RESOLUTION} of the latency are merged into grey bars."

    def described(run: _Run) -> tuple[str, str]:
        if run.key == _MIXED:
            return _OTHER, "several ops"
        stretch = top[run.key]
        inside = names[stretch.first : stretch.last]
        steps = f", loop of {stretch.steps:,} steps" if stretch.steps > 1 else ""
        return colours.group(stretch.name, inside), f"<b>{safe(stretch.name)}</b>{steps}"

    span = (0.0, until_s if until_s is not None else evaluation.latency_s)
    shell = Plot(key, [], layout(title, rows=len(rows), legend_lines=1), caption)
    return _plot(evaluation, rows, runs, described, colours, span, shell)


def close_look(evaluation: Evaluation, figures: OpFigures, colours: Colours, key: str, title: str) -> Plot | None:
    """One step in the middle of the longest loop, or the longest op where there is no loop; None without tasks."""
    window = _window(evaluation, figures)
    if window is None:
        return None
    begin, end, what = window
    tasks, timeline = evaluation.tasks, evaluation.timeline
    inside = (timeline.end_fs > begin) & (timeline.start_fs < end)
    rows = _rows(evaluation, inside)
    each = np.arange(len(tasks))
    runs = _runs(evaluation, rows, each, inside)
    caption = f"{what} Delays, such as a memory's latency, occupy no resource and show as gaps."
    by_task = len(runs) <= MAX_BARS
    if not by_task:
        runs = _runs(evaluation, rows, tasks.op, inside)
        caption += " Neighbouring tasks of an op are drawn as one bar."
        if len(runs) > MAX_BARS:
            runs = _coarser(runs, (end - begin) / _RESOLUTION)
            caption += f" Ops shorter than 1/{_RESOLUTION} of the window are merged."

    def described(run: _Run) -> tuple[str, str]:
        if run.key == _MIXED:
            return _OTHER, "several ops"
        op = int(tasks.op[run.first])
        plain = figures.mapped[op].op.name
        group, name = colours.group(plain, [plain]), f"<b>{safe(plain)}</b>"
        if not by_task:
            return group, name
        return group, f"{name}, {tasks.actions[tasks.action[run.first]]} {tasks.amount[run.first]:,.6g}"

    span = (fs_to_s(begin), fs_to_s(end))
    shell = Plot(key, [], layout(title, rows=len(rows), legend_lines=1), caption)
    return _plot(evaluation, rows, runs, described, colours, span, shell)


def _window(evaluation: Evaluation, figures: OpFigures) -> tuple[int, int, str] | None:
    """(start, end, description) of what the close look shows."""
    loops = [stretch for stretch in stretches(evaluation) if stretch.steps > 1]

    def lasted(stretch: Stretch) -> float:
        ends, starts = figures.end_s[stretch.first : stretch.last], figures.start_s[stretch.first : stretch.last]
        return float(np.nanmax(ends) - np.nanmin(starts)) if not np.isnan(ends).all() else 0.0

    for loop in sorted(loops, key=lambda loop: -lasted(loop)):
        starts = execution_starts_fs(evaluation, loop)
        if len(starts) > 1:
            middle = min(len(starts) // 2, len(starts) - 2)
            begin, end = int(starts[middle]), int(starts[middle + 1])
            if end > begin:
                name = safe(loop.name)
                return begin, end, f"Step {middle + 1:,} of the {len(starts):,} of loop {name}, and what overlaps it."
    if np.isnan(figures.end_s).all():
        return None
    longest = int(np.nanargmax(figures.end_s - figures.start_s))
    begin, end = round(figures.start_s[longest] * FS_PER_S), round(figures.end_s[longest] * FS_PER_S)
    name = safe(figures.mapped[longest].op.name)
    return (begin, end, f"The longest op, {name}, and what overlaps it.") if end > begin else None


def _plot(
    evaluation: Evaluation, rows: list[_Row], runs: list[_Run], described: Callable[[_Run], tuple[str, str]],
    colours: Colours, span: tuple[float, float], shell: Plot,
) -> Plot:  # fmt: skip
    """Bars of ``runs`` by group: pale over the whole run, filled to the height of its busy share."""
    factor, prefix = scale_of([span[1] - span[0]])
    groups: dict[str, list[tuple[_Run, str]]] = {}
    for run in runs:
        group, words = described(run)
        groups.setdefault(group, []).append((run, words))
    data: list[dict[str, Any]] = []
    for group, members in sorted(groups.items(), key=lambda item: item[0] == _OTHER):
        colour = colours.palette.get(group, MUTED)
        data += _traces(group, members, colour, factor, span)
    since = " since this step began" if span[0] > 0 else ""
    axes = {
        "xaxis": value_axis(f"Time{since} [{prefix}s]", range=[0.0, (span[1] - span[0]) * factor or 1.0]),
        "yaxis": rows_axis([row.label for row in rows], "Resource"),
        "barmode": "overlay",
        "uniformtext": {"minsize": 10, "mode": "hide"},
        "legend": LEGEND_BELOW,
    }
    more = len([1 for i in range(len(evaluation.tasks.resources)) if (evaluation.tasks.resource == i).any()])
    some = len(rows) == _MAX_ROWS and more > len(rows)
    hidden = f" The {len(rows)} resources that work longest are shown." if some else ""
    return Plot(shell.key, data, {**shell.layout, **axes}, shell.caption + hidden, shell.wide)


def _traces(
    group: str, members: list[tuple[_Run, str]], colour: str, factor: float, span: tuple[float, float]
) -> list[dict[str, Any]]:
    lengths = [max(fs_to_s(run.end_fs - run.start_fs), 0.0) for run, _ in members]
    shares = [run.busy_fs / max(run.end_fs - run.start_fs, 1) for run, _ in members]
    filled = [_HEIGHT * max(share, _LEAST_HEIGHT) for share in shares]
    common = {
        "type": "bar",
        "orientation": "h",
        "y": [run.row for run, _ in members],
        "x": [length * factor for length in lengths],
        "base": [(fs_to_s(run.start_fs) - span[0]) * factor for run, _ in members],
        "legendgroup": safe(group),
        "marker": {"color": colour, "line": {"width": 0}},
    }
    hover = [
        f"{words}<br>{quantity(length, 's')} from {quantity(fs_to_s(run.start_fs), 's')}"
        + (f"<br>{run.tasks:,} tasks, busy {percent(share)}" if run.tasks > 1 else "")
        for (run, words), length, share in zip(members, lengths, shares, strict=True)
    ]
    pale = {"opacity": 0.28, "offset": -_HEIGHT / 2, "width": _HEIGHT, "hoverinfo": "skip", "showlegend": False}
    solid = {
        "name": safe(group, 28),
        "offset": [_HEIGHT / 2 - height for height in filled],
        "width": filled,
        "customdata": hover,
        "text": [
            words.partition("</b>")[0].removeprefix("<b>") if length > _LABELLED * (span[1] - span[0]) else ""
            for (_, words), length in zip(members, lengths, strict=True)
        ],
        "textposition": "inside",
        "insidetextanchor": "middle",
        "insidetextfont": {"color": "#ffffff"},
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    return ([{**common, **pale}] if min(shares) < 1 else []) + [{**common, **solid}]

"""Results as frames, and as the text that the command line prints. Only the frames import pandas."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, SupportsFloat

from accelsim.pipeline import Evaluation
from accelsim.report.breakdowns import area_words, component_words
from accelsim.report.choices import choice_rows
from accelsim.report.gaps import gap_columns, gap_words, parts_words
from accelsim.report.op_figures import OpFigures, op_figures
from accelsim.report.quantities import interval, percent, plain, quantity, short
from accelsim.report.summary import METRICS, assumption_value, bottleneck_words, metric_values, resource_rows
from accelsim.study.compare import PrecisionComparison
from accelsim.study.estimate import Estimate
from accelsim.study.sensitivity import Sensitivity

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["comparison_text", "ops_frame", "result_text", "sensitivity_frame"]

WIDTH = 100
TOP_OPS = 10
TOP_RESOURCES = 16
TOP_ASSUMPTIONS = 5
_LEAST_NAME = 16
_OVER = "over assumed constants"


def ops_frame(evaluation: Evaluation) -> pd.DataFrame:
    """A row a mapped op, in the order of `WorkloadMapping.walk`; figures are of all executions together.

    Columns:
        op, kind, label, unit, precision, executions: what it is, where it runs, and how often.
        macs, bytes: multiply-accumulates, and bytes that cross the memory interface. Weights that stay on chip for a
            whole loop are loaded, and counted, by the loop's first op.
        start_s, end_s: first start and last end; NaN for views, which do nothing.
        busy_s: its unit works on it. For several cores, time of one.
        stall_s: its unit waits within an execution: the gaps between the first and the last task of each execution
            on the unit, added up. Waits for its data, for the host's round trip, or for the op whose results
            it takes one by one; never negative. What lies between two executions is nobody's stall.
        active_s: any of its tasks runs, transfers and latencies included.
        critical_s: its part of the critical path; the column adds up to the latency.
        energy_j: without leakage: the column and the leakage add up to the energy.
        energy_array_j, energy_vector_j, energy_scratchpad_j, energy_network_j, energy_dram_j, energy_host_j: its parts;
            other kinds have other components.
        gap: time of matrix work over the least that any mapping of it needs on this machine; NaN for other ops.
        ideal_s, spatial_s, fill_s, port_s, launch_s, load_s, wait_s, unload_s: parts of the op's time, from its first
            task to its last; see `study.cycles.TimeParts`.
        core_split, tile, order, dataflow: how matrix work is cut over cores and tiles, the order of the tile loops
            (outermost first) and what stays in the array; None for other ops. Other kinds of hardware have other
            columns here, and neither gap nor parts of the time.
    """
    import pandas as pd

    figures = op_figures(evaluation)
    ops = figures.mapped
    return pd.DataFrame(
        {
            "op": [op.op.name for op in ops],
            "kind": [op.op.kind for op in ops],
            "label": [op.op.label for op in ops],
            "unit": [op.unit for op in ops],
            "precision": [op.precision for op in ops],
            "executions": [op.executions for op in ops],
            "macs": [op.op.macs * op.executions for op in ops],
            "bytes": figures.dram_bytes,
            "start_s": figures.start_s,
            "end_s": figures.end_s,
            "busy_s": figures.busy_s,
            "stall_s": figures.stall_s,
            "active_s": figures.active_s,
            "critical_s": figures.critical_s,
            "energy_j": figures.energy_j,
            **_energy_columns(evaluation),
            **gap_columns(evaluation),
            **{name: [op.placement[name] for op in ops] for name in (ops[0].placement if ops else ())},
        }
    )


def _energy_columns(evaluation: Evaluation) -> dict[str, NDArray[np.float64]]:
    priced = evaluation.energy
    if priced is None:
        return {}
    return {f"energy_{name}_j": priced.by_op_component_j[:, column] for column, name in enumerate(priced.components)}


def sensitivity_frame(sensitivity: Sensitivity | None) -> pd.DataFrame:
    """A row an assumption, by falling effect on the first metric: path, nominal, what was tried, why, and ends.

    Each metric has two columns, ``<metric>_low`` and ``<metric>_high``, in the metric's unit. Empty for None.
    """
    import pandas as pd

    swings = sensitivity.swings if sensitivity else ()
    columns = {
        "path": [swing.assumption.path for swing in swings],
        "nominal": [swing.assumption.nominal for swing in swings],
        "tried": [swing.assumption.others for swing in swings],
        "why": [swing.assumption.why for swing in swings],
    }
    ends = {
        f"{metric}_{end}": [swing.spans[metric][position] for swing in swings]
        for metric in (sensitivity.nominal if sensitivity else ())
        for position, end in enumerate(("low", "high"))
    }
    return pd.DataFrame({**columns, **ends})


def result_text(estimate: Estimate) -> str:
    """One result for the terminal: figures with their intervals, what is busy, what is assumed, and the top ops."""
    run = estimate.evaluation
    figures = op_figures(run)
    parts = [
        _title(run, run.choice.label),
        _notes(estimate.notes),
        _metrics(run, estimate.intervals),
        _detail_note(estimate),
        f"Bottleneck: {bottleneck_words(run)}.",
        _utilization(run),
        _assumptions(estimate.sensitivity, "latency_s", "latency"),
        _top_ops(figures, run),
        _energy(run),
        _area(run),
        _resources(run),
        _mapping(run),
        _refused(estimate.sensitivity),
    ]
    return "\n\n".join(part for part in parts if part)


def comparison_text(comparison: PrecisionComparison) -> str:
    """Several precisions for the terminal, side by side; the first is the baseline."""
    names = comparison.names
    last = comparison.evaluations[names[-1]]
    gains = [
        ["Speed-up", plain(comparison.speedup, "x"), _over(comparison.intervals, "speedup")],
        ["Compression against FP32", metric_text(last, "compression"), _over(comparison.intervals, "compression")],
    ]
    parts = [
        _title(last, f"{names[-1]} against {names[0]}"),
        _notes(comparison.notes),
        _aligned(gains, "lll"),
        _side_by_side(comparison),
        "\n".join(f"Bottleneck in {name}: {bottleneck_words(run)}." for name, run in comparison.evaluations.items()),
        _assumptions(comparison.sensitivity, "speedup", "speed-up"),
        _gains_by_op(comparison),
        _refused(comparison.sensitivity),
    ]
    return "\n\n".join(part for part in parts if part)


def metric_text(run: Evaluation, key: str) -> str:
    """One metric of a run in words."""
    metric = next(metric for metric in METRICS if metric.key == key)
    return metric.text(metric_values(run)[key])


def _title(run: Evaluation, what: str) -> str:
    sample = f"batch {run.workload.batch}" if run.workload.batch > 1 else "one sample"
    audio = f", {plain(run.workload.audio_s)} s of audio" if run.workload.audio_s else ""
    title = f"{run.workload.name} on {run.architecture.name}: {what} ({sample}{audio})"
    return textwrap.fill(short(title, 2 * WIDTH), WIDTH)


def _notes(notes: Iterable[str]) -> str:
    filled = [
        textwrap.fill(_printable(note), WIDTH, initial_indent="Note: ", subsequent_indent="      ") for note in notes
    ]
    return "\n".join(filled)


def _printable(text: str) -> str:
    return short(text, max(len(text), 2))


def _metrics(run: Evaluation, intervals: Mapping[str, tuple[float, float]]) -> str:
    values = metric_values(run)
    rows = [
        [metric.label, metric.text(values[metric.key]), _over(intervals, metric.key)]
        for metric in METRICS
        if values[metric.key] is not None
    ]
    return _aligned(rows, "lll")


def _over(intervals: Mapping[str, tuple[float, float]], key: str) -> str:
    metric = next((metric for metric in METRICS if metric.key == key), None)
    if key not in intervals:
        return ""
    low, high = intervals[key]
    words = metric.interval(intervals) if metric else interval(plain(low, "x"), plain(high, "x"))
    return f"({words} {_OVER})"


def _detail_note(estimate: Estimate) -> str:
    if estimate.sensitivity is None or estimate.evaluation.detail == "op":
        return ""
    nominal = quantity(estimate.sensitivity.nominal["latency_s"], "s")
    return f"Intervals are explored at op detail, where the latency is {nominal}."


def _utilization(run: Evaluation) -> str:
    rows: dict[tuple[str, str], int] = {}
    for name, share in run.utilization.items():
        bare = name.partition(".")[2] if name.startswith("core") and "." in name else name
        row = ("MACs over peak" if name == "macs" else bare, percent(share))
        rows[row] = rows.get(row, 0) + 1
    lines = [
        [f"  {name}{f' ({count} cores)' if count > 1 else ''}", share, "#" * round(_percentage(share) / 2.5)]
        for (name, share), count in rows.items()
    ]
    head = "Utilisation, share of the latency"
    if len(lines) > TOP_RESOURCES:
        head += f" (the busiest {TOP_RESOURCES} of {len(lines)})"
        lines = sorted(lines, key=lambda line: -_percentage(line[1]))[:TOP_RESOURCES]
    return f"{head}\n{_aligned(lines, 'lrl')}"


def _percentage(share: str) -> float:
    return float(share.split()[0])


def _assumptions(sensitivity: Sensitivity | None, metric: str, word: str) -> str:
    if sensitivity is None:
        return ""
    moving = [swing for swing in sensitivity.ranked(metric) if swing.relative(metric, sensitivity.nominal[metric]) > 0]
    rows = []
    for swing in moving[:TOP_ASSUMPTIONS]:
        low, high = (plain(v, "x") if metric == "speedup" else quantity(v, "s") for v in swing.spans[metric])
        tried = ", ".join(assumption_value(value) for value in swing.assumption.others)
        changed = f"{assumption_value(swing.assumption.nominal)} ({tried})"
        rows.append(
            [f"  {swing.assumption.path.removeprefix('architecture.')}", short(changed, 32), interval(low, high)]
        )
    if not rows:
        return f"No assumed constant moves the {word}."
    head = f"Assumptions that move the {word} most: value used (others tried), and the {word} they give"
    return f"{head}\n{_aligned(rows, 'lll')}"


def _top_ops(figures: OpFigures, run: Evaluation) -> str:
    rows = [["  op", "unit", "format", "runs", "critical", "share", "busy", "stall", "DRAM", "energy"]]
    ranked = figures.by_time()
    for i in ranked[:TOP_OPS]:
        op = figures.mapped[i]
        share = figures.critical_s[i] / run.latency_s if run.latency_s else 0.0
        rows.append([
            f"  {op.op.name}", op.unit, op.precision or "-", f"{op.executions:,}",
            _time(figures.critical_s[i]), percent(float(share)), _time(figures.busy_s[i]), _time(figures.stall_s[i]),
            quantity(float(figures.dram_bytes[i]), "B", 3), quantity(float(figures.energy_j[i]), "J", 3),
        ])  # fmt: skip
    head = f"Ops by time on the critical path ({min(TOP_OPS, len(ranked))} of {len(ranked)})"
    return f"{head}\n{_aligned(rows, 'lllrrrrrrr', gap=1)}"


def _energy(run: Evaluation) -> str:
    """Energy by component and by level of data movement, the largest first; empty without an energy model."""
    if run.energy is None:
        return ""
    total = run.energy_j or 1.0
    components = [
        [f"  {component_words(name)}", quantity(joules, "J"), percent(joules / total)]
        for name, joules in sorted(run.energy.by_component_j.items(), key=lambda item: -item[1])
    ]
    levels = [
        f"{name.replace('_', ' ')} {percent(joules / total)}"
        for name, joules in run.energy.by_level_j.items()
        if joules is not None
    ]
    words = textwrap.fill(f"By level of data movement: {', '.join(levels)}.", WIDTH, initial_indent="  ",
                          subsequent_indent="  ")  # fmt: skip
    return f"Energy by component\n{_aligned(components, 'lrr')}\n{words}"


def _area(run: Evaluation) -> str:
    """Predicted area by component beside the stated area; empty where no technology is stated."""
    if not run.area.predicted:
        return ""
    rows = [
        [f"  {component_words(name)}", plain(each.value, "mm²"), f"({interval(plain(each.low), plain(each.high))})"]
        for name, each in sorted(run.area.predicted.items(), key=lambda item: -item[1].value)
        if each.high > 0
    ]
    words = textwrap.fill(area_words(run), WIDTH, initial_indent="  ", subsequent_indent="  ")
    return f"Area by component, predicted\n{_aligned(rows, 'lrl')}\n{words}"


def _time(seconds: SupportsFloat) -> str:
    return quantity(float(seconds), "s", 3)


def _mapping(run: Evaluation) -> str:
    words = f"Mapping: {run.summary} Timeline: {len(run.tasks):,} tasks ({run.detail} detail, engine "
    words += f"{run.timeline.engine})."
    parts, gap = parts_words(run), gap_words(run)
    if parts:
        words += f" Time of the ops: {parts}."
    if gap:
        words += f" The latency is {gap}."
    lines = [textwrap.fill(words, WIDTH, subsequent_indent="  ")]
    rows = choice_rows(run)
    if rows:
        lines += [
            "Choices of the mapper, and their gains",
            _aligned([[f"  {row[0]}", *row[1:]] for row in rows], "lll"),
        ]
    return "\n".join(lines)


def _resources(run: Evaluation) -> str:
    rows = [[f"  {label}", used, share] for label, used, share in resource_rows(run)]
    return "Resources\n" + _aligned(rows, "lrl")


def _refused(sensitivity: Sensitivity | None) -> str:
    if sensitivity is None or not sensitivity.refused:
        return ""
    count = len(sensitivity.refused)
    head = f"{count} setting{'s' if count > 1 else ''} of the assumptions cannot run, and no interval counts them:"
    lines = [
        textwrap.fill(_printable(reason), WIDTH, initial_indent="  ", subsequent_indent="    ")
        for reason in sensitivity.refused[:3]
    ]
    return "\n".join([head, *lines, *(["  ..."] if count > 3 else [])])


def _side_by_side(comparison: PrecisionComparison) -> str:
    runs = comparison.evaluations
    rows = [["", *[short(name, 24) for name in runs]]]
    for metric in METRICS:
        values = {name: metric_values(run)[metric.key] for name, run in runs.items()}
        if all(value is None for value in values.values()):
            continue
        rows.append([metric.label, *(metric.text(value) for value in values.values())])
        spans = [metric.interval(comparison.run_intervals(name)) for name in runs]
        if any(spans):
            rows.append(["", *(f"({span})" if span else "" for span in spans)])
    speedups = [plain(value, "x") for value in comparison.speedups.values()]
    return _aligned([*rows, ["Speed-up", *speedups]], "l" + "l" * len(runs))


def _gains_by_op(comparison: PrecisionComparison) -> str:
    """Critical time by op name in the baseline and in the last run."""
    first, last = comparison.names[0], comparison.names[-1]
    before, after = (critical_by_name(comparison.evaluations[name]) for name in (first, last))
    ranked = sorted(before, key=lambda name: -before[name])[:TOP_OPS]
    rows = [["  op", short(first, 20), short(last, 20), "speed-up"]]
    for name in ranked:
        then, now = before[name], after.get(name, 0.0)
        rows.append([f"  {name}", _time(then), _time(now), plain(then / now, "x", 3) if now > 0 else "hidden"])
    return f"Time on the critical path by op ({len(ranked)} of {len(before)})\n{_aligned(rows, 'lrrr')}"


def critical_by_name(run: Evaluation) -> dict[str, float]:
    """Seconds on the critical path by op name; ops of one name, as in two loops, are added up."""
    figures = op_figures(run)
    spent: dict[str, float] = {}
    for op, seconds in zip(figures.mapped, figures.critical_s.tolist(), strict=True):
        spent[op.op.name] = spent.get(op.op.name, 0.0) + seconds
    return spent


def _aligned(rows: Sequence[Sequence[str]], sides: str, gap: int = 2) -> str:
    """Columns of equal width, ``l`` or ``r`` each; the first column is cut where the lines would be too long."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(sides))]
    widths[0] = max(min(widths[0], WIDTH - sum(widths[1:]) - gap * (len(sides) - 1)), _LEAST_NAME)
    lines = []
    for row in rows:
        cells = [short(row[0], widths[0]), *row[1:]]
        padded = (
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(cells, widths, sides, strict=True)
        )
        lines.append((" " * gap).join(padded).rstrip())
    return "\n".join(lines)

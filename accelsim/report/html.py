"""The HTML reports: what each page says and in which order. Every page is one file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelsim.pipeline import DigitalEvaluation, Evaluation
from accelsim.report.breakdowns import area, energy_by_op
from accelsim.report.choices import choice_rows
from accelsim.report.comparing import by_op, by_precision
from accelsim.report.document import result_document
from accelsim.report.figures import Scaled, critical, energy, roofline, tornado, utilization
from accelsim.report.gantt import Colours, close_look, overview
from accelsim.report.gaps import gap_words
from accelsim.report.op_figures import OpFigures, bare_resource, op_figures
from accelsim.report.page import (
    Cell,
    code,
    figures,
    folded,
    notes_box,
    page,
    paragraph,
    section,
    table,
    text,
)  # fmt: skip
from accelsim.report.plots import Plot
from accelsim.report.quantities import interval, plain, quantity
from accelsim.report.summary import METRICS, assumption_value, bottleneck_words, metric_values, resource_rows
from accelsim.study.compare import PrecisionComparison
from accelsim.study.estimate import Estimate
from accelsim.study.gap import optimality_gap
from accelsim.study.sensitivity import Sensitivity

__all__ = ["comparison_html", "result_html"]

_MOST_ROWS = 400


def result_html(estimate: Estimate) -> str:
    """One result as a self-contained HTML page: summary, timeline, critical path, roofline, energy, assumptions."""
    run = estimate.evaluation
    ops = op_figures(run)
    colours = Colours.of([(run, ops)])
    timeline = [
        overview(run, colours, "timeline", "Timeline"),
        close_look(run, ops, colours, "step", "Timeline, a close look"),
    ]
    where = [critical(ops, run), utilization(run), energy(run), energy_by_op(ops, run), roofline(ops, run), area(run)]
    assumed = _tornados(estimate.sensitivity, run)
    title = f"{run.workload.name} on {run.architecture.name} in {run.choice.label}"
    body = [
        Cell(f"<h1>{text(title)}</h1>"),
        paragraph(_lead(run), "lead"),
        notes_box(estimate.notes),
        _certificates({"": run}),
        _summary(estimate),
        section("Timeline", [figures(timeline)]),
        section("Where time and energy go", [figures(where), folded(f"All {len(ops)} ops", _ops_table(ops))]),
        section("Assumptions", [figures(assumed), _assumptions(estimate.sensitivity, "latency_s", "s")]),
        section("Provenance", [_provenance(result_document(estimate))]),
    ]
    return page(title, body, [*timeline, *where, *assumed])


def comparison_html(comparison: PrecisionComparison) -> str:
    """Several precisions as a self-contained HTML page; the first is the baseline, the last compared with it."""
    runs = comparison.evaluations
    names = comparison.names
    ops = {name: op_figures(run) for name, run in runs.items()}
    bars = [*by_precision(comparison), by_op(ops[names[0]], ops[names[-1]], names[0], names[-1])]
    assumed = _comparison_tornados(comparison)
    until = max(run.latency_s for run in runs.values())
    colours = Colours.of((run, ops[name]) for name, run in runs.items())
    timelines: list[Plot | None] = []
    for number, (name, run) in enumerate(runs.items()):
        timelines.append(overview(run, colours, f"timeline-{number}", f"Timeline in {name}", until))
        timelines.append(close_look(run, ops[name], colours, f"step-{number}", f"A close look in {name}"))
    last = runs[names[-1]]
    title = f"{last.workload.name} on {last.architecture.name}: {' against '.join([names[-1], names[0]])}"
    provenance = [folded(f"Run in {name}", _provenance(result_document(comparison.estimate(name)))) for name in names]
    body = [
        Cell(f"<h1>{text(title)}</h1>"),
        paragraph(_lead(last), "lead"),
        notes_box(comparison.notes),
        _certificates(runs),
        _gains(comparison),
        _side_by_side(comparison),
        section("What changes", [figures(bars)]),
        section("Assumptions", [figures(assumed), _assumptions(comparison.sensitivity, "speedup", "x")]),
        section("Timeline", [figures(timelines)]),
        section("Provenance", provenance),
    ]
    return page(title, body, [*bars, *assumed, *timelines])


def _lead(run: Evaluation) -> str:
    sample = f"Batch of {run.workload.batch}" if run.workload.batch > 1 else "One sample"
    audio = f", {plain(run.workload.audio_s)} s of audio" if run.workload.audio_s else ""
    what = run.architecture.description.description
    return f"{sample}{audio}. {what}"


def _certificates(runs: Mapping[str, Evaluation]) -> Cell:
    """Broken certificates, which no reader may miss."""
    broken = [f"{name}: {words}" if name else words for name, run in runs.items() for words in run.check()]
    return notes_box([f"A certificate of this result is broken: {words}." for words in broken], bad=True)


def _summary(estimate: Estimate) -> Cell:
    run = estimate.evaluation
    values, intervals = metric_values(run), estimate.intervals
    rows = [
        [metric.label, metric.text(values[metric.key]), metric.interval(intervals)]
        for metric in METRICS
        if values[metric.key] is not None
    ]
    rows.append(["Bottleneck", *bottleneck_words(run).split(", ", 1)])
    if isinstance(run, DigitalEvaluation):
        rows.append(["Optimality gap", *_gap(run)])
    rows += [[*row] for row in resource_rows(run)]
    rows += [[name, gain or taken, taken if gain else ""] for name, taken, gain in choice_rows(run)]
    return table(["", "", "over assumed constants"], rows, ["", "figure", "soft"], "summary")


def _gap(run: DigitalEvaluation) -> tuple[str, str]:
    gap = optimality_gap(run)
    return (plain(gap.whole, "x"), f"latency {gap_words(run)}") if gap.whole else ("", "nothing bounds it")


def _gains(comparison: PrecisionComparison) -> Cell:
    last = comparison.evaluations[comparison.names[-1]]
    values = {"speedup": comparison.speedup, "compression": metric_values(last)["compression"]}
    labels = {"speedup": "Speed-up", "compression": "Compression against FP32"}
    rows = []
    for key, value in values.items():
        ends = comparison.intervals.get(key)
        span = interval(plain(ends[0], "x"), plain(ends[1], "x")) if ends else ""
        rows.append([labels[key], plain(value, "x"), span])
    return table(["", "", "over assumed constants"], rows, ["", "figure", "soft"], "summary")


def _side_by_side(comparison: PrecisionComparison) -> Cell:
    runs = comparison.evaluations
    values = {name: metric_values(run) for name, run in runs.items()}
    head = [""]
    for name in runs:
        head += [name, "over assumed constants"]
    rows = []
    for metric in METRICS:
        if all(value[metric.key] is None for value in values.values()):
            continue
        row = [metric.label]
        for name in runs:
            row += [metric.text(values[name][metric.key]), metric.interval(comparison.run_intervals(name))]
        rows.append(row)
    for label, show in (
        ("Speed-up", comparison.speedups),
        ("Bottleneck", {n: bare_resource(r.bottleneck) for n, r in runs.items()}),
    ):
        row = [label]
        for name in runs:
            value = show[name]
            row += [plain(value, "x") if isinstance(value, float) else str(value), ""]
        rows.append(row)
    return table(head, rows, ["", *["figure", "soft"] * len(runs)], "summary")


def _tornados(sensitivity: Sensitivity | None, run: Evaluation) -> list[Plot]:
    if sensitivity is None or not sensitivity.swings:
        return []
    drawn = [tornado(sensitivity, _latency("latency_s", run), "tornado-latency")]
    if "energy_j" in sensitivity.nominal:
        drawn.append(tornado(sensitivity, Scaled("energy_j", "Energy", "J"), "tornado-energy"))
    return drawn


def _comparison_tornados(comparison: PrecisionComparison) -> list[Plot]:
    sensitivity, last = comparison.sensitivity, comparison.names[-1]
    if sensitivity is None or not sensitivity.swings:
        return []
    latency = _latency(f"latency_s.{last}", comparison.evaluations[last], f" in {last}")
    return [
        tornado(sensitivity, Scaled("speedup", "Speed-up", "x"), "tornado-speedup"),
        tornado(sensitivity, latency, "tornado-latency"),
    ]


def _latency(metric: str, run: Evaluation, where: str = "") -> Scaled:
    """The latency, as a real-time factor where there is audio."""
    if run.workload.audio_s:
        return Scaled(metric, f"Real-time factor{where}", factor=1 / run.workload.audio_s)
    return Scaled(metric, f"Latency{where}", "s")


def _assumptions(sensitivity: Sensitivity | None, metric: str, unit: str) -> Cell:
    if sensitivity is None:
        return paragraph("The ranges of assumed constants were not explored.")
    shown = Scaled(metric, "", unit)
    rows = [
        [
            code(swing.assumption.path), assumption_value(swing.assumption.nominal),
            ", ".join(assumption_value(value) for value in swing.assumption.others),
            interval(*(shown.text(end) for end in swing.spans[metric])), swing.assumption.why,
        ]
        for swing in sensitivity.ranked(metric)
    ]  # fmt: skip
    name = "speed-up" if metric == "speedup" else "latency"
    listed = table(["assumption", "used", "tried", name, "why"], rows, ["name", "number", "number", "number", ""])
    parts = [folded(f"All {len(rows)} assumptions, and why they have these ranges", listed)]
    if sensitivity.refused:
        head = f"{len(sensitivity.refused)} settings cannot run, and no interval counts them"
        parts.append(folded(head, notes_box(sensitivity.refused)))
    return Cell("".join(parts))


def _ops_table(ops: OpFigures) -> Cell:
    head = ["op", "kind", "unit", "format", "runs", "critical", "busy", "stall", "DRAM", "energy", "MACs",
            *(key.replace("_", " ") for key in (ops.mapped[0].placement if len(ops) else ()))]  # fmt: skip
    rows = []
    for i in ops.by_time()[:_MOST_ROWS]:
        op = ops.mapped[i]
        rows.append([
            code(op.op.name), op.op.kind, op.unit, op.precision, f"{op.executions:,}",
            *(quantity(float(column[i]), "s", 3) for column in (ops.critical_s, ops.busy_s, ops.stall_s)),
            quantity(float(ops.dram_bytes[i]), "B", 3), quantity(float(ops.energy_j[i]), "J", 3),
            quantity(float(ops.macs[i]), "", 3), *(word or "" for word in op.placement.values()),
        ])  # fmt: skip
    kinds = ["name", "", "", "", *["number"] * 7, "tight", "tight"]
    cut = paragraph(f"The first {_MOST_ROWS} of {len(ops)} by time.") if len(ops) > _MOST_ROWS else Cell("")
    return Cell(table(head, rows, kinds) + cut)


def _provenance(document: Mapping[str, Any]) -> Cell:
    stated = document["provenance"]
    options = stated["options"]
    rows = [
        ["accelsim", stated["version"]],
        ["architecture, SHA-256", code(stated["architecture_sha256"])],
        ["workload, SHA-256", code(stated["workload_sha256"])],
        ["mapping candidates looked at", f"{document['mapping']['candidates_seen']:,}"],
        *([name.replace("_", " "), _listed(value)] for name, value in options.items()),
        ["seed", "none: nothing here is random"],
    ]
    return table(["", ""], rows, ["label", "name"])


def _listed(value: object) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return Cell(", ".join(code(f"{key}={each}") for key, each in value.items()) or "none")

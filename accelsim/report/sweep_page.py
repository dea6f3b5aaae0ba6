"""The HTML report of a sweep: one file that needs no network."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pandas as pd

from accelsim.report.page import Cell, code, figures, folded, notes_box, page, paragraph, section, table, text
from accelsim.report.plots import Plot
from accelsim.report.quantities import quantity
from accelsim.report.sweep import case_command, limits_of, unknown_objectives, value_text
from accelsim.report.sweep_figures import (
    MAX_POINTS,
    Shown,
    sensitivity,
    slices,
    standing_in_the_way,
    tradeoff,
)
from accelsim.report.sweep_lines import Lines, lines_of, parallel
from accelsim.study.sweep.designs import Evaluator
from accelsim.study.sweep.results import SweepRun

__all__ = ["sweep_html"]

_MAX_ROWS = 100


def sweep_html(run: SweepRun) -> str:
    """A sweep as a page: trade-offs, the front with commands, parallel coordinates, what matters, what fails."""
    frame = run.frame
    shown = Shown(run.sweep.space.axes, run.sweep.document.objectives, frame[frame["status"] == "ok"], run.front)
    limits = limits_of(run)
    lines = lines_of(shown)
    front, all_designs = tradeoff(shown), parallel(lines, shown)
    effects = sensitivity(shown, run.summary["findings"].get("sobol_indices", {})) if len(shown.ok) > 1 else []
    cuts, stopped = slices(shown), standing_in_the_way(limits)
    body = [
        Cell(f"<h1>{text(f'Sweep {run.sweep.name}')}</h1>"),
        paragraph(_lead(run), "lead"),
        notes_box(_notes(run)),
        section("Trade-off", [figures([front]), Cell('<div id="chosen"></div>'), _front_table(run, shown)])
        if front else notes_box(["no design is ok: see what stands in the way"], bad=True),
        section("All designs", [figures([all_designs])]) if all_designs else Cell(""),
        section("What matters", [figures([*effects, *cuts])]) if effects or cuts else Cell(""),
        section("What stands in the way", [figures([stopped]), _limit_table(limits)]) if stopped else Cell(""),
        section("Provenance", [_provenance(run)]),
        _script(shown, lines),
    ]  # fmt: skip
    plots: list[Plot | None] = [front, all_designs, *effects, *cuts, stopped]
    return page(f"Sweep {run.sweep.name}", body, plots)


def _lead(run: SweepRun) -> str:
    summary, document = run.summary, run.sweep.document
    counts = ", ".join(f"{count:,} {name}" for name, count in summary["statuses"].items() if count)
    found = f"{summary['designs']:,} designs ({counts}) by the strategy {document.strategy.kind}"
    said = f"{document.description.rstrip('.')}. " if document.description else ""
    return f"{said}{found}, in {quantity(summary['elapsed_s'], 's', 3)}."


def _notes(run: SweepRun) -> list[str]:
    document = run.sweep.document
    notes = []
    certificate = run.summary["findings"].get("certificate")
    if certificate:
        notes.append(f"certificate: {certificate['statement']}")
    refused = run.summary["statuses"]["refused"]
    if refused:
        notes.append(f"refused: {refused:,} designs break a rule or need what is not modelled.")
    if document.strategy.kind in ("optuna", "refine", "pruned"):
        notes.append("sample: medians and main effects are over the designs that the search visited, no fair sample.")
    unknown = unknown_objectives(run)
    if unknown:
        notes.append(f"unknown: no design has a figure for {', '.join(unknown)}: choose other objectives.")
    if document.accuracy is not None:
        inputs = document.accuracy.inputs or f"numbers drawn with seed {document.accuracy.seed}"
        notes.append(
            f"accuracy: SQNR of the outputs against FP32, on {inputs}, once for each precision, "
            "on the mapping of the base architecture."
        )
    return notes


def _front_table(run: SweepRun, shown: Shown) -> Cell:
    names = ["design", *shown.objectives, *(axis.name for axis in shown.axes)]
    rows = shown.front.head(_MAX_ROWS)
    evaluator = Evaluator(run.sweep)
    cells = []
    for row in rows.to_dict("records"):
        design = run.coordinates_of({str(key): value for key, value in row.items()})
        cells.append(
            [*(value_text(name, row[name]) for name in names), code(case_command(evaluator.case(design)), 2000)]
        )
    made = table([*names, "simulate it again"], cells, ["number"] * len(names))
    more = f", the first {_MAX_ROWS} of {len(shown.front):,}" if len(shown.front) > _MAX_ROWS else ""
    return folded(f"The Pareto front{more}", made)


def _limit_table(limits: list[tuple[str, str, int, str]]) -> Cell:
    rows = [[status, code(limit), f"{count:,}", reason] for status, limit, count, reason in limits[:_MAX_ROWS]]
    return folded("Reasons", table(["status", "what", "designs", "for example"], rows, ["", "name", "number"]))


def _provenance(run: SweepRun) -> Cell:
    rows = [["results", code(str(run.folder))], *([name, code(value)] for name, value in run.sweep.identity.items())]
    return table(["", ""], rows)


def _script(shown: Shown, lines: Lines | None) -> Cell:
    """The rows that a brush may list, and what lists them."""
    names = ["design", *shown.objectives, *(axis.name for axis in shown.axes)]
    rows = pd.concat([shown.sample(MAX_POINTS), shown.front.head(MAX_POINTS)]).drop_duplicates("design")
    listed: dict[str, Any] = {
        str(row["design"]): [value_text(name, row[name]) for name in names] for row in rows.to_dict("records")
    }
    data = json.dumps({"head": names, "designs": listed, "lines": lines.by_design() if lines else {}}).replace(
        "<", "\\u003c"
    )
    script = (files("accelsim.report") / "assets" / "sweep.js").read_text("utf-8")
    return Cell(f'<script type="application/json" id="designs">{data}</script><script>{script}</script>')

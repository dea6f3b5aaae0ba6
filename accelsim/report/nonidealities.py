"""The study of analog non-idealities as text, data and a page."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from accelsim.report.page import Cell, figures, page, paragraph, section, table
from accelsim.report.plots import LEGEND_BELOW, PALETTE, Plot, bars, layout, rows_axis, safe, value_axis
from accelsim.study.nonidealities import STRENGTHS, NonidealityStudy

__all__ = ["study_document", "study_html", "study_json", "study_text"]

_TOLD = (
    "Root mean square error of a 512 x 512 tile's outputs, over that of the exact ones: each non-ideality alone, its "
    "strength as a share of the range of what it disturbs, and each part of the standard model alone as published."
)


def study_document(study: NonidealityStudy) -> dict[str, Any]:
    """The study as plain data, as the command line's ``--json`` prints it."""
    return {"study": "nonidealities", **asdict(study), "ranking": list(study.ranking)}


def study_json(study: NonidealityStudy) -> str:
    """The study as JSON text."""
    return json.dumps(study_document(study), indent=2, allow_nan=False)


def study_text(study: NonidealityStudy) -> str:
    """The study for a terminal, the worst first."""
    lines = [f"Non-idealities: {_TOLD}", "", "strength, share of the range",
             f"  {'alone':<24}{''.join(f'{100 * each:>9g} %' for each in STRENGTHS)}"]  # fmt: skip
    for name in study.ranking:
        errors = _errors(study, name)
        lines.append(f"  {name:<24}{''.join(f'{100 * each:>9.2f} %' for each in errors)}")
    lines += ["", "the standard model (rasch-2023 on pcm)"]
    lines += [f"  {each.name:<34}{100 * each.error:>8.2f} %" for each in study.standard]
    return "\n".join([*lines, f"note: drawn with seed {study.seed}"])


def study_html(study: NonidealityStudy) -> str:
    """The study as a self-contained page."""
    plots = [_strengths(study), _standard(study)]
    rows = [(safe(name), *(f"{100 * each:.2f} %" for each in _errors(study, name))) for name in study.ranking]
    head = ["alone", *(f"{100 * each:g} % of the range" for each in STRENGTHS)]
    parts = [
        Cell("<h1>Analog tiles: which non-ideality hurts most</h1>"), paragraph(_TOLD, "lead"),
        section("Each alone, over its strength", [figures(plots[:1]), table(head, rows, ["name"] + ["number"] * 6)]),
        section("The standard model, part by part", [figures(plots[1:])]),
    ]  # fmt: skip
    return page("Non-idealities", parts, plots)


def _errors(study: NonidealityStudy, name: str) -> list[float]:
    found = {each.strength: each.error for each in study.points if each.name == name}
    return [found[each] for each in STRENGTHS]


def _strengths(study: NonidealityStudy) -> Plot:
    """A line each; what makes no error is left out of the logarithm."""
    traces: list[dict[str, Any]] = []
    for index, name in enumerate(study.ranking):
        errors = _errors(study, name)
        if min(errors) < 1e-6:
            continue
        traces.append({
            "type": "scatter", "mode": "lines+markers", "x": [100 * each for each in STRENGTHS],
            "y": [100 * each for each in errors], "name": safe(name), "line": {"color": PALETTE[index % len(PALETTE)]},
        })  # fmt: skip
    described = layout("Error against strength", 520, legend_lines=3)
    described |= {"xaxis": value_axis("strength [% of the range]", type="log"),
                  "yaxis": value_axis("error of the outputs [%]", type="log"), "legend": LEGEND_BELOW}  # fmt: skip
    return Plot("strengths", traces, described)


def _standard(study: NonidealityStudy) -> Plot:
    values = [100 * each.error for each in study.standard]
    names = [each.name for each in study.standard]
    described = layout("Error by part", rows=len(names))
    described |= {"xaxis": value_axis("error of the outputs [%]"), "yaxis": rows_axis(names, "")}
    return Plot("standard", [bars(values, [f"{safe(n)}: {v:.2f} %" for n, v in zip(names, values, strict=True)],
                                  PALETTE[0])], described)  # fmt: skip

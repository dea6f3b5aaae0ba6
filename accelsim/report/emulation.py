"""An emulation as text and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isinf
from typing import Any

from accelsim.engine.functional.errors import OpError
from accelsim.report.page import Cell, code, figures, folded, notes_box, page, paragraph, section, table
from accelsim.report.plots import (
    LEGEND_BELOW,
    PALETTE,
    Plot,
    bars,
    end_labels,
    layout,
    rows_axis,
    safe,
    value_axis,
)
from accelsim.study.emulate import Emulation

__all__ = ["emulation_html", "emulation_text"]

_MOST_BARS = 60
_EXPLAINED = (
    "SQNR is the energy of an op's FP32 result over that of its error, which includes the errors of all ops before it. "
    "An op without error, such as one that only moves data, is drawn at the top."
)


def emulation_text(found: Emulation) -> str:
    """Errors of every op, then of the outputs."""
    lines = [f"{_title(found)}, against FP32", "",
             f"{'op':<40} {'precision':<12}{'SQNR dB':>9}{'max error':>12}{'saturated':>11}{'flushed':>9}"]  # fmt: skip
    lines += [
        f"{each.op[-40:]:<40} {each.precision:<12}{each.sqnr_db:>9.2f}{each.max_abs_error:>12.4g}"
        f"{each.saturated:>11}{each.flushed:>9}"
        for each in found.op_errors
    ]
    lines += ["", *(f"output {name}: SQNR {value:.2f} dB" for name, value in found.sqnr_db.items())]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


def _title(found: Emulation) -> str:
    run = found.evaluation
    return f"{run.workload.name} on {run.architecture.name} in {run.choice.label}"


def emulation_html(found: Emulation) -> str:
    """The emulation as a self-contained page: outputs, SQNR along the model, the worst ops, what did not fit."""
    ops = found.op_errors
    worst = sorted((each for each in ops if isfinite(each.sqnr_db)), key=lambda each: each.sqnr_db)[:_MOST_BARS]
    cut = sorted((each for each in ops if each.saturated + each.flushed), key=_cut, reverse=True)[:_MOST_BARS]
    shown = [_along(ops), _worst(worst, len(ops)) if worst else None, _counts(cut) if cut else None]
    plots = [plot for plot in shown if plot is not None]
    parts = [
        Cell("<h1>Values against FP32</h1>"), paragraph(f"{_title(found)}. {_EXPLAINED}", "lead"),
        notes_box(found.notes), section("Outputs", [_output_table(found)]), section("Ops", [figures(plots)]),
        folded(f"All {len(ops)} ops", _op_table(ops)),
    ]  # fmt: skip
    return page(f"Values of {_title(found)}", parts, plots)


def _cut(each: OpError) -> int:
    return each.saturated + each.flushed


def _decibels(value: float) -> str:
    return f"{value:.2f}" if isfinite(value) else ("no error" if isinf(value) and value > 0 else "not finite")


def _hover(each: OpError) -> str:
    return (
        f"<b>{safe(each.op)}</b> ({safe(each.label)}, {safe(each.precision)})<br>SQNR {_decibels(each.sqnr_db)} dB, "
        f"largest error {each.max_abs_error:.4g}, mean {each.mean_abs_error:.4g}<br>"
        f"{each.saturated} saturated, {each.flushed} became zero"
    )


def _along(ops: Sequence[OpError]) -> Plot:
    """SQNR of every op in the order in which they run, a colour a precision."""
    finite = [each.sqnr_db for each in ops if isfinite(each.sqnr_db)]
    top = max(finite, default=100.0) + 5
    traces: list[dict[str, Any]] = []
    for index, precision in enumerate(dict.fromkeys(each.precision for each in ops)):
        places = [place for place, each in enumerate(ops) if each.precision == precision]
        chosen = [ops[place] for place in places]
        traces.append({
            "type": "bar", "x": [place + 1 for place in places],
            "y": [each.sqnr_db if isfinite(each.sqnr_db) else (top if isinf(each.sqnr_db) else 0) for each in chosen],
            "marker": {"color": PALETTE[index % len(PALETTE)]}, "name": safe(precision or "none"),
            "customdata": [_hover(each) for each in chosen], "hovertemplate": "%{customdata}<extra></extra>",
        })  # fmt: skip
    described = layout("SQNR along the model", 380, legend_lines=1)
    described |= {"xaxis": value_axis("op, in order of execution"),
                  "yaxis": value_axis("SQNR [dB]", rangemode="tozero"), "legend": LEGEND_BELOW, "showlegend": True,
                  "barmode": "overlay"}  # fmt: skip
    return Plot("along", traces, described)


def _worst(ops: Sequence[OpError], total: int) -> Plot:
    title = "SQNR of each op, the worst on top" + ("" if len(ops) == total else f" ({len(ops)} of {total})")
    values = [each.sqnr_db for each in ops]
    described = layout(title, rows=len(ops))
    described |= {"xaxis": value_axis("SQNR [dB]"), "yaxis": rows_axis([each.op for each in ops], "op"),
                  "showlegend": False}  # fmt: skip
    ends = end_labels([max(value, 0) for value in values], [f"{value:.1f}" for value in values])
    return Plot("worst", [bars(values, [_hover(each) for each in ops], PALETTE[0]), ends], described)


def _counts(ops: Sequence[OpError]) -> Plot:
    """Numbers that did not fit, ops with the most on top."""
    traces = [
        bars([getattr(each, field) for each in ops], [_hover(each) for each in ops], colour, name=name)
        for field, name, colour in (("saturated", "saturated", PALETTE[4]), ("flushed", "became zero", PALETTE[5]))
    ]
    described = layout("Numbers that did not fit their format", rows=len(ops), legend_lines=1)
    described |= {"xaxis": value_axis("numbers, all executions of the op"),
                  "yaxis": rows_axis([each.op for each in ops], "op"), "barmode": "stack", "legend": LEGEND_BELOW,
                  "showlegend": True}  # fmt: skip
    return Plot("counts", traces, described)


def _output_table(found: Emulation) -> Cell:
    rows = [
        (code(name), " x ".join(map(str, value.shape)) or "1", str(value.dtype), _decibels(found.sqnr_db[name]))
        for name, value in found.outputs.items()
    ]
    return table(["output", "shape", "type", "SQNR [dB]"], rows, ["name", "number", "name", "number"])


def _op_table(ops: Sequence[OpError]) -> Cell:
    rows = [
        (code(each.op), each.label, code(each.precision), _decibels(each.sqnr_db), f"{each.max_abs_error:.4g}",
         f"{each.mean_abs_error:.4g}", str(each.saturated), str(each.flushed))
        for each in ops
    ]  # fmt: skip
    head = ["op", "operator", "precision", "SQNR [dB]", "largest error", "mean error", "saturated", "became zero"]
    return table(head, rows, ["name", "name", "name", *["number"] * 5])

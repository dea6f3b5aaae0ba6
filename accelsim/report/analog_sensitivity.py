"""What each non-ideality does to a model's outputs, as text and as a page."""

from __future__ import annotations

import math
from collections.abc import Sequence

from accelsim.report.page import Cell, figures, notes_box, page, paragraph, section, table
from accelsim.report.plots import LEGEND_BELOW, PALETTE, Plot, bars, layout, rows_axis, safe, value_axis
from accelsim.study.analog_sensitivity import AnalogSensitivity

__all__ = ["sensitivity_html", "sensitivity_text"]

_TOLD = (
    "Root mean square error of the outputs against FP32, over that of the outputs: with each part of the tiles alone, "
    "and with all but it; then with each disturbance alone, at one share of the range of what it disturbs."
)


def sensitivity_text(found: AnalogSensitivity) -> str:
    """For a terminal, the worst first."""
    lines = [f"{_title(found)}: what each non-ideality does to the outputs", _TOLD, "",
             f"  {'tiles as described':<28}{_percent(found.described)}",
             f"  {'ideal tiles':<28}{_percent(found.ideal)}"]  # fmt: skip
    if found.parts:
        lines += ["", f"  {'part':<28}{'alone':>10}{'without it':>12}"]
    lines += [f"  {each.name:<28}{_percent(each.alone)}{_percent(each.without, 12)}" for each in found.parts]
    lines += ["", f"  {f'at {100 * found.strength:g} % of the range':<28}{'alone':>10}"]
    lines += [f"  {each.name:<28}{_percent(each.error)}" for each in found.disturbed]
    return "\n".join([*lines, f"note: {_runs(found)}", *(f"note: {note}" for note in found.notes)])


def _title(found: AnalogSensitivity) -> str:
    run = found.evaluation
    return f"{run.workload.name} on {run.architecture.name} in {run.choice.label}"


def _runs(found: AnalogSensitivity) -> str:
    draws = "one draw" if found.repeats == 1 else f"the mean of {found.repeats} draws"
    return f"{found.runs} runs of the model; what is random is {draws}"


def _percent(error: float, width: int = 10) -> str:
    text = f"{100 * error:.2f} %" if math.isfinite(error) else "not finite"
    return f"{text:>{width}}"


def sensitivity_html(found: AnalogSensitivity) -> str:
    """A self-contained page: parts alone and left out, disturbances at one strength."""
    plots = [_parts(found)] if found.parts else []
    equal = _disturbed(found)
    rows = [(safe(each.name), _percent(each.alone), _percent(each.without)) for each in found.parts]
    summary = (
        f"{_title(found)}. Tiles as described: {_percent(found.described).strip()}; ideal tiles, for the formats of "
        f"values and words of whole numbers: {_percent(found.ideal).strip()}. {_TOLD}"
    )
    share = f"{100 * found.strength:g} % of the range"
    parts = [
        Cell("<h1>What each non-ideality does to the outputs</h1>"), paragraph(summary, "lead"),
        notes_box([_runs(found), *found.notes]),
        section("Parts of the tiles", [figures(plots), table(["part", "alone", "without it"], rows,
                                                             ["name", "number", "number"])]),
        section(f"Each alone at {share}", [figures([equal]), table(
            ["disturbance", share], [(safe(each.name), _percent(each.error)) for each in found.disturbed],
            ["name", "number"])]),
    ]  # fmt: skip
    return page(f"Non-idealities of {_title(found)}", parts, [*plots, equal])


def _parts(found: AnalogSensitivity) -> Plot:
    names = [each.name for each in found.parts]
    alone, without = [each.alone for each in found.parts], [each.without for each in found.parts]
    traces = [_bars(names, alone, "alone", 0), _bars(names, without, "all but it", 1)]
    described = layout("Error with a part alone, and with all but it", rows=2 * len(names), legend_lines=1)
    described |= {"xaxis": value_axis("error of the outputs [%]"), "yaxis": rows_axis(names, ""), "barmode": "group",
                  "legend": LEGEND_BELOW, "showlegend": True}  # fmt: skip
    line = {"type": "line", "x0": 100 * found.described, "x1": 100 * found.described, "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": PALETTE[4], "dash": "dot"}}  # fmt: skip
    if math.isfinite(found.described):
        described["shapes"] = [line]
    return Plot("parts", traces, described, "Dotted: the tiles as described.")


def _disturbed(found: AnalogSensitivity) -> Plot:
    names = [each.name for each in found.disturbed]
    described = layout("Error at one strength", rows=len(names))
    described |= {"xaxis": value_axis("error of the outputs [%]"), "yaxis": rows_axis(names, ""), "showlegend": False}
    return Plot("disturbed", [_bars(names, [each.error for each in found.disturbed], "alone", 0)], described)


def _bars(names: Sequence[str], errors: Sequence[float], what: str, colour: int) -> dict[str, object]:
    values = [100 * each if math.isfinite(each) else 0.0 for each in errors]
    hover = [f"{safe(name)}, {what}: {_percent(each).strip()}" for name, each in zip(names, errors, strict=True)]
    return bars(values, hover, PALETTE[colour], name=what)

"""Energy by op and component, and area by component, as plots."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import cycle

from accelsim.pipeline import Evaluation
from accelsim.report.op_figures import OpFigures
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
from accelsim.report.quantities import interval, percent, plain, quantity, scale_of

__all__ = ["COMPONENT_WORDS", "area", "area_words", "component_words", "energy_by_op"]

TOP_OPS = 15
COMPONENT_WORDS = {
    "array": "matrix arrays",
    "accumulator": "accumulators",
    "vector": "vector units",
    "scratchpad": "scratchpads",
    "network": "on-chip network",
    "dma": "DMA engines",
    "dram": "DRAM",
    "host": "host link",
    "leakage": "leakage",
    "other": "control, clocks, pads, unused",
}
_COLOURS = dict(zip(COMPONENT_WORDS, PALETTE, strict=True)) | {"leakage": MUTED, "other": MUTED}


def component_words(name: str) -> str:
    """What people call a component; one without a word here keeps its name."""
    return COMPONENT_WORDS.get(name, name.replace("_", " "))


def _colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each component, the same in every plot of a page."""
    others = cycle(PALETTE)
    return {name: _COLOURS.get(name) or next(others) for name in names}


def energy_by_op(figures: OpFigures, evaluation: Evaluation) -> Plot | None:
    """Energy of the hungriest ops, split by component, and leakage, which is no op's: all bars add up to the energy.

    None without an energy model.
    """
    priced = evaluation.energy
    if priced is None:
        return None
    spent: dict[str, list[float]] = {}
    for op, row in zip(figures.mapped, priced.by_op_component_j.tolist(), strict=True):
        before = spent.get(op.op.name, [0.0] * len(row))
        spent[op.op.name] = [a + b for a, b in zip(before, row, strict=True)]
    ranked = sorted(spent.items(), key=lambda item: -sum(item[1]))
    rows, rest = ranked[:TOP_OPS], ranked[TOP_OPS:]
    if rest:
        rows.append((f"{len(rest)} more", [sum(column) for column in zip(*(row for _, row in rest), strict=True)]))
    names = [*(name for name, _ in rows), "leakage"]
    columns = {name: [*(row[i] for _, row in rows), 0.0] for i, name in enumerate(priced.components)}
    columns["leakage"] = [*[0.0] * len(rows), priced.by_component_j["leakage"]]
    totals = [sum(values) for values in zip(*columns.values(), strict=True)]
    factor, prefix = scale_of(totals)
    data, colours = [], _colours(columns)
    for name, values in columns.items():
        if any(values):
            words = component_words(name)
            hover = [f"<b>{safe(n)}</b><br>{words}: {quantity(v, 'J')}" for n, v in zip(names, values, strict=True)]
            data.append(bars([v * factor for v in values], hover, colours[name], name=words))
    shares = [percent(total / priced.total_j) if priced.total_j else "" for total in totals]
    data.append(end_labels([total * factor for total in totals], shares))
    axes = {
        "xaxis": value_axis(f"Energy [{prefix}J]", range=[0, 1.14 * max(totals, default=0.0) * factor or 1.0]),
        "yaxis": rows_axis(names, "Op", 36),
        "barmode": "stack",
        "legend": LEGEND_BELOW,
    }
    caption = "Ops by falling energy, all their executions. Percentages are shares of the energy of one execution."
    shape = layout("Energy by op and component", rows=len(names), legend_lines=2)
    return Plot("energy-by-op", data, {**shape, **axes}, caption)


def area(evaluation: Evaluation) -> Plot | None:
    """Predicted area by component with its range; None where no technology is stated."""
    predicted = evaluation.area.predicted
    if not predicted:
        return None
    parts = sorted(predicted.items(), key=lambda item: -item[1].value)
    words = [f"{plain(each.value)} ({interval(plain(each.low), plain(each.high))}) mm²" for _, each in parts]
    names = [component_words(name) for name, _ in parts]
    hover = [f"<b>{name}</b><br>{each}" for name, each in zip(names, words, strict=True)]
    values = [each.value for _, each in parts]
    drawn = bars(values, hover, [*_colours(name for name, _ in parts).values()], showlegend=False)
    reaches = {"array": [each.high - each.value for _, each in parts], "symmetric": False,
               "arrayminus": [each.value - each.low for _, each in parts]}  # fmt: skip
    drawn["error_x"] = {"type": "data", "color": MUTED, "thickness": 1.2, **reaches}
    ends = [each.high for _, each in parts]
    axes = {
        "xaxis": value_axis("Predicted area [mm²]", range=[0, 1.45 * max(ends)]),
        "yaxis": rows_axis(names, "Component", 30),
    }
    shape = layout("Area by component, predicted", rows=len(parts) + 1)
    return Plot("area", [drawn, end_labels(ends, words)], {**shape, **axes}, area_words(evaluation), wide=False)


def area_words(evaluation: Evaluation) -> str:
    """The predicted area beside the one that is stated, in a sentence; empty where nothing is predicted."""
    whole, stated = evaluation.area.predicted_mm2, evaluation.area.stated
    if whole is None:
        return ""
    words = f"Predicted from structure and node: {plain(whole.value)} mm² ({plain(whole.low)} to {plain(whole.high)})"
    if stated is None:
        return f"{words}; none is published."
    kind = "assumed" if stated.assumed else "published"
    return f"{words}; {kind}: {plain(stated.value, 'mm²')}, of which this is {percent(whole.value / stated.value)}."

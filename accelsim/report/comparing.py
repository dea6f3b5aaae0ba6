"""The plots of a comparison of precisions."""

from __future__ import annotations

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
)
from accelsim.report.quantities import plain, quantity, scale_of
from accelsim.study.compare import PrecisionComparison

__all__ = ["by_op", "by_precision"]

TOP_OPS = 15


def by_precision(comparison: PrecisionComparison) -> list[Plot]:
    """Latency and energy of each precision, with the intervals that assumed constants span."""
    return [
        _metric(comparison, "latency_s", "Latency", "s"),
        _metric(comparison, "energy_j", "Energy", "J"),
    ]


def _metric(comparison: PrecisionComparison, metric: str, title: str, unit: str) -> Plot:
    names = comparison.names
    values = [float(getattr(comparison.evaluations[name], metric)) for name in names]
    spans = [
        comparison.run_intervals(name).get(metric, (value, value)) for name, value in zip(names, values, strict=True)
    ]
    factor, prefix = scale_of(values)
    ends = [max(high, value) * factor for value, (_, high) in zip(values, spans, strict=True)]
    base = values[0]
    ratios = [f"{quantity(value, unit)}, {plain(base / value, 'x', 3) if value else '-'}" for value in values]
    hover = [
        f"<b>{safe(name)}</b><br>{quantity(value, unit)}<br>{quantity(low, unit)} to {quantity(high, unit)}"
        for name, value, (low, high) in zip(names, values, spans, strict=True)
    ]
    data = [
        bars(
            [value * factor for value in values], hover, [PALETTE[i % len(PALETTE)] for i in range(len(names))],
            showlegend=False, width=0.5,
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [max(high - value, 0.0) * factor for value, (_, high) in zip(values, spans, strict=True)],
                "arrayminus": [max(value - low, 0.0) * factor for value, (low, _) in zip(values, spans, strict=True)],
                "color": MUTED,
                "thickness": 1.5,
            },
        ),
        end_labels(ends, ratios),
    ]  # fmt: skip
    axes = {
        "xaxis": value_axis(f"{title} [{prefix}{unit}]", range=[0, 1.5 * max(ends) or 1]),
        "yaxis": rows_axis(names, "Precision", 24),
    }
    caption = f"Lines: the interval over assumed constants. Ratios are against {safe(names[0])}: above 1x is better."
    shape = layout(f"{title} by precision", rows=2 * len(names))
    return Plot(f"by-{metric}", data, {**shape, **axes}, caption, wide=False)


def by_op(first: OpFigures, last: OpFigures, first_name: str, last_name: str) -> Plot:
    """Critical time of the ops that take most of it in the first run, in both runs, and the speed-up."""
    before, after = _by_name(first), _by_name(last)
    names = sorted(before, key=lambda name: -max(before[name], after.get(name, 0.0)))
    names = [name for name in names if before[name] > 0 or after.get(name, 0.0) > 0][:TOP_OPS]
    then, now = [before[name] for name in names], [after.get(name, 0.0) for name in names]
    factor, prefix = scale_of([*then, *now])
    data = []
    for run, times, colour in ((first_name, then, PALETTE[0]), (last_name, now, PALETTE[1])):
        hover = [f"<b>{safe(n)}</b><br>{quantity(t, 's')} in {safe(run)}" for n, t in zip(names, times, strict=True)]
        data.append(bars([time * factor for time in times], hover, colour, name=safe(run, 30)))
    gains = [plain(a / b, "x", 3) if b > 0 else "hidden" for a, b in zip(then, now, strict=True)]
    reach = [max(a, b) * factor for a, b in zip(then, now, strict=True)]
    data.append(end_labels(reach, gains))
    axes = {
        "xaxis": value_axis(f"Time on the critical path [{prefix}s]", range=[0, 1.12 * max(reach, default=1) or 1]),
        "yaxis": rows_axis(names, "Op", 36),
        "barmode": "group",
        "legend": LEGEND_BELOW,
    }
    caption = (
        f"The {len(names)} ops that take most of the latency; the figure is the speed-up from {safe(first_name)} to "
        f"{safe(last_name)}. It differs from the ratio of the formats where something else limits an op, and "
        "“hidden” is an op that left the critical path."
    )
    height = 52 + 80 + 34 * max(len(names), 2)
    return Plot("by-op", data, {**layout("Speed-up by op", height, legend_lines=1), **axes}, caption)


def _by_name(figures: OpFigures) -> dict[str, float]:
    spent: dict[str, float] = {}
    for op, seconds in zip(figures.mapped, figures.critical_s.tolist(), strict=True):
        spent[op.op.name] = spent.get(op.op.name, 0.0) + seconds
    return spent

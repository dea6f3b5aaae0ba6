"""What every plot shares: its record, colours, the words for actions, and axes.

A plot is data and layout as plotly.js takes them, so that making a page never imports the Python side of plotly
beyond the script that it embeds. Text from users goes through `safe`: plotly renders a subset of HTML in labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from accelsim.report.quantities import short

__all__ = [
    "ACTIVITIES",
    "LEGEND_BELOW",
    "MUTED",
    "PALETTE",
    "Plot",
    "bars",
    "end_labels",
    "layout",
    "rows_axis",
    "safe",
    "value_axis",
]

PALETTE = (
    "#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#3fa7a0", "#d6a800", "#9d755d", "#e377a2", "#7f7fd5",
)  # fmt: skip
MUTED = "#8d949c"

ACTIVITIES = {
    "matrix array": "#4c78a8",
    "vector unit": "#3fa7a0",
    "op launch": "#7f7fd5",
    "DRAM transfer": "#f58518",
    "DRAM latency": "#d6a800",
    "DMA": "#9d755d",
    "on-chip network": "#b279a2",
    "buffers full": "#b8a88a",
    "host": "#e45756",
    "host link": "#e377a2",
    "stage computes": "#4c78a8",
    "stage takes a pixel": "#3fa7a0",
    "stage gives a pixel": "#f58518",
    "analog product": "#4c78a8",
    "tile pipeline fills": "#7f7fd5",
    "tile port": "#9d755d",
    "programming": "#e45756",
    "recalibration": "#e377a2",
}
"""One colour a kind of activity (see `op_figures.activity`), the same on every plot."""

LEGEND_BELOW = {"orientation": "h", "yref": "container", "y": 0.0, "yanchor": "bottom", "x": 0.0, "xanchor": "left",
                "traceorder": "normal"}  # fmt: skip
_ROW, _TOP, _BOTTOM, _LEGEND_LINE = 26, 52, 56, 24


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot of a page: a name for its element, traces and layout for plotly.js, and a sentence below it."""

    key: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    caption: str = ""
    wide: bool = True


def safe(text: str, width: int = 200) -> str:
    """User text as plotly shows it literally, on one line of at most ``width`` characters."""
    return escape(short(text, width))


def layout(title: str, height: int = 0, *, rows: int = 0, legend_lines: int = 0) -> dict[str, Any]:
    """A layout with room for ``legend_lines`` of `LEGEND_BELOW`; the height of ``rows`` of bars where none is given."""
    bottom = _BOTTOM + _LEGEND_LINE * legend_lines
    return {
        "title": {"text": title, "x": 0, "xref": "container", "xanchor": "left", "font": {"size": 16}},
        "height": height or _TOP + bottom + _ROW * max(rows, 2),
        "margin": {"l": 8, "r": 24, "t": _TOP, "b": bottom},
        "hoverlabel": {"align": "left"},
        "bargap": 0.25,
    }


def value_axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis of values, its unit in the title."""
    return {"title": {"text": title}, "automargin": True, "zeroline": False, **more}


def rows_axis(names: Sequence[str], title: str, width: int = 44) -> dict[str, Any]:
    """The axis of named rows, the first on top. Positions are numbers, so that equal names stay apart."""
    return {
        "title": {"text": title, "standoff": 12},
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [safe(name, width) for name in names],
        "ticklabelstandoff": 6,
        "range": [len(names) - 0.5, -0.5],
        "automargin": True,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }


def bars(values: Sequence[float], hover: Sequence[str], colour: str | Sequence[str], **more: Any) -> dict[str, Any]:
    """Horizontal bars, one a row; ``hover`` is safe text."""
    return {
        "type": "bar",
        "orientation": "h",
        "x": list(values),
        "y": list(range(len(values))),
        "marker": {"color": colour if isinstance(colour, str) else list(colour)},
        "customdata": list(hover),
        "hovertemplate": "%{customdata}<extra></extra>",
        **more,
    }


def end_labels(values: Sequence[float], texts: Sequence[str]) -> dict[str, Any]:
    """Text to the right of each row's bar."""
    return {
        "type": "scatter",
        "mode": "text",
        "x": list(values),
        "y": list(range(len(values))),
        "text": [f" {text}" for text in texts],
        "textposition": "middle right",
        "hoverinfo": "skip",
        "showlegend": False,
        "cliponaxis": False,
    }

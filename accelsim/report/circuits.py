"""Estimates of circuits for the terminal."""

from __future__ import annotations

import textwrap

from accelsim.report.quantities import interval, plain
from accelsim.study.circuits import CircuitEstimate

__all__ = ["circuit_text"]

_WIDTH = 100


def circuit_text(estimate: CircuitEstimate) -> str:
    """Parameters, figures with their ranges, and where those come from."""
    given = ", ".join(f"{name}={value}" for name, value in estimate.parameters.items())
    width = max(map(len, estimate.figures), default=0) + 2
    lines = [f"{estimate.circuit} ({given}) by the model {estimate.model}", ""]
    for name, each in estimate.figures.items():
        span = "" if each.low == each.high else f"  ({interval(plain(each.low), plain(each.high))})"
        lines.append(f"  {name:<{width}}{plain(each.value):>10}{span}")
    lines.append("")
    for source in estimate.sources:
        lines.append(textwrap.fill(source, _WIDTH, initial_indent="  ", subsequent_indent="    "))
    return "\n".join(lines)

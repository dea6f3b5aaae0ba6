"""A sweep as text and data, and the command that simulates one of its designs again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from accelsim.errors import InputError
from accelsim.report.quantities import plain, quantity
from accelsim.study.sweep.axes import shown
from accelsim.study.sweep.designs import Case, Evaluator
from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.metrics import metric_named
from accelsim.study.sweep.results import SweepRun
from accelsim.study.sweep.run import Forecast

__all__ = [
    "case_command",
    "command_of",
    "figure_text",
    "forecast_text",
    "limits_of",
    "sweep_document",
    "sweep_text",
    "unknown_objectives",
    "value_text",
]

_SHOWN_DESIGNS = 12
_PREFIXED = ("s", "J", "W", "Js", "B")


def forecast_text(forecast: Forecast) -> str:
    """A dry run for the terminal."""
    each = quantity(forecast.seconds_per_design, "s", 3)
    workers = "1 worker" if forecast.workers == 1 else f"{forecast.workers} workers"
    return (
        f"{forecast.sweep}: {forecast.designs:,} designs, about {quantity(forecast.seconds, 's', 3)} with {workers} "
        f"({each} a design)"
    )


def sweep_text(run: SweepRun) -> str:
    """Counts, the front, findings, and why designs fail."""
    summary, sweep = run.summary, run.sweep
    counts = ", ".join(f"{count:,} {name}" for name, count in summary["statuses"].items() if count)
    lines = [f"{sweep.name}: {summary['designs']:,} designs ({counts}) in {quantity(summary['elapsed_s'], 's', 3)}, "
             f"in {run.folder}"]  # fmt: skip
    front = run.front
    senses = ", ".join(f"{name} ({sense})" for name, sense in sweep.document.objectives.items())
    if len(front):
        lines += ["", f"Pareto front: {len(front):,} designs in {senses}", *_front_lines(front, sweep)]
        lines += ["", "simulate the first again:", f"  {command_of(run, int(front['design'].iloc[0]))}"]
    unknown = unknown_objectives(run)
    if unknown:
        lines += ["", f"No design has a figure for {', '.join(unknown)}: choose other objectives."]
    lines += _limit_lines(run) + _finding_lines(summary["findings"])
    return "\n".join(lines)


def unknown_objectives(run: SweepRun) -> list[str]:
    """Objectives that no design which runs has a figure for, so that nothing can be on the front."""
    if not run.summary["statuses"]["ok"] or run.summary["front"]:
        return []
    names = list(run.sweep.document.objectives)
    rows = run.table([*names, "status"]).unify_dictionaries().to_pandas()
    known = rows[rows["status"] == "ok"][names].notna().any()
    return [name for name in names if not known[name]]


def _front_lines(front: pd.DataFrame, sweep: Sweepable) -> list[str]:
    names = ["design", *sweep.document.objectives, *(axis.name for axis in sweep.space.axes)]
    rows = [[value_text(name, row[name]) for name in names] for _, row in front.head(_SHOWN_DESIGNS).iterrows()]
    widths = [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)]
    lines = ["  " + "  ".join(cell.rjust(width) for cell, width in zip(each, widths, strict=True))
             for each in (names, *rows)]  # fmt: skip
    more = len(front) - _SHOWN_DESIGNS
    return [*lines, f"  ... and {more:,} more"] if more > 0 else lines


def value_text(name: str, value: Any) -> str:
    """A cell of a table: metrics with units, other numbers as they are."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return "-"
    if isinstance(value, bool | np.bool_):
        return "on" if value else "off"
    if isinstance(value, int | np.integer):
        return f"{value:,}" if name == "design" else str(value)
    if isinstance(value, float | np.floating):
        return figure_text(name, float(value))
    return str(value)


def figure_text(name: str, value: float) -> str:
    """A metric with its unit, prefixes where that has some; the value of an axis as it is."""
    unit = _unit(name)
    if unit is None:
        return plain(value)
    return quantity(value, unit) if unit in _PREFIXED else plain(value, unit)


@lru_cache(maxsize=1024)
def _unit(name: str) -> str | None:
    """The unit of a metric; None for an axis."""
    try:
        return metric_named(name).unit
    except InputError:
        return None


def limits_of(run: SweepRun) -> list[tuple[str, str, int, str]]:
    """(status, limit, designs, an example of the reason) of what stands in the way, most frequent first."""
    rows = run.table(["status", "limit", "reason"]).unify_dictionaries().to_pandas()
    rows = rows[rows["status"] != "ok"].astype(str)
    found = rows.groupby(["status", "limit"], sort=False)["reason"].agg(["size", "first"]).reset_index()
    ordered = found.sort_values(["size", "status", "limit"], ascending=[False, True, True])
    return [(str(row["status"]), str(row["limit"]), int(row["size"]), str(row["first"]))
            for _, row in ordered.iterrows()]  # fmt: skip


def _limit_lines(run: SweepRun) -> list[str]:
    found = limits_of(run)
    if not found:
        return []
    lines = ["", "What stands in the way:"]
    return lines + [f"  {count:>9,} {status:<11} {limit}: {reason}" for status, limit, count, reason in found[:10]]


def _finding_lines(findings: Mapping[str, Any]) -> list[str]:
    lines = []
    certificate = findings.get("certificate")
    if certificate:
        lines += ["", f"certificate: {certificate['statement']}"]
    for metric, indices in findings.get("sobol_indices", {}).items():
        lines += ["", f"Sobol indices of {metric}: share of its variance by an axis alone (first), with others (total)"]
        ranked = sorted(indices.items(), key=lambda item: -item[1]["total"])
        lines += [f"  {name:<48} first {each['first']:6.3f}  total {each['total']:6.3f} +- {each['total_conf']:.3f}"
                  for name, each in ranked[:20]]  # fmt: skip
    return lines


def sweep_document(run: SweepRun) -> dict[str, Any]:
    """The sweep as plain data: counts, front with commands, what stands in the way, findings."""
    summary, sweep = run.summary, run.sweep
    front = [
        {name: _plain(value) for name, value in row.items() if name not in ("status", "limit", "reason")}
        | {"command": command_of(run, int(row["design"]))}
        for row in run.front.to_dict("records")
    ]
    return {
        "sweep": sweep.name, "folder": str(run.folder), "designs": summary["designs"],
        "statuses": summary["statuses"], "elapsed_s": summary["elapsed_s"],
        "objectives": dict(sweep.document.objectives), "front": front,
        "limits": [dict(zip(("status", "limit", "designs", "reason"), each, strict=True)) for each in limits_of(run)],
        "findings": summary["findings"],
        "provenance": dict(sweep.identity),
    }  # fmt: skip


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or (isinstance(value, float) and not np.isfinite(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value


def command_of(run: SweepRun, design: int) -> str:
    """The command that simulates one design again.

    Raises:
        InputError: no row has this number.
    """
    evaluator = Evaluator(run.sweep)
    return case_command(evaluator.case(run.coordinates(design)))


def case_command(case: Case) -> str:
    """``accelsim simulate ...`` for a design."""
    workload = case.workload
    if case.parameters:
        given = ",".join(f"{name}={_word(value)}" for name, value in case.parameters.items())
        workload += ("," if ":" in workload else ":") + given
    words = ["accelsim", "simulate", workload, case.architecture]
    if isinstance(case.precision, Mapping):
        words += ["--precision", ",".join(f"{pattern}={name}" for pattern, name in case.precision.items())]
    elif case.precision is not None:
        words += ["--precision", case.precision]
    for name in case.rewrites:
        words += ["--rewrite", name]
    if case.mapping:
        words += ["--mapping", ",".join(f"{name}={'on' if on else 'off'}" for name, on in case.mapping.items())]
    for path, value in case.overrides.items():
        words += ["--set", f"{path}={_word(value)}"]
    return shlex.join(words)


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return shown(tuple(value) if isinstance(value, list) else value)

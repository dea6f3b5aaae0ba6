"""Outcomes of branches as text: of a model alone, and on an architecture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from accelsim.report.quantities import quantity
from accelsim.study.expect import Expectation
from accelsim.workload.outcomes import Outcome, weighted_mean

__all__ = ["expectation_text", "outcomes_document", "outcomes_json", "outcomes_text"]


def expectation_text(found: Expectation) -> str:
    """A line an outcome, then the means."""
    run = found.outcomes[0].estimate.evaluation
    rows = [("probability", "latency", "energy", "work", "branches")]
    for each in found.outcomes:
        own = each.estimate.evaluation
        cells = quantity(own.latency_s, "s"), quantity(own.energy_j, "J"), quantity(own.macs, "MAC")
        rows.append((f"{each.probability:.4g}", *cells, _words(each.branches)))
    rows.append(("expected", quantity(found.latency_s, "s"), quantity(found.energy_j, "J"),
                 quantity(found.macs, "MAC"), "mean over runs"))  # fmt: skip
    head = f"{run.workload.name} on {run.architecture.name} in {run.choice.label}, by outcome of its branches"
    late = f"95 % of runs take {quantity(found.latency_quantile_s(0.95), 's')} or less"
    rate = f"{quantity(found.throughput_per_s, '')} samples/s in the long run"
    return "\n".join([head, "", *_table(rows), "", late, rate])


def outcomes_text(outcomes: Sequence[Outcome]) -> str:
    """Counts of every outcome, then their means."""
    rows = [("probability", "work", "parameters", "ops", "branches")]
    for each in outcomes:
        own = each.graph
        cells = quantity(own.macs, "MAC"), quantity(own.parameters, ""), str(len(own.ops))
        rows.append((f"{each.probability:.4g}", *cells, _words(each.branches)))
    macs = weighted_mean((each.probability, each.graph.macs) for each in outcomes)
    rows.append(("expected", quantity(macs, "MAC"), "", "", "mean over runs"))
    return "\n".join([f"{outcomes[0].graph.name}, by outcome of its branches", "", *_table(rows)])


def outcomes_document(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The same as plain data."""
    return {
        "workload": outcomes[0].graph.name,
        "expected": {"macs": weighted_mean((each.probability, each.graph.macs) for each in outcomes)},
        "outcomes": [
            {"probability": each.probability, "branches": dict(each.branches), "macs": each.graph.macs,
             "parameters": each.graph.parameters, "weight_bytes": each.graph.weight_bytes,
             "ops": len(each.graph.ops)}
            for each in outcomes
        ],
    }  # fmt: skip


def outcomes_json(outcomes: Sequence[Outcome]) -> str:
    """The document as JSON text."""
    return json.dumps(outcomes_document(outcomes), indent=2, allow_nan=False)


def _words(branches: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={word}" for name, word in branches.items()) or "-"


def _table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as lines, numbers to the right, the last column as it is."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)][:-1]
    return ["  ".join([*map(str.rjust, row[:-1], widths), row[-1]]) for row in cells]

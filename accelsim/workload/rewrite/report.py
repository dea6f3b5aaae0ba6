"""What a rewrite tells: totals before and after, and op by op what it changed or left, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

from accelsim.workload.bundled.parameters import ParameterValue
from accelsim.workload.graph import Graph

__all__ = ["Change", "Changes", "RewriteReport", "Rewriter", "Totals", "report_document", "reported", "rewrite_words"]


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of a graph. Bytes are of the formats assigned, FP32 where none is."""

    ops: int
    macs: int
    parameters: int
    nonzero_parameters: int
    weight_bytes: float
    peak_activation_bytes: float
    skips: int

    @classmethod
    def of(cls, graph: Graph) -> Totals:
        """The totals of ``graph``."""
        return cls(
            sum(1 for _ in graph.walk()), graph.macs, graph.parameters, graph.nonzero_parameters, graph.weight_bytes,
            graph.peak_activation_bytes, len(graph.residuals),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one op (or why nothing did), in words."""

    op: str
    what: str


@dataclass(frozen=True, slots=True)
class Changes:
    """A rewritten graph, what was done to it, and what was left as it was though the rewrite asks for it."""

    graph: Graph
    made: tuple[Change, ...]
    kept: tuple[Change, ...] = ()


Rewriter = Callable[[Graph], Changes]


@dataclass(frozen=True, slots=True)
class RewriteReport:
    """One rewrite as it was applied.

    Attributes:
        rewrite: its name.
        parameters: all of its parameters, defaults included.
        before, after: totals of the graph.
        removed, added: names of ops that are gone and that are new, those inside loops included.
        made: what was changed, op by op.
        kept: what the rewrite asks for but cannot change, with the reason.
    """

    rewrite: str
    parameters: Mapping[str, ParameterValue]
    before: Totals
    after: Totals
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    made: tuple[Change, ...] = ()
    kept: tuple[Change, ...] = field(default=())


def reported(name: str, parameters: Mapping[str, ParameterValue], before: Graph, changes: Changes) -> RewriteReport:
    """The report of a rewrite from ``before`` to the graph of ``changes``."""
    was, now = ({op.name: None for op, _ in graph.walk()} for graph in (before, changes.graph))
    return RewriteReport(
        name, dict(parameters), Totals.of(before), Totals.of(changes.graph),
        tuple(each for each in was if each not in now), tuple(each for each in now if each not in was),
        changes.made, changes.kept,
    )  # fmt: skip


def rewrite_words(report: RewriteReport) -> str:
    """A rewrite in one sentence: how much it changed, and how much it had to leave."""
    settings = ",".join(f"{key}={value}" for key, value in report.parameters.items() if value != "")
    was, now = report.before, report.after
    parts = [f"{report.rewrite}{f':{settings}' if settings else ''} changed {len(report.made)}"]
    if report.kept:
        parts.append(f"left {len(report.kept)} ({report.kept[0].op} {report.kept[0].what})")
    for name in ("ops", "macs", "parameters", "nonzero_parameters", "skips"):
        before, after = getattr(was, name), getattr(now, name)
        if before != after:
            parts.append(f"{name.replace('_', ' ')} {before:,} to {after:,}")
    return "; ".join(parts) + "."


def report_document(report: RewriteReport) -> dict[str, object]:
    """A rewrite as plain data: what provenance lists."""
    return {
        "rewrite": report.rewrite,
        "parameters": dict(report.parameters),
        "before": asdict(report.before),
        "after": asdict(report.after),
        "removed": list(report.removed),
        "added": list(report.added),
        "made": {each.op: each.what for each in report.made},
        "kept": {each.op: each.what for each in report.kept},
    }

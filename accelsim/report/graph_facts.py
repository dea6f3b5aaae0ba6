"""What a graph knows about itself, as lines of text and as tables: `accelsim show`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from accelsim.report.quantities import plain, quantity
from accelsim.workload.graph import Residual
from accelsim.workload.insight.facts import Facts

__all__ = ["fact_rows", "repeat_rows", "shown", "skip_rows"]

_MOST_ROWS = 12


def fact_rows(facts: Facts) -> list[tuple[str, str]]:
    """(what, how much) of the facts that are one figure."""
    rows = [("weights", _formats(facts.weight_bytes)), ("activations, all ever made", _formats(facts.activation_bytes))]
    rows.append(("MACs a byte", f"{plain(facts.intensity)} if only weights, inputs and outputs move; "
                 f"{plain(facts.intensity_by_op)} if every op reads and writes all of its tensors"))  # fmt: skip
    peak = f"{quantity(facts.peak_bytes, 'B')} at {facts.peak_op}"
    if facts.peak_shared_bytes != facts.peak_bytes:
        peak += f"; {quantity(facts.peak_shared_bytes, 'B')} if views share storage"
    rows.append(("most alive at once", peak))
    share = f" ({100 * facts.critical.macs / facts.macs:.3g} % of all)" if facts.macs else ""
    rows.append(
        ("longest dependent chain", f"{facts.critical.ops:,} ops; {quantity(facts.critical.macs, 'MAC')}{share}")
    )
    if facts.steps:
        words = ", ".join(f"{each.op} {each.steps:,}" for each in facts.steps[:4])
        more = f" and {len(facts.steps) - 4} more" if len(facts.steps) > 4 else ""
        rows.append(("recurrent steps", f"{facts.sequential_steps:,} one after the other: {words}{more}"))
    if facts.known:
        zeros = ", ".join(f"{count:,} zeros ({pattern})" for pattern, count in facts.zeros.items())
        rows.append(("sparsity", f"{zeros} of {facts.known:,} values that are known"))
    if facts.skips:
        held = f"{quantity(facts.skip_byte_ops, 'B')} times ops held"
        rows.append(("skip connections", f"{len(facts.skips)}, {held}"))
    return rows


def skip_rows(skips: Sequence[Residual]) -> list[tuple[str, str, str, str, str]]:
    """(joins, kind, ops spanned, bytes, bytes x ops) of the skips; those that are alike share a row."""
    alike: dict[tuple[str, bool, int, int], list[str]] = {}
    for each in skips:
        alike.setdefault((each.join, each.identity, each.span_ops, each.bytes), []).append(each.op)
    rows = []
    for (join, identity, span, size), names in alike.items():
        shown = names[0] if len(names) == 1 else f"{names[0]} ... {names[-1]} ({len(names)})"
        kind = f"{'identity' if identity else 'projected'} {join}"
        rows.append((shown, kind, f"{span:,}", quantity(size, "B"), quantity(size * span * len(names), "B")))
    return rows


def repeat_rows(facts: Facts) -> list[tuple[str, str, str, str]]:
    """(count x name, ops, MACs, parameters) of the repeats, those inside others indented."""
    return [
        (f"{'  ' * (each.inside - 1)}{each.count} x {each.name}", f"{each.ops:,}", quantity(each.macs, "MAC"),
         quantity(each.parameters, ""))
        for each in facts.repeats
    ]  # fmt: skip


def shown(rows: Sequence[Sequence[str]]) -> tuple[list[Sequence[str]], str]:
    """The first rows, and how many were left out."""
    left = len(rows) - _MOST_ROWS
    return list(rows[:_MOST_ROWS]), f"and {left} more (--json has all)" if left > 0 else ""


def _formats(sizes: Mapping[str, float]) -> str:
    if not sizes:
        return "none"
    return ", ".join(
        f"{quantity(size, 'B')} {'in FP32' if name == 'unassigned' else f'in {name}'}" for name, size in sizes.items()
    )

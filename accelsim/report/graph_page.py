"""The drawing of a workload's graph: one self-contained page, readable from ten ops to a hundred thousand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from math import prod
from typing import Any

from accelsim.report.graph_facts import fact_rows, repeat_rows, skip_rows
from accelsim.report.page import POLICY, code, folded, paragraph, section, table, text
from accelsim.report.quantities import quantity
from accelsim.version import __version__
from accelsim.workload.graph import Graph, Residual
from accelsim.workload.insight.facts import Facts, facts_of
from accelsim.workload.insight.repeats import Repeat, repeats
from accelsim.workload.ops import Conv, Elementwise, Loop, MatMul, Move, Op, Recurrent, Reduce
from accelsim.workload.rewrite.report import rewrite_words

__all__ = ["graph_data", "graph_page"]

_LEGEND = (
    "A row an op, in execution order. Arcs on the left are skip connections, thin ones on the right other tensors that "
    "are held. Bars are MACs. A repeated block, or the body of a loop, opens on a click."
)
_MOST_INPUTS = 8
"""More inputs than these (caches) are one row until it is opened."""
_KINDS = ("identity add", "projected add", "identity concat", "projected concat")
_STROKES = ("#d9480f", "#e8890c", "#ae3ec9", "#c77ddb")


def graph_page(graph: Graph) -> str:
    """The whole page: facts, the drawing, skips and repeats as tables."""
    facts = facts_of(graph)
    keys = "".join(
        f'<span><span class="key" style="border-color:{stroke}"></span>{kind} skip</span>'
        for kind, stroke in zip(_KINDS, _STROKES, strict=True)
    )
    tools = (
        '<div class="tools"><input type="search" id="find" placeholder="find an op"><span id="says"></span>'
        '<label>rows <input type="range" id="zoom" min="3" max="26" value="20"></label>'
        f'<label><input type="checkbox" id="all"> every op of repeated blocks</label>{keys}</div>'
    )
    sizes = f"{quantity(facts.macs, 'MAC')}, {quantity(facts.parameters, '')} parameters"
    head = f"{sizes}, {len(graph.ops):,} ops, batch {graph.batch}"
    body = [
        f"<h1>{text(graph.name)}</h1>", paragraph(head, "lead"),
        table(("", ""), [(text(name), text(words)) for name, words in fact_rows(facts)], ("label", "")),
        *([section("Rewrites", [paragraph(rewrite_words(each)) for each in graph.rewrites])] if graph.rewrites else []),
        section("Graph", []), tools, '<div id="view"><svg id="drawing"></svg></div>',
        paragraph(_LEGEND, "soft"),
        *_tables(facts),
    ]  # fmt: skip
    return _page(graph.name, body, graph_data(graph, facts))


def _tables(facts: Facts) -> list[str]:
    parts: list[str] = []
    if facts.skips:
        head = ("ends in", "kind", "ops spanned", "held", "held x ops")
        rows = [(code(name), *rest) for name, *rest in skip_rows(facts.skips)]
        parts.append(
            folded(
                f"{len(facts.skips)} skip connections", table(head, rows, ("name", "", "number", "number", "number"))
            )
        )
    if facts.repeats:
        columns = ("block", "ops", "MACs of one", "parameters of one")
        blocks = [(code(name), *rest) for name, *rest in repeat_rows(facts)]
        kinds = ("name", "number", "number", "number")
        parts.append(folded(f"{len(facts.repeats)} repeated blocks", table(columns, blocks, kinds)))
    return parts


def graph_data(graph: Graph, facts: Facts) -> dict[str, Any]:
    """What the script draws: ops, edges (from, to, bytes, kind of skip or 0) and groups of ops that open and close.

    Inputs come first, the body of a loop behind it. A group is [start, ops, count, name, groups inside, MACs of one,
    skips of one, kind]; kinds are repeat, step (a loop's body) and inputs.
    """
    drawing = _Drawing()
    drawing.groups.extend(
        drawing.graph(
            graph, [each for each in facts.repeats if not each.loop], {each.op: each for each in facts.skips}, 1
        )
    )
    return {"ops": drawing.ops, "edges": drawing.edges, "groups": drawing.groups}


class _Drawing:
    """The rows of a graph and of the bodies of its loops, one behind the other."""

    def __init__(self) -> None:
        self.ops: list[list[Any]] = []
        self.edges: list[list[Any]] = []
        self.groups: list[list[Any]] = []

    def graph(
        self, graph: Graph, found: Sequence[Repeat], skips: dict[str, Residual], times: int
    ) -> list[list[Any]]:  # fmt: skip
        """Add the rows of ``graph``, which runs ``times`` times; its groups."""
        begin = len(self.ops)
        groups: list[list[Any]] = []
        place: dict[str, int] = {}
        for name in graph.inputs:
            place[name] = len(self.ops)
            self.ops.append([name, "input", "input", _shape(graph, (name,)), 0, 0, ""])
        if len(graph.inputs) > _MOST_INPUTS:
            groups.append([begin, len(graph.inputs), 1, f"{len(graph.inputs)} inputs", [], 0, 0, "inputs"])
        rows: list[int] = []  # the row of each op, and behind them the first row after all
        bodies: list[list[Any]] = []
        for op in graph.ops:
            rows.append(len(self.ops))
            self.ops.append(_row(graph, op, times))
            self._edges(graph, op, place, skips.get(op.name), rows)
            place |= dict.fromkeys(op.outputs, rows[-1])
            if isinstance(op, Loop):
                start = len(self.ops)
                inner = self.graph(
                    op.body,
                    [e for e in repeats(op.body) if not e.loop],
                    {e.op: e for e in op.body.residuals},
                    times * op.steps,
                )
                bodies.append(
                    [
                        start,
                        len(self.ops) - start,
                        1,
                        "its step" if op.steps == 1 else f"one of {op.steps:,} steps",
                        inner,
                        0,
                        len(op.body.residuals),
                        "step",
                    ]
                )
        rows.append(len(self.ops))
        ends = [op.name in skips for op in graph.ops]
        return [*groups, *sorted([*bodies, *_groups(found, rows, ends)])]

    def _edges(self, graph: Graph, op: Op, place: dict[str, int], skip: Residual | None, rows: Sequence[int]) -> None:
        made = -1 if skip is None else len(rows) - 1 - skip.span_ops
        held = -1 if skip is None else rows[made] if made >= 0 else -2
        for name in dict.fromkeys(op.inputs):
            if name in place:
                of_skip = skip is not None and (place[name] == held or (held == -2 and name in graph.inputs))
                kind = _skip_kind(skip) if skip is not None and of_skip else 0
                self.edges.append([place[name], rows[-1], graph.tensors[name].bytes, kind])


def _row(graph: Graph, op: Op, times: int) -> list[Any]:
    weights = {name for name in op.inputs if graph.tensors[name].role == "weight"}
    parameters = sum(graph.tensors[name].elements for name in weights)
    return [op.name, op.kind, _detail(op), _shape(graph, op.outputs), op.macs * times, parameters,
            f"{times:,} runs" if times > 1 else ""]  # fmt: skip


def _detail(op: Op) -> str:
    if isinstance(op, Conv):
        kernel = "x".join(map(str, op.kernel))
        stride = f"/{op.stride[0]}" if prod(op.stride) > 1 else ""
        return f"conv {kernel}{stride}{f' g{op.groups}' if op.groups > 1 else ''}"
    if isinstance(op, MatMul):
        return f"{f'{op.groups} x ' if op.groups > 1 else ''}{op.m}x{op.k}x{op.n}"
    if isinstance(op, Recurrent):
        return f"{'bi-' if op.directions > 1 else ''}{op.cell} x {op.steps}"
    if isinstance(op, Loop):
        return f"loop x {op.steps}"
    return op.function if isinstance(op, Elementwise | Reduce | Move) else op.kind


def _shape(graph: Graph, names: Sequence[str]) -> str:
    return ", ".join("x".join(map(str, graph.tensors[name].shape)) or "scalar" for name in names)


def _skip_kind(skip: Residual) -> int:
    return 1 + 2 * (skip.join == "concat") + (not skip.identity)


def _groups(found: Sequence[Repeat], rows: Sequence[int], ends: Sequence[bool]) -> list[list[Any]]:
    """Repeats as groups, nested; ``rows`` are those of the ops, ``ends`` says which ops end skips."""
    top: list[list[Any]] = []
    open_: list[list[Any]] = []
    for each in found:
        begin, size = rows[each.start], rows[each.start + each.ops] - rows[each.start]
        skips = sum(ends[each.start : each.start + each.ops])
        made: list[Any] = [begin, size, each.count, each.name, [], each.macs, skips, "repeat"]
        del open_[each.inside - 1 :]
        (open_[-1][4] if open_ else top).append(made)
        open_.append(made)
    return top


def _page(title: str, body: Sequence[str], data: dict[str, Any]) -> str:
    # "<" cannot end the script element or open a comment in it when it is written as an escape.
    embedded = json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    assets = files("accelsim.report") / "assets"
    style = "".join((assets / name).read_text("utf-8") for name in ("page.css", "graph.css"))
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta name="generator" content="accelsim {escape(__version__)}">',
            f"<title>{text(title)}</title><style>{style}</style></head><body>",
            *body,
            "<noscript><p>The drawing needs JavaScript; all of it is in this file.</p></noscript>",
            f'<script type="application/json" id="graph">{embedded}</script>',
            f"<script>{(assets / 'graph.js').read_text('utf-8')}</script>",
            "</body></html>\n",
        ]
    )

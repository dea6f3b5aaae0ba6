"""What `accelsim show` prints: the make-up of a workload, the peaks and constants of an architecture."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

from accelsim.documents import Constant
from accelsim.errors import InputError
from accelsim.hardware.load import Architecture
from accelsim.report.files import write_text_atomically
from accelsim.report.graph_facts import fact_rows, repeat_rows, shown, skip_rows
from accelsim.report.quantities import quantity, short
from accelsim.workload.graph import Graph
from accelsim.workload.insight.facts import facts_document, facts_of
from accelsim.workload.rewrite.report import report_document, rewrite_words

__all__ = ["architecture_document", "json_text", "text", "with_zeros", "workload_document", "write_page"]

_WIDTH = 120
_LONGEST_NAME = 46
_CUT = " ..."

Owned = Constant | float | str | bool


def json_text(subject: Graph | Architecture) -> str:
    """The subject as one JSON document."""
    data = workload_document(subject) if isinstance(subject, Graph) else architecture_document(subject)
    return json.dumps(data, indent=2, allow_nan=False)


def text(subject: Graph | Architecture) -> str:
    """The subject as aligned text of at most 120 columns; what is cut ends in ``...`` and is whole in the JSON."""
    lines = _workload_lines(subject) if isinstance(subject, Graph) else _architecture_lines(subject)
    if any(line.endswith(_CUT) for line in lines):
        lines += ["", "Lines that end in ... are cut: --json has them whole."]
    return "\n".join(lines)


def with_zeros(subject: Graph | Architecture, path: str) -> Graph | Architecture:
    """The subject; the graph of an ONNX file at ``path`` with the zeros of its stored weights counted."""
    if not isinstance(subject, Graph) or not path.lower().endswith(".onnx"):
        return subject
    from accelsim.workload.insight.zeros import with_counted_zeros

    return with_counted_zeros(subject, path)


def write_page(subject: Graph | Architecture, path: Path) -> None:
    """Write the drawing of a workload's graph.

    Raises:
        InputError: the subject is an architecture, or the file cannot be written.
    """
    if not isinstance(subject, Graph):
        raise InputError("is an architecture: only workloads have a graph to draw", file="--html", field=subject.name)
    from accelsim.report.graph_page import graph_page

    write_text_atomically(path, graph_page(subject))


def workload_document(graph: Graph) -> dict[str, Any]:
    """Counts, parameters with their owners, recipes and ops of a workload; bytes are FP32 where no format is stored."""
    shapes = {tensor.name: list(tensor.shape) for tensor in graph.all_tensors()}
    return {
        "workload": graph.name,
        "batch": graph.batch,
        "audio_s": graph.audio_s,
        "macs": graph.macs,
        "parameters": graph.parameters,
        "weight_bytes": graph.weight_bytes,
        "peak_activation_bytes": graph.peak_activation_bytes,
        "residuals": len(graph.residuals),
        "facts": facts_document(facts_of(graph)),
        "rewrites": [report_document(each) for each in graph.rewrites],
        "parameters_used": {name: _plain(value) for name, value in graph.parameters_used.items()},
        "recipes": {
            name: {"default": recipe.default, "patterns": dict(recipe.patterns), "source": recipe.source}
            for name, recipe in graph.recipes.items()
        },
        "dimensions": {
            name: {"size": each.size, "batch": each.batch, "axes": [list(place) for place in each.axes]}
            for name, each in graph.dimensions.items()
        },
        "inputs": {name: shapes[name] for name in graph.inputs},
        "outputs": {name: shapes[name] for name in graph.outputs},
        "ops": [
            {"name": op.name, "kind": op.kind, "label": op.label, "executions": times, "macs": op.macs * times,
             "outputs": [shapes[name] for name in op.outputs]}
            for op, times in graph.walk()
        ],
    }  # fmt: skip


def architecture_document(architecture: Architecture) -> dict[str, Any]:
    """Peaks by format, every constant with its owner, and the settings that are words."""
    description = architecture.description
    return {
        "architecture": architecture.name,
        "kind": architecture.kind,
        "description": description.description,
        "peaks": {
            name: {metric: _finite(value) for metric, value in peak.items()}
            for name, peak in description.peaks().items()
        },
        "constants": {path: _plain(constant) for path, constant in architecture.constants().items()},
        "settings": _settings(architecture),
    }


def _settings(architecture: Architecture) -> dict[str, str | bool | list[str]]:
    """What is no number: dataflows, formats, clock domains. Name and description stand above them."""
    settings: dict[str, str | bool | list[str]] = {}
    for path, value in architecture.description.parameters().items():
        if isinstance(value, tuple):
            settings[path] = list(value)
        elif isinstance(value, str | bool) and path not in ("kind", "name", "description"):
            settings[path] = value
    return settings


def _finite(value: float) -> float | None:
    return value if value < float("inf") else None


def _plain(value: Owned) -> Any:
    return value.model_dump(exclude_none=True) if isinstance(value, Constant) else value


def _workload_lines(graph: Graph) -> list[str]:
    audio = f", {graph.audio_s:g} s of audio" if graph.audio_s else ""
    lines = [
        _line(graph.name),
        f"  {quantity(graph.macs, 'MAC')}, {quantity(graph.parameters, '')} parameters, batch {graph.batch}{audio}",
        f"  peak activations {quantity(graph.peak_activation_bytes, 'B')} in FP32, "
        f"{len(graph.residuals)} skip connections",
    ]
    shapes = {tensor.name: "x".join(map(str, tensor.shape)) or "scalar" for tensor in graph.all_tensors()}
    for way, names in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        lines.append(_line(", ".join(f"{name} {shapes[name]}" for name in names) or "none", f"  {way}: "))
    if graph.parameters_used:
        lines += ["", "parameters, each with its owner where it has one", *_owned(graph.parameters_used)]
    if graph.recipes:
        lines += ["", "precision recipes"]
        for name, recipe in graph.recipes.items():
            exceptions = "".join(f", {pattern} in {each}" for pattern, each in recipe.patterns)
            lines.append(_line(f"{name}: {recipe.default}{exceptions} ({recipe.source})", "  "))
    lines += _facts(graph)
    rows = [
        (op.name, op.kind, f"{times:,}", quantity(op.macs * times, "MAC") if op.macs else "-",
         ", ".join(shapes[name] for name in op.outputs))
        for op, times in graph.walk()
    ]  # fmt: skip
    return [*lines, "", "ops", *_table([("op", "kind", "runs", "work", "makes"), *rows], right=(2, 3))]


def _facts(graph: Graph) -> list[str]:
    """What the graph knows about itself, with its rewrites, skip connections and repeated blocks."""
    facts = facts_of(graph)
    lines = ["", "figures", *_table(fact_rows(facts))]
    if graph.rewrites:
        lines += ["", "rewrites, in order", *(_line(rewrite_words(each), "  ") for each in graph.rewrites)]
    skips, more = shown(skip_rows(facts.skips))
    if skips:
        head = ("skip ends in", "kind", "ops", "held", "held x ops")
        lines += ["", *_table([head, *skips], right=(2, 3)), *([f"  {more}"] if more else [])]
    repeated, more = shown(repeat_rows(facts))
    if repeated:
        columns = ("repeated block", "ops", "MACs of one", "parameters of one")
        lines += ["", *_table([columns, *repeated], right=(1, 2)), *([f"  {more}"] if more else [])]
    return lines


def _architecture_lines(architecture: Architecture) -> list[str]:
    description = architecture.description
    lines = [f"{architecture.name} ({architecture.kind})"]
    if description.description:
        lines.append(_line(description.description, "  "))
    peaks = [("format", "peak", "efficiency at the nominal voltage")]
    for name, peak in description.peaks().items():
        peaks.append((name, quantity(peak["ops_per_s"], "OP/s"), quantity(peak["ops_per_joule"], "OP/J")))
    settings = [(path, _word(value)) for path, value in _settings(architecture).items()]
    if len(peaks) > 1:
        lines += ["", "peaks, two operations a MAC", *_table(peaks, right=(1,))]
    lines += ["", "constants, each with its owner", *_owned(architecture.constants())]
    return [*lines, "", "settings", *_table(settings)]


def _owned(values: Mapping[str, Owned]) -> list[str]:
    """A line each: name, value, and for a constant its range and its owner."""
    return _table([(name, *_owner(value)) for name, value in values.items()], right=(1,))


def _owner(value: Owned) -> tuple[str, str]:
    if not isinstance(value, Constant):
        return _word(value), ""
    if value.low is None or value.high is None:
        return _number(value.value), value.source
    owner = f"assumed {_number(value.low)} to {_number(value.high)}: {value.why}"
    return _number(value.value), owner if value.assumed else value.source


def _number(value: float) -> str:
    return f"{value:,.15g}"


def _word(value: float | str | bool | list[str]) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else value if isinstance(value, str) else _number(value)


def _table(rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows as lines; columns are as wide as their widest cell but the last, which is cut at the edge."""
    cells = [[short(cell, _LONGEST_NAME) for cell in row[:-1]] + [row[-1]] for row in rows]
    widths = [max(map(len, column), default=0) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        aligned = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row[:-1], widths, strict=False))
        ]
        lines.append(_line(row[-1], f"  {'  '.join(aligned)}  "))
    return lines


def _line(words: str, before: str = "") -> str:
    """``before`` and then ``words``, cut between two words where they would pass 120 columns."""
    shown = "".join(letter if letter.isprintable() else " " for letter in words)
    return f"{before}{shorten(shown, _WIDTH - len(before), placeholder=_CUT)}".rstrip()

"""What `accelsim show` prints: the make-up of a workload, the peaks and constants of an architecture."""

from __future__ import annotations

import json
from typing import Any

from accelsim.documents import Constant
from accelsim.hardware.load import Architecture
from accelsim.workload.graph import Graph


__all__ = ["architecture_document", "json_text", "text", "workload_document"]

_WIDTH = 60


def json_text(subject: Graph | Architecture) -> str:
    """The subject as one JSON document."""
    data = workload_document(subject) if isinstance(subject, Graph) else architecture_document(subject)
    return json.dumps(data, indent=2, allow_nan=False)


def text(subject: Graph | Architecture) -> str:
    """The subject as aligned text."""
    return _workload_text(subject) if isinstance(subject, Graph) else _architecture_text(subject)


def workload_document(graph: Graph) -> dict[str, Any]:
    """Counts, parameters with their owners, recipes and ops of a workload; bytes are FP32 where no format is stored."""
    return {
        "workload": graph.name,
        "batch": graph.batch,
        "audio_s": graph.audio_s,
        "macs": graph.macs,
        "parameters": graph.parameters,
        "weight_bytes": graph.weight_bytes,
        "peak_activation_bytes": graph.peak_activation_bytes,
        "residuals": len(graph.residuals),
        "parameters_used": {name: _plain(value) for name, value in graph.parameters_used.items()},
        "recipes": {
            name: {"default": recipe.default, "patterns": dict(recipe.patterns), "source": recipe.source}
            for name, recipe in graph.recipes.items()
        },
        "inputs": {name: list(graph.tensors[name].shape) for name in graph.inputs},
        "outputs": {name: list(graph.tensors[name].shape) for name in graph.outputs},
        "ops": [
            {"name": op.name, "kind": op.kind, "label": op.label, "executions": times, "macs": op.macs * times,
             "outputs": [list(_shape(graph, name)) for name in op.outputs]}
            for op, times in graph.walk()
        ],
    }  # fmt: skip


def _shape(graph: Graph, name: str) -> tuple[int, ...]:
    for tensor in graph.all_tensors() if name not in graph.tensors else ():
        if tensor.name == name:
            return tensor.shape
    return graph.tensors[name].shape


def architecture_document(architecture: Architecture) -> dict[str, Any]:
    """Peaks by format and every constant with its owner."""
    description = architecture.description
    return {
        "architecture": architecture.name,
        "kind": architecture.kind,
        "description": description.description,
        "peaks": {
            name: {
                "ops_per_s": description.peak_ops_per_s(name),
                "ops_per_joule": description.peak_ops_per_joule(name),
                "macs_per_cycle": description.macs_per_cycle(name),
            }
            for name in description.array.units
        },
        "constants": {path: _plain(constant) for path, constant in architecture.constants().items()},
    }


def _plain(value: Constant | float | str | bool) -> Any:
    return value.model_dump(exclude_none=True) if isinstance(value, Constant) else value


def _workload_text(graph: Graph) -> str:
    lines = [
        f"{graph.name}: {graph.macs / 1e9:.4g} GMAC, {graph.parameters / 1e6:.4g} M parameters, batch {graph.batch}"
        + (f", {graph.audio_s:g} s of audio" if graph.audio_s else ""),
        f"peak activations {graph.peak_activation_bytes / 1e6:.4g} MB in FP32, {len(graph.residuals)} skip connections",
    ]
    if graph.parameters_used:
        lines += ["", "parameters"]
        lines += [_owned(name, value) for name, value in graph.parameters_used.items()]
    if graph.recipes:
        lines += ["", "precision recipes"]
        lines += [
            f"  {name}: {recipe.default}" + "".join(f", {pattern} in {each}" for pattern, each in recipe.patterns)
            for name, recipe in graph.recipes.items()
        ]
    lines += ["", f"  {'op':<36} {'kind':<12} {'runs':>8} {'MMAC':>12}"]
    lines += [f"  {op.name:<36} {op.kind:<12} {times:>8} {op.macs * times / 1e6:>12.4g}" for op, times in graph.walk()]
    return "\n".join(lines)


def _architecture_text(architecture: Architecture) -> str:
    description = architecture.description
    lines = [f"{architecture.name} ({architecture.kind}): {description.description}", "", "peak"]
    for name in description.array.units:
        tera, efficiency = description.peak_ops_per_s(name) / 1e12, description.peak_ops_per_joule(name) / 1e12
        lines.append(f"  {name:<10} {tera:>9.4g} TOPS   {efficiency:>8.4g} TOPS/W at the nominal voltage")
    lines += ["", "constants (each with its owner)"]
    lines += [_owned(path, constant) for path, constant in architecture.constants().items()]
    return "\n".join(lines)


def _owned(name: str, value: Constant | float | str | bool) -> str:
    if not isinstance(value, Constant):
        return f"  {name:<46} {value!s:>12}"
    if value.assumed:
        return (
            f"  {name:<46} {value.value:>12.6g}  assumed {value.low:g} to {value.high:g}: {_clipped(value.why or '')}"
        )
    return f"  {name:<46} {value.value:>12.6g}  {_clipped(value.source)}"


def _clipped(words: str) -> str:
    return words if len(words) <= _WIDTH else f"{words[: _WIDTH - 3]}..."

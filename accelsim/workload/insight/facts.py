"""Everything that a graph knows about itself, in one record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from accelsim.workload.graph import Graph, Residual
from accelsim.workload.insight.critical import CriticalPath, critical_path, sequential_steps
from accelsim.workload.insight.lifetimes import live_bytes, peak_step
from accelsim.workload.insight.repeats import Repeat, repeats
from accelsim.workload.ops import Loop, Move, Op

__all__ = ["Facts", "Steps", "facts_document", "facts_of"]

_UNASSIGNED = "unassigned"
"""Where no format is assigned; bytes are those of FP32 then."""


@dataclass(frozen=True, slots=True)
class Steps:
    """A recurrent layer or loop: its time steps, and the MACs of one."""

    op: str
    steps: int
    macs: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What a graph knows. Bytes are of the formats assigned, FP32 where none is.

    Attributes:
        weight_bytes, activation_bytes: by format, of weights and of all activations ever made.
        io_bytes: graph inputs and outputs.
        intensity: MACs a byte if weights, inputs and outputs move once and all else stays on chip.
        intensity_by_op: MACs a byte if every op reads and writes all of its tensors.
        peak_bytes, peak_op: most activation bytes alive, and at which op; ``peak_shared_bytes`` where views share.
        skips: residual connections; ``skip_byte_ops`` sums bytes times the ops for which they are held.
        steps: recurrent layers and loops; ``sequential_steps`` of the longest chain of them.
        critical: the longest chains of dependent ops.
        zeros: known zeros of weights by pattern; ``known`` of their elements have known values.
        repeats: blocks that stand several times.
    """

    macs: int
    parameters: int
    nonzero_parameters: int | None
    weight_bytes: Mapping[str, float]
    activation_bytes: Mapping[str, float]
    io_bytes: float
    intensity: float | None
    intensity_by_op: float | None
    peak_bytes: float
    peak_shared_bytes: float
    peak_op: str | None
    skips: tuple[Residual, ...]
    skip_byte_ops: int
    steps: tuple[Steps, ...]
    sequential_steps: int
    critical: CriticalPath
    zeros: Mapping[str, int]
    known: int
    repeats: tuple[Repeat, ...]


def facts_of(graph: Graph) -> Facts:
    """The facts of a graph; time is near linear in its ops, but for the skips (see `Graph.residuals`)."""
    io_bytes = sum(graph.tensors[name].bytes for name in {*graph.inputs, *graph.outputs})
    held = live_bytes(graph)
    weights = [tensor for tensor in graph.all_tensors() if tensor.role == "weight"]
    zeros: Counter[str] = Counter()
    for tensor in weights:
        if tensor.sparsity is not None:
            zeros[tensor.sparsity.pattern] += tensor.sparsity.zeros
    known = sum(tensor.elements for tensor in weights if tensor.sparsity is not None)
    moved = sum(_touched(graph, op) for op in graph.ops)
    once = graph.weight_bytes + io_bytes
    return Facts(
        macs=graph.macs,
        parameters=graph.parameters,
        nonzero_parameters=graph.nonzero_parameters if known else None,
        weight_bytes=_by_format(graph, "weight"),
        activation_bytes=_by_format(graph, "activation", "state"),
        io_bytes=io_bytes,
        intensity=graph.macs / once if once else None,
        intensity_by_op=graph.macs / moved if moved else None,
        peak_bytes=graph.peak_activation_bytes,
        peak_shared_bytes=max(live_bytes(graph, share_views=True), default=graph.peak_activation_bytes),
        peak_op=graph.ops[peak_step(held)].name if graph.ops else None,
        skips=graph.residuals,
        skip_byte_ops=sum(each.span_ops * each.bytes for each in graph.residuals),
        steps=tuple(_steps(op) for op in graph.ops if getattr(op, "steps", 1) > 1),
        sequential_steps=sequential_steps(graph),
        critical=critical_path(graph),
        zeros=dict(zeros),
        known=known,
        repeats=repeats(graph),
    )


def facts_document(facts: Facts) -> dict[str, Any]:
    """The facts as plain data."""
    return asdict(facts)


def _by_format(graph: Graph, *roles: str) -> dict[str, float]:
    found: Counter[str] = Counter()
    for tensor in graph.all_tensors():
        if tensor.role in roles:
            found[tensor.format or _UNASSIGNED] += tensor.bytes  # type: ignore[assignment]
    return dict(found)


def _touched(graph: Graph, op: Op) -> float:
    """Bytes of all tensors that an op reads and makes; a loop's weights are read in every step."""
    if isinstance(op, Move) and op.view:
        return 0.0
    if isinstance(op, Loop):
        return op.steps * sum(_touched(op.body, inner) for inner in op.body.ops)
    return sum(graph.tensors[name].bytes for name in {*op.inputs, *op.outputs})


def _steps(op: Op) -> Steps:
    steps = int(getattr(op, "steps", 1))
    return Steps(op.name, steps, op.macs // steps)

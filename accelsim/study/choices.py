"""What the mapper chose beyond the mapping of each op, and what each choice gains."""

from __future__ import annotations

from dataclasses import dataclass, fields

from accelsim.mapping.options import MappingOptions
from accelsim.mapping.placement import cached_states
from accelsim.mapping.records import LoopMapping, PipelineMapping, WorkloadMapping
from accelsim.pipeline import DigitalEvaluation

__all__ = ["MappingChoice", "mapping_choices"]


@dataclass(frozen=True, slots=True)
class MappingChoice:
    """One choice of the mapper.

    Attributes:
        name: field of `MappingOptions`.
        on: whether the mapper might take it.
        taken: what it took, in words; empty where it took nothing.
        without_s: latency with this choice alone switched off, as the mapper times it (at op detail the engine finds
            the same); infinite where the workload then fits nowhere, None where it was not taken, and so gains nothing.
        gain: ``without_s`` over the mapper's time with it, at least 1.
    """

    name: str
    on: bool
    taken: str
    without_s: float | None
    gain: float


def mapping_choices(evaluation: DigitalEvaluation) -> tuple[MappingChoice, ...]:
    """Every choice, with its gain found by mapping again without it."""
    taken = _taken(evaluation.mapping)
    return tuple(_choice(evaluation, each.name, taken[each.name]) for each in fields(MappingOptions))


def _choice(run: DigitalEvaluation, name: str, taken: str) -> MappingChoice:
    on = bool(getattr(run.options, name))
    if not taken or not on:
        return MappingChoice(name, on, "", None, 1.0)
    without_s = run.mapping_time_without_s(name)
    with_s = run.mapping.time_s
    return MappingChoice(name, on, taken, without_s, without_s / with_s if with_s > 0 else 1.0)


def _taken(mapping: WorkloadMapping) -> dict[str, str]:
    """In words what a mapping uses of each choice."""
    stripes = [each for each in mapping.ops if isinstance(each, LoopMapping) and each.depth_first]
    pipelines = [each for each in mapping.ops if isinstance(each, PipelineMapping)]
    ahead = [op for op in mapping.walk() if op.ahead_bytes]
    caches = cached_states(mapping.graph)
    kept = caches - mapping.spilled
    tensors = {tensor.name: tensor for tensor in mapping.graph.all_tensors()}
    cache_bytes = sum(tensors[name].bytes for name in kept if tensors[name].role == "state")
    pinned = sum(tensors[name].bytes for name in mapping.resident)
    fused = sum(len(each.body) for each in stripes)
    return {
        "fusion": f"{len(stripes)} groups of {fused} ops, in {_range([each.op.steps for each in stripes])} stripes"
        if stripes else "",
        "pipelining": f"{len(pipelines)} pipelines of {_range([len(each.stages) for each in pipelines])} stages"
        if pipelines else "",
        "prefetch": f"weights of {len(ahead)} ops, {sum(op.ahead_bytes or 0.0 for op in ahead) / 1e6:.3g} MB"
        if ahead else "",
        "resident_cache": f"{cache_bytes / 1e6:.3g} MB of caches" if kept else "",
        "resident_weights": f"{len(mapping.resident)} weights, {pinned / 1e6:.3g} MB" if mapping.resident else "",
    }  # fmt: skip


def _range(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"

"""Decoder-only language models: GPT-2, Llama and Mixtral, each with prefill and decode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from accelsim.workload.bundled.caches import CachingBuilder, add_decode_loop
from accelsim.workload.bundled.experts import Experts, add_experts
from accelsim.workload.bundled.parameters import Depth, Share, Size
from accelsim.workload.bundled.transformer import Heads, check_at_most, heads_of
from accelsim.workload.graph import Graph

__all__ = ["Generation", "gpt2", "llama", "mixtral"]

_GPT2_EXPANSION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """Which part of generating text one execution is; its fields are parameters of each language model.

    Attributes:
        phase: ``prefill`` reads a prompt, all positions together, and writes the KV cache; ``decode`` makes one token
            a step with it.
        tokens: positions of the prompt; prefill only.
        logits: prefill computes them for ``all`` positions, as counters do, or for the ``last`` one, as servers do.
        context: rows of the KV cache that each decode step reads, its own included; decode only.
        new_tokens: decode steps.
    """

    phase: Literal["prefill", "decode"]
    tokens: Size
    logits: Literal["all", "last"]
    context: Size
    new_tokens: Size


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """A decoder-only language model: what differs between families.

    ``layer`` adds one layer: (builder, name, source (batch, rows, width), rotation table or "") to its output.
    ``rotated`` elements of a head are rotated by position; with 0, positions have a learned table instead.
    """

    name: str
    vocabulary: int
    width: int
    layers: int
    max_positions: int
    layer: Callable[[CachingBuilder, str, str, str], str]
    norm: str
    rotated: int = 0
    tied: bool = False


def gpt2(
    *,
    vocabulary: Size,
    width: Size,
    layers: Depth,
    heads: Size,
    max_positions: Size,
    generation: Generation,
    batch: Size = 1,
) -> Graph:
    """GPT-2 (Radford et al. 2019): layer norm first, learned positions, GELU, the head tied to the embedding."""
    split = heads_of("gpt2", width, heads)

    def layer(build: CachingBuilder, name: str, source: str, _: str) -> str:
        here = build.norm(f"{name}.attention.norm", source)
        here = build.matmul(f"{name}.attention.qkv", here, 3 * width)
        queries, keys, values = build.split(f"{name}.attention.split", here, 3)
        here = _cached_attention(build, f"{name}.attention", queries, keys, values, split)
        here = build.add_residual(f"{name}.attention", build.matmul(f"{name}.attention.output", here, width), source)
        wide = build.norm(f"{name}.feed_forward.norm", here)
        wide = build.feed_forward(f"{name}.feed_forward", wide, _GPT2_EXPANSION * width)
        return build.add_residual(f"{name}.feed_forward", wide, here)

    model = _Model(
        name="gpt2", vocabulary=vocabulary, width=width, layers=layers, max_positions=max_positions, layer=layer,
        norm="layer_norm", tied=True,
    )  # fmt: skip
    return _language_model(model, generation, batch, {})


def llama(
    *,
    vocabulary: Size,
    width: Size,
    layers: Depth,
    heads: Size,
    kv_heads: Size,
    feed_forward_size: Size,
    max_positions: Size,
    generation: Generation,
    batch: Size = 1,
) -> Graph:
    """Llama (Touvron et al. 2023): RMS norm first, rotary positions, grouped-query attention, SwiGLU, no biases."""
    split = heads_of("llama", width, heads, kv_heads)

    def layer(build: CachingBuilder, name: str, source: str, table: str) -> str:
        here = _rotary_attention(build, f"{name}.attention", source, table, split)
        wide = build.norm(f"{name}.feed_forward.norm", here, "rms_norm")
        wide = build.gated_feed_forward(f"{name}.feed_forward", wide, feed_forward_size)
        return build.add_residual(f"{name}.feed_forward", wide, here)

    model = _Model(
        name="llama", vocabulary=vocabulary, width=width, layers=layers, max_positions=max_positions, layer=layer,
        norm="rms_norm", rotated=split.size,
    )  # fmt: skip
    return _language_model(model, generation, batch, {})


def mixtral(
    *,
    vocabulary: Size,
    width: Size,
    layers: Depth,
    heads: Size,
    kv_heads: Size,
    feed_forward_size: Size,
    max_positions: Size,
    experts: Size,
    experts_per_token: Size,
    routing_spread: Share,
    generation: Generation,
    batch: Size = 1,
) -> Graph:
    """Mixtral (Jiang et al. 2024): Llama's layers, each with a router that sends every token to some of the experts.

    Raises:
        InputError: more experts a token than there are.
    """
    check_at_most("mixtral", "experts_per_token", experts_per_token, "experts", experts)
    split = heads_of("mixtral", width, heads, kv_heads)
    rows = batch * (generation.tokens if generation.phase == "prefill" else 1)
    mixture = Experts(experts, experts_per_token, feed_forward_size, routing_spread)

    def layer(build: CachingBuilder, name: str, source: str, table: str) -> str:
        here = _rotary_attention(build, f"{name}.attention", source, table, split)
        wide = build.norm(f"{name}.feed_forward.norm", here, "rms_norm")
        wide = add_experts(build, f"{name}.feed_forward", wide, mixture)
        return build.add_residual(f"{name}.feed_forward", wide, here)

    model = _Model(
        name="mixtral", vocabulary=vocabulary, width=width, layers=layers, max_positions=max_positions, layer=layer,
        norm="rms_norm", rotated=split.size,
    )  # fmt: skip
    return _language_model(model, generation, batch, {"experts_read": mixture.read(rows)})


def _language_model(model: _Model, generation: Generation, batch: int, figures: dict[str, float]) -> Graph:
    prefill = generation.phase == "prefill"
    field, positions = ("tokens", generation.tokens) if prefill else ("context", generation.context)
    check_at_most(model.name, field, positions, "max_positions", model.max_positions)
    new = generation.tokens if prefill else generation.new_tokens
    figures = {"tokens_per_execution": batch * new, **figures}
    if prefill:
        build = CachingBuilder()
        tokens = build.input("tokens", (batch, generation.tokens))
        here = _layers(build, model, tokens, (batch, generation.tokens, model.width))
        if generation.logits == "last" and generation.tokens > 1:
            (here,) = build.move("last", "slice", [here], (batch, 1, model.width))
        logits = _head(build, model, here)
        return build.graph(model.name, [logits, *build.written], batch=batch, figures=figures)
    body, outer = CachingBuilder(generation.context), CachingBuilder()
    here = _layers(body, model, body.last_token(batch), (batch, 1, model.width))
    token = body.best_token(_head(body, model, here))
    made = add_decode_loop(outer, body, token, generation.new_tokens)
    return outer.graph(model.name, [made], batch=batch, figures=figures)


def _layers(build: CachingBuilder, model: _Model, tokens: str, shape: tuple[int, ...]) -> str:
    """Embedding and all layers."""
    here, table = build.embedding("embedding", model.vocabulary, model.width, tokens, shape), ""
    if model.rotated:
        table = build.tensor("rotation", (2, shape[1], model.rotated // 2), "constant")
    else:
        here = build.add_positions("positions", here, model.max_positions)
    for index in range(model.layers):
        here = model.layer(build, f"layer.{index}", here, table)
    return build.norm("norm", here, model.norm)


def _head(build: CachingBuilder, model: _Model, here: str) -> str:
    if model.tied:
        return build.tied("head", here, "embedding.weight")
    return build.matmul("head", here, model.vocabulary, bias=False)


def _rotary_attention(build: CachingBuilder, name: str, source: str, table: str, heads: Heads) -> str:
    """RMS norm, attention with rotary positions (Su et al. 2021, arXiv 2104.09864) and the residual add."""
    width = build.shape(source)[-1]
    here = build.norm(f"{name}.norm", source, "rms_norm")
    queries = build.matmul(f"{name}.query", here, width, bias=False)
    queries = build.elementwise(f"{name}.query_rotation", "rope", queries, table)
    keys = build.matmul(f"{name}.key", here, heads.keys * heads.size, bias=False)
    keys = build.elementwise(f"{name}.key_rotation", "rope", keys, table)
    values = build.matmul(f"{name}.value", here, heads.keys * heads.size, bias=False)
    here = _cached_attention(build, name, queries, keys, values, heads)
    return build.add_residual(name, build.matmul(f"{name}.output", here, width, bias=False), source)


def _cached_attention(build: CachingBuilder, name: str, queries: str, keys: str, values: str, heads: Heads) -> str:
    """Attention through the caches ``{name}.k_cache`` and ``{name}.v_cache``."""
    rows = build.shape(queries)[1]
    keys = build.cached_keys(f"{name}.k_cache", keys, heads)
    values = build.cached_values(f"{name}.v_cache", values, heads)
    return build.attend(name, queries, keys, values, heads, causal=rows > 1)

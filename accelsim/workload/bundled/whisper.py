"""Whisper (Radford et al. 2022, arXiv 2212.04356): the encoder of a 30 s window, and the decoder that reads it."""

from __future__ import annotations

from typing import Literal

from accelsim.workload.bundled.caches import CachingBuilder, add_decode_loop
from accelsim.workload.bundled.parameters import Depth, Size
from accelsim.workload.bundled.transformer import Heads, TransformerBuilder, check_at_most, heads_of
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Conv

__all__ = ["whisper"]

_FRAMES_PER_S = 100
_STRIDE = 2
_KERNEL = 3
_EXPANSION = 4


def whisper(
    *,
    part: Literal["encoder", "decoder"],
    frames: Size,
    mel_bins: Size,
    width: Size,
    layers: Depth,
    heads: Size,
    vocabulary: Size,
    max_frames: Size,
    max_positions: Size,
    context: Size,
    new_tokens: Size,
    batch: Size = 1,
) -> Graph:
    """One half of Whisper on windows of ``frames`` spectra.

    ``encoder``: two convolutions over time, the second with stride 2, and transformer layers. ``decoder``: keys and
    values of the encoder's output for every layer, then ``new_tokens`` greedy steps that read ``context`` rows of
    their own cache. The halves share no weights; together they have the model's parameters.
    """
    check_at_most("whisper", "frames", frames, "max_frames", max_frames)
    split = heads_of("whisper", width, heads)
    audio_s = batch * frames / _FRAMES_PER_S
    if part == "encoder":
        build = TransformerBuilder()
        here = _encoder(build, (batch, mel_bins, frames), width, max_frames)
        for index in range(layers):
            here = _encoder_layer(build, f"layer.{index}", here, split)
        return build.graph("whisper", [build.norm("norm", here)], batch=batch, audio_s=audio_s)
    check_at_most("whisper", "context", context, "max_positions", max_positions)
    outer, step = CachingBuilder(), CachingBuilder(context)
    rows = -(-frames // _STRIDE)
    encoded = outer.input("encoded", (batch, rows, width))
    for index in range(layers):
        _add_cross_caches(outer, f"layer.{index}.cross", encoded, split)
    here = step.embedding("embedding", vocabulary, width, step.last_token(batch), (batch, 1, width))
    here = step.add_positions("positions", here, max_positions)
    for index in range(layers):
        here = _decoder_layer(step, f"layer.{index}", here, split, rows)
    token = step.best_token(step.tied("head", step.norm("norm", here), "embedding.weight"))
    tokens = add_decode_loop(outer, step, token, new_tokens)
    figures = {"tokens_per_execution": batch * new_tokens}
    return outer.graph("whisper", [tokens], batch=batch, audio_s=audio_s, figures=figures)


def _encoder(build: TransformerBuilder, shape: tuple[int, int, int], width: int, max_frames: int) -> str:
    """(batch, mel_bins, frames) to (batch, frames / 2, width): two convolutions over time, and positions."""
    here = build.input("spectra", shape)
    for name, stride in (("conv1", 1), ("conv2", _STRIDE)):
        here = build.elementwise(f"{name}.gelu", "gelu", _conv_over_time(build, name, here, width, stride))
    batch, _, rows = build.shape(here)
    (here,) = build.move("rows", "transpose", [here], (batch, rows, width))
    return build.add_positions("positions", here, max_frames // _STRIDE)


def _conv_over_time(build: TransformerBuilder, name: str, source: str, channels: int, stride: int) -> str:
    batch, in_channels, size = build.shape(source)
    out_size = (size - 1) // stride + 1
    weight = build.tensor(f"{name}.weight", (channels, in_channels, _KERNEL), "weight")
    bias = build.tensor(f"{name}.bias", (channels,), "weight")
    made = build.tensor(f"{name}.output", (batch, channels, out_size))
    op = Conv(
        name=name, inputs=(source, weight, bias), outputs=(made,), batch=batch, in_channels=in_channels,
        out_channels=channels, input_size=(size,), output_size=(out_size,), kernel=(_KERNEL,), stride=(stride,),
        padding=(_KERNEL // 2,),
    )  # fmt: skip
    build.ops.append(op)
    return made


def _encoder_layer(build: TransformerBuilder, name: str, source: str, heads: Heads) -> str:
    width = build.shape(source)[-1]
    here = build.norm(f"{name}.attention.norm", source)
    queries = build.matmul(f"{name}.attention.query", here, width)
    keys, values = _keys_and_values(build, f"{name}.attention", here)
    keys = build.keys(f"{name}.attention.keys", keys, heads)
    values = build.values(f"{name}.attention.values", values, heads)
    here = build.attend(f"{name}.attention", queries, keys, values, heads)
    here = build.add_residual(f"{name}.attention", build.matmul(f"{name}.attention.output", here, width), source)
    return _feed_forward(build, name, here)


def _keys_and_values(build: TransformerBuilder, name: str, source: str) -> tuple[str, str]:
    """Projections of whole width, of which that of the keys has no bias."""
    width = build.shape(source)[-1]
    return build.matmul(f"{name}.key", source, width, bias=False), build.matmul(f"{name}.value", source, width)


def _add_cross_caches(build: CachingBuilder, name: str, encoded: str, heads: Heads) -> None:
    """Keys and values of the encoder's output, which every step of the decoder reads."""
    keys, values = _keys_and_values(build, name, encoded)
    build.cached_keys(f"{name}.k_cache", keys, heads)
    build.cached_values(f"{name}.v_cache", values, heads)


def _decoder_layer(build: CachingBuilder, name: str, source: str, heads: Heads, rows: int) -> str:
    """Attention to the decoder's own tokens, attention to the ``rows`` of the encoder, feed-forward layers."""
    batch, _, width = build.shape(source)
    here = build.norm(f"{name}.attention.norm", source)
    queries = build.matmul(f"{name}.attention.query", here, width)
    keys, values = _keys_and_values(build, f"{name}.attention", here)
    keys = build.cached_keys(f"{name}.attention.k_cache", keys, heads)
    values = build.cached_values(f"{name}.attention.v_cache", values, heads)
    here = build.attend(f"{name}.attention", queries, keys, values, heads)
    own = build.add_residual(f"{name}.attention", build.matmul(f"{name}.attention.output", here, width), source)
    queries = build.matmul(f"{name}.cross.query", build.norm(f"{name}.cross.norm", own), width)
    keys = build.held(f"{name}.cross.k_cache", (batch, heads.keys, heads.size, rows))
    values = build.held(f"{name}.cross.v_cache", (batch, heads.keys, rows, heads.size))
    here = build.attend(f"{name}.cross", queries, keys, values, heads)
    here = build.add_residual(f"{name}.cross", build.matmul(f"{name}.cross.output", here, width), own)
    return _feed_forward(build, name, here)


def _feed_forward(build: TransformerBuilder, name: str, source: str) -> str:
    here = build.norm(f"{name}.feed_forward.norm", source)
    here = build.feed_forward(f"{name}.feed_forward", here, _EXPANSION * build.shape(source)[-1])
    return build.add_residual(f"{name}.feed_forward", here, source)

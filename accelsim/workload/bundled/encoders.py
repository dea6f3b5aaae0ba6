"""Transformer encoders: BERT for text, ViT for images."""

from __future__ import annotations

from accelsim.errors import InputError
from accelsim.workload.bundled.parameters import Depth, Size
from accelsim.workload.bundled.transformer import Heads, TransformerBuilder, check_at_most, heads_of
from accelsim.workload.graph import Graph

__all__ = ["bert", "vit"]


def bert(
    *,
    tokens: Size,
    vocabulary: Size,
    width: Size,
    layers: Depth,
    heads: Size,
    feed_forward_size: Size,
    max_positions: Size,
    segments: Size,
    batch: Size = 1,
) -> Graph:
    """BERT (Devlin et al. 2018) with its pooler over (batch, tokens): normalised after each residual add, GELU.

    Sequences are full, so no scores are masked. A task's own head comes on top and is not part of it.
    """
    check_at_most("bert", "tokens", tokens, "max_positions", max_positions)
    split = heads_of("bert", width, heads)
    build = TransformerBuilder()
    shape = (batch, tokens, width)
    here = build.embedding("embedding", vocabulary, width, build.input("tokens", (batch, tokens)), shape)
    segment = build.embedding("segment", segments, width, build.input("segments", (batch, tokens)), shape)
    here = build.add_positions("positions", build.elementwise("segment.add", "add", here, segment), max_positions)
    here = build.norm("norm", here)
    for index in range(layers):
        name = f"layer.{index}"
        branch = build.self_attention(f"{name}.attention", here, split)
        here = build.norm(f"{name}.attention.norm", build.add_residual(f"{name}.attention", branch, here))
        branch = build.feed_forward(f"{name}.feed_forward", here, feed_forward_size)
        here = build.norm(f"{name}.feed_forward.norm", build.add_residual(f"{name}.feed_forward", branch, here))
    (first,) = build.move("pooler.first", "slice", [here], (batch, width))
    pooled = build.elementwise("pooler.tanh", "tanh", build.matmul("pooler", first, width))
    return build.graph("bert", [here, pooled], batch=batch)


def vit(
    *,
    image_size: Size,
    patch_size: Size,
    width: Size,
    layers: Depth,
    heads: Size,
    feed_forward_size: Size,
    classes: Size,
    batch: Size = 1,
) -> Graph:
    """Vision transformer (Dosovitskiy et al. 2021) on (batch, 3, image_size, image_size), as torchvision builds it.

    Raises:
        InputError: patches that do not tile the image.
    """
    if image_size % patch_size:
        rule = f"must divide image_size = {image_size}"
        raise InputError(rule, file="workload vit", field="patch_size", value=patch_size)
    split = heads_of("vit", width, heads)
    build = TransformerBuilder()
    image = build.input("image", (batch, 3, image_size, image_size))
    here = build.conv("patches", image, width, patch_size, stride=patch_size, bias=True)
    count = (image_size // patch_size) ** 2
    (here,) = build.move("patches.rows", "transpose", [here], (batch, count, width), view=True)
    class_token = build.tensor("class_token", (1, 1, width), "weight")
    (here,) = build.move("class_token.concat", "concat", [here, class_token], (batch, count + 1, width))
    here = build.add_positions("positions", here, count + 1)
    for index in range(layers):
        here = _vit_layer(build, f"layer.{index}", here, split, feed_forward_size)
    (first,) = build.move("class", "slice", [build.norm("norm", here)], (batch, width))
    return build.graph("vit", [build.matmul("head", first, classes)], batch=batch)


def _vit_layer(build: TransformerBuilder, name: str, source: str, heads: Heads, hidden: int) -> str:
    """Normalised before attention and before the feed-forward layers; one projection for queries, keys and values."""
    width = build.shape(source)[-1]
    here = build.matmul(f"{name}.attention.qkv", build.norm(f"{name}.attention.norm", source), 3 * width)
    queries, keys, values = build.split(f"{name}.attention.split", here, 3)
    keys = build.keys(f"{name}.attention.keys", keys, heads)
    values = build.values(f"{name}.attention.values", values, heads)
    here = build.attend(f"{name}.attention", queries, keys, values, heads)
    here = build.add_residual(f"{name}.attention", build.matmul(f"{name}.attention.output", here, width), source)
    wide = build.feed_forward(f"{name}.feed_forward", build.norm(f"{name}.feed_forward.norm", here), hidden)
    return build.add_residual(f"{name}.feed_forward", wide, here)

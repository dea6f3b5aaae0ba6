"""Networks for images of today's kind, in stages of shrinking size: Swin and ConvNeXt, as torchvision builds them."""

from __future__ import annotations

from accelsim.errors import InputError
from accelsim.workload.bundled.parameters import Size
from accelsim.workload.bundled.transformer import Heads, TransformerBuilder
from accelsim.workload.bundled.vision import check_image
from accelsim.workload.graph import Graph

__all__ = ["convnext_t", "swin_t"]

_PATCH = 4

_SWIN_WIDTHS, _SWIN_DEPTHS, _SWIN_HEADS = (96, 192, 384, 768), (2, 2, 6, 2), (3, 6, 12, 24)
"""Swin-T: section 3.3 of Liu et al., ICCV 2021, arXiv 2103.14030."""
_WINDOW, _WIDENING = 7, 4

_NEXT_WIDTHS, _NEXT_DEPTHS = (96, 192, 384, 768), (3, 3, 9, 3)
"""ConvNeXt-T: section 3 of Liu et al., CVPR 2022, arXiv 2201.03545."""
_NEXT_KERNEL, _NEXT_SMALLEST_IMAGE = 7, 32


def swin_t(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """Swin-T on (batch, 3, image_size, image_size): attention in windows of 7x7, every second layer's shifted by 3.

    Raises:
        InputError: an image that the windows of some stage do not tile.
    """
    stride = _PATCH * 2 ** (len(_SWIN_WIDTHS) - 1) * _WINDOW
    if image_size % stride:
        raise InputError(f"must be a multiple of {stride}, so that windows tile every stage", file="workload swin-t",
                         field="image_size", value=image_size)  # fmt: skip
    build = TransformerBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    side = image_size // _PATCH
    here = build.conv("patches", here, _SWIN_WIDTHS[0], _PATCH, stride=_PATCH, bias=True)
    (here,) = build.move("patches.rows", "transpose", [here], (batch, side * side, _SWIN_WIDTHS[0]), view=True)
    here = build.norm("patches.norm", here)
    for stage, (depth, heads) in enumerate(zip(_SWIN_DEPTHS, _SWIN_HEADS, strict=True)):
        if stage:
            here, side = _merged(build, f"merge.{stage}", here), side // 2
        for index in range(depth):
            shifted = index % 2 == 1 and side > _WINDOW
            here = _swin_layer(build, f"stage{stage}.{index}", here, side, heads, shifted)
    here = build.norm("norm", here)
    here = build.reduce("avgpool", "mean", here, (batch, _SWIN_WIDTHS[-1]))
    return build.graph("swin-t", [build.matmul("head", here, classes)], batch=batch)


def _swin_layer(build: TransformerBuilder, name: str, source: str, side: int, heads: int, shifted: bool) -> str:
    batch, rows, width = build.shape(source)
    here = build.norm(f"{name}.attention.norm", source)
    if shifted:
        (here,) = build.move(f"{name}.attention.shift", "roll", [here], (batch, rows, width))
    windows = batch * (side // _WINDOW) ** 2
    inside = (windows, _WINDOW**2, width)
    (here,) = build.move(f"{name}.attention.windows", "transpose", [here], inside)
    here = build.matmul(f"{name}.attention.qkv", here, 3 * width)
    split = Heads(heads, heads, width // heads)
    queries, keys, values = build.split(f"{name}.attention.split", here, 3)
    keys = build.keys(f"{name}.attention.keys", keys, split)
    values = build.values(f"{name}.attention.values", values, split)
    places = _relative_positions(build, f"{name}.attention.positions", heads)
    attention = f"{name}.attention"
    here = build.attend(attention, queries, keys, values, split, position_scores=places, causal=shifted)
    here = build.matmul(f"{attention}.output", here, width)
    (here,) = build.move(f"{attention}.rows", "transpose", [here], (batch, rows, width))
    if shifted:
        (here,) = build.move(f"{attention}.unshift", "roll", [here], (batch, rows, width))
    here = build.add_residual(attention, here, source)
    wide = build.feed_forward(f"{name}.feed_forward", build.norm(f"{name}.feed_forward.norm", here), _WIDENING * width)
    return build.add_residual(f"{name}.feed_forward", wide, here)


def _relative_positions(build: TransformerBuilder, name: str, heads: int) -> str:
    """A score for each pair of places in a window, from a table by their distance; the same in all windows."""
    table = build.tensor(f"{name}.weight", ((2 * _WINDOW - 1) ** 2, heads), "weight")
    return build.move(name, "gather", [table], (1, heads, _WINDOW**2, _WINDOW**2))[0]


def _merged(build: TransformerBuilder, name: str, source: str) -> str:
    """The four patches of each 2x2 square side by side, and half of that width."""
    batch, rows, width = build.shape(source)
    (here,) = build.move(f"{name}.concat", "concat", [source], (batch, rows // 4, 4 * width))
    return build.matmul(name, build.norm(f"{name}.norm", here), 2 * width, bias=False)


def convnext_t(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """ConvNeXt-T on (batch, 3, image_size, image_size). Normalisations read the channels of each pixel."""
    check_image("convnext-t", image_size, _NEXT_SMALLEST_IMAGE, "five")
    build = TransformerBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    for stage, (width, depth) in enumerate(zip(_NEXT_WIDTHS, _NEXT_DEPTHS, strict=True)):
        name = f"downsample.{stage}"
        if stage:
            here = _pixels(build, f"{name}.norm", here)
            here = build.conv(name, here, width, 2, stride=2, bias=True)
        else:
            here = build.conv(name, here, width, _PATCH, stride=_PATCH, bias=True)
            here = _pixels(build, f"{name}.norm", here)
        for index in range(depth):
            here = _next_block(build, f"stage{stage}.{index}", here)
    here = build.reduce("avgpool", "mean", here, (batch, _NEXT_WIDTHS[-1]))
    return build.graph("convnext-t", [build.matmul("head", build.norm("norm", here), classes)], batch=batch)


def _next_block(build: TransformerBuilder, name: str, source: str) -> str:
    """A depthwise convolution, a feed-forward layer of each pixel, a scale of each channel; added to the source."""
    batch, width, *size = build.shape(source)
    here = build.conv(f"{name}.depthwise", source, width, _NEXT_KERNEL, padding=_NEXT_KERNEL // 2, groups=width,
                      bias=True)  # fmt: skip
    rows = (batch, size[0] * size[1], width)
    (here,) = build.move(f"{name}.rows", "transpose", [here], rows, view=True)
    here = build.norm(f"{name}.norm", here)
    here = build.feed_forward(f"{name}.feed_forward", here, _WIDENING * width)
    (here,) = build.move(f"{name}.image", "transpose", [here], (batch, width, *size), view=True)
    scale = build.tensor(f"{name}.scale.weight", (width, 1, 1), "weight")
    here = build.elementwise(f"{name}.scale", "mul", here, scale)
    return build.add_residual(name, here, source)


def _pixels(build: TransformerBuilder, name: str, source: str) -> str:
    """Normalise the channels of each pixel of (batch, channels, height, width)."""
    batch, width, *size = build.shape(source)
    (here,) = build.move(f"{name}.rows", "transpose", [source], (batch, size[0] * size[1], width), view=True)
    return build.move(f"{name}.image", "transpose", [build.norm(name, here)], (batch, width, *size), view=True)[0]

"""Networks for images that join layers by concatenation: DenseNet-121 and Inception v3, as torchvision builds them."""

from __future__ import annotations

from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.parameters import Size
from accelsim.workload.bundled.vision import check_image, conv_norm, max_pool, pool
from accelsim.workload.graph import Graph

__all__ = ["densenet_121", "inception_v3"]

_SMALLEST_IMAGE = 32
_INCEPTION_SMALLEST_IMAGE = 75

_GROWTH, _BOTTLENECK, _DENSE_FIRST = 32, 4, 64
_DENSE_BLOCKS = (6, 12, 24, 16)
"""Table 1 of Huang et al., CVPR 2017, arXiv 1608.06993."""

_Step = tuple[int, int | tuple[int, int], bool]  # channels, kernel, whether it keeps the size
_POOL_CHANNELS = (32, 64, 64)
_FACTORED = (128, 160, 160, 192)
"""Channels of the 7x7 convolutions that are factored, in the four blocks at 17x17 (Szegedy et al. 2015)."""


def densenet_121(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """DenseNet-121 on (batch, 3, image_size, image_size).

    A normalisation behind a convolution is folded into it. One that reads a concatenation cannot be: it is a scale and
    shift of its own.
    """
    check_image("densenet-121", image_size, _SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = build.elementwise("relu0", "relu", conv_norm(build, "conv0", "norm0", here, _DENSE_FIRST, 7, stride=2))
    here = max_pool(build, "pool0", here, kernel=3, stride=2, padding=1)
    for block, layers in enumerate(_DENSE_BLOCKS, start=1):
        for index in range(1, layers + 1):
            here = _dense_layer(build, f"block{block}.layer{index}", here)
        if block < len(_DENSE_BLOCKS):
            here = _normalised(build, f"transition{block}", here)
            here = build.conv(f"transition{block}.conv", here, build.shape(here)[1] // 2, 1)
            here = pool(build, f"transition{block}.pool", "average_pool", here, 2, 2)
    here = _normalised(build, "last", here)
    here = build.reduce("avgpool", "mean", here, build.shape(here)[:2])
    return build.graph("densenet-121", [build.matmul("classifier", here, classes)], batch=batch)


def _dense_layer(build: GraphBuilder, name: str, source: str) -> str:
    """What the layer makes, behind all that it reads."""
    here = _normalised(build, name, source)
    here = conv_norm(build, f"{name}.conv1", f"{name}.norm2", here, _BOTTLENECK * _GROWTH, 1)
    here = build.conv(f"{name}.conv2", build.elementwise(f"{name}.relu2", "relu", here), _GROWTH, 3, padding=1)
    return _concat(build, f"{name}.concat", source, here)


def _normalised(build: GraphBuilder, name: str, source: str) -> str:
    scale_shift = build.tensor(f"{name}.norm.weight", (2, build.shape(source)[1]), "weight")
    here = build.elementwise(f"{name}.norm", "scale_shift", source, scale_shift)
    return build.elementwise(f"{name}.relu", "relu", here)


def inception_v3(*, image_size: Size, classes: Size, auxiliary: bool, batch: Size = 1) -> Graph:
    """Inception v3 on (batch, 3, image_size, image_size).

    ``auxiliary`` adds the second classifier, which training uses and inference leaves out.
    """
    check_image("inception-v3", image_size, _INCEPTION_SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = _conv(build, "conv1a", here, 32, 3, stride=2, padded=False)
    here = _chain(build, "conv2", here, (32, 3, False), (64, 3, True))
    here = max_pool(build, "pool1", here, kernel=3, stride=2, padding=0)
    here = _chain(build, "conv3", here, (80, 1, True), (192, 3, False))
    here = max_pool(build, "pool2", here, kernel=3, stride=2, padding=0)
    for index, channels in enumerate(_POOL_CHANNELS):
        here = _at_35(build, f"mixed5{'bcd'[index]}", here, channels)
    here = _to_17(build, "mixed6a", here)
    for index, channels in enumerate(_FACTORED):
        here = _at_17(build, f"mixed6{'bcde'[index]}", here, channels)
    outputs = [_auxiliary(build, here, classes)] if auxiliary else []
    here = _to_8(build, "mixed7a", here)
    for name in ("mixed7b", "mixed7c"):
        here = _at_8(build, name, here)
    here = build.reduce("avgpool", "mean", here, build.shape(here)[:2])
    return build.graph("inception-v3", [build.matmul("fc", here, classes), *outputs], batch=batch)


def _at_35(build: GraphBuilder, name: str, source: str, pool_channels: int) -> str:
    return _concat(
        build, f"{name}.concat",
        _chain(build, f"{name}.branch1x1", source, (64, 1, True)),
        _chain(build, f"{name}.branch5x5", source, (48, 1, True), (64, 5, True)),
        _chain(build, f"{name}.branch3x3dbl", source, (64, 1, True), (96, 3, True), (96, 3, True)),
        _pooled(build, name, source, pool_channels),
    )  # fmt: skip


def _to_17(build: GraphBuilder, name: str, source: str) -> str:
    double = _chain(build, f"{name}.branch3x3dbl", source, (64, 1, True), (96, 3, True))
    return _concat(
        build, f"{name}.concat",
        _conv(build, f"{name}.branch3x3", source, 384, 3, stride=2, padded=False),
        _conv(build, f"{name}.branch3x3dbl.last", double, 96, 3, stride=2, padded=False),
        max_pool(build, f"{name}.pool", source, kernel=3, stride=2, padding=0),
    )  # fmt: skip


def _at_17(build: GraphBuilder, name: str, source: str, channels: int) -> str:
    wide, high = (1, 7), (7, 1)
    double: tuple[_Step, ...] = ((channels, high, True), (channels, wide, True)) * 2
    return _concat(
        build, f"{name}.concat",
        _chain(build, f"{name}.branch1x1", source, (192, 1, True)),
        _chain(build, f"{name}.branch7x7", source, (channels, 1, True), (channels, wide, True), (192, high, True)),
        _chain(build, f"{name}.branch7x7dbl", source, (channels, 1, True), *double[:-1], (192, wide, True)),
        _pooled(build, name, source, 192),
    )  # fmt: skip


def _to_8(build: GraphBuilder, name: str, source: str) -> str:
    three = _chain(build, f"{name}.branch3x3", source, (192, 1, True))
    seven = _chain(build, f"{name}.branch7x7x3", source, (192, 1, True), (192, (1, 7), True), (192, (7, 1), True))
    return _concat(
        build, f"{name}.concat",
        _conv(build, f"{name}.branch3x3.last", three, 320, 3, stride=2, padded=False),
        _conv(build, f"{name}.branch7x7x3.last", seven, 192, 3, stride=2, padded=False),
        max_pool(build, f"{name}.pool", source, kernel=3, stride=2, padding=0),
    )  # fmt: skip


def _at_8(build: GraphBuilder, name: str, source: str) -> str:
    three = _chain(build, f"{name}.branch3x3", source, (384, 1, True))
    double = _chain(build, f"{name}.branch3x3dbl", source, (448, 1, True), (384, 3, True))
    return _concat(
        build, f"{name}.concat",
        _chain(build, f"{name}.branch1x1", source, (320, 1, True)),
        *_both_ways(build, f"{name}.branch3x3", three),
        *_both_ways(build, f"{name}.branch3x3dbl", double),
        _pooled(build, name, source, 192),
    )  # fmt: skip


def _both_ways(build: GraphBuilder, name: str, source: str) -> tuple[str, str]:
    """A 3x3 convolution in two halves, side by side."""
    return _conv(build, f"{name}.wide", source, 384, (1, 3)), _conv(build, f"{name}.high", source, 384, (3, 1))


def _auxiliary(build: GraphBuilder, source: str, classes: int) -> str:
    here = pool(build, "auxiliary.pool", "average_pool", source, 5, 3)
    here = _conv(build, "auxiliary.conv0", here, 128, 1)
    here = _conv(build, "auxiliary.conv1", here, 768, 5, padded=False)
    here = build.reduce("auxiliary.avgpool", "mean", here, build.shape(here)[:2])
    return build.matmul("auxiliary.fc", here, classes)


def _pooled(build: GraphBuilder, name: str, source: str, channels: int) -> str:
    here = pool(build, f"{name}.pool", "average_pool", source, 3, 1, 1)
    return _conv(build, f"{name}.branch_pool", here, channels, 1)


def _chain(build: GraphBuilder, name: str, source: str, *steps: _Step) -> str:
    here = source
    for index, (channels, kernel, padded) in enumerate(steps, start=1):
        here = _conv(build, f"{name}.{index}" if len(steps) > 1 else name, here, channels, kernel, padded=padded)
    return here


def _conv(
    build: GraphBuilder, name: str, source: str, channels: int, kernel: int | tuple[int, int], *, stride: int = 1,
    padded: bool = True,
) -> str:  # fmt: skip
    here = conv_norm(build, name, f"{name}.bn", source, channels, kernel, stride=stride, padded=padded)
    return build.elementwise(f"{name}.relu", "relu", here)


def _concat(build: GraphBuilder, name: str, *sources: str) -> str:
    """Channels one behind the other."""
    batch, _, *size = build.shape(sources[0])
    channels = sum(build.shape(each)[1] for each in sources)
    return build.move(name, "concat", sources, (batch, channels, *size))[0]

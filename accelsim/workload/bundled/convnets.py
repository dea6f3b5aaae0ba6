"""Networks for images that are chains, or almost: AlexNet, VGG, SqueezeNet, MobileNetV2, as torchvision builds them."""

from __future__ import annotations

from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.parameters import Size
from accelsim.workload.bundled.vision import check_image, conv_norm, max_pool, pool
from accelsim.workload.graph import Graph

__all__ = ["alexnet", "mobilenet_v2", "squeezenet", "vgg_16", "vgg_19"]

_SMALLEST_IMAGE = 32

_ALEXNET = ((64, 11, 4, 2, True), (192, 5, 1, 2, True), (384, 3, 1, 1, False), (256, 3, 1, 1, False),
            (256, 3, 1, 1, True))  # fmt: skip
"""Channels, kernel, stride, padding, and whether a pool follows: section 2 of Krizhevsky 2014, arXiv 1404.5997."""
_ALEXNET_POOLED = 6
_ALEXNET_SMALLEST_IMAGE = 63

_VGG_CHANNELS = (64, 128, 256, 512, 512)
_HIDDEN = 4096
_VGG_POOLED = 7

_FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
"""Squeeze and expand channels of SqueezeNet 1.1; a pool stands before the first, third and fifth."""
_SQUEEZENET_SMALLEST_IMAGE = 17

_MOBILENET_FIRST, _MOBILENET_LAST = 32, 1280
_MOBILENET_STAGES = (
    # expansion, channels, blocks, stride of the first block
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Table 2 of Sandler et al., CVPR 2018."""


def alexnet(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """AlexNet in one column on (batch, 3, image_size, image_size)."""
    check_image("alexnet", image_size, _ALEXNET_SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    for index, (channels, kernel, stride, padding, pooled) in enumerate(_ALEXNET, start=1):
        here = build.conv(f"conv{index}", here, channels, kernel, stride=stride, padding=padding, bias=True)
        here = build.elementwise(f"relu{index}", "relu", here)
        if pooled:
            here = max_pool(build, f"pool{index}", here, kernel=3, stride=2, padding=0)
    return build.graph("alexnet", [_classified(build, here, _ALEXNET_POOLED, classes)], batch=batch)


def vgg_16(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """VGG-16 (configuration D) without batch normalisation on (batch, 3, image_size, image_size).

    The last feature map is averaged to 7x7 before the classifier; at 224 pixels it is 7x7 already.
    """
    return _vgg("vgg-16", (2, 2, 3, 3, 3), image_size, classes, batch)


def vgg_19(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """VGG-19 (configuration E), as `vgg_16`."""
    return _vgg("vgg-19", (2, 2, 4, 4, 4), image_size, classes, batch)


def _vgg(name: str, layers: tuple[int, ...], image_size: int, classes: int, batch: int) -> Graph:
    check_image(name, image_size, _SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    for stage, (channels, count) in enumerate(zip(_VGG_CHANNELS, layers, strict=True), start=1):
        for index in range(1, count + 1):
            here = build.conv(f"conv{stage}_{index}", here, channels, 3, padding=1, bias=True)
            here = build.elementwise(f"relu{stage}_{index}", "relu", here)
        here = max_pool(build, f"pool{stage}", here, kernel=2, stride=2, padding=0)
    return build.graph(name, [_classified(build, here, _VGG_POOLED, classes)], batch=batch)


def _classified(build: GraphBuilder, source: str, side: int, classes: int) -> str:
    """Three dense layers on the feature map, averaged to ``side`` x ``side``."""
    batch, channels = build.shape(source)[:2]
    here = source
    if build.shape(here)[2:] != (side, side):
        here = build.reduce("avgpool", "average_pool", here, (batch, channels, side, side))
    (here,) = build.move("flatten", "reshape", [here], (batch, channels * side**2), view=True)
    for name in ("fc6", "fc7"):
        here = build.elementwise(f"{name}.relu", "relu", build.matmul(name, here, _HIDDEN))
    return build.matmul("fc8", here, classes)


def squeezenet(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """SqueezeNet 1.1 on (batch, 3, image_size, image_size): eight fire modules, the classes from a 1x1 convolution."""
    check_image("squeezenet", image_size, _SQUEEZENET_SMALLEST_IMAGE, "four")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = _conv_relu(build, "conv1", build.conv("conv1", here, 64, 3, stride=2, bias=True))
    for index, (squeezed, expanded) in enumerate(_FIRES, start=2):
        if index in (2, 4, 6):
            here = pool(build, f"pool{index - 1}", "max_pool", here, 3, 2, partial=True)
        name = f"fire{index}"
        here = _conv_relu(build, name, build.conv(f"{name}.squeeze", here, squeezed, 1, bias=True))
        small = build.conv(f"{name}.expand1x1", here, expanded, 1, bias=True)
        large = build.conv(f"{name}.expand3x3", here, expanded, 3, padding=1, bias=True)
        small, large = _conv_relu(build, f"{name}.expand1x1", small), _conv_relu(build, f"{name}.expand3x3", large)
        shape = build.shape(small)
        (here,) = build.move(f"{name}.concat", "concat", [small, large], (batch, 2 * expanded, *shape[2:]))
    here = _conv_relu(build, "conv10", build.conv("conv10", here, classes, 1, bias=True))
    return build.graph("squeezenet", [build.reduce("avgpool", "mean", here, (batch, classes))], batch=batch)


def _conv_relu(build: GraphBuilder, name: str, made: str) -> str:
    return build.elementwise(f"{name}.relu", "relu", made)


def mobilenet_v2(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """MobileNetV2 of width 1 on (batch, 3, image_size, image_size); ReLU6 is a ``clip``."""
    check_image("mobilenet-v2", image_size, _SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = _conv_clip(build, "stem", here, _MOBILENET_FIRST, 3, stride=2)
    block = 0
    for expansion, channels, count, stride in _MOBILENET_STAGES:
        for index in range(count):
            here = _inverted_residual(build, f"block.{block}", here, channels, expansion, 1 if index else stride)
            block += 1
    here = _conv_clip(build, "last", here, _MOBILENET_LAST, 1)
    here = build.reduce("avgpool", "mean", here, (batch, _MOBILENET_LAST))
    return build.graph("mobilenet-v2", [build.matmul("classifier", here, classes)], batch=batch)


def _inverted_residual(build: GraphBuilder, name: str, source: str, channels: int, expansion: int, stride: int) -> str:
    """Expand by a 1x1 convolution, filter each channel by itself, project; added to the source where shapes agree."""
    hidden = build.shape(source)[1] * expansion
    here = _conv_clip(build, f"{name}.expand", source, hidden, 1) if expansion > 1 else source
    here = _conv_clip(build, f"{name}.depthwise", here, hidden, 3, stride=stride, groups=hidden)
    here = conv_norm(build, f"{name}.project", f"{name}.project.bn", here, channels, 1)
    if build.shape(here) != build.shape(source):
        return here
    return build.elementwise(f"{name}.add", "add", here, source)


def _conv_clip(
    build: GraphBuilder, name: str, source: str, channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> str:
    here = conv_norm(build, name, f"{name}.bn", source, channels, kernel, stride=stride, groups=groups)
    return build.elementwise(f"{name}.relu6", "clip", here)

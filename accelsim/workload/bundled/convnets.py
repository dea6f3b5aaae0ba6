"""Networks for images without residual stages of ResNet's kind: VGG-16 and MobileNetV2, as torchvision builds them."""

from __future__ import annotations

from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.parameters import Size
from accelsim.workload.bundled.vision import check_image, conv_norm, max_pool
from accelsim.workload.graph import Graph

__all__ = ["mobilenet_v2", "vgg_16"]

_SMALLEST_IMAGE = 32

_VGG_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_VGG_HIDDEN = 4096
_VGG_POOLED = 7

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


def vgg_16(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """VGG-16 (configuration D) without batch normalisation on (batch, 3, image_size, image_size).

    The last feature map is averaged to 7x7 before the classifier; at 224 pixels it is 7x7 already.
    """
    check_image("vgg-16", image_size, _SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    for stage, layers in enumerate(_VGG_STAGES, start=1):
        for index, channels in enumerate(layers, start=1):
            here = build.conv(f"conv{stage}_{index}", here, channels, 3, padding=1, bias=True)
            here = build.elementwise(f"relu{stage}_{index}", "relu", here)
        here = max_pool(build, f"pool{stage}", here, kernel=2, stride=2, padding=0)
    pooled = (batch, _VGG_STAGES[-1][-1], _VGG_POOLED, _VGG_POOLED)
    if build.shape(here) != pooled:
        here = build.reduce("avgpool", "average_pool", here, pooled)
    (here,) = build.move("flatten", "reshape", [here], (batch, pooled[1] * _VGG_POOLED**2), view=True)
    for name in ("fc6", "fc7"):
        here = build.elementwise(f"{name}.relu", "relu", build.matmul(name, here, _VGG_HIDDEN))
    return build.graph("vgg-16", [build.matmul("fc8", here, classes)], batch=batch)


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

"""Residual networks for images (He et al., CVPR 2016, arXiv 1512.03385), layer by layer as torchvision builds them.

Batch normalisation stands as an `Elementwise` op ``folded_batch_norm`` with its scale and shift as a weight
(2, channels), so that parameter counts are the published ones. At inference a compiler folds it into the
convolution before it: by definition it costs no vector work.
"""

from __future__ import annotations

from collections.abc import Callable

from accelsim.errors import InputError
from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.parameters import Size
from accelsim.workload.graph import Graph

__all__ = ["resnet_18", "resnet_50"]

_STAGE_CHANNELS = (64, 128, 256, 512)
_EXPANSION = 4
_SMALLEST_IMAGE = 32

_Block = Callable[[GraphBuilder, str, str, int, int], str]


def resnet_18(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """ResNet-18 on (batch, 3, image_size, image_size): two basic blocks of two 3x3 convolutions in each stage."""
    return _resnet("resnet-18", (2, 2, 2, 2), _basic_block, image_size, classes, batch)


def resnet_50(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """ResNet-50 v1.5 (a stage's stride is in its first 3x3 convolution) on (batch, 3, image_size, image_size)."""
    return _resnet("resnet-50", (3, 4, 6, 3), _bottleneck, image_size, classes, batch)


def _resnet(name: str, blocks: tuple[int, ...], block: _Block, image_size: int, classes: int, batch: int) -> Graph:
    if image_size < _SMALLEST_IMAGE:
        rule = f"must be {_SMALLEST_IMAGE} or more, because the network halves it five times"
        raise InputError(rule, file=f"workload {name}", field="image_size", value=image_size)
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = build.elementwise("relu", "relu", _conv_norm(build, "conv1", "bn1", here, 64, 7, stride=2))
    here = _max_pool(build, "maxpool", here, kernel=3, stride=2, padding=1)
    for stage, (channels, count) in enumerate(zip(_STAGE_CHANNELS, blocks, strict=True)):
        for index in range(count):
            stride = 2 if stage and not index else 1
            here = block(build, f"layer{stage + 1}.{index}", here, channels, stride)
    channels = build.shape(here)[1]
    here = build.reduce("avgpool", "mean", here, (batch, channels))
    return build.graph(name, [build.matmul("fc", here, classes)], batch=batch)


def _basic_block(build: GraphBuilder, name: str, source: str, channels: int, stride: int) -> str:
    here = _conv_norm(build, f"{name}.conv1", f"{name}.bn1", source, channels, 3, stride=stride)
    here = build.elementwise(f"{name}.relu1", "relu", here)
    here = _conv_norm(build, f"{name}.conv2", f"{name}.bn2", here, channels, 3)
    return _joined(build, name, source, here, stride)


def _bottleneck(build: GraphBuilder, name: str, source: str, channels: int, stride: int) -> str:
    here = _conv_norm(build, f"{name}.conv1", f"{name}.bn1", source, channels, 1)
    here = build.elementwise(f"{name}.relu1", "relu", here)
    here = _conv_norm(build, f"{name}.conv2", f"{name}.bn2", here, channels, 3, stride=stride)
    here = build.elementwise(f"{name}.relu2", "relu", here)
    here = _conv_norm(build, f"{name}.conv3", f"{name}.bn3", here, channels * _EXPANSION, 1)
    return _joined(build, name, source, here, stride)


def _joined(build: GraphBuilder, name: str, source: str, branch: str, stride: int) -> str:
    """The branch plus its skip connection, projected where the shapes differ."""
    skip = source
    if build.shape(source) != build.shape(branch):
        channels = build.shape(branch)[1]
        skip = _conv_norm(build, f"{name}.downsample.conv", f"{name}.downsample.bn", source, channels, 1, stride=stride)
    return build.elementwise(f"{name}.relu", "relu", build.elementwise(f"{name}.add", "add", branch, skip))


def _conv_norm(
    build: GraphBuilder, conv: str, norm: str, source: str, channels: int, kernel: int, *, stride: int = 1
) -> str:
    here = build.conv(conv, source, channels, kernel, stride=stride, padding=kernel // 2)
    scale_shift = build.tensor(f"{norm}.weight", (2, channels), "weight")
    return build.elementwise(norm, "folded_batch_norm", here, scale_shift)


def _max_pool(build: GraphBuilder, name: str, source: str, *, kernel: int, stride: int, padding: int) -> str:
    batch, channels, *size = build.shape(source)
    height, width = ((side + 2 * padding - kernel) // stride + 1 for side in size)
    shape = (batch, channels, height, width)
    return build.reduce(name, "max_pool", source, shape, elements=batch * channels * height * width * kernel * kernel)

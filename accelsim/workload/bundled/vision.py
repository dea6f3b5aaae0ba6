"""Residual networks for images (He et al., CVPR 2016, arXiv 1512.03385).

Those for ImageNet are layer by layer as torchvision builds them, those for CIFAR as the paper's section 4.2 does.

Batch normalisation stands as an `Elementwise` op ``folded_batch_norm`` with its scale and shift as a weight
(2, channels), so that parameter counts are the published ones. At inference a compiler folds it into the
convolution before it: by definition it costs no vector work.
"""

from __future__ import annotations

from collections.abc import Callable

from accelsim.errors import InputError
from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.parameters import Depth, Size
from accelsim.workload.graph import Graph

__all__ = [
    "check_image", "cifar_resnet", "conv_norm", "max_pool", "pool", "resnet_18", "resnet_34", "resnet_50", "resnet_101",
]  # fmt: skip

_STAGE_CHANNELS = (64, 128, 256, 512)
_EXPANSION = 4
_SMALLEST_IMAGE = 32

_CIFAR_CHANNELS = (16, 32, 64)
_CIFAR_SMALLEST_IMAGE = 4
_CIFAR_LAYERS_OUTSIDE_BLOCKS = 2

_Block = Callable[[GraphBuilder, str, str, int, int], str]
_Shortcut = Callable[[GraphBuilder, str, str, int, int], str]


def resnet_18(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """ResNet-18 on (batch, 3, image_size, image_size): two basic blocks of two 3x3 convolutions in each stage."""
    return _resnet("resnet-18", (2, 2, 2, 2), _basic_block, image_size, classes, batch)


def resnet_34(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """ResNet-34 on (batch, 3, image_size, image_size): 3, 4, 6 and 3 basic blocks."""
    return _resnet("resnet-34", (3, 4, 6, 3), _basic_block, image_size, classes, batch)


def resnet_50(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """ResNet-50 v1.5 (a stage's stride is in its first 3x3 convolution) on (batch, 3, image_size, image_size)."""
    return _resnet("resnet-50", (3, 4, 6, 3), _bottleneck, image_size, classes, batch)


def resnet_101(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """ResNet-101 v1.5 on (batch, 3, image_size, image_size): 3, 4, 23 and 3 bottleneck blocks."""
    return _resnet("resnet-101", (3, 4, 23, 3), _bottleneck, image_size, classes, batch)


def cifar_resnet(*, depth: Depth, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """The CIFAR ResNet of ``depth`` = 6n + 2 layers on (batch, 3, image_size, image_size).

    Three stages of n basic blocks with 16, 32 and 64 channels. Shortcuts are of option A: where the shapes differ,
    every second pixel with zeros for the new channels, so that no shortcut has parameters.

    Raises:
        InputError: a depth that is not 6n + 2.
    """
    name = "cifar-resnet"
    blocks, rest = divmod(depth - _CIFAR_LAYERS_OUTSIDE_BLOCKS, 2 * len(_CIFAR_CHANNELS))
    if rest or blocks < 1:
        raise InputError("must be 6n + 2", file=f"workload {name}", field="depth", value=depth, remedy="such as 20, 32")
    check_image(name, image_size, _CIFAR_SMALLEST_IMAGE, "two")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = build.elementwise("relu", "relu", conv_norm(build, "conv1", "bn1", here, _CIFAR_CHANNELS[0], 3))
    for stage, channels in enumerate(_CIFAR_CHANNELS):
        for index in range(blocks):
            stride = 2 if stage and not index else 1
            here = _basic_block(build, f"layer{stage + 1}.{index}", here, channels, stride, shortcut=_padded)
    here = build.reduce("avgpool", "mean", here, (batch, _CIFAR_CHANNELS[-1]))
    return build.graph(name, [build.matmul("fc", here, classes)], batch=batch)


def check_image(name: str, image_size: int, smallest: int, times: str) -> None:
    """Refuse an image that the network would halve to less than a pixel."""
    if image_size < smallest:
        rule = f"must be {smallest} or more, because the network halves it {times} times"
        raise InputError(rule, file=f"workload {name}", field="image_size", value=image_size)


def _resnet(name: str, blocks: tuple[int, ...], block: _Block, image_size: int, classes: int, batch: int) -> Graph:
    check_image(name, image_size, _SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = build.elementwise("relu", "relu", conv_norm(build, "conv1", "bn1", here, 64, 7, stride=2))
    here = max_pool(build, "maxpool", here, kernel=3, stride=2, padding=1)
    for stage, (channels, count) in enumerate(zip(_STAGE_CHANNELS, blocks, strict=True)):
        for index in range(count):
            stride = 2 if stage and not index else 1
            here = block(build, f"layer{stage + 1}.{index}", here, channels, stride)
    channels = build.shape(here)[1]
    here = build.reduce("avgpool", "mean", here, (batch, channels))
    return build.graph(name, [build.matmul("fc", here, classes)], batch=batch)


def _projected(build: GraphBuilder, name: str, source: str, channels: int, stride: int) -> str:
    """Shortcut of option B: a 1x1 convolution."""
    return conv_norm(build, f"{name}.downsample.conv", f"{name}.downsample.bn", source, channels, 1, stride=stride)


def _padded(build: GraphBuilder, name: str, source: str, channels: int, stride: int) -> str:
    """Shortcut of option A: every ``stride``-th pixel, and zeros for the channels that are new."""
    batch, old, *size = build.shape(source)
    height, width = (-(-side // stride) for side in size)
    (here,) = build.move(f"{name}.shortcut.slice", "slice", [source], (batch, old, height, width))
    (here,) = build.move(f"{name}.shortcut.pad", "pad", [here], (batch, channels, height, width))
    return here


def _basic_block(
    build: GraphBuilder, name: str, source: str, channels: int, stride: int, shortcut: _Shortcut = _projected
) -> str:
    here = conv_norm(build, f"{name}.conv1", f"{name}.bn1", source, channels, 3, stride=stride)
    here = build.elementwise(f"{name}.relu1", "relu", here)
    here = conv_norm(build, f"{name}.conv2", f"{name}.bn2", here, channels, 3)
    return _joined(build, name, source, here, stride, shortcut)


def _bottleneck(build: GraphBuilder, name: str, source: str, channels: int, stride: int) -> str:
    here = conv_norm(build, f"{name}.conv1", f"{name}.bn1", source, channels, 1)
    here = build.elementwise(f"{name}.relu1", "relu", here)
    here = conv_norm(build, f"{name}.conv2", f"{name}.bn2", here, channels, 3, stride=stride)
    here = build.elementwise(f"{name}.relu2", "relu", here)
    here = conv_norm(build, f"{name}.conv3", f"{name}.bn3", here, channels * _EXPANSION, 1)
    return _joined(build, name, source, here, stride, _projected)


def _joined(build: GraphBuilder, name: str, source: str, branch: str, stride: int, shortcut: _Shortcut) -> str:
    """The branch plus its skip connection, which takes a ``shortcut`` where the shapes differ."""
    skip = source
    if build.shape(source) != build.shape(branch):
        skip = shortcut(build, name, source, build.shape(branch)[1], stride)
    return build.elementwise(f"{name}.relu", "relu", build.elementwise(f"{name}.add", "add", branch, skip))


def conv_norm(
    build: GraphBuilder, conv: str, norm: str, source: str, channels: int, kernel: int | tuple[int, int], *,
    stride: int = 1, groups: int = 1, padded: bool = True,
) -> str:  # fmt: skip
    """A convolution that keeps the size but for its stride (or is not ``padded``), and its folded batch norm."""
    high, wide = (kernel, kernel) if isinstance(kernel, int) else kernel
    edges = (high // 2, wide // 2) if padded else (0, 0)
    here = build.conv(conv, source, channels, kernel, stride=stride, padding=edges, groups=groups)
    scale_shift = build.tensor(f"{norm}.weight", (2, channels), "weight")
    return build.elementwise(norm, "folded_batch_norm", here, scale_shift)


def max_pool(build: GraphBuilder, name: str, source: str, *, kernel: int, stride: int, padding: int) -> str:
    """The largest value of each square window of (batch, channels, height, width)."""
    return pool(build, name, "max_pool", source, kernel, stride, padding)


def pool(
    build: GraphBuilder, name: str, function: str, source: str, kernel: int, stride: int, padding: int = 0, *,
    partial: bool = False,
) -> str:  # fmt: skip
    """One value of each square window of (batch, channels, height, width); ``partial`` ones at the end count too."""
    batch, channels, *size = build.shape(source)
    rest = stride - 1 if partial else 0
    height, width = ((side + 2 * padding - kernel + rest) // stride + 1 for side in size)
    shape = (batch, channels, height, width)
    return build.reduce(name, function, source, shape, elements=batch * channels * height * width * kernel * kernel)

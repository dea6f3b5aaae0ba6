"""Networks for small machines: MobileNetV3, EfficientNet-B0 and ShuffleNetV2, as torchvision builds them."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.parameters import Size
from accelsim.workload.bundled.vision import check_image, conv_norm, max_pool
from accelsim.workload.graph import Graph

__all__ = ["efficientnet_b0", "mobilenet_v3_large", "shufflenet_v2"]

_SMALLEST_IMAGE = 32

_LARGE = (
    # kernel, expanded channels, channels, squeeze and excitation, hard swish, stride
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
"""Table 1 of Howard et al., ICCV 2019, arXiv 1905.02244."""

_B0 = (
    # expansion, kernel, stride of the first block, channels, blocks
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
"""Table 1 of Tan and Le, ICML 2019, arXiv 1905.11946."""

_SHUFFLE_STAGES = ((116, 4), (232, 8), (464, 4))
"""Channels and units of each stage at width 1: table 5 of Ma et al., ECCV 2018, arXiv 1807.11164."""


@dataclass(frozen=True, slots=True)
class _Inverted:
    """An inverted residual block. ``squeezed`` channels of its squeeze-and-excitation layer; 0 for none."""

    kernel: int
    hidden: int
    channels: int
    stride: int
    activation: str
    squeezed: int
    gate: str


def mobilenet_v3_large(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """MobileNetV3-Large of width 1 on (batch, 3, image_size, image_size)."""
    check_image("mobilenet-v3-large", image_size, _SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = _conv(build, "stem", here, 16, 3, "hard_swish", stride=2)
    for index, (kernel, hidden, channels, gated, hard, stride) in enumerate(_LARGE):
        squeezed = _multiple_of_8(hidden / 4) if gated else 0
        block = _Inverted(kernel, hidden, channels, stride, "hard_swish" if hard else "relu", squeezed, "hard_sigmoid")
        here = _inverted(build, f"block.{index}", here, block, "relu")
    here = _conv(build, "last", here, 960, 1, "hard_swish")
    here = build.reduce("avgpool", "mean", here, (batch, 960))
    here = build.elementwise("hidden.hard_swish", "hard_swish", build.matmul("hidden", here, 1280))
    return build.graph("mobilenet-v3-large", [build.matmul("classifier", here, classes)], batch=batch)


def efficientnet_b0(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """EfficientNet-B0 on (batch, 3, image_size, image_size)."""
    check_image("efficientnet-b0", image_size, _SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = _conv(build, "stem", here, 32, 3, "silu", stride=2)
    number = 0
    for expansion, kernel, first_stride, channels, count in _B0:
        for index in range(count):
            before = build.shape(here)[1]
            stride = 1 if index else first_stride
            block = _Inverted(kernel, before * expansion, channels, stride, "silu", max(1, before // 4), "sigmoid")
            here = _inverted(build, f"block.{number}", here, block, "silu")
            number += 1
    here = _conv(build, "last", here, 1280, 1, "silu")
    here = build.reduce("avgpool", "mean", here, (batch, 1280))
    return build.graph("efficientnet-b0", [build.matmul("classifier", here, classes)], batch=batch)


def shufflenet_v2(*, image_size: Size, classes: Size, batch: Size = 1) -> Graph:
    """ShuffleNetV2 of width 1 on (batch, 3, image_size, image_size)."""
    check_image("shufflenet-v2", image_size, _SMALLEST_IMAGE, "five")
    build = GraphBuilder()
    here = build.input("image", (batch, 3, image_size, image_size))
    here = _conv(build, "conv1", here, 24, 3, "relu", stride=2)
    here = max_pool(build, "maxpool", here, kernel=3, stride=2, padding=1)
    for stage, (channels, count) in enumerate(_SHUFFLE_STAGES, start=2):
        here = _shrinking_unit(build, f"stage{stage}.0", here, channels // 2)
        for index in range(1, count):
            here = _unit(build, f"stage{stage}.{index}", here, channels // 2)
    here = _conv(build, "conv5", here, 1024, 1, "relu")
    here = build.reduce("avgpool", "mean", here, (batch, 1024))
    return build.graph("shufflenet-v2", [build.matmul("fc", here, classes)], batch=batch)


def _multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8 that is not less than 90 % (the authors' rounding of channel counts)."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def _inverted(build: GraphBuilder, name: str, source: str, block: _Inverted, squeeze_activation: str) -> str:
    """Expand, filter each channel by itself, weigh the channels, project; added to the source where shapes agree."""
    here = source
    if block.hidden != build.shape(source)[1]:
        here = _conv(build, f"{name}.expand", here, block.hidden, 1, block.activation)
    here = _conv(build, f"{name}.depthwise", here, block.hidden, block.kernel, block.activation, stride=block.stride,
                 groups=block.hidden)  # fmt: skip
    if block.squeezed:
        here = _weighed(build, f"{name}.se", here, block.squeezed, squeeze_activation, block.gate)
    here = conv_norm(build, f"{name}.project", f"{name}.project.bn", here, block.channels, 1)
    if build.shape(here) != build.shape(source):
        return here
    return build.elementwise(f"{name}.add", "add", here, source)


def _weighed(build: GraphBuilder, name: str, source: str, squeezed: int, activation: str, gate: str) -> str:
    """Squeeze and excitation (Hu et al., CVPR 2018): each channel times a weight computed from all means."""
    batch, channels = build.shape(source)[:2]
    here = build.reduce(f"{name}.mean", "mean", source, (batch, channels, 1, 1))
    here = build.conv(f"{name}.squeeze", here, squeezed, 1, bias=True)
    here = build.elementwise(f"{name}.{activation}", activation, here)
    here = build.conv(f"{name}.excite", here, channels, 1, bias=True)
    return build.elementwise(f"{name}.mul", "mul", source, build.elementwise(f"{name}.{gate}", gate, here))


def _unit(build: GraphBuilder, name: str, source: str, half: int) -> str:
    """One half of the channels passes through three convolutions, the other stays; then channels are shuffled."""
    batch, _, *size = build.shape(source)
    kept, here = build.move(f"{name}.split", "split", [source], *[(batch, half, *size)] * 2, view=True)
    return _shuffled(build, name, kept, _branch(build, f"{name}.branch", here, half, 1))


def _shrinking_unit(build: GraphBuilder, name: str, source: str, half: int) -> str:
    """Both branches read all channels and halve the size."""
    channels = build.shape(source)[1]
    short = conv_norm(build, f"{name}.short.depthwise", f"{name}.short.depthwise.bn", source, channels, 3, stride=2,
                      groups=channels)  # fmt: skip
    short = _conv(build, f"{name}.short.project", short, half, 1, "relu")
    return _shuffled(build, name, short, _branch(build, f"{name}.branch", source, half, 2))


def _branch(build: GraphBuilder, name: str, source: str, channels: int, stride: int) -> str:
    here = _conv(build, f"{name}.expand", source, channels, 1, "relu")
    here = conv_norm(build, f"{name}.depthwise", f"{name}.depthwise.bn", here, channels, 3, stride=stride,
                     groups=channels)  # fmt: skip
    return _conv(build, f"{name}.project", here, channels, 1, "relu")


def _shuffled(build: GraphBuilder, name: str, first: str, second: str) -> str:
    """The channels of two tensors in turn."""
    batch, half, *size = build.shape(first)
    (here,) = build.move(f"{name}.concat", "concat", [first, second], (batch, 2 * half, *size))
    return build.move(f"{name}.shuffle", "transpose", [here], (batch, 2 * half, *size))[0]


def _conv(
    build: GraphBuilder, name: str, source: str, channels: int, kernel: int, activation: str, *, stride: int = 1,
    groups: int = 1,
) -> str:  # fmt: skip
    here = conv_norm(build, name, f"{name}.bn", source, channels, kernel, stride=stride, groups=groups)
    return build.elementwise(f"{name}.{activation}", activation, here)

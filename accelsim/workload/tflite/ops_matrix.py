"""Matrix work: convolutions, products and recurrent layers. Images are (batch, height, width, channels)."""

from __future__ import annotations

from math import prod

from accelsim.workload.graph import Tensor
from accelsim.workload.ops import GATES, Conv, MatMul, Recurrent
from accelsim.workload.tflite.site import Site, converts

_SAME = 0


@converts("CONV_2D")
def _conv(site: Site) -> Conv:
    """Weight (out, height, width, in / groups)."""
    stride = site.options("Conv2DOptions", "StrideH", "StrideW")
    padding, activation = site.options("Conv2DOptions", "Padding", "FusedActivationFunction")
    dilation = site.options("Conv2DOptions", "DilationHFactor", "DilationWFactor")
    weight = _rank(site, 1, 4)
    channels = _rank(site, 0, 4)[3]
    if weight[3] < 1 or channels % weight[3]:
        raise site.error(f"has {channels} channels, which its weight {list(weight)} does not divide")
    groups = channels // weight[3]
    return _convolution(site, weight[1:3], weight[0], groups, stride, dilation, padding, activation)


@converts("DEPTHWISE_CONV_2D")
def _depthwise(site: Site) -> Conv:
    """Weight (1, height, width, channels * multiplier)."""
    name = "DepthwiseConv2DOptions"
    stride = site.options(name, "StrideH", "StrideW")
    padding, activation = site.options(name, "Padding", "FusedActivationFunction")
    dilation = site.options(name, "DilationHFactor", "DilationWFactor")
    weight = _rank(site, 1, 4)
    channels = _rank(site, 0, 4)[3]
    return _convolution(site, weight[1:3], weight[3], channels, stride, dilation, padding, activation)


@converts("CONV_3D")
def _conv_3d(site: Site) -> Conv:
    """Weight (depth, height, width, in / groups, out)."""
    name = "Conv3DOptions"
    stride = site.options(name, "StrideD", "StrideH", "StrideW")
    padding, activation = site.options(name, "Padding", "FusedActivationFunction")
    dilation = site.options(name, "DilationDFactor", "DilationHFactor", "DilationWFactor")
    weight = _rank(site, 1, 5)
    channels = _rank(site, 0, 5)[4]
    if weight[3] < 1 or channels % weight[3]:
        raise site.error(f"has {channels} channels, which its weight {list(weight)} does not divide")
    return _convolution(site, weight[:3], weight[4], channels // weight[3], stride, dilation, padding, activation)


def _convolution(
    site: Site, kernel: tuple[int, ...], out_channels: int, groups: int, stride: tuple[int, ...],
    dilation: tuple[int, ...], padding: int, activation: int,
) -> Conv:  # fmt: skip
    read, made = site.shape(0), site.made().shape
    if len(made) != len(read) or made[-1] != out_channels:
        raise site.error(f"makes {list(made)}, which does not fit its {out_channels} output channels")
    if min(*stride, *dilation, groups) < 1 or out_channels % groups:
        raise site.error("has strides, dilations or groups that are no sizes", value=(stride, dilation, groups))
    return Conv(
        name=site.name, inputs=(site.data(0), *site.weights(1, 2)), outputs=(site.activated(activation),),
        label=site.label, batch=read[0], in_channels=read[-1], out_channels=out_channels, input_size=read[1:-1],
        output_size=made[1:-1], kernel=kernel, stride=stride, dilation=dilation, groups=groups,
        padding=_padding(read[1:-1], made[1:-1], kernel, stride, dilation, padding),
    )  # fmt: skip


def _padding(
    size: tuple[int, ...], made: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...],
    dilation: tuple[int, ...], scheme: int,
) -> tuple[int, ...]:  # fmt: skip
    """All beginnings, then all ends; SAME puts the larger half at the end."""
    if scheme != _SAME:
        return (0,) * len(size)
    axes = zip(size, made, kernel, stride, dilation, strict=True)
    total = [max(0, (out - 1) * step + (taps - 1) * apart + 1 - side) for side, out, taps, step, apart in axes]
    return (*(each // 2 for each in total), *(each - each // 2 for each in total))


@converts("TRANSPOSE_CONV")
def _transposed(site: Site) -> Conv:
    """Inputs: shape of the result, weight (out, height, width, in), image, bias."""
    stride = site.options("TransposeConvOptions", "StrideH", "StrideW")
    padding, activation = site.options("TransposeConvOptions", "Padding", "FusedActivationFunction")
    weight, read, made = _rank(site, 1, 4), _rank(site, 2, 4), site.made().shape
    if len(made) != 4 or made[3] != weight[0] or read[3] != weight[3] or min(stride) < 1:
        raise site.error(f"has a weight {list(weight)} that does not fit {list(read)} and {list(made)}")
    # The image that comes out is what a convolution of this stride would read.
    cropped = _padding(made[1:3], read[1:3], weight[1:3], stride, (1, 1), padding)
    return Conv(
        name=site.name, inputs=(site.data(2), *site.weights(1, 3)), outputs=(site.activated(activation),),
        label=site.label, batch=read[0], in_channels=read[3], out_channels=weight[0], input_size=read[1:3],
        output_size=made[1:3], kernel=weight[1:3], stride=stride, dilation=(1, 1), transposed=True, padding=cropped,
    )  # fmt: skip


@converts("FULLY_CONNECTED")
def _fully_connected(site: Site) -> MatMul:
    """(..., k) times the transpose of a weight (n, k)."""
    (activation,) = site.options("FullyConnectedOptions", "FusedActivationFunction")
    n, k = _rank(site, 1, 2)
    elements = site.stored(0).elements
    if elements % k:
        raise site.error(f"reads {elements} values, which are no rows of {k}")
    return MatMul(
        name=site.name, inputs=(site.data(0), *site.weights(1, 2)), outputs=(site.activated(activation),),
        label=site.label, m=elements // k, n=n, k=k,
    )  # fmt: skip


@converts("BATCH_MATMUL")
def _batch_matmul(site: Site) -> MatMul:
    """(..., m, k) by (..., k, n), either of which may be stored transposed; leading axes of 1 are shared."""
    flip_left, flip_right = site.options("BatchMatMulOptions", "AdjX", "AdjY")
    left, right, made = site.shape(0), site.shape(1), site.made().shape
    if min(len(left), len(right), len(made)) < 2:
        raise site.error("multiplies tensors of less than two axes", value=(left, right))
    m, k = left[-2:][::-1] if flip_left else left[-2:]
    inner, n = right[-2:][::-1] if flip_right else right[-2:]
    if inner != k or made[-2:] != (m, n):
        raise site.error(f"multiplies {list(left)} by {list(right)} into {list(made)}, which do not fit")
    groups, rights = prod(made[:-2]), prod(right[:-2])
    read, weight = site.data(0), site.weight(1)
    if rights == 1 and groups > 1 and prod(left[:-2]) == groups:
        return _product(site, read, weight, 1, groups * m, n, k)
    if rights != groups or prod(left[:-2]) not in (1, groups):
        raise site.unsupported("repeats parts of its operands in a way that is not modelled", value=(left, right))
    return _product(site, read, weight, groups, m, n, k, shared=prod(left[:-2]) != groups)


def _product(
    site: Site, left: str, right: str, groups: int, m: int, n: int, k: int, *, shared: bool = False
) -> MatMul:  # fmt: skip
    return MatMul(
        name=site.name, inputs=(left, right), outputs=(site.outputs[0],), label=site.label, groups=groups, m=m, n=n,
        k=k, shared_input=shared,
    )  # fmt: skip


@converts("UNIDIRECTIONAL_SEQUENCE_LSTM")
def _lstm(site: Site) -> Recurrent:
    """Weights of the four gates stand apart: they are joined, as are the biases. Layer norms are not modelled."""
    name = "UnidirectionalSequenceLSTMOptions"
    (time_major,) = site.options(name, "TimeMajor")
    sequence = _rank(site, 0, 3)
    if not (site.has(1) and site.has(5)):
        raise site.unsupported("couples its input and forget gates")
    if any(site.has(index) for index in (*range(9, 12), *range(20, 24))):
        raise site.unsupported("has peepholes or layer normalisation")
    hidden, size = _rank(site, 2, 2)
    width = _rank(site, 6, 2)[1]
    steps, batch = sequence[:2] if time_major else sequence[1::-1]
    if size != sequence[2] or any(site.shape(i) != (hidden, size) for i in range(1, 5)):
        raise site.error(f"has weights that do not fit an input of {sequence[2]}")
    if any(site.shape(i) != (hidden, width) for i in range(5, 9)) or (not site.has(16) and width != hidden):
        raise site.error("has recurrent weights that do not fit")
    rows = GATES["lstm"] * hidden
    joined = [
        _joined(site, "weight", range(1, 5), (1, rows, size)),
        _joined(site, "recurrent_weight", range(5, 9), (1, rows, width)),
        *(site.weights(16)),
        _joined(site, "bias", range(12, 16), (1, rows)),
        *(site.weights(17)),
    ]
    return Recurrent(
        name=site.name, inputs=(site.data(0), *joined), outputs=site.outputs[:1], label=site.label, cell="lstm",
        steps=steps, batch=batch, input_size=size, hidden_size=hidden, projection_size=width if site.has(16) else 0,
    )  # fmt: skip


def _joined(site: Site, part: str, indices: range, shape: tuple[int, ...]) -> str:
    """One weight of those of the gates, in the format of the first."""
    parts = [site.walk.tensors[site.weight(index)] for index in indices]
    name = site.walk.unique(f"{site.name}:{part}")
    site.walk.tensors[name] = Tensor(name, shape, "weight", parts[0].format)
    return name


def _rank(site: Site, index: int, rank: int) -> tuple[int, ...]:
    shape = site.shape(index)
    if len(shape) != rank or min(shape) < 1:
        raise site.error(f"needs {rank} axes in its input {index}", value=shape)
    return shape

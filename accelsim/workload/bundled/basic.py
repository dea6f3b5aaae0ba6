"""Single layers and plain stacks: what one sweeps first."""

from __future__ import annotations

from accelsim.errors import InputError
from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.bundled.parameters import Depth, Padding, Size, Sizes
from accelsim.workload.graph import Graph

__all__ = ["conv", "gemm", "lstm", "mlp"]


def gemm(*, m: Size, n: Size, k: Size, batch: Size = 1) -> Graph:
    """One product of an input (batch * m, k) with a weight (k, n), without bias: batch * m * n * k MACs."""
    build = GraphBuilder()
    source = build.input("input", (batch * m, k))
    return build.graph("gemm", [build.matmul("gemm", source, n, bias=False)], batch=batch)


def mlp(*, sizes: Sizes, batch: Size = 1) -> Graph:
    """Fully connected layers with biases and ReLU between them; ``sizes`` runs from the input to the output.

    Raises:
        InputError: fewer than two sizes.
    """
    if len(sizes) < 2:
        rule = "must have an input and an output size"
        raise InputError(rule, file="workload mlp", field="sizes", value=list(sizes), remedy="write such as [784, 10]")
    build = GraphBuilder()
    here = build.input("input", (batch, sizes[0]))
    for index, size in enumerate(sizes[1:]):
        if index:
            here = build.elementwise(f"relu.{index - 1}", "relu", here)
        here = build.matmul(f"layer.{index}", here, size)
    return build.graph("mlp", [here], batch=batch)


def lstm(
    *, steps: Size, input_size: Size, hidden_size: Size, directions: Size = 1, layers: Depth = 1, batch: Size = 1
) -> Graph:
    """Stacked LSTM layers over (steps, batch, input_size), with PyTorch's two bias vectors a gate.

    Raises:
        InputError: more than two directions.
    """
    if directions > 2:
        raise InputError("must be 1 or 2", file="workload lstm", field="directions", value=directions)
    build = GraphBuilder()
    here = build.input("input", (steps, batch, input_size))
    for layer in range(layers):
        here = build.lstm(f"layer.{layer}", here, hidden_size, directions=directions)
    return build.graph("lstm", [here], batch=batch)


def conv(
    *,
    in_channels: Size,
    out_channels: Size,
    height: Size,
    width: Size,
    kernel: Size,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
    groups: Size = 1,
    batch: Size = 1,
) -> Graph:
    """One convolution with a square kernel and without bias over (batch, in_channels, height, width).

    Raises:
        InputError: groups that do not divide the channels, or a window that is larger than the padded input.
    """
    for field, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
        if channels % groups:
            raise InputError(
                f"must be a multiple of groups = {groups}", file="workload conv", field=field, value=channels
            )
    window = dilation * (kernel - 1) + 1
    for field, side in (("height", height), ("width", width)):
        if side + 2 * padding < window:
            rule = f"with padding {padding} is smaller than the window of {window}"
            raise InputError(rule, file="workload conv", field=field, value=side)
    build = GraphBuilder()
    source = build.input("input", (batch, in_channels, height, width))
    made = build.conv(
        "conv", source, out_channels, kernel, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    return build.graph("conv", [made], batch=batch)

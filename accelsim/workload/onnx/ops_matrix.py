"""Matrix work: convolutions, matrix products and recurrent layers."""

from __future__ import annotations

from math import prod

from accelsim.workload.onnx.contrib import nhwc_filter
from accelsim.workload.onnx.model import TensorType
from accelsim.workload.onnx.site import Site, converts
from accelsim.workload.ops import GATES, Conv, MatMul, Move, Recurrent

__all__ = ["channels_last", "convolution", "gemm", "product", "recurrent"]

Shape = tuple[int, ...]


@converts("Conv", "ConvTranspose")
def _conv(site: Site) -> Conv:
    return convolution(site, 0, 1, site.weights(2))


def convolution(site: Site, data: int, weight: int, rest: tuple[str, ...]) -> Conv:
    """The convolution of input ``data`` with input ``weight``; ``rest`` are the op's operands behind these two."""
    x, w, out = site.shape(data), site.shape(weight), site.out().shape
    spatial, transposed = len(x) - 2, site.label == "ConvTranspose"
    if not 1 <= spatial <= 3 or len(w) != len(x) or len(out) != len(x):
        raise site.unsupported("is modelled for 1 to 3 spatial dimensions", value=x)
    groups = site.integer("group", 1)
    channels, filters = (w[0], w[1] * groups) if transposed else (w[1] * groups, w[0])
    if groups < 1 or channels != x[1] or filters != out[1] or channels % groups or filters % groups:
        rule = f"has {x[1]} input channels, which its weight {list(w)} in {groups} groups does not fit"
        raise site.error(rule)
    stride = _per_axis(site, "strides", spatial, 1)
    dilation = _per_axis(site, "dilations", spatial, 1)
    return Conv(
        name=site.name,
        inputs=(site.data(data), site.weight(weight), *rest),
        outputs=site.outputs,
        label=site.label,
        batch=x[0],
        in_channels=channels,
        out_channels=filters,
        input_size=x[2:],
        output_size=out[2:],
        kernel=w[2:],
        stride=stride,
        padding=_padding(site, x[2:], w[2:], out[2:], stride, dilation),
        dilation=dilation,
        groups=groups,
        transposed=transposed,
    )


def channels_last(site: Site, rest: tuple[str, ...]) -> Conv:
    """A convolution of (batch, *size, channels)."""
    x, out = site.shape(0), site.out().shape
    spatial, groups = len(x) - 2, site.integer("group", 1)
    if not 1 <= spatial <= 3 or len(site.shape(1)) != len(x):
        raise site.unsupported("is modelled for 1 to 3 spatial dimensions", value=x)
    try:
        filters, channels, kernel = nhwc_filter(site, x[-1], site.shape(1))
    except ValueError as error:
        raise site.error(str(error)) from None
    if channels * groups != x[-1] or filters != out[-1] or filters % groups:
        rule = f"has {x[-1]} input channels, which its weight {list(site.shape(1))} in {groups} groups does not fit"
        raise site.error(rule)
    stride, dilation = _per_axis(site, "strides", spatial, 1), _per_axis(site, "dilations", spatial, 1)
    size, made = x[1:-1], out[1:-1]
    return Conv(
        name=site.name, inputs=(site.data(0), site.weight(1), *rest), outputs=site.outputs, label=site.label,
        batch=x[0],
        in_channels=x[-1], out_channels=filters, input_size=size, output_size=made, kernel=kernel, stride=stride,
        padding=_padding(site, size, kernel, made, stride, dilation), dilation=dilation, groups=groups,
    )  # fmt: skip


def _per_axis(site: Site, name: str, spatial: int, default: int) -> tuple[int, ...]:
    values = site.integers(name) or (default,) * spatial
    if len(values) != spatial or any(value < 1 for value in values):
        raise site.error(f"needs {spatial} positive {name}", value=values)
    return values


def _padding(
    site: Site,
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    out: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[int, ...]:
    """One value an axis, or all beginnings and then all ends where the two sides of an axis differ."""
    spatial, auto = len(size), site.string("auto_pad", "NOTSET")
    pads = site.integers("pads") or (0,) * 2 * spatial
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        # A transposed convolution pads its output: input and output change places.
        large, small = (out, size) if site.label == "ConvTranspose" else (size, out)
        each_axis = zip(large, small, kernel, stride, dilation, strict=True)
        totals = [max(0, (s - 1) * step + (k - 1) * d + 1 - l) for l, s, k, step, d in each_axis]  # noqa: E741
        less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
        pads = (*less, *more) if auto == "SAME_UPPER" else (*more, *less)
    elif auto == "VALID":
        pads = (0,) * 2 * spatial
    if len(pads) != 2 * spatial:
        raise site.error(f"needs {2 * spatial} pads", value=pads)
    return pads[:spatial] if pads[:spatial] == pads[spatial:] else pads


@converts("Gemm")
def _gemm(site: Site) -> MatMul:
    return gemm(site, 0, 1, site.weights(2))


def gemm(site: Site, left: int, right: int, rest: tuple[str, ...]) -> MatMul:
    """The product of two matrices, transposed where ``transA`` and ``transB`` say so."""
    a, b = site.shape(left), site.shape(right)
    if len(a) != 2 or len(b) != 2:
        raise site.error("multiplies two matrices", value=(a, b))
    (m, k), n = (a[::-1] if site.integer("transA", 0) else a), site.out().shape[-1]
    if site.constant(left) and not site.constant(right):  # y^T = b^T a^T: the weight belongs on the right
        return _matmul(site, (site.weight(right), site.weight(left), *rest), 1, n, m, k)
    return _matmul(site, (site.weight(left), site.weight(right), *rest), 1, m, n, k)


@converts("MatMul")
def _matmul_node(site: Site) -> MatMul:
    return product(site, 0, 1)


def product(
    site: Site, left: int, right: int, rest: tuple[str, ...] = (), *, a: Shape | None = None, b: Shape | None = None
) -> MatMul:
    """Input ``left`` times input ``right`` as NumPy's matmul, as if they had the shapes ``a`` and ``b``.

    Batch axes become rows where the right operand has one matrix for all of them, groups otherwise.
    """
    a, b = a or site.shape(left), b or site.shape(right)
    if not a or not b:
        raise site.error("multiplies matrices, not scalars", value=(a, b))
    m, k, n = (a[-2] if len(a) > 1 else 1), a[-1], (b[-1] if len(b) > 1 else 1)
    batch_a, batch_b = _aligned(a[:-2], b[:-2])
    first, second, kind = site.weight(left), site.weight(right), site.type(left)
    if site.constant(left) and not site.constant(right):  # y^T = b^T a^T: the weight belongs on the right
        first, second, m, n, batch_a, batch_b, kind = second, first, n, m, batch_b, batch_a, site.type(right)
    pairs = list(zip(batch_a, batch_b, strict=True))
    rows = prod(x for x, y in pairs if y == 1)
    groups = prod(x for x, y in pairs if x == y)
    copies = prod(y for x, y in pairs if x == 1)
    if copies == 1 or groups == 1:
        return _matmul(site, (first, second, *rest), groups * copies, rows * m, n, k, shared=copies > 1)
    # Each of several groups is read by several others, which one op cannot say: the copies are made first.
    wide = TensorType(kind.element, (*(max(pair) for pair in pairs), m, k))
    return _matmul(site, (_expanded(site, first, wide), second, *rest), groups * copies, rows * m, n, k)


def _aligned(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank = max(len(a), len(b))
    return (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b


def _expanded(site: Site, tensor: str, kind: TensorType) -> str:
    name = site.intermediate("expanded", kind)
    move = Move(name=name, inputs=(tensor,), outputs=(name,), label="Expand", function="expand", elements=kind.elements)
    site.before.append(move)
    return name


def _matmul(
    site: Site, inputs: tuple[str, ...], groups: int, m: int, n: int, k: int, *, shared: bool = False
) -> MatMul:
    return MatMul(
        name=site.name,
        inputs=inputs,
        outputs=site.outputs,
        label=site.label,
        groups=groups,
        m=m,
        n=n,
        k=k,
        shared_input=shared,
    )


@converts("LSTM", "GRU", "RNN")
def _recurrent(site: Site) -> Recurrent:
    return recurrent(site, site.label.lower(), site.shape(1), site.shape(2), (3, 7))


def recurrent(site: Site, cell: str, w: Shape, r: Shape, parameters: tuple[int, ...]) -> Recurrent:
    """A recurrent layer of weights shaped (directions, gates * hidden, input) and (directions, gates * hidden, hidden).

    Inputs of the op: sequence, weight, recurrent weight, ``parameters`` (bias, peepholes) if given, then initial
    states and, behind all of these, sequence lengths: shorter sequences leave steps unused, which run all the same.
    """
    x = site.shape(0)
    if not len(x) == len(w) == len(r) == 3:
        raise site.error("needs a sequence and weights of 3 axes", value=(x, w, r))
    # Layout 1 puts the batch first; every tensor holds the same elements.
    steps, batch = (x[1], x[0]) if site.integer("layout", 0) else (x[0], x[1])
    directions = 2 if site.string("direction", "forward") == "bidirectional" else 1
    hidden = r[2]
    rows = GATES[cell] * hidden
    if w != (directions, rows, x[2]) or r != (directions, rows, hidden):
        rule = f"has weights {list(w)} and {list(r)}, which do not fit {directions} directions of input size {x[2]}"
        raise site.error(rule)
    states = tuple(site.data(index) for index in (5, 6) if site.has(index))
    lengths = site.steering(4) if len(states) == (2 if cell == "lstm" else 1) else ()
    outputs = site.outputs
    if not (site.node.outputs and site.node.outputs[0] in outputs):
        # Only the last state is used; the op makes the sequence all the same.
        whole = TensorType(site.type(0).element, (steps, directions, batch, hidden))
        outputs = (site.intermediate("sequence", whole), *outputs)
    return Recurrent(
        name=site.name,
        inputs=(site.data(0), *site.weights(1, 2, *parameters), *states, *lengths),
        outputs=outputs,
        label=site.label,
        cell=cell,
        steps=steps,
        batch=batch,
        input_size=x[2],
        hidden_size=hidden,
        directions=directions,
    )

"""Output types of the operators of ``com.microsoft`` and QONNX, which the onnx package does not define.

Written from their definitions (ONNX Runtime's ContribOperators.md; QONNX's operator documents). A rule that cannot
tell a size gives None, and the type that the file declares is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from accelsim.workload.onnx.attributes import Attributes
from accelsim.workload.onnx.model import Node, TensorType

__all__ = ["QONNX_DOMAINS", "contrib_types", "known_contrib", "nhwc_filter", "transposed"]

MS = "com.microsoft"
QONNX_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")

FLOAT, UINT8, INT8, INT32 = 1, 2, 3, 6
Types = list[TensorType | None]


class Call(Attributes):
    """A node and the types of its inputs; reading one that is omitted ends the rule."""

    def __init__(self, node: Node, types: Mapping[str, TensorType]) -> None:
        super().__init__(node.proto)
        self.inputs = tuple(types.get(name) for name in node.inputs)

    def type(self, index: int) -> TensorType:
        found = self.inputs[index] if index < len(self.inputs) else None
        if found is None:
            raise _UntoldError(f"lacks its input {index}")
        return found

    def has(self, index: int) -> bool:
        return index < len(self.inputs) and self.inputs[index] is not None

    def shape(self, index: int) -> tuple[int, ...]:
        return self.type(index).shape

    def like(self, index: int, shape: Sequence[int]) -> TensorType:
        """A tensor of the element type of input ``index``."""
        return TensorType(self.type(index).element, tuple(shape))


class _UntoldError(Exception):
    """A rule misses what it needs to tell a type."""


Rule = Callable[[Call], Types]
_RULES: dict[tuple[str, str], Rule] = {}


def contrib_types(node: Node, types: Mapping[str, TensorType]) -> tuple[Types, str | None]:
    """Types of a known node's outputs, None where they cannot be told, and why not."""
    try:
        found = _RULES[node.key](Call(node, types))
    except (_UntoldError, IndexError, ValueError, ZeroDivisionError) as error:
        return [None] * len(node.outputs), str(error)
    padded = [*found, *[None] * len(node.outputs)][: len(node.outputs)]
    return [each if each is None or min(each.shape, default=1) >= 0 else None for each in padded], None


def known_contrib(node: Node) -> bool:
    """Whether there is a rule for the node's operator."""
    return node.key in _RULES


def _rule(*op_types: str, domain: str = MS) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        _RULES.update({(domain, each): rule for each in op_types})
        return rule

    return register


@_rule(
    "BiasAdd", "BiasGelu", "FastGelu", "Gelu", "GroupNorm", "QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax",
    "QuickGelu", "BiasSoftmax", "RotaryEmbedding", "Trilu",
)  # fmt: skip
def _as_first(call: Call) -> Types:
    return [call.type(0)]


for _domain in QONNX_DOMAINS:
    _rule("Quant", "IntQuant", "BipolarQuant", "Trunc", "FloatQuant", domain=_domain)(_as_first)


def _norm(call: Call) -> Types:
    """Normalised over the axes from ``axis`` on; then mean (of some) and inverse deviation, one for each row."""
    shape = call.shape(0)
    axis = call.integer("axis", -1) % max(1, len(shape))
    row = TensorType(FLOAT, (*shape[:axis], *(1,) * (len(shape) - axis)))
    return [call.type(0), row, row]


# Of the standard domain by accident of history: exporters wrote them before, or without, a standard operator.
_rule("SimplifiedLayerNormalization", "LayerNormalization", domain="")(_norm)
_rule("LayerNormalization", "SimplifiedLayerNormalization")(_norm)


@_rule("SkipLayerNormalization", "SkipSimplifiedLayerNormalization")
def _skip_norm(call: Call) -> Types:
    row = TensorType(FLOAT, (*call.shape(0)[:-1], 1))
    return [call.type(0), row, row, call.type(0)]


@_rule("SkipGroupNorm")
def _skip_group_norm(call: Call) -> Types:
    return [call.type(0), call.type(0)]


@_rule("EmbedLayerNormalization")
def _embed(call: Call) -> Types:
    batch, *rest = call.shape(0)
    made = call.like(2, (batch, *rest, call.shape(2)[-1]))
    return [made, TensorType(INT32, (batch,)), made]


def _broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    rank = max(map(len, shapes), default=0)
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    sizes = []
    for axis in zip(*padded, strict=True):
        wide = {size for size in axis if size != 1}
        if len(wide) > 1:
            raise _UntoldError(f"has operands of shapes {[list(each) for each in shapes]}, which do not fit together")
        sizes.append(wide.pop() if wide else 1)
    return tuple(sizes)


def _product(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    if len(a) < 1 or len(b) < 1 or a[-1] != (b[-2] if len(b) > 1 else b[0]):
        raise _UntoldError(f"multiplies {list(a)} by {list(b)}, which do not fit together")
    rows, columns = a[-2:-1], (b[-1:] if len(b) > 1 else ())
    return (*_broadcast(a[:-2], b[:-2]), *rows, *columns)


@_rule("FusedMatMul", "TransposeMatMul", "FusedMatMulActivation")
def _fused_matmul(call: Call) -> Types:
    a = transposed(call.shape(0), call.integer("transA", 0), call.integer("transBatchA", 0))
    b = transposed(call.shape(1), call.integer("transB", 0), call.integer("transBatchB", 0))
    return [call.like(0, _product(a, b))]


def transposed(shape: tuple[int, ...], matrix: int, batch: int) -> tuple[int, ...]:
    """The shape after the last two axes change places (``matrix``) and the first moves behind the other batch axes."""
    if len(shape) < 2:
        return shape
    if batch:
        shape = (*shape[1:-1], shape[0], shape[-1])
    return (*shape[:-2], shape[-1], shape[-2]) if matrix else shape


@_rule("FusedGemm", "QGemm")
def _gemm(call: Call) -> Types:
    right = 1 if not call.has(3) else 3
    a, b = transposed(call.shape(0), call.integer("transA", 0), 0), call.shape(right)
    (n,) = transposed(b, call.integer("transB", 0), 0)[1:]
    quantised = call.has(7) or call.has(8)
    element = call.type(0).element if right == 1 or quantised else FLOAT
    return [TensorType(element, (a[0], n))]


@_rule("GemmFastGelu")
def _gemm_gelu(call: Call) -> Types:
    return [call.like(0, _product(call.shape(0), call.shape(1)))]


@_rule("DynamicQuantizeMatMul", "MatMulIntegerToFloat")
def _integer_matmul(call: Call) -> Types:
    return [TensorType(FLOAT, _product(call.shape(0), call.shape(1)))]


@_rule("MatMulNBits")
def _matmul_nbits(call: Call) -> Types:
    return [call.like(0, (*call.shape(0)[:-1], call.integer("N", 0)))]


@_rule("QuantizeLinear")
def _quantize(call: Call) -> Types:
    return [TensorType(call.type(2).element if call.has(2) else UINT8, call.shape(0))]


@_rule("DequantizeLinear")
def _dequantize(call: Call) -> Types:
    return [TensorType(call.type(1).element, call.shape(0))]


@_rule("QLinearAdd", "QLinearMul")
def _qlinear_binary(call: Call) -> Types:
    return [call.like(0, _broadcast(call.shape(0), call.shape(3)))]


@_rule("QLinearWhere")
def _qlinear_where(call: Call) -> Types:
    return [call.like(1, _broadcast(call.shape(0), call.shape(1), call.shape(4)))]


@_rule("QLinearConcat")
def _qlinear_concat(call: Call) -> Types:
    shapes = [call.shape(index) for index in range(2, len(call.inputs), 3)]
    axis = call.integer("axis", 0) % len(shapes[0])
    return [call.like(2, (*shapes[0][:axis], sum(each[axis] for each in shapes), *shapes[0][axis + 1 :]))]


@_rule("QLinearGlobalAveragePool")
def _global_pool(call: Call) -> Types:
    shape = call.shape(0)
    if call.integer("channels_last", 0):
        return [call.like(0, (shape[0], *(1,) * (len(shape) - 2), shape[-1]))]
    return [call.like(0, (*shape[:2], *(1,) * (len(shape) - 2)))]


@_rule("QLinearReduceMean")
def _reduce_mean(call: Call) -> Types:
    shape = call.shape(0)
    axes = {axis % len(shape) for axis in call.integers("axes")} or set(range(len(shape)))
    keep = call.integer("keepdims", 1)
    return [call.like(0, [1 if i in axes else size for i, size in enumerate(shape) if keep or i not in axes])]


@_rule("QLinearAveragePool", "NhwcMaxPool")
def _pool(call: Call) -> Types:
    shape, kernel = call.shape(0), call.integers("kernel_shape")
    last = call.integer("channels_last", 1 if not call.has(1) else 0)
    size = shape[1:-1] if last else shape[2:]
    spatial = _windows(call, size, kernel)
    return [call.like(0, (shape[0], *spatial, shape[-1]) if last else (*shape[:2], *spatial))]


@_rule("NhwcConv", "NhwcFusedConv")
def _nhwc_conv(call: Call) -> Types:
    x = call.shape(0)
    filters, _, kernel = nhwc_filter(call, x[-1], call.shape(1))
    return [call.like(0, (x[0], *_windows(call, x[1:-1], kernel), filters))]


def nhwc_filter(call: Attributes, channels: int, weight: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    """Filters, channels of one and kernel of a channels-last convolution, whose weight may have its channels last, too.

    Raises:
        ValueError: a weight that fits neither layout, or both with different kernels.
    """
    inner = channels // max(1, call.integer("group", 1))
    stated = call.integers("kernel_shape")
    ways = {each for last, each in ((weight[1], weight[2:]), (weight[-1], weight[1:-1])) if last == inner}
    ways = {each for each in ways if not stated or each == stated}
    if len(ways) != 1:
        raise ValueError(f"has a weight {list(weight)} that does not tell its kernel for {channels} channels")
    return weight[0], inner, ways.pop()


@_rule("MoE", "QMoE")
def _experts(call: Call) -> Types:
    return [call.type(0)]


@_rule("FusedConv")
def _conv(call: Call) -> Types:
    x, w = call.shape(0), call.shape(1)
    return [call.like(0, (x[0], w[0], *_windows(call, x[2:], w[2:])))]


def _windows(call: Call, size: tuple[int, ...], kernel: tuple[int, ...]) -> list[int]:
    """How often a window fits along each axis."""
    spatial, auto = len(size), call.string("auto_pad", "NOTSET")
    ones = (1,) * spatial
    stride, dilation = call.integers("strides") or ones, call.integers("dilations") or ones
    if auto.startswith("SAME"):
        return [-(-s // step) for s, step in zip(size, stride, strict=True)]
    pads = call.integers("pads") if auto == "NOTSET" else ()
    pads = pads or (0,) * 2 * spatial
    up = call.integer("ceil_mode", 0)
    found = []
    for axis in range(spatial):
        room = size[axis] + pads[axis] + pads[axis + spatial] - (kernel[axis] - 1) * dilation[axis] - 1
        found.append((-(-room // stride[axis]) if up else room // stride[axis]) + 1)
    return found


@_rule("DynamicQuantizeLSTM")
def _lstm(call: Call) -> Types:
    x, hidden = call.shape(0), call.integer("hidden_size", 0) or call.shape(2)[1]
    directions = call.shape(1)[0]
    state = call.like(0, (directions, x[1], hidden))
    return [call.like(0, (x[0], directions, x[1], hidden)), state, state]


@_rule("Attention", "QAttention")
def _attention(call: Call) -> Types:
    """Projections included; ``present`` holds keys and values of all positions."""
    batch, rows, _ = call.shape(0)
    heads, past = call.integer("num_heads", 0), (4 if call.has(4) and len(call.shape(4)) == 5 else 8)
    sizes = call.integers("qkv_hidden_sizes") or (call.shape(1)[-1] // 3,) * 3
    element = FLOAT if call.type(0).element in (UINT8, INT8) else call.type(0).element
    context = rows + (call.shape(past)[3] if call.has(past) and len(call.shape(past)) == 5 else 0)
    made = TensorType(element, (batch, rows, sizes[2]))
    return [made, TensorType(element, (2, batch, heads, context, sizes[2] // heads))]


@_rule("MultiHeadAttention")
def _multi_head(call: Call) -> Types:
    query, heads = call.shape(0), call.integer("num_heads", 0)
    batch, rows = query[:2]
    value = call.inputs[2].shape if call.has(2) and call.inputs[2] else None
    width = query[2] if len(query) == 3 else query[2] * query[4]
    size = value[-1] // (heads if value and len(value) == 3 else 1) if value else width // heads
    context = value[-2] if value else call.shape(1)[1] if call.has(1) else rows
    past = call.shape(6)[2] if call.has(6) else 0
    made = call.like(0, (batch, rows, heads * size))
    key = call.like(0, (batch, heads, context + past, width // heads))
    return [made, key, call.like(0, (batch, heads, context + past, size))]


@_rule("GroupQueryAttention")
def _group_query(call: Call) -> Types:
    batch, rows, width = call.shape(0)
    heads, keys = call.integer("num_heads", 0), call.integer("kv_num_heads", 0)
    size = width // heads if call.has(1) else width // (heads + 2 * keys)
    past = call.shape(3)[2] if call.has(3) else 0
    present = call.like(0, (batch, keys, past + rows, size))
    return [call.like(0, (batch, rows, heads * size)), present, present]


@_rule("GatherBlockQuantized")
def _gather_blocks(call: Call) -> Types:
    data, bits = call.type(0), call.integer("bits", 4)
    per_value = 8 // bits if data.element == UINT8 else 1
    axis = call.integer("gather_axis", 0) % len(data.shape)
    rows = (*data.shape[:-1], data.shape[-1] * per_value)
    return [TensorType(call.type(2).element, (*rows[:axis], *call.shape(1), *rows[axis + 1 :]))]

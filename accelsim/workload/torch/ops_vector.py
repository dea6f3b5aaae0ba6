"""Vector work: element by element, and over axes or windows."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2, prod

from accelsim.workload.torch.plain import Value
from accelsim.workload.torch.site import Converter, Site, converts

# Operator to function, in the words of `accelsim.workload.vector_work`. Tensors behind the first are operands too.
_ELEMENTWISE = {
    "abs": "abs", "absolute": "abs", "acos": "acos", "acosh": "acosh", "addcdiv": "addcdiv", "addcmul": "addcmul",
    "arccos": "acos", "arcsin": "asin", "arctan": "atan", "asin": "asin", "asinh": "asinh", "atan": "atan",
    "atan2": "atan2", "atanh": "atanh", "bitwise_and": "bitwise_and", "bitwise_left_shift": "bit_shift",
    "bitwise_not": "bitwise_not", "bitwise_or": "bitwise_or", "bitwise_right_shift": "bit_shift",
    "bitwise_xor": "bitwise_xor", "ceil": "ceil", "celu": "celu", "clamp": "clip", "clamp_max": "clip",
    "clamp_min": "clip", "clip": "clip", "cos": "cos", "cosh": "cosh", "deg2rad": "mul", "diff": "sub", "div": "div",
    "divide": "div", "elu": "elu", "eq": "equal", "erf": "erf", "erfc": "erfc", "exp": "exp", "exp2": "exp",
    "expm1": "expm1", "floor": "floor", "floor_divide": "div", "fmax": "max", "fmin": "min", "fmod": "mod",
    "frac": "floor", "ge": "greater_equal", "gelu": "gelu", "glu": "glu", "greater": "greater",
    "greater_equal": "greater_equal", "gt": "greater", "hardshrink": "shrink", "hardsigmoid": "hard_sigmoid",
    "hardswish": "hard_swish", "hardtanh": "clip", "isfinite": "is_inf", "isinf": "is_inf", "isnan": "is_nan",
    "le": "less_equal", "leaky_relu": "leaky_relu", "lerp": "lerp", "less": "less", "less_equal": "less_equal",
    "log": "log", "log10": "log", "log1p": "log1p", "log2": "log2", "log_sigmoid": "log_sigmoid",
    "logaddexp": "logaddexp", "logical_and": "and", "logical_not": "not", "logical_or": "or", "logical_xor": "xor",
    "logit": "logit", "lt": "less", "masked_fill": "where", "maximum": "max", "minimum": "min", "mish": "mish",
    "mul": "mul", "multiply": "mul", "nan_to_num": "nan_to_num", "ne": "not_equal", "neg": "neg", "negative": "neg",
    "not_equal": "not_equal", "outer": "mul", "positive": "identity", "prelu": "prelu", "_prelu_kernel": "prelu",
    "rad2deg": "mul", "reciprocal": "reciprocal", "relu": "relu", "relu6": "clip", "remainder": "mod",
    "round": "round", "rrelu": "leaky_relu", "rsqrt": "rsqrt", "selu": "selu", "sgn": "sign", "sigmoid": "sigmoid",
    "sign": "sign", "silu": "silu", "sin": "sin", "sinh": "sinh", "softplus": "softplus",
    "softshrink": "shrink", "special_erf": "erf", "special_expit": "sigmoid", "special_logit": "logit", "sqrt": "sqrt",
    "square": "mul", "tan": "tan", "tanh": "tanh", "threshold": "threshold", "true_divide": "div", "trunc": "floor",
    "where": "where", "xlogy": "xlogy",
}  # fmt: skip

_REDUCE = {
    "_log_softmax": "log_softmax", "_safe_softmax": "softmax", "_softmax": "softmax", "all": "reduce_min",
    "amax": "reduce_max", "amin": "reduce_min", "any": "reduce_max", "argmax": "arg_max", "argmin": "arg_min",
    "count_nonzero": "reduce_sum", "cummax": "cum_sum", "cummin": "cum_sum", "cumprod": "cum_prod",
    "cumsum": "cum_sum", "linalg_norm": "reduce_l2", "linalg_vector_norm": "reduce_l2", "log_softmax": "log_softmax",
    "logcumsumexp": "log_softmax", "logsumexp": "reduce_log_sum_exp", "mean": "reduce_mean", "norm": "reduce_l2",
    "nanmean": "reduce_mean", "nansum": "reduce_sum", "prod": "reduce_prod", "softmax": "softmax",
    "softmin": "softmax", "special_log_softmax": "log_softmax", "special_logsumexp": "reduce_log_sum_exp",
    "special_softmax": "softmax", "std": "variance", "std_mean": "variance", "sum": "reduce_sum", "topk": "top_k",
    "var": "variance", "var_mean": "variance",
}  # fmt: skip

# Normalisations over axes.
_NORMS = {
    "_fused_rms_norm": "rms_norm", "group_norm": "group_norm", "layer_norm": "layer_norm",
    "native_group_norm": "group_norm", "native_layer_norm": "layer_norm", "rms_norm": "rms_norm",
}  # fmt: skip

_BATCH_NORMS = (
    "_batch_norm_no_update", "_native_batch_norm_legit_no_training", "batch_norm", "cudnn_batch_norm",
    "native_batch_norm",
)  # fmt: skip

_INTERPOLATIONS = {
    "_upsample_bicubic2d_aa": "interpolate_cubic", "_upsample_bilinear2d_aa": "interpolate",
    "upsample_bicubic2d": "interpolate_cubic", "upsample_bilinear2d": "interpolate",
    "upsample_linear1d": "interpolate", "upsample_trilinear3d": "interpolate_trilinear",
}  # fmt: skip

_POOLS = {
    f"{kind}_pool{axes}d{ending}": (function, axes)
    for kind, function in (("max", "max_pool"), ("avg", "average_pool"))
    for axes in (1, 2, 3)
    for ending in ("", "_with_indices")
}
_ADAPTIVE_POOLS = {
    f"{start}adaptive_{kind}_pool{axes}d": (function, axes)
    for start in ("", "_")
    for kind, function in (("max", "max_pool"), ("avg", "average_pool"))
    for axes in (1, 2, 3)
}


def _operand(site: Site, value: Value) -> str:
    """A stored operand of more than one element is a parameter of the network."""
    return site.weight(value) if value.type.elements > 1 else site.data(value)


def _operands(site: Site) -> tuple[str, ...]:
    return tuple(_operand(site, value) for value in site.call.tensors() if value.type.elements)


_COMPLEX = {"abs": ("complex_abs", 1), "add": ("add", 2), "cast": ("cast", 2), "neg": ("neg", 2), "sub": ("sub", 2),
            "where": ("where", 1)}  # fmt: skip
"""Functions of complex operands: what they are then, and how often for each result."""


def _elementwise(function: str) -> Converter:
    def convert(site: Site) -> None:
        _write(site, function, _operands(site))

    return convert


def _write(site: Site, function: str, operands: Sequence[str]) -> None:
    """One result an element; complex ones by the arithmetic of their parts."""
    both = [value.type.dtype.startswith("complex") for value in site.call.tensors()]
    if not any(both):
        site.elementwise(function, operands)
        return
    known = _COMPLEX | {"mul": ("complex_mul", 1) if sum(both) > 1 else ("mul", 2)}
    if function not in known:
        raise site.unsupported(f"computes {function} of complex numbers", remedy="write it on their real parts")
    name, each = known[function]
    site.elementwise(name, operands, elements=site.out().elements * each)


def _reduce(function: str) -> Converter:
    def convert(site: Site) -> None:
        source = site.first()
        site.reduce(function, (_operand(site, source),), source.type.elements)

    return convert


def _norm(function: str) -> Converter:
    def convert(site: Site) -> None:
        source = site.tensor("input", "self")
        site.reduce(function, (site.data(source), *site.weights("weight", "bias")), source.type.elements)

    return convert


def _interpolation(function: str) -> Converter:
    def convert(site: Site) -> None:
        site.elementwise(function, (_operand(site, site.first()),))

    return convert


def _pool(function: str, axes: int) -> Converter:
    def convert(site: Site) -> None:
        # Each output combines a window, so where windows overlap, values count as often as they are read.
        window = prod(site.integers("kernel_size", axes, 1))
        site.reduce(function, (site.data(site.tensor("self", "input")),), site.out().elements * window)

    return convert


def _adaptive_pool(function: str, axes: int) -> Converter:
    def convert(site: Site) -> None:
        source, out = site.tensor("self", "input").type, site.out()
        windows = [_windows(*sizes) for sizes in zip(source.shape[-axes:], out.shape[-axes:], strict=True)]
        elements = prod(out.shape[:-axes]) * prod(windows)
        site.reduce(function, (site.data(site.tensor("self", "input")),), elements)

    return convert


def _windows(size: int, parts: int) -> int:
    """Elements in all windows of an adaptive pool over one axis: window i is floor(i s / p) to ceil((i + 1) s / p)."""
    return sum(-(-(i + 1) * size // parts) - i * size // parts for i in range(parts))


for _maker, _table in (
    (_elementwise, _ELEMENTWISE),
    (_reduce, _REDUCE),
    (_norm, _NORMS),
    (_interpolation, _INTERPOLATIONS),
):
    for _key, _function in _table.items():
        converts(_key)(_maker(_function))
for _key, (_function, _axes) in _POOLS.items():
    converts(_key)(_pool(_function, _axes))
for _key, (_function, _axes) in _ADAPTIVE_POOLS.items():
    converts(_key)(_adaptive_pool(_function, _axes))


@converts("add", "sub", "subtract", "rsub")
def _add(site: Site) -> None:
    """The second operand may be scaled by ``alpha``."""
    operands = list(_operands(site))
    if site.argument("alpha", 1) != 1 and len(operands) == 2:
        other = site.tensor("other")
        operands[1] = site.elementwise("mul", (operands[1],), kind=other.type, suffix="scale")
    _write(site, "add" if site.key == "add" else "sub", operands)


@converts("pow")
def _pow(site: Site) -> None:
    """Small whole powers are products."""
    exponent = site.argument("exponent")
    whole = exponent if isinstance(exponent, int | float) and exponent in (2, 3, 4) else None
    if whole is None:
        function = "sqrt" if exponent == 0.5 else "pow"
        site.elementwise(function, _operands(site))
    else:
        products = 1 if whole == 2 else 2
        site.elementwise("mul", _operands(site), elements=site.out().elements * products)


@converts("max", "min")
def _extreme(site: Site) -> None:
    """Of two tensors element by element, or of one over axes."""
    if site.optional("other") is not None:
        site.elementwise(site.key, _operands(site))
    else:
        source = site.tensor("self")
        site.reduce(f"reduce_{site.key}", (_operand(site, source),), source.type.elements)


@converts("sort", "argsort", "msort")
def _sort(site: Site) -> None:
    """A merge sort: log2 of the axis comparisons an element."""
    source = site.tensor("self").type
    axis = site.argument("dim", -1)
    size = source.shape[axis] if isinstance(axis, int) and source.shape else 1
    site.reduce("sort", site.operands(), source.elements * max(1, ceil(log2(max(1, size)))))


@converts(*_BATCH_NORMS)
def _batch_norm(site: Site) -> None:
    if site.flag("training"):
        raise site.trains()
    reads = site.weights("weight", "bias", "running_mean", "running_var")
    site.elementwise("batch_norm", (site.data(site.tensor("input")), *reads))


@converts("instance_norm")
def _instance_norm(site: Site) -> None:
    """With its own statistics, or stored ones like a batch normalisation."""
    source = site.tensor("input")
    if site.flag("use_input_stats", True):
        reads = site.weights("weight", "bias")
        site.reduce("instance_norm", (site.data(source), *reads), source.type.elements)
    else:
        reads = site.weights("weight", "bias", "running_mean", "running_var")
        site.elementwise("batch_norm", (site.data(source), *reads))


@converts("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")
def _embedding_bag(site: Site) -> None:
    """The rows that the indices name are added up."""
    table, indices = site.tensor("weight"), site.tensor("indices", "input")
    elements = indices.type.elements * table.type.shape[-1]
    site.reduce("reduce_sum", (site.weight(table), site.data(indices)), elements)


@converts("cosine_similarity")
def _cosine(site: Site) -> None:
    """Three sums of products."""
    left = max(site.tensor("x1").type.elements, site.tensor("x2").type.elements)
    site.reduce("cosine_similarity", _operands(site), left)

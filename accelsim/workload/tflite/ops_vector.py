"""Vector work: element by element, and over axes or windows."""

from __future__ import annotations

from accelsim.workload.ops import Op
from accelsim.workload.tflite.site import CONVERTERS, Converter, Site, converts

# Builtin operator to function, in the words of `accelsim.workload.vector_work`.
_UNARY = {
    "ABS": "abs", "CAST": "cast", "CEIL": "ceil", "COS": "cos", "DEQUANTIZE": "dequantize", "ELU": "elu", "EXP": "exp",
    "FAKE_QUANT": "quantize", "FLOOR": "floor", "GELU": "gelu", "HARD_SWISH": "hard_swish", "LEAKY_RELU": "leaky_relu",
    "LOG": "log", "LOGICAL_NOT": "not", "LOGISTIC": "sigmoid", "NEG": "neg", "QUANTIZE": "quantize", "RELU": "relu",
    "RELU6": "clip", "RELU_N1_TO_1": "clip", "RELU_0_TO_1": "clip", "ROUND": "round", "RSQRT": "rsqrt", "SIGN": "sign",
    "SIN": "sin", "SQRT": "sqrt", "SQUARE": "mul", "TANH": "tanh",
}  # fmt: skip

_BINARY = {
    "EQUAL": "equal", "FLOOR_DIV": "div", "FLOOR_MOD": "mod", "GREATER": "greater", "GREATER_EQUAL": "greater_equal",
    "LESS": "less", "LESS_EQUAL": "less_equal", "LOGICAL_AND": "and", "LOGICAL_OR": "or", "MAXIMUM": "max",
    "MINIMUM": "min", "NOT_EQUAL": "not_equal", "POW": "pow", "SELECT": "where", "SELECT_V2": "where",
    "SQUARED_DIFFERENCE": "sub+mul", "WHERE": "where",
}  # fmt: skip

# A constant operand of more than one element is a parameter of the network.
_WITH_WEIGHT = {"ADD": "add", "ADD_N": "add", "DIV": "div", "MUL": "mul", "SUB": "sub"}
_OPTIONS = {"ADD": "AddOptions", "DIV": "DivOptions", "MUL": "MulOptions", "SUB": "SubOptions"}

_OVER_AXES = {
    "ARG_MAX": "arg_max", "ARG_MIN": "arg_min", "CUMSUM": "cum_sum", "L2_NORMALIZATION": "lp_norm",
    "LOG_SOFTMAX": "log_softmax", "MEAN": "reduce_mean", "REDUCE_ALL": "reduce_min", "REDUCE_ANY": "reduce_max",
    "REDUCE_MAX": "reduce_max", "REDUCE_MIN": "reduce_min", "REDUCE_PROD": "reduce_prod", "SOFTMAX": "softmax",
    "SUM": "reduce_sum", "TOPK_V2": "top_k",
}  # fmt: skip

_POOLS = {"AVERAGE_POOL_2D": "average_pool", "L2_POOL_2D": "lp_pool", "MAX_POOL_2D": "max_pool"}


def _unary(function: str) -> Converter:
    return lambda site: site.elementwise(function, (site.data(0),))


def _binary(function: str) -> Converter:
    return lambda site: site.elementwise(function, site.operands())


def _with_weight(function: str) -> Converter:
    def convert(site: Site) -> Op:
        places = [i for i in range(len(site.operator.inputs)) if site.has(i)]
        inputs = tuple(site.weight(i) if site.stored(i).elements > 1 else site.data(i) for i in places)
        options = _OPTIONS.get(site.label)
        code = site.options(options, "FusedActivationFunction")[0] if options else 0
        return site.elementwise(function, inputs, site.activated(code), max(1, len(inputs) - 1))

    return convert


def _over_axes(function: str) -> Converter:
    return lambda site: site.reduce(function, (site.data(0),), site.stored(0).elements)


def _pool(function: str) -> Converter:
    def convert(site: Site) -> Op:
        height, width, code = site.options("Pool2DOptions", "FilterHeight", "FilterWidth", "FusedActivationFunction")
        if min(height, width) < 1:
            raise site.error("needs a window", value=(height, width))
        return site.reduce(function, (site.data(0),), site.made().elements * height * width, site.activated(code))

    return convert


for _maker, _table in (
    (_unary, _UNARY),
    (_binary, _BINARY),
    (_with_weight, _WITH_WEIGHT),
    (_over_axes, _OVER_AXES),
    (_pool, _POOLS),
):
    for _kind, _function in _table.items():
        CONVERTERS[_kind] = _maker(_function)


@converts("PRELU")
def _prelu(site: Site) -> Op:
    return site.elementwise("prelu", (site.data(0), site.weight(1)))


@converts("LOCAL_RESPONSE_NORMALIZATION")
def _lrn(site: Site) -> Op:
    (radius,) = site.options("LocalResponseNormalizationOptions", "Radius")
    return site.reduce("lrn", (site.data(0),), site.stored(0).elements * (2 * max(0, radius) + 1))


@converts("RESIZE_BILINEAR")
def _resize(site: Site) -> Op:
    return site.elementwise("interpolate", (site.data(0),))

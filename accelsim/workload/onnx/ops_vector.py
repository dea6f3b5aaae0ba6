"""Vector work: element by element, and over axes or windows."""

from __future__ import annotations

from math import prod

from accelsim.workload.onnx.site import Converter, Site, converts
from accelsim.workload.ops import Elementwise, Op, Reduce

# Op type to function, in the words of `accelsim.workload.vector_work`. Operands behind the first only steer (bounds).
_UNARY = {
    "Abs": "abs",
    "Acos": "acos",
    "Acosh": "acosh",
    "Asin": "asin",
    "Asinh": "asinh",
    "Atan": "atan",
    "Atanh": "atanh",
    "BitwiseNot": "bitwise_not",
    "Cast": "cast",
    "CastLike": "cast",
    "Ceil": "ceil",
    "Celu": "celu",
    "Clip": "clip",
    "Cos": "cos",
    "Cosh": "cosh",
    "Elu": "elu",
    "Erf": "erf",
    "Exp": "exp",
    "Floor": "floor",
    "Gelu": "gelu",
    "HardSigmoid": "hard_sigmoid",
    "HardSwish": "hard_swish",
    "IsInf": "is_inf",
    "IsNaN": "is_nan",
    "LeakyRelu": "leaky_relu",
    "Log": "log",
    "Mish": "mish",
    "Neg": "neg",
    "Not": "not",
    "Reciprocal": "reciprocal",
    "Relu": "relu",
    "Round": "round",
    "Selu": "selu",
    "Shrink": "shrink",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Sin": "sin",
    "Sinh": "sinh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sqrt": "sqrt",
    "Swish": "silu",
    "Tan": "tan",
    "Tanh": "tanh",
    "ThresholdedRelu": "thresholded_relu",
}

_BINARY = {
    "And": "and",
    "BitShift": "bit_shift",
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Max": "max",
    "Mean": "mean",
    "Min": "min",
    "Mod": "mod",
    "Or": "or",
    "Pow": "pow",
    "Where": "where",
    "Xor": "xor",
}

# Binary functions whose constant operand, when it has more than one element, is a parameter of the network.
_BINARY_WITH_WEIGHT = {"Add": "add", "Div": "div", "Mul": "mul", "Sub": "sub", "Sum": "add"}

_REDUCE = {
    "ArgMax": "arg_max",
    "ArgMin": "arg_min",
    "CumProd": "cum_prod",
    "CumSum": "cum_sum",
    "GlobalAveragePool": "average_pool",
    "GlobalLpPool": "lp_pool",
    "GlobalMaxPool": "max_pool",
    "Hardmax": "hardmax",
    "LogSoftmax": "log_softmax",
    "LpNormalization": "lp_norm",
    "MeanVarianceNormalization": "mean_variance_norm",
    "ReduceL1": "reduce_l1",
    "ReduceL2": "reduce_l2",
    "ReduceLogSum": "reduce_log_sum",
    "ReduceLogSumExp": "reduce_log_sum_exp",
    "ReduceMax": "reduce_max",
    "ReduceMean": "reduce_mean",
    "ReduceMin": "reduce_min",
    "ReduceProd": "reduce_prod",
    "ReduceSum": "reduce_sum",
    "ReduceSumSquare": "reduce_sum_square",
    "Softmax": "softmax",
    "TopK": "top_k",
}

# Normalisations over axes: data, then scale and bias.
_NORMS = {
    "GroupNormalization": "group_norm",
    "InstanceNormalization": "instance_norm",
    "LayerNormalization": "layer_norm",
    "RMSNormalization": "rms_norm",
}

_POOLS = {"AveragePool": "average_pool", "LpPool": "lp_pool", "MaxPool": "max_pool"}


def _elementwise(site: Site, function: str, inputs: tuple[str, ...], each: int = 1) -> Elementwise:
    return Elementwise(
        name=site.name,
        inputs=inputs,
        outputs=site.outputs,
        label=site.label,
        function=function,
        elements=site.out().elements * each,
    )


def _reduce(site: Site, function: str, inputs: tuple[str, ...], elements: int) -> Reduce:
    return Reduce(
        name=site.name, inputs=inputs, outputs=site.outputs, label=site.label, function=function, elements=elements
    )


def _unary(function: str) -> Converter:
    return lambda site: _elementwise(site, function, site.operands(1))


def _binary(function: str) -> Converter:
    # An op of many operands works on them two by two; `where` makes one choice an element.
    def convert(site: Site) -> Op:
        operands = site.operands()
        return _elementwise(site, function, operands, 1 if function == "where" else max(1, len(operands) - 1))

    return convert


def _binary_with_weight(function: str) -> Converter:
    def convert(site: Site) -> Op:
        places = range(len(site.node.inputs))
        inputs = tuple(site.parameter(i) for i in places)
        return _elementwise(site, function, inputs, max(1, len(inputs) - 1))

    return convert


def _over_axes(function: str) -> Converter:
    return lambda site: _reduce(site, function, site.operands(1), site.elements())


def _norm(function: str) -> Converter:
    return lambda site: _reduce(site, function, (site.data(0), *site.weights(1, 2)), site.elements())


def _pool(function: str) -> Converter:
    def convert(site: Site) -> Op:
        # Each output combines a window, so where windows overlap, values count as often as they are read.
        window = site.integers("kernel_shape")
        if any(size < 1 for size in window):
            raise site.error("needs a positive kernel_shape", value=window)
        return _reduce(site, function, site.operands(1), site.out().elements * prod(window))

    return convert


for _maker, _table in (
    (_unary, _UNARY),
    (_binary, _BINARY),
    (_binary_with_weight, _BINARY_WITH_WEIGHT),
    (_over_axes, _REDUCE),
    (_norm, _NORMS),
    (_pool, _POOLS),
):
    for _op_type, _function in _table.items():
        converts(_op_type)(_maker(_function))


@converts("BatchNormalization")
def _batch_norm(site: Site) -> Op:
    if site.integer("training_mode", 0):
        raise site.unsupported("trains (training_mode = 1)", remedy="export the model for inference")
    return _elementwise(site, "batch_norm", (site.data(0), *site.weights(1, 2, 3, 4)))


@converts("PRelu")
def _prelu(site: Site) -> Op:
    return _elementwise(site, "prelu", (site.data(0), site.weight(1)))


@converts("LRN")
def _lrn(site: Site) -> Op:
    """Each output combines ``size`` neighbouring channels."""
    return _reduce(site, "lrn", (site.data(0),), site.elements() * max(1, site.integer("size", 1)))

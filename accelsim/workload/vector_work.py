"""Element operations behind each function of `Elementwise` and `Reduce`, as (simple, special) counts an element.

*Simple* is an add, multiply, compare or select; *special* a reciprocal, root, exponential, logarithm or the like,
which hardware evaluates by table and interpolation or iteration. Counts are of the textbook formula.
"""

from __future__ import annotations

from accelsim.errors import UnsupportedError
from accelsim.workload.ops import Elementwise, Op, Reduce

__all__ = ["FOLDED", "element_work"]

FOLDED = "folded_batch_norm"
"""An inference-time batch normalisation: its scale and shift are folded into the convolution before it."""

_SIMPLE = (
    "add", "sub", "mul", "neg", "abs", "relu", "clip", "min", "max", "where", "equal", "not_equal", "greater",
    "greater_equal", "less", "less_equal", "not", "and", "or", "xor", "cast", "floor", "ceil", "round", "sign",
    "leaky_relu", "prelu", "sum", "mean", "identity", "quantize", "dequantize", "threshold", "thresholded_relu", "mod",
    "bit_shift", "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "is_nan", "is_inf", "scale_shift",
)  # fmt: skip
_SPECIAL = (
    "div", "reciprocal", "sqrt", "rsqrt", "exp", "log", "log2", "pow", "erf", "sin", "cos", "tan", "atan", "asin",
    "acos", "sinh", "cosh", "asinh", "acosh", "atanh",
)  # fmt: skip

_WORK: dict[str, tuple[int, int]] = {
    **dict.fromkeys(_SIMPLE, (1, 0)),
    **dict.fromkeys(_SPECIAL, (0, 1)),
    FOLDED: (0, 0),
    "sigmoid": (1, 1),
    "tanh": (1, 1),
    "hard_sigmoid": (3, 0),
    "hard_swish": (4, 0),
    "elu": (2, 1),
    "selu": (2, 1),
    "celu": (2, 1),
    "gelu": (4, 1),
    "silu": (2, 1),
    "mish": (2, 3),
    # Rotary position: x cos + x' sin, with x' the other element of the pair (Su et al. 2021, arXiv 2104.09864).
    "rope": (3, 0),
    "softplus": (1, 2),
    "softsign": (2, 1),
    # Gates: bias and state adds, activations, products (Hochreiter & Schmidhuber 1997; Cho et al. 2014).
    "lstm_cell": (16, 5),
    "gru_cell": (14, 3),
    "rnn_cell": (3, 1),
    # Reductions, an input element.
    "max_pool": (1, 0),
    "average_pool": (1, 0),
    "reduce_sum": (1, 0),
    "reduce_mean": (1, 0),
    "reduce_max": (1, 0),
    "reduce_min": (1, 0),
    "reduce_prod": (1, 0),
    "reduce_l1": (2, 0),
    "reduce_l2": (2, 0),
    "reduce_sum_square": (2, 0),
    "reduce_log_sum_exp": (2, 1),
    "arg_max": (2, 0),
    "arg_min": (2, 0),
    "reduce_log_sum": (1, 1),
    "cum_sum": (1, 0),
    "cum_prod": (1, 0),
    "hardmax": (2, 0),
    "top_k": (4, 0),
    "softmax": (4, 1),
    "log_softmax": (4, 1),
    "batch_norm": (2, 0),
    "layer_norm": (6, 0),
    "rms_norm": (4, 0),
    "instance_norm": (6, 0),
    "group_norm": (6, 0),
    "mean_variance_norm": (6, 0),
    "lp_norm": (3, 0),
    "lp_pool": (2, 1),
    "shrink": (3, 0),
    "lrn": (7, 2),
    "interpolate": (6, 0),
}


def element_work(op: Op) -> tuple[int, int]:
    """(simple, special) operations of the whole op; `UnsupportedError` for a function that is not in the table."""
    if not isinstance(op, Elementwise | Reduce):
        return 0, 0
    try:
        simple, special = _WORK[op.function]
    except KeyError:
        raise UnsupportedError(
            "has no known cost", file=f"op {op.name}", field="function", value=op.function,
            remedy="add it to accelsim/workload/vector_work.py with the operations of its formula",
        ) from None  # fmt: skip
    return simple * op.elements, special * op.elements

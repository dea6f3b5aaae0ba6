"""Element operations behind each function of `Elementwise` and `Reduce`, as (simple, special) counts an element.

*Simple* is an add, multiply, compare or select; *special* a reciprocal, root, exponential, logarithm or the like,
which hardware evaluates by table and interpolation or iteration. Counts are of the textbook formula.
"""

from __future__ import annotations

from math import log2

from accelsim.errors import UnsupportedError
from accelsim.workload.ops import Elementwise, Op, Reduce

__all__ = ["FOLDED", "FUSED", "butterflies", "element_work"]

FUSED = "+"
"""Joins the functions of element-wise ops that run as one pass: ``add+relu`` is relu of the sum."""

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
    "log_sigmoid": (2, 2),
    "glu": (2, 1),
    "addcmul": (3, 0),
    "addcdiv": (2, 1),
    "atan2": (0, 2),
    "erfc": (1, 1),
    "expm1": (1, 1),
    "log1p": (1, 1),
    "logaddexp": (3, 2),
    "logit": (1, 2),
    "xlogy": (1, 1),
    "lerp": (3, 0),
    "nan_to_num": (3, 0),
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
    # Seven linear interpolations; five cubic ones of four taps.
    "interpolate_trilinear": (14, 0),
    "interpolate_cubic": (35, 0),
    # Sum and sum of squares about it; three sums of products.
    "variance": (4, 0),
    "cosine_similarity": (6, 0),
    # Range (two compares), then scale, round, shift and clip as `quantize`.
    "dynamic_quantize": (3, 0),
    "non_zero": (1, 0),
    "sort": (1, 0),
    # Corners (4), area of the intersection (3), of the union (2), ratio and compare.
    "box_overlap": (10, 1),
    # A coordinate of two or three dimensions: products and sums with a row of the matrix.
    "affine": (6, 0),
    # Complex numbers: a product, and the root of the sum of two squares.
    "complex_mul": (6, 0),
    "complex_abs": (3, 1),
    # Elimination with pivots: a product and a difference.
    "lu": (2, 0),
    # A butterfly of radix 2: one complex product (6) and two complex sums (4).
    "fft": (10, 0),
    # Xorshift (Marsaglia 2003) and scaling; the normal variate of Box & Muller (1958), a pair at a time.
    "random_uniform": (8, 0),
    "random_normal": (10, 2),
}


def element_work(op: Op) -> tuple[int, int]:
    """(simple, special) operations of the whole op; `UnsupportedError` for a function that is not in the table.

    A function such as ``add+relu`` is two passes in one: the work is that of its parts.
    """
    if not isinstance(op, Elementwise | Reduce):
        return 0, 0
    try:
        parts = [_WORK[part] for part in op.function.split(FUSED)]
    except KeyError:
        raise UnsupportedError(
            "has no known cost", file=f"op {op.name}", field="function", value=op.function,
            remedy="add it to accelsim/workload/vector_work.py with the operations of its formula",
        ) from None  # fmt: skip
    return sum(simple for simple, _ in parts) * op.elements, sum(special for _, special in parts) * op.elements


def butterflies(length: int) -> int:
    """Butterflies of radix 2 in a Fourier transform, whatever its length (Cooley & Tukey 1965)."""
    return round(length / 2 * log2(length)) if length > 1 else 1

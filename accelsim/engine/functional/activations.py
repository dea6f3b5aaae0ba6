"""The activation functions of ONNX's recurrent operators, in float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ACTIVATIONS", "activation", "sigmoid"]

Array = NDArray[Any]
Function = Callable[[Array], Array]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    made: Array = np.where(x >= 0, 1, small) / (1 + small)
    return made


ACTIVATIONS: dict[str, tuple[float, float, Callable[[Array, np.float32, np.float32], Array]]] = {
    "affine": (1.0, 0.0, lambda x, alpha, beta: alpha * x + beta),
    "elu": (1.0, 0.0, lambda x, alpha, _: np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0)))),
    "hardsigmoid": (0.2, 0.5, lambda x, alpha, beta: np.clip(alpha * x + beta, np.float32(0), np.float32(1))),
    "leakyrelu": (0.01, 0.0, lambda x, alpha, _: np.where(x >= 0, x, alpha * x)),
    "relu": (0.0, 0.0, lambda x, *_: np.maximum(x, np.float32(0))),
    "scaledtanh": (1.0, 1.0, lambda x, alpha, beta: alpha * np.tanh(beta * x)),
    "sigmoid": (0.0, 0.0, lambda x, *_: sigmoid(x)),
    "softplus": (0.0, 0.0, lambda x, *_: np.logaddexp(x, np.float32(0))),
    "softsign": (0.0, 0.0, lambda x, *_: x / (1 + np.abs(x))),
    "tanh": (0.0, 0.0, lambda x, *_: np.tanh(x)),
    "thresholdedrelu": (1.0, 0.0, lambda x, alpha, _: np.where(x > alpha, x, np.float32(0))),
}
"""By name in lower case: the alpha and beta that are taken where none are given, and the function of x, alpha, beta."""

_PLAIN: dict[str, Function] = {}


def activation(name: str, alpha: float | None, beta: float | None) -> Function:
    """The function of that name; one without parameters is the same object each time.

    Raises:
        KeyError: no such function.
    """
    usual_alpha, usual_beta, compute = ACTIVATIONS[name.lower()]
    if alpha is None and beta is None:
        return _PLAIN.setdefault(name.lower(), lambda x: compute(x, np.float32(usual_alpha), np.float32(usual_beta)))
    a, b = np.float32(usual_alpha if alpha is None else alpha), np.float32(usual_beta if beta is None else beta)
    return lambda x: compute(x, a, b)

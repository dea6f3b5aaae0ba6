"""What operators of torch are called, and which of them write in place, draw numbers or only set a mode."""

from __future__ import annotations

import re

__all__ = ["COND", "INLINED", "RANDOM", "SIZE_ONLY", "functional_key", "module_path", "unique"]

COND = "higher_order::cond"

# Higher-order operators that run their subgraph once, under another mode.
INLINED = frozenset(
    {
        "higher_order::wrap_with_set_grad_enabled",
        "higher_order::wrap_with_autocast",
        "higher_order::hints_wrapper",
        "higher_order::tag_activation_checkpoint",
        "higher_order::wrap_activation_checkpoint",
        "higher_order::wrap",
    }
)

# Operators that draw numbers: constant operands do not make their results constant.
RANDOM = frozenset(
    {
        "bernoulli", "exponential", "multinomial", "normal", "normal_functional", "poisson", "rand", "rand_like",
        "randint", "randint_like", "randn", "randn_like", "randperm", "uniform",
    }
)  # fmt: skip

# Operators that read of their input only how large it is.
SIZE_ONLY = frozenset(
    {
        "empty_like", "full_like", "new_empty", "new_empty_strided", "new_full", "new_ones", "new_zeros", "ones_like",
        "zeros_like",
    }
)  # fmt: skip

_DUNDERS = {
    "__and__": "bitwise_and", "__or__": "bitwise_or", "__xor__": "bitwise_xor", "__lshift__": "bitwise_left_shift",
    "__rshift__": "bitwise_right_shift",
}  # fmt: skip


def functional_key(target: str) -> tuple[str, bool]:
    """The operator in its functional form, and whether the target writes in place: aten::relu_ is (relu, True).

    Operators outside of aten keep their namespace.
    """
    namespace, _, name = target.rpartition("::")
    if namespace != "aten":
        return target, False
    if name.startswith("__i"):  # __iand__ and the like
        return _DUNDERS.get(f"__{name[3:]}", name), True
    if name.startswith("__"):
        return _DUNDERS.get(name, name), False
    return (name[:-1], True) if name.endswith("_") else (name, False)


def module_path(path: str) -> str:
    """A module's dotted path; slices of module lists, which torch writes into it, are left out."""
    plain = re.sub(r"\.slice\([^)]*\)", "", path)
    return re.sub(r"[^\w.@-]+", "_", plain).strip(".")


def unique(name: str, taken: dict[str, int]) -> str:
    """``name``, or a variation that is not taken; ``taken`` counts how often each was asked for."""
    candidate = name
    while candidate in taken:
        taken[name] = taken.get(name, 1) + 1
        candidate = f"{name}#{taken[name]}"
    taken[candidate] = 1
    return candidate

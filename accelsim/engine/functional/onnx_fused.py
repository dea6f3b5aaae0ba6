"""Products fused with what follows them, and Einsum, as the steps that the front end wrote as ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from string import ascii_letters
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.activations import ACTIVATIONS, activation
from accelsim.engine.functional.expansion import Expansion
from accelsim.engine.functional.matrix import Arranged, arranged_convolution, arranged_gemm, arranged_matmul
from accelsim.workload.ops import Conv

__all__ = ["FUSED"]

Array = NDArray[Any]
Shape = tuple[int, ...]
MS = "com.microsoft"


# With an activation


def _followed(this: Expansion, arrange: Callable[..., Arranged], follow: Callable[[Array], Array] | None) -> None:
    """The product of inputs 0 and 1 and bias 2, the sum with ``Z`` (input 3) and an activation, as far as given."""
    after = ["skip"] if this.input(3) else []
    after += ["activation"] if follow is not None else []
    here = f"{this.node.name}:product" if after else this.output(0)
    this.multiply_floats(this.input(0), this.input(1), arrange, this.input(2), here)
    for part in after:
        output = this.output(0) if part == after[-1] else ""
        if part == "skip":
            (here,) = this.work(part, (here, this.input(3)), lambda x, z: x + z, output)
        elif follow is not None:
            (here,) = this.work(part, (here,), follow, output)


def _fused_conv(this: Expansion) -> None:
    op = this.op
    assert isinstance(op, Conv)
    given = next((tuple(each.floats) for each in this.node.proto.attribute if each.name == "activation_params"), ())
    _followed(this, lambda *_: arranged_convolution(op), _activation(this, given))


def _fused_gemm(this: Expansion) -> None:
    names = {each.name for each in this.node.proto.attribute}
    given = tuple(this.attributes.real(name, 0.0) for name in ("activation_alpha", "activation_beta") if name in names)
    gemm = arranged_gemm(this.attributes)
    _followed(this, lambda *_: gemm, _activation(this, given))


def _gemm_gelu(this: Expansion) -> None:
    _followed(this, arranged_matmul, _fast_gelu)


def _activation(this: Expansion, given: Sequence[float]) -> Callable[[Array], Array] | None:
    """The activation that a node names, with the numbers that it gives for it."""
    name = this.attributes.string("activation", "")
    if not name:
        return None
    if name == "Clip":
        return lambda x: np.clip(x, *map(x.dtype.type, given)) if given else x
    if name.lower() not in ACTIVATIONS:
        raise this.refuse("fuses an activation that is not emulated", name)
    alpha, beta = (*given, None, None)[:2]
    return activation(name, alpha, beta)


def _fast_gelu(x: Array) -> Array:
    """The tanh form (Hendrycks & Gimpel 2016, arXiv 1606.08415)."""
    root, cubic = np.float32(np.sqrt(2 / np.pi)), np.float32(0.044715)
    made: Array = np.float32(0.5) * x * (1 + np.tanh(root * (x + cubic * x * x * x)))
    return made


# Einsum


def _einsum(this: Expansion) -> None:
    """Two operands at a time, from the left: what only one of them has is summed first, then comes their product."""
    terms, out = _parsed(this)
    here, name = terms[0], this.input(0)
    if len(terms) == 1:
        this.work("", (name,), partial(_summed, here, out), this.output(0))
        return
    for index, term in enumerate(terms[1:], start=1):
        behind = set(out).union(*terms[index + 1 :])
        final = index == len(terms) - 1
        kept = out if final else "".join(each for each in dict.fromkeys(here + term) if each in behind)
        left = _alone(this, f"sum_left{index}", name, here, behind | set(term))
        right = _alone(this, f"sum_right{index}", this.input(index), term, behind | set(left[1]))
        if left[0] in this.values and right[0] not in this.values:
            left, right = right, left  # as the front end: the weight belongs on the right
        part = "" if final else f"product{index}"
        name = this.output(0) if final else f"{this.node.name}:{part}"
        if set(left[1]) & set(right[1]) <= set(kept):
            this.work(part, (left[0], right[0]), partial(_einsum2, f"{left[1]},{right[1]}->{kept}"), name)
        else:
            this.multiply_floats(left[0], right[0], partial(_paired, left[1], right[1], kept), "", name, part)
        here = kept


def _alone(this: Expansion, part: str, name: str, term: str, wanted: set[str]) -> tuple[str, str]:
    """An operand and its indices after those are summed that nothing else has, and repeated ones are taken once."""
    kept = "".join(each for each in dict.fromkeys(term) if each in wanted)
    if (len(kept) < len(term)) != (f"{this.op.name}:{part}" in this.ops):
        raise this.refuse("repeats an axis along an index that it sums, which is not emulated",
                          this.attributes.string("equation", ""))  # fmt: skip
    return (name, term) if len(kept) == len(term) else (this.work(part, (name,), partial(_summed, term, kept))[0], kept)


def _summed(term: str, kept: str, x: Array) -> Array:
    return np.array(np.einsum(f"{term}->{kept}", x), order="C")


def _einsum2(equation: str, a: Array, b: Array) -> Array:
    return np.array(np.einsum(equation, a, b), order="C")


def _paired(first: str, second: str, kept: str, left: Shape, right: Shape) -> Arranged:
    """The product over the indices of both terms that are not kept; an axis of 1 is repeated along a longer one."""
    sizes: dict[str, int] = {}
    for each, size in [*zip(first, left, strict=True), *zip(second, right, strict=True)]:
        sizes[each] = max(sizes.get(each, 1), size)
    a, b = (
        "".join(each for each, size in zip(term, shape, strict=True) if size == sizes[each])
        for term, shape in ((first, left), (second, right))
    )
    both = [each for each in a if each in b]
    groups, summed = [each for each in both if each in kept], [each for each in both if each not in kept]
    rows, columns = ([each for each in term if each not in both] for term in (a, b))
    made = "".join((*groups, *rows, *columns))

    def operand(x: Array, whole: str, term: str, inner: Sequence[str]) -> Array:
        axes = tuple(axis for axis, each in enumerate(whole) if each not in term)
        turned = np.einsum(f"{term}->{''.join((*groups, *inner, *summed))}", x.squeeze(axes))
        count, length = (prod(sizes[each] for each in part) for part in (groups, summed))
        return np.ascontiguousarray(turned).reshape(count, -1, length)

    def finish(products: Array, addend: Array | None) -> Array:
        del addend
        return np.array(np.einsum(f"{made}->{kept}", products.reshape([sizes[each] for each in made])), order="C")

    return Arranged(lambda x: operand(x, first, a, rows), lambda x: operand(x, second, b, columns), finish)


def _parsed(this: Expansion) -> tuple[list[str], str]:
    """Indices of each operand and of the output, an ellipsis spelled out in letters that the equation has not."""
    equation = this.attributes.string("equation", "").replace(" ", "")
    written, arrow, out = equation.partition("->")
    terms = written.split(",")
    if "..." in equation:
        free = [each for each in ascii_letters if each not in equation]
        widths = [this.rank(place) - len(term) + 3 if "..." in term else 0 for place, term in enumerate(terms)]
        dots = "".join(free[: max(widths)])
        terms = [term.replace("...", dots[len(dots) - width :]) for term, width in zip(terms, widths, strict=True)]
        implied, out = dots, out.replace("...", dots)
    else:
        implied = ""
    if not arrow:
        every = "".join(terms)
        out = implied + "".join(sorted(each for each in set(every) - set(implied) if every.count(each) == 1))
    return terms, out


FUSED: dict[tuple[str, str], Callable[[Expansion], None]] = {
    ("", "Einsum"): _einsum,
    (MS, "FusedConv"): _fused_conv,
    (MS, "FusedGemm"): _fused_gemm,
    (MS, "GemmFastGelu"): _gemm_gelu,
}
"""By domain and type."""

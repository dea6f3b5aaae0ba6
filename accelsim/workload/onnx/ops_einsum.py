"""Einsum: two operands at a time, from the left, each pair a matrix product."""

from __future__ import annotations

from math import prod

from accelsim.workload.onnx.lower import Lowering
from accelsim.workload.onnx.site import Site, converts
from accelsim.workload.ops import Op

__all__: list[str] = []


@converts("Einsum")
def _einsum(site: Site) -> Op:
    """Indices that both operands and what follows know are groups; those that nothing behind knows are summed.

    MACs are those of contracting from left to right. Without an index to sum over the product is element-wise.
    """
    terms, out, sizes = _parsed(site)
    if tuple(sizes[each] for each in out) != site.out().shape:
        raise site.unsupported("repeats an axis of a tensor that it reads twice", value=site.string("equation", ""))
    lower, made = Lowering(site), site.outputs[0]
    name, here = site.weight(0), terms[0]
    if len(terms) == 1:
        return _single(lower, name, here, out, sizes)
    for index, term in enumerate(terms[1:], start=1):
        behind = set(out).union(*terms[index + 1 :])
        final = index == len(terms) - 1
        kept = out if final else tuple(each for each in dict.fromkeys((*here, *term)) if each in behind)
        other = site.weight(index)
        left, here = _summed(lower, f"sum_left{index}", name, here, {*behind, *term}, sizes)
        right, term = _summed(lower, f"sum_right{index}", other, term, {*behind, *here}, sizes)
        name = _pair(site, lower, index, (left, here), (right, term), kept, sizes, made if final else None)
        here = kept
    return lower.last()


def _single(lower: Lowering, name: str, term: tuple[str, ...], out: tuple[str, ...], sizes: dict[str, int]) -> Op:
    shape = tuple(sizes[each] for each in out)
    if set(term) == set(out) and len(term) == len(out):
        lower.move("transpose", "transpose", (name,), shape, lower.site.outputs[0])
    else:
        read = prod(sizes[each] for each in term)
        lower.reduce("sum", "reduce_sum", (name,), read, shape, lower.site.outputs[0])
    return lower.last()


def _summed(
    lower: Lowering, part: str, name: str, term: tuple[str, ...], wanted: set[str], sizes: dict[str, int]
) -> tuple[str, tuple[str, ...]]:
    """The operand with the indices summed that nothing else knows, and with repeated ones taken once."""
    kept = tuple(each for each in dict.fromkeys(term) if each in wanted)
    if len(kept) == len(term):
        return name, term
    read = prod(sizes[each] for each in term)
    shape = tuple(sizes[each] for each in kept)
    return lower.reduce(part, "reduce_sum", (name,), read, shape), kept


def _pair(
    site: Site, lower: Lowering, index: int, left: tuple[str, tuple[str, ...]], right: tuple[str, tuple[str, ...]],
    kept: tuple[str, ...], sizes: dict[str, int], made: str | None,
) -> str:  # fmt: skip
    (a, first), (b, second) = left, right
    if site.plain.constants.get(a) and not site.plain.constants.get(b):
        (a, first), (b, second) = right, left  # the weight belongs on the right
    shape = tuple(sizes[each] for each in kept)
    both = set(first) & set(second)
    summed = both - set(kept)
    if not summed:
        return lower.elementwise(f"product{index}", "mul", (a, b), shape, made)
    groups = prod(sizes[each] for each in both & set(kept))
    m = prod(sizes[each] for each in set(first) - both)
    n = prod(sizes[each] for each in set(second) - both)
    k = prod(sizes[each] for each in summed)
    return lower.product(f"product{index}", a, b, shape, groups=groups, m=m, n=n, k=k, made=made)


def _parsed(site: Site) -> tuple[list[tuple[str, ...]], tuple[str, ...], dict[str, int]]:
    """Indices of each operand and of the output, and the size of each.

    Those of an ellipsis are called ``.0``, ``.1``, ... from the right. An axis of size 1 that another operand has
    wider is repeated, which is no work: it counts as absent.
    """
    equation = site.string("equation", "").replace(" ", "")
    left, arrow, right = equation.partition("->")
    written = left.split(",")
    if len(written) != len(site.node.inputs):
        raise site.error(f"has {len(site.node.inputs)} operands for {len(written)} terms", value=equation)
    spelled = [_spelled(site, term, len(site.shape(index))) for index, term in enumerate(written)]
    if arrow:
        dots = max((sum(each[0] == "." for each in term) for term in spelled), default=0)
        out = _spelled(site, right, len(right.replace("...", "")) + (dots if "..." in right else 0))
    else:
        every = [each for term in spelled for each in term]
        once = sorted(each for each in set(every) if each[0] != "." and every.count(each) == 1)
        out = (*sorted({each for each in every if each[0] == "."}, reverse=True), *once)
    sizes = _sizes(site, spelled)
    wide = [
        tuple(each for axis, each in enumerate(term) if site.shape(index)[axis] != 1 or sizes[each] == 1)
        for index, term in enumerate(spelled)
    ]
    if unknown := set(out) - set(sizes):
        raise site.error(f"makes indices that no operand has: {', '.join(sorted(unknown))}", value=equation)
    return wide, out, sizes


def _spelled(site: Site, term: str, rank: int) -> tuple[str, ...]:
    before, dots, after = term.partition("...")
    named = len(before) + len(after)
    if (not (before + after).isalpha() and named) or (rank != named if not dots else rank < named):
        raise site.error(f"has a term that does not fit an operand of {rank} axes", value=term)
    return (*before, *(f".{index}" for index in range(rank - named - 1, -1, -1)), *after)


def _sizes(site: Site, terms: list[tuple[str, ...]]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for index, term in enumerate(terms):
        shape = site.shape(index)
        for each, size in zip(term, shape, strict=True):
            sizes[each] = max(sizes.get(each, 1), size)
    return sizes

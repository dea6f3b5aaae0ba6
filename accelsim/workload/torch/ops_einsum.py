"""`torch.einsum` and `torch.tensordot` as matrix products."""

from __future__ import annotations

from math import prod

from accelsim.workload.torch.plain import Value
from accelsim.workload.torch.program import TensorType
from accelsim.workload.torch.site import Operand, Site, converts

_Term = tuple[Operand, str]  # a tensor and the letters of its axes


@converts("einsum")
def _einsum(site: Site) -> None:
    """Operands are contracted two by two from the left, as `torch.einsum` does without a path optimiser."""
    equation = site.argument("equation")
    operands = list(site.call.tensors())
    if not isinstance(equation, str):
        raise site.error("has no equation")
    inputs, output = _letters(site, equation.replace(" ", ""), [value.type.shape for value in operands])
    sizes: dict[str, int] = {}
    for letters, value in zip(inputs, operands, strict=True):
        for letter, size in zip(letters, value.type.shape, strict=True):
            sizes[letter] = max(sizes.get(letter, 1), size)
    first, *others = zip(operands, inputs, strict=True)
    here: _Term = (first[0], first[1])
    if not others:
        _alone(site, here, output)
        return
    for index, term in enumerate(others):
        later = "".join(letters for _, letters in others[index + 1 :]) + output
        here = _pair(site, here, term, later, sizes, last=index == len(others) - 1)


def _letters(site: Site, equation: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """The letters of each operand and of the result; an ellipsis becomes capital letters that are not used."""
    left, arrow, output = equation.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(shapes):
        raise site.error(f"has {len(shapes)} operands", value=equation)
    free = [letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letter not in equation]
    widths = [len(shape) - len(letters.replace("...", "")) for letters, shape in zip(inputs, shapes, strict=True)]
    batch = max((width for letters, width in zip(inputs, widths, strict=True) if "..." in letters), default=0)
    if any(width < 0 for width in widths) or batch > len(free):
        raise site.error("does not fit its operands", value=equation)
    dots = "".join(free[:batch])
    inputs = [letters.replace("...", dots[batch - width :]) for letters, width in zip(inputs, widths, strict=True)]
    if not arrow:
        joined = "".join(inputs)
        output = dots + "".join(sorted(letter for letter in set(joined) - set(dots) if joined.count(letter) == 1))
    output = output.replace("...", dots)
    if any(len(set(letters)) != len(letters) for letters in inputs):
        raise site.unsupported("takes a diagonal", value=equation, remedy="take it with torch.diagonal")
    return inputs, output


def _alone(site: Site, term: _Term, output: str) -> None:
    """One operand: a transposition, or a sum."""
    value, letters = term
    assert isinstance(value, Value)
    if set(letters) == set(output):
        site.move("transpose", (site.weight(value),), view=True)
    else:
        site.reduce("reduce_sum", (site.weight(value),), value.type.elements)


def _pair(site: Site, left: _Term, right: _Term, later: str, sizes: dict[str, int], *, last: bool) -> _Term:
    """One contraction. Letters of both that are needed later are groups, those that are not are summed."""
    (x, a), (y, b) = _summed(site, left, right[1] + later, sizes), _summed(site, right, left[1] + later, sizes)
    groups = [letter for letter in a if letter in b and letter in later]
    inner = [letter for letter in a if letter in b and letter not in later]
    rows = [letter for letter in a if letter not in b]
    columns = [letter for letter in b if letter not in a]
    if _stored(x) and not _stored(y):
        x, y, rows, columns = y, x, columns, rows
    made = "".join((*groups, *rows, *columns))
    kind = None if last else TensorType(site.out().dtype, tuple(sizes[letter] for letter in made), ())
    count, m, n, k = (prod(sizes[letter] for letter in each) for each in (groups, rows, columns, inner))
    suffix = "" if last else f"pair_{made}"
    x, y = (site.dense(each) if isinstance(each, Value) else each for each in (x, y))
    reads = (site.data(x), site.weight(y))
    if inner or (rows and columns) or groups == []:
        name = site.matmul(reads, count, m, n, k, kind=kind, suffix=suffix)
    else:  # nothing is summed: products element by element
        name = site.elementwise("mul", reads, kind=kind, suffix=suffix)
    return name, made


def _summed(site: Site, term: _Term, needed: str, sizes: dict[str, int]) -> _Term:
    """The term without the axes that nothing else has: they are summed first."""
    operand, letters = term
    kept = "".join(letter for letter in letters if letter in needed)
    if kept == letters:
        return term
    kind = TensorType(site.out().dtype, tuple(sizes[letter] for letter in kept), ())
    elements = prod(sizes[letter] for letter in letters)
    return site.reduce("reduce_sum", (site.weight(operand),), elements, kind=kind, suffix=f"sum_{kept}"), kept


def _stored(operand: Operand) -> bool:
    return isinstance(operand, Value) and operand.origin != "data"


@converts("tensordot")
def _tensordot(site: Site) -> None:
    """The axes named in ``dims_self`` and ``dims_other`` are summed over."""
    left, right = site.tensor("self"), site.tensor("other")
    summed = site.argument("dims_self")
    axes = [axis for axis in summed if isinstance(axis, int)] if isinstance(summed, tuple) else []
    k = prod(left.type.shape[axis] for axis in axes)
    x, y = (left, right) if not (_stored(left) and not _stored(right)) else (right, left)
    reads = (site.data(site.dense(x)), site.weight(site.dense(y)))
    site.matmul(reads, 1, x.type.elements // k, y.type.elements // k, k)

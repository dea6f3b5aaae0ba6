"""Matrix work: convolutions and matrix products."""

from __future__ import annotations

from math import prod

from accelsim.workload.ops import Conv
from accelsim.workload.torch.plain import Value
from accelsim.workload.torch.program import TensorType
from accelsim.workload.torch.site import Site, converts

__all__ = ["product"]


@converts("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution")
def _conv(site: Site) -> None:
    source, kernel, out = site.tensor("input"), site.tensor("weight"), site.out()
    axes = len(kernel.type.shape) - 2
    transposed = "transpose" in site.key or site.flag("transposed")
    if not 1 <= axes <= 3:
        raise site.unsupported("is modelled for 1 to 3 spatial dimensions", value=kernel.type.shape)
    groups = site.integer("groups", 1)
    first, second, *size = kernel.type.shape
    dilation = site.integers("dilation", axes, 1)
    weight, bias = site.dense(kernel), site.optional("bias")
    site.emit(
        Conv(
            name=site.name,
            inputs=(site.data(source), site.weight(weight), *(() if bias is None else (site.weight(bias),))),
            outputs=site.outputs,
            label=site.key,
            batch=prod(source.type.shape[: -axes - 1]),
            in_channels=first if transposed else second * groups,
            out_channels=second * groups if transposed else first,
            input_size=source.type.shape[-axes:],
            output_size=out.shape[-axes:],
            kernel=tuple(size),
            stride=site.integers("stride", axes, 1),
            padding=_padding(site, tuple(size), dilation),
            dilation=dilation,
            groups=groups,
            transposed=transposed,
        )
    )


def _padding(site: Site, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """One value an axis, or all beginnings and then all ends where the two sides of an axis differ."""
    padding = site.argument("padding", 0)
    if padding == "valid":
        return (0,) * len(kernel)
    if padding == "same":
        totals = [step * (size - 1) for size, step in zip(kernel, dilation, strict=True)]
        before, after = tuple(total // 2 for total in totals), tuple(total - total // 2 for total in totals)
        return before if before == after else before + after
    return site.integers("padding", len(kernel), 0)


@converts("linear")
def _linear(site: Site) -> None:
    source, weight, bias = site.tensor("input"), site.tensor("weight"), site.optional("bias")
    *outer, k = source.type.shape
    n = weight.type.shape[0] if len(weight.type.shape) > 1 else 1
    reads = (site.data(site.dense(source)), site.weight(site.dense(weight)))
    site.matmul((*reads, *(() if bias is None else (site.weight(bias),))), 1, prod(outer), n, k)


@converts("mm", "bmm", "matmul", "mv", "dot", "vdot", "linalg_matmul")
def _matmul(site: Site) -> None:
    left, right = site.tensor("self", "input"), site.tensor("mat2", "other", "vec", "tensor")
    product(site, left, left.type.shape, right, right.type.shape)


@converts("addmm", "addmv", "baddbmm", "addbmm")
def _added_product(site: Site) -> None:
    """A product and an addend; one row as addend is a bias."""
    left, right = site.tensor("mat1", "mat", "batch1"), site.tensor("mat2", "vec", "batch2")
    if site.key == "addbmm":
        raise site.unsupported("sums the products of a batch", remedy="write it as a bmm and a sum")
    addend = site.tensor("self", "input")
    if site.argument("beta", 1) == 0:
        product(site, left, left.type.shape, right, right.type.shape)
    elif site.key == "addmm" and addend.type.elements == right.type.shape[-1] and not _swaps(left, right):
        m, k = left.type.shape
        reads = (site.data(site.dense(left)), site.weight(site.dense(right)), site.weight(addend))
        site.matmul(reads, 1, m, right.type.shape[-1], k)
    else:
        whole = site.out()
        made = product(site, left, left.type.shape, right, right.type.shape, kind=whole, suffix="product")
        site.elementwise("add", (made, site.weight(addend)))


def _swaps(left: Value, right: Value) -> bool:
    """Whether the weight stands on the left only: y^T = b^T a^T brings it to the right."""
    return left.origin != "data" and right.origin == "data"


def product(
    site: Site, left: Value, a: tuple[int, ...], right: Value, b: tuple[int, ...], *,
    kind: TensorType | None = None, suffix: str = "",
) -> str:  # fmt: skip
    """The matrix product of two tensors seen as ``a`` and ``b``, broadcast like `torch.matmul`.

    Batch axes become rows where the right operand has one matrix for all of them, groups otherwise.
    """
    m, k, n = (a[-2] if len(a) > 1 else 1), a[-1], (b[-1] if len(b) > 1 else 1)
    batch_a, batch_b = _aligned(a[:-2], b[:-2])
    if _swaps(left, right):
        left, right, m, n, batch_a, batch_b = right, left, n, m, batch_b, batch_a
    x, y = site.data(site.dense(left)), site.weight(site.dense(right))
    pairs = list(zip(batch_a, batch_b, strict=True))
    rows = prod(p for p, q in pairs if q == 1)
    groups = prod(p for p, q in pairs if p == q and q != 1)
    copies = prod(q for p, q in pairs if p == 1 and q != 1)
    if copies > 1 and groups > 1:
        # Each of several groups is read by several others, which one op cannot say: the copies are made first.
        wide = TensorType(left.type.dtype, (*(max(pair) for pair in pairs), m, k), ())
        x = site.move("expand", (x,), kind=wide, suffix="expanded")
    shared = copies > 1 and groups == 1
    return site.matmul((x, y), groups * copies, rows * m, n, k, shared=shared, kind=kind, suffix=suffix)


def _aligned(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank = max(len(a), len(b))
    return (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b

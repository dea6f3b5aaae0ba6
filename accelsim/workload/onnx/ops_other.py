"""What is neither matrix work nor one operation an element: sampling, transforms, random numbers, selections."""

from __future__ import annotations

from math import log2, prod

from accelsim.workload.onnx.lower import Lowering
from accelsim.workload.onnx.site import Converter, Site, converts
from accelsim.workload.ops import Elementwise, Move, Op, Reduce
from accelsim.workload.vector_work import butterflies

__all__: list[str] = []


def _elementwise(site: Site, function: str, inputs: tuple[str, ...], elements: int) -> Op:
    return Elementwise(
        name=site.name, inputs=inputs, outputs=site.outputs, label=site.label, function=function, elements=elements
    )


def _reduce(site: Site, function: str, inputs: tuple[str, ...], elements: int) -> Op:
    return Reduce(
        name=site.name, inputs=inputs, outputs=site.outputs, label=site.label, function=function, elements=elements
    )


def _move(site: Site, function: str, inputs: tuple[str, ...], *, view: bool = False) -> Op:
    elements = sum(site.plain.types[name].elements for name in site.outputs)
    return Move(
        name=site.name, inputs=inputs, outputs=site.outputs, label=site.label, function=function, elements=elements,
        view=view,
    )  # fmt: skip


def _moves(function: str, count: int, *, view: bool = False) -> Converter:
    return lambda site: _move(site, function, site.operands(count), view=view)


# Sizes that depend on the data are measured (see `measure`); the work is that of finding and copying.
converts("Range", "ConstantOfShape")(_moves("fill", 0))
converts("MaxUnpool")(_moves("scatter", 2))
converts("TensorScatter")(_moves("scatter", 2))
converts("BitCast")(_moves("identity", 1, view=True))
converts("ConcatFromSequence")(_moves("concat", 1 << 30))
converts("SplitToSequence")(_moves("split", 1))


@converts("NonZero")
def _non_zero(site: Site) -> Op:
    return _reduce(site, "non_zero", (site.data(0),), site.elements())


@converts("Unique")
def _unique(site: Site) -> Op:
    """Sorting: one comparison for each level of a merge."""
    count = max(2, site.elements())
    return _reduce(site, "sort", (site.data(0),), count * max(1, round(log2(count))))


@converts("NonMaxSuppression")
def _non_max_suppression(site: Site) -> Op:
    """Every box is compared with each one kept so far: at most the limit of a class, and no more than found."""
    boxes, scores = site.shape(0), site.shape(1)
    limit = site.value(2)
    most = boxes[1] if limit is None or not limit.size else max(1, min(boxes[1], int(limit.reshape(-1)[0])))
    return _reduce(site, "box_overlap", (site.data(0), site.data(1)), prod(scores) * most)


# Sampling: each value is interpolated between its neighbours


@converts("RoiAlign")
def _roi_align(site: Site) -> Op:
    """``sampling_ratio`` squared samples a value; 0 lets the size of each region choose, and 2 is taken."""
    samples = max(0, site.integer("sampling_ratio", 0)) or 2
    return _elementwise(site, "interpolate", site.operands(3), site.out().elements * samples**2)


@converts("MaxRoiPool")
def _max_roi_pool(site: Site) -> Op:
    """Regions may cover the whole input, and each is read once."""
    regions, x = site.shape(1)[0], site.shape(0)
    return _reduce(site, "max_pool", site.operands(2), regions * prod(x[1:]))


@converts("GridSample")
def _grid_sample(site: Site) -> Op:
    if site.string("mode", "linear") == "nearest":
        return _move(site, "gather", site.operands(2))
    return _elementwise(site, "interpolate", site.operands(2), site.out().elements)


@converts("AffineGrid")
def _affine_grid(site: Site) -> Op:
    """Each coordinate is a scalar product of the position with a row of the matrix."""
    return _elementwise(site, "affine", (site.data(0),), site.out().elements)


@converts("DeformConv")
def _deform_conv(site: Site) -> Op:
    """Samples at the offsets, and the product of the samples with the weight."""
    x, w, out = site.shape(0), site.shape(1), site.out().shape
    groups, taps, pixels = site.integer("group", 1), prod(w[2:]), x[0] * prod(out[2:])
    if groups < 1 or x[1] != w[1] * groups or w[0] % groups or out[1] != w[0]:
        raise site.error(f"has {x[1]} input channels, which its weight {list(w)} in {groups} groups does not fit")
    lower = Lowering(site)
    samples = (groups, pixels, w[1] * taps)
    sampled = lower.elementwise("samples", "interpolate", (site.data(0), *site.operands()[2:3]), samples)
    if site.has(4):
        sampled = lower.elementwise("mask", "mul", (sampled, site.data(4)), samples)
    lower.product(
        "product", sampled, site.weight(1), out, groups=groups, m=pixels, n=w[0] // groups, k=w[1] * taps,
        rest=site.weights(3), made=site.outputs[0],
    )  # fmt: skip
    return lower.last()


@converts("Col2Im")
def _col2im(site: Site) -> Op:
    return _elementwise(site, "add", (site.data(0),), site.elements())


@converts("Det")
def _det(site: Site) -> Op:
    """Elimination with pivots: n (n^2 - 1) / 3 pairs of product and difference, then the product of the diagonal."""
    *outer, size, _ = site.shape(0)
    return _reduce(site, "lu", (site.data(0),), prod(outer) * (size * (size * size - 1) // 3 + size))


# Transforms


@converts("DFT")
def _dft(site: Site) -> Op:
    """Along one axis; the last axis holds real and imaginary parts, or real ones alone."""
    shape, out = site.shape(0), site.out().shape
    length = site.value(1)
    axis = site.value(2)
    along = int(axis.reshape(-1)[0]) if axis is not None and axis.size else site.integer("axis", -2)
    count = int(length.reshape(-1)[0]) if length is not None and length.size else shape[along]
    others = prod(out[:-1]) // out[along]
    return _elementwise(site, "fft", (site.data(0),), others * butterflies(max(1, count)))


@converts("STFT")
def _stft(site: Site) -> Op:
    """One transform a frame, of the frame's length; the window is applied first."""
    batch, frames, bins, _ = site.out().shape
    given = site.value(3) if site.has(3) else None
    length = site.shape(2)[0] if site.has(2) else int(given.reshape(-1)[0]) if given is not None else bins
    lower = Lowering(site)
    source = lower.elementwise("window", "mul", (site.data(0), *site.weights(2)), (batch, frames, length))
    made = site.outputs[0]
    site.before.extend(lower.ops)
    return Elementwise(
        name=site.name, inputs=(source,), outputs=(made,), label=site.label, function="fft",
        elements=batch * frames * butterflies(length),
    )  # fmt: skip


# Random numbers


@converts("RandomUniform", "RandomUniformLike")
def _uniform(site: Site) -> Op:
    return _elementwise(site, "random_uniform", (), site.out().elements)


@converts("RandomNormal", "RandomNormalLike")
def _normal(site: Site) -> Op:
    return _elementwise(site, "random_normal", (), site.out().elements)


# Layers that newer opsets name


@converts("SwiGLU")
def _swiglu(site: Site) -> Op:
    """A SiLU of one operand times the other."""
    lower, shape = Lowering(site), site.out().shape
    gate = lower.elementwise("silu", "silu", (site.data(0),), shape)
    lower.elementwise("multiply", "mul", (gate, site.data(1)), shape, site.outputs[0])
    return lower.last()

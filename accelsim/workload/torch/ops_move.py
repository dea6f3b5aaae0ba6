"""Data movement, and views that move nothing."""

from __future__ import annotations

from accelsim.workload.torch.site import Converter, Site, converts
from accelsim.workload.torch.views import VIEWS, copies

# Operator to function. All tensors that it reads are operands; the first, where it is stored, is a weight.
_MOVES = {
    "_index_put_impl": "scatter",
    "block_diag": "concat",
    "cat": "concat",
    "channel_shuffle": "transpose",
    "clone": "copy",
    "col2im": "scatter",
    "column_stack": "concat",
    "concat": "concat",
    "concatenate": "concat",
    "constant_pad_nd": "pad",
    "copy": "copy",
    "diag": "slice",
    "diag_embed": "scatter",
    "dstack": "concat",
    "embedding": "gather",
    "fill": "fill",
    "flip": "reverse",
    "fliplr": "reverse",
    "flipud": "reverse",
    "gather": "gather",
    "hstack": "concat",
    "im2col": "unfold",
    "index": "gather",
    "index_copy": "scatter",
    "index_put": "scatter",
    "index_select": "gather",
    "lift_fresh_copy": "copy",
    "masked_scatter": "scatter",
    "native_channel_shuffle": "transpose",
    "one_hot": "one_hot",
    "pad": "pad",
    "pixel_shuffle": "depth_to_space",
    "pixel_unshuffle": "space_to_depth",
    "reflection_pad1d": "pad",
    "reflection_pad2d": "pad",
    "reflection_pad3d": "pad",
    "repeat": "tile",
    "repeat_interleave": "tile",
    "replication_pad1d": "pad",
    "replication_pad2d": "pad",
    "replication_pad3d": "pad",
    "roll": "roll",
    "rot90": "transpose",
    "scatter": "scatter",
    "select_scatter": "scatter",
    "slice_scatter": "scatter",
    "stack": "concat",
    "take": "gather",
    "take_along_dim": "gather",
    "tile": "tile",
    "tril": "trilu",
    "triu": "trilu",
    "upsample_nearest1d": "resize",
    "upsample_nearest2d": "resize",
    "upsample_nearest3d": "resize",
    "_upsample_nearest_exact1d": "resize",
    "_upsample_nearest_exact2d": "resize",
    "_upsample_nearest_exact3d": "resize",
    "view_as_complex_copy": "copy",
    "vstack": "concat",
}

_DROPOUTS = ("dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "native_dropout")


def _operands(site: Site) -> tuple[str, ...]:
    """All tensors read that hold something; a stored first one is a weight (an embedding, a learned token)."""
    read = [value for value in site.call.tensors() if value.type.elements]
    return tuple(site.data(value) if index else site.weight(value) for index, value in enumerate(read))


def _moves(function: str) -> Converter:
    def convert(site: Site) -> None:
        site.move(function, _operands(site))

    return convert


def _views(function: str) -> Converter:
    def convert(site: Site) -> None:
        source = site.first()
        if copies(site.key, source.type, site.out()):
            if source.type.dtype != site.out().dtype:
                site.elementwise("cast", (site.data(source),))
            else:
                site.move("copy", (site.data(source),))
        else:
            site.move(function if function not in ("cast", "copy") else "identity", (site.weight(source),), view=True)

    return convert


for _key, _function in VIEWS.items():
    converts(_key)(_views(_function))
for _key, _function in _MOVES.items():
    converts(_key)(_moves(_function))


@converts(*_DROPOUTS)
def _dropout(site: Site) -> None:
    """In inference nothing is dropped."""
    rate = site.argument("p", 0.0)
    if site.flag("train", True) and rate != 0:
        raise site.trains()
    site.move("identity", (site.data(site.first()),), view=True)


@converts("write_part")
def _write_part(site: Site) -> None:
    """A tensor with a part of it replaced: only the part moves."""
    base, part = site.tensor("0"), site.tensor("1")
    site.move("scatter", (site.weight(base), site.data(part)), elements=part.type.elements)


@converts("slice_scatter", "select_scatter")
def _scatter(site: Site) -> None:
    base, part = site.tensor("self"), site.tensor("src")
    site.move("scatter", (site.weight(base), site.data(part)), elements=part.type.elements)


@converts("scatter_add", "scatter_reduce", "index_add", "index_reduce")
def _accumulate(site: Site) -> None:
    """Each element of the source is combined with one of the base."""
    source = site.tensor("src", "source")
    site.elementwise("add", _operands(site), elements=source.type.elements)


@converts("meshgrid", "broadcast_tensors")
def _expanded_views(site: Site) -> None:
    """Each output is a view of one input."""
    inputs = site.operands()
    site.move("expand", inputs, view=len(inputs) == 1)


def zero_cost(site: Site) -> None:
    """A call that the user takes to cost nothing: a view of what it reads."""
    site.move("zero_cost", site.operands(), view=True)

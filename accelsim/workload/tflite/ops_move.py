"""Data that changes place and not value."""

from __future__ import annotations

from accelsim.workload.ops import Op
from accelsim.workload.tflite.site import CONVERTERS, Converter, Site, converts

_VIEWS = {"EXPAND_DIMS": "reshape", "RESHAPE": "reshape", "SQUEEZE": "reshape"}

# The first input moves; the others only steer.
_MOVES = {
    "BATCH_TO_SPACE_ND": "transpose", "BROADCAST_TO": "expand", "DEPTH_TO_SPACE": "transpose", "FILL": "fill",
    "MIRROR_PAD": "pad", "PAD": "pad", "PADV2": "pad", "RESIZE_NEAREST_NEIGHBOR": "gather", "REVERSE_V2": "reverse",
    "SLICE": "slice", "SPACE_TO_BATCH_ND": "transpose", "SPACE_TO_DEPTH": "transpose", "STRIDED_SLICE": "slice",
    "TILE": "expand", "TRANSPOSE": "transpose", "UNPACK": "split",
}  # fmt: skip


def _first(function: str, *, view: bool = False) -> Converter:
    return lambda site: site.move(function, (site.data(0),), view=view)


for _kind, _function in _VIEWS.items():
    CONVERTERS[_kind] = _first(_function, view=True)
for _kind, _function in _MOVES.items():
    CONVERTERS[_kind] = _first(_function)


@converts("CONCATENATION")
def _concat(site: Site) -> Op:
    (code,) = site.options("ConcatenationOptions", "FusedActivationFunction")
    if code:
        raise site.unsupported("fuses an activation function into a concatenation", value=code)
    return site.move("concat", tuple(site.data(i) for i in range(len(site.operator.inputs))))


@converts("PACK")
def _pack(site: Site) -> Op:
    return site.move("concat", tuple(site.data(i) for i in range(len(site.operator.inputs))))


@converts("SPLIT")
def _split(site: Site) -> Op:
    return site.move("split", (site.data(1),))


@converts("SPLIT_V")
def _split_v(site: Site) -> Op:
    return site.move("split", (site.data(0),))


@converts("GATHER", "GATHER_ND")
def _gather(site: Site) -> Op:
    """A table that is a constant is an embedding."""
    table = site.weight(0) if site.stored(0).elements > 1 else site.data(0)
    return site.move("gather", (table, *((site.data(1),) if not site.constant(1) else ())))


@converts("EMBEDDING_LOOKUP")
def _embedding(site: Site) -> Op:
    return site.move("gather", (site.weight(1), site.data(0)))

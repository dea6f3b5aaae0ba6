"""Data movement, and views that move nothing."""

from __future__ import annotations

from accelsim.workload.onnx.site import Converter, Site, converts
from accelsim.workload.ops import Elementwise, Move, Op

# Op type to function and how many leading inputs are data; constants behind them only steer (axes, sizes, pads).
_MOVES = {
    "CenterCropPad": ("crop_pad", 1),
    "Compress": ("compress", 2),
    "Concat": ("concat", None),
    "DepthToSpace": ("depth_to_space", 1),
    "Expand": ("expand", 1),
    "EyeLike": ("fill", 0),
    "GatherElements": ("gather", 2),
    "GatherND": ("gather", 2),
    "OneHot": ("one_hot", 1),
    "Pad": ("pad", 1),
    "ReverseSequence": ("reverse", 1),
    "Scatter": ("scatter", 3),
    "ScatterElements": ("scatter", 3),
    "ScatterND": ("scatter", 3),
    "Slice": ("slice", 1),
    "SpaceToDepth": ("space_to_depth", 1),
    "Split": ("split", 1),
    "Tile": ("tile", 1),
    "Transpose": ("transpose", 1),
    "Trilu": ("trilu", 1),
}

_VIEWS = {
    "Flatten": "reshape",
    "Identity": "identity",
    "Reshape": "reshape",
    "Squeeze": "reshape",
    "Unsqueeze": "reshape",
}


def _move(site: Site, function: str, inputs: tuple[str, ...], *, view: bool = False) -> Move:
    elements = sum(site.plain.types[name].elements for name in site.outputs)
    return Move(
        name=site.name,
        inputs=inputs,
        outputs=site.outputs,
        label=site.label,
        function=function,
        elements=elements,
        view=view,
    )


def _moves(function: str, count: int | None) -> Converter:
    return lambda site: _move(site, function, site.operands(count))


def _views(function: str) -> Converter:
    return lambda site: _move(site, function, site.operands(1), view=True)


for _op_type, (_function, _count) in _MOVES.items():
    converts(_op_type)(_moves(_function, _count))
for _op_type, _function in _VIEWS.items():
    converts(_op_type)(_views(_function))


@converts("Dropout")
def _dropout(site: Site) -> Op:
    """In inference nothing is dropped. Only a constant, and then false, ``training_mode`` says that it is inference."""
    if site.has(2):
        mode = site.plain.constants.get(site.node.inputs[2])
        if mode is None or mode.value is None or mode.value.any():
            raise site.unsupported("trains (training_mode is not false)", remedy="export the model for inference")
    return _move(site, "identity", (site.data(0),), view=True)


@converts("Gather")
def _gather(site: Site) -> Op:
    """A table of constants is an embedding, and so a weight."""
    return _move(site, "gather", (site.weight(0), site.data(1)))


@converts("Resize", "Upsample")
def _resize(site: Site) -> Op:
    """Nearest neighbours are copied; other modes compute each element from its neighbours."""
    inputs, mode = site.operands(1), site.string("mode", "nearest")
    if mode == "nearest":
        return _move(site, "resize", inputs)
    return Elementwise(
        name=site.name,
        inputs=inputs,
        outputs=site.outputs,
        label=site.label,
        function="interpolate",
        elements=site.out().elements,
    )


def zero_cost(site: Site) -> Op:
    """An op that the user takes to cost nothing: a view of what it reads."""
    captured = tuple(name for name in site.node.captured if name not in site.plain.constants)
    return _move(site, "zero_cost", (*site.operands(), *captured), view=True)

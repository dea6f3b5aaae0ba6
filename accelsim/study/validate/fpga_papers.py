"""What papers say that removing skips saves, beside one residual block of ours.

NonResNet's block has 1-bit weights and 2-bit activations in FINN's library; its device and folding are not stated, so
ours is folded for the throughput that its table gives, at `_CLOCK_HZ`. Of Tailor only the abstract was at hand: its "up
to" stands beside the largest saving of the blocks of ResNet-20's three stages at `_TAILOR_BITS` bits and a reuse factor
of `_TAILOR_REUSE`, the number of products of one output of the last stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from accelsim.cost.fpga.stages import dataflow_resources
from accelsim.engine.streaming import cycles_of_frames, size_fifos
from accelsim.errors import UnsupportedError
from accelsim.hardware.fpga import device
from accelsim.mapping.fpga.build import build
from accelsim.mapping.fpga.choose import fold_for, fold_with_reuse
from accelsim.mapping.fpga.layers import Layer, LayerKind, Shape
from accelsim.mapping.fpga.lower import lower_dataflow
from accelsim.mapping.fpga.windows import Geometry
from accelsim.pipeline.fpga import pricing, used_by_name
from accelsim.study.validate.framework import Comparison
from accelsim.study.validate.table import Record

__all__ = ["block_layers", "paper_row"]

_STAGES = ((32, 16), (16, 32), (8, 64))
_TAILOR_BITS, _TAILOR_REUSE = 8, 576
_NONRESNET_BITS = (1, 2)
_CLOCK_HZ, _NONRESNET_FPS = 1e8, 1352
_RESOURCES = {"BRAM": "bram18", "LUT": "lut", "FF": "ff"}


def paper_row(row: Record) -> Iterator[Comparison]:
    """One printed change, in per cent.

    Raises:
        UnsupportedError: a row that is no change of a resource or the throughput by removing the skips of a block.
    """
    metric, paper, variant = row.text("metric"), row.text("paper"), row.raw("variant")
    if variant == "relative change computed from Table II" and "NonResNet" in paper:
        found, note = _nonresnet(), "stage 1 of ResNet-20, folded for the throughput of the table"
    elif variant == "up to" and "dataflow" in row.raw("what"):
        found, note = _tailor(), f"largest of {len(_STAGES)} blocks of ResNet-20, reuse {_TAILOR_REUSE}"
    else:
        raise UnsupportedError("is no change of resources that removing skips makes on a dataflow architecture",
                               file=row.source, field="variant", value=variant)  # fmt: skip
    if metric not in found:
        raise UnsupportedError("is not predicted", file=row.source, field="metric", value=metric)
    yield Comparison(f"{metric}_change_pct", found[metric], row.number("value"), note=note)


@lru_cache(maxsize=1)
def _nonresnet() -> dict[str, float]:
    weight, activation = _NONRESNET_BITS
    cycles = int(_CLOCK_HZ / _NONRESNET_FPS)
    kept, removed = (_evaluated(*_STAGES[0], weight, activation, skip, "finn", cycles) for skip in (True, False))
    return _changes(kept, removed) | {"throughput": 100 * (kept["interval"] / removed["interval"] - 1)}


@lru_cache(maxsize=1)
def _tailor() -> dict[str, float]:
    changes = []
    for width, channels in _STAGES:
        kept, removed = (
            _evaluated(width, channels, _TAILOR_BITS, _TAILOR_BITS, skip, "hls4ml", _TAILOR_REUSE)
            for skip in (True, False)
        )
        changes.append(_changes(kept, removed))
    return {name: min(each[name] for each in changes) for name in _RESOURCES}


def _changes(kept: Mapping[str, int], removed: Mapping[str, int]) -> dict[str, float]:
    return {name: 100 * (removed[key] / kept[key] - 1) for name, key in _RESOURCES.items()}


def _evaluated(
    width: int, channels: int, weight: int, activation: int, skip: bool, style: str, fold: int
) -> dict[str, int]:  # fmt: skip
    """Resources by name and the ``interval`` of a block; ``fold`` is cycles a frame, or hls4ml's reuse factor."""
    layers = block_layers(width, channels, weight, activation, skip=skip)
    if style == "hls4ml":
        folding = fold_with_reuse(layers, fold)
    else:
        folding = fold_for(layers, style, pricing(style), device("alveo-u250").budget(), fold)
    dataflow = build(layers, folding.folds, style, folding.memories)
    lowered = lower_dataflow(dataflow, 2)
    depths = size_fifos(lowered).lossless
    ends = cycles_of_frames(lowered, depths)
    used = used_by_name(dataflow_resources(dataflow.with_depths(depths), style))
    return used | {"interval": int(ends[-1] - ends[-2])}


def block_layers(width: int, channels: int, weight: int, activation: int, *, skip: bool) -> tuple[Layer, ...]:
    """Two 3 x 3 convolutions of a square image, with one skip around both, or without."""
    shape, image = Shape(width, width, channels), (width, width)
    window = Geometry(image, (3, 3), (1, 1), (1, 1, 1, 1))

    def layer(name: str, kind: LayerKind, op: int, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> Layer:
        matrix = kind == "convolution"
        return Layer(
            name=name, kind=kind, ops=() if kind in ("source", "sink") else (op,), inputs=inputs, outputs=outputs,
            source=shape, made=shape, in_bits=activation, out_bits=activation, activates=matrix,
            weight_bits=weight if matrix else 0, geometry=window if matrix else None,
            macs=9 * channels**2 * width**2 if matrix else 0,
        )  # fmt: skip

    begin = "branch" if skip else "image"
    found = [layer("image", "source", 0, (), ("image",))]
    if skip:
        found.append(layer("fork", "fork", 0, ("image",), ("branch", "skip")))
    found.append(layer("conv1", "convolution", 0, (begin,), ("between",)))
    found.append(layer("conv2", "convolution", 1, ("between",), ("made",)))
    if skip:
        found.append(layer("add", "add", 2, ("made", "skip"), ("sum",)))
        found.append(layer("relu", "activation", 3, ("sum",), ("relu",)))
    found.append(layer("output", "sink", 4, ("relu" if skip else "made",), ()))
    return tuple(found)

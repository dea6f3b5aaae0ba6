"""How far each layer is folded: the choices that divide it, and what a choice makes of it.

A layer of FINN has ``simd`` inputs and ``pe`` outputs at a time, and its window, padding or element-wise circuits
``lanes`` channels a cycle. A layer of hls4ml has as many multipliers as products over its reuse factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod

from accelsim.errors import InputError
from accelsim.mapping.fpga.layers import Layer

__all__ = [
    "Fold", "check_factor", "check_fold", "factors_of", "lane_cycles", "lanes_with", "matrix_choices", "matrix_cycles",
    "taps_without_channels",
]  # fmt: skip

_LISTED = 16

_DSP_LEAST_BITS = 3
"""Products of narrower words are logic anyway."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Parallelism of a layer; what a layer has not is 1. ``reuse`` is the reuse factor of hls4ml, 0 for FINN.

    ``in_logic`` makes products of LUTs that DSP slices could make.
    """

    simd: int = 1
    pe: int = 1
    lanes: int = 1
    reuse: int = 0
    in_logic: bool = False


@cache
def divisors(size: int) -> tuple[int, ...]:
    """Divisors of ``size``, ascending."""
    small = [each for each in range(1, int(size**0.5) + 1) if size % each == 0]
    return tuple(sorted({*small, *(size // each for each in small)}))


def matrix_choices(layer: Layer, style: str) -> list[Fold]:
    """Every folding of a layer with matrix work that divides it, lanes open."""
    if not layer.matrix:
        return [Fold(reuse=int(style == "hls4ml"))]
    if style == "hls4ml":
        return [Fold(reuse=each) for each in divisors(layer.vector * layer.made.channels)
                if _valid_reuse(layer, each)]  # fmt: skip
    made = (False, True) if min(layer.weight_bits, layer.in_bits) >= _DSP_LEAST_BITS else (False,)
    return [
        Fold(simd, pe, in_logic=logic)
        for simd in divisors(layer.vector) for pe in divisors(layer.group_outputs) for logic in made
        if _keeps_order(layer, simd, pe)
    ]  # fmt: skip


def _keeps_order(layer: Layer, simd: int, pe: int) -> bool:
    """The rule of FINN's vector-vector unit: taps are taken several at a time only where all channels are."""
    return not layer.depthwise or simd == 1 or pe == layer.made.channels


def _valid_reuse(layer: Layer, reuse: int) -> bool:
    """The rule of hls4ml's resource strategy: multipliers share a whole number of inputs and outputs. Depthwise
    products have an input and an output of their own; any number of them may share a multiplier."""
    width, height = layer.vector, layer.made.channels
    if layer.depthwise:
        return width * height % reuse == 0
    multipliers = -(-width * height // min(width, reuse))
    return (multipliers % height == 0 or reuse >= width) and (reuse % width == 0 or reuse < width)


def matrix_cycles(layer: Layer, fold: Fold) -> int:
    """Cycles a frame of a layer's matrix unit."""
    if not layer.matrix:
        return 0
    if not fold.reuse:
        return layer.made.pixels * (layer.vector // fold.simd) * (layer.made.channels // fold.pe)
    skipped = 0 if layer.geometry is None else prod(layer.geometry.padded_image) - layer.made.pixels
    return layer.made.pixels * fold.reuse + skipped


def lane_choices(layer: Layer, style: str) -> tuple[int, ...]:
    """Lanes of the circuits around matrix work: divisors of the channels; a stream of hls4ml carries all of them."""
    channels = layer.source.channels
    return (channels,) if style == "hls4ml" else divisors(channels)


def lanes_with(layer: Layer, fold: Fold, style: str) -> tuple[int, ...]:
    """Lanes that go with a fold of the matrix unit; a depthwise window of FINN hands on the channels that its unit
    takes."""
    if layer.depthwise and style == "finn":
        return (fold.pe * (layer.source.channels // layer.made.channels),)
    return lane_choices(layer, style)


def lane_cycles(layer: Layer, lanes: int, style: str) -> int:
    """Cycles a frame of the slowest circuit around the matrix work."""
    folds = layer.source.channels // lanes
    if layer.geometry is None:
        return layer.source.pixels * folds
    padded = prod(layer.geometry.padded_image)
    if style == "hls4ml":
        return padded
    if layer.kind == "subsample":
        return layer.source.pixels * folds
    taps = prod(layer.geometry.kernel)
    made = prod(layer.geometry.output)
    rows, columns = layer.geometry.kernel
    first = (rows - 1) * layer.geometry.padded_image[1] + columns - taps  # read while no window goes out
    return max(padded, made * taps + max(first, 0)) * folds


def factors_of(layer: Layer, style: str) -> tuple[str, ...]:
    """Names of the factors that a layer is folded by."""
    if style == "hls4ml":
        return ("reuse_factor",) if layer.matrix else ()
    around = not layer.matrix or (layer.geometry is not None and not layer.depthwise)
    return (*(("simd", "pe") if layer.matrix else ()), *(("lanes",) if around else ()))


def check_factor(layer: Layer, factor: str, value: int, style: str, *, file: object = None, field: str = "") -> None:
    """Refuse a factor that does not divide the layer.

    Raises:
        InputError: names the layer, the factor and the values that divide.
    """
    sizes = {"simd": layer.vector, "pe": layer.group_outputs, "lanes": layer.source.channels,
             "reuse_factor": layer.vector * layer.made.channels}  # fmt: skip
    size, field = sizes[factor], field or f"folding of {layer.name}: {factor}"
    named = f" of {layer.name}" if file is not None else ""
    if value < 1 or size % value:
        raise InputError(f"must divide {size}{named}", file=file, field=field, value=value,
                         remedy=_such_as(value, divisors(size)))  # fmt: skip
    if factor == "reuse_factor" and not _valid_reuse(layer, value):
        valid = [each.reuse for each in matrix_choices(layer, style)]
        raise InputError(f"must share whole inputs or outputs of {layer.vector} x {layer.made.channels}{named}",
                         file=file, field=field, value=value, remedy=_such_as(value, valid))  # fmt: skip


def _such_as(value: int, valid: Sequence[int]) -> str:
    """The nearest valid value, and the others as far as a line holds them."""
    nearest = sorted(valid, key=lambda each: abs(each - value))
    listed = ", ".join(str(each) for each in sorted(nearest[:_LISTED]))
    return f"such as {nearest[0]} ({'valid are' if len(valid) <= _LISTED else 'valid near it are'} {listed})"


def check_fold(layer: Layer, fold: Fold, style: str) -> None:
    """Refuse a folding that does not divide the layer.

    Raises:
        InputError: names the layer, the factor and the values that divide.
    """
    given = {"simd": fold.simd, "pe": fold.pe, "reuse_factor": fold.reuse, "lanes": fold.lanes}
    for factor in factors_of(layer, style):
        check_factor(layer, factor, given[factor], style)
    if style == "finn" and layer.matrix and not _keeps_order(layer, fold.simd, fold.pe):
        raise taps_without_channels(layer, fold.simd)


def taps_without_channels(layer: Layer, simd: int | None) -> InputError:
    """The complaint about taps of a depthwise layer that are taken together while channels are not."""
    return InputError(f"needs pe {layer.made.channels}, all channels, in a depthwise layer", value=simd,
                      field=f"folding of {layer.name}: simd", remedy="use simd 1 with a smaller pe")  # fmt: skip

"""Folded layers as stages and streams, as FINN or hls4ml build them.

FINN: padding, sliding window and matrix-vector unit are nodes of their own, words are as wide as the lanes, and a
converter stands wherever two widths meet. hls4ml: a convolution is one stage that a stage of padding feeds, every
stream carries a pixel a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from accelsim.mapping.fpga.circuits import (
    Adder,
    Circuit,
    Convolution,
    Duplicator,
    Memory,
    Pad,
    Pool,
    SlidingWindow,
    Threshold,
    VectorUnit,
    WidthConverter,
    Wiring,
)
from accelsim.mapping.fpga.folding import Fold, check_fold
from accelsim.mapping.fpga.layers import Layer, skip_edges
from accelsim.mapping.fpga.records import Dataflow, Lines, Stage, Steps, Stream, every_pixel
from accelsim.mapping.fpga.windows import Geometry, kept_pixels, oldest_pixels, padded, whole_image, window_steps

__all__ = ["build", "circuits_of"]

_HANDSHAKE_CYCLES = 6
"""Cycles of a matrix unit beyond its work: a unit of 4194304 cycles was measured at 4194310 (FINN+, Vivado 2024.2,
vivado_finn_networks)."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A stage to be: its name behind the layer's, circuit, steps, and words (bits each) that it takes and puts."""

    suffix: str
    circuit: Circuit
    steps: Steps
    takes_bits: int
    puts_bits: int
    latency_cycles: int = 0
    put_cycles: int = 1
    lines: Lines | None = None


def circuits_of(layer: Layer, fold: Fold, style: str, memory: Memory = "bram") -> list[Circuit]:
    """The circuits of one layer, without converters between layers."""
    return [circuit for _, circuit in _named_circuits(layer, fold, style, memory)]


def build(
    layers: Sequence[Layer], folds: Mapping[str, Fold], style: str, memories: Mapping[str, Memory],
    depths: Mapping[str, int] | None = None, least_depth: int = 2,
) -> Dataflow:  # fmt: skip
    """The stages of all layers and the streams between them.

    Args:
        folds: by name of the layer.
        style: ``finn`` or ``hls4ml``.
        memories: of the weights of each layer; those not named have ``bram``.
        depths: of FIFOs by name, pixels.
        least_depth: pixels of all other FIFOs.

    Raises:
        InputError: a folding that does not divide its layer, or a FIFO of no depth.
    """
    builder = _Builder(style, skip_edges(tuple(layers)), dict(depths or {}), least_depth)
    builder.last_op = max((op for layer in layers for op in layer.ops), default=0)
    for layer in layers:
        fold = folds[layer.name]
        check_fold(layer, fold, style)
        builder.layer(layer, fold, memories.get(layer.name, "bram"))
    return Dataflow(tuple(builder.stages), builder.streams)


@dataclass
class _Builder:
    style: str
    skips: Mapping[str, str]
    depths: Mapping[str, int]
    least_depth: int
    stages: list[Stage] = field(default_factory=list)
    streams: dict[str, Stream] = field(default_factory=dict)
    words: dict[str, int] = field(default_factory=dict)
    last_op: int = 0

    def layer(self, layer: Layer, fold: Fold, memory: Memory) -> None:
        """Append the stages of a layer. Streams inside a layer are wires: a pixel waits in the registers of its
        stages."""
        parts = _parts(layer, fold, self.style, memory)
        inputs = layer.inputs
        for index, part in enumerate(parts):
            last = index == len(parts) - 1
            outputs = layer.outputs if last else (f"{layer.name}.{part.suffix}",)
            converters = self._converters(inputs, part)
            name = f"{layer.name}.{part.suffix}" if part.suffix else layer.name
            op = layer.ops[0] if layer.ops else self.last_op * (layer.kind == "sink")
            self.stages.append(
                Stage(name, op, (part.circuit, *converters), part.steps, inputs, outputs,
                      latency_cycles=part.latency_cycles, put_cycles=part.put_cycles, lines=part.lines)
            )  # fmt: skip
            bits = _pixel_bits(layer, parts, index)
            for output in outputs:
                self.words[output] = part.puts_bits
                count = -(-bits // max(part.puts_bits, 1))
                depth = self.depths.get(output, self.least_depth) if last else None
                self.streams[output] = Stream(output, count, part.puts_bits, depth, self.skips.get(output, ""),
                                              window=part.lines is not None and not last)  # fmt: skip
            inputs = outputs

    def _converters(self, inputs: tuple[str, ...], part: _Part) -> list[WidthConverter]:
        if self.style != "finn":
            return []
        widths = [self.words[name] for name in inputs]
        return [WidthConverter(each, part.takes_bits) for each in widths if each != part.takes_bits]


def _pixel_bits(layer: Layer, parts: Sequence[_Part], index: int) -> int:
    """Bits of what a stage puts a step: a window of pixels inside a layer, a pixel behind it."""
    part = parts[index]
    if index == len(parts) - 1 or isinstance(part.circuit, Convolution):
        return layer.made.channels * layer.out_bits
    return layer.source.channels * layer.in_bits * (layer.taps if part.suffix == "window" else 1)


def _named_circuits(layer: Layer, fold: Fold, style: str, memory: Memory) -> list[tuple[str, Circuit]]:
    source, made, bits = layer.source, layer.made, layer.in_bits
    if layer.matrix:
        return _matrix_circuits(layer, fold, style, memory)
    lanes = fold.lanes
    geometry = layer.geometry or Geometry(source.image, (1, 1))
    single: dict[str, Circuit] = {
        "activation": Threshold(source.channels, lanes, bits, layer.out_bits),
        "add": Adder(source.channels, lanes, bits),
        "fork": Duplicator(source.channels, lanes, bits, len(layer.outputs)),
        "subsample": SlidingWindow(source.channels, lanes, bits, (1, 1), source.image, geometry.stride),
        "concat": WidthConverter(lanes * bits, made.channels * bits // (source.channels // lanes)),
        "mean": Pool(source.channels, lanes, bits, source.image, 1),
        "pool": Pool(source.channels, lanes, bits, geometry.kernel, geometry.padded_image[1]),
    }
    main = single.get(layer.kind, Wiring())
    before = _pads(layer, lanes) if layer.kind == "pool" else []
    if layer.kind == "pool" and style == "finn":
        before.append(("window", _window(layer, lanes)))
    return [*before, ("pool" if before else "", main)]


def _pads(layer: Layer, lanes: int) -> list[tuple[str, Circuit]]:
    padded_at_all = layer.geometry is not None and any(layer.geometry.padding)
    return [("pad", Pad(layer.source.channels, lanes, layer.in_bits))] if padded_at_all else []


def _window(layer: Layer, lanes: int) -> SlidingWindow:
    assert layer.geometry is not None
    geometry = layer.geometry
    return SlidingWindow(
        layer.source.channels, lanes, layer.in_bits, geometry.kernel, geometry.padded_image, geometry.stride
    )


def _matrix_circuits(layer: Layer, fold: Fold, style: str, memory: Memory) -> list[tuple[str, Circuit]]:
    width, height = layer.vector, layer.made.channels
    bits = layer.weight_bits, layer.in_bits, layer.out_bits, layer.accumulator_bits
    found = _pads(layer, fold.lanes)
    geometry = layer.geometry
    if style == "hls4ml":
        kernel = geometry.kernel if geometry is not None else (1, 1)
        columns = geometry.padded_image[1] if geometry is not None else 1
        found.append(("multiply", Convolution(width, height, fold.reuse, *bits, layer.source.channels, kernel,
                                              columns, memory)))  # fmt: skip
        if layer.activates:
            found.append(("activate", Threshold(height, height, layer.out_bits, layer.out_bits)))
        return found
    if geometry is not None and (prod(geometry.kernel) > 1 or geometry.stride != (1, 1)):
        found.append(("window", _window(layer, fold.lanes)))
    return [*found, ("multiply", VectorUnit(width, height, fold.simd, fold.pe, *bits, memory, fold.in_logic,
                                            layer.groups))]  # fmt: skip


def _parts(layer: Layer, fold: Fold, style: str, memory: Memory) -> list[_Part]:
    parts = [_part(layer, fold, suffix, circuit) for suffix, circuit in _named_circuits(layer, fold, style, memory)]
    if style == "hls4ml":  # a pixel a word everywhere
        into, out = layer.source.channels * layer.in_bits, layer.made.channels * layer.out_bits
        parts = [
            replace(part, takes_bits=into, puts_bits=into if isinstance(part.circuit, Pad) else out) for part in parts
        ]
    return parts


def _part(layer: Layer, fold: Fold, suffix: str, circuit: Circuit) -> _Part:
    source, lanes = layer.source, fold.lanes
    folds, word = source.channels // lanes, lanes * layer.in_bits
    geometry = layer.geometry or Geometry(source.image, (1, 1))
    inner = replace(geometry, image=geometry.padded_image, padding=(0, 0, 0, 0))
    if isinstance(circuit, Pad):
        return _Part(suffix, circuit, padded(geometry, folds), word, word)
    if isinstance(circuit, SlidingWindow):
        if layer.kind == "subsample":
            return _Part(suffix, circuit, kept_pixels(source.image, geometry.stride, folds), word, word)
        steps = window_steps(inner, folds, folds)
        taps = prod(inner.kernel)  # a window goes out element by element, and makes room for as many
        lines = Lines(oldest_pixels(inner), circuit.buffered_words // folds + taps)
        return _Part(suffix, circuit, steps, word, word, put_cycles=taps * folds, lines=lines)
    if isinstance(circuit, VectorUnit):
        return _vector_part(layer, circuit, suffix)
    if isinstance(circuit, Convolution):
        return _convolution_part(layer, circuit, inner, suffix)
    if isinstance(circuit, Pool):
        return _pool_part(layer, circuit, inner, suffix, fold)
    steps = every_pixel(layer.made.pixels if suffix else source.pixels, folds)
    if isinstance(circuit, Wiring):
        return _Part(
            suffix, circuit, every_pixel(source.pixels, folds), word, layer.made.channels // folds * layer.out_bits
        )
    if isinstance(circuit, Threshold) and suffix:  # behind a convolution of hls4ml: whole pixels
        steps = every_pixel(layer.made.pixels, 1)
    out = circuit.out_bits if isinstance(circuit, WidthConverter) else lanes * layer.out_bits
    return _Part(suffix, circuit, steps, word, out)


def _vector_part(layer: Layer, unit: VectorUnit, suffix: str) -> _Part:
    latency = _HANDSHAKE_CYCLES + (unit.simd - 1).bit_length()
    words = unit.taken * unit.in_bits, unit.pe * unit.out_bits
    if layer.geometry is None and layer.source.pixels > 1:  # a whole image makes one vector
        steps = whole_image(layer.source.pixels, 1, unit.fold)
    else:
        steps = every_pixel(layer.made.pixels, unit.fold)
    return _Part(suffix, unit, steps, *words, latency)


def _convolution_part(layer: Layer, unit: Convolution, inner: Geometry, suffix: str) -> _Part:
    latency = _HANDSHAKE_CYCLES + (max(unit.multipliers // unit.height, 1) - 1).bit_length()
    if layer.geometry is None:
        steps = whole_image(layer.source.pixels, 1, unit.reuse)
    else:
        steps = window_steps(inner, 1, unit.reuse)
    return _Part(suffix, unit, steps, 0, 0, latency)


def _pool_part(layer: Layer, pool: Pool, inner: Geometry, suffix: str, fold: Fold) -> _Part:
    folds, word = layer.source.channels // fold.lanes, fold.lanes * layer.in_bits
    if layer.kind == "mean":
        steps = whole_image(layer.source.pixels, folds, folds)
    elif fold.reuse:
        steps = window_steps(inner, 1, 1)
    else:  # windows come from a sliding-window unit
        steps = every_pixel(layer.made.pixels, prod(inner.kernel) * folds)
    return _Part(suffix, pool, steps, word, fold.lanes * layer.out_bits)

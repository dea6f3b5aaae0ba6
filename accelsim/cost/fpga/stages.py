"""Resources of the stages of a dataflow: every circuit and FIFO of a network, by style."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from accelsim.cost.fpga import finn, hls4ml
from accelsim.cost.fpga.arithmetic import adder_tree, constant_dot_product, multiplier
from accelsim.cost.fpga.elementwise import skip_adder
from accelsim.cost.fpga.memory import address_bits, block_rams, lut_ram, prefers_lut_ram
from accelsim.cost.fpga.resources import Resources
from accelsim.mapping.fpga.circuits import (
    Adder,
    Circuit,
    Convolution,
    Duplicator,
    Pad,
    Pool,
    SlidingWindow,
    Threshold,
    VectorUnit,
    WidthConverter,
)
from accelsim.mapping.fpga.records import Dataflow, Stream

__all__ = ["DataflowResources", "circuit_resources", "dataflow_resources", "fifo_chunks", "stream_resources"]

_NONE = Resources()
_LEAST_WORDS = {"finn": 5, "hls4ml": 1}
"""Words of a FIFO that holds no whole pixel: for FINN the fewest that are common in the residual build of the reference
data, for hls4ml its default, a register."""
_SHIFT_WORDS = 256
"""FINN's default for the words of a FIFO of shift registers (max_qsrl_depth); deeper ones are cut into powers of 2."""


@dataclass(frozen=True, slots=True)
class DataflowResources:
    """Resources by stage and by stream (its FIFO)."""

    stages: dict[str, Resources]
    streams: dict[str, Resources]

    @property
    def total(self) -> Resources:
        """All of them together."""
        return sum((*self.stages.values(), *self.streams.values()), _NONE)


def dataflow_resources(dataflow: Dataflow, style: str) -> DataflowResources:
    """What every stage and FIFO of ``dataflow`` takes."""
    stages = {
        stage.name: sum((circuit_resources(each, style) for each in stage.circuits), _NONE) for stage in dataflow.stages
    }
    return DataflowResources(stages, {s.name: stream_resources(s, style) for s in dataflow.streams.values()})


@lru_cache(maxsize=1 << 16)
def stream_resources(stream: Stream, style: str) -> Resources:
    """The FIFO of a stream. A FIFO of one pixel, and a wire, has the least depth, as its pixel passes word by word; a
    window that waits for the matrix unit is stored."""
    least = _LEAST_WORDS[style]
    if stream.depth is None:
        words = max(stream.words, least) if stream.window else least
    else:
        words = least if stream.depth == 1 else max(stream.words * stream.depth, least)
    if style == "hls4ml":
        return hls4ml.stream_fifo(stream.word_bits, words)
    chunks = fifo_chunks(words)
    return sum(
        (
            finn.block_fifo(stream.word_bits, each) if each > _SHIFT_WORDS
            else finn.shift_fifo(stream.word_bits, each)
            for each in chunks
        ),
        _NONE,
    )  # fmt: skip


def fifo_chunks(words: int) -> list[int]:
    """FIFOs in a row that FINN makes of a deep one: powers of two of block RAM, the largest first, and shift registers
    for what is left."""
    chunks = []
    while words > _SHIFT_WORDS:
        chunks.append(1 << (words.bit_length() - 1))
        words -= chunks[-1]
    return [*chunks, max(words, 2)] if words or not chunks else chunks


@lru_cache(maxsize=1 << 16)
def circuit_resources(circuit: Circuit, style: str) -> Resources:
    """What one circuit takes, as ``style`` builds it."""
    found = _finn(circuit) if style == "finn" else _hls4ml(circuit)
    return _NONE if found is None else found


def _finn(circuit: Circuit) -> Resources | None:
    match circuit:
        case Pad():
            return finn.padding(circuit.lanes, circuit.bits)
        case SlidingWindow():
            return finn.sliding_window(circuit)
        case VectorUnit():
            return finn.vector_unit(circuit)
        case WidthConverter():
            return finn.width_converter(circuit.in_bits, circuit.out_bits)
        case Threshold():
            return finn.threshold_unit(circuit.channels, circuit.in_bits, circuit.out_bits, circuit.lanes)
        case Adder():
            return finn.add_streams(circuit.bits, circuit.lanes)
        case Duplicator():
            return finn.duplicate_streams(circuit.channels, circuit.bits, circuit.lanes) * (circuit.outputs - 1)
        case Pool():
            return finn.pool(circuit.channels) * circuit.lanes
        case _:
            return None


_HLS_STAGE = Resources(lut_logic=60, ff=60)
"""Handshakes and counters of a small HLS stage: as FINN's adders and duplicators (HLS) have without their lanes."""


def _hls4ml(circuit: Circuit) -> Resources | None:
    match circuit:
        case Convolution():
            return _convolution(circuit)
        case Pad():
            return finn.padding(circuit.lanes, circuit.bits)
        case Threshold():
            return _HLS_STAGE + Resources(
                lut_logic=circuit.lanes * (circuit.out_bits + 2), ff=circuit.lanes * circuit.out_bits
            )
        case Adder():
            return _HLS_STAGE + skip_adder(circuit.lanes, circuit.bits, relu=False)
        case Duplicator():
            copies = circuit.outputs * circuit.lanes * circuit.bits
            return finn.duplicate_streams(circuit.channels, 0) + Resources(ff=copies)
        case Pool():
            return _HLS_STAGE + _pool(circuit)
        case WidthConverter():
            return finn.width_converter(circuit.in_bits, circuit.out_bits)
        case _:
            return None


def _pool(pool: Pool) -> Resources:
    """A comparison (or sum) of a window: line buffers where there are lines."""
    word = pool.channels * pool.bits
    lines = _lines(pool.kernel, pool.columns, word) if pool.columns > 1 else Resources(ff=word)
    compares = pool.channels * pool.bits * (max(prod(pool.kernel), 2) - 1 if pool.columns > 1 else 1)
    return lines + Resources(lut_logic=compares)


def _lines(kernel: tuple[int, int], columns: int, word_bits: int) -> Resources:
    """Line buffers of a window: a memory for every row but the newest, and the window in registers."""
    memories = kernel[0] - 1
    window = Resources(ff=prod(kernel) * word_bits)
    if memories == 0 or columns < 2:
        return window
    counters = 2 * memories * address_bits(columns)
    if prefers_lut_ram(word_bits, columns):
        return window + Resources(lut_lutram=memories * lut_ram(word_bits, columns).luts, ff=counters)
    return window + Resources(bram18=memories * block_rams(word_bits, columns).bram18, ff=counters)


def _convolution(unit: Convolution) -> Resources:
    """Line buffers, multipliers, sums, accumulators, requantisers, and weights in a memory (or in the logic)."""
    word = unit.channels * unit.in_bits
    lines = _lines(unit.kernel, unit.columns, word) if prod(unit.kernel) > 1 else _NONE
    active = min(unit.height, unit.multipliers)
    at_a_time = max(unit.multipliers // active, 1)
    total = unit.accumulator_bits
    output = Resources(lut_logic=2 * total + unit.out_bits, ff=unit.out_bits)
    if unit.reuse > 1:
        output += Resources(lut_logic=total, ff=total)
    sums = _sums(unit, at_a_time)
    return _HLS_STAGE + lines + active * (sums + output) + _weights(unit)


def _sums(unit: Convolution, products: int) -> Resources:
    """Products of one output, and their sum."""
    constant = unit.reuse == 1 and min(unit.weight_bits, unit.in_bits) >= 2 and products >= 2
    if constant and unit.memory == "lut":
        return constant_dot_product(products, unit.in_bits, unit.weight_bits)
    one = _product(unit.in_bits, unit.weight_bits)
    tree = adder_tree(products, unit.in_bits + unit.weight_bits) if products > 1 else _NONE
    return products * one + tree


def _product(a_bits: int, b_bits: int) -> Resources:
    """A product; with one bit it is a choice of sign."""
    if min(a_bits, b_bits) == 1:
        return Resources(lut_logic=max(a_bits, b_bits), ff=a_bits + b_bits)
    return multiplier(a_bits, b_bits, dsp=True)


def _weights(unit: Convolution) -> Resources:
    return finn.weight_memory(
        unit.multipliers * unit.weight_bits, unit.reuse, "lut" if unit.reuse == 1 else unit.memory
    )

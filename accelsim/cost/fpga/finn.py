"""Nodes of a FINN accelerator as Vivado synthesises them, each from its parameters.

Every form follows the circuit; its constants were calibrated on two thirds of the nodes of one published build (FINN+
with Vivado 2022.2 on an XCZU7EV, docs/fpga.md), which hold 4- and 5-bit activations and 3-bit weights. Farther from
those a node is an extrapolation.
"""

from __future__ import annotations

from accelsim.cost.fpga.arithmetic import multiplier
from accelsim.cost.fpga.memory import address_bits, lut_ram, ultra_rams
from accelsim.cost.fpga.resources import Resources, whole
from accelsim.errors import UnsupportedError
from accelsim.hardware.fpga import LUTRAM_SHAPES, SRL_BITS
from accelsim.mapping.fpga.circuits import Memory, SlidingWindow, VectorUnit

__all__ = [
    "SlidingWindow", "VectorUnit", "add_streams", "block_fifo", "duplicate_streams", "padding", "pool", "shift_fifo",
    "sliding_window", "threshold_unit", "vector_unit", "weight_blocks", "weight_memory",
    "width_converter",
]  # fmt: skip

_SRL16_STAGES = 17
_DSP_LEAST_BITS = 3
"""HLS put products of 3 x 4 bits into DSP slices; networks of 2 bits have none (vivado_finn_networks)."""
_THRESHOLD_BITS = 4


def shift_fifo(width_bits: int, depth: int) -> Resources:
    """A stream FIFO of shift registers (style ``rtl``) with an output register.

    A tap a bit. Two, four and eight shift registers of a bit share the multiplexers of their slice; other counts are
    groups of those, chosen between by LUTs. Up to 17 words two bits share a LUT once the stream is wide. A state of up
    to three bits and the handshake fit one LUT a bit.
    """
    bits, chunks = address_bits(depth), max(-(-(depth - 1) // SRL_BITS), 1)
    srls = width_bits * chunks
    if depth <= _SRL16_STAGES:
        srls = min(width_bits, 8 * -(-width_bits // 16))
    control = 3.5 + 2.58 * bits if bits <= 3 else 1.4 + 3.94 * bits
    logic = 1.029 * width_bits + control + 0.573 * width_bits * (chunks.bit_count() - 1)
    return Resources(lut_logic=whole(logic), lut_srl=srls, ff=whole(1.029 * width_bits + bits + 5))


def block_fifo(width_bits: int, depth: int) -> Resources:
    """A stream FIFO of block RAM (style ``vivado``, the vendor's AXI stream FIFO).

    The core rounds words up to bytes and lays its columns out for those; bits that are never read are then removed, so
    that the last column may shrink to a RAMB18.
    """
    bits = address_bits(depth)
    return Resources(lut_logic=whole(7.52 * bits - 14.5), ff=17 + 4 * bits, bram18=_stream_blocks(width_bits, depth))


def _stream_blocks(width_bits: int, depth: int) -> int:
    rounded = 8 * -(-width_bits // 8)
    for half_depth, column in ((512, 36), (1024, 18), (2048, 9)):
        if depth <= half_depth and rounded <= column:
            return 1
    deep, column = next(
        ((d, c) for d, c in ((512, 72), (1024, 36), (2048, 18), (4096, 9), (8192, 4), (16384, 2)) if depth <= d),
        (32768, 1),
    )
    if depth > deep:
        return 2 * -(-depth // 4096) * -(-rounded // 9)
    full, rest = divmod(width_bits, column)
    if not rest:
        return 2 * full
    return 2 * full + (1 if full and rest <= max(column // 2, 1) else 2)


def width_converter(in_bits: int, out_bits: int) -> Resources:
    """A stream that changes its width: both words are registered; towards narrow words the register shifts."""
    narrow, wide = sorted((in_bits, out_bits))
    steps = (-(-wide // narrow) - 1).bit_length()
    logic = 2.8 + 1.4 * steps + (0.5 * in_bits if in_bits > out_bits else 1.1)
    return Resources(lut_logic=whole(logic), ff=whole(2.8 + 1.03 * in_bits + 0.985 * out_bits + steps))


def sliding_window(unit: SlidingWindow) -> Resources:
    """A sliding-window unit whose buffer is distributed RAM; the multiplexers of its banks are a third beyond the
    cells."""
    cell = LUTRAM_SHAPES[1]
    banks = -(-unit.buffered_words // cell.depth)
    cells = banks * -(-unit.simd * unit.bits // cell.width_bits)
    bits = address_bits(unit.buffered_words)
    return Resources(lut_logic=whole(72.4 + 9.48 * bits + 2.53 * cells), lut_lutram=8 * cells, ff=whole(10.3 * bits))


def vector_unit(unit: VectorUnit, memory: str = "internal_decoupled") -> Resources:
    """An MVAU (HLS) with its weights streamed from an own memory.

    The input vector is kept in registers while the outputs take their turns: a multiplexer and an enable for each of
    its words. Thresholds lie in LUTs and are compared in the unit. Products of words of three bits or more are DSP
    slices, as in every unit of the calibration, unless they are asked to be logic; narrower ones are logic.

    Units of groups are extrapolated, as no synthesised one is at hand: what the lanes are made of is the same. A group
    keeps its own inputs only; outputs that share none (VVAU) keep nothing.

    Raises:
        UnsupportedError: weights elsewhere.
    """
    if memory != "internal_decoupled":
        raise UnsupportedError("is not modelled for weights of an MVAU", field="mem_mode", value=memory,
                               remedy="use internal_decoupled")  # fmt: skip
    kept = not unit.own_inputs and unit.height // unit.groups > unit.pe
    vector = unit.width * unit.in_bits if kept else 0
    words = unit.width / unit.simd if kept else 0.0
    lanes, out_bits = unit.simd * unit.pe, min(unit.out_bits, unit.accumulator_bits)
    operands = lanes * (unit.in_bits + unit.weight_bits)
    thresholds = unit.height * (2**out_bits - 1) * unit.accumulator_bits / 64
    logic = 240 + 0.246 * vector + 1.785 * words + 2.668 * operands + 0.756 * thresholds
    logic += unit.pe * _search_luts(unit.accumulator_bits, out_bits)
    narrow, wide = sorted((unit.weight_bits, unit.in_bits))
    sliced = narrow >= _DSP_LEAST_BITS and unit.memory != "lut" and not unit.in_logic
    logic += 0 if sliced else lanes * _product_luts(narrow, wide, constant=unit.memory == "lut")
    registers = 110 + 1.017 * vector + 3.106 * operands + 0.783 * unit.height * unit.out_bits
    weights = weight_memory(lanes * unit.weight_bits, unit.width * unit.height // lanes, unit.memory)
    extra = 0 if unit.simd <= 2 else 1 + (unit.in_bits <= 4)
    slices = unit.pe * (unit.simd + extra) if sliced else 0
    return weights + Resources(lut_logic=whole(logic), ff=whole(registers), dsp=slices)


def weight_memory(width_bits: int, depth: int, memory: Memory) -> Resources:
    """A memory of weights that is read word after word."""
    if memory == "uram":
        return ultra_rams(width_bits, depth)
    if memory == "lutram":
        return Resources(lut_lutram=lut_ram(width_bits, depth).luts)
    if memory == "lut":
        return Resources(lut_logic=0 if depth == 1 else width_bits * -(-depth // 64))
    return Resources(bram18=weight_blocks(width_bits, depth))


def _product_luts(narrow: int, wide: int, *, constant: bool) -> int:
    """LUTs of a product without a DSP slice: a row of its shorter operand a LUT a bit, or a synthesised multiplier."""
    if constant or narrow < _DSP_LEAST_BITS:
        return narrow * wide
    return multiplier(wide, narrow).lut_logic


def _search_luts(in_bits: int, out_bits: int) -> float:
    """Comparators beyond those of four bits: one more bit of a result is one more step of a binary search."""
    return 0.565 * in_bits * max(out_bits - _THRESHOLD_BITS, 0)


def weight_blocks(width_bits: int, depth: int) -> int:
    """Halves of block RAM of a weight memory: one shape, of the least width that holds a word; few bits are LUTs."""
    if width_bits * depth <= 1024:
        return 0
    if width_bits <= 9:
        return 1 if depth <= 2048 else 2 * -(-depth // 4096)
    column, deep = (18, 2048) if width_bits <= 18 else (36, 1024)
    columns = -(-width_bits // column)
    full, rest = divmod(depth, deep)
    return columns * (2 * full + (0 if not rest else 1 if rest <= deep // 2 else 2))


def threshold_unit(channels: int, bits: int, out_bits: int = _THRESHOLD_BITS, lanes: int = 1) -> Resources:
    """Thresholds of ``lanes`` elements a cycle, a step of a binary search for each bit of the result.

    Calibrated on results of 4 bits; more bits take more steps, and thresholds that no longer hide in those.
    """
    steps = out_bits / _THRESHOLD_BITS
    stored = max(2**out_bits - 2**_THRESHOLD_BITS, 0) * bits / 64
    each = 2.26 * bits * steps + stored
    return Resources(
        lut_logic=whole(lanes * each + 3.67 * address_bits(-(-channels // lanes))), ff=whole(12 * bits * steps * lanes)
    )


def add_streams(bits: int, pe: int = 1) -> Resources:
    """The adder of a skip (HLS): mostly the handshake of its three streams, and a sum a lane."""
    return Resources(lut_logic=55 + pe * (bits + 1), ff=54 + 2 * pe * (bits + 1))


def duplicate_streams(channels: int, bits: int, pe: int = 1) -> Resources:
    """The duplicator of a skip (HLS): three registered streams and a counter of the elements."""
    return Resources(lut_logic=whole(43.6 + 2.18 * address_bits(channels)), ff=whole(38.6 + 6.1 * pe * bits))


def padding(simd: int, bits: int) -> Resources:
    """Zero padding: two words of the stream, and counters of rows and columns."""
    return Resources(lut_logic=whole(49.4 + 0.417 * simd * bits), ff=whole(16.5 + 1.99 * simd * bits))


def pool(channels: int) -> Resources:
    """Max pooling of one element a cycle (HLS)."""
    bits = address_bits(channels)
    return Resources(lut_logic=whole(80.4 + 5.6 * bits), ff=whole(73 + 3 * bits))

"""Nodes of a FINN accelerator as Vivado synthesises them, each from its parameters.

Every form follows the circuit; its constants were calibrated on two thirds of the nodes of one published build (FINN+
with Vivado 2022.2 on an XCZU7EV, docs/fpga.md), which hold 4- and 5-bit activations and 3-bit weights. Farther from
those a node is an extrapolation.
"""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.cost.fpga.memory import address_bits
from accelsim.cost.fpga.resources import Resources, whole
from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.fpga import LUTRAM_SHAPES, SRL_BITS

__all__ = [
    "SlidingWindow", "VectorUnit", "add_streams", "block_fifo", "duplicate_streams", "padding", "pool", "shift_fifo",
    "sliding_window", "threshold_unit", "vector_unit", "width_converter",
]  # fmt: skip

_SRL16_STAGES = 17


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


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """A sliding-window unit: (rows, columns) of the kernel, the padded input and the stride."""

    channels: int
    simd: int
    bits: int
    kernel: tuple[int, int]
    image: tuple[int, int]
    stride: tuple[int, int]

    @property
    def buffered_words(self) -> int:
        """Words of ``simd`` elements in its buffer: the window's lines, and what a stride lets it take ahead."""
        fold = -(-self.channels // self.simd)
        (rows, columns), width, (down, across) = self.kernel, self.image[1], self.stride
        if rows == columns == 1:
            return fold
        taps = rows * columns
        ahead = max(across - 1 - taps, 0) + max((down - 1) * width - taps, 0)
        return ((rows - 1) * width + columns + ahead) * fold


def sliding_window(unit: SlidingWindow) -> Resources:
    """A sliding-window unit whose buffer is distributed RAM; the multiplexers of its banks are a third beyond the
    cells."""
    cell = LUTRAM_SHAPES[1]
    banks = -(-unit.buffered_words // cell.depth)
    cells = banks * -(-unit.simd * unit.bits // cell.width_bits)
    bits = address_bits(unit.buffered_words)
    return Resources(lut_logic=whole(72.4 + 9.48 * bits + 2.53 * cells), lut_lutram=8 * cells, ff=whole(10.3 * bits))


@dataclass(frozen=True, slots=True)
class VectorUnit:
    """A matrix-vector-activation unit (MVAU): ``width`` x ``height`` weights, folded to ``simd`` inputs and ``pe``
    outputs."""

    width: int
    height: int
    simd: int
    pe: int
    weight_bits: int
    in_bits: int
    out_bits: int
    accumulator_bits: int

    def __post_init__(self) -> None:
        for name, size, part in (("simd", self.width, self.simd), ("pe", self.height, self.pe)):
            if size % part:
                raise InputError(f"must divide {size}", field=name, value=part)


def vector_unit(unit: VectorUnit, memory: str = "internal_decoupled") -> Resources:
    """An MVAU (HLS) with its weights streamed from an own memory.

    The input vector is kept in registers while the outputs take their turns: a multiplexer and an enable for each of
    its words. Thresholds are compared in the unit.

    Raises:
        UnsupportedError: weights elsewhere.
    """
    if memory != "internal_decoupled":
        raise UnsupportedError("is not modelled for weights of an MVAU", field="mem_mode", value=memory,
                               remedy="use internal_decoupled")  # fmt: skip
    kept = unit.height > unit.pe
    vector = unit.width * unit.in_bits if kept else 0
    words = unit.width / unit.simd if kept else 0.0
    lanes = unit.simd * unit.pe
    logic = 319 + 0.238 * vector + 2.48 * words + 6.73 * lanes * unit.in_bits
    logic -= 0.355 * unit.pe * unit.accumulator_bits * (2**unit.out_bits - 1)
    registers = 348 + 1.068 * vector + 9.47 * lanes * unit.in_bits - 16.9 * unit.pe * unit.accumulator_bits
    weights = _weight_blocks(lanes * unit.weight_bits, unit.width * unit.height // lanes)
    extra = 0 if unit.simd <= 2 else 1 + (unit.in_bits <= 4)
    return Resources(
        lut_logic=whole(max(logic, 100)), ff=whole(max(registers, 100)), bram18=weights,
        dsp=unit.pe * (unit.simd + extra),
    )  # fmt: skip


def _weight_blocks(width_bits: int, depth: int) -> int:
    """Halves of block RAM of a weight memory: one shape, of the least width that holds a word; few bits are LUTs."""
    if width_bits * depth <= 1024:
        return 0
    if width_bits <= 9:
        return 1 if depth <= 2048 else 2 * -(-depth // 4096)
    column, deep = (18, 2048) if width_bits <= 18 else (36, 1024)
    columns = -(-width_bits // column)
    full, rest = divmod(depth, deep)
    return columns * (2 * full + (0 if not rest else 1 if rest <= deep // 2 else 2))


def threshold_unit(channels: int, bits: int) -> Resources:
    """Thresholds of one element a cycle, its thresholds in LUTs."""
    return Resources(lut_logic=whole(2.26 * bits + 3.67 * address_bits(channels)), ff=whole(12 * bits))


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

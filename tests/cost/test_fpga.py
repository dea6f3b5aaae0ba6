"""Circuits on an FPGA: what holds of every size first, then cells counted in the primitives' data sheets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.cost.fpga import arithmetic, elementwise, finn, hls4ml, memory
from accelsim.cost.fpga.fifo import FIFO_STYLES, fifo, rule_style
from accelsim.cost.fpga.residual import residual_block, skip_path
from accelsim.cost.fpga.resources import Resources
from accelsim.cost.fpga.window import line_buffer
from accelsim.errors import InputError, UnknownNameError, UnsupportedError

WIDTHS, DEPTHS = st.integers(1, 300), st.integers(2, 70_000)
_RAMB18_BITS, _SRL_BITS, _LUTRAM_BITS = 18 * 1024, 32, 64


def capacity_bits(found: Resources) -> int:
    """Bits that the memories and flip-flops of a circuit can hold."""
    memories = found.bram18 * _RAMB18_BITS + found.lut_srl * _SRL_BITS + found.lut_lutram * _LUTRAM_BITS
    return memories + found.uram * 72 * 4096 + found.ff


@given(WIDTHS, DEPTHS, st.sampled_from(FIFO_STYLES))
def test_a_fifo_holds_its_words(width, depth, style):
    assert capacity_bits(fifo(width, depth, style)) >= width * depth


@given(WIDTHS, st.integers(2, 5000), st.sampled_from(FIFO_STYLES))
def test_a_wider_fifo_never_holds_less(width, depth, style):
    one, two = fifo(width, depth, style), fifo(width + 1, depth, style)
    assert capacity_bits(two) - two.ff >= capacity_bits(one) - one.ff or style == "auto"
    assert two.bram18 >= one.bram18


@given(WIDTHS, DEPTHS)
def test_each_style_uses_its_own_memory(width, depth):
    assert fifo(width, depth, "block").lut_lutram == fifo(width, depth, "block").lut_srl == 0
    assert fifo(width, depth, "lutram").bram18 == fifo(width, depth, "srl").bram18 == 0
    picked = fifo(width, depth, "auto")
    assert (picked.bram18 == 0) != (picked.lut_lutram == 0)


@given(st.integers(2, 300), st.integers(1, 300), st.sampled_from(FIFO_STYLES))
def test_a_line_buffer_holds_two_lines_and_a_window(words, bits, style):
    found = line_buffer(words, bits, style)
    assert capacity_bits(found) >= 2 * words * bits
    assert found.ff >= 7 * bits


@given(WIDTHS, st.integers(1, 300_000))
def test_block_ram_is_no_less_than_its_bits(width, depth):
    found = memory.block_rams(width, depth)
    assert found.bram18 * _RAMB18_BITS >= width * depth
    assert min(found.ramb18, found.ramb36) == 0


def test_block_ram_shapes():
    """Aspect ratios of UG573: a word of 36 by 512 is one RAMB18, of 72 one RAMB36; 9 bits reach 2048 and 4096 deep."""
    assert memory.block_rams(36, 512) == memory.BlockRams(1, 0)
    assert memory.block_rams(72, 512) == memory.BlockRams(0, 1)
    assert memory.block_rams(9, 2048) == memory.BlockRams(1, 0)
    assert memory.block_rams(9, 4096) == memory.BlockRams(0, 1)
    assert memory.block_rams(128, 2048) == memory.BlockRams(15, 0), "15 columns of 9 bits beat 8 RAMB36 of 18"
    assert memory.ultra_rams(73, 4097).uram == 4


def test_the_step_that_shortening_meets():
    """One FIFO of 68 x 16 bits is block RAM; two of 34 x 16 are shift registers, two of 34 x 32 are block RAM again."""
    assert skip_path(4, 4, 68, "rule").bram18 == 1
    assert skip_path(4, 4, 34, "rule").bram18 == 0
    assert 2 * skip_path(8, 4, 34, "rule").bram18 > skip_path(8, 4, 68, "rule").bram18 == 1
    assert rule_style(16, 64) == "srl"
    assert rule_style(16, 65) == "block"


@given(st.integers(2, 18), st.integers(2, 18), st.integers(0, 16))
def test_arithmetic_is_symmetric_and_grows(a, b, guard):
    for dsp in (False, True):
        assert arithmetic.multiplier(a, b, dsp=dsp) == arithmetic.multiplier(b, a, dsp=dsp)
        product, sums = arithmetic.multiplier(a, b, dsp=dsp), arithmetic.multiply_accumulate(a, b, guard, dsp=dsp)
        assert sums.lut - product.lut == 2 * sums.ff == 2 * (a + b + guard)
    assert arithmetic.multiplier(a + 1, b).lut >= arithmetic.multiplier(a, b).lut
    assert arithmetic.multiplier(a, b, dsp=True).dsp == (a + b >= 9)


@given(st.integers(2, 200), st.integers(1, 40))
def test_a_pipelined_tree_is_its_carry_chains(operands, bits):
    """Every level adds pairs, so N - 1 chains of at least a LUT a bit, and a register behind each."""
    found = arithmetic.adder_tree(operands, bits, pipelined=True)
    assert found.lut_logic >= (operands - 1) * bits
    assert found.ff + 8 * found.lut_srl >= (operands - 1) * (bits + 1)
    assert found.dsp == found.bram18 == 0


def test_words_that_wait_are_shift_registers():
    """19 words of 7 bits, counted by hand: a sum that is odd at 5 and at 3 waits twice behind its own register.

    Sums of 8, 9, 10, 11 and 12 bits: 9, 5, 2, 1 and 1, of which one of 9 bits is in shift registers; a word of 7 waits.
    """
    found = arithmetic.adder_tree(19, 7, pipelined=True)
    assert (found.lut_srl, found.ff) == (9, 9 * 8 + 7 + 4 * 9 + 2 * 10 + 11 + 12)
    assert found.lut_logic == 9 * 7 + 5 * 8 + 2 * 9 + 10 + 11


@given(st.integers(2, 80), st.integers(2, 12), st.integers(2, 12))
def test_constant_weights_cost_less_than_weights_as_inputs(products, a, b):
    constants, inputs = arithmetic.constant_dot_product(products, a, b), arithmetic.dot_product(products, a, b)
    assert constants.lut <= inputs.lut
    assert constants.ff == inputs.ff


@given(st.integers(1, 128), st.integers(1, 32), st.booleans())
def test_a_skip_adder_is_a_carry_chain_and_a_clamp(channels, bits, relu):
    found = elementwise.skip_adder(channels, bits, relu=relu)
    assert found.lut == channels * (2 * bits - (not relu))
    assert found.ff == channels * bits


@given(st.integers(4, 128), st.integers(2, 16), st.integers(2, 8), st.integers(2, 300))
def test_skips_only_add(width, channels, bits, depth):
    none, long, short = (
        residual_block(each, width, channels, bits, depth=depth).by_name() for each in ("none", "long", "short")
    )
    assert all(none[name] <= long[name] <= short[name] for name in none)
    assert none["dsp"] == short["dsp"]


@given(st.integers(1, 400), st.integers(2, 8192))
def test_vendor_fifos_hold_their_words(width, depth):
    assert capacity_bits(finn.block_fifo(width, depth)) >= width * depth
    assert capacity_bits(hls4ml.stream_fifo(width, depth)) >= width * depth
    assert finn.shift_fifo(width, depth).bram18 == 0


def test_no_node_of_a_skip_is_free():
    for found in (finn.add_streams(4), finn.duplicate_streams(32, 4), finn.width_converter(4, 32)):
        assert found.lut > 0
        assert found.ff > 0


def test_a_window_over_one_pixel_buffers_one_pixel():
    """1 x 1 kernels need no line; 3 x 3 need two lines and three pixels of every channel."""
    one = finn.SlidingWindow(64, 1, 5, (1, 1), (38, 114), (2, 2))
    three = finn.SlidingWindow(64, 1, 4, (3, 3), (21, 59), (1, 1))
    assert one.buffered_words == 64
    assert three.buffered_words == (2 * 59 + 3) * 64


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fifo(8, 0, "srl"), ["depth", "2 or more"]),
        (lambda: fifo(0, 8, "srl"), ["width_bits", "1 or more"]),
        (lambda: fifo(8, 8, "blok"), ["'block'"]),
        (lambda: line_buffer(1, 8, "auto"), ["words"]),
        (lambda: elementwise.requantiser(1, 8, 8, 4), ["out_bits", "at most", "5"]),
        (lambda: elementwise.requantiser(1, 8, 8, 8), ["shift"]),
        (lambda: arithmetic.multiplier(1, 8), ["a_bits"]),
        (lambda: arithmetic.multiplier(28, 28, dsp=True), ["DSP slice", "dsp=0"]),
        (lambda: finn.VectorUnit(64, 64, 3, 1, 4, 4, 4, 16), ["simd", "divide 64"]),
        (lambda: residual_block("longer", 8, 4, 4, depth=8), ["'long'"]),
        (lambda: hls4ml.dense_network([8], 8, 1), ["widths"]),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(InputError) as caught:
        make()
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert isinstance(caught.value, InputError | UnknownNameError | UnsupportedError)

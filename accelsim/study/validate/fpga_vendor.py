"""Rows of vendor reports: nodes of a FINN build, FIFOs of hls4ml after synthesis, and FIFOs as HLS estimates them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from accelsim.cost.fpga import finn, hls4ml
from accelsim.cost.fpga.memory import BlockRams
from accelsim.cost.fpga.resources import Resources
from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.fpga import RAMB18_SHAPES
from accelsim.study.validate.framework import Comparison
from accelsim.study.validate.table import Record

__all__ = ["csynth_dense", "csynth_fifo", "csynth_network", "finn_node", "node_resources", "postsynth_fifo"]

_HLS_REGISTER_BITS = 512
_HLS_PORT_BITS = 18


def _pair(row: Record, column: str) -> tuple[int, int]:
    """Two whole numbers, as in 3x3."""
    parts = row.text(column).split("x")
    if len(parts) != 2 or not all(each.isdecimal() and int(each) > 0 for each in parts):
        raise InputError("must be two sizes, such as 3x3", file=row.source, field=column, value=row.raw(column))
    return int(parts[0]), int(parts[1])


def _fifo(row: Record) -> Resources:
    builders = {"rtl": finn.shift_fifo, "vivado": finn.block_fifo}
    style = row.text("style")
    if style not in builders:
        raise UnknownNameError("style of a FINN FIFO", style, builders, file=row.source, field="style")
    return builders[style](row.whole("width"), row.whole("depth"))


def _window(row: Record) -> Resources:
    return finn.sliding_window(finn.SlidingWindow(
        row.whole("channels"), row.whole("SIMD"), row.whole("ibits"), _pair(row, "kernel"), _pair(row, "ifm"),
        _pair(row, "stride"),
    ))  # fmt: skip


def _vector(row: Record) -> Resources:
    unit = finn.VectorUnit(
        row.whole("MW"), row.whole("MH"), row.whole("SIMD"), row.whole("PE"), row.whole("wbits"), row.whole("ibits"),
        row.whole("obits"), row.whole("accbits"),
    )  # fmt: skip
    return finn.vector_unit(unit, row.text("mem_mode"))


_NODES: dict[str, Callable[[Record], Resources]] = {
    "StreamingFIFO_rtl": _fifo,
    "ConvolutionInputGenerator_rtl": _window,
    "MVAU_hls": _vector,
    "StreamingDataWidthConverter_rtl": lambda row: finn.width_converter(row.whole("width"), row.whole("out_width")),
    "Thresholding_rtl": lambda row: finn.threshold_unit(row.whole("channels"), row.whole("ibits")),
    "AddStreams_hls": lambda row: finn.add_streams(row.whole("ibits"), row.whole("PE")),
    "DuplicateStreams_hls": lambda row: finn.duplicate_streams(
        row.whole("channels"), row.whole("ibits"), row.whole("PE")
    ),
    "FMPadding_rtl": lambda row: finn.padding(row.whole("SIMD"), row.whole("ibits")),
    "Pool_hls": lambda row: finn.pool(row.whole("channels")),
}


def node_resources(row: Record) -> Resources:
    """What a node of a FINN build takes, from its parameters alone."""
    op = row.text("op")
    if op not in _NODES:
        raise UnknownNameError("node of FINN", op, _NODES, file=row.source, field="op")
    return _NODES[op](row)


def finn_node(row: Record) -> Iterator[Comparison]:
    """A node of a FINN build; the note has what FINN's formula and HLS had said."""
    found = node_resources(row)
    note = ", ".join(
        f"{who} {row.raw(column)} LUT" for who, column in (("FINN", "finn_est_LUT"), ("HLS", "hls_est_LUT"))
        if row.raw(column)
    )  # fmt: skip
    yield Comparison("LUT", found.lut, row.number("synth_LUT"), note=note)
    yield Comparison("FF", found.ff, row.number("synth_FF"))
    yield Comparison("BRAM18", found.bram18, 2 * row.number("synth_BRAM_36K") + row.number("synth_BRAM_18K"))
    yield Comparison("DSP", found.dsp, row.number("synth_DSP"))


def postsynth_fifo(row: Record) -> Iterable[Comparison]:
    """A group of FIFOs after synthesis: the median, and whether the prediction lies between the 10th and 90th
    percentile."""
    found = hls4ml.stream_fifo(row.whole("width"), row.whole("depth"))
    halves = 2 * row.number("RAMB36_median") + row.number("RAMB18_median")
    for name, amount, median in (
        ("LUT", found.lut, row.number("LUT_median")), ("SRL", found.lut_srl, row.number("SRL_median")),
        ("FF", found.ff, row.number("FF_median")), ("BRAM18", found.bram18, halves),
    ):  # fmt: skip
        yield Comparison(name, amount, median)
    low, high = row.number("LUT_p10"), row.number("LUT_p90")
    yield Comparison(
        "LUT_in_band", int(low <= found.lut <= high), 1, note=f"10th to 90th percentile {low:g} to {high:g}"
    )


def csynth_fifo(row: Record) -> Iterable[Comparison]:
    """Block RAM of a FIFO as HLS estimates it: registers up to 512 bits, then RAMB18 with ports of at most 18 bits."""
    width, depth = row.whole("bits"), row.whole("depth")
    blocks = BlockRams(0, 0)
    if width * depth > _HLS_REGISTER_BITS:
        ported = [each for each in RAMB18_SHAPES if each.width_bits <= _HLS_PORT_BITS]
        shape = next((each for each in ported if depth <= each.depth), ported[-1])
        blocks = BlockRams(shape.blocks(width, depth), 0)
    return (Comparison("BRAM18", blocks.bram18, row.number("BRAM_18K")),)


def csynth_network(row: Record) -> Iterable[Comparison]:
    """A network after synthesis, from what its HLS report says of flip-flops and DSP slices."""
    found = hls4ml.after_synthesis(row.whole("csynth_FF", least=0), row.whole("csynth_DSP", least=0))
    for name, amount in (("LUT", found.lut), ("FF", found.ff), ("DSP", found.dsp)):
        note = f"HLS says {row.raw(f'csynth_{name}')}"
        yield Comparison(name, amount, row.number(f"synth_{name}"), note=note)


def csynth_dense(row: Record) -> Iterable[Comparison]:
    """LUTs and flip-flops of a dense network as HLS estimates it."""
    if row.text("strategy") != "resource":
        raise UnsupportedError("is not modelled", file=row.source, field="strategy", value=row.raw("strategy"),
                               remedy="use resource")  # fmt: skip
    widths = row.text("layers").split("-")
    if not all(each.isdecimal() for each in widths):
        raise InputError("must be widths, such as 80-24-120", file=row.source, field="layers", value=row.raw("layers"))
    found = hls4ml.dense_network([int(each) for each in widths], row.whole("precision_bits"), row.whole("reuse_factor"))
    return Comparison("LUT", found.lut, row.number("LUT")), Comparison("FF", found.ff, row.number("FF"))

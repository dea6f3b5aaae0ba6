"""A dataflow drawn from top to bottom: a row a layer, a bar for its LUTs, and every skip as an arc with its FIFO."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.mapping.fpga.layers import Layer
from accelsim.report.page import text
from accelsim.report.plots import PALETTE
from accelsim.report.quantities import short
from accelsim.study.skips import SkipFifo, SkipVariant

__all__ = ["dataflow_drawing"]

_ROW, _LANE, _LEFT_PAD, _NAME, _BAR = 22, 26, 150, 300, 260
_MOST_ROWS = 400
_LINE = "#d9480f"
_KIND = {"add": "adder", "concat": "join", "fork": "duplicator", "convolution": "convolution", "dense": "dense"}


def dataflow_drawing(variant: SkipVariant) -> str:
    """An SVG in a box that opens on a click for large networks."""
    run = variant.evaluation
    layers = run.mapping.layers[:_MOST_ROWS]
    rows = {layer.name: index for index, layer in enumerate(layers)}
    amounts = _luts(variant, rows)
    arcs = _arcs(variant, layers, rows)
    lanes = max((lane for *_, lane in arcs), default=0) + 1
    left = _LEFT_PAD + lanes * _LANE
    most = max(amounts.values(), default=1) or 1
    body = [_row(layer, index, left, amounts.get(layer.name, 0), most)
            for index, layer in enumerate(layers)]  # fmt: skip
    body += [_arc(fifo, begin, end, lane, left) for fifo, begin, end, lane in arcs]
    height, width = _ROW * len(layers) + 12, left + _NAME + _BAR + 130
    count = f"{len(run.mapping.layers)} layers, {len(variant.fifos)} skip FIFOs"
    drawing = (
        f'<div class="scroll"><svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'role="img" aria-label="dataflow, {text(variant.name)}" font-size="12" fill="currentColor">'
        f"{''.join(body)}</svg></div>"
    )
    legend = "A row a layer; bars are LUTs; arcs are skips, with the pixels of their FIFO, and B where it is block RAM."
    return (
        f"<details{' open' if variant.fifos else ''}><summary>{text(variant.name)}: {count}</summary>"
        f'<p class="soft">{legend}</p>{drawing}</details>'
    )


def _luts(variant: SkipVariant, rows: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for stage, amount in variant.evaluation.parts.stages.items():
        layer = stage if stage in rows else stage.rpartition(".")[0]
        found[layer] = found.get(layer, 0) + amount.lut
    return found


def _arcs(
    variant: SkipVariant, layers: tuple[Layer, ...], rows: Mapping[str, int]
) -> list[tuple[SkipFifo, int, int, int]]:
    """(FIFO, first row, last row, lane) of each skip stream; arcs that overlap have lanes of their own."""
    makers = {edge: layer.name for layer in layers for edge in layer.outputs}
    takers = {edge: layer.name for layer in layers for edge in layer.inputs}
    spans = [
        (rows[makers[each.stream]], rows[takers[each.stream]], each)
        for each in variant.fifos if each.stream in makers and each.stream in takers
    ]  # fmt: skip
    free: list[int] = []
    made = []
    for begin, end, fifo in sorted(spans, key=lambda span: span[:2]):
        lane = next((place for place, until in enumerate(free) if until <= begin), len(free))
        free[lane : lane + 1] = [end]
        made.append((fifo, begin, end, lane))
    return made


def _row(layer: Layer, index: int, left: int, luts: int, most: int) -> str:
    y = _ROW * index + 16
    emphasis = layer.kind in ("add", "concat", "fork")
    colour = _LINE if emphasis else PALETTE[0]
    bar = max(_BAR * luts / most, 1 if luts else 0)
    kind = _KIND.get(layer.kind, layer.kind)
    shape = f"{layer.made.rows}x{layer.made.columns}x{layer.made.channels}"
    return (
        f'<circle cx="{left}" cy="{y - 4}" r="{4 if emphasis else 3}" fill="{colour}"/>'
        f'<text x="{left + 12}" y="{y}">{text(short(layer.name, 34))}'
        f'<tspan opacity="0.6"> {kind} {shape}</tspan></text>'
        f'<rect x="{left + _NAME + 60}" y="{y - 11}" width="{bar:.1f}" height="11" fill="{colour}" opacity="0.75"/>'
        f'<text x="{left + _NAME + 66 + bar:.1f}" y="{y - 1}" opacity="0.7">{f"{luts:,}" if luts else ""}</text>'
    )


def _arc(fifo: SkipFifo, begin: int, end: int, lane: int, left: int) -> str:
    top, bottom = _ROW * begin + 12, _ROW * end + 12
    x = left - 14 - lane * _LANE
    block = " B" if fifo.resources.bram18 else ""
    words = f"{fifo.depth} px{block}"
    down = f"M{left - 5},{top} H{x + 8} Q{x},{top} {x},{top + 8} V{bottom - 8}"
    path = f"{down} Q{x},{bottom} {x + 8},{bottom} H{left - 5}"
    weight = 2.5 if fifo.resources.bram18 else 1.4
    return (
        f'<path d="{path}" fill="none" stroke="{_LINE}" stroke-width="{weight}">'
        f"<title>{text(fifo.join)}: {fifo.depth} pixels of {fifo.pixel_bits} bits</title></path>"
        f'<text x="{x - 6}" y="{(top + bottom) / 2 + 4}" text-anchor="end" fill="{_LINE}">{words}</text>'
    )

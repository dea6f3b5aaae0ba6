"""Rows that need a dataflow: smallest FIFO depths by simulation, and whole networks.

- ``skip_fifo_min_depth_rtlsim.csv``: depths and clock cycles of the residual block, against its RTL simulation.
- ``hls4ml_residual_fifo_depths.csv``: largest fills of the FIFOs around one convolution over two images. The rows do
  not say how many cycles a pixel takes; `_HLS_CYCLES` is assumed for all.
- ``vivado_finn_residual_builds.csv``: the nodes of the build, from the table of nodes beside it, and their sum.
- ``vivado_finn_networks.csv``: single units by their parameters; networks whose layers are published, folded for the
  interval that the row states.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter

from accelsim.cost.fpga import finn
from accelsim.cost.fpga.resources import Resources
from accelsim.cost.fpga.stages import dataflow_resources
from accelsim.engine.streaming import largest_fill, run_cycles, size_fifos, smallest_common_depth
from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.fpga import device
from accelsim.mapping.fpga.build import build
from accelsim.mapping.fpga.choose import fold_for
from accelsim.mapping.fpga.circuits import VectorUnit, Wiring
from accelsim.mapping.fpga.lower import UNBOUNDED, lower_dataflow
from accelsim.mapping.fpga.records import Dataflow, Stage, Stream, every_pixel
from accelsim.mapping.fpga.residual import residual_dataflow
from accelsim.mapping.fpga.windows import Geometry, padded, window_steps
from accelsim.pipeline.fpga import pricing
from accelsim.study.validate.fpga_topologies import topology
from accelsim.study.validate.framework import Comparison
from accelsim.study.validate.table import Record, read_table

__all__ = ["build_totals", "finn_network", "hls4ml_depth", "skip_depth"]

_HLS_CYCLES = 16
_HLS_FIFOS = {"main branch copy": "main", "skip branch copy": "skip", "padding to convolution": "padded"}
_FINN_FIFO = "StreamingFIFO_rtl"
_RESOURCES = ("LUT", "FF", "BRAM18", "DSP")


def skip_depth(row: Record) -> Iterator[Comparison]:
    """Smallest depths of the skip FIFOs of the residual block, and the cycles of one image.

    Cycles count from the first pixel offered to the one in which the last result is handed over.
    """
    words = row.text("skip")
    skips = "long" if words.startswith("around two") else "short" if words.startswith("around one") else ""
    if not skips:
        raise InputError("must be around one or around two convolutions", file=row.source, field="skip", value=words)
    dataflow = residual_dataflow(skips, row.whole("width", least=2), row.whole("height", least=2), depth=1)
    fifos = [stream.name for stream in dataflow.fifos if stream.skip]
    found = smallest_common_depth(lower_dataflow(dataflow), fifos)
    yield Comparison("min_depth_no_deadlock", found.working[fifos[0]], row.number("min_depth_no_deadlock"))
    yield Comparison("min_depth_full_throughput", found.lossless[fifos[0]], row.number("min_depth_full_throughput"))
    for column, cycles in (("cycles_full", found.cycles), ("cycles_at_min", found.cycles_working)):
        measured = row.figure(column) if column in row.cells else None
        if measured is not None:
            yield Comparison(column, cycles - 1, measured)


def hls4ml_depth(row: Record) -> Iterator[Comparison]:
    """Depth of one FIFO of a residual block of hls4ml: its largest fill, and a word."""
    name = row.text("fifo")
    if name not in _HLS_FIFOS:
        raise InputError(f"must be one of {', '.join(_HLS_FIFOS)}", file=row.source, field="fifo", value=name)
    dataflow = _hls4ml_block(row.whole("image_width", least=3))
    lowered = lower_dataflow(dataflow, 2)
    fills = largest_fill(lowered, run_cycles(lowered.with_depths(dict.fromkeys(dataflow.streams, UNBOUNDED))))
    note = f"a convolution of {_HLS_CYCLES} cycles a pixel is assumed, two images back to back"
    yield Comparison("depth", fills[_HLS_FIFOS[name]] + 1, row.number("depth_after_optimisation"), note=note)


def _hls4ml_block(width: int) -> Dataflow:
    """Convolution, clone, padding, convolution and add on a square image, as io_stream connects them."""
    geometry = Geometry((width, width), (3, 3), (1, 1), (1, 1, 1, 1))
    inner = Geometry(geometry.padded_image, (3, 3))
    none, each = (Wiring(),), every_pixel(width * width, 1)
    taken = window_steps(inner, 1, _HLS_CYCLES)
    stages = (
        Stage("source", 0, none, each, (), ("image",)),
        Stage("pad before", 0, none, padded(geometry, 1), ("image",), ("first",)),
        Stage("convolution before", 0, none, taken, ("first",), ("made",)),
        Stage("clone", 0, none, each, ("made",), ("main", "skip")),
        Stage("pad", 0, none, padded(geometry, 1), ("main",), ("padded",)),
        Stage("convolution", 0, none, taken, ("padded",), ("branch",)),
        Stage("add", 0, none, each, ("branch", "skip"), ("sum",)),
        Stage("sink", 0, none, each, ("sum",), ()),
    )
    streams = {name: Stream(name, 1, 1, 1) for stage in stages for name in stage.outputs}
    return Dataflow(stages, streams)


def build_totals(
    file: Path, nodes: str, predicted: Callable[[Record], Resources]
) -> Callable[[Record], Iterator[Comparison]]:
    """Totals of a build from the table of its ``nodes`` beside ``file``.

    Names are numbered through, so that it is known how many nodes of each kind are missing; those count as the mean of
    their kind.
    """

    def compare(row: Record) -> Iterator[Comparison]:
        beside = file.with_name(nodes)
        if not beside.is_file():
            raise UnsupportedError(f"needs the nodes of the build in {nodes} beside it", file=row.source)
        found = [each for each in read_table(beside, ("build", "node", "op")) if each.raw("build") == row.text("build")]
        if not found:
            raise InputError(
                "has no node in the table of nodes", file=row.source, field="build", value=row.raw("build")
            )
        yield from _totals(row, [(each, predicted(each)) for each in found])

    return compare


def _totals(row: Record, nodes: list[tuple[Record, Resources]]) -> Iterator[Comparison]:
    kinds: dict[str, list[tuple[Record, Resources]]] = {}
    for node, amount in nodes:
        kinds.setdefault(node.text("op"), []).append((node, amount))
    counts = {kind: max(_number(node) for node, _ in each) + 1 for kind, each in kinds.items()}
    note = f"{len(nodes)} of {sum(counts.values())} nodes are in the table, the others count as the mean of their kind"
    for name in _RESOURCES:
        whole = sum(counts[kind] / len(each) * sum(_amount(amount, name) for _, amount in each)
                    for kind, each in kinds.items())  # fmt: skip
        yield Comparison(name, round(whole), _measured(row, name), note=note)
        at_hand = sum(_measured(node, name) for node, _ in nodes)
        yield Comparison(f"{name}_of_nodes_at_hand", sum(_amount(amount, name) for _, amount in nodes), at_hand)
    for name in ("LUT", "BRAM18"):
        yield Comparison(f"{name}_share_of_skip_FIFOs_pct", *_shares(nodes, name))


def _number(node: Record) -> int:
    ending = re.search(r"_(\d+)$", node.text("node"))
    if ending is None:
        raise InputError("must end with its number", file=node.source, field="node", value=node.raw("node"))
    return int(ending[1])


def _shares(nodes: list[tuple[Record, Resources]], name: str) -> tuple[float, float]:
    """Per cent of one resource that is in FIFOs of skips: predicted, and as synthesised."""
    skips = [(node, amount) for node, amount in nodes
             if node.raw("role") == "skip_branch" and node.raw("op") == _FINN_FIFO]  # fmt: skip
    predicted, measured = (
        100 * sum(part) / max(sum(whole), 1)
        for part, whole in (
            ([_amount(a, name) for _, a in skips], [_amount(a, name) for _, a in nodes]),
            ([_measured(n, name) for n, _ in skips], [_measured(n, name) for n, _ in nodes]),
        )
    )
    return predicted, measured


def _amount(amount: Resources, name: str) -> int:
    return {"LUT": amount.lut, "FF": amount.ff, "BRAM18": amount.bram18, "DSP": amount.dsp}[name]


def _measured(row: Record, name: str) -> float:
    if name == "BRAM18":
        return 2 * row.number("synth_BRAM_36K") + row.number("synth_BRAM_18K")
    return row.number(f"synth_{name}")


def finn_network(row: Record) -> Iterable[Comparison]:
    """One matrix-vector unit, or a network whose layers are published; a network's note compares the time of FIFO
    sizing with that of FINN's RTL simulation, where the row has it."""
    note = f"FINN's formula says {row.raw('est_LUT') or 'nothing'}, HLS {row.raw('hls_LUT') or 'nothing'} LUT"
    if row.text("dut") == "mvau":
        found = _unit(row)
    else:
        found, spent_s = _network(row)
        theirs = row.figure("t_fifo_sizing_s")
        note += f"; FIFO sizing {spent_s:.2g} s, FINN's {theirs:g} s: {theirs / spent_s:.0f} x" if theirs else ""
    return [Comparison(name, _amount(found, name), _measured(row, name), note=note if name == "LUT" else "")
            for name in _RESOURCES]  # fmt: skip


def _unit(row: Record) -> Resources:
    weight, taken, made = (_bits(row, column) for column in ("wdt", "idt", "act"))
    width, height = row.whole("mw"), row.whole("mh")
    if row.text("mem_mode") != "internal_embedded":
        raise UnsupportedError("is not modelled for a single unit", file=row.source, field="mem_mode",
                               value=row.raw("mem_mode"), remedy="use internal_embedded")  # fmt: skip
    total = weight + taken + (width - 1).bit_length()
    return finn.vector_unit(
        VectorUnit(width, height, row.whole("simd"), row.whole("pe"), weight, taken, made, total, "lut")
    )


def _bits(row: Record, column: str) -> int:
    found = re.fullmatch(r"U?INT(\d+)", row.text(column))
    if found is None:
        raise UnsupportedError("is no integer type", file=row.source, field=column, value=row.raw(column))
    return int(found[1])


def _network(row: Record) -> tuple[Resources, float]:
    """Resources of a network, and the seconds that its FIFO sizing took here."""
    layers = topology(row.text("model"), row.source)
    cycles = row.whole("est_max_cycles")
    board = device("rfsoc-2x2").budget()
    folding = fold_for(layers, "finn", pricing("finn"), board, cycles)
    dataflow = build(layers, folding.folds, "finn", folding.memories)
    begin = perf_counter()
    sized = size_fifos(lower_dataflow(dataflow, 2)).lossless
    spent_s = perf_counter() - begin
    return dataflow_resources(dataflow.with_depths(sized), "finn").total, spent_s

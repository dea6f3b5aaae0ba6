"""Target ``fpga``: resources of circuits from their parameters alone, against synthesis (formulas: docs/fpga.md).

- ``yosys_*.csv``: circuits of our own, synthesised with Yosys. Rows with ``use`` calibrate set constants and are
  families of their own, ``mult (calibrate)``; all others never did.
- ``resblock_difference``: what a skip adds, rows of one file less the row of the same block without skips.
- ``vivado_finn_residual_nodes.csv``, ``vivado_hls4ml_fifo_postsynth.csv``, ``hls_csynth_fifo.csv``,
  ``wa_hls4ml_dense_sample.csv``: reports of vendor tools.

- ``skip_fifo_min_depth_rtlsim.csv``, ``hls4ml_residual_fifo_depths.csv``, ``vivado_finn_residual_builds.csv``,
  ``vivado_finn_networks.csv``: dataflows that are simulated and priced whole (`fpga_dataflow`).
- ``paper_tables.csv``: skips kept and removed, beside what papers print (`fpga_papers`).

Rows that do not say what was built fail with that reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from accelsim.cost.fpga import arithmetic, elementwise
from accelsim.cost.fpga.fifo import fifo
from accelsim.cost.fpga.residual import Skips, residual_block
from accelsim.cost.fpga.resources import Resources
from accelsim.cost.fpga.window import line_buffer
from accelsim.errors import InputError, UnknownNameError
from accelsim.study.validate.fpga_dataflow import build_totals, finn_network, hls4ml_depth, skip_depth
from accelsim.study.validate.fpga_papers import paper_row
from accelsim.study.validate.fpga_vendor import (
    csynth_dense,
    csynth_fifo,
    csynth_network,
    finn_node,
    node_resources,
    postsynth_fifo,
)
from accelsim.study.validate.framework import Comparison, Row, Target, evaluated
from accelsim.study.validate.table import Record, read_table

__all__ = ["TARGET", "predicted"]

_USES = ("calibrate", "validate")
_MODES: tuple[Skips, ...] = ("none", "long", "short")
_MEASURED = {"LUT_total": "lut", "FF": "ff", "BRAM18_eq": "bram18", "DSP": "dsp"}
_NODES = "vivado_finn_residual_nodes.csv"


def _flag(record: Record, column: str) -> bool:
    return bool(record.whole(column, least=0))


def _fifo(style: str) -> Callable[[Record], Resources]:
    return lambda row: fifo(row.whole("W"), row.whole("D"), style)


def _block(row: Record) -> Resources:
    mode = row.whole("MODE", least=0)
    if mode >= len(_MODES):
        raise InputError("must be 0, 1 or 2", file=row.source, field="MODE", value=mode)
    return residual_block(
        _MODES[mode], row.whole("WD"), row.whole("C"), row.whole("B"), depth=row.whole("FD"), style=row.text("FSTYLE"),
        dsp=_flag(row, "dsp_allowed"),
    )  # fmt: skip


_FAMILIES: dict[str, Callable[[Record], Resources]] = {
    **{f"fifo_{style}": _fifo(style) for style in ("srl", "lutram", "block", "auto")},
    "mult": lambda row: arithmetic.multiplier(row.whole("A"), row.whole("B"), dsp=_flag(row, "dsp_allowed")),
    "mac": lambda row: arithmetic.multiply_accumulate(
        row.whole("A"), row.whole("B"), row.whole("G"), dsp=_flag(row, "dsp_allowed")
    ),
    "addertree": lambda row: arithmetic.adder_tree(row.whole("N"), row.whole("W")),
    "addertree_pipe": lambda row: arithmetic.adder_tree(row.whole("N"), row.whole("W"), pipelined=True),
    "dot": lambda row: arithmetic.dot_product(
        row.whole("N"), row.whole("A"), row.whole("B"), dsp=_flag(row, "dsp_allowed")
    ),
    "dot_constweights": lambda row: arithmetic.constant_dot_product(row.whole("N"), row.whole("A"), row.whole("B")),
    "linebuffer": lambda row: line_buffer(row.whole("WD"), row.whole("CB"), row.text("STYLE")),
    "skipadd": lambda row: elementwise.skip_adder(row.whole("C"), row.whole("B"), relu=_flag(row, "RELU")),
    "requant": lambda row: elementwise.requantiser(row.whole("C"), row.whole("I"), row.whole("O"), row.whole("S")),
    "resblock": _block,
}


def predicted(row: Record) -> Resources:
    """Resources of a row of a Yosys table, from its parameters alone.

    Raises:
        InputError: a family that is not known, or a parameter that is missing or breaks a rule.
    """
    family = row.text("family")
    if family not in _FAMILIES:
        raise UnknownNameError("family of circuits", family, _FAMILIES, file=row.source, field="family")
    return _FAMILIES[family](row)


def _use(row: Record) -> str:
    use = row.raw("use").lower() or "validate"
    if use not in _USES:
        raise UnknownNameError("use of a row", use, _USES, file=row.source, field="use")
    return use


def _family(row: Record) -> str:
    family = row.raw("family")
    return f"{family} (calibrate)" if row.raw("use").lower() == "calibrate" else family


def _mapped(row: Record) -> Iterable[Comparison]:
    _use(row)
    found = predicted(row)
    for column, name in _MEASURED.items():
        measured = row.figure(column) if column in row.cells else None
        if measured is not None:
            yield Comparison(column, getattr(found, name), measured)


def _block_key(row: Record) -> tuple[str, ...]:
    return tuple(row.raw(each) for each in ("dsp_allowed", "WD", "C", "B"))


def _difference(row: Record, plain: Record) -> Iterable[Comparison]:
    """What skips add, synthesised and predicted."""
    found, without = predicted(row), predicted(plain)
    for column, name in _MEASURED.items():
        more, less = row.figure(column), plain.figure(column)
        if more is not None and less is not None:
            yield Comparison(f"{column}_difference", getattr(found, name) - getattr(without, name), more - less)


def _yosys(file: Path) -> Iterator[Row]:
    plain: dict[tuple[str, ...], Record] = {}
    blocks: list[Record] = []
    for row in read_table(file, ("family", "LUT_total", "FF")):
        yield evaluated(row.raw("name") or "(no name)", partial(_mapped, row), family=_family(row), source=row.source)
        if row.raw("family") == "resblock":
            if row.raw("MODE") == "0":
                plain[_block_key(row)] = row
            else:
                blocks.append(row)
    for row in blocks:
        without = plain.get(_block_key(row))
        if without is not None:
            yield evaluated(row.raw("name"), partial(_difference, row, without), family="resblock_difference",
                            source=row.source)  # fmt: skip


def _table(
    compare: Callable[[Record], Iterable[Comparison]], name: Callable[[Record], str]
) -> Callable[[Path], Iterator[Row]]:
    def rows(file: Path) -> Iterator[Row]:
        for row in read_table(file, ()):
            yield evaluated(name(row), partial(compare, row), family=_family(row), source=row.source)

    return rows


def _sized(row: Record) -> str:
    return f"{row.raw('width') or row.raw('bits')} bits x {row.raw('depth')}"


_READERS: Mapping[str, Callable[[Path], Iterator[Row]]] = {
    _NODES: _table(finn_node, lambda row: row.raw("node")),
    "vivado_hls4ml_fifo_postsynth.csv": _table(postsynth_fifo, _sized),
    "hls_csynth_fifo.csv": _table(csynth_fifo, _sized),
    "wa_hls4ml_dense_sample.csv": _table(csynth_dense, lambda row: row.raw("layers")),
    "skip_fifo_min_depth_rtlsim.csv": _table(
        skip_depth, lambda row: f"{row.raw('skip')}, {row.raw('width')} x {row.raw('height')}"
    ),
    "hls4ml_residual_fifo_depths.csv": _table(hls4ml_depth, lambda row: f"{row.raw('fifo')}, {row.raw('image_width')}"),
    "vivado_finn_networks.csv": _table(finn_network, lambda row: row.raw("model") or _unit(row)),
    "vivado_finn_residual_builds.csv": lambda file: _table(
        build_totals(file, _NODES, node_resources), lambda row: row.raw("build")
    )(file),
    "vivado_hls4ml_csynth_vs_postsynth.csv": _table(csynth_network, lambda row: row.raw("design")),
    "paper_tables.csv": lambda file: (
        evaluated(f"{row.raw('variant')}, {row.raw('metric')}", partial(paper_row, row), family="paper_tables",
                  source=row.source)
        for row in read_table(file, ("paper", "variant", "metric", "value"))
    ),
}  # fmt: skip


def _unit(row: Record) -> str:
    return f"{row.raw('dut')} {row.raw('idt')} x {row.raw('wdt')}, {row.raw('mw')} x {row.raw('mh')}"


def _rows(file: Path) -> Iterator[Row]:
    yield from _READERS.get(file.name, _yosys)(file)


TARGET = Target(
    name="fpga",
    description="Look-up tables, flip-flops, block RAM and DSP slices of circuits, from their parameters alone, "
    "against synthesis by Yosys and by Vivado.",
    looked_for=("yosys_*.csv", *_READERS),
    rows=_rows,
    calibrated="rows marked calibrate, which are families of their own: synthesis points of our own for FIFOs, "
    "arithmetic and requantisers, and the bundled rows that are marked. FINN: two thirds of the nodes of one build. "
    "hls4ml: every FIFO at hand, so their error is no validation, 31 dense networks, and two thirds of the networks "
    "with an HLS report. Forms were read with all rows in view.",
    notes=(
        "LUTs of a block scatter by a few percent when a part is added, because the tool restructures all of it: "
        "differences of blocks carry that scatter.",
        "Constant weights are predicted on average over weights drawn uniformly; single draws scatter.",
    ),
)

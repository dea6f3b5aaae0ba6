"""Target ``systolic``: cycles, utilisation and buffer accesses of one product on one array, against SCALE-Sim.

The prediction is the mapping's cost model, `mapping.contraction.evaluate`, with the whole product as one tile and fill
and drain paid in every fold, the way the reference program schedules. Buffer accesses are the words that the model
sends through the scratchpad port; the program counts writes of results only, where the model also reads partial sums
back, so one word a fold is asked for. Two figures follow from the folds:

- the stationary operand of A x B elements is cut into ceil(A/R) ceil(B/C) folds which together hold each element once,
  so a fold occupies on average A B / (R C folds) of the array (``mapping_eff_pct``);
- MACs over R C cycles are the ``overall_util_pct``.

Source: Samajdar et al., SCALE-Sim, ISPASS 2020; figures of the program, version 3.0.0, see validation/systolic.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.mapping.contraction import evaluate
from accelsim.mapping.space import (
    INPUT_STATIONARY,
    OUTPUT_STATIONARY,
    WEIGHT_STATIONARY,
    Candidate,
    Machine,
    Metrics,
    Problem,
    ceil_div,
)
from accelsim.study.validate.framework import Comparison, Row, Target, evaluated
from accelsim.study.validate.table import Record, read_table

__all__ = ["TARGET", "ArrayFigures", "ArrayRun", "array_figures"]

_DATAFLOWS = {"os": OUTPUT_STATIONARY, "ws": WEIGHT_STATIONARY, "is": INPUT_STATIONARY}
_SIZES = ("H", "W", "Fh", "Fw", "Cin", "stride")
_COUNTS = ("total_cycles", "sram_ifmap_reads", "sram_filter_reads", "sram_ofmap_writes")
_SHARES = ("overall_util_pct", "mapping_eff_pct")
_COLUMNS = ("layer", "kind", "M", "N", "K", *_SIZES, "array_rows", "array_cols", "dataflow", *_COUNTS, *_SHARES)
_ROUNDING = 1e-9
_EXACT_BELOW = 1 << 53


class ArrayRun(NamedTuple):
    """A product of (m x k) by (k x n) on an array of ``rows`` x ``columns``; ``dataflow`` is os, ws or is."""

    m: int
    n: int
    k: int
    rows: int
    columns: int
    dataflow: str

    @property
    def stationary(self) -> tuple[int, int]:
        """Sizes of the stationary operand along the rows and the columns of the array."""
        return {"os": (self.m, self.n), "ws": (self.k, self.n), "is": (self.k, self.m)}[self.dataflow]

    @property
    def folds(self) -> int:
        """How often the array is filled with another part of the stationary operand."""
        along_rows, along_columns = self.stationary
        return int(ceil_div(along_rows, self.rows) * ceil_div(along_columns, self.columns))


@dataclass(frozen=True, slots=True)
class ArrayFigures:
    """What the columns of the same names mean: cycles, percent, and words through the port of the buffers."""

    total_cycles: int
    overall_util_pct: float
    mapping_eff_pct: float
    sram_ifmap_reads: int
    sram_filter_reads: int
    sram_ofmap_writes: int


def array_figures(run: ArrayRun) -> ArrayFigures:
    """The cost model's figures for one run.

    Raises:
        UnsupportedError: so large that cycles are not counted exactly, or so small that no cycle is.
    """
    _check_size(run)
    cycles = int(_metrics(run, 0.0, 0.0, 0.0).mac_cycles)
    if not 0 < cycles < _EXACT_BELOW:
        raise UnsupportedError(f"takes {cycles} cycles, which have no utilisation or are not counted exactly",
                               field="M N K", value=[run.m, run.n, run.k])  # fmt: skip
    along_rows, along_columns = run.stationary
    places = run.rows * run.columns
    return ArrayFigures(
        cycles,
        100 * run.m * run.n * run.k / (places * cycles),
        100 * along_rows * along_columns / (places * run.folds),
        _words(run, run.m * run.k, inputs=1.0),
        _words(run, run.n * run.k, weights=1.0),
        _words(run, run.m * run.n, outputs=1.0),
    )


def _check_size(run: ArrayRun) -> None:
    """Refuse what the compiled model's 64-bit integers might not hold."""
    fill = 2 * run.rows + run.columns
    if (run.m + fill) * (run.n + fill) * (run.k + fill) >= 1 << 62:
        raise UnsupportedError("is larger than the cost model counts", field="M N K array_rows array_cols",
                               value=[run.m, run.n, run.k, run.rows, run.columns])  # fmt: skip


def _words(run: ArrayRun, elements: int, *, weights: float = 0.0, inputs: float = 0.0, outputs: float = 0.0) -> int:
    """Words of one operand through the port: its elements times a whole number of passes."""
    return elements * round(_metrics(run, weights, inputs, outputs).port_bytes / elements)


def _metrics(run: ArrayRun, weights: float, inputs: float, outputs: float) -> Metrics:
    """The cost model on an array that waits for nothing; the sizes are those of a word of each operand.

    A partial sum counts half a word to write and half to read, so each fold after the first adds one word an output.
    """
    machine = Machine(
        cores=1, rows=run.rows, columns=run.columns, reduction_per_pe=1, columns_per_pe=1, arrays=1,
        weight_stationary=True, output_stationary=True, input_stationary=True, overlapped=False,
        accumulator_bytes=0.0, capacity_bytes=1e18, port_bytes_per_cycle=1e18, shared_port=False, array_hz=1.0,
        dram_bytes_per_s=1e18, dram_latency_s=0.0, dma_bytes_per_s=1e18, network_bytes_per_s=1e18, overhead_s=0.0,
    )  # fmt: skip
    problem = Problem(
        groups=1, m=run.m, n=run.n, k=run.k, row_outputs=1, row_stride=1, row_elements=1, kernel_rows=1, kernel_size=1,
        weight_bytes=weights, input_bytes=inputs, output_bytes=outputs, partial_bytes=outputs / 2,
        input_on_chip=True, output_on_chip=True, weight_on_chip=True,
    )  # fmt: skip
    whole = Candidate(1, 1, 1, 1, run.m, run.n, run.k, 0, _DATAFLOWS[run.dataflow], 0)
    return Metrics(*evaluate(problem, machine, whole))


def _rows(file: Path) -> Iterator[Row]:
    for record in read_table(file, _COLUMNS):
        words = [record.raw("layer") or "(no name)", f"{record.raw('array_rows')}x{record.raw('array_cols')}"]
        name = " ".join([*words, record.raw("dataflow")])
        yield evaluated(name, partial(_compared, record), family=record.raw("family"), source=record.source)


def _compared(record: Record) -> Iterable[Comparison]:
    run = _run(record)
    predicted = array_figures(run)
    for metric in (*_COUNTS, *_SHARES):
        measured = record.figure(metric)
        if measured is None:
            continue
        if metric == "sram_ofmap_writes" and run.dataflow == "os":
            yield _output_stationary_writes(run, predicted.sram_ofmap_writes, measured)
        else:
            yield Comparison(metric, getattr(predicted, metric), measured, _ROUNDING if metric in _SHARES else 0.0)


def _output_stationary_writes(run: ArrayRun, predicted: int, measured: float) -> Comparison:
    """Against M N where the figure is the program's, which adds the R + C sides of each fold to its R x C area."""
    outputs, extra = run.m * run.n, run.folds * (run.rows + run.columns)
    if measured != outputs + extra:
        return Comparison("sram_ofmap_writes", predicted, measured)
    note = (
        f"compared with M N = {outputs}: the reference program's {measured} adds R + C in each of {run.folds} folds, "
        "which no output accounts for"
    )
    return Comparison("sram_ofmap_writes", predicted, outputs, note=note)


def _run(record: Record) -> ArrayRun:
    m, n, k = (record.whole(size) for size in "MNK")
    kind = record.text("kind").lower()
    if kind == "conv":
        _check_convolution(record, m, k)
    elif kind != "gemm":
        raise UnknownNameError("kind of layer", kind, ("gemm", "conv"), file=record.source, field="kind")
    dataflow = record.text("dataflow").lower()
    if dataflow not in _DATAFLOWS:
        raise UnknownNameError("dataflow", dataflow, _DATAFLOWS, file=record.source, field="dataflow")
    return ArrayRun(m, n, k, record.whole("array_rows"), record.whole("array_cols"), dataflow)


def _check_convolution(record: Record, m: int, k: int) -> None:
    """M output pixels and K = Fh Fw Cin must follow from the sizes of the convolution.

    Valid padding drops a last window that is not whole; the reference program keeps it. Either M is accepted.
    """
    height, width, kernel_height, kernel_width, channels, stride = (record.whole(size) for size in _SIZES)
    if kernel_height > height or kernel_width > width:
        raise InputError("is larger than the input", file=record.source, field="Fh, Fw",
                         value=[kernel_height, kernel_width])  # fmt: skip
    steps = (height - kernel_height, width - kernel_width)
    whole = (steps[0] // stride + 1) * (steps[1] // stride + 1)
    kept = (-(-steps[0] // stride) + 1) * (-(-steps[1] // stride) + 1)
    if m not in (whole, kept):
        given = f"{whole}" if whole == kept else f"{whole} (or {kept} with the last, partial windows)"
        raise InputError(f"is not what H, W, Fh, Fw and stride give, {given}", file=record.source, field="M", value=m)
    if k != kernel_height * kernel_width * channels:
        raise InputError(f"is not Fh Fw Cin = {kernel_height * kernel_width * channels}", file=record.source,
                         field="K", value=k)  # fmt: skip


TARGET = Target(
    name="systolic",
    description="Cycles, utilisation and buffer accesses of one layer on one systolic array, from the mapping's cost "
    "model, against SCALE-Sim 3.0.0 without stalls.",
    looked_for=("systolic_*.csv",),
    rows=_rows,
    must_be_exact=True,
    notes=(
        "sram_ofmap_writes in output stationary is compared with M N where the row holds the reference program's "
        "figure: the program counts R + C words more in each fold, which looks like a defect.",
        f"Percentages count as equal to {_ROUNDING:g} relative, the rounding of their last digits; counts to the word.",
    ),
)

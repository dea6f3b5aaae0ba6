"""Target ``tpu-v4i``: what on-chip memory is worth, against the publication's curve.

Performance at a part of CMEM over performance with all of it, the geometric mean over stand-ins for the eight
applications (see validation/tpu-v4i). Weights that fit stay on chip from one inference to the next, others are loaded
ahead; ops are not fused depth first, because that chip's compiler runs them one by one. Nothing is calibrated on
these rows.

Source: Jouppi et al., "Ten Lessons From Three Generations Shaped Google's TPUv4i", ISCA 2021.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from statistics import geometric_mean

from accelsim.documents import bundled_folder
from accelsim.hardware.load import load_architecture
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline import evaluate
from accelsim.study.validate.framework import Comparison, Row, Target, evaluated
from accelsim.study.validate.table import Record, read_table
from accelsim.study.validate.tpu_v1 import applications
from accelsim.workload.graph import Graph
from accelsim.workload.load import load_workload

__all__ = ["TARGET"]

_COLUMNS = ("cmem_mib", "performance")
_CMEM_MIB = 128.0
_BERTS = ("bert-base", "bert-large")
_BATCH = 8
_OPTIONS = MappingOptions(fusion=False, resident_weights=True)


@cache
def _applications() -> tuple[Graph, ...]:
    (table,) = (bundled_folder("validation") / "tpu-v1").glob("tpu_v1*.csv")
    return (*applications(table), *(load_workload(name, batch=_BATCH) for name in _BERTS))


@cache
def _latencies_s(cmem_mib: float) -> tuple[float, ...]:
    """Latency of each application on the chip with so much CMEM."""
    whole = load_architecture("tpu-v4i")
    path = "scratchpad.capacity_bytes"
    smaller = whole.override({path: whole.constants()[path].value - (_CMEM_MIB - cmem_mib) * 2**20})
    return tuple(evaluate(graph, smaller, "bf16", options=_OPTIONS).latency_s for graph in _applications())


def _compared(record: Record) -> Iterable[Comparison]:
    measured = record.figure("performance")
    if measured is None:
        return
    pairs = zip(_latencies_s(_CMEM_MIB), _latencies_s(record.number("cmem_mib")), strict=True)
    yield Comparison("performance", geometric_mean(whole / part for whole, part in pairs), measured)


def _rows(file: Path) -> Iterator[Row]:
    for record in read_table(file, _COLUMNS):
        compare = partial(_compared, record)
        name = f"{record.raw('cmem_mib')} MiB"
        yield evaluated(name, compare, family=record.raw("family"), source=record.source)


TARGET = Target(
    name="tpu-v4i",
    description="Performance of the bundled tpu-v4i with less on-chip memory, over that with all of it, against Jouppi "
    "et al., ISCA 2021.",
    looked_for=("tpu_v4i*.csv",),
    rows=_rows,
    notes=(
        "The eight applications are not public: stand-ins are the six of TPUv1 and two BERTs, and most of the error is "
        "theirs.",
    ),
)

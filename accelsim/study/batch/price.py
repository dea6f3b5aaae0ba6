"""From what designs switch, and for how long, to their metrics: the formulas of one design on columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.cost.digital import Amounts, Number, area, component_j, prices_of
from accelsim.documents import Constant
from accelsim.hardware.derive import derived_spans
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.study.batch.records import METRICS
from accelsim.units import FS_PER_S, fs_to_s
from accelsim.workload.graph import Graph

__all__ = ["Timed", "area_of", "metrics", "with_columns", "with_derived"]

Column = NDArray[np.float64]
_EXACT_FS = 2**53


@dataclass(frozen=True, slots=True)
class Timed:
    """How long designs take, (n,) int64 femtoseconds, and what they switch: amounts are scalars or (n,)."""

    makespan_fs: NDArray[np.int64]
    amounts: Amounts

    def take(self, index: NDArray[np.int64]) -> Timed:
        """The designs ``index`` of these."""
        bytes_of = ("scratchpad_bytes", "network_bytes", "dram_bytes", "host_bytes")
        scratchpad, network, dram, host = (np.asarray(getattr(self.amounts, name))[index] for name in bytes_of)
        amounts = replace(
            self.amounts, scratchpad_bytes=scratchpad, network_bytes=network, dram_bytes=dram, host_bytes=host
        )
        return Timed(self.makespan_fs[index], amounts)


def with_columns(description: DigitalArchitecture, columns: Mapping[str, Number]) -> DigitalArchitecture:
    """``description`` with columns in place of the values of constants: its formulas then hold for all designs.

    Nothing is checked; `Columns` has done so.
    """
    for path, column in columns.items():
        constant = Constant.model_construct(value=column, source="override", low=None, high=None, why=None)
        description = description.with_constant(path, constant)
    return description


def with_derived(description: DigitalArchitecture, derived: Iterable[str]) -> DigitalArchitecture:
    """``description``, which holds columns, with those constants that its technology supplies: columns as well."""
    supplied = derived_spans(description) if (derived := tuple(derived)) else {}
    return with_columns(description, {path: supplied[path][0].value for path in derived})


def metrics(
    workload: Graph, weight_bytes: float, arch: DigitalArchitecture, timed: Timed, area_mm2: float | Column | None
) -> Column:
    """(n, `METRICS`) of n designs; ``arch`` holds columns (see `with_columns`)."""
    latency_s = _seconds(timed.makespan_fs)
    energy_j = np.zeros(len(latency_s)) + sum(component_j(timed.amounts, prices_of(arch), latency_s).values())
    ideal_s = sum(2.0 * macs / arch.peak_ops_per_s(name) for name, macs in timed.amounts.macs.items())
    busy = latency_s > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        found: dict[str, float | Column] = {
            "latency_s": latency_s,
            "energy_j": energy_j,
            "power_w": np.where(busy, energy_j / latency_s, 0.0),
            "area_mm2": np.nan if area_mm2 is None else area_mm2,
            "dram_bytes": np.asarray(timed.amounts.dram_bytes),
            "throughput_per_s": np.where(busy, workload.batch / latency_s, np.inf),
            "real_time_factor": latency_s / workload.audio_s if workload.audio_s else np.nan,
            "utilization_macs": np.where(timed.makespan_fs > 0, ideal_s / latency_s, 0.0),
            "weight_bytes": weight_bytes,
        }
    return np.stack([np.broadcast_to(found[name], latency_s.shape) for name in METRICS], axis=1)


def area_of(arch: DigitalArchitecture) -> float | Column | None:
    """Area as `Evaluation.area_mm2` has it; ``arch`` may hold columns."""
    span = area(arch).area_mm2
    return None if span is None else span.value


def _seconds(makespan_fs: NDArray[np.int64]) -> Column:
    """`units.fs_to_s` of each: a quotient of whole numbers, which floats hold up to 2^53."""
    seconds = makespan_fs / float(FS_PER_S)
    for index in np.flatnonzero(makespan_fs >= _EXACT_FS):
        seconds[index] = fs_to_s(int(makespan_fs[index]))
    return seconds

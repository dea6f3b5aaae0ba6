"""Target ``aimc``: analog tiles against what two simulators and circuit analysis computed; see validation/aimc."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from accelsim.study.circuits import estimate_circuit
from accelsim.study.validate.aimc_crossbars import circuit_figures, noise_figures, product_figures
from accelsim.study.validate.aimc_devices import PARTS
from accelsim.study.validate.aimc_macros import macro_comparisons
from accelsim.study.validate.arrays import Archive, read_archive
from accelsim.study.validate.framework import Comparison, Row, Target, evaluated
from accelsim.study.validate.table import Record, read_table

__all__ = ["TARGET"]

_ADC_COLUMNS = ("enob_bits", "total_throughput_sps", "tech_node_nm", "n_adcs", "energy_per_convert_pJ",
                "area_um2_all_adcs")  # fmt: skip
_RUN_COLUMNS = ("tool", "case", "metric", "value", "unit")
_PRINTED = 1.2e-5
"""Relative rounding: the regression's constants have seven digits, and 213.7807 dB alone leaves 1.15e-5 of energy."""


def _cases(file: Path, figures: Callable[[Archive, Any], Iterable[Comparison]]) -> Iterator[Row]:
    archive = read_archive(file)
    for number, case in enumerate(archive.cases):
        name = str(case.get("id", f"case {number}"))
        yield evaluated(name, partial(figures, archive, case), source=f"{file.name}, {name}")


def _devices(file: Path) -> Iterator[Row]:
    archive = read_archive(file)
    for case in archive.cases:
        for part, figures in PARTS.items():
            name = f"{case.get('model')}.{part}"
            yield evaluated(name, partial(figures, archive, case), source=f"{file.name}, {name}")


def _adcs(file: Path) -> Iterator[Row]:
    for record in read_table(file, _ADC_COLUMNS):
        name = f"{record.raw('enob_bits')} bit, {record.raw('total_throughput_sps')}/s, {record.raw('tech_node_nm')} nm"
        yield evaluated(name, partial(_adc, record), family=record.raw("family"), source=record.source)


def _adc(record: Record) -> Iterator[Comparison]:
    count = record.whole("n_adcs")
    found = estimate_circuit("adc", {
        "bits": record.number("enob_bits"), "rate_hz": record.number("total_throughput_sps") / count,
        "node_nm": record.number("tech_node_nm"), "count": count,
    }).figures  # fmt: skip
    for column, figure in (("energy_per_convert_pJ", "energy_pj"), ("area_um2_all_adcs", "area_um2")):
        measured = record.figure(column)
        if measured is not None:
            yield Comparison(figure, found[figure].value, measured, _PRINTED)


def _runs(file: Path) -> Iterator[Row]:
    for record in read_table(file, _RUN_COLUMNS):
        name = f"{record.raw('case')} {record.raw('metric')}"
        yield evaluated(name, partial(macro_comparisons, record), family=record.raw("family"), source=record.source)


_ARCHIVES = {"mvm": product_figures, "noise": noise_figures, "crossbar": circuit_figures}


def _rows(file: Path) -> Iterator[Row]:
    if file.suffix == ".csv":
        return (_adcs if file.name.startswith("adc") else _runs)(file)
    if file.name.startswith("pcm"):
        return _devices(file)
    return _cases(file, _ARCHIVES[next(each for each in _ARCHIVES if file.name.startswith(each))])


TARGET = Target(
    name="aimc",
    description="Products of analog crossbars, phase-change devices over time, wire resistance, and ADC energy and "
    "area, against aihwkit, CrossSim, nodal analysis and a published regression.",
    looked_for=("mvm*.npz", "pcm*.npz", "noise*.npz", "crossbar*.npz", "adc*.csv", "tool_runs*.csv"),
    rows=_rows,
    notes=(
        "Arrays are compared by their largest deviation, shown as a shift of their largest magnitude (of 1 at least "
        "for products); equal within 1e-4 (products), 3e-6 (devices), 1e-6 (currents, cores) and, for the digits of "
        "the published constants, 1.2e-5 (ADCs).",
        "Statistics of devices are equal within three standard errors, which some of 500 comparisons must leave.",
        "Of tool_runs every figure follows from a bundled description of the same macro: energies an action, areas and "
        "leakage of one circuit are the tool's, counts, times, sums and converters by the regression are not. Total "
        "energies (total_fj_per_mac) are those of its efficiency.",
    ),
)

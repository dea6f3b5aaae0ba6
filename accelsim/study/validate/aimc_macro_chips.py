"""Rows of `chips` about single compute-in-memory macros of SRAM: rates, efficiency and density over voltage.

Structures, cycles and how they follow the voltage are those of the macros' public descriptions in accelforge
(examples/arches/compute_in_memory), which were fitted to the publications: rates at all voltages, energies at one. Such
rows are marked as fitted. Energies go with the square of the voltage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.technology.converters import adc_energy_pj
from accelsim.study.validate.framework import Comparison
from accelsim.study.validate.table import Record

__all__ = ["macro_chip", "macro_chip_comparisons"]


@dataclass(frozen=True, slots=True)
class MacroChip:
    """A macro over voltage.

    Attributes:
        macs: of one operation of the whole array.
        interval_s: of one operation, by voltage.
        nominal_v: where its constants were fitted.
        figures: further figures by (metric, unit) and voltage.
    """

    macs: int
    nominal_v: float
    interval_s: Callable[[float], float]
    figures: Mapping[tuple[str, str], Callable[[float], float]]

    def tops(self, voltage_v: float) -> float:
        """Two operations a MAC."""
        return 2e-12 * self.macs / self.interval_s(voltage_v)


def _jia_adc_pj(voltage_v: float) -> float:
    """The regression at 8 bits and 54 cycles of 25 ns, times 0.275, fitted at 0.85 V."""
    return 0.275 * adc_energy_pj(8, 1 / 1.35e-6, 65) * (voltage_v / 0.85) ** 2


def _jia_column_pj(voltage_v: float) -> float:
    """9.7 pJ of a column at 0.85 V, as published."""
    return 9.7 * (voltage_v / 0.85) ** 2


_JIA_INPUTS = 2304
"""Of a column: three of 768 rows, folded."""
_WANG_ADC_FJ = 1e3 * 3.15 * adc_energy_pj(8, 1 / (6.8e-9 * 0.7**1.1), 22) / 64
_WANG_OTHERS_FJ = 74.92
"""A MAC at 1 V but for the ADC: components of accelforge 1.0.467 (tool_runs.csv)."""
_WANG_MM2 = 0.124


def _wang_interval_s(voltage_v: float) -> float:
    return float(6.8e-9 * (0.7 / voltage_v) ** 1.1)


_CHIPS: dict[str, MacroChip] = {
    "jiajssc2020": MacroChip(
        768 * 768, 0.85, lambda v: 1.35e-6 * (0.85 / v) ** 2.66,
        {
            ("adc_energy_per_convert", "pJ"): _jia_adc_pj,
            ("cim_energy_per_column_op", "pJ"): _jia_column_pj,
            ("efficiency_1b", "TOPS/W"): lambda v: 2 * _JIA_INPUTS / (_jia_adc_pj(v) + _jia_column_pj(v)),
        },
    ),
    "sinangiljssc2021": MacroChip(64 * 16, 0.8, lambda v: 5.5e-9 * (0.6 + 0.4 * (0.8 / v) ** 2.75), {}),
    "wangvlsi2022": MacroChip(
        64 * 16, 1.0, _wang_interval_s,
        {
            ("efficiency", "TOPS/W"): lambda v: 2e3 / ((_WANG_ADC_FJ + _WANG_OTHERS_FJ) * v**2),
            ("density", "TOPS/mm2"): lambda v: 2e-12 * 64 * 16 / _wang_interval_s(v) / _WANG_MM2,
            ("energy_fraction_adc", ""): lambda _: _WANG_ADC_FJ / (_WANG_ADC_FJ + _WANG_OTHERS_FJ),
        },
    ),
}  # fmt: skip
_FITTED = ("throughput", "throughput_1b", "density")
_RATES = {("throughput", "TOPS"): 1.0, ("throughput", "GOPS"): 1e3, ("throughput_1b", "TOPS"): 1.0}


def macro_chip(record: Record) -> MacroChip | None:
    """The macro that a row is about; None where it is none that is known."""
    return _CHIPS.get(re.sub(r"[^a-z0-9]", "", record.raw("chip").lower()))


def macro_chip_comparisons(record: Record, macro: MacroChip) -> Iterator[Comparison]:
    """What is predicted beside the row's figure, in the row's unit."""
    metric, unit = record.text("metric"), record.raw("unit")
    scale, figure = 1.0, macro.figures.get((metric, unit))
    if (metric, unit) in _RATES:
        scale, figure = _RATES[metric, unit], macro.tops
    if figure is None:
        raise UnsupportedError("does not follow from a description of the macro", file=record.source, field="metric",
                               value=f"{metric} [{unit}]" if unit else metric)  # fmt: skip
    stated = re.search(r"(\d+(?:\.\d+)?) V\b", record.raw("condition"))
    if stated is None:
        raise InputError("states no voltage", file=record.source, field="condition", value=record.raw("condition"),
                         remedy='write such as "0.8 V"')  # fmt: skip
    measured, voltage = record.figure("value"), float(stated[1])
    if measured is None:
        return
    fitted = voltage == macro.nominal_v or metric in _FITTED
    use = "fitted to it" if fitted else record.raw("use") or "validate"
    note = "; ".join(filter(None, (use, record.raw("condition"), record.raw("confidence"))))
    yield Comparison(f"{metric} [{unit}]" if unit else metric, scale * figure(voltage), measured, note=note)

"""Compute-in-memory macros of tool_runs.csv, as far as their structure says: throughput, converters and efficiency.

Structures are those of the macros' public descriptions in accelforge (examples/arches/compute_in_memory), where a macro
computes one product of a full array. ADCs follow our regression at their bits, rate and node; energies of all other
components are the tool's own, from the same file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log2

from accelsim.errors import UnsupportedError
from accelsim.hardware.technology.converters import adc_area_um2, adc_energy_pj
from accelsim.study.validate.framework import Comparison
from accelsim.study.validate.table import Record

__all__ = ["MACROS", "macro_comparisons"]

_DIGITS = 1e-5
"""Rows have six digits."""
_ADC = "energy_per_mac.ADC"


@dataclass(frozen=True, slots=True)
class Converters:
    """``count`` ADCs of ``bits``, and factors on energy and area that the macro's authors calibrated."""

    count: int
    bits: int
    energy_scale: float = 1.0
    area_scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Macro:
    """``rows`` inputs by ``outputs``, one product every ``interval_s``, at ``node_nm``."""

    rows: int
    outputs: int
    interval_s: float
    node_nm: float
    adc: Converters | None = None

    @property
    def tops(self) -> float:
        """Two operations a MAC."""
        return 2e-12 * self.rows * self.outputs / self.interval_s

    def adc_rate_hz(self, adc: Converters) -> float:
        """Conversions a second of one ADC: one of each output in an interval."""
        return self.outputs / self.interval_s / adc.count

    def adc_energy_fj_per_mac(self, adc: Converters) -> float:
        """A conversion serves all rows."""
        energy = adc_energy_pj(adc.bits, self.adc_rate_hz(adc), self.node_nm)
        return 1e3 * adc.energy_scale * energy / self.rows

    def adc_area_um2(self, adc: Converters) -> float:
        """Of all converters; the energy scale is one of the voltage's and changes no area."""
        rate = self.adc_rate_hz(adc)
        return (
            adc.count * adc.area_scale * adc_area_um2(adc_energy_pj(adc.bits, rate, self.node_nm), rate, self.node_nm)
        )


def _neurram_interval_s() -> float:
    """Magnitudes of 7 bits in shares of 3 and 4: 2^b - 1 integrations each, 12 steps of the ADCs, a pause a share."""
    shares = (3, 4)
    return 0.27e-6 * sum((1 << bits) - 1 for bits in shares) + 0.3e-6 * 12 + 0.3e-6 * len(shares)


def _colonnade_interval_s() -> float:
    """The critical path of a bit-serial adder chain: bits of the sum, rows of a register and two more, 0.4 ns each."""
    return 0.4e-9 * (1 + ceil(log2(128)) + 8 + 2)


MACROS: Mapping[str, Macro] = {
    "basic_analog": Macro(32, 32, 1e-7, 65, Converters(2, 8)),
    "wang_vlsi_2022": Macro(64, 16, 6.8e-9 * (0.7 / 1.0) ** 1.1, 22, Converters(16, 8, 3.15, 0.4)),
    "neurram_nature_2022": Macro(256, 128, _neurram_interval_s(), 130),
    # A weight's sum of 8 bits takes eight columns of 128.
    "colonnade_jssc_2021": Macro(128, 128 // 8, _colonnade_interval_s(), 65),
}
"""Case -> macro."""


def macro_comparisons(record: Record, records: Sequence[Record]) -> Iterator[Comparison]:
    """What follows of one row.

    Raises:
        UnsupportedError: a component that neither the structure nor the regression gives.
    """
    case, metric = record.text("case"), record.text("metric")
    macro = MACROS.get(case)
    measured = record.number("value")
    if metric == "efficiency" and (energies := _energies(case, records)):
        if macro is not None and macro.adc is not None and _ADC in energies:
            energies[_ADC] = macro.adc_energy_fj_per_mac(macro.adc)
        yield Comparison("efficiency_tops_per_w", 2e3 / sum(energies.values()), measured, _DIGITS)
    elif macro is not None and metric == "throughput":
        yield Comparison("throughput_tops", macro.tops, measured, _DIGITS)
    elif macro is not None and macro.adc is not None and metric == _ADC:
        yield Comparison("adc_fj_per_mac", macro.adc_energy_fj_per_mac(macro.adc), measured, _DIGITS)
    elif macro is not None and macro.adc is not None and metric == "area.ADC":
        yield Comparison("adc_area_um2", macro.adc_area_um2(macro.adc), measured, _DIGITS)
    else:
        raise UnsupportedError("does not follow: it is a circuit model of that tool, or a macro that is not described",
                               file=record.source, field="metric", value=metric)  # fmt: skip


def _energies(case: str, records: Sequence[Record]) -> dict[str, float]:
    return {
        each.raw("metric"): each.number("value")
        for each in records
        if each.raw("case") == case and each.raw("metric").startswith("energy_per_mac.")
    }

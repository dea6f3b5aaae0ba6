"""Target ``chips``: peak rate, efficiency, power and area of chips from the structure in their bundled descriptions.

- ``throughput`` is MACs a cycle times clock, two operations a MAC.
- ``efficiency`` and ``power_at_peak`` have every MAC of a format busy, the scratchpad ports at full rate, and leakage;
  power also the DRAM interface at full rate. Efficiency is at nominal clock and voltage.
- ``chip_area`` is the sum of `hardware.area`, ``compute_density`` the peak rate over it.

Rows marked ``calibrate`` take the energies that the description states, which were set from just those figures; all
others take every energy and the leakage from the technology tables, whatever the description states.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.area import component_areas_mm2
from accelsim.hardware.derive import from_tables
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.hardware.load import load_architecture
from accelsim.hardware.technology.span import Span, total
from accelsim.pipeline.digital import description_of
from accelsim.study.validate.aimc_adcs import adc_comparisons, is_adc
from accelsim.study.validate.aimc_chips import analog_architecture, analog_comparisons
from accelsim.study.validate.aimc_macro_chips import macro_chip, macro_chip_comparisons
from accelsim.study.validate.aimc_tiles import ratio_complaint
from accelsim.study.validate.framework import Comparison, Row, Target, evaluated
from accelsim.study.validate.table import Record, read_table

__all__ = ["TARGET", "peak_power_w"]

_COLUMNS = ("id", "chip", "metric", "value", "unit")
_USES = ("calibrate", "validate")
_CHIPS = {
    "eyeriss": "eyeriss-like", "northpole": "northpole-like", "rapid": "rapid-4core", "tpuv1": "tpu-v1",
    "tpuv4i": "tpu-v4i",
}  # fmt: skip
"""Names of chips, without case and marks -> the bundled architecture; a column ``architecture`` goes before."""
_UNITS = {
    "throughput": {"TOPS": 1e12, "TFLOPS": 1e12, "GOPS": 1e9, "GFLOPS": 1e9},
    "efficiency": {"TOPS/W": 1e12, "TFLOPS/W": 1e12, "GOPS/W": 1e9, "GFLOPS/W": 1e9},
    "power_at_peak": {"W": 1.0, "mW": 1e-3},
    "chip_area": {"mm2": 1.0, "um2": 1e-6},
    "compute_density": {"TOPS/mm2": 1e12, "GOPS/mm2": 1e9, "GOPS/s/mm2": 1e9},
}


def peak_power_w(arch: DigitalArchitecture, precision: str, *, nominal: bool, dram: bool) -> float:
    """Watts with every MAC busy in one format and the scratchpad ports at full rate, and leakage.

    Args:
        nominal: at the nominal clock and voltage, else where the clocks run now.
        dram: also with the DRAM interface at its full rate.
    """
    array, scratchpad = arch.clock_of("array"), arch.clock_of("scratchpad")
    slower = (array.nominal_clock_hz or array.clock_hz).value / array.clock_hz.value if nominal else 1.0
    scale = 1.0 if nominal else array.dynamic_energy_scale
    mac_w = arch.peak_ops_per_s(precision) / 2 * arch.unit(precision, op="peak").energy_pj_per_mac.value
    pads = arch.scratchpad
    per_byte = (pads.read_energy_pj_per_byte.value + pads.write_energy_pj_per_byte.value) / 2
    port_w = arch.n_cores * pads.bandwidth_bytes_per_cycle.value * scratchpad.clock_hz.value * per_byte
    port_w *= 1.0 if nominal else scratchpad.dynamic_energy_scale
    memory = arch.memory.dram
    memory_w = memory.bandwidth_bytes_per_s.value * memory.energy_pj_per_byte.value if dram else 0.0
    leakage_w = arch.leakage_w.value * (1.0 if nominal else array.leakage_scale)
    return ((mac_w * scale + port_w) * slower + memory_w) * 1e-12 + leakage_w


def _efficiency(arch: DigitalArchitecture, precision: str, stated: bool) -> float:
    """Operations a joule: as the description states it, or with operands delivered at the tables' energies."""
    if stated:
        return arch.peak_ops_per_joule(precision)
    array = arch.clock_of("array")
    slower = (array.nominal_clock_hz or array.clock_hz).value / array.clock_hz.value
    return arch.peak_ops_per_s(precision) * slower / peak_power_w(arch, precision, nominal=True, dram=False)


def _power(arch: DigitalArchitecture, precision: str, stated: bool) -> float:
    del stated
    return peak_power_w(arch, precision, nominal=False, dram=True)


def _area(arch: DigitalArchitecture) -> Span:
    parts = component_areas_mm2(arch)
    if parts is None:
        raise UnsupportedError("has no predicted area", field="technology", value=arch.name,
                               remedy="state `technology: published` in its description")  # fmt: skip
    return total(parts.values())


_OF_PRECISION: dict[str, Callable[[DigitalArchitecture, str, bool], float]] = {
    "throughput": lambda arch, precision, _: arch.peak_ops_per_s(precision),
    "efficiency": _efficiency,
    "power_at_peak": _power,
    "compute_density": lambda arch, precision, _: arch.peak_ops_per_s(precision) / _area(arch).value,
}


@cache
def _description(name: str) -> DigitalArchitecture:
    return description_of(load_architecture(name))


def _compared(record: Record) -> Iterable[Comparison]:
    analog = analog_architecture(record.text("chip"), record.raw("architecture"))
    if analog is not None:
        yield from analog_comparisons(record, analog)
        return
    if is_adc(record):
        yield from adc_comparisons(record)
        return
    macro = macro_chip(record)
    if macro is not None:
        yield from macro_chip_comparisons(record, macro)
        return
    arch = _description(_architecture(record))
    metric, use = record.text("metric"), record.raw("use").lower() or "validate"
    if use not in _USES:
        raise UnknownNameError("use of a row", use, _USES, file=record.source, field="use")
    if metric not in _UNITS:
        raise UnknownNameError("metric that is predicted", metric, _UNITS, file=record.source, field="metric")
    unit = record.text("unit")
    if unit not in _UNITS[metric]:
        raise UnknownNameError(f"unit of {metric}", unit, _UNITS[metric], file=record.source, field="unit")
    measured = record.figure("value")
    if measured is None:
        return
    stated = use == "calibrate"
    arch = arch if stated else from_tables(arch)
    note = "; ".join(filter(None, (use, record.raw("condition"), record.raw("confidence"))))
    if metric == "chip_area":
        area = _area(arch)
        predicted, note = area.value, f"{note}; range {area.low:.4g} to {area.high:.4g} mm2"
    else:
        predicted = _OF_PRECISION[metric](arch, _precision(record, arch), stated)
    yield Comparison(f"{metric} [{unit}]", predicted / _UNITS[metric][unit], measured, note=note)


def _architecture(record: Record) -> str:
    """The bundled architecture that a row is about."""
    if record.raw("architecture"):
        return record.raw("architecture")
    if record.raw("unit") == "x":
        raise ratio_complaint(record)
    chip = re.sub(r"[^a-z0-9]", "", record.text("chip").lower())
    if chip not in _CHIPS:
        raise UnknownNameError("chip with a bundled description", record.text("chip"), _CHIPS, file=record.source,
                               field="chip")  # fmt: skip
    return _CHIPS[chip]


def _precision(record: Record, arch: DigitalArchitecture) -> str:
    """The format that a row states in ``precision``, or that its ``condition`` names."""
    if record.raw("precision"):
        return record.raw("precision")
    words = re.findall(r"[a-z0-9_]+", record.raw("condition").lower())
    named = [name for name in arch.array.units if name in words]
    if len(named) != 1:
        raise InputError("is not stated", file=record.source, field="precision",
                         remedy=f"add the column with one of {', '.join(arch.array.units)}")  # fmt: skip
    return named[0]


def _rows(file: Path) -> Iterator[Row]:
    for record in read_table(file, _COLUMNS):
        words = (record.raw("id"), record.raw("chip"), record.raw("metric"), record.raw("precision"), record.raw("use"))
        name = " ".join(filter(None, words)) or "(no name)"
        yield evaluated(name, partial(_compared, record), family=record.raw("family"), source=record.source)


TARGET = Target(
    name="chips",
    description="Peak rate, efficiency, power at peak and area of the bundled chips, from the structure in their "
    "descriptions and the technology tables, against their publications.",
    looked_for=("published_chips*.csv",),
    rows=_rows,
    calibrated="rows marked calibrate: RaPiD's clock and MAC energies, TPUv1's MAC energy and leakage, and on TPUv1's "
    "floor plan what layout adds to logic, the efficiency of SRAM arrays and the share of other parts; HERMES's "
    "overhead and control energy (one phase), digital cycles and standby power (LSTM step); the 34-tile chip's control "
    "energy; NeuRRAM's integration, conversion step, their energies and areas; powers and areas of ISAAC's parts; of "
    "macros rates over voltage, converters at one voltage and some areas, by the authors of their circuit models. No "
    "other row set a constant.",
    notes=(
        "Peaks are derivations: MACs a cycle and clock are published.",
        "Of macros one is always busy; ISAAC's recalled efficiency contradicts its recalled power, area and density.",
        "Areas and powers that are published as bounds (at most, less than, TDP) are compared as they stand.",
        "Eyeriss and NorthPole are described by stand-ins: PE scratchpads of the one and instruction memories of the "
        "other are in no component, so their areas are low.",
    ),
)

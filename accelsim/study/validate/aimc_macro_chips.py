"""Rows of `chips` about single compute-in-memory macros of SRAM: rates, efficiency, density and shares over voltage.

Every figure is that of one busy macro of a bundled description, at the voltage, bits and mean values that the row's
condition states. Those descriptions come from circuit models that were fitted to the publications: rates at all
voltages, energies at one, and some areas (`_FITTED`). Such rows say so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accelsim.errors import UnknownNameError, UnsupportedError
from accelsim.study.validate.aimc_tiles import BusyTile, busy_tile, changed, conditions_of, needs_voltage, plain
from accelsim.study.validate.framework import Comparison
from accelsim.study.validate.table import Record

__all__ = ["MacroChip", "macro_chip", "macro_chip_comparisons"]


@dataclass(frozen=True, slots=True)
class MacroChip:
    """A published macro.

    Attributes:
        architecture: the bundled description.
        nominal_v: where its energies were fitted; None where it is read at one voltage.
        groups: the publication's names of parts -> our components.
        fitted: metrics whose published figures set constants of the circuit models, at every voltage.
        fitted_at_nominal: those that did at the nominal voltage.
        one_bit: what ``_1b`` metrics change.
        stated: what words of a condition change beside its voltage and values.
        counted: groups that efficiency and density count; all components where empty.
    """

    architecture: str
    nominal_v: float | None
    groups: Mapping[str, Sequence[str]]
    fitted: Sequence[str] = ()
    fitted_at_nominal: Sequence[str] = ()
    one_bit: Mapping[str, Any] = field(default_factory=dict)
    stated: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    counted: Sequence[str] = ()


_CONTROL = ("weight_drivers",)
"""What stands for control and all else in an area; it writes weights, so it spends nothing in a product."""
_CHIPS: Mapping[str, MacroChip] = {
    "jiajssc2020": MacroChip(
        "jia-jssc-2020", 0.85,
        {
            "adc": ("adc",),
            "cim": ("row_drivers", "weight_drivers", "crossbar", "bitcell_capacitor"),
            **dict.fromkeys(("data_path", "nmc", "nmc_data_path"), ("shift_add", "out_datapath")),
            "sparsity_controller": ("input_zero_gating",),
        },
        ("throughput_1b", "adc_area", "cim_area"), ("adc_energy_per_convert", "efficiency_1b"),
        one_bit={"tile.read_mode": "one_bit", "tile.column_cells_per_weight": 1, "tile.weight": None},
        counted=("adc", "cim"),
    ),
    "sinangiljssc2021": MacroChip("sinangil-jssc-2021", 0.8,
        {
            "cim_circuitry": ("adc", "counter"),
            "macro": ("row_drivers", "column_drivers", "weight_drivers", "crossbar"),
            "binary_weighting_capacitors": ("binary_weighting_capacitors",),
        },
        ("throughput",), ("efficiency",),
    ),
    "wangvlsi2022": MacroChip(
        "wang-vlsi-2022", 1.0,
        {
            "adc": ("adc",),
            "dac": ("dac",),
            "mac": ("row_drivers", "select_wordline_drivers", "column_drivers", "crossbar", "c2c_multiplier",
                    "c2c_multiplier_port_b"),
            "misc": _CONTROL,
        },
        ("density", "throughput", "area_fraction_adc", "area_fraction_misc"), ("efficiency", "energy_fraction_adc"),
    ),
    "colonnadejssc2021": MacroChip(
        "colonnade-2021", None,
        {
            "bitcell_array": ("crossbar", "cim_logic"),
            "drivers": ("row_drivers", "digital_logic_input_ports"),
            "ctrl_reg": ("register",),
            "decoder": ("column_drivers",),
        },
        # 8 bits and 7 more of the sum; the register's energy is that of a bit in sums of 16 (see the description).
        stated={
            "8b weights": {"tile.column_cells_per_weight": 15, "tile.parts.register.energy_pj": 8.766027e-2 / 16},
            "100 mhz": {"tile.integration.fixed_s": 1e-8},
        },
    ),
}  # fmt: skip
_PARTED = re.compile(
    r"(?P<share>energy|area)_fraction_(?P<of>\w+)|area_(?P<area>\w+)"
    r"|(?P<part>\w+)_(?P<what>area|energy_per_convert|energy_per_column_op)"
)
_WHOLE: Mapping[str, Mapping[str, float]] = {
    "throughput": {"TOPS": 1.0, "GOPS": 1e3},
    "efficiency": {"TOPS/W": 1.0, "GOPS/W": 1e3},
    "density": {"TOPS/mm2": 1.0, "GOPS/mm2": 1e3},
}
"""Metrics of the whole macro -> units, and how many of them a tera-operation makes."""
_PARTS_UNITS = {"area": {"um2": 1.0, "mm2": 1e-6}, "energy_per_convert": {"pJ": 1.0, "fJ": 1e3},
                "energy_per_column_op": {"pJ": 1.0, "fJ": 1e3}, "fraction": {"": 1.0}}  # fmt: skip


def macro_chip(record: Record) -> MacroChip | None:
    """The macro that a row is about; None where it is none that is known."""
    return _CHIPS.get(plain(record.raw("chip")))


def macro_chip_comparisons(record: Record, macro: MacroChip) -> Iterator[Comparison]:
    """What is predicted beside the row's figure, in the row's unit."""
    metric, unit = record.text("metric"), record.raw("unit")
    values = conditions_of(record, macro.architecture)
    # Jia's energies were published at one bit of both; so are its parts.
    one_bit = metric.endswith("_1b") or "energy_per" in metric
    values |= macro.one_bit if one_bit else {}
    for words, others in macro.stated.items():
        values |= others if words in record.raw("condition").lower() else {}
    tile = busy_tile(changed(macro.architecture, values))
    predicted = _predicted(record, macro, tile, metric.removesuffix("_1b"))
    goes_with_voltage = "area" not in metric and macro.nominal_v is not None
    if goes_with_voltage and "tile.supply.volt" not in values:
        raise needs_voltage(record)
    measured = record.figure("value")
    if measured is None:
        return
    nominal = goes_with_voltage and values["tile.supply.volt"] == macro.nominal_v
    fitted = metric in macro.fitted or (nominal and metric in macro.fitted_at_nominal)
    use = "calibrates it" if fitted else record.raw("use") or "validate"
    note = "; ".join(filter(None, (use, record.raw("condition"), record.raw("confidence"))))
    yield Comparison(f"{metric} [{unit}]" if unit else metric, predicted, measured, note=note)


def _predicted(record: Record, macro: MacroChip, tile: BusyTile, metric: str) -> float:
    """The figure in the row's unit."""
    if metric in _WHOLE:
        scale = _in_unit(record, metric, _WHOLE[metric])
        counted = [name for group in macro.counted for name in macro.groups[group]]
        per_joule = 2.0 * tile.macs / tile.energy_of(counted or tile.energy_pj)
        density = tile.tops * 1e6 / tile.area_of(counted or tile.area_um2)
        return scale * {"throughput": tile.tops, "efficiency": per_joule, "density": density}[metric]
    found = _PARTED.fullmatch(metric)
    if found is None:
        raise UnsupportedError("does not follow from a description of the macro", file=record.source, field="metric",
                               value=metric, remedy=f"predicted: {', '.join(_WHOLE)}, and shares of parts")  # fmt: skip
    names = _group(record, macro, found["of"] or found["area"] or found["part"])
    if found["share"]:
        _in_unit(record, metric, _PARTS_UNITS["fraction"])
        if found["share"] == "area":
            return tile.area_of(names) / tile.total_um2
        if names is _CONTROL:
            raise UnsupportedError("is spent in control, which no circuit of the description stands for",
                                   file=record.source, field="metric", value=metric)  # fmt: skip
        return tile.energy_of(names) / tile.energy_of(tile.energy_pj)
    what = found["what"] or "area"
    scale = _in_unit(record, metric, _PARTS_UNITS[what])
    return scale * (tile.area_of(names) if what == "area" else tile.energy_of(names) / tile.columns)


def _group(record: Record, macro: MacroChip, name: str) -> Sequence[str]:
    if name not in macro.groups:
        raise UnknownNameError("part of the macro", name, macro.groups, file=record.source, field="metric")
    return macro.groups[name]


def _in_unit(record: Record, metric: str, known: Mapping[str, float]) -> float:
    unit = record.raw("unit")
    if unit not in known:
        raise UnknownNameError(f"unit of {metric}", unit, known, file=record.source, field="unit")
    return known[unit]

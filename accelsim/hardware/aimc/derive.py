"""Constants of analog tiles that are left out and ``technology`` supplies, and area by component.

ADCs follow the published regression at the rate and bits of the read mode in use, so they change with it; their range
is a factor of three each way, about the spread of published converters around the fit. Digital parts follow the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from accelsim.documents import Constant
from accelsim.errors import InputError
from accelsim.hardware.aimc.description import AimcArchitecture
from accelsim.hardware.digital import UNSTATED
from accelsim.hardware.technology.arithmetic import ProcessingElement, element_energy_pj, mac_energy_of
from accelsim.hardware.technology.converters import adc_area_um2, adc_energy_pj
from accelsim.hardware.technology.memory import sram_area_mm2, sram_energy_pj
from accelsim.hardware.technology.operands import operand_named
from accelsim.hardware.technology.scaling import checked_node
from accelsim.hardware.technology.span import Span, span_of

__all__ = ["completed", "component_areas_mm2"]

_SPECIAL = Span(4.0, 2.0, 8.0)
_AROUND_FIT = Span(1.0, 1 / 3, 3.0)
_MM2_PER_UM2 = 1e-6
_LEAST_ADC_BITS, _LEAST_SRAM_BYTES = 2.0, 1024.0


def completed(description: AimcArchitecture, file: object) -> tuple[AimcArchitecture, frozenset[str]]:
    """``description`` with every constant, and the paths of those that the technology supplied.

    Raises:
        InputError: a constant is left out and no ``technology`` is stated, or its model does not cover the node.
    """
    missing = [path for path, constant in description.constants().items() if constant is UNSTATED]
    if description.technology is None and missing:
        remedy = "state it, or `technology: published` to have it derived from the node"
        raise InputError("is missing", file=file, field=missing[0], remedy=remedy)
    if not missing:
        return description, frozenset()
    checked_node(description.node_nm.value, file=file)
    supplied = _supplied(description)
    for path in missing:
        span, what, why = supplied[path]
        description = _with(description, path.split("."), span.constant(what, why))
    return description, frozenset(missing)


def _adc_constants(description: AimcArchitecture) -> tuple[float, float]:
    """Energy of a conversion [pJ] and area of a converter [um2] by the regression, for the read mode in use."""
    phase = description.tile.mode.each[0]
    rate, node = description.tile.adc_rate_hz(), description.node_nm.value
    energy = adc_energy_pj(max(_LEAST_ADC_BITS, phase.output_bits), rate, node)
    return energy, adc_area_um2(energy, rate, node)


def component_areas_mm2(description: AimcArchitecture) -> dict[str, Span]:
    """Square millimetres by component of all chips.

    Components: ``crossbar`` (cells), ``adc``, ``dac`` where it is stated, ``tile`` (drivers, control and all else that
    is stated of a tile), ``buffer``, ``digital``, ``cores``, ``off_chip`` where it is stated, and the further parts of
    a tile by their names. Other links, pads and unused area are in none of them.
    """
    tile, tiles = description.tile, float(description.n_tiles)
    cells = tile.rows.value * tile.columns.value
    parts = {
        "crossbar": span_of(tile.crossbar.cell_area_um2) * (cells * _MM2_PER_UM2 * tiles),
        "adc": span_of(tile.adc.area_um2) * (tile.adc.per_tile.value * _MM2_PER_UM2 * tiles),
        "tile": span_of(tile.other_area_mm2) * tiles,
        "digital": span_of(description.digital.area_mm2) * description.digital.count.value,
    }
    if tile.dac.area_um2 is not None:
        parts["dac"] = span_of(tile.dac.area_um2) * (tile.rows.value * _MM2_PER_UM2 * tiles)
    if tile.buffer_area_mm2 is not None:
        parts["buffer"] = span_of(tile.buffer_area_mm2) * tiles
    elif description.technology is not None:
        parts["buffer"] = sram_area_mm2(tile.buffer_bytes.value, 1, description.node_nm.value) * tiles
    if description.cores is not None:
        parts["cores"] = span_of(description.cores.area_mm2) * description.cores.count.value
    if description.off_chip.area_mm2 is not None:
        parts["off_chip"] = span_of(description.off_chip.area_mm2)
    lines = tile.lines(tile.full_use)
    return parts | {
        name: span_of(part.area_um2) * (part.in_tile(lines) * _MM2_PER_UM2 * tiles) for name, part in tile.parts.items()
    }


def _supplied(arch: AimcArchitecture) -> dict[str, tuple[Span, str, str]]:
    """Every constant that the technology can supply: its value, what it follows from, and why the range."""
    node, energy_area = arch.node_nm.value, _adc_constants(arch)
    mode = arch.tile.mode.each[0]
    what = f"ADC regression at {mode.output_bits} bits, {arch.tile.adc_rate_hz():.3g}/s, {node:g} nm"
    why = "published converters scatter by about three around the fit"
    word = operand_named(arch.digital.format)
    simple = element_energy_pj(word, node)
    tables = f"published tables at {node:g} nm"
    found = {
        "tile.adc.energy_pj": (_AROUND_FIT * energy_area[0], what, why),
        "tile.adc.area_um2": (_AROUND_FIT * energy_area[1], what, why),
        "tile.buffer_energy_pj_per_byte": (_per_byte(arch.tile.buffer_bytes.value, node), tables, "see the tables"),
        "digital.energy_pj_simple": (simple, tables, "an add to a multiply with its registers"),
        "digital.energy_pj_special": (simple * _SPECIAL, tables, "two to eight simple operations"),
    }
    if arch.cores is not None:
        memory = _per_byte(arch.cores.weight_memory_bytes.value / arch.cores.count.value, node)
        found["cores.memory_energy_pj_per_byte"] = memory, tables, "see the tables"
        for name, unit in arch.cores.units.items():
            macs = int(unit.macs_per_pe.value)
            element = ProcessingElement(operand_named(name), operand_named("fp32"), 1, macs, node)
            energy = mac_energy_of(element).total_pj
            found[f"cores.units.{name}.energy_pj_per_mac"] = energy, tables, "operators and registers of a MAC"
    return found


def _per_byte(capacity_bytes: float, node_nm: float) -> Span:
    return sram_energy_pj(max(capacity_bytes, _LEAST_SRAM_BYTES), 64.0, node_nm) / 8.0


def _with(model: Any, path: list[str], constant: Constant) -> Any:
    """A copy with ``constant`` at ``path``."""
    if not path:
        return constant
    here, rest = path[0], path[1:]
    if isinstance(model, Mapping):
        return {**model, here: _with(model[here], rest, constant)}
    assert isinstance(model, BaseModel)
    return model.model_copy(update={here: _with(getattr(model, here), rest, constant)})

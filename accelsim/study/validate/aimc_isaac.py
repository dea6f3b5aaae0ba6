"""Rows of `chips` about the parts of ISAAC: powers at work and areas, of what a row counts.

A part of the description is that of one crossbar. Rows count per unit (IMA) of 8 crossbars, per tile of 12 units, for a
router of 4 tiles, or for one of several alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from accelsim.hardware.aimc import AimcArchitecture
from accelsim.hardware.aimc.derive import component_areas_mm2
from accelsim.hardware.technology.converters import adc_area_um2, adc_energy_pj
from accelsim.study.validate.aimc_tiles import busy_tile

__all__ = ["ISAAC_FIGURES", "ISAAC_SET", "chip_power_w"]

_UNIT, _TILE = 8.0, 96.0
_ROUTER_BYTES_PER_S = 4e9
_COUNTED: Mapping[str, tuple[str, float, float]] = {
    "crossbar": ("crossbar", _UNIT, 1), "dac": ("dac", _UNIT, 1), "sample_hold": ("sample_hold", _UNIT, 1),
    "shift_add": ("shift_add", _UNIT, 4), "ima_input_register": ("input_register", _UNIT, 1),
    "ima_output_register": ("output_register", _UNIT, 1), "edram": ("edram", _TILE, 1),
    "edram_ima_bus": ("edram_bus", _TILE, 1), "router": ("router", 4 * _TILE, 1), "adc": ("adc", _UNIT, 1),
}  # fmt: skip
"""Name in rows -> (component, crossbars that share it, how many there are of those that an area is of)."""


def chip_power_w(arch: AimcArchitecture) -> float:
    """All tiles busy and the link off the chip at its full rate."""
    link = arch.off_chip
    return arch.peak_power_w + link.bandwidth_bytes_per_s.value * link.energy_pj_per_byte.value * 1e-12


def _power_w(component: str, crossbars: float, arch: AimcArchitecture) -> float:
    tile = busy_tile(arch)
    return tile.energy_pj[component] * 1e-12 / tile.interval_s * crossbars


def _area_mm2(component: str, share: float, arch: AimcArchitecture) -> float:
    return busy_tile(arch).area_um2[component] * 1e-6 * share


def _router_w(arch: AimcArchitecture) -> float:
    """A router at its full rate, past the crossbars of a tile."""
    return arch.mesh.energy_pj_per_byte_hop.value * 1e-12 * _TILE * _ROUTER_BYTES_PER_S


def _tile_mm2(arch: AimcArchitecture) -> float:
    areas = component_areas_mm2(arch)
    return sum(area.value for name, area in areas.items() if name != "off_chip") / arch.digital.count.value


def _regression_pj(arch: AimcArchitecture) -> float:
    return adc_energy_pj(8, 1.2e9, arch.node_nm.value)


def _regression_mm2(arch: AimcArchitecture) -> float:
    node, rate_hz = arch.node_nm.value, 1.28e9
    return 1e-6 * adc_area_um2(adc_energy_pj(8, rate_hz, node), rate_hz, node)


_Predict = Callable[[AimcArchitecture], float]
_STATED: dict[str, _Predict] = {
    **{f"{name}_power": partial(_power_w, part, over) for name, (part, over, _) in _COUNTED.items()},
    **{f"{name}_area": partial(_area_mm2, part, over / of) for name, (part, over, of) in _COUNTED.items()},
    "router_power": _router_w,
    "crossbar_read_latency": lambda arch: arch.tile.integration.seconds(1),
    "adc_sample_rate": lambda arch: arch.tile.adc_rate_hz(),
    "sigmoid_power": lambda arch: arch.digital.energy_pj_special.value * 1e-12 * arch.digital.clock_hz.value,
    "sigmoid_area": lambda arch: arch.digital.area_mm2.value / arch.digital.lanes.value,
    "hypertransport_power": lambda arch: chip_power_w(arch) - arch.peak_power_w,
    "hypertransport_area": lambda arch: component_areas_mm2(arch)["off_chip"].value,
    "tiles_per_chip": lambda arch: arch.digital.count.value,
    "imas_per_tile": lambda arch: arch.n_tiles / arch.digital.count.value / _UNIT,
}
_DERIVED: dict[str, _Predict] = {
    "adc_energy_per_convert": lambda arch: _regression_pj(arch) * 1e-12,
    "adc_power": lambda arch: 8 * 1.2e9 * _regression_pj(arch) * 1e-12,
    "adc_area_each": _regression_mm2,
    "tile_power": lambda arch: arch.peak_power_w / arch.digital.count.value,
    "tile_area": _tile_mm2,
}
ISAAC_FIGURES: Mapping[str, _Predict] = _STATED | _DERIVED
"""Metric -> the figure in watts, square millimetres, seconds or joules."""
ISAAC_SET = tuple(name for name in _STATED if name not in _DERIVED)
"""Metrics whose published figures are the constants of the description."""

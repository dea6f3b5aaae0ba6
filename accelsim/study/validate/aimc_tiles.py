"""One full tile of a description, busy all the time: what rows about macros and about parts of chips are compared with.

Conditions of a row change the description: a voltage, the bits of a read mode, mean values of outputs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.hardware.aimc.derive import component_areas_mm2
from accelsim.hardware.load import load_architecture
from accelsim.study.validate.table import Record

__all__ = ["BusyTile", "busy_tile", "changed", "conditions_of", "needs_voltage", "plain", "ratio_complaint"]

_PJ_PER_W_S, _UM2_PER_MM2 = 1e12, 1e6
_ELSEWHERE = ("tile", "buffer", "digital", "cores")
"""Components of a chip's area that are no circuit of the array of a tile."""


@dataclass(frozen=True, slots=True)
class BusyTile:
    """One product after the other on a full tile.

    Attributes:
        macs, outputs, columns: of one product; columns are those that are converted.
        interval_s: from one product to the next.
        energy_pj: of one product by component, with what leaks in an interval.
        area_um2: by component.
    """

    macs: int
    outputs: int
    columns: int
    interval_s: float
    energy_pj: Mapping[str, float]
    area_um2: Mapping[str, float]

    @property
    def tops(self) -> float:
        """Two operations a MAC."""
        return 2e-12 * self.macs / self.interval_s

    @property
    def tops_per_w(self) -> float:
        return 2.0 * self.macs / self.energy_of(self.energy_pj)

    @property
    def total_um2(self) -> float:
        return sum(self.area_um2.values())

    def energy_of(self, names: Iterable[str]) -> float:
        """Picojoules of a product in some components."""
        return sum(self.energy_pj.get(name, 0.0) for name in names)

    def area_of(self, names: Iterable[str]) -> float:
        """Square micrometres of some components."""
        return sum(self.area_um2.get(name, 0.0) for name in names)


def busy_tile(arch: AimcArchitecture) -> BusyTile:
    """The tile of a description in its read mode, at its voltage."""
    tile = arch.tile
    interval_s = tile.interval_s(tile.outputs)
    energies = tile.product_pj(tile.full_use)
    for name, watts in tile.leaking_w.items():
        energies[name] = energies.get(name, 0.0) + watts * interval_s * _PJ_PER_W_S
    areas = {
        name: span.value * _UM2_PER_MM2 / arch.n_tiles
        for name, span in component_areas_mm2(arch).items()
        if name not in _ELSEWHERE
    }
    columns = tile.outputs * tile.converted_columns
    return BusyTile(arch.mvm_macs, tile.outputs, columns, interval_s, energies, areas)


def changed(name: str, values: Mapping[str, Any]) -> AimcArchitecture:
    """A bundled description with other values, constants that follow from them derived anew."""
    return _changed(name, tuple(sorted(values.items())))


@cache
def _changed(name: str, values: tuple[tuple[str, Any], ...]) -> AimcArchitecture:
    architecture = load_architecture(name)
    description = (architecture.override(dict(values)) if values else architecture).description
    if not isinstance(description, AimcArchitecture):
        raise UnsupportedError("has no analog tiles", field="architecture", value=name, remedy="name one that has")
    return description


def conditions_of(record: Record, name: str) -> dict[str, Any]:
    """What the condition of a row sets: "0.8 V", and "average output value 6" of the converters' levels.

    Raises:
        InputError: no voltage where the description has a supply.
    """
    text, found = record.raw("condition"), dict[str, Any]()
    arch = changed(name, {})
    volt = re.search(r"(\d+(?:\.\d+)?) V\b", text)
    if volt is not None:
        found["tile.supply.volt"] = float(volt[1])
    output = re.search(r"average output value (\d+(?:\.\d+)?)", text)
    if output is not None and arch.tile.mean_values is not None:
        share = (float(output[1]) / 2**arch.tile.mode.output_bits.value) ** 0.5
        found |= {"tile.mean_values.input": share, "tile.mean_values.weight": share}
    return found


def plain(name: str) -> str:
    """A name without case and marks, as it is compared."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def ratio_complaint(record: Record) -> UnsupportedError:
    """The complaint about a row that compares a chip with another machine."""
    return UnsupportedError("is a ratio to a machine that the row does not describe", file=record.source,
                            field="metric", value=record.raw("metric"), remedy="give figures of the chip")  # fmt: skip


def needs_voltage(record: Record) -> InputError:
    """The complaint about a row whose figure goes with a voltage that it does not state."""
    return InputError("states no voltage", file=record.source, field="condition", value=record.raw("condition"),
                      remedy='write such as "0.8 V"')  # fmt: skip

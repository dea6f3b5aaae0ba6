"""Circuit ``dram``: energy of a transfer by type, and area of controllers and PHYs on the chip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from accelsim.hardware.technology.memory import dram_energy_pj, link_area_mm2
from accelsim.hardware.technology.span import Span
from accelsim.hardware.technology.tables import DRAM_TYPES, DramType, tables
from accelsim.study.circuits.hwcomponents import dram_transfer
from accelsim.study.circuits.records import Circuit, Parameter, Values

__all__ = ["CIRCUIT"]

_OFF_CHIP = tuple(each for each in DRAM_TYPES if each != "on_chip_sram")


def _published(values: Values) -> tuple[Mapping[str, Span], tuple[str, ...]]:
    kind = cast("DramType", values.word("type"))
    moved = values.number("bytes")
    energy = dram_energy_pj(kind, moved)
    figures = {"energy_pj": energy, "energy_pj_per_byte": energy / moved, "energy_pj_per_bit": energy / (8 * moved)}
    owners = [tables().dram[kind].energy_pj_per_byte]
    if values.has("bandwidth_bytes_per_s"):
        figures["phy_area_mm2"] = link_area_mm2(kind, values.number("bandwidth_bytes_per_s"))
        owners.append(tables().dram[kind].phy_mm2_per_gb_per_s)
    return figures, tuple(": ".join(filter(None, (each.source, each.why))) for each in owners)


CIRCUIT = Circuit(
    "dram",
    "An off-chip memory by type: energy of a transfer, and area of its controllers and PHYs.",
    (
        Parameter("type", "word", "what stands there", choices=_OFF_CHIP),
        Parameter("bytes", "number", "bytes that cross the interface", 1),
        Parameter("bandwidth_bytes_per_s", "number", "peak of all channels, for the area", optional=True),
    ),
    {"published": _published, "hwcomponents": dram_transfer},
)

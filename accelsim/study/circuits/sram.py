"""Circuit ``sram``: energy of an access, area and leakage of an on-chip memory."""

from __future__ import annotations

from collections.abc import Mapping

from accelsim.hardware.technology.memory import leakage_w, sram_area_mm2, sram_energy_pj
from accelsim.hardware.technology.scaling import checked_node
from accelsim.hardware.technology.span import Span
from accelsim.study.circuits.hwcomponents import cacti_sram
from accelsim.study.circuits.records import Circuit, Parameter, Values

__all__ = ["CIRCUIT"]


def _published(values: Values) -> tuple[Mapping[str, Span], tuple[str, ...]]:
    capacity, width, ports = values.number("capacity_bytes"), values.number("width_bits"), values.whole("ports")
    node = checked_node(values.number("node_nm"), file=values.circuit)
    access = sram_energy_pj(capacity, width, node)
    area = sram_area_mm2(capacity, ports, node)
    figures = {
        "read_energy_pj": access,
        "write_energy_pj": access,
        "energy_pj_per_byte": access / (width / 8),
        "area_mm2": area,
        "leakage_w": leakage_w(area),
    }
    return figures, (
        "energy: 64-bit accesses of 8 KB, 32 KB and 1 MB at 45 nm (Horowitz, ISSCC 2014) and 7 nm (Jouppi et al., ISCA "
        "2021), between nodes by Stillmaker and Baas, Integration 58, 2017",
        "area: published SRAM cells over an array efficiency calibrated on the floor plan of TPUv1 (ISCA 2017)",
    )


CIRCUIT = Circuit(
    "sram",
    "An on-chip memory: energy of a read and a write, area, leakage.",
    (
        Parameter("capacity_bytes", "number", "bytes that it holds"),
        Parameter("node_nm", "number", "process node"),
        Parameter("width_bits", "whole", "bits of an access", 64),
        Parameter("ports", "whole", "accesses at the same time", 1),
    ),
    {"published": _published, "hwcomponents": cacti_sram},
)

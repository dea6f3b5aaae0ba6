"""The published constants behind the technology model, each with its owner: `published.yaml`, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, get_args

from accelsim.documents import Authored, Constant, Positive, read_yaml, validated

__all__ = ["DRAM_TYPES", "DramType", "Tables", "tables"]

DramType = Literal[
    "ddr3", "ddr4", "ddr5", "lpddr4", "lpddr4x", "lpddr5", "lpddr5x", "gddr5", "gddr6", "hbm2", "hbm2e", "hbm3",
    "on_chip_sram",
]  # fmt: skip
DRAM_TYPES: tuple[DramType, ...] = get_args(DramType)
"""What may stand behind ``memory.dram``; ``on_chip_sram`` is a part of the chip's own memory."""


class Anchor(Authored):
    """Energies at a node that a table is published for, pJ an operation or bit; SRAM is an access of 64 bits."""

    int_multiply_pj_per_bit2: Positive
    int_add_pj_per_bit: Positive
    float_multiply_pj_per_bit: Positive
    float_add_pj_per_bit: Positive
    register_pj_per_bit: Positive
    sram_8_kib_pj: Positive
    sram_32_kib_pj: Positive
    sram_1_mib_pj: Positive


class Logic(Authored):
    """Areas of operators before layout."""

    int_multiply_um2_per_bit2: Positive
    int_add_um2_per_bit: Positive
    float_multiply_um2_per_bit: Positive
    float_add_um2_per_bit: Positive
    register_um2_per_bit: Positive


class Layout(Authored):
    """What layout adds to the sum of operators and cells."""

    logic_overhead: Positive
    sram_array_efficiency: Positive
    two_port_factor: Positive
    other_share: Positive


class EnergyFactor(Authored):
    """Coefficients (a, b, c) of a V^2 + b V + c for the two device types, and the node's usual voltage."""

    nominal_v: float
    high_performance: tuple[float, float, float]
    low_power: tuple[float, float, float]


class Claim(Authored):
    """Area and energy relative to 7 nm."""

    area: Positive
    energy: Positive


class Wires(Authored):
    """On-chip wires with their repeaters."""

    energy_pj_per_bit_mm: Positive


class Leakage(Authored):
    """Power of a chip that does nothing."""

    w_per_mm2: Positive


class Link(Authored):
    """An off-chip link: energy of a byte, and area of controller and PHY by bandwidth."""

    energy_pj_per_byte: Positive
    phy_mm2_per_gb_per_s: Positive


class Tables(Authored):
    """Everything in `published.yaml`."""

    anchors: dict[int, Anchor]
    logic_45: Logic
    layout: Layout
    energy_scaling: dict[int, EnergyFactor]
    area_scaling: dict[int, float]
    beyond_7: dict[int, Claim]
    bitcell_um2: dict[int, Constant]
    wires: Wires
    leakage: Leakage
    dram: dict[DramType, Link]
    host: Link


@cache
def tables() -> Tables:
    """The constants of the model."""
    path = Path(__file__).with_name("published.yaml")
    data = read_yaml(path)
    for name in ("anchors", "energy_scaling", "area_scaling", "beyond_7", "bitcell_um2"):
        data[name] = {int(node): value for node, value in data[name].items()}
    return validated(Tables, data, file=path)

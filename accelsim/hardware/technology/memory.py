"""Energy and area of memories, wires and off-chip links.

An SRAM access of 64 bits is published for 8 KB, 32 KB and 1 MB. Between them energy follows a power of the capacity;
below and above, the nearest power goes on. A memory larger than 1 MB may be banked, so that each access costs that of a
bank, or pay for wires across its whole side, a square root: that is its range. Energy is in proportion to the width,
or, where a row is decoded once for all bits, to its power of 0.7: the range of accesses that are not of 64 bits.
"""

from __future__ import annotations

import math

from accelsim.hardware.technology.scaling import bitcell_um2, energy_pj
from accelsim.hardware.technology.span import Span, span_of
from accelsim.hardware.technology.tables import DramType, Link, tables

__all__ = [
    "dram_energy_pj",
    "host_area_mm2",
    "host_energy_pj",
    "link_area_mm2",
    "sram_area_mm2",
    "sram_energy_pj",
    "wire_energy_pj",
]

_KIB = 1024.0
_SIZES = (("sram_8_kib_pj", 8 * _KIB), ("sram_32_kib_pj", 32 * _KIB), ("sram_1_mib_pj", 1024 * _KIB))
_WIDTH_BITS = 64.0
_MM2_PER_UM2 = 1e-6
_SMALLEST_SLOPE, _LARGEST_SLOPE = 0.0, 0.5
_SHARED_DECODE = 0.7


def sram_energy_pj(capacity_bytes: float, width_bits: float, node_nm: float) -> Span:
    """Picojoules of one access of ``width_bits`` to an SRAM; reads and writes alike, as the tables have it."""
    points = [(size, energy_pj(name, node_nm)) for name, size in _SIZES]
    first = 1 if capacity_bytes > points[1][0] else 0
    (small, below), (large, above) = points[first], points[first + 1]
    slope = math.log(above.value / below.value) / math.log(large / small)
    anchor, at = (above, large) if capacity_bytes > large else (below, small)
    ratio = capacity_bytes / at
    access = anchor * ratio**slope
    if not small <= capacity_bytes <= large:
        ends = sorted(anchor.value * ratio**each for each in (_SMALLEST_SLOPE, _LARGEST_SLOPE))
        access = access.widened(*ends)
    ratio = width_bits / _WIDTH_BITS
    shared = ratio**_SHARED_DECODE
    return Span(access.value * ratio, access.low * min(ratio, shared), access.high * max(ratio, shared))


def sram_area_mm2(capacity_bytes: float, ports: int, node_nm: float) -> Span:
    """Square millimetres of an SRAM with ``ports`` ports: its cells over the share of the array that cells take."""
    layout = tables().layout
    cells = bitcell_um2(node_nm) * (8 * capacity_bytes * _MM2_PER_UM2)
    area = cells / span_of(layout.sram_array_efficiency)
    doublings = math.log2(ports) if ports > 1 else 0.0
    factor = span_of(layout.two_port_factor)
    return area * Span(factor.value**doublings, factor.low**doublings, factor.high**doublings)


def dram_energy_pj(kind: DramType, count_bytes: float) -> Span:
    """Picojoules of ``count_bytes`` through a DRAM interface, core and I/O. No figure holds for ``on_chip_sram``."""
    return span_of(_link(kind).energy_pj_per_byte) * count_bytes


def link_area_mm2(kind: DramType, bandwidth_bytes_per_s: float) -> Span:
    """Square millimetres of DRAM controllers and PHYs on the chip; they hardly shrink with the node."""
    return span_of(_link(kind).phy_mm2_per_gb_per_s) * (bandwidth_bytes_per_s / 1e9)


def host_energy_pj(count_bytes: float) -> Span:
    """Picojoules of ``count_bytes`` over the link to the host."""
    return span_of(tables().host.energy_pj_per_byte) * count_bytes


def host_area_mm2(bandwidth_bytes_per_s: float) -> Span:
    """Square millimetres of the host link's controller and PHY."""
    return span_of(tables().host.phy_mm2_per_gb_per_s) * (bandwidth_bytes_per_s / 1e9)


def wire_energy_pj(bits: float, length_mm: float | Span) -> Span:
    """Picojoules of ``bits`` over a wire."""
    return span_of(tables().wires.energy_pj_per_bit_mm) * bits * length_mm


def leakage_w(area_mm2: Span) -> Span:
    """Watts of a powered chip that does nothing."""
    return area_mm2 * span_of(tables().leakage.w_per_mm2)


def _link(kind: DramType) -> Link:
    return tables().dram[kind]

"""Area of a digital accelerator by component, predicted from its structure and its node.

Logic is the sum of its operators and registers times what layout adds; memories are their cells over the share that
cells take of the array; links to DRAM and host go by bandwidth. What no component accounts for (control, clock and test
logic, pads, unused area) is a share of the whole, ``other``. What layout adds, that share, and the efficiency of
memories are calibrated on the floor plan of one chip (`technology/published.yaml`, TPU1), so its area is no prediction.
"""

from __future__ import annotations

from accelsim.hardware.digital import DigitalArchitecture, MatrixUnit
from accelsim.hardware.technology.arithmetic import ProcessingElement, element_area_um2, with_layout
from accelsim.hardware.technology.memory import host_area_mm2, link_area_mm2, sram_area_mm2
from accelsim.hardware.technology.operands import operand_named
from accelsim.hardware.technology.scaling import logic_um2
from accelsim.hardware.technology.span import Span, span_of, total
from accelsim.hardware.technology.tables import tables

__all__ = ["component_areas_mm2", "core_area_mm2", "processing_element"]

_MM2_PER_UM2 = 1e-6
_TWO_PORTS = 2
_NETWORK_FLITS, _DMA_BEATS = 8, 16
_BUFFERS = Span(1.0, 0.3, 3.0)
"""Depth of the buffers in routers and DMA engines is never published: a third to three times as deep."""


def component_areas_mm2(arch: DigitalArchitecture) -> dict[str, Span] | None:
    """Square millimetres by component of the whole chip; None where the architecture states no ``technology``.

    Components: ``array``, ``accumulator``, ``vector``, ``scratchpad``, ``network``, ``dma``, ``dram`` (controllers and
    PHYs, or the memory itself where it is on the chip), ``host`` and ``other``. They add up to the area.
    """
    if arch.technology is None or arch.memory.dram.type is None:
        return None
    cores = float(arch.n_cores)
    parts = {name: area * cores for name, area in _core_parts(arch).items()}
    parts["dram"] = _dram_mm2(arch)
    parts["host"] = host_area_mm2(arch.host.bandwidth_bytes_per_s.value)
    share = span_of(tables().layout.other_share)
    known = total(parts.values())
    parts["other"] = Span(*(
        area * part / (1 - part)
        for area, part in ((known.value, share.value), (known.low, share.low), (known.high, share.high))
    ))  # fmt: skip
    return parts


def core_area_mm2(arch: DigitalArchitecture) -> Span:
    """Square millimetres of one core, its share of the network included."""
    return total(_core_parts(arch).values())


def processing_element(arch: DigitalArchitecture, format_name: str) -> ProcessingElement:
    """What one processing element is with one format."""
    unit: MatrixUnit = arch.unit(format_name, op="technology")
    return ProcessingElement(
        operand_named(format_name), operand_named(unit.accumulator),
        int(unit.reduction_per_pe.value), int(unit.columns_per_pe.value), arch.node_nm.value,
    )  # fmt: skip


def _core_parts(arch: DigitalArchitecture) -> dict[str, Span]:
    node, array = arch.node_nm.value, arch.array
    pes = array.rows.value * array.columns.value * array.per_core.value
    accumulators = sram_area_mm2(array.accumulator_bytes.value, _TWO_PORTS, node) * array.per_core.value
    lane = element_area_um2(operand_named(arch.vector.format), node)
    scratchpad = arch.scratchpad
    return {
        "array": with_layout(_element_um2(arch)) * (pes * _MM2_PER_UM2),
        "accumulator": accumulators,
        "vector": with_layout(lane) * (arch.vector.lanes.value * _MM2_PER_UM2),
        "scratchpad": sram_area_mm2(scratchpad.capacity_bytes.value, int(scratchpad.ports.value), node),
        "network": _network_mm2(arch),
        "dma": _buffers_mm2(arch.dma.engines.value * arch.dma.bandwidth_bytes_per_cycle.value, _DMA_BEATS, node),
    }


def _element_um2(arch: DigitalArchitecture) -> Span:
    """A processing element that computes all its formats, before layout.

    Formats of one kind (integers; floats) share their multipliers, so the largest of each kind counts; at the least all
    formats share one, at the most none do.
    """
    areas = {name: processing_element(arch, name).area_um2() for name in arch.array.units}
    kinds: dict[bool, float] = {}
    for name, area in areas.items():
        kind = operand_named(name).is_float
        kinds[kind] = max(kinds.get(kind, 0.0), area.value)
    low = max(area.low for area in areas.values())
    return Span(sum(kinds.values()), low, max(sum(area.high for area in areas.values()), sum(kinds.values())))


def _network_mm2(arch: DigitalArchitecture) -> Span:
    """Input buffers of a core's links; one core has no network."""
    if arch.n_cores == 1:
        return Span(0.0, 0.0, 0.0)
    network = arch.interconnect
    width = network.links_per_core * network.bandwidth_bytes_per_cycle.value
    return _buffers_mm2(width, _NETWORK_FLITS, arch.node_nm.value)


def _buffers_mm2(width_bytes: float, depth: int, node_nm: float) -> Span:
    registers = logic_um2("register_um2_per_bit", node_nm) * (8 * width_bytes * depth * _MM2_PER_UM2)
    return with_layout(registers) * _BUFFERS


def _dram_mm2(arch: DigitalArchitecture) -> Span:
    dram = arch.memory.dram
    if dram.type == "on_chip_sram":
        return sram_area_mm2(dram.capacity_bytes.value, 1, arch.node_nm.value)
    assert dram.type is not None
    return link_area_mm2(dram.type, dram.bandwidth_bytes_per_s.value)

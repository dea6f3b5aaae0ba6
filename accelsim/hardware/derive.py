"""Constants that an architecture leaves out and its ``technology`` supplies, with ranges and what they follow from.

Nothing falls back silently: without ``technology`` a constant that is left out is refused, and what was supplied is
listed by `Architecture.derived`, in the result, and among its assumptions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from accelsim.documents import Constant
from accelsim.errors import InputError
from accelsim.hardware.area import component_areas_mm2, core_area_mm2, processing_element
from accelsim.hardware.digital import UNSTATED, DigitalArchitecture
from accelsim.hardware.technology.arithmetic import element_energy_pj
from accelsim.hardware.technology.memory import (
    dram_energy_pj,
    host_energy_pj,
    leakage_w,
    sram_energy_pj,
    wire_energy_pj,
)
from accelsim.hardware.technology.operands import operand_named
from accelsim.hardware.technology.scaling import checked_node, usual_voltage_v
from accelsim.hardware.technology.span import Span, total

__all__ = ["completed", "derived_constants", "derived_spans", "from_tables"]

_SPECIAL = Span(4.0, 2.0, 8.0)
_BITS, _BYTES = 64.0, 8.0


def completed(description: DigitalArchitecture, file: object) -> tuple[DigitalArchitecture, frozenset[str]]:
    """``description`` with every constant, and the paths of those that the technology supplied.

    Raises:
        InputError: a constant is left out and no ``technology`` is stated, or its model does not cover the node.
    """
    missing = [path for path, constant in description.constants().items() if constant is UNSTATED]
    if description.technology is None:
        if missing:
            remedy = "state it, or `technology: published` to have it derived from the node"
            raise InputError("is missing", file=file, field=missing[0], remedy=remedy)
        return description, frozenset()
    checked_node(description.node_nm.value, file=file)
    if description.memory.dram.type is None:
        raise InputError("is missing", file=file, field="memory.dram.type",
                         remedy="`technology` needs it for the area and energy of the memory's link")  # fmt: skip
    if not missing:
        return description, frozenset()
    supplied = derived_constants(description)
    for path in missing:
        description = description.with_constant(path, supplied[path])
    return description, frozenset(missing)


def derived_constants(arch: DigitalArchitecture) -> dict[str, Constant]:
    """Every constant that the technology can supply, by path, whether the architecture states it or not."""
    what = f"derived by `technology: {arch.technology}`"
    return {path: span.constant(what, why) for path, (span, why) in derived_spans(arch).items()}


def derived_spans(arch: DigitalArchitecture) -> dict[str, tuple[Span, str]]:
    """Value and range of each of `derived_constants`, and what it follows from.

    Columns of designs in place of rates and sizes make columns. Energies of the chip are those of the node's usual
    voltage, carried to the nominal voltage of the component's clock by its square.
    """
    node = f"{arch.node_nm.value:g} nm"
    found = {
        f"array.units.{name}.energy_pj_per_mac": (
            processing_element(arch, name).mac_energy().total_pj,
            f"operators and registers of {name} into {unit.accumulator} at {node}",
        )
        for name, unit in arch.array.units.items()
    }
    found = {path: (energy * _voltage_factor(arch, "array"), why) for path, (energy, why) in found.items()}
    simple = element_energy_pj(operand_named(arch.vector.format), arch.node_nm.value) * _voltage_factor(arch, "vector")
    found["vector.energy_pj_simple"] = simple, f"an operation of {arch.vector.format} with its registers at {node}"
    found["vector.energy_pj_special"] = simple * _SPECIAL, "two to eight simple operations"
    scratchpad = _scratchpad_pj_per_byte(arch) * _voltage_factor(arch, "scratchpad")
    for access in ("read", "write"):
        why = f"a 64-bit access at {node}: to a bank of as many as the bandwidth needs (low), or to the whole memory"
        found[f"scratchpad.{access}_energy_pj_per_byte"] = scratchpad, why
    hop = wire_energy_pj(8, _side_mm(core_area_mm2(arch))) * _voltage_factor(arch, "interconnect")
    found["interconnect.energy_pj_per_byte_hop"] = hop, "a wire as long as the side of a core, from its predicted area"
    found["memory.dram.energy_pj_per_byte"] = _dram_pj_per_byte(arch)
    found["host.energy_pj_per_byte"] = host_energy_pj(1.0), "a serial link, by the table of links"
    areas = component_areas_mm2(arch)
    assert areas is not None
    leakage = leakage_w(total(areas.values())) * math.sqrt(_voltage_factor(arch, "array"))
    found["leakage_w"] = leakage, "leakage and clocks by the chip's predicted area"
    return found


def from_tables(arch: DigitalArchitecture) -> DigitalArchitecture:
    """The architecture with all energies and the leakage from the tables, whatever it states itself."""
    for path, constant in derived_constants(arch).items():
        arch = arch.with_constant(path, constant)
    return arch


def _voltage_factor(arch: DigitalArchitecture, component: str) -> float:
    """(V / V0)^2 of a component's nominal voltage and the node's usual one; 1 where no voltage is stated."""
    voltage = arch.clock_of(component).nominal_voltage_v
    return 1.0 if voltage is None else (voltage.value / usual_voltage_v(arch.node_nm.value)) ** 2


def _scratchpad_pj_per_byte(arch: DigitalArchitecture) -> Span:
    node = arch.node_nm.value

    def access(capacity: float, bandwidth: float) -> Span:
        banks = max(1.0, bandwidth / _BYTES)
        whole, bank = (sram_energy_pj(size, _BITS, node) / _BYTES for size in (capacity, capacity / banks))
        return whole.widened(bank.low, bank.high)

    scratchpad = arch.scratchpad
    return _one_by_one(access, scratchpad.capacity_bytes.value, scratchpad.bandwidth_bytes_per_cycle.value)


def _dram_pj_per_byte(arch: DigitalArchitecture) -> tuple[Span, str]:
    dram, node = arch.memory.dram, arch.node_nm.value
    if dram.type == "on_chip_sram":
        size = dram.capacity_bytes.value / dram.channels.value
        bank = _one_by_one(lambda each: sram_energy_pj(each, _BITS, node) / _BYTES, size)
        return bank, f"a 64-bit access to one of the on-chip memories at {node:g} nm"
    assert dram.type is not None
    return dram_energy_pj(dram.type, 1.0), f"{dram.type} by the table of links"


def _one_by_one(of: Callable[..., Span], *sizes: float) -> Span:
    """``of`` numbers, or of each different row of columns: powers of columns differ from those of numbers in bits."""
    if not any(isinstance(each, np.ndarray) for each in sizes):
        return of(*sizes)
    rows, which = np.unique(np.stack(np.broadcast_arrays(*sizes), axis=1), axis=0, return_inverse=True)
    spans = [of(*row) for row in rows.tolist()]
    ends: Any = np.array([(each.value, each.low, each.high) for each in spans])[which.reshape(-1)]
    return Span(*ends.T)


def _side_mm(area: Span) -> Span:
    return Span(np.sqrt(area.value), np.sqrt(area.low), np.sqrt(area.high))

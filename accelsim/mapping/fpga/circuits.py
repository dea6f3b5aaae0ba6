"""What a stage is built of: the parameters from which its resources follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from accelsim.errors import InputError

__all__ = [
    "Adder", "Circuit", "Convolution", "Duplicator", "Memory", "Pad", "Pool", "SlidingWindow", "Threshold",
    "VectorUnit", "WidthConverter", "Wiring",
]  # fmt: skip

Memory = Literal["lutram", "bram", "uram", "lut"]
"""Where weights lie: distributed RAM, block RAM, UltraRAM, or constants in the logic."""


@dataclass(frozen=True, slots=True)
class Wiring:
    """No circuit: the ends of the pipeline, and what only renames or drops wires."""


@dataclass(frozen=True, slots=True)
class Pad:
    """Zeros around an image, ``lanes`` channels of ``bits`` a cycle."""

    channels: int
    lanes: int
    bits: int


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """A sliding-window unit: (rows, columns) of the kernel, the padded input and the stride."""

    channels: int
    simd: int
    bits: int
    kernel: tuple[int, int]
    image: tuple[int, int]
    stride: tuple[int, int]

    @property
    def buffered_words(self) -> int:
        """Words of ``simd`` elements in its buffer: the window's lines, and what a stride lets it take ahead."""
        fold = -(-self.channels // self.simd)
        (rows, columns), width, (down, across) = self.kernel, self.image[1], self.stride
        if rows == columns == 1:
            return fold
        taps = rows * columns
        ahead = max(across - 1 - taps, 0) + max((down - 1) * width - taps, 0)
        return ((rows - 1) * width + columns + ahead) * fold


@dataclass(frozen=True, slots=True)
class VectorUnit:
    """A matrix-vector-activation unit (MVAU): ``width`` x ``height`` weights, folded to ``simd`` inputs and ``pe``
    outputs. Products that DSP slices could make are made of LUTs where ``in_logic``.

    With ``groups`` of outputs the ``width`` inputs of each are its own, and groups come one after the other. As many
    groups as outputs are a vector-vector unit (VVAU), whose ``pe`` outputs each take ``simd`` inputs of their own.
    """

    width: int
    height: int
    simd: int
    pe: int
    weight_bits: int
    in_bits: int
    out_bits: int
    accumulator_bits: int
    memory: Memory = "bram"
    in_logic: bool = False
    groups: int = 1

    def __post_init__(self) -> None:
        together = self.height if self.own_inputs else self.height // self.groups
        for name, size, part in (("simd", self.width, self.simd), ("pe", together, self.pe)):
            if part < 1 or size % part:
                raise InputError(f"must divide {size}", field=name, value=part, remedy=f"such as {nearest(size, part)}")

    @property
    def own_inputs(self) -> bool:
        """Whether no two outputs read the same inputs."""
        return 1 < self.groups == self.height

    @property
    def taken(self) -> int:
        """Inputs that it takes a cycle."""
        return self.simd * (self.pe if self.own_inputs else 1)

    @property
    def fold(self) -> int:
        """Cycles a vector: input folds times output folds."""
        return (self.width // self.simd) * (self.height // self.pe)


@dataclass(frozen=True, slots=True)
class Convolution:
    """A layer of hls4ml with ``reuse`` products a multiplier: line buffers (none for a dense layer), multipliers, sums
    and weights in one."""

    width: int
    height: int
    reuse: int
    weight_bits: int
    in_bits: int
    out_bits: int
    accumulator_bits: int
    channels: int
    kernel: tuple[int, int] = (1, 1)
    columns: int = 1
    memory: Memory = "bram"

    def __post_init__(self) -> None:
        products = self.width * self.height
        if self.reuse < 1 or products % self.reuse:
            raise InputError(f"must divide {products}, the products of a pixel", field="reuse_factor",
                             value=self.reuse, remedy=f"such as {nearest(products, self.reuse)}")  # fmt: skip

    @property
    def multipliers(self) -> int:
        return self.width * self.height // self.reuse


@dataclass(frozen=True, slots=True)
class WidthConverter:
    """A stream that changes the width of its words."""

    in_bits: int
    out_bits: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """An activation: thresholds (FINN) or ReLU and rounding (hls4ml), ``lanes`` channels a cycle."""

    channels: int
    lanes: int
    in_bits: int
    out_bits: int


@dataclass(frozen=True, slots=True)
class Adder:
    """The sum of two streams, ``lanes`` channels a cycle."""

    channels: int
    lanes: int
    bits: int


@dataclass(frozen=True, slots=True)
class Duplicator:
    """One stream into several."""

    channels: int
    lanes: int
    bits: int
    outputs: int = 2


@dataclass(frozen=True, slots=True)
class Pool:
    """Largest or mean value of a window, ``lanes`` channels a cycle; ``columns`` of the image where it has lines."""

    channels: int
    lanes: int
    bits: int
    kernel: tuple[int, int]
    columns: int


Circuit = (
    Wiring | Pad | SlidingWindow | VectorUnit | Convolution | WidthConverter | Threshold | Adder | Duplicator | Pool
)


def nearest(size: int, part: int) -> int:
    """The divisor of ``size`` that is nearest to ``part``."""
    return min((each for each in range(1, size + 1) if size % each == 0), key=lambda each: abs(each - part))

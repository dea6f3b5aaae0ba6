"""The schema of FPGAs that hold a network as a streaming dataflow: a device, a clock, and how stages are built."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field

from accelsim.documents import Authored, Count, Positive, Share
from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.description import Description
from accelsim.hardware.fpga import Device, device

__all__ = ["FoldingRules", "FpgaArchitecture", "LayerFolding"]

Style = Literal["finn", "hls4ml"]
_FACTORS = {"finn": ("simd", "pe", "lanes"), "hls4ml": ("reuse_factor",)}


class LayerFolding(Authored):
    """Factors that a layer is folded by; what is left out is chosen.

    Attributes:
        simd: finn: inputs of an output that are multiplied at a time.
        pe: finn: outputs that are computed at a time.
        lanes: finn: channels at a time of a layer's padding and window, or of a pool, an adder or a duplicator.
        reuse_factor: hls4ml: products that each multiplier computes in turn.
    """

    simd: int | None = Field(default=None, gt=0, strict=True)
    pe: int | None = Field(default=None, gt=0, strict=True)
    lanes: int | None = Field(default=None, gt=0, strict=True)
    reuse_factor: int | None = Field(default=None, gt=0, strict=True)

    @property
    def factors(self) -> dict[str, int]:
        """Those that are stated, by name."""
        return {name: value for name, value in self if value is not None}


class FoldingRules(Authored):
    """What layers are folded for; with neither target, as little as the device's budget allows.

    Attributes:
        throughput_per_s: frames a second that every stage must keep up with.
        reuse_factor: hls4ml: products that each multiplier computes in turn, for every layer that ``layers`` does not
            name.
        layers: factors of single layers by name or pattern; the first pattern that fits a layer holds.
    """

    throughput_per_s: Positive | None = None
    reuse_factor: Count | None = None
    layers: dict[str, LayerFolding] = Field(default_factory=dict)

    @property
    def given(self) -> bool:
        """Whether a target is asked for."""
        return self.throughput_per_s is not None or self.reuse_factor is not None


class FpgaArchitecture(Description):
    """A device that holds all layers at once, each a stage of one pipeline, with all weights on the chip.

    Attributes:
        device: name of a bundled device (`fpga_devices.yaml`).
        style: whose circuits stages are made of: ``finn`` (matrix-vector units folded to SIMD inputs and PE outputs,
            sliding windows, thresholds) or ``hls4ml`` (streams of whole pixels, reuse factors).
        clock_hz: of the whole design.
        usable_share: of each of the device's resources that the network may take.
        weights: where they lie: ``auto`` takes block RAM, and UltraRAM where that is exceeded.
        precision: the format that is used where none is asked for.
    """

    kind: Literal["fpga"]
    device: str
    style: Style = "finn"
    clock_hz: Positive
    usable_share: Share
    weights: Literal["auto", "bram", "uram", "lutram"] = "auto"
    folding: FoldingRules = FoldingRules()
    precision: str = "int4"

    def check_rules(self, file: object) -> None:
        """The device exists, and folding factors are of the style.

        Raises:
            UnknownNameError: no such device.
            InputError: a layer of ``folding.layers`` without a factor.
            UnsupportedError: a factor of the other style.
        """
        device(self.device)
        known = _FACTORS[self.style]
        for pattern, folding in self.folding.layers.items():
            where = f"folding.layers.{pattern}"
            if not folding.factors:
                raise InputError("states no factor", file=file, field=where, remedy=f"write {' or '.join(known)}")
            for name, value in folding.factors.items():
                if name not in known:
                    raise UnsupportedError(f"is no factor of style {self.style}", file=file, field=f"{where}.{name}",
                                           value=value, remedy=f"write {' or '.join(known)}")  # fmt: skip

    @cached_property
    def part(self) -> Device:
        """The device."""
        return device(self.device)

    def usable(self) -> dict[str, int]:
        """Amounts that the network may take, by resource."""
        return {name: int(amount * self.usable_share.value) for name, amount in self.part.budget().items()}

    def parameters(self) -> dict[str, object]:
        found = super().parameters()
        return found if self.folding.layers else {**found, "folding.layers": None}

    @property
    def default_precision(self) -> str:
        return self.precision

    @property
    def value_format(self) -> str:
        return self.precision

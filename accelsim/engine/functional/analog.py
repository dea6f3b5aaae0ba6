"""Analog tiles as matrix units: weights programmed into the blocks of the mapping, read through their converters.

What the mapping put on a tile of its own has its own devices, noise and range: each block of rows and columns is
programmed, drifts and is compensated by itself, and partial sums of row blocks are added digitally, in float32 and in
order. Each column of a block is scaled to its own largest weight and each input vector to its own largest value, both
digitally: where the publication of a crossbar model learns a fixed range of inputs, that is the range here.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.digital import array_unit
from accelsim.engine.functional.product import SumOrder
from accelsim.engine.functional.scaling import Scalings
from accelsim.engine.functional.units import Held, MatrixUnit, Operand, Sums, UnitOf
from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.mapping.aimc.records import AimcOp, Cut, bounds
from accelsim.mapping.records import MappedItem
from accelsim.numerics.accumulators import Sequential, accumulator_named
from accelsim.numerics.analog import (
    Converter,
    Crossbar,
    CrossbarParameters,
    Device,
    crossbar_named,
    device_named,
    program_tile,
)
from accelsim.numerics.analog.devices import checked_time_s
from accelsim.workload.ops import Conv, MatMul

if TYPE_CHECKING:
    from accelsim.numerics.analog import Tile

__all__ = ["AnalogSetting", "analog_setting", "analog_units"]

FloatArray = NDArray[np.float32]
_AT_BOUND = 1 - 1e-6


@dataclass(frozen=True, slots=True)
class AnalogSetting:
    """What tiles compute with.

    Attributes:
        crossbar: converters and non-idealities; inputs are scaled before it.
        device: of the cells.
        time_s: seconds after programming at which they are read; None for right after it, before any reading noise.
        compensated: whether outputs are scaled for the drift that a tile's devices share.
        seed: of everything that is drawn.
    """

    crossbar: CrossbarParameters
    device: Device
    time_s: float | None = None
    compensated: bool = True
    seed: int = 0


def analog_setting(description: AimcArchitecture, time_s: float | None, seed: int) -> AnalogSetting:
    """The setting of an architecture's tiles.

    Raises:
        InputError: a time before programming, or converters that the crossbar model does not have.
        UnsupportedError: cells or phases that are not emulated.
    """
    tile, mode = description.tile, description.tile.mode
    where = f"architecture {description.name}"
    if mode.inputs_split:
        raise UnsupportedError("applies its inputs in shares, which is not emulated", file=where,
                               field=f"tile.read_modes.{tile.read_mode}.inputs_split", value=True,
                               remedy="choose a mode that applies whole inputs")  # fmt: skip
    model = crossbar_named(tile.crossbar.model)
    if not model.perfect:
        model = replace(
            model,
            dac=_at_bits(model.dac, int(mode.input_bits.value)), adc=_at_bits(model.adc, int(mode.output_bits.value)),
            noise_management="abs_max", noise_threshold=0.0,
            sign_handling="one_pass" if mode.n_phases == 1 else "pos_neg_separate_digital_sum",
        )  # fmt: skip
    time_s = None if time_s is None else checked_time_s(time_s)
    return AnalogSetting(model, device_named(tile.crossbar.device), time_s, seed=seed)


def _at_bits(converter: Converter, bits: int) -> Converter:
    return Converter.of_bits(bits, converter.bound) if math.isfinite(converter.bound) else converter


def analog_units(description: AimcArchitecture, setting: AnalogSetting, scalings: Scalings) -> UnitOf:
    """The tiles of an architecture as units; see `units_of`. Ops that share weights share the programmed tiles."""
    programmed: dict[str, _Programmed] = {}

    def unit(mapped: MappedItem) -> MatrixUnit:
        assert isinstance(mapped, AimcOp)
        if mapped.unit == "tile":
            return _Tiles(mapped, setting, programmed)
        assert description.cores is not None
        elements = description.cores.units[mapped.precision].macs_per_pe.value
        return _on_cores(mapped, scalings, int(description.cores.rows.value * elements))

    return unit


def _on_cores(mapped: AimcOp, scalings: Scalings, deep: int) -> MatrixUnit:
    """Digital cores beside the tiles: operands in the op's format, ``deep`` products added at a time, in float32."""
    op = mapped.op
    assert isinstance(op, MatMul | Conv)
    cuts = tuple(slice(first, first + deep) for first in range(0, op.contraction.k, deep))
    order = SumOrder(accumulator_named(Sequential("fp32", "fp32")), cuts)
    return array_unit(op.name, mapped.precision, order, scalings)


@dataclass(frozen=True, slots=True)
class _Tiles:
    mapped: AimcOp
    setting: AnalogSetting
    programmed: dict[str, _Programmed]

    def hold(self, right: Operand) -> Held:
        matrix = self.mapped.matrix
        assert matrix is not None
        if self.mapped.op.inputs[1] != matrix.name and not right.constant:
            raise UnsupportedError("multiplies weights from the left, which is not emulated",
                                   field=f"op {self.mapped.op.name}")  # fmt: skip
        if matrix.name not in self.programmed:
            self.programmed[matrix.name] = _Programmed.of(right.arranged, matrix.cut, self.setting, matrix.name)
        return self.programmed[matrix.name]


@dataclass(slots=True)
class _Block:
    """A block on its tile: the crossbar as it is read, factors of its outputs, and where it lies in its matrix."""

    group: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    crossbar: Crossbar | None
    factors: FloatArray


@dataclass(slots=True)
class _Programmed:
    """A matrix on its tiles at the time of the setting. Each product draws new noise from one generator."""

    cut: Cut
    setting: AnalogSetting
    blocks: list[_Block]
    rng: np.random.Generator
    saturated: int = 0
    flushed: int = 0

    @classmethod
    def of(cls, weights: FloatArray, cut: Cut, setting: AnalogSetting, name: str) -> _Programmed:
        """Program ``weights`` (groups, outputs, inputs)."""
        if not np.isfinite(weights).all():
            raise InputError("holds NaN or infinities", field=f"tensor {name}")
        rng = np.random.default_rng((setting.seed, zlib.crc32(name.encode())))
        blocks = [_programmed_block(weights, place, setting, rng) for place in _places(cut)]
        return cls(cut, setting, blocks, rng)

    def times(self, left: Operand) -> Sums:
        """(groups, m, outputs) of left (groups, m, inputs)."""
        inputs = left.arranged
        found = np.zeros((len(inputs), inputs.shape[1], self.cut.outputs), np.float32)
        clipped = 0
        for block in self.blocks:
            if block.crossbar is None:
                continue
            x = inputs[block.group, :, slice(*block.rows)]
            product = block.crossbar.product(x, self.rng)
            clipped += _clipped(product.outputs, x, self.setting.crossbar)
            found[block.group, :, slice(*block.columns)] += product.outputs * block.factors
        return Sums(found, clipped)


def _places(cut: Cut) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """(group, rows, columns) of each block. Groups on one tile's diagonal meet no other's rows or columns."""
    for group in range(cut.groups):
        for columns in bounds(cut.outputs, cut.column_parts):
            for rows in bounds(cut.inputs, cut.row_parts):
                yield group, rows, columns


def _programmed_block(
    weights: FloatArray, place: tuple[int, tuple[int, int], tuple[int, int]], setting: AnalogSetting,
    rng: np.random.Generator,
) -> _Block:  # fmt: skip
    group, rows, columns = place
    part = weights[group, slice(*columns), slice(*rows)].astype(np.float32, copy=False)
    scale = np.abs(part).max(axis=1)
    if not scale.any():  # nothing is programmed, nothing is read
        return _Block(group, rows, columns, None, scale)
    safe = np.where(scale > 0, scale, np.float32(1))
    tile = program_tile(part / safe[:, None], setting.device, setting.crossbar, rng)
    now = tile.read_at(setting.time_s, rng)
    factor = _compensation(tile, now, setting, rng)
    return _Block(group, rows, columns, now, (scale * np.float32(factor)).astype(np.float32))


def _compensation(
    tile: Tile, now: Crossbar, setting: AnalogSetting, rng: np.random.Generator
) -> float:  # fmt: skip
    return tile.compensation(now, rng) if setting.compensated and setting.time_s is not None else 1.0


def _clipped(outputs: FloatArray, x: FloatArray, settings: CrossbarParameters) -> int:
    """Outputs at the bound of the ADC."""
    bound = settings.adc.bound * abs(settings.output_scale)
    if settings.perfect or not math.isfinite(bound):
        return 0
    scale = np.abs(x).max(axis=1, keepdims=True)
    return int(np.count_nonzero((np.abs(outputs) >= _AT_BOUND * bound * scale) & (scale > 0)))

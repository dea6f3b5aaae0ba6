"""Analog tiles as matrix units: weights programmed into the blocks of the mapping, read through their converters.

What the mapping put on a tile of its own has its own devices, noise and range: each block of rows and columns is
programmed, drifts and is compensated by itself, and partial sums of row blocks are added digitally, in float32 and in
order. Each column of a block is scaled to its own largest weight and each input vector to its own largest value, both
digitally: where the publication of a crossbar model learns a fixed range of inputs, that is the range here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.analog_setting import AnalogSetting, analog_setting
from accelsim.engine.functional.digital import array_unit
from accelsim.engine.functional.product import SumOrder
from accelsim.engine.functional.scaling import Scalings
from accelsim.engine.functional.units import Held, MatrixUnit, Operand, Sums, UnitOf
from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.aimc import AimcArchitecture
from accelsim.mapping.aimc.records import AimcOp, Cut, bounds
from accelsim.mapping.records import MappedItem
from accelsim.numerics.accumulators import Sequential, accumulator_named
from accelsim.numerics.analog import ReadArray, Seed, program_array, within
from accelsim.numerics.analog.draws import generator
from accelsim.workload.ops import Conv, MatMul

__all__ = ["AnalogSetting", "analog_setting", "analog_units"]

FloatArray = NDArray[np.float32]


def analog_units(description: AimcArchitecture, setting: AnalogSetting, scalings: Scalings) -> UnitOf:
    """The tiles of an architecture as units; see `units_of`. Ops that share weights share the programmed tiles."""
    programmed: dict[str, _Programmed] = {}

    def unit(mapped: MappedItem) -> MatrixUnit:
        assert isinstance(mapped, AimcOp)
        if mapped.unit == "tile":
            assert mapped.matrix is not None
            return _Tiles(mapped, setting.in_pages(mapped.matrix.cut.pages), programmed)
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


@dataclass(frozen=True, slots=True)
class _Block:
    """A block on its tile: its cells as they are read, the scales of its columns, and where it lies in its matrix.

    ``noise`` is what its products draw from.
    """

    group: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    array: ReadArray | None
    scales: FloatArray
    noise: Seed


@dataclass(slots=True)
class _Programmed:
    """A matrix on its tiles at the time of the setting.

    Each block has streams of its own for its devices, its calibration and the noise of its products, so that one of
    them stays the same where another is changed.
    """

    cut: Cut
    blocks: list[_Block]
    products: int = 0
    saturated: int = 0
    flushed: int = 0

    @classmethod
    def of(cls, weights: FloatArray, cut: Cut, setting: AnalogSetting, name: str) -> _Programmed:
        """Program ``weights`` (groups, outputs, inputs)."""
        if not np.isfinite(weights).all():
            raise InputError("holds NaN or infinities", field=f"tensor {name}")
        blocks = [
            _programmed_block(weights, place, setting, _seed(setting, name, number))
            for number, place in enumerate(_places(cut))
        ]
        return cls(cut, blocks)

    def times(self, left: Operand) -> Sums:
        """(groups, m, outputs) of left (groups, m, inputs)."""
        inputs = left.arranged
        found = np.zeros((len(inputs), inputs.shape[1], self.cut.outputs), np.float32)
        clipped = 0
        for block in self.blocks:
            if block.array is None:
                continue
            noise = within(block.noise, f"product/{self.products}")
            product = block.array.product(inputs[block.group, :, slice(*block.rows)], noise)
            clipped += product.clipped
            found[block.group, :, slice(*block.columns)] += product.outputs * block.scales
        self.products += 1
        return Sums(found, clipped)


def _seed(setting: AnalogSetting, matrix: str, block: int) -> Seed:
    if setting.normals is not None:
        return setting.normals.within(f"{matrix}/{block}")
    mixed = np.random.SeedSequence((setting.seed, zlib.crc32(matrix.encode()), block))
    return int(mixed.generate_state(1, np.uint64)[0])


def _places(cut: Cut) -> Iterator[tuple[int, tuple[int, int], tuple[int, int]]]:
    """(group, rows, columns) of each block. Groups on one tile's diagonal meet no other's rows or columns."""
    for group in range(cut.groups):
        for columns in bounds(cut.outputs, cut.column_parts):
            for rows in bounds(cut.inputs, cut.row_parts):
                yield group, rows, columns


def _programmed_block(
    weights: FloatArray, place: tuple[int, tuple[int, int], tuple[int, int]], setting: AnalogSetting, seed: Seed
) -> _Block:
    group, rows, columns = place
    part = weights[group, slice(*columns), slice(*rows)].astype(np.float32, copy=False)
    scale = np.abs(part).max(axis=1)
    if not scale.any():  # nothing is programmed, nothing is read
        return _Block(group, rows, columns, None, scale, seed)
    safe = np.where(scale > 0, scale, np.float32(1))
    compensated = setting.compensated and setting.time_s is not None
    array = program_array(part / safe[:, None], setting.device, setting.scheme, seed, compensated=compensated)
    return _Block(group, rows, columns, array.read_at(setting.time_s, seed), scale, generator(seed, "product"))

"""What tiles compute with: cells, phases and converters of a description as the numerics of arrays take them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from accelsim.errors import UnsupportedError
from accelsim.hardware.aimc import AimcArchitecture, Tile
from accelsim.hardware.aimc.cells import WeightCells
from accelsim.numerics.analog import (
    Converter,
    CrossbarParameters,
    Device,
    InputShares,
    Layout,
    NormalSource,
    ReadScheme,
    Supplied,
    crossbar_named,
    device_named,
    full_range,
)
from accelsim.numerics.analog.devices import checked_time_s
from accelsim.numerics.analog.parameters import SignHandling

__all__ = ["AnalogSetting", "analog_setting"]

_SIGNS: dict[int, SignHandling] = {1: "one_pass", 2: "pos_neg_separate_digital_sum", 4: "four_phase_digital_sum"}
"""Phases of whole inputs -> what takes turns."""
_LEAST_BITS = 2


@dataclass(frozen=True, slots=True)
class AnalogSetting:
    """What tiles compute with.

    Attributes:
        scheme: cells, converters and non-idealities; inputs are scaled before it.
        device: of the cells.
        time_s: seconds after programming at which they are read; None for right after it, before any reading noise.
        compensated: whether outputs are scaled for the drift that a tile's devices share.
        seed: of everything that is drawn; ``normals`` of a caller take its place.
    """

    scheme: ReadScheme
    device: Device
    time_s: float | None = None
    compensated: bool = True
    seed: int = 0
    normals: Supplied | None = None

    def in_pages(self, pages: int) -> AnalogSetting:
        """The setting of weights that take one part in ``pages`` of their cells.

        Raises:
            UnsupportedError: slices of bits, which a weight cannot do without, or copies that do not divide.
        """
        layout = self.scheme.layout
        if pages == 1:
            return self
        if layout.slice_bits or layout.parts % pages:
            raise UnsupportedError("leave weights without some of their parts", field="tile.pages", value=pages,
                                   remedy="take more tiles, or pages of whole copies")  # fmt: skip
        return replace(self, scheme=replace(self.scheme, layout=replace(layout, parts=layout.parts // pages)))


def analog_setting(
    description: AimcArchitecture, time_s: float | None, seed: int, normals: NormalSource | None = None
) -> AnalogSetting:
    """The setting of an architecture's tiles.

    Raises:
        InputError: a time before programming, or converters that the crossbar model does not have.
        UnsupportedError: cells or phases that are not emulated.
    """
    tile, where = description.tile, f"architecture {description.name}"
    time_s = None if time_s is None else checked_time_s(time_s)
    scheme = _scheme(tile, _layout(tile, where), where)
    supplied = None if normals is None else Supplied(normals)
    return AnalogSetting(scheme, device_named(tile.crossbar.device), time_s, seed=seed, normals=supplied)


def _layout(tile: Tile, where: str) -> Layout:
    columns = int(tile.column_cells_per_weight.value)
    cells = tile.weight
    if cells is None:
        if columns * tile.row_cells_per_weight.value != 1:
            raise UnsupportedError("does not say how a weight lies on its cells", file=where, field="tile.weight",
                                   remedy="state it: where its signs are, and the bits of a slice")  # fmt: skip
        cells = WeightCells(signs="cell")
    signs = {"columns": "two_lines", "offset": "offset"}.get(cells.signs, "pair")
    bits = int(cells.slice_bits.value) if cells.slice_bits else 0
    return Layout(signs, cells.parts(columns), bits, cells.complemented, cells.joined)  # type: ignore[arg-type]


def _scheme(tile: Tile, layout: Layout, where: str) -> ReadScheme:
    """Converters of the read mode; whole inputs of weights without slices stay as the crossbar's model has them."""
    mode, full = tile.mode, tile.adc.range == "full"
    model = crossbar_named(tile.crossbar.model)
    if not model.perfect or full:
        wire_ohm = model.wire_ohm * tile.row_cells_per_weight.value  # a weight's cells follow each other on the wire
        model = replace(model, perfect=False, noise_management="abs_max", noise_threshold=0.0, wire_ohm=wire_ohm)
    model = _bounded(model, tile, where)
    if not mode.inputs_split:
        model = _in_turn(model, layout, len(mode.each), f"tile.read_modes.{tile.read_mode}.phases", where)
    if not (mode.inputs_split or layout.slice_bits):
        phase = mode.each[0]
        if phase.input_bits < _LEAST_BITS and not model.perfect:
            field = f"tile.read_modes.{tile.read_mode}.input_bits"
            raise UnsupportedError("leaves nothing beside the sign", file=where, field=field, value=phase.input_bits)
        adc = _adc(model, layout, tile, phase.output_bits, 1, unsigned=False)
        return ReadScheme(replace(model, dac=_at_bits(model.dac, phase.input_bits), adc=adc), layout, full=full)
    shares = _shares(tile, where)
    unsigned = layout.signs != "pair" and not shares.signed
    phases = mode.each if mode.inputs_split else mode.each[:1]
    converters = tuple(
        _adc(model, layout, tile, phase.output_bits, levels, unsigned=unsigned)
        for phase, levels in zip(phases, shares.levels, strict=True)
    )
    return ReadScheme(model, layout, shares, converters, full)


def _bounded(model: CrossbarParameters, tile: Tile, where: str) -> CrossbarParameters:
    """With the bound of outputs that the read mode states, if it states one."""
    bound = tile.mode.output_bound
    if bound is None:
        return model
    if tile.adc.range == "full" or math.isinf(model.adc.bound):
        raise UnsupportedError("is stated, where the ADC holds every sum", file=where,
                               field=f"tile.read_modes.{tile.read_mode}.output_bound", value=bound.value,
                               remedy="leave it out, or take a crossbar model with a bound")  # fmt: skip
    return replace(model, adc=replace(model.adc, bound=bound.value))


def _in_turn(model: CrossbarParameters, layout: Layout, phases: int, field: str, where: str) -> CrossbarParameters:
    """With phases in which whole inputs, and weights, of one sign are read."""
    if model.perfect:
        return model
    if phases not in _SIGNS:
        raise UnsupportedError("are neither the signs of inputs (2) nor those of inputs and weights (4)", file=where,
                               field=field, value=phases)  # fmt: skip
    if phases == 4 and layout.signs != "pair":
        raise UnsupportedError("read the signs of weights in turn, which lie on lines of their own", file=where,
                               field=field, value=phases, remedy="two phases")  # fmt: skip
    return replace(model, sign_handling=_SIGNS[phases])


def _shares(tile: Tile, where: str) -> InputShares:
    mode = tile.mode
    bits = [phase.input_bits for phase in (mode.each if mode.inputs_split else mode.each[:1])]
    whole = int(mode.input_bits.value)
    apart = sum(bits) == whole - 1  # shares of magnitudes
    if sum(bits) < whole - 1 or (apart and mode.twos_complement):
        raise UnsupportedError(f"applies {sum(bits)} of {whole} bits", file=where,
                               field=f"tile.read_modes.{tile.read_mode}.shares",
                               remedy="shares of all bits, or of all but the sign")  # fmt: skip
    if bits[0] < _LEAST_BITS and not (mode.twos_complement or apart):
        raise UnsupportedError("leaves the sign alone in its first phase", file=where,
                               field=f"tile.read_modes.{tile.read_mode}.phases", value=len(bits),
                               remedy="fewer phases, or `twos_complement: true`")  # fmt: skip
    return InputShares(tuple(bits), mode.twos_complement, apart)


def _adc(model: CrossbarParameters, layout: Layout, tile: Tile, bits: int, levels: int, *, unsigned: bool) -> Converter:
    """``levels`` are the counts of the largest input."""
    if tile.adc.range == "full":
        return full_range(layout, tile.inputs, levels, bits, unsigned=unsigned)
    return _at_bits(model.adc, bits, unsigned=unsigned)


def _at_bits(converter: Converter, bits: int, *, unsigned: bool = False) -> Converter:
    return Converter.of_bits(bits, converter.bound, unsigned=unsigned) if math.isfinite(converter.bound) else converter

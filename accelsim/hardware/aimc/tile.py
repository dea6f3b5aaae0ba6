"""One analog tile: an array of devices between converters, how it is read, programmed and recalibrated."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from accelsim.documents import Authored, Count, NonNegative, Positive, Share
from accelsim.hardware.aimc.cells import WeightCells
from accelsim.hardware.aimc.parts import Lines, LineUse, MeanValues, Part, PartName, Supply, Times
from accelsim.hardware.aimc.reading import Conversion, ReadMode
from accelsim.hardware.digital import Derivable

__all__ = ["Adc", "Crossbar", "Dac", "Programming", "Recalibration", "Tile", "TileDigital"]

_S_PER_US, _PJ_PER_J = 1e-6, 1e12


class Dac(Authored):
    """What drives an input line: ``energy_pj`` of one line in one phase, leakage and area of one line.

    With ``conducts`` current flows for as long as it drives, so its energy also goes with time (see `Supply`).
    """

    energy_pj: NonNegative
    conducts: bool = False
    leakage_w: NonNegative | None = None
    area_um2: NonNegative | None = None


class Crossbar(Authored):
    """The devices of a tile.

    A cell conducts for ``mean_input`` of the integration at ``mean_conductance_us``, means over weights and inputs;
    or takes ``read_energy_pj`` as often as ``read_times`` says. It leaks ``leakage_w`` always. ``device`` and
    ``model`` name what `accelsim.numerics.analog` computes with, for emulation; ``mean_passes`` is how often a vector
    is applied where outputs that clip are read again (bound management).
    """

    device: str
    model: str
    read_voltage_v: Positive | None = None
    mean_conductance_us: Positive | None = None
    mean_input: Share | None = None
    read_energy_pj: NonNegative | None = None
    read_times: Times = "phase"
    leakage_w: NonNegative | None = None
    mean_passes: Positive
    cell_area_um2: Positive

    @model_validator(mode="after")
    def _one_reading(self) -> Crossbar:
        stated = [each is not None for each in (self.read_voltage_v, self.mean_conductance_us, self.mean_input)]
        if all(stated) == (self.read_energy_pj is not None) or any(stated) != all(stated):
            raise ValueError("does not say once what reading a cell takes|state read_voltage_v, "
                             "mean_conductance_us and mean_input, or read_energy_pj")  # fmt: skip
        return self


class Adc(Authored):
    """Converters of a tile's outputs; each serves an equal share of the columns, one after the other.

    With ``overlapped`` (sample and hold) the next phase integrates while this one is converted. ``energy_pj`` is that
    of one conversion, ``energy_pj_per_step`` what each of its steps adds; both follow from ``technology`` if left out.
    ``range`` is what values see: that of the crossbar's model, or the ``full`` one of all rows at their largest, in
    steps that are no finer than a level of a cell times one of an input.
    """

    per_tile: Count
    conversion: Conversion
    overlapped: bool
    range: Literal["model", "full"] = "model"
    energy_pj: Derivable
    energy_pj_per_step: NonNegative | None = None
    leakage_w: NonNegative | None = None
    area_um2: Derivable


class TileDigital(Authored):
    """Digital work beside a tile: adding a partial sum, and scale and offset of an output."""

    energy_pj_per_add: NonNegative
    energy_pj_per_affine: NonNegative
    affine_s: NonNegative


class Programming(Authored):
    """Writing a tile. Where tiles are ``time_multiplexed``, a workload larger than the chip is written in rounds."""

    time_s_per_tile: NonNegative
    energy_pj_per_device: NonNegative
    time_multiplexed: bool


class Recalibration(Authored):
    """Reading a tile's drift anew every ``interval_s``: ``reads`` products a tile that compute nothing."""

    interval_s: Positive
    reads: Count


class Tile(Authored):
    """``rows`` input lines by ``columns`` output lines of cells, of which a weight takes a block.

    ``row_cells_per_weight`` by ``column_cells_per_weight`` cells hold a weight (pairs on two lines, bit slices), each
    of ``devices_per_cell`` devices; ``weight`` says how it lies on several. ``control_pj`` is spent on each phase
    whatever its size, ``overhead_s`` on each product. ``standby_w`` is what a tile that holds weights takes while it
    does not read. ``parts`` are further circuits; ``supply`` sets a voltage other than that of the constants. Where
    tiles are short, a weight may take one part in ``pages`` of its column cells, whose currents are joined; so many
    matrices then have the same lines, and one of them is read at a time.
    """

    rows: Count
    columns: Count
    row_cells_per_weight: Count
    column_cells_per_weight: Count
    devices_per_cell: Count
    weight: WeightCells | None = None
    pages: Count | None = None
    read_mode: str
    read_modes: dict[str, ReadMode] = Field(min_length=1)
    integration: Conversion
    overhead_s: NonNegative
    control_pj: NonNegative
    dac: Dac
    crossbar: Crossbar
    adc: Adc
    parts: dict[PartName, Part] = Field(default={})
    mean_values: MeanValues | None = None
    supply: Supply | None = None
    digital: TileDigital
    standby_w: NonNegative
    buffer_bytes: Positive
    buffer_energy_pj_per_byte: Derivable
    buffer_area_mm2: NonNegative | None = None
    other_area_mm2: NonNegative
    programming: Programming
    recalibration: Recalibration | None = None

    @model_validator(mode="after")
    def _means_stated(self) -> Tile:
        following = [name for name, part in self.parts.items() if part.follows is not None]
        if following and self.mean_values is None:
            raise ValueError(f"has parts that follow values ({', '.join(following)})|state mean_values")
        return self

    @model_validator(mode="after")
    def _weight_fits(self) -> Tile:
        if self.weight is not None:
            self.weight.check(int(self.row_cells_per_weight.value), int(self.column_cells_per_weight.value))
        return self

    @model_validator(mode="after")
    def _pages_fit(self) -> Tile:
        if self.page_count > 1 and not (self.weight is not None and self.weight.joined):
            raise ValueError("has pages, and columns that are converted each|only with `weight: {joined: true}`")
        if self.column_cells_per_weight.value % self.page_count:
            raise ValueError(f"cannot share its column cells among {self.page_count} pages|a divisor of them")
        return self

    @property
    def page_count(self) -> int:
        """Matrices that may have the same lines."""
        return int(self.pages.value) if self.pages is not None else 1

    @property
    def paged(self) -> Tile:
        """With weights in their part of the cells: what one page is."""
        cells = self.column_cells_per_weight.model_copy(
            update={"value": self.column_cells_per_weight.value / self.page_count}
        )
        return self.model_copy(update={"column_cells_per_weight": cells})

    @property
    def inputs(self) -> int:
        """Rows of weights that a tile holds."""
        return int(self.rows.value // self.row_cells_per_weight.value)

    @property
    def outputs(self) -> int:
        """Columns of weights that a tile holds."""
        return int(self.columns.value // self.column_cells_per_weight.value)

    @property
    def mode(self) -> ReadMode:
        """How it is read now."""
        return self.read_modes[self.read_mode]

    @property
    def device_count(self) -> int:
        return int(self.rows.value * self.columns.value * self.devices_per_cell.value)

    @property
    def converted_columns(self) -> int:
        """Columns of a weight that are converted each."""
        return 1 if self.weight is not None and self.weight.joined else int(self.column_cells_per_weight.value)

    def conversions(self, outputs: int) -> int:
        """Conversions of one ADC, one after the other, for ``outputs`` columns of weights in one phase."""
        return math.ceil(outputs * self.converted_columns / self.adc.per_tile.value)

    def interval_s(self, outputs: int) -> float:
        """Time from one product to the next."""
        return self._time_scale * self._phases_s(self.conversions(outputs)) + self.overhead_s.value

    @property
    def least_interval_s(self) -> float:
        """What no full product falls below: as `interval_s`, columns shared out among the ADCs without a remainder."""
        shared = self.outputs * self.converted_columns / self.adc.per_tile.value
        return self._time_scale * self._phases_s(shared) + self.overhead_s.value

    def latency_s(self, outputs: int) -> float:
        """Time from the inputs of a product to its digital outputs, scaled."""
        first, last = self.mode.each[0], self.mode.each[-1]
        total = self.interval_s(outputs) + self.digital.affine_s.value
        if not self.adc.overlapped:
            return total
        # In the interval each phase counts once, by the slower of its two halves; a product waits for both.
        fill = self.integration.seconds(first.input_bits)
        drain = self.conversions(outputs) * self.adc.conversion.seconds(last.output_bits)
        return total + self._time_scale * min(fill, drain)

    @property
    def _time_scale(self) -> float:
        return self.supply.time_scale if self.supply is not None else 1.0

    def _phases_s(self, conversions: float) -> float:
        times = (
            (self.integration.seconds(each.input_bits), conversions * self.adc.conversion.seconds(each.output_bits))
            for each in self.mode.each
        )
        return sum(max(pair) if self.adc.overlapped else sum(pair) for pair in times)

    def product_pj(self, use: LineUse) -> dict[str, float]:
        """Picojoules of one product by component, parts by their names; lines that are not in use are off."""
        phases, steps, lines = self.mode.each, self.adc.energy_pj_per_step, self.lines(use)
        converted = sum(
            self.adc.energy_pj.value + (steps.value * self.adc.conversion.count(each.output_bits) if steps else 0.0)
            for each in phases
        )
        columns, times = use.columns * self.converted_columns, self.times
        adds = columns * len(phases) - use.outputs
        found = {
            "crossbar": lines.cells * self._cell_pj(times),
            "dac": lines.rows * len(phases) * self.dac.energy_pj.value,
            "adc": columns * converted,
            "control": use.tiles * len(phases) * self.control_pj.value,
            "digital": adds * self.digital.energy_pj_per_add.value
            + use.outputs * self.digital.energy_pj_per_affine.value,
        } | {name: part.product_pj(lines, times, self.mean_values) for name, part in self.parts.items()}
        if self.supply is None:
            return found
        circuits: dict[str, Dac | Part] = {"dac": self.dac, **self.parts}
        conduct = {name for name, circuit in circuits.items() if circuit.conducts}
        switched, driven = self.supply.energy_scale, self.supply.energy_scale * self.supply.time_scale
        return {name: (driven if name in conduct else switched) * value for name, value in found.items()}

    def lines(self, use: LineUse) -> Lines:
        """The lines and cells that a product works on; an output of a block is one of each column of weights."""
        rows, columns = self.row_cells_per_weight.value, self.column_cells_per_weight.value
        cells = use.weights * rows * columns
        return Lines(use.rows * rows, use.columns * columns, cells, use.weights, use.columns, use.tiles)

    @property
    def times(self) -> dict[Times, int]:
        """How often each kind of step comes in one product."""
        phases = self.mode.each
        return {
            "product": 1,
            "phase": len(phases),
            "input_bit": sum(each.input_bits for each in phases),
            "integration_step": sum(self.integration.count(each.input_bits) for each in phases),
            "conversion_step": sum(self.adc.conversion.count(each.output_bits) for each in phases),
        }

    @property
    def leaking_w(self) -> dict[str, float]:
        """Watts that a tile leaks whatever it does, by component."""
        lines = self.lines(self.full_use)
        circuits = {
            "crossbar": (self.rows.value * self.columns.value, self.crossbar.leakage_w),
            "dac": (self.rows.value, self.dac.leakage_w),
            "adc": (self.adc.per_tile.value, self.adc.leakage_w),
        } | {name: (part.in_tile(lines), part.leakage_w) for name, part in self.parts.items()}
        found = {name: count * each.value for name, (count, each) in circuits.items() if each is not None}
        ratio = self.supply.ratio if self.supply is not None else 1.0
        return {name: ratio * value for name, value in found.items()}

    def _cell_pj(self, times: dict[Times, int]) -> float:
        """Of one cell in a product: as stated, or V^2 G t for the share of time in which its input is on."""
        crossbar = self.crossbar
        if crossbar.read_energy_pj is not None:
            return times[crossbar.read_times] * crossbar.read_energy_pj.value
        volt, microsiemens, share = crossbar.read_voltage_v, crossbar.mean_conductance_us, crossbar.mean_input
        assert volt is not None
        assert microsiemens is not None
        assert share is not None
        seconds = sum(self.integration.seconds(each.input_bits) for each in self.mode.each)
        return volt.value**2 * microsiemens.value * _S_PER_US * seconds * share.value * _PJ_PER_J

    @property
    def full_use(self) -> LineUse:
        """A product of a full tile."""
        return LineUse(self.inputs, self.outputs, self.inputs * self.outputs, self.outputs, 1)

    def adc_rate_hz(self) -> float:
        """Conversions a second of one ADC at work."""
        bits = self.mode.each[0]
        seconds = self.adc.conversion.seconds(bits.output_bits)
        return 1.0 / (self._time_scale * (seconds if seconds > 0 else self.integration.seconds(bits.input_bits)))

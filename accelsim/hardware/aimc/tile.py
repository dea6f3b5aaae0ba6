"""One analog tile: an array of devices between converters, how it is read, programmed and recalibrated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from accelsim.documents import Authored, Constant, Count, NonNegative, Positive, Share
from accelsim.hardware.digital import Derivable

__all__ = [
    "Adc", "Conversion", "Crossbar", "Dac", "LineUse", "Programming", "ReadMode", "ReadPhase", "Recalibration", "Tile",
    "TileDigital",
]  # fmt: skip

_MOST_BITS = 16
_S_PER_US, _PJ_PER_J = 1e-6, 1e12


def _bits(constant: Constant) -> Constant:
    if max(end for end in (constant.value, constant.high) if end is not None) > _MOST_BITS:
        raise ValueError(f"must be 1 to {_MOST_BITS}")
    return constant


Bits = Annotated[Count, AfterValidator(_bits)]


@dataclass(frozen=True, slots=True)
class LineUse:
    """What one product uses: rows and columns of weights driven and converted, weights, outputs and tiles."""

    rows: float
    columns: float
    weights: float
    outputs: float
    tiles: float


class Conversion(Authored):
    """How long a converter takes: ``fixed_s``, and ``step_s`` for each of its steps.

    Steps are none, one a bit (successive approximation, one pulse a bit plane), or one a level of a magnitude
    (pulse widths, ramps): 2^(bits - 1).
    """

    steps: Literal["none", "bits", "levels"]
    fixed_s: NonNegative
    step_s: NonNegative

    def count(self, bits: int) -> int:
        """Steps of a value of ``bits`` bits with its sign."""
        return {"none": 0, "bits": bits, "levels": 1 << (bits - 1)}[self.steps]

    def seconds(self, bits: int) -> float:
        """Time of a value of ``bits`` bits."""
        return self.fixed_s.value + self.step_s.value * self.count(bits)


@dataclass(frozen=True, slots=True)
class ReadPhase:
    """One integration, and what it is converted at."""

    input_bits: int
    output_bits: int


class ReadMode(Authored):
    """How a tile multiplies one vector: ``phases`` integrations, each converted, added up digitally.

    With ``inputs_split`` each phase applies its share of the input bits, else all of them (as where signs take turns).
    A share is converted at one bit more than the outputs have beyond the inputs, or at ``phase_output_bits``.
    """

    input_bits: Bits
    output_bits: Bits
    phases: Bits | None = None
    inputs_split: bool = False
    phase_output_bits: Bits | None = None

    @model_validator(mode="after")
    def _shares(self) -> ReadMode:
        if self.inputs_split and self.n_phases > self.input_bits.value:
            raise ValueError(f"has {self.n_phases} phases for {self.input_bits.value:g} input bits|a phase takes a bit")
        return self

    @property
    def n_phases(self) -> int:
        """Integrations of one product."""
        return int(self.phases.value) if self.phases else 1

    @property
    def each(self) -> tuple[ReadPhase, ...]:
        """The phases in order, the most significant share first."""
        bits, count = int(self.input_bits.value), self.n_phases
        if not self.inputs_split:
            whole = int((self.phase_output_bits or self.output_bits).value)
            return (ReadPhase(bits, whole),) * count
        shares = [(bits + rank) // count for rank in reversed(range(count))]
        return tuple(ReadPhase(share, self._converted(share)) for share in shares)

    def _converted(self, share: int) -> int:
        if self.phase_output_bits is not None:
            return int(self.phase_output_bits.value)
        grown = share + int(self.output_bits.value - self.input_bits.value) + (self.n_phases > 1)
        return min(max(grown, 1), _MOST_BITS)


class Dac(Authored):
    """What drives an input line; ``energy_pj`` is that of one line in one phase."""

    energy_pj: NonNegative


class Crossbar(Authored):
    """The devices of a tile.

    A cell conducts for ``mean_input`` of the integration at ``mean_conductance_us``: means over weights and inputs.
    ``device`` and ``model`` name what `accelsim.numerics.analog` computes with, for emulation; ``mean_passes`` is how
    often a vector is applied where outputs that clip are read again (bound management).
    """

    device: str
    model: str
    read_voltage_v: Positive
    mean_conductance_us: Positive
    mean_input: Share
    mean_passes: Positive
    cell_area_um2: Positive


class Adc(Authored):
    """Converters of a tile's outputs; each serves an equal share of the columns, one after the other.

    With ``overlapped`` (sample and hold) the next phase integrates while this one is converted. ``energy_pj`` is that
    of one conversion, ``energy_pj_per_step`` what each of its steps adds; both follow from ``technology`` if left out.
    """

    per_tile: Count
    conversion: Conversion
    overlapped: bool
    energy_pj: Derivable
    energy_pj_per_step: NonNegative | None = None
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
    of ``devices_per_cell`` devices. ``control_pj`` is spent on each phase whatever its size, ``overhead_s`` on each
    product. ``standby_w`` is what a tile that holds weights takes while it does not read.
    """

    rows: Count
    columns: Count
    row_cells_per_weight: Count
    column_cells_per_weight: Count
    devices_per_cell: Count
    read_mode: str
    read_modes: dict[str, ReadMode] = Field(min_length=1)
    integration: Conversion
    overhead_s: NonNegative
    control_pj: NonNegative
    dac: Dac
    crossbar: Crossbar
    adc: Adc
    digital: TileDigital
    standby_w: NonNegative
    buffer_bytes: Positive
    buffer_energy_pj_per_byte: Derivable
    other_area_mm2: NonNegative
    programming: Programming
    recalibration: Recalibration | None = None

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

    def conversions(self, outputs: int) -> int:
        """Conversions of one ADC, one after the other, for ``outputs`` columns of weights in one phase."""
        return math.ceil(outputs * self.column_cells_per_weight.value / self.adc.per_tile.value)

    def interval_s(self, outputs: int) -> float:
        """Time from one product to the next."""
        return self._phases_s(self.conversions(outputs), self.adc.overlapped) + self.overhead_s.value

    @property
    def least_interval_s(self) -> float:
        """What no full product falls below: as `interval_s`, columns shared out among the ADCs without a remainder."""
        shared = self.outputs * self.column_cells_per_weight.value / self.adc.per_tile.value
        return self._phases_s(shared, self.adc.overlapped) + self.overhead_s.value

    def latency_s(self, outputs: int) -> float:
        """Time from the inputs of a product to its digital outputs, scaled."""
        first, last = self.mode.each[0], self.mode.each[-1]
        total = self.interval_s(outputs) + self.digital.affine_s.value
        if not self.adc.overlapped:
            return total
        # In the interval each phase counts once, by the slower of its two halves; a product waits for both.
        fill = self.integration.seconds(first.input_bits)
        drain = self.conversions(outputs) * self.adc.conversion.seconds(last.output_bits)
        return total + min(fill, drain)

    def _phases_s(self, conversions: float, overlapped: bool) -> float:
        times = (
            (self.integration.seconds(each.input_bits), conversions * self.adc.conversion.seconds(each.output_bits))
            for each in self.mode.each
        )
        return sum(max(pair) if overlapped else sum(pair) for pair in times)

    def product_pj(self, use: LineUse) -> dict[str, float]:
        """Picojoules of one product by component; lines that are not in use are off."""
        phases, steps = self.mode.each, self.adc.energy_pj_per_step
        converted = sum(
            self.adc.energy_pj.value + (steps.value * self.adc.conversion.count(each.output_bits) if steps else 0.0)
            for each in phases
        )
        columns = use.columns * self.column_cells_per_weight.value
        cells = use.weights * self.row_cells_per_weight.value * self.column_cells_per_weight.value
        adds = columns * len(phases) - use.outputs
        return {
            "crossbar": cells * sum(self._cell_pj(each.input_bits) for each in phases),
            "dac": use.rows * self.row_cells_per_weight.value * len(phases) * self.dac.energy_pj.value,
            "adc": columns * converted,
            "control": use.tiles * len(phases) * self.control_pj.value,
            "digital": adds * self.digital.energy_pj_per_add.value
            + use.outputs * self.digital.energy_pj_per_affine.value,
        }

    def _cell_pj(self, input_bits: int) -> float:
        """V^2 G t of one cell for the share of the integration in which its input is on."""
        crossbar = self.crossbar
        watts = crossbar.read_voltage_v.value**2 * crossbar.mean_conductance_us.value * _S_PER_US
        return watts * self.integration.seconds(input_bits) * crossbar.mean_input.value * _PJ_PER_J

    @property
    def full_use(self) -> LineUse:
        """A product of a full tile."""
        return LineUse(self.inputs, self.outputs, self.inputs * self.outputs, self.outputs, 1)

    def adc_rate_hz(self) -> float:
        """Conversions a second of one ADC at work."""
        bits = self.mode.each[0]
        seconds = self.adc.conversion.seconds(bits.output_bits)
        return 1.0 / (seconds if seconds > 0 else self.integration.seconds(bits.input_bits))

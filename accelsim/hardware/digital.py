"""The `digital` kind: cores with matrix arrays, vector units and scratchpads, an on-chip network, DRAM and a host.

Every number is a `Constant` with an owner. Cycles count in the clock domain that a component names.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from accelsim.documents import Authored, Constant, Count, NonNegative, Positive, Share
from accelsim.errors import InputError, UnknownNameError, UnsupportedError, closest
from accelsim.hardware.description import Description
from accelsim.hardware.technology.tables import DramType
from accelsim.numerics import FORMATS, shortest_name

__all__ = ["DATAFLOWS", "UNSTATED", "DigitalArchitecture", "MatrixUnit", "whole"]

Dataflow = Literal["weight_stationary", "output_stationary", "input_stationary"]
DATAFLOWS: tuple[Dataflow, ...] = ("weight_stationary", "output_stationary", "input_stationary")


def _known_format(name: str) -> str:
    try:
        listed = shortest_name(name)
    except UnknownNameError:
        near = closest(name, FORMATS)
        raise ValueError(
            f"is not a known format|{f'did you mean {near!r}?' if near else 'see `accelsim list formats`'}"
        ) from None
    except InputError as error:
        raise ValueError(f"{error.rule}|{error.remedy}" if error.remedy else error.rule) from None
    if listed != name:
        raise ValueError(f"is the format {listed}|write {listed}")
    return name


def _path_part(name: str) -> str:
    if not name or "." in name:
        raise ValueError("must be a name without dots|dots separate the parts of a parameter's path")
    return name


def _within(low: float, high: float) -> AfterValidator:
    """Refuses a constant of which the value or an end of the range is below ``low`` or above ``high``."""

    def check(constant: Constant) -> Constant:
        ends = [end for end in (constant.value, constant.low, constant.high) if end is not None]
        if not all(low <= end <= high for end in ends):
            raise ValueError(f"must be from {low:,g} to {high:,g}")
        return constant

    return AfterValidator(check)


FormatName = Annotated[str, AfterValidator(_known_format)]
ClockName = Annotated[str, AfterValidator(_path_part)]
Parts = Annotated[Count, _within(1, 100_000)]
"""How many of something are on a chip, or along one side of an array."""
Voltage = Annotated[Positive, _within(0.01, 100)]
UNSTATED = Constant.model_construct(value=math.nan, source="not stated", low=None, high=None, why=None)
"""Stands for a `Derivable` constant that was left out, until `derive.completed` supplies it or refuses. No number."""
Derivable = Annotated[NonNegative, Field(default_factory=lambda: UNSTATED)]
"""What an architecture may leave out if it states ``technology``, whose model then supplies it with a range."""
MAX_MACS_PER_CYCLE = 10**12
"""Of all arrays together: counts of MACs stay exact in 64 bits."""
_CLOCKED = ("array", "vector", "scratchpad", "interconnect", "dma")


def whole(number: float) -> int:
    """A count as an integer; a column of them, one a design, as it is."""
    return number if isinstance(number, np.ndarray) else int(number)


class Clock(Authored):
    """A clock domain, where it runs now, and the voltage at which the energies of its components are stated."""

    clock_hz: Positive
    voltage_v: Voltage | None = None
    nominal_clock_hz: Positive | None = None
    nominal_voltage_v: Voltage | None = None

    @model_validator(mode="after")
    def _both_voltages(self) -> Clock:
        if (self.voltage_v is None) != (self.nominal_voltage_v is None):
            raise ValueError("states only one of voltage_v and nominal_voltage_v|energies scale with their ratio")
        return self

    @property
    def dynamic_energy_scale(self) -> float:
        """Switching energy relative to the nominal voltage: C V^2."""
        if self.voltage_v is None or self.nominal_voltage_v is None:
            return 1.0
        return (self.voltage_v.value / self.nominal_voltage_v.value) ** 2

    @property
    def leakage_scale(self) -> float:
        """Leakage power relative to the nominal voltage, to first order (a current times V)."""
        return math.sqrt(self.dynamic_energy_scale)


class MatrixUnit(Authored):
    """What one processing element does in one cycle with one format: a (reduction x column) block of MACs."""

    reduction_per_pe: Parts
    columns_per_pe: Parts
    energy_pj_per_mac: Derivable
    accumulator: FormatName = "fp32"

    @property
    def macs_per_pe(self) -> int:
        return int(self.reduction_per_pe.value * self.columns_per_pe.value)


class MatrixArray(Authored):
    """A systolic or broadcast array of processing elements, ``per_core`` of them in each core.

    ``fill_drain`` says whether the pipeline is filled and drained for every fold (``per_fold``, as SCALE-Sim
    counts) or only once a tile, with the next operands loaded behind the running ones (``overlapped``). With
    ``whole_weight_tiles`` weights are stored, and fetched, as whole tiles of the array, edges padded. Where weights
    pass through a FIFO of their own, no more than ``weight_fifo_bytes`` of them are loaded ahead.
    """

    rows: Parts
    columns: Parts
    per_core: Parts
    dataflows: tuple[Dataflow, ...] = Field(min_length=1)
    fill_drain: Literal["per_fold", "overlapped"]
    accumulator_bytes: NonNegative
    whole_weight_tiles: bool = False
    weight_fifo_bytes: Positive | None = None
    units: dict[FormatName, MatrixUnit] = Field(min_length=1)
    clock: str = "core"


class VectorUnit(Authored):
    """Lanes for everything that is not matrix work; ``simple`` is an add or compare, ``special`` an exp or division."""

    lanes: Parts
    format: FormatName
    cycles_simple: Positive
    cycles_special: Positive
    energy_pj_simple: Derivable
    energy_pj_special: Derivable
    clock: str = "core"


class Scratchpad(Authored):
    """The software-managed memory of one core. ``ports`` = 1: transfers and compute share its bandwidth."""

    capacity_bytes: Positive
    bandwidth_bytes_per_cycle: Positive
    ports: Parts
    read_energy_pj_per_byte: Derivable
    write_energy_pj_per_byte: Derivable
    clock: str = "core"


class Interconnect(Authored):
    """The on-chip network between cores; bandwidth is that of one link in one direction."""

    topology: Literal["ring", "mesh", "crossbar"]
    bandwidth_bytes_per_cycle: Positive
    hop_latency_cycles: NonNegative
    energy_pj_per_byte_hop: Derivable
    clock: str = "core"

    @property
    def links_per_core(self) -> int:
        """Links over which one core can receive at the same time."""
        return {"ring": 2, "mesh": 4, "crossbar": 1}[self.topology]

    def mean_hops(self, cores: int) -> float:
        """Mean distance between two different cores: c/4 on a ring, 2/3 sqrt(c) on a mesh, 1 through a crossbar."""
        if cores <= 1:
            return 0.0
        return {"ring": max(1.0, cores / 4), "mesh": max(1.0, 2 / 3 * math.sqrt(cores)), "crossbar": 1.0}[self.topology]


class Dram(Authored):
    """Off-chip memory; ``bandwidth_bytes_per_s`` is the peak of all channels, ``efficiency`` the part that streams get.

    A transfer moves whole bursts on every channel it touches. ``type`` says what stands there; energy by type and the
    area of the PHYs follow from it where ``technology`` is stated.
    """

    type: DramType | None = None
    channels: Parts
    bandwidth_bytes_per_s: Positive
    efficiency: Share
    latency_s: NonNegative
    burst_bytes: Count
    capacity_bytes: Positive
    energy_pj_per_byte: Derivable


class Memory(Authored):
    """Memory levels outside the cores."""

    dram: Dram


class Dma(Authored):
    """Engines that move data between DRAM and one core's scratchpad."""

    engines: Parts
    bandwidth_bytes_per_cycle: Positive
    clock: str = "core"


class HostLink(Authored):
    """The link to the host, and what one round trip costs."""

    bandwidth_bytes_per_s: Positive
    latency_s: NonNegative
    energy_pj_per_byte: Derivable


class DigitalArchitecture(Description):
    """A digital accelerator.

    With ``technology`` the model of that name predicts the area by component and supplies the energies and the leakage
    that are left out; without it every constant must be stated. Above ``power_limit_w`` (average of a run) the clocks
    on the chip are throttled.
    """

    kind: Literal["digital"]
    technology: Literal["published"] | None = None
    node_nm: Positive
    cores: Parts
    clocks: dict[ClockName, Clock] = Field(min_length=1)
    array: MatrixArray
    vector: VectorUnit
    scratchpad: Scratchpad
    interconnect: Interconnect
    memory: Memory
    dma: Dma
    host: HostLink
    op_overhead_cycles: NonNegative
    leakage_w: Derivable
    power_limit_w: Positive | None = None
    area_mm2: Positive | None = None

    def clock_hz(self, component: str) -> float:
        """Frequency of the domain that a component (``array``, ``vector``, ...) runs in."""
        return self.clock_of(component).clock_hz.value

    def clock_of(self, component: str) -> Clock:
        """The clock domain of a component."""
        return self.clocks[getattr(self, component).clock]

    @property
    def n_cores(self) -> int:
        return int(self.cores.value)

    @property
    def default_precision(self) -> str:
        """The first format that the arrays list."""
        return next(iter(self.array.units))

    @property
    def value_format(self) -> str:
        """The format of the vector units."""
        return self.vector.format

    def check_rules(self, file: object) -> None:
        """Every clock that a component names exists, and counts of MACs stay exact."""
        for component in _CLOCKED:
            clock = getattr(self, component).clock
            if clock not in self.clocks:
                raise UnknownNameError("clock", clock, self.clocks, file=file, field=f"{component}.clock")
        for name in self.array.units:
            macs = self.macs_per_cycle(name)
            if macs > MAX_MACS_PER_CYCLE:
                raise InputError(
                    f"makes {macs:.3g} MACs a cycle of all cores together, above the limit of {MAX_MACS_PER_CYCLE:.0e}",
                    file=file, field=f"array.units.{name}", remedy="lower rows, columns, per_core or cores",
                )  # fmt: skip

    def completed(self, file: object) -> tuple[DigitalArchitecture, frozenset[str]]:
        """With what ``technology`` supplies; see `derive.completed`."""
        from accelsim.hardware import derive  # which knows this kind

        return derive.completed(self, file)

    def unit(self, format_name: str, *, op: str) -> MatrixUnit:
        """The matrix unit for a format; `UnsupportedError` where the arrays have none."""
        try:
            return self.array.units[format_name]
        except KeyError:
            raise UnsupportedError(
                "has no matrix unit on this architecture",
                file=f"architecture {self.name}",
                field=f"precision of {op}",
                value=format_name,
                remedy=f"its arrays compute {', '.join(self.array.units)}",
            ) from None

    def macs_per_cycle(self, format_name: str) -> int:
        """Multiply-accumulates a cycle of all arrays of all cores."""
        array = self.array
        pes = whole(array.rows.value * array.columns.value * array.per_core.value) * self.n_cores
        return pes * self.unit(format_name, op="peak").macs_per_pe

    def peak_ops_per_s(self, format_name: str) -> float:
        """Peak operations a second (two a MAC) at the current clock."""
        return 2.0 * self.macs_per_cycle(format_name) * self.clock_hz("array")

    def peak_ops_per_joule(self, format_name: str) -> float:
        """Peak efficiency at the nominal clock and voltage: every MAC busy, plus leakage."""
        clock = self.clock_of("array")
        nominal = (clock.nominal_clock_hz or clock.clock_hz).value
        macs_per_s = self.macs_per_cycle(format_name) * nominal
        watts = macs_per_s * self.unit(format_name, op="peak").energy_pj_per_mac.value * 1e-12 + self.leakage_w.value
        return 2.0 * macs_per_s / watts if watts else float("inf")

    def peaks(self) -> dict[str, dict[str, float]]:
        """Operations a second and a joule, and MACs a cycle, by format."""
        return {
            name: {
                "ops_per_s": self.peak_ops_per_s(name),
                "ops_per_joule": self.peak_ops_per_joule(name),
                "macs_per_cycle": self.macs_per_cycle(name),
            }
            for name in self.array.units
        }

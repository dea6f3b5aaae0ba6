"""Further circuits of a tile, as many as its description names, and the supply that energies and times follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Literal

from pydantic import AfterValidator, StringConstraints, model_validator

from accelsim.documents import Authored, Count, NonNegative, Positive, Share

__all__ = ["OWN_COMPONENTS", "Follows", "LineUse", "Lines", "MeanValues", "Part", "PartName", "Per", "Supply", "Times"]

OWN_COMPONENTS = (
    "crossbar", "dac", "adc", "control", "digital", "cores", "buffer", "network", "off_chip", "programming",
)  # fmt: skip
"""Components that every analog architecture has, in the order of reports; parts stand beside them."""
_RESERVED = (*OWN_COMPONENTS, "leakage", "tile")

Per = Literal["row", "column", "cell", "weight", "output", "tile"]
"""What a circuit acts on: input lines, output lines, cells where they cross, weights, sums of a block, blocks."""
Times = Literal["product", "phase", "input_bit", "integration_step", "conversion_step"]
"""How often in one product: once, in each integration, for each bit of the inputs, each step of either converter."""

Follows = Literal["input", "weight", "product"]


def _free(name: str) -> str:
    if name in _RESERVED:
        raise ValueError(f"is a component of every tile|name it otherwise than {', '.join(_RESERVED)}")
    return name


PartName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$"), AfterValidator(_free)]


@dataclass(frozen=True, slots=True)
class LineUse:
    """What one product uses: rows and columns of weights driven and converted, weights, outputs and tiles."""

    rows: float
    columns: float
    weights: float
    outputs: float
    tiles: float


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines and cells of a tile that are in use, or that are there."""

    rows: float
    columns: float
    cells: float
    weights: float
    outputs: float
    tiles: float


class MeanValues(Authored):
    """Inputs and weights on average, as shares of their largest; products of the two are taken as independent."""

    input: NonNegative
    weight: NonNegative

    @model_validator(mode="after")
    def _shares(self) -> MeanValues:
        if max(self.input.value, self.weight.value) > 1:
            raise ValueError("is above the largest value|shares are 0 to 1")
        return self

    def of(self, follows: Follows) -> float:
        """The mean of what an energy follows."""
        inputs, weights = self.input.value, self.weight.value
        return {"input": inputs, "weight": weights, "product": inputs * weights}[follows]


class Part(Authored):
    """A kind of circuit in a tile: drivers, samplers, integrators, multipliers, registers, logic.

    Each circuit serves one of what ``per`` says; with ``every_rows`` (of columns only) there is one for every so many
    rows of a column, rounded up. It spends ``energy_pj`` as often in a product as ``times`` says where its line or
    cell is in use, and ``leakage_w`` always. ``energy_pj_full`` is what comes on top where values are at their largest:
    it goes with the mean of what ``follows`` names (`MeanValues`). Where current flows for as long as it works, it
    ``conducts``: its energy then also goes with time (`Supply`). ``area_um2`` is that of one; ``installed`` says how
    many there are in a tile where that is not one of each.
    """

    per: Per
    times: Times
    every_rows: Count | None = None
    energy_pj: NonNegative
    conducts: bool = False
    follows: Follows | None = None
    energy_pj_full: NonNegative | None = None
    leakage_w: NonNegative | None = None
    area_um2: NonNegative
    installed: Count | None = None

    @model_validator(mode="after")
    def _stacked(self) -> Part:
        if self.every_rows is not None and self.per != "column":
            raise ValueError("says every_rows, which is of a column|write per: column, or leave it out")
        return self

    @model_validator(mode="after")
    def _valued(self) -> Part:
        if (self.follows is None) != (self.energy_pj_full is None):
            raise ValueError("states one of follows and energy_pj_full|state both, or none")
        return self

    def count(self, lines: Lines) -> float:
        """Circuits that serve ``lines``."""
        if self.every_rows is not None and lines.columns:
            return lines.columns * ceil(lines.cells / lines.columns / self.every_rows.value)
        served = {"row": lines.rows, "column": lines.columns, "cell": lines.cells, "weight": lines.weights,
                  "output": lines.outputs, "tile": lines.tiles}  # fmt: skip
        return served[self.per]

    def product_pj(self, lines: Lines, times: Mapping[Times, int], means: MeanValues | None = None) -> float:
        """Picojoules of one product on ``lines``."""
        action_pj = self.energy_pj.value
        if self.follows is not None and self.energy_pj_full is not None and means is not None:
            action_pj += means.of(self.follows) * self.energy_pj_full.value
        return self.count(lines) * times[self.times] * action_pj

    def in_tile(self, lines: Lines) -> float:
        """Circuits of a tile with all its ``lines``."""
        return self.installed.value if self.installed is not None else self.count(lines)


class Supply(Authored):
    """The voltage of tiles against the one that their constants were stated at.

    Energies go with ratio^energy_exponent, those of circuits that conduct also with times. Times go with
    ``time_fixed_share`` and the rest with ratio^-time_exponent, leakage power with the ratio (currents stay);
    ratio = volt / nominal_v.
    """

    volt: Positive
    nominal_v: Positive
    energy_exponent: NonNegative
    time_exponent: NonNegative
    time_fixed_share: Share | None = None

    @property
    def ratio(self) -> float:
        return self.volt.value / self.nominal_v.value

    @property
    def energy_scale(self) -> float:
        """Energy of an action over that at the nominal voltage."""
        return float(self.ratio**self.energy_exponent.value)

    @property
    def time_scale(self) -> float:
        """Time of a step over that at the nominal voltage."""
        fixed = self.time_fixed_share.value if self.time_fixed_share is not None else 0.0
        return float(fixed + (1.0 - fixed) * self.ratio**-self.time_exponent.value)

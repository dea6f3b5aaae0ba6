"""Overrides by column: checked like `Architecture.override`, and sorted by what they change.

A *rate* changes how long tasks take, a *price* only what they cost, anything else the *structure*: what a design is
made of, and so which mappings there are. The rules of rates and prices are ranges, so the ends of a column stand for
all of it; designs of one structure share the rest of their description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.hardware.load import Architecture

__all__ = ["BANKED", "Columns", "Overrides", "codes_of"]

Overrides = Mapping[str, Sequence[Any] | NDArray[Any]]

_RATES = re.compile(
    r"clocks\.[^.]+\.clock_hz|scratchpad\.bandwidth_bytes_per_cycle|interconnect\.bandwidth_bytes_per_cycle"
    r"|interconnect\.hop_latency_cycles|memory\.dram\.(bandwidth_bytes_per_s|efficiency|latency_s)"
    r"|dma\.bandwidth_bytes_per_cycle|host\.(bandwidth_bytes_per_s|latency_s)|op_overhead_cycles"
)
_PRICES = re.compile(
    r"array\.units\.[^.]+\.energy_pj_per_mac|vector\.energy_pj_(simple|special)"
    r"|scratchpad\.(read|write)_energy_pj_per_byte|interconnect\.energy_pj_per_byte_hop"
    r"|memory\.dram\.energy_pj_per_byte|host\.energy_pj_per_byte|leakage_w|area_mm2"
)
BANKED = "scratchpad.bandwidth_bytes_per_cycle"
"""The only rate of which a technology's figures are no plain formula: the energies of a scratchpad go by its banks."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of ``designs`` values by dotted path: ``rates`` and ``prices`` (designs,) float64, ``structure`` any."""

    architecture: Architecture
    designs: int
    rates: Mapping[str, NDArray[np.float64]]
    prices: Mapping[str, NDArray[np.float64]]
    structure: Mapping[str, Sequence[Any] | NDArray[Any]]

    @staticmethod
    def of(architecture: Architecture, overrides: Overrides) -> Columns:
        """Check and sort columns.

        Raises:
            InputError: columns of different lengths or none, an unknown path, or a value that breaks its field's rule.
        """
        designs = _designs(overrides)
        kinds: dict[str, dict[str, Any]] = {"rates": {}, "prices": {}, "structure": {}}
        for path, column in overrides.items():
            kind = "rates" if _RATES.fullmatch(path) else "prices" if _PRICES.fullmatch(path) else "structure"
            numbers = np.asarray(column) if kind != "structure" else np.zeros(0)
            if kind == "structure" or numbers.dtype.kind not in "fiu" or numbers.ndim != 1:
                kinds["structure"][path] = column
                continue
            kinds[kind][path] = _checked(architecture, path, numbers.astype(np.float64))
        return Columns(architecture, designs, **kinds)

    def row(self, index: int) -> dict[str, Any]:
        """The overrides of one design."""
        return {path: column[index] for path, column in (*self.structure.items(), *self._numbers.items())}

    def design(self, index: int) -> Architecture:
        """The architecture of one design."""
        return self.architecture.override(self.row(index)) if self.designs else self.architecture

    @property
    def _numbers(self) -> dict[str, NDArray[np.float64]]:
        return {**self.rates, **self.prices}

    def structure_of(self, index: int) -> tuple[tuple[str, str], ...]:
        """What columns say of the structure of one design."""
        return tuple((path, repr(column[index])) for path, column in self.structure.items())

    def structures(self) -> NDArray[np.int64]:
        """(designs,) a number for each structure: 0, 1, ..."""
        return codes_of([_codes(column) for column in self.structure.values()], self.designs)

    def banks(self, designs: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each of ``designs`` a number for each different value of `BANKED`."""
        column = self.rates.get(BANKED)
        return np.zeros(len(designs), np.int64) if column is None else _codes(column[designs])

    def timings(self, structures: NDArray[np.int64]) -> NDArray[np.int64]:
        """(designs,) a number for each structure at its rates: what tells designs apart in time."""
        return codes_of([structures, *(_codes(column) for column in self.rates.values())], self.designs)


def codes_of(columns: Sequence[NDArray[np.int64]], count: int) -> NDArray[np.int64]:
    """(count,) a number for each different row of ``columns`` of numbers 0, 1, ..., dense."""
    codes = np.zeros(count, dtype=np.int64)
    for column in columns:
        width = int(column.max()) + 1 if count else 1
        codes = np.unique(codes * width + column, return_inverse=True)[1]
    return codes


def _codes(column: Sequence[Any] | NDArray[Any]) -> NDArray[np.int64]:
    """(designs,) a number for each different value."""
    if isinstance(column, np.ndarray) and column.dtype.kind in "fiub" and column.ndim == 1:
        return np.unique(column, return_inverse=True)[1]
    known: dict[str, int] = {}
    return np.array([known.setdefault(repr(value), len(known)) for value in column], dtype=np.int64)


def _checked(architecture: Architecture, path: str, column: NDArray[np.float64]) -> NDArray[np.float64]:
    """The column if both of its ends keep the rule of the field; NaN and infinity are refused as any other value."""
    strange = column[~np.isfinite(column)]
    for value in (*strange[:1], *([] if len(strange) or not len(column) else {column.min(), column.max()})):
        architecture.override({path: value})
    return column


def _designs(overrides: Overrides) -> int:
    """How many rows all columns have."""
    lengths = {path: len(column) for path, column in overrides.items()}
    if not lengths:
        raise InputError("must have at least one column", field="overrides", remedy='write such as {"cores": [1, 2]}')
    first = next(iter(lengths))
    for path, length in lengths.items():
        if length != lengths[first]:
            rule = f"has {length} values, {first} has {lengths[first]}"
            raise InputError(rule, field=f"overrides.{path}", remedy="give one value a design")
    return lengths[first]

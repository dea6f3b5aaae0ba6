"""Overrides by column: checked like `Architecture.override`, and sorted by what they change.

A *rate* changes how long tasks take, a *price* only what they cost, anything else the *structure*: what a design is
made of, and so which mappings there are. Of a structure, *sizes* are numbers that formulas take as they are; designs
that differ in rates, prices and sizes only are of one *kind*, and one description with columns stands for all of them.

The rules of rates, prices and sizes are ranges, some of whole numbers, so a few rows stand for all of a column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.hardware.load import Architecture

__all__ = ["Columns", "Overrides", "codes_of"]

Overrides = Mapping[str, Sequence[Any] | NDArray[Any]]

_RATES = re.compile(
    r"clocks\.[^.]+\.clock_hz|scratchpad\.bandwidth_bytes_per_cycle|interconnect\.bandwidth_bytes_per_cycle"
    r"|interconnect\.hop_latency_cycles|memory\.dram\.(bandwidth_bytes_per_s|efficiency|latency_s)"
    r"|dma\.bandwidth_bytes_per_cycle|host\.(bandwidth_bytes_per_s|latency_s)|op_overhead_cycles"
)
_PRICES = re.compile(
    r"array\.units\.[^.]+\.energy_pj_per_mac|vector\.energy_pj_(simple|special)"
    r"|scratchpad\.(read|write)_energy_pj_per_byte|interconnect\.energy_pj_per_byte_hop"
    r"|memory\.dram\.energy_pj_per_byte|host\.energy_pj_per_byte|leakage_w|area_mm2|power_limit_w"
)
_OF_ARRAYS = ("array.rows", "array.columns", "array.per_core")
_SIZES = re.compile(
    r"array\.(rows|columns|per_core|accumulator_bytes|weight_fifo_bytes)|vector\.(lanes|cycles_simple|cycles_special)"
    r"|scratchpad\.capacity_bytes|memory\.dram\.(channels|burst_bytes|capacity_bytes)|dma\.engines"
)
_SORTS = {"rates": _RATES, "prices": _PRICES, "sizes": _SIZES}


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of ``designs`` values by dotted path, as they were ``given`` and by what they change.

    ``rates``, ``prices`` and ``sizes`` are (designs,) float64, ``others`` any.
    """

    architecture: Architecture
    designs: int
    given: Overrides
    rates: Mapping[str, NDArray[np.float64]]
    prices: Mapping[str, NDArray[np.float64]]
    sizes: Mapping[str, NDArray[np.float64]]
    others: Mapping[str, Sequence[Any] | NDArray[Any]]

    @staticmethod
    def of(architecture: Architecture, overrides: Overrides) -> Columns:
        """Check and sort columns.

        Raises:
            InputError: columns of different lengths or none, an unknown path, or a value that breaks its field's rule.
        """
        designs = _designs(overrides)
        sorted_: dict[str, dict[str, Any]] = {"rates": {}, "prices": {}, "sizes": {}, "others": {}}
        for path, column in overrides.items():
            numbers = _numbers(column)
            what = "others" if numbers is None else _sort_of(path)
            sorted_[what][path] = column if what == "others" else numbers
        found = Columns(architecture, designs, overrides, **sorted_)
        for row in dict.fromkeys(row for column in found.numbers.values() for row in _extremes(column)):
            found.design(row)
        return found

    def row(self, index: int) -> dict[str, Any]:
        """The overrides of one design."""
        return {path: column[index] for path, column in self.given.items()}

    def design(self, index: int) -> Architecture:
        """The architecture of one design."""
        return self.architecture.override(self.row(index)) if self.designs else self.architecture

    @property
    def numbers(self) -> dict[str, NDArray[np.float64]]:
        """Rates, prices and sizes."""
        return {**self.rates, **self.prices, **self.sizes}

    def structure_of(self, index: int) -> tuple[tuple[str, str], ...]:
        """What columns say of the structure of one design."""
        return tuple((path, repr(column[index])) for path, column in (*self.sizes.items(), *self.others.items()))

    def kinds(self) -> tuple[NDArray[np.int64], list[int]]:
        """(designs,) a number for each kind: 0, 1, ..., and of each the row that makes most MACs a cycle."""
        kinds = codes_of([_codes(column) for column in self.others.values()], self.designs)
        macs = np.ones(self.designs)
        for path in _OF_ARRAYS:
            macs = macs * self.sizes.get(path, 1.0)
        order = np.lexsort((macs, kinds))
        return kinds, order[np.cumsum(np.bincount(kinds)) - 1].tolist()

    def structures(self, kinds: NDArray[np.int64]) -> NDArray[np.int64]:
        """(designs,) a number for each structure: 0, 1, ..."""
        return codes_of([kinds, *(_codes(column) for column in self.sizes.values())], self.designs)

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


def _numbers(column: Sequence[Any] | NDArray[Any]) -> NDArray[np.float64] | None:
    """(designs,) float64 of a column of numbers; None of any other, and of numbers that no float holds."""
    if not isinstance(column, np.ndarray):
        if not all(issubclass(each, Real) and not issubclass(each, bool) for each in set(map(type, column))):
            return None
        column = np.array(column)
    return column.astype(np.float64) if column.dtype.kind in "fiu" and column.ndim == 1 else None


def _sort_of(path: str) -> str:
    """What a column of numbers changes."""
    return next((name for name, paths in _SORTS.items() if paths.fullmatch(path)), "others")


def _extremes(column: NDArray[np.float64]) -> Iterator[int]:
    """Rows that break the rule of the field if any does: the ends, the first fraction, the first that is not finite."""
    if len(column):
        for strange in (~np.isfinite(column), column != np.floor(column)):
            if strange.any():
                yield int(strange.argmax())
        yield int(column.argmin())
        yield int(column.argmax())


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

"""The rates of many designs of one structure, and boxes around groups of designs with similar ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.cost.digital import Number, action_seconds
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.machines import machine_of
from accelsim.study.batch.candidates import RATES

__all__ = ["AMOUNTS", "MAPPER", "Box", "DesignRates", "halves", "table_of"]

Column = NDArray[np.float64]

MAPPER = (
    "array_cycle_s", "vector_cycle_s", "dram_bytes_per_s", "dram_latency_s", "dma_bytes_per_s", "network_bytes_per_s",
    "hop_s", "overhead_s", "port_bytes_per_cycle", "vector_hz", "scratchpad_bytes_per_cycle", "clock_ratio",
    "host_bytes_per_s", "host_latency_s", "host_second",
)  # fmt: skip
"""Columns of `DesignRates.mapper`, as `mapping.schedule.Rates` and the formulas of `mapping.single` have them."""
AMOUNTS = (
    "dram_read", "dram_latency", "dma", "network", "network_latency", "array", "vector", "overhead", "host_transfer",
    "host_latency", "host_compute",
)  # fmt: skip
"""Columns of `DesignRates.engine`: seconds a unit of each action."""
_MOST_FREE = 7
_SAME = 1e-13


@dataclass(frozen=True, slots=True)
class DesignRates:
    """Rates of n designs: (n, `MAPPER`) of the mapper, (n, `AMOUNTS`) of the engine, (n, `RATES`) for bounds."""

    mapper: Column
    engine: Column
    linear: Column

    @staticmethod
    def of(arch: DigitalArchitecture, designs: int) -> DesignRates:
        """Rates of ``designs`` designs; ``arch`` holds columns (see `price.with_columns`)."""
        machine = machine_of(arch, arch.default_precision, "")
        mapper = (
            1.0 / arch.clock_hz("array"), 1.0 / arch.clock_hz("vector"), machine.dram_bytes_per_s,
            machine.dram_latency_s, machine.dma_bytes_per_s, machine.network_bytes_per_s, machine.hop_s,
            machine.overhead_s, machine.port_bytes_per_cycle, arch.clock_hz("vector"),
            arch.scratchpad.bandwidth_bytes_per_cycle.value, arch.clock_hz("vector") / arch.clock_hz("scratchpad"),
            arch.host.bandwidth_bytes_per_s.value, arch.host.latency_s.value, 1.0,
        )  # fmt: skip
        seconds = action_seconds(arch)
        cycle, vector = mapper[0], mapper[1]
        linear = (
            cycle, cycle / machine.port_bytes_per_cycle, vector, vector * mapper[11] / mapper[10],
            1.0 / machine.dram_bytes_per_s, machine.dram_latency_s, 1.0 / machine.dma_bytes_per_s,
            1.0 / machine.network_bytes_per_s, machine.hop_s, machine.overhead_s,
        )  # fmt: skip
        assert len(linear) == len(RATES)
        return DesignRates(
            table_of(mapper, designs), table_of([seconds[name] for name in AMOUNTS], designs), table_of(linear, designs)
        )

    def ends(self) -> Column:
        """(2, `MAPPER`) in array cycles instead of seconds: rates of which no design is faster, and none slower."""
        cycle_s = self.linear[:, :1]
        host = np.stack([1.0 / self.mapper[:, 12], self.mapper[:, 13], self.mapper[:, 14]], axis=1)
        scaled = np.concatenate((self.linear, host), axis=1) / cycle_s
        found = []
        for end in (scaled.min(axis=0), scaled.max(axis=0)):
            cycle, port, vector, vector_port, dram, latency, dma, network, hop, launch, link, trip, second = end
            found.append((
                cycle, vector, 1 / dram, latency, 1 / dma, 1 / network, hop, launch, cycle / port, 1 / vector, 1.0,
                vector_port / vector, 1 / link, trip, second,
            ))  # fmt: skip
        return np.array(found)

    def take(self, index: NDArray[np.int64]) -> DesignRates:
        """The designs ``index`` of these."""
        return DesignRates(self.mapper[index], self.engine[index], self.linear[index])

    def __len__(self) -> int:
        return len(self.mapper)


def table_of(columns: Sequence[Number], designs: int) -> Column:
    """(designs, columns) of columns; what is the same for all of the designs may be a number."""
    table = np.empty((designs, len(columns)))
    for index, column in enumerate(columns):
        table[:, index] = column
    return table


@dataclass(frozen=True, slots=True)
class Box:
    """A box around the rates of designs, in units of the array's cycle: times that all grow alike compare alike.

    Rates that keep their ratio in all of the designs span one dimension of it together.

    Attributes:
        center: (`RATES`,).
        corners: (corners, `RATES`); their convex hull holds every design.
        axes: columns of `RATES` that span it, one a dimension.
    """

    center: Column
    corners: Column
    axes: tuple[int, ...]

    @staticmethod
    def around(linear: Column) -> Box | None:
        """The box of (n, `RATES`) designs; None where more rates move on their own than a box is kept for."""
        scaled = linear / linear[:, :1]
        low, high = scaled.min(axis=0), scaled.max(axis=0)
        free: list[list[int]] = []
        for rate in np.flatnonzero(high - low > _SAME * high):
            for group in free:
                ratio = scaled[:, rate] / np.maximum(scaled[:, group[0]], 1e-300)
                if ratio.max() - ratio.min() <= _SAME * ratio.max():
                    group.append(int(rate))
                    break
            else:
                free.append([int(rate)])
        if len(free) > _MOST_FREE:
            return None
        corners = np.repeat(low[np.newaxis], 2 ** len(free), axis=0)
        for number, group in enumerate(free):
            up = (np.arange(len(corners)) >> number) & 1 == 1
            corners[np.ix_(up, group)] = high[group]
        return Box(scaled.mean(axis=0), corners, tuple(group[0] for group in free))

    @property
    def width(self) -> float:
        """The largest ratio of a rate to itself."""
        low, high = self.corners[0], self.corners[-1]
        return max((float(high[each] / max(low[each], 1e-300)) for each in self.axes), default=1.0)


def halves(box: Box | None, linear: Column) -> Iterator[NDArray[np.int64]]:
    """Indices of the designs in both halves of the widest dimension, split at the median; of any, without a box."""
    scaled = linear / linear[:, :1]
    axes = range(1, scaled.shape[1]) if box is None else box.axes
    axis = max(axes, key=lambda each: float(np.ptp(scaled[:, each]) / max(scaled[:, each].max(), 1e-300)))
    middle = np.median(scaled[:, axis])
    lower = scaled[:, axis] <= middle
    if lower.all():
        lower = scaled[:, axis] < middle
    yield np.flatnonzero(lower)
    yield np.flatnonzero(~lower)

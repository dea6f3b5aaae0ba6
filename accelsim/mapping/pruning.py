"""Lower bounds on the time of a split, a tiling and a candidate, by which the search leaves them.

They hold for what `contraction.cost` finds, of which they take the parts that are known so far: the work of the arrays
at their peak, or the cycles of the tiles; every byte once, or as often as the order of the loops repeats it.
"""

from __future__ import annotations

from typing import NamedTuple

from numba import njit

from accelsim.mapping.contraction import (
    fill_cycles,
    first_load_bytes,
    is_late,
    partial_passes,
    port_passes,
    repeats,
)
from accelsim.mapping.space import ALONG_GROUPS, ceil_div, input_channels, input_elements

__all__ = [
    "Least", "begin_s", "candidate_s", "least_loaded_bytes", "least_of_split", "moved_s", "order_s", "split_s",
    "streamed_s", "tiling_s", "too_many_fetches",
]  # fmt: skip

_ROUNDING = 1 - 1e-12
"""Bounds add up in another order than times."""


class Least(NamedTuple):
    """What no candidate with one split can do without.

    Attributes:
        array_s, load_s, store_s, reduce_s: seconds of the arrays, of loads and stores, and of the reduction.
        latency_s: of the first load, where there is one.
        loaded_bytes: of weights and inputs, each once.
        weight_port, input_port, output_port: bytes that cross the scratchpad port each time that an operand does.
        weights, inputs: DRAM bytes of one fetch of all weights, and of one row of `input_rows`.
        gathered: bytes of the network for one row of `input_rows`.
    """

    array_s: float
    load_s: float
    store_s: float
    reduce_s: float
    latency_s: float
    loaded_bytes: float
    weight_port: float
    input_port: float
    output_port: float
    weights: float
    inputs: float
    gathered: float


@njit(cache=True, forceinline=True)
def least_of_split(p, hw, c, s):  # type: ignore[no-untyped-def]
    """`Least` of the split of ``c``."""
    weights = 0.0 if p.weight_on_chip else p.groups * p.n * p.k * p.weight_bytes
    inputs = 0.0 if p.input_on_chip else p.groups * input_elements(p, p.m, p.k) * p.input_bytes
    store = 0.0 if p.output_on_chip else p.groups * p.m * p.n * p.output_bytes
    load = p.extra_load_bytes + weights + inputs
    reduce_bytes = s.g * s.m * s.n * p.partial_bytes * (c.split_k - 1) / c.split_k
    ports = s.k * s.n * p.weight_bytes, s.m * s.k * p.input_bytes, s.m * s.n * p.output_bytes
    peak = hw.rows * hw.columns * hw.reduction_per_pe * hw.columns_per_pe * hw.arrays
    cycles = max(s.g * s.m * s.n * s.k / peak, s.g * (ports[0] + ports[1] + ports[2]) / hw.port_bytes_per_cycle)
    row = s.g * p.input_bytes * input_channels(p, s.k)
    return Least(
        cycles * _ROUNDING / hw.array_hz, load / hw.dram_bytes_per_s, store / hw.dram_bytes_per_s,
        reduce_bytes / hw.network_bytes_per_s, hw.dram_latency_s if load > 0 else 0.0, weights + inputs,
        s.g * ports[0], s.g * ports[1], s.g * ports[2],
        weights, 0.0 if p.input_on_chip else row * c.split_g * c.split_m * c.split_k,
        row * (s.used - 1) / s.used if p.input_on_chip else 0.0,
    )  # fmt: skip


@njit(cache=True, inline="always")
def split_s(hw, least):  # type: ignore[no-untyped-def]
    """Least time of a split: the arrays at their peak between launch and reduction, or everything moved once."""
    return max(hw.overhead_s + least.array_s + least.reduce_s, least.load_s + least.store_s)


@njit(cache=True, inline="always")
def too_many_fetches(p, t, least, turns, enough_s):  # type: ignore[no-untyped-def]
    """Whether the latencies of all fetches take more than ``enough_s``: those of smaller tiles of k take longer."""
    fetches = max(0 if p.weight_on_chip else t.nn * t.nk, 0 if p.input_on_chip else t.nm * t.nk) * turns
    return 0.5 * (least.array_s + least.load_s + max(0, fetches - 1) * least.latency_s) > enough_s


@njit(cache=True, forceinline=True)
def least_loaded_bytes(least, nm, nn, rows):  # type: ignore[no-untyped-def]
    """Weights and inputs that are loaded at least: of several tiles of both m and n, one is fetched for each other."""
    inputs = least.inputs * rows
    weights_again = least.weights * (nm if nn > 1 else 1) + inputs
    return min(weights_again, least.weights + inputs * (nn if nm > 1 else 1))


@njit(cache=True, forceinline=True)
def streamed_s(hw, least, nm, nn, rows):  # type: ignore[no-untyped-def]
    """Least time of ``nm`` tiles of m, with ``rows`` of input, and ``nn`` of n: with more tiles of n never less."""
    loaded = least_loaded_bytes(least, nm, nn, rows)
    load_s = loaded / hw.dram_bytes_per_s
    return (load_s + max(least.store_s, least.latency_s + least.reduce_s if loaded > 0 else 0.0)) * _ROUNDING


@njit(cache=True, inline="always")
def begin_s(p, hw, c, t, least):  # type: ignore[no-untyped-def]
    """Least time before the arrays start: that of the launch, or of the first load."""
    # Ragged splits would count more than there is.
    first = min(first_load_bytes(p, c, t), least.loaded_bytes)
    return max(hw.overhead_s, first / hw.dram_bytes_per_s + least.latency_s)


@njit(cache=True, inline="always")
def tiling_s(s, t, least, start_s, last_s):  # type: ignore[no-untyped-def]
    """Least time of a tiling that starts after ``start_s`` and stores for ``last_s`` at its end, arrays at peak."""
    after_s = max(last_s, least.reduce_s)
    loaded_s = 0.0
    if least.load_s > 0:
        loaded_s = least.load_s + least.latency_s + least.array_s / (s.g * t.nm * t.nn * t.nk) + after_s
    return max(start_s + least.array_s + after_s, loaded_s, least.load_s + least.store_s)


@njit(cache=True, forceinline=True)
def moved_s(p, hw, t, least, order):  # type: ignore[no-untyped-def]
    """Seconds of all loads and spills in one order of the loops, and of what comes over the network."""
    weight_repeats, input_repeats, spills = repeats(order, t)
    rows = t.all_rows * input_repeats
    load_s = (least.weights * weight_repeats + least.inputs * rows) / hw.dram_bytes_per_s
    spill_s = 2.0 * spills * p.groups * p.m * p.n * p.partial_bytes / hw.dram_bytes_per_s
    return load_s, spill_s, least.gathered * rows / hw.network_bytes_per_s


@njit(cache=True, forceinline=True)
def order_s(p, hw, s, t, least, order, last_s):  # type: ignore[no-untyped-def]
    """Least time of a tiling in one order of its loops, however the arrays of a core share its work, at their peak."""
    load_s, spill_s, gather_s = moved_s(p, hw, t, least, order)
    arrived_s = max(load_s + least.latency_s if load_s > 0 else 0.0, gather_s)
    last_tile_s = least.array_s / (s.g * t.nm * t.nn * t.nk)
    return max(arrived_s + last_tile_s + max(last_s, least.reduce_s), load_s + least.store_s + spill_s) * _ROUNDING


@njit(cache=True, forceinline=True)
def candidate_s(p, hw, c, s, t, least, start_s, last_s):  # type: ignore[no-untyped-def]
    """Nearly the time of a candidate, and never more: with its own cycles and repeats."""
    turns = ceil_div(s.g, hw.arrays) if c.along == ALONG_GROUPS else s.g
    share = 1.0 / (turns * t.nm * t.nn * t.nk)
    weight_passes, input_passes = port_passes(c, t)
    results = least.output_port + 2.0 * (partial_passes(p, hw, c, t) - 1) * s.g * s.m * s.n * p.partial_bytes
    port = least.weight_port * weight_passes + least.input_port * input_passes + results
    mac_cycles = 1.0 * turns * (t.m_cycles * t.n_cycles * t.k_cycles) + fill_cycles(hw)
    array_s = max(mac_cycles, port / hw.port_bytes_per_cycle) / hw.array_hz

    load_s, spill_s, gather_s = moved_s(p, hw, t, least, c.order)
    late = is_late(c, t)
    after_s = max(last_s, least.reduce_s + p.follow_s if late else max(least.reduce_s, p.follow_s * share))
    arrived_s = max(load_s + least.latency_s if load_s > 0 else 0.0, gather_s)
    time_s = max(max(start_s, gather_s * share) + array_s, arrived_s + array_s * share) + after_s
    return max(time_s, load_s + least.store_s + spill_s) * _ROUNDING

"""The space of mappings of one matrix product or convolution, and its geometry.

The declared space of a product of ``groups`` times (m x k) by (k x n):

- *core split*: factors (g, m, n, k) whose product is at most the number of cores;
- *dataflow*: any that the arrays offer; the arrays of one core sit side by side along n or along m, or each takes
  groups of its own;
- *tiles*: every dimension of a core's share cut into 1, 2, 3, 4, 6, 8, 12, ... near-equal tiles, rounded up to
  what the array holds (and to whole rows of a convolution);
- *order*: all six orders of the m, n and k tile loops; groups are outermost.

Nothing in the space depends on a rate, and more memory only adds to it, so more of anything is never slower.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

__all__ = [
    "ALONG_GROUPS",
    "ALONG_M",
    "ALONG_N",
    "INPUT_STATIONARY",
    "ORDERS",
    "OUTPUT_STATIONARY",
    "WEIGHT_STATIONARY",
    "Candidate",
    "Machine",
    "Metrics",
    "Problem",
    "ceil_div",
    "input_channels",
    "input_elements",
    "input_rows",
    "shares",
]

WEIGHT_STATIONARY, OUTPUT_STATIONARY, INPUT_STATIONARY = 0, 1, 2
"""Indices of `hardware.digital.DATAFLOWS`."""
ALONG_N, ALONG_M, ALONG_GROUPS = 0, 1, 2
"""What the arrays of one core share out: side by side along n or m, or each with groups of its own."""
ORDERS = np.array([(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)], dtype=np.int64)
"""Tile loop orders, outermost first; 0 is m, 1 is n, 2 is k."""


class Problem(NamedTuple):
    """One product: sizes, how m maps to input rows (see `Contraction`), bytes an element, and what is on chip.

    ``extra_load_bytes`` come with the first tile (biases); ``follow_s`` is vector time that follows the results.
    """

    groups: int
    m: int
    n: int
    k: int
    row_outputs: int
    row_stride: int
    row_elements: int
    kernel_rows: int
    kernel_size: int
    weight_bytes: float
    input_bytes: float
    output_bytes: float
    partial_bytes: float
    input_on_chip: bool
    output_on_chip: bool
    weight_on_chip: bool
    extra_load_bytes: float = 0.0
    follow_s: float = 0.0


class Machine(NamedTuple):
    """What the search needs to know of the hardware; sizes are per core, rates are per second."""

    cores: int
    rows: int
    columns: int
    reduction_per_pe: int
    columns_per_pe: int
    arrays: int
    weight_stationary: bool
    output_stationary: bool
    input_stationary: bool
    overlapped: bool
    accumulator_bytes: float
    capacity_bytes: float
    port_bytes_per_cycle: float
    shared_port: bool
    array_hz: float
    dram_bytes_per_s: float
    dram_latency_s: float
    dma_bytes_per_s: float
    network_bytes_per_s: float
    overhead_s: float
    whole_weight_tiles: bool = False
    hop_s: float = 0.0
    burst_bytes: float = 1.0


class Candidate(NamedTuple):
    """One point of the space; ``order`` indexes `ORDERS`, ``along`` says what a core's arrays share out."""

    split_g: int
    split_m: int
    split_n: int
    split_k: int
    tile_m: int
    tile_n: int
    tile_k: int
    order: int
    dataflow: int
    along: int


class Metrics(NamedTuple):
    """What a candidate costs. Cycles, network and buffer bytes are those of the fullest core, DRAM bytes of all.

    ``core_share`` is the part of the loads that one core takes, ``fetches`` the steps that load something; ``late``
    says that no result is whole before the last tile.
    """

    feasible: bool
    time_s: float
    array_cycles: float
    mac_cycles: float
    port_bytes: float
    weight_dram_bytes: float
    input_dram_bytes: float
    output_dram_bytes: float
    first_load_bytes: float
    last_store_bytes: float
    network_bytes: float
    reduce_bytes: float
    buffer_bytes: float
    core_share: float
    late: bool
    fetches: int
    tiles: int


@njit(cache=True, inline="always")
def ceil_div(a, b):  # type: ignore[no-untyped-def]
    """``a / b`` rounded up."""
    return -(-a // b)


@njit(cache=True, forceinline=True)
def input_rows(p, outputs):  # type: ignore[no-untyped-def]
    """Stored input elements that ``outputs`` values of m need for each of `input_channels` (overlap read once)."""
    if p.kernel_size == 1 and p.row_elements == 1:
        return outputs
    rows = ceil_div(outputs, p.row_outputs)
    return ((rows - 1) * min(p.row_stride, p.kernel_rows) + p.kernel_rows) * p.row_elements


@njit(cache=True, forceinline=True)
def input_channels(p, k):  # type: ignore[no-untyped-def]
    """Channels of the input in ``k`` values of k; in a plain product every value is one."""
    return max(1, k // p.kernel_size)


@njit(cache=True, forceinline=True)
def input_elements(p, outputs, k):  # type: ignore[no-untyped-def]
    """Stored input elements that ``outputs`` values of m need over ``k`` values of k."""
    return input_rows(p, outputs) * input_channels(p, k)


@njit(cache=True, forceinline=True)
def shares(p, c):  # type: ignore[no-untyped-def]
    """(g, m, n, k) of the fullest core; m is cut in whole rows of a convolution, k in whole channels."""
    rows = ceil_div(p.m, p.row_outputs)
    m_share = min(p.m, ceil_div(rows, c.split_m) * p.row_outputs)
    k_share = min(p.k, ceil_div(ceil_div(p.k, p.kernel_size), c.split_k) * p.kernel_size)
    return ceil_div(p.groups, c.split_g), m_share, ceil_div(p.n, c.split_n), k_share

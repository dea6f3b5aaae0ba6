"""How fast any mapping of one product could be: a lower bound on its time, to judge the chosen one by.

The bound holds for every core split of the declared space, every dataflow that the arrays offer, any tile sizes and
any order of tiles, given what lies in the scratchpads when the op begins (`Problem`). It is the least, over splits
and dataflows, of the largest of:

- *array*: whole folds of the array, their fill and drain, or the bytes that each fold passes through the scratchpad
  port, behind the launch or the first DRAM burst;
- *DRAM*: the bytes that must cross the memory interface. Each operand that lies outside crosses once. And a product
  of m n k multiply-accumulates with S of fast memory reads and writes at least 2 m n k / sqrt(S) - 2 S elements
  (Smith, Lowery, Langou, van de Geijn, "A tight I/O lower bound for matrix multiplication", arXiv:1702.02017; with
  the same leading term Kwasniewski et al., SC 2019). With elements of a, b and c bytes, by the same argument in bytes
  of fast memory, at least 2 m n k sqrt(a b c / S) - 2 S bytes. In a convolution one input serves up to W positions
  of the kernel, which gives 2 MACs sqrt(a b c / (W S)) - 2 S (Chen, Han, Wang, "Communication lower bound in
  convolution accelerators", HPCA 2020);
- *DMA* and *network*: what the fullest core must receive.

S counts all that can hold data: the scratchpads of all cores, accumulators and the registers of the arrays, so what
several cores fetch once and share counts once, as in the mapper's traffic.
"""

from __future__ import annotations

from math import ceil, prod, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit

from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.machines import machine_of
from accelsim.mapping.records import OpMapping
from accelsim.mapping.space import (
    ALONG_GROUPS,
    ALONG_M,
    ALONG_N,
    OUTPUT_STATIONARY,
    WEIGHT_STATIONARY,
    Candidate,
    Machine,
    Problem,
    ceil_div,
    input_elements,
    shares,
)
from accelsim.workload.ops import Conv, MatMul

__all__ = ["PLAIN", "LeastOp", "Window", "least_occupancy_s", "least_of_op", "least_time_s", "one_core_s", "window_of"]


class Window(NamedTuple):
    """How a convolution uses its inputs.

    Attributes:
        reuse: positions of the kernel that one stored input can be multiplied at, for one output channel.
        valid: share of the multiply-accumulates whose input is stored, not padding.
    """

    reuse: int
    valid: float


PLAIN = Window(1, 1.0)
"""A matrix product: an input meets each column of weights once."""


def window_of(op: MatMul | Conv) -> Window:
    """The window of an op, counted axis by axis."""
    if isinstance(op, MatMul) or op.transposed:
        return PLAIN
    axes = len(op.kernel)
    padding, dilation = op.padding or (0,) * axes, op.dilation or (1,) * axes
    reuse, pairs = 1, 1
    for axis in range(axes):
        kernel, stride = op.kernel[axis], op.stride[axis]
        reuse *= min(kernel, ceil(kernel / stride)) if dilation[axis] == 1 else kernel
        first = np.arange(op.output_size[axis])[:, None] * stride - padding[axis]
        read = first + np.arange(kernel) * dilation[axis]
        pairs *= int(((read >= 0) & (read < op.input_size[axis])).sum())
    return Window(reuse, pairs / (prod(op.output_size) * prod(op.kernel)))


class LeastOp(NamedTuple):
    """What one execution of an op takes at least.

    Attributes:
        time_s: on its own, from launch to end.
        array_s: of all arrays of the machine, however its work is spread over cores and time.
        dram_s: of the memory interface, beside what was loaded before it began.
    """

    time_s: float
    array_s: float
    dram_s: float


def least_of_op(mapped: OpMapping, arch: DigitalArchitecture) -> LeastOp | None:
    """The least that one execution of an op takes; None for an op that is no matrix work.

    It may use the whole of every scratchpad, also what the chosen mapping leaves to others.
    """
    if mapped.problem is None or not isinstance(mapped.op, MatMul | Conv):
        return None
    whole = arch.scratchpad.capacity_bytes.value
    machine = machine_of(arch, mapped.precision, mapped.op.name)._replace(capacity_bytes=whole)
    window = window_of(mapped.op)
    moved = _least_dram_bytes(mapped.problem, machine, window)
    return LeastOp(
        least_time_s(mapped.problem, machine, window),
        least_occupancy_s(mapped.problem, machine),
        moved / machine.dram_bytes_per_s,
    )


def least_occupancy_s(problem: Problem, machine: Machine) -> float:
    """Array seconds that ``problem`` takes on one core, over the cores: no split over cores and time takes fewer.

    Cutting a product only adds folds, and pipelines to fill.
    """
    alone = float(one_core_s(problem, machine))
    # Every core may save the cycle by which fill and drain overlap at the end.
    return max(0.0, alone / machine.cores - 1.0 / machine.array_hz)


def least_time_s(problem: Problem, machine: Machine, window: Window = PLAIN) -> float:
    """Seconds that no mapping of ``problem`` is faster than.

    Args:
        problem: the product, with what lies on chip.
        machine: the hardware; ``capacity_bytes`` of scratchpad in each core that the op might use.
        window: how a convolution uses its inputs; `PLAIN` for a problem with windows assumes nothing of their reuse.
    """
    loads = _compulsory_loads(problem, machine)
    moved_s = _least_dram_bytes(problem, machine, window) / machine.dram_bytes_per_s
    loaded_s = (sum(loads) + problem.extra_load_bytes) / machine.dram_bytes_per_s
    if loaded_s > 0:
        last_s = machine.burst_bytes / machine.dram_bytes_per_s if _stored(problem) > 0 else 0.0
        moved_s = max(moved_s, loaded_s + machine.dram_latency_s + last_s)
    fastest = float(_fastest_split_s(problem, machine, *loads))
    return max(fastest, moved_s, machine.overhead_s + problem.follow_s) * (1 - 1e-12)


def _least_dram_bytes(p: Problem, hw: Machine, window: Window) -> float:
    compulsory = sum(_compulsory_loads(p, hw)) + p.extra_load_bytes + _stored(p)
    return max(compulsory, _input_output_bytes(p, hw, window))


def _stored(p: Problem) -> float:
    return 0.0 if p.output_on_chip else p.groups * p.m * p.n * p.output_bytes


def _compulsory_loads(p: Problem, hw: Machine) -> tuple[float, float]:
    """Bytes of weights and inputs that must be read once."""
    n, k = p.n, p.k
    if hw.whole_weight_tiles:
        columns, reduction = hw.columns * hw.columns_per_pe, hw.rows * hw.reduction_per_pe
        n, k = ceil(n / columns) * columns, ceil(k / reduction) * reduction
    weights = 0.0 if p.weight_on_chip else p.groups * n * k * p.weight_bytes
    inputs = 0.0 if p.input_on_chip else p.groups * input_elements(p, p.m, p.k) * p.input_bytes
    return float(weights), float(inputs)


def _input_output_bytes(p: Problem, hw: Machine, window: Window) -> float:
    """Bytes that S of fast memory makes necessary.

    The cited bound counts the first appearance of an output as a read; no byte crosses for it here, so it is taken
    off again, and the store of the results, where they leave the chip, is added.
    """
    if window == PLAIN and p.kernel_size > 1:
        return 0.0  # how much of the windows is padding is not known
    pes = hw.rows * hw.columns * hw.reduction_per_pe * hw.columns_per_pe * hw.arrays
    element = min(p.output_bytes, p.partial_bytes)
    registers = 2 * pes * (p.weight_bytes + p.input_bytes + p.partial_bytes)
    fast = hw.cores * (hw.capacity_bytes + hw.accumulator_bytes * hw.arrays + registers)
    macs = p.groups * p.m * p.n * p.k * window.valid
    reads = 2.0 * macs * sqrt(p.weight_bytes * p.input_bytes * element / (window.reuse * fast)) - 2.0 * fast
    return reads - p.groups * p.m * p.n * element + _stored(p)


@njit(cache=True)
def _ways(p, hw):  # type: ignore[no-untyped-def]
    """How many things the arrays of a core may share out."""
    return 1 if hw.arrays == 1 else (3 if p.groups > 1 else 2)


@njit(cache=True)
def _array_s(p, hw, c):  # type: ignore[no-untyped-def]
    """Seconds of the array, or of the scratchpad port, for one split and dataflow with any tiles."""
    g, m, n, k = shares(p, c)
    wide = hw.arrays
    columns = hw.columns * hw.columns_per_pe * (wide if c.along == ALONG_N else 1)
    turns = ceil_div(g, wide) if c.along == ALONG_GROUPS else g
    reduction = hw.rows * hw.reduction_per_pe
    m_size = ceil_div(m, wide if c.along == ALONG_M else 1)
    fill = 2 * hw.rows + hw.columns - 2
    m_folds, n_folds, k_folds = ceil_div(m_size, columns), ceil_div(n, columns), ceil_div(k, reduction)
    weight_passes, input_passes = 1, 1
    if c.dataflow == WEIGHT_STATIONARY:
        folds, stream, input_passes = k_folds * n_folds, m_size, n_folds
    elif c.dataflow == OUTPUT_STATIONARY:
        m_folds, fill = ceil_div(m_size, hw.rows), fill - (0 if hw.overlapped else hw.rows)
        folds, stream = m_folds * n_folds, ceil_div(k, hw.reduction_per_pe)
        weight_passes, input_passes = m_folds, n_folds
    else:
        folds, stream, weight_passes = k_folds * m_folds, n, m_folds
    if hw.overlapped:
        cycles = turns * folds * max(stream, hw.rows) + (2 * hw.rows + hw.columns - 2)
    else:
        cycles = turns * folds * (stream + fill) - 1
    port = g * (k * n * p.weight_bytes * weight_passes + m * k * p.input_bytes * input_passes + m * n * p.output_bytes)
    return max(cycles, port / hw.port_bytes_per_cycle) / hw.array_hz


@njit(cache=True)
def one_core_s(p, hw):  # type: ignore[no-untyped-def]
    """The least of `_array_s` on one core."""
    offered = (hw.weight_stationary, hw.output_stationary, hw.input_stationary)
    best = np.inf
    for dataflow in range(3):
        if offered[dataflow]:
            for along in range(_ways(p, hw)):
                best = min(best, _array_s(p, hw, Candidate(1, 1, 1, 1, 1, 1, 1, 0, dataflow, along)))
    return best


@njit(cache=True)
def _split_s(p, hw, c, weights, inputs):  # type: ignore[no-untyped-def]
    """Seconds for one split: its array, and what its fullest core receives and passes on."""
    best = np.inf
    for dataflow in range(3):
        if (hw.weight_stationary, hw.output_stationary, hw.input_stationary)[dataflow]:
            for along in range(_ways(p, hw)):
                c = Candidate(c[0], c[1], c[2], c[3], 1, 1, 1, 0, dataflow, along)
                best = min(best, _array_s(p, hw, c))
    begin, loads = hw.overhead_s, weights + inputs > 0
    if loads:
        begin = max(begin, hw.burst_bytes / hw.dram_bytes_per_s + hw.dram_latency_s)
    g, m, n, k = shares(p, c)
    used = c.split_g * c.split_m * c.split_n * c.split_k
    after = 0.0
    if c.split_k > 1:
        after = g * m * n * p.partial_bytes * (c.split_k - 1) / c.split_k / hw.network_bytes_per_s + hw.hop_s
    if not p.output_on_chip:
        after = max(after, hw.burst_bytes / hw.dram_bytes_per_s)
    best = begin + best + after
    if loads:
        received = weights / (c.split_g * c.split_n * c.split_k) + inputs / (c.split_g * c.split_m * c.split_k)
        best = max(best, received / hw.dma_bytes_per_s + hw.dram_latency_s)
    if p.input_on_chip and used > 1:
        gathered = g * p.input_bytes * input_elements(p, m, k) * (used - 1) / used
        best = max(best, gathered / hw.network_bytes_per_s + hw.hop_s)
    return best


@njit(cache=True)
def _fastest_split_s(p, hw, weights, inputs):  # type: ignore[no-untyped-def]
    """The least of `_split_s` over all splits."""
    best = np.inf
    rows, channels = ceil_div(p.m, p.row_outputs), ceil_div(p.k, p.kernel_size)
    for sg in range(1, min(hw.cores, p.groups) + 1):
        for sm in range(1, min(hw.cores // sg, rows) + 1):
            for sn in range(1, min(hw.cores // (sg * sm), p.n) + 1):
                for sk in range(1, min(hw.cores // (sg * sm * sn), channels) + 1):
                    c = Candidate(sg, sm, sn, sk, 1, 1, 1, 0, 0, ALONG_N)
                    best = min(best, _split_s(p, hw, c, weights, inputs))
    return best

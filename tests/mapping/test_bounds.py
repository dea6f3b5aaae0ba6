"""The lower bound on the time of a product: never above any mapping, and reached where it must be."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.mapping.bounds import PLAIN, Window, _input_output_bytes, least_occupancy_s, least_time_s, window_of
from accelsim.mapping.contraction import evaluate
from accelsim.mapping.space import Candidate, Metrics, Problem
from accelsim.workload.ops import Conv, MatMul
from tests.mapping.test_contraction import IDEAL, found, machines, problems


def convolution_problem(op):
    nest = op.contraction
    sizes = (nest.groups, nest.m, nest.n, nest.k, nest.row_outputs, nest.row_stride, nest.row_elements)
    return Problem(*sizes, nest.kernel_rows, nest.kernel_size, 1.0, 2.0, 2.0, 4.0, False, False, False)


def any_candidate(draw, problem, machine):
    """A point anywhere: any tile sizes in whole rows and channels, not only those that the search looks at."""
    used, split = machine.cores, []
    limits = (problem.groups, -(-problem.m // problem.row_outputs), problem.n, -(-problem.k // problem.kernel_size))
    for limit in limits:
        split.append(draw.randint(1, max(1, min(used, limit))))
        used //= split[-1]
    flows = [machine.weight_stationary, machine.output_stationary, machine.input_stationary]
    rows, channels = limits[1], limits[3]
    return Candidate(
        *split,
        min(problem.m, draw.randint(1, rows) * problem.row_outputs),
        draw.randint(1, problem.n),
        min(problem.k, draw.randint(1, channels) * problem.kernel_size),
        draw.randint(0, 5),
        draw.choice([flow for flow in range(3) if flows[flow]]),
        draw.randint(0, 2) if machine.arrays > 1 else 0,
    )


@settings(max_examples=300, deadline=None)
@given(problems(), machines(), st.randoms(use_true_random=False))
def test_no_candidate_is_below_the_bound(problem, machine, draw):
    least = least_time_s(problem, machine)
    for _ in range(20):
        metrics = Metrics(*evaluate(problem, machine, any_candidate(draw, problem, machine)))
        if metrics.feasible:
            assert least <= metrics.time_s * (1 + 1e-9)


@settings(max_examples=200, deadline=None)
@given(problems(), machines())
def test_the_chosen_mapping_is_not_below_the_bound(problem, machine):
    _, metrics, _ = found(problem, machine)
    if metrics.feasible:
        assert 0 < least_time_s(problem, machine) <= metrics.time_s * (1 + 1e-9)


@settings(max_examples=200, deadline=None)
@given(problems(), machines(), st.randoms(use_true_random=False))
def test_no_spread_over_cores_takes_less_of_the_arrays(problem, machine, draw):
    least = least_occupancy_s(problem, machine)
    for _ in range(20):
        candidate = any_candidate(draw, problem, machine)
        used = candidate.split_g * candidate.split_m * candidate.split_n * candidate.split_k
        metrics = Metrics(*evaluate(problem, machine, candidate))
        assert least <= metrics.array_cycles * used / machine.cores / machine.array_hz * (1 + 1e-9)


@st.composite
def convolutions(draw):
    kernel, stride, padding = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    dilation = draw(st.integers(1, 2))
    size = draw(st.integers((kernel - 1) * dilation + 1, 24))
    out = (size + 2 * padding - (kernel - 1) * dilation - 1) // stride + 1
    return Conv(
        name="c", inputs=("x", "w"), outputs=("y",), batch=1, in_channels=draw(st.integers(1, 64)),
        out_channels=draw(st.integers(1, 64)), input_size=(size, size), output_size=(out, out),
        kernel=(kernel, kernel), stride=(stride, stride), padding=(padding, padding), dilation=(dilation, dilation),
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(convolutions(), machines(), st.integers(8, 4096), st.randoms(use_true_random=False))
def test_windows_keep_the_bound_valid(op, machine, capacity, draw):
    problem, machine = convolution_problem(op), machine._replace(capacity_bytes=float(capacity))
    least = least_time_s(problem, machine, window_of(op))
    for _ in range(20):
        metrics = Metrics(*evaluate(problem, machine, any_candidate(draw, problem, machine)))
        if metrics.feasible:
            assert least <= metrics.time_s * (1 + 1e-9)


@settings(max_examples=100, deadline=None)
@given(convolutions())
def test_a_window_counts_what_is_stored(op):
    """Against a walk over every output and tap of one channel."""
    uses = np.zeros(op.input_size, dtype=int)
    for out in np.ndindex(*op.output_size):
        for tap in np.ndindex(*op.kernel):
            at = tuple(o * s - p + t * d for o, s, p, t, d in zip(
                out, op.stride, op.padding, tap, op.dilation, strict=True))  # fmt: skip
            if all(0 <= x < size for x, size in zip(at, op.input_size, strict=True)):
                uses[at] += 1
    window = window_of(op)
    assert window.valid == pytest.approx(uses.sum() / (np.prod(op.output_size) * np.prod(op.kernel)))
    assert uses.max() <= window.reuse <= np.prod(op.kernel)


def test_an_untiled_product_on_an_ideal_array_reaches_it():
    """Everything on chip and one fold: m stream cycles, fill and drain are all there is."""
    problem = Problem(1, 100, 32, 32, 1, 1, 1, 1, 1, 1.0, 1.0, 1.0, 4.0, True, True, True)
    ws = IDEAL._replace(output_stationary=False, input_stationary=False)
    assert least_time_s(problem, ws) == pytest.approx((100 + 2 * 32 + 32 - 2 - 1) / 1e9)
    assert found(problem, ws)[1].time_s == pytest.approx(least_time_s(problem, ws))


def test_a_matrix_vector_product_is_bound_by_its_weights():
    """Of 1 x 4096 by 4096 x 4096 at 1 GB/s all but the first and last steps hide behind the weights."""
    problem = Problem(1, 1, 4096, 4096, 1, 1, 1, 1, 1, 1.0, 1.0, 1.0, 4.0, True, True, False)
    machine = IDEAL._replace(dram_bytes_per_s=1e9, capacity_bytes=2.0**20)
    least = least_time_s(problem, machine)
    assert least == pytest.approx(4096 * 4096 / 1e9)
    assert found(problem, machine)[1].time_s <= 1.05 * least


def test_the_input_output_bound_is_near_a_square_tiling():
    """The best tiling of 4096^3 known, square blocks of b^2 results in fast memory, reads 2 m n k / b elements."""
    size, machine = 4096, IDEAL._replace(rows=1, columns=1, capacity_bytes=2.0**18)
    problem = Problem(1, size, size, size, 1, 1, 1, 1, 1, 1.0, 1.0, 1.0, 1.0, False, False, False)
    least = _input_output_bytes(problem, machine, PLAIN)
    tiled = 2 * size**3 / 512 + size**2
    assert 0.9 * tiled <= least + size**2 <= tiled
    assert least > 3 * size**2
    metrics = found(problem, machine._replace(dram_bytes_per_s=1e6))[1]
    moved = metrics.weight_dram_bytes + metrics.input_dram_bytes + metrics.output_dram_bytes
    assert least <= moved


def test_more_of_anything_never_raises_the_bound():
    draw = random.Random(0)
    base = IDEAL._replace(dram_bytes_per_s=1e9, capacity_bytes=3e4, port_bytes_per_cycle=64.0, cores=4)
    for _ in range(200):
        sizes = [draw.randint(1, 2000) for _ in range(3)]
        problem = Problem(draw.randint(1, 3), *sizes, 1, 1, 1, 1, 1, 1.0, 1.0, 1.0, 4.0, False, False, False)
        for resource in ("capacity_bytes", "dram_bytes_per_s", "array_hz", "port_bytes_per_cycle", "cores"):
            more = base._replace(**{resource: getattr(base, resource) * 2})
            assert least_time_s(problem, more) <= least_time_s(problem, base) * (1 + 1e-12)


def test_plain_products_have_no_window():
    assert window_of(MatMul(name="x", inputs=("a", "b"), outputs=("c",), m=2, n=3, k=4)) == PLAIN == Window(1, 1.0)

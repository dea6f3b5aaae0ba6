"""Compiled code for many designs at once does what the formulas and searches for one design do, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.mapping.schedule import Rates, Work, schedule_s
from accelsim.mapping.sequence import shortest
from accelsim.study.batch import partition
from accelsim.study.batch.candidates import FIELDS
from accelsim.study.batch.kernels import entry_fs
from accelsim.study.batch.lanes import FIXED, WORK, entry_lanes, fixed_fs, follow_seconds, seconds_of
from accelsim.study.batch.rates import AMOUNTS, MAPPER
from accelsim.study.batch.searches import ARRAY, VECTOR

DESIGNS, BURST = 7, 64.0


def drawn_row(rng):
    """One candidate: any mixture of tiles, loads, stores, gathers and reductions."""
    row = dict.fromkeys(FIELDS, 0.0)
    tiles = float(rng.choice([1, 2, 3, 8, 100]))
    load, store = (float(rng.integers(0, 10**6)) * rng.integers(0, 2) for _ in range(2))
    row |= {
        "tiles": tiles, "fetches": float(rng.integers(1, tiles + 1)), "cycles": float(rng.integers(0, 10**5)),
        "port_bytes": float(rng.integers(0, 10**6)), "load_bytes": load, "store_bytes": store,
        "first_load_bytes": load if tiles == 1 else np.floor(load * rng.random()),
        "last_store_bytes": store if tiles == 1 else np.floor(store * rng.random()),
        "core_share": rng.random(), "gather_bytes": float(rng.integers(0, 10**5)) * rng.integers(0, 2),
        "reduce_bytes": float(rng.integers(0, 10**5)) * rng.integers(0, 2), "late": float(rng.integers(0, 2)),
    }  # fmt: skip
    return np.array([row[name] for name in FIELDS])


def drawn_rates(rng):
    """(designs, `MAPPER`) and (designs, `AMOUNTS`) in the ranges of chips."""
    mapper = {
        "array_cycle_s": 1e-9, "vector_cycle_s": 1e-9, "dram_bytes_per_s": 1e11, "dram_latency_s": 1e-7,
        "dma_bytes_per_s": 1e11, "network_bytes_per_s": 1e11, "hop_s": 1e-9, "overhead_s": 1e-8,
        "port_bytes_per_cycle": 64.0, "vector_hz": 1e9, "scratchpad_bytes_per_cycle": 64.0, "clock_ratio": 1.0,
        "host_bytes_per_s": 1e10, "host_latency_s": 1e-6, "host_second": 1.0,
    }  # fmt: skip
    spread = np.exp(rng.uniform(-3, 3, (DESIGNS, len(MAPPER))))
    engine = np.exp(rng.uniform(np.log(1e-12), np.log(1e-7), (DESIGNS, len(AMOUNTS))))
    return np.array([mapper[name] for name in MAPPER]) * spread, engine


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_lanes_equal_the_formulas_of_one_design(seed, vector):
    rng = np.random.default_rng(seed)
    row, (mapper, engine) = drawn_row(rng), drawn_rates(rng)
    followers = np.array([(float(rng.integers(0, 10**4)), float(rng.integers(0, 10**5)))] * rng.integers(0, 3))
    followers, kind = followers.reshape(-1, 2), VECTOR if vector else ARRAY
    lanes, units = np.ascontiguousarray(mapper.T), np.ascontiguousarray(engine.T)
    work, fixed = np.empty((WORK, DESIGNS)), np.empty((FIXED, DESIGNS))
    follow_s, seconds, whole_fs = np.empty((3, DESIGNS))
    follow_seconds(followers, 0, len(followers), lanes, follow_s)
    seconds_of(row, vector, follow_s, BURST, lanes, work, seconds)
    fixed_fs(units, fixed)
    entry_lanes(row, vector, followers, (0, len(followers)), BURST, lanes, units, fixed, work, whole_fs)
    for d, m in enumerate(mapper):
        cycles = max(row[2], row[3] / m[10] * m[11]) if vector else max(row[2], row[3] / m[8])
        rates = Rates(m[1] if vector else m[0], m[2], BURST, m[3], m[4], m[5], m[6], m[7])
        one = Work(row[0], row[1], cycles, *row[4:11], follow_s[d], row[11] != 0)
        assert seconds[d] == schedule_s(one, rates)
        exact = entry_fs(row[None], 0, kind, followers, (0, len(followers)), BURST, m, engine[d])
        assert whole_fs[d] == exact


def drawn_steps(rng, count, style):
    """Steps of a row: whole numbers (exact ties), fractions, or times that nearly tie."""
    if style == "whole":
        steps = rng.integers(1, 5, (count, 4)).astype(np.float64)
    elif style == "nearly":
        steps = rng.integers(1, 4, (count, 4)) * (1 + rng.choice([0, 4e-13, -7e-13, 1e-12, 3e-12], (count, 4)))
    else:
        steps = np.exp(rng.uniform(-10, 0, (count, 4)))
    apart = rng.random(count) < 0.7
    steps[apart, 0] = steps[apart, 1] + np.maximum(steps[apart, 2], steps[apart, 3])
    steps[rng.random(count) < 0.3, 2:] = 0.0
    steps[rng.random(count) < 0.08, 1] = np.inf
    return steps


@settings(max_examples=600, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 60), st.sampled_from(["whole", "nearly", "fractions"]), st.integers(0, 8))
def test_partitions_equal_the_full_search(seed, count, style, groups):
    rng = np.random.default_rng(seed)
    steps, quiet = drawn_steps(rng, count, style), rng.random(count) < 0.9
    latency_s = float(rng.choice([0.0, 0.5, 1.0]) * steps[0, 0])
    first = rng.integers(0, count, groups)
    spans = np.stack([first, np.minimum(count - 1, first + rng.integers(0, 10, groups))], axis=1)
    spans = spans[np.lexsort((spans[:, 1], spans[:, 0]))]
    times = np.array([steps[a : b + 1, 0].sum() * rng.choice([0.5, 0.9, 1.0]) for a, b in spans])
    best_s, came_from, kind = np.empty(count + 1), np.empty(count + 1, np.int64), np.empty(count + 1, np.int64)
    runs = np.empty((count + 1, partition.SPACE))
    partition.partitioned(count, steps, quiet, latency_s, spans, times, best_s, came_from, kind, runs)
    wanted = shortest(steps, quiet, latency_s, spans, times)
    for found, one in zip((best_s, came_from, kind), wanted, strict=True):
        np.testing.assert_array_equal(found, one)


@pytest.mark.parametrize("style", ["whole", "fractions"])
def test_roundings_do_not_decide(style):
    """Where they could, the full search is made; ties and plain numbers do not need it."""
    rng = np.random.default_rng(3)
    steps, quiet = drawn_steps(rng, 200, style), rng.random(200) < 0.97
    space = np.empty(201), np.empty(201, np.int64), np.empty(201, np.int64), np.empty((201, partition.SPACE))
    no_spans, no_times = np.empty((0, 2), np.int64), np.empty(0)
    assert partition._fill(200, steps, quiet, 0.5, no_spans, no_times, *space)

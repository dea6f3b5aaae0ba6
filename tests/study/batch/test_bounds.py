"""Certificates of what is left out: a path bounds a time from below, and the winner of every design stays."""

import numpy as np
import pytest

from accelsim.hardware.load import load_architecture
from accelsim.mapping.machines import searched
from accelsim.mapping.options import MappingOptions
from accelsim.study.batch import candidates
from accelsim.study.batch.candidates import RATES, followed_by, longest_path
from accelsim.study.batch.kernels import best_of
from accelsim.study.batch.plan import planned
from accelsim.study.batch.pools import Node, Table, needed
from accelsim.study.batch.price import with_columns
from accelsim.study.batch.rates import Box, DesignRates
from accelsim.study.batch.searches import ARRAY, VECTOR
from accelsim.study.batch.timings import Question
from accelsim.workload.load import load_workload

BURST = 256.0


@pytest.fixture(scope="module", params=["rapid-4core", "systolic-32x32"])
def plan(request):
    arch = load_architecture(request.param).description
    graph, choice = Question(load_workload("resnet-20"), None, MappingOptions()).prepared(arch)
    return planned(graph, arch, choice, MappingOptions())


def test_paths_bound_times_from_below(plan):
    rng = np.random.default_rng(0)
    own = DesignRates.of(plan.arch, 1).linear[0]
    path = np.zeros(len(RATES))
    for number, search in enumerate(plan.searches.found):
        rows = plan.searches.candidates(number)
        followers, vector = np.array(search.followers, dtype=np.float64).reshape(-1, 2), search.kind == VECTOR
        if len(rows) == 0:
            continue
        here, there = own * np.exp(rng.uniform(-2, 2, (2, len(own))))
        for row in rows[rng.integers(0, len(rows), 5)]:
            time_s = longest_path(row, followed_by(followers, here), vector, BURST, here, path)
            assert time_s == pytest.approx(candidates._time_at(row, followers, vector, BURST, here), rel=1e-12)
            assert path @ here == pytest.approx(time_s, rel=1e-12)
            assert path @ there <= candidates._time_at(row, followers, vector, BURST, there) * (1 + 1e-12)


def test_boxes_hold_their_designs():
    linear = np.exp(np.random.default_rng(1).uniform(-1, 1, (50, len(RATES))))
    linear[:, 2] = linear[:, 0] * 3  # clocks that keep their ratio span no dimension
    linear[:, 5:] = linear[:, 4:5]
    box = Box.around(linear)
    scaled = linear / linear[:, :1]
    assert box.axes == (1, 3, 4)
    assert (scaled >= box.corners.min(axis=0) * (1 - 1e-12)).all()
    assert (scaled <= box.corners.max(axis=0) * (1 + 1e-12)).all()
    assert Box.around(np.exp(np.random.default_rng(2).uniform(-1, 1, (9, len(RATES))))) is None


def test_pools_keep_what_the_search_finds(plan):
    rng, designs = np.random.default_rng(3), 8
    peak = plan.arch.memory.dram.bandwidth_bytes_per_s.value
    cols = {
        "memory.dram.bandwidth_bytes_per_s": peak * rng.uniform(0.3, 3, designs),
        "memory.dram.latency_s": rng.uniform(1e-8, 1e-6, designs),
    }
    rates = DesignRates.of(with_columns(plan.arch, cols), designs)
    table = Table(plan.searches, float(plan.arch.memory.dram.burst_bytes.value * plan.arch.memory.dram.channels.value))
    node = Node(table, Box.around(rates.linear))
    numbers = [n for n, each in enumerate(plan.searches.found) if each.kind == ARRAY and not each.followers][:20]
    columns = needed(node, numbers)
    seconds, chosen = np.empty((designs, len(numbers))), np.empty((designs, len(numbers)), dtype=np.int64)
    certain = np.ones(designs, np.bool_)
    best_of(table.rows, columns, table.burst, rates.mapper, seconds, chosen, certain)
    assert certain.all()
    left = sum(len(node.pool(n)) for n in numbers)
    assert left < sum(len(plan.searches.candidates(n)) for n in numbers)
    for design in range(designs):
        values = {path: float(column[design]) for path, column in cols.items()}
        for place, number in enumerate(numbers):
            search = plan.searches.found[number]
            machine = search.machine._replace(
                dram_bytes_per_s=values["memory.dram.bandwidth_bytes_per_s"] * plan.arch.memory.dram.efficiency.value,
                dram_latency_s=values["memory.dram.latency_s"],
            )
            metrics = searched(search.problem, machine)[1]
            row = table.rows[chosen[design, place]]
            assert seconds[design, place] == metrics.time_s
            assert row[candidates.PORT] == metrics.port_bytes
            assert row[candidates.DRAM] == (
                metrics.weight_dram_bytes + metrics.input_dram_bytes + metrics.output_dram_bytes
            )

"""Mappings found for many designs at once are those that looking at all of them finds, design by design."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.hardware.load import load_architecture
from accelsim.mapping.machines import machine_of, searched
from accelsim.mapping.space import Problem
from accelsim.study.batch.candidates import BUFFER, PORT, RATES, TILES, enumerated
from accelsim.study.batch.contenders import contenders, without_rates
from accelsim.study.batch.envelope import Needs, begun, cells_of, may_win
from accelsim.study.batch.kernels import Needed, best_of
from accelsim.study.batch.rates import DesignRates
from accelsim.study.batch.searches import ARRAY
from accelsim.workload.load import load_workload
from tests.study.batch.test_equal import assert_equal

BURST, DRAM = 64.0, RATES.index("dram_byte")
CHIPS = {name: load_architecture(name).description for name in ("rapid-4core", "systolic-32x32", "tpu-v4i")}


def drawn_problem(rng):
    """A product or a convolution, its operands in DRAM or on chip."""
    groups, kernel = int(rng.choice([1, 1, 3])), int(rng.choice([1, 1, 9]))
    width = int(rng.integers(1, 30)) if kernel > 1 else 1
    rows = int(rng.integers(1, 300)) if kernel == 1 else int(rng.integers(1, 30)) * width
    on_chip = [bool(each) for each in rng.integers(0, 2, 3)]
    return Problem(
        groups, rows, int(rng.integers(1, 600)), int(rng.integers(1, 600)) * kernel, width, 1,
        width if kernel > 1 else 1, 3 if kernel > 1 else 1, kernel, 1.0, 1.0, 2.0, 4.0, *on_chip,
        extra_load_bytes=float(rng.choice([0.0, 512.0])),
    )  # fmt: skip


def drawn_machine(rng):
    """One of the chips, with a few cores and little room."""
    arch = CHIPS[str(rng.choice(list(CHIPS)))]
    machine = machine_of(arch, arch.default_precision, "")
    cores = int(rng.choice([1, 2, 3, 4]))
    return machine._replace(cores=cores, capacity_bytes=float(2.0 ** rng.uniform(12, 20)), burst_bytes=BURST)


def drawn_rates(rng, machine, designs, moving):
    """Rates of designs around a machine's own: a single rate of all that moves, or several."""
    cycle = np.full(designs, 1.0 / machine.array_hz)
    linear = np.tile([
        cycle[0], cycle[0] / machine.port_bytes_per_cycle, cycle[0], cycle[0] / 256, 1.0 / machine.dram_bytes_per_s,
        machine.dram_latency_s, 1.0 / machine.dma_bytes_per_s, 1.0 / machine.network_bytes_per_s, machine.hop_s,
        machine.overhead_s,
    ], (designs, 1))  # fmt: skip
    for rate in moving:
        linear[:, rate] *= np.exp(rng.uniform(-2, 2, designs))
    return linear


def mapper_of(linear):
    """(designs, `MAPPER`) in units of the array's cycle, as `DesignRates.ends` has them."""
    return np.concatenate([DesignRates(np.ones((1, 15)), np.ones((1, 11)), each[None]).ends()[:1] for each in linear])


def searched_at(problem, machine, followers, linear):
    """What the search finds for one design."""
    cycle, port, vector, _, dram, latency, dma, network, hop, launch = linear
    at = machine._replace(
        array_hz=1 / cycle, port_bytes_per_cycle=cycle / port, dram_bytes_per_s=1 / dram, dram_latency_s=latency,
        dma_bytes_per_s=1 / dma, network_bytes_per_s=1 / network if network else np.inf, hop_s=hop, overhead_s=launch,
    )  # fmt: skip
    return searched(problem._replace(follow_s=float(followers[:, 0].sum() * vector)), at)[1]


def best_rows(rows, followers, mapper):
    """Seconds and rows that the batch takes of a table, and which choices were close calls."""
    pool = np.arange(len(rows))
    columns = Needed(
        np.array([ARRAY]), np.array([0, len(followers)]), followers, np.zeros(len(followers)), np.zeros((1, 2)),
        np.array([0, len(pool)]), pool,
    )  # fmt: skip
    seconds, chosen = np.empty((len(mapper), 1)), np.empty((len(mapper), 1), np.int64)
    certain = np.ones(len(mapper), np.bool_)
    best_of(rows, columns, BURST, mapper, seconds, chosen, certain)
    return seconds[:, 0], chosen[:, 0], certain


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 20, 300]), st.sampled_from(["line", "any"]))
def test_contenders_hold_the_best_of_every_design(seed, designs, kind):
    rng = np.random.default_rng(seed)
    problem, machine = drawn_problem(rng), drawn_machine(rng)
    rate = int(rng.choice([1, DRAM, 5, 7, 9]))
    linear = drawn_rates(rng, machine, designs, [rate] if kind == "line" else [1, 4, 5, 7])
    if np.ptp(linear[:, rate]) == 0:  # of a chip that takes no time for it
        kind = "any"
    followers = np.array([(float(rng.integers(1, 10**4)), 0.0)] * int(rng.integers(0, 3))).reshape(-1, 2)
    everything = enumerated(problem, machine)
    everything = everything[everything[:, BUFFER] <= machine.capacity_bytes]
    own = without_rates(machine)._replace(capacity_bytes=machine.capacity_bytes)
    cells = cells_of(linear, rate if kind == "line" else None)
    assert cells.single == (designs < 300 or kind == "any")
    found = contenders(problem, own, followers, BURST, cells)
    if len(everything) == 0:
        assert len(found) == 0
        return
    mapper = mapper_of(linear)
    wanted_s, wanted, sure = best_rows(everything, followers, mapper)
    found_s, chosen, certain = best_rows(found, followers, mapper)
    assert certain[sure].all()
    for design in np.flatnonzero(certain & ~sure):  # heavier ones that are close, but not close enough, are left out
        metrics = searched_at(problem, machine, followers, linear[design])
        row = found[chosen[design]]
        assert found_s[design] * linear[design, 0] == pytest.approx(metrics.time_s, rel=1e-12)
        assert (row[PORT], row[TILES]) == (metrics.port_bytes, metrics.tiles)
    np.testing.assert_array_equal(found_s[sure], wanted_s[sure])
    np.testing.assert_array_equal(found[chosen][sure], everything[wanted][sure])
    assert len(found) <= len(everything)


def test_few_mappings_are_left():
    """Of one design a single one, as nothing else decides; of many on a line no more than there are designs."""
    rng = np.random.default_rng(0)
    machine = drawn_machine(rng)
    problem = Problem(1, 256, 512, 512, 1, 1, 1, 1, 1, 1.0, 1.0, 2.0, 4.0, False, False, False)
    own = without_rates(machine)._replace(capacity_bytes=2.0**20)
    for designs in (1, 1000):
        linear = drawn_rates(rng, machine, designs, [DRAM])
        found = contenders(problem, own, np.zeros((0, 2)), BURST, cells_of(linear, DRAM))
        assert 1 <= len(found) <= min(designs, 50)


@pytest.mark.parametrize("designs", [5, 400])
def test_what_is_below_the_best_somewhere_may_win(designs):
    """A bound that is above everywhere is left; one below at a single design is not."""
    linear = np.ones((designs, len(RATES)))
    linear[:, DRAM] = np.geomspace(0.1, 10, designs)
    cells = cells_of(linear, DRAM)
    envelope = begun(cells, np.zeros((0, 2)))
    ends = cells.linear[DRAM]
    envelope.low[:] = 100 + 10 * ends[1:-1]
    envelope.high[:] = -np.inf if cells.single else 100 + 10 * ends[2:]
    nothing = Needs(*[0.0] * len(Needs._fields))
    assert may_win(nothing._replace(load=10.0, cycles=98.0, share=1.0), cells, envelope)
    assert not may_win(nothing._replace(load=10.0, cycles=101.0, share=1.0), cells, envelope)
    assert may_win(nothing._replace(load=9.0, cycles=105.0, share=1.0), cells, envelope)
    assert not may_win(nothing._replace(load=9.0, cycles=115.0, share=1.0), cells, envelope)


SPEECH = "rnnt-lm-fusion", {"audio_s": 1}
BANDWIDTH, LATENCY = "memory.dram.bandwidth_bytes_per_s", "memory.dram.latency_s"


@pytest.mark.parametrize(("workload", "designs", "paths"), [
    (SPEECH, 1, (BANDWIDTH,)), (SPEECH, 3, (BANDWIDTH, LATENCY)), (SPEECH, 400, (BANDWIDTH,)),
    (SPEECH, 1200, (BANDWIDTH, LATENCY)), (("resnet-20", {}), 200, (BANDWIDTH,)),
])  # fmt: skip
def test_wide_batches_equal_single_designs(workload, designs, paths):
    """Rates that differ forty times over, on a line and off it; groups are told apart all the same."""
    rng, architecture = np.random.default_rng(designs), load_architecture("rapid-4core")
    overrides = {path: architecture.constants()[path].value * 40 ** rng.uniform(-0.5, 0.5, designs) for path in paths}
    rows = sorted({0, designs // 2, designs - 1})
    assert assert_equal(load_workload(workload[0], **workload[1]), architecture, overrides, rows).looped == 0

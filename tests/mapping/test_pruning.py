"""The search leaves nothing that could be best: its bounds hold, and it chooses what the search without bounds does."""

from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.mapping.contraction import Share, cost, evaluate, last_store_bytes, tiling
from accelsim.mapping.pruning import (
    begin_s,
    candidate_s,
    least_of_split,
    order_s,
    split_s,
    streamed_s,
    tiling_s,
    too_many_fetches,
)
from accelsim.mapping.search import least_buffer_bytes, search
from accelsim.mapping.space import ALONG_GROUPS, ALONG_N, Candidate, Metrics, ceil_div, shares
from tests.mapping.test_contraction import machines, problems


@st.composite
def candidates(draw, problem, machine):
    """Any split within the cores, and tiles of any size within a core's share."""
    split = (1, 1, 1, 1)
    for position, limit in enumerate((problem.groups, problem.m // problem.row_outputs, problem.n, 4)):
        room = machine.cores // (split[0] * split[1] * split[2] * split[3])
        size = draw(st.integers(1, max(1, min(room, limit, problem.k // problem.kernel_size))))
        split = (*split[:position], size, *split[position + 1 :])
    whole = Candidate(*split, 1, 1, 1, 0, 0, ALONG_N)
    g, m, n, k = shares(problem, whole)
    dataflows = [each for each in range(3) if machine[6 + each]]
    alongs = 1 if machine.arrays == 1 else 3 if g > 1 else 2
    return Candidate(
        *split, draw(st.integers(1, m)), draw(st.integers(1, n)), draw(st.integers(1, k)), draw(st.integers(0, 5)),
        draw(st.sampled_from(dataflows)), draw(st.integers(0, alongs - 1)),
    )  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.data(), problems(), machines(), st.sampled_from([0.0, 3e-6]))
def test_no_bound_is_above_the_time(data, problem, machine, follow_s):
    problem = problem._replace(follow_s=follow_s)
    c = data.draw(candidates(problem, machine))
    time_s = Metrics(*evaluate(problem, machine, c)).time_s
    s = Share(*shares(problem, c), c.split_g * c.split_m * c.split_n * c.split_k)
    t, least = tiling(problem, machine, c, s), least_of_split(problem, machine, c, s)
    last_s = last_store_bytes(problem, c, c.tile_m, c.tile_n) / machine.dram_bytes_per_s
    start_s = begin_s(problem, machine, c, t, least)
    turns = ceil_div(s.g, machine.arrays)
    above = time_s * (1 + 1e-9)
    assert split_s(machine, least) <= above
    assert tiling_s(s, t, least, start_s, last_s) <= above
    assert order_s(problem, machine, s, t, least, c.order, last_s) <= above
    assert streamed_s(machine, least, t.nm, t.nn, t.all_rows) <= above
    assert streamed_s(machine, least, t.nm, t.nn, t.all_rows) <= streamed_s(machine, least, t.nm, t.nn + 1, t.all_rows)
    assert candidate_s(problem, machine, c, s, t, least, start_s, last_s) <= above
    assert not too_many_fetches(problem, t, least, turns, above)
    assert c.along == ALONG_GROUPS or turns <= s.g


@settings(max_examples=100, deadline=None)
@given(st.data(), problems(), machines())
def test_known_tile_loops_cost_the_same(data, problem, machine):
    c = data.draw(candidates(problem, machine))
    s = Share(*shares(problem, c), c.split_g * c.split_m * c.split_n * c.split_k)
    t = tiling(problem, machine, c, s)
    assert Metrics(*cost(problem, machine, c, s, t)) == Metrics(*evaluate(problem, machine, c))


@settings(max_examples=150, deadline=None)
@given(problems(), machines())
def test_the_choice_among_equals_is_that_without_bounds(problem, machine):
    chosen, metrics, seen = search(problem, machine, True)
    brute, reference, all_seen = search(problem, machine, False)
    assert (Candidate(*chosen), Metrics(*metrics)) == (Candidate(*brute), Metrics(*reference))
    assert 0 < seen <= all_seen


@settings(max_examples=100, deadline=None)
@given(problems(), machines(), st.data())
def test_no_order_is_better_than_the_best_found(problem, machine, data):
    """The search takes some of the six orders of loops; the others are never shorter."""
    chosen, metrics, _ = search(problem, machine, True)
    if metrics[0]:
        other = Candidate(*chosen)._replace(order=data.draw(st.integers(0, 5)))
        found = Metrics(*evaluate(problem, machine, other))
        assert not found.feasible or found.time_s >= Metrics(*metrics).time_s * (1 - 2e-9)


@settings(max_examples=200, deadline=None)
@given(problems(), machines(), st.sampled_from([0.5, 0.999, 1.0, 1.5]))
def test_nothing_fits_below_the_least_buffer_and_something_does_from_there_on(problem, machine, share):
    least = least_buffer_bytes(problem, machine)
    _, metrics, _ = search(problem, machine._replace(capacity_bytes=least * share), True)
    assert metrics[0] == (share >= 1.0 or least == 0)

"""The best sequence of entries: against every partition, by the rules that the tasks follow."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.mapping.sequence import ALONE, GROUP, RUN, Step, best_sequence

seconds = st.integers(1, 40).map(float)
steps = st.builds(
    Step,
    alone_s=seconds,
    run_s=st.one_of(seconds, st.just(math.inf)),
    load_s=st.integers(0, 20).map(float),
    dma_s=st.integers(0, 20).map(float),
    quiet=st.booleans(),
)


def run_s(row, latency):
    """Seconds of one run, by the rules: two slots, DRAM and DMA in order; None where it cannot be one."""
    ends, loaded, dram, dma, now = [], [], 0.0, 0.0, 0.0
    for index, step in enumerate(row):
        if not math.isfinite(step.run_s) or (index and not row[index - 1].quiet):
            return None
        if step.load_s > 0:
            slot = ends[loaded[-2]] if len(loaded) > 1 else 0.0
            dram, dma = max(dram, slot) + step.load_s, max(dma, slot) + step.dma_s
            now = max(now, max(dram, dma) + latency)
            loaded.append(index)
        now += step.run_s
        ends.append(now)
    return now


def brute_force(row, latency, groups):
    best = [0.0] + [math.inf] * len(row)
    for end in range(1, len(row) + 1):
        for start in range(end):
            times = [row[start].alone_s] if end == start + 1 else []
            times += [each for each in [run_s(row[start:end], latency)] if each is not None]
            times += [group[2] for group in groups if group[:2] == (start, end - 1)]
            best[end] = min([best[end], *(best[start] + each for each in times)])
    return best[-1]


@st.composite
def rows(draw):
    row = draw(st.lists(steps, min_size=1, max_size=7))
    groups = draw(st.lists(st.tuples(st.integers(0, len(row) - 1), st.integers(0, 3), seconds), max_size=4))
    return row, [(first, min(len(row) - 1, first + more), each) for first, more, each in groups]


@settings(max_examples=300, deadline=None)
@given(rows(), st.integers(0, 5).map(float))
def test_it_is_the_best_of_all_partitions(case, latency):
    row, groups = case
    time_s, chosen = best_sequence(row, latency, groups)
    assert math.isclose(time_s, brute_force(row, latency, groups), rel_tol=1e-9)
    assert [each.first for each in chosen] == [0, *(each.last + 1 for each in chosen[:-1])]
    assert chosen[-1].last == len(row) - 1
    spent = 0.0
    for each in chosen:
        if each.kind == ALONE:
            spent += row[each.first].alone_s
        elif each.kind == RUN:
            spent += run_s(row[each.first : each.last + 1], latency)
        else:
            assert each.kind == GROUP
            assert groups[each.group][:2] == (each.first, each.last)
            spent += groups[each.group][2]
    assert math.isclose(spent, time_s, rel_tol=1e-9)


@settings(max_examples=100, deadline=None)
@given(
    rows(), st.integers(0, 5).map(float), st.integers(0, 6), st.sampled_from(["alone_s", "run_s", "load_s", "dma_s"])
)
def test_a_faster_part_never_makes_the_whole_slower(case, latency, index, field):
    row, groups = case
    index %= len(row)
    faster = list(row)
    faster[index] = row[index]._replace(**{field: getattr(row[index], field) / 2})
    assert best_sequence(faster, latency, groups)[0] <= best_sequence(row, latency, groups)[0] * (1 + 1e-9)


def test_nothing_takes_no_time():
    assert best_sequence([], 1.0) == (0.0, [])

"""What holds for every timeline, whatever the engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from accelsim.engine import Timeline, des, maxplus

from .strategies import graph_of, preds_of, runs, small

engines = st.sampled_from([des.run, maxplus.run])


def longest_path(graph, duration):
    """Along predecessors only: what no number of resources can beat. Needs a listed order."""
    ends = []
    for task in range(len(graph)):
        ends.append(max([ends[p] for p in preds_of(graph, task)], default=0) + int(duration[task]))
    return max(ends, default=0)


def assert_certified(timeline, graph, duration):
    assert timeline.violations(graph) == []
    assert (timeline.end_fs - timeline.start_fs).tolist() == duration.tolist()
    assert np.all(timeline.start_fs >= 0)
    assert timeline.makespan_fs >= longest_path(graph, duration)
    work = [int(duration[graph.resource == index].sum()) for index in range(len(graph.resources))]
    assert timeline.busy_fs(graph).tolist() == work
    assert timeline.makespan_fs >= max(work, default=0)
    assert timeline.makespan_fs <= int(duration.sum())  # at any instant before the end, some task runs


@given(engines, runs())
def test_certificates(run, drawn):
    assert_certified(run(*drawn), *drawn)


@given(runs(arrival=True, durations=small))
def test_certificates_with_arrival_order(drawn):
    assert_certified(des.run(*drawn), *drawn)


@given(engines, runs(), st.data())
def test_a_shorter_task_never_makes_the_whole_longer(run, drawn, data):
    graph, duration = drawn
    assume(len(graph))
    task = data.draw(st.integers(0, len(graph) - 1))
    shorter = duration.copy()
    shorter[task] = data.draw(st.integers(0, int(duration[task])))
    before, after = run(graph, duration), run(graph, shorter)
    assert after.makespan_fs <= before.makespan_fs
    assert np.all(after.end_fs <= before.end_fs)


@given(st.one_of(runs(), runs(arrival=True, durations=small)))
def test_three_times_as_slow_is_three_times_as_late(drawn):
    graph, duration = drawn
    run = des.run if graph.arrival else maxplus.run
    once, thrice = run(graph, duration), run(graph, 3 * duration)
    assert thrice.start_fs.tolist() == (3 * once.start_fs).tolist()
    assert thrice.end_fs.tolist() == (3 * once.end_fs).tolist()


@given(engines, runs())
def test_no_task_could_start_earlier(run, drawn):
    """Each start is 0 or the end of a predecessor or of a task listed before on the same resource."""
    graph, duration = drawn
    timeline = run(graph, duration)
    for task in range(len(graph)):
        before = [j for j in range(task) if graph.resource[j] == graph.resource[task] >= 0]
        assert timeline.start_fs[task] in {0, *timeline.end_fs[preds_of(graph, task) + before].tolist()}


class TestTampered:
    graph = graph_of([0, 0, 1], [[], [], [0]])
    duration = np.array([4, 5, 6])

    def moved(self, task, by):
        timeline = maxplus.run(self.graph, self.duration)
        shift = np.zeros(3, dtype=np.int64)
        shift[task] = by
        return replace(timeline, start_fs=timeline.start_fs + shift, end_fs=timeline.end_fs + shift)

    def test_untouched(self):
        assert self.moved(0, 0).violations(self.graph) == []

    def test_a_task_before_its_predecessor(self):
        found = self.moved(2, -1).violations(self.graph)
        assert found == ["task 2 starts before its predecessor 0 has ended"]

    def test_two_tasks_at_once_on_a_resource(self):
        assert self.moved(1, -1).violations(self.graph) == ["tasks 0 and 1 overlap on r0"]

    def test_a_later_start_breaks_nothing(self):
        assert self.moved(1, 10).violations(self.graph) == []

    @given(runs(durations=st.integers(1, 5)), st.data())
    def test_any_task_moved_before_its_predecessor_is_found(self, drawn, data):
        graph, duration = drawn
        assume(len(graph.pred))
        edge = data.draw(st.integers(0, len(graph.pred) - 1))
        task = int(np.searchsorted(graph.pred_ptr, edge, side="right")) - 1
        timeline = maxplus.run(graph, duration)
        start, end = timeline.start_fs.copy(), timeline.end_fs.copy()
        start[task] = end[graph.pred[edge]] - 1
        end[task] = start[task] + duration[task]
        assert any("predecessor" in words for words in Timeline(start, end, "tampered").violations(graph))

    @given(runs(durations=st.integers(1, 5)), st.data())
    def test_any_overlap_on_a_resource_is_found(self, drawn, data):
        graph, duration = drawn
        pairs = [(i, j) for j in range(len(graph)) for i in range(j) if graph.resource[i] == graph.resource[j] >= 0]
        assume(pairs)
        first, second = data.draw(st.sampled_from(pairs))
        timeline = maxplus.run(graph, duration)
        start, end = timeline.start_fs.copy(), timeline.end_fs.copy()
        start[second] = start[first]
        end[second] = start[second] + duration[second]
        assert any("overlap" in words for words in Timeline(start, end, "tampered").violations(graph))


def test_the_empty_graph():
    for run in (des.run, maxplus.run):
        timeline = run(graph_of([], []), np.zeros(0, dtype=np.int64))
        assert timeline.makespan_fs == 0
        assert timeline.busy_fs(graph_of([], [])).tolist() == [0, 0, 0]
        assert timeline.violations(graph_of([], [])) == []


@pytest.mark.parametrize("run", [des.run, maxplus.run])
def test_a_delay_blocks_nothing(run):
    graph = graph_of([-1, -1, 0], [[], [], []])
    assert run(graph, np.array([7, 7, 7])).start_fs.tolist() == [0, 0, 0]

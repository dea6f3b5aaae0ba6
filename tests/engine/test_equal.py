"""Both engines equal the naive definition, task by task, and fail alike."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim import engine
from accelsim.engine import des, maxplus
from accelsim.errors import AccelsimError, EngineError, InputError, UnknownNameError, UnsupportedError
from accelsim.units import MAX_TIME_FS

from .strategies import graph_of, huge, naive_arrival_ends, naive_ends, ordinary, runs, small

any_order = st.sampled_from(["listed", "shuffled", "any"])


def outcome(run, graph, duration):
    """Start and end of each task, or the error's class and words."""
    try:
        timeline = run(graph, duration)
    except AccelsimError as error:
        return type(error), str(error)
    assert timeline.start_fs.dtype == timeline.end_fs.dtype == np.int64
    return timeline.start_fs.tolist(), timeline.end_fs.tolist()


def assert_defined(found, ends, graph, duration):
    """``found`` is what the naive ``ends`` define: a deadlock, a schedule that is too long, or a timeline."""
    if ends is None:
        assert found[0] is EngineError
        assert found[1].startswith("deadlock: ")
    elif max(ends, default=0) > MAX_TIME_FS:
        assert found[0] is EngineError
        assert "longer than 9223 s" in found[1]
    else:
        assert found == ([end - int(d) for end, d in zip(ends, duration, strict=True)], ends)


@settings(max_examples=300)
@given(any_order.flatmap(lambda order: runs(order=order)))
def test_engines_equal_the_definition(run):
    found = outcome(des.run, *run)
    assert found == outcome(maxplus.run, *run)
    assert_defined(found, naive_ends(*run), *run)


@settings(max_examples=300)
@given(any_order.flatmap(lambda order: runs(order=order, durations=huge)))
def test_engines_equal_the_definition_at_the_end_of_time(run):
    found = outcome(des.run, *run)
    assert found == outcome(maxplus.run, *run)
    assert_defined(found, naive_ends(*run), *run)


@settings(max_examples=300)
@given(st.tuples(any_order, st.sampled_from([small, ordinary])).flatmap(
    lambda drawn: runs(order=drawn[0], durations=drawn[1], arrival=True, max_tasks=20)
))  # fmt: skip
def test_arrival_order_equals_the_definition(run):
    graph, duration = run
    assert_defined(outcome(des.run, graph, duration), naive_arrival_ends(graph, duration), graph, duration)
    if graph.arrival:
        with pytest.raises(UnsupportedError, match=f"'{min(graph.arrival)}' serves .* engine=\"des\""):
            maxplus.run(graph, duration)


def test_arrival_order_within_one_instant():
    """Task 0 takes no time, so task 1 is ready for r1 at the same instant as task 2, and has the lower index."""
    graph = graph_of([0, 1, 1], [[], [0], []], arrival=["r0", "r1"])
    assert des.run(graph, np.array([0, 5, 5])).start_fs.tolist() == [0, 0, 5]


def test_arrival_order_may_differ_from_the_listed_order():
    graph = graph_of([0, 1, 1], [[], [0], []])
    assert des.run(graph, np.array([3, 5, 5])).start_fs.tolist() == [0, 3, 8]
    assert des.run(replace(graph, arrival=frozenset(["r1"])), np.array([3, 5, 5])).start_fs.tolist() == [0, 5, 0]


def test_who_was_ready_first_goes_first_when_the_resource_is_free():
    graph = graph_of([0, -1, -1, 0, 0], [[], [], [], [1], [2]], arrival=["r0"])
    assert des.run(graph, np.array([10, 5, 3, 1, 1])).start_fs.tolist() == [0, 0, 0, 11, 10]


@given(runs(order="shuffled"), st.integers(0, 4), st.data())
def test_batch_equals_run_row_by_row(run, designs, data):
    graph, first = run
    rows = [data.draw(st.permutations(first.tolist())) for _ in range(designs)]
    durations = np.array(rows, dtype=np.int64).reshape(designs, len(graph))
    if designs and naive_ends(graph, first) is None:
        with pytest.raises(EngineError, match="deadlock"):
            maxplus.run_batch(graph, durations)
    else:
        single = [des.run(graph, row).makespan_fs for row in durations]
        assert maxplus.run_batch(graph, durations).tolist() == single


def test_batch_names_the_design_at_fault():
    graph = graph_of([0, 0], [[], []])
    with pytest.raises(EngineError, match="of design 1 is longer"):
        maxplus.run_batch(graph, np.array([[1, 2], [MAX_TIME_FS, 1], [3, 4]]))
    with pytest.raises(InputError, match="task 0 of design 2: -3 must be 0 or more"):
        maxplus.run_batch(graph, np.array([[1, 2], [MAX_TIME_FS, 1], [-3, 4]]))


def test_a_batch_may_have_any_strides():
    graph = graph_of([0, -1, 0], [[], [0], [1]])
    durations = np.arange(12).reshape(3, 4)
    assert maxplus.run_batch(graph, durations.T).tolist() == durations.sum(axis=0).tolist()
    durations.flags.writeable = False
    assert maxplus.run(graph, durations[:, 1]).makespan_fs == durations[:, 1].sum()


@pytest.mark.parametrize("run", [des.run, maxplus.run])
def test_a_long_graph(run):
    """Larger than Hypothesis draws; also far predecessors, and a numbering from last to first."""
    rng = np.random.default_rng(0)
    n = 2000
    preds = [rng.integers(0, i, size=rng.integers(0, 4)).tolist() if i else [] for i in range(n)]
    graph = graph_of(rng.integers(-1, 3, size=n).tolist(), preds)
    duration = rng.integers(0, 50, size=n)
    expected = naive_ends(graph, duration)
    assert run(graph, duration).end_fs.tolist() == expected
    delays = graph_of([-1] * n, [[n - 1 - p for p in each] for each in reversed(preds)])
    forward = graph_of([-1] * n, preds)
    assert run(delays, duration[::-1]).end_fs[::-1].tolist() == run(forward, duration).end_fs.tolist()


@pytest.mark.parametrize("run", [des.run, maxplus.run])
class TestFailures:
    def test_a_deadlock_names_tasks_resources_and_waits(self, run):
        graph = graph_of([0, 1, 0, 0, -1], [[2], [0], [], [], [1]])
        with pytest.raises(EngineError) as error:
            run(graph, np.ones(5, dtype=np.int64))
        assert str(error.value) == (
            "deadlock: 5 of 5 tasks can never start: task 0 on 'r0' waits for task 2, its predecessor; "
            "task 2 on 'r0' waits for task 0, listed before it."
        )

    def test_a_long_circle_is_cut_short(self, run):
        graph = graph_of([-1] * 7, [[], [0, 6], [1], [2], [3], [4], [5]])
        with pytest.raises(
            EngineError, match=r"6 of 7 .*: task 1 on no resource waits for task 6, .*so on, 6 tasks in a circle\.$"
        ):
            run(graph, np.ones(7, dtype=np.int64))

    def test_a_task_that_waits_for_itself(self, run):
        with pytest.raises(EngineError, match=r"1 of 2 .* task 1 on 'r0' waits for itself"):
            run(graph_of([0, 0], [[], [1]]), np.ones(2, dtype=np.int64))

    @pytest.mark.parametrize(
        ("duration", "words"),
        [
            ([1, -5, -6], r"duration_fs of task 2: -6 must be 0 or more"),
            ([9, -5, 1], r"duration_fs of task 1: -5 must be 0 or more"),
            ([1.0, 2.0, 3.0], "int64, not float64"),
            ([1, 2], r"shape: \(2,\) must have the shape \(3,\)"),
            ([[1, 2, 3]], r"must have the shape \(3,\)"),
        ],
    )
    def test_bad_durations(self, run, duration, words):
        with pytest.raises(InputError, match=words):
            run(graph_of([0, 0, 0], [[], [0], [1]]), np.array(duration))

    def test_durations_must_be_an_array(self, run):
        with pytest.raises(InputError, match="not list"):
            run(graph_of([0], [[]]), [1])

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"pred": np.array([0, 4])}, "task 2 waits for task 4, which does not exist"),
            ({"pred": np.array([-1, 1])}, "task 1 waits for task -1, which does not exist"),
            ({"pred": np.array([2**62, 1])}, "does not exist"),
            ({"resource": np.array([0, 3, 0, 0])}, "resource that does not exist"),
            ({"resource": np.array([0, -2, 0, 0])}, "resource that does not exist"),
            ({"pred_ptr": np.array([0, 0, 2**40, 2, 2])}, "pred_ptr must rise"),
            ({"pred_ptr": np.array([0, 0, 2, 1, 2]), "pred": np.array([0, 0])}, "pred_ptr must rise"),
            ({"pred_ptr": np.array([1, 1, 1, 2, 2])}, "pred_ptr must rise"),
            ({"pred_ptr": np.array([0, 0, 1, 1, 1])}, "pred_ptr must rise"),
            ({"pred_ptr": np.array([0, 0, 2])}, "pred_ptr: .* length 5"),
            ({"resource": np.array([0, 0, 0, 0], dtype=np.int32)}, "resource: .* must be an int64 column"),
            ({"arrival": frozenset(["r9"])}, "'r9' is not a known resource"),
        ],
    )
    def test_a_malformed_graph_is_an_error_and_not_a_wild_read(self, run, change, words):
        graph = replace(graph_of([0, 0, 0, 0], [[], [0], [1], []]), **change)
        with pytest.raises(AccelsimError, match=words):
            run(graph, np.ones(4, dtype=np.int64))

    def test_a_deadlock_is_named_before_a_long_schedule(self, run):
        graph = graph_of([0, 0, 1], [[], [], [2]])
        with pytest.raises(EngineError, match="deadlock: 1 of 3"):
            run(graph, np.array([MAX_TIME_FS, 1, 1]))

    def test_the_last_femtosecond(self, run):
        graph = graph_of([0, 0], [[], []])
        assert run(graph, np.array([MAX_TIME_FS - 1, 1])).makespan_fs == MAX_TIME_FS
        with pytest.raises(EngineError, match="longer than 9223 s"):
            run(graph, np.array([MAX_TIME_FS, 1]))


class TestChoice:
    graph, duration = graph_of([0, 1], [[], [0]]), np.array([2, 3])

    def test_auto_is_maxplus_where_that_applies(self):
        assert engine.run(self.graph, self.duration).engine == "maxplus"
        assert engine.run(replace(self.graph, arrival=frozenset(["r1"])), self.duration).engine == "des"

    @pytest.mark.parametrize("name", ["des", "maxplus"])
    def test_by_name(self, name):
        timeline = engine.run(self.graph, self.duration, name)
        assert (timeline.engine, timeline.makespan_fs) == (name, 5)

    def test_unknown_name(self):
        with pytest.raises(UnknownNameError, match="Did you mean 'maxplus'"):
            engine.run(self.graph, self.duration, "max-plus")

    def test_libraries_load_only_when_used(self):
        code = "import sys, accelsim.engine; assert not {'numba', 'simpy'} & set(sys.modules), 'loaded too early'"
        subprocess.run([sys.executable, "-c", code], check=True)

"""Listing tasks as they are ready: the same tasks, in an order that both engines take."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.engine import run
from accelsim.engine.issue import Due, issued_as_ready
from accelsim.mapping.taskgraph import TaskGraphBuilder


def random_graph(seed, count=30):
    random = np.random.default_rng(seed)
    builder = TaskGraphBuilder(["a", "b"], ["work"])
    for task in range(count):
        preds = random.integers(0, task, size=random.integers(0, 3)).tolist() if task else []
        builder.add([None, "a", "b"][random.integers(3)], "work", float(random.integers(0, 5)), task, preds)
    return builder.build()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6))
def test_the_same_tasks_in_a_valid_order(seed):
    graph = random_graph(seed)
    duration = graph.amount.astype(np.int64)
    listed = issued_as_ready(graph, duration, ["b"])
    listed.check()
    assert sorted(listed.op.tolist()) == list(range(len(graph)))
    where = np.argsort(listed.op)  # op numbers are the old indices
    for old in range(len(graph)):
        new = int(where[old])
        before = {int(listed.op[p]) for p in listed.pred[listed.pred_ptr[new] : listed.pred_ptr[new + 1]]}
        assert before == set(graph.pred[graph.pred_ptr[old] : graph.pred_ptr[old + 1]].tolist())
    moved = duration[listed.op]
    assert np.array_equal(run(listed, moved, "des").end_fs, run(listed, moved, "maxplus").end_fs)


def test_what_is_ready_first_is_issued_first():
    builder = TaskGraphBuilder(["unit"], ["work"])
    slow = builder.add(None, "work", 10.0, 0)
    builder.add("unit", "work", 1.0, 1, [slow])
    builder.add("unit", "work", 1.0, 2)
    graph = builder.build()
    assert run(graph, graph.amount.astype(np.int64)).end_fs[2] == 12, "listed behind a task that waits"
    listed = issued_as_ready(graph, graph.amount.astype(np.int64), ["unit"])
    ends = run(listed, listed.amount.astype(np.int64)).end_fs
    assert dict(zip(listed.op.tolist(), ends.tolist(), strict=True)) == {0: 10, 1: 11, 2: 1}


def test_due_tasks_stand_where_they_fall_due():
    builder = TaskGraphBuilder(["unit"], ["work", "upkeep"])
    last = -1
    for index in range(4):
        last = builder.add("unit", "work", 10.0, index, [last])
    graph = builder.build()
    listed = issued_as_ready(graph, graph.amount.astype(np.int64), ["unit"], [Due(15, "unit", "upkeep", 3.0)])
    assert [listed.actions[action] for action in listed.action] == ["work", "work", "upkeep", "work", "work"]
    assert run(listed, listed.amount.astype(np.int64)).makespan_fs == 43

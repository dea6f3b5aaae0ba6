"""TaskGraphBuilder: loops equal their unrolling by hand, and blocks of columns equal tasks added one by one."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import EngineError
from accelsim.mapping.taskgraph import TaskGraphBuilder

RESOURCES, ACTIONS = ["dram", "mac"], ["byte", "cycle"]


def builder():
    return TaskGraphBuilder(RESOURCES, ACTIONS)


def rows(graph):
    """Each task as (resource, action, amount, op, predecessors)."""
    preds = [sorted(graph.pred[lo:hi].tolist()) for lo, hi in pairwise(graph.pred_ptr.tolist())]
    names = [None if index < 0 else graph.resources[index] for index in graph.resource]
    actions = [graph.actions[index] for index in graph.action]
    return list(zip(names, actions, graph.amount.tolist(), graph.op.tolist(), preds, strict=True))


def unrolled(tasks, first, times, carried):
    """``tasks`` (rows) whose tail from ``first`` on is executed ``times`` times: the definition of `repeat`."""
    n = len(tasks) - first
    done = list(tasks)
    for execution in range(1, times):
        for place, (*what, preds) in enumerate(tasks[first:], start=first):
            inside = [p + execution * n for p in preds if p >= first]
            outside = [p for p in preds if p < first]
            earlier = [a + (execution - 1) * n for a, b in carried if b == place and a >= 0]
            done.append((*what, sorted({*inside, *outside, *earlier})))
    return done


@st.composite
def programs(draw, depth=2):
    """A loop nest: a list of tasks, written (resource, action, amount, op, numbers that pick predecessors), and of
    loops, written (body, times, numbers that pick pairs of carried tasks)."""
    picks = st.lists(st.integers(0, 10**6), max_size=3)
    task = st.tuples(
        st.sampled_from([None, *RESOURCES]), st.sampled_from(ACTIONS), st.integers(0, 9), st.just(0), picks
    )
    pairs = st.lists(st.tuples(st.integers(-1, 10**6), st.integers(0, 10**6)), max_size=3)
    item = task if depth == 0 else st.one_of(task, st.tuples(programs(depth - 1), st.integers(1, 4), pairs))
    return draw(st.lists(item, max_size=4))


def write(program, build, by_hand):
    """Write ``program`` with a builder and, task by task, into the list ``by_hand``."""
    for item in program:
        if len(item) == 5:
            *what, picks = item
            preds = [pick % len(by_hand) for pick in picks] if by_hand else []
            assert build.add(*what, preds) == len(by_hand)
            by_hand.append((*what, sorted(set(preds))))
            continue
        body, times, pairs = item
        first = len(by_hand)
        write(body, build, by_hand)
        n = len(by_hand) - first
        carried = [(a if a < 0 else first + a % n, first + b % n) for a, b in pairs] if n else []
        build.repeat(first, times, carried)
        by_hand[:] = unrolled(by_hand, first, times, carried)
        assert len(build) == len(by_hand)


@given(programs())
def test_loops_equal_their_unrolling(program):
    build, by_hand = builder(), []
    write(program, build, by_hand)
    graph = build.build()
    assert rows(graph) == by_hand
    graph.check()


def test_a_double_buffered_loop():
    build = builder()
    weights = build.add("dram", "byte", 8.0, 0)
    load = build.add("dram", "byte", 4.0, 1)
    mac = build.add("mac", "cycle", 2.0, 1, [weights, load])
    build.repeat(load, 3, carried=[(mac, load)])
    after = build.add("dram", "byte", 1.0, 2, [mac + 4])
    assert (len(build), after) == (8, 7)
    assert [preds for *_, preds in rows(build.build())] == [[], [], [0, 1], [2], [0, 3], [4], [0, 5], [6]]


def test_an_outer_predecessor_just_before_the_body_stays():
    """It stands as near to the body as a carried task of the execution before would."""
    build = builder()
    outer = [build.add("dram", "byte", 1.0, 0) for _ in range(3)]
    first = build.add("mac", "cycle", 1.0, 0, outer)
    build.add("mac", "cycle", 1.0, 0, [first])
    build.repeat(first, 2)
    assert [preds for *_, preds in rows(build.build())][3:] == [[0, 1, 2], [3], [0, 1, 2], [5]]


def test_nested_loops_carry_from_the_last_inner_execution():
    build = builder()
    inner = build.add("mac", "cycle", 1.0, 0)
    build.repeat(inner, 2, carried=[(inner, inner)])
    last = len(build) - 1
    build.repeat(inner, 3, carried=[(last, inner)])
    assert [preds for *_, preds in rows(build.build())] == [[], [0], [1], [2], [3], [4]]


@pytest.mark.parametrize("times", [-1, 0, 1])
def test_nothing_to_repeat(times):
    build = builder()
    build.add("mac", "cycle", 1.0, 0)
    build.repeat(0, times, carried=[(0, 0)])
    build.repeat(1, 5)
    assert len(build) == 1
    assert rows(build.build()) == [("mac", "cycle", 1.0, 0, [])]


def test_negative_and_double_predecessors_are_dropped():
    build = builder()
    build.add("mac", "cycle", 1.0, 0, [-1])
    build.add(None, "cycle", 1.0, 0, [0, -1, 0])
    assert [preds for *_, preds in rows(build.build())] == [[], [0]]


def test_an_empty_graph():
    graph = builder().build(arrival=["dram"])
    assert len(graph) == 0
    assert graph.pred_ptr.tolist() == [0]
    assert graph.arrival == {"dram"}
    graph.check()


@given(programs(), programs(), st.integers(1, 3))
def test_a_block_of_columns_equals_its_tasks_one_by_one(head, tail, times):
    one_by_one, by_hand = builder(), []
    write(head, one_by_one, by_hand)
    start = len(by_hand)
    write(tail, one_by_one, by_hand)
    whole = one_by_one.build()

    in_block, again = builder(), []
    write(head, in_block, again)
    cut = int(whole.pred_ptr[start])
    first = in_block.add_columns(
        whole.resource[start:], whole.action[start:], whole.amount[start:], whole.op[start:],
        whole.pred_ptr[start:] - cut, whole.pred[cut:],
    )  # fmt: skip
    assert first == start
    in_block.repeat(first, times)
    assert in_block.add("mac", "cycle", 1.0, 0, [first]) == len(in_block) - 1
    assert rows(in_block.build())[:-1] == unrolled(by_hand, start, times, [])


class TestCheck:
    def graph(self, **change):
        build = builder()
        build.add("mac", "cycle", 1.0, 0)
        build.add("mac", "cycle", 1.0, 0, [0])
        return replace(build.build(), **change)

    def test_a_sound_graph(self):
        self.graph().check()

    @pytest.mark.parametrize("pred", [-1, 1, 5])
    def test_a_predecessor_that_does_not_stand_before(self, pred):
        with pytest.raises(EngineError, match="task 1 waits"):
            self.graph(pred=np.array([pred])).check()

    @pytest.mark.parametrize("resource", [-2, 2])
    def test_a_resource_that_does_not_exist(self, resource):
        with pytest.raises(EngineError, match="resource"):
            self.graph(resource=np.array([0, resource])).check()

"""Hypothesis strategies for task graphs and their durations, and naive definitions of what engines compute."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from accelsim.mapping.taskgraph import TaskGraph
from accelsim.units import MAX_TIME_FS

# Small numbers make ties, and with 0 whole chains happen in one instant; the large ones need all of int64.
small = st.sampled_from([0, 0, 1, 1, 2, 3, 5])
ordinary = st.one_of(small, st.integers(0, 10**6), st.integers(0, 2**55))
huge = st.one_of(small, st.sampled_from([2**61, 2**62, MAX_TIME_FS - 1, MAX_TIME_FS]))


def graph_of(resource, preds, resources=3, arrival=()):
    """A task graph from one resource index and one list of predecessors a task."""
    n = len(resource)
    counts = [len(each) for each in preds]
    return TaskGraph(
        resources=tuple(f"r{index}" for index in range(resources)),
        actions=("work",),
        resource=np.array(resource, dtype=np.int64),
        action=np.zeros(n, dtype=np.int64),
        amount=np.ones(n),
        op=np.zeros(n, dtype=np.int64),
        pred_ptr=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        pred=np.array([p for each in preds for p in each], dtype=np.int64),
        arrival=frozenset(arrival),
    )


@st.composite
def task_graphs(draw, max_tasks=14, order="listed", arrival=False):
    """Graphs of up to ``max_tasks`` on up to 3 resources, some tasks on none.

    ``order`` says where predecessors may stand: "listed" before their task; "shuffled" anywhere, in a graph without
    circles of its own (so only the issue order can deadlock it); "any" anywhere at all, the task itself included.
    """
    n = draw(st.integers(0, max_tasks))
    resources = draw(st.integers(0, 3))
    resource = draw(st.lists(st.integers(-1, resources - 1), min_size=n, max_size=n))
    below = [n if order == "any" else i for i in range(n)]
    preds = [draw(st.lists(st.integers(0, bound - 1), max_size=3)) if bound else [] for bound in below]
    if order == "shuffled":
        place = draw(st.permutations(range(n)))
        moved = dict(zip(place, preds, strict=True))
        preds = [[place[p] for p in moved[i]] for i in range(n)]
    names = [f"r{index}" for index in range(resources)]
    chosen = draw(st.sets(st.sampled_from(names), min_size=1)) if arrival and names else ()
    return graph_of(resource, preds, resources, chosen)


@st.composite
def runs(draw, durations=ordinary, **kinds):
    """A task graph and its durations."""
    graph = draw(task_graphs(**kinds))
    drawn = draw(st.lists(durations, min_size=len(graph), max_size=len(graph)))
    return graph, np.array(drawn, dtype=np.int64)


def preds_of(graph, task):
    return graph.pred[graph.pred_ptr[task] : graph.pred_ptr[task + 1]].tolist()


def naive_ends(graph, duration):
    """The definition: a task starts when its predecessors and the task listed before it have ended. None: deadlock."""
    on = graph.resource.tolist()
    listed_before = [[j for j in range(i) if on[j] == on[i] >= 0][-1:] for i in range(len(graph))]
    waits = [preds_of(graph, i) + listed_before[i] for i in range(len(graph))]
    ends = {}
    while len(ends) < len(graph):
        able = [i for i in range(len(graph)) if i not in ends and all(w in ends for w in waits[i])]
        if not able:
            return None
        ends.update({i: max([ends[w] for w in waits[i]], default=0) + int(duration[i]) for i in able})
    return [ends[i] for i in range(len(graph))]


def naive_arrival_ends(graph, duration):
    """The same where some resources serve in order of becoming ready (ties by index): instant after instant."""
    n, on, now, ends = len(graph), graph.resource.tolist(), 0, {}
    by_arrival = {index for index, name in enumerate(graph.resources) if name in graph.arrival}

    def ready(i):  # when its predecessors had all ended; None if they have not
        preds = preds_of(graph, i)
        return max([0, *(ends[p] for p in preds)]) if all(ends.get(p, now + 1) <= now for p in preds) else None

    def turn(i):
        if on[i] in by_arrival:
            return not any(on[j] == on[i] and ends[j] > now for j in ends)
        return all(ends.get(j, now + 1) <= now for j in range(i) if on[j] == on[i] >= 0)

    while True:
        able = [i for i in range(n) if i not in ends and ready(i) is not None and turn(i)]
        able.sort(key=lambda i: (on[i] in by_arrival, ready(i), i))  # all else at this instant comes first
        if able:
            ends[able[0]] = now + int(duration[able[0]])
        elif later := [end for end in ends.values() if end > now]:
            now = min(later)
        else:
            return [ends[i] for i in range(n)] if len(ends) == n else None

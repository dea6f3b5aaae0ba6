from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal

import numpy as np
import pytest

from accelsim.report import perfetto
from accelsim.report.perfetto import write_trace
from tests.report.trace_processor import open_trace


@pytest.fixture(scope="module")
def trace(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    write_trace(result.evaluation, path)
    return path


@pytest.fixture(scope="module")
def events(trace):
    return json.loads(trace.read_text("utf-8"), parse_float=Decimal)["traceEvents"]


def ns(microseconds):
    exact = microseconds * 1000
    assert exact == int(exact)
    return int(exact)


def rounded(femtoseconds):
    """Whole nanoseconds, half up."""
    return (int(femtoseconds) + 500_000) // 1_000_000


def test_a_slice_a_task(result, events):
    tasks, timeline = result.evaluation.tasks, result.evaluation.timeline
    slices = [event for event in events if event["ph"] == "X"]
    assert len(slices) == int((tasks.resource >= 0).sum())
    for event in slices:
        task = event["args"]["task"]
        assert ns(event["ts"]) == rounded(timeline.start_fs[task])
        assert ns(event["ts"]) + ns(event["dur"]) == rounded(timeline.end_fs[task])
        assert event["args"]["start_fs"] == timeline.start_fs[task]
        assert event["args"]["duration_fs"] == timeline.end_fs[task] - timeline.start_fs[task]
        assert event["tid"] == tasks.resource[task] + 1
        assert event["args"]["action"] == tasks.actions[tasks.action[task]]
        assert float(event["args"]["amount"]) == tasks.amount[task]


def test_slices_of_a_thread_add_up_to_its_busy_time(result, events):
    busy = np.zeros(len(result.evaluation.tasks.resources), dtype=np.int64)
    for event in events:
        if event["ph"] == "X":
            busy[event["tid"] - 1] += event["args"]["duration_fs"]
    assert busy.tolist() == result.evaluation.timeline.busy_fs(result.evaluation.tasks).tolist()


def test_delays_are_asynchronous_pairs(result, events):
    tasks, timeline = result.evaluation.tasks, result.evaluation.timeline
    begins = {event["id"]: event for event in events if event["ph"] == "b"}
    ends = {event["id"]: event for event in events if event["ph"] == "e"}
    assert begins.keys() == ends.keys() == set(np.flatnonzero(tasks.resource < 0).tolist())
    for task, event in begins.items():
        assert ns(event["ts"]) == rounded(timeline.start_fs[task])
        assert ns(ends[task]["ts"]) == rounded(timeline.end_fs[task])


def test_threads_bear_the_names_of_resources(result, events):
    names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert [names[i + 1] for i in range(len(names) - 1)] == list(result.evaluation.tasks.resources)


def test_rounding_makes_no_overlaps(events):
    ends = defaultdict(int)
    for event in events:
        if event["ph"] == "X":
            assert ns(event["ts"]) >= ends[event["tid"]]
            ends[event["tid"]] = ns(event["ts"]) + ns(event["dur"])


def test_perfetto_opens_it(result, trace):
    """Its own trace processor finds a slice a task, on the track of its resource, and nothing to complain about."""
    tasks, timeline = result.evaluation.tasks, result.evaluation.timeline
    processor = open_trace(trace)
    try:
        complaints = list(processor.query("select * from stats where severity in ('error', 'data_loss') and value > 0"))
        assert [(each.name, each.value) for each in complaints] == []
        found = list(processor.query(_SLICES))
    finally:
        processor.close()
    assert sorted(row.task for row in found) == list(range(len(tasks)))
    busy = defaultdict(int)
    for row in found:
        resource = tasks.resource[row.task]
        assert row.thread == (tasks.resources[resource] if resource >= 0 else None)
        assert row.ts == rounded(timeline.start_fs[row.task])
        assert row.ts + row.dur == rounded(timeline.end_fs[row.task])
        if resource >= 0:
            busy[row.thread] += row.duration_fs
    assert busy == {
        name: spent
        for name, spent in zip(tasks.resources, timeline.busy_fs(tasks).tolist(), strict=True)
        if name in busy or spent
    }


_SLICES = """
select slice.ts, slice.dur, thread.name as thread,
       extract_arg(slice.arg_set_id, 'args.task') as task,
       extract_arg(slice.arg_set_id, 'args.duration_fs') as duration_fs
from slice left join thread_track on slice.track_id = thread_track.id left join thread using (utid)
"""


def test_nothing_is_left_after_an_error(speech, tmp_path, monkeypatch):
    def broken(evaluation):
        yield '{"ph": "M"}'
        raise RuntimeError("stopped")

    monkeypatch.setattr(perfetto, "trace_events", broken)
    path = tmp_path / "trace.json"
    path.write_text("before")
    with pytest.raises(RuntimeError):
        write_trace(speech.evaluation, path)
    assert path.read_text() == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["trace.json"]

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest

from accelsim.report import perfetto
from accelsim.report.perfetto import write_trace


@pytest.fixture(scope="module")
def events(result, tmp_path_factory):
    path = tmp_path_factory.mktemp("trace") / "trace.json"
    write_trace(result.evaluation, path)
    # As exact decimals: a float of microseconds cannot hold every femtosecond.
    return json.loads(path.read_text("utf-8"), parse_float=Decimal)["traceEvents"]


def fs(microseconds):
    exact = microseconds * 10**9
    assert exact == int(exact)
    return int(exact)


def test_a_slice_a_task(result, events):
    tasks, timeline = result.evaluation.tasks, result.evaluation.timeline
    slices = [event for event in events if event["ph"] == "X"]
    assert len(slices) == int((tasks.resource >= 0).sum())
    for event in slices:
        task = event["args"]["task"]
        assert fs(event["ts"]) == timeline.start_fs[task]
        assert fs(event["dur"]) == timeline.end_fs[task] - timeline.start_fs[task]
        assert event["tid"] == tasks.resource[task] + 1
        assert event["args"]["action"] == tasks.actions[tasks.action[task]]
        assert float(event["args"]["amount"]) == tasks.amount[task]


def test_slices_of_a_thread_add_up_to_its_busy_time(result, events):
    busy = np.zeros(len(result.evaluation.tasks.resources), dtype=np.int64)
    for event in events:
        if event["ph"] == "X":
            busy[event["tid"] - 1] += fs(event["dur"])
    assert busy.tolist() == result.evaluation.timeline.busy_fs(result.evaluation.tasks).tolist()


def test_delays_are_asynchronous_pairs(result, events):
    tasks, timeline = result.evaluation.tasks, result.evaluation.timeline
    begins = {event["id"]: event for event in events if event["ph"] == "b"}
    ends = {event["id"]: event for event in events if event["ph"] == "e"}
    assert begins.keys() == ends.keys() == set(np.flatnonzero(tasks.resource < 0).tolist())
    for task, event in begins.items():
        assert fs(event["ts"]) == timeline.start_fs[task]
        assert fs(ends[task]["ts"]) == timeline.end_fs[task]


def test_threads_bear_the_names_of_resources(result, events):
    names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert [names[i + 1] for i in range(len(names) - 1)] == list(result.evaluation.tasks.resources)


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

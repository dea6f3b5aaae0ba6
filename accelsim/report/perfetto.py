"""The timeline as Chrome trace events, which https://ui.perfetto.dev and chrome://tracing open.

A thread a resource, a complete event a task. Delays occupy no resource and may overlap, so they are asynchronous
events, which viewers put on tracks of their own.

Perfetto counts in whole nanoseconds. It rounds ``ts`` and ``dur`` apart, and drops a slice that then ends after the
next one begins; so both ends of a task are rounded here, half up, and ``dur`` is their difference: tasks that do not
overlap in femtoseconds do not in nanoseconds either, and a slice is off by less than 1 ns. The arguments ``start_fs``
and ``duration_fs`` of each event are exact.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from accelsim.mapping.taskgraph import NO_RESOURCE
from accelsim.pipeline import Evaluation
from accelsim.report.files import atomic_writer

__all__ = ["trace_events", "write_trace"]

_FS_PER_NS = 10**6
_PID = 1
_BLOCK = 100_000


def write_trace(evaluation: Evaluation, path: str | Path) -> None:
    """Write the timeline of ``evaluation`` to ``path`` as trace-event JSON, whole or not at all.

    Raises:
        InputError: the folder does not exist, or the file cannot be written.
    """
    with atomic_writer(path) as stream:
        stream.write('{"displayTimeUnit": "ns", "traceEvents": [\n')
        for number, event in enumerate(trace_events(evaluation)):
            stream.write(f",\n{event}" if number else event)
        stream.write("\n]}\n")


def trace_events(evaluation: Evaluation) -> Iterator[str]:
    """The events one by one, each a line of JSON: names first, then tasks in the order of the task graph."""
    yield from _names(evaluation)
    names = [json.dumps(op.op.name) for op in evaluation.mapping.walk()]
    actions = [json.dumps(action) for action in evaluation.tasks.actions]
    # In blocks, so that millions of tasks never stand in memory as Python numbers.
    for first in range(0, len(evaluation.tasks), _BLOCK):
        yield from _block(evaluation, slice(first, first + _BLOCK), names, actions)


def _block(evaluation: Evaluation, block: slice, names: list[str], actions: list[str]) -> Iterator[str]:
    tasks, timeline = evaluation.tasks, evaluation.timeline
    columns = zip(
        tasks.resource[block].tolist(), tasks.action[block].tolist(), tasks.op[block].tolist(),
        tasks.amount[block].tolist(), timeline.start_fs[block].tolist(), timeline.end_fs[block].tolist(), strict=True,
    )  # fmt: skip
    for task, (resource, action, op, amount, start, end) in enumerate(columns, start=block.start):
        known = f'"op": {names[op]}, "action": {actions[action]}, "amount": {amount!r}, "task": {task}'
        args = f'"args": {{{known}, "start_fs": {start}, "duration_fs": {end - start}}}'
        begin_ns, end_ns = _ns(start), _ns(end)
        what = f'"name": {names[op]}, "cat": {actions[action]}, "pid": {_PID}, "tid": {resource + 1}'
        if resource == NO_RESOURCE:
            yield f'{{"ph": "b", "id": {task}, {what}, "ts": {_us(begin_ns)}, {args}}}'
            yield f'{{"ph": "e", "id": {task}, {what}, "ts": {_us(end_ns)}}}'
        else:
            yield f'{{"ph": "X", {what}, "ts": {_us(begin_ns)}, "dur": {_us(end_ns - begin_ns)}, {args}}}'


def _names(evaluation: Evaluation) -> Iterator[str]:
    def named(kind: str, thread: int, **arguments: object) -> str:
        return json.dumps({"ph": "M", "name": kind, "pid": _PID, "tid": thread, "args": arguments})

    run = f"{evaluation.workload.name} on {evaluation.architecture.name} in {evaluation.choice.label}"
    yield named("process_name", 0, name=run)
    yield named("thread_name", 0, name="delays")
    for index, name in enumerate(evaluation.tasks.resources):
        yield named("thread_name", index + 1, name=name)
        yield named("thread_sort_index", index + 1, sort_index=index)


def _ns(femtoseconds: int) -> int:
    return (femtoseconds + _FS_PER_NS // 2) // _FS_PER_NS


def _us(nanoseconds: int) -> str:
    """Microseconds, in which trace events count, as an exact decimal."""
    whole, rest = divmod(nanoseconds, 1000)
    return f"{whole}.{rest:03d}" if rest else str(whole)

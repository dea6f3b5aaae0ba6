"""Dataflows of stages: what the engines make of finite FIFOs, and what no dataflow may be."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.engine import des, maxplus
from accelsim.engine.streaming import (
    cycles_of_frames,
    largest_fill,
    run_cycles,
    size_fifos,
    smallest_common_depth,
)
from accelsim.errors import EngineError, GraphError, InputError, UnknownNameError
from accelsim.mapping.fpga.circuits import Wiring
from accelsim.mapping.fpga.lower import UNBOUNDED, lower_dataflow
from accelsim.mapping.fpga.records import Dataflow, Lines, Stage, Stream, every_pixel
from accelsim.mapping.fpga.residual import residual_dataflow
from accelsim.mapping.fpga.windows import Geometry, oldest_pixels, padded, window_steps

REFERENCE = Path(__file__).parents[2] / "reference" / "fpga" / "skip_fifo_min_depth_rtlsim.csv"
NONE = (Wiring(),)


def skip_of(row):
    return "long" if row["skip"].startswith("around two") else "short"


ROWS = list(csv.DictReader(REFERENCE.read_text("utf-8").splitlines()))


@pytest.mark.parametrize("row", ROWS, ids=[f"{skip_of(row)}-{row['width']}" for row in ROWS])
def test_depths_and_cycles_of_the_rtl_simulation(row):
    """Every row of the table of the residual block's RTL simulation (Icarus Verilog), its clock cycles included."""
    dataflow = residual_dataflow(skip_of(row), int(row["width"]), int(row["height"]), depth=1)
    fifos = [each.name for each in dataflow.fifos if each.skip]
    found = smallest_common_depth(lower_dataflow(dataflow), fifos)
    assert found.working[fifos[0]] == int(row["min_depth_no_deadlock"])
    assert found.lossless[fifos[0]] == int(row["min_depth_full_throughput"])
    assert found.cycles - 1 == int(row["cycles_full"])
    assert found.cycles_working - 1 == int(row["cycles_at_min"])


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["long", "short"]), st.integers(3, 7), st.integers(3, 6), st.integers(1, 24), st.integers(1, 4))
def test_both_engines_agree_on_finite_fifos(skips, width, height, depth, between):
    dataflow = residual_dataflow(skips, width, height, depth=depth, between=between)
    graph = lower_dataflow(dataflow, 2).with_depths()
    durations = graph.amount.astype(np.int64)
    try:
        expected = des.run(graph, durations)
    except EngineError:
        with pytest.raises(EngineError, match=r"deadlock: .* waits for"):
            maxplus.run(graph, durations)
        return
    found = maxplus.run(graph, durations)
    assert np.array_equal(found.start_fs, expected.start_fs)
    assert not found.violations(graph)


@settings(max_examples=20, deadline=None)
@given(st.integers(4, 9), st.integers(1, 30))
def test_a_deeper_fifo_is_never_slower(width, depth):
    lowered = lower_dataflow(residual_dataflow("long", width, 5, depth=depth))

    def cycles(pixels):
        try:
            return cycles_of_frames(lowered, {"skip0": pixels})[-1]
        except EngineError:
            return np.inf

    assert cycles(depth + 1) <= cycles(depth)
    assert cycles(UNBOUNDED) <= cycles(depth + 1)


def chain(*, lines=False):
    """A source, a padding, a window of 3 x 3 and a unit of four cycles a pixel."""
    geometry = Geometry((5, 6), (3, 3), (1, 1), (1, 1, 1, 1))
    inner = Geometry(geometry.padded_image, (3, 3))
    window = Stage("window", 0, NONE, window_steps(inner, 1, 1), ("padded",), ("windows",))
    if lines:
        window = replace(window, put_cycles=9, lines=Lines(oldest_pixels(inner), 2 * 8 + 3 + 9))
    stages = (
        Stage("source", 0, NONE, every_pixel(30, 1), (), ("image",)),
        Stage("pad", 0, NONE, padded(geometry, 1), ("image",), ("padded",)),
        window,
        Stage("unit", 0, NONE, every_pixel(30, 4), ("windows",), ("made",), latency_cycles=7),
        Stage("sink", 0, NONE, every_pixel(30, 1), ("made",), ()),
    )
    streams = {name: Stream(name, 1, 8, 2) for name in ("image", "padded", "made")}
    return Dataflow(stages, streams | {"windows": Stream("windows", 9, 8, None, window=True)})


@pytest.mark.parametrize("lines", [False, True])
def test_frames_follow_no_closer_than_the_slowest_stage(lines):
    dataflow = chain(lines=lines)
    ends = cycles_of_frames(lower_dataflow(dataflow, 4))
    assert np.all(np.diff(ends) >= dataflow.interval_cycles)
    slowest = {False: 30 * 4, True: 30 * 9}[lines]
    assert dataflow.interval_cycles == slowest


def test_no_fifo_is_fuller_than_deep_and_sizing_keeps_the_time():
    lowered = lower_dataflow(residual_dataflow("short", 9, 6, depth=40, between=3), 2)
    sizing = size_fifos(lowered)
    assert sizing.cycles == cycles_of_frames(lowered, dict.fromkeys(sizing.lossless, UNBOUNDED))[-1]
    fills = largest_fill(lowered, run_cycles(lowered.with_depths(sizing.lossless)))
    assert all(fills[name] <= depth for name, depth in sizing.lossless.items())
    for name, depth in sizing.lossless.items():
        if depth > 1:
            with_less = {**sizing.lossless, name: depth - 1}
            assert search_end(lowered, with_less) != sizing.cycles


def search_end(lowered, depths):
    try:
        return cycles_of_frames(lowered, depths)[-1]
    except EngineError:
        return None


def test_a_shallow_skip_deadlocks_by_name():
    with pytest.raises(EngineError, match=r"deadlock: .* 'add0'|deadlock: .*waits for"):
        cycles_of_frames(lower_dataflow(residual_dataflow("long", 8, 8, depth=17)))


def test_listing_in_the_order_of_a_schedule_changes_nothing():
    lowered = lower_dataflow(residual_dataflow("long", 6, 5, depth=14), 2)
    timeline = run_cycles(lowered.with_depths())
    listed = lowered.in_order_of(timeline.start_fs, timeline.end_fs)
    for depth in (14, 15, 99):
        assert np.array_equal(cycles_of_frames(lowered, {"skip0": depth}), cycles_of_frames(listed, {"skip0": depth}))


def test_what_no_dataflow_may_be():
    good = chain()
    with pytest.raises(InputError, match=r"FIFO image: 0 must be 1 or more"):
        good.with_depths({"image": 0})
    with pytest.raises(InputError, match="must be 1 or more"):
        lower_dataflow(good).with_depths({"image": 0})
    with pytest.raises(UnknownNameError, match="'imag' is not a known FIFO"):
        good.with_depths({"imag": 3})
    with pytest.raises(GraphError, match="circle"):
        Dataflow((good.stages[1], good.stages[0], *good.stages[2:]), good.streams)
    with pytest.raises(GraphError, match="exactly one"):
        Dataflow(good.stages[:-1], good.streams)
    slow = replace(good.stages[-1], steps=every_pixel(15, 1))
    with pytest.raises(GraphError, match=r"brings 30 pixels a frame, and sink takes 15.*same rate"):
        Dataflow((*good.stages[:-1], slow), good.streams)
    with pytest.raises(UnknownNameError, match="'both' is not a known arrangement"):
        residual_dataflow("both", 8, 8, depth=4)
    with pytest.raises(InputError, match="must be 2 or more"):
        residual_dataflow("long", 1, 8, depth=4)

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from accelsim.report.critical import critical_path
from accelsim.report.op_figures import execution_starts_fs, op_figures, stretches
from accelsim.report.tables import comparison_text, ops_frame, result_text, sensitivity_frame
from accelsim.study.estimate import Estimate


def test_rows_are_the_mapped_ops_and_columns_add_up(result):
    run = result.evaluation
    frame = ops_frame(run)
    assert frame["op"].tolist() == [op.op.name for op in run.mapping.walk()]
    assert math.isclose(frame["energy_j"].sum() + run.energy.by_component_j["leakage"], run.energy_j)
    assert frame["macs"].sum() == run.macs
    assert math.isclose(frame["bytes"].sum(), run.dram_bytes)
    assert math.isclose(frame["critical_s"].sum(), run.latency_s, rel_tol=1e-12)
    assert math.isclose(frame["end_s"].max(), run.latency_s)


def test_times_of_an_op_hold_together(result):
    frame = ops_frame(result.evaluation)
    ran = frame[frame["start_s"].notna()]
    slack = 1e-12
    assert (ran["start_s"] <= ran["end_s"]).all()
    assert (frame["stall_s"] >= 0).all()
    assert (ran["busy_s"] + ran["stall_s"] <= ran["end_s"] - ran["start_s"] + slack).all()
    assert (ran["busy_s"] <= ran["active_s"] + slack).all()
    assert (ran["active_s"] <= ran["end_s"] - ran["start_s"] + slack).all()
    assert (ran["critical_s"] <= ran["active_s"] + slack).all()
    idle = frame[frame["start_s"].isna()]
    assert set(idle["unit"]) <= {"none", "vector"}
    assert (idle[["busy_s", "stall_s", "active_s", "critical_s"]] == 0).all().all()


def test_an_op_outside_of_loops_stalls_where_its_span_on_the_unit_is_not_busy(tiled):
    """The definition, spelled out task by task for one core."""
    run = tiled.evaluation
    frame, tasks = ops_frame(run), run.tasks
    names = np.array([*tasks.resources, ""])[tasks.resource]
    for index in range(len(frame)):
        mine = np.flatnonzero((tasks.op == index) & np.isin(names, ["core0.array", "core0.vector", "host"]))
        if mine.size and len(set(names[mine])) == 1:
            span = run.timeline.end_fs[mine].max() - run.timeline.start_fs[mine].min()
            worked = (run.timeline.end_fs - run.timeline.start_fs)[mine].sum()
            assert frame["stall_s"][index] == pytest.approx((span - worked) / 1e15, abs=1e-15)


def test_mapping_columns_where_there_is_a_mapping(result):
    frame = ops_frame(result.evaluation)
    matrix = frame["macs"] > 0
    assert frame.loc[matrix, ["core_split", "tile", "order", "dataflow"]].notna().all().all()
    assert frame.loc[~matrix, ["core_split", "tile", "order", "dataflow"]].isna().all().all()
    assert {"".join(sorted(order)) for order in frame.loc[matrix, "order"]} == {"kmn"}


def test_the_critical_path_is_a_chain_without_gaps(result):
    tasks, timeline = result.evaluation.tasks, result.evaluation.timeline
    path = critical_path(tasks, timeline)
    assert timeline.start_fs[path[0]] == 0
    assert timeline.end_fs[path[-1]] == timeline.makespan_fs
    assert timeline.start_fs[path[1:]].tolist() == timeline.end_fs[path[:-1]].tolist()


def test_no_op_is_above_its_roof(result):
    run, figures = result.evaluation, op_figures(result.evaluation)
    arch = run.architecture.description
    dram = arch.memory.dram
    streamed = dram.bandwidth_bytes_per_s.value * dram.efficiency.value
    for op, macs, moved, active in zip(figures.mapped, figures.macs, figures.dram_bytes, figures.active_s, strict=True):
        if macs:
            assert active * (1 + 1e-9) >= max(2 * macs / arch.peak_ops_per_s(op.precision), moved / streamed)


def test_steps_of_a_loop_follow_one_another(speech):
    run = speech.evaluation
    loops = [stretch for stretch in stretches(run) if stretch.steps > 1]
    assert loops
    for loop in loops:
        starts = execution_starts_fs(run, loop)
        assert len(starts) == loop.steps * loop.executions
        assert (np.diff(starts) > 0).all()


def test_stretches_cover_every_op_once(result):
    top = [stretch for stretch in stretches(result.evaluation) if stretch.depth == 0]
    assert [stretch.first for stretch in top[1:]] == [stretch.last for stretch in top[:-1]]
    assert top[-1].last == sum(1 for _ in result.evaluation.mapping.walk())


def test_sensitivity_frame(speech, tiled):
    frame = sensitivity_frame(speech.sensitivity)
    assert list(frame.columns[:4]) == ["path", "nominal", "tried", "why"]
    assert (frame["latency_s_low"] <= frame["latency_s_high"]).all()
    assert len(sensitivity_frame(tiled.sensitivity)) == 0


def lines_fit(text):
    assert max(len(line) for line in text.splitlines()) <= 100
    assert all(line == line.rstrip() for line in text.splitlines())
    return text


def test_text_says_the_figures_with_units(speech):
    text = lines_fit(result_text(speech))
    for words in ("rnnt-lm-fusion on rapid-4core: int4", "1 s of audio", "Real-time factor", "GMAC", "MB", "36 mm²"):
        assert words in text
    assert text.count("over assumed constants)") == 4
    assert "Bottleneck: dram, busy" in text
    assert "memory.dram.bandwidth_bytes_per_s" in text
    assert "candidates" in text


def test_text_without_intervals_and_at_tile_detail(tiled):
    text = lines_fit(result_text(tiled))
    assert "assumed" not in text
    assert "array           " in text or "array (4 cores)" in text
    assert "tile detail" in text


def test_text_prints_no_control_characters(nasty):
    text = lines_fit(result_text(nasty))
    assert text.replace("\n", "").isprintable()
    assert "Note: calibrated: on <u>something</u>" in text


def test_text_tells_refused_settings(speech):
    from dataclasses import replace

    refused = replace(speech.sensitivity, refused=("a=1: infeasible: too large.", "b=2: infeasible: too small."))
    text = lines_fit(result_text(Estimate(speech.evaluation, refused)))
    assert "2 settings of the assumptions cannot run" in text
    assert "a=1: infeasible: too large." in text


def test_comparison_text(comparison):
    text = lines_fit(comparison_text(comparison))
    assert "int4 against fp16" in text
    assert f"Speed-up                  {comparison.speedup:.4g}x" in text
    assert "fp8_e4m3" in text
    assert "Bottleneck in fp16" in text


def test_text_needs_neither_pandas_nor_plotly():
    program = """
import sys
from accelsim.hardware.load import load_architecture
from accelsim.report.tables import result_text
from accelsim.study.estimate import estimate
from accelsim.workload.load import load_workload
result_text(estimate(load_workload("mlp"), load_architecture("rapid-4core"), intervals=False))
assert not {"pandas", "plotly"} & set(sys.modules), set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)

"""Runs: the same rows however they are evaluated, interrupted and resumed."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

import accelsim
from accelsim.errors import InputError
from accelsim.study.sweep.api import sweepable, swept
from accelsim.study.sweep.designs import Evaluator
from accelsim.study.sweep.results import SweepRun
from accelsim.study.sweep.run import _Pace, run_sweep
from accelsim.study.sweep.schedulers import Processes, Serial, chosen

from .conftest import same_rows


@pytest.fixture
def whole(base, tmp_path):
    """The table of an uninterrupted run in this process."""
    return swept(base, tmp_path / "whole", workers=1).table()


def test_every_row_equals_its_own_simulation(base):
    """The command of a row gives the metrics of the row, to the last bit."""
    found = accelsim.sweep(base, workers=1)
    evaluator = Evaluator(found.run.sweep)
    assert len(found.frame) == 48
    for row in found.frame.to_dict("records")[::7]:
        case = evaluator.case(found.run.coordinates(row["design"]))
        result = accelsim.simulate(
            "mlp", accelsim.load_architecture("systolic-32x32").override(dict(case.overrides)),
            precision=row["precision"], intervals=False,
        )  # fmt: skip
        for metric in (
            "latency_s",
            "energy_j",
            "area_mm2",
            "dram_bytes",
            "weight_bytes",
            "throughput_per_s",
            "power_w",
        ):
            assert getattr(result, metric) == row[metric]
        assert result.utilization["macs"] == row["utilization_macs"]


def test_the_printed_command_simulates_the_row(base, capsys):
    import json
    import shlex

    from accelsim.cli import main

    base["axes"] |= {"mapping.prefetch": [True, False], "workload.batch": [1, 4], "rewrite": ["none", "fuse"]}
    found = accelsim.sweep({**base, "strategy": {"kind": "random"}, "budget": 6}, workers=1)
    for row in found.frame[found.frame["status"] == "ok"].to_dict("records"):
        words = shlex.split(found.command(row["design"]))
        assert main([*words[1:], "--json", "--no-intervals"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["latency_s"], document["energy_j"]) == (row["latency_s"], row["energy_j"])


@pytest.mark.usefixtures("hurried")
def test_processes_give_the_same_rows(base, tmp_path, whole):
    assert same_rows(swept(base, tmp_path / "two", workers=2).table(), whole)


@pytest.mark.usefixtures("hurried")
def test_a_killed_worker_loses_nothing(base, tmp_path, whole):
    sweep, pools = sweepable(base), []

    def make(evaluator, expected_s):
        pools.append(Processes(sweep, 2))
        return pools[0]

    def kill_once(tally):
        if len(pools) == 1 and tally.done >= 6:
            os.kill(pools[0].pids[0], signal.SIGKILL)
            pools.append(None)

    run_sweep(sweep, tmp_path / "killed", make, progress=kill_once)
    assert len(pools) == 2
    assert same_rows(SweepRun(sweep, tmp_path / "killed").table(), whole)


@pytest.mark.parametrize("timed", [1, 5, 48])
def test_designs_that_were_timed_are_not_evaluated_again(base, tmp_path, whole, monkeypatch, timed):
    sweep, given = sweepable(base), []

    class Counting(Serial):
        def run(self, chunks):
            def counted():
                for chunk in chunks:
                    given.extend(range(chunk.first, chunk.first + len(chunk.coordinates)))
                    yield chunk

            return super().run(counted())

    pace = _Pace(0.0, 0.01)
    monkeypatch.setattr("accelsim.study.sweep.run._probe", lambda evaluator, here: (
        pace, evaluator.evaluate(here.coordinates(0, timed))))  # fmt: skip
    run_sweep(sweep, tmp_path / "counted", lambda evaluator, _: Counting(evaluator))
    assert given == list(range(timed, 48))
    assert same_rows(SweepRun(sweep, tmp_path / "counted").table(), whole)


@pytest.mark.parametrize("parts", [1, 5, 12])
def test_kill_9_then_resume_gives_the_table_of_an_uninterrupted_run(base, tmp_path, whole, parts):
    file = tmp_path / "sweep.yaml"
    file.write_text(yaml.safe_dump(base, sort_keys=False))
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "accelsim", "sweep", str(file), "--out", str(out), "--workers", "1"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while len([*out.glob("parts/*/[0-9]*.parquet")]) < parts and child.poll() is None:
        time.sleep(0.001)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = len([*out.glob("parts/*/[0-9]*.parquet")])
    assert done >= parts
    (out / "parts" / "round=0000" / ".000099.parquet.part").write_bytes(b"half a file")
    if not (out / "finished.json").exists():
        with pytest.raises(InputError, match="--resume"):
            swept(file, out)
    resumed = swept(file, out, resume=True, workers=1)
    assert same_rows(resumed.table(), whole)
    assert not [*out.glob("parts/*/.*")]


def test_a_search_resumes_to_the_same_table(base, tmp_path):
    """The strategy runs again from the start, answered from the parts; what it proposes next is the same."""
    for strategy in ({"kind": "optuna", "population": 8}, {"kind": "refine", "population": 8, "first": 8}):
        document = {**base, "strategy": strategy, "budget": 24}
        folder = tmp_path / strategy["kind"]
        straight = swept(document, folder / "straight", workers=1).table()

        class StopError(Exception):
            pass

        def stop(tally):
            if tally.done >= 13:
                raise StopError

        with pytest.raises(StopError):
            run_sweep(sweepable(document), folder / "cut", chosen(sweepable(document), None, 1), progress=stop)
        assert same_rows(swept(document, folder / "cut", resume=True, workers=1).table(), straight)


def test_a_finished_run_is_read_and_not_run_again(base, tmp_path, monkeypatch):
    first = accelsim.sweep(base, tmp_path / "run", workers=1)
    monkeypatch.setattr(Evaluator, "evaluate", lambda *_: pytest.fail("evaluated again"))
    again = accelsim.sweep(base, tmp_path / "run", workers=1)
    assert again.frame.equals(first.frame)
    assert again.pareto.equals(first.pareto)


def test_a_folder_of_another_sweep_is_refused_and_says_what_differs(base, tmp_path):
    swept(base, tmp_path / "run", workers=1)
    with pytest.raises(InputError, match="another sweep: it differs in sweep"):
        swept({**base, "seed": 1}, tmp_path / "run")
    with pytest.raises(InputError, match="workload lstm, workload mlp"):
        swept({**base, "workloads": ["lstm"]}, tmp_path / "run")


def test_two_processes_never_write_one_run(base, tmp_path):
    def inside(tally):
        with pytest.raises(InputError, match=f"is being written by process {os.getpid()}"):
            swept(base, tmp_path / "run", resume=True)

    swept(base, tmp_path / "run", workers=1, progress=inside)


def test_a_damaged_part_is_told_and_evaluated_again_once_removed(base, tmp_path, whole):
    run = swept(base, tmp_path / "run", workers=1)
    part = next((tmp_path / "run").glob("parts/*/000003.parquet"))
    content = bytearray(part.read_bytes())
    content[len(content) // 3] ^= 0xFF
    part.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"000003\.parquet: is damaged") as error:
        run.table()
    assert "--resume" in str(error.value)
    (tmp_path / "run" / "finished.json").unlink()
    with pytest.raises(InputError, match="is damaged"):
        swept(base, tmp_path / "run", resume=True)
    part.unlink()
    assert same_rows(swept(base, tmp_path / "run", resume=True, workers=1).table(), whole)


def test_a_part_of_another_run_is_refused(base, tmp_path):
    swept(base, tmp_path / "one", workers=1)
    other = swept({**base, "seed": 1}, tmp_path / "two", workers=1)
    stray = next((tmp_path / "one").glob("parts/*/000001.parquet"))
    next((tmp_path / "two").glob("parts/*/000001.parquet")).write_bytes(stray.read_bytes())
    with pytest.raises(InputError, match="belongs to another run"):
        other.table()


def test_a_full_disk_is_told_and_what_is_done_is_kept(base, tmp_path, whole):
    """A file size limit stands in for a full disk: writing fails in the same call."""
    script = (
        "import resource, signal, sys, json\n"
        "from accelsim.study.sweep.api import swept\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "def fill(tally):\n"
        "    if tally.done >= 9: resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))\n"
        "try: swept(json.loads(sys.argv[1]), sys.argv[2], workers=1, progress=fill)\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    import json

    done = subprocess.run([sys.executable, "-c", script, json.dumps(base), str(tmp_path / "run")],
                          capture_output=True, text=True, cwd=tmp_path)  # fmt: skip
    assert "InputError" in done.stdout, done.stderr
    assert "cannot be written (File too large)" in done.stdout
    assert "finished chunks are kept" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    assert same_rows(swept(base, tmp_path / "run", resume=True, workers=1).table(), whole)


def test_what_fails_is_a_row_with_its_reason(base):
    supply = {"choices": {"stated": {}, "half": {"clocks.core.voltage_v": 0.5}}}
    base |= {"axes": {"scratchpad.capacity_bytes": [16, 1048576], "supply": supply}, "precisions": ["int8"]}
    found = accelsim.sweep(base, workers=1)
    assert found.frame["status"].astype(str).tolist() == ["infeasible", "refused", "ok", "refused"]
    assert "only one of voltage_v and nominal_voltage_v" in str(found.frame["reason"][1])
    base["axes"].pop("supply")
    found = accelsim.sweep({**base, "constraints": {"dram_bytes": {"max": 1.0}}}, workers=1)
    assert found.frame["status"].astype(str).tolist() == ["infeasible", "outside"]
    assert found.frame["limit"].astype(str).tolist() == ["scratchpad capacity of a core", "dram_bytes"]
    assert found.frame["latency_s"].isna().tolist() == [True, False]
    assert len(found.pareto) == 0
    assert [each["designs"] for each in found.to_document()["limits"]] == [1, 1]


def test_designs_that_break_a_rule_leave_the_others_together(base, monkeypatch):
    base |= {"axes": {"array.rows": [8, 16, 200_000], "array.columns": [8, 24]}, "precisions": ["int8"]}
    monkeypatch.setattr("accelsim.study.sweep.designs.evaluate", None)  # which evaluates one by one
    found = accelsim.sweep(base, workers=1).frame
    assert found["status"].astype(str).tolist() == ["ok"] * 4 + ["refused"] * 2
    assert found["limit"].astype(str).tolist()[4:] == ["array.rows"] * 2
    assert found["latency_s"].notna().tolist() == [True] * 4 + [False] * 2


def test_the_front_is_that_of_the_frame(base):
    found = accelsim.sweep(base, workers=1)
    values = found.frame[["latency_s", "energy_j"]].to_numpy()
    best = found.pareto[["latency_s", "energy_j"]].to_numpy()
    assert not any(((values <= point).all(axis=1) & (values < point).any(axis=1)).any() for point in best)
    assert all((best <= row).all(axis=1).any() for row in values)


def test_monte_carlo_over_assumed_constants_stays_in_their_ranges(base):
    document = {**base, "axes": {}, "precisions": ["int8"], "assumed": ["memory.*", "leakage_w"],
                "strategy": {"kind": "random"}, "budget": 40}  # fmt: skip
    found = accelsim.sweep(document, workers=1)
    assumed = accelsim.load_architecture("systolic-32x32").assumed()
    frame = found.frame
    for path in ("memory.dram.latency_s", "leakage_w", "memory.dram.channels"):
        assert frame[path].between(assumed[path].low, assumed[path].high).all()
        assert frame[path].nunique() > 5
    nominal = accelsim.simulate("mlp", "systolic-32x32", precision="int8")
    low, high = nominal.intervals["latency_s"]
    assert low <= frame["latency_s"].min()
    assert frame["latency_s"].max() <= high


def test_sobol_indices_find_the_axis_that_matters(base):
    document = {**base, "precisions": ["int8"], "strategy": {"kind": "sensitivity"}, "budget": 320,
                "objectives": {"area_mm2": "min"}}  # fmt: skip
    found = accelsim.sweep(document, workers=1).findings["sobol_indices"]["area_mm2"]
    assert found["array.dataflows"]["total"] == pytest.approx(0, abs=1e-9), "area does not depend on it"
    # Area is a sum of a part of each axis: indices are the shares of variance, first-order and total alike.
    values = accelsim.sweep({**document, "strategy": {"kind": "grid"}}, workers=1).frame
    whole = values["area_mm2"].var(ddof=0)
    for axis in ("memory.dram.bandwidth_bytes_per_s", "scratchpad.capacity_bytes"):
        share = values.groupby(axis)["area_mm2"].mean().var(ddof=0) / whole
        assert found[axis]["first"] == pytest.approx(share, abs=0.2)
        assert found[axis]["total"] == pytest.approx(share, abs=0.2)


def test_duckdb_and_pandas_read_the_data_set(base, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    found = accelsim.sweep(base, tmp_path / "run", workers=1)
    rows = duckdb.sql(
        f"select precision, min(latency_s) as best from read_parquet('{tmp_path}/run/parts/*/*.parquet') "
        "where status = 'ok' group by precision order by precision"
    ).fetchall()
    frame = found.frame
    assert rows == [(name, frame[frame["precision"] == name]["latency_s"].min()) for name in ("fp16", "int8")]
    import pandas as pd

    assert len(pd.read_parquet(tmp_path / "run" / "parts")) == 48
    assert np.isfinite(frame["latency_s"]).all()


def test_a_sweep_without_a_folder_keeps_its_results_as_long_as_it_lives(base):
    found = accelsim.sweep(base, workers=1)
    folder = found.folder
    assert Path(folder).exists()
    del found
    import gc

    gc.collect()
    assert not Path(folder).exists()


def test_a_folder_with_other_things_in_it_is_left_alone(base, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds 'thesis\.tex' and no sweep"):
        swept(base, tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.tex"]
    file = tmp_path / "thesis.tex"
    with pytest.raises(InputError, match="cannot be written"):
        swept(base, file)


def test_accuracy_is_that_of_emulate_and_found_once_for_each_precision(base, monkeypatch):
    from accelsim.study.sweep import accuracy

    calls, real = [], accuracy.least_sqnr_db
    monkeypatch.setattr(accuracy, "least_sqnr_db", lambda *given: calls.append(given[2]) or real(*given))
    document = {**base, "accuracy": {"seed": 3}, "constraints": {"sqnr_db": {"min": 45}},
                "objectives": {"sqnr_db": "max", "latency_s": "min"}}  # fmt: skip
    frame = accelsim.sweep(document, workers=1).frame
    assert sorted(calls) == ["fp16", "int8"]
    for precision, rows in frame.groupby(frame["precision"].astype(str)):
        expected = min(accelsim.emulate("mlp", "systolic-32x32", precision=precision, seed=3).sqnr_db.values())
        assert rows["sqnr_db"].unique().tolist() == [expected]
        assert set(rows["status"].astype(str)) == ({"ok"} if expected >= 45 else {"outside"})
    calls.clear()
    document["axes"] = {"precision.layer.1": ["fp16", "int8"], "cores": [1, 2]}
    accelsim.sweep({**document, "accuracy": {"each": "design"}, "constraints": {}}, workers=1)
    assert len(calls) == 8
    assert {"layer.1": "fp16", "*": "int8"} in calls

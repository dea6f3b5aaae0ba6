"""The report of a sweep: one safe file, drawn by a browser; its text, its progress, the command line."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from accelsim.cli import main
from accelsim.report.sweep import sweep_document, sweep_text
from accelsim.report.sweep_page import sweep_html
from accelsim.report.sweep_progress import Progress, progress_text
from accelsim.study.sweep.api import swept
from accelsim.study.sweep.designs import Table
from accelsim.study.sweep.pareto import Front
from accelsim.study.sweep.run import Tally

from .test_html import CHROMIUM, Reader, assert_self_contained

NASTY = "</script><img src=x onerror=alert(1)>"
SPEC = {
    "description": f"a {NASTY} sweep",
    "architectures": ["systolic-32x32"],
    "workloads": ["mlp"],
    "precisions": ["int8", "fp16"],
    "axes": {
        NASTY: {"choices": {NASTY: {"memory.dram.bandwidth_bytes_per_s": 1e9}, "%{x} & co": {"cores": 2}}},
        "scratchpad.capacity_bytes": [16, 65536, 1048576],
        "interconnect.topology": ["ring", "mesh"],
        "interconnect.hop_latency_cycles": {"values": [1, 2], "when": {"interconnect.topology": "mesh"}},
    },
    "objectives": {"latency_s": "min", "energy_j": "min", "utilization_macs": "max"},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Three objectives, a conditional axis, infeasible designs, and names that try to be markup."""
    return swept(SPEC, tmp_path_factory.mktemp("sweep") / "run", workers=1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Continuous axes and Sobol indices."""
    spec = {**SPEC, "axes": {"memory.dram.bandwidth_bytes_per_s": {"low": 1e9, "high": 1e12, "scale": "log"},
                             "clocks.core.clock_hz": {"low": 1e8, "high": 1e9}},
            "strategy": {"kind": "sensitivity"}, "budget": 80, "objectives": {"latency_s": "min"}}  # fmt: skip
    return swept(spec, tmp_path_factory.mktemp("sweep") / "run", workers=1)


def test_the_page_is_self_contained_and_escapes_names(run):
    page = sweep_html(run)
    assert_self_contained(page)
    assert "<img" not in page
    assert "1 on the front" not in Reader(page).text
    assert f"{len(run.frame):,} designs" in Reader(page).text


def test_every_command_of_the_front_stands_on_the_page(run):
    words = Reader(sweep_html(run)).text
    for each in sweep_document(run)["front"]:
        assert " ".join(each["command"].split()) in words


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("kind", ["run", "drawn"])
def test_a_browser_draws_every_plot_without_complaint(kind, request, tmp_path):
    page = sweep_html(request.getfixturevalue(kind))
    wanted = [each["key"] for each in Reader(page).figures]
    assert {"tradeoff", "parallel", "effects-0", "slice-0"} <= set(wanted)
    # Stands in for a hand: brush over everything, once all is drawn.
    brush = (
        "<script>addEventListener('load', () => { const plot = document.getElementById('tradeoff');"
        "plot.emit('plotly_selected', {points: plot.data.flatMap((t) => t.ids.map((id) => ({id})))}); });</script>"
    )
    file = tmp_path / "report.html"
    file.write_text(page.replace("</body>", f"{brush}</body>"), encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,4000", "--virtual-time-budget=20000",
        "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=180, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    plots = re.findall(r'<div id="([\w-]+)"[^>]*class="js-plotly-plot"', ran.stdout)
    assert sorted(plots) == sorted(wanted)
    assert [line for line in ran.stderr.splitlines() if "CONSOLE" in line] == []
    chosen = ran.stdout.partition('<div id="chosen">')[2].partition("</table>")[0]
    assert chosen.count("<tr>") > 2, "the brush lists its designs"
    assert "WebGL" not in Reader(ran.stdout).text


def test_text_and_document_say_the_same(run):
    words, document = sweep_text(run), sweep_document(run)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert f"{document['designs']:,} designs" in words
    assert document["statuses"]["infeasible"] == sum(each["designs"] for each in document["limits"])
    assert document["front"][0]["command"] in words
    assert set(document["front"][0]) >= {"design", "latency_s", "energy_j", "utilization_macs", "command"}


def test_indices_are_told(drawn):
    assert "Sobol indices of latency_s" in sweep_text(drawn)
    assert "Total Sobol index" in Reader(sweep_html(drawn)).text or "Total Sobol index" in sweep_html(drawn)


def test_an_empty_front_is_told():
    spec = {**SPEC, "axes": {"scratchpad.capacity_bytes": [16]}}
    run = swept(spec, workers=1)
    assert "no design is ok" in Reader(sweep_html(run)).text
    assert "What stands in the way" in sweep_text(run)


def tally(done):
    table = Table.of(done, ("latency_s",))
    table.metrics["latency_s"][:] = np.linspace(2e-3, 1e-3, done)
    table.status[: done // 4] = 1
    found = Tally(100, {"latency_s": "min"}, Front(1))
    found.add(0, table, kept=False)
    return found


def test_progress_says_rate_share_best_and_time_left():
    found = tally(40)
    found.started -= 4.0
    line = progress_text(found)
    assert re.fullmatch(r"40 of 100 designs; [\d.]+/s; 75\.0 % ok; best latency_s 1 ms; \d+ s left", line)
    found.open_ended = True
    assert "of at most 100 designs" in progress_text(found)
    assert "left" not in progress_text(found)


def test_the_start_is_told_and_counts_for_no_rate():
    assert progress_text(Tally(100, {"latency_s": "min"}, Front(1))).startswith("0 of 100 designs; starting")
    found = tally(40)
    found.started -= 6.0
    found.starting_s = 4.0
    assert 15.0 < found.designs_per_s <= 20.0


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_renews_one_line_on_a_terminal_and_writes_plain_lines_elsewhere():
    now = [0.0]
    for stream, lines in ((Terminal(), 0), (io.StringIO(), 2)):
        now[0] = 0.0
        with Progress(stream, lambda: now[0]) as progress:
            for _ in range(25):
                now[0] += 1.0
                progress(tally(8))
        written = stream.getvalue()
        assert written.count("\n") == lines
        assert ("\r" in written) == (lines == 0)
        assert "\x1b" not in written or lines == 0


def test_the_command_line_sweeps_counts_and_reads_again(tmp_path, capsys):
    import yaml

    file, out, page = tmp_path / "small.yaml", tmp_path / "out", tmp_path / "s.html"
    file.write_text(yaml.safe_dump({**SPEC, "axes": {"cores": [1, 2]}}, sort_keys=False))
    assert main(["sweep", str(file), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["designs"] == 4
    assert not out.exists()
    assert main(["sweep", str(file), "--out", str(out), "--workers", "1", "--html", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["designs"] == 4
    assert page.stat().st_size > 1e6
    assert main(["sweep", str(file), "--out", str(out)]) == 0
    assert "Pareto front" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sweep", "resnet50-array", "--out", "x"], "Did you mean 'resnet50-arrays'?"),
        (["sweep", "rnnt-chip"], "--out: is missing"),
        (["sweep", "rnnt-chip", "--out", "x", "--workers", "0"], "--workers: '0'"),
        (["sweep", "rnnt-chip", "--out", "x", "--resumee"], "'--resumee'"),
    ],
)
def test_slips_on_the_command_line_are_told(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_schema_and_list_know_sweeps(capsys):
    assert main(["schema", "sweep"]) == 0
    assert "axes" in json.loads(capsys.readouterr().out)["properties"]
    assert main(["list", "sweeps"]) == 0
    assert "resnet50-arrays" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["aimc-tiles", "mixed-precision", "mx-formats", "resnet50-arrays", "rnnt-chip",
                                  "skips-fpga"])  # fmt: skip
def test_every_bundled_sweep_loads_and_its_first_designs_run(name):
    from accelsim.study.sweep.designs import Evaluator
    from accelsim.study.sweep.load import list_sweeps, load_sweep
    from accelsim.study.sweep.strategies import strategy_of

    assert name in dict(list_sweeps())
    sweep = load_sweep(name)
    table = Evaluator(sweep).evaluate(next(strategy_of(sweep)).coordinates(0, 1))
    assert set(table.status.tolist()) <= {0, 1, 3}


def test_an_objective_that_no_design_has_is_told():
    spec = {**SPEC, "axes": {"cores": [1, 2]}, "objectives": {"real_time_factor": "min", "latency_s": "min"}}
    run = swept(spec, workers=1)
    assert "No design has a figure for real_time_factor" in sweep_text(run)
    assert "no design has a figure for real_time_factor" in Reader(sweep_html(run)).text

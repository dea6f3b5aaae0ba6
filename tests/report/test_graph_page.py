"""The drawing of a graph, and what `accelsim show` tells about one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from accelsim.report import show
from accelsim.report.graph_page import graph_data, graph_page
from accelsim.workload.insight.facts import facts_of
from accelsim.workload.load import list_workloads, load_workload
from tests.workload.graphs import unet

CHROMIUM = shutil.which("chromium")


def _data(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="graph">(.*?)</script>', page, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


@pytest.mark.parametrize("name", [name for name, _ in list_workloads()])
def test_rows_edges_and_groups_hold_together(name: str) -> None:
    graph = load_workload(name)
    data = graph_data(graph, facts_of(graph))
    names = [row[0] for row in data["ops"]]
    assert names[: len(graph.inputs)] == list(graph.inputs)
    assert set(names) >= {op.name for op, _ in graph.walk()}
    assert all(0 <= start < end < len(names) for start, end, *_ in data["edges"])
    assert sum(kind > 0 for *_, kind in data["edges"]) == len(graph.residuals)
    _check_groups(data["groups"], 0, len(names))


def _check_groups(groups: list[list[Any]], begin: int, end: int) -> None:
    for start, rows, count, _, inner, *_ in groups:
        assert begin <= start
        assert start + rows * count <= end
        begin = start + rows * count
        _check_groups(inner, start, start + rows)


def test_skips_are_marked_by_their_kind() -> None:
    data = graph_data(unet(), facts_of(unet()))
    (skip,) = [edge for edge in data["edges"] if edge[3]]
    assert [data["ops"][place][0] for place in skip[:2]] == ["enc.relu", "join"]
    assert skip[3] == 3  # an identity concat


def test_names_cannot_leave_the_script() -> None:
    graph = load_workload("gemm")
    evil = "</script><script>alert(1)</script>"
    page = graph_page(graph.with_tensors(graph.tensors).__class__(**{**graph.__dict__, "name": evil}))
    assert evil not in page
    assert _data(page)["ops"]


def test_text_and_json_tell_the_same_facts() -> None:
    graph = load_workload("resnet-50").rewritten("remove-skips:match=layer4*")
    text, data = show.text(graph), json.loads(show.json_text(graph))
    assert data["facts"]["critical"]["ops"] == facts_of(graph).critical.ops
    assert data["rewrites"][0]["rewrite"] == "remove-skips"
    assert len(data["facts"]["skips"]) == data["residuals"] == 13
    for words in ("longest dependent chain", "5 x layer3.1", "rewrites, in order", "layer1.1.add ... layer1.2.add (2)"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 120


def test_show_writes_the_page(cli, tmp_path: Path) -> None:
    code, out, err = cli("show", "rnnt", "--html", tmp_path / "g.html")
    assert code == 0, err
    assert "recurrent steps" in out
    assert "one of 650 steps" in (tmp_path / "g.html").read_text()
    code, _, err = cli("show", "rapid-4core", "--html", tmp_path / "a.html")
    assert code == 2
    assert "only workloads have a graph" in err


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium to run the page's script")
@pytest.mark.parametrize("name", ["resnet-50", "bert-base", "rnnt"])
def test_a_browser_draws_it(name: str, tmp_path: Path) -> None:
    graph = load_workload(name)
    (tmp_path / "g.html").write_text(graph_page(graph), encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
               "--window-size=1280,1600", "--dump-dom", (tmp_path / "g.html").as_uri()]  # fmt: skip
    drawn = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout
    assert drawn.count("<circle") > 8
    assert graph.ops[0].name in drawn
    assert drawn.count("skip:") >= min(2, len(graph.residuals))

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from accelsim.engine.timeline import Timeline
from accelsim.hardware.load import load_architecture
from accelsim.report.html import comparison_html, result_html
from accelsim.study.estimate import Estimate, estimate
from accelsim.workload.load import load_workload

from .conftest import NASTY

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Reader(HTMLParser):
    """Elements with their attributes, visible text, and the content of scripts."""

    def __init__(self, page):
        super().__init__()
        self.elements, self.words, self.scripts, self._inside = [], [], [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):  # noqa: ARG002
        self._inside = ""

    def handle_data(self, data):
        if self._inside == "script":
            self.scripts[-1] += data
        elif not self._inside:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    @property
    def figures(self):
        return json.loads(next(script for script in self.scripts if script.lstrip().startswith("[")))


@pytest.fixture(scope="module")
def page(result):
    return result_html(result)


@pytest.fixture(scope="module")
def side_by_side(comparison):
    return comparison_html(comparison)


def assert_self_contained(page):
    script = get_plotlyjs()
    assert page.count(script) == 1
    own = page.replace(script, "")
    assert "://" not in own
    for tag, attributes in Reader(page).elements:
        assert not {"src", "href", "srcset", "data", "action"} & attributes.keys(), tag
        assert not any(name.startswith("on") for name in attributes), tag
    assert "url(" not in own
    assert "@import" not in own


def test_self_contained(page):
    assert_self_contained(page)


def test_comparison_is_self_contained(side_by_side):
    assert_self_contained(side_by_side)


def assert_good_figures(figures):
    assert figures
    assert len({figure["key"] for figure in figures}) == len(figures)
    for figure in figures:
        # The Python side of plotly knows the schema, so it refuses what plotly.js would ignore.
        drawn = go.Figure({"data": figure["data"], "layout": figure["layout"]})
        assert drawn.layout.title.text
        assert drawn.layout.xaxis.title.text
        assert drawn.layout.yaxis.title.text
        assert drawn.layout.height >= 100


def test_every_plot_has_a_title_and_named_axes(page, result):
    reader = Reader(page)
    assert_good_figures(reader.figures)
    places = {attributes.get("id") for tag, attributes in reader.elements if tag == "div"}
    assert {figure["key"] for figure in reader.figures} <= places
    keys = {"timeline", "step", "critical", "utilization", "energy", "energy-by-op", "roofline", "area"}
    assumed = {"tornado-latency", "tornado-energy"} if result.sensitivity else set()
    assert {figure["key"] for figure in reader.figures} == keys | assumed


def test_plots_of_a_comparison(side_by_side):
    reader = Reader(side_by_side)
    assert_good_figures(reader.figures)
    keys = {figure["key"] for figure in reader.figures}
    assert keys >= {"by-latency_s", "by-energy_j", "by-op", "tornado-speedup", "tornado-latency"}
    assert keys >= {"timeline-0", "timeline-1", "timeline-2", "step-2"}
    assert "Real-time factor in int4" in json.dumps(reader.figures)


def test_axes_of_time_say_their_unit(page):
    figures = {figure["key"]: figure for figure in Reader(page).figures}
    for key in ("timeline", "step", "critical"):
        assert re.search(r"\[[mµnk]?s\]$", figures[key]["layout"]["xaxis"]["title"]["text"])


def test_summary_and_notes_stand_before_the_plots(speech):
    noted = replace(speech, notes=("calibrated: on a published figure",))
    text = Reader(result_html(noted)).text
    assert text.index("calibrated") < text.index("Latency") < text.index("Timeline")
    assert "Real-time factor" in text
    assert "over assumed constants" in text


def test_the_gantt_is_the_timeline(speech):
    """What the overview's bars hold adds up to the busy time of each resource."""
    run = speech.evaluation
    figure = next(figure for figure in Reader(result_html(speech)).figures if figure["key"] == "timeline")
    solid = [trace for trace in figure["data"] if trace.get("name")]
    ends = [base + length for trace in solid for base, length in zip(trace["base"], trace["x"], strict=True)]
    factor = {"m": 1e3, "µ": 1e6, "": 1.0}[re.search(r"\[(.?)s\]", figure["layout"]["xaxis"]["title"]["text"])[1]]
    assert max(ends) == pytest.approx(run.latency_s * factor)
    rows = figure["layout"]["yaxis"]["ticktext"]
    busy = dict.fromkeys(rows, 0.0)
    for trace in solid:
        for row, length, height in zip(trace["y"], trace["x"], trace["width"], strict=True):
            busy[rows[row]] += length * height / 0.8 / factor
    for name, share in run.utilization.items():
        if name in busy and share > 0.2:  # thin bars are drawn a little thicker than they are
            assert busy[name] == pytest.approx(share * run.latency_s, rel=0.05)


def test_bars_are_capped_and_the_caption_says_so(tiled, monkeypatch):
    from accelsim.report import gantt

    monkeypatch.setattr(gantt, "MAX_BARS", 40)
    page = result_html(tiled)
    bars = sum(
        len(trace["x"]) for figure in Reader(page).figures if figure["key"] == "timeline" for trace in figure["data"]
    )
    assert bars < 40 * 30
    assert "merged into grey bars" in page


def test_rows_are_the_resources_that_work_in_what_is_shown(monkeypatch):
    """On a chip with a resource for every layer, a close look shows those that work then, not the first ones."""
    from accelsim.report import gantt

    monkeypatch.setattr(gantt, "_MAX_ROWS", 6)
    found = estimate(load_workload("resnet-20"), load_architecture("aimc-mesh"), intervals=False)
    page = Reader(result_html(found))
    for key in ("timeline", "step"):
        figure = next(each for each in page.figures if each["key"] == key)
        solid = [trace for trace in figure["data"] if trace.get("name")]
        assert {row for trace in solid for row in trace["y"]} == set(range(6))
    assert "The 6 resources that work longest are shown." in page.text


def test_names_are_text_and_never_markup(nasty):
    page = result_html(nasty)
    own = page.replace(get_plotlyjs(), "")
    for markup in ("<img", "<script>alert", "<b>bold", "<i>nasty", "<u>something", "\x1b"):
        assert markup not in own
    tags = {tag for tag, _ in Reader(page).elements}
    assert not {"img", "i", "u", "b"} & tags
    text = Reader(page).text
    assert NASTY[0] in text
    assert "<i>nasty</i> on rapid-4core" in text
    # In plots, names reach plotly escaped: it renders what looks like HTML in any label.
    labels = json.dumps(Reader(page).figures)
    assert "&lt;img src=x" in labels
    assert "<img" not in labels


def test_a_broken_certificate_is_shown(speech):
    run = speech.evaluation
    squeezed = Timeline(run.timeline.start_fs // 1000, run.timeline.end_fs // 1000, "tampered")
    text = Reader(result_html(Estimate(replace(run, timeline=squeezed), None))).text
    assert "A certificate of this result is broken: latency" in text
    assert "A certificate" not in Reader(result_html(speech)).text


def test_nothing_to_draw_is_no_error(nasty):
    run = nasty.evaluation
    still = replace(run, timeline=Timeline(run.timeline.start_fs * 0, run.timeline.end_fs * 0, "none"))
    assert_good_figures(Reader(result_html(Estimate(still, None))).figures)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
@pytest.mark.parametrize("kind", ["speech", "tiled", "nasty", "comparison"])
def test_a_browser_draws_every_plot_without_complaint(kind, request, tmp_path):
    source = request.getfixturevalue(kind)
    page = comparison_html(source) if kind == "comparison" else result_html(source)
    wanted = len(Reader(page).figures)
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,4000", "--virtual-time-budget=20000",
        "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=180, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    # Each plot has a layer of SVG for its traces, and some more for what lies above.
    drawn = re.findall(r'<div id="([\w-]+)"[^>]*class="js-plotly-plot"', ran.stdout)
    assert len(drawn) == wanted
    assert len(re.findall(r'<svg class="main-svg"', ran.stdout)) >= wanted
    console = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    assert console == []
    assert "<img" not in ran.stdout

"""Validations as data, text, frame and page."""

from __future__ import annotations

import json
from functools import partial

import pytest
from plotly.offline import get_plotlyjs

from accelsim.report import validation_page
from accelsim.report.validation import ape_text, validation_document, validation_frame, validation_text
from accelsim.report.validation_page import validation_html
from accelsim.study.validate import Comparison, Family, Report, Row, Target, TargetReport, evaluated, validate

from .conftest import NASTY
from .test_html import Reader, assert_good_figures, assert_self_contained

FAMILY_KEYS = {"rows", "compared", "failed", "exact", "mape", "median_ape", "worst"}


def report_of(families, **more):
    facts = {
        "description": "Toys.",
        "calibrated": None,
        "must_be_exact": False,
        "notes": (),
        "files": (),
        "ignored": (),
    }
    return Report({"toy": TargetReport(name="toy", families=families, **{**facts, **more})})


def row(name, *figures, **more):
    return Row(name, tuple(Comparison(metric, *pair) for metric, *pair in figures), **more)


@pytest.fixture(scope="module")
def mixed():
    """Two families, one with two metrics and failures, one without any comparison."""
    fifo = Family((
        row("a", ("lut", 110, 100), ("ff", 8, 8)),
        row("b", ("lut", 90.0, 100.0), ("ff", 0, 8)),
        row("c", failed_reason="depth is 0.", source="fifo.csv, line 4"),
    ))  # fmt: skip
    return report_of(
        {"fifo": fifo, "none": Family((row("d", failed_reason="no width."),))},
        calibrated="LUT of the rows of another file", ignored=("notes.txt",),
    )  # fmt: skip


@pytest.fixture(scope="module")
def nasty():
    rows = [
        evaluated(name, partial(list, [Comparison("m", i, 2, note=name)]), source=name) for i, name in enumerate(NASTY)
    ]
    failed = [Row(name, failed_reason=name) for name in NASTY]
    return report_of({NASTY[0]: Family((*rows, *failed)), "b": Family(tuple(rows))}, notes=NASTY, ignored=NASTY)


def test_the_document_has_the_promised_shape(mixed):
    document = validation_document(mixed)
    families = document["targets"]["toy"]["families"]
    fifo = families["fifo"]
    assert fifo.keys() >= FAMILY_KEYS
    assert [fifo[key] for key in ("rows", "compared", "failed", "exact")] == [3, 2, 1, 0]
    assert fifo["mape"] == pytest.approx((10 + 0 + 10 + 100) / 4)
    assert fifo["median_ape"] == pytest.approx(10)
    assert fifo["worst"] == 100
    assert fifo["worst_row"] == {"name": "b", "source": "", "metric": "ff"}
    assert fifo["metrics"]["lut"]["median_ape"] == pytest.approx(10)
    assert fifo["metrics"]["ff"]["exact"] == 1
    assert fifo["failures"] == [{"name": "c", "source": "fifo.csv, line 4", "reason": "depth is 0."}]
    assert [each["error_pct"] for each in fifo["comparisons"]] == pytest.approx([10, 0, -10, -100])
    nothing = families["none"]
    assert [nothing[key] for key in ("mape", "median_ape", "worst", "worst_row")] == [None] * 4
    assert document["provenance"]["data"] == "bundled"


@pytest.mark.parametrize("which", ["mixed", "nasty", "bundled"])
def test_documents_are_strict_json(which, request):
    report = validate(["systolic"]) if which == "bundled" else request.getfixturevalue(which)
    document = validation_document(report)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_the_bundled_data_is_stated(tmp_path):
    document = validation_document(validate(["systolic"]))
    assert set(document["provenance"]["files"]["systolic"]) == {"systolic_cycles.csv", "systolic_small_arrays.csv"}
    assert document["targets"]["systolic"]["families"]["systolic_cycles"]["mape"] == 0


def test_the_frame_has_a_row_a_comparison_and_a_failure(mixed):
    frame = validation_frame(mixed)
    assert len(frame) == 4 + 2
    assert frame["failed_reason"].notna().sum() == 2
    assert frame.loc[frame["metric"] == "lut", "error_pct"].tolist() == pytest.approx([10, -10])
    assert validation_frame(Report({})).empty


def test_the_text_says_counts_errors_and_reasons(mixed):
    lines = validation_text(mixed).splitlines()
    assert lines[0] == "Validation against the bundled reference data"
    fifo = next(line for line in lines if line.startswith("toy     fifo"))
    assert " ".join(fifo.split()) == "toy fifo 3 2 1 0 30.00 % 10.00 % 100.00 % b (ff)"
    assert "toy fifo lut 2 0 10.00 % 10.00 % 10.00 %" in [" ".join(line.split()) for line in lines]
    text = "\n".join(lines)
    for words in ("c: depth is 0.", "1 of 3 rows cannot be evaluated", "calibrated: LUT", "ignored files: notes.txt"):
        assert words in text


def test_many_failures_are_counted_not_listed():
    failed = Family(tuple(row(f"r{i}", failed_reason="no.") for i in range(50)))
    text = validation_text(report_of({"f": failed}))
    assert "... and 45 more" in text
    assert "r49" not in text


def test_names_cannot_drive_the_terminal(nasty):
    assert "\x1b" not in validation_text(nasty)


@pytest.mark.parametrize(
    ("error", "words"), [(None, "-"), (0.0, "0.00 %"), (1e-14, "1e-14 %"), (0.05, "0.05 %"), (12.345, "12.35 %")]
)
def test_no_error_is_rounded_to_zero(error, words):
    assert ape_text(error) == words


def test_the_page_is_self_contained(mixed):
    page = validation_html(mixed)
    assert_self_contained(page)
    reader = Reader(page)
    assert_good_figures(reader.figures)
    assert {figure["key"] for figure in reader.figures} == {"scatter-0", "errors-0"}
    for words in ("depth is 0.", "calibrated", "notes.txt", "100.00 %", "2 rows that cannot be evaluated"):
        assert words in reader.text


def test_the_plots_hold_every_comparison(mixed):
    scatter, errors = Reader(validation_html(mixed)).figures
    equal = scatter["data"].pop()
    assert equal["x"] == equal["y"]
    shown = {point for trace in scatter["data"] for point in zip(trace["x"], trace["y"], strict=True)}
    assert shown == {(100, 110), (8, 8), (100, 90), (8, 0)}
    assert scatter["layout"]["xaxis"].get("type") != "log"
    assert sum(sum(trace["y"]) for trace in errors["data"]) == 4


def test_figures_over_decades_are_drawn_on_logarithmic_axes():
    figures = [(10**i, 10**i + 1) for i in range(6)]
    family = Family(tuple(row(f"r{pair}", ("cycles", *pair)) for pair in [*figures, (0, 1)]))
    page = validation_html(report_of({"f": family}))
    scatter, errors = Reader(page).figures
    assert scatter["layout"]["xaxis"]["type"] == scatter["layout"]["yaxis"]["type"] == "log"
    assert sum(len(trace["x"]) for trace in scatter["data"][:-1]) == 6
    assert "1 with a figure that is not positive are left out" in page
    assert sum(sum(trace["y"]) for trace in errors["data"]) == 7


def test_the_page_cuts_long_tables_and_says_so(monkeypatch):
    monkeypatch.setattr(validation_page, "MAX_POINTS", 20)
    monkeypatch.setattr(validation_page, "MAX_ROWS", 30)
    family = Family(tuple(row(f"r{i:03}", ("m", 100 + i, 100)) for i in range(300)))
    reader = Reader(validation_html(report_of({"f": family})))
    assert "The 30 of 300 comparisons that are furthest off" in reader.text
    assert "r299" in reader.text
    assert "r000" not in reader.text
    assert sum(len(trace["x"]) for trace in reader.figures[0]["data"][:-1]) == 20
    assert "199 err by more than 100 %" in reader.text


def test_nothing_to_draw_is_no_error():
    page = validation_html(report_of({"f": Family((row("a", failed_reason="no."),))}))
    assert Reader(page).figures == []
    assert_self_contained(page)


def test_names_are_text_and_never_markup(nasty):
    page = validation_html(nasty)
    own = page.replace(get_plotlyjs(), "")
    for markup in ("<img", "<script>alert", "<b>bold", "\x1b"):
        assert markup not in own
    labels = json.dumps(Reader(page).figures)
    assert "<img" not in labels
    assert "&lt;img" in labels


def test_a_target_of_ones_own_needs_one_record(tmp_path):
    (tmp_path / "ones.txt").write_text("1\n1\n2\n", encoding="utf-8")

    def rows(file):
        for number, line in enumerate(file.read_text("utf-8").split()):
            yield evaluated(f"line {number}", lambda line=line: [Comparison("one", 1, int(line))])

    ones = Target(name="ones", description="Ones.", looked_for=("ones.txt",), rows=rows)
    text = validation_text(validate([ones], tmp_path))
    assert "ones    ones       3         3       0      2  16.67 %" in text

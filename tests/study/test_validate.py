"""The framework of validation, with a toy target: squares of numbers."""

from __future__ import annotations

import csv
import re
from functools import partial

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from accelsim.documents import bundled_folder
from accelsim.errors import InputError, UnknownNameError
from accelsim.study.validate import Comparison, Family, Row, Target, evaluated, known_targets, target, validate
from accelsim.study.validate.table import read_table

COLUMNS = ("name", "x", "square")


def _toy_rows(file):
    for record in read_table(file, COLUMNS):
        yield evaluated(record.raw("name"), partial(_square, record), family=record.raw("family"), source=record.source)


def _square(record):
    x = record.number("x")
    if x == 13:
        raise ZeroDivisionError("unlucky")
    measured = record.figure("square")
    if measured is not None:
        yield Comparison("square", x * x, measured)


TOY = Target(name="toy", description="Squares.", looked_for=("squares*.csv",), rows=_toy_rows, companions=("*.npz",))
STRICT = Target(name="strict", description="Squares.", looked_for=("squares*.csv",), rows=_toy_rows, must_be_exact=True)


@pytest.fixture
def folder(tmp_path):
    def write(text, name="squares.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path

    return write


def only(report):
    (target_report,) = report.targets.values()
    return target_report


def toy(folder, which=TOY):
    return only(validate([which], folder))


def test_families_are_the_column_or_else_the_stem(folder):
    folder("name,x,square\na,2,4\n", "squares_more.csv")
    made = toy(folder("family,name,x,square,comment\nodd,a,3,9,hm\n,b,2,4,\nodd,c,1,1,\n"))
    assert {name: [row.name for row in family.rows] for name, family in made.families.items()} == {
        "odd": ["a", "c"],
        "squares": ["b"],
        "squares_more": ["a"],
    }


def test_errors_are_percentages(folder):
    family = toy(folder("name,x,square\na,10,100\nb,10,80\nc,10,200\n")).families["squares"]
    assert [row.comparisons[0].error_pct for row in family.rows] == [0.0, 25.0, -50.0]
    assert (family.compared, family.failed, family.exact) == (3, 0, 1)
    errors = family.errors
    assert (errors.mape, errors.median_ape, errors.worst) == (25.0, 25.0, 50.0)
    assert errors.worst_row.name == "c"
    assert errors.worst_row.source == "squares.csv, line 4"


def test_a_row_that_fails_says_why_and_stops_no_other(folder):
    text = "name,x,square\na,2,4\nb,two,4\nc,13,169\nd,4\ne,5,\nf,6,3_6\ng,1e999,1\nh,7,49\n"
    family = toy(folder(text)).families["squares"]
    reasons = {row.name: row.failed_reason for row in family.rows if row.failed_reason}
    assert (len(family.rows), family.compared, family.failed, family.exact) == (8, 2, 6, 2)
    assert reasons == {
        "b": "squares.csv, line 3: x: 'two' must be a number.",
        "c": "defect of accelsim: ZeroDivisionError: unlucky",
        "d": "squares.csv, line 5: has 2 cells under 3 columns.",
        "e": "states no measured figure.",
        "f": "squares.csv, line 7: square: '3_6' must be a number.",
        "g": "squares.csv, line 8: x: '1e999' must be a finite number.",
    }
    assert family.errors.mape == 0


def test_where_all_must_be_exact_a_failed_row_is_no_zero(folder):
    text = "name,x,square\na,2,4\nb,two,4\n"
    assert toy(folder(text), STRICT).families["squares"].errors.mape == 50
    assert toy(folder("name,x,square\na,2,4\n"), STRICT).families["squares"].errors.mape == 0


def test_a_family_without_comparisons_has_no_errors(folder):
    errors = toy(folder("name,x,square\na,b,c\n")).families["squares"].errors
    assert (errors.compared, errors.mape, errors.median_ape, errors.worst, errors.worst_row) == (0, *[None] * 4)


@pytest.mark.parametrize(
    ("predicted", "measured", "error"),
    [(0, 0, 0.0), (3, 0, 100.0), (-3, 0, -100.0), (0, 5, -100.0), (1, -2, 150.0), (1.0, 1e-320, 1e12)],
)
def test_errors_against_zero_and_negative_figures(predicted, measured, error):
    assert Comparison("m", predicted, measured).error_pct == error


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_prediction(bad):
    row = evaluated("a", lambda: [Comparison("m", bad, 1.0)])
    assert "which is no figure" in row.failed_reason


def test_whole_numbers_are_compared_in_full():
    """2^53 and 2^53 + 1 are one float."""
    near = Comparison("m", 2**53, 2**53 + 1)
    assert not near.exact
    assert near.error_pct != 0
    assert Family((Row("a", (near,)),), True).errors.mape > 0


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
    )
)
def test_statistics_keep_their_bounds(pairs):
    family = Family(tuple(Row(str(i), (Comparison("m", *pair),)) for i, pair in enumerate(pairs)), True)
    errors = family.errors
    assert 0 <= errors.median_ape <= errors.worst <= 1e12
    assert errors.mape <= errors.worst * (1 + 1e-12)
    assert (errors.mape == 0) == (family.exact == len(family.rows)) == all(a == b for a, b in pairs)


def test_other_files_are_listed_as_ignored(folder):
    for name in ("notes.txt", "arrays.npz", "README.md", ".hidden"):
        folder("x", name)
    made = toy(folder("name,x,square\na,2,4\n"))
    assert made.ignored == ("notes.txt",)
    assert [name for name, _ in made.files] == ["arrays.npz", "squares.csv"]
    assert all(len(digest) == 64 for _, digest in made.files)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "lacks the columns 'name', 'x', 'square'"),
        ("name,square\na,4\n", "lacks the column 'x'. The first line must name name, x, square"),
        ("name,x,square,x\na,2,4,2\n", "has the column 'x' twice"),
        ("name,x,square\n", "holds no rows"),
        ("name,x,square\na,\"2,4\n", "is not CSV"),
    ],
)  # fmt: skip
def test_a_bad_file_is_named(folder, text, words):
    path = folder(text)
    with pytest.raises(InputError) as caught:
        toy(path)
    assert re.search(words, str(caught.value))
    assert "squares.csv" in str(caught.value)


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "squares.csv").write_bytes(b"name,x,square\n\xff\xfe,2,4\n")
    with pytest.raises(InputError, match="is not text in UTF-8"):
        toy(tmp_path)


def test_a_byte_order_mark_and_blank_lines_pass(tmp_path):
    (tmp_path / "squares.csv").write_bytes(b"\xef\xbb\xbfname, x ,square\r\n\r\na, 2.0 ,4.0\r\n,,\r\n")
    assert toy(tmp_path).families["squares"].exact == 1


def test_folders_that_do_not_do(tmp_path):
    with pytest.raises(InputError, match=r"holds nothing for toy. It looks for squares\*.csv"):
        toy(tmp_path)
    with pytest.raises(InputError, match="No such file or directory"):
        toy(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="Not a directory"):
        toy(tmp_path / "file")
    with pytest.raises(InputError, match=r"holds nothing for any target. It looks for .*systolic_\*.csv \(systolic\)"):
        validate(data=tmp_path)


def test_unknown_targets_are_named_with_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"'systolics' is not a known validation target. Did you mean 'systolic'"
    ):
        validate(["systolics"])


def test_every_target_is_whole():
    """What each target promises, and that its bundled data is there with a README."""
    for name in known_targets():
        made = target(name)
        assert made.name == name
        assert made.description.endswith(".")
        folder = bundled_folder("validation") / name
        assert (folder / "README.md").is_file()
        assert any(made.accepts(file) for file in folder.iterdir())


CELLS = st.one_of(
    st.sampled_from(["2", "4", "-0", "nan", "", "1e400", "٣", "0x10", "1" * 50, "4.0", "inf"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5))
def test_any_cells_are_compared_or_failed_with_a_reason(rows, tmp_path):
    with (tmp_path / "squares.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    assume(any(cell.strip() for row in rows for cell in row))
    made = toy(tmp_path)
    for family in made.families.values():
        assert family.compared + family.failed == len(family.rows)
        assert all(row.failed_reason or row.comparisons for row in family.rows)
        assert not any((row.failed_reason or "").startswith("defect") for row in family.rows)

from __future__ import annotations

import numpy as np
import pytest

from accelsim.report.document import result_document
from accelsim.report.gaps import gap_columns, gap_words, parts_words
from accelsim.report.html import result_html
from accelsim.report.tables import ops_frame, result_text
from accelsim.study.cycles import PARTS


def test_the_gap_is_the_same_everywhere(result):
    run = result.evaluation
    gap = result_document(result)["optimality_gap"]
    assert gap >= 1 - 1e-9
    assert gap * max(result_document(result)["least_s"].values()) == pytest.approx(run.latency_s)
    words = gap_words(run)
    assert words.startswith("within ")
    assert words in " ".join(result_text(result).split())
    assert f"latency {words}" in result_html(result)


def test_columns_of_the_ops(result):
    frame, run = ops_frame(result.evaluation), result.evaluation
    matrix = np.array([op.problem is not None for op in run.mapping.walk()])
    assert frame["gap"].notna().tolist() == matrix.tolist()
    assert (frame["gap"][matrix] >= 1 - 1e-9).all()
    alone = np.array([not op.follows for op in run.mapping.walk()])
    parts = frame[[f"{name}_s" for name in PARTS]]
    assert (parts >= 0).all(axis=None)
    assert parts[alone].sum().sum() == pytest.approx(run.latency_s)
    assert set(gap_columns(run)) == {"gap", *parts.columns}


def test_parts_in_words_are_those_that_count(result):
    spent = result_document(result)["time_parts_s"]
    whole = sum(spent.values())
    assert whole == pytest.approx(result.evaluation.latency_s)
    shown = parts_words(result.evaluation)
    assert shown.count("%") == sum(1 for seconds in spent.values() if seconds >= 1e-3 * whole)

"""Intervals and swings over assumed constants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.study.sensitivity import Assumption, explore

SLOPES = st.lists(st.floats(-3, 3), min_size=1, max_size=5)


def affine(slopes):
    """A metric that is affine in each assumption, over the range [-1, 1] of each."""

    def measure(setting):
        total = sum(slope * float(setting.get(f"x{i}", 0.0)) for i, slope in enumerate(slopes))
        return {"metric": 100 + total, "other": 50 - total}

    assumptions = [Assumption(f"x{i}", 0.0, (-1.0, 1.0), "test") for i in range(len(slopes))]
    return assumptions, measure


@given(SLOPES)
def test_interval_of_a_monotone_metric_is_exact(slopes):
    assumptions, measure = affine(slopes)
    found = explore(assumptions, measure, measure({}))
    reach = sum(map(abs, slopes))
    assert found.intervals["metric"] == pytest.approx((100 - reach, 100 + reach))
    assert found.intervals["other"] == pytest.approx((50 - reach, 50 + reach))


@given(SLOPES)
def test_swings_are_ranked_and_hold_the_nominal(slopes):
    assumptions, measure = affine(slopes)
    found = explore(assumptions, measure, measure({}))
    widths = [swing.relative("metric", 100) for swing in found.swings]
    assert widths == sorted(widths, reverse=True)
    assert all(low <= 100 <= high for low, high in (swing.spans["metric"] for swing in found.swings))
    assert widths[0] == pytest.approx(2 * max(map(abs, slopes)) / 100)


def test_a_setting_that_cannot_run_is_reported():
    def measure(setting):
        if setting.get("x") == 2:
            raise InputError("does not fit")
        return {"metric": float(setting.get("x", 0.0))}

    found = explore([Assumption("x", 0.0, (-1.0, 2.0), "test")], measure, measure({}))
    assert found.intervals["metric"] == (-1.0, 0.0)
    assert any("does not fit" in reason for reason in found.refused)


def test_nothing_assumed_spans_nothing():
    found = explore([], lambda _: {"metric": 3.0}, {"metric": 3.0})
    assert found.intervals == {"metric": (3.0, 3.0)}
    assert found.swings == ()

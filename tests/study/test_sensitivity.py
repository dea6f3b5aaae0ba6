"""Intervals and swings over assumed constants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.hardware.load import load_architecture
from accelsim.study import assumptions
from accelsim.study.estimate import estimate
from accelsim.study.sensitivity import Assumption, explore
from accelsim.workload.load import load_workload

SLOPES = st.lists(st.floats(-3, 3), min_size=1, max_size=5)


def affine(slopes):
    """A metric that is affine in each assumption, over the range [-1, 1] of each."""

    def measure(settings):
        totals = [sum(slope * float(each.get(f"x{i}", 0.0)) for i, slope in enumerate(slopes)) for each in settings]
        return [{"metric": 100 + total, "other": 50 - total} for total in totals]

    return [Assumption(f"x{i}", 0.0, (-1.0, 1.0), "test") for i in range(len(slopes))], measure


@given(SLOPES)
def test_interval_of_a_monotone_metric_is_exact(slopes):
    varied, measure = affine(slopes)
    found = explore(varied, measure, measure([{}])[0])
    reach = sum(map(abs, slopes))
    assert found.intervals["metric"] == pytest.approx((100 - reach, 100 + reach))
    assert found.intervals["other"] == pytest.approx((50 - reach, 50 + reach))


@given(SLOPES)
def test_swings_are_ranked_and_hold_the_nominal(slopes):
    varied, measure = affine(slopes)
    found = explore(varied, measure, measure([{}])[0])
    widths = [swing.relative("metric", 100) for swing in found.swings]
    assert widths == sorted(widths, reverse=True)
    assert all(low <= 100 <= high for low, high in (swing.spans["metric"] for swing in found.swings))
    assert widths[0] == pytest.approx(2 * max(map(abs, slopes)) / 100)


def test_a_setting_that_cannot_run_is_reported():
    def measure(settings):
        values = [float(setting.get("x", 0.0)) for setting in settings]
        return [InputError("does not fit") if value == 2 else {"metric": value} for value in values]

    found = explore([Assumption("x", 0.0, (-1.0, 2.0), "test")], measure, {"metric": 0.0})
    assert found.intervals["metric"] == (-1.0, 0.0)
    assert any("does not fit" in reason for reason in found.refused)


def test_nothing_assumed_spans_nothing():
    found = explore([], lambda settings: [{"metric": 3.0}] * len(settings), {"metric": 3.0})
    assert found.intervals == {"metric": (3.0, 3.0)}
    assert found.swings == ()


def test_one_batch_of_settings_gives_the_same_intervals(monkeypatch):
    workload, architecture = load_workload("resnet-20"), load_architecture("edge-npu")
    monkeypatch.setattr(assumptions, "_MANY_OPS", 0)
    together = estimate(workload, architecture).sensitivity
    monkeypatch.setattr(assumptions, "_MANY_OPS", 10**9)
    assert estimate(workload, architecture).sensitivity == together
    assert together.swings

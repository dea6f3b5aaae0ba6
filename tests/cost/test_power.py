"""Power limits: what throttling keeps, and what it never does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.cost.power import clock_scale_within, throttled
from accelsim.errors import InfeasibleError
from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate, reprice
from accelsim.study.assumptions import notes_on
from accelsim.workload.load import load_workload

RAPID = load_architecture("rapid-4core")
SYSTOLIC = load_architecture("systolic-32x32")
NETWORK = load_workload("resnet-18")


def at_limit(arch, watts, **options):
    return evaluate(NETWORK, arch.override({"power_limit_w": watts}), "int8" if arch is SYSTOLIC else "int4", **options)


def test_off_without_a_limit_and_above_the_need():
    free = evaluate(NETWORK, RAPID, "int4")
    assert free.unthrottled is None
    roomy = at_limit(RAPID, free.power_w * 1.01)
    assert roomy.clock_scale == 1.0
    assert roomy.latency_s == free.latency_s
    assert roomy.energy_j == free.energy_j


@pytest.mark.parametrize("detail", ["op", "tile"])
@pytest.mark.parametrize("arch", [RAPID, SYSTOLIC], ids=["voltages", "clock alone"])
def test_the_limit_is_kept_and_reached(arch, detail):
    free = evaluate(NETWORK, arch, "int8" if arch is SYSTOLIC else "int4", detail=detail)
    held = at_limit(arch, free.power_w * 0.7, detail=detail)
    assert held.check() == []
    assert held.power_w <= free.power_w * 0.7
    assert held.power_w == pytest.approx(free.power_w * 0.7, rel=1e-4)
    assert held.latency_s > free.latency_s
    assert held.unthrottled.latency_s == free.latency_s
    assert held.unthrottled.energy_j == free.energy_j
    assert 0 < held.clock_scale < 1


def test_voltage_falls_with_the_clock_and_saves_energy():
    free = evaluate(NETWORK, RAPID, "int4")
    held = at_limit(RAPID, free.power_w * 0.6)
    assert held.energy.by_component_j["array"] < free.energy.by_component_j["array"]
    assert held.energy.by_component_j["dram"] == pytest.approx(free.energy.by_component_j["dram"])


def test_without_voltages_only_leakage_takes_longer():
    held = at_limit(SYSTOLIC, evaluate(NETWORK, SYSTOLIC, "int8").power_w * 0.6)
    full = held.unthrottled
    assert held.energy.by_component_j["array"] == full.energy.by_component_j["array"]
    assert held.energy.by_component_j["leakage"] > full.energy.by_component_j["leakage"]


@settings(max_examples=15, deadline=None)
@given(shares=st.tuples(st.floats(0.3, 1.2), st.floats(0.3, 1.2)))
def test_a_higher_limit_is_never_slower(shares):
    free = evaluate(NETWORK, SYSTOLIC, "int8")
    less, more = (at_limit(SYSTOLIC, share * free.power_w) for share in sorted(shares))
    assert more.latency_s <= less.latency_s
    assert more.clock_scale >= less.clock_scale


def test_repricing_throttles_anew():
    arch = RAPID.override({"power_limit_w": evaluate(NETWORK, RAPID, "int4").power_w * 0.7})
    held = evaluate(NETWORK, arch, "int4")
    hungrier = arch.override({"array.units.int4.energy_pj_per_mac": 0.2})
    repriced, anew = reprice(held, hungrier), evaluate(NETWORK, hungrier, "int4")
    assert repriced.clock_scale == anew.clock_scale < held.clock_scale
    assert repriced.latency_s == anew.latency_s


def test_a_limit_below_the_leakage_is_infeasible():
    with pytest.raises(InfeasibleError, match="of power"):
        at_limit(RAPID, 0.01)


def test_the_reason_is_told():
    held = at_limit(RAPID, 1.0)
    assert any(note.startswith("throttled: ") and "1 W" in note for note in notes_on(held))


@given(limit=st.floats(0.1, 10), exponent=st.floats(1, 3))
def test_the_highest_clock_within_a_limit(limit, exponent):
    scale = clock_scale_within(limit, lambda s: 10 * s**exponent + 0.01)
    assert 10 * scale**exponent + 0.01 <= limit or scale == 1.0
    assert scale == 1.0 or 10 * (scale * 1.001) ** exponent + 0.01 > limit


def test_voltages_lie_on_the_line_and_stop_at_the_nominal_one():
    clock = RAPID.description.clocks["core"]
    for scale, volts in ((1.0, 0.75), (1.3 / 1.6, 0.65), (1.0 / 1.6, 0.55), (0.1, 0.55)):
        slower = throttled(RAPID.description, scale).clocks["core"]
        assert slower.voltage_v.value == pytest.approx(volts)
        assert slower.clock_hz.value == pytest.approx(clock.clock_hz.value * scale)

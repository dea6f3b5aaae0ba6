"""Wires: Kirchhoff's laws, ideal limits, and the polynomial beside the exact currents."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError, UnsupportedError
from accelsim.numerics.analog import compare_wires, nodal_currents


def ladder_current(g, v, wire_ohm):
    """One output wire between ideal inputs, from the far end: each step a source, merged as Thevenin's."""
    volts, siemens = 0.0, 0.0
    for conductance, drive in zip(g, v, strict=True):
        total = siemens + conductance
        volts = (volts * siemens + drive * conductance) / total
        siemens = 1 / (1 / total + wire_ohm)
    return volts * siemens


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 5), st.floats(0.1, 1000))
def test_output_wires_are_ladders(seed, inputs, outputs, wire_ohm):
    rng = np.random.default_rng(seed)
    g, v = rng.uniform(1e-6, 1e-3, (outputs, inputs)), rng.normal(size=inputs)
    expected = [ladder_current(row, v, wire_ohm) for row in g]
    found = nodal_currents(g, v, input_wire_ohm=0.0, output_wire_ohm=wire_ohm)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.1, 100), st.floats(0.1, 100))
def test_superposition_and_reciprocity(seed, input_ohm, output_ohm):
    """Currents are linear in voltages; seen from the other side the array is its transpose, turned."""
    rng = np.random.default_rng(seed)
    g, v = rng.uniform(1e-6, 1e-3, (4, 5)), rng.normal(size=(2, 5))
    wires = {"input_wire_ohm": input_ohm, "output_wire_ohm": output_ohm}
    both = nodal_currents(g, v, **wires)
    np.testing.assert_allclose(both.sum(axis=0), nodal_currents(g, v.sum(axis=0), **wires), rtol=1e-9, atol=1e-15)
    forward = nodal_currents(g, np.eye(5), **wires)
    turned = nodal_currents(g.T[::-1, ::-1], np.eye(4), input_wire_ohm=output_ohm, output_wire_ohm=input_ohm)
    np.testing.assert_allclose(forward, turned[::-1, ::-1].T, rtol=1e-9)


def test_ideal_wires():
    rng = np.random.default_rng(0)
    g, v = rng.uniform(0, 1e-4, (6, 7)), rng.normal(size=7)
    assert np.array_equal(nodal_currents(g, v, input_wire_ohm=0, output_wire_ohm=0), g @ v)
    for wires in ((1e-9, 1e-9), (0, 1e-9), (1e-9, 0)):
        found = nodal_currents(g, v, input_wire_ohm=wires[0], output_wire_ohm=wires[1])
        np.testing.assert_allclose(found, g @ v, rtol=1e-6, atol=1e-12)


def test_devices_that_are_open_carry_nothing():
    g = np.array([[0.0, 0.0], [1e-4, 0.0]])
    found = nodal_currents(g, [1.0, 1.0], input_wire_ohm=1.0, output_wire_ohm=1.0)
    assert found[0] == pytest.approx(0, abs=1e-18)
    assert found[1] == pytest.approx(1 / (1e4 + 2 + 2), rel=1e-9)  # two segments of input 0, two of output 1


def test_more_resistance_takes_more_away():
    rng = np.random.default_rng(1)
    w, x = np.clip(rng.normal(0, 0.25, (16, 64)), -1, 1), rng.uniform(-1, 1, (4, 64))
    drops = [compare_wires(w, x, g_max_us=25.0, wire_ohm=ohm) for ohm in (0.1, 0.35, 1.0)]
    for name in ("exact_drop", "polynomial_drop"):
        values = [getattr(each, name) for each in drops]
        assert values == sorted(values)
        assert values[0] > 0


def test_the_polynomial_is_near_for_inputs_of_both_signs_and_low_for_one():
    """Measured here: within a fifth of the drop for symmetric inputs; about half of it where all currents add up."""
    rng = np.random.default_rng(2)
    w, x = np.clip(rng.normal(0, 0.25, (32, 128)), -1, 1), rng.uniform(-1, 1, (8, 128))
    both, one = (compare_wires(w, each, g_max_us=25.0) for each in (x, np.abs(x)))
    assert both.difference < 0.2 * both.exact_drop
    assert 0.4 < one.polynomial_drop / one.exact_drop < 0.7


@pytest.mark.parametrize(
    ("g", "v", "ohm", "rule"),
    [
        ([[1.0]], [math.nan], 1.0, "volts: must be finite"),
        ([[math.nan]], [1.0], 1.0, "conductances_s: must be finite"),
        ([[-1.0]], [1.0], 1.0, "must be finite and 0 or more"),
        ([1.0], [1.0], 1.0, "must be a matrix"),
        ([[1.0]], [1.0, 2.0], 1.0, "must have 1 values"),
        ([[1.0]], [1.0], -1.0, "output_wire_ohm: -1.0 must be 0 or more"),
    ],
)
def test_what_is_refused(g, v, ohm, rule):
    with pytest.raises(InputError, match=rule):
        nodal_currents(g, v, input_wire_ohm=1.0, output_wire_ohm=ohm)


def test_arrays_that_are_too_large():
    with pytest.raises(UnsupportedError, match="Use the polynomial"):
        nodal_currents(np.ones((513, 512)), np.ones(512), input_wire_ohm=1.0, output_wire_ohm=1.0)

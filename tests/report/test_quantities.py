from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.report.quantities import interval, percent, plain, quantity, scale_of, short


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.18421, "s", "184.2 ms"),
        (1.2566, "s", "1.257 s"),
        (0.99999, "s", "1 s"),
        (999.96e-6, "s", "1 ms"),
        (75454662, "B", "75.45 MB"),
        (2.5e-13, "J", "250 fJ"),
        (3e-20, "J", "3e-05 fJ"),
        (0, "B", "0 B"),
        (None, "s", "-"),
        (math.inf, "/s", "unbounded"),
        (-0.002, "s", "-2 ms"),
    ],
)
def test_quantity(value, unit, shown):
    assert quantity(value, unit) == shown


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.018421, "", "0.01842"), (7.6182, "x", "7.618x"), (36.0, "mm²", "36 mm²"), (123456, "/s", "123,456 /s")],
)
def test_plain(value, unit, shown):
    assert plain(value, unit) == shown


@given(st.floats(1e-15, 1e18))
def test_a_quantity_reads_back_to_four_digits(value):
    number, _, unit = quantity(value, "X").partition(" ")
    prefixes = {"f": -15, "p": -12, "n": -9, "µ": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
    assert math.isclose(float(number) * 10.0 ** prefixes[unit.removesuffix("X")], value, rel_tol=6e-4)
    assert 1 <= float(number) < 1000 or value < 1e-15 or value >= 1e21


def test_intervals_say_a_common_unit_once():
    assert interval("2.1 ms", "3.9 ms") == "2.1 to 3.9 ms"
    assert interval("900 µs", "3.9 ms") == "900 µs to 3.9 ms"
    assert interval("1.2x", "3.4x") == "1.2 to 3.4x"
    assert interval("2x", "2x") == "2x either way"
    assert interval("0.1", "0.2") == "0.1 to 0.2"


def test_scale_percent_and_short():
    assert scale_of([0.02, 0.001]) == (1e3, "m")
    assert scale_of([]) == (1.0, "")
    assert percent(0.8236) == "82.4 %"
    assert short("a\nb\x1b", 9) == "a?b?"
    assert short("encoder.0.recurrent", 12) == "encod..rrent"
    assert len(short("x" * 99, 13)) == 13

"""Cores of cells: ideal limits, levels, slices."""

import math

import numpy as np
import pytest

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics.analog import CellCore

RNG = np.random.default_rng(0)
W, X = RNG.normal(size=(7, 9)), RNG.uniform(-1, 1, (4, 9))


@pytest.mark.parametrize("style", ["one_sided", "two_sided"])
def test_without_bits_it_is_the_product(style):
    core = CellCore(style, weight_bits=0, dac_bits=0, adc_bits=0)
    np.testing.assert_allclose(core.product(W, X), X @ W.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("slices", [1, 2, 4, 8])
def test_slices_add_up_to_the_whole_weight(slices):
    """Without ADC every slicing gives what the rounded weight gives."""
    core = CellCore("bit_sliced", weight_bits=8, slices=slices, dac_bits=0, adc_bits=0)
    largest = np.abs(W).max()
    np.testing.assert_allclose(core.product(W, X), X @ (np.rint(W / largest * 127) / 127).T * largest, rtol=1e-12)


def test_more_bits_come_nearer():
    def error(bits):
        core = CellCore(cell_bits=bits, dac_bits=bits + 1, adc_bits=bits + 2, adc_ranges=((-9, 9),))
        return np.abs(core.product(W, X) - X @ W.T).max()

    assert error(4) > error(8) > error(12)


def test_outputs_beyond_the_range_stay_at_its_ends():
    core = CellCore(weight_bits=0, dac_bits=0, adc_bits=8, adc_ranges=((-0.5, 0.25),))
    outputs = core.product([[1.0]], [[1.0], [-1.0]])
    assert outputs.ravel().tolist() == [0.25, -0.5]


def test_cells_that_do_not_close_use_less_of_the_range():
    def outputs(off_share):
        core = CellCore(weight_bits=0, dac_bits=0, adc_bits=2, adc_ranges=((-1, 1),), adc_levels="sign_magnitude",
                        off_share=off_share)  # fmt: skip
        return core.product([[1.0]], [[0.5]])[0, 0], core.product([[1.0]], [[0.9]])[0, 0]

    assert outputs(0.0) == (0.0, 1.0)
    assert outputs(0.2) == (0.0, pytest.approx(1 / 0.8))


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"adc_bits": 40, "adc_ranges": ((-1, 1),)}, "adc_bits: 40 must be 1 to 24"),
        ({"dac_bits": 1}, "dac_bits: 1 must be 2 to 24"),
        ({"adc_ranges": ()}, "a range for each slice"),
        ({"adc_ranges": ((1, -1),)}, "low before high"),
        ({"adc_ranges": ((0, math.nan),)}, "must be finite"),
        ({"adc_bits": 0, "off_share": 1.0}, "off_share"),
        ({"adc_bits": 0, "slices": 2}, "slices: 2 must be 1"),
        ({"adc_bits": 0, "style": "bit_sliced", "weight_bits": 7, "slices": 2}, "multiple of the slices"),
    ],
)
def test_what_is_refused(given, rule):
    with pytest.raises(InputError, match=rule):
        CellCore(**given)


def test_inputs_beyond_the_dac():
    with pytest.raises(InputError, match=r"inputs: 2.0 must lie within -1 to 1"):
        CellCore(adc_bits=0).product([[1.0]], [[2.0]])
    with pytest.raises(UnknownNameError, match="style"):
        CellCore("balanced")  # type: ignore[arg-type]

"""Analog tiles as matrix units: exact where they are ideal, the tile's own numerics where they are not."""

from dataclasses import replace

import numpy as np
import pytest

from accelsim.engine.functional.analog import AnalogSetting, _Programmed, analog_setting
from accelsim.engine.functional.units import Operand
from accelsim.errors import AccelsimError, InputError, UnsupportedError
from accelsim.hardware.load import load_architecture
from accelsim.mapping.aimc.assign import cut_of
from accelsim.mapping.aimc.records import bounds
from accelsim.numerics import analog
from accelsim.pipeline import evaluate
from accelsim.study.emulate import emulated
from accelsim.workload.load import load_workload
from tests.engine.functional.models import network

HERMES = load_architecture("hermes-64core")
IDEAL = AnalogSetting(analog.crossbar_named("ideal"), analog.device_named("ideal"))


def operand(values):
    return Operand(np.asarray(values, np.float32), lambda x: x)


def drawn(groups, vectors, inputs, outputs, seed=0):
    random = np.random.default_rng(seed)
    weights = random.standard_normal((groups, outputs, inputs)).astype(np.float32)
    return weights, random.standard_normal((groups, vectors, inputs)).astype(np.float32)


def product(weights, x, setting, name="w"):
    cut = cut_of(len(weights), weights.shape[2], weights.shape[1], HERMES.description)
    return _Programmed.of(weights, cut, setting, name).times(operand(x)).values


@pytest.mark.parametrize("sizes", [(1, 5, 100, 60), (1, 3, 700, 530), (2, 4, 300, 256), (7, 2, 9, 1)])
def test_ideal_tiles_give_the_product(sizes):
    weights, x = drawn(*sizes)
    exact = x.astype(np.float64) @ weights.swapaxes(1, 2)
    assert np.allclose(product(weights, x, IDEAL), exact, atol=1e-4)


def test_the_cut_decides_what_shares_a_converter():
    """Quantised tiles: each block of rows is converted by itself, and the parts are added digitally."""
    weights, x = drawn(1, 4, 600, 300)
    model = replace(analog.crossbar_named("rasch-2023-quantised"), noise_management="abs_max", noise_threshold=0.0)
    found = product(weights, x, AnalogSetting(model, analog.device_named("ideal")))
    expected = np.zeros_like(found)
    for column in bounds(300, 2):
        for row in bounds(600, 3):
            part = weights[0, slice(*column), slice(*row)]
            scale = np.abs(part).max(axis=1)
            read = analog.Crossbar(part / scale[:, None], model).product(x[0, :, slice(*row)]).outputs
            expected[0, :, slice(*column)] += read * scale
    assert np.allclose(found, expected, atol=1e-6)
    whole = analog.Crossbar(weights[0] / np.abs(weights[0]).max(axis=1)[:, None], model).product(x[0]).outputs
    assert not np.allclose(found[0], whole * np.abs(weights[0]).max(axis=1), atol=1e-6)


def relative(found, exact):
    return float(np.sqrt(np.square(found - exact).sum() / np.square(exact).sum()))


def test_error_grows_with_time_and_compensation_helps():
    weights, x = drawn(1, 64, 256, 256)
    exact = x @ weights.swapaxes(1, 2)
    errors = [
        relative(product(weights, x, analog_setting(HERMES.description, time_s, 0)), exact)
        for time_s in (None, 3600.0, 86400.0 * 365)
    ]
    assert errors == sorted(errors)
    plain = replace(analog_setting(HERMES.description, 86400.0 * 365, 0), compensated=False)
    assert relative(product(weights, x, plain), exact) > 1.2 * errors[-1]


def test_a_seed_repeats_and_another_differs():
    weights, x = drawn(1, 8, 128, 64)
    one, again, other = (
        product(weights, x, analog_setting(HERMES.description, 60.0, seed)) for seed in (1, 1, 2)
    )  # fmt: skip
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_weights_of_zero_are_read_as_nothing():
    weights, x = drawn(1, 3, 300, 10)
    weights[:, :, :150] = 0
    weights[:, 4] = 0
    found = product(weights, x, analog_setting(HERMES.description, 3600.0, 0))
    assert np.isfinite(found).all()


def test_more_bits_of_the_converters_make_less_error():
    weights, x = drawn(1, 32, 256, 128)
    exact = x @ weights.swapaxes(1, 2)
    errors = []
    for bits in (4, 6, 8):
        path = "tile.read_modes.four_phase.output_bits"
        setting = analog_setting(HERMES.override({path: bits}).description, None, 0)
        errors.append(relative(product(weights, x, setting), exact))
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("time_s", [-1.0, float("nan"), float("inf")])
def test_times_before_programming_are_refused(time_s):
    with pytest.raises(InputError, match="time_s"):
        analog_setting(HERMES.description, time_s, 0)


@pytest.mark.parametrize("where", ["weights", "inputs"])
def test_nan_is_refused(where):
    weights, x = drawn(1, 2, 20, 10)
    (weights if where == "weights" else x)[0, 0, 0] = np.nan
    with pytest.raises(InputError, match="NaN"):
        product(weights, x, IDEAL if where == "weights" else analog_setting(HERMES.description, None, 0))


def test_shares_of_inputs_are_not_emulated():
    with pytest.raises(UnsupportedError, match="in shares"):
        analog_setting(load_architecture("isaac").description, None, 0)


def test_a_model_on_tiles(tmp_path):
    path = network(tmp_path)
    found = emulated(evaluate(load_workload(path), HERMES), seed=3, time_s=3600.0)
    analog_ops = [each for each in found.op_errors if each.precision == "analog"]
    assert analog_ops
    assert all(5 < each.sqnr_db < 40 for each in analog_ops)
    again = emulated(evaluate(load_workload(path), HERMES), seed=3, time_s=3600.0)
    assert [each.sqnr_db for each in again.op_errors] == [each.sqnr_db for each in found.op_errors]
    with pytest.raises(AccelsimError, match="time_s"):
        emulated(evaluate(load_workload(path), load_architecture("edge-npu")), time_s=1.0)

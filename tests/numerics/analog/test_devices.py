"""Devices and tiles: laws written out for one device, drift, compensation, and what is refused."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.numerics.analog import (
    DEVICES,
    CrossbarParameters,
    IdealDevice,
    PairNormals,
    Polynomial,
    RelaxingDevice,
    Table,
    crossbar_named,
    device_named,
    program,
    program_tile,
)

PCM = DEVICES["pcm"]
HOUR, YEAR = 3600.0, 3.1536e7


def read_of_a_pcm(target, z_prog, z_nu, time_s, z_read):
    """Nandakumar et al., ICECS 2019, for one device of 25 uS."""
    g = target / 25
    programmed = max(target + (0.26348 + 1.9650 * g - 1.1731 * g * g) * z_prog, 0.0)
    log = math.log(max(g, 1e-7))
    mean = min(max(-0.0155 * log + 0.0244, 0.049), 0.1)
    std = min(max(-0.0125 * log - 0.0059, 0.008), 0.045)
    drifted = programmed * ((time_s + 20) / 20) ** -abs(mean + std * z_nu)
    q = min(0.0088 / max((programmed / 25) ** 0.65, 1e-3), 0.2)
    return max(drifted * (1 + q * math.sqrt(math.log((time_s + 20 + 250e-9) / (2 * 250e-9))) * z_read), 0.0)


@settings(max_examples=200, deadline=None)
@given(st.floats(0, 25), st.floats(-4, 4), st.floats(-4, 4), st.floats(0, 1e8), st.floats(-4, 4))
def test_a_pcm_equals_its_law(target, z_prog, z_nu, time_s, z_read):
    targets, normals = np.array([target]), [np.array([z]) for z in (z_prog, z_nu, z_read)]
    programmed = PCM.programmed_us(targets, normals[0])
    found = PCM.read_us(programmed, PCM.memory(targets, normals[1]), time_s, normals[2])
    assert found[0] == pytest.approx(read_of_a_pcm(target, z_prog, z_nu, time_s, z_read), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["pcm", "pcm-hermes", "pcm-hermes-2"])
def test_conductances_only_fall(name):
    device, targets = DEVICES[name], np.linspace(0, DEVICES[name].g_max_us, 50)
    exponent = device.memory(targets, np.zeros(50))
    drifted = [device.drifted_us(targets, exponent, time_s) for time_s in (0.0, 1.0, HOUR, YEAR)]
    assert np.array_equal(drifted[0], targets)
    assert all((later <= sooner).all() for sooner, later in pairwise(drifted))
    assert (drifted[-1] > 0.1 * targets)[1:].all()


@pytest.mark.parametrize("name", sorted(DEVICES))
def test_double_and_single_precision_agree(name):
    rng = np.random.default_rng(0)
    weights = rng.uniform(-1, 1, (12, 9))
    z = PairNormals(rng.normal(size=(12, 9)), rng.normal(size=(12, 9)))
    time_s = 86400.0

    def later(kind):
        same = PairNormals(z.plus.astype(kind), z.minus.astype(kind))
        programmed = program(weights.astype(kind), DEVICES[name], programming=same, drift=same)
        return programmed.at(time_s, normals=same)

    assert later(np.float32).dtype == np.float32
    np.testing.assert_allclose(later(np.float32), later(np.float64), atol=3e-6)


def test_without_any_scale_nothing_changes():
    still = replace(PCM, programming_scale=0.0, drift_scale=0.0, read_scale=0.0)
    weights = np.random.default_rng(0).uniform(-1, 1, (5, 4))
    for device in (still, IdealDevice()):
        programmed = program(weights, device, seed=1)
        np.testing.assert_allclose(programmed.weights, weights, rtol=1e-12)
        np.testing.assert_allclose(programmed.at(YEAR, seed=2), weights, rtol=1e-12)


def test_a_matrix_of_zeros():
    assert program(np.zeros((2, 2)), IdealDevice(), seed=0).at(HOUR, seed=0).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(InputError, match="reads nothing but zeros"):
        program_tile(np.zeros((2, 2)), IdealDevice(), CrossbarParameters(), 0)


def test_drift_acts_on_the_device_that_holds_the_weight():
    """A weight of 0 whose negative device came out larger: its exponent and its reading are the negative device's."""
    zero, one, two = np.zeros((1, 2)), np.ones((1, 2)), np.full((1, 2), 2.0)
    programmed = program([[0.0, 1.0]], PCM, programming=PairNormals(zero, one), drift=PairNormals(one, two))
    assert programmed.weights[0, 0] < 0 < programmed.weights[0, 1]
    expected = abs(PCM.memory(np.array([0.0]), np.array([2.0]))[0]), PCM.memory(np.array([25.0]), np.array([1.0]))[0]
    assert programmed.memory[0].tolist() == pytest.approx(expected)


def test_compensation_makes_up_for_what_all_devices_share():
    even = replace(PCM, programming_scale=0.0, read_scale=0.0, drift_mean=Polynomial((0.06,)),
                   drift_std=Polynomial((0.0,)))  # fmt: skip
    weights = np.random.default_rng(0).uniform(-1, 1, (16, 16))
    tile = program_tile(weights, even, CrossbarParameters(), seed=0)
    now = tile.read_at(HOUR, seed=1)
    factor = tile.compensation(now, seed=2)
    assert factor == pytest.approx(((HOUR + 20) / 20) ** 0.06, rel=1e-9)
    np.testing.assert_allclose(now.weights * factor, weights, rtol=1e-9)


def test_compensation_helps_behind_the_standard_crossbar():
    rng = np.random.default_rng(0)
    weights = np.clip(rng.normal(0, 0.3, (64, 64)), -1, 1).astype(np.float32)
    x = rng.uniform(-1, 1, (32, 64)).astype(np.float32)
    tile, ideal = program_tile(weights, PCM, crossbar_named("rasch-2023"), seed=0), x @ weights.T

    def error(outputs):
        return np.linalg.norm(outputs - ideal) / np.linalg.norm(ideal)

    now = tile.read_at(YEAR, seed=1)
    outputs = now.product(x, seed=2).outputs
    at_once = error(tile.read_at(None, seed=1).product(x, seed=2).outputs)
    assert at_once < error(outputs * tile.compensation(now, seed=3)) < 0.6 * error(outputs)


def test_seeds():
    weights = np.random.default_rng(0).uniform(-1, 1, (6, 6))
    assert np.array_equal(program(weights, PCM, 3).at(HOUR, 4), program(weights, PCM, 3).at(HOUR, 4))
    assert not np.array_equal(program(weights, PCM, 3).weights, program(weights, PCM, 4).weights)
    with pytest.raises(InputError, match="seed: is missing"):
        program(weights, PCM)


def test_spreads_of_a_reram():
    """Wan et al., Nature 2022: a day later conductances in the middle have spread more than right after."""
    device = DEVICES["reram-neurram"]
    targets, z = np.full(3, 20.0), np.array([-1.0, 0.0, 1.0])
    right_after, day = device.programmed_us(targets, z), device.read_us(targets, targets, 86400.0, z)
    assert right_after[1] == day[1] == 20.0
    assert right_after[2] - 20 == pytest.approx(0.348 + 16.030 / 2 - 43.853 / 4 + 45.393 / 8 - 16.815 / 16)
    assert day[2] > right_after[2]
    with pytest.raises(UnsupportedError, match=r"time_s: 3600.0 was not measured; 1, 86400, 172800 were"):
        device.read_us(targets, targets, HOUR, z)


def test_tables_of_a_user():
    shift = Table((0.0, 0.5, 1.0), (0.0, -1.0, -4.0))
    device = RelaxingDevice(10.0, (0.0, 60.0), (Table((0.0, 1.0), (0.5, 1.0)),) * 2, 10.0, (Polynomial((0.0,)), shift))
    read = device.read_us(np.array([7.5]), np.array([7.5]), 60.0, np.array([1.0]))
    assert read[0] == pytest.approx(7.5 - 2.5 + 0.875)
    programmed = program([[1.0, -0.5]], device, seed=0)
    assert programmed.at(60.0, seed=1).shape == (1, 2)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: program([[1.0]], PCM, 0).at(-1.0, 0), "time_s: -1.0 is before programming"),
        (lambda: program([[1.0]], PCM, 0).at(math.nan, 0), "time_s: nan must be a finite number"),
        (lambda: program([[math.nan]], PCM, 0), "weights: holds NaN"),
        (lambda: program_tile([[1.2]], PCM, CrossbarParameters(), 0), "weights: 1.2 must lie within -1 to 1"),
        (lambda: program([[1.0]], PCM, 0, drift=PairNormals(np.ones((2, 2)), np.ones((2, 2)))), "must be of shape"),
        (lambda: replace(PCM, g_max_us=0.0), "PCM: g_max_us: 0.0 must be positive"),
        (lambda: replace(PCM, read_scale=-1.0), "PCM: read_scale: -1.0 must be positive"),
        (lambda: IdealDevice(math.inf), "g_max_us: inf must be positive"),
        (lambda: RelaxingDevice(1.0, (2.0, 1.0), (Polynomial((0.0,)),) * 2, 1.0), "must be ascending times"),
        (lambda: RelaxingDevice(1.0, (1.0, 2.0), (Polynomial((0.0,)),), 1.0), "a curve for each time"),
        (lambda: Table((0.0,), (1.0,)), "two or more points"),
        (lambda: Table((1.0, 0.0), (1.0, 1.0)), "must ascend"),
        (lambda: Table((0.0, 1.0), (1.0, math.nan)), "must be finite"),
        (lambda: Table((0.1, 1.0), (1.0, 1.0))(np.array([0.0])), "covers 0.1 to 1"),
    ],
)
def test_what_is_refused(make, rule):
    with pytest.raises(InputError, match=rule):
        make()


def test_unknown_devices():
    with pytest.raises(UnknownNameError, match="Did you mean 'pcm-hermes'"):
        device_named("pcm_hermes")

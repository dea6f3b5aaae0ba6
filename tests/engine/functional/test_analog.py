"""Analog tiles as matrix units: exact where they are ideal, the tile's own numerics where they are not."""

from dataclasses import replace

import numpy as np
import pytest

from accelsim.engine.functional.analog import AnalogSetting, _Programmed, analog_setting, analog_units
from accelsim.engine.functional.units import Operand
from accelsim.errors import AccelsimError, InputError, UnsupportedError
from accelsim.hardware.load import load_architecture
from accelsim.mapping.aimc.assign import cut_of
from accelsim.mapping.aimc.records import bounds
from accelsim.numerics import analog
from accelsim.numerics.analog import mvm
from accelsim.pipeline import evaluate
from accelsim.study.emulate import emulated, prepared
from accelsim.workload.load import load_workload
from tests.engine.functional.models import network

HERMES = load_architecture("hermes-64core")
IDEAL = AnalogSetting(analog.ReadScheme(analog.crossbar_named("ideal")), analog.device_named("ideal"))


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
    found = product(weights, x, AnalogSetting(analog.ReadScheme(model), analog.device_named("ideal")))
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


@pytest.fixture
def conversions(monkeypatch):
    """Counts what ADCs convert; DACs convert without settings."""
    counted = []

    def count(values, converter, draws, settings=None):
        counted.append(values.size if settings is not None else 0)
        return convert(values, converter, draws, settings)

    convert = mvm.converted
    monkeypatch.setattr(mvm, "converted", count)
    return counted


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("isaac", {}),
        ("isaac", {"tile.read_modes.bit_serial.phases": 8}),
        ("hermes-64core", {}),
        ("hermes-64core", {"tile.read_mode": "one_phase"}),
        ("neurram", {}),
        ("neurram", {"tile.read_mode": "in5_out7_two_phase"}),
        ("neurram", {"tile.read_mode": "in8_out10_two_phase"}),
        ("neurram-core", {}),
        ("jia-jssc-2020", {}),
        ("basic-analog", {}),
        ("wang-vlsi-2022", {}),
        ("sinangil-jssc-2021", {}),
        ("analog-34tile", {}),
        ("aimc-mesh", {}),
    ],
)
def test_what_is_converted_is_what_time_and_energy_count(name, overrides, conversions):
    """One product of a full tile: the phases of the read mode times the converted columns, at the bits of each."""
    description = load_architecture(name).override(overrides).description
    tile = description.tile
    weights, x = drawn(1, 1, tile.inputs, tile.outputs)
    cut = cut_of(1, tile.inputs, tile.outputs, description)
    setting = analog_setting(description, None, 0)
    programmed = _Programmed.of(weights, cut, setting, "w")
    conversions.clear()
    programmed.times(operand(x))
    phases = tile.mode.each
    assert sum(conversions) == tile.outputs * tile.converted_columns * len(phases)
    adc_pj = sum(
        tile.adc.energy_pj.value
        + (tile.adc.energy_pj_per_step.value if tile.adc.energy_pj_per_step else 0)
        * tile.adc.conversion.count(each.output_bits)
        for each in phases
    )
    assert tile.product_pj(tile.full_use)["adc"] == pytest.approx(sum(conversions) / len(phases) * adc_pj)
    if tile.mode.inputs_split:
        shares, converters = setting.scheme.shares, setting.scheme.converters
        assert shares.bits == tuple(each.input_bits for each in phases)
        if tile.adc.range == "model":
            assert [each.steps for each in converters] == [2**each.output_bits - 2 for each in phases]


def test_isaac_multiplies_fixed_point_exactly():
    """Its columns are complemented so that eight bits hold every sum of a bit of 128 inputs with cells of two bits."""
    description = load_architecture("isaac").description
    weights, x = drawn(1, 20, 128, 16)
    found = _Programmed.of(weights, cut_of(1, 128, 16, description), analog_setting(description, None, 0), "w")
    scale, largest = np.abs(weights[0]).max(axis=1), np.abs(x[0]).max(axis=1)
    stored = np.rint((weights[0] / scale[:, None]).astype(np.float64) * 32767)
    applied = np.rint(x[0] / largest[:, None] * np.float32(32767)).astype(np.float64)
    exact = applied @ stored.T * (largest.astype(np.float64) / 32767**2)[:, None]
    assert np.array_equal(found.times(operand(x)).values[0], exact.astype(np.float32) * scale)


@pytest.mark.parametrize("bits", [4, 6, 7])
def test_isaac_with_fewer_bits_is_worse(bits):
    isaac = load_architecture("isaac")
    weights, x = drawn(1, 20, 128, 16)

    def error(found):
        path = "tile.read_modes.bit_serial.phase_output_bits"
        setting = analog_setting(isaac.override({path: found}).description, None, 0)
        made = _Programmed.of(weights, cut_of(1, 128, 16, isaac.description), setting, "w").times(operand(x)).values
        return relative(made, x @ weights.swapaxes(1, 2))

    assert error(bits) > 3 * error(bits + 1) / 2


def test_two_phases_are_two_smaller_conversions():
    """NeuRRAM: shares of the inputs at fewer bits each; the noise of the first counts more, and errors are alike."""
    neurram = load_architecture("neurram").override({"tile.crossbar.device": "ideal"})
    weights, x = drawn(1, 64, 128, 100)
    errors = {}
    for mode in ("in6_out8", "in6_out8_two_phase"):
        setting = analog_setting(neurram.override({"tile.read_mode": mode}).description, None, 0)
        made = _Programmed.of(weights, cut_of(1, 128, 100, neurram.description), setting, "w").times(operand(x)).values
        errors[mode] = relative(made, x @ weights.swapaxes(1, 2))
    assert errors["in6_out8"] < errors["in6_out8_two_phase"] < 4 * errors["in6_out8"]


@pytest.mark.parametrize(
    ("name", "overrides", "field"),
    [
        ("neurram", {"tile.read_mode": "in1_out3"}, "read_modes.in1_out3"),
        ("hermes-64core", {"tile.read_modes.four_phase.phases": 3}, "four_phase.phases"),
        ("hermes-64core", {"tile.column_cells_per_weight": 2}, "tile.weight"),
    ],
)
def test_cells_and_phases_that_are_not_emulated(name, overrides, field):
    with pytest.raises(InputError, match=field):
        analog_setting(load_architecture(name).override(overrides).description, None, 0)


def zeros(name, shape):
    return np.zeros(shape, np.float32)


@pytest.fixture
def task(tmp_path):
    return evaluate(load_workload(network(tmp_path)), load_architecture("rasch-2023"))


def test_normals_of_the_caller_repeat_a_run(task):
    """Recorded, then given back by name; another record differs, and names are those of tensors."""
    record = analog.RecordedNormals(5)
    first = emulated(task, seed=3, time_s=3600.0, normals=record)
    again = emulated(task, seed=3, time_s=3600.0, normals=record.arrays)
    other = emulated(task, seed=3, time_s=3600.0, normals=analog.RecordedNormals(6))
    assert all(np.array_equal(first.outputs[name], again.outputs[name]) for name in first.outputs)
    assert not any(np.array_equal(first.outputs[name], other.outputs[name]) for name in first.outputs)
    stages = {name.partition("/0/")[2] for name in record.arrays if name.startswith("w1/0/")}
    assert stages == {"program/plus", "program/minus", "program/drift", "baseline/weight", "baseline/output", "read",
                      "compensation/weight", "compensation/output", "product/0/weight", "product/0/output"}  # fmt: skip


def test_normals_of_zero_are_a_run_without_noise(task):
    quiet = load_architecture("rasch-2023").override({"tile.crossbar.device": "ideal"}).description
    setting = analog_setting(quiet, None, 3)
    quiet = replace(setting.scheme.crossbar, weight_noise=0.0, output_noise=0.0)
    setting = replace(setting, scheme=replace(setting.scheme, crossbar=quiet))
    ready = prepared(task, seed=3)
    expected = ready.run(analog_units(task.architecture.description, setting, ready.scalings)).outputs
    found = emulated(task, seed=3, normals=zeros).outputs
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    noisy = emulated(task, seed=3).outputs
    assert not any(np.array_equal(noisy[name], expected[name]) for name in expected)


def test_normals_of_shares_lie_one_below_the_other(tmp_path):
    noisy = {"tile.crossbar.device": "pcm", "tile.crossbar.model": "rasch-2023", "tile.adc.range": "model"}
    isaac = evaluate(load_workload(network(tmp_path)), load_architecture("isaac").override(noisy))
    record = analog.RecordedNormals(5)
    emulated(isaac, normals=record)
    rows, columns = record.arrays["w1/0/product/0/phases 0/weight"].shape
    assert rows % 16 == 0, "a bit of all vectors, then the next"
    assert columns % 8 == 0, "a slice of all outputs, then the next"


@pytest.mark.parametrize(
    ("normals", "rule"),
    [
        ({}, "w1/0/program/plus.*is missing"),
        (lambda _, __: np.zeros((1, 1)), "must be of shape"),
        (lambda _, shape: np.full(shape, np.nan), "NaN"),
    ],
)
def test_normals_that_do_not_fit(task, normals, rule):
    with pytest.raises(InputError, match=rule):
        emulated(task, normals=normals)


def test_normals_are_for_analog_tiles(tmp_path):
    digital = evaluate(load_workload(network(tmp_path)), load_architecture("edge-npu"))
    with pytest.raises(UnsupportedError, match="normals"):
        emulated(digital, normals=zeros)


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


def test_what_a_phase_cuts_is_counted():
    """Sums of one sign are larger than what is left of them: a bound for the latter cuts the former, and says so."""
    path = "tile.read_modes.four_phase.output_bound"
    weights, x = drawn(1, 16, 256, 64)
    x = np.abs(x)
    cut = cut_of(1, 256, 64, HERMES.description)
    found = {}
    for bound in (5.0, 80.0):
        setting = analog_setting(HERMES.override({path: bound}).description, None, 0)
        found[bound] = _Programmed.of(weights, cut, setting, "w").times(operand(x))
    exact = x @ weights.swapaxes(1, 2)
    assert found[5.0].saturated > 16 * 64
    assert found[80.0].saturated == 0
    assert relative(found[5.0].values, exact) > 2 * relative(found[80.0].values, exact)
    full = {"tile.adc.range": "full"}
    with pytest.raises(UnsupportedError, match="output_bound"):
        analog_setting(HERMES.override(full).description, None, 0)


def test_four_phases_hold_as_many_deviations_as_one():
    """Sums of one sign have a mean; the bound is that plus the deviations that 10 holds of differences."""
    rng, rows = np.random.default_rng(0), 256
    inputs, weights = np.maximum(rng.standard_normal((4000, rows)), 0), rng.standard_normal((256, rows))
    x, w = (each / np.abs(each).max(axis=1, keepdims=True) for each in (inputs, weights))
    of_one_sign = np.stack([x @ np.maximum(sign * w, 0).T for sign in (1, -1)])
    deviations = analog.crossbar_named(HERMES.description.tile.crossbar.model).adc.bound / (x @ w.T).std()
    derived = of_one_sign.mean() + deviations * of_one_sign.std()
    bound = HERMES.description.tile.read_modes["four_phase"].output_bound
    assert bound.value == pytest.approx(derived, rel=0.05)
    assert bound.low < derived < bound.high


def test_weights_of_one_bit_are_refused():
    """Colonnade's weights are signs alone, and seven of their columns hold sums."""
    with pytest.raises(UnsupportedError, match=r"tile\.weight"):
        analog_setting(load_architecture("colonnade-2021").description, None, 0)


def test_shares_of_magnitudes_have_a_sign_beside_them():
    shares = analog_setting(load_architecture("neurram-core").description, None, 0).scheme.shares
    assert (shares.bits, shares.sign_apart, shares.whole) == ((4, 3), True, 127)


def test_pages_hold_fewer_copies():
    """A weight in half of its cells: one pair of devices where there were two, and their noise is not averaged."""
    setting = analog_setting(load_architecture("analog-34tile").description, None, 0)
    weights, x = drawn(1, 64, 256, 256)
    exact = x @ weights.swapaxes(1, 2)

    def error(found):
        quiet = replace(found.scheme.crossbar, dac=analog.Converter(), adc=analog.Converter(), ir_drop=0.0,
                        weight_noise=0.0, output_noise=0.0)  # fmt: skip
        return relative(product(weights, x, replace(found, scheme=replace(found.scheme, crossbar=quiet))), exact)

    assert error(setting.in_pages(2)) == pytest.approx(error(setting) * 2**0.5, rel=0.1)
    with pytest.raises(UnsupportedError, match=r"tile\.pages"):
        setting.in_pages(4)

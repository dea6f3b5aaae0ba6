"""Descriptions of analog tiles: times and energies counted by hand, published peaks, and what is refused."""

from pathlib import Path

import pytest

from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.load import load_architecture
from accelsim.hardware.technology.converters import adc_energy_pj

BUNDLED = (
    "aimc-mesh", "analog-34tile", "basic-analog", "colonnade-2021", "hermes-64core", "isaac", "jia-jssc-2020",
    "neurram", "neurram-core", "rasch-2023", "sinangil-jssc-2021", "wang-vlsi-2022",
)  # fmt: skip


@pytest.fixture(scope="module")
def hermes():
    return load_architecture("hermes-64core")


@pytest.mark.parametrize("name", BUNDLED)
def test_every_constant_is_there_and_has_an_owner(name):
    architecture = load_architecture(name)
    assert architecture.kind == "aimc"
    for path, constant in architecture.constants().items():
        assert constant.source.strip(), path
        assert constant.value == constant.value, f"{path} was left out and not supplied"
        if constant.assumed:
            assert constant.low < constant.high, path
            assert constant.why, path


def test_times_of_a_product_by_hand(hermes):
    """128 levels of 1 ns, once or four times, and what is calibrated."""
    tile = hermes.override({"tile.read_mode": "one_phase"}).description.tile
    assert tile.interval_s(256) == pytest.approx(128e-9 + 4.94e-9)
    assert hermes.description.tile.interval_s(256) == pytest.approx(4 * 128e-9 + 4.94e-9)
    # ISAAC: 16 bits one by one, 128 columns through one ADC at 1.28 GS/s behind sample and hold: 100 ns either way.
    isaac = load_architecture("isaac").description.tile
    assert isaac.interval_s(isaac.outputs) == pytest.approx(16 * 100e-9)
    assert isaac.latency_s(isaac.outputs) == pytest.approx(17 * 100e-9 + 1e-9)
    assert isaac.conversions(1) == 8, "a weight's eight slices"
    # NeuRRAM: 4 + 4 bits, each settled once and converted at 7 bits in 64 steps.
    neurram = load_architecture("neurram").override({"tile.read_mode": "in8_out10_two_phase"}).description.tile
    assert [(each.input_bits, each.output_bits) for each in neurram.mode.each] == [(4, 7), (4, 7)]
    assert neurram.interval_s(256) == pytest.approx(2 * (1.141e-6 + 64 * 8.53e-8))


def test_energy_of_a_product_by_hand(hermes):
    tile = hermes.description.tile
    parts = tile.product_pj(tile.full_use)
    cell_pj = 0.2**2 * 8e-6 * 128e-9 * 0.25 * 1e12
    assert parts["crossbar"] == pytest.approx(4 * 256 * 256 * cell_pj)
    assert parts["dac"] == pytest.approx(4 * 256 * 1.0)
    assert parts["adc"] == pytest.approx(4 * 256 * adc_energy_pj(8, 1 / 128e-9, 14))
    assert parts["digital"] == pytest.approx(256 * 3 * 0.2 + 256 * 2.0)


@pytest.mark.parametrize(
    ("name", "mode", "tops", "tolerance"),
    [
        ("hermes-64core", "four_phase", 16.1, 0.02),
        ("neurram", "in4_out6", 0.7438677864, 0.25),
        ("neurram", "in7_out9_two_phase", 0.343873405, 0.25),
        ("isaac", "bit_serial", 41.3, 0.01),
    ],
)
def test_published_peaks_that_set_no_constant(name, mode, tops, tolerance):
    arch = load_architecture(name).override({"tile.read_mode": mode}).description
    assert arch.peak_ops_per_s / 1e12 == pytest.approx(tops, rel=tolerance)


def test_more_bits_cost_more_and_fewer_converters_take_longer():
    arch = load_architecture("aimc-mesh")
    energies = [
        arch.override({"tile.read_modes.one_phase.output_bits": bits}).description.tile.adc.energy_pj.value
        for bits in (4, 6, 8, 10)
    ]
    assert energies == sorted(energies)
    assert energies[0] < energies[-1]
    slow = arch.override({"tile.adc.per_tile": 8}).description.tile
    assert slow.interval_s(512) > arch.description.tile.interval_s(512)


@pytest.mark.parametrize("bits", [0, 40, 2.5])
def test_bits_out_of_range_name_the_field(hermes, bits):
    with pytest.raises(InputError, match=r"tile\.read_modes\.four_phase\.output_bits"):
        hermes.override({"tile.read_modes.four_phase.output_bits": bits})


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("tile.crossbar.device", "pmc", "did you mean"),
        ("tile.crossbar.model", "rasch", "did you mean"),
        ("tile.read_mode", "onephase", "did you mean"),
        ("tile.rows", 0.5, "whole number"),
        ("tile.row_cells_per_weight", 1000, "holds no whole weight"),
        ("tile.crossbar.mean_passes", 0.5, "1 or more"),
        ("mesh.rows", 1_000_000, "at most"),
        ("tile.adc.per_tile", 0, "whole number"),
        ("tile.crossbar.read_voltage_v", 0, "positive"),
    ],
)  # fmt: skip
def test_what_is_refused(hermes, path, value, message):
    with pytest.raises((InputError, UnknownNameError), match=f"(?i){message}"):
        hermes.override({path: value})


def test_a_constant_that_is_left_out_needs_a_technology(tmp_path, hermes):
    path = tmp_path / "mine.yaml"
    path.write_text(Path(hermes.file).read_text().replace("technology: published\n", ""))
    with pytest.raises(InputError, match=r"tile\.\w+.*technology"):
        load_architecture(path)

"""Further circuits of analog tiles: counts by hand, energies that add up and grow with use, areas, leakage, voltage."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from accelsim.cost.aimc import components
from accelsim.documents import bundled_folder
from accelsim.errors import InputError
from accelsim.hardware.aimc.derive import component_areas_mm2
from accelsim.hardware.aimc.parts import LineUse, Part
from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate
from accelsim.workload.load import load_workload

MACROS = ("basic-analog", "colonnade-2021", "jia-jssc-2020", "neurram-core", "sinangil-jssc-2021", "wang-vlsi-2022")


def number(value):
    return {"value": value, "source": "test"}


def part(per, times="product", **more):
    given = {"per": per, "times": times, "energy_pj": number(2.0), "area_um2": number(3.0)}
    return Part.model_validate(given | {name: number(value) for name, value in more.items()})


def tile_of(name, values=()):
    return load_architecture(name).override(dict(values)).description.tile


def test_what_a_part_counts():
    """A tile of 256 x 256 lines with two columns a weight, of which 100 x 30 weights are in use."""
    tile = tile_of("neurram-core")
    lines = tile.lines(LineUse(rows=100, columns=30, weights=3000, outputs=30, tiles=1))
    counts = {"row": 100, "column": 60, "cell": 6000, "weight": 3000, "output": 30, "tile": 1}
    assert {per: part(per).count(lines) for per in counts} == counts
    assert part("column", every_rows=8).count(lines) == 60 * 13, "100 rows are 13 groups of 8, rounded up"
    assert part("column", every_rows=8).in_tile(tile.lines(tile.full_use)) == 256 * 32
    assert part("column", installed=5).in_tile(tile.lines(tile.full_use)) == 5


def test_how_often_a_part_acts():
    """Shares of 4 and 3 bits, converted at 8 and 4: 15 + 7 integrations, 8 + 4 steps."""
    assert tile_of("neurram-core").times == {
        "product": 1, "phase": 2, "input_bit": 7, "integration_step": 22, "conversion_step": 12,
    }  # fmt: skip
    assert tile_of("jia-jssc-2020").times["phase"] == 8
    assert tile_of("isaac").times["input_bit"] == 16


@pytest.mark.parametrize("name", MACROS)
def test_more_lines_in_use_never_take_less(name):
    tile = tile_of(name)
    full = tile.full_use
    some = LineUse(rows=full.rows / 2, columns=full.columns, weights=full.weights / 2, outputs=full.outputs, tiles=1)
    fewer = replace(some, columns=full.columns / 2, weights=full.weights / 4, outputs=full.outputs / 2)
    energies = [tile.product_pj(use) for use in (fewer, some, full)]
    for component in energies[0]:
        values = [each[component] for each in energies]
        assert values == sorted(values), component
    assert sum(energies[0].values()) < sum(energies[2].values())


@pytest.mark.parametrize("name", MACROS)
def test_energies_of_a_network_are_products_times_those_of_one(name):
    """A layer as large as a tile, many vectors: parts take what one product takes, times the vectors."""
    arch = load_architecture(name)
    tile = arch.description.tile
    result = evaluate(load_workload("gemm", m=7, k=tile.inputs, n=tile.outputs), arch)
    assert result.check() == []
    assert set(result.energy.components) == set(components(arch.description))
    one = tile.product_pj(tile.full_use)
    for component in (*tile.parts, "crossbar", "dac", "adc"):
        assert result.energy.by_component_j[component] == pytest.approx(7e-12 * one[component], rel=1e-9, abs=1e-21)
    assert result.energy.by_level_j["compute"] >= 7e-12 * sum(one[each] for each in tile.parts) * (1 - 1e-9)


def test_leakage_of_parts_is_that_of_all_tiles_for_as_long_as_it_takes():
    arch = load_architecture("colonnade-2021")
    result = evaluate(load_workload("gemm", m=3, k=128, n=16), arch)
    per_tile = 128 * 128 * (2.34117e-7 + 8.846824e-9) + 2048 * 5.989355e-10 + 7.65578e-5 + 2.54606e-5 + 3.340559e-5
    assert sum(arch.description.tile.leaking_w.values()) == pytest.approx(per_tile, rel=1e-5)
    assert result.energy.by_component_j["leakage"] == pytest.approx(1600 * per_tile * result.latency_s, rel=1e-5)


def test_area_is_that_of_each_times_how_many_there_are():
    arch = load_architecture("colonnade-2021").description
    areas = component_areas_mm2(arch)
    assert areas["register"].value == pytest.approx(1600 * 2048 * 14.025648e-6, rel=1e-5)
    assert areas["cim_logic"].value == pytest.approx(1600 * 128 * 128 * 10.923822e-6, rel=1e-5)


def test_voltage_moves_energy_time_and_leakage():
    """Energies with the square (a ladder that conducts times time), times to the -1.1, leakage with the ratio."""
    tiles = [tile_of("wang-vlsi-2022", {"tile.supply.volt": volt}) for volt in (1.0, 0.7)]
    high, low = (each.product_pj(each.full_use) for each in tiles)
    assert {name: low[name] / high[name] for name in high if high[name]} == pytest.approx(
        {name: 0.7 ** (2 - 1.1) if name == "dac" else 0.49 for name in high if high[name]}
    )
    assert tiles[1].interval_s(16) / tiles[0].interval_s(16) == pytest.approx(0.7**-1.1)
    assert tiles[1].leaking_w["dac"] / tiles[0].leaking_w["dac"] == pytest.approx(0.7)
    fixed = [tile_of("sinangil-jssc-2021", {"tile.supply.volt": volt}).interval_s(16) for volt in (0.8, 1.0)]
    assert fixed[1] / fixed[0] == pytest.approx(0.6 + 0.4 * 0.8**2.75)


def test_energies_follow_mean_values():
    def drivers_pj(share):
        tile = tile_of("sinangil-jssc-2021", {"tile.mean_values.input": share, "tile.mean_values.weight": 0.5})
        return tile.product_pj(tile.full_use)

    low, high = drivers_pj(0.25), drivers_pj(0.75)
    full_pj = tile_of("sinangil-jssc-2021").parts["row_drivers"].energy_pj_full.value
    assert high["row_drivers"] - low["row_drivers"] == pytest.approx(64 * 0.5 * full_pj)
    assert high["binary_weighting_capacitors"] == pytest.approx(3 * low["binary_weighting_capacitors"])
    assert high["counter"] == low["counter"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("tile.parts.row_drivers.per", "line", "per"),
        ("tile.parts.row_drivers.times", "cycle", "times"),
        ("tile.parts.row_drivers.every_rows", 8, "of a column"),
        ("tile.parts.row_drivers.follows", "input", "state both"),
        ("tile.parts.row_drivers.energy_pj", -1, "negative"),
        ("tile.crossbar.read_voltage_v", 0.2, "what reading a cell takes"),
        ("tile.read_modes.in8_out8.phase_output_bits", 6, "shares beside other phases"),
        ("tile.read_modes.in8_out8.shares.high.input_bits", 6, "9 of 8 input bits"),
        ("tile.parts.row_drivers.installed", 0, "whole number"),
    ],
)  # fmt: skip
def test_what_is_refused(path, value, message):
    arch = load_architecture("neurram-core")
    with pytest.raises(InputError, match=f"(?i){message}"):
        arch.override({path: value})


@pytest.mark.parametrize("name", ["adc", "leakage", "Row drivers"])
def test_names_of_parts(tmp_path, name):
    text = Path(load_architecture("basic-analog").file).read_text("utf-8").replace("    row_drivers:", f"    {name}:")
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match="parts"):
        load_architecture(path)


def test_means_are_shares_and_needed():
    arch = load_architecture("sinangil-jssc-2021")
    with pytest.raises(InputError, match="above the largest"):
        arch.override({"tile.mean_values.input": 1.5})
    with pytest.raises(InputError, match="mean_values"):
        arch.override({"tile.mean_values": None})


def test_the_macro_in_the_documentation(tmp_path):
    """The page's example, in the place of the parts of a bundled macro."""
    page = (bundled_folder("architectures").parent / "docs" / "analog.md").read_text("utf-8")
    example = yaml.safe_load(page.split("```yaml\n")[1].split("```")[0])
    data = yaml.safe_load(Path(load_architecture("basic-analog").file).read_text("utf-8"))
    data["tile"] |= example
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data))
    arch = load_architecture(path)
    result = evaluate(load_workload("gemm", m=1, k=32, n=32), arch)
    found = {name: result.energy.by_component_j[name] * 1e12 for name in example["parts"]}
    assert found == pytest.approx(
        {"sample_hold": 32 * 0.02, "pipeline_register": 32 * 4 * 0.005, "quantiser": 32 * 6,
         "capacitors": 32 * 0.04 * 0.125}
    )  # fmt: skip
    assert component_areas_mm2(arch.description)["quantiser"].value == pytest.approx(128 * 128 * 0.04)

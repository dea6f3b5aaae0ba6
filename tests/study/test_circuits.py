"""`accelsim estimate`: circuits by name, their parameters, and the models behind them."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

import accelsim
from accelsim.errors import InputError, UnknownNameError
from accelsim.study.circuits import circuit, estimate_circuit, known_circuits

ASKED = {
    "adc": {"bits": 8, "rate_hz": 1e9, "node_nm": 14},
    "crossbar": {"inputs": 16, "outputs": 4},
    "sram": {"capacity_bytes": 65536, "node_nm": 7},
    "mac": {"format": "int8", "accumulator": "int32", "node_nm": 7},
    "dram": {"type": "hbm2", "bytes": 1024},
}


@pytest.mark.parametrize("name", known_circuits())
def test_every_circuit_gives_figures_with_ranges_and_sources(name):
    found = estimate_circuit(name, ASKED[name])
    assert found.model == next(iter(circuit(name).models)) == "published"
    assert found.figures
    assert all(0 < each.low <= each.value <= each.high for each in found.figures.values())
    assert found.sources
    document = json.loads(json.dumps(found.to_document(), allow_nan=False))
    assert document["circuit"] == name
    assert document["intervals"].keys() <= document.keys()


def test_the_entry_of_the_package():
    found = accelsim.estimate("dram", type="hbm2", bytes=2.0)
    assert found.figures["energy_pj"].value == 88
    assert accelsim.estimate("dram", type="hbm2").figures["energy_pj_per_bit"].low == 31 / 8


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("sran", {}, ["circuit", "'sram'"]),
        ("sram", {"capasity_bytes": 1}, ["'capacity_bytes'"]),
        ("sram", {"capacity_bytes": 1024}, ["node_nm", "is missing"]),
        ("sram", {"capacity_bytes": -1, "node_nm": 7}, ["capacity_bytes", "positive"]),
        ("sram", {"capacity_bytes": "1k", "node_nm": 7}, ["capacity_bytes", "positive number"]),
        ("sram", {"capacity_bytes": 1024, "node_nm": 7, "ports": 1.5}, ["ports", "whole"]),
        ("sram", {"capacity_bytes": 1024, "node_nm": 1}, ["node_nm", "3 to 130"]),
        ("dram", {"type": "hbm5"}, ["'hbm3'"]),
        ("adc", {"bits": 40, "rate_hz": 1e9, "node_nm": 14}, ["bits", "1 to 20"]),
        ("adc", {"bits": 0, "rate_hz": 1e9, "node_nm": 14}, ["bits", "positive"]),
        ("crossbar", {"inputs": 4, "outputs": 4, "input_signs": "negative"}, ["both, positive"]),
        ("mac", {"format": "int88", "node_nm": 7}, ["format", "'int8'"]),
        ("mac", {"format": "int8", "node_nm": 7, "accumulator": 32}, ["accumulator", "name"]),
    ],
)
def test_what_is_refused(name, given, words):
    with pytest.raises(InputError) as caught:
        estimate_circuit(name, given)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_model_that_is_none():
    with pytest.raises(UnknownNameError, match="published"):
        estimate_circuit("sram", ASKED["sram"], "publishd")


def test_the_command(cli, refused):
    code, out, err = cli("estimate", "sram", "capacity_bytes=65536", "width_bits=256", "node_nm=7")
    assert (code, err) == (0, "")
    assert "read_energy_pj" in out
    code, out, _ = cli("estimate", "mac", "format=int8", "node_nm=7", "--json")
    assert json.loads(out)["energy_pj"] == pytest.approx(
        estimate_circuit("mac", {"format": "int8", "node_nm": 7}).figures["energy_pj"].value
    )
    assert "NAME=VALUE" in refused("estimate", "sram", "65536")
    assert "twice" in refused("estimate", "sram", "node_nm=7", "node_nm=5")


class TestHwcomponents:
    """The extra: with a stand-in for its packages, and with the packages where they are installed."""

    @pytest.mark.parametrize("name", [each for each in known_circuits() if "hwcomponents" in circuit(each).models])
    def test_without_the_packages(self, name, monkeypatch):
        for package in ("hwcomponents_cacti", "hwcomponents_library", "hwcomponents_library.library.aladdin"):
            monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=r"accelsim\[hwcomponents\]"):
            estimate_circuit(name, ASKED[name], "hwcomponents")

    def test_units(self, monkeypatch):
        asked = {}

        def sram(**given):
            asked.update(given)
            return SimpleNamespace(
                read=lambda: SimpleNamespace(energy=5e-12),
                write=lambda: SimpleNamespace(energy=4e-12),
                area=2e-9,
                leak_power=1e-3,
            )

        package = ModuleType("hwcomponents_cacti")
        package.SRAM = sram
        monkeypatch.setitem(sys.modules, "hwcomponents_cacti", package)
        figures = estimate_circuit("sram", ASKED["sram"], "hwcomponents").figures
        assert asked == {"tech_node": pytest.approx(7e-9), "width": 64, "size": 524288, "n_rw_ports": 1}
        assert figures["read_energy_pj"].value == pytest.approx(5)
        assert figures["area_mm2"].value == pytest.approx(0.002)
        assert figures["leakage_w"].value == 1e-3

    def test_what_the_packages_raise_is_told(self, monkeypatch):
        package = ModuleType("hwcomponents_cacti")

        def broken(**_):
            raise AssertionError("CACTI failed")

        package.SRAM = broken
        monkeypatch.setitem(sys.modules, "hwcomponents_cacti", package)
        with pytest.raises(InputError, match="CACTI failed"):
            estimate_circuit("sram", ASKED["sram"], "hwcomponents")

    def test_floats_are_refused(self):
        with pytest.raises(InputError, match="no plain integer"):
            estimate_circuit("mac", {"format": "bf16", "node_nm": 7}, "hwcomponents")

    def test_with_the_packages(self):
        pytest.importorskip("hwcomponents_library.library.aladdin", exc_type=ImportError)
        ours, theirs = (estimate_circuit("mac", ASKED["mac"], model).figures for model in ("published", "hwcomponents"))
        span = ours["energy_pj"]
        assert span.low <= theirs["energy_pj"].value <= span.high

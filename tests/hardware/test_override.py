"""Overrides: what they change, what they leave, and what a wrong one is told."""

import json
import math

import numpy as np
import pytest

from accelsim.errors import UnknownNameError
from accelsim.hardware.load import load_architecture
from tests.hardware.conftest import DRAM, refusal


def test_an_override_changes_the_copy_alone(rapid):
    before = rapid.description.model_dump()
    other = rapid.override({DRAM: 150e9})
    assert other.description.memory.dram.bandwidth_bytes_per_s.value == 150e9
    assert other.overrides == {DRAM: 150e9}
    assert rapid.description.model_dump() == before
    assert rapid.overrides == {}


def test_an_overridden_constant_is_no_longer_assumed(rapid):
    assert DRAM in rapid.assumed()
    other = rapid.override({DRAM: 1e6})  # far outside of the range that was assumed
    assert DRAM not in other.assumed()
    constant = other.constants()[DRAM]
    assert (constant.low, constant.high, constant.source) == (None, None, "override")
    assert len(other.assumed()) == len(rapid.assumed()) - 1


def test_overrides_add_up(rapid):
    other = rapid.override({"cores": 2, "leakage_w": 1}).override({DRAM: 1e11, "cores": 3})
    assert other.description.n_cores == 3
    assert other.description.leakage_w.value == 1
    assert other.overrides == {"cores": 3, "leakage_w": 1, DRAM: 1e11}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("interconnect.topology", "mesh"), ("array.fill_drain", "per_fold"), ("array.clock", "core"),
        ("array.dataflows", ["output_stationary", "weight_stationary"]), ("vector.format", "bf16"),
        ("array.units.int4.accumulator", "fp32"), ("description", "another"),
    ],
)  # fmt: skip
def test_words_can_be_overridden_too(rapid, path, value):
    assert rapid.override({path: value}).description.parameters()[path] in (value, tuple(value))


@pytest.mark.parametrize("path", ["array.units.int4.energy_pj_per_mac", "clocks.core.clock_hz", "cores", "leakage_w"])
@pytest.mark.parametrize("value", [3, 3.0, np.int64(3), np.float32(3)])
def test_numbers_of_any_kind(rapid, path, value):
    other = rapid.override({path: value})
    assert other.constants()[path].value == 3
    json.dumps(other.overrides)  # provenance can be written


def test_every_constant_can_be_overridden_by_its_own_value(rapid):
    values = {path: constant.value for path, constant in rapid.constants().items()}
    other = rapid.override(values)
    assert {path: constant.value for path, constant in other.constants().items()} == values
    assert other.assumed() == {}


def test_a_constant_that_the_file_leaves_out_can_be_given():
    systolic = load_architecture("systolic-32x32")
    assert systolic.description.area_mm2 is None
    assert systolic.override({"area_mm2": 2.5}).description.area_mm2.value == 2.5
    voltages = {"clocks.core.voltage_v": 0.8, "clocks.core.nominal_voltage_v": 0.7}
    assert systolic.override(voltages).description.clocks["core"].voltage_v.value == 0.8


def test_a_constant_with_an_owner_of_its_own(rapid):
    stated = {"value": 5, "low": 4, "high": 6, "source": "assumed", "why": "a test"}
    assert rapid.override({"leakage_w": stated}).assumed()["leakage_w"].high == 6


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("memory.dram.bandwith_bytes_per_s", DRAM), ("clocks.core.clockhz", "clocks.core.clock_hz"),
        ("array.units.int4.energy", "array.units.int4.energy_pj_per_mac"), ("core", "cores"),
        ("interconnect.topologie", "interconnect.topology"), ("memory.dram.bandwidth", DRAM),
    ],
)  # fmt: skip
def test_unknown_paths_suggest_the_nearest(rapid, path, near):
    message = refusal(rapid.override, {path: 1}, kind=UnknownNameError)
    assert message.startswith(f"override of rapid-4core: {path!r} is not a known parameter path.")
    assert f"Did you mean {near!r}" in message


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (DRAM, -1.0, "-1.0 must be positive"),
        (DRAM, 0, "0 must be positive"),
        (DRAM, math.nan, "nan must be a finite number"),
        (DRAM, math.inf, "inf must be a finite number"),
        (DRAM, 10**400, "is too large a number"),
        (DRAM, True, "must be a number"),
        (DRAM, "fast", "'fast' must be a number"),
        ("cores", 2.5, "2.5 must be a whole number of 1 or more"),
        ("cores", 0, "0 must be a whole number of 1 or more"),
        ("cores", 1e9, "must be from 1 to 100,000"),
        ("leakage_w", -0.1, "-0.1 must not be negative"),
        ("memory.dram.efficiency", 1.2, "1.2 must be above 0 and at most 1"),
        ("clocks.core.voltage_v", 1e300, "must be from 0.01 to 100"),
        ("interconnect.topology", "torus", "'torus' must be 'ring', 'mesh' or 'crossbar'"),
        ("array.fill_drain", 3, "must be 'per_fold' or 'overlapped'"),
        ("array.units.int4.accumulator", "fp17", "'fp17' is not a known format. Did you mean 'fp16'?"),
        ("array.clock", "corr", "'corr' is not a known clock. Did you mean 'core'?"),
        ("memory.dram", 5, "5 must be a mapping of fields"),
        ("kind", "fpga", "'fpga' must be 'digital'"),
    ],
)
def test_values_that_break_a_rule(rapid, path, value, rule):
    message = refusal(rapid.override, {path: value})
    assert message.startswith(f"override of rapid-4core: {path}: ")
    assert rule in message


@pytest.mark.parametrize(
    ("path", "text", "number"),
    [
        (DRAM, "150GB/s", "1.5e+11"), (DRAM, "150 GB/s", "1.5e+11"), ("scratchpad.capacity_bytes", "2MiB", "2097152"),
        ("clocks.core.clock_hz", "1.6 GHz", "1.6e+09"), ("memory.dram.latency_s", "150ns", "1.5e-07"),
        ("array.units.int4.energy_pj_per_mac", "109 fJ", "0.109"), ("leakage_w", "400 mW", "0.4"),
    ],
)  # fmt: skip
def test_a_text_with_a_unit_is_told_the_plain_number(rapid, path, text, number):
    message = refusal(rapid.override, {path: text})
    assert message.startswith(f"override of rapid-4core: {path}: {text!r} must be a plain number")
    written = message.rpartition("Write ")[2].removesuffix(".")
    assert float(written) == pytest.approx(float(number))


@pytest.mark.parametrize("values", [["cores"], "cores=2", {5: 1}, None])
def test_overrides_that_are_no_mapping(rapid, values):
    assert "must map dotted paths to values" in refusal(rapid.override, values)


def test_an_array_beyond_what_counts_exactly(rapid):
    message = refusal(rapid.override, {"array.rows": 1e5, "array.columns": 1e5, "array.per_core": 1e3})
    assert "MACs a cycle" in message
    assert "Lower rows, columns" in message

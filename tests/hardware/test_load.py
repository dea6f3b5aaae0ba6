"""Architectures: the bundled ones and their published peaks, overrides, and what a bad description is told."""

import copy
import json
import math
import time

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.documents import bundled_folder, read_yaml
from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.hardware.load import list_architectures, load_architecture

BUNDLED = [name for name, _ in list_architectures()]
PATHS = {name: bundled_folder("architectures") / name / "architecture.yaml" for name in BUNDLED}
RAPID = read_yaml(PATHS["rapid-4core"])
DRAM = "memory.dram.bandwidth_bytes_per_s"


@pytest.mark.parametrize(
    ("name", "rows", "columns", "dataflows", "fill_drain"),
    [
        ("systolic-64x32", 64, 32, 3, "per_fold"),
        ("systolic-256x256-os", 256, 256, ["output_stationary"], "per_fold"),
        ("systolic-8x16-is-overlapped", 8, 16, ["input_stationary"], "overlapped"),
    ],
)
def test_systolic_arrays_of_any_size_by_name(name, rows, columns, dataflows, fill_drain):
    description = load_architecture(name).description
    assert (description.array.rows.value, description.array.columns.value) == (rows, columns)
    assert description.array.fill_drain == fill_drain
    if isinstance(dataflows, list):
        assert list(description.array.dataflows) == dataflows
    assert description.scratchpad.capacity_bytes.value == 1024 * rows * columns
    assert all(constant.source for constant in description.constants().values())


@pytest.mark.parametrize("name", ["systolic-0x3", "systolic-64x", "systolic-64x32-xs", "systolic-99999999x3"])
def test_a_systolic_name_that_is_none_is_refused(name):
    with pytest.raises(InputError):
        load_architecture(name)


@pytest.fixture(scope="module")
def rapid():
    return load_architecture("rapid-4core")


def changed(path, value, data=RAPID):
    """A copy of the description with ``value`` at the dotted ``path``; an ellipsis removes the field."""
    data = copy.deepcopy(data)
    here = data
    *parents, last = path.split(".")
    for part in parents:
        here = here[part]
    if value is ...:
        del here[last]
    else:
        here[last] = value
    return data


@pytest.fixture
def load(tmp_path):
    """Loads a description from a file of its own."""

    def loaded(data):
        path = tmp_path / "mine.yaml"
        path.write_text(data if isinstance(data, str) else yaml.safe_dump(data))
        return load_architecture(path)

    return loaded


def refusal(call, *arguments, kind=InputError):
    with pytest.raises(kind) as caught:
        call(*arguments)
    return str(caught.value)


def outcome(call, argument):
    """What the call gives and "", or None and the message of its refusal, which is short and can be printed."""
    try:
        return call(argument), ""
    except InputError as error:
        message = str(error)
    message.encode()
    assert len(message) < 2000
    return None, message


# Bundled architectures


def test_the_bundled_architectures_are_listed_with_a_description():
    listed = dict(list_architectures())
    assert list(listed) == sorted(listed)
    assert {"rapid-4core", "systolic-32x32", "systolic-128x128"} <= set(listed)
    assert all(text and "\n" not in text for text in listed.values())


@pytest.mark.parametrize("name", BUNDLED)
def test_every_constant_has_an_owner(name):
    architecture = load_architecture(name)
    assert architecture.name == name
    assert architecture.kind == "digital"
    assert len(architecture.constants()) > 30
    for path, constant in architecture.constants().items():
        assert constant.source.strip(), path
        if constant.assumed:
            assert constant.low <= constant.value <= constant.high, path
            assert constant.low < constant.high, f"{path} is assumed, and its range spans nothing"
            assert constant.why, path
        else:
            assert constant.low is None, f"{path} has a source and still a range"


@pytest.mark.parametrize("name", BUNDLED)
def test_every_number_in_the_file_is_a_constant(name):
    """No bare number has slipped past the owners: every scalar is a word, or stands in a constant."""

    def walk(node, path):
        if isinstance(node, dict) and "value" in node:
            return
        assert isinstance(node, bool) or not isinstance(node, int | float), path
        for key, each in node.items() if isinstance(node, dict) else []:
            walk(each, f"{path}.{key}")

    walk(read_yaml(PATHS[name]), "")


@pytest.mark.parametrize(
    ("precision", "tera"), [("fp16", 13.1), ("hfp8", 26.2), ("fp8_e4m3", 26.2), ("int4", 104.9), ("int2", 209.7)]
)
def test_rapid_has_its_published_peaks_at_1_6_ghz(rapid, precision, tera):
    assert rapid.description.clock_hz("array") == 1.6e9
    assert rapid.description.peak_ops_per_s(precision) == pytest.approx(tera * 1e12, abs=0.05e12)


@pytest.mark.parametrize(("precision", "tera"), [("hfp8", 3.5), ("int4", 16.5)])
def test_rapid_has_its_published_efficiencies_at_the_nominal_voltage(rapid, precision, tera):
    assert rapid.description.peak_ops_per_joule(precision) == pytest.approx(tera * 1e12, rel=0.005)


def test_rapid_macs_a_cycle_and_corelet(rapid):
    corelets = 4 * 2
    per_corelet = {name: rapid.description.macs_per_cycle(name) / corelets for name in ("fp16", "hfp8", "int4", "int2")}
    assert per_corelet == {"fp16": 512, "hfp8": 1024, "int4": 4096, "int2": 8192}


@pytest.mark.parametrize(("name", "side"), [("systolic-32x32", 32), ("systolic-128x128", 128)])
def test_systolic_arrays_do_one_mac_a_cell_and_cycle(name, side):
    description = load_architecture(name).description
    assert {description.macs_per_cycle(unit) for unit in description.array.units} == {side * side}


def test_energy_scales_with_the_square_of_the_voltage_and_leakage_with_the_voltage(rapid):
    clock = rapid.override({"clocks.core.voltage_v": 1.1, "clocks.core.nominal_voltage_v": 0.55}).description.clock_of(
        "array"
    )
    assert clock.dynamic_energy_scale == pytest.approx(4.0)
    assert clock.leakage_scale == pytest.approx(2.0)


def test_no_unit_for_a_format(rapid):
    message = refusal(lambda: rapid.description.unit("int8", op="layer.0"), kind=UnsupportedError)
    for part in ("rapid-4core", "layer.0", "'int8'", "no matrix unit", "fp16, hfp8, fp8_e4m3, int4, int2"):
        assert part in message


# Overrides


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


# Files


def test_a_file_a_folder_and_a_name_load_the_same(tmp_path, rapid):
    folder = tmp_path / "mine"
    folder.mkdir()
    file = folder / "architecture.yaml"
    file.write_text(yaml.safe_dump(RAPID))
    for source in (str(folder), folder, str(file), file):
        assert load_architecture(source).description == rapid.description
        assert load_architecture(source).file == str(file)


def test_the_name_defaults_to_that_of_the_file_or_its_folder(tmp_path):
    data = yaml.safe_dump(changed("name", ...))
    folder = tmp_path / "my-chip"
    folder.mkdir()
    (folder / "architecture.yaml").write_text(data)
    (tmp_path / "other.yaml").write_text(data)
    assert load_architecture(folder).name == "my-chip"
    assert load_architecture(tmp_path / "other.yaml").name == "other"


def test_unknown_names_suggest_the_nearest():
    message = refusal(load_architecture, "rapid-4cores", kind=UnknownNameError)
    assert message == "'rapid-4cores' is not a known architecture. Did you mean 'rapid-4core'?"


@pytest.mark.parametrize("name", ["", ".", "..", "../architectures", "a\0b", "x" * 5000, "zzzz", "rapid-4core/x"])
def test_odd_names(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert isinstance(refusal(load_architecture, name), str)


def test_a_folder_without_an_architecture(tmp_path):
    message = refusal(load_architecture, tmp_path)
    assert message == f"{tmp_path}: is a folder without architecture.yaml. Name a file, or another folder."


@pytest.mark.parametrize(
    ("data", "field", "parts"),
    [
        (changed("cores", 4), "cores", ["is a number without an owner", "source: <citation>"]),
        (changed("cores.source", ...), "cores.source", ["is missing"]),
        (changed("cores.source", "assumed"), "cores", ["4 is assumed without a range", "Add low, high and why"]),
        (changed("cores.value", -4), "cores", ["-4 must be a whole number of 1 or more"]),
        (changed("cores.value", "4"), "cores.value", ["'4' must be a"]),
        (changed("leakage_w.value", 5), "leakage_w", ["outside of its range [0.1, 1]"]),
        (changed("leakage_w.high", math.nan), "leakage_w.high", ["nan must be a finite number"]),
        (changed("kind", ...), "kind", ["is missing", "digital"]),
        (changed("kind", "digitl"), "kind", ["'digitl' is not a known hardware kind", "Did you mean 'digital'"]),
        (changed("kind", 3), "kind", ["'3' is not a known hardware kind"]),
        (changed("array.clock", "main"), "array.clock", ["'main' is not a known clock", "core"]),
        (changed("clocks", {}), "clocks", ["at least 1"]),
        (changed("clocks.a.b", RAPID["clocks"]["core"], changed("clocks.a", {})), "clocks.a", ["is missing"]),
        (changed("clocks.core.nominal_voltage_v", ...), "clocks.core", ["only one of voltage_v"]),
        (changed("scratchpad.capasity_bytes", 3), "scratchpad.capasity_bytes", ["Did you mean 'capacity_bytes'"]),
        (changed("array.units.int5", RAPID["array"]["units"]["int4"]), "array.units.int5", ["Did you mean 'int8'"]),
        (changed("array.units", {}), "array.units", ["at least 1"]),
        (changed("array.dataflows", []), "array.dataflows", ["at least 1"]),
        (changed("array.fill_drain", ...), "array.fill_drain", ["is missing"]),
        (changed("memory", ...), "memory", ["is missing"]),
        (changed("dma.engines", None), "dma.engines", ["must be a number"]),
    ],
)
def test_a_description_that_breaks_a_rule(load, tmp_path, data, field, parts):
    message = refusal(load, data)
    assert message.startswith(f"{tmp_path / 'mine.yaml'}: {field}")
    for part in parts:
        assert part in message


def test_a_clock_with_a_dot_in_its_name(load):
    data = changed("clocks", {"a.b": RAPID["clocks"]["core"]})
    assert "dots separate" in refusal(load, data).lower()


def test_of_several_missing_fields_the_first_is_named_and_the_rest_counted(load):
    data = changed("memory", ..., changed("host", ..., changed("dma", ...)))
    assert "memory: is missing (and 2 more)" in refusal(load, data)


# Fuzz

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("3 GHz") | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def places(node, path=()):
    """The path of every field of a description."""
    for key, value in node.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from places(value, (*path, key))


@st.composite
def descriptions(draw):
    """A bundled description with a few fields removed, renamed or replaced."""
    data = copy.deepcopy(RAPID)
    for place in draw(st.lists(st.sampled_from(list(places(RAPID))), max_size=3)):
        here = data
        for part in place[:-1]:
            here = here.get(part) if isinstance(here, dict) else None
        if not isinstance(here, dict) or place[-1] not in here:
            continue
        value = here.pop(place[-1])
        action = draw(st.sampled_from(["remove", "rename", "replace", "replace"]))
        if action == "rename":
            here[draw(st.text(max_size=8))] = value
        elif action == "replace":
            here[place[-1]] = draw(junk)
    return data


@settings(max_examples=150, deadline=None)
@given(data=descriptions() | st.dictionaries(st.text(max_size=5), junk, max_size=4))
def test_any_description_loads_or_is_refused_with_one_message(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8", errors="surrogatepass")
    began = time.process_time()
    architecture, message = outcome(load_architecture, path)
    if architecture is None:
        assert message.startswith(str(path))
    else:
        assert architecture.constants()
        for name in architecture.description.array.units:
            assert 0 < architecture.description.peak_ops_per_s(name) < math.inf
            assert architecture.description.peak_ops_per_joule(name) > 0
    assert time.process_time() - began < 2


@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_refused_with_one_message(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes.yaml"
    path.write_bytes(content)
    assert refusal(load_architecture, path).startswith(str(path))


LEAVES = list(load_architecture("rapid-4core").description.parameters())


@settings(max_examples=150, deadline=None)
@given(
    values=st.dictionaries(st.sampled_from([*LEAVES, "memory", "array.units", "x.y", ""]), junk, min_size=1, max_size=2)
)
def test_any_override_is_taken_or_refused_with_one_message(rapid, values):
    before = rapid.description.model_dump()
    other, message = outcome(rapid.override, values)
    if other is None:
        assert message.startswith("override of rapid-4core: ")
    else:
        assert set(other.overrides) == set(values)
    assert rapid.description.model_dump() == before


# Schema


def test_the_schema_is_a_json_schema_that_names_every_field():
    schema = json.loads(json.dumps(DigitalArchitecture.model_json_schema()))
    definitions = schema["$defs"]
    objects = [schema, *definitions.values()]
    types = {"object", "number", "string", "array", "null", "integer", "boolean"}

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].removeprefix("#/$defs/") in definitions
            assert node.get("type") is None or isinstance(node["type"], dict) or node["type"] in types
            for each in node.values():
                walk(each)
        elif isinstance(node, list):
            for each in node:
                walk(each)

    walk(schema)
    for each in objects:
        assert each["type"] == "object"
        assert each["additionalProperties"] is False
        assert set(each.get("required", ())) <= set(each["properties"])
    assert set(schema["properties"]) == set(DigitalArchitecture.model_fields)
    for name in BUNDLED:
        assert set(schema["required"]) <= set(read_yaml(PATHS[name])) <= set(schema["properties"])

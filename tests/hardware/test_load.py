"""Architectures: the bundled ones and their published peaks, and what a bad description is told."""

import copy
import json
import math

import pytest
import yaml

from accelsim.documents import bundled_folder, read_yaml
from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.hardware.load import KINDS, list_architectures, load_architecture
from tests.hardware.conftest import refusal

BUNDLED = [name for name, _ in list_architectures()]
PATHS = {name: bundled_folder("architectures") / name / "architecture.yaml" for name in BUNDLED}
RAPID = read_yaml(PATHS["rapid-4core"])


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
    assert architecture.kind in KINDS
    assert len(architecture.constants()) > (30 if architecture.kind == "digital" else 0)
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


@pytest.mark.parametrize(
    ("topology", "links", "hops_of_4", "hops_of_36"),
    [("ring", 2, 1.0, 9.0), ("mesh", 4, 4 / 3, 4.0), ("crossbar", 1, 1, 1)],
)
def test_distances_on_chip(rapid, topology, links, hops_of_4, hops_of_36):
    network = rapid.override({"interconnect.topology": topology}).description.interconnect
    assert network.links_per_core == links
    assert network.mean_hops(1) == 0
    assert network.mean_hops(4) == pytest.approx(hops_of_4)
    assert network.mean_hops(36) == pytest.approx(hops_of_36)


def test_no_unit_for_a_format(rapid):
    message = refusal(lambda: rapid.description.unit("int8", op="layer.0"), kind=UnsupportedError)
    for part in ("rapid-4core", "layer.0", "'int8'", "no matrix unit", "fp16, hfp8, fp8_e4m3, int4, int2"):
        assert part in message


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
        (changed("array.units.int8x", RAPID["array"]["units"]["int4"]), "array.units.int8x", ["Did you mean 'int8'"]),
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
        data = read_yaml(PATHS[name])
        fields = json.loads(json.dumps(KINDS[data["kind"]].model_json_schema()))
        assert set(fields["required"]) - {"name"} <= set(data) <= set(fields["properties"])

"""Formats by name and by grammar."""

from dataclasses import replace

import pytest

from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics import FORMATS, Float, Integer, PowerOfTwo, format_named, format_of, shortest_name
from accelsim.numerics.libraries import LIBRARIES, disagreement_table, library_format

OLD = {
    "fp32": 32, "tf32": 19, "bf16": 16, "fp16": 16, "fp8_e4m3": 8, "fp8_e5m2": 8, "hfp8": 8, "int8": 8, "int4": 4,
    "int2": 2, "mxfp8_e4m3": 8.25, "mxfp8_e5m2": 8.25, "mxfp6_e2m3": 6.25, "mxfp6_e3m2": 6.25, "mxfp4": 4.25,
    "mxint8": 8.25, "nvfp4": 4.5,
}  # fmt: skip


@pytest.mark.parametrize("name", OLD)
def test_stored_bits(name):
    form = FORMATS[name]
    assert form.bits_per_element == OLD[name]
    assert form.bytes_per_element == OLD[name] / 8
    assert f"{OLD[name]:g} bits an element" in form.describe()


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("fp8_e4m3", 448), ("fp8_e5m2", 57344), ("fp8_e4m3_fnuz", 240), ("fp8_e5m2_fnuz", 57344), ("fp16", 65504),
        ("fp6_e2m3", 7.5), ("fp6_e3m2", 28), ("fp4_e2m1", 6), ("int8", 127), ("mxint8", 127 / 64),
    ],
)  # fmt: skip
def test_largest_elements_as_specified(name, largest):
    """OCP OFP8 1.0 and MX 1.0, IEEE 754."""
    assert FORMATS[name].element.largest == largest


def test_three_encodings_of_ue5m3():
    largest = {name: FORMATS[name].scale.largest for name in ("fp4_ue5m3", "fp4_ue5m3_114688", "fp4_ue5m3_122880")}
    assert list(largest.values()) == [61440, 114688, 122880]


def test_three_clamps_of_nvfp4():
    floors = [FORMATS[name].scale_floor for name in ("nvfp4", "nvfp4_modelopt", "nvfp4_transformer_engine")]
    assert floors == [2**-6, 2**-9, 0]


def test_grammar():
    fp4 = format_of("e2m1/ue5m3@16")
    assert replace(fp4, name="fp4_ue5m3") == FORMATS["fp4_ue5m3"]
    int4 = format_of("int4/fp32@channel")
    assert (int4.element, int4.shared, int4.scale) == (Integer(4, symmetric=True), "channel", Float(8, 23))
    mx = format_of("e4m3/e8m0@32")
    assert replace(mx, name="mxfp8_e4m3") == FORMATS["mxfp8_e4m3"]
    assert isinstance(format_of("e3m2/e8m0@8").scale, PowerOfTwo)
    assert format_of("uint4/fp32@tensor").scale_rule == "minmax"
    assert format_of("e4m3fnuz").element == FORMATS["fp8_e4m3_fnuz"].element


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("e2m1/ue5m3", "who shares"), ("e2m1/ue5m3@some", "who shares"), ("e2m1/what@16", "no scale"),
        ("what/e8m0@16", "no element"), ("e2m1/e4m3@16", "sign bit"), ("e2m1/e8m0@0", "1 or more"),
    ],
)  # fmt: skip
def test_what_the_grammar_refuses(name, rule):
    with pytest.raises(InputError, match=rule):
        format_of(name)


def test_unknown_names_suggest_the_closest():
    with pytest.raises(UnknownNameError, match="mxfp4"):
        format_of("mxfp44")


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"block": 0}, "1 or more"), ({"block": 1.5}, "1 or more"), ({"shared": "tensor"}, "by block"),
        ({"scale": None}, "scale"), ({"scale_rule": "amax"}, "power of two"), ({"rounding": "nearest"}, "nearest_"),
        ({"tensor_scale": "amax"}, "no powers of two"),
    ],
)  # fmt: skip
def test_records_that_contradict_themselves(changes, rule):
    with pytest.raises(InputError, match=rule):
        replace(FORMATS["mxfp4"], **changes)


def test_libraries_by_name():
    assert library_format("torchao_floor", "mxfp4").infinity == "overflow"
    with pytest.raises(UnknownNameError, match="torchao_floor"):
        library_format("torchao", "mxfp4")
    with pytest.raises(InputError, match="no MX format"):
        library_format("gfloat", "int4")


def test_the_table_of_disagreements_has_every_library():
    head = disagreement_table().splitlines()[0]
    assert all(name in head for name in LIBRARIES)


def test_composed_formats_are_found_where_names_are():
    listed = len(FORMATS)
    assert FORMATS["e2m1/ue5m3@8"] == format_named("e2m1/ue5m3@8") == format_of("e2m1/ue5m3@8")
    assert FORMATS["e2m1/ue5m3@8"].bits_per_element == 4 + 8 / 8
    assert len(FORMATS) == listed
    with pytest.raises(KeyError):
        FORMATS["int9"]
    for wrong, words in (("e2m1/ue5m3", "who shares"), ("e2m1/e8m0@0", "1 or more"), ("x/e8m0@8", "no element")):
        with pytest.raises(InputError, match=f"field: '{wrong}' .*{words}"):
            format_named(wrong, field="field")


@pytest.mark.parametrize(
    ("composed", "name"),
    [("e2m1/e8m0@32", "mxfp4"), ("e2m1/ue5m3@16", "fp4_ue5m3"), ("e4m3/e8m0@32", "mxfp8_e4m3"), ("mxfp4", "mxfp4"),
     ("int4/fp32@channel", "int4_channel"), ("e2m1/e8m0@16", "e2m1/e8m0@16")],
)  # fmt: skip
def test_a_composed_format_that_is_listed_goes_by_its_name(composed, name):
    assert shortest_name(composed) == name

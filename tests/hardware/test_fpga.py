"""FPGA devices and the shapes of their memories."""

import pytest

from accelsim.errors import UnknownNameError
from accelsim.hardware.fpga import BRAM36_SHAPES, LUTRAM_SHAPES, RAMB18_SHAPES, device, known_devices


def test_every_device_is_consistent():
    assert {"alveo-u200", "alveo-u250", "alveo-u280", "zcu102", "zcu104", "rfsoc-2x2", "pynq-z1", "pynq-z2",
            "kria-kv260", "xc7a35t"} <= set(known_devices())  # fmt: skip
    for name in known_devices():
        found = device(name)
        assert found.ffs == 2 * found.luts, "two flip-flops a LUT in all these families"
        assert found.lutram_luts < found.luts
        assert found.source


def test_memory_shapes_hold_what_their_primitive_does():
    for shape in RAMB18_SHAPES:
        assert shape.width_bits * shape.depth in (16 * 1024, 18 * 1024)
    for shape in BRAM36_SHAPES:
        assert shape.width_bits * shape.depth in (32 * 1024, 36 * 1024)
    for shape in LUTRAM_SHAPES:
        assert shape.width_bits * shape.depth == 7 * 64
    assert RAMB18_SHAPES[0].blocks(37, 513) == 4


def test_what_does_not_fit_is_named_worst_first():
    found = device("xc7a35t").excess({"lut": 30_000, "bram18": 1000, "ff": 10, "uram": 1}, "net")
    assert [each.resource for each in found] == ["bram18", "lut", "uram"] or found[0].resource == "bram18"
    assert {each.resource for each in found} == {"bram18", "lut", "uram"}
    assert "net" in str(found[0])
    assert device("xc7a35t").excess({"lut": 20_800}) == ()


def test_unknown_names():
    with pytest.raises(UnknownNameError, match="'zcu104'"):
        device("zcu14")
    with pytest.raises(UnknownNameError, match="bram18"):
        device("zcu104").excess({"bram": 1})

"""The emitted residual block in Icarus Verilog: what the emulator computes, bit for bit, and the FIFOs of skips."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from accelsim.engine.streaming import smallest_common_depth
from accelsim.errors import InputError
from accelsim.mapping.fpga.lower import lower_dataflow
from accelsim.mapping.fpga.residual import residual_dataflow
from accelsim.study.rtl import point
from accelsim.study.rtl.block import Drive, SkipDepths, simulate_block, smallest_depths
from accelsim.study.rtl.emission import block_weights
from accelsim.study.rtl.expected import residual_values

SKIPS = ("none", "long", "short")
DEPTHS = Path(__file__).parents[2] / "reference" / "fpga" / "skip_fifo_min_depth_rtlsim.csv"
MODES = {"around two 3x3 convolutions": 1, "around one 3x3 convolution (each of two)": 2}

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="needs Icarus Verilog (iverilog)")


def block(mode, width, channels, bits, depth=1, style="rule", seed=1):
    return point("resblock", {"MODE": mode, "WD": width, "C": channels, "B": bits, "FD": depth, "FSTYLE": style,
                              "seed": seed})  # fmt: skip


def images_of(asked, height, seed, count=3):
    high = 1 << (asked.size("B") - 1)
    shape = (count, height, asked.size("WD"), asked.size("C"))
    return np.random.default_rng(seed).integers(-high, high, shape)


def expected(asked, images):
    return residual_values(images, block_weights(asked), asked.size("B"), skips=SKIPS[asked.size("MODE")])


@needs_icarus
@pytest.mark.parametrize(("style", "channels", "bits", "width", "height"), [
    ("srl", 2, 4, 5, 4), ("lutram", 3, 5, 6, 3), ("block", 4, 8, 7, 5), ("auto", 5, 3, 4, 6), ("rule", 2, 2, 2, 2),
])  # fmt: skip
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_values_are_those_of_the_emulator(mode, style, channels, bits, width, height):
    """Several images one behind the other, so that nothing of one is left in the next."""
    asked = block(mode, width, channels, bits, 2 * width + 2, style, seed=mode + bits)
    images = images_of(asked, height, seed=channels)
    found = simulate_block(asked, images)
    assert not found.deadlocked
    np.testing.assert_array_equal(found.values, expected(asked, images))


@needs_icarus
@pytest.mark.parametrize("drive", [Drive(source_pauses=60), Drive(sink_pauses=80),
                                   Drive(between=5, source_pauses=30, sink_pauses=30)])  # fmt: skip
@pytest.mark.parametrize("mode", [1, 2])
def test_pauses_change_times_and_no_value(mode, drive):
    asked = block(mode, 6, 2, 4, depth=16)
    images = images_of(asked, 4, seed=1)
    steady, paused = simulate_block(asked, images, Drive(between=drive.between)), simulate_block(asked, images, drive)
    np.testing.assert_array_equal(paused.values, expected(asked, images))
    assert paused.cycles >= steady.cycles


@needs_icarus
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_large_numbers_saturate(mode):
    """Images of the extremes only; outputs must meet both limits, of which ReLU makes the lower one zero."""
    asked = block(mode, 4, 6, 4, depth=12)
    images = np.where(images_of(asked, 4, seed=3) < 0, -8, 7)
    found = simulate_block(asked, images)
    np.testing.assert_array_equal(found.values, expected(asked, images))
    assert found.values.max() == 7
    assert found.values.min() == 0


def table():
    with DEPTHS.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@needs_icarus
@pytest.mark.parametrize("row", table(), ids=lambda row: f"{MODES[row['skip']]}-{row['width']}x{row['height']}")
def test_smallest_skip_fifos(row):
    """Depths and cycles of the reference table, which another implementation of the same block gave."""
    width, height = int(row["width"]), int(row["height"])
    found = smallest_depths(block(MODES[row["skip"]], width, 2, 2, style="srl"), height)
    assert found == SkipDepths(
        int(row["min_depth_no_deadlock"]), int(row["min_depth_full_throughput"]), int(row["cycles_full"]),
        int(row["cycles_at_min"]),
    )  # fmt: skip


@needs_icarus
def test_depths_depend_neither_on_the_fifo_between_nor_on_the_pixel():
    found = {smallest_depths(block(1, 5, channels, bits, style="srl"), 4, Drive(between=between))
             for channels, bits, between in ((2, 2, 2), (3, 2, 4), (2, 5, 8))}  # fmt: skip
    assert len(found) == 1


@needs_icarus
def test_a_shallow_skip_stands_still():
    asked = block(1, 8, 2, 2, depth=17, style="srl")
    assert simulate_block(asked, images_of(asked, 8, seed=1)).deadlocked


@pytest.mark.parametrize(("change", "field"), [
    (lambda images: images[..., :1], "images"), (lambda images: images[:, :1], "images"),
    (lambda images: images + 100, "images"), (lambda images: images[0], "images"),
])  # fmt: skip
def test_images_that_do_not_fit(change, field, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    asked = block(0, 4, 2, 4)
    with pytest.raises(InputError) as error:
        simulate_block(asked, change(images_of(asked, 4, seed=0)))
    assert error.value.field == field


def test_without_the_simulator(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(InputError, match="apt-get install iverilog"):
        simulate_block(block(0, 4, 2, 4), np.zeros((1, 4, 4, 2), int))


def test_unknown_arrangement_of_skips():
    with pytest.raises(InputError, match="none, long or short"):
        residual_values(np.zeros((1, 2, 2, 2), int), np.zeros((2, 9, 2, 2), int), 4, skips="both")


@needs_icarus
@pytest.mark.parametrize(("mode", "width", "height"), [
    (1, 2, 2), (1, 3, 9), (1, 5, 4), (1, 12, 5), (2, 3, 3), (2, 5, 7), (2, 9, 2),
])  # fmt: skip
def test_the_dataflow_simulation_finds_the_same(mode, width, height):
    """Sizes that no table has: depths and cycles of the RTL, and of the task graph that the network level runs."""
    found = smallest_depths(block(mode, width, 2, 2, style="srl"), height)
    dataflow = residual_dataflow(SKIPS[mode], width, height, depth=1)
    fifos = [stream.name for stream in dataflow.fifos if stream.skip]
    sized = smallest_common_depth(lower_dataflow(dataflow), fifos)
    assert found == SkipDepths(
        sized.working[fifos[0]], sized.lossless[fifos[0]], sized.cycles - 1, sized.cycles_working - 1
    )

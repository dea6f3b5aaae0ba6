"""The kind fpga from workload to result: resources, time, certificates, and what is refused."""

import json

import pytest

import accelsim
from accelsim.cost.fpga.resources import Resources
from accelsim.cost.fpga.stages import circuit_resources, fifo_chunks, stream_resources
from accelsim.errors import InfeasibleError, InputError, UnsupportedError
from accelsim.mapping.fpga.circuits import Adder, Duplicator, Pad, Pool, SlidingWindow, Threshold, WidthConverter
from accelsim.mapping.fpga.records import Stream

DEVICES = (
    "alveo-u200", "alveo-u250", "alveo-u280", "zcu104", "zcu102", "rfsoc-2x2", "pynq-z1", "pynq-z2", "kria-kv260",
)  # fmt: skip

SMALL = accelsim.load_workload("resnet-20", image_size=8)


def simulated(arch="alveo-u200", workload="resnet-20", precision="int4", **overrides):
    architecture = accelsim.load_architecture(arch)
    architecture = architecture.override(overrides) if overrides else architecture
    return accelsim.simulate(workload, architecture, precision=precision, intervals=False)


@pytest.fixture(scope="module")
def result():
    return simulated()


@pytest.mark.parametrize("name", DEVICES)
@pytest.mark.parametrize("style", ["finn", "hls4ml"])
def test_a_residual_network_on_every_device(name, style):
    found = simulated(name, accelsim.load_workload("resnet-20", image_size=16), style=style)
    assert found.check()
    budget = found.evaluation.arch.usable()
    for resource, held in found.resources.items():
        assert held["used"] <= budget[resource]
    assert found.resources["lut"]["used"] > 0


def test_resources_are_the_sum_of_their_parts(result):
    run = result.evaluation
    total = sum((*run.parts.stages.values(), *run.parts.streams.values()), Resources())
    assert result.resources["lut"]["used"] == total.lut
    assert result.resources["lutram"]["used"] == total.lut_srl + total.lut_lutram
    assert set(run.parts.stages) == {stage.name for stage in run.mapping.dataflow.stages}


def test_both_engines_give_the_same_time():
    one, other = (
        accelsim.simulate(SMALL, "zcu104", precision="int4", engine=engine, intervals=False)
        for engine in ("maxplus", "des")
    )
    assert one.latency_s == other.latency_s


def test_the_document_has_what_every_kind_has(result):
    document = json.loads(result.to_json())
    assert document["resources"]["bram18"]["budget"] == 4320
    for absent in ("energy_j", "area_mm2", "dram_bytes", "real_time_factor"):
        assert document[absent] is None
    assert document["throughput_per_s"] > 1 / document["latency_s"], "several frames are in the pipeline"
    assert {"folding", "interval", "weights", "stages"} <= set(result.ops.columns)


def test_the_report_is_written(result, tmp_path):
    result.to_html(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "layer1.0.conv1.window" in page
    assert "BRAM (18 Kb)" in page


def test_a_rate_is_kept_and_takes_less_than_filling_the_device(result):
    slow = simulated(**{"folding.throughput_per_s": 1000})
    assert slow.throughput_per_s >= 1000 * 0.95
    for resource in ("lut", "ff", "bram18"):
        assert slow.resources[resource]["used"] < result.resources[resource]["used"]


def test_fewer_bits_are_faster_on_one_device():
    """Narrow products are cheap in LUTs, so that more of them fit."""
    wide, narrow = (simulated("zcu104", SMALL, each) for each in ("int8", "int4"))
    assert narrow.throughput_per_s > wide.throughput_per_s


def test_the_clock_scales_time_and_nothing_else(result):
    fast = simulated(clock_hz=4e8)
    assert fast.latency_s == pytest.approx(result.latency_s / 2, rel=1e-9)
    assert fast.resources == result.resources


def test_wider_words_take_more():
    four, eight = (simulated(precision=each, **{"folding.throughput_per_s": 2000}) for each in ("int4", "int8"))
    for resource in ("lut", "ff"):
        assert eight.resources[resource]["used"] > four.resources[resource]["used"]


def test_weights_where_they_are_asked_to_be():
    lie = {place: simulated(weights=place, **{"folding.throughput_per_s": 1000}).resources for place in
           ("bram", "uram", "lutram")}  # fmt: skip
    assert lie["uram"]["uram"]["used"] > 0 == lie["bram"]["uram"]["used"]
    assert lie["lutram"]["lutram"]["used"] > lie["bram"]["lutram"]["used"]
    assert lie["lutram"]["bram18"]["used"] < lie["bram"]["bram18"]["used"]


def test_a_batch_is_frames_one_behind_the_other():
    one, four = (accelsim.simulate(SMALL, "zcu104", precision="int4", batch=batch, intervals=False) for batch in (1, 4))
    assert four.latency_s < 4 * one.latency_s
    assert four.check()


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        ({"arch": "arty-a7-35t"}, InfeasibleError, "needs .* lut"),
        ({"folding.throughput_per_s": 1e7}, InfeasibleError, "cycles a frame"),
        ({"precision": "fp16"}, UnsupportedError, "compute in integers"),
        ({"precision": "int4_group32"}, UnsupportedError, "compute in integers"),
        ({"folding.reuse_factor": 8}, UnsupportedError, "is of hls4ml"),
        ({"device": "alveo-u20"}, InputError, "is not a known FPGA device. Did you mean"),
    ],
)
def test_what_is_refused(settings, kind, words):
    with pytest.raises(kind, match=words):
        simulated(**settings)


def test_digital_choices_are_refused():
    with pytest.raises(UnsupportedError, match="digital mappings"):
        accelsim.simulate("resnet-20", "zcu104", mapping={"fusion": False}, intervals=False)


@pytest.mark.parametrize("style", ["finn", "hls4ml"])
@pytest.mark.parametrize(
    "circuit",
    [
        Adder(16, 4, 4), Duplicator(16, 4, 4), WidthConverter(8, 64), Pad(16, 4, 4), Threshold(16, 4, 5, 4),
        Pool(16, 4, 4, (2, 2), 16), Pool(16, 4, 4, (8, 8), 1),
    ],
)  # fmt: skip
def test_no_circuit_is_free(circuit, style):
    found = circuit_resources(circuit, style)
    assert found.lut > 0
    assert found.ff > 0


def test_a_window_is_larger_the_wider_the_image():
    small, large = (circuit_resources(SlidingWindow(16, 4, 4, (3, 3), (10, width), (1, 1)), "finn") for width in
                    (16, 64))  # fmt: skip
    assert large.lut_lutram > small.lut_lutram > 0


@pytest.mark.parametrize(
    ("words", "chunks"), [(5, [5]), (256, [256]), (300, [256, 44]), (4027, [2048, 1024, 512, 256, 187])]
)
def test_deep_fifos_are_cut_as_finn_does(words, chunks):
    """The last is a row of FIFOs of the residual build of the reference data (nodes 31 to 35)."""
    assert fifo_chunks(words) == chunks


def test_a_stream_moves_from_shift_registers_to_block_ram():
    deep, shallow = (stream_resources(Stream("skip", 1, 64, depth), "hls4ml") for depth in (68, 16))
    assert deep.bram18 > 0 == deep.lut_srl
    assert shallow.lut_srl > 0 == shallow.bram18

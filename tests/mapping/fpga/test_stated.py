"""Folding that the architecture states for single layers, and layers of groups."""

import json
from math import prod

import pytest

import accelsim
from accelsim.cost.fpga.stages import circuit_resources
from accelsim.errors import InputError, UnknownNameError
from accelsim.mapping.fpga.circuits import Convolution, VectorUnit
from accelsim.mapping.fpga.folding import Fold, check_fold, matrix_choices, matrix_cycles
from accelsim.mapping.fpga.layers import layers_of
from accelsim.mapping.fpga.widths import UniformWidths
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv

RESNET = "resnet-20:image_size=16"
STYLES = ("finn", "hls4ml")


def stated(layers, workload=RESNET, arch="alveo-u200", **overrides):
    architecture = accelsim.load_architecture(arch).override({**overrides, "folding.layers": layers})
    name, _, size = workload.partition(":image_size=")
    network = accelsim.load_workload(name, **({"image_size": int(size)} if size else {}))
    return accelsim.simulate(network, architecture, precision="int4", intervals=False).evaluation


def grouped(groups, channels=8, outputs=8, size=6):
    """One 3 x 3 convolution of groups."""
    tensors = {
        "x": Tensor("x", (1, channels, size, size), "activation"),
        "w": Tensor("w", (outputs, channels // groups, 3, 3), "weight"),
        "y": Tensor("y", (1, outputs, size, size), "activation"),
    }
    conv = Conv(name="conv", inputs=("x", "w"), outputs=("y",), batch=1, in_channels=channels, out_channels=outputs,
                input_size=(size, size), output_size=(size, size), kernel=(3, 3), stride=(1, 1), padding=(1, 1),
                groups=groups)  # fmt: skip
    return Graph("grouped", (conv,), tensors, ("x",), ("y",))


def test_stated_factors_hold_and_the_others_are_chosen():
    run = stated({"conv1": {"simd": 3, "pe": 16}, "layer1.*.conv1": {"pe": 4}, "layer1.0.add": {"lanes": 8}})
    folds = run.mapping.folding.folds
    assert (folds["conv1"].simd, folds["conv1"].pe) == (3, 16)
    assert {folds[f"layer1.{block}.conv1"].pe for block in range(3)} == {4}
    assert folds["layer1.0.add"].lanes == 8
    conv = next(stage for stage in run.mapping.dataflow.stages if stage.name == "conv1.multiply")
    assert conv.interval_cycles == 16 * 16 * 27 * 16 // (3 * 16)
    assert run.mapping.folding.bound_cycles <= run.mapping.folding.interval_cycles


def test_the_first_pattern_that_fits_a_layer_holds():
    run = stated({"layer1.0.conv1": {"pe": 2}, "layer1.*": {"pe": 8}})
    pes = {name: fold.pe for name, fold in run.mapping.folding.folds.items() if name.startswith("layer1.")}
    assert pes["layer1.0.conv1"] == 2
    assert pes["layer1.0.conv2"] == pes["layer1.2.conv2"] == 8
    assert pes["layer1.0.add"] == 1, "an adder has no PE; the pattern is for the layers that have"


def test_a_stated_reuse_factor_goes_before_that_of_all_layers():
    run = stated({"conv1": {"reuse_factor": 9}}, style="hls4ml", **{"folding.reuse_factor": 144})
    reuse = {name: fold.reuse for name, fold in run.mapping.folding.folds.items()}
    assert reuse["conv1"] == 9
    assert reuse["layer1.0.conv1"] == 144
    filled = stated({"layer1.*.conv1": {"reuse_factor": 48}}, style="hls4ml").mapping.folding.folds
    assert {filled[f"layer1.{block}.conv1"].reuse for block in range(3)} == {48}


def test_a_rate_that_a_stated_folding_misses_is_infeasible():
    with pytest.raises(accelsim.InfeasibleError, match="layer conv1"):
        stated({"conv1": {"simd": 1, "pe": 1}}, **{"folding.throughput_per_s": 10_000})


@pytest.mark.parametrize(
    ("layers", "style", "kind", "words"),
    [
        ({"conv1": {"simd": 4}}, "finn", InputError,
         r"folding\.layers\.conv1\.simd: 4 must divide 27 of conv1\. Such as 3 \(valid are 1, 3, 9, 27\)"),
        ({"layer1.*": {"pe": 5}}, "finn", InputError, "5 must divide 16 of layer1.0.conv1"),
        ({"conv1": {"reuse_factor": 7}}, "hls4ml", InputError, "7 must divide 432 of conv1"),
        ({"conv1": {"reuse_factor": 16}}, "hls4ml", InputError, "must share whole inputs or outputs of 27 x 16"),
        ({"conv2": {"simd": 3}}, "finn", UnknownNameError, "is not a known layer .* Did you mean 'conv1'"),
        ({"layer9.*": {"simd": 3}}, "finn", UnknownNameError, "is not a known layer"),
        ({"layer1.0.add": {"simd": 3}}, "finn", InputError, "is no factor of layer1.0.add. It is folded by lanes"),
        ({"conv1": {"reuse_factor": 9}}, "finn", InputError, "is no factor of style finn. Write simd or pe or lanes"),
        ({"conv1": {}}, "finn", InputError, "states no factor"),
        ({"conv1": {"simd": 0}}, "finn", InputError, "greater than 0"),
        ({"conv1": {"simd": 1.5}}, "finn", InputError, r"conv1\.simd"),
        ({"conv1": {"smid": 3}}, "finn", InputError, "Did you mean 'simd'"),
    ],
)  # fmt: skip
def test_what_may_not_be_stated(layers, style, kind, words):
    with pytest.raises(kind, match=words):
        stated(layers, style=style)


def latency_s(cli, *arguments):
    code, out, err = cli("simulate", RESNET, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)["latency_s"]


def test_stated_folds_from_the_command_line_and_a_file(cli, tmp_path):
    """One 3 x 3 convolution of 16 x 16 pixels that multiplies one by one takes 110592 cycles, 553 us at 200 MHz."""
    slow = latency_s(cli, "alveo-u200", "--set", "folding.layers={conv1: {simd: 1, pe: 1}}")
    assert slow > 16 * 16 * 27 * 16 / 2e8 > latency_s(cli, "alveo-u200")
    own = tmp_path / "own.yaml"
    share = "{value: 0.7, low: 0.5, high: 0.9, source: assumed, why: a shell}"
    own.write_text("kind: fpga\ndevice: alveo-u200\nclock_hz: {value: 2.0e8, source: a goal}\n"
                   f"usable_share: {share}\nfolding:\n  layers:\n    conv1: {{simd: 1, pe: 1}}\n")  # fmt: skip
    assert latency_s(cli, own) == slow


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("folding.layers={conv1: {simd: 4}}", "4 must divide 27 of conv1. Such as 3 (valid are 1, 3, 9, 27)."),
        ("folding.layers={conv2: {simd: 3}}", "Did you mean 'conv1'?"),
        ("folding.layers.conv1.simd=3", "Did you mean 'folding.layers'?"),
        ("folding.layers=3", "must be a mapping"),
    ],
)
def test_what_the_command_line_refuses(cli, setting, words):
    code, out, err = cli("simulate", RESNET, "alveo-u200", "--set", setting)
    assert (code, out) == (2, "")
    assert words in err


def test_stated_layers_that_a_rewrite_removes_are_no_complaint():
    """The shortcut's layers exist while skips are kept, and only then; a name that is wrong from the start is one."""
    architecture = accelsim.load_architecture("zcu104")
    found = accelsim.compare_skips(
        accelsim.load_workload("resnet-20", image_size=16),
        architecture.override({"folding.layers": {"layer1.0.add": {"lanes": 4}}}), variants=["keep", "remove"],
    )  # fmt: skip
    assert found.check()
    wrong = architecture.override({"folding.layers": {"layer1.0.ad": {"lanes": 4}}})
    with pytest.raises(UnknownNameError, match=r"Did you mean 'layer1\.0\.add'"):
        accelsim.compare_skips(accelsim.load_workload("resnet-20", image_size=16), wrong, variants=["remove"])


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(("groups", "channels", "outputs"), [(8, 8, 8), (2, 8, 8), (4, 4, 8), (4, 8, 4)])
def test_layers_of_groups_do_their_work_at_every_fold(style, groups, channels, outputs):
    graph = grouped(groups, channels, outputs)
    layer = layers_of(graph, UniformWidths(4, 4))[1]
    assert layer.vector * layer.made.channels * layer.made.pixels == layer.macs == graph.macs
    choices = matrix_choices(layer, style)
    assert choices
    for fold in choices:
        check_fold(layer, Fold(fold.simd, fold.pe, channels, fold.reuse), style)
        lanes = fold.simd * fold.pe if style == "finn" else layer.vector * outputs // fold.reuse
        assert matrix_cycles(layer, fold) * lanes >= layer.macs
    found = accelsim.simulate(graph, accelsim.load_architecture("zcu104").override({"style": style}), precision="int4",
                              intervals=False)  # fmt: skip
    assert found.check()
    assert found.resources["lut"]["used"] > 0


def test_depthwise_folds_are_those_of_finns_vector_vector_unit():
    """PE divides the channels; taps are taken together only once all channels are."""
    layer = layers_of(grouped(8), UniformWidths(4, 4))[1]
    pairs = {(fold.simd, fold.pe) for fold in matrix_choices(layer, "finn")}
    assert pairs == {(1, 1), (1, 2), (1, 4), (1, 8), (3, 8), (9, 8)}
    with pytest.raises(InputError, match="needs pe 8, all channels"):
        check_fold(layer, Fold(3, 4, 4), "finn")
    with pytest.raises(InputError, match="needs pe 8, all channels"):
        accelsim.simulate(grouped(8), accelsim.load_architecture("zcu104").override(
            {"folding.layers": {"conv": {"simd": 3, "pe": 4}}}), precision="int4", intervals=False)  # fmt: skip


def test_a_unit_of_groups_takes_less_than_a_whole_one():
    """Fewer weights and a shorter vector to keep; a vector-vector unit keeps none, and takes an input a lane."""
    whole, halves = (circuit_resources(VectorUnit(144 // groups, 16, 3, 4, 4, 4, 4, 15, groups=groups), "finn")
                     for groups in (1, 2))  # fmt: skip
    assert halves.lut < whole.lut
    assert halves.ff < whole.ff
    own = VectorUnit(9, 16, 1, 4, 4, 4, 4, 12, groups=16)
    assert (own.taken, own.fold) == (4, 36)
    assert circuit_resources(own, "finn").lut < circuit_resources(VectorUnit(9, 16, 1, 4, 4, 4, 4, 12), "finn").lut
    products = [prod((unit.width, unit.height)) for unit in (own, Convolution(9, 16, 9, 4, 4, 4, 12, 16, (3, 3), 8))]
    assert products == [144, 144]


@pytest.mark.parametrize("style", STYLES)
def test_mobilenet_runs_on_a_large_device_and_not_on_a_small_one(style):
    graph = accelsim.load_workload("mobilenet-v2", image_size=32)
    large = accelsim.load_architecture("alveo-u250").override({"style": style})
    found = accelsim.simulate(graph, large, precision="int4", intervals=False)
    assert found.check()
    layers = found.evaluation.mapping.layers
    assert sum(layer.depthwise for layer in layers) == 17
    assert sum(layer.macs for layer in layers) == graph.macs
    with pytest.raises(accelsim.InfeasibleError):
        accelsim.simulate(graph, accelsim.load_architecture("pynq-z1").override({"style": style}), precision="int4")

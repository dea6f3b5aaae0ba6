"""What skip connections cost: `accelsim skips` and `compare_skips`."""

import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import accelsim
from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.study.skip_steps import Block, step_functions
from accelsim.study.skips import PARTS

SMALL = accelsim.load_workload("resnet-20", image_size=16)


@pytest.fixture(scope="module", params=["finn", "hls4ml"])
def skips(request):
    return accelsim.compare_skips(SMALL, accelsim.load_architecture("zcu104").override({"style": request.param}))


def test_parts_add_up_and_savings_are_differences(skips):
    assert list(skips.variants) == ["keep", "shorten", "remove"]
    assert skips.check()
    for name, variant in skips.comparison.variants.items():
        whole = skips.variants[name].resources
        for key in ("lut", "ff", "bram18", "dsp"):
            parts = {part: variant.parts[part].by_name()[key] for part in PARTS}
            assert sum(parts.values()) == whole[key]["used"]
        saved = sum(skips.saving(name)[part]["lut"] for part in PARTS)
        assert saved == skips.variants["keep"].resources["lut"]["used"] - whole["lut"]["used"]


def test_removing_saves_and_keeps_the_throughput(skips):
    keep, remove = skips.variants["keep"], skips.variants["remove"]
    for key in ("lut", "ff"):
        assert remove.resources[key]["used"] < keep.resources[key]["used"]
    assert remove.resources["bram18"]["used"] <= keep.resources["bram18"]["used"]
    assert remove.latency_s <= keep.latency_s
    assert remove.throughput_per_s >= keep.throughput_per_s
    assert not skips.comparison.variants["remove"].fifos


def test_skips_hold_as_many_pixels_as_their_branch_delays(skips):
    """Around two 3 x 3 convolutions at least two rows and two pixels must wait, around one a row and a pixel."""
    width = 16
    for name, rows in (("keep", 2), ("shorten", 1)):
        fifos = [each for each in skips.comparison.variants[name].fifos if each.join.startswith("layer1")]
        assert fifos
        assert all(each.depth >= each.least_depth >= rows * width for each in fifos)


def test_the_document(skips):
    document = json.loads(skips.to_json())
    assert list(document["variants"]) == ["keep", "shorten", "remove"]
    for variant in document["variants"].values():
        assert {"latency_s", "throughput_per_s", "resources", "energy_j", "skips"} <= set(variant)
        assert variant["skips"]["output_change"] is None
    assert document["variants"]["keep"]["skips"]["change"]["lut"]["absolute"] == 0
    assert "no weights" in document["numerics"]
    assert set(document["steps"]) == {"width", "channels", "bits", "reuse"}
    assert len(skips.to_frame()) == 3 * len(PARTS)


def test_the_page(skips, tmp_path):
    skips.to_html(tmp_path / "skips.html")
    page = (tmp_path / "skips.html").read_text("utf-8")
    assert page.count("<svg") >= 3
    assert "Steps" in page


@pytest.mark.parametrize("style", ["finn", "hls4ml"])
def test_savings_are_steps(style):
    """Over width and channels, shortening takes more block RAM here and none there; nothing falls as sizes grow."""
    lanes = 1 if style == "finn" else 16
    steps = step_functions(Block(32, 16, 4, 9, lanes, style))
    for name in ("channels", "bits"):
        for points in steps[name].values():
            assert [each.depth for each in points] == [points[0].depth] * len(points)
    for points in steps["width"].values():
        depths = [each.depth for each in points]
        assert depths == sorted(depths)
    both = [(long.fifos.bram18, short.fifos.bram18) for name in ("width", "channels", "bits")
            for long, short in zip(steps[name]["keep"], steps[name]["shorten"], strict=True)]  # fmt: skip
    assert any(short > long for long, short in both)
    assert any(short == 0 < long for long, short in both)


def residual_model(path):
    """A residual network of one block with drawn weights."""
    rng = np.random.default_rng(0)
    weights, nodes = [], []

    def conv(name, source, inputs):
        kernel = rng.normal(size=(4, inputs, 3, 3)).astype(np.float32) / np.float32(3 * inputs**0.5)
        weights.append(numpy_helper.from_array(kernel, f"{name}.w"))
        nodes.append(helper.make_node("Conv", [source, f"{name}.w"], [f"{name}.o"], name=name, pads=[1] * 4))
        return f"{name}.o"

    def relu(name, source):
        nodes.append(helper.make_node("Relu", [source], [f"{name}.o"], name=name))
        return f"{name}.o"

    skip = relu("first", conv("conv0", "x", 3))
    branch = conv("conv2", relu("middle", conv("conv1", skip, 4)), 4)
    nodes.append(helper.make_node("Add", [branch, skip], ["sum"], name="join"))
    nodes.append(helper.make_node("GlobalAveragePool", [relu("last", "sum")], ["y"], name="mean"))
    made = [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4, 1, 1])]
    given = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 8, 8])]
    graph = helper.make_graph(nodes, "residual", given, made, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def test_outputs_of_a_model_with_weights(tmp_path):
    found = accelsim.compare_skips(residual_model(tmp_path / "residual.onnx"), "pynq-z2", precision="int8")
    changes = {name: each.change for name, each in found.comparison.variants.items()}
    assert changes["keep"].fp32 == 0
    assert changes["remove"].fp32 > 0.01
    assert changes["shorten"].fp32 > 0.01
    assert 0 < changes["keep"].quantisation < 0.1
    again = accelsim.compare_skips(tmp_path / "residual.onnx", "pynq-z2", precision="int8", variants=["remove"])
    assert again.comparison.variants["remove"].change.fp32 == changes["remove"].fp32


def test_the_command(cli, tmp_path):
    chosen = ("--variant", "keep", "--variant", "remove")
    code, out, err = cli("skips", "resnet-20:image_size=16", "pynq-z1", *chosen, "--json", "--html",
                         tmp_path / "skips.html")  # fmt: skip
    assert code == 0, err
    assert list(json.loads(out)["variants"]) == ["keep", "remove"]
    assert (tmp_path / "skips.html").is_file()
    code, out, _ = cli("skips", "resnet-20:image_size=16", "pynq-z1", "--set", "style=hls4ml")
    assert code == 0
    assert "Saved by remove, by part" in out


def test_a_network_without_skips_may_be_kept(cli):
    code, out, err = cli("skips", "mlp", "alveo-u250", "--precision", "int2", "--variant", "keep")
    assert code == 0, err
    assert "0, 0 B" in out
    code, out, err = cli("skips", "mlp", "alveo-u250", "--precision", "int2")
    assert (code, out) == (2, "")
    assert "has no skip connection" in err


def test_a_batch_is_said_to_be_frames(cli):
    code, out, err = cli("skips", "resnet-20:image_size=16", "pynq-z1", "--variant", "keep", "--batch", "3")
    assert code == 0, err
    assert "Latency of 3 frames" in out


def test_open_axes_of_a_model(cli, tmp_path):
    """Axes without a size are complained about with what to write; the batch alone is one frame."""
    path = residual_model(tmp_path / "open.onnx")
    model = onnx.load(path)
    axes = model.graph.input[0].type.tensor_type.shape.dim
    axes[0].dim_param = "batch"
    onnx.save(model, path)
    whole = ("skips", path, "pynq-z2", "--precision", "int8", "--variant", "keep")
    assert cli(*whole)[0] == 0
    axes[2].dim_param = "height"
    onnx.save(model, path)
    code, _, err = cli(*whole)
    assert code == 2
    assert "'x' [batch, 3, height, 8]" in err
    assert "--shape height=16" in err
    assert cli(*whole, "--shape", "x=1x3x8x8")[0] == 0


def test_what_is_refused():
    with pytest.raises(UnsupportedError, match="FPGAs only"):
        accelsim.compare_skips("resnet-20", "rapid-4core")
    with pytest.raises(UnknownNameError, match="Did you mean 'remove'"):
        accelsim.compare_skips("resnet-20", "zcu104", variants=["removed"])
    with pytest.raises(InputError, match="'mlp' has no skip connection to shorten or remove"):
        accelsim.compare_skips(accelsim.load_workload("mlp"), "alveo-u250", variants=["remove"], precision="int2")

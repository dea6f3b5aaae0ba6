"""Layers of a workload on an FPGA, their folding, and the stages that they become."""

from dataclasses import replace

import numpy as np
import pytest

import accelsim
from accelsim.errors import InfeasibleError, InputError, UnsupportedError
from accelsim.hardware.fpga import device
from accelsim.mapping.fpga.build import build
from accelsim.mapping.fpga.choose import fill_budget, fold_for, fold_with_reuse
from accelsim.mapping.fpga.circuits import Convolution, VectorUnit
from accelsim.mapping.fpga.folding import Fold, check_fold, matrix_choices, matrix_cycles
from accelsim.mapping.fpga.layers import layers_of, skip_edges
from accelsim.mapping.fpga.lower import lower_dataflow
from accelsim.mapping.fpga.widths import UniformWidths
from accelsim.pipeline.fpga import pricing

WIDTHS = UniformWidths(4, 4)
STYLES = ("finn", "hls4ml")


def layers(name="resnet-20", *rewrites):
    return layers_of(accelsim.load_workload(name).rewritten(*rewrites), WIDTHS)


def test_layers_of_a_residual_network():
    """ResNet-20 as section 4.2 of its paper has it: 19 convolutions, a dense layer, nine skips of two convolutions."""
    found = layers()
    kinds = [each.kind for each in found]
    assert [kinds.count(kind) for kind in ("convolution", "dense", "add", "fork")] == [19, 1, 9, 9]
    assert sum(each.macs for each in found) == accelsim.load_workload("resnet-20").macs
    skips = skip_edges(found)
    assert set(skips.values()) == {each.name for each in found if each.kind == "add"}
    assert sum(1 for each in skips if each.endswith(".add")) == 7  # the two others pass a subsampling


@pytest.mark.parametrize(("rewrite", "adds"), [("shorten-skips", 18), ("remove-skips", 0)])
def test_layers_of_a_rewritten_network(rewrite, adds):
    found = layers("resnet-20", rewrite)
    assert sum(each.kind == "add" for each in found) == adds
    assert len(set(skip_edges(found).values())) == adds
    assert (sum(each.kind == "fork" for each in found) > 0) == (adds > 0)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("bert-base", "a pipeline has one input stream"),
        ("lstm", r"is not \(batch, channels, rows, columns\)"),
    ],
)
def test_what_no_stage_is_modelled_for(name, words):
    with pytest.raises(UnsupportedError, match=words):
        layers(name)


@pytest.mark.parametrize("style", STYLES)
def test_every_choice_divides_and_time_is_work_over_lanes(style):
    for layer in layers():
        for fold in matrix_choices(layer, style):
            check_fold(layer, replace(fold, lanes=layer.source.channels), style)
            lanes = fold.simd * fold.pe if style == "finn" else layer.vector * layer.made.channels // fold.reuse
            if layer.matrix:
                assert matrix_cycles(layer, fold) * lanes >= layer.macs


def test_folding_that_does_not_divide():
    conv = next(each for each in layers() if each.name == "layer1.0.conv1")
    with pytest.raises(InputError, match=r"layer1\.0\.conv1: simd: 7 must divide 144\. Such as 6"):
        check_fold(conv, Fold(7, 4, 16), "finn")
    with pytest.raises(InputError, match="pe: 3 must divide 16"):
        check_fold(conv, Fold(8, 3, 16), "finn")
    with pytest.raises(InputError, match="reuse_factor: 7 must divide 2304"):
        check_fold(conv, Fold(lanes=16, reuse=7), "hls4ml")
    with pytest.raises(InputError, match="must share whole inputs or outputs of 144 x 16"):
        check_fold(conv, Fold(lanes=16, reuse=256), "hls4ml")
    with pytest.raises(InputError, match="must divide 64"):
        VectorUnit(64, 64, 3, 1, 4, 4, 4, 14)
    with pytest.raises(InputError, match="must divide 4096"):
        Convolution(64, 64, 3, 4, 4, 4, 14, 64)


@pytest.mark.parametrize("style", STYLES)
def test_a_faster_folding_takes_no_less_and_the_bound_holds(style):
    found, budget = layers(), device("zcu104").budget()
    price = pricing(style)
    filled = fill_budget(found, style, price, budget)
    assert filled.bound_cycles <= filled.interval_cycles
    weights = []
    for cycles in (filled.interval_cycles, 3 * filled.interval_cycles, 30 * filled.interval_cycles):
        folding = fold_for(found, style, price, budget, cycles)
        assert folding.interval_cycles <= cycles
        dataflow = build(found, folding.folds, style, folding.memories)
        assert dataflow.interval_cycles <= cycles
        used = [price(circuit) for stage in dataflow.stages for circuit in stage.circuits]
        weights.append(sum(sum(each[name] / budget[name] for name in ("lut", "ff", "bram18", "dsp")) for each in used))
    assert weights == sorted(weights, reverse=True)


def test_what_fits_nowhere():
    price, found = pricing("finn"), layers()
    with pytest.raises(InfeasibleError) as small:
        fill_budget(found, "finn", price, device("xc7a35t").budget())
    assert small.value.infeasible.resource in ("lut", "bram18", "dsp")
    assert small.value.infeasible.demand > small.value.infeasible.bound
    with pytest.raises(InfeasibleError, match="cycles a frame"):
        fold_for(found, "finn", price, device("alveo-u200").budget(), 100)


def test_one_reuse_factor_for_all_layers_is_the_largest_that_each_may_have():
    found = layers()
    folding = fold_with_reuse(found, 72)
    reuses = {each.name: folding.folds[each.name].reuse for each in found if each.matrix}
    assert reuses["layer1.0.conv1"] == 72
    assert all(reuse <= 72 for reuse in reuses.values())


@pytest.mark.parametrize("style", STYLES)
def test_stages_pass_every_pixel_on(style):
    """Each stage takes what its streams bring, and what the pipeline makes is what the workload says."""
    found = layers("resnet-20", "shorten-skips")
    price = pricing(style)
    folding = fold_for(found, style, price, device("alveo-u200").budget(), 100_000)
    dataflow = build(found, folding.folds, style, folding.memories)
    for layer in found:
        for edge in layer.outputs:
            assert dataflow.pixels(edge) == layer.made.pixels
            assert dataflow.streams[edge].pixel_bits >= layer.made.channels * layer.out_bits
    lowered = lower_dataflow(dataflow)
    owners = np.repeat(np.arange(len(lowered.endless)), np.diff(lowered.endless.pred_ptr))
    assert len(owners) == len(lowered.endless.pred)

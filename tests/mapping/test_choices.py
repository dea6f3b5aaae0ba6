"""The mapper's choices: each is switchable, none costs anything, and each gains where it should."""

import numpy as np
import pytest

from accelsim.cost.digital import durations_fs
from accelsim.engine import run
from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.load import load_architecture
from accelsim.mapping.options import MappingOptions, mapping_options
from accelsim.mapping.records import LoopMapping, PipelineMapping
from accelsim.pipeline import evaluate
from accelsim.study.choices import mapping_choices
from accelsim.workload.load import load_workload

NONE = MappingOptions(fusion=False, pipelining=False, prefetch=False, resident_cache=False)
SLOW_LINKS = {"interconnect.bandwidth_bytes_per_cycle": 2, "memory.dram.bandwidth_bytes_per_s": 20e9}
CASES = [
    ("vgg-16", {}, "rapid-4core", {}, None),
    ("resnet-18", {"batch": 4}, "edge-npu", {}, None),
    ("bert-base", {}, "edge-npu", {}, None),
    ("resnet-18", {}, "systolic-128x128", {}, None),
    ("resnet-18", {"batch": 32}, "rapid-4core", SLOW_LINKS, "int4"),
    ("llama2-7b", {}, "rapid-4core", {"memory.dram.capacity_bytes": 1e12}, None),
]


def evaluated(case, options=None, **more):
    name, parameters, architecture, constants, precision = case
    arch = load_architecture(architecture).override(constants)
    return evaluate(load_workload(name, **parameters), arch, precision, options=options, **more)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}")
def test_no_choice_costs_anything_and_every_certificate_holds(case):
    free, none = evaluated(case), evaluated(case, NONE)
    assert free.check() == none.check() == []
    assert free.latency_s <= none.latency_s * (1 + 1e-9)
    for choice in mapping_choices(free):
        assert choice.gain >= 1 - 1e-9
        assert (choice.without_s is None) == (choice.taken == "")


@pytest.mark.parametrize("case", CASES[:5], ids=lambda case: f"{case[0]}-{case[2]}")
@pytest.mark.parametrize("detail", ["op", "tile"])
def test_engines_agree_on_groups_runs_and_pipelines(case, detail):
    result = evaluated(case, detail=detail, engine="maxplus")
    reference = run(result.tasks, durations_fs(result.tasks, result.architecture.description), "des")
    assert np.array_equal(reference.end_fs, result.timeline.end_fs)
    assert result.check() == []


def gains(case, **switches):
    options = MappingOptions(**switches)
    return {choice.name: choice for choice in mapping_choices(evaluated(case, options))}


def test_fusion_keeps_large_maps_on_chip():
    """VGG's first maps are 3.2 M elements: layer by layer they go through DRAM."""
    case = CASES[0]
    assert gains(case)["fusion"].gain > 1.02
    fused = evaluated(case, MappingOptions(prefetch=False))
    apart = evaluated(case, MappingOptions(prefetch=False, fusion=False))
    assert any(isinstance(each, LoopMapping) and each.depth_first for each in fused.mapping.ops)
    assert fused.dram_bytes < apart.dram_bytes


def test_prefetch_hides_loads_behind_computation():
    assert gains(CASES[3])["prefetch"].gain > 1.02


def test_a_pipeline_pays_where_the_network_is_slow():
    """Layer by layer, inputs cross the network for each layer on all cores; in a pipeline only between stages."""
    result = evaluated(CASES[4])
    pipelines = [each for each in result.mapping.ops if isinstance(each, PipelineMapping)]
    assert pipelines
    stages = pipelines[0].stages
    assert [stage.first_core for stage in stages] == [index * stages[0].cores for index in range(len(stages))]
    assert gains(CASES[4])["pipelining"].gain > 1


def test_caches_on_chip_save_their_traffic():
    """An encoder-decoder's caches fit; without residency every token reads and writes them in DRAM."""
    case = ("whisper-tiny", {"part": "decoder"}, "rapid-4core", {}, None)
    taken = gains(case)["resident_cache"]
    assert taken.gain > 1
    off = evaluated(case, MappingOptions(resident_cache=False))
    assert off.dram_bytes > evaluated(case).dram_bytes


def test_resident_weights_are_not_loaded_at_all():
    case = ("resnet-18", {}, "tpu-v4i", {}, None)
    steady = evaluated(case, MappingOptions(resident_weights=True))
    assert steady.check() == []
    assert steady.dram_bytes < 0.1 * evaluated(case).dram_bytes
    assert steady.latency_s < evaluated(case).latency_s


def test_options_are_checked():
    assert mapping_options(None) == MappingOptions()
    assert mapping_options({"fusion": False}) == MappingOptions(fusion=False)
    with pytest.raises(UnknownNameError, match="fusion"):
        mapping_options({"fusoin": True})
    with pytest.raises(InputError, match="true or false"):
        mapping_options({"fusion": "off"})

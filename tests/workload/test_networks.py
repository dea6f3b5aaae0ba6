"""Networks whose counts tests/study/test_validate_workloads.py compares with the canonical table: what else holds."""

from __future__ import annotations

import pytest

from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate
from accelsim.workload.load import load_workload
from accelsim.workload.ops import MatMul
from accelsim.workload.vector_work import element_work

SMALL = {
    "alexnet": {"image_size": 64},
    "convnext-t": {"image_size": 32},
    "densenet-121": {"image_size": 32},
    "efficientnet-b0": {"image_size": 32},
    "inception-v3": {"image_size": 75},
    "mobilenet-v3-large": {"image_size": 32},
    "resnet-101": {"image_size": 32},
    "shufflenet-v2": {"image_size": 32},
    "squeezenet": {"image_size": 33},
    "swin-t": {"image_size": 224},
    "vgg-19": {"image_size": 32},
    "dblstm-3x250": {"frames": 7},
    "graphchallenge": {"neurons": 64, "layers": 4},
    "rnnt-mlperf": {"search": "lattice", "audio_s": 0.6},
    "rnnt": {"search": "lattice", "audio_s": 0.5},
}


@pytest.mark.parametrize("name", SMALL)
def test_structure_and_batch(name: str) -> None:
    one, three = (load_workload(name, **SMALL[name], batch=batch) for batch in (1, 3))
    read = {tensor for op, _ in one.walk() for tensor in op.inputs}
    assert {tensor.name for tensor in one.all_tensors() if tensor.role == "weight"} <= read
    for op, _ in one.walk():
        element_work(op)  # refuses a function without a known cost
    assert (three.macs, three.parameters) == (3 * one.macs, one.parameters)


@pytest.mark.parametrize("name", SMALL)
def test_evaluates_with_all_certificates(name: str) -> None:
    result = evaluate(load_workload(name, **SMALL[name]), load_architecture("rapid-4core"), "int4")
    assert result.check() == []


@pytest.mark.parametrize("name", [name for name, parameters in SMALL.items() if "image_size" in parameters])
def test_images_that_are_too_small_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="image_size: 12 must be"):
        load_workload(name, image_size=12)


def test_windows_must_tile_every_stage() -> None:
    assert load_workload("swin-t", image_size=448).macs > 4 * load_workload("swin-t").macs * 0.99
    with pytest.raises(InputError, match="multiple of 224"):
        load_workload("swin-t", image_size=256)


def test_the_lattice_of_a_transducer() -> None:
    """Frames x symbols joint products of (1024 + 320) x 512 + 512 x 29; the prediction network runs once."""
    graph = load_workload("rnnt-mlperf", search="lattice", audio_s=15, symbols_per_s=4)
    joint = sum(op.macs for op in graph.ops if isinstance(op, MatMul) and op.name.startswith("joint."))
    assert joint == 250 * 60 * (1344 * 512 + 512 * 29)
    assert graph.parameters == load_workload("rnnt-mlperf").parameters
    with pytest.raises(InputError, match="language models take part in a search only"):
        load_workload("rnnt-lm-fusion", search="lattice")
    with pytest.raises(UnknownNameError, match="Did you mean 'lattice'"):
        load_workload("rnnt", search="latice")


def test_zeros_of_a_sparse_network_are_recorded() -> None:
    graph = load_workload("graphchallenge", neurons=64, layers=4, batch=10)
    assert (graph.nonzero_parameters, graph.parameters) == (32 * 64 * 4, 64 * 64 * 4)
    assert graph.macs == 10 * graph.parameters  # of dense layers
    with pytest.raises(InputError, match="must be at most neurons = 16"):
        load_workload("graphchallenge", neurons=16)


def test_the_second_classifier_is_for_training() -> None:
    plain, both = (load_workload("inception-v3", auxiliary=each) for each in (False, True))
    assert (len(plain.outputs), len(both.outputs)) == (1, 2)
    assert both.parameters - plain.parameters == 3_326_696  # 128 x 770 + 768 x (3200 + 2) + 769 x 1000

"""Designs of different structure, each with a mapping of its own: every row equals `simulate`, to the last bit."""

import numpy as np
import pytest

from accelsim.hardware.load import Architecture, load_architecture
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline.digital import description_of
from accelsim.study.batch import FEASIBLE, evaluate_batch
from accelsim.study.batch.structures.evaluate import FOUND, Structures
from accelsim.study.batch.structures.facts import facts_of
from accelsim.study.batch.timings import Question
from accelsim.workload.load import load_workload
from tests.study.batch.test_equal import assert_equal

DATAFLOWS = [["weight_stationary"], ["output_stationary"], ["input_stationary", "weight_stationary"]]


def structures(rng, designs, *, cores=(1,), capacities=(16, 24), **more):
    """Random columns of what designs are made of, and of one rate."""

    def of(choices):
        return [choices[index] for index in rng.integers(0, len(choices), designs)]

    return {
        "array.rows": of([8, 24, 32, 100, 256]),
        "array.columns": of([8, 32, 48, 128]),
        "array.dataflows": of(DATAFLOWS),
        "array.per_core": of([1, 1, 2, 4]),
        "cores": of(list(cores)),
        "scratchpad.capacity_bytes": np.floor(2.0 ** rng.uniform(*capacities, designs)).tolist(),
        "memory.dram.bandwidth_bytes_per_s": 10.0 ** rng.uniform(9.5, 11.5, designs),
        "vector.lanes": of([8, 64]),
        **{path: of(choices) for path, choices in more.items()},
    }  # fmt: skip


CASES = [
    ("resnet-20", "systolic-32x32", {}),
    ("resnet-18", "rapid-4core", {"cores": (1, 2, 3, 4)}),
    ("mobilenet-v2", "systolic-32x32", {}),
    ("bert-base", "systolic-128x128", {"capacities": (20, 25)}),
    ("densenet-121", "edge-npu", {"cores": (1, 2)}),
    ("shufflenet-v2", "tpu-v4i", {"cores": (1, 2), "array.weight_fifo_bytes": [65536, 4194304]}),
    ("vit-b-16", "tpu-v1", {"array.whole_weight_tiles": [True, False], "capacities": (20, 25)}),
    ("swin-t", "northpole-like", {"cores": (2, 5)}),
    ("mlp", "mx-npu", {"cores": (1, 8)}),
    ("resnet-20", "rapid-4core", {
        "cores": (1, 4), "array.accumulator_bytes": [1024.0, 65536], "scratchpad.ports": [1, 2], "dma.engines": [1, 3],
        "array.units.fp16.reduction_per_pe": [1, 4], "interconnect.topology": ["ring", "mesh"],
        "memory.dram.channels": [1, 2], "memory.dram.burst_bytes": [32, 100], "memory.dram.capacity_bytes": [1e7, 8e9],
        "vector.cycles_special": [1.5, 8],
    }),
]  # fmt: skip


@pytest.mark.parametrize(("name", "chip", "more"), CASES)
def test_random_structures(name, chip, more):
    rng, designs = np.random.default_rng(len(name) * 37 + len(chip)), 36
    architecture = load_architecture(chip)
    known = architecture.description.parameters()
    overrides = {path: column for path, column in structures(rng, designs, **more).items() if path in known}
    rows = range(0, designs, 4)
    batch = assert_equal(load_workload(name), architecture, overrides, rows)
    assert batch.looped == np.count_nonzero(~batch.feasible)


def test_a_description_is_made_for_each_kind_not_for_each_design(monkeypatch):
    """Ends of columns and one design of each kind stand for all."""
    made, override = [], Architecture.override
    monkeypatch.setattr(Architecture, "override", lambda self, values: made.append(values) or override(self, values))
    sizes = {"array.rows": [8, 16, 32, 64] * 25, "array.columns": [8, 24] * 50, "array.per_core": [1, 1, 1, 2] * 25}
    overrides = {**sizes, "array.dataflows": [DATAFLOWS[row % 3] for row in range(100)]}
    batch = evaluate_batch(load_workload("mlp"), load_architecture("systolic-32x32"), None, overrides)
    assert batch.looped == 0
    assert len(made) <= 2 * len(sizes) + 3


@pytest.mark.parametrize("off", ["fusion", "prefetch"])
def test_choices_of_the_mapper(off):
    overrides = structures(np.random.default_rng(len(off)), 20)
    batch = assert_equal(load_workload("resnet-20"), load_architecture("systolic-32x32"), overrides, range(0, 20, 4),
                         **{off: False})  # fmt: skip
    assert batch.looped == 0


def test_a_batch_of_samples_on_one_core():
    overrides = structures(np.random.default_rng(11), 16)
    batch = assert_equal(
        load_workload("resnet-20", batch=4), load_architecture("systolic-32x32"), overrides, (0, 7, 15)
    )
    assert batch.looped == 0


def test_what_fits_nowhere_is_told():
    overrides = {"scratchpad.capacity_bytes": [512.0, 1e6, 64.0, 2e6], "array.rows": [8, 8, 16, 16]}
    batch = assert_equal(load_workload("resnet-20"), load_architecture("systolic-32x32"), overrides, range(4))
    assert batch.feasible.tolist() == [False, True, False, True]


def test_a_memory_that_is_too_small_is_told():
    architecture = load_architecture("systolic-32x32")
    overrides = {"memory.dram.capacity_bytes": [1e5, 1e9, 1e5, 1e9], "array.rows": [8, 8, 16, 16]}
    batch = assert_equal(load_workload("resnet-18"), architecture, overrides, range(4))
    assert batch.feasible.tolist() == [False, True, False, True]


def test_formats_are_those_of_each_design():
    architecture = load_architecture("rapid-4core")
    overrides = {"array.rows": [8, 16, 32, 64]}
    for precision in ("int4", {"*": "fp16", "layer2.*": "int4"}):
        batch = assert_equal(load_workload("resnet-20"), architecture, overrides, range(4), precision)
        assert batch.looped == 0


def test_loops_are_planned_structure_by_structure():
    overrides = {"array.rows": [8, 16, 32, 64]}
    batch = assert_equal(load_workload("lstm"), load_architecture("systolic-32x32"), overrides, (0, 3))
    assert batch.looped == 0


def test_the_order_of_designs_does_not_matter():
    """Neighbours share what they search, which must not show."""
    workload, architecture = load_workload("resnet-20"), load_architecture("systolic-32x32")
    overrides = {"scratchpad.capacity_bytes": np.floor(2.0 ** np.linspace(14, 22, 24))}
    forward = evaluate_batch(workload, architecture, None, overrides)
    alone = [
        evaluate_batch(workload, architecture, None, {
            path: [column[row], column[row], 7777.0 * (row + 3)] for path, column in overrides.items()
        }).latency_s[0] for row in range(24)
    ]  # fmt: skip
    np.testing.assert_array_equal(forward.latency_s, alone)


def test_more_memory_and_bandwidth_are_never_slower():
    workload, base = load_workload("resnet-20"), load_architecture("systolic-32x32")
    arch = description_of(base)
    question = Question(workload, None, MappingOptions())
    graph, choice = question.prepared(arch)
    capacities, bandwidths = np.floor(2.0 ** np.arange(15, 23)), 10.0 ** np.linspace(9, 12, 7)
    archs = [
        description_of(base.override({"scratchpad.capacity_bytes": c, "memory.dram.bandwidth_bytes_per_s": b}))
        for c in capacities for b in bandwidths
    ]  # fmt: skip
    found = Structures.of(facts_of(graph, arch, choice), archs, MappingOptions())
    assert np.all(found.codes == FOUND)
    times = found.makespan_fs.reshape(len(capacities), len(bandwidths)).astype(float)
    slack = 1 + 1e-9  # tasks are rounded to femtoseconds one by one
    assert np.all(times[1:] <= times[:-1] * slack)
    assert np.all(times[:, 1:] <= times[:, :-1] * slack)


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_find_the_same(threads):
    workload, architecture = load_workload("resnet-20"), load_architecture("systolic-32x32")
    overrides = {
        "scratchpad.capacity_bytes": np.floor(2.0 ** np.linspace(8, 22, 44)),
        "array.rows": [8, 16, 32, 64] * 11,
    }
    one = evaluate_batch(workload, architecture, None, overrides)
    several = evaluate_batch(workload, architecture, None, overrides, threads=threads)
    assert 0 < np.sum(one.infeasible == FEASIBLE) < 44
    for (name, column), (_, other) in zip(one.columns(), several.columns(), strict=True):
        np.testing.assert_array_equal(column, other, err_msg=name)
    assert [one.reasons[code] for code in one.infeasible if code >= 0] == [
        several.reasons[code] for code in several.infeasible if code >= 0
    ]

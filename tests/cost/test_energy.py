"""Energy by op, component and level: parts add up, and tampering is found."""

from dataclasses import replace

import numpy as np
import pytest

from accelsim.cost.records import LEVELS
from accelsim.hardware.load import Architecture, load_architecture
from accelsim.pipeline import evaluate
from accelsim.workload.load import load_workload


@pytest.fixture(scope="module", params=["rapid-4core", "northpole-like", "tpu-v4i"])
def run(request):
    return evaluate(load_workload("resnet-18"), load_architecture(request.param))


def test_parts_add_up(run):
    priced = run.energy
    assert priced.violations() == []
    assert priced.by_op_component_j.shape == (len(priced.by_op_j), len(priced.components))
    assert set(priced.components) | {"leakage"} == set(priced.by_component_j)
    assert tuple(priced.by_level_j) == LEVELS
    assert sum(priced.by_level_j.values()) == pytest.approx(run.energy_j)
    assert 0 < priced.array_local_j < priced.by_component_j["array"]


def test_registers_are_told_apart_only_by_a_technology(run):
    known = run.architecture
    plain = Architecture(known.description.model_copy(update={"technology": None}), known.file)
    levels = evaluate(load_workload("resnet-18"), plain).energy.by_level_j
    assert levels["array_local"] is None
    assert levels["compute"] == pytest.approx(run.energy.by_level_j["compute"] + run.energy.by_level_j["array_local"])


@pytest.mark.parametrize(
    "change",
    [
        lambda e: {"by_op_j": e.by_op_j * 2},
        lambda e: {"by_component_j": {**e.by_component_j, "array": 0.0}},
        lambda e: {"by_op_component_j": e.by_op_component_j[:, ::-1]},
        lambda e: {"by_op_component_j": np.roll(e.by_op_component_j, 1, axis=0)},
    ],
)  # fmt: skip
def test_tampering_is_found(run, change):
    assert replace(run.energy, **change(run.energy)).violations()

"""Searches: reproducible from the seed, inside the space, within the budget; refinement that may see all finds all."""

import importlib.util

import pytest

import accelsim
from accelsim.errors import UnsupportedError

from .conftest import same_rows

CONDITIONAL = {
    "interconnect.topology": ["ring", "mesh"],
    "interconnect.hop_latency_cycles": {"values": [1, 2, 4], "when": {"interconnect.topology": "mesh"}},
    "memory.dram.bandwidth_bytes_per_s": {"low": 1e9, "high": 64e9, "scale": "log"},
    "scratchpad.capacity_bytes": [16, 65536, 1048576],
}


@pytest.mark.parametrize(
    "strategy",
    [
        {"kind": "optuna", "sampler": "nsga2", "population": 6},
        {"kind": "optuna", "sampler": "nsga3", "population": 6},
        {"kind": "optuna", "sampler": "tpe", "population": 6},
        {"kind": "refine", "population": 6, "first": 6},
        {"kind": "sobol"},
        {"kind": "latin_hypercube"},
        {"kind": "random"},
    ],
    ids=lambda strategy: strategy.get("sampler", strategy["kind"]),
)
def test_a_search_keeps_to_its_space_budget_and_seed(base, strategy):
    document = {**base, "axes": CONDITIONAL, "strategy": strategy, "budget": 16, "seed": 5}
    found = accelsim.sweep(document, workers=1)
    frame = found.frame
    assert len(frame) == 16
    assert frame["memory.dram.bandwidth_bytes_per_s"].between(1e9, 64e9).all()
    absent = frame["interconnect.hop_latency_cycles"].isna()
    assert (absent == (frame["interconnect.topology"] == "ring")).all()
    assert set(frame["interconnect.hop_latency_cycles"].dropna()) <= {1, 2, 4}
    assert (frame["status"].astype(str) == "infeasible").equals(frame["scratchpad.capacity_bytes"] == 16)
    assert same_rows(accelsim.sweep(document, workers=1).run.table(), found.run.table())
    other = accelsim.sweep({**document, "seed": 6}, workers=1)
    assert not same_rows(other.run.table(), found.run.table())


def test_refinement_that_may_look_at_everything_finds_the_front(base):
    document = {**base, "strategy": {"kind": "refine", "population": 8, "first": 8}, "budget": 60}
    found, whole = accelsim.sweep(document, workers=1), accelsim.sweep(base, workers=1)
    assert found.findings["exhausted"], "a grid of 48 designs has not 60"
    names = ["latency_s", "energy_j"]
    assert found.pareto[names].to_numpy().tolist() == whole.pareto[names].to_numpy().tolist()
    axes = [axis.name for axis in found.run.sweep.space.axes]
    assert not found.frame[axes].astype(str).duplicated().any()


def test_space_filling_draws_visit_every_value_equally_often(base):
    frame = accelsim.sweep({**base, "strategy": {"kind": "latin_hypercube"}, "budget": 24}, workers=1).frame
    for axis, times in (("precision", 12), ("scratchpad.capacity_bytes", 8), ("memory.dram.bandwidth_bytes_per_s", 6)):
        assert set(frame[axis].value_counts()) == {times}


@pytest.mark.skipif(importlib.util.find_spec("torch") is not None, reason="torch is installed")
def test_a_sampler_whose_package_is_missing_is_told(base):
    document = {**base, "strategy": {"kind": "optuna", "sampler": "gp"}, "budget": 4}
    with pytest.raises(UnsupportedError, match=r"needs the package torch.*accelsim\[torch\]"):
        accelsim.sweep(document, workers=1)

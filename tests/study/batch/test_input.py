"""Columns that are refused, and what they are refused with."""

import numpy as np
import pytest

from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.load import load_architecture
from accelsim.study.batch import evaluate_batch
from accelsim.workload.load import load_workload


@pytest.mark.parametrize(
    ("overrides", "error", "words"),
    [
        ({}, InputError, "at least one column"),
        ({"cores": [1, 2], "leakage_w": [1.0]}, InputError, "has 1 values, cores has 2"),
        ({"cors": [1, 2]}, UnknownNameError, "Did you mean 'cores'"),
        ({"memory.dram.bandwidth": [1.0]}, UnknownNameError, "memory.dram.bandwidth"),
        ({"memory.dram.latency_s": [1e-7, np.nan]}, InputError, "finite"),
        ({"memory.dram.latency_s": [1e-7, -1e-7]}, InputError, "must not be negative"),
        ({"memory.dram.efficiency": np.array([0.5, 1.5])}, InputError, "at most 1"),
        ({"clocks.core.clock_hz": ["fast"]}, InputError, "clocks.core.clock_hz"),
        ({"cores": [1, 1.5]}, InputError, "whole number"),
    ],
)
def test_refused(overrides, error, words):
    with pytest.raises(error) as caught:
        evaluate_batch(load_workload("gemm"), load_architecture("rapid-4core"), None, overrides)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("bad", "value"),
    [
        ("array.rows", -1), ("array.rows", 8.5), ("array.columns", 0), ("array.per_core", np.nan),
        ("array.rows", 200_000), ("scratchpad.capacity_bytes", 0), ("scratchpad.capacity_bytes", np.inf),
        ("vector.lanes", "64"), ("array.columns", None), ("array.rows", True), ("array.accumulator_bytes", -1.0),
        ("memory.dram.efficiency", 1.5), ("array.dataflows", ["sideways"]), ("interconnect.topology", "star"),
        ("clocks.core.clock_hz", -1e9), ("power_limit_w", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("row", [0, 3, 6])
def test_the_complaint_is_that_of_the_design(bad, value, row):
    """As `Architecture.override` refuses the row, whatever the other rows hold."""
    architecture = load_architecture("rapid-4core")
    overrides = {
        "array.rows": [8, 16, 8, 16, 32, 8, 64], "array.columns": [8] * 7, "array.per_core": [1, 2, 1, 2, 1, 2, 1],
        "scratchpad.capacity_bytes": [2.0**k for k in range(16, 23)], "vector.lanes": [8] * 7,
        "array.accumulator_bytes": [1024.0] * 7, "memory.dram.efficiency": np.linspace(0.5, 1.0, 7).tolist(),
        "array.dataflows": [["weight_stationary"]] * 7, "interconnect.topology": ["ring", "mesh"] * 3 + ["ring"],
        "clocks.core.clock_hz": [1e9] * 7, "power_limit_w": [5.0] * 7,
    }  # fmt: skip
    overrides[bad] = [value if index == row else good for index, good in enumerate(overrides[bad])]
    with pytest.raises(InputError) as alone:
        architecture.override({path: column[row] for path, column in overrides.items()})
    with pytest.raises(InputError) as together:
        evaluate_batch(load_workload("gemm"), architecture, None, overrides)
    assert str(together.value) == str(alone.value)


@pytest.mark.parametrize("row", [0, 2, 5])
def test_a_rule_across_fields_is_that_of_the_design(row):
    """One design makes too many MACs a cycle, though each of its sizes is allowed and occurs in others."""
    architecture = load_architecture("systolic-32x32")
    sizes = {
        "array.rows": [1e5, 1, 1, 1e5, 1, 1],
        "array.columns": [1, 1e5, 1, 1, 1e5, 1],
        "array.per_core": [1] * 5 + [1e5],
    }
    overrides = {path: [1e5 if at == row else size for at, size in enumerate(column)] for path, column in sizes.items()}
    overrides["array.dataflows"] = [["weight_stationary"], ["output_stationary"]] * 3
    with pytest.raises(InputError, match="above the limit") as alone:
        architecture.override({path: column[row] for path, column in overrides.items()})
    with pytest.raises(InputError) as together:
        evaluate_batch(load_workload("gemm"), architecture, None, overrides)
    assert str(together.value) == str(alone.value)


def test_no_designs():
    found = evaluate_batch(load_workload("gemm"), load_architecture("rapid-4core"), None, {"cores": []})
    assert len(found) == 0
    assert found.latency_s.shape == (0,)

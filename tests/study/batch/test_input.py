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


def test_no_designs():
    found = evaluate_batch(load_workload("gemm"), load_architecture("rapid-4core"), None, {"cores": []})
    assert len(found) == 0
    assert found.latency_s.shape == (0,)

"""No result is faster than its lower bound."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate
from accelsim.study.gap import optimality_gap
from accelsim.workload.load import load_workload

RUNS = [
    ("resnet-18", "systolic-32x32"),
    ("resnet-50", "rapid-4core"),
    ("mobilenet-v2", "edge-npu"),
    ("bert-base", "tpu-v1"),
    ("rnnt-lm-fusion", "rapid-4core"),
    ("vit-b-16:batch=8", "rapid-4core"),  # a pipeline
]


@pytest.mark.parametrize(("name", "arch"), RUNS)
def test_every_gap_is_at_least_one(name, arch):
    name, _, batch = name.partition(":batch=")
    run = evaluate(load_workload(name, **({"batch": int(batch)} if batch else {})), load_architecture(arch))
    gap = optimality_gap(run)
    matrix = np.array([each.problem is not None for each in run.mapping.walk()])
    assert np.isnan(gap.by_op[~matrix]).all()
    assert (gap.by_op[matrix] >= 1 - 1e-9).all()
    assert gap.whole >= 1 - 1e-9
    assert gap.least_s["array"] >= run.ideal_s * (1 - 1e-2)  # a cycle an op and core is let go


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 2000), st.integers(1, 2000), st.integers(1, 2000), st.sampled_from(["rapid-4core", "tpu-v1"]))
def test_of_any_product(m, n, k, arch):
    run = evaluate(load_workload("gemm", m=m, n=n, k=k), load_architecture(arch))
    gap = optimality_gap(run)
    assert np.nanmin(gap.by_op) >= 1 - 1e-9
    assert gap.whole >= 1 - 1e-9


def test_a_product_that_streams_its_weights_is_near_the_bound():
    """One row by 4096 x 4096: all but the start and the end hides behind the DRAM."""
    run = evaluate(load_workload("gemm", m=1, n=4096, k=4096), load_architecture("systolic-64x64-overlapped"))
    gap = optimality_gap(run)
    assert gap.bounding == "dram"
    assert gap.whole < 1.05

"""The parts of each op's time add up, and each is what its name says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.hardware.load import load_architecture
from accelsim.mapping.records import LoopMapping, OpMapping, _walk
from accelsim.pipeline import evaluate
from accelsim.study.cycles import PARTS, time_parts
from accelsim.units import FS_PER_S
from accelsim.workload.load import load_workload

RUNS = [
    ("resnet-18", "systolic-32x32", "op"),
    ("resnet-18", "rapid-4core", "tile"),
    ("rnnt-lm-fusion", "rapid-4core", "op"),
    ("mobilenet-v2", "edge-npu", "op"),
    ("gemm", "tpu-v1", "op"),
    ("lstm", "systolic-16x16-os", "tile"),
]


@pytest.mark.parametrize(("name", "arch", "detail"), RUNS)
def test_parts_add_up_to_the_latency(name, arch, detail):
    """Ops run one after the other here, so that the times of those that follow no other add up, to the femtosecond."""
    run = evaluate(load_workload(name), load_architecture(arch), detail=detail)
    assert all(isinstance(each, OpMapping | LoopMapping) for each in run.mapping.ops)
    parts = time_parts(run)
    for part in PARTS:
        assert (getattr(parts, part) >= 0).all(), part
    alone = np.array([not op.follows for op in run.mapping.walk()])
    assert parts.total[alone].sum() == run.timeline.makespan_fs


@pytest.mark.parametrize(("name", "arch", "detail"), [run for run in RUNS if run[2] == "op"])
def test_parts_of_an_op_add_up_to_its_time(name, arch, detail):
    run = evaluate(load_workload(name), load_architecture(arch), detail=detail)
    checked = 0
    for each, total in zip(run.mapping.ops, _totals(run), strict=True):
        if isinstance(each, OpMapping) and each.time_s > 0 and not each.ahead_bytes:
            # The engine rounds each of its tasks to whole femtoseconds.
            assert total / FS_PER_S == pytest.approx(each.time_s, rel=1e-8, abs=1e-13)
            checked += 1
    assert checked


def _totals(run):
    """Femtoseconds of each part of the sequence."""
    totals, position = time_parts(run).total.tolist(), 0
    for each in run.mapping.ops:
        if isinstance(each, OpMapping):
            yield totals[position]
            position += 1
        else:
            yield None
            position += sum(1 for _ in _walk((each,)))


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 300), st.integers(1, 300), st.integers(1, 300),
    st.sampled_from(["ws", "os", "is"]), st.booleans(), st.sampled_from(["op", "tile"]),
)  # fmt: skip
def test_a_product_alone(m, n, k, flow, overlapped, detail):
    """Ideal is MACs over peak; ideal and spatial are whole folds; with fill and port they are the array's time."""
    arch = load_architecture(f"systolic-16x16-{flow}{'-overlapped' if overlapped else ''}")
    run = evaluate(load_workload("gemm", m=m, n=n, k=k), arch, detail=detail)
    (mapped,) = (each for each in run.mapping.walk() if each.metrics is not None)
    index = [each is mapped for each in run.mapping.walk()].index(True)
    parts = {name: int(getattr(time_parts(run), name)[index]) for name in PARTS}
    cycle = FS_PER_S // 10**9
    assert parts["ideal"] == pytest.approx(m * n * k / 256 * cycle, abs=1)
    busy = parts["ideal"] + parts["spatial"] + parts["fill"] + parts["port"]
    # Each task is rounded to whole femtoseconds.
    assert busy == pytest.approx(mapped.metrics.array_cycles * cycle, abs=mapped.metrics.tiles + 2)
    held, streamed = {"ws": ((k, n), m), "os": ((m, n), k), "is": ((k, m), n)}[flow]
    least = -(-held[0] // 16) * -(-held[1] // 16) * streamed
    assert parts["ideal"] + parts["spatial"] >= least * cycle - 1
    assert parts["fill"] > 0
    assert parts["launch"] == 0


def test_hand_counted():
    """40 x 20 by 20 x 20 on 16 x 16, weight stationary: 4 folds of 40 + 46 cycles, less the last cycle."""
    arch = load_architecture("systolic-16x16-ws").override({"memory.dram.latency_s": 0})
    run = evaluate(load_workload("gemm", m=40, n=20, k=20), arch)
    mapped = next(each for each in run.mapping.walk() if each.metrics is not None)
    parts = time_parts(run)
    cycle = FS_PER_S // 10**9
    index = list(run.mapping.walk()).index(mapped)
    near = {"abs": mapped.metrics.tiles}  # the engine rounds each task to whole femtoseconds
    assert parts.ideal[index] == 40 * 20 * 20 / 256 * cycle
    assert (parts.ideal + parts.spatial)[index] == 4 * 40 * cycle
    assert parts.fill[index] == pytest.approx((4 * 46 - 1) * cycle, **near)

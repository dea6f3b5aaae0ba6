"""Task graphs of mapped workloads: nothing is lost between the details, and dependencies hold."""

import numpy as np
import pytest

from accelsim.hardware.load import load_architecture
from accelsim.mapping.lower import ACTIONS
from accelsim.mapping.records import LoopMapping
from accelsim.pipeline import evaluate
from accelsim.workload.load import load_workload

CASES = [
    ("gemm", {}),
    ("lstm", {"steps": 7}),
    ("resnet-18", {}),
    ("rnnt", {"audio_s": 0.2}),
    ("rnnt-lm-fusion", {"audio_s": 0.1}),
    ("dblstm-hmm", {"audio_s": 0.1}),
]
ARCHITECTURES = ["rapid-4core", "systolic-32x32"]


def amounts(run, action):
    return run.tasks.amount[(run.tasks.action == ACTIONS.index(action)) & (run.tasks.resource >= 0)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("name", "parameters"), CASES, ids=[name for name, _ in CASES])
def test_op_and_tile_detail_move_and_compute_the_same(name, parameters, architecture):
    workload, arch = load_workload(name, **parameters), load_architecture(architecture)
    by_op = evaluate(workload, arch, "fp16", detail="op")
    by_tile = evaluate(workload, arch, "fp16", detail="tile")
    cores = arch.description.n_cores
    for action in ("array", "vector"):
        assert amounts(by_tile, action).sum() == pytest.approx(cores * amounts(by_op, action).sum(), rel=1e-6, abs=1)
    burst = arch.description.memory.dram.burst_bytes.value * arch.description.memory.dram.channels.value
    for action in ("dram_read", "dram_write"):
        fine, coarse = amounts(by_tile, action), amounts(by_op, action)
        # Each transfer is rounded up to whole bursts, so they differ by less than one burst a transfer.
        assert abs(fine.sum() - coarse.sum()) <= burst * max(len(fine), len(coarse))
    # Vector work that follows tile by tile may gain a little, buffers that fill up cost some.
    assert 0.97 * by_op.latency_s <= by_tile.latency_s <= 1.2 * by_op.latency_s
    assert by_op.check() == []
    assert by_tile.check() == []


def test_dram_amounts_are_the_mapping_s():
    run = evaluate(load_workload("resnet-18"), load_architecture("rapid-4core"), "fp16")
    loads = sum((op.stream.load_bytes + (op.ahead_bytes or 0.0)) * op.executions for op in run.mapping.walk())
    loads += sum(each.load_bytes for each in run.mapping.ops if isinstance(each, LoopMapping))
    stores = sum(op.stream.store_bytes * op.executions for op in run.mapping.walk())
    burst = 256
    assert loads <= amounts(run, "dram_read").sum() <= loads + burst * len(run.tasks)
    assert stores <= amounts(run, "dram_write").sum() <= stores + burst * len(run.tasks)


def test_a_step_waits_for_the_step_before():
    """With 3 times as many steps the loop takes 3 times as long: nothing of it runs in parallel."""
    arch = load_architecture("systolic-32x32")
    short, long = (evaluate(load_workload("lstm", steps=steps), arch, "int4") for steps in (50, 150))
    assert long.latency_s == pytest.approx(3 * short.latency_s, rel=0.1)


def test_resident_weights_are_loaded_once():
    """An LSTM whose recurrent weights fit loads them once; on a scratchpad too small for them, in every step."""
    arch = load_architecture("systolic-32x32")
    workload = load_workload("lstm", steps=40, input_size=64, hidden_size=256, layers=1)
    fits = evaluate(workload, arch, "fp16")
    small = evaluate(workload, arch.override({"scratchpad.capacity_bytes": 200_000}), "fp16")
    recurrent = 256 * 4 * 256 * 2
    assert fits.dram_bytes < 2 * recurrent
    assert small.dram_bytes > 39 * recurrent


def test_every_task_names_a_mapped_op():
    run = evaluate(load_workload("rnnt-lm-fusion", audio_s=0.1), load_architecture("rapid-4core"), "int4")
    count = sum(1 for _ in run.mapping.walk())
    assert np.all((run.tasks.op >= 0) & (run.tasks.op < count))
    run.tasks.check()


@pytest.mark.parametrize("precision", ["fp16", "int4"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("name", "parameters"), CASES, ids=[name for name, _ in CASES])
def test_the_mapper_s_time_is_the_engine_s(name, parameters, architecture, precision):
    """The closed form that the search minimises is the makespan of the tasks, to their rounding."""
    run = evaluate(load_workload(name, **parameters), load_architecture(architecture), precision)
    assert run.latency_s == pytest.approx(run.mapping.time_s, rel=1e-8)


def test_loads_overlap_computation_within_an_op():
    """A product with many tiles takes about the longer of its transfers and its computation, not their sum."""
    run = evaluate(
        load_workload("gemm", m=2048, n=2048, k=2048), load_architecture("systolic-32x32"), "fp16", detail="tile"
    )
    busy = run.utilization
    assert busy["core0.array"] > 0.95
    assert busy["dram"] + busy["core0.array"] > 1.05


def test_states_too_large_for_the_scratchpads_live_in_dram():
    """With less room than its states need, a recurrent layer reads and writes them in every step."""
    workload = load_workload("lstm", steps=20, batch=64, input_size=64, hidden_size=1024, layers=1)
    arch = load_architecture("systolic-32x32")
    roomy = evaluate(workload, arch.override({"scratchpad.capacity_bytes": 32e6}), "fp16")
    tight = evaluate(workload, arch.override({"scratchpad.capacity_bytes": 3e6}), "fp16")
    assert roomy.check() == []
    assert tight.check() == []
    state = 64 * 1024 * 2
    assert tight.dram_bytes - roomy.dram_bytes > 19 * 2 * state

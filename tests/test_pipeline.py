"""Whole evaluations: certificates on every bundled pair, engines equal, and a better machine is never slower."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.cost.digital import durations_fs
from accelsim.engine import run
from accelsim.errors import InfeasibleError
from accelsim.hardware.load import list_architectures, load_architecture
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline import evaluate
from accelsim.workload.load import list_workloads, load_workload

ARCHITECTURES = [name for name, _ in list_architectures() if load_architecture(name).kind == "digital"]
WORKLOADS = [name for name, _ in list_workloads()]
TOO_LARGE = {("rnnt-lm-fusion", "eyeriss-like")}
"""Pairs that fit nowhere: the states of a beam of 16 hypotheses are three times the scratchpad's share for them."""
SHORT = {"rnnt": 0.3, "rnnt-lm-fusion": 0.2, "rnnt-mlperf": 0.5, "dblstm-hmm": 0.3}


def workload(name):
    return load_workload(name, audio_s=SHORT[name]) if name in SHORT else load_workload(name)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", WORKLOADS)
def test_certificates_and_equal_engines_on_every_pair(name, architecture):
    # Enough memory for the largest language models, which no bundled board holds.
    arch = load_architecture(architecture).override({"memory.dram.capacity_bytes": 1e12})
    if (name, architecture) in TOO_LARGE:
        with pytest.raises(InfeasibleError, match="scratchpad"):
            evaluate(workload(name), arch)
        return
    formats = list(arch.description.array.units)
    for precision in {formats[0], formats[-1]}:
        result = evaluate(workload(name), arch, precision, engine="maxplus")
        assert result.check() == []
        reference = run(result.tasks, durations_fs(result.tasks, arch.description), "des")
        assert np.array_equal(reference.start_fs, result.timeline.start_fs)
        assert np.array_equal(reference.end_fs, result.timeline.end_fs)


@pytest.mark.parametrize("name", ["lstm", "resnet-18", "rnnt"])
def test_engines_agree_at_tile_detail(name):
    arch = load_architecture("rapid-4core")
    fast = evaluate(workload(name), arch, "int4", detail="tile", engine="maxplus")
    slow = evaluate(workload(name), arch, "int4", detail="tile", engine="des")
    assert np.array_equal(fast.timeline.end_fs, slow.timeline.end_fs)
    assert fast.check() == []


BETTER = [
    "memory.dram.bandwidth_bytes_per_s", "scratchpad.capacity_bytes", "clocks.core.clock_hz", "vector.lanes",
    "scratchpad.bandwidth_bytes_per_cycle", "interconnect.bandwidth_bytes_per_cycle", "dma.bandwidth_bytes_per_cycle",
    "array.accumulator_bytes", "host.bandwidth_bytes_per_s",
]  # fmt: skip
LESS_IS_BETTER = ["memory.dram.latency_s", "op_overhead_cycles", "host.latency_s", "vector.cycles_special"]


@settings(max_examples=60, deadline=None)
@given(
    case=st.sampled_from(
        [(name, 1) for name in ("lstm", "mlp", "resnet-18", "vgg-16", "bert-base", "rnnt-lm-fusion", "dblstm-hmm")]
        + [(name, 8) for name in ("resnet-18", "resnet-20", "mobilenet-v2")]
    ),
    steady=st.booleans(),
    architecture=st.sampled_from(ARCHITECTURES),
    widest=st.booleans(),
    path=st.sampled_from(BETTER + LESS_IS_BETTER),
    base=st.floats(0.5, 4),
    factor=st.floats(1.01, 4),
)
def test_a_better_part_never_makes_the_whole_slower(case, steady, architecture, widest, path, base, factor):
    """The mapping is searched anew for both machines."""
    name, batch = case
    graph = workload(name) if batch == 1 else load_workload(name, batch=batch)
    options = MappingOptions(resident_weights=steady)
    arch = load_architecture(architecture)
    precision = list(arch.description.array.units)[0 if widest else -1]
    nominal = arch.constants()[path].value
    before, after = nominal * base, nominal * base * factor
    if path in LESS_IS_BETTER:
        before, after = after, before
    if path in ("vector.lanes",):
        before, after = round(before), round(after)
    try:
        slow = evaluate(graph, arch.override({path: before}), precision, options=options)
    except InfeasibleError:
        return
    fast = evaluate(graph, arch.override({path: after}), precision, options=options)
    assert fast.latency_s <= slow.latency_s * (1 + 1e-7)


@pytest.mark.parametrize("name", ["resnet-18", "rnnt-lm-fusion"])
def test_fewer_bits_move_fewer_bytes_and_take_less_energy(name):
    arch = load_architecture("rapid-4core")
    runs = [evaluate(workload(name), arch, precision) for precision in ("fp16", "hfp8", "int4", "int2")]
    for metric in ("weight_bytes", "dram_bytes", "energy_j", "latency_s"):
        values = [getattr(each, metric) for each in runs]
        assert values == sorted(values, reverse=True)


def test_peak_is_reached_by_a_large_product():
    """A product that fills the array in every fold runs at 98 % of the published peak or better."""
    arch = load_architecture("rapid-4core")
    result = evaluate(load_workload("gemm", m=8192, n=4096, k=4096), arch, "fp16")
    assert 0.98 < result.utilization["macs"] <= 1


def test_memory_bound_work_takes_its_bytes_over_the_bandwidth():
    """One row times a large weight: the time is that of reading the weight, to 5 %."""
    arch = load_architecture("rapid-4core")
    result = evaluate(load_workload("gemm", m=1, n=8192, k=8192), arch, "fp16")
    dram = arch.description.memory.dram
    least = 8192 * 8192 * 2 / (dram.bandwidth_bytes_per_s.value * dram.efficiency.value)
    assert result.bottleneck == "dram"
    assert least <= result.latency_s <= 1.05 * least


def test_energy_of_a_product_from_first_principles():
    """MACs, DRAM bytes and leakage of a product whose counts are known by hand."""
    arch = load_architecture("systolic-128x128")
    result = evaluate(load_workload("gemm", m=512, n=512, k=512), arch, "int8")
    parts, description = result.energy.by_component_j, arch.description
    assert parts["array"] == pytest.approx(512**3 * description.array.units["int8"].energy_pj_per_mac.value * 1e-12)
    assert parts["dram"] == pytest.approx(result.dram_bytes * description.memory.dram.energy_pj_per_byte.value * 1e-12)
    assert parts["leakage"] == pytest.approx(description.leakage_w.value * result.latency_s)
    assert result.energy_j == pytest.approx(sum(parts.values()))


def test_a_wrong_result_is_caught():
    """Certificates see a timeline that was tampered with and a lost op."""
    from dataclasses import replace

    result = evaluate(workload("lstm"), load_architecture("rapid-4core"), "fp16")
    shorter = replace(result.timeline, end_fs=result.timeline.end_fs // 50, start_fs=result.timeline.start_fs // 50)
    assert any("below work over peak" in each for each in replace(result, timeline=shorter).check())
    lost = replace(result, mapping=replace(result.mapping, ops=result.mapping.ops[:-1]))
    assert any("mapped MACs" in each for each in lost.check())
    cheaper = replace(result, energy=replace(result.energy, by_op_j=result.energy.by_op_j * 0.5))
    assert any("add up" in each for each in cheaper.check())

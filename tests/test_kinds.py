"""What every hardware kind owes its users: certificates, documents and reports, on every bundled architecture."""

import json
import math

import pytest

import accelsim
from accelsim.hardware.load import list_architectures, load_architecture

BUNDLED = [name for name, _ in list_architectures()]
SMALL = {"arty-a7-35t"}
"""Too small for a residual network."""
PROMISED = {
    "workload", "architecture", "precision", "latency_s", "real_time_factor", "throughput_per_s", "energy_j", "macs",
    "weight_bytes", "dram_bytes", "utilization", "bottleneck", "resources", "intervals", "provenance",
}  # fmt: skip
"""Keys of the document that DESIGN promises: null where a kind has no such metric, never missing."""


@pytest.fixture(scope="module", params=BUNDLED)
def result(request):
    arch = load_architecture(request.param)
    if arch.name in SMALL:
        return accelsim.simulate("conv", arch, precision="int4", intervals=False)
    workload = accelsim.load_workload("resnet-20", image_size=8 if arch.kind == "fpga" else 32)
    return accelsim.simulate(workload, arch, intervals=False)


def test_certificates_hold(result):
    assert result.check()
    assert 0 < result.latency_s < math.inf


def test_the_document_has_every_promised_key(result):
    document = json.loads(result.to_json())
    assert document.keys() >= PROMISED
    assert document["macs"] == result.macs > 0
    assert 0 < max(document["utilization"].values()) <= 1 + 1e-9
    assert document["bottleneck"] in document["utilization"]
    for held in document["resources"].values():
        assert 0 <= held["used"] <= held["budget"]


def test_every_op_has_a_row(result):
    ops = result.ops
    assert set(ops["op"]) >= {op.name for op in result.evaluation.graph.ops}
    assert ops["macs"].sum() == result.macs
    assert ops["critical_s"].sum() == pytest.approx(result.latency_s, rel=1e-6)
    if result.energy_j is not None:
        leakage = result.energy_by_component_j["leakage"]
        assert ops["energy_j"].sum() + leakage == pytest.approx(result.energy_j, rel=1e-9)


def test_reports_are_written(result, tmp_path):
    result.to_html(tmp_path / "report.html")
    result.to_perfetto(tmp_path / "trace.json")
    assert result.evaluation.architecture.name in (tmp_path / "report.html").read_text("utf-8")
    assert json.loads((tmp_path / "trace.json").read_text("utf-8"))["traceEvents"]

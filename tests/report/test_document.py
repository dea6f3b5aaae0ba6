from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from accelsim.engine.timeline import Timeline
from accelsim.hardware.load import Architecture, load_architecture
from accelsim.report.document import comparison_document, graph_signature, result_document
from accelsim.study.compare import compare_precisions
from accelsim.study.estimate import Estimate
from accelsim.workload.load import load_workload

KEYS = {
    "workload", "architecture", "precision", "latency_s", "real_time_factor", "throughput_per_s", "energy_j",
    "area_mm2", "macs", "parameters", "weight_bytes", "compression", "dram_bytes", "peak_activation_bytes",
    "utilization", "bottleneck", "resources", "intervals", "sensitivity", "energy_by_component_j", "notes",
    "provenance",
}  # fmt: skip


def strict(document):
    """Through JSON and back: what a reader of the file gets."""
    return json.loads(json.dumps(document, allow_nan=False))


def test_every_key_and_the_figures_of_the_evaluation(result):
    document, run = strict(result_document(result)), result.evaluation
    assert document.keys() >= KEYS
    for key in ("latency_s", "real_time_factor", "energy_j", "macs", "weight_bytes", "dram_bytes", "bottleneck"):
        assert document[key] == getattr(run, key)
    assert document["utilization"] == run.utilization
    assert math.isclose(sum(document["energy_by_component_j"].values()), run.energy_j)
    assert document["intervals"].keys() == result.intervals.keys()
    for metric, (low, high) in document["intervals"].items():
        assert low <= document[metric] * (1 + 1e-9)
        assert document[metric] <= high * (1 + 1e-9)


def test_absent_metrics_are_null(nasty, tiled):
    document = strict(result_document(nasty))
    assert document["real_time_factor"] is None
    assert document["audio_s"] is None
    assert document["provenance"]["seed"] is None
    assert strict(result_document(tiled))["intervals"] == {}
    assert strict(result_document(tiled))["sensitivity"] == []
    known = load_architecture("systolic-32x32")
    bare = Architecture(known.description.model_copy(update={"technology": None}), known.file)
    assert bare.description.area_mm2 is None
    run = replace(nasty.evaluation, architecture=bare)
    document = strict(result_document(Estimate(run, None)))
    assert document["area_mm2"] is document["area_source"] is document["area_predicted_mm2"] is None
    assert document["area_by_component_mm2"] == {}
    assert document["unthrottled"] is None


def test_infinite_is_null(nasty):
    run = nasty.evaluation
    nothing = replace(run, timeline=Timeline(run.timeline.start_fs * 0, run.timeline.end_fs * 0, "none"))
    document = strict(result_document(Estimate(nothing, None)))
    assert document["throughput_per_s"] is None
    assert document["latency_s"] == 0


def test_sensitivity_is_ranked_and_explained(speech):
    rows = strict(result_document(speech))["sensitivity"]
    assert len(rows) > 10
    assert all(row.keys() == {"path", "nominal", "tried", "why", "spans"} for row in rows)
    widths = [high - low for low, high in (row["spans"]["latency_s"] for row in rows)]
    assert widths == sorted(widths, reverse=True)
    assert all(row["why"] and row["tried"] for row in rows)


def test_provenance_tells_inputs_apart(architecture, speech):
    told = result_document(speech)["provenance"]
    assert told["options"]["precision"] == "int4"
    assert told["options"]["workload_parameters"]["audio_s"] == 1
    assert len(told["workload_sha256"]) == len(told["architecture_sha256"]) == 64
    faster = architecture.override({"memory.dram.bandwidth_bytes_per_s": 1e12})
    other = result_document(Estimate(replace(speech.evaluation, architecture=faster), None))["provenance"]
    assert other["architecture_sha256"] != told["architecture_sha256"]
    assert other["options"]["overrides"] == {"memory.dram.bandwidth_bytes_per_s": 1e12}
    assert other["workload_sha256"] == told["workload_sha256"]


def test_the_graph_signature_is_what_is_computed():
    first, again = load_workload("lstm", steps=3), load_workload("lstm", steps=3)
    assert graph_signature(first) == graph_signature(again)
    assert graph_signature(first) != graph_signature(load_workload("lstm", steps=4))
    assert graph_signature(replace(first, name="another")) == graph_signature(first)
    json.dumps(graph_signature(load_workload("rnnt-lm-fusion", audio_s=1)))


def test_comparison(comparison):
    document = strict(comparison_document(comparison))
    names = ["fp16", "fp8_e4m3", "int4"]
    assert list(document["runs"]) == names
    assert all(run.keys() >= KEYS for run in document["runs"].values())
    for name in names:
        ratio = document["runs"]["fp16"]["latency_s"] / document["runs"][name]["latency_s"]
        assert math.isclose(document["speedups"][name], ratio)
        assert math.isclose(document["compressions"][name], document["runs"][name]["compression"])
    assert document["speedup"] == document["speedups"]["int4"]
    assert document["compression"] == document["compressions"]["int4"]
    low, high = document["intervals"]["speedup"]
    assert low <= document["speedup"] <= high
    assert document["notes"] == list(comparison.notes)
    assert {"speedup", "latency_s.int4", "energy_j.fp16"} <= document["sensitivity"][0]["spans"].keys()


def test_comparison_without_intervals(architecture):
    made = compare_precisions(load_workload("mlp"), architecture, ["fp16", "int4"], intervals=False)
    document = strict(comparison_document(made))
    assert document["intervals"] == {}
    assert document["sensitivity"] == []


class TestTampered:
    """`Evaluation.check` finds what no simulation can have made."""

    def found(self, run):
        return " ".join(run.check())

    def test_untouched(self, result):
        assert result.evaluation.check() == []

    def test_a_task_before_its_time(self, speech):
        run = speech.evaluation
        start, end = run.timeline.start_fs.copy(), run.timeline.end_fs.copy()
        start[-1] = 0
        assert "before its predecessor" in self.found(replace(run, timeline=Timeline(start, end, "tampered")))

    def test_a_latency_that_the_work_does_not_fit(self, speech):
        run = speech.evaluation
        squeezed = Timeline(run.timeline.start_fs // 1000, run.timeline.end_fs // 1000, "tampered")
        assert "below DRAM bytes over bandwidth" in self.found(replace(run, timeline=squeezed))

    def test_traffic_that_vanishes(self, tiled):
        run = tiled.evaluation
        lost = replace(run, tasks=replace(run.tasks, amount=run.tasks.amount * 1e-6))
        assert "below the compulsory" in self.found(lost)

    @pytest.mark.parametrize("part", ["by_op_j", "by_component_j"])
    def test_energy_that_does_not_add_up(self, speech, part):
        priced = speech.evaluation.energy
        by_op = priced.by_op_j * (2 if part == "by_op_j" else 1)
        by_component = {**priced.by_component_j, **({"dram": 0.0} if part == "by_component_j" else {})}
        changed = replace(priced, by_op_j=np.asarray(by_op), by_component_j=by_component)
        assert "energies of the parts" in self.found(replace(speech.evaluation, energy=changed))

"""Evaluations on analog tiles: certificates, engines, times and energies counted by hand, and upkeep."""

from itertools import pairwise

import numpy as np
import pytest

from accelsim.cost.aimc import durations_fs, programming
from accelsim.engine import run
from accelsim.errors import InfeasibleError, UnsupportedError
from accelsim.hardware.load import load_architecture
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline import evaluate, evaluate_again
from accelsim.report.document import result_document
from accelsim.study.compare import compare_precisions
from accelsim.study.estimate import estimate
from accelsim.workload.load import load_workload

HERMES = load_architecture("hermes-64core")
MESH = load_architecture("aimc-mesh")
PAIRS = [
    ("lstm", "hermes-64core"), ("resnet-20", "hermes-64core"), ("mlp", "neurram"), ("mlp", "isaac"),
    ("lstm", "analog-34tile"), ("resnet-18", "rasch-2023"), ("resnet-18", "aimc-mesh"), ("rnnt", "aimc-mesh"),
    ("bert-base", "aimc-mesh"), ("mobilenet-v2", "aimc-mesh"), ("conv", "aimc-mesh"),
]  # fmt: skip


def workload(name):
    return load_workload(name, audio_s=0.3) if name == "rnnt" else load_workload(name)


@pytest.mark.parametrize(("name", "architecture"), PAIRS)
def test_certificates_and_equal_engines(name, architecture):
    arch = load_architecture(architecture)
    result = evaluate(workload(name), arch, engine="maxplus")
    assert result.check() == []
    reference = run(result.tasks, durations_fs(result.tasks, arch.description), "des")
    assert np.array_equal(reference.end_fs, result.timeline.end_fs)


@pytest.mark.parametrize("name", ["lstm", "resnet-20"])
def test_tile_detail_has_finer_chunks_and_the_same_work(name):
    coarse, fine = (evaluate(workload(name), HERMES, detail=detail) for detail in ("op", "tile"))
    assert len(fine.tasks) >= len(coarse.tasks)
    assert fine.check() == []
    parts = ("crossbar", "dac", "adc", "control", "digital", "network", "off_chip")
    for part in parts:
        assert fine.energy.by_component_j[part] == pytest.approx(coarse.energy.by_component_j[part])


def test_one_product_by_hand():
    """One vector through one tile: over the link, into the port, integrated, scaled, and back."""
    result = evaluate(load_workload("gemm", m=1, k=256, n=256), HERMES)
    arch = HERMES.description
    link = 256 / 1.6e9 + 1e-7
    on_chip = 256 / 5e9 + arch.tile.interval_s(256) + 1e-8 + result.mapping.ops[0].hops * 3e-9
    out = 512 / 1.6e9 + 1e-7  # FP16, and no vector work behind it
    assert result.mapping.tiles_used == 1
    assert result.latency_s == pytest.approx(link + on_chip + out, rel=1e-6)
    dynamic = sum(arch.tile.product_pj(arch.tile.full_use).values()) * 1e-12
    parts = result.energy.by_component_j
    assert sum(parts[name] for name in ("crossbar", "dac", "adc", "control", "digital")) == pytest.approx(dynamic)
    idle = result.latency_s - arch.tile.interval_s(256)
    assert parts["leakage"] == pytest.approx(0.3 * result.latency_s + 0.05 * idle, rel=1e-6)
    assert parts["off_chip"] == pytest.approx((256 + 512) * 40e-12)


def test_partial_sums_cost_time_and_energy():
    near = HERMES.override({"off_chip.bandwidth_bytes_per_s": 1e15, "off_chip.latency_s": 0.0})
    one, three = (evaluate(load_workload("gemm", m=1, k=k, n=256), near) for k in (256, 768))
    assert three.mapping.ops[0].matrix.cut.row_parts == 3
    sums_s = 2 * 256 * 2 / 5e9
    assert three.latency_s - one.latency_s == pytest.approx(sums_s, abs=4e-8)
    adds = (three.energy.by_component_j["digital"] - one.energy.by_component_j["digital"]) / 0.2e-12
    assert adds == pytest.approx(256 * 4 * 2)


def test_an_lstm_step_waits_for_the_step_before():
    short, long = (evaluate(load_workload("lstm", steps=steps, input_size=50, hidden_size=504), HERMES)
                   for steps in (2, 66))  # fmt: skip
    step_s = (long.latency_s - short.latency_s) / 64
    assert step_s > HERMES.description.tile.interval_s(256)
    assert step_s == pytest.approx(1.43e-6, rel=0.01), "calibrated on this figure"


def test_layers_of_a_network_overlap():
    """The pipeline's time is less than the sum of what its layers take alone."""
    result = evaluate(load_workload("resnet-20"), HERMES)
    start, end, _ = result.op_spans_fs
    on_tiles = [index for index, op in enumerate(result.mapping.ops) if op.unit == "tile"]
    overlapping = sum(
        start[second] < end[first] for first, second in pairwise(on_tiles)
    )  # fmt: skip
    assert overlapping > len(on_tiles) / 2


def test_retried_vectors_are_charged_as_products():
    once, often = (
        evaluate(load_workload("gemm", m=64, k=256, n=256), HERMES.override({"tile.crossbar.mean_passes": passes}))
        for passes in (1.0, 1.5)
    )
    assert often.energy.by_component_j["adc"] == pytest.approx(1.5 * once.energy.by_component_j["adc"])
    assert often.latency_s >= once.latency_s


def test_writing_tiles_in_rounds_takes_time_and_energy():
    arch = HERMES.override({"tile.programming.time_multiplexed": True})
    with pytest.raises(InfeasibleError, match="tiles"):
        evaluate(load_workload("mlp", sizes=[2048, 2048, 2048, 2048]), HERMES)
    result = evaluate(load_workload("mlp", sizes=[2048, 2048, 2048, 2048]), arch)
    assert result.mapping.rounds == 3
    assert result.check() == []
    cost = programming(result.mapping, arch.description)
    assert result.latency_s > cost.time_s == pytest.approx(180)
    assert result.energy.by_component_j["programming"] == pytest.approx(cost.energy_j)
    assert cost.devices == 3 * 2048 * 2048 * 4
    tiled = evaluate(load_workload("mlp"), HERMES)
    assert tiled.energy.by_component_j["programming"] == 0


def test_recalibration_is_scheduled_when_it_falls_due():
    graph = load_workload("lstm", steps=400)
    never = evaluate(graph, HERMES)
    assert never.recalibrations == 0
    due = evaluate(graph, HERMES.override({"tile.recalibration.interval_s": never.latency_s / 3.5}))
    assert due.recalibrations == 3
    assert due.latency_s > never.latency_s
    assert due.energy.by_component_j["programming"] > 0
    assert due.check() == []


def test_what_may_change_tasks_is_not_evaluated_again():
    nominal = evaluate(load_workload("lstm"), HERMES)
    assert evaluate_again(nominal, HERMES, ["tile.rows"]) is None
    assert evaluate_again(nominal, HERMES, ["cores.weight_memory_bytes"]) is None
    assert evaluate_again(nominal, HERMES, ["a.constant.of.tomorrow"]) is None, "what is not known may change tasks"


AGAIN = [
    ("lstm", "hermes-64core", "analog"), ("mlp", "isaac", "analog"), ("mlp", "neurram", "analog"),
    ("lstm", "rasch-2023", "analog"), ("lstm", "analog-34tile", "analog"), ("bert-base", "aimc-mesh", "analog"),
    ("mlp", "aimc-mesh", "int8"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "architecture", "precision"), AGAIN)
def test_every_assumed_constant_gives_the_same_again(name, architecture, precision):
    """Both ends of every range: on the nominal mapping, where that is kept, and from the start."""
    parameters = {"tokens": 32, "layers": 2} if name == "bert-base" else {}
    graph, arch = load_workload(name, **parameters), load_architecture(architecture)
    nominal = evaluate(graph, arch, precision)
    kept = 0
    for path, constant in arch.assumed().items():
        for value in {constant.low, constant.high} - {None, constant.value}:
            changed = arch.override({path: value})
            again = evaluate_again(nominal, changed, [path])
            if again is None:
                continue
            kept += 1
            anew = evaluate(graph, changed, precision)
            assert again.latency_s == anew.latency_s, path
            assert again.energy.by_component_j == anew.energy.by_component_j, path
            assert again.area.area_mm2 == anew.area.area_mm2, path
    assert kept > len(arch.assumed()), "most constants, at both ends"


def test_compare_puts_digital_beside_analog():
    found = compare_precisions(load_workload("mlp"), MESH, ["int4", "analog"], intervals=False)
    digital, analog = (found.evaluations[name] for name in ("int4", "analog"))
    assert {op.unit for op in digital.mapping.walk()} <= {"cores", "digital", "none"}
    assert {op.unit for op in analog.mapping.walk()} <= {"tile", "digital", "none"}
    assert found.compressions["int4"] == pytest.approx(8, rel=0.05)


def test_utilisation_by_tile():
    result = evaluate(load_workload("mlp"), HERMES)
    shares = result.tile_utilization
    assert len(shares) == 64
    assert sum(share > 0 for share in shares) == result.mapping.tiles_used
    assert max(shares) <= 1


def test_choices_of_digital_mappings_are_refused():
    with pytest.raises(UnsupportedError, match="digital mappings"):
        evaluate(load_workload("mlp"), HERMES, options=MappingOptions(fusion=False))


@pytest.mark.parametrize("name", ["lstm", "resnet-20", "squeezenet"])
@pytest.mark.parametrize(
    ("path", "factor"),
    [("mesh.link_bytes_per_s", 3.0), ("digital.clock_hz", 2.5), ("digital.count", 2.0), ("mesh.rows", 1.5),
     ("off_chip.bandwidth_bytes_per_s", 4.0), ("tile.integration.step_s", 0.4), ("mesh.hop_latency_s", 0.1)],
)  # fmt: skip
def test_a_better_part_never_makes_the_whole_slower(name, path, factor):
    value = HERMES.constants()[path].value * factor
    better = HERMES.override({path: value})
    graph = load_workload(name)
    assert evaluate(graph, better).latency_s <= evaluate(graph, HERMES).latency_s * (1 + 1e-9)


def test_the_document_has_the_area_of_parts_where_none_is_published():
    document = result_document(estimate(workload("mlp"), load_architecture("basic-analog"), intervals=False))
    areas = document["area_by_component_mm2"]
    assert {"crossbar", "adc", "row_drivers", "column_drivers"} <= areas.keys()
    assert (document["area_source"], document["area_published_mm2"]) == ("predicted", None)
    assert document["area_mm2"] == pytest.approx(sum(areas.values()))

"""The main job: FP16 against INT4 of the RNN-T with language-model fusion on the four-core chip."""

import pytest

from accelsim.errors import InputError, UnknownNameError
from accelsim.hardware.load import load_architecture
from accelsim.study.assumptions import Variations, assumptions_of
from accelsim.study.compare import compare_precisions
from accelsim.study.estimate import estimate
from accelsim.workload.load import load_workload


@pytest.fixture(scope="module")
def main_job():
    return compare_precisions(load_workload("rnnt-lm-fusion"), load_architecture("rapid-4core"), ["fp16", "int4"])


def test_published_figures(main_job):
    """Fasoli et al. 2022: 3.4x, real-time factor 0.06, 7.6x smaller. The assumed constants are calibrated on these."""
    assert main_job.speedup == pytest.approx(3.4, abs=0.2)
    assert main_job.evaluations["int4"].real_time_factor == pytest.approx(0.06, abs=0.01)
    assert main_job.compression == pytest.approx(7.6, abs=0.1)


def test_result_says_that_it_is_calibrated_and_how_far_that_goes(main_job):
    note = next(note for note in main_job.notes if note.startswith("calibrated"))
    assert "do not identify" in note
    assert any("recipe" in note and "joint.*" in note for note in main_job.notes)


def test_three_figures_do_not_identify_the_constants():
    """A quite different point inside the ranges matches the published figures as well."""
    other = load_workload("rnnt-lm-fusion", search="alsd", lm_steps_fraction=1.0, host_seconds_per_step=300e-6)
    slower = load_architecture("rapid-4core").override({"memory.dram.bandwidth_bytes_per_s": 80e9})
    found = compare_precisions(other, slower, ["fp16", "int4"], intervals=False)
    assert found.speedup == pytest.approx(3.4, abs=0.2)
    assert found.evaluations["int4"].real_time_factor == pytest.approx(0.06, abs=0.01)
    assert found.compression == pytest.approx(7.6, abs=0.1)


def test_no_calibration_note_on_another_architecture():
    run = estimate(
        load_workload("rnnt-lm-fusion", audio_s=0.2), load_architecture("systolic-32x32"), "int4", intervals=False
    )
    assert not any(note.startswith("calibrated") for note in run.notes)


def test_intervals_hold_the_nominal_and_are_wide(main_job):
    low, high = main_job.intervals["speedup"]
    assert low < main_job.speedup < high
    low, high = main_job.run_intervals("int4")["real_time_factor"]
    assert low < 0.06 < high
    assert high / low > 3


def test_unpublished_constants_are_assumed_and_explored(main_job):
    explored = {swing.assumption.path for swing in main_job.sensitivity.swings}
    assert explored >= {
        "architecture.memory.dram.bandwidth_bytes_per_s", "workload.expansions_per_frame", "workload.lm_steps_fraction",
        "workload.symbols_per_s", "workload.external_lm_layers", "workload.host_seconds_per_step", "recipe.int4",
    }  # fmt: skip
    assumed = {**load_architecture("rapid-4core").assumed()}
    assert all(constant.low <= constant.value <= constant.high for constant in assumed.values())


def test_bandwidth_moves_the_real_time_factor_most_of_the_architecture(main_job):
    ranked = [
        s.assumption.path for s in main_job.sensitivity.ranked("latency_s.int4") if "architecture" in s.assumption.path
    ]
    assert ranked[0] == "architecture.memory.dram.bandwidth_bytes_per_s"


def test_speedup_is_the_ratio_and_compression_the_bytes():
    found = compare_precisions(
        load_workload("lstm"), load_architecture("rapid-4core"), ["fp16", "hfp8", "int4"], intervals=False
    )
    latencies = {name: run.latency_s for name, run in found.evaluations.items()}
    assert found.speedups == {name: pytest.approx(latencies["fp16"] / latency) for name, latency in latencies.items()}
    assert found.compressions["fp16"] == pytest.approx(2.0)
    assert 7.5 < found.compression <= 8.0


def test_one_precision_is_not_a_comparison():
    with pytest.raises(InputError, match="two different"):
        compare_precisions(load_workload("lstm"), load_architecture("rapid-4core"), ["fp16", "fp16"])


def test_unknown_recipe_is_named():
    with pytest.raises(UnknownNameError, match="int4-uniform"):
        compare_precisions(load_workload("rnnt-lm-fusion"), load_architecture("rapid-4core"), ["fp16", "int4-unifrom"])


def test_price_only_variations_equal_full_ones():
    """Repricing the nominal timeline gives what a whole evaluation gives."""
    from accelsim.pipeline import evaluate

    workload, arch = load_workload("lstm"), load_architecture("rapid-4core")
    nominal = evaluate(workload, arch, "fp16")
    variations = Variations(workload, arch, "fp16", nominal)
    for path in ("memory.dram.energy_pj_per_byte", "leakage_w", "clocks.core.voltage_v"):
        value = arch.constants()[path].high
        quick = variations.at({f"architecture.{path}": value})
        whole = evaluate(workload, arch.override({path: value}), "fp16")
        assert quick.energy_j == pytest.approx(whole.energy_j)
        assert quick.latency_s == whole.latency_s


def test_every_assumption_can_be_put_to_its_ends():
    workload, arch = load_workload("rnnt-lm-fusion", audio_s=0.2), load_architecture("rapid-4core")
    run = estimate(workload, arch, "int4")
    assert len(run.sensitivity.swings) == len(assumptions_of(workload, arch, ("int4",)))
    assert run.sensitivity.refused == ()
    assert run.intervals["latency_s"][0] <= run.evaluation.latency_s <= run.intervals["latency_s"][1]
    assert run.intervals["energy_j"][0] <= run.evaluation.energy_j <= run.intervals["energy_j"][1]


def test_more_beams_and_less_caching_cost_more():
    """Saon et al. 2020: caching prefixes and batching hypotheses each lower the real-time factor."""
    arch = load_architecture("rapid-4core")
    ladder = [
        {"prefix_cache": False, "batch_prediction": False, "batch_joint": False},
        {"prefix_cache": True, "batch_prediction": False, "batch_joint": False},
        {"prefix_cache": True, "batch_prediction": True, "batch_joint": False},
        {"prefix_cache": True, "batch_prediction": True, "batch_joint": True},
    ]
    runs = [
        estimate(load_workload("rnnt-lm-fusion", audio_s=0.3, **step), arch, "fp16", intervals=False) for step in ladder
    ]
    factors = [run.evaluation.real_time_factor for run in runs]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] > 1.3 * factors[-1]

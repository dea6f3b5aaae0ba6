"""The target `aimc`: within its figures on the bundled cases, able to find what is wrong, and open to other cases."""

import csv
import json

import numpy as np
import pytest

from accelsim.documents import bundled_folder
from accelsim.study.validate import validate

FOLDER = bundled_folder("validation") / "aimc"


@pytest.fixture(scope="module")
def bundled():
    return validate(["aimc"]).targets["aimc"].families


def comparisons(family, metric):
    return [each for row in family.rows for each in row.comparisons if each.metric == metric]


def test_every_case_is_compared(bundled):
    counts = {name: (len(each.rows), each.failed) for name, each in bundled.items()}
    assert counts == {
        "adc_energy_area": (203, 0), "crossbar_circuit": (10, 0), "mvm_deterministic": (33, 0),
        "noise_statistics": (15, 0), "pcm_model": (9, 0), "tool_runs": (64, 0),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["adc_energy_area", "crossbar_circuit", "mvm_deterministic"])
def test_what_has_no_randomness_is_equal(bundled, name):
    assert [row.name for row in bundled[name].rows if not row.exact] == []


def test_ties_are_identical(bundled):
    ties = [row for row in bundled["mvm_deterministic"].rows if row.name.endswith("ties_exact")]
    assert len(ties) == 2
    assert all(each.metric == "identical" and each.tolerance == 0 for row in ties for each in row.comparisons)


def test_macros_are_counted_as_the_tool_counts_them(bundled):
    """Energies of one action and areas of one circuit are the tool's: counts, times and sums are not."""
    family = bundled["tool_runs"]
    assert [row.name for row in family.rows if not row.exact] == []
    totals = comparisons(family, "total_fj_per_mac")
    assert [each.measured for each in totals] == pytest.approx([256.380, 309.362, 116.624, 144.837], rel=1e-5)
    assert all(each.note for row in family.rows for each in row.comparisons)


def test_macros_of_other_rows(tmp_path):
    """Jia's macro, of which that tool says 4.92343 TOPS/W: it gates leakage of three quarters of the cells."""
    rows = [
        "t,jia_jssc_2020,throughput,0.0136533,TOPS", "t,jia_jssc_2020,efficiency,4.92343,TOPS/W",
        "t,jia_jssc_2020,energy_per_mac.ShiftAdd,36.5797,fJ/MAC", "t,sinangil_jssc_2021,energy_per_mac,4.26878,fJ/MAC",
        "t,basic_analog,energy_per_mac.Sampler,1,fJ/MAC", "t,basic_analog,area.ADC,1,mm2", "t,basic_analog,power,1,W",
        "t,no_macro,throughput,1,TOPS",
    ]  # fmt: skip
    (tmp_path / "tool_runs_mine.csv").write_text("\n".join(["tool,case,metric,value,unit", *rows]))
    found = validate(["aimc"], tmp_path).targets["aimc"].families["tool_runs_mine"].rows
    errors = [[round(each.error_pct, 2) for each in row.comparisons] for row in found[:4]]
    assert errors == [[0.0], [-1.74, 1.77], [0.0], [0.0]]
    reasons = [row.failed_reason or "" for row in found[4:]]
    for reason, words in zip(reasons, ("component of the macro", "unit of area", "metric of a macro", "no-macro"),
                             strict=True):  # fmt: skip
        assert words in reason


def test_devices_follow_their_chain_and_their_statistics(bundled):
    family = bundled["pcm_model"]
    statistics = [each for row in family.rows if row.name.endswith("stat") for each in row.comparisons]
    assert all(row.exact for row in family.rows if not row.name.endswith("stat"))
    assert len(statistics) == 3 * 11 * 16
    # 0.27 % of comparisons lie beyond three standard errors by chance: 1.4 of 528.
    assert sum(not each.exact for each in statistics) <= 6


def test_spreads_and_tiles_are_within_their_figures(bundled):
    family = bundled["noise_statistics"]
    for metric, most in (("predicted_std", 3.0), ("simulated_std", 3.0), ("output_error", 5.0), ("weight_error", 5.0),
                         ("compensation", 5.0)):  # fmt: skip
        found = comparisons(family, metric)
        assert found
        assert max(abs(each.error_pct) for each in found) < most


def archive(tmp_path, name, change):
    """A bundled archive, changed, in a folder of its own."""
    with np.load(FOLDER / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    cases = json.loads(str(arrays.pop("meta")))
    cases = change(arrays, cases) or cases
    np.savez(tmp_path / f"{name}.npz", meta=np.array(json.dumps(cases)), **arrays)
    return validate(["aimc"], tmp_path).targets["aimc"].families[name]


def test_a_wrong_output_is_found(tmp_path):
    def change(arrays, cases):
        arrays["tile512.Y"][1, 7] += 0.01
        arrays["adc_ties_exact.Y"][0, 0] += np.float32(2**-4)

    family = archive(tmp_path, "mvm_deterministic", change)
    assert {row.name for row in family.rows if not row.exact} == {"tile512", "adc_ties_exact"}
    worst = next(row for row in family.rows if row.name == "tile512").comparisons[0]
    assert worst.predicted - worst.measured == pytest.approx(-0.01, rel=0.1)
    assert "at (1, 7)" in worst.note


def test_a_wrong_current_is_found(tmp_path):
    def change(arrays, cases):
        arrays["xbar2_I_exact"][3] *= 1 + 1e-5

    family = archive(tmp_path, "crossbar_circuit", change)
    assert [row.name for row in family.rows if not row.exact] == ["xbar2"]


def test_a_wrong_exponent_is_found(tmp_path):
    def change(arrays, cases):
        arrays["hermes_1dev.pipe.nu_plus"] *= np.float32(1 + 1e-4)
        return [case for case in cases if case["model"] == "hermes_1dev"]

    family = archive(tmp_path, "pcm_model", change)
    assert [row.name for row in family.rows if not row.exact] == ["hermes_1dev.pipe"]


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("out_noise_std", 0.1, "config.out_noise_std: 0.1 is not modelled"),
        ("w_read_asymmetry_dtod", 0.1, "is not modelled"),
        ("noise_management", "AVERAGE_ABS_MAX", "is not a known noise management"),
        ("w_noise_type", "OTHER", "is not a known kind of weight noise"),
        ("mv_type", "TWO_PASS", "is not a known sign handling"),
        ("out_scale", float("nan"), "must be a finite number"),
        ("out_noise", 0.1, "seed: is missing"),
    ],
)
def test_options_that_cannot_be_evaluated(tmp_path, option, value, reason):
    def change(arrays, cases):
        cases[1]["config"][option] = value
        return cases[:2]

    row = archive(tmp_path, "mvm_deterministic", change).rows[1]
    assert reason in row.failed_reason


def test_arrays_that_are_missing_or_of_another_shape(tmp_path):
    def change(arrays, cases):
        del arrays["fp_perfect.W"]
        arrays["adc_only.Y"] = arrays["adc_only.Y"][:2]
        arrays["nm_max.X"][0, 0] = np.nan
        del cases[5]["config"]
        return cases

    reasons = {row.name: row.failed_reason for row in archive(tmp_path, "mvm_deterministic", change).rows}
    assert "fp_perfect.W: is missing" in reasons["fp_perfect"]
    assert "config: is missing" in reasons["adc_only"]
    assert "holds NaN" in reasons["nm_max"]
    assert sum(each is not None for each in reasons.values()) == 3


def test_spreads_without_a_closed_form_are_drawn(tmp_path):
    def change(arrays, cases):
        case = next(each for each in cases if each["id"] == "quant_plus_out_noise")
        case["config"] |= {"mv_type": "POS_NEG_SEPARATE"}
        return [case]

    (row,) = archive(tmp_path, "noise_statistics", change).rows
    assert {each.metric for each in row.comparisons} == {"simulated_std"}
    assert max(abs(each.error_pct) for each in row.comparisons) < 3


def test_other_constants_of_a_device(tmp_path):
    """Half the largest conductance with everything else relative to it: the same weights."""

    def change(arrays, cases):
        cases[0]["g_max"] /= 2
        return cases[:1]

    rows = {row.name: row for row in archive(tmp_path, "pcm_model", change).rows}
    assert rows["pcm_like.pipe"].exact
    assert not rows["pcm_like.table"].exact


def test_models_and_kinds_that_are_unknown(tmp_path):
    def change(arrays, cases):
        return [{"id": "a", "kind": "crosssim_core", "style": "OFFSET"}, {"id": "b", "kind": "ring"}]

    reasons = [row.failed_reason for row in archive(tmp_path, "crossbar_circuit", change).rows]
    assert "is not a known style of core" in reasons[0]
    assert "is not a known kind of case" in reasons[1]


def test_rows_of_converters(tmp_path):
    with (FOLDER / "adc_energy_area.csv").open(encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    rows = [row, row | {"enob_bits": "40"}, row | {"n_adcs": "0"}, row | {"energy_per_convert_pJ": "0.06"}]
    with (tmp_path / "adc_mine.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(row))
        writer.writeheader()
        writer.writerows(rows)
    found = validate(["aimc"], tmp_path).targets["aimc"].families["adc_mine"].rows
    assert found[0].exact
    assert "must be 1 to 20 effective bits" in found[1].failed_reason
    assert "n_adcs" in found[2].failed_reason
    assert [each.metric for each in found[3].comparisons if not each.exact] == ["energy_pj"]

"""Target `chips`: what a row is compared with, and rows that cannot be."""

import pytest

from accelsim.documents import bundled_folder
from accelsim.hardware.derive import from_tables
from accelsim.hardware.load import load_architecture
from accelsim.study.validate import validate
from accelsim.study.validate.chips import peak_power_w
from accelsim.study.validate.table import read_table
from accelsim.workload.load import load_workload

HEADER = "id,chip,metric,value,unit,condition,source,confidence"
DIGITAL = ("RaPiD", "TPUv1", "TPUv4i", "Eyeriss", "NorthPole")
FOLDER = bundled_folder("validation") / "chips"


@pytest.fixture
def families(tmp_path):
    def run(*rows, header=HEADER):
        (tmp_path / "published_chips.csv").write_text("\n".join([header, *rows]))
        return validate(["chips"], tmp_path).targets["chips"].families

    return run


def test_every_bundled_row_is_compared():
    families = validate(["chips"]).targets["chips"].families
    assert sum(family.failed for family in families.values()) == 0
    analog = {"analog-peak", "analog-efficiency", "analog-layer", "analog-structure", "analog-parts", "analog-recalled"}
    assert {"calibrated", "peak", "efficiency", "area", "power", "macros", "converters"} | analog == set(families)


def test_analog_chips_are_within_a_quarter_of_what_set_no_constant():
    families = validate(["chips"]).targets["chips"].families
    checked = [name for name in families if name.startswith("analog") and name != "analog-recalled"]
    rows = [row for name in checked for row in families[name].rows]
    assert len(rows) == 21
    worst = {row.name: abs(each.error_pct) for row in rows for each in row.comparisons}
    assert max(worst.values()) < 25, max(worst, key=worst.get)


def test_hermes_in_the_mode_that_set_nothing():
    """16.1 TOPS and 2.48 TOPS/W in four phases, from constants of the one-phase figures."""
    families = validate(["chips"]).targets["chips"].families
    errors = {
        row.name.split(" ", 1)[1]: row.comparisons[0].error_pct
        for name in ("analog-peak", "analog-efficiency")
        for row in families[name].rows
        if "HERMES" in row.name
    }
    assert errors == {
        "HERMES-64 throughput validate": pytest.approx(0.8, abs=0.1),
        "HERMES-64 efficiency validate": pytest.approx(1.1, abs=0.2),
    }


def test_calibrated_rows_stand_apart():
    records = list(read_table(FOLDER / "published_chips.csv", ("id", "use", "family")))
    assert all((each.raw("use") == "calibrate") == (each.raw("family") == "calibrated") for each in records)


def test_peaks_are_within_a_rounding_of_the_publications():
    # NorthPole's clock is a class (400 MHz) and not the card's, so its peak is off by 5 %.
    rows = validate(["chips"]).targets["chips"].families["peak"].rows
    worst = {row.name: abs(each.error_pct) for row in rows for each in row.comparisons}
    assert all(error < (6 if "NorthPole" in name else 0.5) for name, error in worst.items())


def test_published_areas_lie_in_the_predicted_ranges():
    for name in ("rapid-4core", "tpu-v4i", "eyeriss-like", "northpole-like"):
        from accelsim.study.validate.chips import _area

        arch = load_architecture(name).description
        area = _area(arch)
        assert area.low < arch.area_mm2.value < area.high


def test_rows_that_set_a_constant_say_so():
    families = validate(["chips"]).targets["chips"].families
    for name, family in families.items():
        notes = [each.note for row in family.rows if row.name.split()[1] not in DIGITAL for each in row.comparisons]
        assert all(("calibrates it" in note) == (name == "calibrated") for note in notes), name


def test_isaac_adds_up():
    """Its parts give the recalled power of chip and tile, and 622 GOPS/W; the recalled 363.7 contradicts them."""
    rows = {row.name.split()[2]: row.comparisons[0] for family in validate(["chips"]).targets["chips"].families.values()
            for row in family.rows if row.name.split()[1] == "ISAAC"}  # fmt: skip
    assert rows["chip_power"].error_pct == pytest.approx(0, abs=1)
    assert rows["tile_power"].error_pct == pytest.approx(0, abs=1)
    assert rows["compute_density"].error_pct == pytest.approx(0, abs=3)
    assert rows["power_efficiency"].predicted == pytest.approx(478.95 * 85.4 / 65.8, rel=0.02)


def test_rnnt_on_five_chips(families):
    """What a simulation gives; energy of a sample goes with its length, which no row states."""
    found = families(
        "a,IBM-34tile,rnnt_n_chips,5,,,,", "b,IBM-34tile,rnnt_weights,45000000,,more than,,",
        "c,IBM-34tile,rnnt_pcm_devices,140000000,,more than,,", "d,IBM-34tile,rnnt_power,3.57,W,five-chip estimate,,",
        "e,IBM-34tile,rnnt_samples_per_s_per_W,546.6,1/s/W,five-chip estimate,,",
    )["published_chips"]  # fmt: skip
    assert (found.compared, found.failed) == (4, 1)
    chips, weights, devices, power = [row.comparisons[0] for row in found.rows[:4]]
    assert chips.error_pct == 0
    assert "is stated" in chips.note
    assert 0 < load_workload("rnnt-mlperf").parameters - weights.predicted < 1e5  # biases and the embedding
    assert 2 * weights.predicted < devices.predicted < 4 * weights.predicted
    assert -50 < power.error_pct < 0
    assert "length of a sample" in found.rows[4].failed_reason


def test_macros_that_set_nothing_but_for_what_is_known_to_be_off():
    """Colonnade's drivers and decoder are 1.8 % of its area each; Sinangil's 321 TOPS/W do not go with its 189.3."""
    rows = validate(["chips"]).targets["chips"].families["macros"].rows
    off = {row.name for row in rows for each in row.comparisons if abs(each.error_pct) > 25}
    assert {" ".join(name.split()[1:3]) for name in off} == {
        "Colonnade-JSSC2021 area_fraction_drivers", "Colonnade-JSSC2021 area_fraction_decoder",
        "Sinangil-JSSC2021 efficiency",
    }  # fmt: skip


def test_energies_of_macros_at_voltages_that_nothing_was_fitted_at(families):
    """Values of the publications as transcribed in CiMLoop; (pJ, TOPS/W)."""
    found = families(
        'c085,Jia-JSSC2020,efficiency_1b,192,TOPS/W,"1.2 V, 65 nm",,',
        'c087,Jia-JSSC2020,adc_energy_per_convert,3.56,pJ,"1.2 V, 65 nm",,',
        'c130,Wang-VLSI2022,efficiency,18.439,TOPS/W,"0.9 V, 22 nm, 8b",,',
        "x,Wang-VLSI2022,efficiency,18.439,TOPS/W,no voltage,,",
    )["published_chips"]
    assert (found.compared, found.failed) == (3, 1)
    assert "voltage" in found.rows[3].failed_reason
    errors = [each.error_pct for row in found.rows[:3] for each in row.comparisons]
    assert all(abs(error) < 25 for error in errors)
    assert all("calibrates" not in each.note for row in found.rows[:3] for each in row.comparisons)


def test_reference_data_of_other_chips_fails_with_reasons(families):
    found = families(
        "c042,Analog-AI-2D-mesh,efficiency_vs_A100_max,140,x,,,",
        'c003,HERMES-64,throughput,16.1,TOPS,"8-bit in/out, four-phase read","Le Gallo",read',
        "c018,HERMES-core,adc_pitch,4,um,,,",
        "c999,NeuRRAM-Nature2022,throughput,1,TOPS,three-phase,,",
        "x1,RaPiD,chip_area,36,mm2,,,",
    )["published_chips"]
    assert (found.compared, found.failed) == (2, 3)
    reasons = [row.failed_reason or "" for row in found.rows]
    assert "ratio to a machine" in reasons[0]
    assert "layout" in reasons[2]
    assert "read mode" in reasons[3]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,RaPiD,throughput,100,TOPS,,,", "precision"),
        ("a,RaPiD,throughput,100,TOPS/W,int4,,", "unit of throughput"),
        ("a,RaPiD,n_cores,4,-,,,", "metric"),
        ("a,RAELLA,throughput_gain,3.3,x,up to,,", "ratio to a machine"),
        ("a,Wang-VLSI2022,energy_fraction_misc,0.04,,1.0 V,,", "control"),
        ("a,Wang-VLSI2022,energy_fraction_sram,0.04,,1.0 V,,", "part of the macro"),
        ("a,Wang-VLSI2022,density,3,GOPS,1.0 V,,", "unit of density"),
        ("a,Wang-VLSI2022,latency,3,ns,1.0 V,,", "does not follow"),
        ("a,ADC 8b 1.1GS/s two-step SAR,adc_area_each,1650,um2,,,", "states no node"),
        ("a,ADC 8b 1.1GS/s 28nm,adc_sample_rate,1.1,GS/s,,,", "nothing is predicted"),
        ("a,ADC 8b 1.1GS/s 28nm,adc_area_each,1650,nm,,,", "unit of adc_area_each"),
        ("a,RaPiD,chip_area,big,mm2,,,", "must be a number"),
        ("a,RaPiD,chip_area,,mm2,,,", "states no measured figure"),
        ("a,,chip_area,36,mm2,,,", "chip"),
    ],
)
def test_rows_that_fail(families, row, reason):
    failed = families(row)["published_chips"].rows[0]
    assert failed.failed_reason
    assert reason in failed.failed_reason


def test_a_condition_may_name_the_format(families):
    row = families("a,tpu v4i,throughput,137625.6,GOPS,BF16 peak,,")["published_chips"].rows[0]
    assert row.exact


def test_a_row_may_name_any_description(families):
    header = HEADER + ",architecture,precision,use"
    row = families("a,mine,throughput,2.048,TOPS,,,,systolic-32x32,int8,validate", header=header)[
        "published_chips"
    ].rows[0]
    assert row.exact


def test_only_calibrated_rows_take_the_stated_energies():
    arch = load_architecture("rapid-4core").description
    tables = from_tables(arch)
    assert peak_power_w(tables, "int4", nominal=True, dram=False) != peak_power_w(
        arch, "int4", nominal=True, dram=False
    )
    assert peak_power_w(arch, "int4", nominal=False, dram=True) > peak_power_w(arch, "int4", nominal=False, dram=False)
    assert peak_power_w(arch, "int4", nominal=False, dram=False) > peak_power_w(arch, "int4", nominal=True, dram=False)

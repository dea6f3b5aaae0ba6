"""Target `chips`: what a row is compared with, and rows that cannot be."""

import pytest

from accelsim.documents import bundled_folder
from accelsim.hardware.derive import from_tables
from accelsim.hardware.load import load_architecture
from accelsim.study.validate import validate
from accelsim.study.validate.chips import peak_power_w
from accelsim.study.validate.table import read_table

HEADER = "id,chip,metric,value,unit,condition,source,confidence"
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
    analog = {"analog-peak", "analog-efficiency", "analog-layer", "analog-structure", "analog-parts"}
    assert {"calibrated", "peak", "efficiency", "area", "power"} | analog == set(families)


def test_analog_chips_are_within_a_quarter_of_what_set_no_constant():
    families = validate(["chips"]).targets["chips"].families
    rows = [row for name, family in families.items() if name.startswith("analog") for row in family.rows]
    assert len(rows) == 19
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
    assert all("fitted" not in each.note for row in found.rows[:3] for each in row.comparisons)


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
    assert "Analog-AI-2D-mesh" in reasons[0]
    assert "'um'" in reasons[2]
    assert "read mode" in reasons[3]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("a,RaPiD,throughput,100,TOPS,,,", "precision"),
        ("a,RaPiD,throughput,100,TOPS/W,int4,,", "unit of throughput"),
        ("a,RaPiD,n_cores,4,-,,,", "metric"),
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

"""Constants and areas from the technology: supplied where an architecture asks for it, refused where it does not."""

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.documents import bundled_folder, read_yaml
from accelsim.errors import InputError
from accelsim.hardware.area import component_areas_mm2, core_area_mm2
from accelsim.hardware.derive import derived_constants, derived_spans, from_tables
from accelsim.hardware.load import list_architectures, load_architecture
from accelsim.hardware.technology.span import total
from accelsim.pipeline import evaluate
from accelsim.study.assumptions import notes_on
from accelsim.study.batch.price import with_columns
from accelsim.study.estimate import estimate
from accelsim.workload.load import load_workload
from tests.hardware.conftest import refusal
from tests.hardware.test_load import changed

BUNDLED = [name for name, _ in list_architectures() if load_architecture(name).kind == "digital"]
DERIVABLE = (
    "array.units.int8.energy_pj_per_mac", "vector.energy_pj_simple", "vector.energy_pj_special",
    "scratchpad.read_energy_pj_per_byte", "scratchpad.write_energy_pj_per_byte", "interconnect.energy_pj_per_byte_hop",
    "memory.dram.energy_pj_per_byte", "host.energy_pj_per_byte", "leakage_w",
)  # fmt: skip
EDGE = read_yaml(bundled_folder("architectures") / "edge-npu" / "architecture.yaml")


def without(*paths, data=EDGE):
    for path in paths:
        data = changed(path, ..., data)
    return data


@pytest.fixture
def load(tmp_path):
    def run(data):
        (tmp_path / "architecture.yaml").write_text(yaml.safe_dump(data))
        return load_architecture(tmp_path)

    return run


@pytest.mark.parametrize("path", DERIVABLE)
def test_one_that_is_left_out_is_supplied_and_listed(load, path):
    arch = load(without(path))
    constant = arch.constants()[path]
    assert arch.derived == {path}
    assert constant.assumed
    assert constant.low <= constant.value <= constant.high
    assert constant.low < constant.high
    assert "technology: published" in constant.source
    assert constant.why


@pytest.mark.parametrize("path", DERIVABLE)
def test_without_a_technology_it_is_missing(load, path):
    message = refusal(load, without(path, "technology"))
    assert f"{path}: is missing" in message
    assert "technology: published" in message


def test_all_at_once_runs_and_takes_part_in_the_sensitivity(load):
    arch = load(without(*DERIVABLE))
    found = estimate(load_workload("lstm"), arch, "int8")
    assert found.evaluation.check() == []
    paths = {swing.assumption.path for swing in found.sensitivity.swings}
    assert {f"architecture.{path}" for path in DERIVABLE} <= paths
    assert any(note.startswith("derived: 9 constants") for note in found.notes)
    low, high = found.intervals["energy_j"]
    assert low < found.evaluation.energy_j < high


def test_an_override_derives_anew_and_owns_what_it_sets(load):
    arch = load(without("scratchpad.read_energy_pj_per_byte", "leakage_w"))
    larger = arch.override({"scratchpad.capacity_bytes": 8 * 2**20})
    assert larger.derived == arch.derived
    for path in arch.derived:
        assert larger.constants()[path].value > arch.constants()[path].value
    set_by_hand = larger.override({"leakage_w": 0.5})
    assert set_by_hand.derived == {"scratchpad.read_energy_pj_per_byte"}
    assert set_by_hand.description.leakage_w.value == 0.5
    assert set_by_hand.override({"cores": 2}).description.leakage_w.value == 0.5


def test_energies_go_with_the_nominal_voltage(load):
    arch = load(without("array.units.int8.energy_pj_per_mac"))
    clock = {**EDGE["clocks"]["core"], "voltage_v": {"value": 0.75, "source": "x"}}
    data = changed("clocks.core", {**clock, "nominal_voltage_v": {"value": 0.6, "source": "x"}},
                   without("array.units.int8.energy_pj_per_mac"))  # fmt: skip
    full, low = (a.description.array.units["int8"].energy_pj_per_mac.value for a in (arch, load(data)))
    assert low == pytest.approx(full * (0.6 / 0.75) ** 2)


def test_a_technology_asks_for_the_type_of_memory_and_a_node_that_it_covers(load):
    assert "memory.dram.type: is missing" in refusal(load, without("memory.dram.type"))
    assert "3 to 130 nm" in refusal(load, changed("node_nm", {"value": 250, "source": "x"}, EDGE))
    assert "technology" in refusal(load, changed("technology", "publishd", EDGE))


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_descriptions_state_everything_and_have_areas(name):
    arch = load_architecture(name)
    assert arch.derived == frozenset()
    areas = component_areas_mm2(arch.description)
    whole = total(areas.values())
    assert 0 < whole.low < whole.value < whole.high
    assert from_tables(arch.description).constants().keys() == arch.constants().keys()
    assert derived_constants(arch.description).keys() <= arch.constants().keys()


GROWS = [
    "cores", "array.rows", "array.per_core", "vector.lanes", "scratchpad.capacity_bytes", "array.accumulator_bytes",
    "memory.dram.bandwidth_bytes_per_s", "host.bandwidth_bytes_per_s", "node_nm",
]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    path=st.sampled_from(GROWS), factor=st.integers(2, 4), name=st.sampled_from(["edge-npu", "rapid-4core", "tpu-v4i"])
)
def test_more_of_anything_is_larger(path, factor, name):
    arch = load_architecture(name)
    more = arch.override({path: arch.constants()[path].value * factor})
    before, after = (component_areas_mm2(each.description) for each in (arch, more))
    assert total(after.values()).value > total(before.values()).value
    assert all(after[part].value >= before[part].value * (1 - 1e-9) for part in before)


def test_one_core_has_no_network_and_memory_on_the_chip_takes_area():
    assert component_areas_mm2(load_architecture("tpu-v1").description)["network"].value == 0
    north = load_architecture("northpole-like").description
    parts = component_areas_mm2(north)
    assert parts["dram"].value > parts["scratchpad"].value
    assert core_area_mm2(north).value * north.n_cores < total(parts.values()).value


def test_area_of_a_result_says_where_it_comes_from():
    network = load_workload("lstm")
    sources = {name: evaluate(network, load_architecture(name)).area.source for name in BUNDLED}
    assert sources["rapid-4core"] == sources["northpole-like"] == "published"
    assert sources["tpu-v4i"] == "assumed"
    assert sources["mx-npu"] == "predicted"
    run = evaluate(network, load_architecture("mx-npu"))
    assert run.area_mm2 == pytest.approx(sum(each.value for each in run.area.predicted.values()))
    assert notes_on(run) == ()


def test_an_area_that_nobody_published_has_an_interval():
    network = load_workload("lstm:steps=2,input_size=8,hidden_size=8".partition(":")[0])
    predicted, published = (
        estimate(network, load_architecture(name)).intervals for name in ("systolic-8x8", "rapid-4core")
    )
    assert predicted["area_mm2"][0] < predicted["area_mm2"][1]
    assert "area_mm2" not in published


def test_a_refused_technology_is_an_input_error(load):
    with pytest.raises(InputError):
        load(changed("technology", "hwcomponents", EDGE))


@pytest.mark.parametrize("chip", ["edge-npu", "northpole-like", "systolic-128x128"])
def test_columns_of_designs_give_what_each_gives(chip):
    """To the last bit, where energies go by a power of the size as well."""
    arch = load_architecture(chip)
    sizes = {
        "array.rows": [8.0, 31.0, 100.0], "array.per_core": [1.0, 2.0, 4.0], "vector.lanes": [3.0, 64.0, 7.0],
        "scratchpad.capacity_bytes": [3e4, 7e5, 9e6], "scratchpad.bandwidth_bytes_per_cycle": [4.0, 96.0, 1000.0],
        "memory.dram.capacity_bytes": [2e6, 3e7, 5e9], "memory.dram.channels": [1.0, 3.0, 8.0],
    }  # fmt: skip
    together = derived_spans(with_columns(arch.description, {path: np.array(each) for path, each in sizes.items()}))
    for row in range(3):
        alone = derived_spans(arch.override({path: each[row] for path, each in sizes.items()}).description)
        for path, (span, _) in alone.items():
            for end in ("value", "low", "high"):
                column = np.broadcast_to(getattr(together[path][0], end), 3)
                assert column[row] == getattr(span, end), path

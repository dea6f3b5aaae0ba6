"""Every row of a batch equals `simulate` of that design, to the last bit."""

import numpy as np
import pytest
import yaml

import accelsim
from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.load import load_architecture
from accelsim.mapping.options import MappingOptions
from accelsim.study.batch import METRICS, Kept, evaluate_batch
from accelsim.workload.load import load_workload

RATES = {
    "memory.dram.bandwidth_bytes_per_s": 1.0, "memory.dram.latency_s": 1.0, "memory.dram.efficiency": 0.4,
    "op_overhead_cycles": 0.5, "scratchpad.bandwidth_bytes_per_cycle": 0.5, "host.latency_s": 0.5,
    "interconnect.bandwidth_bytes_per_cycle": 0.5, "interconnect.hop_latency_cycles": 0.5,
    "dma.bandwidth_bytes_per_cycle": 0.5, "host.bandwidth_bytes_per_s": 0.5,
}  # fmt: skip
PRICES = {
    "memory.dram.energy_pj_per_byte": 1.0, "leakage_w": 1.0, "scratchpad.read_energy_pj_per_byte": 1.0,
    "vector.energy_pj_special": 1.0, "interconnect.energy_pj_per_byte_hop": 1.0, "host.energy_pj_per_byte": 1.0,
}  # fmt: skip
"""Axes, and the range of each: a factor of e to the plus and minus so much."""


def columns(architecture, axes, designs, rng):
    """Random columns around an architecture's own constants, one clock of it among them."""
    constants = architecture.constants()
    clock = next(path for path in constants if path.endswith("clock_hz"))
    found = {
        path: constants[path].value * np.exp(rng.uniform(-width, width, designs))
        for path, width in {clock: 0.5, **axes}.items()
    }
    return {path: np.minimum(column, 1.0) if "efficiency" in path else column for path, column in found.items()}


def simulated(workload, design, precision, mapping):
    """One result, or why there is none."""
    try:
        return accelsim.simulate(workload, design, precision=precision, intervals=False, mapping=mapping)
    except InfeasibleError as error:
        return error.infeasible


def assert_equal(workload, architecture, overrides, rows, precision=None, **mapping):
    """Compare ``rows`` of a batch with one `simulate` of each; the batch is returned."""
    batch = evaluate_batch(workload, architecture, precision, overrides, MappingOptions(**mapping))
    for row in rows:
        design = architecture.override({path: column[row] for path, column in overrides.items()})
        one = simulated(workload, design, precision, mapping)
        if isinstance(one, Infeasible):
            assert batch.reasons[batch.infeasible[row]] == one
            assert all(np.isnan(column[row]) for _, column in batch.columns())
            continue
        assert batch.feasible[row]
        found = {name: column[row] for name, column in batch.columns()}
        for name in METRICS:
            wanted = one.utilization["macs"] if name == "utilization_macs" else getattr(one, name)
            assert found[name] == wanted or (wanted is None and np.isnan(found[name])), (name, row)
    return batch


CASES = [
    ("resnet-18", {}, "rapid-4core", None),
    ("resnet-20", {}, "edge-npu", None),
    ("rnnt-lm-fusion", {"audio_s": 1}, "rapid-4core", "int4"),
    ("lstm", {}, "systolic-32x32", None),
    ("mobilenet-v2", {}, "tpu-v1", None),
]


@pytest.mark.parametrize(("name", "sizes", "chip", "precision"), CASES)
def test_random_rates_and_prices(name, sizes, chip, precision):
    rng = np.random.default_rng(len(name) * 31 + len(chip))
    architecture, workload = load_architecture(chip), load_workload(name, **sizes)
    axes = {path: width for path, width in (RATES | PRICES).items() if rng.random() < 0.4}
    overrides = columns(architecture, axes, 24, rng)
    batch = assert_equal(workload, architecture, overrides, range(0, 24, 5), precision)
    assert batch.looped == 0


@pytest.mark.parametrize("off", ["fusion", "prefetch", "pipelining", "resident_cache"])
def test_choices_of_the_mapper(off):
    architecture = load_architecture("rapid-4core")
    axes = {"memory.dram.bandwidth_bytes_per_s": 1.5}
    overrides = columns(architecture, axes, 20, np.random.default_rng(len(off)))
    assert_equal(load_workload("resnet-20"), architecture, overrides, (0, 7, 19), **{off: False})


def test_weights_that_stay_between_inferences():
    architecture = load_architecture("rapid-4core")
    overrides = columns(architecture, {"memory.dram.bandwidth_bytes_per_s": 1.5}, 20, np.random.default_rng(5))
    assert_equal(load_workload("resnet-18"), architecture, overrides, (0, 7, 19), "int4", resident_weights=True)


def test_structures_are_told_apart():
    rng, designs = np.random.default_rng(2), 48
    architecture = load_architecture("systolic-32x32")
    overrides = columns(architecture, {"memory.dram.bandwidth_bytes_per_s": 1.0, "leakage_w": 1.0}, designs, rng) | {
        "scratchpad.capacity_bytes": rng.choice([65536.0, 1048576.0], designs),
        "array.dataflows": [["weight_stationary"], ["output_stationary", "weight_stationary"]] * (designs // 2),
    }
    assert_equal(load_workload("resnet-20"), architecture, overrides, range(0, designs, 7))


def test_a_batch_of_samples_is_looped_where_pipelines_may_be_formed():
    architecture, workload = load_architecture("rapid-4core"), load_workload("resnet-20", batch=2)
    overrides = columns(architecture, {"memory.dram.bandwidth_bytes_per_s": 1.0}, 17, np.random.default_rng(1))
    assert assert_equal(workload, architecture, overrides, (0, 16)).looped == 17
    assert assert_equal(workload, architecture, overrides, (0, 16), pipelining=False).looped == 0


def test_prices_share_one_mapping():
    architecture = load_architecture("rapid-4core")
    overrides = {path: column for path, column in columns(
        architecture, PRICES, 30, np.random.default_rng(3)).items() if path in PRICES}  # fmt: skip
    batch = assert_equal(load_workload("resnet-20"), architecture, overrides, range(0, 30, 6))
    assert batch.looped == 0
    assert len(set(batch.energy_j)) == 30
    assert len(set(batch.latency_s)) == 1


@pytest.mark.parametrize("chip", ["edge-npu", "northpole-like"])
def test_derived_constants_follow_what_they_are_derived_from(chip):
    architecture = load_architecture(chip)
    axes = {"scratchpad.bandwidth_bytes_per_cycle": 0.5, "memory.dram.bandwidth_bytes_per_s": 0.5}
    overrides = columns(architecture, axes, 18, np.random.default_rng(4))
    assert_equal(load_workload("mlp"), architecture, overrides, range(0, 18, 4))


def test_power_limits_throttle():
    architecture = load_architecture("rapid-4core")
    overrides = {"power_limit_w": [1.5, 3.0, 1000.0, 1.5], "memory.dram.energy_pj_per_byte": [10.0, 40.0, 40.0, 90.0]}
    assert_equal(load_workload("resnet-20"), architecture, overrides, range(4))


@pytest.mark.parametrize("designs", [2, 20])
def test_what_does_not_fit_is_told(designs):
    architecture = load_architecture("rapid-4core")
    bandwidth = np.linspace(1e10, 1e11, designs)
    for path, value in (("scratchpad.capacity_bytes", 1.0), ("memory.dram.capacity_bytes", 1e6)):
        overrides = {path: np.where(np.arange(designs) % 2, 8e9, value), "memory.dram.bandwidth_bytes_per_s": bandwidth}
        batch = assert_equal(load_workload("resnet-18"), architecture, overrides, range(2))
        assert list(batch.feasible[:2]) == [False, True]
    overrides = {"memory.dram.capacity_bytes": np.full(designs, 1e6), "memory.dram.bandwidth_bytes_per_s": bandwidth}
    assert not assert_equal(load_workload("resnet-18"), architecture, overrides, range(2)).feasible.any()


UNSTATED = ("array.units.int4.energy_pj_per_mac", "scratchpad.read_energy_pj_per_byte", "leakage_w",
            "interconnect.energy_pj_per_byte_hop", "area_mm2")  # fmt: skip


@pytest.fixture
def derived(tmp_path):
    """An architecture that leaves energies, leakage and area to its technology."""
    described = load_architecture("rapid-4core").description.model_dump(exclude_none=True)
    for path in UNSTATED:
        *parents, last = path.split(".")
        here = described
        for part in parents:
            here = here[part]
        del here[last]
    file = tmp_path / "derived.yaml"
    file.write_text(yaml.safe_dump(described | {"name": "derived"}))
    return load_architecture(file)


@pytest.mark.parametrize("path", [
    "memory.dram.bandwidth_bytes_per_s", "interconnect.bandwidth_bytes_per_cycle", "dma.bandwidth_bytes_per_cycle",
    "host.bandwidth_bytes_per_s", "scratchpad.bandwidth_bytes_per_cycle", "array.rows", "array.columns",
    "array.accumulator_bytes", "vector.lanes", "scratchpad.capacity_bytes",
])  # fmt: skip
def test_what_a_technology_supplies_follows_every_rate_and_size(derived, path):
    assert set(derived.derived) == set(UNSTATED) - {"area_mm2"}
    overrides = columns(derived, {path: 1.0}, 18, np.random.default_rng(6))
    if "_per_" not in path:
        overrides[path] = np.floor(overrides[path])
    batch = assert_equal(load_workload("mlp"), derived, overrides, range(0, 18, 4), "int4")
    assert len(set(batch.energy_j)) == 18


def test_what_is_kept_changes_nothing():
    architecture, workload, kept = load_architecture("systolic-32x32"), load_workload("resnet-20"), Kept()
    rng = np.random.default_rng(8)
    for room in (1.0, 65536.0, 1048576.0, 65536.0):
        overrides = columns(architecture, {"memory.dram.bandwidth_bytes_per_s": 1.0}, 60, rng)
        overrides["scratchpad.capacity_bytes"] = np.full(60, room)
        first = evaluate_batch(workload, architecture, None, overrides)
        again = evaluate_batch(workload, architecture, None, overrides, None, kept)
        assert first.reasons == again.reasons
        for (name, column), (_, other) in zip(first.columns(), again.columns(), strict=True):
            np.testing.assert_array_equal(column, other, err_msg=name)


def test_things_are_kept_by_what_they_were_made_of():
    kept, made, owner = Kept(most=2), [], object()

    def make(name):
        made.append(name)
        if name == "none":
            raise InfeasibleError(Infeasible("room", 2.0, 1.0, "bytes", "all"))
        return [name]

    one = kept.of((owner,), "one", lambda: make("one"))
    assert kept.of((owner,), "one", lambda: make("again")) is one
    assert kept.of((object(),), "one", lambda: make("other")) == ["other"]
    for _ in range(2):
        with pytest.raises(InfeasibleError):
            kept.of((owner,), "none", lambda: make("none"))
    assert kept.of((owner,), "one", lambda: make("late")) == ["late"]
    assert made == ["one", "other", "none", "late"]

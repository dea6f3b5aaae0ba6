"""Pruned search: its bounds hold, its front is that of brute force, and it says truly what it left out."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.errors import InfeasibleError
from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate, least_latency_s
from accelsim.study.sweep.api import sweepable
from accelsim.study.sweep.designs import Evaluator
from accelsim.study.sweep.strategies.boxes import BETTER, BETTER_TILES, Orders, boxes_of
from accelsim.study.sweep.strategies.floors import Floors
from accelsim.study.sweep.strategies.pruned import BOUNDED, TOLERANCE
from accelsim.workload.load import load_workload

PATHS = sorted({path.replace("clocks.*", "clocks.core") for path in BETTER})
AXES = {
    "array.rows": [8, 16, 32],
    "array.dataflows": [["weight_stationary"], ["output_stationary"]],
    "memory.dram.bandwidth_bytes_per_s": {"low": 1e9, "high": 64e9, "steps": 4, "scale": "log"},
    "scratchpad.capacity_bytes": [2048, 8192, 65536, 1048576],
    "vector.lanes": [8, 64, 16],
    "memory.dram.latency_s": [1e-7, 5e-7],
    "array.units.int8.energy_pj_per_mac": [0.1, 0.2],
    "clocks.core.clock_hz": [5e8, 1e9],
}


@settings(max_examples=80, deadline=None)
@given(
    name=st.sampled_from(["mlp", "lstm", "resnet-20", "conv", "rnnt"]),
    architecture=st.sampled_from(["systolic-32x32", "rapid-4core", "mx-npu", "edge-npu"]),
    path=st.sampled_from(PATHS),
    factors=st.tuples(st.floats(0.25, 4), st.floats(0.25, 4)),
)
def test_more_of_what_is_better_is_never_slower(name, architecture, path, factors):
    """Every parameter that bounds may lean on, on machines without a power limit."""
    graph = load_workload(name, audio_s=0.3) if name == "rnnt" else load_workload(name)
    arch = load_architecture(architecture)
    nominal = arch.constants()[path].value or 10.0
    low, high = sorted(nominal * factor for factor in factors)
    if path == "memory.dram.efficiency":
        low, high = min(low, 1.0), min(high, 1.0)
    if path == "vector.lanes":
        low, high = max(1, round(low)), max(1, round(high))
    pattern = path.replace("clocks.core", "clocks.*")
    worse, better = (low, high) if BETTER[pattern] == "more" else (high, low)
    try:
        slow = evaluate(graph, arch.override({path: worse})).latency_s
    except InfeasibleError:
        return
    assert evaluate(graph, arch.override({path: better})).latency_s <= slow * (1 + 0.5 * TOLERANCE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_front_is_that_of_brute_force(base, data):
    names = data.draw(st.lists(st.sampled_from(sorted(AXES)), min_size=2, max_size=4, unique=True))
    objectives = data.draw(st.lists(st.sampled_from(sorted(BOUNDED)), min_size=1, max_size=3, unique=True))
    senses = {name: BOUNDED[name] for name in objectives}
    document = {**base, "axes": {name: AXES[name] for name in names}, "objectives": senses}
    if data.draw(st.booleans()):
        document["constraints"] = {"latency_s": {"max": data.draw(st.sampled_from([2e-6, 1e-5, 1e-4]))}}
    if data.draw(st.booleans()):
        document["constraints"] = {"area_mm2": {"max": data.draw(st.sampled_from([1.0, 6.0, 20.0]))}}
    brute = accelsim.sweep(document, workers=1)
    found = accelsim.sweep({**document, "strategy": {"kind": "pruned", "population": 4}}, workers=1)
    certificate = found.findings["certificate"]
    assert certificate["designs"] == len(brute.frame)
    assert certificate["visited"] == len(found.frame)
    assert certificate["visited"] + sum(certificate["left_out"].values()) == certificate["designs"]
    signs = np.array([1.0 if BOUNDED[name] == "min" else -1.0 for name in objectives])
    every, best = (table[objectives].to_numpy() * signs for table in (brute.pareto, found.pareto))
    assert (len(every) == 0) == (len(best) == 0)
    # Nothing in the whole grid is better than what was found by more than the tolerance, and what was found is real.
    for point in every:
        assert (best <= point + np.abs(point) * TOLERANCE).all(axis=1).any()
    for point in best:
        assert not ((every < point - np.abs(point) * TOLERANCE).all(axis=1)).any()


TILES = {
    "architectures": ["aimc-mesh"], "workloads": ["mlp:batch=4"], "precisions": ["analog"],
    "strategy": {"kind": "pruned", "population": 4},
}  # fmt: skip
TILE_AXES = {
    "tile.rows": [256, 512],
    "off_chip.bandwidth_bytes_per_s": {"low": 1e9, "high": 64e9, "steps": 4, "scale": "log"},
    "off_chip.latency_s": [1e-8, 1e-6],
    "mesh.link_bytes_per_s": [1e9, 4e9, 64e9],
    "digital.lanes": [4, 16, 64, 256],
    "digital.cycles_special": [1, 4],
    "tile.dac.energy_pj": [0.1, 1.0],
}


@settings(max_examples=40, deadline=None)
@given(
    name=st.sampled_from(["mlp", "lstm", "conv", "resnet-20"]),
    precision=st.sampled_from(["analog", "int8"]),
    path=st.sampled_from(sorted(BETTER_TILES)),
    factors=st.tuples(st.floats(0.25, 4), st.floats(0.25, 4)),
)
def test_floors_of_tiles_hold_where_parts_are_worse(name, precision, path, factors):
    """The floor of the better machine is below the time of the worse one, and energy but for leakage is the same."""
    graph, arch = load_workload(name), load_architecture("aimc-mesh")
    nominal = arch.constants()[path].value or 1e-8
    low, high = sorted(nominal * factor for factor in factors)
    if path in ("digital.lanes", "digital.count"):
        low, high = max(1, round(low)), max(1, round(high))
    worse, better = (low, high) if BETTER_TILES[path] == "more" else (high, low)
    slow, fast = (evaluate(graph, arch.override({path: value}), precision) for value in (worse, better))
    for shared in (slow, fast):
        assert least_latency_s(shared, fast.architecture) <= least_latency_s(shared, slow.architecture)
    assert least_latency_s(slow, fast.architecture) == least_latency_s(fast, fast.architecture) <= fast.latency_s
    parts = fast.energy.by_component_j
    assert all(joules == parts[each] for each, joules in slow.energy.by_component_j.items() if each != "leakage")


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_the_front_of_tiles_is_that_of_brute_force(data):
    names = data.draw(st.lists(st.sampled_from(sorted(TILE_AXES)), min_size=2, max_size=4, unique=True))
    objectives = data.draw(st.lists(st.sampled_from(sorted(BOUNDED)), min_size=1, max_size=3, unique=True))
    document = {**TILES, "axes": {name: TILE_AXES[name] for name in names},
                "objectives": {name: BOUNDED[name] for name in objectives}}  # fmt: skip
    brute = accelsim.sweep({**document, "strategy": "grid"}, workers=1)
    found = accelsim.sweep(document, workers=1)
    certificate = found.findings["certificate"]
    assert certificate["visited"] + sum(certificate["left_out"].values()) == certificate["designs"] == len(brute.frame)
    signs = np.array([1.0 if BOUNDED[name] == "min" else -1.0 for name in objectives])
    every, best = (table[objectives].to_numpy() * signs for table in (brute.pareto, found.pareto))
    for point in every:
        assert (best <= point + np.abs(point) * TOLERANCE).all(axis=1).any()
    for point in best:
        assert not ((every < point - np.abs(point) * TOLERANCE).all(axis=1)).any()


def test_rows_of_tiles_are_single_evaluations():
    """Rows share mappings and tasks where they can; each equals `simulate`, to the last bit."""
    found = accelsim.sweep({**TILES, "axes": TILE_AXES | {"tile.overhead_s": [1e-8, 2e-8]}, "strategy": "grid",
                            "objectives": {"latency_s": "min"}}, workers=1)  # fmt: skip
    arch, graph = load_architecture("aimc-mesh"), load_workload("mlp", batch=4)
    for _, row in found.frame.sample(20, random_state=0).iterrows():
        alone = evaluate(graph, arch.override({path: row[path] for path in (*TILE_AXES, "tile.overhead_s")}), "analog")
        assert (row.latency_s, row.energy_j, row.area_mm2) == (
            alone.latency_s, alone.energy_j, alone.area.area_mm2.value
        )  # fmt: skip


def test_kinds_without_bounds_are_told_what_to_do(base):
    document = {**base, "architectures": ["zcu104"], "precisions": ["int8"], "strategy": "pruned",
                "objectives": {"latency_s": "min"}, "axes": {"clock_hz": [1e8, 2e8]}}  # fmt: skip
    with pytest.raises(accelsim.InputError, match=r"kind fpga, which has no bounds.*all 2 designs with"):
        accelsim.sweep(document)


def test_no_design_is_visited_twice(base):
    document = {**base, "axes": AXES | {"cores": [1, 2]}, "strategy": {"kind": "pruned"},
                "objectives": {"latency_s": "min", "area_mm2": "min"}}  # fmt: skip
    found = accelsim.sweep(document, workers=1)
    axes = [axis.name for axis in found.run.sweep.space.axes]
    assert not found.frame[axes].astype(str).duplicated().any()
    certificate = found.findings["certificate"]
    assert certificate["visited"] + sum(certificate["left_out"].values()) == certificate["designs"] == 9216
    assert certificate["share"] < 0.1


def drawn(data, orders, box):
    """Any part of a box that halving leads to, and the coordinates of any design in it."""
    while box.count > 1 and data.draw(st.booleans()):
        box = box.halves()[data.draw(st.integers(0, 1))]
    coordinates = np.array(box.base)
    for position, first, last in box.ranges:
        coordinates[position] = orders.orders[position][data.draw(st.integers(first, last))]
    return box, coordinates


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_floors_are_below_every_design_of_their_box(base, data):
    sweep = sweepable({**base, "axes": AXES})
    orders, evaluator = Orders.of(sweep.space), Evaluator(sweep)
    floors = Floors(evaluator)
    box = data.draw(st.sampled_from([*boxes_of(orders)][::7]))
    box, coordinates = drawn(data, orders, box)
    best, smallest = orders.best(box), orders.smallest(box)
    table = evaluator.evaluate(np.stack([coordinates, best]))
    if not table.ok.all():
        assert not table.ok[0], "where the best corner does not fit, nothing does"
        return
    latency_s, least_s = table.metrics["latency_s"]
    assert floors.latency_s(best) <= least_s <= latency_s * (1 + TOLERANCE)
    assert floors.area_mm2(smallest) <= table.metrics["area_mm2"][0]
    assert floors.energy_j(best, smallest, least_s) <= table.metrics["energy_j"][0] * (1 + TOLERANCE)


FACTORS = {  # of the nominal value, or whole numbers
    "scratchpad.capacity_bytes": (2**-6, 2**-3, 1.0, 4.0), "array.accumulator_bytes": (0.0, 0.25, 1.0, 4.0),
    "memory.dram.bandwidth_bytes_per_s": (0.1, 1.0, 8.0), "memory.dram.latency_s": (0.3, 1.0),
    "scratchpad.bandwidth_bytes_per_cycle": (0.25, 1.0), "vector.lanes": (0.25, 1.0, 2.0),
    "memory.dram.energy_pj_per_byte": (0.0, 0.5, 1.0), "leakage_w": (0.1, 1.0), "vector.energy_pj_simple": (0.5, 2.0),
    "scratchpad.read_energy_pj_per_byte": (0.5, 1.0, 3.0), "clocks.core.clock_hz": (0.5, 1.0),
}  # fmt: skip
WHOLE = {"array.rows": [8, 32, 128], "array.columns": [16, 64], "cores": [1, 2, 4]}
NETWORKS = [
    "mlp:batch=4",
    "lstm",
    "conv",
    "resnet-20:batch=4",
    "resnet-18",
    "rnnt:audio_s=0.3",
    "mobilenet-v2",
    "vit-b-16",
]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_floors_hold_on_any_network_and_chip(data):
    """A design between two corners takes no less of anything than the floors that the corners give."""
    network = data.draw(st.sampled_from(NETWORKS))
    name = data.draw(st.sampled_from(["systolic-32x32", "rapid-4core", "edge-npu", "systolic-128x128", "mx-npu"]))
    arch = load_architecture(name)
    paths = data.draw(st.lists(st.sampled_from(sorted(FACTORS)), min_size=2, max_size=5, unique=True))
    known = arch.constants()
    axes = {path: _values(path, known[path].value) for path in paths if path in known}
    axes |= {path: [data.draw(st.sampled_from(WHOLE[path]))] for path in WHOLE if data.draw(st.booleans())}
    choices = {f"mapping.{each}": [data.draw(st.booleans())] for each in ("fusion", "pipelining", "resident_weights")}
    sweep = sweepable({"architectures": [name], "workloads": [network], "precisions": [],
                       "axes": axes | choices, "objectives": {"latency_s": "min"}})  # fmt: skip
    orders, evaluator = Orders.of(sweep.space), Evaluator(sweep)
    floors = Floors(evaluator)
    box = data.draw(st.sampled_from(list(boxes_of(orders))))
    box, coordinates = drawn(data, orders, box)
    best, smallest = orders.best(box), orders.smallest(box)
    table = evaluator.evaluate(np.stack([coordinates, best]))
    assume(table.ok[0])  # else it fits nowhere
    latency_s, least_s = table.metrics["latency_s"]
    assert 0 < floors.latency_s(best) <= least_s <= latency_s * (1 + TOLERANCE)
    assert floors.area_mm2(smallest) <= table.metrics["area_mm2"][0] * (1 + TOLERANCE)
    found = floors.energy_j(best, smallest, least_s)
    assert 0 < found <= table.metrics["energy_j"][0] * (1 + TOLERANCE)


def _values(path, nominal):
    """Values of an axis, those of counts whole."""
    found = [nominal * factor if nominal else factor for factor in FACTORS[path]]
    return sorted({max(1, round(each)) for each in found} if path == "vector.lanes" else set(found))


def test_halves_hold_every_design_once(base):
    sweep = sweepable({**base, "axes": AXES})
    orders = Orders.of(sweep.space)
    boxes = list(boxes_of(orders))
    assert sum(box.count for box in boxes) == sweep.space.count
    worse, better = boxes[0].halves()
    assert worse.count + better.count == boxes[0].count
    assert orders.best(better).tolist() == orders.best(boxes[0]).tolist()
    assert len(list(better.singles())) == better.count - 1


@pytest.mark.parametrize("name", ["tpu-v1", "systolic-32x32"])
def test_a_power_limit_has_no_bounds(base, name):
    document = {
        **base,
        "architectures": [name],
        "precisions": [],
        "strategy": {"kind": "pruned"},
        "axes": {"cores": [1, 2]},
    }
    if load_architecture(name).description.power_limit_w is None:
        assert accelsim.sweep(document, workers=1).findings["certificate"]["designs"] == 2
    else:
        with pytest.raises(accelsim.InputError, match="power limit"):
            accelsim.sweep(document)

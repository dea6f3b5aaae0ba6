"""What a sweep file may say, and what each mistake is told."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import accelsim
from accelsim.documents import parse_yaml
from accelsim.errors import AccelsimError, InputError
from accelsim.study.sweep.api import sweepable
from accelsim.study.sweep.axes import Axis
from accelsim.study.sweep.space import Space
from accelsim.study.sweep.strategies.registry import designs_of, strategy_of


def told(document):
    with pytest.raises(AccelsimError) as error:
        strategy_of(sweepable(document))
    return str(error.value)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"memory.dram.bandwith_bytes_per_s": [1e9]}, "Did you mean 'memory.dram.bandwidth_bytes_per_s'?"),
        ({"cores": []}, "axes.cores: is empty"),
        ({"cores": {"low": 4, "high": 2, "steps": 3}}, "exchange the two"),
        ({"cores": {"low": math.nan, "high": 2, "steps": 3}}, "finite number"),
        ({"cores": {"low": 1, "steps": 3}}, "only one end of a range"),
        ({"cores": {"low": 1, "high": 4, "steps": 3, "by": 1}}, "both steps and by"),
        ({"cores": {"low": 0, "high": 4, "steps": 3, "scale": "log"}}, "starts at 0 or below"),
        ({"cores": [1, 2, 1]}, "the value 1 twice"),
        ({"cores": [0, -1]}, "whole number of 1 or more"),
        ({"cores": {"low": 1, "high": 2}}, "is continuous"),
        ({"mapping.fusoin": [True, False]}, "Did you mean 'fusion'?"),
        ({"workload.szies": [[10, 10]]}, "Did you mean 'sizes'?"),
        ({"precision.nothing*": ["int8"]}, "'nothing*'"),
        ({"rewrite": ["remove-skip"]}, "Did you mean 'remove-skips'?"),
        ({"precision": ["int8"]}, "list several under `precisions`"),
        ({"cores": {"values": [1, 2], "when": {"coers": [1]}}}, "axes.cores.when.coers"),
        ({"cores": {"values": [1, 2], "when": {"array.rows": [3]}}, "array.rows": [4, 8]}, "is not a known value"),
        ({"cores": {"low": 1, "high": 10**9, "integers": True}}, "more than 100,000 values"),
    ],
)
def test_a_wrong_axis_is_told(base, axes, words):
    message = told({**base, "axes": axes})
    assert words.lower() in message.lower()
    assert "sweep" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"constraints": {"latency_s": {"min": 2.0, "max": 1.0}}}, "contradicts itself"),
        ({"constraints": {"area_mm2": {"max": -1.0}}}, "no design keeps"),
        ({"constraints": {"utilization_macs": {"min": 1.5}}}, "at most 1"),
        ({"constraints": {"latency": {"max": 1.0}}}, "Did you mean 'latency_s'?"),
        ({"constraints": {"area_mm2": {}}}, "limits nothing"),
        ({"objectives": {"enegy_j": "min"}}, "Did you mean 'energy_j'?"),
        ({"objectives": {"sqnr_db": "max"}}, "accuracy: {}"),
        ({"strategy": {"kind": "sobol"}}, "without a budget"),
        ({"strategy": {"kind": "sobl"}, "budget": 8}, "is not a known `kind`"),
        ({"strategy": "sobl", "budget": 8}, "is not a known `kind`"),
        ({"strategy": "sobol"}, "without a budget"),
        ({"workloads": ["resnet-19"]}, "Did you mean 'resnet-18'?"),
        ({"architectures": ["systolic-33y2"]}, "architecture"),
        ({"precisions": ["int9"]}, "Did you mean 'int"),
        ({"precisions": ["e2m1/ue5m3"]}, "'e2m1/ue5m3' does not say who shares a scale"),
        ({"precisions": ["e2m1/ue5m@16"]}, "has no scale of the form"),
        ({"precisions": ["analog"]}, "is not a known format or recipe"),
        ({"axes": {"precision.*": ["e2m1/ue5m3@0"]}}, "whole number of 1 or more"),
        ({"assumed": ["memory.drum.*"]}, "memory.drum.*"),
        ({"buget": 3}, "did you mean 'budget'?"),
        ({"budget": 10}, "is a grid of 48 designs, more than 10"),
        ({"strategy": {"kind": "pruned"}, "objectives": {"power_w": "min"}}, "has no bound"),
        ({"strategy": {"kind": "sensitivity"}, "budget": 9}, "is too small for 4 axes"),
    ],
)
def test_a_wrong_sweep_is_told(base, change, words):
    assert words.lower() in told({**base, **change}).lower()


def test_every_precision_of_simulate_is_one_of_a_sweep(base):
    """Composed formats, and tiles beside digital cores."""
    formats = ["mxfp4", "e2m1/ue5m3@8", "e2m1/ue5m3@32"]
    blocks = {**base, "architectures": ["mx-npu"], "precisions": formats, "axes": {}}
    found = accelsim.sweep(blocks, workers=1).frame
    assert found.status.eq("ok").all()
    for name, latency_s, energy_j in zip(formats, found.latency_s, found.energy_j, strict=True):
        alone = accelsim.simulate("mlp", "mx-npu", precision=name, intervals=False)
        assert (latency_s, energy_j) == (alone.latency_s, alone.energy_j)
    tiles = {**base, "architectures": ["aimc-mesh"], "precisions": ["analog", "int4"], "axes": {}}
    assert accelsim.sweep(tiles, workers=1).frame.status.eq("ok").all()


def test_a_grid_of_a_million_billion_designs_is_refused_with_its_count(base):
    axes = {f"axis{k}": {"choices": {str(n): {} for n in range(1000)}} for k in range(5)}
    assert "1,000,000,000,000,000" in told({**base, "precisions": [], "axes": axes})


@st.composite
def spaces(draw):
    """Spaces of up to five axes, each perhaps conditional on one before it."""
    axes = []
    for number in range(draw(st.integers(1, 5))):
        when = {}
        if axes and draw(st.booleans()):
            parent = draw(st.sampled_from(axes))
            chosen = draw(st.sets(st.integers(0, len(parent.values) - 1), min_size=1))
            when = {parent.name: frozenset(chosen)}
        axes.append(Axis(f"a{number}", "hardware", tuple(range(draw(st.integers(1, 4)))), when=when))
    return Space(tuple(axes))


@settings(max_examples=200, deadline=None)
@given(space=spaces(), data=st.data())
def test_a_grid_holds_every_design_once_and_numbers_them(space, data):
    whole = space.grid(0, space.count)
    assert len({row.tobytes() for row in whole}) == space.count == len(whole)
    assert np.array_equal(space.masked(whole), whole, equal_nan=True)
    start = data.draw(st.integers(0, space.count))
    stop = data.draw(st.integers(start, space.count))
    assert np.array_equal(space.grid(start, stop), whole[start:stop], equal_nan=True)
    assert [space.index_of(row) for row in whole] == list(range(space.count))


@settings(max_examples=100, deadline=None)
@given(space=spaces(), seed=st.integers(0, 99))
def test_drawn_designs_are_designs_of_the_grid(space, seed):
    drawn = space.at(np.random.default_rng(seed).random((50, len(space.axes))))
    grid = {row.tobytes() for row in space.grid(0, space.count)}
    assert {row.tobytes() for row in drawn} <= grid


def test_conditions_tie_axes_to_the_values_of_others(base):
    axes = {
        "interconnect.topology": ["ring", "mesh"],
        "interconnect.hop_latency_cycles": {"values": [1, 2, 4], "when": {"interconnect.topology": "mesh"}},
    }
    sweep = sweepable({**base, "precisions": [], "axes": axes})
    assert designs_of(sweep) == 4
    designs = [sweep.space.design(row) for row in sweep.space.grid(0, 4)]
    assert designs[0] == {"interconnect.topology": "ring"}
    assert [each.get("interconnect.hop_latency_cycles") for each in designs] == [None, 1, 2, 4]


def test_ranges_hold_both_ends_and_whole_numbers_where_asked(base):
    axes = {
        "memory.dram.bandwidth_bytes_per_s": {"low": 1e9, "high": 1e12, "steps": 4, "scale": "log"},
        "cores": {"low": 1, "high": 9, "by": 4},
        "array.rows": {"low": 8, "high": 128, "steps": 5, "scale": "log", "integers": True},
    }
    by_name = {axis.name: axis.values for axis in sweepable({**base, "axes": axes}).space.axes}
    assert by_name["memory.dram.bandwidth_bytes_per_s"] == (1e9, 1e10, 1e11, 1e12)
    assert by_name["cores"] == (1, 5, 9)
    assert by_name["array.rows"] == (8, 16, 32, 64, 128)


def test_assumed_constants_become_axes_over_their_ranges(base):
    sweep = sweepable({**base, "assumed": ["memory.dram.*"], "strategy": {"kind": "random"}, "budget": 4})
    axes = {axis.name: axis for axis in sweep.space.axes}
    assert axes["memory.dram.latency_s"].continuous
    assert axes["memory.dram.channels"].values == tuple(range(1, 17)), "whole numbers stay whole"
    assert len(axes["memory.dram.bandwidth_bytes_per_s"].values) == 4, "what the file says goes first"


def test_a_file_is_read_with_the_paths_beside_it(tmp_path, base):
    import yaml

    bundled = Path(sweepable(base).architectures["systolic-32x32"].file)
    (tmp_path / "chip.yaml").write_text(bundled.read_text())
    (tmp_path / "s.yaml").write_text(yaml.safe_dump({**base, "architectures": ["chip.yaml"]}))
    assert sweepable(tmp_path / "s.yaml").architectures["chip.yaml"].file == str(tmp_path / "chip.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        sweepable(tmp_path / "none.yaml")


def test_the_file_in_the_docs_is_a_sweep():
    text = (Path(__file__).parents[3] / "docs" / "sweeps.md").read_text()
    written = parse_yaml(text.partition("```yaml\n")[2].partition("```")[0])
    assert sweepable(written).space.count == 660

"""Sensitivities on a user's model: what a part alone and left out must do, and the finding on the standard tile."""

import json
import math
from dataclasses import replace

import pytest

import accelsim
from accelsim.cli import main
from accelsim.engine.functional.analog_setting import analog_setting
from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate
from accelsim.study.analog_sensitivity import _ideal, analog_sensitivity, parts_of
from accelsim.workload.load import load_workload
from tests.engine.functional.models import network

RASCH = load_architecture("rasch-2023")


@pytest.fixture(scope="module")
def found():
    return accelsim.nonidealities("resnet-20", RASCH, time_s=3600.0)


def test_input_and_output_noise_hurt_most_at_one_strength(found):
    """The finding of Rasch et al., Nature Communications 14, 2023, on a network on the standard tiles."""
    assert {each.name for each in found.disturbed[:2]} == {"input noise", "output noise"}


def test_parts_are_those_of_the_standard_model(found):
    assert {each.name for each in found.parts} == {
        "DAC", "ADC", "output noise", "weight noise", "wires", "programming", "drift", "1/f noise"
    }  # fmt: skip
    assert all(found.ideal < each.alone < found.described * 1.5 for each in found.parts)
    assert [each.alone for each in found.parts] == sorted((each.alone for each in found.parts), reverse=True)


def test_runs_are_bounded(found):
    """Eight parts twice, ten disturbances, ideal and described; three times what is random."""
    alone, without, disturbances = 3 * 5 + 3, 3 * 8, 3 * 4 + 6
    assert found.runs == alone + without + disturbances + 1 + 3


def test_a_part_alone_and_the_rest_make_the_whole():
    """Putting each part of a setting into the ideal one, one after the other, gives the setting."""
    for name, time_s in (("rasch-2023", 3600.0), ("hermes-64core", 60.0), ("neurram", 86400.0), ("isaac", None)):
        described = analog_setting(load_architecture(name).description, time_s, 0)
        built, emptied = _ideal(described), described
        for put in parts_of(described).values():
            built, emptied = put(described, built), put(_ideal(described), emptied)
        assert built == described
        assert emptied == _ideal(described)


def test_ideal_devices_and_converters_leave_nothing():
    ideal = {"tile.crossbar.device": "ideal", "tile.crossbar.model": "ideal"}
    found = accelsim.nonidealities("resnet-20", RASCH.override(ideal))
    assert found.parts == ()
    assert found.ideal == found.described
    assert len(found.disturbed) == 10


def test_another_seed_draws_again(tmp_path):
    task = evaluate(load_workload(network(tmp_path)), RASCH)
    one, again, other = (analog_sensitivity(task, seed=0, repeats=repeats) for repeats in (1, 1, 2))
    assert one == again
    assert {each.name: each.without for each in one.parts} != {each.name: each.without for each in other.parts}


def test_it_is_told(found, tmp_path, capsys):
    document = json.loads(found.to_json())
    assert {each["name"] for each in document["parts"]} == {each.name for each in found.parts}
    found.to_html(tmp_path / "found.html")
    page = (tmp_path / "found.html").read_text(encoding="utf-8")
    assert all(each.name in page for each in (*found.parts, *found.disturbed))
    path = str(network(tmp_path))
    assert main(["emulate", path, "rasch-2023", "--sensitivity", "--repeats", "1"]) == 0
    text = capsys.readouterr().out
    assert "without it" in text
    assert "output noise" in text
    assert main(["emulate", path, "rasch-2023", "--sensitivity", "--repeats", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repeats"] == 1


def test_figures_that_are_not_finite_are_null(found):
    lost = replace(found, described=math.inf)
    assert json.loads(lost.to_json())["described"] is None


def test_what_is_refused(tmp_path, capsys):
    with pytest.raises(UnsupportedError, match="no analog tiles"):
        accelsim.nonidealities("resnet-20", "edge-npu")
    with pytest.raises(InputError, match="repeats"):
        accelsim.nonidealities("resnet-20", RASCH, repeats=0)
    assert main(["emulate", str(network(tmp_path)), "rasch-2023", "--repeats", "2"]) == 2
    assert "--sensitivity" in capsys.readouterr().err

"""Scales of integer operands: quantisers of recipes, and static calibration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import accelsim
from accelsim.cli import main
from accelsim.errors import InputError, UnknownNameError
from accelsim.numerics import calibrate, matmul, quantiser_named, quantize
from accelsim.numerics.quantisers import MaxRange, SawbRange
from tests.engine.functional.models import linear

WEIGHT = np.random.default_rng(21).standard_normal((32, 8)).astype(np.float32)


def rows(scale: float = 1.0, seed: int = 0) -> Any:
    return (np.random.default_rng(seed).standard_normal((2, 32)) * scale).astype(np.float16).astype(np.float32)


def in_int4(x: Any, scale: Any, weight: Any = None) -> Any:
    codes = quantize(x, "int4", axis=1, scale=scale)
    return matmul(codes, quantize(WEIGHT, "int4", axis=0) if weight is None else weight, accumulator="fp32")


def emulated(path: Path, x: Any, **options: Any) -> Any:
    return accelsim.emulate(path, "systolic-32x32", {"x": x}, precision="int4", **options)


def test_samples_give_the_scale_once(tmp_path: Path) -> None:
    path, x, samples = linear(tmp_path, WEIGHT), rows(4.0), [rows(seed=1), rows(2.0, seed=2)]
    found = emulated(path, x, calibration=[{"x": each} for each in samples])
    scale = calibrate(np.concatenate(samples, axis=1).reshape(1, -1), "int4", MaxRange(), axis=1).scale
    assert scale == max(np.abs(each).max() for each in samples) / np.float32(7)
    np.testing.assert_allclose(found.outputs["y"], in_int4(x, scale), rtol=2**-10)
    (row,) = found.op_errors
    assert row.saturated == (np.abs(x) > 7 * scale).sum() > 0  # what the samples did not reach is cut
    assert any("from 2 samples" in note for note in found.notes)


def test_samples_of_the_inputs_themselves_change_nothing(tmp_path: Path) -> None:
    path, x = linear(tmp_path, WEIGHT), rows()
    np.testing.assert_array_equal(emulated(path, x, calibration={"x": x}).outputs["y"], emulated(path, x).outputs["y"])


@pytest.mark.parametrize("name", ["percentile:99", "mse", "sawb", "pact:1.5", "fixed:-2,2"])
def test_a_quantiser_by_name(tmp_path: Path, name: str) -> None:
    path, x = linear(tmp_path, WEIGHT), rows()
    scale = calibrate(x.reshape(1, -1), "int4", quantiser_named(name), axis=1).scale
    found = emulated(path, x, quantiser=name)
    np.testing.assert_allclose(found.outputs["y"], in_int4(x, scale), rtol=2**-10)
    samples = tmp_path / "samples.npz"
    np.savez(samples, x=x)
    np.testing.assert_array_equal(
        emulated(path, x, quantiser=name, calibration=samples).outputs["y"], found.outputs["y"]
    )


def test_a_clip_of_outliers_is_nearer_than_their_range(tmp_path: Path) -> None:
    path, x = linear(tmp_path, WEIGHT, 64), np.random.default_rng(4).standard_normal((64, 32))
    x[0, 0] = 12
    clipped, whole = (emulated(path, x, quantiser=name).sqnr_db["y"] for name in ("mse", "max"))
    assert clipped > whole


def test_recipes_name_quantisers(tmp_path: Path) -> None:
    graph = accelsim.from_onnx(linear(tmp_path, WEIGHT))
    recipe = accelsim.load_workload("dblstm-hmm").recipes["int4-uniform"]
    assert recipe.weight_quantisers == (("*", "sawb"),)
    x = rows()
    found = accelsim.emulate(replace(graph, recipes={"mine": recipe}), "systolic-32x32", {"x": x}, precision="mine")
    weight = calibrate(WEIGHT.reshape(1, -1), "int4", SawbRange(), axis=1).scale
    scale = np.abs(x).max() / np.float32(7)
    expected = in_int4(x, scale, quantize(WEIGHT, "int4", axis=0, scale=weight))
    np.testing.assert_allclose(found.outputs["y"], expected, rtol=2**-10)
    assert "quantisers are those of recipe mine" in found.notes


@pytest.mark.parametrize("name", ["rnnt", "rnnt-lm-fusion", "dblstm-hmm"])
def test_speech_recipes_have_quantisers_and_their_source(name: str) -> None:
    for recipe in accelsim.load_workload(name).recipes.values():
        assert recipe.weight_quantisers
        assert recipe.activation_quantisers
        assert "sure" in recipe.quantiser_source


def test_recurrent_states_are_calibrated_over_all_steps() -> None:
    graph = accelsim.load_workload("lstm", steps=20, hidden_size=16, input_size=16)
    x = {"input": np.random.default_rng(3).standard_normal((20, 1, 16)).astype(np.float32)}
    static = accelsim.emulate(graph, "systolic-32x32", x, precision="int4", calibration=x)
    dynamic = accelsim.emulate(graph, "systolic-32x32", x, precision="int4")
    # Early states are small: one scale for all steps makes zeros of more of them.
    zeros = [{row.op: row.flushed for row in each.op_errors}["layer.0.recurrent"] for each in (static, dynamic)]
    assert zeros[0] > zeros[1]


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = linear(tmp_path, WEIGHT)
    np.savez(tmp_path / "x.npz", x=rows())
    command = ["emulate", str(path), "systolic-32x32", "--precision", "int4", "--calibrate", str(tmp_path / "x.npz"),
               "--quantiser", "mse", "--html", str(tmp_path / "page.html")]  # fmt: skip
    assert main(command) == 0
    assert "from 1 samples" in capsys.readouterr().out
    page = (tmp_path / "page.html").read_text()
    assert "SQNR of each op, the worst on top" in page
    assert "All 1 ops" in page


class TestBadInput:
    def test_quantisers(self, tmp_path: Path) -> None:
        path = linear(tmp_path, WEIGHT)
        with pytest.raises(UnknownNameError, match=r"'swab' is not a known quantiser.*sawb"):
            emulated(path, rows(), quantiser="swab")
        for text, rule in (("pact", "takes 1 numbers"), ("pact:-1", "alpha must be positive"),
                           ("fixed:1", "takes 2 numbers"), ("mse:x", "takes numbers")):  # fmt: skip
            with pytest.raises(InputError, match=rule):
                emulated(path, rows(), quantiser=text)

    def test_nothing_to_calibrate(self, tmp_path: Path) -> None:
        path, x = linear(tmp_path, WEIGHT), {"x": rows()}
        with pytest.raises(InputError, match=r"calibration.*no op in integers"):
            accelsim.emulate(path, "systolic-32x32", x, precision="fp16", calibration=x)

    def test_a_recipe_with_a_quantiser_that_is_none(self, tmp_path: Path) -> None:
        text = yaml.safe_load((Path(accelsim.__file__).parent.parent / "workloads/dblstm-hmm.yaml").read_text())
        text["recipes"]["int4-uniform"]["quantisers"]["weights"] = {"*": "sawn"}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(text))
        with pytest.raises(UnknownNameError, match=r"recipes\.int4-uniform\.quantisers\.weights.*'sawn'"):
            accelsim.load_workload(tmp_path / "mine.yaml")
        text["recipes"]["int4-uniform"]["quantisers"]["weights"] = {"nothing": "sawb"}
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(text))
        with pytest.raises(UnknownNameError, match=r"quantisers\.weights.*'nothing'"):
            accelsim.load_workload(tmp_path / "mine.yaml")

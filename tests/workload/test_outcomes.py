"""Branches by their probability: outcomes, and means over them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import accelsim
from accelsim.cli import main
from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.workload.outcomes import Outcome, load_outcomes
from tests.workload.onnx_models import branch, node, save, stored, value, weight

ARCH = "systolic-32x32"
WIDTH = 24


def _gate(name: str, source: str, output: str, condition: str = "c", inner: Any = None) -> Any:
    """An `If` of two matrix products, or of whatever ``inner`` is, against one."""
    products = [node("MatMul", [source, "w"], [f"{name}p"], name=f"{name}/first"),
                node("MatMul", [f"{name}p", "w"], [f"{name}q"], name=f"{name}/second")]  # fmt: skip
    then = branch("then", [inner] if inner is not None else products, [f"{name}q"])
    other = branch("else", [node("MatMul", [source, "w"], [f"{name}e"], name=f"{name}/only")], [f"{name}e"])
    return node("If", [condition], [output], name=name, then_branch=then, else_branch=other)


def _model(folder: Path, *gates: Any, last: str = "y") -> Path:
    condition = [node("ReduceSum", ["x"], ["sum"], keepdims=0), node("Greater", ["sum", "zero"], ["c"])]
    stores = [stored("zero", 0.0), weight("w", WIDTH, WIDTH)]
    return save(folder, [*condition, *gates], [value("x", [4, WIDTH])], [last], stores)


@pytest.mark.parametrize(("share", "word"), [(1.0, "then"), (0.0, "else")])
def test_a_certain_branch_is_that_branch(tmp_path: Path, share: float, word: str) -> None:
    path = _model(tmp_path, _gate("gate", "x", "y"))
    (only,) = load_outcomes(path, branches={"gate": share})
    assert (only.probability, only.branches) == (1.0, {"gate": word})
    assert only.graph == accelsim.load_workload(path, branches={"gate": word})


def test_means_lie_on_the_line_between_the_branches(tmp_path: Path) -> None:
    path = _model(tmp_path, _gate("gate", "x", "y"))
    ends = {word: accelsim.simulate(accelsim.load_workload(path, branches={"gate": word}), ARCH, intervals=False)
            for word in ("then", "else")}  # fmt: skip
    assert ends["then"].latency_s > ends["else"].latency_s
    for share in (0.0, 0.1, 0.3, 0.75, 1.0):
        found = accelsim.expect(load_outcomes(path, branches={"gate": share}), ARCH)
        found.check()
        for metric in ("latency_s", "energy_j", "macs"):
            line = share * getattr(ends["then"], metric) + (1 - share) * getattr(ends["else"], metric)
            assert getattr(found, metric) == pytest.approx(line, rel=1e-12)
        assert found.throughput_per_s == pytest.approx(1 / found.latency_s)
    assert found.latency_quantile_s(1.0) == ends["then"].latency_s


def test_quantiles_are_those_of_the_outcomes(tmp_path: Path) -> None:
    path = _model(tmp_path, _gate("gate", "x", "y"))
    found = accelsim.expect(load_outcomes(path, branches={"gate": 0.1}), ARCH)
    quick, slow = sorted(each.estimate.evaluation.latency_s for each in found.outcomes)
    assert [found.latency_quantile_s(share) for share in (0.0, 0.9, 0.91, 1.0)] == [quick, quick, slow, slow]


def test_several_branches_are_independent(tmp_path: Path) -> None:
    path = _model(tmp_path, _gate("a", "x", "h"), _gate("b", "h", "y"))
    found = load_outcomes(path, branches={"a": 0.3, "*": 0.5})
    assert {(each.branches["a"], each.branches["b"]): each.probability for each in found} == pytest.approx(
        {("then", "then"): 0.15, ("then", "else"): 0.15, ("else", "then"): 0.35, ("else", "else"): 0.35}
    )
    one = 4 * WIDTH * WIDTH
    assert sum(each.probability * each.graph.macs for each in found) == pytest.approx((1.3 + 1.5) * one)
    mixed = load_outcomes(path, branches={"a": 0.3, "b": "else"})
    assert [each.probability for each in mixed] == pytest.approx([0.3, 0.7])


def test_a_branch_inside_a_branch_is_asked_only_where_it_is_reached(tmp_path: Path) -> None:
    path = _model(tmp_path, _gate("outer", "x", "y", inner=_gate("inner", "x", "outerq")))
    found = load_outcomes(path, branches={"outer": 0.2, "inner": 0.5})
    assert [(dict(each.branches), each.probability) for each in found] == [
        ({"outer": "then", "inner": "then"}, pytest.approx(0.1)),
        ({"outer": "then", "inner": "else"}, pytest.approx(0.1)),
        ({"outer": "else"}, pytest.approx(0.8)),
    ]


def test_one_choice_holds_for_all_steps_of_a_loop(tmp_path: Path) -> None:
    body = branch("body", [_gate("gate", "s", "t", "k"), node("Identity", ["on"], ["out"])], ["out", "t"])
    body.input.extend([value("i", [], 7), value("on", [], 9), value("s", [4, WIDTH])])
    loop = node("Loop", ["five", "", "x"], ["y"], name="loop", body=body)
    compare = [node("ReduceSum", ["x"], ["sum"], keepdims=0), node("Greater", ["sum", "zero"], ["k"])]
    stores = [stored("zero", 0.0), stored("five", 5, np.int64), weight("w", WIDTH, WIDTH)]
    path = save(tmp_path, [*compare, loop], [value("x", [4, WIDTH])], ["y"], stores)
    found = load_outcomes(path, branches={"gate": 0.25})
    one = 4 * WIDTH * WIDTH
    assert [(each.probability, each.graph.macs) for each in found] == [(0.25, 10 * one), (0.75, 5 * one)]


def test_bad_weights_are_named(tmp_path: Path) -> None:
    path = _model(tmp_path, _gate("gate", "x", "y"))
    with pytest.raises(InputError, match=r"branches\.gate: 1\.5 must be a probability"):
        load_outcomes(path, branches={"gate": 1.5})
    with pytest.raises(InputError, match="must be a probability"):
        load_outcomes(path, branches={"gate": float("nan")})
    with pytest.raises(UnknownNameError, match="Did you mean 'gate'"):
        load_outcomes(path, branches={"gat": 0.5, "*": 0.5})
    with pytest.raises(InputError, match=r"0\.5 weighs a branch, and one graph holds one.*accelsim\.expect"):
        accelsim.load_workload(path, branches={"gate": 0.5})


def test_a_constant_condition_cannot_be_weighed(tmp_path: Path) -> None:
    stores = [stored("c", True, np.bool_), weight("w", WIDTH, WIDTH)]
    path = save(tmp_path, [_gate("gate", "x", "y")], [value("x", [4, WIDTH])], ["y"], stores)
    with pytest.raises(UnknownNameError, match="If of this model that the data decides"):
        load_outcomes(path, branches={"gate": 0.5})


def test_too_many_outcomes_are_refused(tmp_path: Path) -> None:
    names = ["x", *(f"h{index}" for index in range(7))]
    gates = [_gate(f"g{index}", *pair) for index, pair in enumerate(pairwise(names))]
    path = _model(tmp_path, *gates, last=names[-1])
    with pytest.raises(UnsupportedError, match="more than 64 outcomes"):
        load_outcomes(path, branches={"*": 0.5})


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(_model(tmp_path, _gate("gate", "x", "y")))
    assert main(["simulate", path, ARCH, "--branch", "gate=0.25", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["probability"] for each in document["outcomes"]] == [0.25, 0.75]
    mean = sum(each["probability"] * each["latency_s"] for each in document["outcomes"])
    assert document["expected"]["latency_s"] == pytest.approx(mean)
    assert main(["show", path, "--branch", "gate=0.25"]) == 0
    assert "gate=then" in capsys.readouterr().out
    assert main(["simulate", path, ARCH, "--branch", "gate=0.25", "--html", str(tmp_path / "r.html")]) == 2
    assert "shows one outcome" in capsys.readouterr().err
    assert main(["compare", path, ARCH, "--branch", "gate=0.25"]) == 2
    assert "weighs a branch" in capsys.readouterr().err


def test_without_an_energy_model_the_mean_energy_is_absent() -> None:
    graph = accelsim.load_workload("resnet-20", image_size=8)
    outcomes = [Outcome(0.4, {"a": "then"}, graph), Outcome(0.6, {"a": "else"}, graph)]
    found = accelsim.expect(outcomes, "alveo-u200", precision="int4")
    assert json.loads(found.to_json())["expected"]["energy_j"] is None
    assert found.latency_s > 0

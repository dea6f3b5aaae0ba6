"""A few results that all tests of this folder look at; made once, for they are frozen."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accelsim.hardware.load import load_architecture
from accelsim.study.compare import compare_precisions
from accelsim.study.estimate import Estimate, estimate
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.load import load_workload
from accelsim.workload.ops import Elementwise, MatMul

NASTY = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    "%{x} <b>bold</b> & 'q' \"q\"",
    "line\nbreak \x1b[31mred",
)


@pytest.fixture(scope="session")
def architecture():
    return load_architecture("rapid-4core")


@pytest.fixture(scope="session")
def speech(architecture):
    """Loops, a host, recurrence, audio, and assumptions in workload and architecture."""
    return estimate(load_workload("rnnt-lm-fusion", audio_s=1), architecture, "int4")


@pytest.fixture(scope="session")
def tiled(architecture):
    """Tile detail, so several cores, and no loop."""
    return estimate(load_workload("resnet-18"), architecture, "int4", detail="tile", intervals=False)


@pytest.fixture(scope="session")
def nasty(architecture):
    """Names that try to be markup, on a workload without audio; a note and a broken assumption beside it."""
    tensors = {name: Tensor(name, (8, 8)) for name in ("in", *(f"t{i}" for i in range(len(NASTY))))}
    tensors["w"] = Tensor("w", (8, 8), "weight")
    ops: list[MatMul | Elementwise] = []
    before = "in"
    for number, name in enumerate(NASTY):
        after = f"t{number}"
        if number % 2:
            ops.append(Elementwise(name=name, inputs=(before,), outputs=(after,), function="relu", elements=64))
        else:
            ops.append(MatMul(name=name, inputs=(before, "w"), outputs=(after,), m=8, n=8, k=8))
        before = after
    graph = Graph("<i>nasty</i>", tuple(ops), tensors, ("in",), (before,))
    made = estimate(graph, architecture, "fp16", intervals=True)
    return replace(made, notes=("calibrated: on <u>something</u>",))


@pytest.fixture(scope="session", params=["speech", "tiled", "nasty"])
def result(request) -> Estimate:
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def comparison(architecture):
    return compare_precisions(load_workload("rnnt-lm-fusion", audio_s=1), architecture, ["fp16", "fp8_e4m3", "int4"])

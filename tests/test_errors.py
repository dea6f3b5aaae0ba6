"""Errors between processes: each arrives as it was raised."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from accelsim import errors
from accelsim.errors import AccelsimError, Infeasible, InfeasibleError, InputError, UnknownNameError
from accelsim.workload.onnx.model import OpenShapeError

PLACED = {"file": Path("a.yaml"), "field": "axes.clock", "value": -1, "remedy": "write 1 or more"}
RAISED = [
    AccelsimError("anything"),
    InputError("must be positive", **PLACED),
    UnknownNameError("workload", "resnet18", ["resnet-18", "lstm"], file="a.yaml", field="workloads"),
    errors.GraphError("has a cycle", field="op a"),
    errors.UnsupportedError("is not modelled", value="fft"),
    InfeasibleError(Infeasible("the mesh", 3, 2, "tiles", "workload lstm")),
    errors.EngineError("deadlock"),
    errors.CertificateError(["one", "two"]),
    OpenShapeError("depends on data", field="y"),
]


def _subclasses(kind):
    return {kind}.union(*map(_subclasses, kind.__subclasses__()))


def test_every_error_is_tried():
    assert {type(each) for each in RAISED} == _subclasses(AccelsimError)


@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_survive_pickling(error, protocol):
    error.add_note("in design 3")
    arrived = pickle.loads(pickle.dumps(error, protocol))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert arrived.args == error.args
    assert vars(arrived) == vars(error)


def _raised(error):
    raise error


def test_errors_cross_processes():
    with ProcessPoolExecutor(1) as pool, pytest.raises(InfeasibleError, match="needs 3 tiles") as caught:
        pool.submit(_raised, RAISED[5]).result()
    assert caught.value.infeasible.demand == 3

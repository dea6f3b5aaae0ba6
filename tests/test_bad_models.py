"""Models that cannot be: ONNX files with slips in them, and graphs made in Python that are not consistent."""

from dataclasses import replace

import onnx
import pytest
from onnx import TensorProto, helper

import accelsim
from accelsim.errors import InputError
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, Loop, MatMul, Recurrent
from tests.conftest import says
from tests.models import model_file

# ONNX models


def onnx_file(folder, nodes, shape=(1, 4), name="model.onnx"):
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    read = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "test", read, made)
    path = folder / name
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def test_onnx_files_that_are_no_model(refused, tmp_path):
    for content, rule in ((b"", "is empty"), (bytes(range(256)), "is not an ONNX model")):
        (tmp_path / "model.onnx").write_bytes(content)
        assert says(refused("simulate", tmp_path / "model.onnx", "rapid-4core"), "model.onnx: ", rule)
    assert says(refused("simulate", "absent.onnx", "rapid-4core"), "absent.onnx: does not exist")
    assert says(refused("show", "absent.onnx"), "absent.onnx: does not exist")


def test_an_onnx_cycle(refused, tmp_path):
    nodes = [helper.make_node("Add", ["x", "b"], ["a"], "first"), helper.make_node("Relu", ["a"], ["b"], "second")]
    path = onnx_file(tmp_path, [*nodes, helper.make_node("Relu", ["b"], ["y"], "third")])
    assert says(refused("simulate", path, "rapid-4core"), str(path), "first", "'b'")


def test_an_onnx_op_that_is_not_modelled(refused, tmp_path):
    path = onnx_file(tmp_path, [helper.make_node("Frobnicate", ["x"], ["y"], "odd", domain="my.ops")])
    assert says(refused("simulate", path, "rapid-4core"), str(path), "Frobnicate")


def test_a_missing_dynamic_shape(refused, tmp_path):
    path = onnx_file(tmp_path, [helper.make_node("Relu", ["x"], ["y"], "relu")], shape=("batch", 3, "height", "width"))
    for command in (["simulate", path, "rapid-4core"], ["show", path]):
        assert says(refused(*command), str(path), "'x' [batch, 3, height, width]", "--shape x=1x3x224x224")
    message = refused("simulate", path, "rapid-4core", "--shape", "x=1x3x2")
    assert says(message, str(path), "x")
    message = refused("simulate", path, "rapid-4core", "--shape", "img=1x3x2x2")
    assert says(message, str(path), "'img'", "x")


def test_a_real_model_says_which_sizes_and_values_it_wants(refused):
    path = model_file("silero-vad", "6.2.3", "silero_vad/data/silero_vad.onnx")
    assert says(refused("simulate", path, "rapid-4core"), "'input' [?, ?]", "--shape input=")
    shapes = ["--shape", "input=1x576", "--shape", "state=2x1x128"]
    assert says(refused("simulate", path, "rapid-4core", *shapes), "--value sr=")


# Graphs made in Python


def graph(ops, shapes, inputs=("x",), outputs=("y",)):
    tensors = {name: Tensor(name, shape, "weight" if name in "wu" else "activation") for name, shape in shapes.items()}
    return Graph("made", tuple(ops), tensors, inputs, outputs)


def product(name, reads, makes, m=2, n=3, k=4):
    return MatMul(name=name, inputs=(reads, "w"), outputs=(makes,), m=m, n=n, k=k)


SHAPES = {"x": (2, 4), "w": (4, 3), "y": (2, 3)}


def test_a_graph_that_is_right():
    result = accelsim.simulate(graph([product("a", "x", "y")], SHAPES), "systolic-32x32", intervals=False)
    assert result.macs == 24
    assert result.check()


SQUARE = {"x": (3, 3), "w": (3, 3), "y": (3, 3), "z": (3, 3)}
SEQUENCE = {"x": (5, 1, 4), "w": (16, 4), "u": (16, 4), "y": (5, 1, 4)}


def lstm(**changes):
    sizes = {"cell": "lstm", "steps": 5, "batch": 1, "input_size": 4, "hidden_size": 4, **changes}
    return Recurrent(name="r", inputs=("x", "w", "u"), outputs=("y",), **sizes)


def conv(**changes):
    sizes = {"batch": 1, "in_channels": 3, "out_channels": 8, "input_size": (4, 4), "output_size": (4, 4), **changes}
    return Conv(name="c", inputs=("x", "w"), outputs=("y",), kernel=(3, 3), stride=(1, 1), padding=(1, 1), **sizes)


IMAGE = {"x": (1, 3, 4, 4), "w": (8, 3, 3, 3), "y": (1, 8, 4, 4)}


def loop(**changes):
    body = graph([product("a", "x", "y")], SHAPES)
    return Loop(name="l", inputs=("x",), outputs=("y",), body=body, steps=2, **changes)


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        (lambda: graph([product("a", "z", "y", 3, 3, 3), product("b", "y", "z", 3, 3, 3)], SQUARE),
         ["a: reads 'z', which 'b' makes only later", "cycle"]),
        (lambda: graph([product("a", "y", "y", 3, 3, 3)], SQUARE), ["a: reads 'y'", "cycle"]),
        (lambda: graph([product("a", "x", "y", k=5)], SHAPES), ["a: needs 10 elements of 'x'", "(2, 4)", "8"]),
        (lambda: graph([product("a", "x", "y")], SHAPES | {"w": (4, 4)}), ["a: needs 12 elements of 'w'", "(4, 4)"]),
        (lambda: graph([product("a", "x", "y")], SHAPES | {"y": (2, 4)}), ["a: needs 6 elements of 'y'"]),
        (lambda: graph([product("a", "x", "y")], SHAPES | {"x": (-2, -4)}),
         ["tensor x: (-2, -4) must have whole sizes from 1"]),
        (lambda: graph([product("a", "x", "y", m=0)], SHAPES | {"x": (0, 4), "y": (0, 3)}),
         ["tensor x: (0, 4) must have whole sizes from 1"]),
        (lambda: graph([product("a", "v", "y")], SHAPES), ["a: ", "'v'"]),
        (lambda: graph([product("a", "x", "v")], SHAPES), ["a: ", "'v'"]),
        (lambda: graph([product("a", "x", "y"), product("a", "x", "y")], SHAPES), ["a: stands twice"]),
        (lambda: graph([product("a", "x", "y")], SHAPES, outputs=("v",)), ["lists 'v', which nothing makes"]),
        (lambda: graph([lstm(steps=6)], SEQUENCE), ["r: needs 24 elements of 'x'"]),
        (lambda: graph([lstm(hidden_size=5)], SEQUENCE), ["r: needs 80 elements of 'w'"]),
        (lambda: graph([conv()], IMAGE | {"w": (8, 3, 5, 5)}), ["c: needs 216 elements of 'w'"]),
        (lambda: graph([conv(output_size=(3, 4))], IMAGE), ["c: needs 96 elements of 'y'"]),
        (lambda: graph([product("a", "x", "y", m=-2, k=-4)], SHAPES), ["a.m: -2 must be a whole number from 1"]),
        (lambda: graph([replace(product("a", "x", "y"), inputs=("x",))], SHAPES), ["a: has 1 inputs and 1 outputs"]),
        (lambda: graph([replace(product("a", "x", "y"), outputs=())], SHAPES), ["a: has 2 inputs and 0 outputs"]),
        (lambda: graph([lstm(cell="lstn")], SEQUENCE), ["r.cell: 'lstn' is not a known recurrent cell", "'lstm'"]),
        (lambda: graph([product("a", "x", "y"), product("b", "x", "y")], SHAPES), ["makes 'y', as 'b' does"]),
        (lambda: graph([loop(carried=(("y", "x"),))], SHAPES), ["l: carries 'y' into 'x' of another shape"]),
    ],
)  # fmt: skip
def test_graphs_that_are_not_consistent(make, parts):
    with pytest.raises(InputError) as caught:
        make()
    assert says(str(caught.value), "workload made: ", *parts)

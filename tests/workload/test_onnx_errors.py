"""What users read when a file or an argument is wrong: where, what rule, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.workload.onnx import from_onnx
from accelsim.workload.onnx import read as reading
from tests.workload.onnx_models import model, node, save, stored, value, weight

RELU = [node("Relu", ["x"], ["y"], name="relu")]


def _refusal(kind: type[InputError], path: Path, **options: Any) -> str:
    """The message without the file's name, which it must begin with."""
    with pytest.raises(kind) as caught:
        from_onnx(path, **options)
    assert type(caught.value) is kind
    head, message = str(caught.value)[: len(str(path)) + 2], str(caught.value)[len(str(path)) + 2 :]
    assert head == f"{path}: "
    return message


# Files


def test_a_missing_file(tmp_path: Path) -> None:
    assert _refusal(InputError, tmp_path / "no.onnx") == "does not exist."


def test_a_folder(tmp_path: Path) -> None:
    assert _refusal(InputError, tmp_path) == "is not a file."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty."),
        (b"hello, I am a text file", "is not an ONNX model, or is truncated"),
        (b"\x08\x07", "is not an ONNX model: it holds no graph with outputs."),
        (save.__doc__.encode() if save.__doc__ else b"x", "is not an ONNX model, or is truncated"),
    ],
)
def test_files_that_are_no_model(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert _refusal(InputError, path).startswith(message)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = save(tmp_path, RELU, {"x": (2, 3)}, ["y"])
    path.write_bytes(path.read_bytes()[:-9])
    assert _refusal(InputError, path).startswith("is not an ONNX model, or is truncated")


def test_a_file_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, RELU, {"x": (2, 3)}, ["y"])
    size = path.stat().st_size
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", size - 1)
    expected = (
        f"has {size:,} bytes; an ONNX file holds at most 2 GiB. Store the weights as external data beside the model."
    )
    assert _refusal(InputError, path) == expected


def test_an_opset_of_the_future(tmp_path: Path) -> None:
    path = save(tmp_path, RELU, {"x": (2, 3)}, ["y"], opset=999)
    message = _refusal(UnsupportedError, path)
    assert message.startswith("opset_import: 999 is newer than the installed onnx package knows")
    assert message.endswith("Install a newer onnx package, or export the model for an older opset.")


# Stored tensors


def _external(tmp_path: Path, location: str, *, shape: tuple[int, ...] = (3, 4), length: int | None = None) -> Path:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    if length is not None:
        tensor.external_data.add(key="length", value=str(length))
    return save(tmp_path, [node("MatMul", ["x", "w"], ["y"])], {"x": (2, 3)}, ["y"], [tensor])


@pytest.mark.parametrize("location", ["../outside.bin", "/etc/hostname", "sub/../../outside.bin", "link/outside.bin"])
def test_external_data_outside_the_folder(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    message = _refusal(InputError, _external(folder, location))
    assert message == f"tensor w: {location!r} keeps its external data outside the model's folder."


def test_external_data_need_not_be_there(tmp_path: Path) -> None:
    graph = from_onnx(_external(tmp_path, "weights.bin"))
    assert (graph.macs, graph.parameters) == (24, 12)


def test_external_data_that_a_shape_depends_on(tmp_path: Path) -> None:
    tensor = TensorProto(name="s", data_type=TensorProto.INT64, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="shape.bin")
    tensor.external_data.add(key="offset", value="8")
    path = save(tmp_path, [node("Reshape", ["x", "s"], ["y"])], {"x": (2, 3)}, ["y"], [tensor])
    assert _refusal(InputError, path) == "tensor s: 'shape.bin' is missing, and a shape depends on it."
    (tmp_path / "shape.bin").write_bytes(np.array([9, 3, 2], dtype="<i8").tobytes())
    assert from_onnx(path).tensors["y"].shape == (3, 2)
    (tmp_path / "shape.bin").write_bytes(b"short")
    assert _refusal(InputError, path) == "tensor s: finds 0 of its 16 bytes in shape.bin."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: setattr(t, "raw_data", t.raw_data[:-1]), "stores 47 bytes where its shape [3, 4] needs 48."),
        (lambda t: t.ClearField("raw_data"), "stores 0 values where its shape [3, 4] needs 12."),
        (lambda t: t.dims.__setitem__(0, -3), "[-3, 4] has a negative size."),
        (lambda t: setattr(t, "data_type", 99), "99 is not an element type of ONNX."),
    ],
)
def test_stored_tensors_that_contradict_themselves(tmp_path: Path, change: Callable[[Any], None], message: str) -> None:
    tensor = weight("w", 3, 4)
    change(tensor)
    path = save(tmp_path, [node("MatMul", ["x", "w"], ["y"])], {"x": (2, 3)}, ["y"], [tensor])
    assert _refusal(InputError, path) == f"tensor w: {message}"


# Shapes, values and batch

TWO = [value("image", ["n", 3, None, None]), value("rate", [], TensorProto.INT64), value("other", ["n", 8])]
USES = [
    node("ReduceMean", ["image"], ["m"], axes=[2, 3]),
    node("Cast", ["rate"], ["r"], to=1),
    node("Add", ["m", "r"], ["s"]),
    node("Gemm", ["other", "w"], ["z"]),
]


def _two(tmp_path: Path) -> Path:
    return save(tmp_path, USES, TWO, ["s", "z"], [weight("w", 8, 3)])


def test_sizes_left_open(tmp_path: Path) -> None:
    assert _refusal(InputError, _two(tmp_path)) == (
        "inputs: leave sizes open: 'image' [n, 3, ?, ?]. Give the size of every axis, for example "
        "--shape image=1x3x224x224."
    )


def test_a_named_size_is_bound_everywhere(tmp_path: Path) -> None:
    graph = from_onnx(_two(tmp_path), shapes={"image": (5, 3, 4, 4)})
    assert (graph.tensors["other"].shape, graph.inputs) == ((5, 8), ("image", "rate", "other"))


IMAGE = "the model declares 'image' [n, 3, ?, ?]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shapes": {"image": (1, 4, 9, 9)}}, "shape of input image: (1, 4, 9, 9) differs on axis 1 from what the "
         "model declares, 'image' [n, 3, ?, ?]. Only axes shown as a name or ? can be chosen."),
        ({"shapes": {"image": (1, 3, 9)}}, f"shape of input image: (1, 3, 9) has 3 axes, but {IMAGE}."),
        ({"shapes": {"image": (1, 3, 9, 0)}}, "shape of input image: (1, 3, 9, 0) must be positive sizes."),
        ({"shapes": {"image": (1, 3, 9, 9.5)}}, "shape of input image: (1, 3, 9, 9.5) must be integers."),
        ({"shapes": {"image": (1, 3, 9, 9)}, "values": {"rate": 0.5}},
         "value of input rate: 0.5 must be a number of type int64."),
        ({"shapes": {"image": (1, 3, 9, 9)}, "values": {"rate": float("nan")}},
         "value of input rate: nan must be a number of type int64."),
        ({"shapes": {"image": (1, 3, 9, 9)}, "values": {"image": 1}},
         "value of input image: 1 stands for one element, but the input has shape [1, 3, 9, 9]."),
        ({"batch": 0}, "batch: 0 must be positive."),
        ({"batch": 2, "shapes": {"image": (1, 3, 9, 9)}}, "batch: 2 contradicts shapes, which fix 'n' to 1."),
    ],
)  # fmt: skip
def test_wrong_sizes_and_values(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    assert _refusal(InputError, _two(tmp_path), **options) == message


@pytest.mark.parametrize("argument", ["shapes", "values"])
def test_an_unknown_input(tmp_path: Path, argument: str) -> None:
    message = _refusal(UnknownNameError, _two(tmp_path), **{argument: {"imag": (1,) if argument == "shapes" else 1}})
    what = "input or named dimension" if argument == "shapes" else "input"
    assert message == f"{argument}: 'imag' is not a known {what}. Did you mean 'image'?"


def test_a_stored_tensor_is_no_input_to_bind(tmp_path: Path) -> None:
    """Older files list their weights among the inputs."""
    inputs = [value("x", [2, 3]), value("w", [3, 4])]
    path = save(tmp_path, [node("MatMul", ["x", "w"], ["y"])], inputs, ["y"], [weight("w", 3, 4)])
    assert from_onnx(path).inputs == ("x",)
    assert "'w' is not a known input" in _refusal(UnknownNameError, path, shapes={"w": (3, 4)})


def test_batch(tmp_path: Path) -> None:
    graph = from_onnx(save(tmp_path, RELU, {"x": ("batch_size", 4)}, ["y"]), batch=3)
    assert (graph.batch, graph.tensors["y"].shape) == (3, (3, 4))
    fixed = save(tmp_path, RELU, {"x": (8, 4)}, ["y"])
    assert [from_onnx(fixed, batch=batch).batch for batch in (None, 1, 8)] == [1, 1, 8]
    assert _refusal(InputError, fixed, batch=2) == (
        "batch: fixes nothing: no input has a dimension called batch ('x' [8, 4]). Say where it stands with shapes "
        "(--shape NAME=SIZExSIZEx...)."
    )


def test_inputs_that_are_no_tensors(tmp_path: Path) -> None:
    sequence = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [2])
    path = save(tmp_path, [node("SequenceLength", ["x"], ["y"])], [sequence], ["y"])
    assert "input x: is a sequence" in _refusal(UnsupportedError, path)
    path = save(tmp_path, RELU, [sequence, value("z", [1])], ["y"])
    assert _refusal(UnsupportedError, path) == "input x: is a sequence; only tensors are modelled as inputs."


# Nodes


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([node("Relu", ["ghost"], ["y"], name="relu")],
         "node 'relu' (ai.onnx::Relu): reads 'ghost', which neither an input nor a node before it makes."),
        ([node("Relu", ["x"], ["a"]), node("Relu", ["x"], ["a"]), node("Relu", ["a"], ["y"])],
         "tensor a: is made twice."),
        ([node("Conv", ["x", "w"], ["y"], name="conv")], "node 'conv' (ai.onnx::Conv): breaks a rule of its operator"),
        ([node("MatMul", ["x", "x"], ["y"], name="m")], "node 'm' (ai.onnx::MatMul): breaks a rule of its operator"),
        ([node("Relu", ["x"], ["y"], name="relu", alpha=3)], "node 'relu' (ai.onnx::Relu): breaks a rule"),
        ([node("Reshape", ["x", "s"], ["r"], name="reshape"), node("Relu", ["r"], ["y"], name="relu")],
         "node 'reshape' (ai.onnx::Reshape) -> node 'relu' (ai.onnx::Relu): reads 'r', whose shape depends on data "
         "that is known only at run time. Fix the sizes that it depends on with shapes or values, or let the model run "
         "once (measure_shapes, --measure-shapes)."),
        ([node("Foo", ["x"], ["y"], name="foo", domain="maker")],
         "1 node is not modelled: foo (maker::Foo, opset not imported). Where they may count as nothing, pass "
         "allow_zero_cost=['Foo'] (--allow-zero-cost Foo)."),
        ([node("BatchNormalization", ["x", "w", "w", "w", "w"], ["y"], name="bn", training_mode=1)],
         "node 'bn' (ai.onnx::BatchNormalization): breaks a rule of its operator"),
    ],
)  # fmt: skip
def test_nodes_that_break_a_rule(tmp_path: Path, nodes: list[Any], message: str) -> None:
    inputs = [value("x", [2, 3]), value("s", [2], TensorProto.INT64)]
    path = save(tmp_path, nodes, inputs, ["y"], [weight("w", 3)])
    kind = UnsupportedError if "not modelled" in message else InputError
    assert _refusal(kind, path).startswith(message)


def test_an_output_that_nothing_makes(tmp_path: Path) -> None:
    assert _refusal(InputError, save(tmp_path, RELU, {"x": (2, 3)}, ["y", "no"])) == (
        "graph outputs: reads 'no', which neither an input nor a node before it makes."
    )


def test_training_is_not_inference(tmp_path: Path) -> None:
    nodes = [node("Dropout", ["x", "r", "on"], ["y"], name="drop")]
    path = save(tmp_path, nodes, {"x": (2, 3)}, ["y"], [stored("r", 0.5), stored("on", True, np.bool_)])
    assert _refusal(UnsupportedError, path) == (
        "node 'drop' (ai.onnx::Dropout): trains (training_mode is not false). Export the model for inference."
    )


def test_an_op_type_to_allow_that_the_model_lacks(tmp_path: Path) -> None:
    path = save(tmp_path, RELU, {"x": (2, 3)}, ["y"])
    message = _refusal(UnknownNameError, path, allow_zero_cost=["Rely"])
    assert message == "allow_zero_cost: 'Rely' is not a known op type of this model. Did you mean 'Relu'?"


def test_a_model_needs_an_opset(tmp_path: Path) -> None:
    made = model(RELU, {"x": (2, 3)}, ["y"])
    del made.opset_import[:]
    path = tmp_path / "model.onnx"
    path.write_bytes(made.SerializeToString())
    assert _refusal(InputError, path) == "opset_import: is missing: an ONNX model names its opsets."

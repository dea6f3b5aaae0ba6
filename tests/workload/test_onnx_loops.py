"""`Loop`, `Scan` and sequences of tensors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.hardware.load import load_architecture
from accelsim.pipeline import evaluate
from accelsim.workload.graph import Graph
from accelsim.workload.onnx import from_onnx
from accelsim.workload.ops import Loop
from tests.workload.onnx_models import node, run_shapes, save, stored, value, weight

INT64, BOOL = TensorProto.INT64, TensorProto.BOOL
STEPS = 5


def _body(nodes: list[Any], inputs: list[Any], outputs: list[Any], stores: list[Any] = ()) -> Any:  # type: ignore[assignment]
    return helper.make_graph(nodes, "body", inputs, outputs, list(stores))


def _loop_inputs(*states: Any) -> list[Any]:
    return [value("i", [], INT64), value("c", [], BOOL), *states]


def _recurrence(goes_on: Any = None) -> Any:
    """h = relu(x W + h); y = h, stacked."""
    nodes = [
        goes_on or node("Identity", ["c"], ["c_out"]),
        node("MatMul", ["x", "w"], ["p"], name="product"),
        node("Add", ["p", "h"], ["s"], name="sum"),
        node("Relu", ["s"], ["h_out"], name="relu"),
        node("Identity", ["h_out"], ["slice"]),
    ]
    outputs = [value("c_out", [], BOOL), value("h_out", [2, 4]), value("slice", [2, 4])]
    return _body(nodes, _loop_inputs(value("h", [2, 4])), outputs, [weight("w", 6, 4)])


def _loop_model(folder: Path, body: Any, steps: Any = STEPS, outputs: tuple[str, ...] = ("last", "all")) -> Path:
    stores = [stored("h0", np.zeros((2, 4))), stored("on", True, np.bool_)]
    stores += [stored("steps", steps, "i8")] if steps is not None else []
    nodes = [node("Loop", ["steps" if steps is not None else "", "on", "h0"], ["last", "all"], name="loop", body=body)]
    return save(folder, nodes, {"x": (2, 6)}, list(outputs), stores)


def _one_loop(graph: Graph) -> Loop:
    (found,) = (op for op in graph.ops if isinstance(op, Loop))
    return found


def test_a_loop_of_equal_steps_is_one_body(tmp_path: Path) -> None:
    path = _loop_model(tmp_path, _recurrence())
    graph = from_onnx(path)
    loop = _one_loop(graph)
    assert (loop.steps, loop.name, loop.label) == (STEPS, "loop", "Loop")
    assert graph.macs == STEPS * 2 * 6 * 4
    assert graph.parameters == 24  # the weight of the body, once
    assert [graph.tensors[name].shape for name in graph.outputs] == [(2, 4), (STEPS, 2, 4)]
    assert {name: graph.tensors[name].shape for name in graph.outputs} == run_shapes(path)
    ((made, read),) = loop.carried
    assert loop.body.tensors[read].role == "state"
    assert loop.body.tensors[made].shape == loop.body.tensors[read].shape


def test_a_loop_runs_on_an_architecture(tmp_path: Path) -> None:
    one, many = (from_onnx(_loop_model(tmp_path, _recurrence(), steps)) for steps in (2, 20))
    arch = load_architecture("rapid-4core")
    short, long = (evaluate(graph, arch, "fp16") for graph in (one, many))
    for run in (short, long):
        run.check()
    assert long.latency_s > short.latency_s


@pytest.mark.parametrize("steps", [1, 0])
def test_few_steps_are_written_out(tmp_path: Path, steps: int) -> None:
    graph = from_onnx(_loop_model(tmp_path, _recurrence(), steps, ("last",)))
    assert graph.macs == steps * 2 * 6 * 4
    assert not any(isinstance(op, Loop) for op in graph.ops)


def test_rolled_and_written_out_agree(tmp_path: Path) -> None:
    """A condition that constants decide after each step forces the steps out one by one; the work is the same."""
    stop = helper.make_node("Less", ["i", "four"], ["c_out"])
    body = _recurrence(stop)
    body.initializer.append(stored("four", STEPS - 1, "i8"))
    path = _loop_model(tmp_path, body, None)
    graph, rolled = from_onnx(path), from_onnx(_loop_model(tmp_path, _recurrence()))
    assert not any(isinstance(op, Loop) for op in graph.ops)
    assert (graph.macs, graph.tensors["all"].shape) == (rolled.macs, rolled.tensors["all"].shape)


def test_shapes_that_grow_are_written_out(tmp_path: Path) -> None:
    nodes = [
        node("Identity", ["c"], ["c_out"]),
        node("Concat", ["h", "x"], ["h_out"], axis=0),
        node("MatMul", ["h_out", "w"], ["p"]),
        node("ReduceSum", ["p"], ["slice"], keepdims=0),
    ]
    outputs = [value("c_out", [], BOOL), value("h_out", [None, 6]), value("slice", [])]
    body = _body(nodes, _loop_inputs(value("h", [None, 6])), outputs, [weight("w", 6, 4)])
    stores = [stored("h0", np.zeros((1, 6))), stored("on", True, np.bool_), stored("steps", 3, "i8")]
    nodes = [node("Loop", ["steps", "on", "h0"], ["last", "all"], name="grow", body=body)]
    path = save(tmp_path, nodes, {"x": (2, 6)}, ["last", "all"], stores)
    graph = from_onnx(path)
    assert graph.macs == (3 + 5 + 7) * 6 * 4
    assert {name: graph.tensors[name].shape for name in graph.outputs} == run_shapes(path)


def test_what_the_data_ends_needs_a_number_of_steps(tmp_path: Path) -> None:
    stop = helper.make_node("Greater", ["total", "limit"], ["c_out"])
    body = _recurrence(stop)
    body.node.insert(0, helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0))
    body.initializer.append(stored("limit", 0.0))
    path = _loop_model(tmp_path, body, 2**63 - 1)
    with pytest.raises(UnsupportedError) as caught:
        from_onnx(path)
    assert "node 'loop' (ai.onnx::Loop)" in str(caught.value)
    assert "--trips loop=N" in str(caught.value)
    graph = from_onnx(path, trips={"loop": 7})
    assert graph.macs == 7 * 2 * 6 * 4
    assert graph.parameters_used["steps of loop"] == 7
    with pytest.raises(UnknownNameError, match="'lop' is not a known Loop of this model"):
        from_onnx(path, trips={"lop": 7})
    with pytest.raises(InputError, match="whole number of steps"):
        from_onnx(path, trips={"loop": -1})


def test_a_given_number_may_not_exceed_the_models_own(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more than the 5 steps"):
        from_onnx(_loop_model(tmp_path, _recurrence()), trips={"loop": 6})


def test_endless_loops_are_refused_in_bounded_time(tmp_path: Path) -> None:
    nodes = [node("Identity", ["c"], ["c_out"]), node("Concat", ["h", "h"], ["h_out"], axis=0)]
    outputs = [value("c_out", [], BOOL), value("h_out", [None, 4]), value("h_out", [None, 4])]
    body = _body(nodes, _loop_inputs(value("h", [None, 4])), outputs)
    with pytest.raises(InputError):
        from_onnx(_loop_model(tmp_path, body, None))


@pytest.mark.parametrize("grows", [True, False])
def test_deeply_nested_loops_take_bounded_time(tmp_path: Path, grows: bool) -> None:
    """Each level is tried as one body and then written out, so that without a budget the work doubles a level."""
    shape = [None, 4] if grows else [2, 4]
    inner = node("Concat", ["h", "h"], ["h_out"], axis=0) if grows else node("Relu", ["h"], ["h_out"])
    for depth in range(20):
        states, made = value("h", shape), [value("c_out", [], BOOL), value("h_out", shape)]
        body = _body([node("Identity", ["c"], ["c_out"]), inner], _loop_inputs(states), made)
        source, output = ("x", "y") if depth == 19 else ("h", "h_out")
        inner = node("Loop", ["two", "", source], [output], name=f"at {depth}", body=body)
    path = save(tmp_path, [inner], {"x": (2, 4)}, ["y"], [stored("two", 2, "i8")])
    started = time.process_time()
    if grows:
        with pytest.raises(InputError):
            from_onnx(path)
    else:
        assert _one_loop(from_onnx(path)).steps == 2
    assert time.process_time() - started < 20


def _scan(folder: Path, axis: int, **attributes: Any) -> Path:
    nodes = [
        node("MatMul", ["s", "w"], ["p"]),
        node("MatMul", ["h", "r"], ["q"]),
        node("Add", ["p", "q"], ["t"]),
        node("Tanh", ["t"], ["h_out"]),
        node("Identity", ["h_out"], ["y"]),
    ]
    body = _body(nodes, [value("h", [2, 4]), value("s", [2, 3])], [value("h_out", [2, 4]), value("y", [2, 4])],
                 [weight("w", 3, 4), weight("r", 4, 4)])  # fmt: skip
    scan = node("Scan", ["h0", "x"], ["last", "all"], name="scan", body=body, num_scan_inputs=1,
                scan_input_axes=[axis], **attributes)  # fmt: skip
    shape = [2, 3]
    shape.insert(axis, STEPS)
    return save(folder, [scan], {"h0": (2, 4), "x": tuple(shape)}, ["last", "all"])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_scan(tmp_path: Path, axis: int) -> None:
    path = _scan(tmp_path, axis, scan_output_axes=[axis], scan_output_directions=[1])
    graph = from_onnx(path)
    loop = _one_loop(graph)
    assert (loop.steps, graph.macs, graph.parameters) == (STEPS, STEPS * 2 * 4 * (3 + 4), 28)
    assert {name: graph.tensors[name].shape for name in graph.outputs} == run_shapes(path)
    assert graph.tensors["h0"].role == "state"  # it reaches the first step untouched
    evaluate(graph, load_architecture("rapid-4core"), "fp16").check()


def test_nested_loops_multiply(tmp_path: Path) -> None:
    inner = _body(
        [node("Identity", ["d"], ["d_out"]), node("MatMul", ["g", "w"], ["g_out"])],
        [value("j", [], INT64), value("d", [], BOOL), value("g", [2, 6])],
        [value("d_out", [], BOOL), value("g_out", [2, 6])],
    )
    outer = _body(
        [node("Identity", ["c"], ["c_out"]), node("Loop", ["three", "on", "h"], ["h_out"], name="inner", body=inner)],
        _loop_inputs(value("h", [2, 6])), [value("c_out", [], BOOL), value("h_out", [2, 6])],
    )  # fmt: skip
    stores = [stored("three", 3, "i8"), stored("steps", 4, "i8"), stored("on", True, np.bool_), weight("w", 6, 6)]
    nodes = [node("Loop", ["steps", "on", "x"], ["y"], name="outer", body=outer)]
    graph = from_onnx(save(tmp_path, nodes, {"x": (2, 6)}, ["y"], stores))
    assert graph.macs == 4 * 3 * 2 * 6 * 6
    assert graph.parameters == 36
    assert _one_loop(_one_loop(graph).body).steps == 3


def test_a_state_that_never_changes_is_no_state(tmp_path: Path) -> None:
    nodes = [node("Identity", ["c"], ["c_out"]), node("Add", ["h", "k"], ["h_out"]), node("Identity", ["k"], ["k_out"])]
    states = [value("h", [2, 6]), value("k", [2, 6])]
    outputs = [value("c_out", [], BOOL), value("h_out", [2, 6]), value("k_out", [2, 6])]
    loop = node("Loop", ["steps", "", "x", "z"], ["y", "same"], body=_body(nodes, _loop_inputs(*states), outputs))
    path = save(tmp_path, [loop], {"x": (2, 6), "z": (2, 6)}, ["y", "same"], [stored("steps", STEPS, "i8")])
    graph = from_onnx(path)
    assert len(_one_loop(graph).carried) == 1
    assert {name: graph.tensors[name].shape for name in graph.outputs} == run_shapes(path)


# Sequences


def _sequence_model(folder: Path, nodes: list[Any], outputs: list[str], stores: list[Any] = ()) -> Path:  # type: ignore[assignment]
    return save(folder, nodes, {"x": (4, 6), "z": (3, 6)}, outputs, list(stores))


def test_sequences_are_taken_apart(tmp_path: Path) -> None:
    nodes = [
        node("SequenceConstruct", ["x", "z"], ["two"]),
        node("SequenceInsert", ["two", "x", "zero"], ["three"]),
        node("SequenceErase", ["three", "last"], ["rest"]),
        node("SequenceAt", ["rest", "last"], ["y"]),
        node("ConcatFromSequence", ["three"], ["joined"], axis=0),
        node("ConcatFromSequence", ["rest"], ["stacked"], axis=1, new_axis=1),
        node("SequenceLength", ["three"], ["n"]),
        node("Unsqueeze", ["n", "axes"], ["shape"]),
        node("Expand", ["one", "shape"], ["wide"]),
        node("Mul", ["wide", "row"], ["w"]),
        node("Add", ["w", "z3"], ["a"]),
        node("Slice", ["z", "axes", "three1", "one1"], ["z3"]),
    ]
    nodes = [nodes[-1], *nodes[:-1]]
    stores = [
        stored("zero", 0, "i8"), stored("last", -1, "i8"), stored("axes", [0], "i8"), stored("one", [1.0]),
        stored("row", [2.0]), stored("three1", [3], "i8"), stored("one1", [1], "i8"),
    ]  # fmt: skip
    path = _sequence_model(tmp_path, nodes, ["y", "joined", "stacked", "a"], stores)
    graph = from_onnx(path)
    assert {name: graph.tensors[name].shape for name in graph.outputs} == run_shapes(path)
    assert [op.label for op in graph.ops].count("ConcatFromSequence") == 2


@pytest.mark.parametrize(("keepdims", "shape"), [(1, (1, 6)), (0, (6,))])
def test_split_to_sequence(tmp_path: Path, keepdims: int, shape: tuple[int, ...]) -> None:
    nodes = [node("SplitToSequence", ["x"], ["s"], axis=0, keepdims=keepdims), node("SequenceAt", ["s", "at"], ["y"])]
    path = _sequence_model(tmp_path, nodes, ["y"], [stored("at", 2, "i8")])
    assert from_onnx(path).tensors["y"].shape == run_shapes(path)["y"] == shape


def test_a_sequence_collected_in_a_loop(tmp_path: Path) -> None:
    nodes = [
        node("Identity", ["c"], ["c_out"]),
        node("MatMul", ["x", "w"], ["p"]),
        node("SequenceInsert", ["q", "p"], ["q_out"]),
    ]
    sequence = helper.make_tensor_sequence_value_info("q", TensorProto.FLOAT, None)
    made = helper.make_tensor_sequence_value_info("q_out", TensorProto.FLOAT, None)
    body = _body(nodes, _loop_inputs(sequence), [value("c_out", [], BOOL), made], [weight("w", 6, 2)])
    nodes = [
        node("SequenceEmpty", [], ["empty"]),
        node("Loop", ["steps", "", "empty"], ["all"], body=body),
        node("ConcatFromSequence", ["all"], ["y"], axis=1),
    ]
    path = save(tmp_path, nodes, {"x": (4, 6)}, ["y"], [stored("steps", 3, "i8")])
    graph = from_onnx(path)
    assert graph.macs == 3 * 4 * 6 * 2
    assert graph.tensors["y"].shape == run_shapes(path)["y"] == (4, 6)


def test_a_place_that_the_data_decides_is_refused(tmp_path: Path) -> None:
    nodes = [
        node("SequenceConstruct", ["x", "z"], ["two"]),
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Cast", ["sum"], ["at"], to=INT64),
        node("SequenceAt", ["two", "at"], ["y"], name="pick"),
    ]
    with pytest.raises(UnsupportedError, match="takes its place from 'at'"):
        from_onnx(_sequence_model(tmp_path, nodes, ["y"]))

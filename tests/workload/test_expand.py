"""Ops as what the hardware runs: nothing is gained or lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.workload.expand import expanded
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.load import list_workloads, load_workload
from accelsim.workload.ops import Conv, Elementwise, Loop, MatMul, Recurrent


def recurrent(cell, steps, batch, size, hidden, directions):
    rows = directions * {"lstm": 4, "gru": 3, "rnn": 1}[cell] * hidden
    tensors = {
        "x": Tensor("x", (steps, batch, size)),
        "w": Tensor("w", (rows, size), "weight"),
        "r": Tensor("r", (rows, hidden), "weight"),
        "y": Tensor("y", (steps, batch, directions * hidden)),
    }
    op = Recurrent(
        name="layer", inputs=("x", "w", "r"), outputs=("y",), cell=cell, steps=steps, batch=batch, input_size=size,
        hidden_size=hidden, directions=directions,
    )  # fmt: skip
    return Graph("one", (op,), tensors, ("x",), ("y",))


@given(
    st.sampled_from(["lstm", "gru", "rnn"]), st.integers(1, 9), st.integers(1, 4), st.integers(1, 20),
    st.integers(1, 20), st.integers(1, 2),
)  # fmt: skip
def test_a_recurrent_layer_keeps_its_work_and_parameters(cell, steps, batch, size, hidden, directions):
    graph = recurrent(cell, steps, batch, size, hidden, directions)
    plain = expanded(graph)
    assert plain.macs == graph.macs
    assert plain.parameters == graph.parameters
    assert not any(isinstance(op, Recurrent) for op, _ in plain.walk())
    steps_of = {op.name: times for op, times in plain.walk()}
    assert steps_of == {"layer.input": 1, "layer.recurrent": steps, "layer.cell": steps}


def test_the_state_is_carried():
    loop = next(op for op in expanded(recurrent("lstm", 5, 1, 8, 8, 2)).ops if isinstance(op, Loop))
    assert len(loop.carried) == 2
    reads = {name for op in loop.body.ops for name in op.inputs}
    assert {target for _, target in loop.carried} <= reads


@pytest.mark.parametrize("name", [name for name, _ in list_workloads()])
def test_bundled_workloads_keep_their_work_and_parameters(name):
    graph = load_workload(name)
    assert expanded(graph).macs == graph.macs
    assert expanded(graph).parameters == graph.parameters


def test_a_transposed_convolution_pays_for_its_overlapping_adds():
    tensors = {
        "x": Tensor("x", (1, 8, 5, 5)),
        "w": Tensor("w", (8, 4, 3, 3), "weight"),
        "y": Tensor("y", (1, 4, 11, 11)),
    }
    op = Conv(
        name="up", inputs=("x", "w"), outputs=("y",), batch=1, in_channels=8, out_channels=4, input_size=(5, 5),
        output_size=(11, 11), kernel=(3, 3), stride=(2, 2), transposed=True,
    )  # fmt: skip
    graph = Graph("up", (op,), tensors, ("x",), ("y",))
    multiply, overlap = expanded(graph).ops
    assert isinstance(multiply, MatMul)
    assert multiply.macs == graph.macs == 25 * 8 * 4 * 9
    assert isinstance(overlap, Elementwise)
    assert overlap.elements == 25 * 4 * 9

"""Ops as what the hardware runs.

A recurrent layer NAME becomes `NAME.input` (the input projection of every time step and direction in one product),
and a loop `NAME.loop` over `NAME.recurrent` (state times recurrent weights, a group a direction) and `NAME.cell` (gate
arithmetic). The projection needs no state, so it leaves the loop; a layer of one step has no loop at all. Where the
layer projects its output, `NAME.project` ends the step.

A transposed convolution NAME becomes one product of every input pixel with its kernel, and `NAME.overlap`, which adds
the products that fall on the same output.
"""

from __future__ import annotations

from dataclasses import replace

from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, Elementwise, Loop, MatMul, Move, Op, Recurrent

__all__ = ["expanded", "step_slice"]


def step_slice(name: str) -> str:
    """Name of the slice of an outer tensor that one step of a loop reads or writes."""
    return f"{name}@step"


def expanded(graph: Graph) -> Graph:
    """The same workload without `Recurrent` ops and transposed convolutions; MACs and parameters are unchanged."""
    ops: list[Op] = []
    tensors = dict(graph.tensors)
    for op in graph.ops:
        if isinstance(op, Recurrent):
            ops.extend(_recurrent(op, tensors))
        elif isinstance(op, Conv) and op.transposed:
            ops.extend(_transposed(op, tensors))
        elif isinstance(op, Loop):
            ops.append(replace(op, body=expanded(op.body)))
        else:
            ops.append(op)
    return graph.with_tensors(tensors, tuple(ops))


def _recurrent(op: Recurrent, tensors: dict[str, Tensor]) -> list[Op]:
    gate_rows = op.directions * op.gates * op.hidden_size
    sequence, weight, recurrent_weight, *rest = op.inputs
    projection = rest.pop(0) if op.projection_size else None
    biases = tuple(name for name in rest if tensors[name].role == "weight")
    given = [name for name in rest if name not in biases]
    projected = f"{op.name}.gates"
    tensors[projected] = Tensor(projected, (op.steps, op.batch, gate_rows))
    project = MatMul(
        name=f"{op.name}.input", inputs=(sequence, weight, *biases), outputs=(projected,), label=op.label,
        m=op.steps * op.batch, n=gate_rows, k=op.input_size,
    )  # fmt: skip
    n_states = 2 if op.cell == "lstm" else 1
    before = [*given[:n_states], *(f"{op.name}.state{i}" for i in range(len(given), n_states))]
    for name, shape in zip(before, _state_shapes(op), strict=False):
        if name not in tensors:
            tensors[name] = Tensor(name, shape, role="state")
    if op.steps == 1:
        after = [*op.outputs[1 : 1 + n_states], *(f"{op.name}.next{i}" for i in range(len(op.outputs) - 1, n_states))]
        weights = (recurrent_weight, projection)
        return [project, *_step(op, projected, weights, before, [op.outputs[0], *after], tensors)]
    return [project, _time_loop(op, projected, (recurrent_weight, projection), before, tensors)]


def _state_shapes(op: Recurrent) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Shapes of the state that recurs and of an LSTM's cell state."""
    return (op.directions, op.batch, op.output_size), (op.directions, op.batch, op.hidden_size)


def _time_loop(
    op: Recurrent, projected: str, weights: tuple[str, str | None], before: list[str], outer: dict[str, Tensor]
) -> Loop:
    slice_in, slice_out = step_slice(projected), step_slice(op.outputs[0])
    stored = tuple(name for name in weights if name is not None)
    inner: dict[str, Tensor] = {
        slice_in: Tensor(slice_in, (op.directions, op.batch, op.gates * op.hidden_size)),
        **{name: outer[name] for name in stored},
    }
    for name, shape in zip(before, _state_shapes(op), strict=False):
        inner[name] = Tensor(name, shape, role="state")
    after = [f"{op.name}.next{i}" for i in range(len(before))]
    body_ops = _step(op, slice_in, weights, before, [slice_out, *after], inner)
    body = Graph(
        name=f"{op.name}.step", ops=tuple(body_ops), tensors=inner, inputs=(slice_in,),
        outputs=(slice_out, *after), batch=op.batch,
    )  # fmt: skip
    return Loop(
        name=f"{op.name}.loop",
        inputs=(projected, *stored, *(name for name in before if name in outer)),
        outputs=op.outputs,
        label=op.label,
        body=body,
        steps=op.steps,
        carried=tuple(zip(after, before, strict=True)),
    )


def _step(
    op: Recurrent, gates_in: str, weights: tuple[str, str | None], before: list[str], after: list[str],
    tensors: dict[str, Tensor],
) -> list[Op]:  # fmt: skip
    """One time step; ``after`` is the step's output followed by the next states."""
    recurs, cell_state = _state_shapes(op)
    gates_state, recurrent_weight, projection = f"{op.name}.gates_state", *weights
    tensors[gates_state] = Tensor(gates_state, (op.directions, op.batch, op.gates * op.hidden_size))
    for name, shape in zip(after, (recurs, recurs, cell_state), strict=False):
        if name not in tensors:
            tensors[name] = Tensor(name, shape)
    multiply = MatMul(
        name=f"{op.name}.recurrent", inputs=(before[0], recurrent_weight), outputs=(gates_state,), label=op.label,
        groups=op.directions, m=op.batch, n=op.gates * op.hidden_size, k=op.output_size,
    )  # fmt: skip
    wide = f"{op.name}.unprojected"
    made = tuple(after) if projection is None else (wide, *after[2:])
    cell = Elementwise(
        name=f"{op.name}.cell", inputs=(gates_in, gates_state, *before[1:]), outputs=made, label=op.label,
        function=f"{op.cell}_cell", elements=op.directions * op.batch * op.hidden_size,
    )  # fmt: skip
    if projection is None:
        return [multiply, cell]
    tensors[wide] = Tensor(wide, cell_state)
    project = MatMul(
        name=f"{op.name}.project", inputs=(wide, projection), outputs=(after[0],), label=op.label,
        groups=op.directions, m=op.batch, n=op.projection_size, k=op.hidden_size,
    )  # fmt: skip
    same = Move(
        name=f"{op.name}.next_state", inputs=(after[0],), outputs=(after[1],), label=op.label, function="identity",
        elements=tensors[after[1]].elements, view=True,
    )  # fmt: skip
    return [multiply, cell, project, same]


def _transposed(op: Conv, tensors: dict[str, Tensor]) -> list[Op]:
    nest = op.contraction
    products = f"{op.name}.products"
    tensors[products] = Tensor(products, (nest.groups, nest.m, nest.n))
    multiply = MatMul(
        name=op.name, inputs=op.inputs[:2], outputs=(products,), label=op.label,
        groups=nest.groups, m=nest.m, n=nest.n, k=nest.k,
    )  # fmt: skip
    overlap = Elementwise(
        name=f"{op.name}.overlap", inputs=(products, *op.inputs[2:]), outputs=op.outputs, label=op.label,
        function="add", elements=nest.groups * nest.m * nest.n,
    )  # fmt: skip
    return [multiply, overlap]

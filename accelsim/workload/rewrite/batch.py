"""Another batch for a graph that has one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import prod

from accelsim.errors import UnsupportedError
from accelsim.workload.bundled.parameters import Size
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, Elementwise, Host, Loop, MatMul, Move, Op, Recurrent, Reduce
from accelsim.workload.rewrite.report import Change, Changes, Rewriter

__all__ = ["set_batch"]


def set_batch(*, size: Size) -> Rewriter:
    """Give the graph another batch: whatever follows from its inputs grows in proportion, weights do not.

    Graph inputs and states carry the batch (an input without axes does not). Work between two of them is done once a
    sample; a loop runs as often as before. What depends on the batch in another way (which experts are chosen, how
    beams are shared) has no place here: load such a workload with its own ``batch``.

    Args:
        size: samples that one execution computes.

    Raises:
        UnsupportedError: an op that cannot take a batch so, such as a product whose weight comes first.
    """

    def apply(graph: Graph) -> Changes:
        if size == graph.batch:
            return Changes(graph, ())
        scaled = _Scaling(size, graph.batch).graph(graph, set())
        return Changes(scaled, (Change(graph.name, f"batch {graph.batch} becomes {size}"),))

    return apply


_REMEDY = "load the workload with the batch that you want"


class _Scaling:
    """Sizes times ``new`` over ``old``, wherever the batch is carried."""

    def __init__(self, new: int, old: int) -> None:
        self.new, self.old = new, old

    def graph(self, graph: Graph, outside: Iterable[str]) -> Graph:
        """The scaled graph; ``outside`` are tensors of an outer graph that carry the batch."""
        carried = {name for name in graph.inputs if graph.tensors[name].shape}
        carried |= {name for name, tensor in graph.tensors.items() if tensor.role == "state" and tensor.shape}
        carried |= set(outside)
        ops = []
        for op in graph.ops:
            if any(name in carried for name in op.inputs):
                carried.update(op.outputs)
                ops.append(self._op(op, graph, carried))
            else:
                ops.append(op)
        tensors = {name: self._tensor(each) if name in carried else each for name, each in graph.tensors.items()}
        return replace(graph, ops=tuple(ops), tensors=tensors, batch=self.new)

    def _op(self, op: Op, graph: Graph, carried: set[str]) -> Op:
        if isinstance(op, Conv):
            return replace(op, batch=self._size(op.batch, op))
        if isinstance(op, Recurrent):
            return replace(op, batch=self._size(op.batch, op))
        if isinstance(op, Elementwise | Reduce | Move | Host):
            return replace(op, elements=self._size(op.elements, op))
        if isinstance(op, Loop):
            outside = {name for name in op.body.tensors if name in carried}
            return replace(op, body=self.graph(op.body, outside))
        if isinstance(op, MatMul):
            return self._matmul(op, carried)
        raise UnsupportedError("cannot take another batch", file=f"workload {graph.name}", field=op.name, value=op.kind)

    def _matmul(self, op: MatMul, carried: set[str]) -> MatMul:
        left, right = (name in carried for name in op.inputs[:2])
        if right and (left or op.shared_input) and op.groups % self.old == 0:
            return replace(op, groups=self._size(op.groups, op))
        if left and not right:
            return replace(op, m=self._size(op.m, op))
        raise UnsupportedError("multiplies a weight by an activation, which has no row a sample", file="rewrite batch",
                               field=op.name, remedy=_REMEDY)  # fmt: skip

    def _tensor(self, tensor: Tensor) -> Tensor:
        """The first axis that counts samples grows: of the old batch's size, or else a multiple of it."""
        shape = list(tensor.shape)
        axes = [axis for axis in (0, 1, 2) if axis < len(shape) and shape[axis] == self.old]
        axes = axes or [axis for axis, size in enumerate(shape) if size % self.old == 0]
        if not axes:
            raise UnsupportedError(f"has no axis of the batch {self.old}", file="rewrite batch", field=tensor.name,
                                   value=tensor.shape, remedy=_REMEDY)  # fmt: skip
        shape[axes[0]] = shape[axes[0]] * self.new // self.old
        return replace(tensor, shape=tuple(shape))

    def _size(self, size: int, op: Op) -> int:
        scaled, rest = divmod(size * self.new, self.old)
        if rest or prod((scaled,)) < 1:
            raise UnsupportedError(f"does not count {self.old} samples", file="rewrite batch", field=op.name,
                                   value=size, remedy=_REMEDY)  # fmt: skip
        return scaled

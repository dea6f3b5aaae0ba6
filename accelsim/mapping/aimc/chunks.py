"""How ops are cut into chunks that flow from layer to layer, and what each chunk waits for.

A tensor becomes ready chunk by chunk; a chunk of the next op waits for the part of its input that it needs: rows of an
image under the kernel's window, vectors as they come, a time step of a sequence. What needs all of its input, such as
the mean of an image or a product of two activations, waits for the last chunk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, Elementwise, MatMul, Move, Op, Reduce

__all__ = ["READY", "Ready", "chunk_count", "needed_share", "slice_share"]

_IN_STEP_POOLS = ("max_pool", "average_pool", "lp_pool")
_REORDERED = ("transpose", "reverse", "flip", "gather")
_LEAST = 1e-9


@dataclass(frozen=True, slots=True)
class Ready:
    """The tasks after which each equal part of a tensor is there; none for what is there from the start."""

    tasks: tuple[int, ...] = ()

    def after(self, share: float) -> int:
        """The task to wait for where ``share`` (0 to 1) of the tensor is needed, or -1."""
        if not self.tasks or share <= _LEAST:
            return -1
        return self.tasks[min(ceil(share * len(self.tasks) - _LEAST), len(self.tasks)) - 1]

    @property
    def last(self) -> int:
        return self.tasks[-1] if self.tasks else -1

    def at(self, tasks: Mapping[int, int]) -> Ready:
        """The same with ``tasks`` in the place of others."""
        return Ready(tuple(tasks.get(task, task) for task in self.tasks))


READY = Ready()


def chunk_count(op: Op, graph: Graph, inputs: Sequence[Ready], most: int) -> int:
    """Chunks of one execution of ``op``."""
    if isinstance(op, Conv):
        return min(most, op.contraction.m // op.contraction.row_outputs)
    if isinstance(op, MatMul):
        return min(most, op.contraction.m)
    if _whole_input(op, graph):
        return 1
    return min(most, max((len(each.tasks) for each in inputs), default=1) or 1)


def needed_share(op: Op, graph: Graph, position: int, chunk: int, chunks: int) -> float:
    """Part of input ``position`` that chunk ``chunk`` of ``chunks`` needs."""
    part = (chunk + 1) / chunks
    if isinstance(op, Conv):
        return _window_share(op, chunk, chunks) if position == 0 else 1.0
    if isinstance(op, MatMul):
        return part if position == 0 and op.groups == 1 else 1.0
    if _whole_input(op, graph):
        return 1.0
    here, first = graph.tensors[op.inputs[position]], graph.tensors[op.inputs[0]]
    if here.elements != first.elements and not isinstance(op, Move):
        return 1.0
    return min(1.0, part + 1 / chunks) if isinstance(op, Reduce) and op.function in _IN_STEP_POOLS else part


def _window_share(op: Conv, chunk: int, chunks: int) -> float:
    """Rows of the input under the window of the chunk's last output row, all samples before it included."""
    nest = op.contraction
    rows = nest.m // nest.row_outputs
    last = (chunk + 1) * rows // chunks - 1
    a_sample = max(rows // op.batch, 1)
    sample, row = divmod(last, a_sample)
    height = op.input_size[0]
    before = op.padding[0] if op.padding else 0
    reach = min(row * nest.row_stride + nest.kernel_rows - before, height)
    return (sample + max(reach, 0) / height) / op.batch


def _whole_input(op: Op, graph: Graph) -> bool:
    """Whether any result may need all of the input."""
    if isinstance(op, Elementwise):
        return False
    if isinstance(op, Move):
        return not op.view and op.function in _REORDERED
    if isinstance(op, Reduce):
        same = graph.tensors[op.outputs[0]].elements == graph.tensors[op.inputs[0]].elements
        return not same and op.function not in _IN_STEP_POOLS
    return True


def slice_share(outer: Tensor, inner: Tensor, step: int, steps: int) -> float:
    """Part of ``outer`` that step ``step`` of a loop needs to read its slice ``inner``.

    The second direction of a recurrent layer starts at the end, so the first step needs everything.
    """
    both_ways = len(inner.shape) == 3 and inner.shape[0] > 1 and len(outer.shape) == 3
    return 1.0 if both_ways else (step + 1) / steps

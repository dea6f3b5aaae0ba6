"""Narrowing a tensor on one axis, and with it everything behind it, up to the matrix work that absorbs the change.

A convolution or product that sums over the axis gets a smaller weight; element-wise work, pooling and views pass the
change on. What cannot follow (an add with a wider tensor, an output of the network, a loop) refuses, and then nothing
is changed.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from accelsim.workload.graph import Tensor
from accelsim.workload.ops import Conv, Elementwise, MatMul, Move, Op, Recurrent, Reduce
from accelsim.workload.rewrite.draft import CannotChangeError, Draft

__all__ = ["narrow", "narrow_made"]


def narrow(draft: Draft, tensor: str, axis: int, size: int) -> None:
    """Narrow ``tensor``, which its maker already makes so, to ``size`` on ``axis``, and what reads it.

    Raises:
        CannotChangeError: something behind it cannot follow; the draft is as it was.
    """
    plan = _Plan(draft)
    plan.narrow(tensor, axis, size)
    plan.commit()


def narrow_made(draft: Draft, op: Conv, channels: int) -> None:
    """Let a convolution of one group make ``channels`` channels, and narrow what reads them.

    Raises:
        CannotChangeError: something behind it cannot follow; the draft is as it was.
    """
    if op.groups != 1:
        raise CannotChangeError("is a grouped convolution")
    plan = _Plan(draft)
    made, weight = draft.tensors[op.outputs[0]].shape, draft.tensors[op.inputs[1]].shape
    axis = _channel_axis(made, op.batch, op.out_channels, op.output_size)
    plan.weight(op.inputs[1], _weight_axis(weight, op.out_channels, first=not op.transposed), channels, op)
    for bias in op.inputs[2:]:
        plan.weight(bias, -1, channels, op)
    plan.ops[op.name] = replace(op, out_channels=channels)
    plan.narrow(op.outputs[0], axis, channels)
    plan.commit()


def _channel_axis(shape: tuple[int, ...], batch: int, channels: int, size: tuple[int, ...]) -> int:
    """Where the channels of an image stand: second, as in ONNX, or last, as in TFLite."""
    if shape == (batch, channels, *size):
        return 1
    if shape == (batch, *size, channels):
        return len(shape) - 1
    raise CannotChangeError(f"has an image of shape {shape}, whose channels are not found")


def _weight_axis(shape: tuple[int, ...], size: int, *, first: bool) -> int:
    """The axis of a weight that has ``size`` entries; the first or last of those that do."""
    axes = [axis for axis, each in enumerate(shape) if each == size]
    if not axes:
        raise CannotChangeError(f"has a weight of shape {shape}, which is stored in another way")
    return axes[0] if first else axes[-1]


class _Plan:
    """Ops and tensors as they will be; nothing of it is in the draft before `commit`."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.ops: dict[str, Op] = {}
        self.tensors: dict[str, Tensor] = {}

    def commit(self) -> None:
        self.draft.tensors.update(self.tensors)
        for op in self.ops.values():
            self.draft.put(op)

    def shape(self, name: str) -> tuple[int, ...]:
        return (self.tensors.get(name) or self.draft.tensors[name]).shape

    def narrow(self, name: str, axis: int, size: int) -> None:
        waiting = [(name, axis, size)]
        while waiting:
            name, axis, size = waiting.pop()
            old = self.draft.tensors[name]
            if name in self.tensors:
                raise CannotChangeError(f"reaches {name!r} on two ways")
            if name in self.draft.graph.outputs:
                raise CannotChangeError(f"reaches {name!r}, an output of the network")
            self._resize(old, axis, size)
            for reader in self.draft.readers.get(name, {}):
                op = self.ops.get(reader) or self.draft.ops[reader]
                waiting.extend(self._pass_on(op, name, axis, old.shape[axis], size))

    def weight(self, name: str, axis: int, size: int, op: Op) -> None:
        """Narrow a weight that ``op`` alone reads."""
        tensor = self.draft.tensors[name]
        if tensor.role not in ("weight", "constant") or len(self.draft.readers.get(name, {})) != 1:
            raise CannotChangeError(f"reaches {op.name!r}, whose operand {name!r} is shared or no weight")
        self._resize(tensor, axis, size)

    def _resize(self, tensor: Tensor, axis: int, size: int) -> None:
        shape = list(tensor.shape)
        shape[axis] = size
        sparsity = tensor.sparsity
        if sparsity is not None:  # the same share of what is left
            sparsity = replace(sparsity, zeros=sparsity.zeros * prod(shape) // max(1, tensor.elements))
        self.tensors[tensor.name] = replace(tensor, shape=tuple(shape), sparsity=sparsity)

    def _pass_on(self, op: Op, name: str, axis: int, old: int, size: int) -> list[tuple[str, int, int]]:
        """Change ``op``, which reads ``name``; the (tensor, axis, size) that narrow in turn."""
        if isinstance(op, Conv):
            return self._conv(op, name, axis, size)
        if isinstance(op, MatMul):
            return self._matmul(op, name, axis, old, size)
        if isinstance(op, Recurrent) and name == op.inputs[0] and axis == len(self.shape(name)) - 1:
            self.weight(op.inputs[1], -1, size, op)
            self.ops[op.name] = replace(op, input_size=size)
            return []
        if isinstance(op, Move):
            return self._move(op, name, axis, old, size)
        if isinstance(op, Elementwise | Reduce):
            return self._elementwise(op, name, axis, old, size)
        raise CannotChangeError(f"reaches {op.name!r}, a {op.kind}, which keeps its sizes")

    def _conv(self, op: Conv, name: str, axis: int, size: int) -> list[tuple[str, int, int]]:
        read = self.draft.tensors[name].shape
        if name != op.inputs[0] or axis != _channel_axis(read, op.batch, op.in_channels, op.input_size):
            raise CannotChangeError(f"reaches {op.name!r} on an axis that is not its channels")
        weight = self.draft.tensors[op.inputs[1]].shape
        if op.groups == 1:
            self.weight(op.inputs[1], _weight_axis(weight, op.in_channels, first=op.transposed), size, op)
            self.ops[op.name] = replace(op, in_channels=size)
            return []
        if not op.groups == op.in_channels == op.out_channels:
            raise CannotChangeError(f"reaches {op.name!r}, a grouped convolution")
        self.weight(op.inputs[1], _weight_axis(weight, op.groups, first=True), size, op)
        for bias in op.inputs[2:]:
            self.weight(bias, -1, size, op)
        self.ops[op.name] = replace(op, in_channels=size, out_channels=size, groups=size)
        return [(op.outputs[0], axis, size)]

    def _matmul(self, op: MatMul, name: str, axis: int, old: int, size: int) -> list[tuple[str, int, int]]:
        weight = self.draft.tensors[op.inputs[1]]
        last = axis == len(self.draft.tensors[name].shape) - 1
        if name != op.inputs[0] or name == op.inputs[1] or op.groups != 1 or not last or old != op.k:
            raise CannotChangeError(f"reaches {op.name!r} on an axis that it does not sum over")
        axes = [place for place, each in enumerate(weight.shape) if each == op.k]
        if not axes:
            raise CannotChangeError(f"reaches {op.name!r}, whose weight is stored in another shape")
        self.weight(weight.name, axes[0], size, op)
        self.ops[op.name] = replace(op, k=size)
        return []

    def _elementwise(
        self, op: Elementwise | Reduce, name: str, axis: int, old: int, size: int
    ) -> list[tuple[str, int, int]]:
        """One result an input: the output narrows alike, and so do weights that have an entry a channel."""
        if len(op.outputs) != 1:
            raise CannotChangeError(f"reaches {op.name!r}, which has several outputs")
        made = self.draft.tensors[op.outputs[0]].shape
        if axis >= len(made) or made[axis] != old:
            raise CannotChangeError(f"reaches {op.name!r}, which mixes the axis")
        for other in op.inputs:
            tensor = self.draft.tensors[other]
            if other == name:
                continue
            if tensor.role in ("weight", "constant"):
                axes = [place for place, each in enumerate(tensor.shape) if each == old and old > 1]
                if axes:
                    self.weight(other, axes[-1] if len(tensor.shape) != len(made) else axis, size, op)
            elif axis < len(tensor.shape) and tensor.shape[axis] == old and len(tensor.shape) == len(made):
                raise CannotChangeError(f"reaches {op.name!r}, which joins {other!r} of the old width")
        self.ops[op.name] = replace(op, elements=max(1, op.elements * size // old))
        return [(op.outputs[0], axis, size)]

    def _move(self, op: Move, name: str, axis: int, old: int, size: int) -> list[tuple[str, int, int]]:
        if len(op.outputs) != 1 or op.function in ("transpose", "split", "expand"):
            raise CannotChangeError(f"reaches {op.name!r}, which moves the axis elsewhere")
        read, made = self.draft.tensors[name].shape, self.draft.tensors[op.outputs[0]].shape
        inner = prod(read[axis + 1 :])
        if op.function == "concat":
            others = sum(self.draft.tensors[other].shape[axis] for other in op.inputs if other != name)
            if made[axis] != others + old or op.inputs.count(name) > 1:
                raise CannotChangeError(f"reaches {op.name!r}, which joins on another axis")
            new = others + size
        elif len(made) == len(read) and made[axis] == old:
            new = size
        elif made == (*read[:axis], old * inner):
            new = size * inner
        else:
            raise CannotChangeError(f"reaches {op.name!r}, which reshapes the axis")
        self.ops[op.name] = replace(op, elements=max(1, op.elements // made[axis] * new))
        return [(op.outputs[0], axis, new)]

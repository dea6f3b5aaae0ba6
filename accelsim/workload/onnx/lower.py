"""One node that becomes several ops: each op but the last makes a tensor that the file does not know."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from accelsim.workload.onnx.model import TensorType
from accelsim.workload.onnx.site import Site
from accelsim.workload.ops import Elementwise, MatMul, Move, Op, Reduce

__all__ = ["Lowering"]

Shape = tuple[int, ...]


class Lowering:
    """Writes the ops of one node, in order; `last` is what the converter returns.

    Every method takes the name of the new tensor's part and its shape, and gives the tensor's name. ``made`` names
    the node's own output that the op makes, where it makes one. The last op bears the node's name.
    """

    def __init__(self, site: Site, element: int | None = None) -> None:
        self.site, self.element = site, site.type(0).element if element is None else element
        self.ops: list[Op] = []

    def product(
        self, part: str, left: str, right: str, shape: Shape, *, groups: int = 1, m: int, n: int, k: int,
        rest: tuple[str, ...] = (), made: str | None = None,
    ) -> str:  # fmt: skip
        name, out = self._names(part, shape, made)
        op = MatMul(
            name=name, inputs=(left, right, *rest), outputs=(out,), label=self.site.label, groups=groups, m=m, n=n, k=k
        )
        self.ops.append(op)
        return out

    def elementwise(
        self, part: str, function: str, inputs: tuple[str, ...], shape: Shape, made: str | None = None
    ) -> str:
        name, out = self._names(part, shape, made)
        op = Elementwise(
            name=name, inputs=inputs, outputs=(out,), label=self.site.label, function=function, elements=prod(shape)
        )
        self.ops.append(op)
        return out

    def reduce(
        self, part: str, function: str, inputs: tuple[str, ...], elements: int, shape: Shape, made: str | None = None
    ) -> str:
        name, out = self._names(part, shape, made)
        op = Reduce(
            name=name, inputs=inputs, outputs=(out,), label=self.site.label, function=function, elements=elements
        )
        self.ops.append(op)
        return out

    def move(
        self, part: str, function: str, inputs: tuple[str, ...], shape: Shape, made: str | None = None, *,
        view: bool = False, elements: int | None = None,
    ) -> str:  # fmt: skip
        name, out = self._names(part, shape, made)
        op = Move(
            name=name, inputs=inputs, outputs=(out,), label=self.site.label, function=function,
            elements=prod(shape) if elements is None else elements, view=view,
        )  # fmt: skip
        self.ops.append(op)
        return out

    def split(self, part: str, source: str, shapes: tuple[Shape, ...]) -> tuple[str, ...]:
        """Parts of the last axis, read in place."""
        outs = tuple(self._names(f"{part}{index}", shape, None)[1] for index, shape in enumerate(shapes))
        op = Move(
            name=f"{self.site.name}:{part}", inputs=(source,), outputs=outs, label=self.site.label, function="split",
            elements=sum(map(prod, shapes)), view=True,
        )  # fmt: skip
        self.ops.append(op)
        return outs

    def last(self) -> Op:
        """The op to return; those before it are handed to the site. It bears the node's name."""
        *before, last = self.ops
        self.site.before.extend(before)
        return replace(last, name=self.site.name)

    def _names(self, part: str, shape: Shape, made: str | None) -> tuple[str, str]:
        """Names of the op and of its output."""
        if made is not None:
            return f"{self.site.name}:{part}", made
        out = self.site.intermediate(part, TensorType(self.element, shape))
        return out, out

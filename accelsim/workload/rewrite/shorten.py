"""Shortening skip connections, after Tailor (Weng et al. 2023, arXiv 2301.07247).

A skip over a branch of several layers becomes one skip a layer. A *layer* here is an op with MACs and what belongs to
it: in a branch that starts with it, the normalisation and bias behind it, up to the activation function, so that a
short skip runs from the layer's input to the point before its activation, as the long one did; in a branch that
starts with its normalisation (pre-activation), what stands before it.

Shapes decide which layers get a skip: a layer whose output has the shape of its input gets an identity skip; the first
layer takes over the long skip's own shortcut (a projection, or padding) where its output has the shape which that
makes. Other layers get none. Where no layer gets one, the long skip stays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from accelsim.workload.graph import Tensor
from accelsim.workload.ops import Elementwise, Op, Reduce
from accelsim.workload.rewrite.branches import Joint, Sides, described
from accelsim.workload.rewrite.draft import CannotChangeError, Draft
from accelsim.workload.rewrite.report import Rewriter
from accelsim.workload.rewrite.skips import drop_add, each_skip
from accelsim.workload.vector_work import FOLDED

__all__ = ["shorten_skips"]

_AFFINE = frozenset({FOLDED, "batch_norm", "scale_shift", "add", "sub", "mul", "div"})
_NORMS = frozenset({"layer_norm", "rms_norm", "instance_norm", "group_norm"})

_Links = list[tuple[Op, str]]


@dataclass(frozen=True, slots=True)
class _Layer:
    """A part of a branch: from the tensor that it reads to the one that it makes; ``next`` is the op behind it."""

    start: str
    end: str
    next: str | None


def shorten_skips(*, match: str = "*") -> Rewriter:
    """Replace each add skip over several layers by skips over one layer each, where shapes allow (Tailor).

    A projected shortcut moves to the first layer if that makes its shape, else it goes. Concats stay. The function of
    the network changes: it has to be trained anew.

    Args:
        match: pattern of the names of the adds where the skips end.
    """

    def shorten(draft: Draft, joint: Joint, sides: Sides) -> str:
        if joint.skip.join != "add":
            raise CannotChangeError("is a concat: shortening is defined for adds")
        ancestor, branch, shortcut = sides.add(joint)
        layers = _layers(sides.chain(ancestor, branch), branch, sides)
        if len(layers) < 2:
            raise CannotChangeError("is over one layer already")
        count = _attach(draft, joint, layers, shortcut)
        return f"{described(joint.skip)}, now {count} of {len(layers)} layers have a skip of their own"

    return each_skip(match, "all", shorten)


def _layers(chain: _Links, branch: str, sides: Sides) -> list[_Layer]:
    """The branch cut into layers."""
    matrix = [index for index, (op, _) in enumerate(chain) if op.macs]
    leading = matrix[0] == 0  # else the branch starts with its normalisation or activation
    layers: list[_Layer] = []
    start = chain[0][1]
    for place, index in enumerate(matrix):
        last = place == len(matrix) - 1
        cut = len(chain) - 1 if last else index
        if leading:
            start = chain[index][1]
            while not last and _belongs(chain[cut + 1][0], sides):
                cut += 1
        following = None if last else chain[cut + 1]
        end = branch if following is None else following[1]
        layers.append(_Layer(start, end, None if following is None else following[0].name))
        start = end
    return layers


def _belongs(op: Op, sides: Sides) -> bool:
    """Whether ``op`` is a bias or normalisation, with constants only."""
    constants = all(sides.graph.tensors[name].role in ("weight", "constant") for name in op.inputs[1:])
    named = (isinstance(op, Elementwise) and op.function in _AFFINE) or (
        isinstance(op, Reduce) and op.function in _NORMS
    )
    return named and constants


def _attach(draft: Draft, joint: Joint, layers: list[_Layer], shortcut: str) -> int:
    """Give each layer its skip, the last one at the old add; returns how many have one."""
    join = draft.ops[joint.op.name]
    inputs = dict(zip(joint.op.inputs, join.inputs, strict=True))
    ways = [_way(draft, layer, inputs[shortcut], joint, first=index == 0) for index, layer in enumerate(layers)]
    if not any(ways):
        raise CannotChangeError("is over layers that all change the shape")
    if any(layer.end not in draft.maker for layer in layers[:-1]):
        raise CannotChangeError("shares its branch with a skip that was changed before")
    branch = next(name for name in joint.op.inputs if name != shortcut)
    if ways[-1] is None:
        drop_add(draft, joint, branch)
    joined: dict[str, str] = {}  # the end of a layer -> its sum with the skip
    for index, (layer, way) in enumerate(zip(layers[:-1], ways, strict=False)):
        if way is not None and layer.next is not None:
            joined[layer.end] = _add(draft, f"{joint.op.name}.short{index}", layer, joined.get(way, way))
    if ways[-1] is not None:
        way = joined.get(ways[-1], ways[-1])
        draft.put(replace(join, inputs=tuple(way if was == shortcut else now for was, now in inputs.items())))
    return sum(way is not None for way in ways)


def _way(draft: Draft, layer: _Layer, shortcut: str, joint: Joint, *, first: bool) -> str | None:
    """The tensor that skips ``layer``; None where no shape fits."""
    end = draft.tensors[layer.end if layer.next else joint.op.outputs[0]].shape
    if layer.start in draft.tensors and draft.tensors[layer.start].shape == end:
        return layer.start
    return shortcut if first and shortcut != layer.start and draft.tensors[shortcut].shape == end else None


def _add(draft: Draft, name: str, layer: _Layer, skip: str) -> str:
    """Insert the sum of a layer's end and its skip before the op that reads the end."""
    name = draft.fresh(name)
    made = Tensor(f"{name}.output", draft.tensors[layer.end].shape)
    add = Elementwise(
        name=name, inputs=(layer.end, skip), outputs=(made.name,), label="Add", function="add", elements=made.elements
    )
    assert layer.next is not None
    draft.insert(add, draft.maker[layer.end], made)
    draft.reread(layer.next, layer.end, made.name)
    return made.name

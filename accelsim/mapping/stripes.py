"""Cutting a row of ops into stripes: equal parts of a batch, or equal parts of the rows of every sample.

Rows are those of an image (the third axis of a map), of a sequence of tokens, or of attention scores. An op can be cut
along rows when a stripe of its result needs the same stripe of its input, apart from the rows that a convolution's
windows share (its halo, which stays on chip from stripe to stripe); other operands are needed whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import NamedTuple

from accelsim.mapping.placement import aliases, is_view, live_bytes
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Conv, Elementwise, MatMul, Move, Op, Reduce

__all__ = ["Cut", "StripeFacts", "Striped", "StripedGraph", "cuts", "halo_bytes", "stripe_facts", "striped_op"]

_BY_ROW = frozenset({"softmax", "log_softmax", "layer_norm", "rms_norm", "lp_norm"})
_POOLS = frozenset({"max_pool", "average_pool", "lp_pool"})
_ROW_CUTS = (2, 4, 7, 8, 14, 16, 28, 32, 56, 64, 112, 128)
_SPATIAL = 4
"""Dimensions of (batch, channels, rows, columns), and of attention scores (batch, heads, rows, columns)."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How a row of ops is cut: into ``samples`` parts along the batch, each of them into ``rows`` parts along rows."""

    samples: int
    rows: int

    @property
    def stripes(self) -> int:
        return self.samples * self.rows


@dataclass(frozen=True, slots=True)
class Striped:
    """One stripe of an op: the smaller op, the tensors of which it has a stripe, and the activations it needs whole."""

    op: Op
    stripes: tuple[str, ...]
    whole: tuple[str, ...] = ()


def cuts(graph: Graph) -> list[Cut]:
    """Cuts worth trying: parts of the batch by halving, and parts of the rows that some op's rows divide into."""
    batch = graph.batch
    found = [Cut(batch >> shift, 1) for shift in range(batch.bit_length()) if batch >> shift > 1]
    found = [cut for cut in found if batch % cut.samples == 0]
    heights = {rows for op in graph.ops if (rows := _rows(op, batch)) > 1}
    found += [Cut(batch, rows) for rows in _ROW_CUTS if any(height % rows == 0 for height in heights)]
    return found


def _rows(op: Op, batch: int) -> int:
    if isinstance(op, Conv):
        return op.output_size[0]
    return op.m // batch if isinstance(op, MatMul) else 1


def striped_op(op: Op, graph: Graph, cut: Cut, tensors: dict[str, Tensor]) -> Striped | None:
    """One of ``cut.stripes`` equal parts of ``op``; None where it cannot be cut so.

    The stripes of its tensors are put into ``tensors``.
    """
    found = _by_rows(op, graph, cut) if cut.rows > 1 else _by_samples(op, graph, cut)
    if found is None:
        return None
    for name in found.stripes:
        stripe = _stripe(graph.tensors[name], cut)
        if stripe is None or tensors.get(name, stripe) != stripe:
            return None
        tensors[name] = stripe
    for name in found.whole:
        if tensors.get(name, graph.tensors[name]) != graph.tensors[name]:
            return None
        tensors[name] = graph.tensors[name]
    return found


def _stripe(tensor: Tensor, cut: Cut) -> Tensor | None:
    shape, count = tensor.shape, cut.stripes
    if cut.rows == 1 and shape and shape[0] % count == 0:
        shape = (shape[0] // count, *shape[1:])
    elif len(shape) >= _SPATIAL:
        if shape[0] % cut.samples or shape[2] % cut.rows:
            return None
        shape = (shape[0] // cut.samples, shape[1], shape[2] // cut.rows, *shape[3:])
    elif tensor.elements % count == 0:
        shape = (tensor.elements // count,)
    else:
        return None
    return Tensor(tensor.name, shape, tensor.role, tensor.format, None, tensor.stored_bits)


def _activations(graph: Graph, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if graph.tensors[name].role == "activation")


def _stripable(op: Op, graph: Graph) -> tuple[str, ...]:
    """Activations that an op reads and makes; none where it reads no activation, or has to do with a state."""
    roles = [graph.tensors[name].role for name in (*op.inputs, *op.outputs)]
    if "state" in roles or "activation" not in roles[: len(op.inputs)]:
        return ()
    return tuple(name for name, role in zip((*op.inputs, *op.outputs), roles, strict=True) if role == "activation")


def _by_samples(op: Op, graph: Graph, cut: Cut) -> Striped | None:
    """A part of the batch: every activation has that part."""
    count = cut.samples
    stripes = _stripable(op, graph)
    if not stripes:
        return None
    if isinstance(op, Conv):
        return Striped(replace(op, batch=op.batch // count), stripes) if op.batch % count == 0 else None
    if isinstance(op, MatMul):
        if op.inputs[1] in stripes:
            return Striped(replace(op, groups=op.groups // count), stripes) if op.groups % count == 0 else None
        return Striped(replace(op, m=op.m // count), stripes) if op.m % count == 0 else None
    if isinstance(op, Elementwise | Reduce | Move) and op.elements % count == 0:
        return Striped(replace(op, elements=op.elements // count), stripes)
    return None


def _by_rows(op: Op, graph: Graph, cut: Cut) -> Striped | None:
    """A part of the rows of one sample."""
    tensors = graph.tensors
    names = _stripable(op, graph)
    if not names:
        return None
    if isinstance(op, Conv):
        if op.transposed or op.batch != cut.samples or op.output_size[0] % cut.rows or op.input_size[0] % cut.rows:
            return None
        rows = (op.input_size[0] // cut.rows, *op.input_size[1:]), (op.output_size[0] // cut.rows, *op.output_size[1:])
        return Striped(replace(op, batch=1, input_size=rows[0], output_size=rows[1]), names)
    if isinstance(op, MatMul):
        return _product_by_rows(op, graph, cut, names)
    if not isinstance(op, Elementwise | Reduce | Move) or op.elements % cut.stripes:
        return None
    made, read = tensors[op.outputs[0]], [tensors[name] for name in _activations(graph, op.inputs)]
    return Striped(replace(op, elements=op.elements // cut.stripes), names) if _row_local(op, made, read) else None


def _product_by_rows(op: MatMul, graph: Graph, cut: Cut, names: tuple[str, ...]) -> Striped | None:
    left = graph.tensors[op.inputs[0]].shape
    if len(left) >= _SPATIAL and left[2] != op.m:
        return None
    if op.inputs[1] not in names:
        whole = op.groups == 1 and op.m % cut.stripes == 0
        return Striped(replace(op, m=op.m // cut.stripes), names) if whole else None
    if op.m % cut.rows or op.groups % cut.samples or cut.samples > 1:
        return None
    return Striped(replace(op, m=op.m // cut.rows), (op.inputs[0], *op.outputs), (op.inputs[1],))


def _row_local(op: Op, made: Tensor, read: Sequence[Tensor]) -> bool:
    """Whether a row of the result needs only the same rows of what is read."""
    if isinstance(op, Elementwise):
        return all(each.elements == made.elements for each in read)
    if isinstance(op, Reduce):
        if op.function in _POOLS:
            return all(len(each.shape) == len(made.shape) == _SPATIAL for each in read)
        return op.function in _BY_ROW and all(each.shape == made.shape for each in read)
    if is_view(op):
        return all(each.shape == made.shape for each in read)
    joins = isinstance(op, Move) and op.function == "concat" and len(made.shape) >= _SPATIAL
    return joins and all(each.shape[2:] == made.shape[2:] for each in read)


def halo_bytes(op: Op, graph: Graph) -> float:
    """Bytes of the rows of an op's input that the next stripe needs again."""
    if not isinstance(op, Conv | Reduce):
        return 0.0
    source = graph.tensors[op.inputs[0]]
    if len(source.shape) < _SPATIAL:
        return 0.0
    row = source.bytes / source.shape[2] / source.shape[0]
    if isinstance(op, Conv):
        nest = op.contraction
        return row * max(0, nest.kernel_rows - nest.row_stride)
    # The window of a pooling is not known here: two rows, as of a 3 x 3 window.
    return 2.0 * row if op.function in _POOLS else 0.0


@dataclass(frozen=True, slots=True)
class StripeFacts:
    """What a stripe of a row of ops needs, by op of the row.

    Attributes:
        live: (ops,) bytes of stripes alive at each op, and of rows that wait for an op behind convolutions.
        halo_sums: (ops + 1,) bytes before each op that stay on chip from stripe to stripe.
        weights: (ops,) names of the weights and constants that each reads, in order.
        names: (ops,) all tensors of each.
        uses: ops that read or make each tensor.
    """

    live: Sequence[float]
    halo_sums: Sequence[float]
    weights: Sequence[tuple[str, ...]]
    names: Sequence[frozenset[str]]
    uses: Mapping[str, Sequence[int]]


def stripe_facts(body: Graph, cut: Cut) -> StripeFacts:
    """What ``body``, one of ``cut.stripes`` stripes of a row of ops, needs."""
    tensors = body.tensors
    halos = [halo_bytes(op, body) if cut.rows > 1 else 0.0 for op in body.ops]
    names = [frozenset((*op.inputs, *op.outputs)) for op in body.ops]
    uses: dict[str, list[int]] = {}
    for index, each in enumerate(names):
        for name in each:
            uses.setdefault(name, []).append(index)
    weights = [tuple(sorted({n for n in op.inputs if tensors[n].role in ("weight", "constant")})) for op in body.ops]
    return StripeFacts(_live(body, cut, halos), list(accumulate(halos, initial=0.0)), weights, names, uses)


def _live(body: Graph, cut: Cut, halos: Sequence[float]) -> list[float]:
    held = live_bytes(body, set(body.producers))
    if cut.rows == 1:
        return held
    before = list(accumulate((halo > 0 for halo in halos), initial=0))
    roots = aliases(body)
    for name, made in body.producers.items():
        last = min(body.last_uses.get(name, made), len(body.ops) - 1)
        lag = before[last] - before[made + 1] if last > made else 0
        if name not in roots and lag:
            shape = body.tensors[name].shape
            waiting = lag * body.tensors[name].bytes / (shape[2] if len(shape) > _SPATIAL - 1 else 1)
            held[made : last + 1] = [each + waiting for each in held[made : last + 1]]
    return held


class _Stripe(NamedTuple):
    """One stripe of a row of ops from ``first`` on, and its tensors."""

    first: int
    ops: tuple[Op, ...]
    tensors: dict[str, Tensor]


def _stripes(graph: Graph, cut: Cut) -> Iterator[_Stripe]:
    ops: list[Op] = []
    tensors: dict[str, Tensor] = {}
    made: set[str] = set()
    for index in range(len(graph.ops) + 1):
        trial: dict[str, Tensor] = {}
        found = striped_op(graph.ops[index], graph, cut, trial) if index < len(graph.ops) else None
        fits = found is not None and all(tensors.get(name, tensor) == tensor for name, tensor in trial.items())
        # What an op needs whole must not be made stripe by stripe.
        if found is not None and fits and made.isdisjoint(found.whole):
            ops.append(found.op)
            tensors |= trial
            tensors |= {name: graph.tensors[name] for name in found.op.inputs if name not in tensors}
            made.update(found.op.outputs)
            continue
        if len(ops) > 1:
            yield _Stripe(index - len(ops), tuple(ops), tensors)
        ops, tensors, made = [], {}, set()


class _StripeGraph(Graph):
    """A part of a graph that was checked."""

    def __post_init__(self) -> None:
        """Nothing is checked again."""


@dataclass
class StripedGraph:
    """All rows of a graph's ops that can be cut into stripes, by cut; made once for all divisions of the memory."""

    graph: Graph
    _parts: dict[Cut, list[_Stripe]] = field(default_factory=dict)
    _bodies: dict[tuple[Cut, int], Graph] = field(default_factory=dict)

    def rows(self, cut: Cut) -> list[tuple[int, Graph]]:
        """(first op, one stripe) of the longest rows of at least two ops that can all be cut so."""
        return [(first, self.body(cut, first)) for first, _ in self.extents(cut)]

    def extents(self, cut: Cut) -> list[tuple[int, int]]:
        """(first op, op behind the last) of these rows."""
        if cut not in self._parts:
            self._parts[cut] = list(_stripes(self.graph, cut))
        return [(each.first, each.first + len(each.ops)) for each in self._parts[cut]]

    def body(self, cut: Cut, first: int) -> Graph:
        """One stripe of the row that begins at op ``first``."""
        if (cut, first) not in self._bodies:
            stripe = next(each for each in self._parts[cut] if each.first == first)
            made = {name for op in stripe.ops for name in op.outputs}
            read = tuple(n for n, tensor in stripe.tensors.items() if n not in made and tensor.role == "activation")
            name, outputs = f"{self.graph.name} in stripes", stripe.ops[-1].outputs
            self._bodies[cut, first] = _StripeGraph(name, stripe.ops, stripe.tensors, read, outputs)
        return self._bodies[cut, first]

"""The layers that transformers are made of, written into a graph.

Reading a tensor head by head is a view: the products fetch their operands by stride. The scale of the attention
scores is applied to the queries, which are fewer, as PyTorch's ``MultiheadAttention`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from accelsim.errors import InputError
from accelsim.workload.bundled.builder import GraphBuilder
from accelsim.workload.ops import MatMul, Reduce

__all__ = ["Heads", "TransformerBuilder", "check_at_most", "heads_of"]

_NORM_WEIGHTS = {"layer_norm": 2, "rms_norm": 1}


@dataclass(frozen=True, slots=True)
class Heads:
    """Attention heads. With fewer for the keys (and values) than for the queries, several queries share a key."""

    queries: int
    keys: int
    size: int


def heads_of(workload: str, width: int, heads: int, kv_heads: int | None = None) -> Heads:
    """``heads`` equal parts of ``width``, of which every ``heads / kv_heads`` share their keys and values.

    Raises:
        InputError: they do not divide.
    """
    where, keys = f"workload {workload}", heads if kv_heads is None else kv_heads
    if width % heads:
        raise InputError(f"must divide width = {width}", file=where, field="heads", value=heads)
    if heads % keys:
        raise InputError(f"must divide heads = {heads}", file=where, field="kv_heads", value=keys)
    return Heads(heads, keys, width // heads)


def check_at_most(workload: str, field: str, value: int, bound_name: str, bound: int) -> None:
    """Refuse more positions than the model has."""
    if value > bound:
        where, remedy = f"workload {workload}", f"give fewer, or raise {bound_name}"
        raise InputError(f"must be at most {bound_name} = {bound}", file=where, field=field, value=value, remedy=remedy)


class TransformerBuilder(GraphBuilder):
    """A builder with the layers of transformers; activations are (batch, rows, width)."""

    def norm(self, name: str, source: str, function: str = "layer_norm") -> str:
        """Normalise each row by ``layer_norm`` (scale and shift) or ``rms_norm`` (scale)."""
        shape = self.shape(source)
        weight = self.tensor(f"{name}.weight", (_NORM_WEIGHTS[function], shape[-1]), "weight")
        made = self._made(name, shape)
        op = Reduce(name=name, inputs=(source, weight), outputs=(made,), function=function, elements=prod(shape))
        self.ops.append(op)
        return made

    def tied(self, name: str, source: str, table: str) -> str:
        """(..., k) times the transpose of an embedding table (n, k)."""
        n, k = self.shape(table)
        *outer, _ = self.shape(source)
        return self.product(name, source, table, (*outer, n), 1, prod(outer), k)

    def embedding(self, name: str, rows: int, width: int, tokens: str, shape: tuple[int, ...]) -> str:
        """``shape`` of rows gathered from a table (rows, width), which is tensor ``{name}.weight``."""
        table = self.tensor(f"{name}.weight", (rows, width), "weight")
        return self.move(name, "gather", [table, tokens], shape)[0]

    def add_positions(self, name: str, source: str, rows: int) -> str:
        """Add rows of a learned table (rows, width) to (batch, positions, width)."""
        *_, positions, width = self.shape(source)
        table = self.tensor(f"{name}.weight", (rows, width), "weight")
        if positions != rows:
            (table,) = self.move(f"{name}.rows", "gather", [table], (positions, width))
        return self.elementwise(name, "add", source, table)

    def feed_forward(self, name: str, source: str, hidden: int, function: str = "gelu") -> str:
        """Two layers with biases around an activation function."""
        here = self.elementwise(f"{name}.activation", function, self.matmul(f"{name}.up", source, hidden))
        return self.matmul(f"{name}.down", here, self.shape(source)[-1])

    def gated_feed_forward(self, name: str, source: str, hidden: int) -> str:
        """SwiGLU (Shazeer 2020, arXiv 2002.05202): down(silu(gate(x)) * up(x)), without biases."""
        gate = self.elementwise(f"{name}.silu", "silu", self.matmul(f"{name}.gate", source, hidden, bias=False))
        up = self.matmul(f"{name}.up", source, hidden, bias=False)
        both = self.elementwise(f"{name}.multiply", "mul", up, gate)
        return self.matmul(f"{name}.down", both, self.shape(source)[-1], bias=False)

    def add_residual(self, name: str, branch: str, source: str) -> str:
        """The sum of a layer's branch and of what the branch read."""
        return self.elementwise(f"{name}.add", "add", branch, source)

    def split(self, name: str, source: str, parts: int) -> tuple[str, ...]:
        """``parts`` equal views of the last axis."""
        *outer, width = self.shape(source)
        return self.move(name, "split", [source], *[(*outer, width // parts)] * parts, view=True)

    def keys(self, name: str, source: str, heads: Heads) -> str:
        """(batch, rows, key heads * size) read as (batch, key heads, size, rows)."""
        batch, rows, _ = self.shape(source)
        return self.move(name, "transpose", [source], (batch, heads.keys, heads.size, rows), view=True)[0]

    def values(self, name: str, source: str, heads: Heads) -> str:
        """(batch, rows, key heads * size) read as (batch, key heads, rows, size)."""
        batch, rows, _ = self.shape(source)
        return self.move(name, "transpose", [source], (batch, heads.keys, rows, heads.size), view=True)[0]

    def attend(
        self, name: str, queries: str, keys: str, values: str, heads: Heads, *, causal: bool = False,
        position_scores: str | None = None,
    ) -> str:  # fmt: skip
        """softmax(queries keys) values: (batch, rows, heads * size).

        ``keys`` (batch, key heads, size, context) and ``values`` (batch, key heads, context, size) are activations or
        a cache. The queries that share a key head are the rows of one product. With ``causal`` scores are masked;
        all of them are computed. ``position_scores`` (batch, heads, rows, context) are added to the scores.
        """
        batch, rows, width = self.shape(queries)
        context = self.shape(values)[-2]
        groups, m = batch * heads.keys, rows * heads.queries // heads.keys
        query_shape = (batch, heads.queries, rows, heads.size)
        here = self.elementwise(f"{name}.scale", "mul", queries)
        (here,) = self.move(f"{name}.heads", "transpose", [here], query_shape, view=True)
        here = self.product(f"{name}.scores", here, keys, (*query_shape[:-1], context), groups, m, heads.size)
        if position_scores is not None:
            here = self.elementwise(f"{name}.add_position", "add", here, position_scores)
        if causal:
            here = self.elementwise(f"{name}.mask", "where", here)
        here = self.reduce(f"{name}.softmax", "softmax", here)
        here = self.product(f"{name}.mix", here, values, query_shape, groups, m, context)
        return self.move(f"{name}.merge", "transpose", [here], (batch, rows, width), view=True)[0]

    def product(self, name: str, left: str, right: str, shape: tuple[int, ...], groups: int, m: int, k: int) -> str:
        """``groups`` products (m, k) by (k, n) of two tensors into ``shape``, whose last axis is n."""
        made = self._made(name, shape)
        op = MatMul(name=name, inputs=(left, right), outputs=(made,), groups=groups, m=m, n=shape[-1], k=k)
        self.ops.append(op)
        return made

    def self_attention(self, name: str, source: str, heads: Heads) -> str:
        """Attention of every row to every row, with biases in all four projections."""
        width = self.shape(source)[-1]
        queries, keys, values = (self.matmul(f"{name}.{each}", source, width) for each in ("query", "key", "value"))
        keys, values = self.keys(f"{name}.keys", keys, heads), self.values(f"{name}.values", values, heads)
        return self.matmul(f"{name}.output", self.attend(name, queries, keys, values, heads), width)

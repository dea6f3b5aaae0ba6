"""Attention, written as the products, the softmax and the element-wise work that it is made of.

All scores are computed, also those that a causal mask hides; the scale is applied to the queries, which are fewer.
Reading a tensor head by head is a view. Keys and values of earlier positions are joined with the new ones: a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from accelsim.workload.onnx.lower import Lowering
from accelsim.workload.onnx.site import Site, converts
from accelsim.workload.ops import Elementwise, Op

__all__: list[str] = []

MS = "com.microsoft"


@dataclass(frozen=True, slots=True)
class _Heads:
    """Sizes of one attention; several query heads may share a key head."""

    batch: int
    queries: int
    keys: int
    rows: int
    context: int
    size: int
    value_size: int

    @property
    def scores(self) -> tuple[int, ...]:
        return self.batch, self.queries, self.rows, self.context


@converts("RotaryEmbedding", domain=MS)
@converts("RotaryEmbedding")
def _rotary(site: Site) -> Op:
    """Data and positions in either order, then the tables of cosines and sines."""
    return Elementwise(
        name=site.name, inputs=(site.data(0), *site.steering(1, 2, 3)), outputs=site.outputs, label=site.label,
        function="rope", elements=site.out().elements,
    )  # fmt: skip


@converts("Attention")
def _attention(site: Site) -> Op:
    """Queries, keys and values of 4 axes (batch, heads, rows, size) or 3 (batch, rows, heads * size)."""
    q, k, v = (site.shape(index) for index in range(3))
    if not len(q) == len(k) == len(v) or len(q) not in (3, 4):
        raise site.error("needs queries, keys and values of 3 or 4 axes", value=(q, k, v))
    queries = q[1] if len(q) == 4 else site.integer("q_num_heads", 0)
    keys = k[1] if len(k) == 4 else site.integer("kv_num_heads", 0)
    _check_heads(site, queries, keys)
    size, value_size = (q[3], v[3]) if len(q) == 4 else (q[2] // queries, v[2] // keys)
    past = site.shape(4)[2] if site.has(4) else 0
    heads = _Heads(q[0], queries, keys, q[-2], k[-2] + past, size, value_size)
    lower = Lowering(site)
    key = _joined(site, lower, "key", site.data(1), 4, 1, (q[0], keys, heads.context, size))
    value = _joined(site, lower, "value", site.data(2), 5, 2, (q[0], keys, heads.context, value_size))
    mask = site.weight(3) if site.has(3) else None
    return _attend(
        site, lower, (site.data(0), key, value), heads, mask, causal=bool(site.integer("is_causal", 0)),
        scores=_used(site, 3),
    )  # fmt: skip


@converts("MultiHeadAttention", domain=MS)
def _multi_head(site: Site) -> Op:
    """Queries alone may hold all three (batch, rows, heads, 3, size), and keys two (batch, rows, heads, 2, size)."""
    queries = site.integer("num_heads", 0)
    _check_heads(site, queries, queries)
    q, lower = site.shape(0), Lowering(site)
    parts = _qkv(site, lower, queries)
    key_shape, value_shape = _shape(site, parts[1]), _shape(site, parts[2])
    if site.has(3):  # the biases of all three projections in one tensor
        parts = tuple(
            lower.elementwise(f"bias{i}", "add", (part, site.weight(3)), _shape(site, part))
            for i, part in enumerate(parts)
        )
    past = site.shape(6)[2] if site.has(6) else 0
    rows, batch = q[1], q[0]
    new = prod(key_shape) // (batch * queries * (_width(q) // queries))
    size, value_size = _width(q) // queries, prod(value_shape) // (batch * queries * new)
    heads = _Heads(batch, queries, queries, rows, new + past, size, value_size)
    key = _joined(site, lower, "key", parts[1], 6, 1, (batch, queries, heads.context, size))
    value = _joined(site, lower, "value", parts[2], 7, 2, (batch, queries, heads.context, value_size))
    mask = site.data(5) if site.has(5) else None
    masked = bool(site.integer("unidirectional", 0)) or site.has(4)
    return _attend(site, lower, (parts[0], key, value), heads, mask, causal=masked, scores=_used(site, 3))


def _width(query: tuple[int, ...]) -> int:
    return query[2] if len(query) == 3 else query[2] * query[4]


def _qkv(site: Site, lower: Lowering, heads: int) -> tuple[str, ...]:
    q = site.shape(0)
    if len(q) == 5:
        return lower.split("qkv", site.data(0), ((*q[:2], heads * q[4]),) * 3)
    if site.has(1) and len(site.shape(1)) == 5:
        k = site.shape(1)
        return (site.data(0), *lower.split("kv", site.data(1), ((*k[:2], heads * k[4]),) * 2))
    if not site.has(1) or not site.has(2):
        raise site.error("has queries alone, and not of 5 axes that hold keys and values too", value=q)
    return site.data(0), site.data(1), site.data(2)


def _shape(site: Site, name: str) -> tuple[int, ...]:
    """Shape of a tensor of the file or of one that this node's ops made."""
    return (site.scratch.get(name) or site.plain.types[name]).shape


@converts("GroupQueryAttention", domain=MS)
def _group_query(site: Site) -> Op:
    """Queries alone may hold all three along their last axis. Rotary positions are applied where asked."""
    queries, keys = site.integer("num_heads", 0), site.integer("kv_num_heads", 0)
    _check_heads(site, queries, keys)
    batch, rows, width = site.shape(0)
    lower = Lowering(site)
    if site.has(1):
        size = width // queries
        query, key, value = site.data(0), site.data(1), site.data(2)
    else:
        size = width // (queries + 2 * keys)
        shapes = tuple((batch, rows, heads * size) for heads in (queries, keys, keys))
        query, key, value = lower.split("qkv", site.data(0), shapes)
    if site.integer("do_rotary", 0):
        tables = site.steering(7, 8)
        query = lower.elementwise("rotary_query", "rope", (query, *tables), (batch, rows, queries * size))
        key = lower.elementwise("rotary_key", "rope", (key, *tables), (batch, rows, keys * size))
    past = site.shape(3)[2] if site.has(3) else 0
    heads = _Heads(batch, queries, keys, rows, past + rows, size, size)
    shape = (batch, keys, heads.context, size)
    key = _joined(site, lower, "key", key, 3, 1, shape)
    value = _joined(site, lower, "value", value, 4, 2, shape)
    mask = site.data(10) if site.has(10) else None
    return _attend(site, lower, (query, key, value), heads, mask, causal=True)


@converts("Attention", "QAttention", domain=MS)
def _projected(site: Site) -> Op:
    """Attention with its projection: input (batch, rows, width) times one weight for queries, keys and values."""
    quantised = site.label == "QAttention"
    past_at, mask_at = (8, None) if quantised else (4, 5)
    batch, rows, width = site.shape(0)
    queries = site.integer("num_heads", 0)
    _check_heads(site, queries, queries)
    sizes = site.integers("qkv_hidden_sizes") or (site.shape(1)[-1] // 3,) * 3
    if len(sizes) != 3 or sum(sizes) != site.shape(1)[-1]:
        raise site.error(f"splits {site.shape(1)[-1]} columns into queries, keys and values", value=sizes)
    lower = Lowering(site, site.out().element)
    rest = (*site.weights(2), *(site.steering(3, 4, 6, 7) if quantised else ()))
    whole = lower.product(
        "projection", site.data(0), site.weight(1), (batch, rows, sum(sizes)), m=batch * rows, n=sum(sizes), k=width,
        rest=rest,
    )  # fmt: skip
    query, key, value = lower.split("qkv", whole, tuple((batch, rows, size) for size in sizes))
    if site.integer("do_rotary", 0):
        query = lower.elementwise("rotary_query", "rope", (query,), (batch, rows, sizes[0]))
        key = lower.elementwise("rotary_key", "rope", (key,), (batch, rows, sizes[1]))
    past = site.shape(past_at)[3] if site.has(past_at) else 0
    heads = _Heads(batch, queries, queries, rows, rows + past, sizes[1] // queries, sizes[2] // queries)
    if site.has(past_at) or _used(site, 1):
        key, value = _both_joined(site, lower, (key, value), past_at, heads)
    mask = site.data(mask_at) if mask_at is not None and site.has(mask_at) else None
    masked = bool(site.integer("unidirectional", 0)) or site.has(5 if quantised else 3)
    return _attend(site, lower, (query, key, value), heads, mask, causal=masked)


def _both_joined(site: Site, lower: Lowering, new: tuple[str, str], past_at: int, heads: _Heads) -> tuple[str, str]:
    """Keys and values of all positions, which lie in one tensor (2, batch, heads, positions, size)."""
    shape = (heads.batch, heads.queries, heads.context, heads.size)
    past = (site.data(past_at),) if site.has(past_at) else ()
    both = lower.move("present", "concat", (*past, *new), (2, *shape), _used(site, 1))
    key, value = lower.split("cache", both, (shape, shape))
    return key, value


def _joined(
    site: Site, lower: Lowering, part: str, new: str, past_at: int, present_at: int, shape: tuple[int, ...]
) -> str:
    """Keys or values of earlier positions and the new ones; the result is an output where it is used."""
    made = _used(site, present_at)
    if not site.has(past_at) and made is None:
        return new
    past = (site.data(past_at),) if site.has(past_at) else ()
    return lower.move(f"present_{part}", "concat" if past else "transpose", (*past, new), shape, made)


def _attend(
    site: Site, lower: Lowering, parts: tuple[str, str, str], heads: _Heads, mask: str | None, *, causal: bool,
    scores: str | None = None,
) -> Op:  # fmt: skip
    """softmax(queries keys + mask) values."""
    query, key, value = parts
    groups, m = heads.batch * heads.keys, heads.rows * heads.queries // heads.keys
    query = lower.elementwise("scale", "mul", (query,), (heads.batch, heads.queries, heads.rows, heads.size))
    here = lower.product(
        "scores", query, key, heads.scores, groups=groups, m=m, n=heads.context, k=heads.size, made=scores
    )
    if site.real("softcap", 0.0):
        here = lower.elementwise("softcap", "tanh", (here,), heads.scores)
    if mask is not None:
        here = lower.elementwise("add_mask", "add", (here, mask), heads.scores)
    if causal:
        here = lower.elementwise("mask", "where", (here,), heads.scores)
    here = lower.reduce("softmax", "softmax", (here,), prod(heads.scores), heads.scores)
    lower.product(
        "mix", here, value, site.out().shape, groups=groups, m=m, n=heads.value_size, k=heads.context,
        made=site.node.outputs[0],
    )  # fmt: skip
    return lower.last()


def _used(site: Site, index: int) -> str | None:
    """The node's output at ``index``, if anything reads it."""
    name = site.node.outputs[index] if index < len(site.node.outputs) else ""
    return name if name in site.outputs else None


def _check_heads(site: Site, queries: int, keys: int) -> None:
    if queries < 1 or keys < 1 or queries % keys:
        raise site.error(f"has {queries} query heads and {keys} key heads; the one must be a multiple of the other")

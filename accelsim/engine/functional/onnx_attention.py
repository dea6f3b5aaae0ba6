"""Fused attention operators as steps: two products on the units, and vector work between them.

Rules are those of ONNX's Attention (opsets 23 and 24) and of ONNX Runtime's Attention and MultiHeadAttention. The steps
are the ops that the front end wrote: the scale is applied to the queries, query heads that share a key head are rows of
one product, and all scores are computed, also those that a mask hides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.engine.functional.expansion import Expansion
from accelsim.engine.functional.matrix import Arranged, arranged_matmul
from accelsim.engine.functional.program import VectorStep

__all__ = ["ATTENTIONS"]

Array = NDArray[Any]
Shape = tuple[int, ...]
Masked = Callable[..., Array]
MS = "com.microsoft"
_FILTER = -10000.0
"""What ONNX Runtime adds to the scores of padding, unless a node says otherwise."""


@dataclass(frozen=True, slots=True)
class _Masks:
    """What is done to the scores; each is a function of them and of the named tensors.

    ``bias`` is added before ``causal`` hides what comes later, ``rest`` is done with the softmax: it needs no op.
    """

    bias: tuple[str, Masked] | None = None
    causal: tuple[tuple[str, ...], Masked] | None = None
    rest: tuple[tuple[str, ...], Masked] | None = None


def _by_head(x: Array, heads: int) -> Array:
    """(batch, heads, rows, size) from itself or from (batch, rows, heads * size)."""
    if x.ndim == 4:
        return x
    return x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)


def _merged(x: Array) -> Array:
    """(batch, rows, heads * size)."""
    batch, heads, rows, size = x.shape
    return x.transpose(0, 2, 1, 3).reshape(batch, rows, heads * size)


def _joined(past: Array | None, new: Array) -> Array:
    return new if past is None else np.concatenate([past, new], axis=2)


def _scores(left: Shape, right: Shape) -> Arranged:
    """Queries (batch, heads, rows, size) by keys (batch, key heads, context, size), all of one key head together."""
    groups, context, size = prod(right[:2]), right[2], right[3]
    out = (*left[:3], context)
    return Arranged(lambda q: q.reshape(groups, -1, size), lambda k: k.reshape(groups, context, size),
                    lambda products, _: products.reshape(out))  # fmt: skip


def _mix(left: Shape, right: Shape) -> Arranged:
    """Weights (batch, heads, rows, context) by values (batch, key heads, context, size)."""
    groups, context, size = prod(right[:2]), right[2], right[3]
    out = (*left[:3], size)
    return Arranged(lambda p: p.reshape(groups, -1, context),
                    lambda v: v.reshape(groups, context, size).swapaxes(1, 2),
                    lambda products, _: products.reshape(out))  # fmt: skip


def _softmax(scores: Array) -> Array:
    """Over the last axis; rows in which nothing is to be seen become zeros."""
    wide = scores.astype(np.float32)
    largest = wide.max(axis=-1, keepdims=True)
    raised = np.exp(wide - np.where(np.isneginf(largest), np.float32(0), largest))
    total = raised.sum(axis=-1, keepdims=True)
    made: Array = (raised / np.where(total == 0, np.float32(1), total)).astype(scores.dtype)
    return made


def _hidden(scores: Array, seen: Array) -> Array:
    return np.where(seen, scores, scores.dtype.type(-np.inf))


def _attend(this: Expansion, parts: tuple[str, str, str], masks: _Masks, scores_mode: int = 0) -> str:
    """softmax(queries keys + mask) values, by head: its tensor. Parts are (batch, heads, rows, size)."""
    query, key, value = parts
    scale = this.attributes.real("scale", 0.0)

    def scaled(q: Array) -> Array:
        factor = scale or 1 / np.sqrt(q.shape[-1])
        return np.ascontiguousarray(q * q.dtype.type(factor))

    (query,) = this.work("scale", (query,), scaled)
    stages = [f"{this.node.name}:scores"]
    this.multiply_floats(query, key, _scores, "", stages[0], "scores")
    cap = this.attributes.real("softcap", 0.0)
    if cap:
        stages += this.work("softcap", (stages[-1],), lambda x: np.tanh(x / x.dtype.type(cap)) * x.dtype.type(cap))
    capped = stages[-1]
    if masks.bias is not None:
        name, add = masks.bias
        stages += this.work("add_mask", (stages[-1], name), add)
    if masks.causal is not None:
        names, hide = masks.causal
        stages += this.work("mask", (stages[-1], *names), hide)
    names, hide = masks.rest or ((), lambda x: x)
    biased = stages[-1]
    stages += this.work("softmax", (biased, *names), lambda x, *given: _softmax(hide(x, *given)))
    if this.output(3):
        source = (stages[0], capped, biased, stages[-1])[scores_mode]
        needed = names if scores_mode == 2 else ()
        this.compute("qk", (source, *needed), hide if needed else lambda x: x, this.output(3))
    mixed = f"{this.node.name}:mixed"
    this.multiply_floats(stages[-1], value, _mix, "", mixed)
    return mixed


# ONNX


def _standard(this: Expansion) -> None:
    """Q, K, V, mask, past keys, past values, numbers of keys that are no padding."""
    whole = this.attributes.integer
    for bound in ("left_window_size", "right_window_size"):
        if whole(bound, -1) >= 0:
            raise this.refuse(f"sees a window ({bound}), which is not emulated", whole(bound, -1))
    heads = (whole("q_num_heads", 0), *(whole("kv_num_heads", 0),) * 2)
    query, key, value = (
        this.compute(part, (this.input(place),), lambda x, n=heads[place]: _by_head(x, n))
        for place, part in enumerate(("query", "keys", "values"))
    )
    past, lengths = this.input(4), this.input(6)
    (key,) = this.work("present_key", (past, key), _joined, this.output(1))
    (value,) = this.work("present_value", (this.input(5), value), _joined, this.output(2))
    causal = rest = None
    if whole("is_causal", 0):
        causal = (past, lengths), _seen_before
    if lengths:
        rest = (lengths,), lambda x, n: _hidden(x, np.arange(x.shape[-1]) < n.reshape(-1, 1, 1, 1))
    masks = _Masks((this.input(3), _biased) if this.input(3) else None, causal, rest)
    mixed = _attend(this, (query, key, value), masks, whole("qk_matmul_output_mode", 0))
    this.compute("y", (mixed, this.input(0)), lambda x, q: _merged(x) if q.ndim == 3 else x, this.output(0))


def _biased(scores: Array, mask: Array) -> Array:
    """A mask of numbers is added, one of booleans says what is seen; what it is too short for is hidden."""
    short = scores.shape[-1] - mask.shape[-1]
    if short > 0:
        outside = False if mask.dtype == np.bool_ else mask.dtype.type(-np.inf)
        mask = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, short)], constant_values=outside)
    made: Array = _hidden(scores, mask) if mask.dtype == np.bool_ else scores + mask
    return made


def _seen_before(scores: Array, past: Array | None, lengths: Array | None) -> Array:
    """Row i sees the keys before the new ones, and new ones up to its own."""
    rows, context = scores.shape[-2:]
    before: Any = 0 if past is None else past.shape[2]
    if past is None and lengths is not None:
        before = lengths.reshape(-1, 1, 1, 1) - rows
    return _hidden(scores, np.arange(context) <= np.arange(rows)[:, np.newaxis] + before)


# ONNX Runtime


def _causal(scores: Array) -> Array:
    rows, context = scores.shape[-2:]
    return _hidden(scores, np.tri(rows, context, context - rows, dtype=bool))


def _padding(this: Expansion, name: str) -> tuple[tuple[str, ...], Masked]:
    """Adds the node's filter value where the keys are padding, and hides what comes later where it asks for that.

    The mask is (batch,) lengths, (2 batch,) ends and beginnings, (batch, context) or (batch, rows, context) of 0 and 1.
    """
    value = np.float32(this.attributes.real("mask_filter_value", _FILTER))
    causal = bool(this.attributes.integer("unidirectional", 0))

    def hide(scores: Array, mask: Array | None = None) -> Array:
        if mask is not None:
            seen = _seen(mask, scores.shape[0], scores.shape[-1], this)
            scores = scores + np.where(seen, np.float32(0), value).astype(scores.dtype)
        return _causal(scores) if causal else scores

    return ((name,) if name else ()), hide


def _seen(mask: Array, batch: int, context: int, this: Expansion) -> Array:
    """A mask of ONNX Runtime as booleans that broadcast to (batch, heads, rows, context)."""
    places = np.arange(context)
    if mask.shape == (batch,):
        before: Array = places < mask.reshape(-1, 1, 1, 1)
        return before
    if mask.shape == (2 * batch,):
        ends, starts = mask.reshape(2, -1, 1, 1, 1)
        before = (places >= starts) & (places < ends)
        return before
    if mask.ndim in (2, 3) and mask.shape[0] == batch and mask.shape[-1] == context:
        seen: Array = (mask != 0).reshape(batch, 1, -1, context)
        return seen
    raise this.refuse("has a mask of a form that is not emulated", mask.shape)


def _runtime_masks(this: Expansion, padding: str, bias: str) -> _Masks:
    names, hide = _padding(this, padding)
    masked = bool(names) or bool(this.attributes.integer("unidirectional", 0))
    return _Masks((bias, lambda x, b: x + b) if bias else None, (names, hide) if masked else None)


def _multi_head(this: Expansion) -> None:
    """Queries, keys, values, biases of all three, padding, bias of the scores, past keys, past values."""
    if this.input(8) or this.input(9):
        raise this.refuse("shares the buffer of its cache, which is not emulated")
    heads = this.attributes.integer("num_heads", 0)
    parts = list(_qkv(this))
    if this.input(3):
        shares = tuple(f"{this.node.name}:share{place}" for place in range(3))
        inputs = (this.input(3), *parts)
        this.steps.append(VectorStep("", "", inputs, shares, lambda arrays: _bias_shares(*arrays)))
        parts = [this.work(f"bias{place}", (part, share), _with_bias)[0]
                 for place, (part, share) in enumerate(zip(parts, shares, strict=True))]  # fmt: skip
    query, key, value = (
        this.compute(f"by_head{place}", (part,), lambda x: _by_head(x, heads)) for place, part in enumerate(parts)
    )
    (key,) = this.work("present_key", (this.input(6), key), _joined, this.output(1))
    (value,) = this.work("present_value", (this.input(7), value), _joined, this.output(2))
    mixed = _attend(this, (query, key, value), _runtime_masks(this, this.input(4), this.input(5)))
    this.compute("y", (mixed,), _merged, this.output(0))


def _qkv(this: Expansion) -> tuple[str, ...]:
    """Queries, keys and values: (batch, rows, heads * size), or by head where that is how they come."""
    if not this.input(1):  # (batch, rows, heads, 3, size)
        return this.work("qkv", (this.input(0),), lambda x: _unpacked(x, 3), count=3)
    if not this.input(2):  # (batch, rows, heads, 2, size)
        return this.input(0), *this.work("kv", (this.input(1),), lambda x: _unpacked(x, 2), count=2)
    return this.input(0), this.input(1), this.input(2)


def _unpacked(x: Array, parts: int) -> list[Array]:
    return [np.ascontiguousarray(x[:, :, :, part]).reshape(*x.shape[:2], -1) for part in range(parts)]


def _bias_shares(bias: Any, query: Any, key: Any, value: Any) -> list[Array]:
    """The biases of queries, keys and values, which are as wide as these."""
    widths = [each.shape[-1] if each.ndim == 3 else each.shape[1] * each.shape[3] for each in (query, key, value)]
    return np.split(bias, np.cumsum(widths)[:-1])


def _with_bias(x: Array, bias: Array) -> Array:
    made: Array = x + (bias if x.ndim == 3 else bias.reshape(1, x.shape[1], 1, x.shape[3]))
    return made


def _projected(this: Expansion) -> None:
    """Input, weights of all three projections, their biases, padding, past, bias of the scores."""
    if this.attributes.integer("do_rotary", 0):
        raise this.refuse("turns queries and keys by their positions, which is not emulated", "do_rotary")
    if this.input(6):
        raise this.refuse("shares the buffer of its cache, which is not emulated", "past_sequence_length")
    heads, sizes = this.attributes.integer("num_heads", 0), this.attributes.integers("qkv_hidden_sizes")
    whole = f"{this.node.name}:projection"
    this.multiply_floats(this.input(0), this.input(1), arranged_matmul, this.input(2), whole, "projection")

    def split(x: Array) -> list[Array]:
        widths = sizes or (x.shape[-1] // 3,) * 3
        return [_by_head(each, heads) for each in np.split(x, np.cumsum(widths)[:-1], axis=-1)]

    query, key, value = this.work("qkv", (whole,), split, count=3)
    if this.input(4) or this.output(1):
        (both,) = this.work("present", (this.input(4), key, value), _both, this.output(1))
        key, value = this.work("cache", (both,), lambda x: [x[0], x[1]], count=2)
    mixed = _attend(this, (query, key, value), _runtime_masks(this, this.input(3), this.input(5)))
    this.compute("y", (mixed,), _merged, this.output(0))


def _both(past: Array | None, key: Array, value: Array) -> Array:
    new = np.stack([key, value])
    return new if past is None else np.concatenate([past, new], axis=3)


ATTENTIONS: dict[tuple[str, str], Callable[[Expansion], None]] = {
    ("", "Attention"): _standard,
    (MS, "Attention"): _projected,
    (MS, "MultiHeadAttention"): _multi_head,
}
"""Fused attention operators, by domain and type."""

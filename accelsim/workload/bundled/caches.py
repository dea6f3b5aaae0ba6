"""Key-value caches, and the loop that generates tokens with them.

A cache is a tensor of role ``state``. Prefill writes it whole. A decode step writes one row, which is the step's slice
of the cache, and reads all of its `context` rows, the new one included: the row is joined to the cache in place (a
view), and the joined cache is what the next step finds. Every step reads the same number of rows, as a cache in a
buffer of fixed size does; for a cache that grows, `context` is its mean.
"""

from __future__ import annotations

from accelsim.workload.bundled.transformer import Heads, TransformerBuilder
from accelsim.workload.expand import step_slice
from accelsim.workload.ops import Move

__all__ = ["CachingBuilder", "add_decode_loop"]

_TOKEN = "token"


class CachingBuilder(TransformerBuilder):
    """A builder of layers whose keys and values go through caches.

    Args:
        context: rows of a cache that a decode step reads; None for prefill, which writes the rows at hand.

    Attributes:
        written: caches that prefill makes.
        carried: (the cache after a decode step, the cache before it).
    """

    def __init__(self, context: int | None = None) -> None:
        super().__init__()
        self.context = context
        self.written: list[str] = []
        self.carried: list[tuple[str, str]] = []

    def cached_keys(self, name: str, source: str, heads: Heads) -> str:
        """Write ``source`` (batch, rows, key heads * size) to key cache ``name``; returns what attention reads."""
        batch, rows, _ = self.shape(source)
        shapes = [(batch, heads.keys, heads.size, count) for count in (rows, self.context or rows)]
        return self._cached(name, source, *shapes)

    def cached_values(self, name: str, source: str, heads: Heads) -> str:
        """Write ``source`` (batch, rows, key heads * size) to value cache ``name``; returns what attention reads."""
        batch, rows, _ = self.shape(source)
        shapes = [(batch, heads.keys, count, heads.size) for count in (rows, self.context or rows)]
        return self._cached(name, source, *shapes)

    def _cached(self, name: str, source: str, new: tuple[int, ...], whole: tuple[int, ...]) -> str:
        if self.context is None:
            self.written.append(self._write(name, source, self.tensor(name, new, "state")))
            return name
        row = self._write(name, source, self.tensor(step_slice(name), new))
        return self._carry(name, "update", whole, row)

    def held(self, name: str, shape: tuple[int, ...]) -> str:
        """What attention reads of a cache made before the loop, which no step changes."""
        return self._carry(name, "identity", shape)

    def _write(self, name: str, source: str, made: str) -> str:
        elements = self.tensors[made].elements
        op = Move(name=f"{name}.write", inputs=(source,), outputs=(made,), function="scatter", elements=elements)
        self.ops.append(op)
        return made

    def _carry(self, name: str, function: str, shape: tuple[int, ...], *rows: str) -> str:
        cache = self.tensor(name, shape, "state")
        (after,) = self.move(f"{name}.{function}", function, [cache, *rows], shape, view=True)
        self.carried.append((after, cache))
        return after

    def last_token(self, batch: int) -> str:
        """The token (batch,) of the step before."""
        return self.tensor(_TOKEN, (batch,), "state")

    def best_token(self, logits: str) -> str:
        """Greedy choice: the largest logit of each row, carried to the next step."""
        token = self.reduce("sample", "arg_max", logits, (self.shape(logits)[0],))
        self.carried.append((token, _TOKEN))
        return token


def add_decode_loop(outer: CachingBuilder, body: CachingBuilder, token: str, steps: int) -> str:
    """Add loop ``decode``, whose step is ``body`` and makes ``token``; returns all tokens (steps, batch).

    The first token and the caches are inputs of the outer graph, but for the caches that it has written.
    """
    states = [before for _, before in body.carried]
    for name in states:
        if name not in outer.written:
            outer.input(name, body.shape(name), "state")
    (batch,) = body.shape(token)
    tokens = outer.tensor("decode.tokens", (steps, batch))
    outer.loop("decode", states, [tokens], body.graph("decode.step", [token], batch=batch), steps, body.carried)
    return tokens

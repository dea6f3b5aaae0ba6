"""A mixture of experts: a router sends each row to a few of many feed-forward networks.

Which experts are touched depends on the data. Counted are the weights of the expected number of distinct experts, with
the rows spread evenly over them; the other experts' weights are listed (they are stored) and not read. The steps of a
decode loop all touch the same ones, so that a mapping which keeps them on chip through the loop keeps too few.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from accelsim.workload.bundled.transformer import TransformerBuilder

__all__ = ["Experts", "add_experts"]


@dataclass(frozen=True, slots=True)
class Experts:
    """``count`` SwiGLU networks of ``hidden`` units, of which each row visits ``chosen``.

    ``spread`` places the number of distinct experts between that of rows that all choose the same (towards 0) and that
    of rows that choose uniformly and independently (1).
    """

    count: int
    chosen: int
    hidden: int
    spread: float

    def read(self, rows: int) -> int:
        """Distinct experts that ``rows`` rows visit, rounded.

        A row leaves an expert out with probability 1 - chosen / count, so that count (1 - (1 - chosen / count)^rows)
        are expected where rows choose uniformly and independently.
        """
        uniform = self.count * (1 - (1 - self.chosen / self.count) ** rows)
        return round(self.chosen + self.spread * (uniform - self.chosen))


def add_experts(build: TransformerBuilder, name: str, source: str, experts: Experts) -> str:
    """Route, compute and combine: (batch, rows, width) to the same.

    The op ``{name}.select`` is a view, which moves nothing: it stands for the choice that leaves experts out, and names
    their weights.
    """
    *outer, width = build.shape(source)
    rows = prod(outer)
    visits = rows * experts.chosen
    here = build.matmul(f"{name}.router", source, experts.count, bias=False)
    here = build.reduce(f"{name}.router.softmax", "softmax", here)
    routing = build.reduce(f"{name}.router.top_k", "top_k", here, (rows, experts.chosen))
    read = experts.read(rows)
    idle = [
        build.tensor(f"{name}.expert.{index}.{part}.weight", shape, "weight")
        for index in range(read, experts.count)
        for part, shape in (
            ("gate", (width, experts.hidden)), ("up", (width, experts.hidden)), ("down", (experts.hidden, width)),
        )
    ]  # fmt: skip
    build.move(f"{name}.select", "identity", [routing, *idle], (rows, experts.chosen), view=True)
    each, more = divmod(visits, read)
    sizes = [each + (index < more) for index in range(read)]
    dispatched = build.move(f"{name}.dispatch", "gather", [source, routing], *((size, width) for size in sizes))
    results = [
        build.gated_feed_forward(f"{name}.expert.{index}", given, experts.hidden)
        for index, given in enumerate(dispatched)
    ]
    (here,) = build.move(f"{name}.collect", "scatter", results, (rows, experts.chosen, width))
    here = build.elementwise(f"{name}.weigh", "mul", here, routing)
    return build.reduce(f"{name}.combine", "reduce_sum", here, (*outer, width))

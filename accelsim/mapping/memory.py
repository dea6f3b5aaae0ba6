"""What one mapping remembers of a graph: facts of its ops that do not depend on how the memory is divided."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from accelsim.mapping.records import OpMapping
from accelsim.mapping.space import Problem
from accelsim.workload.graph import Graph
from accelsim.workload.precision import PrecisionChoice

if TYPE_CHECKING:
    from accelsim.mapping.single import Known
    from accelsim.mapping.stripes import StripeFacts

__all__ = ["EntryKey", "GraphMemory", "Product", "VectorWork"]

EntryKey = tuple[int, frozenset[str], frozenset[str], int]
"""What decides about an entry but its room: its first op, its tensors on chip and those resident, and executions."""


class VectorWork(NamedTuple):
    """Vector cycles of an op, bytes that cross the scratchpads' ports, and bytes of each tensor read and made."""

    cycles: float
    crossing: float
    reads: tuple[tuple[str, float], ...]
    makes: tuple[tuple[str, float], ...]


class Product(NamedTuple):
    """A matrix op: its format, its problem with everything off chip, and bytes of the operands behind the first two."""

    precision: str
    problem: Problem
    extras: tuple[tuple[str, float], ...]


@dataclass(slots=True)
class GraphMemory:
    """What is known of one graph in the formats of one choice.

    Attributes:
        followers: by op index, ops behind a matrix op that follow it tile by tile where everything is on chip.
        repeated: the same by op index and executions.
        near: by op index, the tensors on which the entry that begins there depends.
        loadable: by op index, the weights that it reads from end to end.
        products, vectors: by op index, and by op name, what ops do wherever their data are.
        entries: entries found, the best of the rooms that they were found in.
        stripe: what a graph that is a stripe needs.
    """

    graph: Graph
    choice: PrecisionChoice
    followers: dict[int, tuple[OpMapping, ...]] = field(default_factory=dict)
    repeated: dict[tuple[int, int], tuple[OpMapping, ...]] = field(default_factory=dict)
    near: dict[int, frozenset[str]] = field(default_factory=dict)
    loadable: dict[int, frozenset[str]] = field(default_factory=dict)
    products: dict[int, Product] = field(default_factory=dict)
    vectors: dict[str, VectorWork] = field(default_factory=dict)
    entries: dict[EntryKey, list[Known]] = field(default_factory=dict)
    stripe: StripeFacts | None = None

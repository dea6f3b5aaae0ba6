"""What the mapper of analog tiles decides: matrices cut into blocks on tiles, and where each op runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from accelsim.workload.graph import Graph
from accelsim.workload.ops import Op

__all__ = ["AimcMapping", "AimcOp", "Block", "Cut", "StoredMatrix", "bounds"]


def bounds(size: int, parts: int) -> list[tuple[int, int]]:
    """``size`` cut into ``parts`` that differ by at most one: (first, end) of each."""
    return [(index * size // parts, (index + 1) * size // parts) for index in range(parts)]


@dataclass(frozen=True, slots=True)
class Cut:
    """How ``groups`` matrices of ``inputs`` x ``outputs`` weights lie on tiles.

    A matrix larger than a tile is cut into ``row_parts`` x ``column_parts`` blocks of about equal size, one a tile;
    of smaller ones ``groups_per_tile`` share a tile on its diagonal, and are read together. With ``pages`` a weight
    takes one part in so many of its cells, and other weights have the others; one page of a tile is read at a time.
    """

    groups: int
    inputs: int
    outputs: int
    row_parts: int
    column_parts: int
    groups_per_tile: int
    pages: int = 1

    @property
    def tiles(self) -> int:
        """Blocks of one copy: tiles, where each has its own."""
        return -(-self.groups // self.groups_per_tile) * self.row_parts * self.column_parts

    @property
    def largest_rows(self) -> int:
        """Rows of weights in use on the fullest tile."""
        return -(-self.inputs // self.row_parts) * self.groups_per_tile

    @property
    def largest_columns(self) -> int:
        """Columns of weights in use on the fullest tile."""
        return -(-self.outputs // self.column_parts) * self.groups_per_tile

    def blocks(self) -> Iterator[tuple[int, int, int]]:
        """(rows, columns, row part) of each tile of one copy."""
        for first in range(0, self.groups, self.groups_per_tile):
            count = min(self.groups_per_tile, self.groups - first)
            for begin, end in bounds(self.outputs, self.column_parts):
                for part, (low, high) in enumerate(bounds(self.inputs, self.row_parts)):
                    yield (high - low) * count, (end - begin) * count, part


@dataclass(frozen=True, slots=True)
class Block:
    """A block of weights on a tile: ``rows`` x ``columns`` from the lines ``first_row`` and ``first_column`` on.

    It lies in one ``page``, or in all (None).
    """

    tile: int
    rows: int
    columns: int
    row_part: int
    first_row: int = 0
    first_column: int = 0
    page: int | None = None

    def overlaps(self, other: Block) -> bool:
        """Whether two blocks of one tile share cells."""
        if self.page is not None and other.page is not None and self.page != other.page:
            return False
        below = self.first_row + self.rows <= other.first_row or other.first_row + other.rows <= self.first_row
        left, right = self.first_column, self.first_column + self.columns
        return not (below or right <= other.first_column or other.first_column + other.columns <= left)


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    """A weight tensor on tiles.

    Attributes:
        name: of the tensor.
        cut: how it is cut.
        replicas: copies, between which vectors are shared out.
        blocks: of all copies, copy by copy.
        resource: matrices that share a tile have the same one; it reads one product at a time.
        round: where tiles are written anew during an execution, the round in which it is there.
    """

    name: str
    cut: Cut
    replicas: int
    blocks: tuple[Block, ...]
    resource: str
    round: int = 0

    @property
    def tiles(self) -> tuple[int, ...]:
        return tuple(block.tile for block in self.blocks)

    @property
    def reads(self) -> tuple[tuple[int, ...], ...]:
        """For each tile the columns of each of its reads for one product, which come one after the other.

        Blocks that hold the same rows of the matrix on the same lines are read together.
        """
        columns: dict[int, Counter[tuple[int, int, int | None]]] = {}
        for block in self.blocks:
            lines = (block.row_part, block.first_row, block.page)
            columns.setdefault(block.tile, Counter())[lines] += block.columns
        return tuple(tuple(each.values()) for each in columns.values())

    @property
    def port_rows(self) -> int:
        """Inputs that the tile with the most of them takes for a product; its blocks of the same rows share them."""
        parts = {(block.tile, block.row_part): block.rows for block in self.blocks}
        return max(_by_tile((tile, rows) for (tile, _), rows in parts.items()).values())

    @property
    def summed_columns(self) -> int:
        """Outputs that the tile with the most of them adds partial sums to."""
        return max(_by_tile((block.tile, block.columns) for block in self.blocks if not block.row_part).values())


def _by_tile(amounts: Iterable[tuple[int, int]]) -> Counter[int]:
    found: Counter[int] = Counter()
    for tile, amount in amounts:
        found[tile] += amount
    return found


@dataclass(frozen=True, slots=True)
class AimcOp:
    """One op on a ``unit``: ``tile``, ``cores``, ``digital``, ``host`` or ``none``.

    ``executions`` counts the loops around it. ``matrix`` is the stored weights of an op on tiles, ``vectors`` the
    products with it in one execution, all groups at once; ``hops`` the mean distance that its inputs come from,
    ``sum_hops`` that of partial sums. ``streamed_bytes`` come from off the chip in each execution: weights of digital
    cores, rows of tables.
    """

    op: Op
    executions: int
    precision: str
    unit: str
    matrix: StoredMatrix | None = None
    vectors: int = 0
    hops: float = 0.0
    sum_hops: float = 0.0
    streamed_bytes: float = 0.0

    @property
    def placement(self) -> Mapping[str, str | None]:
        """``tiles``, ``cut`` and ``replicas``; None for an op that is on no tile."""
        matrix = self.matrix
        if matrix is None:
            return dict.fromkeys(("tiles", "cut", "replicas"))
        cut = matrix.cut
        words = f"{cut.row_parts} x {cut.column_parts} blocks" if cut.groups_per_tile == 1 else (
            f"{cut.groups_per_tile} groups a tile")  # fmt: skip
        words += f", in {cut.pages} pages" if cut.pages > 1 else ""
        used = sorted(set(matrix.tiles))
        shown = f"{len(used)}: {used[0]}" + (f" .. {used[-1]}" if len(used) > 1 else "")
        return {"tiles": shown, "cut": words, "replicas": str(matrix.replicas)}


@dataclass(frozen=True, slots=True)
class AimcMapping:
    """A whole workload on tiles.

    Attributes:
        graph: as mapped.
        ops: in the order of `walk`, loop bodies where their loop stands.
        matrices: weights on tiles, by tensor.
        positions: (row, column) on the mesh of each tile.
        rounds: 1 where all weights stay; more where tiles are written anew in each execution.
        byte_hops, least_byte_hops: of one execution between tiles, and what no placement falls below.
        candidates_seen: placements that were looked at.
    """

    graph: Graph
    ops: tuple[AimcOp, ...]
    matrices: Mapping[str, StoredMatrix]
    positions: tuple[tuple[int, int], ...]
    rounds: int
    byte_hops: float
    least_byte_hops: float
    candidates_seen: int

    def walk(self) -> Iterator[AimcOp]:
        """Every op, in the order in which the task graph numbers them."""
        yield from self.ops

    @property
    def tiles_used(self) -> int:
        """Distinct tiles that hold weights, in the fullest round."""
        by_round: dict[int, set[int]] = {}
        for matrix in self.matrices.values():
            by_round.setdefault(matrix.round, set()).update(matrix.tiles)
        return max((len(tiles) for tiles in by_round.values()), default=0)

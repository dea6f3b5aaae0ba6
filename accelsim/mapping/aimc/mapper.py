"""Mapping a workload onto analog tiles: units, tiles, places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from accelsim.hardware.aimc.description import AimcArchitecture
from accelsim.mapping.aimc.allocate import allocated
from accelsim.mapping.aimc.assign import Assignment, assigned
from accelsim.mapping.aimc.place import Flow, Placement, placed
from accelsim.mapping.aimc.records import AimcMapping, AimcOp, StoredMatrix
from accelsim.numerics import FORMATS
from accelsim.workload.expand import step_slice
from accelsim.workload.graph import Graph, Tensor
from accelsim.workload.ops import Loop, Move, Op
from accelsim.workload.precision import PrecisionChoice

__all__ = ["PARTIAL_SUM_BYTES", "input_bytes_per_vector", "map_aimc"]

PARTIAL_SUM_BYTES = 2.0
"""A partial sum travels as 16 bits: an output of the ADC and what adding some of them grows."""


def map_aimc(graph: Graph, arch: AimcArchitecture, choice: PrecisionChoice) -> AimcMapping:
    """Map a graph with formats assigned and recurrence expanded; ``choice`` says which ops compute on tiles.

    Raises:
        InfeasibleError: more tiles are needed than there are.
        UnsupportedError: an op that no unit of the architecture computes.
    """
    assignments, wanted = assigned(graph, arch, choice)
    matrices, rounds = allocated(wanted, arch, graph.name)
    flows = _flows(graph, assignments, matrices, arch)
    placement = placed(flows, arch)
    ops = _ops(graph, assignments, matrices, flows, placement, arch)
    positions = tuple((int(row), int(column)) for row, column in placement.positions)
    return AimcMapping(
        graph, ops, matrices, positions, rounds, placement.byte_hops, placement.least_byte_hops, placement.seen
    )


def input_bytes_per_vector(matrix: StoredMatrix, arch: AimcArchitecture) -> float:
    """Bytes of one input vector of all groups."""
    return matrix.cut.groups * matrix.cut.inputs * FORMATS[arch.activation_format].bits_per_element / 8


def _flows(
    graph: Graph, assignments: Sequence[Assignment], matrices: Mapping[str, StoredMatrix], arch: AimcArchitecture
) -> list[Flow]:
    """What passes between tiles: inputs from where they were made, and partial sums."""
    origins = _Origins(assignments)
    origins.walk(graph, {})
    flows: list[Flow] = []
    for index, each in enumerate(assignments):
        if each.unit != "tile":
            continue
        matrix = matrices[each.weights]
        source = origins.of.get(id(each.op))
        moved = input_bytes_per_vector(matrix, arch) * matrix.cut.column_parts * each.vectors * each.executions
        if source is not None:
            flows.append(Flow(index, _summing(matrices[source]), tuple(sorted(set(matrix.tiles))), moved))
        if matrix.cut.row_parts > 1:
            flows.append(_sums(index, each, matrix))
    return flows


def _sums(index: int, each: Assignment, matrix: StoredMatrix) -> Flow:
    values = matrix.cut.groups * matrix.cut.outputs * (matrix.cut.row_parts - 1)
    moved = values * PARTIAL_SUM_BYTES * each.vectors * each.executions
    others = tuple(sorted({block.tile for block in matrix.blocks if block.row_part}))
    return Flow(index, others, _summing(matrix), moved, sums=True)


def _summing(matrix: StoredMatrix) -> tuple[int, ...]:
    """The tiles that add up partial sums: those of the first rows."""
    return tuple(sorted({block.tile for block in matrix.blocks if not block.row_part}))


class _Origins:
    """For each op on tiles, the weights that made its input, through everything between them.

    Where several inputs come from tiles, vector work is done where the latest of them arrives.
    """

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        self._weights = {
            id(each.op): (index, each.weights) for index, each in enumerate(assignments) if each.unit == "tile"
        }
        self.of: dict[int, str] = {}

    def walk(self, graph: Graph, known: Mapping[str, tuple[int, str]]) -> dict[str, tuple[int, str]]:
        """Origins of the graph's tensors, given those outside."""
        found = dict(known)
        for op in graph.ops:
            if isinstance(op, Loop):
                self._loop(op, found)
                continue
            source = max((found[name] for name in op.inputs if name in found), default=None)
            mine = self._weights.get(id(op))
            if mine is not None and source is not None:
                self.of[id(op)] = source[1]
            made = mine or source
            if made is not None:
                found.update(dict.fromkeys(op.outputs, made))
        return found

    def _loop(self, op: Loop, found: dict[str, tuple[int, str]]) -> None:
        inside = found | {step_slice(name): origin for name, origin in found.items()}
        made = self.walk(op.body, inside)
        carried = {before: made[after] for after, before in op.carried if after in made}
        made = self.walk(op.body, inside | carried)
        for inner, outer in zip(op.body.outputs, op.outputs, strict=False):
            if inner in made:
                found[outer] = made[inner]


def _ops(
    graph: Graph, assignments: Sequence[Assignment], matrices: Mapping[str, StoredMatrix], flows: Sequence[Flow],
    placement: Placement, arch: AimcArchitecture,
) -> tuple[AimcOp, ...]:  # fmt: skip
    inputs = {flow.op: hops for flow, hops in zip(flows, placement.hops, strict=True) if not flow.sums}
    sums = {flow.op: hops for flow, hops in zip(flows, placement.hops, strict=True) if flow.sums}
    tensors = {tensor.name: tensor for tensor in graph.all_tensors()}
    resident = _resident_weights(assignments, tensors, arch)
    found = []
    for index, each in enumerate(assignments):
        op = AimcOp(each.op, each.executions, each.precision, each.unit)
        if each.unit == "tile":
            matrix = matrices[each.weights]
            hops = inputs.get(index, _from_the_corner(matrix, placement))
            op = replace(op, matrix=matrix, vectors=each.vectors, hops=hops, sum_hops=sums.get(index, 0.0))
        elif each.unit == "cores":
            streamed = sum(tensors[name].bytes for name in _weights_of(each.op, tensors) if name not in resident)
            op = replace(op, streamed_bytes=streamed)
        elif each.unit == "digital":
            op = replace(op, streamed_bytes=_gathered_bytes(each.op, tensors))
        found.append(op)
    return tuple(found)


def _from_the_corner(matrix: StoredMatrix, placement: Placement) -> float:
    """Mean hops from the link off the chip, which is at a corner."""
    places = placement.positions[sorted(set(matrix.tiles))]
    return float(places.sum(axis=1).mean()) + 1.0


def _weights_of(op: Op, tensors: Mapping[str, Tensor]) -> list[str]:
    return [name for name in op.inputs[:2] if tensors[name].role == "weight"]


def _resident_weights(
    assignments: Sequence[Assignment], tensors: Mapping[str, Tensor], arch: AimcArchitecture
) -> frozenset[str]:
    """Weights that stay in the memories of the digital cores: those read most often, as many as fit."""
    if arch.cores is None:
        return frozenset()
    reads: dict[str, int] = {}
    for each in assignments:
        if each.unit == "cores":
            for name in _weights_of(each.op, tensors):
                reads[name] = reads.get(name, 0) + each.executions
    kept: set[str] = set()
    free = arch.cores.weight_memory_bytes.value
    for name in sorted(reads, key=lambda name: -reads[name]):
        size = tensors[name].bytes
        if size <= free:
            kept.add(name)
            free -= size
    return frozenset(kept)


def _gathered_bytes(op: Op, tensors: Mapping[str, Tensor]) -> float:
    """Rows of a table off the chip that a lookup reads."""
    if not isinstance(op, Move) or not any(tensors[name].role == "weight" for name in op.inputs):
        return 0.0
    return sum(tensors[name].bytes for name in op.outputs)

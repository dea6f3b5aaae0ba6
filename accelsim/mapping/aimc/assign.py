"""Which unit each op runs on, and which matrices have to be on tiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from accelsim.errors import InputError, UnsupportedError
from accelsim.hardware.aimc.description import ANALOG, AimcArchitecture
from accelsim.mapping.aimc.records import Cut
from accelsim.mapping.placement import is_view
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Conv, Host, Loop, MatMul, Move, Op
from accelsim.workload.precision import PrecisionChoice

__all__ = ["Assignment", "Wanted", "assigned", "cut_of"]


@dataclass(frozen=True, slots=True)
class Assignment:
    """An op and its unit, before tiles are given out.

    ``weights`` is the tensor that an op on tiles multiplies with, ``vectors`` the products with it in one execution,
    ``outputs`` the values that each product has in each group.
    """

    op: Op
    executions: int
    precision: str
    unit: str
    weights: str = ""
    vectors: int = 0
    outputs: int = 0


@dataclass(slots=True)
class Wanted:
    """A matrix that has to be on tiles.

    ``vectors`` are those of one execution of the workload, ``batch`` the most that come together: copies beyond that
    have nothing to do. ``place`` is the top-level op that first reads it.
    """

    name: str
    cut: Cut
    vectors: int
    batch: int
    place: int


def assigned(
    graph: Graph, arch: AimcArchitecture, choice: PrecisionChoice
) -> tuple[list[Assignment], dict[str, Wanted]]:
    """Every op with its unit, loop bodies where their loop stands, and the matrices for the tiles by tensor.

    Raises:
        UnsupportedError: a product without weights, or a format, where no digital core computes it.
    """
    found: list[Assignment] = []
    wanted: dict[str, Wanted] = {}
    for place, op in enumerate(graph.ops):
        for each in _of_op(op, graph, _Around(arch, choice), 1):
            found.append(each)
            if each.unit == "tile":
                _want(each, wanted, arch, place)
    return found, wanted


def cut_of(groups: int, inputs: int, outputs: int, arch: AimcArchitecture) -> Cut:
    """How a matrix is cut for the tiles of ``arch``: into as few blocks as it can be."""
    tile = arch.tile
    rows, columns = -(-inputs // tile.inputs), -(-outputs // tile.outputs)
    shared = min(groups, tile.inputs // inputs, tile.outputs // outputs) if rows == columns == 1 else 1
    return Cut(groups, inputs, outputs, rows, columns, shared)


@dataclass(frozen=True, slots=True)
class _Around:
    arch: AimcArchitecture
    choice: PrecisionChoice


def _of_op(op: Op, graph: Graph, around: _Around, times: int) -> Iterator[Assignment]:
    if isinstance(op, Loop):
        for inner in op.body.ops:
            yield from _of_op(inner, op.body, around, times * op.steps)
        return
    if isinstance(op, MatMul | Conv):
        yield _matrix_op(op, graph, around, times)
    elif isinstance(op, Host):
        yield Assignment(op, times, "", "host")
    else:
        yield Assignment(op, times, "", "none" if is_view(op) or not op.outputs else "digital")


def _matrix_op(op: MatMul | Conv, graph: Graph, around: _Around, times: int) -> Assignment:
    precision = around.choice.of(op.name)
    nest = op.contraction
    if precision == ANALOG:
        static = [_stored(name, graph) for name in op.inputs[:2]]
        if static[1] is not None:
            return Assignment(op, times, precision, "tile", static[1], nest.m, nest.n)
        if static[0] is not None:
            return Assignment(op, times, precision, "tile", static[0], nest.n, nest.m)
        return _dynamic(op, around, times)
    cores = around.arch.cores
    if cores is None or precision not in cores.units:
        known = f"{ANALOG}{''.join(f', {name}' for name in cores.units) if cores else ''}"
        raise UnsupportedError("has no matrix unit on this architecture", file=f"architecture {around.arch.name}",
                               field=f"precision of {op.name}", value=precision,
                               remedy=f"its matrices are computed in {known}")  # fmt: skip
    return Assignment(op, times, precision, "cores")


def _dynamic(op: MatMul | Conv, around: _Around, times: int) -> Assignment:
    """A product of two activations: no tile holds either, so it goes to the first format of the digital cores."""
    cores = around.arch.cores
    if cores is None:
        raise UnsupportedError(
            "multiplies two activations, which no tile can hold", file=f"architecture {around.arch.name}",
            field=f"op {op.name}", remedy="take an architecture with digital cores beside its tiles",
        )  # fmt: skip
    return Assignment(op, times, next(iter(cores.units)), "cores")


def _stored(name: str, graph: Graph) -> str | None:
    """The weight tensor behind ``name``, through ops that only move it; None for what is computed."""
    tensor = graph.tensors[name]
    if tensor.role in ("weight", "constant"):
        return name
    maker = graph.producers.get(name)
    op = graph.ops[maker] if maker is not None else None
    return _stored(op.inputs[0], graph) if isinstance(op, Move) and len(op.inputs) == 1 else None


def _want(each: Assignment, wanted: dict[str, Wanted], arch: AimcArchitecture, place: int) -> None:
    assert isinstance(each.op, MatMul | Conv)
    nest = each.op.contraction
    cut = cut_of(nest.groups, nest.k, each.outputs, arch)
    known = wanted.get(each.weights)
    if known is None:
        wanted[each.weights] = Wanted(each.weights, cut, each.vectors * each.executions, each.vectors, place)
        return
    if known.cut != cut:
        raise InputError(f"is read as {cut.inputs} x {cut.outputs} by {each.op.name} and otherwise before",
                         file="workload", field=f"tensor {each.weights}")  # fmt: skip
    known.vectors += each.vectors * each.executions
    known.batch = max(known.batch, each.vectors)

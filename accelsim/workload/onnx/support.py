"""Which nodes of a model accelsim does not model: all of them, told before other work is done."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from accelsim.errors import UnknownNameError, UnsupportedError
from accelsim.workload.onnx.convert import CONVERTERS
from accelsim.workload.onnx.model import Source, text
from accelsim.workload.onnx.read import subgraphs

__all__ = ["Support", "live_nodes", "reads", "standard_domain"]

# Replaced while the model is resolved: by a constant, a branch, steps of a loop, the tensors of a sequence.
_SUBGRAPHS = frozenset({"If", "Loop", "Scan", "SequenceMap"})
_SEQUENCES = frozenset(
    {"ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert",
     "SequenceLength", "SplitToSequence"}
)  # fmt: skip
_OPTIONALS = frozenset({"Optional", "OptionalGetElement", "OptionalHasElement"})
_REPLACED = frozenset({"Constant", "Shape", "Size"}) | _SUBGRAPHS | _SEQUENCES | _OPTIONALS


class Support:
    """What of one model can be modelled.

    Args:
        graph: the model's GraphProto.
        source: where it came from.
        allowed: op types that the user takes to cost nothing.
        constants: names of tensors that are constants from the start.

    Raises:
        UnknownNameError: ``allowed`` names an op type that the model lacks.
    """

    def __init__(self, graph: Any, source: Source, allowed: Collection[str], constants: Collection[str]) -> None:
        self.graph, self.source, self.allowed, self.constants = graph, source, frozenset(allowed), frozenset(constants)
        if self.allowed:
            present = {name for node in _every_node(graph) for name in _op_names(node)}
            for name in sorted(self.allowed - present):
                what = "op type of this model"
                raise UnknownNameError(what, name, present, file=source.file, field="allow_zero_cost")

    def zero_cost(self, node: Any) -> bool:
        """Whether the user allowed this NodeProto to cost nothing."""
        return not self.allowed.isdisjoint(_op_names(node))

    def known(self, node: Any) -> bool:
        """Whether a NodeProto can be an op of the workload."""
        return self.zero_cost(node) or (standard_domain(node), text(node.op_type)) in CONVERTERS

    def check(self) -> None:
        """Refuse the model if nodes outside of subgraphs are not modelled; those inside may turn out not to run."""
        if self._unmodelled(self._live(), set(self.constants)):
            raise self.error()

    def error(self, met: Any = None) -> UnsupportedError:
        """The error that lists every node that is not modelled, those in branches included, and the one just met."""
        found = self._unmodelled(self._live(), set(self.constants), branches=True)
        if met is not None and not any(node is met or node == met for node, _ in found):
            found.append((met, ""))
        types = sorted({text(node.op_type) for node, _ in found})
        flags = " ".join(f"--allow-zero-cost {each}" for each in types)
        remedy = f"where they may count as nothing, pass allow_zero_cost={types!r} ({flags})"
        listed = "; ".join(self._line(node, where) for node, where in found)
        count = f"{len(found)} nodes are" if len(found) != 1 else "1 node is"
        return UnsupportedError(f"{count} not modelled: {listed}", file=self.source.file, remedy=remedy)

    def _live(self) -> list[Any]:
        return live_nodes(self.graph, {text(each.name) for each in self.graph.output})[0]

    def _line(self, node: Any, where: str) -> str:
        domain = standard_domain(node)
        opset = self.source.opsets.get(domain, "not imported")
        name = text(node.name) or f"the maker of {', '.join(map(text, node.output))}"
        return f"{name}{where} ({domain or 'ai.onnx'}::{text(node.op_type)}, opset {opset})"

    def _unmodelled(
        self, nodes: list[Any], constants: set[Any], where: str = "", *, branches: bool = False
    ) -> list[tuple[Any, str]]:
        """Nodes that can neither be converted nor fold away, and where; what may be constant is taken to be."""
        found = []
        for node in nodes:
            domain, op_type = standard_domain(node), text(node.op_type)
            folds = not domain and (op_type in _REPLACED or all(not name or name in constants for name in node.input))
            if folds and (op_type in _SUBGRAPHS or not any(True for _ in subgraphs(node))):
                constants.update(node.output)
            elif not self.known(node):
                found.append((node, where))
            if op_type in _SUBGRAPHS and branches and not domain:
                for name, branch in subgraphs(node):
                    inner = constants | {each.name for each in branch.initializer}
                    place = f" in {name} of {text(node.name) or f'a node of type {op_type}'}"
                    found += self._unmodelled(list(branch.node), inner, place, branches=True)
        return found


def live_nodes(graph: Any, outputs: set[str]) -> tuple[list[Any], set[str]]:
    """The NodeProtos on which ``outputs`` depend, in file order, and every tensor name that they or it need."""
    needed, live = set(outputs), []
    for node in reversed(graph.node):
        if any(text(name) in needed for name in node.output):
            live.append(node)
            needed.update(reads(node))
    return live[::-1], needed


def reads(node: Any) -> Iterator[str]:
    """Names that a NodeProto reads, and all that its subgraphs read: names made inside them are not told apart."""
    yield from (text(name) for name in node.input if name)
    for _, graph in subgraphs(node):
        yield from (text(each.name) for each in graph.output)
        for inner in graph.node:
            yield from reads(inner)


def standard_domain(node: Any) -> str:
    """A node's domain; "" for the standard one, however it is written."""
    domain = text(node.domain)
    return "" if domain == "ai.onnx" else domain


def _op_names(node: Any) -> tuple[str, str]:
    return text(node.op_type), f"{standard_domain(node) or 'ai.onnx'}::{text(node.op_type)}"


def _every_node(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for _, inner in subgraphs(node):
            yield from _every_node(inner)

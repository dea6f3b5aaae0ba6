"""One walk through the operators in file order: constants fold, branches are inlined, variables become states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.workload.graph import Role, Tensor
from accelsim.workload.ops import Move, Op
from accelsim.workload.outcomes import checked_choice
from accelsim.workload.tflite import ops_matrix, ops_move, ops_vector  # noqa: F401  (they register their converters)
from accelsim.workload.tflite.read import Model, Operator, Stored
from accelsim.workload.tflite.site import CONVERTERS, Site

__all__ = ["Walk"]

# Element type to format; None counts as FP32, as everywhere. Biases of 32 bits have no format of their own.
_FORMATS = {"float16": "fp16", "int8": "int8", "uint8": "int8", "int4": "int4"}
# Their result is a constant whatever they read: shapes are stated.
_OF_SHAPES = frozenset({"RANK", "SHAPE"})
# They pass a constant on, so that a weight behind them is the stored one.
_PASSED_ON = frozenset({"CAST", "DENSIFY", "DEQUANTIZE", "EXPAND_DIMS", "QUANTIZE", "RESHAPE", "SQUEEZE", "TRANSPOSE"})
_VARIABLES = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "READ_VARIABLE", "VAR_HANDLE"})
_BRANCHES = ("then", "else", "dearest")


class Walk:
    """The graph so far. A tensor is named by (subgraph, index); ``constants`` maps constants to what is stored."""

    def __init__(self, model: Model, allowed: frozenset[str], branches: Mapping[str, str | float]) -> None:
        self.model, self.allowed, self.branches = model, allowed, branches
        self.tensors: dict[str, Tensor] = {}
        self.constants: dict[str, str] = {}
        self.ops: list[Op] = []
        self.states: list[str] = []
        self.kept: list[str] = []  # what is assigned to variables, and conditions: outputs that the file does not list
        self.asked: dict[str, str] = {}  # IFs that were met, and the branch that they took
        self._names: dict[tuple[int, int], str] = {}
        self._taken: set[str] = set()

    # Tensors

    def unique(self, name: str) -> str:
        """``name``, or with a number behind where it is taken."""
        made, number = name, 1
        while made in self._taken:
            number += 1
            made = f"{name}#{number}"
        self._taken.add(made)
        return made

    def tensor(self, graph: int, index: int) -> Stored:
        return self.model.subgraphs[graph].tensors[index]

    def name(self, graph: int, index: int) -> str:
        """The unique name of a tensor, which is declared when it is first named."""
        key = (graph, index)
        if key not in self._names:
            stored = self.tensor(graph, index)
            self._names[key] = made = self.unique(stored.name or f"tensor {graph}.{index}")
            self._declare(made, stored, "constant" if stored.stored_bytes else "activation")
            if stored.stored_bytes:
                self.constants[made] = made
        return self._names[key]

    def fresh(self, name: str, like: Stored) -> str:
        """A new activation of the shape and type of another tensor."""
        made = self.unique(name)
        self._declare(made, like, "activation")
        return made

    def _declare(self, name: str, stored: Stored, role: Role) -> None:
        # A size of 0 stands for one that is not known; scalars have no axes.
        shape = tuple(max(1, size) for size in stored.shape)
        self.tensors[name] = Tensor(name, shape, role, _FORMATS.get(stored.type), stored.sparsity)

    def read(self, graph: int, index: int, role: Role) -> str:
        """The tensor that an op reads: the stored one of a constant, whose role is ``role`` or was weight before."""
        name = self.name(graph, index)
        root = self.constants.get(name)
        if root is None:
            return name
        if self.tensors[root].role != "weight":
            self.tensors[root] = replace(self.tensors[root], role=role)
        return root

    # Operators

    def check(self) -> None:
        """Refuse the model if operators are not modelled; all of them are told.

        Raises:
            UnsupportedError, UnknownNameError: an operator, or an allowed one that the model lacks.
        """
        present = {operator.kind for graph in self.model.subgraphs for operator in graph.operators}
        for name in sorted(self.allowed - present):
            raise UnknownNameError(
                "operator of this model", name, present, file=self.model.file, field="allow_zero_cost"
            )
        known = CONVERTERS.keys() | _OF_SHAPES | _PASSED_ON | _VARIABLES | self.allowed | {"IF"}
        unknown: dict[str, list[str]] = {}
        for number in self._reached():
            for operator in self.model.subgraphs[number].operators:
                if operator.kind not in known:
                    made = self.tensor(number, operator.outputs[0]).name if operator.outputs else "nothing"
                    kind = f"custom {operator.kind}" if operator.custom else operator.kind
                    unknown.setdefault(kind, []).append(made)
        if unknown:
            count = sum(map(len, unknown.values()))
            listed = "; ".join(f"{kind} that makes {', '.join(made[:4])}{', ...' if len(made) > 4 else ''}"
                               for kind, made in unknown.items())  # fmt: skip
            kinds = [kind.removeprefix("custom ") for kind in unknown]
            remedy = f"where they may count as nothing, pass allow_zero_cost={kinds!r}"
            raise UnsupportedError(f"{count} operators are not modelled: {listed}", file=self.model.file, remedy=remedy)

    def _reached(self) -> list[int]:
        """Subgraphs that an execution may run: the first, and the branches of IFs in those."""
        found, waiting = [], [0]
        while waiting:
            number = waiting.pop()
            if number in found:
                continue
            found.append(number)
            for operator in self.model.subgraphs[number].operators:
                if operator.kind == "IF":
                    waiting.extend(self._subgraphs(operator))
        return found

    def branching(self) -> set[str]:
        """Names of all IFs that an execution may meet."""
        operators = [(number, each) for number in self._reached() for each in self.model.subgraphs[number].operators]
        return {self.tensor(number, each.outputs[0]).name for number, each in operators
                if each.kind == "IF" and each.outputs}  # fmt: skip

    def _subgraphs(self, operator: Operator) -> tuple[int, int]:
        chosen = operator.options("IfOptions", "ThenSubgraphIndex", "ElseSubgraphIndex") or (-1, -1)
        if not all(0 < index < len(self.model.subgraphs) for index in chosen):
            raise InputError("is corrupt: IF names no subgraph", file=self.model.file, value=list(chosen))
        return chosen[0], chosen[1]

    def run(self, graph: int, depth: int = 0) -> None:
        """Add the ops of one subgraph."""
        if depth > 16:
            raise InputError("nests branches deeper than 16", file=self.model.file)
        for operator in self.model.subgraphs[graph].operators:
            if operator.kind == "IF":
                self._branch(operator, graph, depth)
            elif operator.kind in _VARIABLES:
                self._variable(operator, graph)
            elif self._folds(operator, graph):
                self._fold(operator, graph)
            else:
                self._convert(operator, graph)

    def _folds(self, operator: Operator, graph: int) -> bool:
        if operator.kind in _OF_SHAPES:
            return True
        given = [index for index in operator.inputs if index >= 0]
        return bool(given) and all(self.name(graph, index) in self.constants for index in given)

    def _fold(self, operator: Operator, graph: int) -> None:
        for index in operator.outputs:
            made = self.name(graph, index)
            self.constants[made] = made
            self.tensors[made] = replace(self.tensors[made], role="constant")
            source = self.name(graph, operator.inputs[0]) if operator.inputs and operator.inputs[0] >= 0 else made
            same = source in self.constants and self.tensors[source].elements == self.tensors[made].elements
            if operator.kind in _PASSED_ON and same:
                self.constants[made] = self.constants[source]

    def _convert(self, operator: Operator, graph: int) -> None:
        site = Site(operator, self, graph)
        if not operator.outputs:
            raise site.error("makes nothing")
        if operator.kind in self.allowed:
            op: Op = Move(name=site.name, inputs=site.operands(), outputs=site.outputs, label=site.label,
                          function="identity", elements=site.made().elements, view=True)  # fmt: skip
        elif operator.kind in CONVERTERS:
            if any(name in self.constants for name in site.outputs):
                raise site.error("makes a tensor that is a constant")
            op = CONVERTERS[operator.kind](site)
        else:
            raise site.unsupported("is modelled on constants only")
        self.ops.extend((*site.before, op, *site.after))

    def _variable(self, operator: Operator, graph: int) -> None:
        """A variable that is read is a state; what is assigned to it is an output. Setting it up once is left out."""
        if operator.kind == "READ_VARIABLE":
            for index in operator.outputs:
                name = self.name(graph, index)
                self.tensors[name] = replace(self.tensors[name], role="state")
                self.states.append(name)
        elif operator.kind == "ASSIGN_VARIABLE" and len(operator.inputs) > 1 and operator.inputs[1] >= 0:
            name = self.name(graph, operator.inputs[1])
            if name not in self.constants:
                self.kept.append(name)

    def _branch(self, operator: Operator, graph: int, depth: int) -> None:
        """Inline the chosen branch of an IF: its inputs are the IF's behind the condition, its outputs the IF's."""
        place = self.name(graph, operator.outputs[0]) if operator.outputs else "IF"
        then, other = self._subgraphs(operator)
        inner = self._chosen(place, then, other)
        condition = self.name(graph, operator.inputs[0]) if operator.inputs and operator.inputs[0] >= 0 else ""
        if condition and condition not in self.constants:
            self.kept.append(condition)  # whoever takes the branch has to know it
        body = self.model.subgraphs[inner]
        if len(body.inputs) != len(operator.inputs) - 1 or len(body.outputs) != len(operator.outputs):
            raise InputError(
                "is corrupt: a branch has other inputs or outputs than its IF", file=self.model.file, field=place
            )
        for inside, outside in zip(body.inputs, operator.inputs[1:], strict=True):
            if (inner, inside) in self._names:
                raise UnsupportedError("runs one branch in two places", file=self.model.file, field=place)
            if outside >= 0:
                self._names[inner, inside] = self.name(graph, outside)
        self.run(inner, depth + 1)
        for inside, outside in zip(body.outputs, operator.outputs, strict=True):
            self._names[graph, outside] = self.name(inner, inside)

    def _chosen(self, place: str, then: int, other: int) -> int:
        choice = self.branches.get(place, self.branches.get("*"))
        if choice is None:
            remedy = f"choose with branches={{{place!r}: 'then'}} (--branch '{place}=then'), 'else' or 'dearest'"
            raise UnsupportedError("takes a branch that the data decides", file=self.model.file,
                                   field=f"IF that makes {place}", remedy=remedy)  # fmt: skip
        choice = checked_choice(choice, _BRANCHES, self.model.file, place)
        if choice == "dearest":
            first, second = (self._work(index) for index in (then, other))
            choice = "then" if first >= second else "else"
        self.asked[place] = choice
        return then if choice == "then" else other

    def _work(self, graph: int) -> int:
        """MACs of a branch by itself."""
        alone = Walk(self.model, self.allowed, {**self.branches, "*": "dearest"})
        alone.run(graph, 1)
        return sum(op.macs for op in alone.ops)

"""`If`: the branch that its condition takes is inlined; where the data decides, the one that the user chose."""

from __future__ import annotations

from typing import Any

from accelsim.errors import UnsupportedError
from accelsim.workload.onnx.model import text
from accelsim.workload.onnx.names import Scope
from accelsim.workload.onnx.options import BRANCHES
from accelsim.workload.onnx.read import subgraphs
from accelsim.workload.onnx.walk import Walk, controls
from accelsim.workload.outcomes import TAKEN, checked_choice

__all__ = ["node_name"]


def node_name(proto: Any) -> str:
    """What the user calls a node: its name, or its first output where it has none."""
    return text(proto.name) or (text(proto.output[0]) if proto.output else text(proto.op_type))


@controls("If")
def _branch(walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str) -> None:
    """Walk the branch taken; the outputs of the `If` become views of the branch's."""
    name = node_name(proto)
    where = f"node {name!r} (ai.onnx::If)"
    pairs = _Pairs(walk, proto, scope, needed, prefix, name, where)
    branch = pairs.taken()
    child = scope.new_child()
    made = pairs.walked(walk, branch, child)
    for inner, outer in made:
        walk.alias(walk.names.look_up(inner, child, where), outer, scope, prefix, f"{pairs.path}/{inner}")


class _Pairs:
    """One `If` and where it stands."""

    def __init__(
        self, walk: Walk, proto: Any, scope: Scope, needed: set[str], prefix: str, name: str, where: str
    ) -> None:
        self.walk, self.proto, self.scope, self.needed = walk, proto, scope, needed
        self.name, self.where = name, where
        self.path = f"{prefix}/{name}" if prefix else name
        self.branches = dict(subgraphs(proto))

    def walked(self, walk: Walk, branch: Any, child: Scope) -> list[tuple[str, str]]:
        """Walk a branch; (its output, the node's output) where the latter is needed."""
        if len(branch.output) != len(self.proto.output):
            rule = f"has {len(self.proto.output)} outputs where the branch taken has {len(branch.output)}"
            raise walk.source.error(rule, self.where)
        both = zip(branch.output, self.proto.output, strict=True)
        pairs = [(text(inner.name), text(outer)) for inner, outer in both if text(outer) in self.needed]
        walk.graph(branch, child, {inner for inner, _ in pairs}, self.path)
        return pairs

    def taken(self) -> Any:
        """The branch of a constant condition, else the one that the user chose."""
        condition = text(self.proto.input[0]) if self.proto.input else ""
        name = self.walk.names.look_up(condition, self.scope, self.where)
        value = self.walk.known_value(name)
        if value is not None and value.size == 1:
            return self._branch("then" if bool(value.reshape(-1)[0]) else "else")
        choice = self.walk.options.branch(self.name)
        if choice is None:
            raise self._undecided(name)
        choice = checked_choice(choice, BRANCHES, self.walk.source.file, f"branches.{self.name}")
        if choice == "dearest":
            choice = max(("then", "else"), key=self._work)
        self.walk.facts[f"{TAKEN}{self.name}"] = choice
        return self._branch(choice)

    def _branch(self, word: str) -> Any:
        wanted = f"{word}_branch"
        if wanted not in self.branches:
            raise self.walk.source.error(f"lacks its {wanted}", self.where)
        return self.branches[wanted]

    def _work(self, word: str) -> tuple[int, int]:
        """MACs and values made of a branch, walked on trial. Of equal ones `then` is taken."""
        from accelsim.workload.onnx.convert import converted

        trial, child = self.walk.trial(), self.scope.new_child()
        branch = self._branch(word)
        self.walk.budget.spend(len(branch.node) + 1, self.where, self.walk.source)
        pairs = self.walked(trial, branch, child)
        outputs = tuple(trial.names.look_up(inner, child, self.where) for inner, _ in pairs)
        nodes, _ = trial.live(outputs)
        ops = converted(trial.plain(nodes, (), ()), self.walk.support.zero_cost).ops
        values = sum(trial.types[name].elements for node in nodes for name in node.outputs if name in trial.types)
        return sum(op.macs for op in ops), values

    def _undecided(self, condition: str) -> UnsupportedError:
        scalars = [each for each, kind in self.walk.binding.inputs.items() if kind.elements == 1]
        hint = "".join(f", or give a scalar input its value (--value {each}=NUMBER)" for each in scalars)
        rule = f"chooses a branch by {condition!r}, which depends on data that is known only at run time"
        choices = f"--branch {self.name}=then, else, dearest or a probability of then"
        remedy = f"say which one with branches ({choices}){hint}"
        return UnsupportedError(rule, file=self.walk.source.file, field=self.where, remedy=remedy)

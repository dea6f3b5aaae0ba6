"""Exhaustive search that leaves out what cannot be better, with a certificate that nothing was missed.

Branch and bound over boxes of designs. A box is left out when a design that was evaluated is no worse, in every
objective, than the bounds of the box; when its bounds break a constraint; or when its best corner fits nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.study.sweep.designs import STATUSES, Evaluator, Table
from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.pareto import Front
from accelsim.study.sweep.spec import PrunedStrategy
from accelsim.study.sweep.strategies.boxes import Box, Orders, boxes_of
from accelsim.study.sweep.strategies.floors import KINDS, Floors
from accelsim.study.sweep.strategies.rounds import Listed, Rounds

__all__ = ["BOUNDED", "TOLERANCE", "pruned"]

BOUNDED = {
    "latency_s": "min",
    "throughput_per_s": "max",
    "energy_j": "min",
    "area_mm2": "min",
    "energy_delay_js": "min",
}
"""Objectives that boxes have bounds for, and the sense in which they bound."""

TOLERANCE = 1e-6
"""Times are whole femtoseconds and sums of floats, so that equal designs may differ in the last digits: a box is also
left out where it could be better by no more than this share."""


@dataclass(slots=True)
class _Node:
    """A box that is not done with: its bounds so far, and its least latency once its best corner is evaluated."""

    box: Box
    bounds: NDArray[np.float64]
    latency_s: float | None = None


def pruned(sweep: Sweepable) -> Rounds:
    """Rounds of best corners, until no box is left; returns the certificate.

    Raises:
        InputError: an objective or an architecture that there are no bounds for.
    """
    _check(sweep)
    return _rounds(_Search(sweep))


def _rounds(search: _Search) -> Rounds:
    while True:
        nodes = search.next_nodes()
        if not nodes:
            return {"certificate": search.certificate()}
        corners = np.array([search.orders.best(node.box) for node in nodes])
        table = yield Listed(corners, wanted=True)
        assert table is not None
        search.learn(nodes, table)


class _Search:
    """The state of a branch-and-bound search."""

    def __init__(self, sweep: Sweepable) -> None:
        self.sweep = sweep
        self.senses = sweep.document.objectives
        self.orders = Orders.of(sweep.space)
        self.floors = Floors(Evaluator(sweep))
        self.front = Front(len(self.senses))
        self.visited = 0
        self.left_out = {"no_better": 0, "outside": 0, "infeasible": 0}
        self.open = [_Node(box, self._bounds(box, 0.0)) for box in boxes_of(self.orders)]

    def next_nodes(self) -> list[_Node]:
        """The most promising boxes whose best corner is not known; all known ones are cut or left out."""
        strategy = self.sweep.document.strategy
        assert isinstance(strategy, PrunedStrategy)
        asked: list[_Node] = []
        waiting = self._kept(self.open)
        while waiting:
            known = [node for node in waiting if node.latency_s is not None]
            asked += [node for node in waiting if node.latency_s is None]
            waiting = self._kept([half for node in known for half in self._halves(node)])
        order = _interleaved(np.array([node.bounds for node in asked]))
        chosen = [asked[index] for index in order[: strategy.population]]
        self.open = [asked[index] for index in order[strategy.population :]]
        return chosen

    def _kept(self, nodes: list[_Node]) -> list[_Node]:
        """Nodes that may hold something better; the others are counted."""
        if not nodes:
            return []
        beaten = self.front.beats(np.array([_eased(node.bounds) for node in nodes]))
        kept = []
        for node, out in zip(nodes, beaten.tolist(), strict=True):
            if out:
                self.left_out["no_better"] += node.box.count - (1 if node.latency_s is not None else 0)
            else:
                kept.append(node)
        return kept

    def _halves(self, node: _Node) -> list[_Node]:
        """A node whose best corner has been evaluated, cut in two; nothing where that corner was all of it."""
        if node.box.count == 1:
            return []
        worse, better = node.box.halves()
        assert node.latency_s is not None
        found = []
        for box, known in ((worse, None), (better, node.latency_s)):
            bounds = self._bounds(box, node.latency_s)
            if self._outside(box, node.latency_s):
                self.left_out["outside"] += box.count - (1 if known is not None else 0)
            else:
                found.append(_Node(box, bounds, known))
        return found

    def learn(self, nodes: list[_Node], table: Table) -> None:
        """Take in the best corners of ``nodes``; their boxes are open again, with bounds."""
        self.front.add(table.objectives(self.senses), np.arange(self.visited, self.visited + len(nodes)))
        self.visited += len(nodes)
        for node, status, latency_s in zip(nodes, table.status, table.metrics["latency_s"], strict=True):
            if STATUSES[status] == "infeasible":
                self.left_out["infeasible"] += node.box.count - 1
            elif STATUSES[status] == "refused":  # says nothing of the others in the box
                self.open += [_Node(single, node.bounds) for single in node.box.singles()]
            else:
                node.latency_s = self._least_s(node.box, float(latency_s))
                node.bounds = self._bounds(node.box, node.latency_s)
                if self._outside(node.box, node.latency_s):
                    self.left_out["outside"] += node.box.count - 1
                else:
                    self.open.append(node)

    def _least_s(self, box: Box, latency_s: float) -> float:
        """The least latency of a box whose best corner takes ``latency_s``."""
        best = self.orders.best(box)
        return latency_s if self.floors.corner_bounds(best) else self.floors.latency_s(best)

    def _bounds(self, box: Box, latency_s: float) -> NDArray[np.float64]:
        """The least that any design of a box has of each objective, to be minimised, given a least latency."""
        best = self.orders.best(box)
        corners = best, self.orders.smallest(box)
        latency_s = max(latency_s, self.floors.latency_s(best))
        return np.array([self._bound(name, latency_s, *corners) for name in self.senses])

    def _bound(self, name: str, latency_s: float, best: NDArray[np.float64], smallest: NDArray[np.float64]) -> float:
        if name == "latency_s":
            return latency_s
        if name == "throughput_per_s":
            return -self.floors.batch(smallest) / latency_s if latency_s > 0 else -np.inf
        if name == "area_mm2":
            return self.floors.area_mm2(smallest)
        energy_j = self.floors.energy_j(best, smallest, latency_s)
        return energy_j if name == "energy_j" else energy_j * latency_s

    def _outside(self, box: Box, latency_s: float) -> bool:
        """Whether no design of a box keeps the constraints."""
        corners = self.orders.best(box), self.orders.smallest(box)
        for name, limit in self.sweep.document.constraints.items():
            if name not in BOUNDED:
                continue
            least = self._bound(name, latency_s, *corners)
            if BOUNDED[name] == "min" and limit.max is not None and least * (1 - TOLERANCE) > limit.max:
                return True
            if BOUNDED[name] == "max" and limit.min is not None and -least * (1 + TOLERANCE) < limit.min:
                return True
        return False

    def certificate(self) -> dict[str, Any]:
        """What was evaluated, what was left out and why, and what follows."""
        space = self.sweep.space.count
        evaluated = self.visited + self.floors.evaluations
        statement = (
            f"{self.visited:,} of {space:,} designs were evaluated ({100 * self.visited / space:.3g} %), and "
            f"{self.floors.evaluations:,} more for bounds; each of the others is bounded by one that was evaluated. "
            f"No design of the space is better than this front by more than {TOLERANCE:g} of an objective."
        )
        return {
            "designs": space, "visited": self.visited, "bound_evaluations": self.floors.evaluations,
            "share": evaluated / space, "left_out": dict(self.left_out), "tolerance": TOLERANCE, "statement": statement,
        }  # fmt: skip


def _interleaved(bounds: NDArray[np.float64]) -> list[int]:
    """Rows ordered so that those which promise most in each objective take turns."""
    if not len(bounds):
        return []
    ranked = [np.lexsort((np.arange(len(bounds)), column)).tolist() for column in bounds.T]
    return list(dict.fromkeys(index for turn in zip(*ranked, strict=True) for index in turn))


def _eased(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bounds raised by the tolerance, so that a box of equals is left out."""
    return np.asarray(bounds + np.abs(bounds) * TOLERANCE)


def _check(sweep: Sweepable) -> None:
    """Refuse what there are no bounds for."""
    for name, sense in sweep.document.objectives.items():
        if BOUNDED.get(name) != sense:
            known = ", ".join(f"{each}: {way}" for each, way in BOUNDED.items())
            raise InputError("has no bound, which the strategy pruned needs", file=sweep.file,
                             field=f"objectives.{name}", value=sense, remedy=f"choose among {known}")  # fmt: skip
    for name, architecture in sweep.architectures.items():
        if architecture.kind not in KINDS:
            rule = f"is of the kind {architecture.kind}, which has no bounds; {' and '.join(KINDS)} have"
            remedy = f"visit all {sweep.space.count:,} designs with `strategy: grid`, or some with `refine`"
            raise InputError(rule, file=sweep.file, field="architectures", value=name, remedy=remedy)
        if getattr(architecture.description, "power_limit_w", None) is not None:
            raise InputError("has a power limit, and with it a better part may cost clock", file=sweep.file,
                             field="architectures", value=name, remedy="choose another strategy")  # fmt: skip

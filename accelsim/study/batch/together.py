"""Timings of many designs of one structure at once.

Designs are halved until those of a group are alike. In each group, what every entry takes alone and in a run is found
for all of its designs; then the groups of entries (`mapping.groups`) that could be faster than their entries for any of
them; then the best sequence, design by design. Nothing of one design's mapping is assumed of another's: candidates are
left out only where they are proven not to be best for any design of the group.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from accelsim.study.batch.bounds import bounded
from accelsim.study.batch.kernels import Needed, best_of
from accelsim.study.batch.layout import Layout, Scope, Spans
from accelsim.study.batch.plan import Plan, PlannedAttempt
from accelsim.study.batch.pools import Node, Table, needed
from accelsim.study.batch.rates import Box, DesignRates, halves
from accelsim.study.batch.sequences import decided

__all__ = ["Decided", "decide"]

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]

_GROUP_OF = 512
"""Designs that are evaluated together, at most."""
_NARROW = 1.3
"""Attempts and groups are only told apart where no rate differs by more than this factor."""
_CANDIDATE_NS, _LOOK_NS, _NODE_NS = 25, 400, 4e6
"""What a candidate costs a design more than half as many would, what it costs to look at it, and to make two nodes."""
_SLACK = 1 - 1e-9


@dataclass(frozen=True, slots=True)
class Decided:
    """(designs,) makespans, (designs, 4) bytes of scratchpads, network, DRAM and host, and attempts taken.

    ``certain`` is False where candidates were too close to tell which one the mapper takes.
    """

    makespan_fs: IntArray
    spent: Column
    attempt: IntArray
    certain: NDArray[np.bool_]


def decide(plan: Plan, rates: DesignRates) -> Decided:
    """Evaluate a plan for all designs."""
    run = _Run(plan, rates)
    root = Node(run.table, Box.around(rates.linear))
    run.split(root, np.arange(len(rates)), Scope.of(plan))
    return run.found


class _Run:
    """One evaluation of a plan."""

    def __init__(self, plan: Plan, rates: DesignRates) -> None:
        self.plan, self.rates = plan, rates
        dram = plan.arch.memory.dram
        self.burst = float(dram.burst_bytes.value * dram.channels.value)
        self.table = Table(plan.searches, self.burst)
        self.own = DesignRates.of(plan.arch, 1).linear[0]
        count = len(rates)
        self.found = Decided(
            np.zeros(count, np.int64), np.zeros((count, 4)), np.zeros(count, np.int64), np.ones(count, np.bool_)
        )

    def split(self, node: Node, designs: IntArray, scope: Scope) -> None:
        """Evaluate the designs of a node, in halves where that is less work."""
        count, alike = len(designs), node.box is not None and not node.box.axes
        if count == 1 or alike or (node.box is not None and node.box.width <= _NARROW):
            if alike or node.box is None or node.box.width - 1 <= scope.excess / 2:
                scope = self._scope(node, designs, scope)
            layout = scope.layout(self.plan)
            left = sum(len(node.pool(each)) for each in layout.searches)
            worth = count * left * _CANDIDATE_NS > _NODE_NS + left * _LOOK_NS
            if count == 1 or alike or (count <= _GROUP_OF and not worth):
                for begin in range(0, count, _GROUP_OF):
                    self._evaluate(node, designs[begin : begin + _GROUP_OF], scope)
                return
        linear = self.rates.linear[designs]
        for half in halves(node.box, linear):
            self.split(Node(node.table, Box.around(linear[half]), node), designs[half], scope)

    def _evaluate(self, node: Node, designs: IntArray, scope: Scope) -> None:
        """Evaluate few designs design by design."""
        rates, layout = self.rates.take(designs), scope.layout(self.plan)
        certain = np.ones(len(designs), np.bool_)
        columns = needed(node, layout.searches)
        seconds, chosen = self._times(columns, rates.mapper, certain)
        makespan, spent = np.empty(len(designs), np.int64), np.empty((len(designs), 4))
        attempt = np.empty(len(designs), np.int64)
        decided(
            layout.program, self.table.rows, columns, self.burst, rates.mapper, rates.engine, seconds, chosen,
            makespan, spent, attempt,
        )  # fmt: skip
        self.found.makespan_fs[designs], self.found.spent[designs] = makespan, spent
        self.found.attempt[designs] = np.array(scope.attempts, dtype=np.int64)[attempt]
        self.found.certain[designs] = certain

    def _times(
        self, columns: Needed, mapper: Column, certain: NDArray[np.bool_]
    ) -> tuple[Column, IntArray]:  # fmt: skip
        """(designs, searches) seconds and candidates; clears ``certain`` where a choice was too close."""
        shape = len(mapper), len(columns.kind)
        seconds, chosen = np.empty(shape), np.empty(shape, dtype=np.int64)
        best_of(self.table.rows, columns, self.burst, mapper, seconds, chosen, certain)
        return seconds, chosen

    def _scope(self, node: Node, designs: IntArray, scope: Scope) -> Scope:
        """The part of ``scope`` that some design of a node may choose."""
        ends = self.rates.take(designs).ends()
        unsure = np.ones(2, np.bool_)
        plain = Layout.of(self.plan, Scope(scope.attempts, tuple(each.take(_EMPTY) for each in scope.spans)))
        seconds, _ = self._times(needed(node, plain.searches), ends, unsure)
        slow = dict(zip(plain.searches, seconds[1].tolist(), strict=True))
        spans = tuple(
            self._useful(self.plan.attempts[attempt], each, ends, slow)
            for attempt, each in zip(scope.attempts, scope.spans, strict=True)
        )
        layout = Layout.of(self.plan, Scope(scope.attempts, spans))
        columns = needed(node, layout.searches)
        seconds, _ = self._times(columns, ends, unsure)
        keep, attempts = np.ones(sum(len(each.spans) for each in spans), np.bool_), np.ones(len(spans), np.bool_)
        bounded(layout.program, self.table.rows, columns, self.burst, ends, seconds, keep, attempts)
        parts = np.split(keep, np.cumsum([len(each.spans) for each in spans])[:-1])
        left = np.flatnonzero(attempts).tolist()
        return Scope(
            tuple(scope.attempts[each] for each in left),
            tuple(spans[each].take(np.flatnonzero(parts[each])) for each in left),
            0.0 if node.box is None else node.box.width - 1,
        )

    def _useful(self, attempt: PlannedAttempt, spans: Spans, ends: Column, slow: dict[int, float]) -> Spans:
        """Spans that some design could gain from as a group, by what every entry takes at least in any group."""
        if not len(spans.first):
            return spans
        fast, row = ends[0], self.plan.rows[attempt.row]
        alone = np.array([slow.get(search, 0.0) for search in row.alone])
        own = self.own[:4]
        least_scale = np.min(np.array([1.0, 1 / fast[8], fast[1], fast[11] * fast[1]]) / own)
        launch = fast[7] * np.array(attempt.launched)
        least = np.array(attempt.weight_bytes) / fast[2] + launch + np.array(attempt.least_s) * least_scale
        least_s, again_s, alone_s = _sums(least * _SLACK), _sums(launch * _SLACK), _sums(alone)
        begin, end = spans.first, spans.last + 1
        gain = alone_s[end] - alone_s[begin] - (least_s[end] - least_s[begin])
        kept = np.flatnonzero(gain - (spans.stripes - 1) * (again_s[end] - again_s[begin]) > 0)
        return spans.take(np.array([each for each in kept if spans.spans[each].built(self.plan.searches)], np.int64))


_EMPTY = np.zeros(0, dtype=np.int64)


def _sums(values: Column) -> Column:
    return np.concatenate(([0.0], np.cumsum(values)))

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
from accelsim.study.batch.envelope import cells_of
from accelsim.study.batch.kernels import Needed, best_of
from accelsim.study.batch.layout import Choices, Layout, Scope, Spans
from accelsim.study.batch.pools import Node, Table, needed
from accelsim.study.batch.rates import Box, DesignRates, halves
from accelsim.study.batch.sequences import decided

__all__ = ["Decided", "decide"]

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]

_GROUP_OF = 1024
"""Designs that are evaluated together, at most."""
_NARROW, _FEW = 2.0, 64
"""Groups are only told apart where no rate differs by more than this factor, or for few designs."""
_CANDIDATE_NS, _LOOK_NS, _NODE_NS = 6, 400, 2e6
"""What a candidate costs a design more than half as many would, what it costs to look at it, and to make two nodes."""
_MODERATE = 4096
"""Of more designs, all mappings are listed and filtered ever further; of fewer, only those that are the best are found.
"""
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


def decide(choices: Choices, rates: DesignRates) -> Decided:
    """Evaluate a plan for all designs."""
    run = _Run(choices, rates)
    run.split(run.node(rates.linear, None), np.arange(len(rates)), choices.whole())
    return run.found


class _Run:
    """One evaluation of a plan."""

    def __init__(self, choices: Choices, rates: DesignRates) -> None:
        plan = choices.plan
        self.choices, self.rates, self.searches = choices, rates, plan.searches
        dram = plan.arch.memory.dram
        self.burst = float(dram.burst_bytes.value * dram.channels.value)
        self.table = Table(plan.searches, self.burst)
        self.own = DesignRates.of(plan.arch, 1).linear[0]
        count = len(rates)
        self.found = Decided(
            np.zeros(count, np.int64), np.zeros((count, 4)), np.zeros(count, np.int64), np.ones(count, np.bool_)
        )

    def node(self, linear: Column, parent: Node | None) -> Node:
        """The node of designs with the rates ``linear``."""
        box, cells = Box.around(linear), None
        if parent is None or (not parent.few and len(self.rates) <= _MODERATE):
            cells = cells_of(linear, box.axes[0] if box is not None and len(box.axes) == 1 else None)
        return Node(self.table, box, parent, cells)

    def split(self, node: Node, designs: IntArray, scope: Scope) -> None:
        """Evaluate the designs of a node, in halves where that is less work."""
        count, alike = len(designs), node.box is not None and not node.box.axes
        close = count <= _FEW or alike or (node.box is not None and node.box.width <= _NARROW)
        if close or (node.few and not any(len(which) for which in scope.spans)):
            if alike or node.box is None or node.box.width - 1 <= scope.excess / 2:
                scope = self._scope(node, designs, scope)
            layout = Layout.of(self.choices, scope)
            left = int(node.pools(layout.searches)[0][-1])
            worth = count * left * _CANDIDATE_NS > _NODE_NS + left * _LOOK_NS
            if count == 1 or alike or (count <= _GROUP_OF and not worth):
                for begin in range(0, count, _GROUP_OF):
                    self._evaluate(node, designs[begin : begin + _GROUP_OF], scope, layout)
                return
        linear = self.rates.linear[designs]
        for half in halves(node.box, linear):
            self.split(self.node(linear[half], node), designs[half], scope)

    def _evaluate(self, node: Node, designs: IntArray, scope: Scope, layout: Layout) -> None:
        """Evaluate few designs design by design."""
        rates, columns = self.rates.take(designs), needed(node, layout.searches)
        certain = np.ones(len(designs), np.bool_)
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
        plain = Layout.of(self.choices, Scope(scope.attempts, (_EMPTY,) * len(scope.attempts)))
        seconds, _ = self._times(needed(node, plain.searches), ends, unsure)
        slow = np.zeros(len(self.searches.found))
        slow[plain.searches] = seconds[1]
        spans = tuple(
            self._useful(self.choices.spans[attempt], which, ends, slow)
            for attempt, which in zip(scope.attempts, scope.spans, strict=True)
        )
        layout = Layout.of(self.choices, Scope(scope.attempts, spans))
        columns = needed(node, layout.searches)
        seconds, _ = self._times(columns, ends, unsure)
        keep, attempts = np.ones(sum(len(each) for each in spans), np.bool_), np.ones(len(spans), np.bool_)
        bounded(layout.program, self.table.rows, columns, self.burst, ends, seconds, keep, attempts)
        parts = np.split(keep, np.cumsum([len(each) for each in spans])[:-1])
        left = np.flatnonzero(attempts).tolist()
        return Scope(
            tuple(scope.attempts[each] for each in left),
            tuple(spans[each][parts[each]] for each in left),
            0.0 if node.box is None else node.box.width - 1,
        )

    def _useful(self, spans: Spans, which: IntArray, ends: Column, slow: Column) -> IntArray:
        """Spans that some design could gain from as a group, by what every entry takes at least in any group."""
        if not len(which):
            return which
        fast, own = ends[0], self.own[:4]
        alone = np.where(spans.alone >= 0, slow[spans.alone], 0.0)
        least_scale = np.min(np.array([1.0, 1 / fast[8], fast[1], fast[11] * fast[1]]) / own)
        launch = fast[7] * spans.launched
        least = spans.weight_bytes / fast[2] + launch + spans.least_s * least_scale
        again = launch * _SLACK - spans.overlapped / _SLACK  # of further stripes; a cycle of the arrays is one
        least_s, again_s, alone_s = _sums(least * _SLACK), _sums(again), _sums(alone)
        begin, end = spans.first[which], spans.last[which] + 1
        gain = alone_s[end] - alone_s[begin] - (least_s[end] - least_s[begin])
        kept = gain - (spans.stripes[which] - 1) * (again_s[end] - again_s[begin]) > 0
        return spans.built(which[kept], self.searches)


_EMPTY = np.zeros(0, dtype=np.int64)


def _sums(values: Column) -> Column:
    return np.concatenate(([0.0], np.cumsum(values)))

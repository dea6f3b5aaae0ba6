"""A part of a plan as columns for compiled code: what is left of its attempts and groups for some designs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

import numpy as np
from numpy.typing import NDArray

from accelsim.study.batch.plan import NONE, Plan, Span
from accelsim.study.batch.sequences import Program

__all__ = ["Layout", "Scope", "Spans"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Scope:
    """What is left of a plan for the designs of a node: attempts, and the spans of each that groups may replace.

    ``excess`` is how much wider than a point the box was for which that was found out.
    """

    attempts: tuple[int, ...]
    spans: tuple[Spans, ...]
    excess: float = inf

    @cached_property
    def _layouts(self) -> list[Layout]:
        return []

    def layout(self, plan: Plan) -> Layout:
        """This part of ``plan`` as columns, made once."""
        if not self._layouts:
            self._layouts.append(Layout.of(plan, self))
        return self._layouts[0]

    @staticmethod
    def of(plan: Plan) -> Scope:
        """All of it."""
        return Scope(tuple(range(len(plan.attempts))), tuple(Spans.of(each.spans) for each in plan.attempts))


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans of an attempt, sorted by their first and last entries, and those and their stripes as columns."""

    spans: tuple[Span, ...]
    first: IntArray
    last: IntArray
    stripes: IntArray

    @staticmethod
    def of(spans: Sequence[Span]) -> Spans:
        """In the mapper's order of groups: of those with the same entries, the first found stays first."""
        spans = sorted(spans, key=lambda span: (span.first, span.last))
        table = np.array([(each.first, each.last, each.stripes) for each in spans], dtype=np.int64)
        return Spans(tuple(spans), *table.reshape(-1, 3).T)

    def take(self, keep: IntArray) -> Spans:
        """Some of them."""
        return Spans(tuple(self.spans[each] for each in keep), self.first[keep], self.last[keep], self.stripes[keep])


@dataclass(frozen=True, slots=True)
class Layout:
    """A scope as a `Program`, which names ``searches`` by their place."""

    program: Program
    searches: tuple[int, ...]

    @staticmethod
    def of(plan: Plan, scope: Scope) -> Layout:
        """Rows and loops that stand in the attempts of ``scope``, and its groups."""
        attempts = [plan.attempts[each] for each in scope.attempts]
        row_numbers, loop_numbers = _reached(plan, [attempt.row for attempt in attempts])
        rows, loops = [plan.rows[each] for each in row_numbers], [plan.loops[each] for each in loop_numbers]
        spans = [span for each in scope.spans for span in each.spans]
        searches = {each: None for row in rows for each in (*row.alone, *row.ahead)}
        searches |= {each: None for span in spans for each in span.searches or ()}
        searches.pop(NONE, None)
        place = {search: index for index, search in enumerate(searches)} | {NONE: NONE}
        row_at, loop_at = _places(row_numbers), _places(loop_numbers) | {NONE: NONE}
        ways = [way for loop in loops for way in loop.ways]
        program = Program(
            _pointers(len(row.alone) for row in rows),
            _numbers(place[each] for row in rows for each in row.alone),
            _numbers(loop_at[each] for row in rows for each in row.loops),
            _numbers(place[each] for row in rows for each in row.ahead),
            _reals(each for row in rows for each in row.ahead_bytes),
            _numbers(loop.steps for loop in loops),
            _pointers(len(loop.ways) for loop in loops),
            _reals(way.first_bytes for way in ways),
            _reals(way.streamed_bytes for way in ways),
            _numbers(row_at[way.row] for way in ways),
            _numbers(row_at[attempt.row] for attempt in attempts),
            _reals(attempt.streamed_bytes for attempt in attempts),
            _pointers(len(each.spans) for each in scope.spans),
            _numbers(span.first for span in spans),
            _numbers(span.last for span in spans),
            _numbers(span.stripes for span in spans),
            _reals(span.load_bytes for span in spans),
            _pointers(len(span.searches or ()) for span in spans),
            _numbers(place[each] for span in spans for each in span.searches or ()),
        )
        return Layout(program, tuple(searches))


def _reached(plan: Plan, roots: Sequence[int]) -> tuple[list[int], list[int]]:
    """Rows and loops that stand in the rows ``roots``, each behind those inside it."""
    rows, loops, left = set[int](), set[int](), list(roots)
    while left:
        row = left.pop()
        rows.add(row)
        for loop in plan.rows[row].loops:
            if loop != NONE:
                loops.add(loop)
                left += [way.row for way in plan.loops[loop].ways]
    return sorted(rows), sorted(loops)


def _places(numbers: Sequence[int]) -> dict[int, int]:
    return {number: place for place, number in enumerate(numbers)}


def _numbers(values: Iterable[int]) -> IntArray:
    return np.array(list(values), dtype=np.int64)


def _reals(values: Iterable[float]) -> NDArray[np.float64]:
    return np.array(list(values), dtype=np.float64)


def _pointers(counts: Iterable[int]) -> IntArray:
    return np.concatenate(([0], np.cumsum(_numbers(counts)))).astype(np.int64)

"""A part of a plan as columns for compiled code: what is left of its attempts and groups for some designs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from accelsim.study.batch.plan import NONE, Plan, PlannedAttempt
from accelsim.study.batch.pools import gathered
from accelsim.study.batch.searches import Searches
from accelsim.study.batch.sequences import Program

__all__ = ["Choices", "Layout", "Scope", "Spans"]

IntArray = NDArray[np.int64]
Column = NDArray[np.float64]
_UNKNOWN, _BUILT, _NOWHERE = range(3)


@dataclass(frozen=True, slots=True)
class Scope:
    """What is left of a plan for the designs of a node: attempts, and which spans of each groups may replace.

    ``excess`` is how much wider than a point the box was for which that was found out.
    """

    attempts: tuple[int, ...]
    spans: tuple[IntArray, ...]
    excess: float = inf


class Spans:
    """Spans of an attempt as columns, sorted by first and last entry, and what is known of the attempt's entries.

    Of those with the same entries, the first found stays first. The searches of a span's entries are made when asked
    for, and stand one behind the other.
    """

    def __init__(self, plan: Plan, attempt: PlannedAttempt) -> None:
        self.spans = sorted(attempt.spans, key=lambda span: (span.first, span.last))
        table = _numbers(each for span in self.spans for each in (span.first, span.last, span.stripes))
        self.first, self.last, self.stripes = np.ascontiguousarray(table.reshape(-1, 3).T)
        self.load = _reals(span.load_bytes for span in self.spans)
        self.alone = _numbers(plan.rows[attempt.row].alone)
        self.weight_bytes, self.least_s = _reals(attempt.weight_bytes), _reals(attempt.least_s)
        self.launched, self.overlapped = _reals(attempt.launched), _reals(attempt.overlapped)
        self._state = np.full(len(self.spans), _UNKNOWN, dtype=np.int64)
        self._begin, self._count = np.zeros((2, len(self.spans)), dtype=np.int64)
        self._members: list[int] = []
        self._listed = _numbers(())

    def built(self, which: IntArray, searches: Searches) -> IntArray:
        """Those of the spans ``which`` that fit somewhere, their searches made."""
        for each in which[self._state[which] == _UNKNOWN].tolist():
            found = self.spans[each].built(searches)
            self._state[each] = _BUILT if found else _NOWHERE
            self._begin[each], self._count[each] = len(self._members), len(found)
            self._members += found
        kept: IntArray = which[self._state[which] == _BUILT]
        return kept

    def members(self, which: IntArray) -> tuple[IntArray, IntArray]:
        """Searches of spans that are built: where those of each begin, and all of them."""
        if len(self._listed) < len(self._members):
            self._listed = _numbers(self._members)
        return gathered(self._begin[which], self._count[which], self._listed)


class Choices:
    """A plan as columns, made as far as it is asked for."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.spans = tuple(Spans(plan, attempt) for attempt in plan.attempts)
        self._rows: dict[tuple[int, ...], Program] = {}

    def whole(self) -> Scope:
        """All of it."""
        return Scope(tuple(range(len(self.spans))), tuple(np.arange(len(each.spans)) for each in self.spans))

    def rows(self, attempts: tuple[int, ...]) -> Program:
        """Rows and loops that stand in ``attempts``, without groups; entries name searches by their numbers."""
        if attempts not in self._rows:
            self._rows[attempts] = _rows(self.plan, attempts)
        return self._rows[attempts]


@dataclass(frozen=True, slots=True)
class Layout:
    """A scope as a `Program`, which names ``searches`` by their place."""

    program: Program
    searches: IntArray

    @staticmethod
    def of(choices: Choices, scope: Scope) -> Layout:
        """Rows and loops that stand in the attempts of ``scope``, and its groups."""
        plain = choices.rows(scope.attempts)
        chosen = [(choices.spans[attempt], which) for attempt, which in zip(scope.attempts, scope.spans, strict=True)]
        parts = [spans.members(which) for spans, which in chosen]
        members = np.concatenate([part[1] for part in parts])
        counts = np.concatenate([np.diff(part[0]) for part in parts])
        mentioned = np.concatenate((plain.alone, plain.ahead, members))
        searches, place = np.unique(mentioned, return_inverse=True)
        absent = int(searches[:1].sum() == NONE) if len(searches) else 0
        alone, ahead, members = np.split(place - absent, np.cumsum([len(plain.alone), len(plain.ahead)]))
        program = plain._replace(
            alone=alone, ahead=ahead, group_ptr=_pointers(len(which) for _, which in chosen),
            group_first=np.concatenate([spans.first[which] for spans, which in chosen]),
            group_last=np.concatenate([spans.last[which] for spans, which in chosen]),
            group_stripes=np.concatenate([spans.stripes[which] for spans, which in chosen]),
            group_load=np.concatenate([spans.load[which] for spans, which in chosen]),
            member_ptr=np.concatenate(([0], np.cumsum(counts))), member=members,
        )  # fmt: skip
        return Layout(program, searches[absent:])


def _rows(plan: Plan, numbers: tuple[int, ...]) -> Program:
    attempts = [plan.attempts[each] for each in numbers]
    row_numbers, loop_numbers = _reached(plan, [attempt.row for attempt in attempts])
    rows, loops = [plan.rows[each] for each in row_numbers], [plan.loops[each] for each in loop_numbers]
    row_at, loop_at = _places(row_numbers), _places(loop_numbers) | {NONE: NONE}
    ways = [way for loop in loops for way in loop.ways]
    nothing = _numbers(())
    return Program(
        _pointers(len(row.alone) for row in rows),
        _numbers(each for row in rows for each in row.alone),
        _numbers(loop_at[each] for row in rows for each in row.loops),
        _numbers(each for row in rows for each in row.ahead),
        _reals(each for row in rows for each in row.ahead_bytes),
        _numbers(loop.steps for loop in loops),
        _pointers(len(loop.ways) for loop in loops),
        _reals(way.first_bytes for way in ways),
        _reals(way.streamed_bytes for way in ways),
        _numbers(row_at[way.row] for way in ways),
        _numbers(row_at[attempt.row] for attempt in attempts),
        _reals(attempt.streamed_bytes for attempt in attempts),
        _pointers(0 for _ in attempts),
        nothing, nothing, nothing, _reals(()), _pointers(()), nothing,
    )  # fmt: skip


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


def _reals(values: Iterable[float]) -> Column:
    return np.array(list(values), dtype=np.float64)


def _pointers(counts: Iterable[int]) -> IntArray:
    return np.concatenate(([0], np.cumsum(_numbers(counts)))).astype(np.int64)

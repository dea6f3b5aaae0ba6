"""The different timings of one structure: what each takes and switches, all at once where that is modelled."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.cost.digital import Amounts, amounts_of
from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline.digital import description_of, timed
from accelsim.study.batch.columns import Columns
from accelsim.study.batch.kept import Kept
from accelsim.study.batch.kinds import Kinds
from accelsim.study.batch.layout import Choices
from accelsim.study.batch.plan import planned
from accelsim.study.batch.price import Timed, with_columns
from accelsim.study.batch.rates import DesignRates
from accelsim.study.batch.structures.evaluate import FOUND, Structures, is_compiled
from accelsim.study.batch.structures.facts import Workload, facts_of
from accelsim.study.batch.together import decide
from accelsim.workload.expand import expanded
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Conv, MatMul
from accelsim.workload.precision import PrecisionArgument, PrecisionChoice, assign_formats, resolve_precision
from accelsim.workload.vector_work import element_work

__all__ = ["Question", "Timings", "are_many", "reading_of", "timings", "timings_apart"]

_WORTHWHILE = 48
"""Fewer timings than this are found sooner one by one in compiled code, where that maps the workload."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is evaluated on every design, and in how many ``threads``, where that is possible."""

    workload: Graph
    precision: PrecisionArgument | None
    options: MappingOptions
    kept: Kept = field(default_factory=Kept, compare=False)
    threads: int = 1

    def prepared(self, arch: DigitalArchitecture) -> tuple[Graph, PrecisionChoice]:
        """The workload as it is mapped: recurrence expanded, formats assigned."""
        key = "prepared", repr(self.precision), reading_of(arch)
        return self.kept.of((self.workload,), key, lambda: self._prepared(arch))

    def facts(self, arch: DigitalArchitecture) -> Workload:
        """The same as columns."""
        graph, choice = self.prepared(arch)
        key = "facts", repr(self.precision), reading_of(arch)
        return self.kept.of((self.workload,), key, lambda: facts_of(graph, arch, choice))

    def plan(
        self, columns: Columns, row: int, prepared: tuple[Graph, PrecisionChoice, DigitalArchitecture]
    ) -> Choices | None:  # fmt: skip
        """The plan of the structure that design ``row`` has; None where it is not modelled.

        Raises:
            InfeasibleError: an op or its data fit nowhere.
        """
        graph, choice, arch = prepared

        def make() -> Choices | None:
            plan = planned(graph, arch, choice, self.options)
            return None if plan is None else Choices(plan)

        key = "plan", repr(self.precision), self.options, columns.structure_of(row)
        return self.kept.of((self.workload, columns.architecture), key, make)

    def _prepared(self, arch: DigitalArchitecture) -> tuple[Graph, PrecisionChoice]:
        runnable = expanded(self.workload)
        choice = resolve_precision(runnable, arch.default_precision if self.precision is None else self.precision)
        return assign_formats(runnable, choice, arch.value_format), choice


@dataclass(frozen=True, slots=True)
class Timings:
    """Timings, those that are infeasible and why, and which were evaluated one by one."""

    timed: Timed
    weight_bytes: float
    refused: Mapping[int, Infeasible]
    looped: NDArray[np.bool_]


@dataclass(slots=True)
class _Found:
    """Timings under construction: (n,) femtoseconds and (4, n) bytes of scratchpads, network, DRAM and host."""

    makespan_fs: NDArray[np.int64]
    moved: NDArray[np.float64]
    refused: dict[int, Infeasible]
    looped: NDArray[np.bool_]

    @staticmethod
    def of(count: int) -> _Found:
        """Nothing found yet."""
        return _Found(np.zeros(count, np.int64), np.zeros((4, count)), {}, np.zeros(count, np.bool_))

    def evaluate(self, question: Question, columns: Columns, row: int, index: int) -> None:
        """Evaluate one design by itself."""
        self.looped[index] = True
        self.refused.pop(index, None)
        arch = description_of(columns.design(row))
        graph, choice = question.prepared(arch)
        try:
            mapping, tasks, timeline = timed(graph, arch, choice, options=question.options)
        except InfeasibleError as error:
            self.refused[index] = error.infeasible
            return
        self.makespan_fs[index] = timeline.makespan_fs
        self.moved[:, index] = _moved(amounts_of(mapping, tasks))

    def finished(self, graph: Graph, choice: PrecisionChoice) -> Timings:
        """The record."""
        scratchpad, network, dram, host = self.moved
        amounts = replace(
            _work(graph, choice), scratchpad_bytes=scratchpad, network_bytes=network, dram_bytes=dram, host_bytes=host
        )
        return Timings(Timed(self.makespan_fs, amounts), graph.weight_bytes, self.refused, self.looped)


def timings(question: Question, columns: Columns, designs: NDArray[np.int64]) -> Timings:
    """What each of ``designs``, rows of one structure that differ in time, takes and switches."""
    arch = description_of(columns.design(int(designs[0])))
    graph, choice = question.prepared(arch)
    count = len(designs)
    found = _Found.of(count)
    left = _together(found, question, columns, designs, (graph, choice, arch))
    for index in left.tolist():
        found.evaluate(question, columns, int(designs[index]), index)
    return found.finished(graph, choice)


def are_many(question: Question, arch: DigitalArchitecture, count: int) -> bool:
    """Whether so many timings of one structure are worth a plan for all of them."""
    return count >= _WORTHWHILE or not is_compiled(question.prepared(arch)[0], arch.n_cores, question.options)


def reading_of(arch: DigitalArchitecture) -> Hashable:
    """What of an architecture decides how it reads a workload: formats of values, and of the sums of its units."""
    units = tuple((name, unit.accumulator) for name, unit in arch.array.units.items())
    return arch.default_precision, arch.value_format, units


def timings_apart(question: Question, kinds: Kinds, designs: NDArray[np.int64]) -> Timings:
    """What each of ``designs`` takes and switches, which differ in structure and read the workload alike."""
    parts = list(kinds.apart(designs, derived=False))
    archs, one = [arch for _, arch in parts], kinds.arch_of(int(designs[0]))
    graph, choice = question.prepared(one)
    found = _Found.of(len(designs))
    left = np.arange(len(designs))
    if is_compiled(graph, max(arch.n_cores for arch in archs), question.options):
        places = np.concatenate([members for members, _ in parts])
        counts = [len(members) for members, _ in parts]
        mapped = Structures.of(question.facts(one), archs, question.options, counts, question.threads)
        found.makespan_fs[places], found.moved[:, places] = mapped.makespan_fs, mapped.spent.T
        left = places[mapped.codes != FOUND]  # one by one, to learn why they are infeasible
    for index in left.tolist():
        found.evaluate(question, kinds.columns, int(designs[index]), index)
    return found.finished(graph, choice)


def _together(
    found: _Found, question: Question, columns: Columns, designs: NDArray[np.int64],
    prepared: tuple[Graph, PrecisionChoice, DigitalArchitecture],
) -> NDArray[np.int64]:  # fmt: skip
    """Fill ``found`` for all designs but those that it returns."""
    graph, _, arch = prepared
    everything = np.arange(len(designs))
    try:
        choices = question.plan(columns, int(designs[0]), prepared)
    except InfeasibleError as error:  # what fits nowhere does so at all rates
        found.refused.update(dict.fromkeys(everything.tolist(), error.infeasible))
        return everything[:0]
    if choices is None:
        return everything
    bound = arch.memory.dram.capacity_bytes.value
    reasons = [
        Infeasible("DRAM capacity", attempt.dram_peak_bytes, bound, "bytes", f"workload {graph.name}")
        for attempt in choices.plan.attempts
    ]
    if len(set(reasons)) == 1 and reasons[0].demand > bound:  # whichever attempt is the fastest
        found.refused.update(dict.fromkeys(everything.tolist(), reasons[0]))
        return everything[:0]
    rates = {path: column[designs] for path, column in columns.rates.items()}
    decided = decide(choices, DesignRates.of(with_columns(arch, rates), len(designs)))
    found.makespan_fs[:], found.moved[:] = decided.makespan_fs, decided.spent.T
    for number, reason in enumerate(reasons):
        if reason.demand > bound:
            found.refused.update(dict.fromkeys(np.flatnonzero(decided.attempt == number).tolist(), reason))
    return np.flatnonzero(~decided.certain)


def _work(graph: Graph, choice: PrecisionChoice) -> Amounts:
    """What a graph computes, however it is mapped."""
    macs: dict[str, int] = {}
    simple = special = 0
    for op, times in graph.walk():
        if isinstance(op, MatMul | Conv):
            name = choice.of(op.name)
            macs[name] = macs.get(name, 0) + op.macs * times
        more = element_work(op)
        simple, special = simple + more[0] * times, special + more[1] * times
    return Amounts(macs, simple, special, 0.0, 0.0, 0.0, 0.0)


def _moved(amounts: Amounts) -> tuple[float, ...]:
    """Bytes of scratchpads, network, DRAM and host."""
    found = (amounts.scratchpad_bytes, amounts.network_bytes, amounts.dram_bytes, amounts.host_bytes)
    return tuple(float(each) for each in found)

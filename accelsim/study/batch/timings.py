"""The different timings of one structure: what each takes and switches, all at once where that is modelled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from accelsim.cost.digital import Amounts, amounts_of
from accelsim.errors import Infeasible, InfeasibleError
from accelsim.hardware.digital import DigitalArchitecture
from accelsim.mapping.options import MappingOptions
from accelsim.pipeline import evaluate
from accelsim.pipeline.digital import DigitalEvaluation, description_of
from accelsim.study.batch.columns import Columns
from accelsim.study.batch.plan import planned
from accelsim.study.batch.price import Timed, with_columns
from accelsim.study.batch.rates import DesignRates
from accelsim.study.batch.together import decide
from accelsim.workload.expand import expanded
from accelsim.workload.graph import Graph
from accelsim.workload.ops import Conv, MatMul
from accelsim.workload.precision import PrecisionArgument, PrecisionChoice, assign_formats, resolve_precision
from accelsim.workload.vector_work import element_work

__all__ = ["Question", "Timings", "timings"]

_WORTHWHILE = 16
"""Fewer timings than this are found sooner one by one."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is evaluated on every design."""

    workload: Graph
    precision: PrecisionArgument | None
    options: MappingOptions

    def prepared(self, arch: DigitalArchitecture) -> tuple[Graph, PrecisionChoice]:
        """The workload as it is mapped: recurrence expanded, formats assigned."""
        runnable = expanded(self.workload)
        choice = resolve_precision(runnable, arch.default_precision if self.precision is None else self.precision)
        return assign_formats(runnable, choice, arch.value_format), choice


@dataclass(frozen=True, slots=True)
class Timings:
    """Timings of a structure, those that are infeasible, and why; ``looped`` of them were evaluated one by one."""

    timed: Timed
    weight_bytes: float
    refused: Mapping[int, Infeasible]
    looped: int


@dataclass(slots=True)
class _Found:
    """Timings under construction: (n,) femtoseconds and (4, n) bytes of scratchpads, network, DRAM and host."""

    makespan_fs: NDArray[np.int64]
    moved: NDArray[np.float64]
    refused: dict[int, Infeasible]
    looped: int = 0

    def evaluate(self, question: Question, columns: Columns, row: int, index: int) -> None:
        """Evaluate one design by itself."""
        self.looped += 1
        self.refused.pop(index, None)
        try:
            found = evaluate(question.workload, columns.design(row), question.precision, options=question.options)
        except InfeasibleError as error:
            self.refused[index] = error.infeasible
            return
        assert isinstance(found, DigitalEvaluation)
        full = found.unthrottled or found
        self.makespan_fs[index] = full.timeline.makespan_fs
        self.moved[:, index] = _moved(amounts_of(full.mapping, full.tasks))

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
    found = _Found(np.zeros(count, np.int64), np.zeros((4, count)), {})
    left = np.arange(count)
    if count >= _WORTHWHILE:
        left = _together(found, question, columns, designs, (graph, choice, arch))
    for index in left.tolist():
        found.evaluate(question, columns, int(designs[index]), index)
    return found.finished(graph, choice)


def _together(
    found: _Found, question: Question, columns: Columns, designs: NDArray[np.int64],
    prepared: tuple[Graph, PrecisionChoice, DigitalArchitecture],
) -> NDArray[np.int64]:  # fmt: skip
    """Fill ``found`` for all designs but those that it returns."""
    graph, choice, arch = prepared
    everything = np.arange(len(designs))
    try:
        plan = planned(graph, arch, choice, question.options)
    except InfeasibleError as error:  # what fits nowhere does so at all rates
        found.refused.update(dict.fromkeys(everything.tolist(), error.infeasible))
        return everything[:0]
    if plan is None:
        return everything
    bound = arch.memory.dram.capacity_bytes.value
    reasons = [
        Infeasible("DRAM capacity", attempt.dram_peak_bytes, bound, "bytes", f"workload {graph.name}")
        for attempt in plan.attempts
    ]
    if len(set(reasons)) == 1 and reasons[0].demand > bound:  # whichever attempt is the fastest
        found.refused.update(dict.fromkeys(everything.tolist(), reasons[0]))
        return everything[:0]
    rates = {path: column[designs] for path, column in columns.rates.items()}
    decided = decide(plan, DesignRates.of(with_columns(arch, rates), len(designs)))
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

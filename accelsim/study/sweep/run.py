"""Running a sweep: rounds of its strategy, cut into chunks, evaluated anywhere, committed here."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.study.sweep.designs import STATUSES, Evaluator, Table
from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.pareto import Front
from accelsim.study.sweep.schedulers import Scheduler, Serial
from accelsim.study.sweep.store import Store
from accelsim.study.sweep.strategies import Round, strategy_of
from accelsim.study.sweep.strategies.registry import designs_of
from accelsim.study.sweep.table import arrow_table, schema_of
from accelsim.study.sweep.work import Chunk
from accelsim.version import __version__

__all__ = ["Forecast", "Tally", "forecast", "run_sweep"]

_CHUNK_S, _MAX_CHUNK = 2.0, 125_000
_LEAST_CHUNKS, _VERY_FEW, _FEW = 16, 32, 256
"""A round has so many chunks, so that a kill loses little; of very few designs, or of more than few, those that are
worth a start.
"""
_OVER_FIXED, _LEAST_OVER_FIXED = 8.0, 1.0
"""A chunk takes so many times what it takes however few designs it has; one that is worth a start, so many times."""
_LEAST_CHUNK_S = 0.25
_PROBE_S, _MARGIN, _GROWTH = 0.5, 1.3, 16
"""What is timed should take so long, expected to be longer by a margin; at most so many times what was timed before."""


@dataclass
class Tally:
    """Where a run stands.

    Attributes:
        total: designs that the strategy evaluates, or may evaluate where it is ``open_ended``.
        done: designs that are committed, ``kept`` of them by a run before.
        statuses: how many of each of `STATUSES`.
        front: the Pareto front so far.
        started: `time.monotonic` at the start.
        starting_s: of the first design, for which code is loaded, or compiled once for an installation.
    """

    total: int
    senses: Mapping[str, str]
    front: Front
    open_ended: bool = False
    done: int = 0
    kept: int = 0
    statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    started: float = field(default_factory=time.monotonic)
    starting_s: float = 0.0

    def add(self, first: int, table: Table, *, kept: bool) -> None:
        """Take in one chunk."""
        counts = np.bincount(table.status, minlength=len(STATUSES))
        for name, count in zip(STATUSES, counts.tolist(), strict=True):
            self.statuses[name] += count
        self.front.add(table.objectives(self.senses), np.arange(first, first + len(table.status)))
        self.done += len(table.status)
        self.kept += len(table.status) if kept else 0

    @property
    def designs_per_s(self) -> float:
        """Of this run, without what was kept and without its start."""
        elapsed = time.monotonic() - self.started - self.starting_s
        return (self.done - self.kept) / elapsed if elapsed > 0 else 0.0

    @property
    def best(self) -> dict[str, float]:
        """The best value of each objective so far; empty while no design is ok."""
        if not len(self.front.points):
            return {}
        least = self.front.points.min(axis=0).tolist()
        return {
            name: -value if sense == "max" else value
            for (name, sense), value in zip(self.senses.items(), least, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run would take, by evaluating a few designs.

    Attributes:
        sweep: its name.
        designs: how many the strategy may evaluate.
        seconds_per_design: of one worker.
        workers: among which they would be shared.
    """

    sweep: str
    designs: int
    seconds_per_design: float
    workers: int

    @property
    def seconds(self) -> float:
        """Time of the run, if designs are alike and workers do not hinder each other."""
        return self.designs * self.seconds_per_design / self.workers

    def to_document(self) -> dict[str, Any]:
        """The forecast as plain data."""
        return {"sweep": self.sweep, "designs": self.designs, "seconds_per_design": self.seconds_per_design,
                "workers": self.workers, "seconds": self.seconds}  # fmt: skip


def forecast(sweep: Sweepable, workers: int) -> Forecast:
    """Count the designs of a sweep and time a few of them; nothing is written."""
    designs = designs_of(sweep)
    evaluator, here = Evaluator(sweep), next(strategy_of(sweep))
    _start(evaluator, here)
    pace = _probe(evaluator, here)[0]
    return Forecast(sweep.name, designs, pace.seconds_per_design, workers)


def run_sweep(
    sweep: Sweepable, folder: Path, scheduler: Callable[[Evaluator, float], Scheduler] = lambda each, _: Serial(each),
    *, resume: bool = False, progress: Callable[[Tally], None] = lambda _: None,
) -> None:  # fmt: skip
    """Evaluate a sweep into ``folder``; nothing is done again that is there.

    Args:
        sweep: as loaded.
        folder: made where it does not exist.
        scheduler: makes what evaluates chunks, from an evaluator and the seconds that one worker would take.
        resume: go on with an unfinished run.
        progress: called after every chunk.

    Raises:
        InputError: a folder of another sweep or in use, a damaged part, a disk that is full.
    """
    strategy = strategy_of(sweep)
    evaluator = Evaluator(sweep)
    with Store(folder) as store:
        if store.open(sweep.identity, sweep.document.model_dump(mode="json"), resume=resume):
            return
        senses = sweep.document.objectives
        open_ended = sweep.document.strategy.kind in ("pruned", "refine")
        tally = Tally(designs_of(sweep), senses, Front(len(senses)), open_ended)
        here, known = next(strategy), Table.of(0, evaluator.metric_names)
        if "chunk_designs" not in store.manifest:
            progress(tally)
            tally.starting_s = _start(evaluator, here)
            pace, known = _probe(evaluator, here)
            store.begin(chunk_designs=pace.chunk_designs, least_chunk_designs=pace.least_chunk_designs,
                        seconds_per_design=pace.seconds_per_design, file=sweep.file, versions=_versions())  # fmt: skip
        expected_s = store.manifest["seconds_per_design"] * (tally.total - len(known))
        with scheduler(evaluator, expected_s) as workers:
            runner = _Runner(sweep, store, workers, evaluator.metric_names, tally, progress, known)
            findings = runner.rounds(strategy, here)
        store.finish(_summary(tally, findings))


@dataclass
class _Runner:
    """One run under way; of the first designs what is ``known`` from timing them."""

    sweep: Sweepable
    store: Store
    workers: Scheduler
    metrics: tuple[str, ...]
    tally: Tally
    progress: Callable[[Tally], None]
    known: Table

    def rounds(self, strategy: Any, here: Round) -> dict[str, Any]:
        """Run every round; what the strategy returns."""
        number, first = 0, 0
        while True:
            self._round(here, number, first)
            answer = self._gathered(here, number) if here.wanted else None
            number, first = number + 1, first + here.count
            try:
                here = strategy.send(answer)
            except StopIteration as stop:
                return dict(stop.value)

    def _round(self, here: Round, number: int, first: int) -> None:
        missing = set()
        for chunk in self._chunks(here, number, first):
            if self.store.part(number, chunk.number).exists():
                self._keep(here, chunk)
            elif first + min((chunk.number + 1) * self._size(here), here.count) <= len(self.known):
                self._commit(here, chunk.number, number, first, self.known.rows(0, 0))
            else:
                missing.add(chunk.number)
        todo = (self._unknown(chunk) for chunk in self._chunks(here, number, first, missing))
        for chunk, table in self.workers.run(todo):
            self._commit(here, chunk.number, number, first, table)

    def _unknown(self, chunk: Chunk) -> Chunk:
        """A chunk without the designs that are known."""
        known = max(len(self.known) - chunk.first, 0)
        return replace(chunk, first=chunk.first + known, coordinates=chunk.coordinates[known:])

    def _commit(self, here: Round, index: int, number: int, first: int, found: Table) -> None:
        """Store a chunk: what is known of it, and what was ``found`` of the rest."""
        start = index * self._size(here)
        coordinates = here.coordinates(start, min(start + self._size(here), here.count))
        known = self.known.rows(first + start, first + start + len(coordinates) - len(found))
        table = Table.joined([known, found])
        schema = schema_of(self.sweep.space, self.metrics)
        self.store.commit(number, index, arrow_table(self.sweep.space, schema, first + start, coordinates, table))
        self.tally.add(first + start, table, kept=False)
        self.progress(self.tally)

    def _size(self, here: Round) -> int:
        """Designs a chunk: never decided by the number of workers, which may change from run to run."""
        most, least = int(self.store.manifest["chunk_designs"]), int(self.store.manifest.get("least_chunk_designs", 1))
        least = 1 if _VERY_FEW < here.count <= _FEW else least
        return max(1, min(most, max(least, ceil(here.count / _LEAST_CHUNKS))))

    def _chunks(self, here: Round, number: int, first: int, only: set[int] | None = None) -> Iterator[Chunk]:
        size = self._size(here)
        for index, start in enumerate(range(0, here.count, size)):
            if only is None or index in only:
                stop = min(start + size, here.count)
                coordinates = here.coordinates(start, stop) if only is not None else _NOTHING
                yield Chunk(number, index, first + start, coordinates)

    def _keep(self, here: Round, chunk: Chunk) -> None:
        """Take in a part that was there, after a check that it holds the designs which are asked for."""
        rows = self.store.read(chunk.round_number, chunk.number)
        table = _table_of(rows, self.metrics)
        self._check_designs(here, chunk, rows, table)
        self.tally.add(chunk.first, table, kept=True)

    def _check_designs(self, here: Round, chunk: Chunk, rows: pa.Table, table: Table) -> None:
        size = self._size(here)
        start = chunk.number * size
        coordinates = here.coordinates(start, min(start + size, here.count))
        schema = schema_of(self.sweep.space, self.metrics)
        names = ["design", *(axis.name for axis in self.sweep.space.axes)]
        same = len(rows) == len(coordinates) and rows.select(names).equals(
            arrow_table(self.sweep.space, schema, chunk.first, coordinates, table).select(names)
        )
        if not same:
            raise InputError(
                "holds other designs than the strategy chooses now", field="--resume",
                file=self.store.part(chunk.round_number, chunk.number),
                remedy="start again in another folder: a library that the strategy uses may have changed",
            )  # fmt: skip

    def _gathered(self, here: Round, number: int) -> Table:
        """The table of a whole round, from its parts."""
        count = ceil(here.count / self._size(here))
        return Table.joined([_table_of(self.store.read(number, chunk), self.metrics) for chunk in range(count)])


_NOTHING: NDArray[np.float64] = np.empty((0, 0))


def _table_of(rows: pa.Table, metrics: tuple[str, ...]) -> Table:
    """Stored rows as a table."""
    status = {name: code for code, name in enumerate(STATUSES)}
    codes = np.array([status[name] for name in rows["status"].to_pylist()], dtype=np.int8)
    columns = {name: rows[name].to_numpy().astype(np.float64) for name in metrics}
    words = [np.array([word or "" for word in rows[name].to_pylist()], dtype=object) for name in ("limit", "reason")]
    return Table(columns, codes, *words)


@dataclass(frozen=True, slots=True)
class _Pace:
    """What a chunk takes: ``fixed_s`` however few designs it has, and ``each_s`` a design."""

    fixed_s: float
    each_s: float

    @property
    def chunk_designs(self) -> int:
        """Designs of a chunk that takes long enough to be worth its fixed part."""
        return int(np.clip(max(_CHUNK_S, _OVER_FIXED * self.fixed_s) / self.each_s, 1, _MAX_CHUNK))

    @property
    def least_chunk_designs(self) -> int:
        """Designs of a chunk that is worth its own start."""
        return int(np.clip(max(_LEAST_CHUNK_S, _LEAST_OVER_FIXED * self.fixed_s) / self.each_s, 1, self.chunk_designs))

    @property
    def seconds_per_design(self) -> float:
        return self.each_s + self.fixed_s / self.chunk_designs


def _start(evaluator: Evaluator, here: Round) -> float:
    """Seconds of the first design, which compiles and loads."""
    begin = time.monotonic()
    evaluator.evaluate(here.coordinates(0, min(1, here.count)))
    return time.monotonic() - begin


def _probe(evaluator: Evaluator, here: Round) -> tuple[_Pace, Table]:
    """Time of ever more designs, until it is long enough to tell what more of them take; of very few, that of one.

    What was found of the first designs comes with it.
    """
    most = min(here.count, _MAX_CHUNK) if here.count > _VERY_FEW else 1
    found: list[Table] = []
    done, count, before, before_s = 0, 1, 0, 0.0
    while True:
        start = time.perf_counter()
        found.append(evaluator.evaluate(here.coordinates(done, done + count)))
        spent, done = max(time.perf_counter() - start, 1e-9), done + count
        if spent >= _PROBE_S or done >= most:
            more = (spent - before_s) / (count - before) if count > before else spent / count
            each = min(max(more, 1e-3 * spent / count), spent / count)
            return _Pace(spent - each * count, each), Table.joined(found)
        enough = max(2 * count, ceil(_MARGIN * count * _PROBE_S / spent))
        count, before, before_s = min(most - done, _GROWTH * count, enough), count, spent


def _versions() -> dict[str, str]:
    return {
        "accelsim": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyarrow": pa.__version__,
    }


def _summary(tally: Tally, findings: dict[str, Any]) -> dict[str, Any]:
    return {
        "designs": tally.done, "statuses": tally.statuses, "front": tally.front.designs.tolist(),
        "elapsed_s": time.monotonic() - tally.started, "findings": findings,
    }  # fmt: skip

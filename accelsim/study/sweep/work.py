"""A chunk of designs as work that any process can do: the sweep travels once, coordinates with every chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import InputError
from accelsim.study.sweep.designs import Evaluator, Table
from accelsim.study.sweep.load import Sweepable, bound
from accelsim.study.sweep.spec import SweepDocument

__all__ = ["Chunk", "Job", "Refusal", "evaluate_chunk", "opened"]


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to evaluate designs of a sweep: the document, its place, and hashes of what it names."""

    document: str
    file: str
    identity: tuple[tuple[str, str], ...]

    @staticmethod
    def of(sweep: Sweepable) -> Job:
        """The job of a sweep."""
        return Job(sweep.document.model_dump_json(), sweep.file, tuple(sorted(sweep.identity.items())))


@dataclass(frozen=True, slots=True)
class Chunk:
    """Designs of one part: its round and number, the number of its first design, and (n, axes) coordinates."""

    round_number: int
    number: int
    first: int
    coordinates: NDArray[np.float64]


@lru_cache(maxsize=4)
def _evaluator(job: Job) -> Evaluator:
    sweep = bound(SweepDocument.model_validate_json(job.document), job.file)
    _check_same(dict(job.identity), sweep.identity, job.file)
    return Evaluator(sweep)


def _check_same(asked: Mapping[str, str], here: Mapping[str, str], file: str) -> None:
    different = sorted(name for name in asked if asked[name] != here.get(name))
    if different:
        raise InputError(f"is not the same for a worker: {', '.join(different)}", file=file,
                         remedy="give all workers the same accelsim and the same files at the same paths")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """An `InputError` on its way to another process: exceptions do not travel whole."""

    rule: str
    file: str | None
    field: str | None
    value: str | None
    remedy: str | None


def evaluate_chunk(job: Job, chunk: Chunk) -> Table | Refusal:
    """Evaluate the designs of a chunk; what was loaded for a job is kept for its next chunk.

    A refusal says that this process reads other files, or is another version, than the one that asks.
    """
    try:
        evaluator = _evaluator(job)
    except InputError as error:
        file, value = (None if each is None else str(each) for each in (error.file, error.value))
        return Refusal(error.rule, file, error.field, value, error.remedy)
    return evaluator.evaluate(chunk.coordinates)


def opened(answer: Table | Refusal) -> Table:
    """The table of an answer.

    Raises:
        InputError: it is a refusal.
    """
    if isinstance(answer, Refusal):
        raise InputError(answer.rule, file=answer.file, field=answer.field, value=answer.value, remedy=answer.remedy)
    return answer

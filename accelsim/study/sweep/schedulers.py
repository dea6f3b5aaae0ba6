"""Where chunks are evaluated: in this process, in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from accelsim.errors import InputError
from accelsim.study.sweep.designs import Evaluator, Table
from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.work import Chunk, Job, opened
from accelsim.study.sweep.worker import receive, send

__all__ = ["Processes", "Scheduler", "Serial", "chosen", "cores"]

_ATTEMPTS = 3
_AHEAD = 2
_WORTH_PROCESSES_S = 5.0


class Scheduler(Protocol):
    """Evaluates chunks; use it as a context."""

    def run(self, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Table]]:
        """Tables of chunks as they are done, in any order. Takes chunks only as it gets to them."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...


class Serial:
    """One chunk after the other in this process, whose compiled code may take as many ``threads``."""

    def __init__(self, evaluator: Evaluator, threads: int = 1) -> None:
        evaluator.threads = threads
        self._evaluator = evaluator

    def run(self, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Table]]:
        """As `Scheduler.run`."""
        for chunk in chunks:
            yield chunk, self._evaluator.evaluate(chunk.coordinates)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class Processes:
    """Processes of this machine, one a worker. A chunk whose worker dies is given to another."""

    def __init__(self, sweep: Sweepable, workers: int) -> None:
        self._job, self._count = Job.of(sweep), workers
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="sweep")
        self._local = threading.local()
        self._children: list[subprocess.Popen[bytes]] = []

    def run(self, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Table]]:
        """As `Scheduler.run`."""
        return windowed(chunks, lambda chunk: self._threads.submit(self._evaluate, chunk), _AHEAD * self._count)

    @property
    def pids(self) -> list[int]:
        """Process numbers of the workers that have started."""
        return [child.pid for child in self._children]

    def _evaluate(self, chunk: Chunk) -> Table:
        for _ in range(_ATTEMPTS):
            child = self._child()
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                send(child.stdin, chunk)  # type: ignore[arg-type]
                answer = receive(child.stdout)  # type: ignore[arg-type]
            except (EOFError, OSError):
                self._local.child = None
                continue
            return opened(answer)
        raise InputError(f"ended {_ATTEMPTS} workers in turn (out of memory?)", field=f"chunk {chunk.number}",
                         remedy="try --workers 1")  # fmt: skip

    def _child(self) -> subprocess.Popen[bytes]:
        """The worker of this thread, started when it is needed."""
        child: subprocess.Popen[bytes] | None = getattr(self._local, "child", None)
        if child is None:
            threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
            child = subprocess.Popen(
                [sys.executable, "-m", "accelsim.study.sweep.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                env={**os.environ, **threads},
            )  # fmt: skip
            self._children.append(child)
            assert child.stdin is not None
            send(child.stdin, self._job)  # type: ignore[arg-type]
            self._local.child = child
        return child

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.kill()
        self._threads.shutdown(cancel_futures=True)
        for child in self._children:
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    with suppress(OSError):
                        stream.close()
            child.wait()


def windowed(
    chunks: Iterator[Chunk], submit: Callable[[Chunk], Future[Table]], most: int
) -> Iterator[tuple[Chunk, Table]]:
    """Results as they are done, with at most so many chunks under way: memory stays small however many there are."""
    running: dict[Future[Table], Chunk] = {}
    while True:
        for chunk in chunks:
            running[submit(chunk)] = chunk
            if len(running) >= most:
                break
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()


def chosen(sweep: Sweepable, where: str | None, workers: int | None) -> Callable[[Evaluator, float], Scheduler]:
    """What makes the scheduler of a run from its evaluator and the seconds that one worker would take.

    Without ``where`` it is this machine: as many processes as ``workers``; as there are cores where that is None and
    the run is long enough to pay for starting them, else threads of this process.

    Raises:
        InputError: fewer than one worker.
    """
    if workers is not None and workers < 1:
        raise InputError("must be 1 or more", field="workers", value=workers)

    def make(evaluator: Evaluator, expected_s: float) -> Scheduler:
        if where is not None:
            from accelsim.study.sweep.cluster import Cluster

            return Cluster(sweep, where, workers or cores())
        count = workers or (cores() if expected_s > _WORTH_PROCESSES_S else 1)
        return Serial(evaluator, workers or cores()) if count == 1 else Processes(sweep, count)

    return make


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

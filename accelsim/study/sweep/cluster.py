"""Chunks on a Dask cluster: one at an address, one made on this machine, or one that a batch system or Kubernetes runs.

Workers need this version of accelsim, and the files that the sweep names at the same paths. A chunk whose worker dies
is given to another by Dask; results come back here, where one process writes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from accelsim.errors import AccelsimError, InputError, UnknownNameError, UnsupportedError
from accelsim.study.sweep.designs import Table
from accelsim.study.sweep.load import Sweepable
from accelsim.study.sweep.work import Chunk, Job, evaluate_chunk, opened

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["CLUSTERS", "Cluster"]

CLUSTERS = ("local", "slurm", "lsf", "kubernetes")
"""Names that make a cluster; anything else is the address of a scheduler."""

_AHEAD = 2
_CONNECT_S = 30


class Cluster:
    """A Dask cluster as a `Scheduler`."""

    def __init__(self, sweep: Sweepable, where: str, workers: int) -> None:
        """Connect to ``where``, or make it with so many workers.

        Raises:
            InputError: nothing answers at the address, or what makes the cluster refuses.
            UnsupportedError: Dask, or the package for this kind of cluster, is not installed.
        """
        self._job, self._open = Job.of(sweep), ExitStack()
        try:
            self._client = self._connect(where, workers)
        except BaseException:
            self._open.close()
            raise

    def _connect(self, where: str, workers: int) -> Client:
        distributed = _imported("distributed", "dask")
        if "://" not in where and ":" not in where and where not in CLUSTERS:
            raise UnknownNameError("scheduler", where, [*CLUSTERS, "tcp://host:port"], file="--scheduler")
        try:
            target = self._open.enter_context(_made(where, workers)) if where in CLUSTERS else where
            client: Client = distributed.Client(target, timeout=_CONNECT_S, set_as_default=False)
        except AccelsimError:
            raise
        except Exception as error:  # whatever a cluster's own client raises is about the user's cluster
            raise InputError(f"cannot be used ({_first_line(error)})", file="--scheduler", value=where) from None
        self._open.callback(client.close)
        return client

    def run(self, chunks: Iterator[Chunk]) -> Iterator[tuple[Chunk, Table]]:
        """As `Scheduler.run`."""
        from distributed import as_completed

        job = self._client.scatter(self._job, broadcast=True, hash=True)
        running: dict[Any, Chunk] = {}
        pool = as_completed(loop=self._client.loop)

        def more() -> None:
            most = _AHEAD * max(1, sum(self._client.nthreads().values()))
            while len(running) < most and (chunk := next(chunks, None)) is not None:
                future = self._client.submit(evaluate_chunk, job, chunk, pure=False, retries=2)
                running[future] = chunk
                pool.add(future)

        more()
        while running:
            future = next(pool)
            chunk = running.pop(future)
            found = opened(future.result())
            more()
            yield chunk, found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _made(where: str, workers: int) -> Any:
    """A cluster of so many workers; what a site needs beyond that stands in Dask's own configuration files."""
    if where == "local":
        distributed = _imported("distributed", "dask")
        return distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    if where == "kubernetes":
        made = _imported("dask_kubernetes.operator", "dask-kubernetes").KubeCluster(name="accelsim", n_workers=workers)
        return made
    kind = {"slurm": "SLURMCluster", "lsf": "LSFCluster"}[where]
    cluster = getattr(_imported("dask_jobqueue", "dask-jobqueue"), kind)()
    cluster.scale(workers)
    return cluster


def _imported(module: str, package: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise UnsupportedError(f"needs the package {package}, which is not installed", file="--scheduler",
                               remedy="pip install 'accelsim[dask]'") from None  # fmt: skip


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__

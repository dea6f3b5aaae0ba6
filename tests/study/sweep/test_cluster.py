"""The same rows on Dask: a cluster made here, a scheduler and workers started by hand, a batch system's stand-in."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from accelsim.errors import AccelsimError
from accelsim.study.sweep.api import sweepable, swept
from accelsim.study.sweep.results import SweepRun
from accelsim.study.sweep.run import run_sweep
from accelsim.study.sweep.schedulers import chosen

from .conftest import same_rows

distributed = pytest.importorskip(
    "distributed", reason="dask.distributed is not installed: pip install 'accelsim[dask]'"
)


@pytest.fixture
def whole(base, tmp_path):
    return swept(base, tmp_path / "whole", workers=1).table()


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture
def by_hand(tmp_path):
    """A scheduler and two workers on loopback, each a process of its own: (address, workers)."""
    address = f"tcp://127.0.0.1:{_free_port()}"
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = subprocess.Popen([*dask, "--host", address, "--no-dashboard"], stderr=subprocess.DEVNULL, cwd=tmp_path)
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard",
               "--no-nanny", "--local-directory", str(tmp_path)]  # fmt: skip
    workers = [subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=tmp_path) for _ in range(2)]
    with distributed.Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


@pytest.mark.usefixtures("hurried")
def test_a_local_cluster_gives_the_same_rows(base, tmp_path, whole):
    assert same_rows(swept(base, tmp_path / "dask", scheduler="local", workers=2).table(), whole)


@pytest.mark.usefixtures("hurried")
def test_workers_started_by_hand_give_the_same_rows_and_one_may_be_killed(base, tmp_path, whole, by_hand):
    address, workers = by_hand
    sweep, killed = sweepable(base), []

    def kill_once(tally):
        if not killed and tally.done >= 6:
            workers[0].send_signal(signal.SIGKILL)
            killed.append(tally.done)

    run_sweep(sweep, tmp_path / "dask", chosen(sweep, address, None), progress=kill_once)
    assert killed
    assert same_rows(SweepRun(sweep, tmp_path / "dask").table(), whole)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(("kind", "submit", "answer"), [
    ("slurm", "sbatch", "Submitted batch job"), ("lsf", "bsub", "Job is submitted to queue <normal>. Job"),
])  # fmt: skip
def test_a_batch_system_starts_the_workers(base, tmp_path, whole, monkeypatch, kind, submit, answer):
    """Stand-ins for the batch system's commands start the job scripts on this machine."""
    pytest.importorskip("dask_jobqueue")
    commands = tmp_path / "bin"
    commands.mkdir()
    start = '(setsid bash "${1:-/dev/stdin}" >/dev/null 2>&1 & echo $! >> ' + f"{tmp_path}/jobs)"
    read = 'cat "${1:-/dev/stdin}" > ' + f"{tmp_path}/job.$$; set -- {tmp_path}/job.$$"
    number = "<7>" if kind == "lsf" else "7"
    _write_script(commands / submit, f"{read}\n{start}\necho '{answer} {number}'")
    for name in ("scancel", "bkill"):
        _write_script(commands / name, "true")
    monkeypatch.setenv("PATH", f"{commands}:{os.environ['PATH']}")
    _configure(monkeypatch, kind, tmp_path)
    try:
        found = swept(base, tmp_path / "run", scheduler=kind, workers=1)
        assert same_rows(found.table(), whole)
        assert (tmp_path / "jobs").exists()
    finally:
        _end_jobs(tmp_path / "jobs")


def _write_script(path, body):
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def _configure(monkeypatch, kind, folder):
    """What a site writes into Dask's configuration."""
    import dask
    import dask_jobqueue  # noqa: F401  its own defaults come first

    site = {"cores": 1, "memory": "2GB", "interface": "lo", "log-directory": str(folder), "death-timeout": 60}
    dask.config.set({f"jobqueue.{kind}.{name}": value for name, value in site.items()})


def _end_jobs(listed):
    for line in listed.read_text().split() if listed.exists() else []:
        for _ in range(20):
            try:
                os.killpg(int(line), signal.SIGKILL)
            except ProcessLookupError:
                break
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("where", "words"),
    [("slrum", "Did you mean 'slurm'?"), ("tcp://127.0.0.1:1", "cannot be used"), ("kubernetes", "")],
)
def test_a_scheduler_that_is_not_there_is_told(base, tmp_path, where, words, monkeypatch):
    monkeypatch.setattr("accelsim.study.sweep.cluster._CONNECT_S", 1)
    with pytest.raises(AccelsimError) as error:
        swept(base, tmp_path / "run", scheduler=where, workers=1)
    assert words in str(error.value)
    assert "--scheduler" in str(error.value)

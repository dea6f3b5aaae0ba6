"""The steps of a sweep from its file to its results."""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.documents import validated
from accelsim.errors import InputError, UnsupportedError
from accelsim.study.sweep.load import Sweepable, bound, load_sweep
from accelsim.study.sweep.spec import SweepDocument

if TYPE_CHECKING:
    from accelsim.study.sweep.results import SweepRun
    from accelsim.study.sweep.run import Forecast, Tally

__all__ = ["check_installed", "foreseen", "sweepable", "swept"]

Spec = str | Path | Mapping[str, Any]


def sweepable(spec: Spec) -> Sweepable:
    """A sweep by bundled name, path, or content."""
    if isinstance(spec, Mapping):
        return bound(validated(SweepDocument, dict(spec), file="sweep"), str(Path("sweep").absolute()))
    return load_sweep(spec)


def foreseen(spec: Spec, workers: int | None = None) -> Forecast:
    """Designs and time of a sweep; nothing is written."""
    check_installed()
    from accelsim.study.sweep.run import forecast
    from accelsim.study.sweep.schedulers import cores

    return forecast(sweepable(spec), workers or cores())


def swept(
    spec: Spec, out: str | Path | None = None, *, resume: bool = False, workers: int | None = None,
    scheduler: str | None = None, progress: Callable[[Tally], None] = lambda _: None,
) -> SweepRun:  # fmt: skip
    """Run a sweep, or read it where it has been run. Arguments and errors as `accelsim.sweep`."""
    check_installed()
    from accelsim.study.sweep.results import SweepRun
    from accelsim.study.sweep.run import run_sweep
    from accelsim.study.sweep.schedulers import chosen

    sweep = sweepable(spec)
    if out is None and resume:
        raise InputError("needs the folder of the run", field="resume", remedy="give out")
    folder = Path(tempfile.mkdtemp(prefix="accelsim-sweep-")) if out is None else Path(out)
    run = SweepRun(sweep, folder)
    if out is None:
        _remove_with(run, folder)
    run_sweep(sweep, folder, chosen(sweep, scheduler, workers), resume=resume, progress=progress)
    return run


def _remove_with(run: SweepRun, folder: Path) -> None:
    """Remove a temporary folder when its run is no longer held."""
    import shutil

    weakref.finalize(run, shutil.rmtree, folder, ignore_errors=True)


def check_installed() -> None:
    """Refuse to sweep without what the extra ``sweep`` installs.

    Raises:
        UnsupportedError: it is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise UnsupportedError("needs the package pyarrow, which is not installed", field="sweep",
                               remedy="pip install 'accelsim[sweep]'") from None  # fmt: skip

"""The targets by name, and running some of them on the bundled reference data or on a user's folder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from accelsim.documents import bundled_folder
from accelsim.errors import InputError, UnknownNameError
from accelsim.study.validate.framework import Report, Target, files_of, run_target

__all__ = ["known_targets", "target", "validate", "with_models"]

_HOMES = {
    "aimc": "aimc",
    "chips": "chips",
    "fpga": "fpga",
    "numerics": "numerics",
    "systolic": "systolic",
    "tpu-v1": "tpu_v1",
    "tpu-v4i": "tpu_v4i",
    "workloads": "workloads",
}
"""Name of a target -> the module of this package that has it as ``TARGET``; loaded when it runs."""


def known_targets() -> list[str]:
    """Names of all targets."""
    return sorted(_HOMES)


def target(name: str) -> Target:
    """The target called ``name``.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in _HOMES:
        raise UnknownNameError("validation target", name, _HOMES)
    found: Target = import_module(f"accelsim.study.validate.{_HOMES[name]}").TARGET
    return found


def with_models(targets: Sequence[str | Target], models: Path | None, *, fetch: bool) -> list[str | Target]:
    """``targets`` with the one called ``workloads`` looking below ``models``, and fetching packages if it may.

    Raises:
        InputError: ``workloads`` is not named, so that nothing would look there; or ``models`` is no folder.
    """
    if models is None and not fetch:
        return list(targets)
    if "workloads" not in targets:
        raise InputError("are for the target workloads", field="models, fetch", remedy="name it, or leave them out")
    if models is not None and not models.is_dir():
        raise InputError("is no folder", file=models, field="models")
    from accelsim.study.validate.workloads import target_with

    return [target_with(models, fetch=fetch) if each == "workloads" else each for each in targets]


def validate(targets: Sequence[str | Target] = (), data: Path | None = None) -> Report:
    """Compare predictions with reference figures, row by row.

    Args:
        targets: names, or targets with settings of their own; none means all, with ``data`` all that it has files for.
        data: a folder in the format of the bundled reference data; None takes the bundled data.

    Raises:
        UnknownNameError: a name that no target has.
        InputError: a folder that holds nothing for a target, or a file that is not in its format.
    """
    chosen = [target(each) if isinstance(each, str) else each for each in targets or known_targets()]
    if data is not None and not targets:
        chosen = _with_files(chosen, data)
    reports = {
        each.name: run_target(each, bundled_folder("validation") / each.name if data is None else data)
        for each in {one.name: one for one in chosen}.values()
    }
    return Report(reports, data)


def _with_files(targets: Sequence[Target], data: Path) -> list[Target]:
    """Those of ``targets`` that a folder holds files for."""
    present = files_of(data)
    found = [each for each in targets if any(each.accepts(file) for file in present)]
    if not found:
        names = "; ".join(f"{', '.join(each.looked_for)} ({each.name})" for each in targets)
        raise InputError("holds nothing for any target", file=data, field="data", remedy=f"it looks for {names}")
    return found

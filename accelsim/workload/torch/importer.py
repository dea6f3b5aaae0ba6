"""The stages of the torch front end, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelsim.errors import InputError, UnknownNameError, UnsupportedError
from accelsim.workload.graph import Graph
from accelsim.workload.outcomes import dearest
from accelsim.workload.torch.archive import read_archive
from accelsim.workload.torch.bind import bind_sizes
from accelsim.workload.torch.convert import convert
from accelsim.workload.torch.names import COND
from accelsim.workload.torch.program import Body, Program
from accelsim.workload.torch.support import Support
from accelsim.workload.torch.walk import walk

__all__ = ["import_program"]


def import_program(
    module: Any,
    export: Mapping[str, Any],
    shapes: Mapping[str, Sequence[int]],
    batch: int | None,
    name: str | None,
    allowed: frozenset[str],
    branches: Mapping[str, str | float],
    trips: Mapping[str, int],
) -> Graph:
    """`from_torch` with its defaults filled in; ``export`` holds what only a module needs."""
    program = _program(module, export, name)
    support = Support(program, allowed)
    binding = bind_sizes(program, shapes, batch)
    _check_names(program, "cond", branches, "branches")
    _check_names(program, "while_loop", trips, "trips")

    def built(chosen: Mapping[str, str | float]) -> Graph:
        plain = walk(program, binding, chosen, trips)
        support.check(plain)
        return convert(plain, name=name or program.name, zero_cost=support.zero_cost)

    return dearest(built, branches) if "dearest" in branches.values() else built(branches)


def _check_names(program: Program, kind: str, given: Mapping[str, object], field: str) -> None:
    known = {name for target, name in _choosers(program.body, "") if target == f"higher_order::{kind}"}
    for name in given.keys() - known - {"*"}:
        raise UnknownNameError(f"{kind} of this program", name, known, file=program.source.file, field=field)
    for name, steps in given.items():
        if field == "trips" and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 0):
            raise program.source.error("must be a whole number of steps", f"trips.{name}", value=steps)


def _choosers(body: Body, path: str) -> Iterator[tuple[str, str]]:
    """Operator and name of all that the data steers, those inside of branches behind the branch."""
    for call in body.calls:
        inner = [each for each in call.arguments.values() if isinstance(each, Body)]
        yield call.target, f"{path}{call.name}"
        words = ("then", "else") if call.target == COND else ()
        for index, each in enumerate(inner):
            yield from _choosers(each, f"{path}{call.name}.{words[index]}." if index < len(words) else path)


def _program(module: Any, export: Mapping[str, Any], name: str | None) -> Program:
    given = [key for key, value in export.items() if value is not None]
    if isinstance(module, str):
        _refuse(given, f"the program in {module}")
        return read_archive(Path(module))
    try:
        import torch
    except ImportError:
        remedy = "install it (pip install 'accelsim[torch]'), or give the path of a .pt2 file, which needs no torch"
        raise UnsupportedError("needs torch, which is not installed", file="from_torch", remedy=remedy) from None
    from accelsim.workload.torch.exported import export_module, read_exported

    if isinstance(module, torch.export.ExportedProgram):
        _refuse(given, "an ExportedProgram")
        return read_exported(module, name or "exported program")
    label = name or type(module).__name__
    return read_exported(export_module(module, name=label, **export), label)


def _refuse(given: list[str], what: str) -> None:
    if given:
        rule = f"is for modules: {what} is exported already"
        raise InputError(rule, file="from_torch", field=given[0], remedy="bind open dimensions with shapes")

"""What commands share: the workload, architecture and options that the arguments name, and files for results."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.arguments import branch, by_name, number, pair, scalar, shape, steps, switches
from accelsim.errors import InputError

if TYPE_CHECKING:
    from accelsim.hardware.load import Architecture
    from accelsim.workload.graph import Graph
    from accelsim.workload.outcomes import Outcome

__all__ = [
    "architecture_of", "check_outputs", "options_of", "outcomes_of", "refuse_files", "say_written", "weighs",
    "workload_of",
]  # fmt: skip


def say_written(path: Path) -> None:
    """Tell which file was written."""
    print(f"accelsim: wrote {path}", file=sys.stderr)


def options_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Engine, detail, intervals and choices of the mapper, as `api.simulate` takes them."""
    options = {"engine": arguments.engine, "detail": arguments.detail, "intervals": not arguments.no_intervals}
    return options | {"mapping": switches(arguments.mapping) if arguments.mapping else None}


def check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse an output file that could not be written, before any work is done."""
    for option, path in (("--html", arguments.html), ("--trace", arguments.trace)):
        if path is None:
            continue
        try:
            if path.is_dir():
                raise InputError("is a folder", file=option, value=str(path), remedy="name a file in it")
            folder = path.resolve().parent
            if not folder.is_dir():
                raise InputError("lies in a folder that does not exist", file=option, value=str(path),
                                 remedy=f"make {str(folder)!r} first")  # fmt: skip
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"cannot be written ({reason})", file=option, value=str(path)) from None
    if arguments.html and arguments.trace and arguments.html.resolve() == arguments.trace.resolve():
        raise InputError("is also the file of --html", file="--trace", value=str(arguments.trace))


def refuse_files(arguments: argparse.Namespace) -> None:
    """Refuse files for reports where there is one outcome too many."""
    for option, path in (("--html", arguments.html), ("--trace", arguments.trace)):
        if path is not None:
            raise InputError("shows one outcome, and --branch gives a probability", file=option, value=str(path),
                             remedy="say then, else or dearest")  # fmt: skip


def weighs(arguments: argparse.Namespace) -> bool:
    """Whether an `If` is given by the probability of its then-branch."""
    return any(isinstance(branch(text)[1], float) for text in arguments.branch)


def workload_of(arguments: argparse.Namespace) -> Graph:
    """The workload, rewritten if asked for."""
    from accelsim.workload.load import load_workload

    name, options = _loading(arguments)
    graph = load_workload(name, **options)
    return graph.rewritten(*arguments.rewrites) if arguments.rewrites else graph


def outcomes_of(arguments: argparse.Namespace) -> list[Outcome]:
    """Every outcome of a workload whose branches are weighed."""
    from accelsim.workload.outcomes import load_outcomes

    name, options = _loading(arguments)
    outcomes = load_outcomes(name, **options)
    return [replace(each, graph=each.graph.rewritten(*arguments.rewrites)) for each in outcomes]


def _loading(arguments: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """The workload's name or path, and how it is to be loaded."""
    from accelsim.workload.load import parse_workload_argument

    name, parameters = parse_workload_argument(arguments.workload)
    if arguments.batch is not None:
        if "batch" in parameters:
            raise InputError("is given twice, in WORKLOAD as well", file="--batch", value=arguments.batch)
        parameters["batch"] = arguments.batch
    return name, {
        "shapes": by_name(map(shape, arguments.shape), "--shape"),
        "values": by_name(map(number, arguments.value), "--value"),
        "allow_zero_cost": arguments.allow_zero_cost,
        "branches": by_name(map(branch, arguments.branch), "--branch"),
        "trips": by_name(map(steps, arguments.trips), "--trips"),
        "measure_shapes": arguments.measure_shapes,
        **parameters,
    }


def architecture_of(arguments: argparse.Namespace) -> Architecture:
    """The architecture with its overrides."""
    from accelsim.hardware.load import load_architecture

    architecture = load_architecture(arguments.architecture)
    overrides = by_name((pair(text, "--set") for text in arguments.overrides), "--set")
    return (
        architecture.override({path: scalar(text) for path, text in overrides.items()}) if overrides else architecture
    )

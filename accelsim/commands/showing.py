"""Commands that show what there is: list, show, convert, schema."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from accelsim.commands.inputs import check_outputs, outcomes_of, refuse_files, say_written, weighs, workload_of
from accelsim.errors import UnknownNameError

if TYPE_CHECKING:
    from accelsim.hardware.load import Architecture
    from accelsim.workload.graph import Graph

__all__ = ["convert_command", "list_command", "schema_command", "show_command"]

_WIDTH = 120


def list_command(arguments: argparse.Namespace) -> None:
    """List what is bundled."""
    rows = _listed(arguments.what)
    if arguments.json:
        print(json.dumps([{"name": name, "description": text} for name, text in rows], indent=2))
        return
    width = max(len(name) for name, _ in rows) + 2
    for name, text in rows:
        print(f"{name:<{width}}{shorten(text, _WIDTH - width, placeholder=' ...')}")


def _listed(what: str) -> list[tuple[str, str]]:
    if what == "workloads":
        from accelsim.workload.load import list_workloads

        return list_workloads()
    if what == "architectures":
        from accelsim.hardware.load import list_architectures

        return list_architectures()
    if what == "sweeps":
        from accelsim.study.sweep.load import list_sweeps

        return list_sweeps()
    if what == "rewrites":
        from accelsim.workload.rewrite import list_rewrites

        return list_rewrites()
    from accelsim.numerics import FORMATS

    return [(each.name, each.describe()) for each in FORMATS.values()]


def show_command(arguments: argparse.Namespace) -> None:
    """Show a workload or an architecture."""
    check_outputs(arguments)
    if weighs(arguments):
        _show_outcomes(arguments)
        return
    from accelsim.report import show

    subject = show.with_zeros(_subject(arguments), arguments.workload)
    if arguments.html:
        show.write_page(subject, arguments.html)
        say_written(arguments.html)
    print(show.json_text(subject) if arguments.json else show.text(subject))


def _show_outcomes(arguments: argparse.Namespace) -> None:
    refuse_files(arguments)
    from accelsim.report.expectation import outcomes_json, outcomes_text

    outcomes = outcomes_of(arguments)
    print(outcomes_json(outcomes) if arguments.json else outcomes_text(outcomes))


def convert_command(arguments: argparse.Namespace) -> None:
    """Write a workload as a graph file."""
    workload_of(arguments).save(arguments.out)
    say_written(arguments.out)


def _subject(arguments: argparse.Namespace) -> Graph | Architecture:
    """The workload or architecture that is called so; an unknown name is looked up among both."""
    from accelsim.documents import read_yaml
    from accelsim.hardware.load import list_architectures, load_architecture
    from accelsim.workload.interchange import is_graph_file
    from accelsim.workload.load import list_workloads

    name = arguments.workload
    path = Path(name)
    architectures = [each for each, _ in list_architectures()]
    if name in architectures or os.path.isdir(name):
        return load_architecture(name)
    if path.suffix in (".yaml", ".yml") and not is_graph_file(path) and "kind" in read_yaml(path):
        return load_architecture(name)
    workloads = [each for each, _ in list_workloads()]
    if path.suffix or name.partition(":")[0] in workloads:
        return workload_of(arguments)
    try:
        return load_architecture(name)  # one that is made from its name
    except UnknownNameError:
        raise UnknownNameError("workload or architecture", name, [*workloads, *architectures]) from None


def schema_command(arguments: argparse.Namespace) -> None:
    """Print the JSON schema of an authored file."""
    if arguments.what == "architecture":
        from accelsim.hardware.load import architecture_schema

        schema = architecture_schema()
    elif arguments.what == "sweep":
        from accelsim.study.sweep.spec import SweepDocument

        schema = SweepDocument.model_json_schema()
    else:
        from accelsim.workload.schema import WorkloadDocument

        schema = WorkloadDocument.model_json_schema()
    print(json.dumps(schema, indent=2))

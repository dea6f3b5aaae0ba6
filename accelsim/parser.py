"""The grammar of the command line: every command, its arguments and their help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from accelsim.arguments import batch_of
from accelsim.errors import InputError, UnknownNameError
from accelsim.version import __version__

__all__ = ["parsed"]

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


class _Parser(argparse.ArgumentParser):
    """Complains with `InputError`, so that a slip on the command line reads like any other bad input."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, remedy=f"see `{self.prog} --help`")


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of one command, its name as ``command``.

    Raises:
        InputError: an argument that no command takes, with the closest that one does.
    """
    parser = _Parser(
        prog="accelsim", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
        description="How fast, how large, how hungry and how accurate a network is on an accelerator.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"accelsim {__version__}")
    commands: Any = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for add in (_add_simulate, _add_compare, _add_emulate, _add_validate, _add_estimate, _add_study, _add_list,
                _add_show, _add_convert, _add_schema):  # fmt: skip
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


def _add_emulate(commands: Any) -> None:
    command = commands.add_parser(
        "emulate", help="values that an ONNX model computes on one architecture, and their errors",
        description="Run WORKLOAD, an ONNX model, on the mapping that simulate times, and compare every op with FP32.",
    )  # fmt: skip
    add = command.add_argument
    add("workload", metavar="WORKLOAD", help="path of an ONNX model")
    add("architecture", metavar="ARCH", help="bundled name, or path to an architecture")
    add("--precision", metavar="P", help="as of simulate (default: the first format of the architecture)")
    add("--batch", type=batch_of, metavar="N", help="samples an execution (default: the workload's own)")
    add("--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides",
        help="override a parameter of the architecture; repeatable")  # fmt: skip
    _add_onnx_arguments(command)
    add("--inputs", type=Path, metavar="FILE.npz", help="an array for each input by name (default: drawn numbers)")
    add("--seed", type=int, default=0, metavar="N", help="of drawn numbers (default: 0)")
    add("--json", action="store_true", help="print one JSON document")


def _add_model_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("workload", metavar="WORKLOAD",
        help="bundled name or path (.yaml, .onnx, .tflite, .pt2); parameters as name:key=value,...")  # fmt: skip
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
        help="choices of the mapper: fusion, pipelining, prefetch and resident_cache (on unless switched off), "
        "resident_weights (off)")  # fmt: skip
    add("--no-intervals", action="store_true", help="skip the evaluations over the ranges of assumed constants")
    add("--html", type=Path, metavar="FILE", help="write a self-contained HTML report")
    add("--trace", type=Path, metavar="FILE", help="write the timeline as a Perfetto trace")
    add("--json", action="store_true", help="print one JSON document")


def _add_onnx_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--shape", action="append", default=[], metavar="NAME=1x3x224x224", help="shape of a model's input; repeatable")
    add("--value", action="append", default=[], metavar="NAME=VALUE", help="value of a scalar ONNX input; repeatable")
    add("--allow-zero-cost", action="append", default=[], metavar="OP",
        help="op of a model to take as free; repeatable")  # fmt: skip
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
    add("targets", metavar="TARGET", nargs="*", help="such as systolic or tpu-v1 (default: all)")
    add("--data", type=Path, metavar="DIR", help="your own rows, in the format of the bundled reference data")
    add("--models", type=Path, metavar="ROOT", help="where workloads finds model files: ROOT/PACKAGE/file")
    add("--fetch", action="store_true", help="let workloads download the packages of missing model files")
    add("--html", type=Path, metavar="FILE", help="write a self-contained HTML report")
    add("--json", action="store_true", help="print one JSON document")
    command.set_defaults(trace=None)


def _add_estimate(commands: Any) -> None:
    command = commands.add_parser(
        "estimate", help="one circuit or macro, without a network",
        description="Energy and area of one CIRCUIT. Without its parameters, the message says which are needed.",
    )  # fmt: skip
    add = command.add_argument
    add("circuit", metavar="CIRCUIT", help="sram, mac, dram, adc, crossbar; or fpga and its circuit: `fpga fifo_srl`")
    add("parameters", metavar="key=value", nargs="*", help="parameters of the circuit, units in their names")
    add("--model", metavar="M", help="published (default) or hwcomponents (extra of that name, Python 3.12)")
    add("--json", action="store_true", help="print one JSON document")


def _add_study(commands: Any) -> None:
    command = commands.add_parser(
        "study", help="a study of one question: microscaling (block size against error of FP4)"
    )
    _add_choice(command, "what", ("microscaling",))
    add = command.add_argument
    add("--weights", type=Path, metavar="MODEL.onnx", help="also quantise the largest weight tensors of an ONNX file")
    add("--html", type=Path, metavar="FILE", help="write a self-contained HTML report")
    add("--json", action="store_true", help="print one JSON document")
    command.set_defaults(trace=None)


def _add_list(commands: Any) -> None:
    command = commands.add_parser("list", help="bundled workloads, architectures, formats or rewrites")
    _add_choice(command, "what", ("workloads", "architectures", "formats", "rewrites"))
    command.add_argument("--json", action="store_true", help="print one JSON document")


def _add_show(commands: Any) -> None:
    command = commands.add_parser("show", help="what a workload or an architecture is made of, with sources")
    command.add_argument("workload", metavar="NAME", help="workload or architecture: bundled name or path")
    _add_onnx_arguments(command)
    command.add_argument("--html", type=Path, metavar="FILE", help="draw the graph of a workload, skips and all")
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.set_defaults(batch=None, trace=None)


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


def _add_schema(commands: Any) -> None:
    command = commands.add_parser("schema", help="JSON schema of an authored file")
    _add_choice(command, "what", ("architecture", "workload"))
    command.add_argument("--json", action="store_true", help="the schema is JSON anyway")

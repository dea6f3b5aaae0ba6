"""The grammar of the command line: every command, its arguments and their help."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from accelsim.arguments import batch_of, workers_of
from accelsim.errors import InputError, UnknownNameError
from accelsim.version import __version__

__all__ = ["parsed"]

_EPILOG = """examples:
  accelsim compare rnnt-lm-fusion rapid-4core --precision fp16 --precision int4 --html report.html
  accelsim simulate resnet-50:batch=8 systolic-128x128 --precision int8
  accelsim simulate model.onnx rapid-4core --shape input=1x3x224x224 --set memory.dram.bandwidth_bytes_per_s=100e9
  accelsim sweep rnnt-chip --out runs/rnnt --html sweep.html
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
    for add in (_add_simulate, _add_compare, _add_skips, _add_emulate, _add_sweep, _add_validate, _add_estimate,
                _add_study, _add_list, _add_show, _add_convert, _add_schema):  # fmt: skip
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


def _add_skips(commands: Any) -> None:
    command = commands.add_parser(
        "skips", help="what skip connections cost on an FPGA: kept, shortened, removed",
        description="Map WORKLOAD onto ARCH, an FPGA, with its skips as each --variant has them, and compare "
        "resources, FIFOs, latency and throughput. Variants: keep, shorten, remove (default: all three).",
    )  # fmt: skip
    add = command.add_argument
    _add_pair_arguments(command)
    _add_choice(command, "--variant", ("keep", "shorten", "remove"), action="append", default=None,
                help="repeatable; the first is what the others are compared with")  # fmt: skip
    add("--precision", metavar="P", help="as of simulate (default: the architecture's)")
    _add_engine_argument(command)
    add("--seed", type=int, default=0, metavar="N", help="of the input that outputs are compared on (default: 0)")
    _add_report_arguments(command)


def _add_emulate(commands: Any) -> None:
    command = commands.add_parser(
        "emulate", help="values that a workload computes on one architecture, and their errors",
        description="Run WORKLOAD on the mapping that simulate times, and compare every op with FP32. Weights are "
        "those of the model; for bundled workloads they are drawn.",
    )  # fmt: skip
    add = command.add_argument
    _add_pair_arguments(command)
    add("--precision", metavar="P", help="as of simulate (default: the first format of the architecture)")
    add("--inputs", type=Path, metavar="FILE.npz", help="an array for each input by name (default: drawn numbers)")
    add("--seed", type=int, default=0, metavar="N", help="of drawn numbers (default: 0)")
    add("--calibrate", type=Path, action="append", metavar="FILE.npz", dest="calibration",
        help="sample inputs that scales of integer activations are found from, once; repeatable")  # fmt: skip
    add("--quantiser", metavar="NAME", help="range of integer activations: max, percentile:P, mse, sawb, pact:ALPHA or "
        "fixed:LOW,HIGH (default: the recipe's, else max)")  # fmt: skip
    add("--time-s", type=float, metavar="S", help="seconds after programming at which analog tiles are read")
    add("--sensitivity", action="store_true",
        help="what each non-ideality of analog tiles does to the outputs, alone and "
        "left out: some 28 settings of the tiles, each --repeats times as long as one emulation")  # fmt: skip
    add("--repeats", type=int, metavar="N", help="draws of what is random, with --sensitivity (default: 3)")
    _add_report_arguments(command)


def _add_sweep(commands: Any) -> None:
    command = commands.add_parser(
        "sweep", help="many designs: what varies, what is looked for, and the best of them",
        description="Evaluate the designs of SPEC into DIR, which a later call goes on with or reads.",
    )  # fmt: skip
    add = command.add_argument
    add("spec", metavar="SPEC", help="bundled sweep (`accelsim list sweeps`), or path to a sweep file")
    add("--out", type=Path, metavar="DIR", help="folder of the results, a Parquet data set (needed without --dry-run)")
    add("--resume", action="store_true", help="go on with an unfinished run in DIR")
    add("--workers", type=workers_of, metavar="N", help="processes, or workers of a new cluster (default: one a core)")
    add("--scheduler", metavar="WHERE", help="run on Dask: an address such as tcp://host:8786, or local, slurm, lsf or "
        "kubernetes")  # fmt: skip
    add("--dry-run", action="store_true", help="count the designs and estimate the time, and write nothing")
    _add_report_arguments(command)


def _add_pair_arguments(command: argparse.ArgumentParser) -> None:
    """A workload, an architecture, and what is changed about them."""
    add = command.add_argument
    add("workload", metavar="WORKLOAD",
        help="bundled name or path (.yaml, .onnx, .tflite, .pt2); parameters as name:key=value,...")  # fmt: skip
    add("architecture", metavar="ARCH", help="bundled name, or path to an architecture")
    add("--batch", type=batch_of, metavar="N", help="samples an execution (default: the workload's own)")
    add("--set", action="append", default=[], metavar="PATH=VALUE", dest="overrides",
        help="override a parameter of the architecture; repeatable")  # fmt: skip
    _add_onnx_arguments(command)


def _add_engine_argument(command: argparse.ArgumentParser) -> None:
    _add_choice(command, "--engine", ("auto", "des", "maxplus"), default="auto",
                help="des: SimPy; maxplus: compiled (default: auto)")  # fmt: skip


def _add_report_arguments(command: argparse.ArgumentParser) -> None:
    """Reports of a command that has no timeline to trace."""
    command.add_argument("--html", type=Path, metavar="FILE", help="write a self-contained HTML report")
    command.add_argument("--json", action="store_true", help="print one JSON document")
    command.set_defaults(trace=None)


def _add_model_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    _add_pair_arguments(command)
    _add_engine_argument(command)
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
        help="what an If takes that the data decides: then, else, dearest, or the probability of then; "
        "repeatable")  # fmt: skip
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
    add("--synthesize", action="store_true", help="fpga: synthesise circuits with Yosys (extra `synthesis`), compare")
    add(
        "--point",
        action="append",
        default=[],
        metavar="'CIRCUIT W=8 D=64'",
        dest="points",
        help="with --synthesize: a circuit and its sizes, as docs/fpga.md names them; repeatable (default: a few)",
    )
    add("--out", type=Path, metavar="DIR", help="with --synthesize: keep the table and the Verilog in this folder")
    _add_report_arguments(command)


def _add_estimate(commands: Any) -> None:
    command = commands.add_parser(
        "estimate", help="one circuit or macro, without a network",
        description="Energy and area of one CIRCUIT. Without its parameters, the message says which are needed.",
    )  # fmt: skip
    add = command.add_argument
    add("circuit", metavar="CIRCUIT", help="sram, mac, dram, adc, crossbar; or fpga and its circuit: `fpga fifo_srl`")
    add("parameters", metavar="key=value", nargs="*", help="parameters of the circuit, units in their names")
    add("--model", metavar="M", help="published (default) or hwcomponents (extra of that name, Python 3.12)")
    add("--verilog", type=Path, metavar="FILE", help="write a circuit of an FPGA as Verilog")
    add("--json", action="store_true", help="print one JSON document")


def _add_study(commands: Any) -> None:
    command = commands.add_parser(
        "study", help="a study of one question: microscaling (block size against error of FP4), or nonidealities "
        "(which one of analog tiles hurts most)",
    )  # fmt: skip
    _add_choice(command, "what", ("microscaling", "nonidealities"))
    add = command.add_argument
    add("--weights", type=Path, metavar="MODEL.onnx", help="also quantise the largest weight tensors of an ONNX file")
    _add_report_arguments(command)


def _add_list(commands: Any) -> None:
    command = commands.add_parser("list", help="bundled workloads, architectures, sweeps, formats or rewrites")
    _add_choice(command, "what", ("workloads", "architectures", "sweeps", "formats", "rewrites"))
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
    _add_choice(command, "what", ("architecture", "workload", "sweep"))
    command.add_argument("--json", action="store_true", help="the schema is JSON anyway")

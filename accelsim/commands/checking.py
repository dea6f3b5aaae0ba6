"""Commands that need no workload: validate, estimate, study."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from accelsim.arguments import by_name, pair, scalar
from accelsim.commands.inputs import check_outputs, say_written
from accelsim.errors import InputError

if TYPE_CHECKING:
    from accelsim.results import Validation

__all__ = ["estimate_command", "study_command", "validate_command"]


def validate_command(arguments: argparse.Namespace) -> None:
    """Compare predictions with reference figures."""
    check_outputs(arguments)
    from accelsim.api import validate
    from accelsim.report.validation import validation_text

    if arguments.synthesize or arguments.points or arguments.out:
        found = _synthesised(arguments)
    else:
        found = validate(*arguments.targets, data=arguments.data, models=arguments.models, fetch=arguments.fetch)
    if arguments.html:
        found.to_html(arguments.html)
        say_written(arguments.html)
    print(found.to_json() if arguments.json else validation_text(found.report))


def _synthesised(arguments: argparse.Namespace) -> Validation:
    """`validate fpga --synthesize`."""
    if not arguments.synthesize:
        raise InputError("are for --synthesize", field="--point, --out", remedy="write --synthesize too")
    if arguments.targets != ["fpga"] or arguments.data is not None:
        raise InputError("makes rows of its own for the target fpga", field="--synthesize",
                         remedy="write `accelsim validate fpga --synthesize`, without --data")  # fmt: skip
    from accelsim.results import Validation
    from accelsim.study.rtl.truth import points_of, validate_points

    points = points_of(arguments.points)
    told = lambda name: print(f"accelsim: synthesising {name}", file=sys.stderr)  # noqa: E731
    return Validation(validate_points(points, arguments.out, told=told))


def estimate_command(arguments: argparse.Namespace) -> None:
    """Price one circuit."""
    from accelsim.report.circuits import circuit_text
    from accelsim.study.circuits import estimate_circuit

    name, words = arguments.circuit, list(arguments.parameters)
    if name == "fpga" and words and "=" not in words[0]:
        name = f"{name} {words.pop(0)}"
    given = by_name((pair(text, "estimate") for text in words), "estimate")
    found = estimate_circuit(name, {n: scalar(text) for n, text in given.items()}, arguments.model)
    if arguments.verilog:
        from accelsim.report.files import write_text_atomically
        from accelsim.study.rtl import verilog_of_estimate

        write_text_atomically(arguments.verilog, verilog_of_estimate(found))
        say_written(arguments.verilog)
    print(json.dumps(found.to_document(), indent=2, allow_nan=False) if arguments.json else circuit_text(found))


def study_command(arguments: argparse.Namespace) -> None:
    """Run a study of one question."""
    check_outputs(arguments)
    if arguments.what == "nonidealities":
        _study_nonidealities(arguments)
        return
    from accelsim.report.microscaling import study_html, study_json, study_text
    from accelsim.study.microscaling import run_study

    found = run_study(weights=arguments.weights)
    _print_study(arguments, lambda: study_html(found), study_json(found) if arguments.json else study_text(found))


def _study_nonidealities(arguments: argparse.Namespace) -> None:
    from accelsim.report.nonidealities import study_html, study_json, study_text
    from accelsim.study.nonidealities import run_study

    if arguments.weights is not None:
        raise InputError("is for the study microscaling", file="--weights", value=str(arguments.weights))
    found = run_study()
    _print_study(arguments, lambda: study_html(found), study_json(found) if arguments.json else study_text(found))


def _print_study(arguments: argparse.Namespace, html: Callable[[], str], text: str) -> None:
    from accelsim.report.files import write_text_atomically

    if arguments.html:
        write_text_atomically(arguments.html, html())
        say_written(arguments.html)
    print(text)

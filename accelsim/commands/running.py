"""Commands that evaluate workloads on architectures: simulate, compare, skips, emulate, sweep."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from accelsim.arguments import precision_named, precision_of
from accelsim.commands.inputs import (
    architecture_of,
    check_outputs,
    options_of,
    outcomes_of,
    refuse_files,
    say_written,
    weighs,
    workload_of,
)
from accelsim.errors import InputError

if TYPE_CHECKING:
    from accelsim.results import Comparison, Emulation, Result
    from accelsim.results.nonidealities import Nonidealities

__all__ = ["compare_command", "emulate_command", "simulate_command", "skips_command", "sweep_command"]


def simulate_command(arguments: argparse.Namespace) -> None:
    """Evaluate one workload on one architecture."""
    check_outputs(arguments)
    if weighs(arguments):
        _expect(arguments)
        return
    from accelsim.api import simulate
    from accelsim.report.tables import result_text

    precision = None if arguments.precision is None else precision_of(arguments.precision)
    result = simulate(workload_of(arguments), architecture_of(arguments), precision=precision, **options_of(arguments))
    _report(arguments, result, result, lambda: result_text(result.estimate))


def _expect(arguments: argparse.Namespace) -> None:
    """`simulate` where a branch is given by its probability: every outcome, and the mean."""
    refuse_files(arguments)
    from accelsim.api import expect
    from accelsim.report.expectation import expectation_text

    precision = None if arguments.precision is None else precision_of(arguments.precision)
    options = {name: value for name, value in options_of(arguments).items() if name != "intervals"}
    found = expect(outcomes_of(arguments), architecture_of(arguments), precision=precision, **options)
    found.check()
    print(found.to_json() if arguments.json else expectation_text(found))


def compare_command(arguments: argparse.Namespace) -> None:
    """Evaluate several precisions side by side."""
    check_outputs(arguments)
    from accelsim.api import compare
    from accelsim.report.tables import comparison_text

    precisions = [precision_named(each) for each in arguments.precision or ("fp16", "int4")]
    comparison = compare(
        workload_of(arguments), architecture_of(arguments), precisions=precisions, **options_of(arguments)
    )
    last = comparison.runs[comparison.comparison.names[-1]]
    _report(arguments, comparison, last, lambda: comparison_text(comparison.comparison))


def skips_command(arguments: argparse.Namespace) -> None:
    """Evaluate a network on an FPGA with its skip connections kept, shortened and removed."""
    check_outputs(arguments)
    from accelsim.api import compare_skips
    from accelsim.report.skips import skips_text

    precision = None if arguments.precision is None else precision_of(arguments.precision)
    found = compare_skips(
        workload_of(arguments), architecture_of(arguments), variants=arguments.variant or ("keep", "shorten", "remove"),
        precision=precision, engine=arguments.engine, seed=arguments.seed,
    )  # fmt: skip
    found.check()
    if arguments.html:
        found.to_html(arguments.html)
        say_written(arguments.html)
    print(found.to_json() if arguments.json else skips_text(found.comparison))


def emulate_command(arguments: argparse.Namespace) -> None:
    """Compute what a workload computes on an architecture."""
    check_outputs(arguments)
    from accelsim.api import emulate, nonidealities
    from accelsim.report.emulation import emulation_text

    if arguments.repeats is not None and not arguments.sensitivity:
        raise InputError("is for --sensitivity", file="--repeats", value=arguments.repeats)
    precision = None if arguments.precision is None else precision_of(arguments.precision)
    workload, architecture = workload_of(arguments), architecture_of(arguments)
    if arguments.sensitivity:
        from accelsim.report.analog_sensitivity import sensitivity_text

        parts = nonidealities(
            workload, architecture, arguments.inputs, precision=precision, seed=arguments.seed,
            time_s=arguments.time_s, repeats=3 if arguments.repeats is None else arguments.repeats,
            calibration=arguments.calibration, quantiser=arguments.quantiser,
        )  # fmt: skip
        _show(arguments, parts, lambda: sensitivity_text(parts))
        return
    found = emulate(
        workload, architecture, arguments.inputs, precision=precision, seed=arguments.seed,
        time_s=arguments.time_s, calibration=arguments.calibration, quantiser=arguments.quantiser,
    )  # fmt: skip
    _show(arguments, found, lambda: emulation_text(found))


def _show(arguments: argparse.Namespace, found: Emulation | Nonidealities, text: Callable[[], str]) -> None:
    if arguments.html:
        found.to_html(arguments.html)
        say_written(arguments.html)
    print(found.to_json() if arguments.json else text())


def _report(arguments: argparse.Namespace, whole: Result | Comparison, traced: Result, text: Callable[[], str]) -> None:
    whole.check()
    if arguments.trace:
        traced.to_perfetto(arguments.trace)
    if arguments.html:
        whole.to_html(arguments.html)
    print(whole.to_json() if arguments.json else text())
    for path in filter(None, (arguments.html, arguments.trace)):
        say_written(path)


def sweep_command(arguments: argparse.Namespace) -> None:
    """Evaluate the designs of a sweep, or count them."""
    check_outputs(arguments)
    from accelsim.study.sweep.api import check_installed, foreseen, swept

    check_installed()
    from accelsim.report.sweep import forecast_text, sweep_text
    from accelsim.report.sweep_progress import Progress
    from accelsim.results import Sweep

    if arguments.dry_run:
        expected = foreseen(arguments.spec, arguments.workers)
        print(json.dumps(expected.to_document(), indent=2) if arguments.json else forecast_text(expected))
        return
    if arguments.out is None:
        raise InputError("is missing", file="--out", remedy="name a folder for the results, or count with --dry-run")
    with Progress(sys.stderr) as progress:
        run = swept(arguments.spec, arguments.out, resume=arguments.resume, workers=arguments.workers,
                    scheduler=arguments.scheduler, progress=progress)  # fmt: skip
    found = Sweep(run)
    if arguments.html:
        found.to_html(arguments.html)
        say_written(arguments.html)
    print(found.to_json() if arguments.json else sweep_text(run))

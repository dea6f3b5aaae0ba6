"""An emulation as text."""

from __future__ import annotations

from accelsim.study.emulate import Emulation

__all__ = ["emulation_text"]


def emulation_text(found: Emulation) -> str:
    """Errors of every op, then of the outputs."""
    run = found.evaluation
    head = f"{run.workload.name} on {run.architecture.name} in {run.choice.label}, against FP32"
    lines = [head, "", f"{'op':<40} {'precision':<12}{'SQNR dB':>9}{'max error':>12}{'saturated':>11}{'flushed':>9}"]
    lines += [
        f"{each.op[-40:]:<40} {each.precision:<12}{each.sqnr_db:>9.2f}{each.max_abs_error:>12.4g}"
        f"{each.saturated:>11}{each.flushed:>9}"
        for each in found.op_errors
    ]
    lines += ["", *(f"output {name}: SQNR {value:.2f} dB" for name, value in found.sqnr_db.items())]
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])

"""The command line: progress and exit codes; what commands do is in `accelsim.commands`.

Exit code 0 is done, 2 is bad input (one message, no traceback), 1 a defect of ours. Results go to standard output,
everything else to standard error. Stages are imported only when a command needs them, to keep ``--help`` quick.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper

from accelsim.errors import AccelsimError, CertificateError
from accelsim.parser import parsed

__all__ = ["main"]

_HOMES = {
    "running": ("simulate", "compare", "skips", "emulate", "sweep"),
    "checking": ("validate", "estimate", "study"),
    "showing": ("list", "show", "convert", "schema"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a name may hold what the terminal has no letter for
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = parsed(sys.argv[1:] if argv is None else argv)
        _command(arguments.command)(arguments)
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


def _command(name: str) -> Callable[[argparse.Namespace], None]:
    home = next(module for module, names in _HOMES.items() if name in names)
    command: Callable[[argparse.Namespace], None] = getattr(
        import_module(f"accelsim.commands.{home}"), f"{name}_command"
    )
    return command

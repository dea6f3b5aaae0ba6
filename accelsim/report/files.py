"""Writing files whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from accelsim.errors import InputError

__all__ = ["atomic_writer", "write_text_atomically"]


@contextmanager
def atomic_writer(path: str | Path) -> Iterator[TextIO]:
    """A text stream (UTF-8) that becomes ``path`` when the block ends; after an error ``path`` is what it was before.

    What is there and is no regular file (a pipe, /dev/null) is written to directly, for it cannot be replaced.

    Raises:
        InputError: the folder does not exist, or the file cannot be written.
    """
    target, replaced = _target(path)
    part = target.with_name(f".{target.name[:64]}.{secrets.token_hex(6)}.part") if replaced else target
    try:
        with part.open("x" if replaced else "w", encoding="utf-8", errors="backslashreplace", newline="\n") as stream:
            yield stream
        if replaced:
            if target.exists():
                shutil.copymode(target, part)
            part.replace(target)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        if replaced:
            part.unlink(missing_ok=True)


def write_text_atomically(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, whole or not at all.

    Raises:
        InputError: the folder does not exist, or the file cannot be written.
    """
    with atomic_writer(path) as stream:
        stream.write(text)


def _target(path: str | Path) -> tuple[Path, bool]:
    """Where ``path`` leads, so that a link stays a link, and whether what is there may be replaced."""
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise InputError("is a folder", file=path, field="output file", remedy="name a file")
        if not target.parent.is_dir():
            remedy = f"make {str(target.parent)!r} first"
            raise InputError("lies in a folder that does not exist", file=path, field="output file", remedy=remedy)
        return target, target.is_file() or not target.exists()
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def _unwritable(path: str | Path, error: OSError | ValueError) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(f"cannot be written ({reason})", file=path, field="output file")

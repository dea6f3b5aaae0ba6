"""A run's folder: parts that are there whole or not at all, what they belong to, and one writer at a time.

    manifest.json          what the run is: document, hashes of all that it depends on, chunk size, versions
    parts/round=R/C.parquet   chunk C of round R; a file is complete, because it is renamed when it is
    finished.json          counts, front and findings of a run that has ended
    lock                   held by the process that writes

A kill at any moment leaves whole parts, and perhaps a file whose name begins with a dot, which nobody reads.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from accelsim.errors import InputError, UnsupportedError
from accelsim.study.sweep.table import SCHEMA_VERSION

__all__ = ["Store"]

_MANIFEST, _FINISHED, _LOCK, _PARTS = "manifest.json", "finished.json", "lock", "parts"
_PROVENANCE = b"accelsim"
_BEGUN = (_PARTS, _LOCK, f"{_MANIFEST}.part")


class Store:
    """The folder of one run, open for writing. Use it as a context: it holds the lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest: dict[str, Any] = {}
        self._lock: int | None = None

    def __enter__(self) -> Self:
        self._check_is_ours()
        try:
            (self.folder / _PARTS).mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        _hold(self._lock, self.folder)
        for stray in self.folder.glob(f"{_PARTS}/*/.*.part"):
            stray.unlink(missing_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _check_is_ours(self) -> None:
        """Refuse a folder with other things in it, which would be mixed up with a run."""
        if (self.folder / _MANIFEST).exists() or not self.folder.is_dir():
            return
        others = sorted(each.name for each in self.folder.iterdir() if each.name.strip(".") not in _BEGUN)
        if others:
            raise InputError(f"holds {others[0]!r} and no sweep", file=self.folder, remedy="name a new folder")

    def open(self, identity: Mapping[str, str], document: Mapping[str, Any], *, resume: bool) -> bool:
        """Bind the folder to a run; True if the run has finished before.

        Raises:
            InputError: it holds another run, or this one unfinished and ``resume`` is not asked for.
        """
        path = self.folder / _MANIFEST
        if not path.exists():
            if any((self.folder / _PARTS).iterdir()):
                raise InputError("holds results without a manifest", file=self.folder, remedy="name another folder")
            self.manifest = {"schema_version": SCHEMA_VERSION, "identity": dict(identity), "sweep": dict(document)}
            return False
        self.manifest = read_json(path)
        self._check_same(identity)
        finished = (self.folder / _FINISHED).exists()
        if not finished and not resume:
            raise InputError("holds an unfinished run of this sweep", file=self.folder,
                             remedy="add --resume (resume=True) to go on with it, or name another folder")  # fmt: skip
        return finished

    def _check_same(self, identity: Mapping[str, str]) -> None:
        version = self.manifest.get("schema_version")
        if version != SCHEMA_VERSION:
            raise InputError(f"has a data set of schema {version}, this accelsim writes {SCHEMA_VERSION}",
                             file=self.folder, remedy="name another folder")  # fmt: skip
        stored = self.manifest.get("identity", {})
        names = sorted({*stored, *identity})
        different = [name for name in names if stored.get(name) != identity.get(name)]
        if different:
            raise InputError(f"holds the results of another sweep: it differs in {', '.join(different)}",
                             file=self.folder, remedy="name another folder")  # fmt: skip

    def begin(self, **facts: Any) -> None:
        """Write the manifest, with what was decided when the run began."""
        self.manifest |= facts
        write_json(self.folder / _MANIFEST, self.manifest)

    def part(self, round_number: int, chunk: int) -> Path:
        """Where a chunk lies, once it is done."""
        return self.folder / _PARTS / f"round={round_number:04d}" / f"{chunk:06d}.parquet"

    def commit(self, round_number: int, chunk: int, rows: pa.Table) -> None:
        """Write one chunk, whole or not at all.

        Raises:
            InputError: it cannot be written (disk full, say); what was committed before stays.
        """
        path = self.part(round_number, chunk)
        aside = path.with_name(f".{path.name}.part")
        about = {"schema_version": SCHEMA_VERSION, "identity": self.manifest["identity"], "round": round_number}
        rows = rows.replace_schema_metadata({_PROVENANCE: json.dumps(about).encode()})
        try:
            path.parent.mkdir(exist_ok=True)
            with aside.open("wb") as stream:
                pq.write_table(rows, stream, compression="zstd", write_page_checksum=True)
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            raise _unwritable(path, error, "free space, then --resume goes on: finished chunks are kept") from None

    def read(self, round_number: int, chunk: int, columns: list[str] | None = None) -> pa.Table:
        """The rows of a chunk that was committed.

        Raises:
            InputError: the file is damaged, or belongs to another run.
        """
        return read_part(self.part(round_number, chunk), self.manifest["identity"], columns)

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Mark the run as done."""
        write_json(self.folder / _FINISHED, dict(summary))

    def finished(self) -> dict[str, Any]:
        """What `finish` wrote."""
        return read_json(self.folder / _FINISHED)


def read_part(path: Path, identity: Mapping[str, str], columns: list[str] | None = None) -> pa.Table:
    """One part, its checksums verified. Errors as `Store.read`."""
    remedy = "remove it, then --resume evaluates its designs again"
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            about = json.loads((file.schema_arrow.metadata or {}).get(_PROVENANCE, b"{}"))
            rows = file.read(columns)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"is damaged ({_first_line(error)})", file=path, remedy=remedy) from None
    if about.get("identity") != dict(identity):
        raise InputError("belongs to another run", file=path, remedy=remedy)
    return rows


def parts_of(folder: Path) -> Iterator[Path]:
    """All parts, in the order of rounds and chunks."""
    yield from sorted((folder / _PARTS).glob("round=*/[0-9]*.parquet"))


def manifest_of(folder: Path) -> dict[str, Any]:
    """The manifest of a run's folder."""
    return read_json(folder / _MANIFEST)


def read_json(path: Path) -> dict[str, Any]:
    """One JSON document of a run's folder."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({_first_line(error)})", file=path, remedy="name another folder") from None
    if not isinstance(data, dict):
        raise InputError("is not a JSON object", file=path, remedy="name another folder")
    return data


def write_json(path: Path, data: Mapping[str, Any]) -> None:
    """Write one JSON document, whole or not at all."""
    aside = path.with_name(f".{path.name}.part")
    try:
        with aside.open("w", encoding="utf-8") as stream:
            json.dump(data, stream, indent=1, allow_nan=False)
            stream.flush()
            os.fsync(stream.fileno())
        aside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None


def _hold(lock: int, folder: Path) -> None:
    """Take the lock; the system lets it go when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:
        raise UnsupportedError("needs file locks, which this system has not", file=folder,
                               remedy="run it on Linux or macOS") from None  # fmt: skip
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(lock, 200, 0).decode("utf-8", "replace").strip()
        raise InputError(f"is being written by {owner or 'another process'}", file=folder,
                         remedy="wait until that run has ended, or name another folder") from None  # fmt: skip
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _unwritable(path: Path, error: OSError, remedy: str | None = None) -> InputError:
    return InputError(f"cannot be written ({error.strerror or error})", file=path, remedy=remedy)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else type(error).__name__

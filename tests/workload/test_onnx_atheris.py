"""A bounded run of the coverage-guided fuzzer (`tests.workload.fuzz_onnx`) on models of every kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.workload.test_onnx_fuzz import NAMES, _whole

RUNS = 1500
ROOT = Path(__file__).parent.parent.parent


def test_fuzzer_finds_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="needs atheris, which has wheels for Linux only")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in NAMES:
        if name != "light":  # large; the fuzzer would only shuffle its weights
            (corpus / name).write_bytes(_whole(name))
    command = [sys.executable, "-m", "tests.workload.fuzz_onnx", str(corpus), f"-runs={RUNS}", "-seed=1", "-timeout=20"]
    command += ["-max_len=8192", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"Done {RUNS}" in done.stderr
